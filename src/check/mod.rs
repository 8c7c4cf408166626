//! `outgrow check`: the acceptance checks in `checks/`. In goes the folder; out comes a verdict for each file. Each
//! check has a session and a transaction of its own, and the transaction is always rolled back: nothing of one check
//! reaches the next one, and nothing reaches the database, but for the numbers that sequences gave out.

mod directive;
mod file;
mod rows;
mod run;

use crate::cli::CheckArgs;
use crate::config::{self, Config, DatabaseUrl};
use crate::error::{Error, ExitCode, SqlFailure};
use crate::postgres::interrupt::Interrupt;
use crate::postgres::limits;
use file::Check;
pub use rows::{Cell, Counterexamples};
use run::Limits;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// What `outgrow check` answers.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The database, without its password.
    pub database: String,
    /// Every check that was asked for passed.
    pub passed: bool,
    /// One for each check, in the order of their file names.
    pub checks: Vec<Verdict>,
    /// How long it took, connecting included.
    pub seconds: f64,
}

/// One check, run.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Its path in the folder without `.sql`: what `--only` names.
    pub check: String,
    /// The file.
    pub file: String,
    /// The first line of its leading comment.
    pub name: String,
    /// The rest of it.
    pub question: String,
    /// What came out.
    pub state: State,
    /// What the statements took on the server, without the network; those that had to be refused are not timed.
    pub server_seconds: f64,
    /// What `-- budget:` allows for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_seconds: Option<f64>,
    /// What opening the session took; the best of three where the first was over the budget.
    pub connect_seconds: f64,
    /// What `-- connect-budget:` allows for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_budget_seconds: Option<f64>,
    /// How long all of it took.
    pub seconds: f64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What came out of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every statement did what it should, and the last query found nothing.
    Passed,
    /// It did not.
    Failed,
    /// `--fail-fast`: another one failed before it.
    NotRun,
}

/// Why and where a check failed.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// The file.
    pub file: String,
    /// The line of the statement, from 1.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// What was found and what was expected.
    pub message: String,
    /// The line itself, if the server refused what stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_line: Option<String>,
    /// The server's detail, hint and context.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The rows that should not be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterexamples: Option<Counterexamples>,
}

impl From<SqlFailure> for Failure {
    fn from(failure: SqlFailure) -> Failure {
        Failure {
            file: failure.problem.file.display().to_string(),
            line: failure.problem.at.map(|(line, _)| line),
            column: failure.problem.at.map(|(_, column)| column),
            message: failure.problem.message,
            source_line: failure.line,
            notes: failure.notes,
            counterexamples: None,
        }
    }
}

impl Checked {
    /// How many checks ended so.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|verdict| verdict.state == state).count()
    }

    /// 0 or 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.passed { ExitCode::Done } else { ExitCode::No }
    }
}

/// Runs the checks, or those that `--only` names.
///
/// # Errors
/// [`Error::Checks`] with every fault of every file before anything runs, [`Error::Config`] if `--only` matches
/// nothing, and [`Error::Connection`] if the server cannot be reached any more. A check that fails is no error.
pub async fn check(config: &Config, args: &CheckArgs, interrupt: &Interrupt) -> Result<Checked, Error> {
    let started = Instant::now();
    let folder = match &args.checks {
        Some(folder) => config::path(folder, "--checks", "a folder")?,
        None => config.checks.clone(),
    };
    for name in &args.only {
        config::path(Path::new(name), "--only", "a name")?;
    }
    let checks = file::load(&folder, &args.only)?;
    let url = config.database()?;
    let limits = Limits {
        statement: limits::of_statement(Some(args.statement_timeout)),
        lock: config.lock_timeout,
        show_values: args.show_values,
    };
    let mut verdicts: Vec<Verdict> = Vec::new();
    for check in &checks {
        let failed = verdicts.iter().any(|verdict| verdict.state == State::Failed);
        if failed && args.fail_fast {
            verdicts.push(not_run(check));
            continue;
        }
        log::info!("{}", check.id);
        let verdict = run::run(check, url, interrupt, &limits).await;
        verdicts.push(verdict.map_err(|error| broken(error, check, &verdicts, url))?);
    }
    Ok(Checked {
        database: url.to_string(),
        passed: verdicts.iter().all(|verdict| verdict.state == State::Passed),
        checks: verdicts,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn not_run(check: &Check) -> Verdict {
    Verdict {
        check: check.id.clone(),
        file: check.file.display().to_string(),
        name: check.name.clone(),
        question: check.question.clone(),
        state: State::NotRun,
        server_seconds: 0.0,
        budget_seconds: check.budget.map(|budget| budget.as_secs_f64()),
        connect_seconds: 0.0,
        connect_budget_seconds: check.connect_budget.map(|budget| budget.as_secs_f64()),
        seconds: 0.0,
        failure: None,
    }
}

/// The end of the connection is the end of the run: which check it met, and what came out before it.
fn broken(error: Error, check: &Check, before: &[Verdict], url: &DatabaseUrl) -> Error {
    let reason = match error {
        Error::Connection { reason, .. } => reason,
        other => return other,
    };
    let failed: Vec<&str> = before
        .iter()
        .filter(|verdict| verdict.state == State::Failed)
        .map(|verdict| verdict.check.as_str())
        .collect();
    let before = match (before.len(), failed.is_empty()) {
        (0, _) => "no check was completed".to_owned(),
        (count, true) => format!("{count} before it passed"),
        (count, false) => format!("of {count} before it failed: {}", failed.join(", ")),
    };
    let file = check.file.display();
    Error::Connection { target: url.to_string(), reason: format!("{reason}\n  it ended {file}; {before}") }
}

/// A time for people: milliseconds below a second.
fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}
