//! What must hold of the target's tables before a row moves: nobody else uses them, they are empty, and no policy
//! decides which rows this role sees.

use super::columns::BoundTable;
use crate::error::Error;
use crate::postgres::of_tables;
use tokio_postgres::Client;

/// Locks the tables, and refuses those that hold rows or are under row-level security: all in one message.
///
/// # Errors
/// [`Error::Target`].
pub(super) async fn require(client: &Client, tables: &[BoundTable]) -> Result<(), Error> {
    if tables.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = tables.iter().map(|table| table.target.quoted()).collect();
    require_rights(client, tables).await?;
    // what is set aside and put back takes this lock later anyway, and who takes a stronger lock later may never get it
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "));
    client
        .batch_execute(&lock)
        .await
        .map_err(Error::database("locking the target's tables (is the application still running?)"))?;
    look(client, tables).await
}

/// Refuses tables under row-level security, and those that hold rows; takes no lock that keeps others out, and no right to
/// write.
///
/// # Errors
/// [`Error::Target`].
pub(super) async fn look(client: &Client, tables: &[BoundTable]) -> Result<(), Error> {
    let rows = of_tables(client, PROPERTIES, &oids(tables))
        .await
        .map_err(Error::database("looking at the target's tables"))?;
    let mut faults = Vec::new();
    for row in rows {
        let (name, owner): (String, String) = (row.get("relname"), row.get("owner"));
        if row.get("secured") {
            faults.push(secured(&name, &owner));
        }
        for index in row.get::<_, Vec<String>>("invalid") {
            log::warn!(
                "index {index} of table {name} is INVALID, as an interrupted CREATE INDEX or REINDEX CONCURRENTLY leaves one; \
                 it stays so: REINDEX INDEX or DROP INDEX"
            );
        }
        if row.get("unlogged") {
            log::warn!(
                "table {name} is UNLOGGED: after a crash PostgreSQL empties it, and the step will not run again"
            );
        }
    }
    // a query of a secured table would answer for the visible rows alone
    if !faults.is_empty() {
        return Err(Error::Target(faults));
    }
    require_empty(client, tables).await
}

/// Refuses tables that hold rows.
///
/// # Errors
/// [`Error::Target`].
pub(super) async fn require_empty(client: &Client, tables: &[BoundTable]) -> Result<(), Error> {
    if tables.is_empty() {
        return Ok(());
    }
    // rows of tables that inherit are rows of this one to the application
    let queries = tables.iter().enumerate().map(|(index, table)| {
        let (own, all) = (table.target.own_rows(), table.target.quoted());
        format!("SELECT {index}, EXISTS (SELECT 1 FROM {own}) WHERE EXISTS (SELECT 1 FROM {all})")
    });
    let full = client
        .query_typed(&queries.collect::<Vec<_>>().join(" UNION ALL "), &[])
        .await
        .map_err(Error::database("looking for rows in the target's tables"))?;
    let faults: Vec<String> = full
        .iter()
        .map(|row| {
            let index = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
            let what = if row.get(1) { "it" } else { "a table that inherits from it" };
            format!(
                "table {}: {what} already holds rows, and a step loads into empty tables only; \
             empty it (TRUNCATE … CASCADE in a version before the step), or list it under skip to keep them; --without-data records the \
             whole step as having brought nothing",
                tables[index].target.name
            )
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Target(faults)) }
}

/// Refuses tables that this role may not read, fill or lock, all at once.
async fn require_rights(client: &Client, tables: &[BoundTable]) -> Result<(), Error> {
    let rows = of_tables(client, RIGHTS, &oids(tables))
        .await
        .map_err(Error::database("asking for this role's rights on the target's tables"))?;
    let faults: Vec<String> = rows
        .iter()
        .map(|row| {
            let [name, role, owner, missing] = [0, 1, 2, 3].map(|column| row.get::<_, String>(column));
            format!(
                "table {name}: the role {role} lacks {missing}; GRANT {missing} ON {name} TO {role}, \
                 or connect as its owner, {owner}, who can set keys and indexes aside too"
            )
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Target(faults)) }
}

fn oids(tables: &[BoundTable]) -> Vec<u32> {
    tables.iter().map(|table| table.target.oid).collect()
}

/// What is said of a table under row-level security.
pub(super) fn secured(name: &str, owner: &str) -> String {
    format!(
        "table {name}: its row-level security applies to this role, and would decide which rows can be stored \
         and seen; connect as its owner, {owner}, without FORCE ROW LEVEL SECURITY, or as a role with BYPASSRLS"
    )
}

/// A lock that keeps others from reading takes UPDATE, DELETE or TRUNCATE. (PostgreSQL: LOCK, Notes; COPY, Notes.)
const RIGHTS: &str = "\
SELECT quote_ident(c.relname), quote_ident(current_user), pg_catalog.pg_get_userbyid(c.relowner)::text, missing
FROM pg_catalog.pg_class c
CROSS JOIN LATERAL (SELECT concat_ws(', ',
    CASE WHEN NOT pg_catalog.has_any_column_privilege(c.oid, 'SELECT') THEN 'SELECT' END,
    CASE WHEN NOT pg_catalog.has_any_column_privilege(c.oid, 'INSERT') THEN 'INSERT' END,
    CASE WHEN NOT pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') THEN 'TRUNCATE' END) AS missing) AS rights
WHERE c.oid = ANY ($1) AND missing <> ''
ORDER BY c.relname";

/// (PostgreSQL: Row Security Policies; System Catalogs, `pg_index`.)
const PROPERTIES: &str = "\
SELECT c.relname::text, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.row_security_active(c.oid) AS secured, c.relpersistence = 'u' AS unlogged,
       ARRAY(SELECT i.indexrelid::regclass::text FROM pg_catalog.pg_index i
             WHERE i.indrelid = c.oid AND NOT i.indisvalid ORDER BY i.indexrelid) AS invalid
FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)
ORDER BY c.relname";
