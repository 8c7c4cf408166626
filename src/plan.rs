//! Available against applied. In go the versions of the folder and refinery's history; out comes a [`Plan`]: what is
//! pending, and every point in which the two disagree. `status` shows it; `migrate` acts on it.
//!
//! The rules are those of refinery's `verify_migrations`, which stops at the first disagreement and knows no plan.

use crate::config::Config;
use crate::copy::PROGRESS;
use crate::copy::brought::{self, Brought};
use crate::error::{Error, server_message};
use crate::migration::{Kind, Version};
use crate::postgres::{self, interrupt::Interrupt, limits, reading};
use crate::since::{self, Effort, Since};
use futures_util::future::{Either, select};
use refinery_core::Migration;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryRow};

/// refinery's default name for its history, unqualified: the first of the `search_path` that has it.
pub const HISTORY: &str = "refinery_schema_history";

/// The history as it is.
#[derive(Debug, Default)]
pub struct History {
    /// The table exists.
    pub exists: bool,
    /// What it records, by version.
    pub applied: Vec<Migration>,
    /// What the receipts say, by version, if they were asked for and could be read.
    pub brought: Option<BTreeMap<i32, Brought>>,
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In the history and unchanged.
    Applied,
    /// Not in the history, to be applied.
    Pending,
    /// In the history, with another name or text.
    Divergent,
    /// In the history, and there is no such file.
    Missing,
    /// Below the newest applied version, and not in the history: it came too late.
    Late,
}

/// One line of a plan.
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

/// Date and time as RFC 3339 spells them.
#[must_use]
pub fn rfc3339(moment: OffsetDateTime) -> Option<String> {
    moment.format(&Rfc3339).ok()
}

/// Every version that the folder or the history knows, by number.
#[derive(Debug)]
pub struct Plan {
    /// The lines.
    pub entries: Vec<Entry>,
    /// The history they were held against.
    pub history: History,
}

/// Connects and reads the history, while `read` reads the folder on a thread of its own. What is wrong with the folder
/// is reported first, and without waiting for the server.
///
/// # Errors
/// Those of `read` and [`postgres::connect`]; [`Error::Config`] if no target is named, and [`Error::Database`] if the
/// history cannot be read.
pub async fn open<T: Send + 'static>(
    config: &Config,
    read: impl FnOnce(&Path) -> Result<T, Error> + Send + 'static,
    interrupt: &Interrupt,
) -> Result<(T, Client, History), Error> {
    let folder = config.migrations.clone();
    let reading = tokio::task::spawn_blocking(move || read(&folder));
    let reading = pin!(async { reading.await.map_err(std::io::Error::from)? });
    let connecting = pin!(async {
        let client = postgres::connect(config.database()?, interrupt).await?;
        let history = history(&client, source(config).is_some(), config.lock_timeout).await?;
        Ok::<_, Error>((client, history))
    });
    let (found, (client, history)) = match select(reading, connecting).await {
        Either::Left((found, connecting)) => (found?, connecting.await?),
        Either::Right((connected, reading)) => (reading.await?, connected?),
    };
    Ok((found, client, history))
}

impl Plan {
    /// Holds `versions` against the history of `client`, without the receipts, in one round trip; a lock on it is
    /// waited for no longer than `lock`.
    ///
    /// # Errors
    /// [`Error::Database`] if the history cannot be read.
    pub async fn read(client: &Client, versions: &[Version], lock: Duration) -> Result<Plan, Error> {
        Ok(Plan::of(versions, history(client, false, lock).await?))
    }

    /// As [`Plan::read`], with the receipts if a source is named and there.
    ///
    /// # Errors
    /// Those of [`Plan::read`].
    pub async fn read_with_receipts(
        client: &Client,
        versions: &[Version],
        config: &Config,
        lock: Duration,
    ) -> Result<Plan, Error> {
        Ok(Plan::of(versions, history(client, source(config).is_some(), lock).await?))
    }

