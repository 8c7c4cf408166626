//! What must hold of the target's tables so that all of their rows are seen: this role may read them, and no policy
//! hides any. Rows in tables that inherit from one of them are seen by the application, and are named here.

use crate::copy::{quarantine, ready};
use crate::error::Error;
use crate::postgres::{catalog, reading};
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::Client;

/// Refuses tables whose rows this role cannot see, all in one message; and says whether there is a quarantine.
///
/// # Errors
/// [`Error::Hidden`].
pub(in crate::copy) async fn require(
    client: &Client,
    tables: &[catalog::Table],
    with_quarantine: bool,
) -> Result<bool, Error> {
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let rows = client
        .query(PROPERTIES, &[&oids, &with_quarantine.then_some(quarantine::TABLE)])
        .await
        .map_err(Error::database("looking at the target's tables"))?;
    let mut faults = Vec::new();
    for row in &rows {
        let (name, owner): (String, String) = (row.get("relname"), row.get("owner"));
        if row.get("secured") {
            faults.push(ready::secured(&name, &owner));
        } else if !row.get::<_, bool>("readable") {
            faults.push(reading::unreadable(row.get("quoted"), &owner, row.get("role")));
        }
    }
    if faults.is_empty() { Ok(rows.len() > oids.len()) } else { Err(Error::Hidden(faults)) }
}

/// By table: the rows in tables that inherit from it and that no step fills, by their tables' names. Reading through
/// the parent takes no right on them. (PostgreSQL: Data Definition, "Inheritance".)
pub(super) async fn inherited(
    client: &Client,
    tables: &[catalog::Table],
) -> Result<HashMap<u32, BTreeMap<String, u64>>, Error> {
    let doing = || Error::database("looking for rows in tables that inherit");
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let mut found = HashMap::new();
    for parent in client.query(PARENTS, &[&oids]).await.map_err(doing())? {
        let oid: u32 = parent.get(0);
        let Some(table) = tables.iter().find(|table| table.oid == oid && !table.partitioned) else {
            continue;
        };
        let query = format!(
            "SELECT tableoid::regclass::text, count(*) FROM {} WHERE tableoid <> ALL ($1) GROUP BY tableoid",
            table.quoted()
        );
        let rows = client.query(&query, &[&oids]).await.map_err(doing())?;
        let rows = rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs()));
        found.insert(oid, rows.collect());
    }
    Ok(found)
}

/// (PostgreSQL: Row Security Policies; System Information Functions.)
const PROPERTIES: &str = "\
SELECT c.relname::text, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.quote_ident(c.relname) AS quoted, pg_catalog.quote_ident(current_user) AS role,
       pg_catalog.row_security_active(c.oid) AS secured,
       pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AS readable
FROM pg_catalog.pg_class c
WHERE c.oid = ANY ($1) OR c.oid = pg_catalog.to_regclass($2)
ORDER BY c.relname";

const PARENTS: &str = "SELECT DISTINCT inhparent FROM pg_catalog.pg_inherits WHERE inhparent = ANY ($1)";
