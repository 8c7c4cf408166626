//! Sequences that the server ties to no column. An application that asks them for ids itself names them for its keys
//! (Doctrine, Hibernate), and a default that names its sequence as text leaves no dependency. In go the tables of the
//! catalog; their columns are given the sequences that are found for them, and out come the others.

use super::catalog::Table;
use crate::error::Error;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// A sequence that nothing in the database uses.
struct Loose {
    /// Schema and name, quoted.
    quoted: String,
    schema: String,
    name: String,
    at_start: bool,
}

/// Ties such sequences to columns of `tables`, and returns, for statements, those of their schemas that stay without
/// one and stand at their start.
///
/// # Errors
/// [`Error::Database`] if a query fails.
pub async fn tie(client: &Client, tables: &mut [Table]) -> Result<Vec<String>, Error> {
    let doing = || Error::database("looking for sequences without a column");
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let rows = client.query_typed(LOOSE, &[(&oids, Type::OID_ARRAY)]).await.map_err(doing())?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let loose = |row: &Row| Loose {
        quoted: row.get(0),
        schema: row.get(1),
        name: row.get::<_, String>(2).to_lowercase(),
        at_start: row.get(3),
    };
    let mut loose: Vec<Loose> = rows.iter().map(loose).collect();
    for row in client.query_typed(COLUMNS, &[(&oids, Type::OID_ARRAY)]).await.map_err(doing())? {
        let (oid, column, named): (u32, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
        let Some(table) = tables.iter_mut().find(|table| table.oid == oid) else { continue };
        let found = match &named {
            Some(named) => loose.iter().position(|sequence| sequence.quoted == *named),
            None => named_for(&loose, table, &column),
        };
        let (Some(at), Some(column)) = (found, table.columns.iter_mut().find(|known| known.name == column))
        else {
            continue;
        };
        column.sequence = Some(loose[at].quoted.clone());
        // one that a default names may number several tables
        if named.is_none() {
            loose.remove(at);
        }
    }
    let tied = |name: &String| {
        tables.iter().flat_map(|table| &table.columns).any(|column| column.sequence.as_ref() == Some(name))
    };
    let left = loose.into_iter().filter(|sequence| sequence.at_start).map(|sequence| sequence.quoted);
    Ok(left.filter(|name| !tied(name)).collect())
}

/// The one that is named for the key `column`: Doctrine's `TABLE_COLUMN_seq`, or Hibernate's `TABLE_seq`.
fn named_for(loose: &[Loose], table: &Table, column: &str) -> Option<usize> {
    let names = [format!("{}_{column}_seq", table.name), format!("{}_seq", table.name)];
    names.iter().find_map(|name| {
        let name = name.to_lowercase();
        loose.iter().position(|sequence| sequence.schema == table.schema && sequence.name == name)
    })
}

/// Those in the schemas of these tables that no object of the database depends on, nor they on one: those of
/// extensions are theirs. (PostgreSQL: System Catalogs, `pg_depend`.)
const LOOSE: &str = "\
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.relname), n.nspname::text, s.relname::text,
       CASE WHEN pg_catalog.has_sequence_privilege(s.oid, 'USAGE, SELECT')
       THEN pg_catalog.pg_sequence_last_value(s.oid) IS NULL ELSE true END
FROM pg_catalog.pg_class s JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
WHERE s.relkind = 'S' AND s.relnamespace IN (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = ANY ($1))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i', 'e'))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = s.oid)
ORDER BY s.relname";

/// Columns whose default names a sequence as text, with its name, and those that are a whole key of integers without a
/// default.
const COLUMNS: &str = "\
SELECT attrelid, attname, named FROM (
  SELECT a.attrelid, a.attnum, a.attname::text AS attname,
         (SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.relname)
          FROM pg_catalog.pg_class s JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
          WHERE s.oid = to_regclass(replace(pg_catalog.substring(
            pg_catalog.pg_get_expr(def.adbin, def.adrelid), 'nextval[(]+''((?:[^'']|'''')+)''::text'), '''''', ''''))) AS named,
         NOT a.atthasdef AND a.attidentity = '' AND a.atttypid IN (20, 21, 23) AND i.indexrelid IS NOT NULL AS is_key
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef def ON def.adrelid = a.attrelid AND def.adnum = a.attnum
  LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary AND i.indkey::text = a.attnum::text
  WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped) AS columns
WHERE named IS NOT NULL OR is_key
ORDER BY attrelid, attnum";
