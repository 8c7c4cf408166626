//! A version whose first line is `-- outgrow: no-transaction`: for CREATE INDEX CONCURRENTLY and what else cannot be in
//! a transaction. It is not atomic but resumable: in go its statements, one by one; the table `outgrow_progress` says
//! how far they came, until the version stands in the history like any other.
//!
//! A statement that can be in a transaction gets one of its own, together with the note that it is done: it is run
//! exactly once. What the server refuses there runs outside, noted before and after; stopped in between, it is run
//! again. What only sets something of the session (`SET search_path`) is said again to the session that goes on.
//!
//! Nothing of ours is in a transaction meanwhile: such a statement waits for every transaction that is older.

use super::applier::answers;
use super::transaction::{Attempts, Limits, Written, roll_back};
use crate::copy::PROGRESS;
use crate::error::Error;
use crate::identifier::quote;
use crate::migration::Version;
use crate::migration::failure::{self, Sent};
use crate::migration::sql;
use crate::migration::statement::Statement;
use crate::plan::HISTORY;
use crate::postgres::interrupt::Interrupt;
use crate::postgres::lock::{self, Scope};
use crate::postgres::rows;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// What the report says of such a version.
pub(super) const NOTE: &str = "outside a transaction: resumable, not atomic";

/// Runs what is left of `version` and records it.
///
/// # Errors
/// [`Error::Stopped`] with the statement that the next run goes on with; [`Error::Diverged`] if what has run is no
/// longer what the file says.
pub(super) async fn run(
    client: &Client,
    version: &Version,
    history_row: &str,
    limits: Limits,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let statements = sql::read(version.text()).statements;
    let of = statements.len();
    let settings = format!("RESET ALL; {}", limits.settings(limits.locks, false));
    client.batch_execute(&settings).await.map_err(Error::database("preparing the session"))?;
    let progress = Progress::of(client, version, &statements).await?;
    let from = progress.done;
    let go_on = match progress.begun || from > 0 {
        true => format!(", going on with statement {} of {of}", from + 1),
        false => String::new(),
    };
    log::info!(target: crate::NOTICES, "{} runs {NOTE}{go_on}", version.label);
    let running = Running { client, version, statements: &statements, progress: &progress, limits };
    let stopped = |at: usize, error: Error| {
        let (version, source) = (version.label.clone(), Box::new(error));
        Error::Stopped { version, at, of, kept: String::new(), source }
    };
    for (index, statement) in statements.iter().enumerate() {
        let outcome = if index >= from {
            running.statement(index, statement, progress.begun && index == from, interrupt).await
        } else if statement.is_of_the_session() {
            // it was another session that was told
            running.send(index, statement).await
        } else {
            Ok(())
        };
        outcome.map_err(|error| stopped(index + 1, error))?;
    }
    let forget = format!("DELETE FROM {} WHERE version = {}", progress.table, version.number);
    let end = format!("BEGIN; {forget}; {}", limits.finish(Scope::Session, history_row, Written::AtOnce));
    if let Err(error) = client.batch_execute(&end).await {
        roll_back(client).await;
        return Err(stopped(of, Error::database(format!("recording {}", version.file.display()))(error)));
    }
    Ok(())
}

/// How far the version came.
struct Progress {
    /// `outgrow_progress`, with its schema: a file may change the `search_path`.
    table: String,
    /// So many statements are done.
    done: usize,
    /// The next was begun outside a transaction, and whether it ended is not known.
    begun: bool,
}

impl Progress {
    /// Reads it, and makes the table if it is missing.
    async fn of(client: &Client, version: &Version, statements: &[Statement]) -> Result<Progress, Error> {
        let doing = || Error::database(format!("reading how far the version came ({PROGRESS})"));
        let schema = format!(
            "SELECT relnamespace::regnamespace::text, to_regclass(relnamespace::regnamespace || '.{PROGRESS}') IS NOT NULL \
             FROM pg_class WHERE oid = $1::text::regclass"
        );
        let row = client.query_one(&schema, &[&HISTORY]).await.map_err(doing())?;
        // regnamespace is quoted where it must be
        let table = format!("{}.{PROGRESS}", row.get::<_, &str>(0));
        if !row.get::<_, bool>(1) {
            let create = format!(
                "CREATE TABLE {table} (version integer PRIMARY KEY, done integer NOT NULL, checksum text NOT NULL, \
                 begun boolean NOT NULL, started_at timestamptz NOT NULL DEFAULT now())"
            );
            client.batch_execute(&create).await.map_err(doing())?;
        }
        let select = format!("SELECT done, checksum, begun FROM {table} WHERE version = $1");
        let Some(row) = client.query_opt(&select, &[&version.number]).await.map_err(doing())? else {
            return Ok(Progress { table, done: 0, begun: false });
        };
        let (done, checksum): (i32, &str) = (row.get(0), row.get(1));
        let done = usize::try_from(done).unwrap_or_default();
        if done > statements.len() || checksum != ran(version, statements, done) {
            let file = version.file.display();
            return Err(Error::Diverged(vec![format!(
                "{file} was begun, and its first {done} statements were edited after they had run: put them back; what \
                 comes after them may be changed"
            )]));
        }
        Ok(Progress { table, done, begun: row.get(2) })
    }
}

/// What tells whether the first `done` statements are those that ran.
fn ran(version: &Version, statements: &[Statement], done: usize) -> String {
    let end = done.checked_sub(1).and_then(|last| statements.get(last)).map_or(0, |last| last.end);
    version.checksum_up_to(end).to_string()
}

