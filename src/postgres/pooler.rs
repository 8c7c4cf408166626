//! Whether a pooler stands between us and the server that lends out a server's session for one transaction at a time.
//! What belongs to a session is lost there, or stays behind with somebody else: a lock, a setting, a prepared
//! statement. (PgBouncer: Features, "SQL feature map for pooling modes".)

use super::rows;
use super::session::round;
use super::tls::Connector;
use crate::config::DatabaseUrl;
use crate::error::{Error, server_message};
use tokio::join;
use tokio::time::timeout;
use tokio_postgres::Client;

/// To whom the server's session belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// To this connection alone until it ends: direct, or a pooler in session mode.
    Session,
    /// To this connection for a transaction at a time.
    Transaction,
    /// It could not be found out.
    Unknown,
}

/// The statement that forgets prepared statements with names as the driver gives them: an earlier run may have left
/// some with the process that a pooler lends us now, and names are counted from the start of a run. For the beginning
/// of a transaction.
pub const FORGET: &str = "DO $outgrow$ DECLARE known text; BEGIN \
    FOR known IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE name ~ '^s[0-9]+$' LOOP \
      EXECUTE pg_catalog.format('DEALLOCATE %I', known); \
    END LOOP; END $outgrow$";

/// The process that serves us. The start tells processes of several servers apart.
const WHO: &str = "SELECT pid || ' ' || backend_start FROM pg_stat_get_activity(pg_backend_pid())";

/// How often each of two connections asks [`WHO`].
const ROUNDS: usize = 3;

/// Asks on two connections in turn who serves them: two that are open at the same time never share a process, and none
/// changes it, unless a pooler hands the processes round. A pooler takes the process that was last used, or the one
/// that was not used for longest: the first shows between the two connections, the second on one of them.
///
/// # Errors
/// [`Error::Database`] if the connection fails.
pub async fn of(client: &Client, url: &DatabaseUrl) -> Result<Pooling, Error> {
    let asking = || Error::database("asking which of the server's processes serves us");
    let twice = async { Ok((who(client).await?, who(client).await?)) };
    let connector = Connector::new(&url.tls)?;
    let (ours, second) = join!(twice, round(url, connector.as_ref()));
    let (ours, again) = ours.map_err(asking())?;
    if ours != again {
        return Ok(Pooling::Transaction);
    }
    let second = match second {
        Ok(session) => session.client,
        Err(failure) => {
            log::info!(
                "whether a pooler is in between is not known, no second connection: {}",
                failure.reason
            );
            return Ok(Pooling::Unknown);
        }
    };
    for _ in 0..ROUNDS {
        // a pooler in session mode without a session to spare would let us wait
        let theirs = match timeout(url.attempt, who(&second)).await {
            Ok(Ok(theirs)) => theirs,
            Ok(Err(error)) => {
                log::info!("whether a pooler is in between is not known: {}", server_message(&error));
                return Ok(Pooling::Unknown);
            }
            Err(_) => return Ok(Pooling::Unknown),
        };
        if theirs == ours || who(client).await.map_err(asking())? != ours {
            return Ok(Pooling::Transaction);
        }
    }
    Ok(Pooling::Session)
}

async fn who(client: &Client) -> Result<Option<String>, tokio_postgres::Error> {
    Ok(rows(client, WHO).await?.first().and_then(|row| row.get(0)).map(str::to_owned))
}
