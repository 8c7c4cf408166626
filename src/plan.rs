//! Available against applied. In go the versions of the folder and refinery's history; out comes a [`Plan`]: what is
//! pending, and every point in which the two disagree. `status` shows it; `migrate` acts on it.
//!
//! The rules are those of refinery's `verify_migrations`, which stops at the first disagreement and knows no plan.

use crate::config::Config;
use crate::copy::brought::{self, Brought};
use crate::error::{Error, server_message};
use crate::migration::Version;
use crate::postgres::catalog::{self, Instead};
use crate::postgres::{self, interrupt::Interrupt, limits, reading};
use crate::since::{self, Effort, Since};
use futures_util::TryStreamExt;
use futures_util::future::{Either, select};
use refinery_core::Migration;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

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

/// One version that the folder, the history or both know.
#[derive(Debug, Clone, Copy)]
pub struct Line<'p> {
    /// Where it stands.
    pub state: State,
    /// In the folder; none if it is missing.
    pub version: Option<&'p Version>,
    /// In the history; none if it is not applied.
    pub recorded: Option<&'p Migration>,
}

/// Every version that the folder or the history knows, by number.
#[derive(Debug)]
pub struct Plan<'v> {
    versions: &'v [Version],
    /// The history they were held against.
    pub history: History,
    places: Vec<Place>,
}

/// A line's places among the versions and in the history.
#[derive(Debug)]
struct Place {
    state: State,
    version: Option<usize>,
    recorded: Option<usize>,
}

/// Date and time as RFC 3339 spells them.
#[must_use]
pub fn rfc3339(moment: OffsetDateTime) -> Option<String> {
    moment.format(&Rfc3339).ok()
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
        if !history.exists
            && let Some(how) = elsewhere(&client).await?
        {
            log::warn!("no history {HISTORY} is found, and every version counts as pending; {how}");
        }
        Ok::<_, Error>((client, history))
    });
    let (found, (client, history)) = match select(reading, connecting).await {
        Either::Left((found, connecting)) => (found?, connecting.await?),
        Either::Right((connected, reading)) => (reading.await?, connected?),
    };
    Ok((found, client, history))
}

impl<'v> Plan<'v> {
    /// Holds `versions` against the history of `client`, without the receipts, in one round trip; a lock on it is
    /// waited for no longer than `lock`.
    ///
    /// # Errors
    /// [`Error::Database`] if the history cannot be read.
    pub async fn read(client: &Client, versions: &'v [Version], lock: Duration) -> Result<Plan<'v>, Error> {
        Ok(Plan::of(versions, history(client, false, lock).await?))
    }

    /// As [`Plan::read`], with the receipts if a source is named and there.
    ///
    /// # Errors
    /// Those of [`Plan::read`].
    pub async fn read_with_receipts(
        client: &Client,
        versions: &'v [Version],
        config: &Config,
        lock: Duration,
    ) -> Result<Plan<'v>, Error> {
        Ok(Plan::of(versions, history(client, source(config).is_some(), lock).await?))
    }

