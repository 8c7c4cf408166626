//! What refinery's runner drives. In go the pending versions; each is applied in a transaction of its own, together
//! with the history row that refinery words, and out comes what was applied, or the error with what stays.

use super::Applied;
use super::keys::{self, Loaded};
use super::transaction::{Attempts, LATER, Limits, Written, roll_back, settle};
use super::untransacted;
use crate::copy::{self, Receipt};
use crate::error::{Error, Fate, ends_session};
use crate::migration::failure::{self, Sent};
use crate::migration::step::Step;
use crate::migration::{Kind, Version};
use crate::plan::HISTORY;
use crate::postgres::lock::{self, Scope};
use crate::postgres::{self, interrupt::Interrupt, limits, reading};
use futures_util::TryStreamExt;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use refinery_core::{Migration, Runner};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryStream};

/// Refinery's runner compares every version that it is given with every other: it is given this many at a time.
const AT_A_TIME: usize = 256;

/// What refinery's runner drives: it hands over each version's text together with the insert into the history, and both
/// run in one transaction here. A data step's text is not sent: the copy runs in its place.
pub(super) struct Applier<'a> {
    pub client: Client,
    /// The versions to apply, in order.
    pub todo: VecDeque<&'a Version>,
    /// The newest version that is applied: what the runner is told of the history, which the plan has been held
    /// against.
    pub newest: Option<Migration>,
    /// The source of data steps; `None` under `--without-data`.
    pub source: Option<PathBuf>,
    pub history_exists: bool,
    /// What the lock against concurrent runs belongs to.
    pub scope: Scope,
    pub limits: Limits,
    pub interrupt: &'a Interrupt,
    pub options: copy::Options,
    pub applied: Vec<Applied>,
    /// The tables that its steps have loaded.
    pub loaded: Loaded,
    /// The session has been told the limits, and nothing has set them back since ([`Limits::begin_plain`]).
    pub told: bool,
    /// When the last of them is on the server's disk.
    pub written: Written,
    /// Why the run ended: refinery's error carries ours only as text.
    pub failure: Option<Error>,
}

/// What became of a version.
enum Outcome {
    /// This run applied it; what it brought, if it is a data step.
    Applied(Option<Box<Receipt>>),
    /// Another run was there first.
    Elsewhere,
}

/// Stands for [`Applier::failure`] on its way through refinery.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(super) struct Refused;

