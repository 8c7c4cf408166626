//! The rules that only the server can apply, as its catalog has them: unique keys, exclusions, conditions of tables and
//! domains, partitions, foreign keys, and the expressions it computes; each as SQL text with which the rows that break
//! it can be looked up elsewhere. Five queries, whatever the number of rules. (PostgreSQL: Data Definition,
//! "Constraints"; System Catalogs.)

use super::catalog::SCOPE;
use crate::error::Error;
use tokio_postgres::{Client, Row};

/// One rule of a table.
#[derive(Debug)]
pub struct Rule {
    /// The table, or the partitioned table it comes from.
    pub table: u32,
    /// The columns it is about; empty if it is about expressions or the whole row.
    pub columns: Vec<String>,
    /// What is wrong with a row that breaks it.
    pub what: String,
    /// Its kind and name.
    pub name: String,
    /// What COPY says of the first such row.
    pub sqlstate: &'static str,
    /// It holds for these rows only: it belongs to a partition.
    pub filter: Option<String>,
    /// Functions that a condition calls and that may read other tables, in words: which rows break it then depends on
    /// what those hold.
    pub calls: Option<String>,
    /// How the rows are found.
    pub broken: Broken,
}

impl Rule {
    /// Whether this is the name of its constraint or index, as the server gives it with an error.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let of_domain = format!(" {name} of domain ");
        self.name.strip_suffix(name).is_some_and(|kind| kind.ends_with(' ')) || self.name.contains(&of_domain)
    }

    /// Whether it is a column that the server computes.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        self.name.starts_with("generated column ")
    }
}

/// How a rule is broken. All texts are SQL, and name columns as the table does.
#[derive(Debug)]
pub enum Broken {
    /// By several rows that have the same `keys`.
    Same {
        /// Columns or expressions, collations included.
        keys: Vec<String>,
        /// The rows it is about, if not all (a partial index).
        predicate: Option<String>,
        /// NULL equals NULL.
        nulls_equal: bool,
    },
    /// By two rows whose `keys` are pairwise in the relation of `operators`.
    Excluded {
        /// Columns or expressions, collations included.
        keys: Vec<String>,
        /// `OPERATOR(…)`, one for each key.
        operators: Vec<String>,
        /// The rows it is about, if not all.
        predicate: Option<String>,
    },
    /// By a row for which this is true.
    True(String),
    /// By a row for which this is true of the column, which it calls `VALUE`.
    TrueOfValue {
        /// The column, quoted.
        column: String,
        /// The condition.
        condition: String,
    },
    /// By a row without its parent.
    Orphan {
        /// Where the parents are.
        parent: Parent,
        /// Columns of the child, quoted.
        child: Vec<String>,
        /// Comparisons of `p.`, the parent's column, with `c.`, the child's.
        comparisons: Vec<String>,
        /// MATCH FULL: all columns are NULL or none.
        full: bool,
    },
    /// By a row for which one of these cannot be computed: a column that the server generates, the keys of an index
    /// that is not unique.
    Raises {
        /// Expressions.
        keys: Vec<String>,
        /// The rows it is about, if not all.
        predicate: Option<String>,
    },
}

/// The table that a foreign key refers to.
#[derive(Debug)]
pub enum Parent {
    /// One of those asked for, or a partition of it.
    Among {
        /// The table asked for.
        table: u32,
        /// The rows that are in the partition.
        filter: Option<String>,
    },
    /// Another: what to write after FROM.
    Elsewhere(String),
}

/// All rules of `tables` and of their partitions.
///
/// # Errors
/// [`Error::Database`] if a catalog query fails.
pub async fn read(client: &Client, tables: &[u32]) -> Result<Vec<Rule>, Error> {
    let mut rules = Vec::new();
    for (query, rule) in [
        (KEYS, key as fn(&Row) -> Rule),
        (CONDITIONS, condition),
        (DOMAINS, domain),
        (REFERENCES, reference),
        (EXPRESSIONS, expression),
    ] {
        let rows = client
            .query(&format!("WITH RECURSIVE scope AS ({SCOPE}), asks AS ({CALLS}) {query}"), &[&tables])
            .await
            .map_err(Error::database("reading the target's constraints"))?;
        rules.extend(rows.iter().map(rule));
    }
    Ok(rules)
}

