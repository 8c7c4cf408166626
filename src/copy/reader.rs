//! The reading half of a step, on a thread of its own: rows of the source become COPY-binary chunks. The first misfit
//! that no rule covers turns it into a reading that sends nothing more and goes on to the end, so that all misfits are
//! reported together.

use super::cell::{self, Fate};
use super::columns::BoundTable;
use super::misfits::Misfits;
use super::originals::{Keeping, Originals, Spelling};
use super::proof::Tally;
use super::quarantine::{self, Quarantine};
use super::sequence::Ids;
use crate::error::Error;
use crate::postgres::interrupt::Interrupt;
use crate::sqlite::feed::Sink;
use crate::sqlite::scan::{Cells, Place, unreadable};
use crate::sqlite::{Source, schema};
use crate::value::{Fit, Misfit};
use bytes::Bytes;
use std::collections::BTreeMap;
use tokio::sync::mpsc::Sender;

/// Chunks are sent when they reach this: large enough that the socket is never the limit, small enough that a handful
/// of them is nothing. A chunk exceeds it by one row at most.
pub(super) const CHUNK_BYTES: usize = 128 * 1024;

/// A longer chunk, which is one of a row of many megabytes, is handed on in parts of this size.
const PART_BYTES: usize = 2 * CHUNK_BYTES;

/// Chunks that may wait between reader and server: 8 MB, which the reader takes a tenth of a second for. The server
/// stops for about as long whenever it waits for its disk, and would otherwise wait for the reader next.
pub(super) const CHUNKS_IN_FLIGHT: usize = 64;

/// What a COPY in binary format opens with: signature, flags, length of the header extension.
pub(super) const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it ends with: a row of -1 columns.
pub(super) const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// What becomes of the rows that follow a misfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterMisfit {
    /// They are read and checked, and not sent: nothing will be kept.
    ReadOn,
    /// They are sent, NULL in place of each misfit, and each row with a field more that says whether it holds one: for
    /// a copy in which other faults are looked up.
    SendOn {
        /// Types that are sent as text are taken as bytes, so that each value can be asked for.
        as_bytes: bool,
    },
}

/// What the reader sends.
pub(super) enum Piece {
    /// Bytes for the COPY under way, and how many rows of the table have been read with them.
    Chunk(Bytes, u64),
    /// The table is complete.
    End(Box<Count>),
}

/// Where the pieces go.
pub(super) struct Outlet {
    pub pieces: Sender<Piece>,
    /// A signal ends the reading, whether anything is sent or not.
    pub interrupt: Interrupt,
}

impl Outlet {
    /// Hands on a piece, if there is one; fails if nobody takes it any more.
    fn send(&self, piece: Option<Piece>) -> Result<(), Error> {
        let taken = piece.is_none_or(|piece| self.pieces.blocking_send(piece).is_ok());
        if taken && !self.interrupt.signalled() {
            return Ok(());
        }
        Err(Error::Io(std::io::Error::other("the reading was given up")))
    }

    /// Waits until everything has been taken, so that no two rows of many megabytes are under way at once.
    fn wait_for_all(&self) {
        let room = self.pieces.reserve_many(self.pieces.max_capacity());
        // that nobody takes them any more, the next piece says
        drop(tokio::runtime::Handle::current().block_on(room));
    }
}

/// What was read of one table.
#[derive(Debug, Default, Clone)]
pub(super) struct Count {
    /// Rows and their hash, as sent.
    pub tally: Tally,
    /// Rows that the server says it took.
    pub taken: u64,
    /// Bytes in COPY-binary form.
    pub bytes: u64,
    /// From the first byte of its COPY to the server's last word on it; reading overlaps.
    pub seconds: f64,
    /// By column: values that came in another spelling or storage class.
    pub normalised: BTreeMap<String, u64>,
    /// By column: where the first of them is.
    pub normalised_at: BTreeMap<String, String>,
    /// By column: values that a rule changed.
    pub repaired: BTreeMap<String, u64>,
    /// By column: values that a rule made NULL.
    pub nulled: BTreeMap<String, u64>,
    /// By column: rows that went to the quarantine because of it.
    pub quarantined: BTreeMap<String, u64>,
    /// Those rows and their hash, as the quarantine has them.
    pub quarantine: Tally,
    /// What the way back needs to know.
    pub spelling: Spelling,
    /// What the sequences must go beyond.
    pub ids: Vec<Ids>,
}

