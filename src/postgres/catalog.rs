//! What PostgreSQL's catalog says of the tables a step loads: columns with their types resolved through domains, enum
//! labels, sequences. Three queries, whatever the number of tables.
//! (PostgreSQL: System Catalogs.)

use super::of_tables;
use crate::error::Error;
use crate::identifier::quote;
use std::collections::HashMap;
use tokio::try_join;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// A table (or partitioned table) that the `search_path` makes visible.
#[derive(Debug, Clone)]
pub struct Table {
    /// Object identifier in `pg_class`.
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name, as stored.
    pub name: String,
    /// It is partitioned: rows land in its partitions.
    pub partitioned: bool,
    /// This role has its owner's rights.
    pub owned: bool,
    /// In order of position; dropped columns are left out.
    pub columns: Vec<Column>,
}

impl Table {
    /// Schema and name, quoted: what statements name, so that no `search_path` can redirect them.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }

    /// [`Table::quoted`] for FROM: without the rows of tables that inherit from it, which are other tables' rows, but
    /// with those of its partitions. (PostgreSQL: SELECT, "FROM Clause".)
    #[must_use]
    pub fn own_rows(&self) -> String {
        if self.partitioned { self.quoted() } else { format!("ONLY {}", self.quoted()) }
    }
}

/// A column as an encoder needs to know it.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// Name, as stored.
    pub name: String,
    /// The type's object identifier; of a domain, its base type's.
    pub type_oid: u32,
    /// The type as `format_type` writes it: for messages.
    pub type_name: String,
    /// The type behind all domains, for statements, without its modifier: `"bit"`, `numeric[]`.
    pub base: String,
    /// The same with its modifier: `bit(3)`, `numeric(4,2)[]`.
    pub declared: String,
    /// The type modifier (length, precision), or -1; of a domain, the domain's.
    pub modifier: i32,
    /// NOT NULL, by the column or by its domain.
    pub not_null: bool,
    /// It has a default, or is an identity.
    pub has_default: bool,
    /// GENERATED ALWAYS AS (…) STORED: cannot be written.
    pub generated: bool,
    /// The labels, if the type is an enum.
    pub labels: Option<Vec<String>>,
    /// Schema and name, quoted, of the sequence that numbers it.
    pub sequence: Option<String>,
}

/// The tables `$1` and all partitions below them, as a query to join: `root` is the table, `relid` it or a partition,
/// `filter` what the rows of that partition have in common. (PostgreSQL: System Administration Functions,
/// "Partitioning Information Functions".)
pub const SCOPE: &str = "\
SELECT root, relid, CASE WHEN relid <> root THEN pg_catalog.pg_get_partition_constraintdef(relid) END AS filter
FROM (SELECT root, root AS relid FROM unnest($1::oid[]) AS root
      UNION
      SELECT root, tree.relid::oid
      FROM unnest($1::oid[]) AS root, pg_catalog.pg_partition_tree(root::regclass) AS tree) AS both_kinds";

/// The visible tables whose names, in any case, are among `names`.
///
/// # Errors
/// [`Error::Database`] if a catalog query fails.
pub async fn tables(client: &Client, names: &[&str]) -> Result<Vec<Table>, Error> {
    let reading = || Error::database("reading the target's catalog");
    // both databases fold ASCII letters alone: lower() of a name is in the C collation
    let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let rows = client.query_typed(TABLES, &[(&lower, Type::TEXT_ARRAY)]).await.map_err(reading())?;
    let mut tables: Vec<Table> = rows
        .iter()
        .map(|row| Table {
            oid: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            partitioned: row.get(3),
            owned: row.get(4),
            columns: Vec::new(),
        })
        .collect();
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let (labels, columns) =
        try_join!(labels(client, &oids), of_tables(client, COLUMNS, &oids)).map_err(reading())?;
    for row in columns {
        let table: u32 = row.get("attrelid");
        if let Some(table) = tables.iter_mut().find(|known| known.oid == table) {
            table.columns.push(column(&row, &labels));
        }
    }
    Ok(tables)
}

