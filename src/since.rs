//! What has become of a source since its rows were brought, and of the rows: an old application that still writes to the
//! file, or a target that is empty while the file is full. In go the applied versions and what the receipts say; out comes a
//! [`Since`] for each data step. Cheap first: only a file in another state than the receipt's is looked into, as far as the
//! [`Effort`] goes. A source that cannot be looked into is no reason for a command to fail.

use crate::copy::brought::Brought;
use crate::copy::compare::{self, Asked, Changes, TableChanges};
use crate::error::Error;
use crate::migration::Version;
use crate::migration::step::Step;
use crate::postgres::reading;
use crate::sqlite::Source;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Client;

/// A writer of the source is waited for no longer than this.
const WAIT: Duration = Duration::from_secs(2);

/// A policy that hides rows would make them look new.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL row_security = off";

/// How much a look may cost.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// A file of the size and with the change counter that it had is hashed up to this many bytes, and else taken to be the
    /// same one.
    hash_bytes: u64,
    /// The rows of a file that has changed are counted up to this many bytes,
    count_bytes: u64,
    /// and for no longer than this, all steps together. What was begun is left in the session.
    patience: Duration,
}

impl Effort {
    /// A fraction of a second, and nothing is counted.
    pub const GLANCE: Effort = Effort { hash_bytes: 64 << 20, count_bytes: 0, patience: Duration::ZERO };
    /// The same if nothing has changed, and otherwise seconds, in a session that does nothing else afterwards.
    pub const SECONDS: Effort =
        Effort { hash_bytes: 64 << 20, count_bytes: 16 << 20, patience: Duration::from_secs(5) };
    /// Whatever can be counted while somebody waits; `outgrow verify` has no limit.
    pub const WHOLE: Effort =
        Effort { hash_bytes: u64::MAX, count_bytes: u64::MAX, patience: Duration::from_secs(60) };
}

/// One applied data step and its source, as they are now.
#[derive(Debug, Clone, Serialize)]
pub struct Since {
    /// The step's number.
    pub version: i32,
    /// Prefix, number and name, such as `V6__import`.
    pub label: String,
    /// The source is in another state than the one that was copied; unknown if nothing was, or if it cannot be told.
    pub source_changed: Option<bool>,
    /// How, where it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_counted: Option<String>,
    /// The step's tables of the source that hold rows, if all of its tables in the target are empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_in_target: Vec<String>,
    /// The file, as named.
    #[serde(skip)]
    source: String,
    #[serde(skip)]
    without_data: bool,
}

/// One thing to say.
#[derive(Debug)]
pub struct Said {
    /// What was found.
    pub found: String,
    /// What to do, unless all is well.
    pub next: Option<String>,
}

/// Looks at every data step among the versions `applied`, all that are, in order; `brought` is what the receipts say.
pub async fn look(
    client: &Client,
    source: &Path,
    applied: &[&Version],
    brought: &BTreeMap<i32, Brought>,
    effort: Effort,
) -> Vec<Since> {
    let (mut found, end) = (Vec::new(), Instant::now() + effort.patience);
    for (index, version) in applied.iter().enumerate() {
        let (Some(step), receipt) = (version.step(), brought.get(&version.number)) else { continue };
        let mut since = Since {
            version: version.number,
            label: version.label.clone(),
            source_changed: None,
            changes: None,
            not_counted: None,
            missing_in_target: Vec::new(),
            source: source.display().to_string(),
            without_data: receipt.is_some_and(|receipt| receipt.source.is_none()),
        };
        let asked =
            Asked { version, step, later: &applied[index + 1..], by_number: false, show_values: false };
        let others =
            brought.values().filter(|other| Some(other.version) != receipt.map(|receipt| receipt.version));
        let others: Vec<&Brought> = others.collect();
        if let Err(error) = since.ask(client, source, receipt, &others, asked, (effort, end)).await {
            log::warn!("{}: what has become of its source is not known: {error}", since.label);
        }
        found.push(since);
    }
    found
}

impl Since {
    async fn ask(
        &mut self,
        client: &Client,
        source: &Path,
        receipt: Option<&Brought>,
        others: &[&Brought],
        asked: Asked<'_>,
        (effort, end): (Effort, Instant),
    ) -> Result<(), Error> {
        let copied = receipt.and_then(|receipt| Some((receipt, receipt.source.as_ref()?)));
        if let Some((_, then)) = copied {
            self.source_changed = then.differs_from(source, effort.hash_bytes)?;
        }
        let is_of = |other: &&Brought| {
            let then = other.source.as_ref().map(|then| then.differs_from(source, effort.hash_bytes));
            matches!(then, Some(Ok(Some(false))))
        };
        // the file that another step was copied from says nothing of this one's
        if self.source_changed == Some(true) && others.iter().any(is_of) {
            self.source_changed = None;
            return Ok(());
        }
        if copied.is_none_or(|(receipt, _)| receipt.empty == Some(true)) {
            self.missing_in_target = missing(client, source, asked.step).await?;
        }
        let small = || std::fs::metadata(source).is_ok_and(|file| file.len() <= effort.count_bytes);
        if let (Some((receipt, _)), Some(true)) = (copied, self.source_changed)
            && self.missing_in_target.is_empty()
            && small()
        {
            match timeout_at(end, counted(client, source, asked, receipt)).await {
                Ok(Ok(changes)) => self.changes = Some(changes),
                Ok(Err(error)) => self.not_counted = Some(error.to_string()),
                Err(_) => {
                    let shown = humantime::format_duration(effort.patience);
                    self.not_counted = Some(format!("that takes longer than {shown}"));
                }
            }
        }
        Ok(())
    }

