//! One data step, inside the transaction of its version. In go the step and the source; rows land in the target, and
//! out comes the [`Receipt`], which is also stored. Nothing here commits.
//!
//! For the load of the [`whole`] step [`ready`] locks the tables, [`aside`] takes triggers, keys and indexes out of the
//! way, and [`emptied`] lets the server write rows as frozen. What it refuses all the same is looked up for the whole
//! step by [`constraint`], in copies of the tables ([`shadow`]): rows that break a rule, rows for which a rule cannot
//! be computed ([`raising`]), and whatever else the server refuses ([`refused`]).
//!
//! The path of a row: [`reader`] is fed by SQLite on a thread of its own and converts cells with the codecs that
//! [`bind`] chose, column by column; finished chunks cross a bounded channel to [`load`], which feeds them to the server's COPY,
//! by way of a [`stage`] where the server itself must read values (and says which [`fits`]). The [`inspection`] of the
//! source as a whole goes on beside all that. Afterwards every row is read back and compared ([`proof`]), [`sequence`]s
//! continue above the largest id, and the [`receipt`] is written.

mod advice;
mod alike;
mod aside;
pub mod back;
mod bind;
mod bookkeeping;
mod breaking;
pub mod brought;
mod canonical;
mod cell;
pub mod codec;
mod columns;
pub mod compare;
mod constants;
mod constraint;
mod doubt;
mod emptied;
mod fits;
mod inspection;
mod load;
mod lossless;
mod misfits;
mod order;
mod originals;
mod own;
mod places;
pub mod progress;
mod proof;
mod quarantine;
mod raising;
mod reader;
mod ready;
mod receipt;
mod refused;
mod renamed;
mod report;
mod sequence;
mod shadow;
mod spool;
mod stage;
mod tuple;
mod whole;

pub use load::Options;
pub use originals::ColumnFormat;
pub use receipt::{Receipt, Recorded, TABLE as RECEIPTS, TableReceipt, recorded, sources};

/// The table that says how far versions came that run outside a transaction.
pub const PROGRESS: &str = "outgrow_progress";

/// The tables that outgrow keeps in the target, refinery's own history among them.
const TABLES_OF_OURS: [&str; 5] =
    ["refinery_schema_history", receipt::TABLE, quarantine::TABLE, originals::TABLE, PROGRESS];

use crate::error::Error;
use crate::migration::Version;
use crate::migration::step::{Step, StepTable};
use crate::postgres::catalog::{self, Instead};
use crate::postgres::interrupt::Interrupt;
use crate::postgres::limits::SPELLING;
use crate::postgres::{key, sequences};
use crate::sqlite::{Books, Definition, Source};
use columns::BoundTable;
use inspection::{Hashing, Inspection};
use load::Reading;
use originals::Originals;
use reader::{AfterMisfit, Count};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::join;
use tokio_postgres::Client;
use whole::Whole;