/// What there is under a name that is no table that a query without a schema finds.
pub enum Instead {
    /// A relation that holds no rows of its own for a step to load: "a view".
    NoTable(&'static str),
    /// A table in this schema, which is not on the `search_path`.
    Elsewhere(String),
}

/// What there is under those `names`, in any case, instead of a visible table.
///
/// # Errors
/// [`Error::Database`] if the query fails.
pub async fn instead_of(client: &Client, names: &[&str]) -> Result<Vec<(String, Instead)>, Error> {
    let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let rows = client.query_typed(INSTEAD, &[(&lower, Type::TEXT_ARRAY)]).await;
    let rows = rows.map_err(Error::database("reading the target's catalog"))?;
    let found = |row: &Row| match (row.get(1), row.get(2)) {
        ("r" | "p", schema) => Instead::Elsewhere(schema),
        ("v", _) => Instead::NoTable("a view"),
        ("m", _) => Instead::NoTable("a materialized view"),
        ("f", _) => Instead::NoTable("a foreign table"),
        _ => Instead::NoTable("no table"),
    };
    Ok(rows.iter().map(|row| (row.get(0), found(row))).collect())
}

/// How a table in a schema that is not on the `search_path` is found.
#[must_use]
pub fn on_the_path(schema: &str) -> String {
    format!(
        "the target has it in the schema {schema}, which is not on the search_path: give the URL of every run \
         ?options=-csearch_path%3D{schema},public, or the role that path (ALTER ROLE … SET search_path)"
    )
}

fn column(row: &Row, labels: &HashMap<u32, Vec<String>>) -> Column {
    let type_oid = row.get("type_oid");
    Column {
        name: row.get("attname"),
        type_oid,
        type_name: row.get("type_name"),
        base: row.get("base"),
        declared: row.get("declared"),
        modifier: row.get("modifier"),
        not_null: row.get("not_null"),
        has_default: row.get("has_default"),
        generated: row.get("generated"),
        labels: labels.get(&type_oid).cloned(),
        sequence: row.get("sequence"),
    }
}

async fn labels(client: &Client, tables: &[u32]) -> Result<HashMap<u32, Vec<String>>, tokio_postgres::Error> {
    let mut labels: HashMap<u32, Vec<String>> = HashMap::new();
    for row in of_tables(client, LABELS, tables).await? {
        labels.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(labels)
}

const TABLES: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'p', pg_catalog.pg_has_role(c.relowner, 'USAGE')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(c.oid) AND lower(c.relname) = ANY ($1)
ORDER BY c.relname";

/// Visible ones first.
const INSTEAD: &str = "\
SELECT c.relname::text, c.relkind::text, n.nspname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE lower(c.relname) = ANY ($1)
  AND CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN c.relkind NOT IN ('r', 'p', 'i', 'I', 't')
      ELSE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
       AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') END
ORDER BY pg_catalog.pg_table_is_visible(c.oid) DESC, n.nspname, c.relname";

/// A domain is followed to its base type; on the way its modifier and NOT NULL count, as the server enforces them.
/// A sequence numbers a column that owns it (serial, identity) or whose default calls it; for others see
/// [`super::sequences`].
const COLUMNS: &str = "\
WITH RECURSIVE base AS (
  SELECT t.oid AS asked, t.oid, t.typtype, t.typbasetype, t.typtypmod AS modifier, t.typnotnull AS not_null
  FROM pg_catalog.pg_type t
  WHERE t.oid IN (SELECT atttypid FROM pg_catalog.pg_attribute WHERE attrelid = ANY ($1))
  UNION ALL
  SELECT b.asked, t.oid, t.typtype, t.typbasetype, greatest(b.modifier, t.typtypmod), b.not_null OR t.typnotnull
  FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype
  WHERE b.typtype = 'd'
)
SELECT a.attrelid, a.attname::text, b.oid AS type_oid, greatest(a.atttypmod, b.modifier) AS modifier,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name,
       pg_catalog.format_type(b.oid, -1) AS base,
       pg_catalog.format_type(b.oid, greatest(a.atttypmod, b.modifier)) AS declared,
       a.attnotnull OR b.not_null AS not_null,
       a.atthasdef OR a.attidentity <> '' AS has_default,
       a.attgenerated <> '' AS generated,
       (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.relname)
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_class s ON s.relkind = 'S'
         AND ((d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
               AND d.refclassid = 'pg_catalog.pg_class'::regclass
               AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)
           OR (d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = def.oid
               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = s.oid))
        JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
        ORDER BY d.classid = 'pg_catalog.pg_attrdef'::regclass DESC, s.oid
        LIMIT 1) AS sequence
FROM pg_catalog.pg_attribute a
JOIN base b ON b.asked = a.atttypid AND b.typtype <> 'd'
LEFT JOIN pg_catalog.pg_attrdef def ON def.adrelid = a.attrelid AND def.adnum = a.attnum
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

const LABELS: &str = "\
WITH RECURSIVE types AS (
  SELECT atttypid AS oid FROM pg_catalog.pg_attribute WHERE attrelid = ANY ($1)
  UNION
  SELECT t.typbasetype FROM types JOIN pg_catalog.pg_type t USING (oid) WHERE t.typtype = 'd'
)
SELECT e.enumtypid, e.enumlabel::text
FROM pg_catalog.pg_enum e JOIN types ON types.oid = e.enumtypid
ORDER BY e.enumtypid, e.enumsortorder";
