//! The loading half of a step: chunks from the reader go into the server's COPY, and the rows are read back and
//! compared.

use super::columns::BoundTable;
use super::fits::{self, Unread};
use super::misfits::Misfits as Found;
use super::originals::Originals;
use super::progress::{Phase, Progress};
use super::proof;
use super::quarantine::Quarantine;
use super::reader::{self, AfterMisfit, CHUNKS_IN_FLIGHT, Count, Gathered, Outlet, Piece};
use super::refused::{self, Refusal};
use super::shadow;
use super::stage::{LookingUp, Stage};
use crate::error::{Error, Misfits, counted};
use crate::identifier::quote_all;
use crate::postgres::interrupt::Interrupt;
use crate::postgres::prepare_all;
use crate::sqlite::Source;
use futures_util::SinkExt;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Statement};

/// What a load leaves: its two ends, which can be used again, and how it went.
pub(super) struct Loaded {
    pub source: Source,
    pub tables: Vec<BoundTable>,
    /// The rows that went elsewhere.
    pub quarantine: Quarantine,
    /// The cells that do not come back by themselves, if they were asked for.
    pub originals: Option<Originals>,
    /// What was read of each table, in the same order.
    pub counts: Result<Vec<Count>, Failure>,
    /// What the server refused beside the misfits in `counts`.
    pub refused: Option<Failure>,
    /// Values that the server cannot read, if they were looked up ([`AfterMisfit::SendOn`]).
    pub unread: Vec<Unread>,
}

/// Why a load ended early.
pub(super) enum Failure {
    /// Values that their columns cannot take.
    Values(Vec<Misfits>),
    /// PostgreSQL refused a row, or could not read a value.
    Refused(Refusal),
    Other(Error),
}

/// How a step is run.
#[derive(Clone)]
pub struct Options {
    /// Misfits are reported with their values.
    pub show_values: bool,
    /// Rows are read back and compared before the commit.
    pub proof: bool,
    /// How long a writer may keep the source locked.
    pub lock_timeout: Duration,
    /// Where it says how far it is.
    pub progress: Progress,
    /// A signal ends the reading of the source as well.
    pub interrupt: Interrupt,
}

/// Copies all tables, each to its destination.
pub(super) async fn load(
    client: &Client,
    reading: Reading,
    target: impl Fn(usize, &BoundTable) -> Destination,
) -> Result<Loaded, Error> {
    let mut routes = Vec::with_capacity(reading.tables.len());
    let looking_up = match reading.after_misfit {
        AfterMisfit::ReadOn => None,
        AfterMisfit::SendOn { as_bytes } => {
            Some(LookingUp { as_bytes, unfit: shadow::unfit(&reading.tables) })
        }
    };
    for (index, table) in reading.tables.iter().enumerate() {
        let (name, Destination { name: target, frozen }) = (table.target.name.clone(), target(index, table));
        let stage = Stage::of(index, table, looking_up.as_ref());
        if let Some(stage) = &stage {
            if reading.after_misfit == AfterMisfit::ReadOn {
                stage.require_no_rule(client).await?;
            }
            stage.create(client).await?;
        }
        let copy = match &stage {
            Some(stage) => stage.copy(),
            None => {
                let unfit = looking_up.as_ref().map(|looking_up| looking_up.unfit.as_str());
                let columns = quote_all(table.target_columns().chain(unfit));
                let frozen = if frozen { ", FREEZE" } else { "" };
                format!("COPY {target} ({columns}) FROM STDIN (FORMAT binary{frozen})")
            }
        };
        let expected = reading.source.at_most(&table.source);
        routes.push(Route { name, target, copy, stage, expected });
    }
    let copies = prepare_all(client, routes.iter().map(|route| route.copy.as_str()));
    let copies = copies.await.map_err(Error::database("preparing the load"))?;
    let (after_misfit, mut unread) = (reading.after_misfit, Vec::new());
    let progress = reading.options.progress.clone();
    let (running, mut pieces) = reading.start();
    let written =
        write(client, routes.iter().zip(&copies), &mut pieces, after_misfit, &progress, &mut unread).await;
    if written.is_err() && !client.is_closed() {
        // misfits further on belong into the same report
        while pieces.recv().await.is_some() {}
    }
    drop(pieces);
    let mut loaded = Loaded { unread, ..ended(running, written).await? };
    if let (Some(originals), Ok(counts)) = (&mut loaded.originals, &mut loaded.counts) {
        for ((route, table), count) in routes.iter().zip(&loaded.tables).zip(counts) {
            if let Some(stage) = &route.stage {
                count.spelling.originals += originals.add_respelt(client, table, stage).await?;
            }
        }
    }
    Ok(loaded)
}

