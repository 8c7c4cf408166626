//! The SQLite file: whether it is there, readable, whole, and what the pending steps expect; and what has become of it
//! since an applied step copied it ([`crate::since`]).

use super::Finding;
use crate::config::Config;
use crate::copy;
use crate::error::{Error, counted};
use crate::migration::Version;
use crate::migration::step::Step;
use crate::plan::Plan;
use crate::postgres::{interrupt::Interrupt, reading};
use crate::since::{Effort, Since};
use crate::sqlite::Source;
use crate::sqlite::schema::Kind;
use std::path::Path;
use std::time::Duration;
use tokio_postgres::Client;

/// A writer that keeps the file locked for longer is a finding.
const WAIT: Duration = Duration::from_secs(2);

/// Everything about the source; without a plan, every step counts as pending.
pub(super) async fn source(
    config: &Config,
    versions: &[Version],
    plan: Option<&Plan<'_>>,
    client: Option<&Client>,
    interrupt: &Interrupt,
) -> Vec<Finding> {
    let pending = plan.map(Plan::pending);
    let steps = pending.clone().unwrap_or_else(|| versions.iter().collect());
    let steps: Vec<&Version> = steps.into_iter().filter(|version| version.step().is_some()).collect();
    let Some(file) = config.source.as_deref() else {
        return vec![unnamed(config, plan, &steps)];
    };
    let mut findings = match state(file, interrupt) {
        Ok(findings) => findings,
        // the rows are in the target already, and nothing needs the file any more
        Err(Error::Source { .. }) if steps.is_empty() && !file.exists() => {
            let found = format!("{} is not there, and no pending version needs it", file.display());
            return vec![Finding::ok("source", found)];
        }
        Err(error) => return vec![Finding::failed("source", &config.explained(error))],
    };
    let first_sql = pending.unwrap_or_default().into_iter().find(|version| version.step().is_none());
    for version in steps {
        let Some(step) = version.step() else { continue };
        if let Err(error) = copy::require_source(step, file, WAIT, interrupt) {
            findings.push(Finding::failed("source", &error));
        } else if let Some(client) = client.filter(|_| plan.is_some()) {
            let before = first_sql.filter(|sql| sql.number < version.number);
            findings.push(fit(client, version, step, before, file, interrupt).await);
        }
    }
    if let (Some(client), Some(plan)) = (client, plan) {
        let found = plan.look_back(client, config, Effort::WHOLE, interrupt).await;
        findings.extend(found.iter().flat_map(Since::says).map(|said| match said.next {
            Some(next) => Finding::warning("source", said.found, next),
            None => Finding::ok("source", said.found),
        }));
    }
    findings
}

/// Whether the step fits the target, as far as that can be told before the versions `before` it are applied.
async fn fit(
    client: &Client,
    version: &Version,
    step: &Step,
    before: Option<&Version>,
    file: &Path,
    interrupt: &Interrupt,
) -> Finding {
    let label = &version.label;
    if let Some(before) = before {
        let found = format!(
            "{label}: not held against the target, because {} and what else comes before it is pending; outgrow migrate \
             --dry-run does, once that is applied (--to)",
            before.label
        );
        return Finding::ok("step", found);
    }
    let asked = async {
        reading::begin(client, "BEGIN READ ONLY", WAIT).await?;
        let fit = copy::require_fit(client, step, file, WAIT, interrupt).await;
        reading::end(client).await?;
        fit
    };
    match asked.await {
        Ok(()) => {
            let found = format!(
                "{label}: its tables and columns fit; its rows were not read, outgrow migrate --dry-run reads them"
            );
            Finding::ok("step", found)
        }
        Err(error) => Finding { found: format!("{label}: {error}"), ..Finding::failed("step", &error) },
    }
}

fn unnamed(config: &Config, plan: Option<&Plan<'_>>, steps: &[&Version]) -> Finding {
    let Some(first) = steps.first() else {
        return Finding::ok("source", "none named, and no pending version needs one");
    };
    let found = match plan {
        Some(_) => format!("{} is a pending data step, and no source is named", first.label),
        None => format!("{} is a data step, and no source is named", first.label),
    };
    let next =
        "name the SQLite file with --source or SOURCE_DATABASE_URL, or record the step with --without-data";
    let next = match &config.platform {
        Some(platform) => format!("{next}\n{}", platform.missing_source()),
        None => next.to_owned(),
    };
    match plan {
        Some(_) => Finding::problem("source", found, next),
        // whether it is applied already, only the target knows
        None => Finding::warning("source", found, next),
    }
}

/// The file by itself.
fn state(file: &Path, interrupt: &Interrupt) -> Result<Vec<Finding>, Error> {
    let source = Source::open(file, WAIT, interrupt.ended())?;
    let whole = if source.is_large() {
        "large, not looked through for damage"
    } else {
        source.require_sound()?;
        "no damage"
    };
    let tables = source.tables.iter().filter(|table| table.kind != Kind::Internal);
    let found = format!(
        "{}: {}, {}, {}, {whole}",
        file.display(),
        size(source.bytes()),
        counted(tables.count() as u64, "table"),
        source.journal()
    );
    let notes = source.notes.iter().map(|note| {
        Finding::warning(
            "source",
            note,
            "compare the newest rows with the application's before you rely on this file",
        )
    });
    Ok([Finding::ok("source", found)].into_iter().chain(notes).collect())
}

/// Bytes in the unit that people would use.
fn size(bytes: u64) -> String {
    match bytes {
        0..0x2800 => format!("{bytes} bytes"),
        0x2800..0xa0_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
