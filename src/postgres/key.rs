//! The primary keys of tables: what names a row. (PostgreSQL: System Catalogs, `pg_index`.)

use super::of_tables;
use crate::error::Error;
use std::collections::HashMap;
use tokio_postgres::Client;

/// The columns that tell the rows of each table apart: its primary key, or else a unique key whose columns are all NOT
/// NULL.
///
/// # Errors
/// [`Error::Database`] if the catalog query fails.
pub async fn row_keys(client: &Client, tables: &[u32]) -> Result<HashMap<u32, Vec<String>>, Error> {
    columns(client, ROW_KEYS, tables).await.map_err(Error::database("reading the target's unique keys"))
}

/// The columns of each table's primary key, in the key's own order, by the table's object identifier.
///
/// # Errors
/// [`Error::Database`] if the catalog query fails.
pub async fn primary_keys(client: &Client, tables: &[u32]) -> Result<HashMap<u32, Vec<String>>, Error> {
    columns(client, PRIMARY_KEYS, tables).await.map_err(Error::database("reading the target's primary keys"))
}

/// What `query` says of `tables`, a row for each table and column.
async fn columns(
    client: &Client,
    query: &str,
    tables: &[u32],
) -> Result<HashMap<u32, Vec<String>>, tokio_postgres::Error> {
    let mut keys: HashMap<u32, Vec<String>> = HashMap::new();
    for row in of_tables(client, query, tables).await? {
        keys.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(keys)
}

const PRIMARY_KEYS: &str = "\
SELECT i.indrelid, a.attname::text
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indisprimary AND i.indrelid = ANY ($1) AND k.position <= i.indnkeyatts
ORDER BY i.indrelid, k.position";

const ROW_KEYS: &str = "\
SELECT i.indrelid, a.attname::text
FROM (
  SELECT DISTINCT ON (indrelid) * FROM pg_catalog.pg_index i
  WHERE indrelid = ANY ($1) AND indisunique AND indpred IS NULL AND indexprs IS NULL
    AND NOT EXISTS (
      SELECT 1 FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE k.position <= i.indnkeyatts AND NOT a.attnotnull)
  ORDER BY indrelid, indisprimary DESC, indnkeyatts, indexrelid) i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE k.position <= i.indnkeyatts
ORDER BY i.indrelid, k.position";
