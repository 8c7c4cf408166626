//! One round of attempts: every server of the URL, every address of its name, plain or TLS in the order that the mode
//! gives. Out comes a [`Session`], or what each address answered and whether it is worth waiting. (PostgreSQL: libpq,
//! "Specifying Multiple Hosts"; "SSL Mode Descriptions".)

use super::tls::{Connector, explain};
use crate::config::DatabaseUrl;
use crate::config::database::{Endpoint, Host};
use crate::config::tls::Mode;
use crate::error::server_message;
use std::error::Error as _;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};

/// A session, and how it came about.
pub struct Session {
    /// The driver's handle.
    pub client: Client,
    /// The server that answered: address and port, or the socket's folder.
    pub address: String,
    /// The fingerprint of the server's certificate, `sha256:…`, if TLS is in force.
    pub certificate: Option<String>,
    /// How long the successful attempt took: connection, TLS, authentication.
    pub took: Duration,
    /// Cancels what it does.
    pub canceller: Canceller,
}

/// Cancels what a session does, by a connection as protected as its own.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    connector: Option<Connector>,
}

impl Canceller {
    /// Asks the server to cancel what the session is doing.
    ///
    /// # Errors
    /// The driver's, if the request cannot be sent.
    pub async fn cancel(&self) -> Result<(), tokio_postgres::Error> {
        match &self.connector {
            Some(connector) => self.token.cancel_query(connector.make.clone()).await,
            None => self.token.cancel_query(NoTls).await,
        }
    }
}

/// What an attempt that failed means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hope {
    /// The next address may do.
    Elsewhere,
    /// So it may, and this one in a moment: the network or the server is not up yet.
    Later,
    /// The server has answered, and would say the same again.
    None,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) hope: Hope,
    pub(super) reason: String,
    pub(super) next: String,
}

impl Failure {
    fn new(hope: Hope, reason: impl Into<String>, next: impl Into<String>) -> Failure {
        Failure { hope, reason: reason.into(), next: next.into() }
    }
}

const UNREACHABLE: &str =
    "check that the server runs and that host and port can be reached from this machine";

/// Tries every server and address once.
///
/// # Errors
/// What each of them answered, in one; the hope is the best of them, unless one gave none.
pub(super) async fn round(url: &DatabaseUrl, connector: Option<&Connector>) -> Result<Session, Failure> {
    let mut failures: Vec<(String, Failure)> = Vec::new();
    for endpoint in &url.endpoints {
        let addresses = match addresses(url, endpoint).await {
            Ok(addresses) => addresses,
            Err(failure) => {
                failures.push((endpoint.to_string(), failure));
                continue;
            }
        };
        for address in addresses {
            let place = match address {
                Some(address) => SocketAddr::new(address, endpoint.port).to_string(),
                None => endpoint.to_string(),
            };
            match one(url, endpoint, address, &place, connector).await {
                Ok(session) => return Ok(session),
                Err(failure) if failure.hope == Hope::None => return Err(failure),
                Err(failure) => failures.push((place, failure)),
            }
        }
    }
    Err(joined(failures))
}

/// The address a name was given (`hostaddr`), or all that it resolves to; `None` for a Unix socket.
async fn addresses(url: &DatabaseUrl, endpoint: &Endpoint) -> Result<Vec<Option<IpAddr>>, Failure> {
    let name = match &endpoint.host {
        Host::Unix(_) => return Ok(vec![None]),
        Host::Tcp(_, Some(address)) => return Ok(vec![Some(*address)]),
        Host::Tcp(name, None) => name,
    };
    // The system's resolver cannot be interrupted: on a thread that nobody waits for, it does not outlast its bound.
    let (found, answer) = oneshot::channel();
    let asked = (name.clone(), endpoint.port);
    std::thread::spawn(move || {
        let resolved = (asked.0.as_str(), asked.1).to_socket_addrs();
        // nobody waits any more
        let _ = found.send(resolved.map(|found| found.map(|found| Some(found.ip())).collect::<Vec<_>>()));
    });
    let reason = match timeout(url.attempt, answer).await {
        Ok(Ok(Ok(mut found))) => {
            found.dedup();
            if url.shuffled {
                fastrand::shuffle(&mut found);
            }
            if !found.is_empty() {
                return Ok(found);
            }
            "no address".to_owned()
        }
        Ok(Ok(Err(error))) => error.to_string(),
        _ => format!("no answer in {}", humantime::format_duration(url.attempt)),
    };
    let next = "check the host's name in the URL, and that this machine is in the network that knows it";
    Err(Failure::new(Hope::Later, format!("the name {name} does not resolve: {reason}"), next))
}

