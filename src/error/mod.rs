//! Everything that can go wrong, in the user's words: each variant names the thing (file, line, version, table,
//! column, rowid), says what to do next, and knows the exit code of the process. No message holds a password or a
//! cell's content.

mod exit;
mod report;

pub use exit::{ExitCode, Signal};
pub use report::{Misfits, Problem, SqlFailure, counted};

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use tokio_postgres::error::SqlState;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A flag, a variable or `.env` is missing or wrong; the text says which and what to write.
    #[error("{0}")]
    Config(String),
    /// A data step is to be applied or compared, and no source is named; the text says how to name one.
    #[error("{0}")]
    NoSource(String),
    /// Files under `migrations/` are refused before anything runs: all faults at once.
    #[error("{}", listed("the migrations are refused, nothing was run", .0))]
    Files(Vec<Problem>),
    /// Files under `checks/` are refused before anything runs: all faults at once.
    #[error("{}", listed("the checks are refused, nothing was run", .0))]
    Checks(Vec<Problem>),
    /// No session with the server: it cannot be reached, or it turned us away.
    #[error("no connection to {target}: {reason}")]
    Connection {
        /// User, host, port and database; never the password.
        target: String,
        /// What happened and what to look at.
        reason: String,
    },
    /// Another run holds the lock and `--lock-timeout` is over.
    #[error("{0}")]
    Locked(String),
    /// A lock on a table was waited for in vain, and somebody is seen to hold one.
    #[error("{source}\n  {holder}")]
    Held {
        /// Who, and the statement that would end that session.
        holder: String,
        /// What was refused.
        source: Box<Error>,
    },
    /// The history and the files disagree: every disagreement, one a line.
    #[error("{}", listed("the history diverges from the files", .0))]
    Diverged(Vec<String>),
    /// The SQLite file cannot be read as one.
    #[error("the source {} is refused: {reason}", .file.display())]
    Source {
        /// The SQLite file.
        file: PathBuf,
        /// What was found, what was expected, what to do.
        reason: String,
    },
    /// The source holds what the target cannot take: all of it, one line for each table, column and reason.
    #[error("{}", listed(&format!("the source {} is refused", .file.display()), .misfits))]
    Misfits {
        /// The SQLite file.
        file: PathBuf,
        /// What does not fit.
        misfits: Vec<String>,
    },
    /// The source holds values that the target's columns cannot take, or rows that it refuses: all of them.
    #[error("{}", unfit(file, misfits, constraints))]
    Unfit {
        /// The SQLite file.
        file: PathBuf,
        /// By table, column and reason.
        misfits: Vec<Misfits>,
        /// A line for each reason for which rows are refused.
        constraints: Vec<String>,
    },
    /// The target is not ready for the step: a table missing or not empty, a column not fed. All of it.
    #[error("{}", listed("the target is not ready for the step", .0))]
    Target(Vec<String>),
    /// Rows of the target are hidden from this role, or it may not read them: all tables of which that is so.
    #[error("{}", listed("the target cannot be read as a whole", .0))]
    Hidden(Vec<String>),
    /// Not everything in the target can go back to an SQLite file: all of it.
    #[error("{}", listed(&format!("{} was not written, because not everything goes back", .file.display()), .problems))]
    Back {
        /// The file that was to be written.
        file: PathBuf,
        /// By table, column and reason.
        problems: Vec<String>,
    },
    /// A statement of a migration file failed.
    #[error("{failure}")]
    Sql {
        /// Where, and the server's words.
        failure: Box<SqlFailure>,
        /// Its SQLSTATE.
        code: SqlState,
    },
    /// What PostgreSQL stored is not what was sent.
    #[error("{}", listed("proof failed, what is stored is not what was read", .0))]
    Proof(Vec<String>),
    /// Any of the above, in the middle of a run: which version it ended, and what stays.
    #[error("{version} {fate}; {kept}\n{source}")]
    Version {
        /// The version that failed, such as `V3__create_userexchange`.
        version: String,
        /// What became of it.
        fate: Fate,
        /// What the run applied before it.
        kept: String,
        /// Why.
        source: Box<Error>,
    },
    /// A signal ended the run.
    #[error("{}", interrupted(*signal, during.as_deref()))]
    Interrupted {
        /// Which.
        signal: Signal,
        /// What the run was doing, if a version was under way.
        during: Option<Box<Error>>,
    },
    /// A second signal, or none of the server's answers in time: we left before the rollback was confirmed.
    #[error(
        "{signal}: left before the server confirmed the rollback; it rolls back when it finds the connection closed"
    )]
    Abandoned {
        /// Which.
        signal: Signal,
    },
    /// A version that runs outside a transaction stopped on its way.
    #[error(
        "{version} stopped at its statement {at} of {of}: it runs outside a transaction, so what ran before that stays; \
         run migrate again to go on with statement {at}{kept}\n{source}"
    )]
    Stopped {
        /// The version.
        version: String,
        /// The statement, from 1.
        at: usize,
        /// How many it has.
        of: usize,
        /// What the run applied before it, after a semicolon; or nothing.
        kept: String,
        /// Why.
        source: Box<Error>,
    },
    /// The server refused one of outgrow's own statements, or the connection broke.
    #[error("{doing}: {}{}", server_message(source), next_move(source))]
    Database {
        /// What was being done, such as "reading the history".
        doing: String,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// The operating system refused something other than the files above.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// What became of a version that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing of it is kept.
    RolledBack,
    /// Nothing of it was sent.
    NotBegun,
    /// The connection broke when its commit was under way.
    Unknown,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fate::RolledBack => "failed and was rolled back",
            Fate::NotBegun => "was not run",
            Fate::Unknown => "failed, and whether the server kept it is not known: outgrow status says",
        })
    }
}

