//! The transaction of a version: what is set for it, how it ends, and when it is tried again.

use crate::error::{Error, server_message};
use crate::migration::{Kind, Version, sql};
use crate::plan::HISTORY;
use crate::postgres::backoff::Backoff;
use crate::postgres::interrupt::Interrupt;
use crate::postgres::limits;
use crate::postgres::lock::{self, Scope};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// All waiting for locks of a version (`--lock-timeout`).
    pub locks: Duration,
    /// One statement's waiting for a lock (`--lock-attempt`).
    pub attempt: Duration,
    /// One statement (`--statement-timeout`); `None` is no limit.
    pub statement: Option<Duration>,
}

impl Limits {
    /// The query that sets them ([`limits::settings`]).
    pub(super) fn settings(self, lock: Duration, local: bool) -> String {
        limits::settings(lock, self.statement, local)
    }

    /// How long one statement in a transaction may wait for a lock.
    pub(super) fn attempt(self) -> Duration {
        self.attempt.min(self.locks)
    }

    /// Opens the transaction of a version that leaves nothing behind ([`Version::is_plain`]), in a session that has the
    /// lock. The session itself is told the limits before the first of several such versions, and holds them until
    /// another kind of version resets it: telling them takes the server as long as a small version. Out come the
    /// statements, and how many.
    pub(super) fn begin_plain(self, told: bool) -> (String, usize) {
        match told {
            true => ("BEGIN;\n".to_owned(), 1),
            false => (format!("{}; BEGIN;\n", self.settings(self.attempt(), false)), 2),
        }
    }

    /// Ends the transaction that [`Limits::begin_plain`] opened. What decides where the history is found is set back
    /// all the same: a trigger may have changed it.
    pub(super) fn finish_plain(history_row: &str, written: Written) -> String {
        let later = written.setting();
        format!(
            "SAVEPOINT outgrow; RELEASE outgrow; RESET search_path; RESET SESSION AUTHORIZATION; RESET ROLE; \
             {later}{history_row}; COMMIT"
        )
    }

    /// Opens the transaction of a version. Its file may let go of every lock of the session, and not of one that
    /// belongs to the transaction. Where the lock belongs to transactions, it is open already. Out come the statements,
    /// and how many.
    pub(super) fn begin(self, scope: Scope) -> (String, usize) {
        let settings = self.settings(self.attempt(), true);
        match scope {
            Scope::Session => {
                (format!("BEGIN; {settings}; SELECT pg_advisory_xact_lock({});\n", lock::KEY), 3)
            }
            Scope::Transaction => (format!("{settings};\n"), 1),
        }
    }

    /// Ends the transaction of a version. A savepoint can be made inside a transaction alone: where the version's
    /// statements did not run or are not in one, nothing is recorded. A file may leave settings, a role, temporary
    /// tables and more behind (`pg_dump` empties the `search_path`): the history must stay reachable, and the next
    /// version must start as this one did, under the lock and the limits. Behind a pooler prepared statements are the
    /// pooler's, and a lock of the session would be nobody's. (PostgreSQL: SAVEPOINT; Message Flow, "Multiple
    /// Statements in a Simple Query".)
    pub(super) fn finish(self, scope: Scope, history_row: &str, written: Written) -> String {
        let limits = limits::once_more(self.attempt(), self.statement);
        let reset = format!(
            "SAVEPOINT outgrow; RELEASE outgrow; RESET ALL; RESET SESSION AUTHORIZATION; RESET ROLE; {limits}; \
             DISCARD TEMP; CLOSE ALL; UNLISTEN *"
        );
        let later = written.setting();
        match scope {
            Scope::Session => {
                format!(
                    "{reset}; DEALLOCATE ALL; {later}{history_row}; SELECT pg_advisory_lock({}); COMMIT",
                    lock::KEY
                )
            }
            Scope::Transaction => format!("{reset}; {later}{history_row}; COMMIT"),
        }
    }
}

