//! Who else is there: runs that hold the lock, transactions that hold tables, and the room that is taken.

use super::{Finding, rows};
use crate::error::Error;
use crate::postgres::lock::{self, Holder};
use tokio_postgres::{Client, SimpleQueryRow};

/// Another run of outgrow.
pub(super) async fn locks(client: &Client) -> Result<Vec<Finding>, Error> {
    let holders = lock::holders(client).await?;
    if holders.is_empty() {
        return Ok(vec![Finding::ok("locks", "no other run of outgrow")]);
    }
    let finding = |Holder { pid, name, since }: &Holder| {
        Finding::warning(
            "locks",
            format!("another run holds the lock: pid {pid}, {name}, connected since {since} UTC"),
            format!("let it end; if it is dead: SELECT pg_terminate_backend({pid})"),
        )
    };
    Ok(holders.iter().map(finding).collect())
}

/// Open transactions that hold tables, and those prepared and forgotten: a version that changes such a table waits.
/// A statement of a few seconds is no news.
pub(super) async fn sessions(client: &Client) -> Result<Vec<Finding>, Error> {
    let query = "SELECT a.pid, a.application_name, coalesce(a.state, 'in a transaction'), \
          extract(epoch FROM now() - a.xact_start)::int, string_agg(DISTINCT quote_ident(c.relname), ', ') \
        FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation \
          JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE l.locktype = 'relation' AND l.granted AND a.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p') \
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
          AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
          AND (a.state IS NULL OR a.state LIKE 'idle%' OR a.xact_start < now() - interval '5 s') \
        GROUP BY 1, 2, 3, 4 ORDER BY 4 DESC NULLS LAST LIMIT 5";
    let mut findings = Vec::new();
    for row in rows(client, "looking up open transactions", query).await? {
        let pid = text(&row, 0);
        let since = row.get(3).map(|seconds| format!(" for {seconds} s")).unwrap_or_default();
        findings.push(Finding::warning(
            "sessions",
            format!("pid {pid}, {}, is {}{since} and holds {}", name(&row, 1), text(&row, 2), text(&row, 4)),
            format!("stop the application before a migration; to end this session: SELECT pg_terminate_backend({pid})"),
        ));
    }
    let prepared = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()";
    let prepared = rows(client, "looking up prepared transactions", prepared).await?;
    if let Some(count) = prepared.first().and_then(|row| row.get(0)).filter(|count| *count != "0") {
        findings.push(Finding::warning(
            "sessions",
            format!("prepared transactions: {count}; each keeps its locks until somebody ends it"),
            "SELECT gid, prepared FROM pg_prepared_xacts, then ROLLBACK PREPARED or COMMIT PREPARED",
        ));
    }
    if findings.is_empty() {
        let query = "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        let others = rows(client, "counting sessions", query).await?;
        let count = others.first().and_then(|row| row.get(0)).unwrap_or("0").to_owned();
        findings.push(Finding::ok(
            "sessions",
            format!("others: {count}, none in a transaction that holds a table"),
        ));
    }
    Ok(findings)
}

/// What is taken; what is free is not the database's to tell.
pub(super) async fn disk(client: &Client) -> Result<Vec<Finding>, Error> {
    let query = "SELECT pg_size_pretty(pg_database_size(current_database()))";
    let said = rows(client, "asking for the database's size", query).await?;
    let size = said.first().and_then(|row| row.get(0)).unwrap_or("?").to_owned();
    let found =
        format!("the database takes {size}; what is free, PostgreSQL does not tell: see the host's console");
    Ok(vec![Finding::ok("disk", found)])
}

fn text(row: &SimpleQueryRow, at: usize) -> &str {
    row.get(at).unwrap_or("?")
}

/// A name that the server keeps from this role, or that nobody gave, is said to be none.
fn name(row: &SimpleQueryRow, at: usize) -> &str {
    row.get(at).filter(|name| !name.is_empty()).unwrap_or("(no application name)")
}
