//! What was typed, the environment and `.env`, resolved once into what a command works with: flags win over the
//! environment, the environment over `.env`. URLs are parsed here and only here, so that no later line can print a
//! password.

use crate::cli::Global;
use crate::error::Error;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of the versions unless `--migrations` or `OUTGROW_MIGRATIONS` says otherwise.
const DEFAULT_MIGRATIONS: &str = "migrations";

/// The folder of the acceptance checks unless `--checks` or `OUTGROW_CHECKS` says otherwise.
const DEFAULT_CHECKS: &str = "checks";

/// One attempt to reach one address ends after this, unless the URL has a `connect_timeout`: long enough for a TCP
/// retransmission or two, short enough for a release command.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
}

impl Config {
    /// Resolves flags, environment and `.env` of the current folder.
    ///
    /// # Errors
    /// [`Error::Config`] for a `.env` that does not parse or a URL that is none.
    pub fn resolve(global: &Global) -> Result<Config, Error> {
        let env = Environment::read()?;
        let database = match &global.database_url {
            Some(url) => Some((url.clone(), "--database-url".to_owned())),
            None => env.get("DATABASE_URL"),
        };
        let source = match &global.source {
            Some(file) => Some((file.clone(), "--source".to_owned())),
            None => env.get("SOURCE_DATABASE_URL"),
        };
        let default = |name: &str, otherwise: &str| {
            env.get(name).map_or_else(|| otherwise.into(), |(folder, _)| folder.into())
        };
        let migrations = match &global.migrations {
            Some(given) => folder(given, "--migrations")?,
            None => default("OUTGROW_MIGRATIONS", DEFAULT_MIGRATIONS),
        };
        Ok(Config {
            database: database.map(|(url, origin)| DatabaseUrl::parse(&url, &origin)).transpose()?,
            source: source.map(|(file, origin)| source_path(&file, &origin)).transpose()?,
            migrations,
            checks: default("OUTGROW_CHECKS", DEFAULT_CHECKS),
            lock_timeout: global.lock_timeout,
        })
    }

    /// The target, or the error that says how to name one.
    ///
    /// # Errors
    /// [`Error::Config`] if no URL was given.
    pub fn database(&self) -> Result<&DatabaseUrl, Error> {
        self.database.as_ref().ok_or_else(|| {
            Error::Config(
                "no target database: set DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/NAME \
                 in the environment or in .env, or pass --database-url"
                    .into(),
            )
        })
    }
}

/// A folder that `option` names: a URL in its place would be quoted by every message about it.
///
/// # Errors
/// [`Error::Config`] if it is a URL.
pub fn folder(given: &Path, option: &str) -> Result<PathBuf, Error> {
    if given.to_string_lossy().contains("://") {
        return Err(Error::Config(format!("{option}: this is a URL, and a folder is expected")));
    }
    Ok(given.to_owned())
}

/// A PostgreSQL URL whose password never shows: [`fmt::Display`] and [`fmt::Debug`] print user, host, port, database.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: tokio_postgres::Config,
    /// Where it was given, such as `DATABASE_URL`: named in messages about it.
    pub origin: String,
}

impl DatabaseUrl {
    /// Parses `postgres://`, `postgresql://`, SQLAlchemy's `postgresql+driver://`, or `key=value` pairs.
    fn parse(url: &str, origin: &str) -> Result<DatabaseUrl, Error> {
        let wrong = |what: &str| Error::Config(format!("{origin}: {what}"));
        let url = url.trim();
        let plain = match url.split_once("://") {
            Some((scheme, _)) if scheme.starts_with("sqlite") => {
                return Err(wrong(
                    "this is an SQLite URL, and the target is a PostgreSQL database: expected postgres://…; \
                     name the SQLite file with --source or SOURCE_DATABASE_URL",
                ));
            }
            Some((scheme, rest)) => match scheme.split('+').next() {
                Some("postgres" | "postgresql") => format!("postgresql://{}", encoded(rest, origin)?),
                _ => return Err(wrong("the scheme is not one of postgres://, postgresql://")),
            },
            None if url.contains('=') => url.to_owned(),
            None => {
                return Err(wrong("not a database URL: expected postgres://USER:PASSWORD@HOST:PORT/NAME"));
            }
        };
        // the driver's own message names the parameter, never its value
        let mut config: tokio_postgres::Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            wrong(&format!(
                "does not parse ({}): expected postgres://USER:PASSWORD@HOST:PORT/NAME",
                crate::error::server_message(&error)
            ))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("no host: expected postgres://USER:PASSWORD@HOST:PORT/NAME"));
        }
        if config.get_application_name().is_none() {
            config.application_name("outgrow");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        Ok(DatabaseUrl { config, origin: origin.to_owned() })
    }

    /// What the driver connects with; it holds the password.
    #[must_use]
    pub fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use tokio_postgres::config::Host;
        let hosts = self.config.get_hosts().iter().enumerate().map(|(at, host)| {
            let ports = self.config.get_ports();
            let port = ports.get(at).or_else(|| ports.first()).unwrap_or(&5432);
            match host {
                Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(folder) => format!("{}:{port}", folder.display()),
            }
        });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        let user = self.config.get_user().unwrap_or_default();
        let database = self.config.get_dbname().unwrap_or(user);
        write!(f, "{user}@{hosts}/{database}")
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `rest` of a URL if its user and password need no percent-encoding that they lack. A raw `@ / ? #` in the password
/// would send a part of it to the resolver as a host name, and so into an error message.
fn encoded<'a>(rest: &'a str, origin: &str) -> Result<&'a str, Error> {
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    if authority.matches('@').count() > 1 || tail.contains('@') {
        return Err(Error::Config(format!(
            "{origin}: the user or the password holds a character that must be percent-encoded in a URL: \
             write %40 for @, %2F for /, %3F for ?, %23 for #, %3A for :, %25 for %"
        )));
    }
    Ok(rest)
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
        None if given.starts_with("sqlite:") || given.starts_with("file:") => {
            return wrong("three slashes are missing: expected a path or sqlite:///PATH");
        }
        None => given,
    };
    if path.is_empty() || path == ":memory:" {
        return wrong("no file named: expected a path or sqlite:///PATH");
    }
    Ok(path.into())
}

