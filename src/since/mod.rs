//! What has become of a source since its rows were brought, and of the rows: an old application that still writes to
//! the file, or a target that is empty while the file is full. In go the applied versions and what the receipts say;
//! out comes a [`Since`] for each data step. Cheap first: only a file in another state than the receipt's is looked
//! into, as far as the [`Effort`] goes. A source that cannot be looked into is no reason for a command to fail.

mod words;

use crate::copy::brought::Brought;
use crate::copy::compare::{self, Asked, Changes};
use crate::copy::progress::Progress;
use crate::error::Error;
use crate::migration::Version;
use crate::migration::step::Step;
use crate::postgres::{interrupt::Interrupt, reading};
use crate::sqlite::{Fingerprint, Source};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Client;
pub use words::Said;

/// A writer of the source is waited for no longer than this.
const WAIT: Duration = Duration::from_secs(2);

/// A policy that hides rows would make them look new.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL row_security = off";

/// How much a look may cost.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// A file of the size and with the change counter that it had is hashed up to this many bytes, and else taken to be
    /// the same one.
    hash_bytes: u64,
    /// The rows of a file that has changed are counted up to this many bytes, if that is not 0. A count that is given
    /// up is left in the session.
    count_bytes: u64,
    /// Hashing and counting take no longer than this, all steps together.
    patience: Duration,
}

impl Effort {
    /// A fraction of a second, and nothing is counted.
    pub const GLANCE: Effort =
        Effort { hash_bytes: 64 << 20, count_bytes: 0, patience: Duration::from_secs(5) };
    /// The same if nothing has changed, and otherwise seconds, in a session that does nothing else afterwards.
    pub const SECONDS: Effort =
        Effort { hash_bytes: 64 << 20, count_bytes: 16 << 20, patience: Duration::from_secs(5) };
    /// Whatever can be counted while somebody waits; `outgrow verify` has no limit.
    pub const WHOLE: Effort =
        Effort { hash_bytes: u64::MAX, count_bytes: u64::MAX, patience: Duration::from_secs(60) };
}

/// How far a look may still go.
struct Limit {
    effort: Effort,
    end: Instant,
    /// A count was given up, and its query is still in the session.
    session_left: bool,
    /// A signal ends the hashing as well.
    interrupt: Interrupt,
}

impl Limit {
    fn of(effort: Effort, interrupt: &Interrupt) -> Limit {
        let (end, interrupt) = (Instant::now() + effort.patience, interrupt.clone());
        Limit { effort, end, session_left: false, interrupt }
    }

    /// Why something was not counted.
    fn over(&self) -> String {
        format!("that takes longer than {}", humantime::format_duration(self.effort.patience))
    }

    /// Whether `source` is in another state than `then`, as [`Fingerprint::differs_from`] has it, told by a thread of
    /// its own.
    async fn differs(
        &self,
        then: &Fingerprint,
        source: &Path,
    ) -> Result<Result<Option<bool>, Elapsed>, Error> {
        let (sender, mut receiver) = oneshot::channel();
        let (then, file, at_most) = (then.clone(), source.to_owned(), self.effort.hash_bytes);
        let interrupt = self.interrupt.clone();
        let running = tokio::task::spawn_blocking(move || {
            let found = then.differs_from(&file, at_most, &|| !sender.is_closed() && !interrupt.signalled());
            // fails only if nobody waits
            let _ = sender.send(found);
        });
        match timeout_at(self.end, &mut receiver).await {
            Ok(found) => Ok(Ok(found.map_err(std::io::Error::other)??)),
            Err(elapsed) => {
                drop(receiver);
                // a source may be opened next, and the thread's closing the file would let go of its locks
                running.await.map_err(std::io::Error::other)?;
                Ok(Err(elapsed))
            }
        }
    }

