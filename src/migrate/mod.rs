//! `outgrow migrate`: brings the target to head. The files are read and refused first, then the history; at head it
//! ends there, with one query. Otherwise the source is opened, the lock taken, the history read again, and refinery's
//! runner is started on an `Applier`, which applies each version in a transaction of its own.

mod applier;

use crate::cli::{MigrateArgs, Proof};
use crate::config::Config;
use crate::copy::{self, Receipt};
use crate::error::{Error, Problem};
use crate::migration::step::Step;
use crate::migration::{self, Kind, Version, sql};
use crate::plan::Plan;
use crate::postgres::{self, interrupt::Interrupt, lock};
use applier::Applier;
use refinery_core::Migration;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio_postgres::Client;

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
    /// What a dry run did not ask of its rows, or why it says nothing of them.
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
            return dry_run(&client, &pending, source.as_deref(), options(config, args)).await.map(
                |applied| Migrated {
                    database: url.to_string(),
                    version: plan.history.applied.last().map(Migration::version),
                    head: versions.last().map_or(0, |version| version.number),
                    dry_run: true,
                    applied,
                    seconds: started.elapsed().as_secs_f64(),
                },
            );
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
            options: options(config, args),
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
        return Err(Error::NoSource(format!(
            "{} is a data step and no source is named; nothing was run. Either\n  \
             --source FILE (or SOURCE_DATABASE_URL) names the SQLite file to bring the rows from, or\n  \
             --without-data records the step as having brought nothing: right for a new installation, final for this database",
            first.label
        )));
    };
    steps.iter().try_for_each(|step| copy::require_source(step, file, options(config, args)))?;
    Ok(Some(file.clone()))
}

fn options(config: &Config, args: &MigrateArgs) -> copy::Options {
    copy::Options {
        show_values: args.show_values,
        proof: args.proof == Proof::Content,
        lock_timeout: config.lock_timeout,
    }
}

/// What a reading of the source cannot answer.
const NOT_CHECKED: &str =
    "not checked by this reading: unique keys, foreign keys, CHECKs and types that the server itself reads";

/// What would be applied. A step is read to its end if its tables are there already.
async fn dry_run(
    client: &Client,
    pending: &[&Version],
    source: Option<&Path>,
    options: copy::Options,
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
                match copy::rehearse(client, version, step, source, options).await {
                    Ok(receipt) => (Some(receipt), Some(NOT_CHECKED)),
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
