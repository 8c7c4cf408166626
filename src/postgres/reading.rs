//! A transaction in which a command reads and which is always rolled back: one for everything, so that a pooler in
//! transaction mode lends one process for all of it.

use super::pooler::FORGET;
use super::{limits, lock};
use crate::error::Error;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

/// Opens it with the statements of `opening`, BEGIN first, values spelt in one way ([`limits::SPELLING`]); a lock is
/// waited for no longer than `lock`.
///
/// # Errors
/// [`Error::Database`].
pub async fn begin(client: &Client, opening: &str, lock: Duration) -> Result<(), Error> {
    let (spelling, limits) = (limits::SPELLING, limits::settings(lock, None, true));
    let begin = format!("{opening}; {FORGET}; {spelling}; {limits}");
    client.batch_execute(&begin).await.map_err(Error::database("beginning to read"))
}

/// Ends it.
///
/// # Errors
/// [`Error::Database`].
pub async fn end(client: &Client) -> Result<(), Error> {
    client.batch_execute("ROLLBACK").await.map_err(Error::database("ending to read"))
}

/// Whether there is a table of that name, asked in a way that fails no transaction.
///
/// # Errors
/// [`Error::Database`].
pub async fn has_table(client: &Client, name: &str) -> Result<bool, Error> {
    let row = client.query_one("SELECT pg_catalog.to_regclass($1::text) IS NOT NULL", &[&name]).await;
    Ok(row.map_err(Error::database(format!("looking for {name}")))?.get(0))
}

/// What is said of a table that this role may not read; names as a statement writes them.
#[must_use]
pub fn unreadable(name: &str, owner: &str, role: &str) -> String {
    unreadable_part(name, "it", owner, role)
}

fn unreadable_part(name: &str, part: &str, owner: &str, role: &str) -> String {
    format!(
        "table {name}: this role may not read {part}; its owner, {owner}, or a superuser can run GRANT SELECT ON {name} TO {role}"
    )
}

/// Refuses tables that this role may not read, all in one message: those of `names` that are there, and if `all` every
/// table that a query without a schema finds.
///
/// # Errors
/// [`Error::Hidden`].
pub async fn require(client: &Client, names: &[&str], all: bool) -> Result<(), Error> {
    let rows = client.query(UNREADABLE, &[&names, &all]).await;
    let rows = rows.map_err(Error::database("asking which tables this role may read"))?;
    let faults: Vec<String> = rows.iter().map(|row| unreadable(row.get(0), row.get(1), row.get(2))).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Hidden(faults)) }
}

/// Why `name` could not be read: in words with what to do, if this role may not, and the session still answers; with
/// who holds it, if somebody does.
pub async fn refused(client: &Client, name: &str, doing: String, source: tokio_postgres::Error) -> Error {
    if source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        let names = [name.to_owned()];
        let mut holder = lock::table_holder(client, &names).await;
        // a transaction that failed answers nothing any more
        if holder.is_none() && client.batch_execute("ROLLBACK").await.is_ok() {
            holder = lock::table_holder(client, &names).await;
        }
        let error = Error::Database { doing, source };
        return match holder {
            Some(holder) => holder.explain(error),
            None => error,
        };
    }
    if source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
        && let Err(hidden @ Error::Hidden(_)) = require(client, &[name], false).await
    {
        return hidden;
    }
    Error::Database { doing, source }
}

/// `read`, its error in words with what to do if this role may read some columns of a table alone, or with who keeps
/// readers out. Ends the transaction then, for no other would answer.
///
/// # Errors
/// That of `read`.
pub async fn explained<T>(client: &Client, read: Result<T, Error>) -> Result<T, Error> {
    match read {
        Ok(read) => Ok(read),
        Err(error) => Err(reason(client, error).await),
    }
}

async fn reason(client: &Client, error: Error) -> Error {
    let (doing, said) = match &error {
        Error::Database { doing, source } => (doing, source.as_db_error()),
        _ => return error,
    };
    let code = said.map(|said| said.code());
    if code == Some(&SqlState::LOCK_NOT_AVAILABLE) && end(client).await.is_ok() {
        return match lock::excluder(client, doing).await {
            Some(holder) => holder.explain(error),
            None => error,
        };
    }
    let denied =
        said.filter(|said| *said.code() == SqlState::INSUFFICIENT_PRIVILEGE).map(|said| said.message());
    let Some(denied) = denied else { return error };
    if end(client).await.is_err() {
        return error;
    }
    let rows = client.query(PARTLY_READABLE, &[&denied]).await.unwrap_or_default();
    let fault = |row: &Row| {
        let [name, owner, role, columns] = [0, 1, 2, 3].map(|column| row.get::<_, &str>(column));
        unreadable_part(name, &format!("its columns {columns}"), owner, role)
    };
    if rows.is_empty() { error } else { Error::Hidden(rows.iter().map(fault).collect()) }
}

/// The server's message has the table's name alone. (PostgreSQL: GRANT, "column".)
const PARTLY_READABLE: &str = "\
SELECT pg_catalog.quote_ident(c.relname), pg_catalog.pg_get_userbyid(c.relowner)::text, pg_catalog.quote_ident(current_user),
       string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(c.oid) AND position(c.relname::text IN $1) > 0
  AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
  AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
GROUP BY c.relname, c.relowner ORDER BY c.relname";

/// Extensions look after their own tables. (PostgreSQL: System Catalogs, `pg_depend`; System Information Functions.)
const UNREADABLE: &str = "\
SELECT pg_catalog.quote_ident(c.relname), pg_catalog.pg_get_userbyid(c.relowner)::text, pg_catalog.quote_ident(current_user)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND pg_catalog.pg_table_is_visible(c.oid)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND (c.relname = ANY ($1) OR $2 AND NOT c.relispartition)
  AND NOT pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname";
