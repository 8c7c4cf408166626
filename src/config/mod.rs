//! What was typed, the environment and `.env`, resolved once into what a command works with: flags win over the
//! environment, the environment over `.env`. Connection strings are taken apart here and only here ([`url`],
//! [`parameter`]), so that no later line can print a password.

pub mod database;
mod environment;
mod parameter;
mod password_file;
mod platform;
mod service_file;
pub mod tls;
mod url;

use crate::cli::{Global, is_url};
use crate::error::Error;
pub use database::DatabaseUrl;
use environment::Environment;
use parameter::Parameters;
pub use platform::Platform;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of the versions unless `--migrations` or `OUTGROW_MIGRATIONS` says otherwise.
const DEFAULT_MIGRATIONS: &str = "migrations";

/// The folder of the acceptance checks unless `--checks` or `OUTGROW_CHECKS` says otherwise.
const DEFAULT_CHECKS: &str = "checks";

/// Where the target is looked for, the most direct way first: behind a pooler in transaction mode a session does not
/// keep its locks and settings, so that a platform's unpooled URL is better than its pooled one.
const DATABASE_VARIABLES: [&str; 4] =
    ["MIGRATION_DATABASE_URL", "DATABASE_UNPOOLED_URL", "DIRECT_URL", "DATABASE_URL"];

/// Either of these names a target without a URL.
const LIBPQ_VARIABLES: [&str; 4] = ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"];

/// `--wait` where it is not given: on a known platform, where a run begins together with its network and with its
/// database after a restart, and elsewhere.
const WAIT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(5));

/// What every command works with.
#[derive(Debug)]
pub struct Config {
    database: Option<DatabaseUrl>,
    /// The SQLite file, if one is named.
    pub source: Option<PathBuf>,
    /// The folder of the versions.
    pub migrations: PathBuf,
    /// The folder of the acceptance checks, unless the command line names another.
    pub checks: PathBuf,
    /// How long any wait for a lock may take.
    pub lock_timeout: Duration,
    /// The hosting platform this runs on, if it is one that is known.
    pub platform: Option<Platform>,
    /// What the application calls the place it runs in (`ENVIRONMENT`), such as `production`.
    pub environment: Option<String>,
}

impl Config {
    /// Resolves flags, environment and `.env` of the current folder.
    ///
    /// # Errors
    /// [`Error::Config`] for a `.env` that does not parse or a URL that is none.
    pub fn resolve(global: &Global) -> Result<Config, Error> {
        let env = Environment::read()?;
        let platform = Platform::of(&env);
        let source = match &global.source {
            Some(file) => Some((file.clone(), "--source".to_owned())),
            None => env.get("SOURCE_DATABASE_URL"),
        };
        let default = |name: &str, otherwise: &str| {
            env.get(name).map_or_else(
                || Ok(otherwise.into()),
                |(folder, origin)| path(Path::new(&folder), &origin, "a folder"),
            )
        };
        let migrations = match &global.migrations {
            Some(given) => path(given, "--migrations", "a folder")?,
            None => default("OUTGROW_MIGRATIONS", DEFAULT_MIGRATIONS)?,
        };
        Ok(Config {
            database: database(global, &env, platform.is_some())?,
            source: source.map(|(file, origin)| source_path(&file, &origin)).transpose()?,
            migrations,
            checks: default("OUTGROW_CHECKS", DEFAULT_CHECKS)?,
            lock_timeout: global.lock_timeout,
            platform,
            environment: env.get("ENVIRONMENT").map(|(name, _)| name),
        })
    }

    /// `error` with what is true of files on this platform, if it is about a source that is not there.
    #[must_use]
    pub fn explained(&self, error: Error) -> Error {
        match (&self.platform, error) {
            (Some(platform), Error::NoSource(said)) => {
                Error::NoSource(format!("{said}\n{}", platform.missing_source()))
            }
            (Some(platform), Error::Source { file, reason }) if !file.exists() => {
                Error::Source { file, reason: format!("{reason}\n{}", platform.missing_source()) }
            }
            (_, error) => error,
        }
    }

