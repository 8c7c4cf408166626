//! `outgrow verify`: the SQLite file against the database, cell by cell, any time after the copy. Both sides are read
//! in one snapshot each; nothing that stays is written, and a role that may only SELECT is enough.

use crate::cli::VerifyArgs;
use crate::config::Config;
use crate::copy::compare::{self, Asked, Compared};
use crate::copy::progress::Progress;
use crate::copy::{self, Recorded};
use crate::error::{Error, ExitCode};
use crate::migration::step::Step;
use crate::migration::{self, Version};
use crate::plan::{self, Plan, State};
use crate::postgres::{self, interrupt::Interrupt, reading};
use crate::sqlite::Source;
use serde::Serialize;
use std::time::Instant;
use tokio_postgres::Client;

/// A policy that hides rows would make them look missing: with `row_security` off the server refuses instead. Not READ
/// ONLY, for values that the server must read are put into a temporary table; all of it is rolled back.
const BEGIN: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL row_security = off; SET LOCAL jit = off";

/// What `outgrow verify` answers.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// The database, without its password.
    pub database: String,
    /// The SQLite file, as named.
    pub source: String,
    /// Nothing differs.
    pub equal: bool,
    /// Every step that was compared.
    pub steps: Vec<StepVerdict>,
    /// How long it took.
    pub seconds: f64,
}

/// One data step, compared.
#[derive(Debug, Serialize)]
pub struct StepVerdict {
    /// Its number.
    pub version: i32,
    /// Prefix, number and name, such as `V6__import`.
    pub label: String,
    /// It was recorded with `--without-data`, and is compared only if `--step` names it.
    pub without_data: bool,
    /// The source is not the file, byte by byte, that the step read; known only if something differs.
    pub source_changed: Option<bool>,
    /// What was found; `None` if it was not compared.
    #[serde(flatten)]
    pub compared: Option<Compared>,
}

impl Verified {
    /// 0 or 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.equal { ExitCode::Done } else { ExitCode::No }
    }
}

/// Compares what the applied steps brought with the source.
///
/// # Errors
/// [`Error::Config`] if there is no step, [`Error::NoSource`] if no source is named, [`Error::Source`] if it cannot be
/// read, [`Error::Diverged`] if a step's file was edited since, and those of [`postgres::connect`]. Differences are no
/// error.
pub async fn verify(
    config: &Config,
    args: &VerifyArgs,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Verified, Error> {
    let started = Instant::now();
    let versions = migration::load(&config.migrations)?;
    let url = config.database()?;
    let Some(file) = &config.source else {
        return Err(Error::NoSource(
            "no source to compare with: name the SQLite file with --source or SOURCE_DATABASE_URL".into(),
        ));
    };
    let client = postgres::connect(url, interrupt).await?;
    reading::begin(&client, BEGIN, config.lock_timeout).await?;
    reading::require(&client, &[plan::HISTORY], false).await?;
    let plan = Plan::read(&client, &versions, config.lock_timeout).await?;
    let mut steps = Vec::new();
    for (version, step) in applied(&plan, args.step)? {
        let recorded = copy::recorded(&client, version.number).await;
        let recorded = reading::explained(&client, recorded).await?;
        steps.push((version, step, recorded));
    }
    if steps.iter().all(|(_, _, recorded)| left_out(recorded, args)) {
        return Err(Error::Config(
            "every data step was recorded with --without-data: nothing was brought, and there is nothing to compare; \
             --step N compares one nevertheless"
                .into(),
        ));
    }
    let (opened, wait, ended) = (file.clone(), config.lock_timeout, interrupt.ended());
    let mut source = interrupt.on_thread(move || Source::open(&opened, wait, ended)).await?;
    let mut verdicts = Vec::new();
    for (version, step, recorded) in steps {
        let verdict;
        let mut later = plan.applied();
        later.retain(|later| later.number > version.number);
        let asked = Asked {
            version,
            step,
            later: &later,
            by_number: args.step.is_some(),
            show_values: args.show_values,
            progress,
        };
        let compared = compare_step(&client, source, asked, &recorded, args).await;
        (source, verdict) = reading::explained(&client, compared).await?;
        verdicts.push(verdict);
    }
    reading::end(&client).await?;
    Ok(Verified {
        database: url.to_string(),
        source: file.display().to_string(),
        equal: verdicts.iter().all(|step| step.compared.as_ref().is_none_or(Compared::equal)),
        steps: verdicts,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn left_out(recorded: &Recorded, args: &VerifyArgs) -> bool {
    *recorded == Recorded::WithoutData && args.step.is_none()
}

async fn compare_step(
    client: &Client,
    mut source: Source,
    asked: Asked<'_>,
    recorded: &Recorded,
    args: &VerifyArgs,
) -> Result<(Source, StepVerdict), Error> {
    let mut verdict = StepVerdict {
        version: asked.version.number,
        label: asked.version.label.clone(),
        without_data: *recorded == Recorded::WithoutData,
        source_changed: None,
        compared: None,
    };
    if left_out(recorded, args) {
        return Ok((source, verdict));
    }
    let compared;
    (source, compared) = compare::compare(client, source, asked).await?;
    if let (false, Recorded::From(sha256)) = (compared.equal(), recorded) {
        verdict.source_changed = Some(source.fingerprint()?.sha256 != *sha256);
    }
    verdict.compared = Some(compared);
    Ok((source, verdict))
}

/// The applied steps, or the one that `--step` names.
fn applied<'v>(plan: &Plan<'v>, asked: Option<i32>) -> Result<Vec<(&'v Version, &'v Step)>, Error> {
    let is_asked = |version: &&Version| asked.is_none_or(|number| number == version.number);
    let edited: Vec<String> = plan
        .in_state(State::Divergent)
        .filter(|version| is_asked(version) && version.step().is_some())
        .map(|version| {
            let file = version.file.display();
            format!("{file} was edited or renamed after it was applied: put the old file back to compare what it brought")
        })
        .collect();
    if !edited.is_empty() {
        return Err(Error::Diverged(edited));
    }
    let applied = plan.in_state(State::Applied).filter(is_asked);
    let found: Vec<_> = applied.filter_map(|version| Some((version, version.step()?))).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let there = plan.lines().filter_map(|line| line.version).filter(is_asked);
    let there = there.filter_map(Version::step).count();
    Err(Error::Config(match (asked, there) {
        (Some(number), 0) => format!("--step {number}: there is no data step with this number"),
        (None, 0) => "there is no data step in the folder, and so nothing to compare".to_owned(),
        (_, _) => {
            "no data step is applied to this database, and so there is nothing to compare: run outgrow migrate first"
                .to_owned()
        }
    }))
}
