//! The primary keys of tables: what names a row. (PostgreSQL: System Catalogs, `pg_index`.)

use crate::error::Error;
use std::collections::HashMap;
use tokio_postgres::Client;

/// The columns of each table's primary key, in the key's own order, by the table's object identifier.
///
/// # Errors
/// [`Error::Database`] if the catalog query fails.
pub async fn primary_keys(client: &Client, tables: &[u32]) -> Result<HashMap<u32, Vec<String>>, Error> {
    let rows = client
        .query(PRIMARY_KEYS, &[&tables])
        .await
        .map_err(Error::database("reading the target's primary keys"))?;
    let mut keys: HashMap<u32, Vec<String>> = HashMap::new();
    for row in rows {
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
