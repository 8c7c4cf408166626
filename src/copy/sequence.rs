//! Sequences after a load: the next id is above the largest that was ever used, in the source or in the target.
//!
//! `ALTER SEQUENCE … RESTART` and not `setval`: it belongs to the transaction, so that a step that is rolled back leaves
//! its sequences where they were, and so does a `nextval` after it (PostgreSQL: ALTER SEQUENCE, Notes).

use super::columns::BoundTable;
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
                        s.seqincrement, s.seqmin, s.seqmax \
                 FROM {sequence} q, pg_catalog.pg_sequence s WHERE s.seqrelid = $2::text::regclass",
                quote(&column.name),
                table.target.quoted()
            );
            let row = client.query_one(&query, &[&ever_used, &sequence]).await.map_err(doing())?;
            let (largest, next, step): (Option<i64>, i64, i64) = (row.get(0), row.get(1), row.get(2));
            let (min, max): (i64, i64) = (row.get(3), row.get(4));
            let Some(largest) = largest.filter(|_| step > 0) else { continue };
            if largest.saturating_add(step) > next {
                // restarted at the largest id and moved once: at the end of its range it is used up, as it must be
                let restart = format!("ALTER SEQUENCE {sequence} RESTART WITH {}", largest.clamp(min, max));
                client.batch_execute(&restart).await.map_err(doing())?;
                let used = client.execute("SELECT nextval($1::text::regclass)", &[&sequence]).await;
                used.map_err(doing())?;
            }
        }
    }
    Ok(())
}
