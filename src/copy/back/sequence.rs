//! What `sqlite_sequence` must count: no id may be given twice, whoever gave it last.

use super::plan::BackTable;
use crate::error::Error;
use crate::sqlite::Definition;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// The last ids, by table: what the source had, and where the target's sequences are now.
pub(super) async fn last(
    client: &Client,
    definition: &Definition,
    tables: &[BackTable],
) -> Result<BTreeMap<String, i64>, Error> {
    let mut last = definition.sequences.clone();
    for table in tables {
        let name = &table.bound.source.name;
        let counts = definition.statements.iter().any(|statement| {
            statement.name == *name && statement.sql.to_ascii_uppercase().contains("AUTOINCREMENT")
        });
        let rowid = table.bound.columns.iter().find(|column| column.source.is_rowid);
        let Some(sequence) = rowid.filter(|_| counts).and_then(|column| column.target.sequence.as_ref())
        else {
            continue;
        };
        let query = format!("SELECT last_value FROM {sequence} WHERE is_called");
        let row = client.query_opt(&query, &[]).await;
        let row = row.map_err(Error::database(format!("reading sequence {sequence}")))?;
        if let Some(value) = row.map(|row| row.get::<_, i64>(0)).filter(|value| *value > 0) {
            let known = last.entry(name.clone()).or_insert(value);
            *known = value.max(*known);
        }
    }
    Ok(last)
}