/// One address: plain and TLS in the mode's order. A Unix socket never has TLS, as in libpq.
async fn one(
    url: &DatabaseUrl,
    endpoint: &Endpoint,
    address: Option<IpAddr>,
    place: &str,
    connector: Option<&Connector>,
) -> Result<Session, Failure> {
    let plain = || attempt(url, endpoint, address, place, SslMode::Disable, None);
    let Some(connector) = connector.filter(|_| address.is_some()) else {
        return plain().await.map_err(|(failure, _)| failure);
    };
    let (first, second) = match url.tls.mode {
        Mode::Disable | Mode::Allow => (SslMode::Disable, Some(SslMode::Require)),
        Mode::Prefer => (SslMode::Prefer, Some(SslMode::Disable)),
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => (SslMode::Require, None),
    };
    let with = |mode| (mode != SslMode::Disable).then_some(connector);
    match (attempt(url, endpoint, address, place, first, with(first)).await, second) {
        (Ok(session), _) => Ok(session),
        (Err((failure, true)), Some(second)) => {
            let how = if second == SslMode::Disable { "without TLS" } else { "with TLS" };
            log::info!("{place}: {}; trying {how}", failure.reason);
            let again = attempt(url, endpoint, address, place, second, with(second)).await;
            again.map_err(|(again, _)| Failure {
                reason: format!("{}; {how}: {}", failure.reason, again.reason),
                hope: again.hope,
                next: failure.next,
            })
        }
        (Err((failure, _)), _) => Err(failure),
    }
}

/// One connection. An error also says whether it was about TLS being used or not: the handshake, or a server whose
/// pg_hba.conf has no entry for it.
async fn attempt(
    url: &DatabaseUrl,
    endpoint: &Endpoint,
    address: Option<IpAddr>,
    place: &str,
    mode: SslMode,
    connector: Option<&Connector>,
) -> Result<Session, (Failure, bool)> {
    let started = Instant::now();
    let driver = url.driver(endpoint, address, mode);
    if let Some(connector) = connector {
        connector.seen.take();
    }
    let connecting = async {
        match connector {
            Some(connector) => {
                let (client, connection) = driver.connect(connector.make.clone()).await?;
                tokio::spawn(super::pump(connection));
                Ok(client)
            }
            None => {
                let (client, connection) = driver.connect(NoTls).await?;
                tokio::spawn(super::pump(connection));
                Ok(client)
            }
        }
    };
    let connected = timeout(url.attempt, connecting).await;
    let certificate = connector.and_then(|connector| connector.seen.take());
    let client = match connected {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => {
            let (failure, about_tls) = failed(url, &error, certificate.as_deref());
            // a server that has no TLS would say the same again without
            let other_way = mode != SslMode::Prefer || certificate.is_some() || error.code().is_none();
            return Err((failure, about_tls && other_way));
        }
        Err(_) => {
            let shown = humantime::format_duration(url.attempt);
            let reason = format!("no answer in {shown} (connect_timeout)");
            return Err((Failure::new(Hope::Later, reason, UNREACHABLE), false));
        }
    };
    if let Some((query, expected)) = url.session {
        let answer = timeout(url.attempt, client.simple_query(query)).await;
        let fits = matches!(&answer, Ok(Ok(messages)) if messages.iter().any(|message| {
            matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some(expected))
        }));
        if !fits {
            let reason =
                format!("the server is not what target_session_attrs asks for ({query} is not {expected})");
            let next = "name the server that is, or remove target_session_attrs";
            return Err((Failure::new(Hope::Elsewhere, reason, next), false));
        }
    }
    let canceller = Canceller {
        token: client.cancel_token(),
        connector: connector.filter(|_| certificate.is_some()).cloned(),
    };
    Ok(Session { client, address: place.to_owned(), certificate, took: started.elapsed(), canceller })
}