    /// Holds `versions` against `history`.
    #[must_use]
    pub fn of(versions: &[Version], history: History) -> Plan {
        let newest = history.applied.last().map_or(-1, Migration::version);
        let mut recorded = history.applied.iter().peekable();
        let mut entries: Vec<Entry> = versions
            .iter()
            .map(|version| {
                // both are in order
                while recorded.next_if(|applied| applied.version() < version.number).is_some() {}
                let applied = recorded.next_if(|applied| applied.version() == version.number);
                let state = match applied {
                    Some(applied) if *applied == version.migration => State::Applied,
                    Some(_) => State::Divergent,
                    None if version.number <= newest && version.label.starts_with('V') => State::Late,
                    None => State::Pending,
                };
                Entry {
                    version: version.number,
                    name: version.migration.name().to_owned(),
                    label: version.label.clone(),
                    kind: Some(match version.kind {
                        Kind::Sql => "sql",
                        Kind::Step(_) => "step",
                    }),
                    state,
                    applied_on: applied.and_then(Migration::applied_on).copied(),
                    file: Some(version.file.to_string_lossy().into_owned()),
                    source_changed: None,
                    statements_done: None,
                }
            })
            .collect();
        let known = |applied: &&Migration| {
            versions.binary_search_by_key(&applied.version(), |version| version.number).is_err()
        };
        entries.extend(history.applied.iter().filter(known).map(|applied| Entry {
            version: applied.version(),
            name: applied.name().to_owned(),
            label: applied.to_string(),
            kind: None,
            state: State::Missing,
            applied_on: applied.applied_on().copied(),
            file: None,
            source_changed: None,
            statements_done: None,
        }));
        entries.sort_by_key(|entry| entry.version);
        Plan { entries, history }
    }

    /// What has become of the source since the applied steps copied it, if one is named and there.
    pub async fn look_back(
        &self,
        client: &Client,
        config: &Config,
        versions: &[Version],
        effort: Effort,
        interrupt: &Interrupt,
    ) -> Vec<Since> {
        let (Some(source), Some(brought)) = (source(config), &self.history.brought) else {
            return Vec::new();
        };
        let applied = self.applied(versions);
        let mut found = since::look(client, source, &applied, brought, effort, interrupt).await;
        // what a step is about to bring is not missing
        let coming: Vec<&str> = self
            .to_apply(versions)
            .into_iter()
            .filter_map(Version::step)
            .flat_map(|step| &step.tables)
            .map(|table| table.name.as_str())
            .collect();
        let is_coming = |table: &String| coming.iter().any(|name| name.eq_ignore_ascii_case(table));
        found.iter_mut().for_each(|since| since.missing_in_target.retain(|table| !is_coming(table)));
        found
    }

