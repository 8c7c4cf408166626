//! One data step, inside the transaction of its version. In go the step and the source; rows land in the target, and
//! out comes the [`Receipt`], which is also stored. Nothing here commits.
//!
//! Before the load [`ready`] locks the tables and [`aside`] takes triggers and foreign keys out of the way; what the server
//! refuses all the same is looked up for the whole step by [`constraint`], in copies of the tables ([`shadow`]).
//!
//! The path of a row: [`reader`] scans SQLite on a thread of its own and converts cells with the codecs that [`bind`]
//! chose, column by column; finished chunks cross a bounded channel to [`load`], which feeds them to the server's COPY.
//! Afterwards every row is read back and compared ([`proof`]), [`sequence`]s continue above the largest id, and the [`receipt`] is written.

mod aside;
mod bind;
mod constraint;
mod load;
mod order;
mod proof;
mod reader;
mod ready;
mod receipt;
mod sequence;
mod shadow;

pub use receipt::{Receipt, TableReceipt};

use crate::error::Error;
use crate::migration::Version;
use crate::migration::step::Step;
use crate::postgres::catalog;
use crate::sqlite::Source;
use aside::Aside;
use bind::BoundTable;
use load::Failure;
use reader::{AfterMisfit, Count};
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
    let fingerprint = source.fingerprint()?;
    let names: Vec<&str> = step.tables.iter().map(|table| table.name.as_str()).collect();
    let target = catalog::tables(client, &names).await?;
    let bound = bind::bind(step, &source, &target)?;
    let (tables, counts, aside) = load_whole(client, source, bound.tables).await?;
    load::prove(client, &tables, &counts).await?;
    sequence::advance(client, &tables).await?;
    let tables = tables.iter().zip(&counts).map(|(table, count)| TableReceipt {
        set_aside: aside.triggers_of(table.target.oid),
        ..TableReceipt::of(table, count)
    });
    let absent = bound.absent.into_iter().map(TableReceipt::absent);
    let receipt =
        Receipt::new(version, Some(fingerprint), tables.chain(absent).collect(), bound.left, started);
    receipt::record(client, &receipt).await?;
    Ok(receipt)
}

/// Loads all tables with triggers and foreign keys set aside, and puts these back. What the server refuses is looked up
/// for the whole step, from the savepoint at which nothing was loaded and everything was in its place.
async fn load_whole(
    client: &Client,
    source: Source,
    tables: Vec<BoundTable>,
) -> Result<(Vec<BoundTable>, Vec<Count>, Aside), Error> {
    ready::require(client, &tables).await?;
    client.batch_execute("SAVEPOINT outgrow_load").await.map_err(Error::database("preparing the load"))?;
    let aside = Aside::set(client, &tables).await?;
    let tables = order::by_foreign_keys(client, tables, &aside.kept).await?;
    let target = |_, table: &BoundTable| table.target.quoted();
    let loaded = load::load(client, source, tables, AfterMisfit::ReadOn, target).await?;
    let failure = match loaded.counts {
        Ok(counts) => match aside.put_back(client).await {
            Ok(()) => {
                aside.compare(client).await?;
                return Ok((loaded.tables, counts, aside));
            }
            Err(error) => {
                Failure::of(error, "foreign keys", || "putting foreign keys and triggers back".into())
            }
        },
        Err(failure) => failure,
    };
    Err(constraint::explain(client, loaded.source, loaded.tables, failure).await)
}

/// Refuses a file that cannot be the source of `step`, before any version is applied: it is no SQLite database, lacks a
/// table, or holds rows that the step does not name.
///
/// # Errors
/// [`Error::Source`] and [`Error::Misfits`].
pub fn require_source(step: &Step, source: &Path) -> Result<(), Error> {
    let source = Source::open(source)?;
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
