//! `outgrow migrate`: brings the target to head. The files are read and refused first, then the history; at head it
//! ends there, with one query. Otherwise the source is opened, the lock taken (if there is a session
//! to keep it), the history read again, and refinery's
//! runner is started on an `Applier`, which applies each version in a transaction of its own.

mod applier;
mod keys;
mod transaction;
mod untransacted;

use crate::cli::{MigrateArgs, Proof};
use crate::config::{Config, DatabaseUrl};
use crate::copy::{self, Receipt, progress::Progress};
use crate::error::{Error, Problem};
use crate::migration::step::Step;
use crate::migration::{self, Kind, Version};
use crate::plan::{self, Plan, State};
use crate::postgres::interrupt::Interrupt;
use crate::postgres::limits;
use crate::postgres::lock::{self, Scope};
use crate::postgres::pooler::{self, Pooling};
use crate::postgres::reading;
use crate::since::{Effort, Since};
use applier::Applier;
use keys::Loaded;
use refinery_core::Migration;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio_postgres::Client;
use transaction::{Limits, Written};

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
    /// What calls for attention about the source of steps that were applied before this run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<Since>,
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

/// Brings the target to head, or to `--to`; a data step says in `progress` how far it is.
///
/// # Errors
/// Every variant of [`Error`]; [`Error::Version`] says which version failed and what stays applied.
pub async fn migrate(
    config: &Config,
    args: &MigrateArgs,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Migrated, Error> {
    let started = Instant::now();
    let to = args.to;
    let read = move |folder: &Path| {
        let versions = migration::load(folder)?;
        let goal = goal(&versions, to)?;
        Ok((versions, goal))
    };
    let ((versions, goal), client, history) = plan::open(config, read, interrupt).await?;
    let url = config.database()?;
    let mut plan = Plan::of(&versions, history);
    plan.require_agreement()?;
    let (mut applied, mut newest) = (Vec::new(), None);
    let pending = plan.in_state(State::Pending).any(|version| version.number <= goal);
    // a session that goes on to apply versions is not one in which a count was given up
    let effort = if pending { Effort::GLANCE } else { Effort::SECONDS };
    let source = look_back(&plan, &client, config, effort, interrupt).await;
    let migrated = |version, applied| Migrated {
        database: url.to_string(),
        version,
        head: versions.last().map_or(0, |version| version.number),
        dry_run: args.dry_run,
        applied,
        source,
        seconds: started.elapsed().as_secs_f64(),
    };
    if pending {
        let pending = todo(&plan, goal);
        let source = prepare(&pending, config, args, interrupt).await?;
        if args.dry_run {
            let options = options(config, args, progress, interrupt);
            let planned = dry_run(&client, &pending, source.as_deref(), options).await?;
            return Ok(migrated(plan.history.applied.last().map(Migration::version), planned));
        }
        let scope = scope(&client, url, &pending).await?;
        if scope == Scope::Session {
            lock::acquire(&client, scope, config.lock_timeout, interrupt).await?;
            // another run may have done the work while we waited
            plan = Plan::read(&client, &versions, config.lock_timeout).await?;
            plan.require_agreement()?;
        }
        let mut applier = Applier {
            client,
            todo: todo(&plan, goal).into(),
            newest: plan.history.applied.last().cloned(),
            source,
            history_exists: plan.history.exists,
            scope,
            limits: limits(config, args),
            interrupt,
            options: options(config, args, progress, interrupt),
            applied: Vec::new(),
            loaded: Loaded::default(),
            told: false,
            written: Written::AtOnce,
            failure: None,
        };
        applier.run().await?;
        (applied, newest) = (applier.applied, applier.newest);
    }
    // another run may have applied versions while this one waited
    let before = plan.history.applied.iter().chain(&newest).map(Migration::version);
    let version = before.chain(applied.iter().map(|applied| applied.version)).max();
    Ok(migrated(version, applied))
}

/// Warns of a source that has changed since its rows were brought, and of a target that is empty while the source is
/// not.
async fn look_back(
    plan: &Plan<'_>,
    client: &Client,
    config: &Config,
    effort: Effort,
    interrupt: &Interrupt,
) -> Vec<Since> {
    let mut notes = plan.look_back(client, config, effort, interrupt).await;
    notes.retain(|since| {
        let said = since.says();
        let warnings = said.iter().filter_map(|said| Some((&said.found, said.next.as_ref()?)));
        warnings.map(|(found, next)| log::warn!("{found}\n  next: {next}")).count() > 0
    });
    notes
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

fn todo<'v>(plan: &Plan<'v>, goal: i32) -> Vec<&'v Version> {
    plan.in_state(State::Pending).filter(|version| version.number <= goal).collect()
}

