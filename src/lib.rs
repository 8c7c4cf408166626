//! outgrow takes an application that has outgrown SQLite to PostgreSQL, and keeps its schema at head from then on.
//!
//! Numbered versions in `migrations/` are applied by refinery. Bringing the rows out of the SQLite file is itself one
//! of them, a *data step*: it is recorded in the same history, in the same transaction as the rows it brought.
//!
//! # The repository, for newcomers
//!
//! `main.rs` parses, starts the log and the runtime, and calls [`run`]: one match, one line per command. A command is a
//! module with one public async function that returns one struct, which [`output`] prints as text or JSON.
//!
//! | command | path |
//! |---|---|
//! | `migrate` | [`migrate::migrate`] → [`plan::open`]: [`migration::load`] beside [`postgres::connect`] → [`plan::Plan::of`] → [`postgres::pooler`], [`postgres::lock`] → refinery's runner → its `execute` on our `Applier` → `run_sql`, [`copy::run`] or `migrate::untransacted` |
//! | `status` | [`status::status`] → [`plan::open`]: [`migration::load`] beside [`postgres::connect`] → [`plan::Plan::of`] |
//! | `check` | [`check::check`] reads the folder, then a session and a transaction for each file |
//! | `verify` | [`verify::verify`] → [`plan::Plan::read`] → [`copy::compare::compare`], which reads both sides table by table |
//! | `export` | [`export::export`] → [`plan::Plan::read`] → [`copy::back::write`], which reads the server and fills the file |
//! | `doctor` | [`doctor::doctor`] → [`postgres::open`] → [`plan::Plan::read`], and a finding for each thing a run depends on |
//!
//! What has become of the source since a step copied it, [`since`] says: at a glance for `migrate`, counted for
//! `status` and `doctor`.
//!
//! One connection: [`config`] takes the URL, libpq's variables and files apart; `postgres::wait` repeats the rounds of
//! [`postgres::session`] over hosts and addresses, with `postgres::tls`, whose certificates `postgres::certificate`
//! judges.
//!
//! One cell: [`sqlite::feed`] lends it as a borrowed value; `copy::reader` hands it to the [`value::Codec`] that
//! `copy::codec` chose for its column from the target's [`postgres::catalog`]; the codec appends COPY-binary bytes to a
//! chunk, which crosses a bounded channel to `copy::load` and goes to the server. What stands in its way there is set
//! aside by `copy::aside`; what the target's own rules ([`postgres::rule`]) refuse is found by `copy::constraint`. What
//! the way back would not give by itself, in the column's [`value::Format`], is kept by `copy::originals`;
//! [`copy::back`] is that way.
//!
//! Who may use whom, checked by a test: `main → run → commands → {copy, migration} → {sqlite, postgres} → value →
//! error`. `sqlite` and `postgres` do not know each other; only [`run`] and `main` know [`output`].

pub mod check;
pub mod cli;
pub mod config;
pub mod copy;
pub mod doctor;
pub mod error;
pub mod export;
pub mod identifier;
pub mod migrate;
pub mod migration;
pub mod output;
pub mod plan;
pub mod postgres;
pub mod since;
pub mod sqlite;
pub mod status;
pub mod value;
pub mod verify;

use cli::{Cli, Verb};
use config::Config;
use copy::progress::Progress;
use error::{Error, ExitCode};
use output::{Junit, Output, Report};
use postgres::interrupt::Interrupt;

/// The log target of what the server says unasked (RAISE NOTICE, WARNING), and of which target is taken and waited for:
/// shown unless `-q`.
pub const NOTICES: &str = "postgres";

/// The log target of what a long piece of work says of itself: shown where there is no terminal to show it on.
pub const PROGRESS: &str = "progress";

/// Runs the command and prints its result.
///
/// # Errors
/// Whatever kept the command from its work; the error knows the exit code.
pub async fn run(cli: Cli, output: &Output) -> Result<ExitCode, Error> {
    let config = Config::resolve(&cli.global)?;
    let interrupt = Interrupt::default();
    let work = async {
        match &cli.verb {
            Verb::Migrate(args) => {
                watched(output, async |progress| migrate::migrate(&config, args, &interrupt, progress).await)
                    .await
            }
            Verb::Status(args) => output.show(&status::status(&config, args.check, &interrupt).await?),
            Verb::Check(args) => {
                let junit = match &args.junit {
                    Some(file) => Some(Junit::create(&config::path(file, "--junit", "a file")?)?),
                    None => None,
                };
                let checked = check::check(&config, args, &interrupt).await?;
                junit.map_or(Ok(()), |junit| junit.write(&checked))?;
                output.show(&checked)
            }
            Verb::Verify(args) => {
                watched(output, async |progress| verify::verify(&config, args, &interrupt, progress).await)
                    .await
            }
            Verb::Export(args) => {
                watched(output, async |progress| export::export(&config, args, &interrupt, progress).await)
                    .await
            }
            Verb::Doctor => output.show(&doctor::doctor(&config, &interrupt).await?),
        }
    };
    interrupt.guard(work).await.map_err(|error| config.explained(error))
}

/// Does `work` while its progress is shown, and prints what comes of it.
async fn watched<T: Report>(
    output: &Output,
    work: impl AsyncFnOnce(&Progress) -> Result<T, Error>,
) -> Result<ExitCode, Error> {
    let progress = Progress::default();
    let watch = output.watch(&progress);
    let done = work(&progress).await;
    drop(watch);
    output.show(&done?)
}
