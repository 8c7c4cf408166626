//! Where the target is and how it is to be reached: libpq's parameters, judged. The password never shows.

use super::parameter::Parameters;
use super::password_file;
use super::tls::{Mode, Tls};
use crate::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};

/// One attempt to reach one address ends after this, unless the URL has a `connect_timeout`: long enough for a TCP
/// retransmission or two, short enough for a release command.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that is gone is noticed after about a minute and a half of silence: the systems' own two hours outlast any
/// release command.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 6);

/// Where servers make their Unix sockets, unless told otherwise: Debian's, and PostgreSQL's own.
const SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// A server to try.
#[derive(Clone)]
pub struct Endpoint {
    /// Where it is.
    pub host: Host,
    /// Its port, or the number in the name of its socket.
    pub port: u16,
    password: Option<String>,
}

impl Endpoint {
    pub(super) fn set_password(&mut self, password: Option<String>) {
        self.password = password;
    }
}

/// Where a server listens.
#[derive(Clone)]
pub enum Host {
    /// A folder with Unix sockets.
    Unix(PathBuf),
    /// A name or an address, and the address to use instead of what the name resolves to (`hostaddr`).
    Tcp(String, Option<IpAddr>),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Unix(folder) => write!(f, "{}:{}", folder.display(), self.port),
            Host::Tcp(name, _) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Host::Tcp(name, _) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// What a session must be (`target_session_attrs`): a query, and the answer it must have.
pub type SessionCheck = (&'static str, &'static str);

/// The target. [`fmt::Display`] and [`fmt::Debug`] print user, hosts, ports and database.
#[derive(Clone)]
pub struct DatabaseUrl {
    driver: tokio_postgres::Config,
    user: String,
    database: String,
    /// The servers to try, in this order.
    pub endpoints: Vec<Endpoint>,
    /// How the connection is protected.
    pub tls: Tls,
    /// What a session must be to be taken.
    pub session: Option<SessionCheck>,
    /// How long an attempt at one address may take.
    pub attempt: Duration,
    /// How long to try again while the server cannot be reached yet.
    pub wait: Duration,
    /// Addresses of a name are tried in any order (`load_balance_hosts=random`).
    pub shuffled: bool,
    /// Where it was given, such as `DATABASE_URL`: named in messages about it.
    pub origin: String,
}

impl DatabaseUrl {
    /// Judges the parameters that came from `origin`.
    ///
    /// # Errors
    /// [`Error::Config`] with the parameter, where it was given, and what was expected.
    pub(super) fn new(parameters: &Parameters, origin: &str, wait: Duration) -> Result<DatabaseUrl, Error> {
        let user = match parameters.get("user") {
            Some(user) => user.to_owned(),
            None => whoami::username().map_err(|_| parameters.wrong("user", "no user named"))?,
        };
        let database = parameters.get("dbname").unwrap_or(&user).to_owned();
        let tls = Tls::new(parameters)?;
        let shuffled = parameters
            .choice("load_balance_hosts", &[("disable", false), ("random", true)])?
            .unwrap_or(false);
        let mut endpoints = endpoints(parameters)?;
        if shuffled {
            fastrand::shuffle(&mut endpoints);
        }
        match parameters.get("password") {
            Some(password) => endpoints.iter_mut().for_each(|to| to.set_password(Some(password.to_owned()))),
            None => password_file::fill(&mut endpoints, &database, &user, parameters.get("passfile")),
        }
        Ok(DatabaseUrl {
            driver: driver(parameters, &user, &database, &tls)?,
            user,
            database,
            endpoints,
            tls,
            session: session_check(parameters)?,
            attempt: parameters.seconds("connect_timeout")?.unwrap_or(CONNECT_TIMEOUT),
            wait,
            shuffled,
            origin: origin.to_owned(),
        })
    }