/// The table that takes the rows of one of the step's.
pub(super) struct Destination {
    /// Its name, for statements.
    pub name: String,
    /// It was emptied in this subtransaction: its rows can be written as frozen.
    pub frozen: bool,
}

/// How the rows of one table get there.
struct Route {
    /// The table's name, for messages.
    name: String,
    /// The table, for statements.
    target: String,
    /// The statement that takes the rows: into the table, or into its stage.
    copy: String,
    stage: Option<Stage>,
    /// How many there are, by an estimate.
    expected: Option<u64>,
}

/// Reads all tables and sends nothing: every misfit of the step, or the counts of what would be copied.
pub(super) async fn read_alone(reading: Reading) -> Result<Loaded, Error> {
    let progress = reading.options.progress.clone();
    let about = |table: &BoundTable| (table.source.name.clone(), reading.source.at_most(&table.source));
    let tables: Vec<_> = reading.tables.iter().map(about).collect();
    let (running, mut pieces) = reading.start();
    let mut counts = Vec::new();
    for (name, expected) in &tables {
        progress.begin(Phase::Reading, name, *expected);
        loop {
            match pieces.recv().await {
                Some(Piece::Chunk(_, rows)) => progress.rows(rows),
                Some(Piece::End(count)) => break counts.push(*count),
                None => break,
            }
        }
    }
    ended(running, Ok(counts)).await
}

/// What the reader is to read, and how.
pub(super) struct Reading {
    pub source: Source,
    pub tables: Vec<BoundTable>,
    /// The step's version.
    pub version: i32,
    pub options: Options,
    pub after_misfit: AfterMisfit,
    /// Takes the cells that do not come back by themselves; none where nothing will be kept.
    pub originals: Option<Originals>,
}

/// The reader at work on its own thread.
type Running = JoinHandle<Result<(Source, Vec<BoundTable>, Gathered), Error>>;

impl Reading {
    fn start(self) -> (Running, Receiver<Piece>) {
        let (sender, pieces) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let outlet = Outlet { pieces: sender, interrupt: self.options.interrupt.clone() };
        let running = tokio::task::spawn_blocking(move || {
            let Reading { source, tables, version, options, after_misfit, originals } = self;
            let (misfits, quarantine) = (Found::new(options.show_values), Quarantine::new(version));
            let gathered = Gathered { misfits, quarantine, originals };
            let (tables, mut gathered) = reader::read(&source, tables, after_misfit, outlet, gathered)?;
            gathered.misfits.advise(&source, &tables)?;
            Ok((source, tables, gathered))
        });
        (running, pieces)
    }
}

/// Waits for the reader. A misfit or a read error is why a COPY was left open, so it comes before what was written; a
/// failure that is not about rows is why the reader was stopped.
async fn ended(running: Running, written: Result<Vec<Count>, Failure>) -> Result<Loaded, Error> {
    let read = running.await.map_err(std::io::Error::other)?;
    let (source, tables, Gathered { misfits, quarantine, originals }, written) = match (read, written) {
        (Ok((source, tables, gathered)), written) => (source, tables, gathered, written),
        (Err(_), Err(Failure::Other(error))) | (Err(error), _) => return Err(error),
    };
    let misfits = misfits.into_reports();
    let (counts, refused) =
        if misfits.is_empty() { (written, None) } else { (Err(Failure::Values(misfits)), written.err()) };
    Ok(Loaded { source, tables, quarantine, originals, counts, refused, unread: Vec::new() })
}

