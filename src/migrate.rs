//! `outgrow migrate`: brings the target to head. The files are read and refused first, then the history; at head it
//! ends there, with one query. Otherwise the source is opened, the lock taken, the history read again, and refinery's
//! runner is started on an [`Applier`], which applies each version in a transaction of its own.

use crate::cli::{MigrateArgs, Proof};
use crate::config::Config;
use crate::copy::{self, Receipt};
use crate::error::{Error, Problem};
use crate::migration::step::Step;
use crate::migration::{self, Kind, Version, failure, sql};
use crate::plan::{HISTORY, Plan};
use crate::postgres::{self, interrupt::Interrupt, lock};
use futures_util::TryStreamExt;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use refinery_core::{Migration, Runner, Target};
use serde::Serialize;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage};

/// What `outgrow migrate` did.
#[derive(Debug, Serialize)]
pub struct Migrated {
    /// The database, without its password.
    pub database: String,
    /// The newest version that is applied now.
    pub version: Option<i32>,
    /// The newest version in the folder.
    pub head: i32,
    /// Nothing was written (`--dry-run`): `applied` is what would be.
    pub dry_run: bool,
    /// What this run applied, in order; empty if there was nothing to do.
    pub applied: Vec<Applied>,
    /// How long the whole run took, connecting and waiting included.
    pub seconds: f64,
}

/// One version that was applied.
#[derive(Debug, Serialize)]
pub struct Applied {
    /// Its number.
    pub version: i32,
    /// The name, without prefix and number.
    pub name: String,
    /// Prefix, number and name, such as `V1__create_user`.
    pub label: String,
    /// What it brought, if it is a data step.
    pub receipt: Option<Receipt>,
    /// Why a dry run says nothing of its rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// How long it took, commit included.
    pub seconds: f64,
}

