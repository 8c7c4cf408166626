//! What refinery's runner drives. In go the pending versions; each is applied in a transaction of its own, together with
//! the history row that refinery words, and out comes what was applied, or the error with what stays.

use super::Applied;
use crate::copy::{self, Receipt};
use crate::error::{Error, server_message};
use crate::migration::failure::{self, Sent};
use crate::migration::step::Step;
use crate::migration::{Kind, Version};
use crate::plan::HISTORY;
use crate::postgres::lock;
use futures_util::TryStreamExt;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use refinery_core::{Migration, Runner};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryStream};

/// Refinery's runner compares every version that it is given with every other: it is given this many at a time.
const AT_A_TIME: usize = 256;

/// The statements of [`Applier::begin`].
const OPENING: usize = 3;

/// What refinery's runner drives: it hands over each version's text together with the insert into the history, and both
/// run in one transaction here. A data step's text is not sent: the copy runs in its place.
pub(super) struct Applier<'a> {
    pub client: Client,
    /// The versions to apply, in order.
    pub todo: VecDeque<&'a Version>,
    /// The newest version that is applied: what the runner is told of the history, which the plan has been held against.
    pub newest: Option<Migration>,
    /// The source of data steps; `None` under `--without-data`.
    pub source: Option<PathBuf>,
    pub history_exists: bool,
    pub lock_timeout: Duration,
    pub options: copy::Options,
    pub applied: Vec<Applied>,
    /// Why the run ended: refinery's error carries ours only as text.
    pub failure: Option<Error>,
}

/// Stands for [`Applier::failure`] on its way through refinery.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(super) struct Refused;