    /// The target, or the error that says how to name one.
    ///
    /// # Errors
    /// [`Error::Config`] if no URL was given.
    pub fn database(&self) -> Result<&DatabaseUrl, Error> {
        self.database.as_ref().ok_or_else(|| {
            Error::Config(
                "no target database: set DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/NAME \
                 in the environment or in .env (or PGHOST, PGUSER, PGPASSWORD, PGDATABASE), or pass --database-url"
                    .into(),
            )
        })
    }
}

/// The path that is given at `place`, which is what is `expected` there: every message about it would quote a URL, its
/// password included.
///
/// # Errors
/// [`Error::Config`] if it is a URL.
pub fn path(given: &Path, place: &str, expected: &str) -> Result<PathBuf, Error> {
    if is_url(&given.to_string_lossy()) {
        return Err(Error::Config(format!("{place}: this is a URL, and {expected} is expected")));
    }
    Ok(given.to_owned())
}

/// The target and where it was named. A URL in the environment wins over every one in `.env`: what was set for this run
/// must not lose against what lies in a file, however direct that is.
fn database(global: &Global, env: &Environment, on_platform: bool) -> Result<Option<DatabaseUrl>, Error> {
    let given = global.database_url.clone().map(|url| (url, "--database-url".to_owned()));
    if given.as_ref().is_some_and(|(url, _)| url.trim().is_empty()) {
        return Err(Error::Config(format!(
            "--database-url: it is empty (a variable that is not set?): {}",
            url::FORM
        )));
    }
    let given = given
        .or_else(|| env.first(&DATABASE_VARIABLES))
        .or_else(|| env.first_in_file(&DATABASE_VARIABLES))
        .or_else(|| {
            let (_, origin) = LIBPQ_VARIABLES.iter().find_map(|name| env.get(name))?;
            Some((String::new(), origin))
        });
    let Some((text, origin)) = given else { return Ok(None) };
    let pairs = if text.is_empty() { Vec::new() } else { url::parse(&text, &origin)? };
    let parameters = Parameters::merge(pairs, &origin, env)?;
    let wait = global.wait.unwrap_or(if on_platform { WAIT.0 } else { WAIT.1 });
    DatabaseUrl::new(&parameters, &origin, wait).map(Some)
}

/// The path in `sqlite:///PATH` (three slashes relative, four absolute, as SQLAlchemy writes it), or the path itself.
fn source_path(given: &str, origin: &str) -> Result<PathBuf, Error> {
    let wrong = |what: &str| Err(Error::Config(format!("{origin}: {what}")));
    let path = match given.split_once("://") {
        Some((scheme, rest)) if scheme == "sqlite" || scheme.starts_with("sqlite+") => {
            let path = rest.split('?').next().unwrap_or_default();
            path.strip_prefix('/').unwrap_or(path)
        }
        Some((scheme, _)) if scheme.starts_with("postgres") => {
            return wrong(
                "this is a PostgreSQL URL, and the source is an SQLite file: expected a path or sqlite:///PATH",
            );
        }
        Some(_) => return wrong("this is a URL of something else: expected a path or sqlite:///PATH"),
        None if given.contains("password") && given.contains('=') => {
            return wrong("this is a connection string, and the source is an SQLite file: expected a path");
        }
        None if given.starts_with("sqlite:") => {
            return wrong("three slashes are missing: expected a path or sqlite:///PATH");
        }
        // as Prisma, Drizzle and SQLite itself write it
        None => match given.strip_prefix("file:") {
            Some(path) => path.split('?').next().unwrap_or_default(),
            None => given,
        },
    };
    if path.is_empty() || path == ":memory:" {
        return wrong("no file named: expected a path or sqlite:///PATH");
    }
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_as_applications_write_them() {
        let path = |given| source_path(given, "--source").map_err(|error| error.to_string());
        assert_eq!(path("a.db"), Ok("a.db".into()));
        assert_eq!(path("sqlite:///./a.db"), Ok("./a.db".into()));
        assert_eq!(path("sqlite:////data/a.db"), Ok("/data/a.db".into()));
        assert_eq!(path("sqlite+aiosqlite:///a.db?timeout=5"), Ok("a.db".into()));
        assert!(path("sqlite://").is_err());
        assert!(path("postgres://ana:x@db/app").is_err());
    }
}
