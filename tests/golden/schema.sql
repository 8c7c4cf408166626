-- The shape of the current schema as text: one row for each column, constraint, index, sequence and enum type.
-- The bookkeeping tables (refinery_schema_history, outgrow_...) and what belongs to them are left out.
-- Constraints of kind 'n' (NOT NULL, kept as constraints since PostgreSQL 18) are told by the column already.
WITH tables AS (
    SELECT oid, relname
    FROM pg_catalog.pg_class
    WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema())
      AND relkind IN ('r', 'p')
),
kept AS (
    SELECT oid, relname
    FROM tables
    WHERE relname <> 'refinery_schema_history' AND relname NOT LIKE 'outgrow\_%'
),
lines AS (
    SELECT format('column %s.%s | %s | %s | %s | default %s | identity %s',
                  t.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN a.attnotnull THEN 'not null' ELSE 'null' END,
                  coalesce(pg_get_expr(d.adbin, d.adrelid), '-'),
                  CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' ELSE '-' END) AS line
    FROM kept t
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum

    UNION ALL
    SELECT format('constraint %s | on %s | %s', c.conname, t.relname, pg_get_constraintdef(c.oid))
    FROM kept t
    JOIN pg_catalog.pg_constraint c ON c.conrelid = t.oid AND c.contype <> 'n'

    UNION ALL
    SELECT format('index %s | %s', i.relname, pg_get_indexdef(i.oid))
    FROM kept t
    JOIN pg_catalog.pg_index x ON x.indrelid = t.oid
    JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid

    UNION ALL
    SELECT format('sequence %s | %s | owned by %s', s.relname, format_type(q.seqtypid, NULL),
                  coalesce(t.relname || '.' || a.attname, '-'))
    FROM pg_catalog.pg_class s
    JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
    LEFT JOIN pg_catalog.pg_depend o ON o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = s.oid
        AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjsubid > 0 AND o.deptype IN ('a', 'i')
    LEFT JOIN tables t ON t.oid = o.refobjid
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
    WHERE s.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema())
      AND s.relname NOT LIKE 'outgrow\_%'
      AND (t.oid IS NULL OR t.oid IN (SELECT oid FROM kept))

    UNION ALL
    SELECT format('enum %s | %s', y.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder))
    FROM pg_catalog.pg_type y
    JOIN pg_catalog.pg_enum e ON e.enumtypid = y.oid
    WHERE y.typnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema())
      AND y.typname NOT LIKE 'outgrow\_%'
    GROUP BY y.oid, y.typname
)
SELECT line
FROM lines
ORDER BY line COLLATE "C";