    /// What the driver needs for one attempt; it holds the password. `address` is one of the endpoint's.
    #[must_use]
    pub fn driver(
        &self,
        endpoint: &Endpoint,
        address: Option<IpAddr>,
        mode: SslMode,
    ) -> tokio_postgres::Config {
        let mut driver = self.driver.clone();
        match &endpoint.host {
            #[cfg(unix)]
            Host::Unix(folder) => driver.host_path(folder),
            #[cfg(not(unix))]
            Host::Unix(folder) => driver.host(folder.to_string_lossy()),
            Host::Tcp(name, _) => driver.host(name),
        };
        if let Some(address) = address {
            driver.hostaddr(address);
        }
        if let Some(password) = &endpoint.password {
            driver.password(password);
        }
        driver.port(endpoint.port).ssl_mode(mode).connect_timeout(self.attempt);
        driver
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.endpoints.iter().map(ToString::to_string).collect();
        write!(f, "{}@{}/{}", self.user, hosts.join(","), self.database)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is the same for every attempt.
fn driver(
    parameters: &Parameters,
    user: &str,
    database: &str,
    tls: &Tls,
) -> Result<tokio_postgres::Config, Error> {
    let mut driver = tokio_postgres::Config::new();
    let name = parameters.get("application_name").or(parameters.get("fallback_application_name"));
    driver.user(user).dbname(database).application_name(name.unwrap_or("outgrow"));
    if let Some(options) = parameters.get("options") {
        driver.options(options);
    }
    let binding = [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ];
    if let Some(binding) = parameters.choice("channel_binding", &binding)? {
        if binding == ChannelBinding::Require && tls.mode == Mode::Disable {
            return Err(
                parameters.wrong("channel_binding", "channel binding needs TLS, and sslmode is disable")
            );
        }
        driver.channel_binding(binding);
    }
    let negotiation = [("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)];
    if let Some(negotiation) = parameters.choice("sslnegotiation", &negotiation)? {
        if negotiation == SslNegotiation::Direct && tls.mode < Mode::Require {
            return Err(parameters.wrong("sslnegotiation", "direct needs sslmode=require or stronger"));
        }
        driver.ssl_negotiation(negotiation);
    }
    let (idle, interval, count) = KEEPALIVE;
    driver
        .keepalives(parameters.choice("keepalives", &[("0", false), ("1", true)])?.unwrap_or(true))
        .keepalives_idle(parameters.seconds("keepalives_idle")?.unwrap_or(idle))
        .keepalives_interval(parameters.seconds("keepalives_interval")?.unwrap_or(interval))
        .keepalives_retries(parameters.number("keepalives_count")?.unwrap_or(count));
    if let Some(milliseconds) = parameters.number("tcp_user_timeout")? {
        driver.tcp_user_timeout(Duration::from_millis(milliseconds.into()));
    }
    Ok(driver)
}

/// `host`, `hostaddr` and `port`, which are lists of the same length; one port serves all hosts.
fn endpoints(parameters: &Parameters) -> Result<Vec<Endpoint>, Error> {
    let list = |name| parameters.get(name).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>());
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let names = match hosts.as_ref().or(addresses.as_ref()) {
        Some(names) => names,
        None => &vec![local_socket(parameters)?],
    };
    for (name, list) in [("hostaddr", &addresses), ("port", &ports)] {
        let length = list.as_ref().map_or(names.len(), Vec::len);
        if length != names.len() && (name != "port" || length != 1) {
            return Err(parameters.wrong(name, &format!("{length} of them for {} hosts", names.len())));
        }
    }
    let endpoint = |at: usize| {
        let address =
            addresses.as_ref().and_then(|addresses| addresses.get(at)).filter(|text| !text.is_empty());
        let address = match address.map(|text| text.parse()) {
            Some(Err(_)) => return Err(parameters.wrong("hostaddr", "expected an IPv4 or IPv6 address")),
            Some(Ok(address)) => Some(address),
            None => None,
        };
        let host = match (names.get(at), address) {
            (Some(folder), _) if folder.starts_with('/') => Host::Unix(folder.into()),
            (Some(name), _) if !name.is_empty() => Host::Tcp((*name).to_owned(), address),
            (_, Some(address)) => Host::Tcp(address.to_string(), Some(address)),
            _ => return Err(parameters.wrong("host", "one of the hosts is empty")),
        };
        let port = ports.as_ref().and_then(|ports| ports.get(at).or(ports.first()));
        let port = match port.filter(|text| !text.is_empty()).map(|text| text.parse::<u16>()) {
            None => 5432,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => {
                return Err(parameters.wrong(
                    "port",
                    "the port is not a number from 1 to 65535: expected postgres://USER:PASSWORD@HOST:PORT/NAME",
                ));
            }
        };
        Ok(Endpoint { host, port, password: None })
    };
    (0..names.len()).map(endpoint).collect()
}

/// Where a server of this machine has its socket: what a URL without a host means, if there is one.
fn local_socket(parameters: &Parameters) -> Result<&'static str, Error> {
    let port = parameters.get("port").unwrap_or("5432");
    let found = SOCKETS.iter().find(|folder| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists());
    found.copied().ok_or_else(|| {
        parameters.wrong(
            "host",
            &format!(
                "no host, and no Unix socket in {} for this port: expected postgres://USER:PASSWORD@HOST:PORT/NAME, or \
                 ?host=FOLDER for a socket elsewhere",
                SOCKETS.join(" or ")
            ),
        )
    })
}

/// What `target_session_attrs` asks of a session.
fn session_check(parameters: &Parameters) -> Result<Option<SessionCheck>, Error> {
    const READ_ONLY: &str = "SHOW transaction_read_only";
    const STANDBY: &str = "SELECT pg_catalog.pg_is_in_recovery()";
    let choices = [
        ("any", None),
        ("read-write", Some((READ_ONLY, "off"))),
        ("read-only", Some((READ_ONLY, "on"))),
        ("primary", Some((STANDBY, "f"))),
        ("standby", Some((STANDBY, "t"))),
    ];
    if parameters.get("target_session_attrs") == Some("prefer-standby") {
        return Err(parameters.wrong(
            "target_session_attrs",
            "prefer-standby is not known here: outgrow writes; write primary, or any",
        ));
    }
    Ok(parameters.choice("target_session_attrs", &choices)?.flatten())
}
