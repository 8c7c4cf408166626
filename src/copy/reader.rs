//! The reading half of a step, on a thread of its own: rows of the source become COPY-binary chunks. The first misfit
//! turns it into a reading that sends nothing more and goes on to the end, so that all misfits are reported together.

use super::bind::BoundTable;
use super::proof::Tally;
use crate::error::Error;
use crate::sqlite::Source;
use crate::sqlite::scan::{Cells, Place};
use crate::value::{Fit, Misfit};
use bytes::Bytes;
use rusqlite::types::ValueRef;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc::Sender;

/// Chunks are sent when they reach this: large enough that the socket is never the limit, small enough that a handful
/// of them is nothing. A chunk exceeds it by one row at most.
const CHUNK_BYTES: usize = 128 * 1024;

/// How many rows are named for each misfit; all are counted.
pub(super) const NAMED_ROWS: usize = 5;

/// What a COPY in binary format opens with: signature, flags, length of the header extension.
pub(super) const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// and ends with: a row of -1 columns.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// A cell without a value: its length is -1.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Ends every report of misfits.
pub(super) const ADVICE: &str =
    "next: correct these values in the source and run migrate again; nothing was kept";

/// What becomes of the rows that follow a misfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterMisfit {
    /// They are read and checked, and not sent: nothing will be kept.
    ReadOn,
    /// They are sent, and NULL in place of each misfit: for a copy in which other faults are looked up.
    SendOn,
}

/// What the reader sends.
pub(super) enum Piece {
    /// Bytes for the COPY under way.
    Chunk(Bytes),
    /// The table is complete.
    End(Count),
}

/// What was read of one table.
#[derive(Debug, Default, Clone)]
pub(super) struct Count {
    /// Rows and their hash, as sent.
    pub tally: Tally,
    /// Bytes in COPY-binary form.
    pub bytes: u64,
    /// From the first byte of its COPY to the server's last word on it; reading overlaps.
    pub seconds: f64,
    /// By column: values that came in another spelling or storage class.
    pub normalised: BTreeMap<String, u64>,
}

/// Reads every table in order. The receiver going away ends it early and is no error of its own.
pub(super) fn read(
    source: &Source,
    tables: &[BoundTable],
    after_misfit: AfterMisfit,
    pieces: &Sender<Piece>,
) -> Result<(), Error> {
    let mut misfits = Misfits::default();
    for table in tables {
        let mut reading = Reading::new(table, after_misfit, pieces, &mut misfits);
        source.scan(&table.source, &columns(table), |cells| {
            reading.row(cells).map_err(|error| unreadable(source, table, &error))
        })?;
        reading.end();
    }
    if misfits.groups.is_empty() {
        return Ok(());
    }
    Err(Error::Misfits { file: source.file.clone(), misfits: misfits.lines() })
}

/// Where the rows are that [`read`] sent as the `wanted` ones of `table`, counted from 1.
pub(super) fn places(
    source: &Source,
    table: &BoundTable,
    wanted: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Place>, Error> {
    let mut places = BTreeMap::new();
    let mut sent = 0;
    // with the same columns, since SQLite chooses by them what it scans, and so the order of the rows
    source.scan(&table.source, &columns(table), |cells| {
        sent += 1;
        if wanted.contains(&sent) {
            let place = cells.place().map_err(|error| unreadable(source, table, &error))?;
            places.insert(sent, place);
        }
        Ok(())
    })?;
    Ok(places)
}

/// The source columns that are read, in the order of the target's.
fn columns(table: &BoundTable) -> Vec<&str> {
    table.columns.iter().map(|column| column.source.name.as_str()).collect()
}

fn unreadable(source: &Source, table: &BoundTable, error: &rusqlite::Error) -> Error {
    Error::Source { file: source.file.clone(), reason: format!("table {}: {error}", table.source.name) }
}

struct Reading<'a> {
    table: &'a BoundTable,
    after_misfit: AfterMisfit,
    pieces: &'a Sender<Piece>,
    misfits: &'a mut Misfits,
    chunk: Vec<u8>,
    tally: Tally,
    bytes: u64,
    normalised: Vec<u64>,
}

