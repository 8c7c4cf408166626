//! Foreign keys and indexes, and the statements that drop each and make it again.

use crate::error::Error;
use crate::postgres::catalog::SCOPE;
use crate::postgres::of_tables;
use tokio_postgres::{Client, Row};

/// A foreign key or an index, the constraint that it belongs to included.
pub(super) struct Part {
    /// Such as "foreign key bot_fk of trade".
    pub shown: String,
    pub drop: String,
    pub add: String,
    /// Its comments.
    pub comments: Vec<String>,
}

impl Part {
    /// The statements that make it as it was.
    pub(super) fn make(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.add).chain(&self.comments).map(String::as_str)
    }

    fn from(row: &Row) -> Part {
        let comments = ["comment_it", "comment_index"].map(|column| row.get::<_, Option<String>>(column));
        Part {
            shown: row.get("shown"),
            drop: row.get("drop_it"),
            add: row.get("add_it"),
            comments: comments.into_iter().flatten().collect(),
        }
    }
}

/// A foreign key that stays in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::copy) struct Kept {
    /// The table that refers.
    pub from: u32,
    /// The table it refers to.
    pub to: u32,
    /// It can be checked at the end of the transaction instead of at the end of each statement.
    pub deferrable: bool,
}

/// A foreign key.
pub(super) struct ForeignKey {
    pub part: Part,
    pub kept: Kept,
    /// It is an ordinary, enforced key between two ordinary tables, and this role owns the one that refers.
    pub movable: bool,
    /// The table it refers to, if that is none of the step's.
    pub outside: Option<String>,
    pub validated: bool,
    /// Its values are compared by no collation, which would make it slow to sort them.
    pub sorts_well: bool,
}

impl AsRef<Part> for Part {
    fn as_ref(&self) -> &Part {
        self
    }
}

impl AsRef<Part> for ForeignKey {
    fn as_ref(&self) -> &Part {
        &self.part
    }
}

/// The foreign keys of `tables`, in the order in which they were made, which is the order in which their checks run.
pub(super) async fn foreign_keys(client: &Client, tables: &[u32]) -> Result<Vec<ForeignKey>, Error> {
    let rows = of_tables(client, &format!("WITH scope AS ({SCOPE}) {FOREIGN_KEYS}"), tables)
        .await
        .map_err(Error::database("reading the target's foreign keys"))?;
    let key = |row: &Row| ForeignKey {
        part: Part::from(row),
        kept: Kept {
            from: row.get("from_table"),
            to: row.get("to_table"),
            deferrable: row.get("condeferrable"),
        },
        movable: row.get("movable"),
        outside: row.get("outside"),
        validated: row.get("convalidated"),
        sorts_well: row.get("sorts_well"),
    };
    Ok(rows.iter().map(key).collect())
}

/// The indexes of those of `tables` that are ordinary tables of this role, in the order in which they were made, which
/// is the order in which the planner looks at them.
pub(super) async fn indexes(client: &Client, tables: &[u32]) -> Result<Vec<Part>, Error> {
    let rows =
        of_tables(client, INDEXES, tables).await.map_err(Error::database("reading the target's indexes"))?;
    Ok(rows.iter().map(Part::from).collect())
}

/// A key of a partitioned table has parts in its partitions, whose names would be lost; NOT ENFORCED (PostgreSQL 18)
/// costs nothing where it is.
const FOREIGN_KEYS: &str = "\
SELECT DISTINCT ON (k.oid) s.root AS from_table, coalesce(p.root, k.confrelid) AS to_table, k.condeferrable, k.convalidated,
       CASE WHEN p.root IS NULL THEN k.confrelid::regclass::text END AS outside,
       format('foreign key %s of %s', k.conname, c.relname) AS shown,
       k.conparentid = 0 AND c.relkind = 'r' AND NOT c.relispartition AND r.relkind = 'r'
         AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
         AND pg_catalog.pg_has_role(c.relowner, 'USAGE') AS movable,
       NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
                   AND a.attcollation <> 0) AS sorts_well,
       format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname) AS drop_it,
       format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname,
              pg_catalog.pg_get_constraintdef(k.oid)) AS add_it,
       CASE WHEN d.description IS NOT NULL THEN
         format('COMMENT ON CONSTRAINT %I ON %I.%I IS %L', k.conname, n.nspname, c.relname, d.description)
       END AS comment_it,
       NULL::text AS comment_index
FROM scope s
JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid AND k.contype = 'f'
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
LEFT JOIN scope p ON p.relid = k.confrelid
LEFT JOIN pg_catalog.pg_description d
       ON d.objoid = k.oid AND d.classoid = 'pg_catalog.pg_constraint'::regclass
ORDER BY k.oid";

/// An index that is not valid would come back valid; those of partitions belong to the partitioned table's.
const INDEXES: &str = "\
SELECT format('index %s of %s', i.relname, c.relname) AS shown,
       CASE WHEN k.oid IS NULL THEN format('DROP INDEX %I.%I', n.nspname, i.relname)
            ELSE format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname) END AS drop_it,
       CASE WHEN k.oid IS NULL THEN pg_catalog.pg_get_indexdef(i.oid)
            ELSE format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname,
                        pg_catalog.pg_get_constraintdef(k.oid)) END AS add_it,
       CASE WHEN pg_catalog.obj_description(k.oid, 'pg_constraint') IS NOT NULL THEN
         format('COMMENT ON CONSTRAINT %I ON %I.%I IS %L', k.conname, n.nspname, c.relname,
                pg_catalog.obj_description(k.oid, 'pg_constraint')) END AS comment_it,
       CASE WHEN pg_catalog.obj_description(i.oid, 'pg_class') IS NOT NULL THEN
         format('COMMENT ON INDEX %I.%I IS %L', n.nspname, i.relname, pg_catalog.obj_description(i.oid, 'pg_class'))
       END AS comment_index
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.oid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')
WHERE x.indrelid = ANY ($1) AND c.relkind = 'r' AND NOT c.relispartition
  AND x.indisvalid AND x.indisready AND x.indislive AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
ORDER BY i.oid";