/// What is gathered while a step is read, beside the rows that are sent.
pub(super) struct Gathered {
    pub misfits: Misfits,
    /// The rows that went elsewhere.
    pub quarantine: Quarantine,
    /// Takes the cells that do not come back by themselves; none where nothing will be kept.
    pub originals: Option<Originals>,
}

/// Reads every table in order, or until nobody takes the pieces any more, who then knows why.
pub(super) fn read(
    source: &Source,
    tables: Vec<BoundTable>,
    after_misfit: AfterMisfit,
    outlet: Outlet,
    gathered: Gathered,
) -> Result<(Vec<BoundTable>, Gathered), Error> {
    let (mut read, mut step) = (Vec::with_capacity(tables.len()), Step { after_misfit, outlet, gathered });
    for table in tables {
        let reading = source.feed(Reading::new(source, table, step))?;
        let table;
        (table, step) = reading.end()?;
        read.push(table);
    }
    Ok((read, step.gathered))
}

/// What became of a cell that is counted.
enum Change {
    Normalised,
    Repaired,
    Nulled,
}

/// What goes from table to table.
struct Step {
    after_misfit: AfterMisfit,
    outlet: Outlet,
    gathered: Gathered,
}

/// The reading of one table.
struct Reading {
    table: BoundTable,
    step: Step,
    chunk: Vec<u8>,
    /// Number of columns, as each tuple begins with it.
    width: [u8; 2],
    constants: Vec<u8>,
    count: Count,
    /// By column.
    normalised: Vec<u64>,
    first_normalised: Vec<Option<Place>>,
    /// What became of cells of the row under the cursor, where it counts: by column.
    changes: Vec<(usize, Change)>,
    repaired: Vec<u64>,
    nulled: Vec<u64>,
    quarantined: Vec<u64>,
    /// What is to be kept, while anything will be.
    keeping: Option<Keeping>,
    /// By column: a cell that the codec calls exact comes back by itself.
    usual: Vec<bool>,
}

impl Sink for Reading {
    fn wants(&self) -> (&schema::Table, Vec<&str>) {
        (&self.table.source, self.table.source_columns())
    }

    fn row(&mut self, cells: &Cells<'_>) -> Result<(), Error> {
        let start = self.chunk.len();
        self.chunk.extend_from_slice(&self.width);
        let (mut quarantine, mut unfit) = (None, false);
        for index in 0..self.table.columns.len() {
            let read = cells.value(index);
            let Ok(value) = &read else { return read.map(drop).map_err(unreadable) };
            let at = self.chunk.len();
            let column = &self.table.columns[index];
            let fate = cell::convert(column, value, &mut self.chunk);
            if self.usual[index] && matches!(fate, Fate::Fits(Fit::Exact)) {
                continue;
            }
            if let Some(keeping) = &mut self.keeping {
                self.usual[index] = keeping.cell(index, column, &self.chunk[at..], *value);
            }
            match fate {
                Fate::Fits(Fit::Exact) => {}
                Fate::Fits(Fit::Normalised) => self.changes.push((index, Change::Normalised)),
                Fate::Fits(Fit::Repaired) => self.changes.push((index, Change::Repaired)),
                Fate::Nulled => self.changes.push((index, Change::Nulled)),
                Fate::Quarantined(misfit) => quarantine = quarantine.or(Some((index, misfit))),
                Fate::Refused(misfit) => {
                    unfit = true;
                    // nothing will be kept
                    self.keeping = None;
                    self.step.gathered.misfits.add(&self.table, index, misfit, cells.place(), *value);
                }
            }
        }
        for ids in &mut self.count.ids {
            ids.add(&self.table, &self.chunk[start..]);
        }
        if let Some((index, misfit)) = quarantine {
            self.chunk.truncate(start);
            return self.quarantine(cells, index, misfit);
        }
        self.chunk.extend_from_slice(&self.constants);
        if self.step.after_misfit != AfterMisfit::ReadOn {
            self.chunk.extend_from_slice(&[0, 0, 0, 1, u8::from(unfit)]);
        }
        self.keep(Some(start))?;
        self.count_changes(cells);
        self.count.tally.add(&self.chunk[start..]);
        self.count.bytes += (self.chunk.len() - start) as u64;
        if self.chunk.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(())
    }
}

