//! A transaction in which a command reads and which is always rolled back: one for everything, so that a pooler in transaction
//! mode lends one process for all of it.

use super::limits;
use super::pooler::FORGET;
use crate::error::Error;
use std::time::Duration;
use tokio_postgres::Client;

/// Opens it with the statements of `opening`, BEGIN first; a lock is waited for no longer than `lock`.
///
/// # Errors
/// [`Error::Database`].
pub async fn begin(client: &Client, opening: &str, lock: Duration) -> Result<(), Error> {
    let begin = format!("{opening}; {FORGET}; {}", limits::settings(lock, None, true));
    client.batch_execute(&begin).await.map_err(Error::database("beginning to read"))
}

/// Ends it.
///
/// # Errors
/// [`Error::Database`].
pub async fn end(client: &Client) -> Result<(), Error> {
    client.batch_execute("ROLLBACK").await.map_err(Error::database("ending to read"))
}

/// Whether there is a table of that name, asked in a way that fails no transaction.
///
/// # Errors
/// [`Error::Database`].
pub async fn has_table(client: &Client, name: &str) -> Result<bool, Error> {
    let row = client.query_one("SELECT pg_catalog.to_regclass($1::text) IS NOT NULL", &[&name]).await;
    Ok(row.map_err(Error::database(format!("looking for {name}")))?.get(0))
}