/// What the driver's error means.
fn failed(url: &DatabaseUrl, error: &tokio_postgres::Error, certificate: Option<&str>) -> (Failure, bool) {
    let said = server_message(error);
    let failure = |hope, next: &str| Failure::new(hope, said.clone(), next);
    if let Some(code) = error.code() {
        let next = match *code {
            SqlState::CANNOT_CONNECT_NOW => {
                return (failure(Hope::Later, "the server is not ready yet: try again in a moment"), false);
            }
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "check user and password of the URL (in .env, a value with $ needs '…' around it); where the server \
                 has no pg_hba.conf entry, look at sslmode"
            }
            SqlState::INVALID_CATALOG_NAME => "create it with createdb, or correct the name in the URL",
            SqlState::TOO_MANY_CONNECTIONS => "stop the application, or close idle sessions",
            SqlState::INSUFFICIENT_PRIVILEGE => {
                "as the database's owner: GRANT CONNECT ON DATABASE … TO the role of the URL"
            }
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => {
                "name another database, or as its owner: ALTER DATABASE … ALLOW_CONNECTIONS true"
            }
            _ => "the server turned the connection away: its log says more",
        };
        return (failure(Hope::None, next), *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    }
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    if let Some(tls) = io.and_then(|io| io.get_ref()).and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        let (reason, next) = explain(tls, certificate);
        return (Failure::new(Hope::None, reason, next), true);
    }
    match io.map(std::io::Error::kind) {
        Some(
            ErrorKind::ConnectionRefused
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable,
        ) => return (failure(Hope::Later, UNREACHABLE), false),
        // the folder of the socket, before the server has made it
        Some(ErrorKind::NotFound) => return (failure(Hope::Later, UNREACHABLE), false),
        // a proxy in front of a server that is not up yet accepts, and hangs up
        Some(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe)
            if certificate.is_none() =>
        {
            return (failure(Hope::Later, UNREACHABLE), false);
        }
        None if error.is_closed() => return (failure(Hope::Later, UNREACHABLE), false),
        Some(_) => return (failure(Hope::Elsewhere, UNREACHABLE), certificate.is_some()),
        None => {}
    }
    if said.contains("password missing") {
        let next =
            "the server asks for a password and the URL has none: postgres://USER:PASSWORD@HOST:PORT/NAME";
        return (failure(Hope::None, next), false);
    }
    if said.contains("server does not support TLS") {
        let reason = format!("the server offers no TLS, and sslmode={} asks for it", url.tls.mode);
        let next =
            "switch TLS on there (ssl = on); sslmode=prefer goes without it, in a network that is private";
        return (Failure::new(Hope::None, reason, next), false);
    }
    if said.contains("channel binding") {
        let next = "channel_binding=require needs TLS and a password stored as scram-sha-256 on the server";
        return (failure(Hope::None, next), false);
    }
    (failure(Hope::Elsewhere, UNREACHABLE), false)
}

/// Several addresses' answers as one; the same answer is told once.
fn joined(failures: Vec<(String, Failure)>) -> Failure {
    let hope = failures.iter().map(|(_, failure)| failure.hope).max().unwrap_or(Hope::Elsewhere);
    let next = failures.last().map_or_else(|| UNREACHABLE.to_owned(), |(_, failure)| failure.next.clone());
    let mut reasons: Vec<String> = Vec::new();
    let several = failures.len() > 1;
    for (place, failure) in failures {
        reasons.push(if several { format!("{place}: {}", failure.reason) } else { failure.reason });
    }
    Failure { hope, reason: reasons.join("\n  "), next }
}
