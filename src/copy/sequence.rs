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
                "SELECT (SELECT greatest(max({column})::int8, $1::int8) FROM {table}), (SELECT min({column})::int8 FROM {table}), \
                        CASE WHEN q.is_called THEN q.last_value + s.seqincrement ELSE q.last_value END, \
                        s.seqincrement, s.seqmin, s.seqmax, s.seqcycle \
                 FROM {sequence} q, pg_catalog.pg_sequence s WHERE s.seqrelid = $2::text::regclass",
                column = quote(&column.name),
                table = table.target.quoted()
            );
            let row = client.query_one(&query, &[&ever_used, &sequence]).await.map_err(doing())?;
            let (next, step): (i64, i64) = (row.get(2), row.get(3));
            let (min, max): (i64, i64) = (row.get(4), row.get(5));
            // one that counts down goes on below the smallest id
            let Some(last) = row.get::<_, Option<i64>>(if step > 0 { 0 } else { 1 }) else { continue };
            let after = last.saturating_add(step);
            if (step > 0 && after > next) || (step < 0 && after < next) {
                // restarted at the last id and moved once: at the end of its range it is used up, as it must be
                let restart = format!("ALTER SEQUENCE {sequence} RESTART WITH {}", last.clamp(min, max));
                client.batch_execute(&restart).await.map_err(doing())?;
                let used = client.execute("SELECT nextval($1::text::regclass)", &[&sequence]).await;
                used.map_err(doing())?;
            }
            if !(min..=max).contains(&after) {
                let what =
                    if row.get(6) { "begins again at ids that may be taken" } else { "has no next one" };
                log::warn!(
                    "sequence {sequence}: ids of {} reach {last}, it ends at {}, and {what}; \
                     give it room in a version (ALTER SEQUENCE … MAXVALUE, a column of type bigint)",
                    table.target.name,
                    if step > 0 { max } else { min }
                );
            }
        }
    }
    Ok(())
}
