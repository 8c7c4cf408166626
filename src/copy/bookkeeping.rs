//! The rows of tables in which other tools keep their books (`alembic_version`, `__diesel_schema_migrations`). A step
//! leaves them behind, since the target has versions of its own. But an application that gets its file back looks there
//! for those of its migrations that the file has seen, and would run all of them again on tables that are there already.
//!
//! The receipt keeps these rows, and an export writes them into the file ([`super::back`]).

use super::lossless::Lossless;
use crate::error::Error;
use crate::postgres::{catalog, of_tables};
use crate::sqlite::schema::Table;
use crate::sqlite::{Books, Source, scan};
use rusqlite::types::ValueRef;
use serde_json::json;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// A table of more rows is no list of versions, and is not kept.
const MOST_ROWS: usize = 10_000;

/// Nor is one of more bytes.
const MOST_BYTES: usize = 1 << 20;

/// By table of `source`: its rows, if it keeps another tool's books, is among those `left` behind, and is small.
///
/// # Errors
/// [`Error::Source`] if SQLite cannot read it.
pub(super) fn read(source: &Source, left: &[String]) -> Result<BTreeMap<String, Books>, Error> {
    let keeps_books =
        |table: &&Table| table.may_keep_books() && table.unreadable.is_none() && left.contains(&table.name);
    let mut kept = BTreeMap::new();
    for table in source.tables.iter().filter(keeps_books) {
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
    let names: Vec<&str> = full.map(|(table, _)| table.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let tables = catalog::tables(client, &names).await?;
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let doing = || Error::database("looking at the tables of other tools in the target");
    let readable = of_tables(client, READABLE, &oids).await.map_err(doing())?;
    let readable: Vec<u32> = readable.iter().map(|row| row.get(0)).collect();
    for table in tables.iter().filter(|table| readable.contains(&table.oid)) {
        let empty = format!("SELECT NOT EXISTS (SELECT FROM {})", table.quoted());
        if client.query_typed_one(&empty, &[]).await.map_err(doing())?.get(0) {
            let name = &table.name;
            log::warn!(
                "{name} is left behind, and empty in the target: an application that migrates at its start would run all of \
                 its migrations on tables that are there; have its tool mark them as run, or list {name} under tables"
            );
        }
    }
    Ok(())
}

const READABLE: &str =
    "SELECT oid FROM unnest($1::oid[]) AS oid WHERE pg_catalog.has_table_privilege(oid, 'SELECT')";
