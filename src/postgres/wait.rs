//! Waiting for a target that cannot be reached yet: a private network, or the server itself, often comes up at the same
//! time as the release command. Bounded by `--wait`; what would fail again in the same way is not tried again.

use super::backoff::Backoff;
use super::session::{Failure, Hope, Session, round};
use super::tls::Connector;
use crate::config::DatabaseUrl;
use std::time::{Duration, Instant};

/// The first pause; each next is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);

/// No pause is longer than this.
const LONGEST: Duration = Duration::from_secs(3);

/// What is waited for is said again after this time.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Rounds of attempts until one succeeds, one fails for good, or the wait of the URL is over. The round that is under
/// way then still ends by itself, each of its attempts within `connect_timeout`.
///
/// # Errors
/// The last round's, and how long was waited.
pub(super) async fn reach(
    url: &DatabaseUrl,
    connector: Option<&Connector>,
) -> Result<Session, (Failure, Duration)> {
    let started = Instant::now();
    let (mut backoff, mut said) = (Backoff::new(FIRST, LONGEST), None);
    loop {
        let failure = match round(url, connector).await {
            Ok(session) => {
                if said.is_some() {
                    log::info!(target: crate::NOTICES, "{url} answers, after {}", shown(started.elapsed()));
                }
                return Ok(session);
            }
            Err(failure) => failure,
        };
        let waited = started.elapsed();
        let left = url.wait.saturating_sub(waited);
        if failure.hope != Hope::Later || left.is_zero() {
            return Err((failure, if said.is_some() { waited } else { Duration::ZERO }));
        }
        if said.is_none_or(|said: Instant| said.elapsed() >= HEARTBEAT) {
            let (reason, limit) = (failure.reason.replace("\n  ", "; "), shown(url.wait));
            let since = if said.is_some() { format!(", {} by now", shown(waited)) } else { String::new() };
            log::info!(target: crate::NOTICES, "waiting up to {limit} for {url}{since}: {reason}");
            said = Some(Instant::now());
        }
        tokio::time::sleep(backoff.pause(left)).await;
    }
}

/// A duration in whole seconds, or in milliseconds below two.
pub(super) fn shown(duration: Duration) -> String {
    let unit = if duration < Duration::from_secs(2) { 1 } else { 1000 };
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) / unit * unit;
    humantime::format_duration(Duration::from_millis(milliseconds)).to_string()
}