/// Brings the target to head, or to `--to`.
///
/// # Errors
/// Every variant of [`Error`]; [`Error::Version`] says which version failed and what stays applied.
pub async fn migrate(config: &Config, args: &MigrateArgs, interrupt: &Interrupt) -> Result<Migrated, Error> {
    let started = Instant::now();
    let versions = migration::load(&config.migrations)?;
    let goal = goal(&versions, args.to)?;
    let url = config.database()?;
    let client = postgres::connect(url, interrupt).await?;
    let mut plan = Plan::read(&client, &versions).await?;
    plan.require_agreement()?;
    let mut applied = Vec::new();
    if plan.pending().iter().any(|number| *number <= goal) {
        let pending = todo(&plan, &versions, goal);
        let source = prepare(&pending, config, args)?;
        if args.dry_run {
            return dry_run(&client, &pending, source.as_deref(), args).await.map(|applied| Migrated {
                database: url.to_string(),
                version: plan.history.applied.last().map(Migration::version),
                head: versions.last().map_or(0, |version| version.number),
                dry_run: true,
                applied,
                seconds: started.elapsed().as_secs_f64(),
            });
        }
        lock::acquire(&client, config.lock_timeout).await?;
        // another run may have done the work while we waited
        plan = Plan::read(&client, &versions).await?;
        plan.require_agreement()?;
        let mut applier = Applier {
            client,
            todo: todo(&plan, &versions, goal).into(),
            source,
            history_exists: plan.history.exists,
            lock_timeout: config.lock_timeout,
            options: options(args),
            applied: Vec::new(),
            failure: None,
        };
        if !applier.todo.is_empty() {
            applier.run(&versions, goal).await?;
        }
        applied = applier.applied;
    }
    let before = plan.history.applied.iter().map(Migration::version);
    Ok(Migrated {
        database: url.to_string(),
        version: before.chain(applied.iter().map(|applied| applied.version)).max(),
        head: versions.last().map_or(0, |version| version.number),
        dry_run: args.dry_run,
        applied,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The version to stop after.
fn goal(versions: &[Version], to: Option<i32>) -> Result<i32, Error> {
    let head = versions.last().map_or(0, |version| version.number);
    match to {
        None => Ok(head),
        Some(to) if versions.iter().any(|version| version.number == to) => Ok(to),
        Some(to) => Err(Error::Config(format!(
            "--to {to}: there is no version {to}; the versions are {} to {head}",
            versions.first().map_or(0, |version| version.number)
        ))),
    }
}

fn todo<'a>(plan: &Plan, versions: &'a [Version], goal: i32) -> Vec<&'a Version> {
    let pending = plan.pending();
    versions.iter().filter(|version| version.number <= goal && pending.contains(&version.number)).collect()
}

/// Everything that can be refused before anything is changed: what the files hold, and whether the source is one.
fn prepare(todo: &[&Version], config: &Config, args: &MigrateArgs) -> Result<Option<PathBuf>, Error> {
    let problems: Vec<Problem> = todo
        .iter()
        .filter(|version| matches!(version.kind, Kind::Sql))
        .flat_map(|version| sql::refused(&version.file, &version.text, &sql::read(&version.text)))
        .collect();
    if !problems.is_empty() {
        return Err(Error::Files(problems));
    }
    let steps: Vec<&Step> = todo.iter().filter_map(|version| version.step()).collect();
    let Some(first) = todo.iter().find(|version| version.step().is_some()) else {
        return Ok(None);
    };
    if args.without_data {
        return Ok(None);
    }
    let Some(file) = &config.source else {
        return Err(Error::Config(format!(
            "{} is a data step and no source is named; nothing was run. Either\n  \
             --source FILE (or SOURCE_DATABASE_URL) names the SQLite file to bring the rows from, or\n  \
             --without-data records the step as having brought nothing: right for a new installation, final for this database",
            first.label
        )));
    };
    steps.iter().try_for_each(|step| copy::require_source(step, file))?;
    Ok(Some(file.clone()))
}

fn options(args: &MigrateArgs) -> copy::Options {
    copy::Options { show_values: args.show_values, proof: args.proof == Proof::Content }
}

/// What would be applied. A step is read to its end if its tables are there already.
async fn dry_run(
    client: &Client,
    pending: &[&Version],
    source: Option<&Path>,
    args: &MigrateArgs,
) -> Result<Vec<Applied>, Error> {
    let mut planned = Vec::new();
    let mut schema_pending = false;
    for version in pending {
        let started = Instant::now();
        let (receipt, note) = match (&version.kind, source) {
            (Kind::Sql, _) => {
                schema_pending = true;
                (None, None)
            }
            (Kind::Step(_), None) => (None, Some("without data")),
            (Kind::Step(step), Some(source)) => {
                match copy::rehearse(client, version, step, source, options(args)).await {
                    Ok(receipt) => (Some(receipt), None),
                    Err(Error::Target(_)) if schema_pending => {
                        (None, Some("not read: versions before it make its tables, apply them first (--to)"))
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        planned.push(Applied {
            version: version.number,
            name: version.migration.name().to_owned(),
            label: version.label.clone(),
            receipt,
            note,
            seconds: started.elapsed().as_secs_f64(),
        });
    }
    Ok(planned)
}

/// What refinery's runner drives: it hands over each version's text together with the insert into the history, and both
/// run in one transaction here. A data step's text is not sent: the copy runs in its place.
struct Applier<'a> {
    client: Client,
    /// The versions that refinery will hand over, in its order.
    todo: VecDeque<&'a Version>,
    /// The source of data steps; `None` under `--without-data`.
    source: Option<PathBuf>,
    history_exists: bool,
    lock_timeout: Duration,
    options: copy::Options,
    applied: Vec<Applied>,
    /// Why the run ended: refinery's error carries ours only as text.
    failure: Option<Error>,
}

/// Stands for [`Applier::failure`] on its way through refinery.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

impl Applier<'_> {
    async fn run(&mut self, versions: &[Version], goal: i32) -> Result<(), Error> {
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
                    log::debug!("rolling back: {}", crate::error::server_message(&rollback));
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
                Some(copy::run(&self.client, version, step, source, self.options).await?)
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
        Some(said) => Error::Sql(Box::new(failure::located(version, said, completed))),
        None => Error::Database { doing: format!("running {}", version.file.display()), source: error },
    })
}