impl Reading {
    fn new(source: &Source, table: BoundTable, step: Step) -> Reading {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        chunk.extend_from_slice(HEADER);
        let marks = usize::from(step.after_misfit != AfterMisfit::ReadOn);
        // PostgreSQL has at most 1600 columns in a table
        let width = i16::try_from(table.target_columns().count() + marks).unwrap_or(i16::MAX);
        let originals = step.gathered.originals.as_ref();
        let keeping =
            originals.map(|originals| Keeping::new(source, &table, &table.source_columns(), originals));
        let none = || vec![0; table.columns.len()];
        Reading {
            chunk,
            width: width.to_be_bytes(),
            constants: table.constants.iter().flat_map(|constant| constant.field.clone()).collect(),
            count: Count { ids: Ids::of(&table), ..Count::default() },
            normalised: none(),
            first_normalised: vec![None; table.columns.len()],
            changes: Vec::new(),
            repaired: none(),
            nulled: none(),
            quarantined: none(),
            usual: keeping.as_ref().map_or_else(|| vec![true; table.columns.len()], Keeping::usual),
            keeping,
            table,
            step,
        }
    }

    /// A row that a rule sends to the quarantine because of the cell at `index`.
    fn quarantine(&mut self, cells: &Cells<'_>, index: usize, misfit: Misfit) -> Result<(), Error> {
        self.changes.clear();
        self.quarantined[index] += 1;
        self.keep(None)?;
        let names = self.table.source_columns();
        let (table, tally) = (&self.table.source.name, &mut self.count.quarantine);
        let Gathered { misfits, quarantine, .. } = &mut self.step.gathered;
        if !quarantine.add(table, names[index], misfit.0, &names, cells, tally)? {
            let (place, value) = (cells.place(), cells.value(index).map_err(unreadable)?);
            misfits.add(&self.table, index, Misfit(quarantine::TOO_LARGE), place, value);
        }
        Ok(())
    }

    /// The row under the cursor ends; it was sent from `start` on, if it was.
    fn keep(&mut self, start: Option<usize>) -> Result<(), Error> {
        match (&mut self.keeping, &mut self.step.gathered.originals) {
            (Some(keeping), Some(originals)) => {
                keeping.end_row(&self.table, start.map(|start| &self.chunk[start..]), originals)
            }
            _ => Ok(()),
        }
    }

    /// Counts what became of the cells of a row that is stored.
    fn count_changes(&mut self, cells: &Cells<'_>) {
        for (index, change) in self.changes.drain(..) {
            match change {
                Change::Normalised => {
                    self.normalised[index] += 1;
                    if self.first_normalised[index].is_none() {
                        self.first_normalised[index] = Some(cells.place());
                    }
                }
                Change::Repaired => self.repaired[index] += 1,
                Change::Nulled => self.nulled[index] += 1,
            }
        }
    }

    fn sends(&self) -> bool {
        self.step.after_misfit != AfterMisfit::ReadOn || self.step.gathered.misfits.is_empty()
    }

    fn send(&mut self) -> Result<(), Error> {
        let next = Vec::with_capacity(self.chunk.capacity().min(2 * CHUNK_BYTES));
        let mut full = Bytes::from(std::mem::replace(&mut self.chunk, next));
        if !self.sends() {
            return self.step.outlet.send(None);
        }
        let long = full.len() > PART_BYTES;
        while !full.is_empty() {
            let part = full.split_to(full.len().min(PART_BYTES));
            self.step.outlet.send(Some(Piece::Chunk(part, self.count.tally.rows)))?;
        }
        if long {
            self.step.outlet.wait_for_all();
        }
        Ok(())
    }

    fn end(mut self) -> Result<(BoundTable, Step), Error> {
        self.chunk.extend_from_slice(&TRAILER);
        self.send()?;
        let by_column = |counts: &[u64]| {
            let columns = self.table.columns.iter().zip(counts).filter(|(_, count)| **count > 0);
            columns.map(|(column, count)| (column.target.name.clone(), *count)).collect()
        };
        let places = self.table.columns.iter().zip(&self.first_normalised);
        let count = Count {
            normalised_at: places
                .filter_map(|(column, place)| Some((column.target.name.clone(), place.as_ref()?.to_string())))
                .collect(),
            normalised: by_column(&self.normalised),
            repaired: by_column(&self.repaired),
            nulled: by_column(&self.nulled),
            quarantined: by_column(&self.quarantined),
            spelling: self.keeping.take().map(|keeping| keeping.spelling(&self.table)).unwrap_or_default(),
            ids: std::mem::take(&mut self.count.ids),
            ..std::mem::take(&mut self.count)
        };
        let end = self.sends().then(|| Piece::End(Box::new(count)));
        self.step.outlet.send(end)?;
        Ok((self.table, self.step))
    }
}