impl Error {
    /// The exit code of a process that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Error::Config(_) | Error::NoSource(_) | Error::Files(_) | Error::Checks(_) | Error::Io(_) => {
                ExitCode::Usage
            }
            Error::Connection { .. } => ExitCode::Connection,
            Error::Locked(_) => ExitCode::Locked,
            Error::Diverged(_) => ExitCode::Diverged,
            Error::Source { .. } | Error::Misfits { .. } | Error::Unfit { .. } | Error::Back { .. } => {
                ExitCode::Source
            }
            Error::Sql { code, .. } if *code == SqlState::LOCK_NOT_AVAILABLE => ExitCode::Locked,
            Error::Sql { code, .. } if ends_session(code) => ExitCode::Connection,
            Error::Target(_) | Error::Hidden(_) | Error::Sql { .. } => ExitCode::Migration,
            Error::Proof(_) => ExitCode::Proof,
            Error::Version { source, .. } if matches!(**source, Error::Io(_)) => ExitCode::Migration,
            Error::Version { source, .. } | Error::Stopped { source, .. } | Error::Held { source, .. } => {
                source.exit_code()
            }
            Error::Interrupted { signal, .. } | Error::Abandoned { signal } => ExitCode::Signal(*signal),
            Error::Database { source, .. } if source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                ExitCode::Locked
            }
            Error::Database { source, .. } if source.code().is_none_or(ends_session) => ExitCode::Connection,
            Error::Database { .. } => ExitCode::Migration,
        }
    }

    /// What the server calls it, if the server refused a statement.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match self {
            Error::Sql { code, .. } => Some(code),
            Error::Database { source, .. } => source.code(),
            Error::Held { source, .. } => source.sqlstate(),
            _ => None,
        }
    }

    /// The misfits this error is about, for reports that are more than text.
    #[must_use]
    pub fn misfits(&self) -> &[Misfits] {
        match self {
            Error::Unfit { misfits, .. } => misfits,
            Error::Version { source, .. } => source.misfits(),
            _ => &[],
        }
    }

    /// Why rows are refused, a line for each reason.
    #[must_use]
    pub fn constraints(&self) -> &[String] {
        match self {
            Error::Unfit { constraints, .. } => constraints,
            Error::Version { source, .. } => source.constraints(),
            _ => &[],
        }
    }

    /// For `map_err` on one of outgrow's own statements: `doing` says what it was for.
    pub fn database(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Error {
        let doing = doing.into();
        move |source| Error::Database { doing, source }
    }
}