    /// Holds `versions` against `history`; both are in the order of their numbers.
    #[must_use]
    pub fn of(versions: &'v [Version], history: History) -> Plan<'v> {
        let newest = history.applied.last().map_or(-1, Migration::version);
        let missing = |recorded| Place { state: State::Missing, version: None, recorded: Some(recorded) };
        let mut places = Vec::with_capacity(versions.len());
        let mut recorded = history.applied.iter().enumerate().peekable();
        for (at, version) in versions.iter().enumerate() {
            while let Some((gone, _)) = recorded.next_if(|(_, applied)| applied.version() < version.number) {
                places.push(missing(gone));
            }
            let found = recorded.next_if(|(_, applied)| applied.version() == version.number);
            let state = match found {
                Some((_, applied)) if version.is(applied) => State::Applied,
                Some(_) => State::Divergent,
                None if version.number <= newest && version.label.starts_with('V') => State::Late,
                None => State::Pending,
            };
            places.push(Place { state, version: Some(at), recorded: found.map(|(at, _)| at) });
        }
        places.extend(recorded.map(|(gone, _)| missing(gone)));
        Plan { versions, history, places }
    }

    /// Every line, in the order of the numbers.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.places.iter().map(|place| Line {
            state: place.state,
            version: place.version.map(|at| &self.versions[at]),
            recorded: place.recorded.map(|at| &self.history.applied[at]),
        })
    }

    /// The versions of the folder that are in `state`, in order.
    pub fn in_state(&self, state: State) -> impl Iterator<Item = &'v Version> {
        let places = self.places.iter().filter(move |place| place.state == state);
        places.filter_map(|place| Some(&self.versions[place.version?]))
    }

    /// What has become of the source since the applied steps copied it, if one is named and there.
    pub async fn look_back(
        &self,
        client: &Client,
        config: &Config,
        effort: Effort,
        interrupt: &Interrupt,
    ) -> Vec<Since> {
        let (Some(source), Some(brought)) = (source(config), &self.history.brought) else {
            return Vec::new();
        };
        let applied = self.applied();
        let mut found = since::look(client, source, &applied, brought, effort, interrupt).await;
        // what a step is about to bring is not missing
        let coming: Vec<&str> = self
            .in_state(State::Pending)
            .filter_map(Version::step)
            .flat_map(|step| &step.tables)
            .map(|table| table.name.as_str())
            .collect();
        let is_coming = |table: &String| coming.iter().any(|name| name.eq_ignore_ascii_case(table));
        found.iter_mut().for_each(|since| since.missing_in_target.retain(|table| !is_coming(table)));
        found
    }

    /// Those that are applied and unchanged.
    #[must_use]
    pub fn applied(&self) -> Vec<&'v Version> {
        self.in_state(State::Applied).collect()
    }

    /// Those that are to be applied.
    #[must_use]
    pub fn pending(&self) -> Vec<&'v Version> {
        self.in_state(State::Pending).collect()
    }

    /// Every point in which folder and history disagree, and what to do about it.
    #[must_use]
    pub fn disagreements(&self) -> Vec<String> {
        let newest = self.history.applied.last().map_or(-1, Migration::version);
        let say = |line: Line<'_>| {
            let file = || line.version.map(|version| version.file.display());
            let when = || line.recorded.and_then(|recorded| rfc3339(*recorded.applied_on()?));
            let when = || when().unwrap_or_else(|| "?".to_owned());
            match line.state {
                State::Applied | State::Pending => None,
                State::Divergent => Some(format!(
                    "{} was edited or renamed after it was applied on {}: \
                     put the old file back and make the change in a new version",
                    file()?,
                    when()
                )),
                State::Missing => Some(format!(
                    "{} was applied on {} and its file is missing: put it back",
                    line.recorded?,
                    when()
                )),
                State::Late => Some(format!(
                    "{} is not applied and V{newest} above it is: \
                     give it a number above V{newest}, or U instead of V if its order does not matter",
                    file()?
                )),
            }
        };
        self.lines().filter_map(say).collect()
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
    let history = match answered(client, &first).await {
        Err(error) if receipts => {
            log::debug!("the receipts cannot be read: {}", server_message(&error));
            // if it was the history that was locked, the wait is over
            let locked = error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
            answered(client, &query(if locked { Duration::ZERO } else { lock })).await
        }
        history => history,
    };
    match history {
        Ok(Some(history)) => Ok(history),
        Ok(None) => Err(Error::Diverged(vec![format!(
            "{HISTORY} holds a row that refinery did not write: version, applied_on or checksum is none"
        )])),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(History::default()),
        Err(source) => {
            let doing = format!("reading the history {HISTORY}");
            Err(reading::refused(client, HISTORY, doing, source).await)
        }
    }
}

/// How a history in a schema that is not looked in is found, where none is: it may be the one that is meant. Not if
/// there are several, as where each tenant has a schema.
///
/// # Errors
/// [`Error::Database`].
pub async fn elsewhere(client: &Client) -> Result<Option<String>, Error> {
    Ok(match &*catalog::instead_of(client, &[HISTORY]).await? {
        [(_, Instead::Elsewhere(schema))] => Some(catalog::on_the_path(schema)),
        _ => None,
    })
}

/// What the server answers to `query`, read as it arrives; none if a row of the history is none of refinery's.
async fn answered(client: &Client, query: &str) -> Result<Option<History>, tokio_postgres::Error> {
    let mut history = Some(History { exists: true, ..History::default() });
    let mut answer = pin!(client.simple_query_raw(query).await?);
    while let Some(message) = answer.try_next().await? {
        let (SimpleQueryMessage::Row(row), Some(found)) = (message, &mut history) else { continue };
        if row.len() == 1 {
            found.brought = Some(row.get(0).map(brought::read).unwrap_or_default());
        } else if let Some(applied) = applied(&row) {
            found.applied.push(applied);
        } else {
            history = None;
        }
    }
    Ok(history)
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
