//! The target: one session with the server. In goes a [`DatabaseUrl`]; out come a connected client ([`session`]) whose
//! notices are logged, the answer to Ctrl-C ([`interrupt`]), how long things may take ([`limits`]), the lock against
//! concurrent runs ([`lock`]), whether it holds there ([`pooler`]), what the catalog says of tables, columns
//! ([`catalog`]) and the rules that rows must keep ([`rule`]), and the rows that are read back ([`copy_out`]).

pub mod backoff;
pub mod catalog;
mod certificate;
pub mod copy_out;
pub mod interrupt;
pub mod key;
pub mod limits;
pub mod lock;
pub mod pooler;
pub mod reading;
pub mod rule;
pub mod sequences;
pub mod session;
mod tls;
mod wait;

use crate::config::DatabaseUrl;
use crate::config::tls::Mode;
use crate::error::{Error, server_message};
use futures_util::future::try_join_all;
use interrupt::Interrupt;
use session::Session;
use std::future::poll_fn;
use std::sync::Once;
use std::time::Duration;
use tls::Connector;
use tokio_postgres::types::Type;
use tokio_postgres::{
    AsyncMessage, Client, Connection, Row, SimpleQueryMessage, SimpleQueryRow, Socket, Statement,
};

/// Connects, waiting for a target that cannot be reached yet, and starts to pump the connection in the background; a
/// signal cancels what the session does.
///
/// # Errors
/// [`Error::Connection`] with what to look at; [`Error::Config`] if a certificate or key cannot be read.
pub async fn connect(url: &DatabaseUrl, interrupt: &Interrupt) -> Result<Client, Error> {
    Ok(open(url, interrupt).await?.client)
}

/// As [`connect`], and says how the session came about.
///
/// # Errors
/// Those of [`connect`].
pub async fn open(url: &DatabaseUrl, interrupt: &Interrupt) -> Result<Session, Error> {
    let usual = url.origin.starts_with("--") || url.origin.starts_with("DATABASE_URL");
    log::log!(target: if usual { module_path!() } else { crate::NOTICES }, log::Level::Info,
        "connecting to {url}, as {} says", url.origin);
    let connector = Connector::new(&url.tls)?;
    let session = tokio::select! {
        session = wait::reach(url, connector.as_ref()) => session,
        () = interrupt.come() => return Err(interrupt::given_up()),
    };
    let session = session.map_err(|(failure, waited)| {
        let waited = match waited {
            Duration::ZERO => String::new(),
            waited => format!("\n  waited {} for it (--wait)", wait::shown(waited)),
        };
        Error::Connection {
            target: url.to_string(),
            reason: format!(
                "{}{waited}\n  next: {}\n  the URL came from {}",
                failure.reason, failure.next, url.origin
            ),
        }
    })?;
    let tls = session.certificate.as_deref();
    log::info!(
        "connected to {} in {} ms, {}",
        session.address,
        session.took.as_millis(),
        tls.unwrap_or("without TLS")
    );
    if let Some(certificate) = tls
        && url.tls.mode == Mode::Require
        && url.tls.root.is_none()
        && url.tls.fingerprint.is_none()
    {
        static SAID: Once = Once::new();
        SAID.call_once(|| log::warn!(
            "sslmode=require encrypts and does not check who the server is; to accept this certificate alone, add \
             sslfingerprint={certificate} to the URL"
        ));
    }
    interrupt.watch(session.canceller.clone());
    Ok(session)
}

/// The rows of a query without parameters, as text. By simple query: a prepared statement would belong to a session,
/// and behind a pooler that may be another one a moment later.
///
/// # Errors
/// The driver's.
pub async fn rows(client: &Client, query: &str) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
    let messages = client.simple_query(query).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows.collect())
}

/// What `query` answers about the tables whose object identifiers are its `$1`. In one round trip, where a statement
/// that is prepared first takes two: a server far away is asked a dozen such things for a step.
///
/// # Errors
/// The driver's.
pub async fn of_tables(
    client: &Client,
    query: &str,
    tables: &[u32],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    client.query_typed(query, &[(&tables, Type::OID_ARRAY)]).await
}

/// Prepares `statements`, all in one round trip.
///
/// # Errors
/// The driver's, for the first that the server refuses.
pub async fn prepare_all(
    client: &Client,
    statements: impl IntoIterator<Item = &str>,
) -> Result<Vec<Statement>, tokio_postgres::Error> {
    try_join_all(statements.into_iter().map(|statement| client.prepare(statement))).await
}

/// Moves bytes until the session ends. What the server says unasked (RAISE NOTICE, WARNING) goes to the log.
async fn pump<T>(mut connection: Connection<Socket, T>)
where
    T: tokio_postgres::tls::TlsStream + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                let level = match notice.severity() {
                    "WARNING" => log::Level::Warn,
                    "DEBUG" | "LOG" => log::Level::Debug,
                    _ => log::Level::Info,
                };
                let hint = notice.hint().map(|hint| format!(" (hint: {hint})"));
                log::log!(target: crate::NOTICES, level, "{}: {}{}",
                    notice.severity(), notice.message(), hint.unwrap_or_default());
            }
            Ok(_) => {}
            Err(error) => {
                // whoever waits for an answer gets an error of its own; this one says why
                log::debug!("connection ended: {}", server_message(&error));
                return;
            }
        }
    }
}