impl Applier<'_> {
    /// Applies everything, in refinery's order.
    pub(super) async fn run(&mut self) -> Result<(), Error> {
        while !self.todo.is_empty() {
            let next = self.todo.iter().take(AT_A_TIME).map(|version| version.migration.clone());
            let migrations: Vec<Migration> = self.newest.iter().cloned().chain(next).collect();
            if let Err(error) = Runner::new(&migrations).run_async(self).await {
                return Err(self.failure.take().unwrap_or_else(|| Error::Diverged(vec![error.to_string()])));
            }
        }
        Ok(())
    }

    /// refinery's own statement, unless the `search_path` already finds the table: where a migration made a schema that
    /// now comes first, a second history would be created there.
    async fn create_history(&mut self, statement: &str) -> Result<(), Error> {
        if !self.history_exists {
            let doing = format!("creating the history {HISTORY} (the role needs CREATE on the schema)");
            self.client.batch_execute(statement).await.map_err(Error::database(doing))?;
            self.history_exists = true;
        }
        Ok(())
    }

    /// One version and its history row, whole or not at all.
    async fn apply(&mut self, version: &Version, history_row: &str) -> Result<(), Error> {
        let started = Instant::now();
        log::info!("applying {}", version.label);
        let outcome = match &version.kind {
            Kind::Sql => self.run_sql(version, history_row).await.map(|()| None),
            Kind::Step(step) => self.run_step(version, step, history_row).await.map(Some),
        };
        match outcome {
            Ok(receipt) => {
                let newest = self.newest.take().filter(|newest| newest.version() > version.number);
                self.newest = newest.or_else(|| Some(version.migration.clone()));
                self.applied.push(Applied {
                    version: version.number,
                    name: version.migration.name().to_owned(),
                    label: version.label.clone(),
                    receipt,
                    note: None,
                    seconds: started.elapsed().as_secs_f64(),
                });
                Ok(())
            }
            Err(error) => {
                let kept = match (self.applied.first(), self.applied.last()) {
                    (Some(first), Some(last)) if first.version < last.version => {
                        format!("V{} to V{} before it were applied and stay", first.version, last.version)
                    }
                    (Some(first), _) => format!("V{} before it was applied and stays", first.version),
                    _ => "nothing of it was kept".to_owned(),
                };
                Err(Error::Version { version: version.label.clone(), kept, source: Box::new(error) })
            }
        }
    }

    /// Opens the transaction of a version. Its file may let go of every lock of the session, and not of one that belongs
    /// to the transaction.
    fn begin(&self) -> String {
        format!(
            "BEGIN; SET LOCAL lock_timeout = {}; SELECT pg_advisory_xact_lock({});\n",
            self.lock_timeout.as_millis().clamp(1, i32::MAX as u128),
            lock::KEY
        )
    }

    async fn roll_back(&self) {
        // if this fails the connection is gone, and the server rolls back by itself
        if let Err(rollback) = self.client.batch_execute("ROLLBACK").await {
            log::debug!("rolling back: {}", server_message(&rollback));
        }
    }

    /// A file's statements, in one round trip: the transaction is opened in the same message, and [`finish`] follows before
    /// the server has answered. Statements complete one by one, so that an error the server gives no position for can
    /// still be placed: in the one after the last that completed.
    async fn run_sql(&self, version: &Version, history_row: &str) -> Result<(), Error> {
        let running = || Error::database(format!("running {}", version.file.display()));
        let begin = self.begin();
        // these send; what they return has yet to be waited for
        let text = format!("{begin}{}", version.text());
        let text = self.client.simple_query_raw(&text).await.map_err(running())?;
        let end = self.client.simple_query_raw(&finish(history_row)).await.map_err(running())?;
        let mut completed = 0;
        if let Err(error) = answers(text, &mut completed).await {
            // an answer that nobody reads would hold up the next one
            drop(end);
            // a text that does not parse has not opened the transaction either
            if completed > 0 {
                self.roll_back().await;
            }
            return Err(match error.as_db_error() {
                Some(_) if (1..OPENING).contains(&completed) => Error::database(OPENS)(error),
                Some(said) => {
                    let completed = completed.saturating_sub(OPENING);
                    let (file, text) = (&version.file, version.text());
                    let sent = Sent { behind: begin.len(), from: 0 };
                    Error::Sql(Box::new(failure::located(file, text, said, sent, completed)))
                }
                None => running()(error),
            });
        }
        if let Err(error) = answers(end, &mut completed).await {
            self.roll_back().await;
            return Err(Error::database(ends(version))(error));
        }
        Ok(())
    }

    async fn run_step(&self, version: &Version, step: &Step, history_row: &str) -> Result<Receipt, Error> {
        self.client.batch_execute(&self.begin()).await.map_err(Error::database(OPENS))?;
        let outcome = async {
            let receipt = match &self.source {
                Some(source) => copy::run(&self.client, version, step, source, &self.options).await?,
                None => copy::without_data(&self.client, version, step).await?,
            };
            let ended = self.client.batch_execute(&finish(history_row)).await;
            ended.map_err(Error::database(ends(version)))?;
            Ok(receipt)
        }
        .await;
        if outcome.is_err() {
            self.roll_back().await;
        }
        outcome
    }
}

const OPENS: &str = "opening the transaction";

fn ends(version: &Version) -> String {
    format!("at the commit of {}", version.file.display())
}

/// Ends the transaction of a version. A savepoint can be made inside a transaction alone: where the version's statements
/// did not run or are not in one, nothing is recorded. A file may leave settings, a role, temporary tables and more behind
/// (`pg_dump` empties the `search_path`): the history must stay reachable, and the next version must start as this one did,
/// under the lock. (PostgreSQL: SAVEPOINT; Message Flow, "Multiple Statements in a Simple Query".)
fn finish(history_row: &str) -> String {
    format!(
        "SAVEPOINT outgrow; RELEASE outgrow; RESET ALL; RESET SESSION AUTHORIZATION; RESET ROLE; DISCARD TEMP; \
         DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; {history_row}; SELECT pg_advisory_lock({}); COMMIT",
        lock::KEY
    )
}

/// Waits for the answers to one message, and counts the statements that completed.
async fn answers(stream: SimpleQueryStream, completed: &mut usize) -> Result<(), tokio_postgres::Error> {
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
