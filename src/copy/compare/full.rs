//! Whether a step's rows are where they belong: tables of the source that hold some, and whether the target's hold any.

use super::visible;
use crate::copy::bind::same_name;
use crate::copy::target_names;
use crate::error::Error;
use crate::migration::step::Step;
use crate::postgres::catalog;
use crate::sqlite::Source;
use tokio_postgres::Client;

/// The step's tables that hold rows in the source.
///
/// # Errors
/// [`Error::Source`] if SQLite cannot read one.
pub fn tables_with_rows(source: &Source, step: &Step) -> Result<Vec<String>, Error> {
    let named =
        step.tables.iter().filter_map(|table| same_name(&source.tables, &table.name, |known| &known.name));
    let mut full = Vec::new();
    for table in named.filter(|table| table.unreadable.is_none()) {
        if source.holds_rows(table)? {
            full.push(table.name.clone());
        }
    }
    Ok(full)
}

/// Whether the step's tables are there in the target, and none of them holds a row.
///
/// # Errors
/// [`Error::Hidden`] if this role cannot see all rows, [`Error::Database`] if they cannot be asked for.
pub async fn target_is_empty(client: &Client, step: &Step) -> Result<bool, Error> {
    let target = catalog::tables(client, &target_names(step)).await?;
    if target.is_empty() {
        return Ok(false);
    }
    visible::require(client, &target, false).await?;
    let any: Vec<String> =
        target.iter().map(|table| format!("EXISTS (SELECT FROM {})", table.quoted())).collect();
    let query = format!("SELECT NOT ({})", any.join(" OR "));
    let doing = Error::database("asking whether the step's tables are empty");
    Ok(client.query_one(&query, &[]).await.map_err(doing)?.get(0))
}
