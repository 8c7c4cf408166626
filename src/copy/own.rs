//! The tables that outgrow keeps beside refinery's history: a table of the application's under such a name is in the way,
//! and that is said before anything is loaded.

use super::{originals, quarantine, receipt};
use crate::error::Error;
use tokio_postgres::Client;

/// Refuses tables that have the name of one of ours, and not its columns. A later version of outgrow may have added some.
///
/// # Errors
/// [`Error::Target`].
pub(super) async fn require(client: &Client) -> Result<(), Error> {
    let names = [receipt::TABLE, quarantine::TABLE, originals::TABLE];
    let rows = client
        .query(COLUMNS, &[&&names[..]])
        .await
        .map_err(Error::database("looking at outgrow's own tables"))?;
    let foreign = rows.iter().filter(|row| {
        let (name, columns): (String, String) = (row.get(0), row.get(1));
        let own = match name.as_str() {
            receipt::TABLE => receipt::COLUMNS,
            originals::TABLE => originals::DEFINED,
            _ => quarantine::DEFINED,
        };
        !columns.starts_with(own)
    });
    let faults: Vec<String> = foreign
        .map(|row| {
            format!(
                "{} {} is in the way: outgrow keeps a table of that name, with other columns; rename it in a version \
                 before the step",
                if row.get(2) { "table" } else { "relation" },
                row.get::<_, String>(0)
            )
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Target(faults)) }
}

/// Of what these names find in the `search_path`: its columns with their types.
const COLUMNS: &str = "\
SELECT c.relname::text,
       coalesce(string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum), ''),
       c.relkind = 'r'
FROM unnest($1::text[]) AS name
JOIN pg_catalog.pg_class c ON c.oid = to_regclass(name)
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY c.oid, c.relname, c.relkind
ORDER BY c.relname";
