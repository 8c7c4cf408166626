//! One data step, inside the transaction of its version. In go the step and the source; rows land in the target, and
//! out comes the [`Receipt`], which is also stored. Nothing here commits.
//!
//! The path of a row: [`reader`] scans SQLite on a thread of its own and converts cells with the codecs that [`bind`]
//! chose, column by column; finished chunks cross a bounded channel to [`load`], which feeds them to the server's COPY.
//! Afterwards every row is read back and compared ([`proof`]), [`sequence`]s continue above the largest id, and the [`receipt`] is written.

mod bind;
mod load;
mod order;
mod proof;
mod reader;
mod receipt;
mod sequence;

pub use receipt::{Receipt, TableReceipt, sources};

use crate::error::Error;
use crate::migration::Version;
use crate::migration::step::Step;
use crate::postgres::catalog;
use crate::sqlite::Source;
use std::path::Path;
use std::time::SystemTime;
use tokio_postgres::Client;

/// Copies the tables of `step` from the file `source` and records the receipt.
///
/// # Errors
/// [`Error::Source`] and [`Error::Misfits`] if the source cannot be taken as it is, [`Error::Target`] if the tables are
/// not ready, [`Error::Proof`] if what is stored is not what was read. The caller rolls back.
pub async fn run(client: &Client, version: &Version, step: &Step, source: &Path) -> Result<Receipt, Error> {
    let started = SystemTime::now();
    // what the step's own statements would say (relation exists, …) is no news to anybody
    client
        .batch_execute("SET LOCAL client_min_messages = warning")
        .await
        .map_err(Error::database("preparing the step"))?;
    let source = Source::open(source)?;
    let mut fingerprint = source.fingerprint()?;
    let names: Vec<&str> = step.tables.iter().map(|table| table.name.as_str()).collect();
    let target = catalog::tables(client, &names).await?;
    let bound = bind::bind(step, &source, &target)?;
    let tables = order::by_foreign_keys(client, bound.tables).await?;
    load::require_empty(client, &tables).await?;
    let (source, tables, counts) = load::load(client, source, tables).await?;
    load::prove(client, &tables, &counts).await?;
    sequence::advance(client, &tables).await?;
    fingerprint.changed_during_copy = source.changed_since_opening()?;
    if fingerprint.changed_during_copy {
        log::warn!("the source changed during the copy; what was copied is the state at its start");
    }
    let tables = tables.iter().zip(&counts).map(|(table, count)| TableReceipt::of(table, count));
    let absent = bound.absent.into_iter().map(TableReceipt::absent);
    let receipt =
        Receipt::new(version, Some(fingerprint), tables.chain(absent).collect(), bound.left, started);
    receipt::record(client, &receipt).await?;
    Ok(receipt)
}

/// Refuses a file that cannot be the source of `step`, before any version is applied: it is no SQLite database, lacks a
/// table, or holds rows that the step does not name.
///
/// # Errors
/// [`Error::Source`] and [`Error::Misfits`].
pub fn require_source(step: &Step, source: &Path) -> Result<(), Error> {
    let source = Source::open(source)?;
    source.notes.iter().for_each(|note| log::warn!("{note}"));
    source.require_sound()?;
    let (_, faults) = bind::source_tables(step, &source)?;
    if faults.is_empty() { Ok(()) } else { Err(Error::Misfits { file: source.file, misfits: faults }) }
}

/// Records that `step` brought nothing (`--without-data`), so that the versions after it can be applied.
///
/// # Errors
/// [`Error::Database`] if the receipt cannot be stored.
pub async fn without_data(client: &Client, version: &Version, step: &Step) -> Result<Receipt, Error> {
    let tables = step.tables.iter().map(|table| TableReceipt::not_brought(table.name.clone())).collect();
    let receipt = Receipt::new(version, None, tables, Vec::new(), SystemTime::now());
    receipt::record(client, &receipt).await?;
    Ok(receipt)
}