/// Copies the tables of `step` from the file `source` and records the receipt.
///
/// # Errors
/// [`Error::Source`], [`Error::Misfits`] and [`Error::Unfit`] if the source cannot be taken as it is, [`Error::Target`]
/// if the tables are not ready, [`Error::Proof`] if what is stored is not what was read. The caller rolls back.
pub async fn run(
    client: &Client,
    version: &Version,
    step: &Step,
    source: &Path,
    options: &Options,
) -> Result<Receipt, Error> {
    let started = SystemTime::now();
    // what functions of the target would warn of may hold the content of rows; and the estimates for the step's queries
    // of the catalog are high enough for compiling them, which takes far longer than running them
    let settings = format!("SET LOCAL client_min_messages = error; SET LOCAL jit = off; {SPELLING}");
    client.batch_execute(&settings).await.map_err(Error::database("preparing the step"))?;
    own::require(client).await?;
    own::make(client).await?;
    let Prepared { reading, absent, left, bookkeeping } =
        prepare(client, version, step, source, options).await?;
    let oids: Vec<u32> = reading.tables.iter().map(|table| table.target.oid).collect();
    let keys = key::row_keys(client, &oids).await?;
    let definition = Definition { bookkeeping, ..reading.source.definition()? };
    let reading = Reading { originals: Some(Originals::new(version.number, keys)), ..reading };
    let Whole { source, hashing, tables, quarantine, originals, counts, aside } =
        whole::load(client, reading).await?;
    let inspection = Inspection::of(source, options);
    let unequal = if options.proof {
        load::prove(client, &tables, &counts, &options.progress).await?
    } else {
        load::require_taken(&tables, &counts)?;
        Vec::new()
    };
    let source = inspection.result().await?;
    if !unequal.is_empty() {
        return Err(disproved(client, source, tables, unequal).await);
    }
    sequence::advance(client, &tables, &counts).await?;
    let mut fingerprint = hashing.result().await?;
    fingerprint.changed_during_copy = source.changed_since_opening()?;
    if fingerprint.changed_during_copy {
        log::warn!("the source changed during the copy; what was copied is the state at its start");
    }
    doubt::emptied(&tables, &counts);
    let mut receipts = table_receipts(&tables, &counts, absent);
    for (receipt, table) in receipts.iter_mut().zip(&tables) {
        receipt.set_aside = aside.triggers_of(table.target.oid);
    }
    quarantine.store(client).await?;
    if let Some(originals) = originals {
        originals.store(client).await?;
    }
    let proof = if options.proof { "content" } else { "unproven" };
    let mut receipt = Receipt::new(version, Some(fingerprint), receipts, left, proof, started);
    receipt.phases = options.progress.finish();
    receipt::record(client, &receipt, Some(&definition)).await?;
    Ok(receipt)
}

/// Reads what [`run`] would copy, and copies nothing: the receipt as it would be, without hashes that were proven.
///
/// # Errors
/// Those of [`run`] that do not take writing.
pub async fn dry_run(
    client: &Client,
    version: &Version,
    step: &Step,
    source: &Path,
    options: &Options,
) -> Result<Receipt, Error> {
    let started = SystemTime::now();
    let Prepared { reading, absent, left, .. } = prepare(client, version, step, source, options).await?;
    let not_ready = match ready::look(client, &reading.tables).await {
        Err(error) if !matches!(error, Error::Target(_)) => return Err(error),
        looked => looked.err(),
    };
    let file = reading.source.file.clone();
    let hashing = Hashing::of(&reading.source);
    let loaded = load::read_alone(reading).await?;
    let _source = Inspection::of(loaded.source, options).result().await?;
    let fingerprint = hashing.result().await?;
    let counts = match (loaded.counts, not_ready) {
        (Ok(counts), None) => counts,
        (Ok(_), Some(error)) => return Err(error),
        (Err(failure), not_ready) => {
            not_ready.iter().for_each(|error| log::warn!("{error}"));
            return Err(failure.into_error(&file));
        }
    };
    let tables = table_receipts(&loaded.tables, &counts, absent);
    let mut receipt = Receipt::new(version, Some(fingerprint), tables, left, "none", started);
    receipt.phases = options.progress.finish();
    Ok(receipt)
}

/// A step bound to its two ends, and what its receipt says of the source.
struct Prepared {
    reading: Reading,
    absent: Vec<String>,
    left: Vec<String>,
    bookkeeping: BTreeMap<String, Books>,
}

/// Opens the source, starts its snapshot and binds the step: what a copy and a dry run have in common.
async fn prepare(
    client: &Client,
    version: &Version,
    step: &Step,
    source: &Path,
    options: &Options,
) -> Result<Prepared, Error> {
    let (file, wait, ended) = (source.to_owned(), options.lock_timeout, options.interrupt.ended());
    let opening = options.interrupt.on_thread(move || Source::open(&file, wait, ended));
    let (found, source) = join!(found(client, step), opening);
    let (found, source) = (found?, source?);
    let bound = bind::bind(step, &source, &found.tables, &found.others)?;
    sequence::warn_of_unused(&found.unused);
    doubt::way_back(&bound.tables);
    doubt::search(&bound.tables);
    let reading = Reading {
        source,
        tables: bound.tables,
        version: version.number,
        options: options.clone(),
        after_misfit: AfterMisfit::ReadOn,
        originals: None,
    };
    doubt::units(&reading.source, &reading.tables)?;
    let bookkeeping = bookkeeping::of_step(&reading.source, step, &bound.left)?;
    bookkeeping::look_at_the_targets(client, &bookkeeping).await?;
    Ok(Prepared { reading, absent: bound.absent, left: bound.left, bookkeeping })
}