fn rule(row: &Row, sqlstate: &'static str, what: String, kind: &str, broken: Broken) -> Rule {
    Rule {
        table: row.get("root"),
        columns: row.get("columns"),
        what,
        name: format!("{kind} {}", row.get::<_, &str>("name")),
        sqlstate,
        filter: row.get("filter"),
        calls: None,
        broken,
    }
}

fn key(row: &Row) -> Rule {
    let (keys, predicate) = (row.get("keys"), row.get("predicate"));
    let operators: Vec<String> = row.get("operators");
    if operators.is_empty() {
        let broken = Broken::Same { keys, predicate, nulls_equal: row.get("nulls_equal") };
        return rule(row, "23505", "the same value".into(), row.get("kind"), broken);
    }
    let what = "values that exclude each other".into();
    rule(row, "23P01", what, "exclusion constraint", Broken::Excluded { keys, operators, predicate })
}

fn condition(row: &Row) -> Rule {
    let (sqlstate, what) = match row.get("kind") {
        "NOT NULL of" => ("23502", "NULL"),
        "check constraint" => ("23514", "a value that the condition excludes"),
        _ => ("23514", "no partition for the row"),
    };
    let condition = rule(row, sqlstate, what.into(), row.get("kind"), Broken::True(row.get("broken")));
    Rule { calls: row.get("calls"), ..condition }
}

fn domain(row: &Row) -> Rule {
    let broken = Broken::TrueOfValue { column: row.get("quoted"), condition: row.get("broken") };
    let condition =
        rule(row, "23514", "a value that the condition excludes".into(), "check constraint", broken);
    Rule { calls: row.get("calls"), ..condition }
}

fn reference(row: &Row) -> Rule {
    let child: Vec<String> = row.get("child");
    let values = if child.len() == 1 { "value" } else { "values" };
    let parent = match row.get("parent_root") {
        Some(table) => Parent::Among { table, filter: row.get("parent_filter") },
        None => Parent::Elsewhere(row.get("parent")),
    };
    let what = format!("no row of {} for the {values}", row.get::<_, &str>("parent_shown"));
    let (comparisons, full) = (row.get("comparisons"), row.get("match_full"));
    rule(row, "23503", what, "foreign key", Broken::Orphan { parent, child, comparisons, full })
}

fn expression(row: &Row) -> Rule {
    let broken = Broken::Raises { keys: row.get("keys"), predicate: row.get("predicate") };
    rule(row, "", "what it cannot be computed from".into(), row.get("kind"), broken)
}

/// Unique indexes and exclusion constraints that rows are held against. Those of a partition that are parts of its
/// table's are left out; one of a partitioned table holds for nothing until all partitions have theirs.
const KEYS: &str = "\
SELECT s.root, s.filter, c.relname::text AS name,
       CASE WHEN i.indisprimary THEN 'primary key' WHEN i.indisvalid THEN 'unique index'
            ELSE 'INVALID unique index, which an interrupted CONCURRENTLY leaves (DROP INDEX in a version before the step):'
       END AS kind,
       ARRAY(SELECT a.attname::text FROM generate_series(1, i.indnkeyatts::int) AS n
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1]
             WHERE 0 <> ALL (i.indkey) ORDER BY n) AS columns,
       ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, n, false)
                    || coalesce((SELECT format(' COLLATE %I.%I', ns.nspname, l.collname)
                                 FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace ns ON ns.oid = l.collnamespace
                                 WHERE l.oid = i.indcollation[n - 1]), '')
             FROM generate_series(1, i.indnkeyatts::int) AS n ORDER BY n) AS keys,
       ARRAY(SELECT format('OPERATOR(%I.%s)', ns.nspname, o.oprname)
             FROM unnest(k.conexclop) WITH ORDINALITY AS op (oid, n)
             JOIN pg_catalog.pg_operator o ON o.oid = op.oid
             JOIN pg_catalog.pg_namespace ns ON ns.oid = o.oprnamespace ORDER BY n) AS operators,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS predicate,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_equal