impl<'a> Reading<'a> {
    fn new(
        table: &'a BoundTable,
        after_misfit: AfterMisfit,
        pieces: &'a Sender<Piece>,
        misfits: &'a mut Misfits,
    ) -> Reading<'a> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        chunk.extend_from_slice(HEADER);
        Reading {
            table,
            after_misfit,
            pieces,
            misfits,
            chunk,
            tally: Tally::default(),
            bytes: 0,
            normalised: vec![0; table.columns.len()],
        }
    }

    fn row(&mut self, cells: &Cells<'_>) -> rusqlite::Result<()> {
        let start = self.chunk.len();
        // a table has at most 1600 columns
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "at most 1600")]
        let width = self.table.columns.len() as i16;
        self.chunk.extend_from_slice(&width.to_be_bytes());
        for index in 0..self.table.columns.len() {
            let value = cells.value(index)?;
            let at = self.chunk.len();
            match self.cell(index, value) {
                Ok(Fit::Exact) => {}
                Ok(Fit::Normalised) => self.normalised[index] += 1,
                Err(misfit) => {
                    self.chunk.truncate(at);
                    self.chunk.extend_from_slice(&NULL);
                    self.misfits.add(self.table, index, misfit, cells.place()?);
                }
            }
        }
        self.tally.add(&self.chunk[start..]);
        self.bytes += (self.chunk.len() - start) as u64;
        if self.chunk.len() >= CHUNK_BYTES {
            self.send();
        }
        Ok(())
    }

    /// Length and bytes of one cell; the length is patched in when it is known.
    fn cell(&mut self, index: usize, value: ValueRef<'_>) -> Result<Fit, Misfit> {
        let column = &self.table.columns[index];
        let at = self.chunk.len();
        if value == ValueRef::Null {
            self.chunk.extend_from_slice(&NULL);
            return if column.target.not_null { Err(Misfit("NULL")) } else { Ok(Fit::Exact) };
        }
        self.chunk.extend_from_slice(&[0; 4]);
        let fit = (column.codec.encode)(value, &mut self.chunk)?;
        let length =
            i32::try_from(self.chunk.len() - at - 4).map_err(|_| Misfit("a value longer than 2 GB"))?;
        self.chunk[at..at + 4].copy_from_slice(&length.to_be_bytes());
        Ok(fit)
    }

    fn sends(&self) -> bool {
        self.after_misfit == AfterMisfit::SendOn || self.misfits.groups.is_empty()
    }

    fn send(&mut self) {
        let next = Vec::with_capacity(self.chunk.capacity().min(2 * CHUNK_BYTES));
        let full = std::mem::replace(&mut self.chunk, next);
        if self.sends() {
            // fails only if the receiver is gone, which then has the error to report
            let _ = self.pieces.blocking_send(Piece::Chunk(full.into()));
        }
    }

    fn end(mut self) {
        self.chunk.extend_from_slice(&TRAILER);
        self.send();
        let columns = self.table.columns.iter().zip(&self.normalised).filter(|(_, count)| **count > 0);
        let count = Count {
            tally: self.tally,
            bytes: self.bytes,
            seconds: 0.0,
            normalised: columns.map(|(column, count)| (column.target.name.clone(), *count)).collect(),
        };
        if self.sends() {
            let _ = self.pieces.blocking_send(Piece::End(count));
        }
    }
}

/// All misfits so far, by table, column and reason.
#[derive(Default)]
struct Misfits {
    groups: BTreeMap<(String, String, &'static str), Group>,
}

struct Group {
    expects: String,
    count: u64,
    first: Vec<Place>,
}

impl Misfits {
    fn add(&mut self, table: &BoundTable, index: usize, misfit: Misfit, place: Place) {
        let column = &table.columns[index];
        let key = (table.source.name.clone(), column.source.name.clone(), misfit.0);
        let group = self.groups.entry(key).or_insert_with(|| {
            let null = if column.target.not_null { ", NOT NULL" } else { "" };
            let expects = format!("{}{null}, takes {}", column.target.type_name, column.codec.expects);
            Group { expects, count: 0, first: Vec::new() }
        });
        group.count += 1;
        if group.first.len() < NAMED_ROWS {
            group.first.push(place);
        }
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.groups.iter().map(|((table, column, found), group)| {
            let rows = if group.count == 1 { "row" } else { "rows" };
            let places: Vec<String> = group.first.iter().map(ToString::to_string).collect();
            let more = if group.count > group.first.len() as u64 { ", …" } else { "" };
            let rowid = if matches!(group.first.first(), Some(Place::Rowid(_))) { "rowid " } else { "" };
            format!(
                "{table}.{column}: {found} in {} {rows}, {rowid}{}{more}; the target's column, {}",
                group.count,
                places.join(", "),
                group.expects
            )
        });
        lines.chain([ADVICE.to_owned()]).collect()
    }
}
