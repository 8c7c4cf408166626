//! `outgrow doctor`: whether a run from here, against this target, with this source, would succeed. In go the resolved
//! configuration and nothing else; out comes a [`Finding`] for each thing that a run depends on, with what to do about
//! it. What cannot be asked is itself a finding. Nothing is changed, and no lock is taken.

mod ground;
mod others;
mod rights;
mod server;
mod source;
mod taken;

use crate::config::{Config, DatabaseUrl};
use crate::error::{Error, ExitCode};
use crate::migration::{self, Version};
use crate::plan::{self, Plan};
use crate::postgres::session::Session;
use crate::postgres::{self, interrupt::Interrupt};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryRow};

/// The server's answers, a few dozen small ones, take no longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A table that somebody keeps locked for longer is a finding.
const LOCK: Duration = Duration::from_secs(2);

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// A run may succeed, and somebody should look at this.
    Warning,
    /// A run would fail.
    Problem,
}

/// One thing that a run depends on.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, such as `server` or `rights`.
    pub about: &'static str,
    /// Whether it is as it should be.
    pub state: State,
    /// What was found; never a secret or a row's content.
    pub found: String,
    /// What to do, unless it is as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Finding {
    fn ok(about: &'static str, found: impl Into<String>) -> Finding {
        Finding { about, state: State::Ok, found: found.into(), next: None }
    }

    fn warning(about: &'static str, found: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding { about, state: State::Warning, found: found.into(), next: Some(next.into()) }
    }

    fn problem(about: &'static str, found: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding { about, state: State::Problem, found: found.into(), next: Some(next.into()) }
    }

    /// An error says itself what to do next.
    fn failed(about: &'static str, error: &Error) -> Finding {
        Finding { about, state: State::Problem, found: error.to_string(), next: None }
    }
}

/// What `outgrow doctor` answers.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// The database, without its password, if one is named.
    pub database: Option<String>,
    /// There is no problem: a run would succeed, as far as can be seen from here.
    pub ready: bool,
    /// What the connection took, TLS and authentication included.
    pub connect_milliseconds: Option<f64>,
    /// What one round trip takes: the median of several.
    pub round_trip_milliseconds: Option<f64>,
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// How many findings are of that state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    /// 0 or 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.ready { ExitCode::Done } else { ExitCode::No }
    }
}

/// Looks at everything, whatever the first fault.
///
/// # Errors
/// [`Error::Config`] if a signal came: whatever else goes wrong is a finding.
pub async fn doctor(config: &Config, interrupt: &Interrupt) -> Result<Diagnosis, Error> {
    let mut diagnosis = Diagnosis {
        database: config.database().ok().map(ToString::to_string),
        ready: false,
        connect_milliseconds: None,
        round_trip_milliseconds: None,
        findings: Vec::new(),
    };
    let versions = migration::load(&config.migrations);
    diagnosis.findings.extend(ground::platform(config));
    let session = match config.database() {
        Ok(url) => reach(url, interrupt, &mut diagnosis).await,
        Err(error) => {
            diagnosis.findings.push(Finding::failed("target", &error));
            None
        }
    };
    if let Err(error) = &versions {
        diagnosis.findings.push(Finding::failed("versions", error));
    }
    let versions = versions.unwrap_or_default();
    let plan = match &session {
        Some((url, session)) => {
            diagnosis.findings.extend(ground::environment(config, url, &session.address));
            let asking = target(config, url, session, &versions, &mut diagnosis);
            match timeout(PATIENCE, asking).await {
                Ok(plan) => plan,
                Err(_) => {
                    let found =
                        format!("no answer to a question in {}", humantime::format_duration(PATIENCE));
                    let next = "look at what the server is doing, and at the network between";
                    diagnosis.findings.push(Finding::problem("server", found, next));
                    None
                }
            }
        }
        None => None,
    };
    let client = session.as_ref().map(|(_, session)| &session.client);
    diagnosis.findings.extend(source::source(config, &versions, plan.as_ref(), client, interrupt).await);
    if interrupt.signalled() {
        return Err(Error::Config("the diagnosis was interrupted".into()));
    }
    diagnosis.ready = diagnosis.count(State::Problem) == 0;
    Ok(diagnosis)
}

/// Resolves and connects.
async fn reach<'a>(
    url: &'a DatabaseUrl,
    interrupt: &Interrupt,
    diagnosis: &mut Diagnosis,
) -> Option<(&'a DatabaseUrl, Session)> {
    match postgres::open(url, interrupt).await {
        Ok(session) => {
            let took = session.took.as_secs_f64() * 1000.0;
            diagnosis.connect_milliseconds = Some(took);
            diagnosis.findings.push(server::connection(url, &session, took));
            Some((url, session))
        }
        Err(error) => {
            diagnosis.findings.push(Finding::failed("connection", &error));
            None
        }
    }
}

/// What the server says of itself, of this role and of others.
async fn target<'v>(
    config: &Config,
    url: &DatabaseUrl,
    session: &Session,
    versions: &'v [Version],
    diagnosis: &mut Diagnosis,
) -> Option<Plan<'v>> {
    let client = &session.client;
    match server::round_trip(client).await {
        Ok((milliseconds, finding)) => {
            diagnosis.round_trip_milliseconds = Some(milliseconds);
            diagnosis.findings.push(finding);
        }
        Err(error) => diagnosis.findings.push(Finding::failed("round trip", &error)),
    }
    let mut ask = |about, answer: Result<Vec<Finding>, Error>| {
        diagnosis.findings.extend(answer.unwrap_or_else(|error| vec![Finding::failed(about, &error)]));
    };
    ask("server", server::server(client).await);
    ask("tls", server::tls(client, url, session).await);
    // before there is a second session of ours, which takes a moment to end
    let sessions = others::sessions(client).await;
    ask("pooler", server::pooler(client, url).await);
    ask("settings", server::settings(client).await);
    let plan = match Plan::read_with_receipts(client, versions, config, LOCK).await {
        Ok(plan) => plan,
        Err(error) => {
            ask("versions", Err(error));
            return None;
        }
    };
    if !plan.history.exists {
        let found = "no history is found, and every version counts as pending";
        let other = plan::elsewhere(client).await;
        let finding = other.map(|how| how.map(|how| Finding::warning("versions", found, how)));
        ask("versions", finding.map(Vec::from_iter));
    }
    if !versions.is_empty() {
        ask("versions", Ok(ground::versions(&plan, versions)));
        ask("versions", taken::taken(client, &plan).await);
        ask("rights", rights::rights(client, &plan).await);
    }
    ask("locks", others::locks(client).await);
    ask("sessions", sessions);
    ask("disk", others::disk(client).await);
    Some(plan)
}

/// The rows of a query without parameters, as text.
async fn rows(client: &Client, doing: &str, query: &str) -> Result<Vec<SimpleQueryRow>, Error> {
    postgres::rows(client, query).await.map_err(Error::database(doing))
}
