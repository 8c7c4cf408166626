//! What the file has otherwise than the source had it, or not at all, although nothing is wrong: said beforehand, from
//! the catalog, the receipts and what outgrow's own tables still hold.

use super::fed::Fed;
use super::modules::Modules;
use crate::copy::columns::BoundTable;
use crate::copy::originals::{self, Key};
use crate::copy::receipt::{ForTheWayBack, Spelt};
use crate::copy::{TABLES_OF_OURS, quarantine};
use crate::error::{Error, counted};
use crate::migration::Version;
use crate::migration::step::Step;
use crate::postgres::reading;
use crate::sqlite::Definition;
use std::collections::HashMap;
use tokio_postgres::Client;

/// How many rows outgrow's own tables hold, by version and table of the source.
#[derive(Default)]
pub(super) struct Held {
    originals: HashMap<(i32, String), u64>,
    quarantined: HashMap<(i32, String), u64>,
}

impl Held {
    /// Counts what the receipts speak of; a table that is gone holds nothing.
    pub(super) async fn of(
        client: &Client,
        receipts: &HashMap<i32, ForTheWayBack>,
        has_quarantine: bool,
    ) -> Result<Held, Error> {
        let mut held = Held::default();
        let kept = receipts.values().flat_map(|receipt| &receipt.tables).any(|table| table.originals > 0);
        if kept && reading::has_table(client, originals::TABLE).await? {
            held.originals = count(client, originals::TABLE).await?;
        }
        if has_quarantine {
            held.quarantined = count(client, quarantine::TABLE).await?;
        }
        Ok(held)
    }
}

async fn count(client: &Client, table: &str) -> Result<HashMap<(i32, String), u64>, Error> {
    let query = format!("SELECT version, table_name, count(*) FROM {table} GROUP BY version, table_name");
    let rows = client.query(&query, &[]).await.map_err(Error::database("counting what was kept"))?;
    let count = |row: &tokio_postgres::Row| ((row.get(0), row.get(1)), row.get::<_, i64>(2).unsigned_abs());
    Ok(rows.iter().map(count).collect())
}

/// What the steps left behind, as far as the file does not make it by itself.
pub(super) fn left(
    steps: &[(&Version, &Step)],
    receipts: &HashMap<i32, ForTheWayBack>,
    fed: &[Fed<'_>],
    definition: &Definition,
    modules: &Modules,
) -> Vec<String> {
    let unfed =
        |name: &str| fed.iter().any(|fed| fed.step.is_none() && fed.target.name.eq_ignore_ascii_case(name));
    let of_step = steps.iter().filter_map(|(version, _)| Some((*version, receipts.get(&version.number)?)));
    let left = of_step.flat_map(|(version, receipt)| receipt.left.iter().map(move |left| (version, left)));
    left.filter(|(_, left)| !modules.make(left) && !definition.bookkeeping.contains_key(*left))
        .filter_map(|(version, left)| unless_brought(left, version, steps, receipts, unfed))
        .collect()
}

/// A table that a step left behind, unless another step brought it. `unfed` says whether the target has a table of that
/// name that no step feeds: the file has its rows.
fn unless_brought(
    left: &str,
    by: &Version,
    steps: &[(&Version, &Step)],
    receipts: &HashMap<i32, ForTheWayBack>,
    unfed: impl Fn(&str) -> bool,
) -> Option<String> {
    let brought = steps.iter().any(|(version, step)| {
        let receipt = receipts.get(&version.number);
        step.tables.iter().filter(|table| table.name.eq_ignore_ascii_case(left)).any(|table| {
            let target = table.target_name();
            receipt.is_some_and(|receipt| receipt.copied(target))
        })
    });
    let label = &by.label;
    match brought {
        true => None,
        false if unfed(left) => {
            Some(format!("{left}: the rows that the target has; {label} left the source's behind"))
        }
        false => Some(format!("{left}: empty in the file; {label} left it behind")),
    }
}

/// Columns whose types are others than those that the step brought them into.
pub(super) fn other_types(bound: &BoundTable, spelt: &Spelt, label: &str) -> Vec<String> {
    let table = &bound.target.name;
    let columns = bound.columns.iter().map(|column| &column.target);
    let changed = columns.filter_map(|column| Some((column, changed(spelt, &column.name, &column.base)?)));
    let note = changed.map(|(column, was)| {
        format!(
            "table {table}: column {} was {was} when {label} brought it and is {} now: its cells are written as that type's, \
             unless the format and the cells that were kept still fit",
            column.name, column.base
        )
    });
    note.collect()
}

/// The type that the column was brought into, if it is another now. Integers and texts of other widths keep their
/// formats. The schema is named or not, as the `search_path` has it. A receipt without types says nothing.
fn changed<'a>(spelt: &'a Spelt, column: &str, now: &str) -> Option<&'a str> {
    let was = spelt.types.get(column)?;
    let kind = |name: &str| match name {
        "smallint" | "integer" | "bigint" => "an integer".to_owned(),
        "text" | "character varying" => "a text".to_owned(),
        other => other.rsplit('.').next().unwrap_or_default().to_owned(),
    };
    (kind(was) != kind(now)).then_some(was)
}