impl Applier<'_> {
    /// Applies everything, in refinery's order.
    pub(super) async fn run(&mut self) -> Result<(), Error> {
        while !self.todo.is_empty() {
            let next = self.todo.iter().take(AT_A_TIME).map(|version| version.migration());
            let migrations: Vec<Migration> =
                self.newest.iter().cloned().map(Ok).chain(next).collect::<Result<_, _>>()?;
            if let Err(error) = Runner::new(&migrations).run_async(self).await {
                return Err(self.failure.take().unwrap_or_else(|| Error::Diverged(vec![error.to_string()])));
            }
        }
        Ok(())
    }

    /// refinery's own statement, unless the `search_path` already finds the table: where a migration made a schema that
    /// now comes first, a second history would be created there.
    async fn create_history(&mut self, statement: &str) -> Result<(), Error> {
        if self.history_exists {
            return Ok(());
        }
        let doing = format!("creating the history {HISTORY}");
        let begin = match self.scope {
            Scope::Session => "BEGIN; ",
            Scope::Transaction => {
                self.open().await?;
                ""
            }
        };
        let limits = self.limits.settings(self.limits.locks, true);
        let created =
            self.client.batch_execute(&format!("{begin}{LATER}; {limits}; {statement}; COMMIT")).await;
        if let Err(error) = created {
            roll_back(&self.client).await;
            return Err(Error::database(doing)(error));
        }
        self.history_exists = true;
        Ok(())
    }

    /// One version and its history row, whole or not at all; or as far as it came, if it runs outside a transaction.
    async fn apply(&mut self, version: &Version, history_row: &str) -> Result<(), Error> {
        let started = Instant::now();
        log::info!("applying {}", version.label);
        // nothing of it stays in the session, which is ours and has the lock
        let plain = self.scope == Scope::Session && !version.is_without_transaction() && version.is_plain();
        let (outcome, note) = if version.is_without_transaction() {
            let done =
                untransacted::run(&self.client, version, history_row, self.limits, self.interrupt).await;
            (done.map(|()| Outcome::Applied(None)), Some(untransacted::NOTE))
        } else {
            (self.repeat(version, history_row, plain).await, None)
        };
        let receipt = match outcome {
            Ok(Outcome::Applied(receipt)) => receipt,
            Ok(Outcome::Elsewhere) => {
                log::info!("{} has been applied by another run", version.label);
                self.newest = Some(version.migration()?);
                return Ok(());
            }
            Err(error) => {
                let settled = self.written == Written::AtOnce || settle(&self.client).await;
                return Err(self.stopped(version, error, settled));
            }
        };
        self.written = self.written_after(version);
        self.told = plain;
        let newest = self.newest.take().filter(|newest| newest.version() > version.number);
        self.newest = Some(newest.map_or_else(|| version.migration(), Ok)?);
        receipt.iter().for_each(|receipt| self.loaded.extend(receipt));
        self.applied.push(Applied {
            version: version.number,
            name: version.name().to_owned(),
            label: version.label.clone(),
            receipt: receipt.map(|receipt| *receipt),
            note,
            seconds: started.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    /// The error with what stays, if that is settled.
    fn stopped(&self, version: &Version, error: Error, settled: bool) -> Error {
        let named = match (self.applied.first(), self.applied.last()) {
            (Some(first), Some(last)) if first.version < last.version => Some((
                format!("V{} to V{} before it were applied", first.version, last.version),
                "stay",
                "them",
            )),
            (Some(first), _) => Some((format!("V{} before it was applied", first.version), "stays", "it")),
            _ => None,
        };
        let stay = named.map(|(applied, stay, them)| match settled {
            true => format!("{applied} and {stay}"),
            false => format!("{applied}; outgrow status says whether the server kept {them}"),
        });
        match error {
            Error::Stopped { version, at, of, source, .. } => {
                let kept = stay.map(|stay| format!("; {stay}")).unwrap_or_default();
                Error::Stopped { version, at, of, kept, source }
            }
            error if stay.is_none() && matches!(error, Error::Diverged(_) | Error::Locked(_)) => error,
            error => {
                let fate = fate(version, &error);
                let nothing = || match fate {
                    Fate::Unknown => "no version before it was applied by this run".to_owned(),
                    _ => "nothing of it was kept".to_owned(),
                };
                let (version, kept) = (version.label.clone(), stay.unwrap_or_else(nothing));
                Error::Version { version, fate, kept, source: Box::new(error) }
            }
        }
    }

    /// Attempts at a version's transaction, until one succeeds or fails for good.
    async fn repeat(&self, version: &Version, history_row: &str, plain: bool) -> Result<Outcome, Error> {
        let mut attempts = Attempts::within(self.limits.locks);
        loop {
            if self.scope == Scope::Transaction {
                self.open().await?;
                match self.is_recorded(version).await {
                    Ok(false) => {}
                    recorded => {
                        roll_back(&self.client).await;
                        return recorded.map(|_| Outcome::Elsewhere);
                    }
                }
            }
            let outcome = match &version.kind {
                Kind::Sql => self.run_sql(version, history_row, plain).await.map(|()| None),
                Kind::Step(step) => self.run_step(version, step, history_row).await.map(Some),
            };
            match outcome {
                Ok(receipt) => return Ok(Outcome::Applied(receipt.map(Box::new))),
                Err(error) if self.interrupt.signalled() => return Err(error),
                Err(error) => attempts.another(&self.client, version, self.interrupt, error).await?,
            }
        }
    }

    /// Opens a transaction that holds the lock.
    async fn open(&self) -> Result<(), Error> {
        lock::acquire(&self.client, self.scope, self.limits.locks, self.interrupt).await
    }

    /// Whether another run has applied `version` since the plan was made.
    async fn is_recorded(&self, version: &Version) -> Result<bool, Error> {
        let query = format!(
            "{1}; SELECT (SELECT checksum FROM {HISTORY} WHERE version = {0}), \
                    coalesce((SELECT max(version) FROM {HISTORY}) > {0}, false)",
            version.number,
            limits::lock(self.limits.locks)
        );
        let answer = match postgres::rows(&self.client, &query).await {
            Ok(answer) => answer,
            Err(error) => {
                let doing = format!("reading the history {HISTORY}");
                return Err(reading::refused(&self.client, HISTORY, doing, error).await);
            }
        };
        let diverged = |what: &str| {
            let file = version.file.display();
            Err(Error::Diverged(vec![format!("{file}: another run {what} while this one waited")]))
        };
        match answer.first().map(|row| (row.get(0), row.get(1))) {
            Some((Some(sum), _)) if sum == version.checksum.to_string() => Ok(true),
            Some((Some(_), _)) => diverged("applied another text as this version"),
            Some((None, Some("t"))) if version.label.starts_with('V') => {
                diverged("applied a version above it")
            }
            _ => Ok(false),
        }
    }

    /// A file's statements, in one round trip: the transaction is opened in the same message, and [`Limits::finish`]
    /// follows before the server has answered. Statements complete one by one, so that an error the server gives no
    /// position for can still be placed: in the one after the last that completed.
    async fn run_sql(&self, version: &Version, history_row: &str, plain: bool) -> Result<(), Error> {
        let running = || Error::database(format!("running {}", version.file.display()));
        let (mut begin, mut opening) =
            if plain { self.limits.begin_plain(self.told) } else { self.limits.begin(self.scope) };
        if self.loaded.merges_in(version) {
            begin += keys::MERGE;
            opening += 1;
        }
        // these send; what they return has yet to be waited for
        let text = format!("{begin}{}", version.text());
        let text = self.client.simple_query_raw(&text).await.map_err(running())?;
        let written = self.written_after(version);
        let end = match plain {
            true => Limits::finish_plain(history_row, written),
            false => self.limits.finish(self.scope, history_row, written),
        };
        let end = self.client.simple_query_raw(&end).await.map_err(running())?;
        let mut completed = 0;
        if let Err(error) = answers(text, &mut completed).await {
            // an answer that nobody reads would hold up the next one
            drop(end);
            // a text that does not parse has not opened the transaction either
            if completed > 0 || self.scope == Scope::Transaction {
                roll_back(&self.client).await;
            }
            return Err(match error.as_db_error() {
                Some(_) if (1..opening).contains(&completed) => Error::database(OPENS)(error),
                Some(said) => {
                    let (file, text) = (&version.file, version.text());
                    let sent = Sent { from: 0, behind: begin.len() };
                    let failure = failure::located(file, text, said, sent, completed.saturating_sub(opening));
                    Error::Sql { failure: Box::new(failure), code: said.code().clone() }
                }
                None => running()(error),
            });
        }
        if let Err(error) = answers(end, &mut completed).await {
            roll_back(&self.client).await;
            return Err(Error::database(ends(version))(error));
        }
        Ok(())
    }

    /// When the commit of `version` is written: it is waited for unless SQL in a transaction follows, whose own is.
    fn written_after(&self, version: &Version) -> Written {
        let sql = |version: &Version| version.step().is_none() && !version.is_without_transaction();
        let waits = version.is_without_transaction() || !self.todo.front().is_some_and(|next| sql(next));
        if waits { Written::AtOnce } else { Written::Later }
    }

    async fn run_step(&self, version: &Version, step: &Step, history_row: &str) -> Result<Receipt, Error> {
        let (begin, _) = self.limits.begin(self.scope);
        let outcome = async {
            self.client.batch_execute(&begin).await.map_err(Error::database(OPENS))?;
            let receipt = match &self.source {
                Some(source) => copy::run(&self.client, version, step, source, &self.options).await?,
                None => copy::without_data(&self.client, version, step).await?,
            };
            let end = self.limits.finish(self.scope, history_row, self.written_after(version));
            let ended = self.client.batch_execute(&end).await;
            ended.map_err(Error::database(ends(version)))?;
            Ok(receipt)
        }
        .await;
        if outcome.is_err() {
            roll_back(&self.client).await;
        }
        outcome
    }
}

/// What became of a version that ended with `error`. The commit of SQL is sent before the server has answered, that of
/// a step when everything else is done. A session that is ended meanwhile ends before or after it.
fn fate(version: &Version, error: &Error) -> Fate {
    match error {
        Error::Diverged(_) | Error::Locked(_) => Fate::NotBegun,
        Error::Database { doing, source }
            if *doing == ends(version) && source.code().is_none_or(ends_session) =>
        {
            Fate::Unknown
        }
        Error::Database { source, .. } if source.code().is_none() && version.step().is_none() => {
            Fate::Unknown
        }
        _ => Fate::RolledBack,
    }
}

const OPENS: &str = "opening the transaction";

fn ends(version: &Version) -> String {
    format!("at the commit of {}", version.file.display())
}

/// Waits for the answers to one message, and counts the statements that completed.
pub(super) async fn answers(
    stream: SimpleQueryStream,
    completed: &mut usize,
) -> Result<(), tokio_postgres::Error> {
    let mut messages = pin!(stream);
    while let Some(message) = messages.try_next().await? {
        *completed += usize::from(matches!(message, SimpleQueryMessage::CommandComplete(_)));
    }
    Ok(())
}

impl AsyncTransaction for Applier<'_> {
    type Error = Refused;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Refused> {
        let queries: Vec<&str> = queries.collect();
        let result = match (queries.as_slice(), self.todo.front().copied()) {
            ([statement], _) => self.create_history(statement).await,
            ([text, history_row], Some(version)) if *text == version.text() => {
                self.todo.pop_front();
                self.apply(version, history_row).await
            }
            _ => Err(Error::Diverged(vec!["refinery's order of the versions is not ours".to_owned()])),
        };
        result.map(|()| queries.len()).map_err(|error| {
            self.failure = Some(error);
            Refused
        })
    }
}

impl AsyncQuery<Vec<Migration>> for Applier<'_> {
    /// refinery asks for the history: the plan has read it under the lock and found that it agrees with the folder.
    async fn query<'a>(&'a mut self, _query: &'a str) -> Result<Vec<Migration>, Refused> {
        Ok(self.newest.iter().cloned().collect())
    }
}

impl AsyncMigrate for Applier<'_> {}