/// A version under way.
struct Running<'a> {
    client: &'a Client,
    version: &'a Version,
    statements: &'a [Statement],
    progress: &'a Progress,
    limits: Limits,
}

impl Running<'_> {
    /// One statement, tried again where others were in its way.
    async fn statement(
        &self,
        index: usize,
        statement: &Statement,
        mut interrupted: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        let mut attempts = Attempts::within(self.limits.locks);
        loop {
            let inside = if interrupted { None } else { self.inside(index, statement).await? };
            let outcome = match inside {
                Some(outcome) => outcome,
                None => self.outside(index, statement, interrupted).await,
            };
            match outcome {
                Err(error) if interrupt.signalled() => return Err(error),
                Err(error) => {
                    attempts.another(self.client, self.version, interrupt, error).await?;
                    interrupted = false;
                }
                outcome => return outcome,
            }
        }
    }

    /// In a transaction, if it can be in one; `None` if not.
    async fn inside(&self, index: usize, statement: &Statement) -> Result<Option<Result<(), Error>>, Error> {
        if statement.concurrent_index(self.version.text()).is_some() {
            return Ok(None);
        }
        let begin = format!("BEGIN; {}", self.limits.settings(self.limits.attempt(), true));
        self.client.batch_execute(&begin).await.map_err(Error::database("opening a transaction"))?;
        let outcome = match self.send(index, statement).await {
            Ok(()) => self.noted(&format!("{}; COMMIT", self.note(index + 1, false))).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            roll_back(self.client).await;
            let refused = [SqlState::ACTIVE_SQL_TRANSACTION, SqlState::INVALID_TRANSACTION_TERMINATION];
            if error.sqlstate().is_some_and(|code| refused.contains(code)) {
                return Ok(None);
            }
        }
        Ok(Some(outcome))
    }

    /// Outside a transaction. If it was `interrupted` before, it may have come to its end.
    async fn outside(&self, index: usize, statement: &Statement, interrupted: bool) -> Result<(), Error> {
        if let Some((name, table)) = statement.concurrent_index(self.version.text()) {
            match self.index(&name, &table).await? {
                Some((_, true)) if interrupted => {
                    log::info!("the index {name} was made before the interruption");
                    return self.noted(&self.note(index + 1, false)).await;
                }
                Some((found, false)) => {
                    log::warn!("dropping the index {name}, which an earlier attempt left INVALID");
                    let drop = format!("DROP INDEX CONCURRENTLY {found}");
                    let dropping = Error::database(format!("dropping the INVALID index {name}"));
                    self.client.batch_execute(&drop).await.map_err(dropping)?;
                }
                _ => {}
            }
        }
        self.noted(&self.note(index, true)).await?;
        let outcome = self.send(index, statement).await;
        // an error is an answer: the statement has ended. Where there was none, nobody knows, and this fails as well
        let (done, begun) = if outcome.is_ok() { (index + 1, false) } else { (index, false) };
        let noted = self.noted(&self.note(done, begun)).await;
        outcome.and(noted)
    }

    /// The statement that notes how far the version came. The file may have let go of every lock of the session.
    fn note(&self, done: usize, begun: bool) -> String {
        format!(
            "INSERT INTO {} AS p (version, done, checksum, begun) VALUES ({}, {done}, '{}', {begun}) \
             ON CONFLICT (version) DO UPDATE SET done = excluded.done, checksum = excluded.checksum, begun = excluded.begun; \
             SELECT pg_try_advisory_lock({})",
            self.progress.table,
            self.version.number,
            ran(self.version, self.statements, done),
            lock::KEY
        )
    }

    /// Sends such a note. Where the file let go of the lock, another run may have taken it, and goes on with the very
    /// version.
    async fn noted(&self, note: &str) -> Result<(), Error> {
        let answer = rows(self.client, note).await.map_err(Error::database("noting what has run"))?;
        if answer.first().is_some_and(|row| row.get(0) == Some("f")) {
            let text = "the version let go of the lock (DISCARD ALL, pg_advisory_unlock_all) and another run took it: \
                        remove that statement";
            return Err(Error::Locked(text.into()));
        }
        Ok(())
    }

    /// The index of that name on the table that the statement names: quoted with its schema, and whether it is valid.
    async fn index(&self, name: &str, table: &str) -> Result<Option<(String, bool)>, Error> {
        let query = "SELECT n.nspname::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                     JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE i.indrelid = to_regclass($1::text) AND c.relname = $2::text";
        let found = self.client.query_opt(query, &[&table, &name]).await;
        let found = found.map_err(Error::database(format!("looking up the index {name}")))?;
        Ok(found.map(|row| (format!("{}.{}", quote(row.get(0)), quote(name)), row.get(1))))
    }

    async fn send(&self, index: usize, statement: &Statement) -> Result<(), Error> {
        let text = self.version.text();
        let sent = async {
            answers(self.client.simple_query_raw(&text[statement.start..statement.end]).await?, &mut 0).await
        };
        sent.await.map_err(|error| match error.as_db_error() {
            Some(said) => {
                let sent = Sent { from: statement.start, behind: 0 };
                let failure = failure::located(&self.version.file, text, said, sent, index);
                Error::Sql { failure: Box::new(failure), code: said.code().clone() }
            }
            None => Error::database(format!("running {}", self.version.file.display()))(error),
        })
    }
}