async fn write<'a>(
    client: &Client,
    routes: impl ExactSizeIterator<Item = (&'a Route, &'a Statement)>,
    pieces: &mut Receiver<Piece>,
    after_misfit: AfterMisfit,
    progress: &Progress,
    unread: &mut Vec<Unread>,
) -> Result<Vec<Count>, Failure> {
    let mut counts = Vec::with_capacity(routes.len());
    for (Route { name, target, stage, expected, .. }, copy) in routes {
        let started = Instant::now();
        log::info!("copying {name}");
        progress.begin(Phase::Loading, name, *expected);
        let refused = |error| Failure::of(error, name, || format!("copying table {name}"));
        let mut sink = pin!(client.copy_in(copy).await.map_err(refused)?);
        loop {
            match pieces.recv().await {
                Some(Piece::Chunk(bytes, rows)) => {
                    sink.send(bytes).await.map_err(refused)?;
                    progress.rows(rows);
                }
                Some(Piece::End(mut count)) => {
                    let mut taken = sink.as_mut().finish().await.map_err(refused)?;
                    if let Some(stage) = stage.as_ref().filter(|_| taken == count.tally.rows) {
                        if after_misfit != AfterMisfit::ReadOn {
                            fits::take_out(client, stage, unread).await.map_err(Failure::Other)?;
                        }
                        taken = stage.insert(client, target, &mut count).await?;
                        if after_misfit == AfterMisfit::ReadOn {
                            stage.require_kept(client).await?;
                        }
                    }
                    count.taken = taken;
                    count.seconds = started.elapsed().as_secs_f64();
                    let done = if after_misfit == AfterMisfit::ReadOn { "copied" } else { "looked through" };
                    log::info!(target: crate::PROGRESS, "{done} {name}: {}, {} bytes in {:.1} s",
                        counted(count.taken, "row"), count.bytes, count.seconds);
                    counts.push(*count);
                    break;
                }
                // the reader stopped before the table's end and has the reason
                None => return Ok(counts),
            }
        }
    }
    Ok(counts)
}

impl Failure {
    /// A row that PostgreSQL refuses is the source's fault; anything else is not.
    pub(super) fn of(error: tokio_postgres::Error, table: &str, doing: impl FnOnce() -> String) -> Failure {
        match error.as_db_error().filter(|said| refused::is_of_rows(said.code())) {
            Some(said) => Failure::Refused(Refusal::of(said, table)),
            None => Failure::Other(Error::Database { doing: doing(), source: error }),
        }
    }

    /// The failure alone, where nothing more can be looked up.
    pub(super) fn into_error(self, file: &Path) -> Error {
        let (misfits, constraints) = match self {
            Failure::Other(error) => return error,
            Failure::Values(misfits) => (misfits, Vec::new()),
            Failure::Refused(refusal) => (Vec::new(), vec![refusal.line]),
        };
        Error::Unfit { file: file.to_owned(), misfits, constraints }
    }
}

/// Reads every table back and compares it with what was sent; the tables that differ, by index, and how.
pub(super) async fn prove(
    client: &Client,
    tables: &[BoundTable],
    counts: &[Count],
    progress: &Progress,
) -> Result<Vec<(usize, String)>, Error> {
    let statements: Vec<String> = tables.iter().map(|table| proof::of(&table.copied())).collect();
    let statements = prepare_all(client, statements.iter().map(String::as_str));
    let statements = statements.await.map_err(Error::database("preparing the proof"))?;
    let mut unequal = Vec::new();
    for (index, ((table, count), statement)) in tables.iter().zip(counts).zip(&statements).enumerate() {
        progress.begin(Phase::Proof, &table.target.name, Some(count.tally.rows));
        let found = match Stage::of(index, table, None) {
            Some(stage) => stage.compare(client, count.tally).await?,
            None => proof::compare(client, table, statement, count.tally, progress).await?,
        };
        unequal.extend(found.map(|line| (index, line)));
    }
    Ok(unequal)
}

/// Without a proof the server's own counts must still be those of the rows sent.
pub(super) fn require_taken(tables: &[BoundTable], counts: &[Count]) -> Result<(), Error> {
    let unequal = tables.iter().zip(counts).filter(|(_, count)| count.taken != count.tally.rows);
    let lines = unequal.map(|(table, count)| {
        format!(
            "table {}: {} read, {} stored",
            table.target.name,
            counted(count.tally.rows, "row"),
            count.taken
        )
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { Ok(()) } else { Err(Error::Proof(lines)) }
}
