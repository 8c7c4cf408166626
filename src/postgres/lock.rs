//! One run at a time: an advisory lock, which the server releases with the session or the transaction it belongs to,
//! however that ends. (PostgreSQL: Explicit Locking, "Advisory Locks".)
//!
//! Who waits for it asks again and again, and never inside a statement: a waiting statement holds a snapshot, and the
//! holder's CREATE INDEX CONCURRENTLY waits for every older snapshot, so that each would wait for the other.
//! (PostgreSQL: CREATE INDEX, "Building Indexes Concurrently".)

use super::backoff::Backoff;
use super::interrupt::Interrupt;
use super::pooler::FORGET;
use super::rows;
use crate::error::Error;
use std::fmt;
use std::time::{Duration, Instant};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, SimpleQueryRow};

/// The key, "outgrow" in ASCII: one lock in each database. The server's table of locks shows its two halves.
pub const KEY: i64 = 0x6f_7574_6772_6f77;

/// The pauses between two attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Who waits is told again after this time.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What the lock belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The session, to its end.
    Session,
    /// A transaction, which is opened with it: the way that holds behind a pooler in transaction mode.
    Transaction,
}

/// Takes the lock, waiting for another holder for at most `timeout`.
///
/// # Errors
/// [`Error::Locked`] with who holds it and how to end that session.
pub async fn acquire(
    client: &Client,
    scope: Scope,
    timeout: Duration,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let started = Instant::now();
    let shown = humantime::format_duration(timeout);
    let (mut backoff, mut said) = (Backoff::new(PAUSES.0, PAUSES.1), None);
    while !attempt(client, scope).await? {
        let left = timeout.saturating_sub(started.elapsed());
        if left.is_zero() || interrupt.signalled() {
            let holder = holder(client).await?;
            let text = format!("another run holds the lock, waited {shown} (--lock-timeout): {holder}");
            return Err(Error::Locked(text));
        }
        if said.is_none_or(|said: Instant| said.elapsed() >= HEARTBEAT) {
            log::warn!("waiting up to {shown} for another run to end: {}", holder(client).await?);
            said = Some(Instant::now());
        }
        interrupt.pause(backoff.pause(left)).await;
    }
    Ok(())
}

async fn attempt(client: &Client, scope: Scope) -> Result<bool, Error> {
    let doing = || Error::database("taking the lock against concurrent runs");
    let statement = match scope {
        Scope::Session => format!("SELECT pg_try_advisory_lock({KEY})"),
        Scope::Transaction => format!("BEGIN; {FORGET}; SELECT pg_try_advisory_xact_lock({KEY})"),
    };
    let answer = rows(client, &statement).await.map_err(doing())?;
    let taken = answer.first().is_some_and(|row| row.get(0) == Some("t"));
    if !taken && scope == Scope::Transaction {
        client.batch_execute("ROLLBACK").await.map_err(doing())?;
    }
    Ok(taken)
}

/// Who holds the lock, since when, and the statement that would end that session.
async fn holder(client: &Client) -> Result<String, Error> {
    Ok(match holders(client).await?.first() {
        Some(Holder { pid, name, since }) => {
            format!(
                "pid {pid}, {name}, connected since {since} UTC; to end it: SELECT pg_terminate_backend({pid})"
            )
        }
        None => "it has just been released, run again".to_owned(),
    })
}

/// A session that holds the lock.
#[derive(Debug)]
pub struct Holder {
    /// The process of the server that serves it.
    pub pid: String,
    /// Its `application_name`, or that it has none.
    pub name: String,
    /// When it connected, in UTC, to the second; `?` if this role may not know.
    pub since: String,
}

/// The sessions that hold the lock: none or one, unless it is just being handed on.
///
/// # Errors
/// [`Error::Database`] if the server's tables of locks and sessions cannot be read.
pub async fn holders(client: &Client) -> Result<Vec<Holder>, Error> {
    let query = format!(
        "SELECT a.pid, coalesce(nullif(a.application_name, ''), '(no application name)'), \
                coalesce(to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '?') \
         FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND (l.classid::int8 << 32 | l.objid::int8) = {KEY}"
    );
    let rows = rows(client, &query).await.map_err(Error::database("looking up who holds the lock"))?;
    let holder = |row: &SimpleQueryRow| {
        let [pid, name, since] = [0, 1, 2].map(|at| row.get(at).unwrap_or("?").to_owned());
        Holder { pid, name, since }
    };
    Ok(rows.iter().map(holder).collect())
}

/// A session that holds a lock on a table.
#[derive(Debug)]
pub struct TableHolder {
    pid: i32,
    name: String,
    state: String,
    table: String,
}

impl fmt::Display for TableHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TableHolder { pid, name, state, table } = self;
        write!(f, "pid {pid}, {name}, {state}, holds one on {table}")
    }
}

impl TableHolder {
    /// `error`, which says that a lock was not to be had, with this session and the statement that would end it.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        let holder = format!("{self}; to end it: SELECT pg_terminate_backend({})", self.pid);
        Error::Held { holder, source: Box::new(error) }
    }
}

/// The oldest other transaction that holds a lock on one of `tables`, or on one that they refer to, whose locks the
/// foreign keys take as well; first who keeps even readers out. What cannot be seen is left out.
pub async fn table_holder(client: &Client, tables: &[String]) -> Option<TableHolder> {
    one_holder(client, HOLDS, (&tables, Type::TEXT_ARRAY)).await
}

/// The oldest other transaction that keeps even readers out of a table; first of one that `doing` names.
pub async fn excluder(client: &Client, doing: &str) -> Option<TableHolder> {
    one_holder(client, EXCLUDES, (&doing, Type::TEXT)).await
}

async fn one_holder(
    client: &Client,
    which: &str,
    parameter: (&(dyn ToSql + Sync), Type),
) -> Option<TableHolder> {
    match client.query_typed(&format!("{HOLDERS} {which} LIMIT 1"), &[parameter]).await.as_deref() {
        Ok([row]) => {
            Some(TableHolder { table: row.get(0), pid: row.get(1), name: row.get(2), state: row.get(3) })
        }
        _ => None,
    }
}

/// The other sessions that hold a lock on a table. (PostgreSQL: System Views, `pg_locks`.)
const HOLDERS: &str = "\
SELECT c.relname::text, l.pid, coalesce(nullif(a.application_name, ''), '(no application name)'), coalesce(a.state, '?')
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())";

const HOLDS: &str = "\
  AND (c.relname = ANY ($1)
       OR c.oid IN (SELECT k.confrelid FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class f ON f.oid = k.conrelid
                    WHERE k.contype = 'f' AND f.relname = ANY ($1)))
ORDER BY l.mode <> 'AccessExclusiveLock', a.xact_start";

const EXCLUDES: &str = "\
  AND l.mode = 'AccessExclusiveLock' AND c.relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY position(c.relname::text IN $1) = 0, a.xact_start";