/// When a commit is on the server's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Before the server says that it is done.
    AtOnce,
    /// A moment later, and at the latest with the next one that is written at once: the log on the disk has an order,
    /// so that a crash takes the last versions, each with its history row, or none. For versions that such a commit
    /// follows in the same run.
    Later,
}

impl Written {
    /// The statement for it, before others.
    fn setting(self) -> String {
        match self {
            Written::AtOnce => String::new(),
            Written::Later => format!("{LATER}; "),
        }
    }
}

/// (PostgreSQL: Asynchronous Commit.)
pub(super) const LATER: &str = "SET LOCAL synchronous_commit = off";

/// Waits until everything that this session committed is on the server's disk; false if that is not known. A
/// transaction with a number of its own is written, and what came before it.
pub(super) async fn settle(client: &Client) -> bool {
    let settled = client.batch_execute("BEGIN; SELECT pg_catalog.pg_current_xact_id(); COMMIT").await;
    settled.inspect_err(|error| log::debug!("settling: {}", server_message(error))).is_ok()
}

/// Rolls back what is open.
pub(super) async fn roll_back(client: &Client) {
    // if this fails the connection is gone, and the server rolls back by itself
    if let Err(rollback) = client.batch_execute("ROLLBACK").await {
        log::debug!("rolling back: {}", server_message(&rollback));
    }
}

/// The pauses before the first repetition, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The attempts at one transaction. What was rolled back for the sake of others can be tried again: a lock that was not
/// to be had in time, a deadlock, a conflict of serializable transactions. A short wait for each lock and a longer one
/// in between lets the application work: whoever asks for a table queues behind a statement that waits for it. The
/// total is counted from the first attempt, so that work that took long is not repeated. (PostgreSQL: Error Codes;
/// Explicit Locking.)
pub(super) struct Attempts {
    started: Instant,
    limit: Duration,
    made: u32,
    backoff: Backoff,
}

impl Attempts {
    pub(super) fn within(limit: Duration) -> Attempts {
        let backoff = Backoff::new(PAUSES.0, PAUSES.1);
        Attempts { started: Instant::now(), limit, made: 1, backoff }
    }

    /// Waits for the next attempt and says so.
    ///
    /// # Errors
    /// `error`, if it would come again or the time is over; with who holds a lock, if that is what it says.
    pub(super) async fn another(
        &mut self,
        client: &Client,
        version: &Version,
        interrupt: &Interrupt,
        error: Error,
    ) -> Result<(), Error> {
        let codes = [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ];
        let Some(code) = error.sqlstate().filter(|code| codes.contains(code)) else { return Err(error) };
        let holder = lock::table_holder(client, &tables(version)).await;
        let left = self.limit.saturating_sub(self.started.elapsed());
        if left.is_zero() {
            return Err(match holder {
                Some(holder) if *code == SqlState::LOCK_NOT_AVAILABLE => holder.explain(error),
                _ => error,
            });
        }
        let pause = self.backoff.pause(left);
        self.made += 1;
        log::warn!(
            "{}: {}{}; rolled back, attempt {} in {} ms",
            version.label,
            match code.code() {
                "55P03" => "a lock is not to be had",
                "40P01" => "a deadlock with another session",
                _ => "another transaction came in between",
            },
            holder.map(|holder| format!(" ({holder})")).unwrap_or_default(),
            self.made,
            pause.as_millis()
        );
        interrupt.pause(pause).await;
        if interrupt.signalled() { Err(error) } else { Ok(()) }
    }
}

/// The tables whose locks a version may wait for, as far as it names them.
fn tables(version: &Version) -> Vec<String> {
    let names: BTreeSet<String> = match &version.kind {
        Kind::Sql => {
            let named = sql::names(version.text()).map(|(_, name)| name);
            named.flat_map(|name| [name.to_owned(), name.to_lowercase()]).collect()
        }
        Kind::Step(step) => step.tables.iter().map(|table| table.target_name().to_owned()).collect(),
    };
    names.into_iter().chain([HISTORY.to_owned()]).collect()
}
