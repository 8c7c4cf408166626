//! Rows of the file that refer to no row of it. Where the target has the same, that is said and nothing more. Where it
//! does not, the two ends of a key are spelt in two ways, which SQLite takes for two values: as the source had them, or
//! because nothing told how the application spells one of them.

use super::plan::{BackTable, Plan};
use crate::error::{Error, counted};
use crate::postgres::of_tables;
use crate::sqlite::writer::{Orphans, Reference};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Client;

/// Foreign keys that the target enforces: table and table referred to, by the file's names in lower case.
pub(super) struct Enforced(BTreeSet<(String, String)>);

impl Enforced {
    /// Those between `tables`.
    pub(super) async fn between(client: &Client, tables: &[BackTable]) -> Result<Enforced, Error> {
        let named =
            |table: &BackTable| (table.bound.target.oid, table.bound.source.name.to_ascii_lowercase());
        let named: HashMap<u32, String> = tables.iter().map(named).collect();
        let oids: Vec<u32> = named.keys().copied().collect();
        let keys = of_tables(client, ENFORCED, &oids).await;
        let keys = keys.map_err(Error::database("reading the target's foreign keys"))?;
        // both are among those that were asked for
        let name = |oid: u32| named.get(&oid).cloned().unwrap_or_default();
        Ok(Enforced(keys.iter().map(|row| (name(row.get(0)), name(row.get(1)))).collect()))
    }

    fn has(&self, table: &str, parent: &str) -> bool {
        self.0.contains(&(table.to_ascii_lowercase(), parent.to_ascii_lowercase()))
    }
}

/// What is said of `orphans` in the file of `plan`, whose schema has these `references`: of rows that it would lose, and
/// of others.
pub(super) fn told(plan: &Plan, references: &[Reference], orphans: &Orphans) -> (Vec<String>, Vec<String>) {
    let (mut lost, mut others) = (Vec::new(), Vec::new());
    for ((table, parent), rows) in orphans {
        let whose = if *rows == 1 { "its" } else { "their" };
        let found = format!("{table}: {} without {whose} row of {parent}", counted(*rows, "row"));
        if !plan.enforced.has(table, parent) {
            others.push(format!("{found}, as in the target"));
        } else if let Some(column) = guessed(plan, references, table, parent) {
            lost.push(format!(
                "{found} that the target finds: no row of the step tells how the application spells {column} and what it refers \
                 to, and SQLite takes two spellings for two values; make both columns text in a version, spelt as the \
                 application spells them"
            ));
        } else {
            others.push(format!(
                "{found} that the target finds: SQLite takes the two spellings for two values"
            ));
        }
    }
    (lost, others)
}

/// The column of a key of `table` that refers to `parent` where no cell told how one of its ends is spelt.
fn guessed<'a>(plan: &Plan, references: &'a [Reference], table: &str, parent: &str) -> Option<&'a str> {
    let untold = |table: &str, column: Option<&String>| {
        let named = |of: &&BackTable| of.bound.source.name.eq_ignore_ascii_case(table);
        let is = |name: &String| column.is_none_or(|column| name.eq_ignore_ascii_case(column));
        plan.tables.iter().find(named).is_some_and(|table| table.untold.iter().any(is))
    };
    let between =
        |key: &&Reference| key.table.eq_ignore_ascii_case(table) && key.parent.eq_ignore_ascii_case(parent);
    let mut keys = references.iter().filter(between);
    let key = keys.find(|key| untold(table, Some(&key.column)) || untold(parent, key.to.as_ref()));
    key.map(|key| key.column.as_str())
}

/// (PostgreSQL: System Catalogs, `pg_constraint`.)
const ENFORCED: &str = "\
SELECT conrelid, confrelid FROM pg_catalog.pg_constraint
WHERE contype = 'f' AND convalidated AND conrelid = ANY ($1) AND confrelid = ANY ($1)";
