//! Sequences after a load: the next id is above the largest that was ever used, in the source or in the target.
//!
//! `ALTER SEQUENCE … RESTART` and not `setval`: it belongs to the transaction, so that a step that is rolled back leaves
//! its sequences where they were (PostgreSQL: ALTER SEQUENCE, Notes).

use super::bind::BoundTable;
use crate::error::Error;
use crate::identifier::quote;
use tokio_postgres::Client;

/// Advances the sequence of every column that has one. A sequence that is far enough is left alone.
pub(super) async fn advance(client: &Client, tables: &[BoundTable]) -> Result<(), Error> {
    for table in tables {
        for column in &table.target.columns {
            let Some(sequence) = &column.sequence else { continue };
            let doing = || Error::database(format!("advancing sequence {sequence}"));
            let bound = table.columns.iter().find(|bound| bound.target.name == column.name);
            let ever_used = bound.filter(|bound| bound.source.is_rowid).and(table.source.autoincrement);
            let query = format!(
                "SELECT (SELECT greatest(max({})::int8, $1::int8) FROM {}), \
                        CASE WHEN q.is_called THEN q.last_value + s.seqincrement ELSE q.last_value END, \
                        s.seqincrement, s.seqmax \
                 FROM {sequence} q, pg_catalog.pg_sequence s WHERE s.seqrelid = $2::text::regclass",
                quote(&column.name),
                table.target.quoted()
            );
            let row = client.query_one(&query, &[&ever_used, &sequence]).await.map_err(doing())?;
            let (largest, next, step, max): (Option<i64>, i64, i64, i64) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            let Some(largest) = largest.filter(|_| step > 0) else { continue };
            // at the very end of its range the next insert fails, as it must: there is no id left
            let above = largest.saturating_add(step).min(max);
            if above > next {
                let restart = format!("ALTER SEQUENCE {sequence} RESTART WITH {above}");
                client.batch_execute(&restart).await.map_err(doing())?;
            }
        }
    }
    Ok(())
}
