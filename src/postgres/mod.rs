//! The target: one session with the server. In goes a [`DatabaseUrl`]; out come a connected client whose notices are
//! logged, the answer to Ctrl-C ([`interrupt`]), the lock against concurrent runs ([`lock`]), and what the catalog says of tables,
//! columns ([`catalog`]) and the rules that rows must keep ([`rule`]).

pub mod catalog;
pub mod interrupt;
pub mod key;
pub mod lock;
pub mod rule;

use crate::config::DatabaseUrl;
use crate::error::{Error, server_message};
use interrupt::Interrupt;
use std::future::poll_fn;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Connection, NoTls, Socket};

/// Connects and starts to pump the connection in the background; a signal cancels what the session does.
///
/// # Errors
/// [`Error::Connection`] with what to look at.
pub async fn connect(url: &DatabaseUrl, interrupt: &Interrupt) -> Result<Client, Error> {
    log::info!("connecting to {url}");
    let (client, connection) = url.config().connect(NoTls).await.map_err(|error| refused(url, &error))?;
    tokio::spawn(pump(connection));
    interrupt.watch(client.cancel_token());
    Ok(client)
}

/// Asks the server to cancel what the session of `token` is doing.
///
/// # Errors
/// The driver's, if the request cannot be sent.
pub async fn cancel(token: &CancelToken) -> Result<(), tokio_postgres::Error> {
    token.cancel_query(NoTls).await
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

fn refused(url: &DatabaseUrl, error: &tokio_postgres::Error) -> Error {
    let next = match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            "check user and password of the URL (in .env, a value with $ needs '…' around it)"
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => "create it with createdb, or correct the name in the URL",
        Some(&SqlState::TOO_MANY_CONNECTIONS) => "stop the application, or close idle sessions",
        Some(&SqlState::CANNOT_CONNECT_NOW) => "the server is not ready yet: try again in a moment",
        Some(_) => "the server turned the connection away",
        None if server_message(error).contains("password missing") => {
            "the server asks for a password and the URL has none: postgres://USER:PASSWORD@HOST:PORT/NAME"
        }
        None => "check that the server runs and that host and port can be reached from this machine",
    };
    Error::Connection {
        target: url.to_string(),
        reason: format!("{}\n  next: {next}\n  the URL came from {}", server_message(error), url.origin),
    }
}
