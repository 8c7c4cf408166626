//! One run at a time: a session-level advisory lock, which the server releases with the session, however it ends.
//! (PostgreSQL: Explicit Locking, "Advisory Locks".)

use crate::error::{Error, server_message};
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The key, "outgrow" in ASCII: one lock in each database. The server's table of locks shows its two halves.
pub const KEY: i64 = 0x6f_7574_6772_6f77;

/// Takes the lock, waiting for another holder for at most `timeout`. It is held until the session ends.
///
/// # Errors
/// [`Error::Locked`] with who holds it and how to end that session.
pub async fn acquire(client: &Client, timeout: Duration) -> Result<(), Error> {
    let doing = "taking the lock against concurrent runs";
    let row =
        client.query_one("SELECT pg_try_advisory_lock($1)", &[&KEY]).await.map_err(Error::database(doing))?;
    if row.get(0) {
        return Ok(());
    }
    let shown = humantime::format_duration(timeout);
    log::warn!("waiting up to {shown} for another run to end: {}", holder(client).await?);
    // 0 would mean "for ever"
    let wait = format!(
        "SET lock_timeout = {}; SELECT pg_advisory_lock({KEY}); RESET lock_timeout",
        timeout.as_millis().clamp(1, i32::MAX as u128)
    );
    match client.batch_execute(&wait).await {
        Ok(()) => Ok(()),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Err(Error::Locked(format!(
            "another run holds the lock, waited {shown} (--lock-timeout): {}",
            holder(client).await?
        ))),
        Err(error) => {
            log::debug!("{}", server_message(&error));
            Err(Error::Database { doing: doing.into(), source: error })
        }
    }
}

/// Who holds the lock, since when, and the statement that would end that session.
async fn holder(client: &Client) -> Result<String, Error> {
    let rows = client
        .query(
            "SELECT a.pid, coalesce(nullif(a.application_name, ''), '(no application name)'), \
                    coalesce(to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '?') \
             FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
               AND (l.classid::int8 << 32 | l.objid::int8) = $1",
            &[&KEY],
        )
        .await
        .map_err(Error::database("looking up who holds the lock"))?;
    Ok(match rows.first() {
        Some(row) => {
            let (pid, name, since): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
            format!(
                "pid {pid}, {name}, connected since {since} UTC; to end it: SELECT pg_terminate_backend({pid})"
            )
        }
        None => "it has just been released, run again".to_owned(),
    })
}