    /// Everything that there is to say, with what to do.
    #[must_use]
    pub fn says(&self) -> Vec<Said> {
        let (label, source) = (&self.label, &self.source);
        if !self.missing_in_target.is_empty() {
            let how = if self.without_data { ", which was recorded without data," } else { "" };
            return vec![Said {
                found: format!(
                    "the tables of {label}{how} are empty in the target, and {source} has rows in {}",
                    self.missing_in_target.join(", ")
                ),
                next: Some(
                    "if the rows belong there, migrate into a new database with this source, or bring them by a data step \
                     under the next number; if not, name no source"
                        .to_owned(),
                ),
            }];
        }
        match (self.source_changed, &self.changes) {
            (None, _) => Vec::new(),
            (Some(false), _) => {
                vec![Said { found: format!("unchanged since {label} copied it"), next: None }]
            }
            (Some(true), Some(changes)) if changes.tables.is_empty() && changes.problems.is_empty() => {
                let found = format!(
                    "{source} has changed since {label} copied it, and has no new or changed row that the target lacks"
                );
                vec![Said { found, next: None }]
            }
            (Some(true), changes) => {
                let found = match changes {
                    Some(changes) => self.in_words(changes),
                    None => format!("{source} has changed since {label} copied it"),
                };
                let not_counted = self.not_counted.as_ref().map(|why| format!(" (not counted: {why})"));
                let count = if changes.is_some() { "" } else { "outgrow status counts the rows, " };
                let next = format!(
                    "what was written to it since is not in the target: stop what still writes to it; {count}outgrow verify \
                     --step {} names them; if the file is only kept, name no source",
                    self.version
                );
                vec![Said { found: found + &not_counted.unwrap_or_default(), next: Some(next) }]
            }
        }
    }

    fn in_words(&self, changes: &Changes) -> String {
        let rows: u64 = changes.tables.iter().map(|table| table.new + table.changed).sum();
        let exact = changes.tables.iter().all(|table| table.exact || table.new + table.changed == 0);
        let up_to = if exact { "" } else { "up to " };
        let what = match rows {
            0 => "has changed".to_owned(),
            1 => format!("has {up_to}1 new or changed row"),
            _ => format!("has {up_to}{rows} new or changed rows"),
        };
        let parts = changes.tables.iter().map(in_table).chain(changes.problems.iter().cloned());
        let parts: Vec<String> = parts.collect();
        format!("{} {what} since {} copied it: {}", self.source, self.label, parts.join("; "))
    }
}

/// The counts of one table.
fn in_table(table: &TableChanges) -> String {
    let (most, least) = if table.exact { ("", "") } else { ("up to ", "at least ") };
    let counts = [
        (table.new, format!("{most}{} new", table.new)),
        (table.changed, format!("{most}{} changed", table.changed)),
        (table.deleted, format!("{least}{} deleted", table.deleted)),
    ];
    let counts = counts.into_iter().filter(|(rows, _)| *rows > 0).map(|(_, text)| text);
    let perhaps = table.not_compared.iter().map(|column| format!("perhaps {column}"));
    let parts: Vec<String> = counts.chain(perhaps).collect();
    format!("table {}, {}", table.table, parts.join(", "))
}

/// The step's tables that hold rows in the source, if all of them are empty in the target.
async fn missing(client: &Client, source: &Path, step: &Step) -> Result<Vec<String>, Error> {
    let full = compare::tables_with_rows(&Source::open(source, WAIT)?, step)?;
    if full.is_empty() {
        return Ok(full);
    }
    reading::begin(client, BEGIN, WAIT).await?;
    let empty = compare::target_is_empty(client, step).await;
    reading::end(client).await?;
    Ok(if empty? { full } else { Vec::new() })
}

async fn counted(
    client: &Client,
    source: &Path,
    asked: Asked<'_>,
    receipt: &Brought,
) -> Result<Changes, Error> {
    let source = Source::open(source, WAIT)?;
    reading::begin(client, BEGIN, WAIT).await?;
    let changes = compare::changes(client, source, asked, &receipt.tables).await;
    reading::end(client).await?;
    changes
}
