//! One check: a session of its own, one transaction, its statements one by one, what its directives ask of each, and a
//! rollback, whatever came out.

use super::file::{Assertion, Check};
use super::rows::Rows;
use super::{Failure, State, Verdict, not_run, shown};
use crate::config::DatabaseUrl;
use crate::error::{Error, Problem, SqlFailure, counted, server_message};
use crate::migration::failure::{self, Sent};
use crate::migration::line_and_column;
use crate::postgres;
use crate::postgres::interrupt::Interrupt;
use crate::postgres::limits::milliseconds;
use crate::postgres::session::{Canceller, Session};
use futures_util::TryStreamExt;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

/// Sessions that are opened before `connect-budget` counts as missed: one may meet a busy moment.
const CONNECTS: u32 = 3;

/// The server ends a statement in time; that it does not answer at all is known after this much more.
const GRACE: Duration = Duration::from_secs(5);

/// In the same message as the statement before it, whose beginning is then what `statement_timestamp` says: what the
/// server took, without the network. (PostgreSQL: Date/Time Functions, "Current Date/Time".)
const ELAPSED: &str =
    "SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp())";

/// A rollback never comes to what a commit would check: deferred constraints and their triggers.
const AS_AT_COMMIT: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// What every check is run with.
pub(super) struct Limits {
    /// For each statement; `None` is no limit.
    pub statement: Option<Duration>,
    /// For each lock that it waits for.
    pub lock: Duration,
    pub show_values: bool,
}

/// Why a check did not come to its end.
enum Stop {
    /// It failed.
    Failed(Box<Failure>),
    /// It could not be run.
    Broken(Error),
}

/// What a statement returned.
#[derive(Default)]
struct Answer {
    /// If it is a query.
    rows: Option<Rows>,
    server: Duration,
}

/// A check under way.
struct Run<'a> {
    check: &'a Check,
    client: &'a Client,
    canceller: &'a Canceller,
    interrupt: &'a Interrupt,
    limits: &'a Limits,
    server: Duration,
}

/// Runs `check` to its verdict.
///
/// # Errors
/// [`Error::Connection`] if there is no session or it broke; whatever, after a signal.
pub(super) async fn run(
    check: &Check,
    url: &DatabaseUrl,
    interrupt: &Interrupt,
    limits: &Limits,
) -> Result<Verdict, Error> {
    let started = Instant::now();
    let (session, connected) = connect(check, url, interrupt).await?;
    let mut run = Run {
        check,
        client: &session.client,
        canceller: &session.canceller,
        interrupt,
        limits,
        server: Duration::ZERO,
    };
    let mut ended = over(check, "opening a session", connected, check.connect_budget);
    if ended.is_ok() && !check.statements.is_empty() {
        ended = run.transaction().await;
    }
    let failure = match ended {
        Ok(()) => None,
        Err(Stop::Failed(failure)) => Some(*failure),
        Err(Stop::Broken(error)) => return Err(lost(error, url)),
    };
    Ok(Verdict {
        state: if failure.is_none() { State::Passed } else { State::Failed },
        server_seconds: run.server.as_secs_f64(),
        connect_seconds: connected.as_secs_f64(),
        seconds: started.elapsed().as_secs_f64(),
        failure,
        ..not_run(check)
    })
}

/// A session, and how long it took to open: under a budget the shortest time of up to three.
async fn connect(
    check: &Check,
    url: &DatabaseUrl,
    interrupt: &Interrupt,
) -> Result<(Session, Duration), Error> {
    let mut shortest = Duration::MAX;
    let mut attempt = 1;
    loop {
        let session = postgres::open(url, interrupt).await?;
        shortest = shortest.min(session.took);
        let enough = check.connect_budget.is_none_or(|budget| shortest <= budget);
        if enough || attempt == CONNECTS {
            return Ok((session, shortest));
        }
        attempt += 1;
    }
}

/// The failure of a budget of the whole check.
fn over(check: &Check, what: &str, took: Duration, budget: Option<Duration>) -> Result<(), Stop> {
    match budget.filter(|budget| took > *budget) {
        None => Ok(()),
        Some(budget) => Err(failed(check, None, over_budget(what, took, budget))),
    }
}

fn over_budget(what: &str, took: Duration, budget: Duration) -> String {
    format!("{what} took {}, and the budget is {}", shown(took), shown(budget))
}

/// A failure that is not the server's own words, at a statement or of the whole check.
fn failed(check: &Check, index: Option<usize>, message: String) -> Stop {
    let statement = index.and_then(|index| check.statements.get(index));
    let at = statement.map(|statement| line_and_column(&check.text, statement.range.start));
    let problem = Problem { file: check.file.clone(), at, message };
    Stop::Failed(Box::new(SqlFailure { problem, line: None, notes: Vec::new() }.into()))
}

/// An error without an answer of the server's is the end of the connection.
fn lost(error: Error, url: &DatabaseUrl) -> Error {
    match error {
        Error::Database { doing, source } => Error::Connection {
            target: url.to_string(),
            reason: format!("the connection broke while {doing}: {}", server_message(&source)),
        },
        other => other,
    }
}