fn listed<T: fmt::Display>(heading: &str, items: &[T]) -> String {
    items.iter().fold(format!("{heading}:"), |text, item| {
        format!("{text}\n  {}", item.to_string().replace('\n', "\n  "))
    })
}

fn unfit(file: &Path, misfits: &[Misfits], constraints: &[String]) -> String {
    let lines = misfits.iter().map(ToString::to_string).chain(constraints.iter().cloned());
    let lines: Vec<String> = lines.collect();
    let rules = "correct the values in the source, or write rules in the step (docs/steps.md)";
    let rows = "correct the rows in the source, leave the column behind (skip = true), or change what refuses them in a version \
                before the step; rules for misfits do not reach such rows";
    let next = match (misfits.is_empty(), constraints.is_empty()) {
        (_, true) => rules.to_owned(),
        (true, false) => rows.to_owned(),
        (false, false) => format!("{rules}; where a row is refused: {rows}"),
    };
    format!(
        "{}\n  next: {next}; nothing was kept",
        listed(&format!("the source {} is refused", file.display()), &lines)
    )
}

fn interrupted(signal: Signal, during: Option<&Error>) -> String {
    match during {
        Some(Error::Version { version, fate, kept, .. }) => {
            let fate = match fate {
                Fate::RolledBack => "was rolled back".to_owned(),
                fate => fate.to_string(),
            };
            format!("{signal}: {version} {fate}; {kept}. Run migrate again to go on")
        }
        Some(Error::Stopped { version, at, of, .. }) => {
            format!(
                "{signal}: {version} was stopped at its statement {at} of {of}; run migrate again to go on with it"
            )
        }
        _ => format!("{signal}: nothing was under way, nothing was changed"),
    }
}

/// What the server said, or else what the driver and the operating system said: tokio-postgres itself prints only
/// "db error". The DETAIL is left out, because PostgreSQL puts row content there.
#[must_use]
pub fn server_message(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let hint = said.hint().map(|hint| format!(" (hint: {hint})"));
        return format!("{} [SQLSTATE {}]{}", said.message(), said.code().code(), hint.unwrap_or_default());
    }
    match error.source() {
        Some(cause) => format!("{cause}"),
        None => format!("{error}"),
    }
}

/// What to do about what the server refuses to this role, or here.
fn next_move(error: &tokio_postgres::Error) -> String {
    let next = match error.code().map(SqlState::code) {
        Some("42501" | "3F000") => {
            "outgrow doctor says which right or schema is missing, and what to grant or create"
        }
        Some("25006") => {
            "writes are refused here: outgrow doctor says by what (a standby, a setting of role or database)"
        }
        Some("57014") => TOOK_TOO_LONG,
        _ => return String::new(),
    };
    format!("\n  next: {next}")
}

/// What to do about a statement that was cancelled.
pub(crate) const TOOK_TOO_LONG: &str = "if it took too long, --statement-timeout allows more (0s: no limit); if somebody cancelled it, run it again";

/// Whether an SQLSTATE tells of the moment (a deadlock, a lock, a cancelled statement, memory, the system) and not of
/// what was asked. (PostgreSQL: Error Codes, classes 40, 53, 55, 57 and 58.)
#[must_use]
pub fn is_circumstance(code: &SqlState) -> bool {
    ["40", "53", "55", "57", "58"].iter().any(|class| code.code().starts_with(class))
}

/// Whether an SQLSTATE is the server's last word: somebody ended the session, or the server ends. (PostgreSQL: Error
/// Codes, class 57.)
#[must_use]
pub fn ends_session(code: &SqlState) -> bool {
    code.code().starts_with("57P0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_a_version_keeps_its_exit_code() {
        let error = Error::Version {
            version: "V6__x".into(),
            fate: Fate::RolledBack,
            kept: "V1 to V5 stay".into(),
            source: Box::new(Error::Proof(vec!["user".into()])),
        };
        assert_eq!(error.exit_code(), ExitCode::Proof);
    }
}
