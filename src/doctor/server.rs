//! The server: how far away it is, which engine and version, how it is reached, and which of its settings bite.

use super::{Finding, ground, rows};
use crate::config::DatabaseUrl;
use crate::config::tls::Mode;
use crate::error::Error;
use crate::postgres::pooler::{self, Pooling};
use crate::postgres::session::Session;
use std::time::Instant;
use tokio_postgres::{Client, SimpleQueryRow};

/// A connection, and a round trip, should take less than this many milliseconds.
const LIMIT: f64 = 100.0;

/// So many round trips are timed.
const TRIPS: usize = 9;

/// The versions that outgrow is tested with.
const TESTED: std::ops::RangeInclusive<u32> = 14..=18;

const NEARER: &str =
    "run outgrow, and the application, in the region of the database, by its private address";

pub(super) fn connection(url: &DatabaseUrl, session: &Session, took: f64) -> Finding {
    let found = format!(
        "{url}, from {}: {} answered in {took:.0} ms, TLS and authentication included",
        url.origin, session.address
    );
    if took < LIMIT {
        return Finding::ok("connection", found);
    }
    Finding::warning("connection", format!("{found}; expected less than {LIMIT:.0} ms"), NEARER)
}

/// The median of several round trips, in milliseconds.
pub(super) async fn round_trip(client: &Client) -> Result<(f64, Finding), Error> {
    let mut times = Vec::with_capacity(TRIPS);
    for _ in 0..TRIPS {
        let started = Instant::now();
        rows(client, "timing a round trip", "SELECT 1").await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let median = times.get(TRIPS / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    let found = format!("{median:.1} ms, the median of {TRIPS}");
    Ok((
        median,
        if median < LIMIT {
            Finding::ok("round trip", found)
        } else {
            Finding::warning("round trip", format!("{found}; expected less than {LIMIT:.0} ms"), NEARER)
        },
    ))
}

/// Engine and version.
pub(super) async fn server(client: &Client) -> Result<Vec<Finding>, Error> {
    let doing = "asking for the server's version";
    let said = rows(client, doing, "SELECT version(), current_setting('server_version_num')").await?;
    let said = said.first();
    let version = said.and_then(|row| row.get(0)).unwrap_or_default();
    let number = said.and_then(|row| row.get(1)).and_then(|number| number.parse().ok()).unwrap_or(0);
    let finding = engine(version, number);
    if finding.next.is_some() {
        return Ok(vec![finding]);
    }
    let query = "SELECT to_regproc('aurora_version') IS NOT NULL, current_setting('server_encoding')";
    let said = rows(client, doing, query).await?;
    let (aurora, encoding) = said.first().map_or((None, None), |row| (row.get(0), row.get(1)));
    let mut findings = vec![finding];
    if aurora == Some("t") {
        let found = "Amazon Aurora: name the cluster's writer endpoint, readers refuse every write";
        findings.push(Finding::ok("server", found));
    }
    if let Some(encoding) = encoding.filter(|encoding| *encoding != "UTF8") {
        findings.push(Finding::warning(
            "server",
            format!("the database's encoding is {encoding}: a step refuses text that it cannot hold"),
            "make the database with ENCODING 'UTF8' TEMPLATE template0",
        ));
    }
    Ok(findings)
}

/// What a version text, and its number, mean for a run.
fn engine(version: &str, number: u32) -> Finding {
    const OTHERS: [(&str, &str, &str); 6] = [
        (
            "CockroachDB",
            "CockroachDB",
            "advisory locks do nothing there, and neither COPY BINARY nor the catalog is complete",
        ),
        (
            "-YB-",
            "YugabyteDB",
            "DDL is not part of a transaction there, and advisory locks are not in every version",
        ),
        (
            "Redshift",
            "Amazon Redshift",
            "there is no COPY from a client, and unique and foreign keys are not enforced",
        ),
        ("Greenplum", "Greenplum", "unique keys must hold the distribution key, and triggers do not run"),
        ("Materialize", "Materialize", "there are no transactions around DDL, and no advisory locks"),
        ("CrateDB", "CrateDB", "there are no transactions"),
    ];
    if let Some((_, name, why)) = OTHERS.iter().find(|(mark, _, _)| version.contains(mark)) {
        let found = format!("{name}, which is not PostgreSQL: {why}");
        return Finding::problem("server", found, "name a PostgreSQL server, 14 to 18");
    }
    let shown = version.split(" on ").next().unwrap_or_default().to_owned();
    match number / 10_000 {
        major if TESTED.contains(&major) => Finding::ok("server", shown),
        major if major > *TESTED.end() => Finding::warning(
            "server",
            format!("{shown}, which is newer than what outgrow is tested with (14 to 18)"),
            "rehearse on a copy first: outgrow migrate, then outgrow verify",
        ),
        _ => Finding::problem(
            "server",
            format!(
                "{shown}, which is older than what outgrow is tested with (14 to 18): multiranges and infinite numerics are \
                 missing, and it gets no corrections any more"
            ),
            "upgrade the server",
        ),
    }
}

/// How the session is protected, on the way from here to what answered.
pub(super) async fn tls(
    client: &Client,
    url: &DatabaseUrl,
    session: &Session,
) -> Result<Vec<Finding>, Error> {
    let query = "SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
    let said = rows(client, "asking for TLS", query).await?;
    let cipher = said.first().map(|row| {
        let text = |at| row.get(at).unwrap_or_default();
        format!(" ({}, {})", text(0), text(1))
    });
    let private = ground::is_private(&session.address);
    let finding = match &session.certificate {
        None if private => Finding::ok("tls", "none; the address is private"),
        None => Finding::warning(
            "tls",
            "none: everybody on the way can read the rows",
            "add sslmode=require to the URL, or better verify-full; see Connecting in the README",
        ),
        Some(certificate) => {
            let verified = match url.tls.mode {
                _ if url.tls.fingerprint.is_some() => "the certificate is the pinned one",
                Mode::VerifyFull => "certificate and host were verified",
                Mode::VerifyCa => "the certificate was verified",
                Mode::Require if url.tls.root.is_some() => "the certificate was verified",
                _ => "not verified",
            };
            let found =
                format!("sslmode={}, {verified}{}", url.tls.mode, cipher.as_deref().unwrap_or_default());
            if verified == "not verified" && !private {
                let next = format!("add sslfingerprint={certificate} to the URL to accept this server alone");
                Finding::warning("tls", found, next)
            } else {
                Finding::ok("tls", found)
            }
        }
    };
    Ok(vec![finding])
}

/// Whether a session keeps its backend.
pub(super) async fn pooler(client: &Client, url: &DatabaseUrl) -> Result<Vec<Finding>, Error> {
    const DIRECT: &str = "name the direct URL in MIGRATION_DATABASE_URL (or DATABASE_UNPOOLED_URL, DIRECT_URL); the application keeps its own";
    Ok(vec![match pooler::of(client, url).await? {
        Pooling::Session => Finding::ok("pooler", "none in transaction mode: a session keeps its backend"),
        Pooling::Transaction => Finding::warning(
            "pooler",
            "a pooler in transaction mode: each version holds the lock by itself, and one without a transaction is refused",
            DIRECT,
        ),
        Pooling::Unknown => Finding::warning(
            "pooler",
            "there was no second connection by which to tell whether one is in transaction mode",
            DIRECT,
        ),
    }])
}

/// Settings of server, database or role that end a run or keep it from writing.
pub(super) async fn settings(client: &Client) -> Result<Vec<Finding>, Error> {
    let query = "SELECT name, current_setting(name) FROM pg_settings WHERE name IN \
        ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') AND setting <> '0' ORDER BY name";
    let mut findings = Vec::new();
    let said = rows(client, "reading the settings", query).await?;
    let text = |row: &SimpleQueryRow, at| row.get(at).unwrap_or_default().to_owned();
    let limits = said.iter().map(|row| format!("{} is {}", text(row, 0), text(row, 1)));
    let limits = limits.collect::<Vec<_>>().join(", ");
    if !limits.is_empty() {
        let found = format!(
            "{limits}: for the application alone; versions have the limit of --statement-timeout, if any"
        );
        findings.push(Finding::ok("settings", found));
    }
    let query = "SELECT current_setting('default_transaction_read_only'), pg_is_in_recovery()";
    let said = rows(client, "reading the settings", query).await?;
    let (read_only, standby) = said.first().map_or((None, None), |row| (row.get(0), row.get(1)));
    if standby == Some("t") {
        findings.push(Finding::problem(
            "settings",
            "the server is a standby: it refuses every write",
            "name the primary, or several hosts with target_session_attrs=read-write",
        ));
    } else if read_only == Some("on") {
        findings.push(Finding::problem(
            "settings",
            "default_transaction_read_only is on: every write is refused",
            "ALTER ROLE or ALTER DATABASE … RESET default_transaction_read_only, or correct PGOPTIONS; hosts set it when a disk is full",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("settings", "no time limit, and writes are allowed"));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn engines_and_versions_are_told_apart() {
        let state = |version, number| engine(version, number).state;
        assert_eq!(state("PostgreSQL 15.18 (Debian) on x86_64-pc-linux-gnu", 150_018), State::Ok);
        assert_eq!(state("PostgreSQL 14.0 on x", 140_000), State::Ok);
        assert_eq!(state("PostgreSQL 13.99 on x", 130_099), State::Problem);
        assert_eq!(state("PostgreSQL 18.4 on x", 180_004), State::Ok);
        assert_eq!(state("PostgreSQL 19beta1 on x", 190_000), State::Warning);
        for (version, number, named) in [
            ("CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu)", 130_000, "CockroachDB"),
            ("PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64", 150_002, "YugabyteDB"),
            (
                "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC, Redshift 1.0.12103",
                80_002,
                "Redshift",
            ),
        ] {
            let finding = engine(version, number);
            assert_eq!(finding.state, State::Problem);
            assert!(finding.found.contains(named) && finding.next.is_some(), "{finding:?}");
        }
    }
}