FROM scope s
JOIN pg_catalog.pg_index i ON i.indrelid = s.relid AND (i.indisunique OR i.indisexclusion)
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'x'
WHERE i.indisready AND (c.relkind <> 'I' OR i.indisvalid)
  AND (s.relid = s.root OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_index p ON p.indexrelid = h.inhparent
                                       WHERE h.inhrelid = i.indexrelid AND p.indisvalid))
ORDER BY s.root, i.indexrelid";

/// The functions that constraints call and whose bodies are SQL, or run it.
const CALLS: &str = "\
SELECT d.objid AS rule, string_agg(DISTINCT p.oid::regprocedure::text, ', ') AS calls
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c')
WHERE d.classid = 'pg_catalog.pg_constraint'::regclass AND d.refclassid = 'pg_catalog.pg_proc'::regclass
GROUP BY d.objid";

/// CHECKs, rows without a partition, and what is NOT NULL beyond the columns that the reader knows to be: those that
/// the server generates, and those of a partition.
const CONDITIONS: &str = "\
SELECT s.root, s.filter, k.conname::text AS name, 'check constraint' AS kind,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) AS n
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n) AS columns,
       format('NOT (%s)', pg_catalog.pg_get_expr(k.conbin, k.conrelid)) AS broken, asks.calls
FROM scope s JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid AND k.contype = 'c'
LEFT JOIN asks ON asks.rule = k.oid
WHERE (s.relid = s.root OR k.conislocal AND k.coninhcount = 0)
  AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
UNION ALL
SELECT s.root, NULL, c.relname::text, 'partitioned table', '{}',
       format('NOT (%s)', coalesce(string_agg(
         coalesce(pg_catalog.pg_get_partition_constraintdef(s.relid), 'true'), ' OR ') FILTER (WHERE leaf.relkind <> 'p'), 'false')), NULL
FROM scope s JOIN pg_catalog.pg_class c ON c.oid = s.root AND c.relkind = 'p'
JOIN pg_catalog.pg_class leaf ON leaf.oid = s.relid
GROUP BY s.root, c.relname
UNION ALL
SELECT s.root, NULL, c.relname::text, 'partition', '{}',
       format('NOT (%s)', pg_catalog.pg_get_partition_constraintdef(s.root)), NULL
FROM scope s JOIN pg_catalog.pg_class c ON c.oid = s.root AND c.relispartition
WHERE s.relid = s.root AND pg_catalog.pg_get_partition_constraintdef(s.root) IS NOT NULL
UNION ALL
SELECT s.root, s.filter, c.relname::text, 'NOT NULL of', ARRAY[a.attname::text], format('%I IS NULL', a.attname), NULL
FROM scope s JOIN pg_catalog.pg_class c ON c.oid = s.relid
JOIN pg_catalog.pg_attribute a ON a.attrelid = s.relid AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped
JOIN pg_catalog.pg_attribute r ON r.attrelid = s.root AND r.attname = a.attname
WHERE CASE WHEN s.relid = s.root THEN a.attgenerated <> '' ELSE NOT r.attnotnull END";

/// The CHECKs of a domain and of those it is made from. (PostgreSQL: CREATE DOMAIN.)
const DOMAINS: &str = "\
, domains AS (
  SELECT s.root, a.attnum, a.attname, t.oid, t.typbasetype
  FROM scope s
  JOIN pg_catalog.pg_attribute a ON a.attrelid = s.root AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid AND t.typtype = 'd'
  WHERE s.relid = s.root
  UNION ALL
  SELECT d.root, d.attnum, d.attname, t.oid, t.typbasetype
  FROM domains d JOIN pg_catalog.pg_type t ON t.oid = d.typbasetype AND t.typtype = 'd'
)
SELECT d.root, NULL::text AS filter, ARRAY[d.attname::text] AS columns, quote_ident(d.attname) AS quoted,
       format('%s of domain %s', k.conname, d.oid::regtype) AS name,
       format('NOT (%s)', pg_catalog.pg_get_expr(k.conbin, 0)) AS broken, asks.calls