impl Run<'_> {
    /// The statements between BEGIN and ROLLBACK. After a failure the session is closed, which rolls back, too.
    async fn transaction(&mut self) -> Result<(), Stop> {
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
            self.limits.statement.map_or(0, milliseconds),
            milliseconds(self.limits.lock)
        );
        self.batch(0, &begin).await?;
        let mut last = None;
        for (index, statement) in self.check.statements.iter().enumerate() {
            if let Some(code) = &statement.expect_error {
                self.must_be_refused(index, statement, code).await?;
                continue;
            }
            let (described, answer) = self.execute(index, statement).await?;
            self.server += answer.server;
            if let Some(budget) = statement.budget.filter(|budget| answer.server > *budget) {
                let message = over_budget("this statement", answer.server, budget);
                return Err(failed(self.check, Some(index), message));
            }
            if let Some(rows) = answer.rows {
                last = Some((index, described, rows));
            }
        }
        if let Some((index, described, rows)) = last.filter(|(_, _, rows)| rows.count > 0) {
            return Err(self.found(index, &described, rows));
        }
        self.batch(self.check.statements.len().saturating_sub(1), AS_AT_COMMIT).await?;
        over(self.check, "the statements", self.server, self.check.budget)?;
        self.batch(0, "ROLLBACK").await
    }

    /// The last query returned rows.
    fn found(&self, index: usize, described: &Statement, rows: Rows) -> Stop {
        let found = format!("{} found, and none expected", counted(rows.count, "row"));
        let mut stop = failed(self.check, Some(index), found);
        if let Stop::Failed(failure) = &mut stop {
            let report = rows.report(described, &self.check.text, self.limits.show_values);
            failure.counterexamples = Some(report);
        }
        stop
    }

    /// One statement, parsed first: the server takes a single command there, so that nothing can hide behind it.
    async fn execute(&self, index: usize, statement: &Assertion) -> Result<(Statement, Answer), Stop> {
        let text = &self.check.text[statement.range.clone()];
        let work = async {
            let described = self.client.prepare(text).await?;
            Ok((described, self.send(&format!("{text}; {ELAPSED}")).await?))
        };
        let answer = self.in_time(index, work).await?;
        answer.map_err(|error| self.refused(index, error))
    }

    /// A statement that must be refused, in a savepoint; a constraint that is checked at the commit may do it, too.
    async fn must_be_refused(&self, index: usize, statement: &Assertion, code: &str) -> Result<(), Stop> {
        self.batch(index, "SAVEPOINT outgrow").await?;
        let text = &self.check.text[statement.range.clone()];
        let work = async {
            self.client.prepare(text).await?;
            self.send(&format!("{text}; {AS_AT_COMMIT}")).await
        };
        let Err(error) = self.in_time(index, work).await? else {
            let message = format!("this statement was not refused, and SQLSTATE {code} was expected");
            return Err(failed(self.check, Some(index), message));
        };
        if error.code().is_none_or(|found| found.code() != code) {
            let mut stop = self.refused(index, error);
            if let Stop::Failed(failure) = &mut stop {
                failure.message = format!("{}, and SQLSTATE {code} was expected", failure.message);
            }
            return Err(stop);
        }
        self.batch(index, "ROLLBACK TO SAVEPOINT outgrow; RELEASE SAVEPOINT outgrow").await
    }

    /// One of outgrow's own commands.
    async fn batch(&self, index: usize, command: &str) -> Result<(), Stop> {
        let answer = self.in_time(index, self.client.batch_execute(command)).await?;
        answer.map_err(|error| self.refused(index, error))
    }

    /// Sends a message and reads the answer to its end: what the statement returned, and what the last command did, if
    /// that is [`ELAPSED`].
    async fn send(&self, message: &str) -> Result<Answer, tokio_postgres::Error> {
        let mut answers = pin!(self.client.simple_query_raw(message).await?);
        let mut sets: Vec<Rows> = Vec::new();
        while let Some(message) = answers.try_next().await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    // a rule may add queries of its own; the last of them counts
                    if sets.len() == 2 {
                        sets.remove(0);
                    }
                    sets.push(Rows::of(&columns));
                }
                SimpleQueryMessage::Row(row) => {
                    if let Some(rows) = sets.last_mut() {
                        rows.push(&row);
                    }
                }
                _ => {}
            }
        }
        let elapsed = sets.pop().and_then(|rows| rows.single().and_then(|seconds| seconds.parse().ok()));
        Ok(Answer {
            rows: sets.pop(),
            server: Duration::try_from_secs_f64(elapsed.unwrap_or(0.0)).unwrap_or_default(),
        })
    }

    /// What a statement's work gave, unless the server says nothing for longer than it may take.
    async fn in_time<T>(&self, index: usize, work: impl Future<Output = T>) -> Result<T, Stop> {
        let Some(limit) = self.limits.statement.map(|limit| limit.saturating_add(GRACE)) else {
            return Ok(work.await);
        };
        if let Ok(done) = tokio::time::timeout(limit, work).await {
            return Ok(done);
        }
        // the session is closed next; if the request does not get through either, the server ends it by itself
        if !matches!(tokio::time::timeout(GRACE, self.canceller.cancel()).await, Ok(Ok(()))) {
            log::debug!("the request to cancel did not get through");
        }
        let message =
            format!("the server did not answer within {} (--statement-timeout and 5 s)", shown(limit));
        Err(failed(self.check, Some(index), message))
    }

    /// The server's refusal as a failure of the check, unless it is the end of the session or of the run.
    fn refused(&self, index: usize, error: tokio_postgres::Error) -> Stop {
        match error.as_db_error() {
            Some(said) if !self.interrupt.signalled() && !ends_session(said) => {
                let from = self.check.statements.get(index).map_or(0, |statement| statement.range.start);
                let sent = Sent { behind: 0, from };
                let shown = failure::located(&self.check.file, &self.check.text, said, sent, index);
                Stop::Failed(Box::new(shown.into()))
            }
            _ => Stop::Broken(Error::Database {
                doing: format!("running {}", self.check.file.display()),
                source: error,
            }),
        }
    }
}

/// The server closes the connection after this. (PostgreSQL: Error and Notice Message Fields.)
fn ends_session(said: &DbError) -> bool {
    use tokio_postgres::error::Severity;
    matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}
