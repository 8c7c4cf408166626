//! The tables that outgrow keeps beside refinery's history: a table of the application's under such a name is in the
//! way, and that is said before anything is loaded.

use super::{originals, quarantine, receipt};
use crate::error::{Error, is_circumstance, server_message};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// Refuses tables that have the name of one of ours, and not its columns. A later version of outgrow may have added
/// some.
///
/// # Errors
/// [`Error::Target`].
pub(super) async fn require(client: &Client) -> Result<(), Error> {
    let names = [receipt::TABLE, quarantine::TABLE, originals::TABLE];
    let rows = client
        .query_typed(COLUMNS, &[(&&names[..], Type::TEXT_ARRAY)])
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

/// Makes the table of receipts. It is the first that a step makes, so that whoever lets it make none says so before a
/// row is read.
///
/// # Errors
/// [`Error::Target`] if an event trigger refuses it, [`Error::Database`] if the server does.
pub(super) async fn make(client: &Client) -> Result<(), Error> {
    let doing = || Error::database(format!("making table {}", receipt::TABLE));
    let statement =
        format!("SAVEPOINT outgrow_own; {}; RELEASE SAVEPOINT outgrow_own", receipt::definition());
    let Err(error) = client.batch_execute(&statement).await else { return Ok(()) };
    if error.code().is_none_or(is_circumstance) {
        return Err(doing()(error));
    }
    client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_own").await.map_err(doing())?;
    let triggers = client.query(EVENT_TRIGGERS, &[]).await.map_err(doing())?;
    if triggers.is_empty() {
        return Err(doing()(error));
    }
    let triggers: Vec<String> = triggers.iter().map(|row| row.get(0)).collect();
    Err(Error::Target(vec![format!(
        "outgrow cannot make its table {}, and event triggers run for CREATE TABLE: {}; what was said: {}; let pass what is \
         called outgrow_…, which temporary tables of the step are too, or ALTER EVENT TRIGGER … DISABLE until it has run",
        receipt::TABLE,
        triggers.join(", "),
        server_message(&error)
    )]))
}

/// Those that may refuse a table, with their functions. (PostgreSQL: System Catalogs, `pg_event_trigger`.)
const EVENT_TRIGGERS: &str = "\
SELECT format('%s (%s)', evtname, evtfoid::regprocedure) FROM pg_catalog.pg_event_trigger
WHERE evtevent IN ('ddl_command_start', 'ddl_command_end') AND evtenabled IN ('O', 'A')
  AND (evttags IS NULL OR 'CREATE TABLE' = ANY (evttags))
ORDER BY evtname";

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
