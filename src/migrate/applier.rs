//! What refinery's runner drives. In go the pending versions; each is applied in a transaction of its own, together with
//! the history row that refinery words, and out comes what was applied, or the error with what stays.

use super::Applied;
use crate::copy::{self, Receipt};
use crate::error::{Error, server_message};
use crate::migration::{Kind, Version, failure};
use crate::plan::{HISTORY, Plan};
use crate::postgres::lock;
use futures_util::TryStreamExt;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use refinery_core::{Migration, Runner, Target};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage};

/// What refinery's runner drives: it hands over each version's text together with the insert into the history, and both
/// run in one transaction here. A data step's text is not sent: the copy runs in its place.
pub(super) struct Applier<'a> {
    pub client: Client,
    /// The versions that refinery will hand over, in its order.
    pub todo: VecDeque<&'a Version>,
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
    pub(super) async fn run(&mut self, versions: &[Version], goal: i32) -> Result<(), Error> {
        let migrations: Vec<Migration> = versions.iter().map(|version| version.migration.clone()).collect();
        let runner = Runner::new(&migrations).set_target(Target::Version(goal));
        match runner.run_async(self).await {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(self.failure.take().unwrap_or_else(|| Error::Diverged(vec![error.to_string()])))
            }
        }
    }

    /// refinery's own statement, unless the `search_path` already finds the table: where a migration made a schema that
    /// now comes first, a second history would be created there.
    async fn create_history(&mut self, statement: &str) -> Result<(), Error> {
        if !self.history_exists {
            let doing = format!("creating the history {HISTORY} (the role needs CREATE on the schema)");
            self.client.batch_execute(statement).await.map_err(Error::database(doing))?;
        }
        Ok(())
    }

    /// One version and its history row, whole or not at all.
    async fn apply(&mut self, version: &Version, history_row: &str) -> Result<(), Error> {
        let started = Instant::now();
        log::info!("applying {}", version.label);
        // the file may let go of every lock of the session, and not of one that belongs to the transaction
        let begin = format!(
            "BEGIN; SET LOCAL lock_timeout = {}; SELECT pg_advisory_xact_lock({})",
            self.lock_timeout.as_millis().clamp(1, i32::MAX as u128),
            lock::KEY
        );
        self.client.batch_execute(&begin).await.map_err(Error::database("opening the transaction"))?;
        match self.transact(version, history_row).await {
            Ok(receipt) => {
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
                // if this fails the connection is gone, and the server rolls back by itself
                if let Err(rollback) = self.client.batch_execute("ROLLBACK").await {
                    log::debug!("rolling back: {}", server_message(&rollback));
                }
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

    async fn transact(&self, version: &Version, history_row: &str) -> Result<Option<Receipt>, Error> {
        let receipt = match (&version.kind, &self.source) {
            (Kind::Sql, _) => {
                run_sql(&self.client, version).await?;
                None
            }
            (Kind::Step(step), Some(source)) => {
                Some(copy::run(&self.client, version, step, source, &self.options).await?)
            }
            (Kind::Step(step), None) => Some(copy::without_data(&self.client, version, step).await?),
        };
        // a file may leave settings, a role, temporary tables and more behind (pg_dump empties the search_path): the
        // history must stay reachable, and the next version must start as this one did, under the lock
        let finish = format!(
            "RESET ALL; RESET SESSION AUTHORIZATION; RESET ROLE; DISCARD TEMP; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; \
             {history_row}; SELECT pg_advisory_lock({}); COMMIT",
            lock::KEY
        );
        self.client
            .batch_execute(&finish)
            .await
            .map_err(Error::database(format!("at the commit of {}", version.file.display())))?;
        Ok(receipt)
    }
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
            ([text, history_row], Some(version)) if *text == version.text => {
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
    /// refinery asks for the history with a query of its own wording; ours reads the same rows.
    async fn query<'a>(&'a mut self, _query: &'a str) -> Result<Vec<Migration>, Refused> {
        match Plan::read(&self.client, &[]).await {
            Ok(plan) => Ok(plan.history.applied),
            Err(error) => {
                self.failure = Some(error);
                Err(Refused)
            }
        }
    }
}

impl AsyncMigrate for Applier<'_> {}

/// Sends a file's text in one message. Statements complete one by one, so that an error the server gives no position for
/// can still be placed: in the one after the last that completed.
async fn run_sql(client: &Client, version: &Version) -> Result<(), Error> {
    let mut completed = 0;
    let outcome: Result<(), tokio_postgres::Error> = async {
        let mut messages = pin!(client.simple_query_raw(&version.text).await?);
        while let Some(message) = messages.try_next().await? {
            if matches!(message, SimpleQueryMessage::CommandComplete(_)) {
                completed += 1;
            }
        }
        Ok(())
    }
    .await;
    outcome.map_err(|error| match error.as_db_error() {
        Some(said) => {
            Error::Sql(Box::new(failure::located(&version.file, &version.text, said, 0, completed)))
        }
        None => Error::Database { doing: format!("running {}", version.file.display()), source: error },
    })
}
