//! `outgrow status`: every version, applied or pending, and what has become of the source. Nothing is changed.

use crate::config::Config;
use crate::error::{Error, ExitCode};
use crate::migration;
use crate::plan::{self, Entry, Plan};
use crate::postgres::interrupt::Interrupt;
use crate::since::{Effort, Since};
use serde::Serialize;

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
    let mut plan = Plan::of(&versions, history);
    // first, since a count that is given up leaves its query in the session
    plan.note_begun(&client, config.lock_timeout).await?;
    let source = plan.look_back(&client, config, &versions, Effort::WHOLE, interrupt).await;
    if interrupt.signalled() {
        return Err(Error::Io(std::io::Error::other("the look at the source was given up")));
    }
    for since in &source {
        let steps = plan.entries.iter_mut().filter(|entry| entry.version == since.version);
        steps.for_each(|entry| entry.source_changed = since.source_changed);
    }
    let code = match (plan.disagreements().is_empty(), plan.pending().is_empty()) {
        _ if !check => ExitCode::Done,
        (false, _) => ExitCode::Diverged,
        (true, false) => ExitCode::No,
        (true, true) => ExitCode::Done,
    };
    Ok(Status {
        database: url.to_string(),
        head: versions.last().map_or(0, |version| version.number),
        at_head: plan.disagreements().is_empty() && plan.pending().is_empty(),
        versions: plan.entries,
        source,
        code,
    })
}
