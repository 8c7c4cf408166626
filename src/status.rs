//! `outgrow status`: every version, applied or pending, and what has become of the source. Nothing is changed.

use crate::config::Config;
use crate::copy::PROGRESS;
use crate::error::{Error, ExitCode};
use crate::migration::{self, Kind};
use crate::plan::{self, Line, Plan, State, rfc3339};
use crate::postgres::{self, interrupt::Interrupt, limits, reading};
use crate::since::{Effort, Since};
use refinery_core::Migration;
use serde::{Serialize, Serializer};
use std::time::Duration;
use time::OffsetDateTime;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryRow};

/// What `outgrow status` answers.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The database, without its password.
    pub database: String,
    /// The newest version in the folder.
    pub head: i32,
    /// Nothing is pending, nothing diverges.
    pub at_head: bool,
    /// Every version.
    pub versions: Vec<Entry>,
    /// What has become of the source, by applied step, if one is named and there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<Since>,
    #[serde(skip)]
    code: ExitCode,
}

/// One version.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The number.
    pub version: i32,
    /// The name, without prefix and number.
    pub name: String,
    /// Prefix, number and name, such as `V1__create_user`.
    pub label: String,
    /// `sql` or `step`; unknown for a missing file.
    pub kind: Option<&'static str>,
    /// Where it stands.
    pub state: State,
    /// When it was applied, RFC 3339.
    #[serde(serialize_with = "as_rfc3339")]
    pub applied_on: Option<OffsetDateTime>,
    /// The file, as found under `--migrations`.
    pub file: Option<String>,
    /// The source that is named now is in another state than the one this step was copied from; unknown if none is
    /// named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_changed: Option<bool>,
    /// Pending, outside a transaction, and begun: so many of its statements have run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statements_done: Option<i32>,
}

fn as_rfc3339<S: Serializer>(moment: &Option<OffsetDateTime>, to: S) -> Result<S::Ok, S::Error> {
    moment.and_then(rfc3339).serialize(to)
}

impl Entry {
    fn of(line: Line<'_>) -> Option<Entry> {
        let (version, name, label) = match (line.version, line.recorded) {
            (Some(version), _) => (version.number, version.name(), version.label.clone()),
            (None, Some(recorded)) => (recorded.version(), recorded.name(), recorded.to_string()),
            (None, None) => return None,
        };
        Some(Entry {
            version,
            name: name.to_owned(),
            label,
            kind: line.version.map(|version| match version.kind {
                Kind::Sql => "sql",
                Kind::Step(_) => "step",
            }),
            state: line.state,
            applied_on: line.recorded.and_then(Migration::applied_on).copied(),
            file: line.version.map(|version| version.file.to_string_lossy().into_owned()),
            source_changed: None,
            statements_done: None,
        })
    }
}

impl Status {
    /// 0 unless `--check` was asked.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        self.code
    }
}

/// Reads the folder and the history.
///
/// # Errors
/// Those of [`migration::load`], [`crate::postgres::connect`] and [`Plan::read`].
pub async fn status(config: &Config, check: bool, interrupt: &Interrupt) -> Result<Status, Error> {
    let (versions, client, history) = plan::open(config, migration::load, interrupt).await?;
    let url = config.database()?;
    let plan = Plan::of(&versions, history);
    let mut entries: Vec<Entry> = plan.lines().filter_map(Entry::of).collect();
    // first, since a count that is given up leaves its query in the session
    note_begun(&mut entries, &client, config.lock_timeout).await?;
    let source = plan.look_back(&client, config, Effort::WHOLE, interrupt).await;
    if interrupt.signalled() {
        return Err(Error::Io(std::io::Error::other("the look at the source was given up")));
    }
    for since in &source {
        let steps = entries.iter_mut().filter(|entry| entry.version == since.version);
        steps.for_each(|entry| entry.source_changed = since.source_changed);
    }
    let (agrees, none_pending) = (plan.disagreements().is_empty(), plan.pending().is_empty());
    let code = match (agrees, none_pending) {
        _ if !check => ExitCode::Done,
        (false, _) => ExitCode::Diverged,
        (true, false) => ExitCode::No,
        (true, true) => ExitCode::Done,
    };
    Ok(Status {
        database: url.to_string(),
        head: versions.last().map_or(0, |version| version.number),
        at_head: agrees && none_pending,
        versions: entries,
        source,
        code,
    })
}

/// Notes how far pending versions came that run outside a transaction, and stopped.
async fn note_begun(entries: &mut [Entry], client: &Client, lock: Duration) -> Result<(), Error> {
    let query = format!("{}; SELECT version, done FROM {PROGRESS}", limits::lock(lock));
    let rows = match postgres::rows(client, &query).await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(()),
        Err(error) => {
            let doing = format!("reading how far versions came ({PROGRESS})");
            return Err(reading::refused(client, PROGRESS, doing, error).await);
        }
        Ok(rows) => rows,
    };
    let number = |row: &SimpleQueryRow, at| row.get(at).and_then(|number: &str| number.parse::<i32>().ok());
    for row in rows {
        let (version, done) = (number(&row, 0), number(&row, 1));
        let begun = |entry: &&mut Entry| Some(entry.version) == version && entry.state == State::Pending;
        entries.iter_mut().filter(begun).for_each(|entry| entry.statements_done = done);
    }
    Ok(())
}
