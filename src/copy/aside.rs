//! What is set aside while a step loads, and put back exactly as it was, in the step's transaction and with the owner's
//! rights alone: triggers that would run for rows that are no news to the application, and foreign keys, so that neither
//! the order of the tables nor circles among them matter and each key is checked once, for all rows.
//!
//! A foreign key is put back from its own definition. That this gives the same key is tried on the empty table first: one
//! that comes back different in any column of the catalog, or cannot be dropped or made, stays where it is. What was put
//! back is compared with what was there once more before the commit.

use super::columns::BoundTable;
use crate::error::{Error, is_circumstance, server_message};
use crate::postgres::catalog::SCOPE;
use std::collections::BTreeMap;
use tokio_postgres::{Client, Row};

/// What was set aside.
pub(super) struct Aside {
    tables: Vec<u32>,
    /// The catalog as it was.
    before: Facts,
    keys: Vec<Key>,
    triggers: Vec<Trigger>,
    /// The foreign keys that stayed: the tables must be loaded in their order.
    pub kept: Vec<Kept>,
}

/// A foreign key that stays in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// The table that refers.
    pub from: u32,
    /// The table it refers to.
    pub to: u32,
    /// It can be checked at the end of the transaction instead of at the end of each statement.
    pub deferrable: bool,
}

/// What the catalog says of constraints and triggers, by their names.
type Facts = BTreeMap<String, String>;

struct Key {
    shown: String,
    kept: Kept,
    /// It is an ordinary, enforced key between two ordinary tables, and this role owns the one that refers.
    movable: bool,
    validated: bool,
    drop: String,
    add: String,
    comment: Option<String>,
}

struct Trigger {
    table: u32,
    name: String,
    disable: String,
    enable: String,
}

impl Aside {
    /// Sets triggers and foreign keys of `tables`, which must be locked and empty, aside.
    pub(super) async fn set(client: &Client, tables: &[BoundTable]) -> Result<Aside, Error> {
        let doing = || Error::database("setting triggers and foreign keys aside");
        let tables: Vec<u32> = tables.iter().map(|table| table.target.oid).collect();
        let triggers = triggers(client, &tables).await?;
        let rows = client.query(&keys(), &[&tables]).await.map_err(doing())?;
        let (movable, kept): (Vec<Key>, Vec<Key>) = rows.iter().map(Key::from).partition(|key| key.movable);
        let mut aside = Aside {
            before: facts(client, &tables).await?,
            tables,
            keys: Vec::new(),
            triggers,
            kept: Vec::new(),
        };
        let (keys, refused) = aside.rehearse(client, movable).await?;
        aside.kept = kept.iter().chain(&refused).map(|key| key.kept).collect();
        aside.keys = keys;
        let disable = aside.triggers.iter().map(|trigger| trigger.disable.as_str());
        let statements: Vec<&str> = aside.keys.iter().map(|key| key.drop.as_str()).chain(disable).collect();
        if !statements.is_empty() {
            client.batch_execute(&statements.join("; ")).await.map_err(doing())?;
        }
        for key in &aside.keys {
            log::info!("set aside: {}", key.shown);
        }
        for trigger in &aside.triggers {
            log::info!("set aside: {}", trigger.disable);
        }
        Ok(aside)
    }

