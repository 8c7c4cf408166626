//! The triggers that COPY would run.

use crate::error::Error;
use crate::identifier::quote;
use crate::postgres::catalog::SCOPE;
use crate::postgres::of_tables;
use tokio_postgres::Client;

/// A trigger that is enabled, and the statements that disable and enable it again.
pub(super) struct Trigger {
    /// The step's table: its own, or that of which it is a partition.
    pub table: u32,
    pub name: String,
    pub disable: String,
    pub enable: String,
}

/// The enabled triggers of `tables`.
///
/// # Errors
/// [`Error::Target`] if there are some and the role does not own their table.
pub(super) async fn read(client: &Client, tables: &[u32]) -> Result<Vec<Trigger>, Error> {
    let rows = of_tables(client, &format!("WITH scope AS ({SCOPE}) {TRIGGERS}"), tables)
        .await
        .map_err(Error::database("reading the target's triggers"))?;
    let mut foreign = Vec::new();
    let triggers = rows.iter().map(|row| {
        let (table, name): (String, String) = (row.get("quoted"), row.get("tgname"));
        if !row.get::<_, bool>("owned") {
            let owner: String = row.get("owner");
            foreign.push(format!(
                "table {}: its trigger {name} would run for every row, and only the table's owner can set it aside; \
                 connect as {owner} or as a member of that role",
                row.get::<_, String>("relname")
            ));
        }
        let trigger = format!("TRIGGER {}", quote(&name));
        let enable = match row.get::<_, &str>("tgenabled") {
            "A" => "ENABLE ALWAYS",
            "R" => "ENABLE REPLICA",
            _ => "ENABLE",
        };
        Trigger {
            table: row.get("root"),
            name,
            disable: format!("ALTER TABLE ONLY {table} DISABLE {trigger}"),
            enable: format!("ALTER TABLE ONLY {table} {enable} {trigger}"),
        }
    });
    let triggers = triggers.collect();
    if foreign.is_empty() { Ok(triggers) } else { Err(Error::Target(foreign)) }
}

/// Triggers of the user's own that run at an INSERT (4 in `tgtype`), as COPY does, and are not disabled already. Before
/// PostgreSQL 15 those that a partition has from its table are internal, like those of constraints.
const TRIGGERS: &str = "\
SELECT s.root, c.relname::text, format('%I.%I', n.nspname, c.relname) AS quoted, t.tgname::text, t.tgenabled::text,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner
FROM scope s
JOIN pg_catalog.pg_trigger t ON t.tgrelid = s.relid
JOIN pg_catalog.pg_class c ON c.oid = s.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (NOT t.tgisinternal OR t.tgconstraint = 0) AND t.tgenabled <> 'D' AND (t.tgtype & 4) <> 0
ORDER BY quoted, t.tgname";