/// What the catalog has under the names of a step's tables.
struct Found {
    tables: Vec<catalog::Table>,
    /// What there is instead of a table, by name.
    others: Vec<(String, Instead)>,
    /// Sequences beside them that nothing uses.
    unused: Vec<String>,
}

async fn found(client: &Client, step: &Step) -> Result<Found, Error> {
    let names = target_names(step);
    let mut tables = catalog::tables(client, &names).await?;
    let unused = sequences::tie(client, &mut tables).await?;
    let missing = |name: &&str| bind::same_name(&tables, name, |known| &known.name).is_none();
    let missing: Vec<&str> = names.into_iter().filter(missing).collect();
    let others = if missing.is_empty() { Vec::new() } else { catalog::instead_of(client, &missing).await? };
    Ok(Found { tables, others, unused })
}

fn target_names(step: &Step) -> Vec<&str> {
    step.tables.iter().map(StepTable::target_name).collect()
}

fn table_receipts(tables: &[BoundTable], counts: &[Count], absent: Vec<String>) -> Vec<TableReceipt> {
    let copied = tables.iter().zip(counts).map(|(table, count)| TableReceipt::of(table, count));
    copied.chain(absent.into_iter().map(TableReceipt::absent)).collect()
}

/// A failed proof with the rows that differ, as far as a second comparison, row by row, finds them.
async fn disproved(
    client: &Client,
    source: Source,
    tables: Vec<BoundTable>,
    unequal: Vec<(usize, String)>,
) -> Error {
    let mut source = Some(source);
    let mut tables: Vec<Option<BoundTable>> = tables.into_iter().map(Some).collect();
    let mut lines = Vec::new();
    for (index, line) in unequal {
        lines.push(line);
        let (Some(from), Some(table)) = (source.take(), tables[index].take()) else { continue };
        match compare::differing_rows(client, from, table).await {
            Ok((from, rows)) => {
                source = Some(from);
                lines.extend(rows.into_iter().map(|row| format!("  {row}")));
            }
            Err(error) => log::warn!("which rows differ could not be found: {error}"),
        }
    }
    Error::Proof(lines)
}

/// Refuses a file that cannot be the source of `step`, before any version is applied: it is no SQLite database, is
/// damaged (a large one is looked at later, while the server is busy), lacks a table, or holds rows that the step does
/// not name.
///
/// # Errors
/// [`Error::Source`] and [`Error::Misfits`].
pub fn require_source(
    step: &Step,
    source: &Path,
    lock_timeout: Duration,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let source = Source::open(source, lock_timeout, interrupt.ended())?;
    source.notes.iter().for_each(|note| log::warn!("{note}"));
    if !source.is_large() {
        source.require_sound()?;
    }
    let (_, faults) = bind::source_tables(step, &source)?;
    if faults.is_empty() { Ok(()) } else { Err(Error::Misfits { file: source.file, misfits: faults }) }
}

/// Refuses a `step` whose tables and columns do not fit those of the target as it is now, or whose tables hold rows
/// there already. What the source's rows hold is not asked.
///
/// # Errors
/// [`Error::Source`], [`Error::Misfits`] and [`Error::Target`].
pub async fn require_fit(
    client: &Client,
    step: &Step,
    source: &Path,
    lock_timeout: Duration,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let Found { tables: target, others, .. } = found(client, step).await?;
    let source = Source::open(source, lock_timeout, interrupt.ended())?;
    let bound = bind::bind(step, &source, &target, &others)?;
    ready::require_empty(client, &bound.tables).await
}

/// Records that `step` brought nothing (`--without-data`), so that the versions after it can be applied.
///
/// # Errors
/// [`Error::Database`] if the receipt cannot be stored.
pub async fn without_data(client: &Client, version: &Version, step: &Step) -> Result<Receipt, Error> {
    let tables = step.tables.iter().map(|table| TableReceipt::not_brought(table.name.clone())).collect();
    let receipt = Receipt::new(version, None, tables, Vec::new(), "none", SystemTime::now());
    own::make(client).await?;
    receipt::record(client, &receipt, None).await?;
    Ok(receipt)
}