/// Everything that can be refused before anything is changed: what the files hold, and whether the source is one.
async fn prepare(
    todo: &[&Version],
    config: &Config,
    args: &MigrateArgs,
    interrupt: &Interrupt,
) -> Result<Option<PathBuf>, Error> {
    let problems: Vec<Problem> = todo.iter().flat_map(|version| version.refusals()).collect();
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
    for step in steps {
        let (step, file, wait, signals) =
            (step.clone(), file.clone(), config.lock_timeout, interrupt.clone());
        interrupt.on_thread(move || copy::require_source(&step, &file, wait, &signals)).await?;
    }
    Ok(Some(file.clone()))
}

fn limits(config: &Config, args: &MigrateArgs) -> Limits {
    Limits {
        locks: config.lock_timeout,
        attempt: args.lock_attempt,
        statement: limits::of_statement(args.statement_timeout),
    }
}

/// Where there is no session to keep, the lock is held by each version's transaction: a lock of the session would be
/// taken on a process of the server that serves somebody else a moment later, and stay there.
async fn scope(client: &Client, url: &DatabaseUrl, pending: &[&Version]) -> Result<Scope, Error> {
    let what = match pooler::of(client, url).await? {
        Pooling::Session => return Ok(Scope::Session),
        Pooling::Transaction => "is a pooler in transaction mode",
        Pooling::Unknown => "may be a pooler in transaction mode (there was no second connection to tell by)",
    };
    let direct =
        "name the server's own address in MIGRATION_DATABASE_URL, DATABASE_UNPOOLED_URL or DIRECT_URL";
    if let Some(version) = pending.iter().find(|version| version.is_without_transaction()) {
        return Err(Error::Config(format!(
            "{url} {what}, and {} runs outside a transaction, where nothing would keep others out; nothing was run: {direct}",
            version.label
        )));
    }
    log::info!(target: crate::NOTICES, "{url} {what}: each version holds the lock against concurrent runs for itself");
    Ok(Scope::Transaction)
}

fn options(config: &Config, args: &MigrateArgs, progress: &Progress, interrupt: &Interrupt) -> copy::Options {
    copy::Options {
        show_values: args.show_values,
        proof: args.proof == Proof::Content,
        lock_timeout: config.lock_timeout,
        progress: progress.clone(),
        interrupt: interrupt.clone(),
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
    // behind a pooler what belongs together must be one transaction
    reading::begin(client, "BEGIN READ ONLY", options.lock_timeout).await?;
    let mut planned = Vec::new();
    let mut schema_pending = false;
    for version in pending {
        let started = Instant::now();
        let (receipt, note) = match (&version.kind, source) {
            (Kind::Sql, _) => {
                schema_pending = true;
                (None, version.is_without_transaction().then_some(untransacted::NOTE))
            }
            (Kind::Step(_), None) => (None, Some("without data")),
            (Kind::Step(step), Some(source)) => {
                match copy::dry_run(client, version, step, source, &options).await {
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
            name: version.name().to_owned(),
            label: version.label.clone(),
            receipt,
            note,
            seconds: started.elapsed().as_secs_f64(),
        });
    }
    reading::end(client).await?;
    Ok(planned)
}