    /// Whether `source` is as one of the `others` was.
    async fn is_one_of(&self, others: &[&Brought], source: &Path) -> Result<bool, Elapsed> {
        for then in others.iter().filter_map(|other| other.source.as_ref()) {
            // a state that cannot be told is none that is known
            if let Ok(differs) = self.differs(then, source).await
                && differs? == Some(false)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
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

/// Looks at every data step among the versions `applied`, all that are, in order; `brought` is what the receipts say.
pub async fn look(
    client: &Client,
    source: &Path,
    applied: &[&Version],
    brought: &BTreeMap<i32, Brought>,
    effort: Effort,
    interrupt: &Interrupt,
) -> Vec<Since> {
    let (mut found, mut limit) = (Vec::new(), Limit::of(effort, interrupt));
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
        let asked = Asked {
            version,
            step,
            later: &applied[index + 1..],
            by_number: false,
            show_values: false,
            progress: &Progress::default(),
        };
        let others =
            brought.values().filter(|other| Some(other.version) != receipt.map(|receipt| receipt.version));
        let others: Vec<&Brought> = others.collect();
        if let Err(error) = since.ask(client, source, receipt, &others, asked, &mut limit).await
            && !interrupt.signalled()
        {
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
        limit: &mut Limit,
    ) -> Result<(), Error> {
        let copied = receipt.and_then(|receipt| Some((receipt, receipt.source.as_ref()?)));
        if let Some((_, then)) = copied {
            match limit.differs(then, source).await? {
                Ok(differs) => self.source_changed = differs,
                Err(_) => self.not_counted = Some(limit.over()),
            }
        }
        // the file that another step was copied from says nothing of this one's
        if self.source_changed == Some(true) {
            match limit.is_one_of(others, source).await {
                Ok(false) => {}
                Ok(true) => {
                    self.source_changed = None;
                    return Ok(());
                }
                Err(_) => (self.source_changed, self.not_counted) = (None, Some(limit.over())),
            }
        }
        if copied.is_none_or(|(receipt, _)| receipt.empty == Some(true)) && !limit.session_left {
            self.missing_in_target = missing(client, source, asked.step, &limit.interrupt).await?;
        }
        let most = limit.effort.count_bytes;
        let small = || most > 0 && std::fs::metadata(source).is_ok_and(|file| file.len() <= most);
        if let (Some((receipt, _)), Some(true)) = (copied, self.source_changed)
            && self.missing_in_target.is_empty()
            && small()
        {
            match timeout_at(limit.end, counted(client, source, asked, receipt, &limit.interrupt)).await {
                Ok(Ok(changes)) => self.changes = Some(changes),
                Ok(Err(error)) => self.not_counted = Some(error.to_string()),
                Err(_) => {
                    limit.session_left = true;
                    self.not_counted = Some(limit.over());
                }
            }
        }
        Ok(())
    }
}

/// The step's tables that hold rows in the source, if all of them are empty in the target.
async fn missing(
    client: &Client,
    source: &Path,
    step: &Step,
    interrupt: &Interrupt,
) -> Result<Vec<String>, Error> {
    let full = compare::tables_with_rows(&Source::open(source, WAIT, interrupt.ended())?, step)?;
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
    interrupt: &Interrupt,
) -> Result<Changes, Error> {
    let source = Source::open(source, WAIT, interrupt.ended())?;
    reading::begin(client, BEGIN, WAIT).await?;
    let changes = compare::changes(client, source, asked, &receipt.tables).await;
    reading::end(client).await?;
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_ends_with_the_patience() -> Result<(), Error> {
        let file = tempfile::NamedTempFile::new()?;
        file.as_file().set_len(1 << 40)?;
        let then = Fingerprint {
            name: String::new(),
            bytes: 1 << 40,
            sha256: String::new(),
            change_counter: None,
            changed_during_copy: false,
        };
        let limit =
            Limit::of(Effort { patience: Duration::from_millis(50), ..Effort::WHOLE }, &Interrupt::default());
        assert!(limit.differs(&then, file.path()).await?.is_err());
        let mut since = Since {
            version: 2,
            label: "V2__import".to_owned(),
            source_changed: None,
            changes: None,
            not_counted: Some(limit.over()),
            missing_in_target: Vec::new(),
            source: "app.db".to_owned(),
            without_data: false,
        };
        let said = since.says();
        assert!(
            said[0].found.ends_with("is not known (not counted: that takes longer than 50ms)"),
            "{said:?}"
        );
        (since.source_changed, since.not_counted) =
            (Some(true), Some("no room\n  next: make some".to_owned()));
        assert!(since.says()[0].found.ends_with("(not counted: no room; make some)"));
        (since.source_changed, since.not_counted) = (None, None);
        assert!(since.says().is_empty());
        Ok(())
    }
}
