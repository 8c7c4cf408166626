//! The command line, as clap derives it: the doc comments are the help texts. What was typed goes in here;
//! what it means, together with the environment, is [`crate::config::Config`].

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Takes an application that has outgrown SQLite to PostgreSQL, and keeps its schema at head from then on.
#[derive(Debug, Parser)]
#[command(name = "outgrow", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Why there is no [`Cli`]: help or version was asked for, or the arguments make no sense.
#[derive(Debug)]
pub struct Unparsed {
    /// What to print.
    pub text: String,
    /// It was asked for.
    pub asked: bool,
    /// It quotes what was typed, a password perhaps.
    pub quotes: bool,
    /// `--json` was among the arguments.
    pub json: bool,
}

/// Parses the arguments of the process.
///
/// # Errors
/// [`Unparsed`] if there is nothing to run.
pub fn parse() -> Result<Cli, Unparsed> {
    Cli::try_parse().map_err(|error| Unparsed {
        text: error.render().to_string(),
        asked: !error.use_stderr(),
        quotes: error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        json: std::env::args_os().any(|argument| argument == "--json"),
    })
}

fn version_number(text: &str) -> Result<i32, &'static str> {
    let digits = text.strip_prefix('V').unwrap_or(text);
    digits.parse().map_err(|_| "expected the number of a version, such as 5")
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait = duration(text)?;
    if wait <= Duration::from_secs(600) { Ok(wait) } else { Err("expected at most 10m".into()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text);
    parsed.map_err(|_| "expected a number with its unit, such as 500ms, 60s or 5m".into())
}

const EXIT_CODES: &str = "\
A version is one file of the folder migrations/: V<number>__<name>.sql,
or .toml for the step that brings the rows. The newest is head.

Exit codes:
  0         done, at head, equal, passed
  1         the answer is no: pending (status --check), differences (verify),
            a failed check, a problem (doctor)
  2         wrong usage or configuration, or a file that is refused before
            anything runs
  3         no connection: network, TLS, authentication
  4         somebody else holds the lock, and the wait is over
  5         the history diverges from the files: one was edited, is missing,
            or is below head and not applied
  6         the source is refused, or (export) not everything in the target has
            a form in SQLite
  7         a migration failed, and nothing of it was kept unless it says
            no-transaction; or the target's tables are not ready, or not readable
  8         what was stored is not what was read; rolled back
  130, 143  interrupted by Ctrl-C or SIGTERM; rolled back

Flags win over the environment, the environment over .env in the current folder.";

/// Whether something is a URL where something else is expected: a message that quotes it would show its password.
#[must_use]
pub fn is_url(given: &str) -> bool {
    given.contains("://")
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Target: postgres://USER:PASSWORD@HOST:PORT/NAME [env: MIGRATION_DATABASE_URL, DATABASE_UNPOOLED_URL, DIRECT_URL,
    /// DATABASE_URL, or PGHOST and the like]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// SQLite file to bring the rows from: a path or sqlite:///PATH [env: SOURCE_DATABASE_URL]
    #[arg(long, global = true, value_name = "FILE")]
    pub source: Option<String>,
    /// Folder of the versions [env: OUTGROW_MIGRATIONS] [default: migrations]
    #[arg(long, global = true, value_name = "DIR")]
    pub migrations: Option<PathBuf>,
    /// How long to try again while the target cannot be reached yet: 0s to 10m [default: 5s, on a known platform 60s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = wait)]
    pub wait: Option<Duration>,
    /// How long to wait for a lock that somebody else holds, on target or source, such as 500ms, 60s or 5m; 0s does not
    /// wait
    #[arg(long, global = true, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on stderr; -vv and -vvv say still more. RUST_LOG overrides it, and -q
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Bring the target to head: apply every pending version, the data step included
    Migrate(MigrateArgs),
    /// Show what is applied, pending and divergent; reads only
    Status(StatusArgs),
    /// Compare source and target, cell by cell, any time after the copy; reads only; exits with 1 if they differ
    Verify(VerifyArgs),
    /// Write the target's tables to a new SQLite file that the old application opens as its own
    Export(ExportArgs),
    /// Run the acceptance checks in checks/, each in a transaction that is rolled back; exits with 1 if one fails
    Check(CheckArgs),
    /// Say whether a run from here would succeed: connection, server, rights, locks, source; changes nothing; exits
    /// with 1 if there is a problem
    Doctor,
}

/// Options of `outgrow migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Stop after version N instead of head
    #[arg(long, value_name = "N", value_parser = version_number)]
    pub to: Option<i32>,
    /// Read the source and report every misfit (a value that its target column cannot hold); write nothing, to no
    /// database
    #[arg(long)]
    pub dry_run: bool,
    /// What is compared before a data step commits
    #[arg(long, value_enum, default_value_t = Proof::Content)]
    pub proof: Proof,
    /// Show the values of misfits: they may be secrets
    #[arg(long)]
    pub show_values: bool,
    /// How long one statement of a version waits for a lock before the version is rolled back and tried again; all
    /// attempts together end with --lock-timeout
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub lock_attempt: Duration,
    /// How long one statement of a version may take; 0s is no limit [default: no limit, whatever the server or the role
    /// has]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub statement_timeout: Option<Duration>,
    /// Record pending data steps as having brought nothing, instead of copying rows: for a new installation
    #[arg(long, conflicts_with = "source")]
    pub without_data: bool,
}

/// What is compared before a data step commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Proof {
    /// Every row is read back and its content compared
    Content,
    /// Nothing, and a large source is not looked through for damage; the receipt says `unproven`
    None,
}

/// Options of `outgrow status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Exit with 1 if a version is pending, with 5 if the history diverges
    #[arg(long)]
    pub check: bool,
}

/// Options of `outgrow verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Compare what step N brought, instead of every applied step
    #[arg(long, value_name = "N", value_parser = version_number)]
    pub step: Option<i32>,
    /// Show the values of rows that differ; otherwise rows are named by id or rowid alone
    #[arg(long)]
    pub show_values: bool,
}

/// Options of `outgrow export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file to write
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace a file that is there already; a source that a step was copied from is never replaced
    #[arg(long)]
    pub force: bool,
}

/// Options of `outgrow check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Folder of the checks [env: OUTGROW_CHECKS] [default: checks]
    #[arg(long, value_name = "DIR")]
    pub checks: Option<PathBuf>,
    /// Run only checks whose path in the folder contains NAME, or matches it if it has * or ?; may be repeated
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Stop after the first check that fails
    #[arg(long)]
    pub fail_fast: bool,
    /// How long one statement of a check may take; 0s is no limit
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub statement_timeout: Duration,
    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Show all values of counterexamples, in every report; otherwise only ids and what the check's file says itself
    #[arg(long)]
    pub show_values: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