    /// Those of `versions` that are applied and unchanged.
    #[must_use]
    pub fn applied<'a>(&self, versions: &'a [Version]) -> Vec<&'a Version> {
        let is_applied = |version: &&Version| {
            let found = self.entries.binary_search_by_key(&version.number, |entry| entry.version);
            found.is_ok_and(|index| self.entries[index].state == State::Applied)
        };
        versions.iter().filter(is_applied).collect()
    }

    /// Those of `versions` that are to be applied.
    #[must_use]
    pub fn to_apply<'a>(&self, versions: &'a [Version]) -> Vec<&'a Version> {
        let pending = self.pending();
        let is_pending = |version: &&Version| pending.binary_search(&version.number).is_ok();
        versions.iter().filter(is_pending).collect()
    }

    /// The numbers of the versions to apply, in order.
    #[must_use]
    pub fn pending(&self) -> Vec<i32> {
        let pending = self.entries.iter().filter(|entry| entry.state == State::Pending);
        pending.map(|entry| entry.version).collect()
    }

    /// Notes how far pending versions came that run outside a transaction, and stopped.
    pub(crate) async fn note_begun(&mut self, client: &Client, lock: Duration) -> Result<(), Error> {
        let query = format!("{}; SELECT version, done FROM {PROGRESS}", limits::lock(lock));
        let rows = match postgres::rows(client, &query).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(()),
            Err(error) => {
                let doing = format!("reading how far versions came ({PROGRESS})");
                return Err(reading::refused(client, PROGRESS, doing, error).await);
            }
            Ok(rows) => rows,
        };
        let number =
            |row: &SimpleQueryRow, at| row.get(at).and_then(|number: &str| number.parse::<i32>().ok());
        for row in rows {
            let (version, done) = (number(&row, 0), number(&row, 1));
            let begun = |entry: &&mut Entry| Some(entry.version) == version && entry.state == State::Pending;
            self.entries.iter_mut().filter(begun).for_each(|entry| entry.statements_done = done);
        }
        Ok(())
    }

    /// Every point in which folder and history disagree, and what to do about it.
    #[must_use]
    pub fn disagreements(&self) -> Vec<String> {
        let newest = self.history.applied.last().map_or(-1, Migration::version);
        let say = |entry: &Entry| {
            let (name, file) = (&entry.label, entry.file.as_deref().unwrap_or_default());
            let when = || entry.applied_on.and_then(rfc3339).unwrap_or_else(|| "?".to_owned());
            match entry.state {
                State::Applied | State::Pending => None,
                State::Divergent => Some(format!(
                    "{file} was edited or renamed after it was applied on {}: \
                     put the old file back and make the change in a new version",
                    when()
                )),
                State::Missing => {
                    Some(format!("{name} was applied on {} and its file is missing: put it back", when()))
                }
                State::Late => Some(format!(
                    "{file} is not applied and V{newest} above it is: \
                     give it a number above V{newest}, or U instead of V if its order does not matter"
                )),
            }
        };
        self.entries.iter().filter_map(say).collect()
    }

    /// Refuses to go on from a history that disagrees.
    ///
    /// # Errors
    /// [`Error::Diverged`] with every disagreement.
    pub fn require_agreement(&self) -> Result<(), Error> {
        let disagreements = self.disagreements();
        if disagreements.is_empty() { Ok(()) } else { Err(Error::Diverged(disagreements)) }
    }
}

/// The source that is named, if it is there.
fn source(config: &Config) -> Option<&Path> {
    config.source.as_deref().filter(|file| file.is_file())
}

/// The history, and the receipts with it if they are wanted. Those are no reason to fail: a table of the application's
/// may have their name.
async fn history(client: &Client, receipts: bool, lock: Duration) -> Result<History, Error> {
    let query = |lock| {
        let limit = limits::lock(lock);
        format!("{limit}; SELECT version, name, applied_on, checksum FROM {HISTORY} ORDER BY version")
    };
    let first = if receipts { format!("{}; {}", query(lock), brought::query()) } else { query(lock) };
    let rows = match postgres::rows(client, &first).await {
        Err(error) if receipts => {
            log::debug!("the receipts cannot be read: {}", server_message(&error));
            // if it was the history that was locked, the wait is over
            let locked = error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
            postgres::rows(client, &query(if locked { Duration::ZERO } else { lock })).await
        }
        rows => rows,
    };
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(History::default()),
        Err(source) => {
            return Err(
                reading::refused(client, HISTORY, format!("reading the history {HISTORY}"), source).await
            );
        }
    };
    let brought =
        rows.pop_if(|row| row.len() == 1).map(|row| row.get(0).map(brought::read).unwrap_or_default());
    let applied = rows.iter().map(applied).collect::<Option<Vec<_>>>().ok_or_else(|| {
        Error::Diverged(vec![format!(
            "{HISTORY} holds a row that refinery did not write: version, applied_on or checksum is none"
        )])
    })?;
    Ok(History { exists: true, applied, brought })
}

fn applied(row: &SimpleQueryRow) -> Option<Migration> {
    let moment = OffsetDateTime::parse(row.get(2)?, &Rfc3339).ok()?;
    Some(Migration::applied(
        row.get(0)?.parse().ok()?,
        row.get(1)?.to_owned(),
        moment,
        row.get(3)?.parse().ok()?,
    ))
}