/// The process environment over `.env`.
struct Environment {
    dot_env: HashMap<String, String>,
}

impl Environment {
    fn read() -> Result<Environment, Error> {
        let mut dot_env = HashMap::new();
        let file = Path::new(".env");
        if file.is_file() {
            let lines = dotenvy::from_path_iter(file).map_err(|error| unreadable_dot_env(&error))?;
            for line in lines {
                let (name, value) = line.map_err(|error| unreadable_dot_env(&error))?;
                dot_env.insert(name, value);
            }
        }
        Ok(Environment { dot_env })
    }

    /// The value and where it stood. An empty value counts as unset, as platforms inject them.
    fn get(&self, name: &str) -> Option<(String, String)> {
        let set = |value: &String| !value.trim().is_empty();
        if let Some(value) = std::env::var(name).ok().filter(set) {
            return Some((value, name.to_owned()));
        }
        let value = self.dot_env.get(name).filter(|value| set(value))?;
        Some((value.clone(), format!("{name} in .env")))
    }
}

/// The library's message quotes the line, which may be a password: say where it is instead.
fn unreadable_dot_env(error: &dotenvy::Error) -> Error {
    Error::Config(match error {
        dotenvy::Error::LineParse(line, at) => {
            let lines = std::fs::read_to_string(".env").unwrap_or_default();
            let number = lines.find(line.trim()).map(|offset| lines[..offset].matches('\n').count());
            format!(
                ".env{}: not NAME=VALUE at character {at} (a value with blanks, quotes or # needs '…' around it)",
                number.map_or_else(String::new, |number| format!(":{}", number + 1))
            )
        }
        dotenvy::Error::Io(error) => format!(".env: {error}"),
        _ => ".env: cannot be read".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<DatabaseUrl, String> {
        DatabaseUrl::parse(url, "DATABASE_URL").map_err(|error| error.to_string())
    }

    #[test]
    fn urls_as_applications_have_them() {
        for url in [
            "postgres://ana:s3cret@db:5433/app",
            "postgresql+psycopg2://ana:s3cret@db:5433/app",
            "host=db port=5433 user=ana password=s3cret dbname=app",
        ] {
            let parsed = parse(url).expect(url);
            assert_eq!(parsed.to_string(), "ana@db:5433/app");
            assert_eq!(format!("{parsed:?}"), "ana@db:5433/app");
            assert_eq!(parsed.config().get_password(), Some(&b"s3cret"[..]));
        }
    }

    #[test]
    fn what_is_refused_never_shows_the_password() {
        for url in [
            "postgres://ana:s3@cret@db/app",
            "postgres://ana:s3/cret@db/app",
            "postgres://ana:s3#cret@db/app",
            "postgres://ana:s3?cret@db/app",
            "postgres://ana:s3cret@db:x/app",
            "postgres://ana:s3cret@db/app?sslmode=s3cret",
            "mysql://ana:s3cret@db/app",
            "sqlite:///s3cret.db",
            "s3cret",
            "postgres://",
        ] {
            let message = parse(url).expect_err(url);
            assert!(!message.contains("s3") && !message.contains("cret"), "{message}");
            assert!(message.starts_with("DATABASE_URL: "), "{message}");
        }
    }

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