FROM domains d JOIN pg_catalog.pg_constraint k ON k.contypid = d.oid AND k.contype = 'c'
LEFT JOIN asks ON asks.rule = k.oid
ORDER BY d.root, d.attnum, k.conname";

/// Foreign keys but for temporal ones (PERIOD, PostgreSQL 18), and those whose other table this role may not see whole.
/// The comparison is the constraint's own, in the referred column's collation.
const REFERENCES: &str = "\
SELECT s.root, s.filter, k.conname::text AS name, k.confmatchtype = 'f' AS match_full,
       p.root AS parent_root, p.filter AS parent_filter,
       format('%s%I.%I', CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname, r.relname) AS parent,
       format('%s(%s)', r.relname, pairs.parent) AS parent_shown,
       pairs.columns, pairs.child, pairs.comparisons
FROM scope s
JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid AND k.contype = 'f' AND k.conparentid = 0
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
LEFT JOIN LATERAL (SELECT * FROM scope WHERE relid = k.confrelid LIMIT 1) p ON true
JOIN LATERAL (
  SELECT array_agg(ca.attname::text ORDER BY u.n) AS columns, array_agg(quote_ident(ca.attname) ORDER BY u.n) AS child,
         string_agg(pa.attname, ', ' ORDER BY u.n) AS parent,
         array_agg(format('p.%I OPERATOR(%I.%s) c.%I%s', pa.attname, os.nspname, o.oprname, ca.attname,
                          CASE WHEN ca.attcollation <> 0 AND pa.attcollation <> ca.attcollation
                               THEN format(' COLLATE %I.%I', cs.nspname, l.collname) END) ORDER BY u.n) AS comparisons
  FROM unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u (child, parent, operator, n)
  JOIN pg_catalog.pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = u.child
  JOIN pg_catalog.pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = u.parent
  JOIN pg_catalog.pg_operator o ON o.oid = u.operator
  JOIN pg_catalog.pg_namespace os ON os.oid = o.oprnamespace
  LEFT JOIN pg_catalog.pg_collation l ON l.oid = pa.attcollation
  LEFT JOIN pg_catalog.pg_namespace cs ON cs.oid = l.collnamespace
) pairs ON true
WHERE NOT coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false)
  AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
  AND (p.root IS NOT NULL OR NOT pg_catalog.row_security_active(k.confrelid))
ORDER BY s.root, k.oid";

/// Columns that the server generates, and indexes that are not unique.
const EXPRESSIONS: &str = "\
SELECT s.root, s.filter, a.attname::text AS name, 'generated column' AS kind, ARRAY[a.attname::text] AS columns,
       ARRAY[format('(%s)::%s', pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.format_type(a.atttypid, a.atttypmod))] AS keys,
       NULL::text AS predicate
FROM scope s
JOIN pg_catalog.pg_attribute a ON a.attrelid = s.relid AND a.attnum > 0 AND a.attgenerated = 's' AND NOT a.attisdropped
JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE s.relid = s.root
UNION ALL
SELECT s.root, s.filter, c.relname::text, 'index',
       ARRAY(SELECT a.attname::text FROM generate_series(1, i.indnkeyatts::int) AS n
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1]
             WHERE 0 <> ALL (i.indkey) ORDER BY n),
       ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, n, false)
             FROM generate_series(1, i.indnkeyatts::int) AS n ORDER BY n),
       pg_catalog.pg_get_expr(i.indpred, i.indrelid)
FROM scope s
JOIN pg_catalog.pg_index i ON i.indrelid = s.relid AND i.indisready AND NOT i.indisunique AND NOT i.indisexclusion
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE s.relid = s.root OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid)";
