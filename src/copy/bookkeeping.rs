//! The rows of tables in which other tools keep their books (`alembic_version`, `__diesel_schema_migrations`). A step
//! leaves them behind, since the target has versions of its own. But an application that gets its file back looks there
//! for those of its migrations that the file has seen, and would run all of them again on tables that are there already.
//!
//! The receipt keeps these rows, and an export writes them into the file ([`super::back`]).

use super::lossless::Lossless;
use crate::error::Error;
use crate::migration::step::Step;
use crate::sqlite::schema::Table;
use crate::sqlite::{Books, Source, scan};
use rusqlite::types::ValueRef;
use serde_json::json;
use std::collections::BTreeMap;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// A table of more rows is no list of versions, and is not kept.
const MOST_ROWS: usize = 10_000;

/// Nor is one of more bytes.
const MOST_BYTES: usize = 1 << 20;

/// By table of `source` that `step` leaves behind: its rows, if it keeps books, by its name or as the step says, and is
/// small.
///
/// # Errors
/// [`Error::Source`] if SQLite cannot read it.
pub(super) fn of_step(
    source: &Source,
    step: &Step,
    left: &[String],
) -> Result<BTreeMap<String, Books>, Error> {
    let is_named = |table: &Table| step.bookkeeping.iter().any(|name| name.eq_ignore_ascii_case(&table.name));
    let keeps_books = |table: &&Table| table.may_keep_books() || is_named(table);
    let tables = source.tables.iter().filter(keeps_books).map(|table| &table.name);
    read(source, &tables.filter(|name| left.contains(name)).cloned().collect::<Vec<_>>())
}

/// By table of `source` among `tables`: its rows, if it is small.
///
/// # Errors
/// [`Error::Source`] if SQLite cannot read it.
pub(super) fn read(source: &Source, tables: &[String]) -> Result<BTreeMap<String, Books>, Error> {
    let named = |table: &&Table| table.unreadable.is_none() && tables.contains(&table.name);
    let mut kept = BTreeMap::new();
    for table in source.tables.iter().filter(named) {
        if let Some(books) = of_table(source, table)? {
            kept.insert(table.name.clone(), books);
        }
    }
    Ok(kept)
}

/// The rows of `table`, none if it is large.
fn of_table(source: &Source, table: &Table) -> Result<Option<Books>, Error> {
    // SQLite computes the others itself
    let columns = table.columns.iter().filter(|column| !column.generated);
    let columns: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    let (mut rows, mut bytes) = (Vec::new(), 0);
    source.scan(table, &columns, |cells| {
        let mut row = Vec::with_capacity(columns.len());
        for index in 0..columns.len() {
            let value = cells.value(index).map_err(scan::unreadable)?;
            bytes += match value {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
                _ => 8,
            };
            if bytes <= MOST_BYTES {
                row.push(json!(Lossless(value)));
            }
        }
        if rows.len() <= MOST_ROWS && bytes <= MOST_BYTES {
            rows.push(row);
        }
        Ok(())
    })?;
    let small = rows.len() <= MOST_ROWS && bytes <= MOST_BYTES;
    Ok(small.then(|| Books { columns: columns.into_iter().map(str::to_owned).collect(), rows }))
}

/// Warns of such tables that the target has, too, and that are empty there: the application's own tool would begin anew
/// on tables that exist.
///
/// # Errors
/// [`Error::Database`] if a query fails.
pub(super) async fn look_at_the_targets(
    client: &Client,
    kept: &BTreeMap<String, Books>,
) -> Result<(), Error> {
    let full = kept.iter().filter(|(_, books)| !books.rows.is_empty());
    let names: Vec<String> = full.map(|(table, _)| table.to_ascii_lowercase()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let doing = || Error::database("looking at the tables of other tools in the target");
    let readable = client.query_typed(READABLE, &[(&names, Type::TEXT_ARRAY)]).await.map_err(doing())?;
    for row in &readable {
        let (name, quoted): (String, String) = (row.get(0), row.get(1));
        let is_empty = format!("SELECT NOT EXISTS (SELECT FROM {quoted})");
        if client.query_typed_one(&is_empty, &[]).await.map_err(doing())?.get(0) {
            log::warn!(
                "{name} is left behind, and empty in the target: an application that migrates at its start would run all of \
                 its migrations on tables that are there; have its tool mark them as run, or list {name} under tables if PostgreSQL's rows \
                 are the same as SQLite's, or else under bookkeeping, with a version before the step that inserts the rows of a database \
                 that the application made itself (pg_dump --data-only --inserts -t {name})"
            );
        }
    }
    Ok(())
}

/// The visible tables of these names, in lower case, that this role may read: name, and name for statements.
const READABLE: &str = "\
SELECT c.relname::text, format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(c.oid) AND lower(c.relname) = ANY ($1)
  AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
ORDER BY c.relname";