/// The key by which the kept cells of a table are found again, if there are any; those that are not found are noted.
pub(super) fn key(
    bound: &BoundTable,
    version: &Version,
    spelt: &Spelt,
    held: &Held,
    notes: &mut Vec<String>,
) -> Option<Key> {
    if spelt.originals == 0 {
        return None;
    }
    let (table, kept, label) = (&bound.target.name, spelt.originals, &version.label);
    if !spelt.key.iter().all(|name| bound.target_columns().any(|known| known == name)) {
        notes.push(format!(
            "{table}: {} kept with cells in another spelling than their columns' cannot be found again: \
             the target has not all of the columns {} any more",
            counted(kept, "row"),
            spelt.key.join(", ")
        ));
        return None;
    }
    let columns = bound.target.columns.iter().filter(|column| spelt.key.contains(&column.name));
    let others: Vec<&str> = columns
        .filter(|column| changed(spelt, &column.name, &column.base).is_some())
        .map(|column| column.name.as_str())
        .collect();
    if !others.is_empty() {
        notes.push(format!(
            "{table}: cells that {label} kept of {} cannot be found again, because the type of {} is another now: \
             they are written in their column's format",
            counted(kept, "row"),
            others.join(", ")
        ));
        return None;
    }
    let there = held.originals.get(&(version.number, bound.source.name.clone())).copied().unwrap_or(0);
    if there < kept {
        notes.push(format!(
            "{table}: cells that {label} kept of {} are gone ({}): they are written in their column's format",
            counted(kept - there, "row"),
            originals::TABLE
        ));
    }
    (there > 0).then(|| Key::of(bound, Some(&spelt.key)))
}

/// Rows that the step put into the quarantine and that are there no more.
pub(super) fn unquarantined(
    bound: &BoundTable,
    version: &Version,
    spelt: &Spelt,
    held: &Held,
) -> Option<String> {
    let put: u64 = spelt.quarantined.values().sum();
    let there = held.quarantined.get(&(version.number, bound.source.name.clone())).copied().unwrap_or(0);
    (there < put).then(|| {
        format!(
            "{}: {} put {} into the quarantine, and {} holds {there}: what is missing there is in the file only if the target's \
             table has it",
            bound.target.name,
            version.label,
            counted(put, "row"),
            quarantine::TABLE
        )
    })
}

/// What holds rows and is no table that a query without a schema finds, all in one note.
pub(super) async fn outside(client: &Client) -> Result<Option<String>, Error> {
    let rows = client.query(OUTSIDE, &[&TABLES_OF_OURS.as_slice()]).await;
    let rows = rows.map_err(Error::database("listing what is not written"))?;
    let named: Vec<String> =
        rows.iter().map(|row| format!("{} ({})", row.get::<_, String>(0), row.get::<_, String>(1))).collect();
    Ok((!named.is_empty()).then(|| format!("not in the file: {}", named.join(", "))))
}

/// Schemas whose names begin with `pg_` are the system's. (PostgreSQL: Schemas, "The System Catalog Schema"; System
/// Catalogs, `pg_class`.)
const OUTSIDE: &str = "\
SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN c.relname::text ELSE n.nspname || '.' || c.relname END,
       CASE c.relkind WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'another schema' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind IN ('m', 'f') OR c.relkind IN ('r', 'p') AND NOT pg_catalog.pg_table_is_visible(c.oid))
  AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND NOT pg_catalog.starts_with(n.nspname::text, 'pg_') AND c.relname <> ALL ($1)
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname";
