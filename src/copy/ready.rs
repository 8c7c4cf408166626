//! What must hold of the target's tables before a row moves: nobody else uses them, they are empty, and no policy
//! decides which rows this role sees.

use super::columns::BoundTable;
use crate::error::Error;
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
    // what is set aside and put back takes this lock later anyway, and who takes a stronger lock later may never get it
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "));
    client
        .batch_execute(&lock)
        .await
        .map_err(Error::database("locking the target's tables (is the application still running?)"))?;
    let oids: Vec<u32> = tables.iter().map(|table| table.target.oid).collect();
    let rows = client
        .query(PROPERTIES, &[&oids])
        .await
        .map_err(Error::database("looking at the target's tables"))?;
    let mut faults = Vec::new();
    for row in rows {
        let (name, owner): (String, String) = (row.get("relname"), row.get("owner"));
        if row.get("secured") {
            faults.push(secured(&name, &owner));
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
    // rows of tables that inherit are rows of this one to the application
    let queries = tables.iter().enumerate().map(|(index, table)| {
        let (own, all) = (table.target.own_rows(), table.target.quoted());
        format!("SELECT {index}, EXISTS (SELECT 1 FROM {own}) WHERE EXISTS (SELECT 1 FROM {all})")
    });
    let full = client
        .query(&queries.collect::<Vec<_>>().join(" UNION ALL "), &[])
        .await
        .map_err(Error::database("looking for rows in the target's tables"))?;
    faults.extend(full.iter().map(|row| {
        let index = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
        let what = if row.get(1) { "it" } else { "a table that inherits from it" };
        format!(
            "table {}: {what} already holds rows, and a step loads into empty tables only; \
             empty it, or record the step as having brought nothing with --without-data",
            tables[index].target.name
        )
    }));
    if faults.is_empty() { Ok(()) } else { Err(Error::Target(faults)) }
}

/// What is said of a table under row-level security.
pub(super) fn secured(name: &str, owner: &str) -> String {
    format!(
        "table {name}: its row-level security applies to this role, and would decide which rows can be stored \
         and seen; connect as its owner, {owner}, without FORCE ROW LEVEL SECURITY, or as a role with BYPASSRLS"
    )
}

/// (PostgreSQL: Row Security Policies.)
const PROPERTIES: &str = "\
SELECT c.relname::text, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.row_security_active(c.oid) AS secured, c.relpersistence = 'u' AS unlogged
FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)
ORDER BY c.relname";