    /// Names of the triggers of a table, and of its partitions, that do not run.
    pub(super) fn triggers_of(&self, table: u32) -> Vec<String> {
        let mut names: Vec<String> = self
            .triggers
            .iter()
            .filter(|trigger| trigger.table == table)
            .map(|trigger| trigger.name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Puts everything back. The server checks all rows by each key here, and what was deferred.
    ///
    /// # Errors
    /// The driver's, with SQLSTATE class 23, if a row violates a constraint.
    pub(super) async fn put_back(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        // no table can be altered that still has checks waiting
        let mut statements = vec!["SET CONSTRAINTS ALL IMMEDIATE".to_owned()];
        for key in &self.keys {
            if !key.validated {
                // NOT VALID says nothing of new rows, and these are new: checked once, and dropped again
                let valid = key.add.strip_suffix(" NOT VALID").unwrap_or(&key.add);
                statements.extend([valid.to_owned(), key.drop.clone()]);
            }
            statements.push(key.add.clone());
            statements.extend(key.comment.clone());
        }
        statements.extend(self.triggers.iter().map(|trigger| trigger.enable.clone()));
        client.batch_execute(&statements.join("; ")).await
    }

    /// Compares the catalog with what it was.
    ///
    /// # Errors
    /// [`Error::Proof`] with what is different.
    pub(super) async fn compare(&self, client: &Client) -> Result<(), Error> {
        let differences = differences(&self.before, &facts(client, &self.tables).await?);
        if differences.is_empty() {
            return Ok(());
        }
        let lines = differences.into_iter().map(|name| {
            format!(
                "{name}: it is not what it was before the step; does an event trigger change the catalog?"
            )
        });
        Err(Error::Proof(lines.collect()))
    }

    /// Drops and makes `keys` on the empty tables, all of them and, if that is not right, one by one: those that come
    /// back as they were, and those that do not. Nothing stays changed.
    async fn rehearse(&self, client: &Client, keys: Vec<Key>) -> Result<(Vec<Key>, Vec<Key>), Error> {
        if keys.is_empty() || self.comes_back(client, &keys).await? {
            return Ok((keys, Vec::new()));
        }
        let (mut right, mut refused) = (Vec::new(), Vec::new());
        for key in keys {
            if self.comes_back(client, std::slice::from_ref(&key)).await? {
                right.push(key);
            } else {
                log::info!("{} stays in place: it cannot be put back exactly by this role", key.shown);
                refused.push(key);
            }
        }
        Ok((right, refused))
    }

    async fn comes_back(&self, client: &Client, keys: &[Key]) -> Result<bool, Error> {
        let doing = || Error::database("trying to set foreign keys aside");
        let mut statements = vec!["SAVEPOINT outgrow_rehearsal"];
        statements.extend(keys.iter().map(|key| key.drop.as_str()));
        for key in keys {
            statements.push(&key.add);
            statements.extend(key.comment.as_deref());
        }
        let same = match client.batch_execute(&statements.join("; ")).await {
            Ok(()) => differences(&self.before, &facts(client, &self.tables).await?).is_empty(),
            Err(error) => match error.code() {
                // insufficient privilege, dependent objects, whatever an event trigger raises
                Some(code) if !is_circumstance(code) => {
                    log::debug!("{}", server_message(&error));
                    false
                }
                _ => return Err(doing()(error)),
            },
        };
        client
            .batch_execute("ROLLBACK TO SAVEPOINT outgrow_rehearsal; RELEASE SAVEPOINT outgrow_rehearsal")
            .await
            .map_err(doing())?;
        Ok(same)
    }
}

impl Key {
    fn from(row: &Row) -> Key {
        Key {
            shown: row.get("shown"),
            kept: Kept {
                from: row.get("from_table"),
                to: row.get("to_table"),
                deferrable: row.get("condeferrable"),
            },
            movable: row.get("movable"),
            validated: row.get("convalidated"),
            drop: row.get("drop_it"),
            add: row.get("add_it"),
            comment: row.get("comment_it"),
        }
    }
}

/// The enabled triggers that COPY would run.
///
/// # Errors
/// [`Error::Target`] if there are some and the role does not own their table.
async fn triggers(client: &Client, tables: &[u32]) -> Result<Vec<Trigger>, Error> {
    let rows = client
        .query(&format!("WITH scope AS ({SCOPE}) {TRIGGERS}"), &[&tables])
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
        let trigger = format!("TRIGGER {}", crate::identifier::quote(&name));
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

async fn facts(client: &Client, tables: &[u32]) -> Result<Facts, Error> {
    let rows = client
        .query(&format!("WITH scope AS ({SCOPE}) {FACTS}"), &[&tables])
        .await
        .map_err(Error::database("reading the target's constraints and triggers"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Names of what is not the same in both.
fn differences(before: &Facts, after: &Facts) -> Vec<String> {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// Triggers of the user's own that run at an INSERT (4 in `tgtype`), as COPY does, and are not disabled already.
const TRIGGERS: &str = "\
SELECT s.root, c.relname::text, format('%I.%I', n.nspname, c.relname) AS quoted, t.tgname::text, t.tgenabled::text,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner
FROM scope s
JOIN pg_catalog.pg_trigger t ON t.tgrelid = s.relid
JOIN pg_catalog.pg_class c ON c.oid = s.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND (t.tgtype & 4) <> 0
ORDER BY quoted, t.tgname";

/// In the order in which they were made, which is the order in which their checks run. A key of a partitioned table has
/// parts in its partitions, whose names would be lost; NOT ENFORCED (PostgreSQL 18) costs nothing where it is.
fn keys() -> String {
    format!(
        "WITH scope AS ({SCOPE})
SELECT DISTINCT ON (k.oid) s.root AS from_table, coalesce(p.root, k.confrelid) AS to_table, k.condeferrable, k.convalidated,
       format('foreign key %s of %s', k.conname, c.relname) AS shown,
       k.conparentid = 0 AND c.relkind = 'r' AND NOT c.relispartition AND r.relkind = 'r'
         AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
         AND pg_catalog.pg_has_role(c.relowner, 'USAGE') AS movable,
       format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname) AS drop_it,
       format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname,
              pg_catalog.pg_get_constraintdef(k.oid)) AS add_it,
       CASE WHEN d.description IS NOT NULL THEN
         format('COMMENT ON CONSTRAINT %I ON %I.%I IS %L', k.conname, n.nspname, c.relname, d.description)
       END AS comment_it
FROM scope s
JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid AND k.contype = 'f'
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
LEFT JOIN scope p ON p.relid = k.confrelid
LEFT JOIN pg_catalog.pg_description d
       ON d.objoid = k.oid AND d.classoid = 'pg_catalog.pg_constraint'::regclass
ORDER BY k.oid"
    )
}

/// Everything the catalog says of them but the numbers that a new object gets.
const FACTS: &str = "\
SELECT format('constraint %s of %s', k.conname, k.conrelid::regclass),
       concat_ws(' ', (to_jsonb(k) - 'oid')::text, pg_catalog.pg_get_constraintdef(k.oid),
                 pg_catalog.obj_description(k.oid, 'pg_constraint'))
FROM scope s JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid
UNION ALL
SELECT format('trigger %s of %s', t.tgname, t.tgrelid::regclass),
       concat_ws(' ', to_jsonb(t)::text, pg_catalog.obj_description(t.oid, 'pg_trigger'))
FROM scope s JOIN pg_catalog.pg_trigger t ON t.tgrelid = s.relid
WHERE NOT t.tgisinternal
UNION ALL
SELECT format('checks of constraint %s of %s', k.conname, k.conrelid::regclass),
       string_agg((to_jsonb(t) - 'oid' - 'tgname' - 'tgconstraint')::text, ' ' ORDER BY t.tgrelid, t.tgfoid, t.tgtype)
FROM scope s JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid
JOIN pg_catalog.pg_trigger t ON t.tgconstraint = k.oid
WHERE t.tgisinternal
GROUP BY k.oid, k.conname, k.conrelid";
