//! The writing half: a thread that has the file takes the rows as they come, table by table, and finishes it.

use super::bookkeeping;
use super::found::Found;
use super::orphans;
use super::plan::{BackTable, Plan};
use super::problems::Problems;
use super::proof::{self, Adding, Sums};
use super::stop::Stop;
use super::{Piece, Written, WrittenTable, row};
use crate::copy::lossless::given_back;
use crate::copy::progress::{Phase, Progress};
use crate::copy::proof::Rows;
use crate::copy::tuple;
use crate::error::{Error, counted};
use crate::sqlite::writer::{Insert, Writer};
use crate::sqlite::{Source, schema};
use crate::value::Cell;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value};
use smallvec::SmallVec;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// What became of the file.
pub(super) struct Filled {
    pub written: Written,
    /// Everything that does not go back.
    pub problems: Vec<String>,
    /// By table: how the file differs from what was sent.
    pub unequal: Vec<Option<String>>,
}

/// The COPYs, one after the other.
pub(super) struct Input(Receiver<Piece>);

impl Input {
    pub(super) fn new(pieces: Receiver<Piece>) -> Input {
        Input(pieces)
    }

    /// Calls `each` with every row of the COPY under way, up to its end.
    fn rows(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let (mut rows, mut failed) = (Rows::default(), None);
        while failed.is_none() {
            match self.0.blocking_recv() {
                Some(Piece::Chunk(bytes)) => rows.feed(&bytes, |row| {
                    if failed.is_none() {
                        failed = each(row).err();
                    }
                }),
                Some(Piece::End) if rows.ended => return Ok(()),
                // whoever reads has stopped and says why
                _ => return Err(Error::Io(std::io::Error::other("the reading ended early"))),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// SQLite's failure to write `file`.
pub(super) fn unwritable(file: &Path, error: &rusqlite::Error) -> Error {
    Error::Io(std::io::Error::other(format!("writing {}: {error}", file.display())))
}

/// Fills `file`, which has the schema of `plan`, and proves it.
pub(super) fn fill(
    file: &Path,
    mut plan: Plan,
    mut input: Input,
    stop: &Stop,
    progress: &Progress,
) -> Result<(Plan, Filled), Error> {
    let failed = |error: rusqlite::Error| unwritable(file, &error);
    let found = Found::new().map_err(failed)?;
    let mut problems = Problems::default();
    take_kept(&plan, &mut input, &found, &mut problems, failed)?;
    found.complete().map_err(failed)?;
    let writer = Writer::open(file).map_err(failed)?;
    stop.interrupts(writer.interrupt_handle());
    writer.begin().map_err(failed)?;
    let (mut sums, mut tables) = (Vec::new(), Vec::new());
    for table in &plan.tables {
        progress.begin(Phase::Exporting, &table.bound.source.name, None);
        let mut filling = Filling::of(table, &found, &writer, &failed);
        let started = Instant::now();
        filling.stored(&mut input, progress, &mut problems)?;
        if table.quarantined {
            filling.quarantined(&mut input, &mut problems)?;
        }
        filling.written.seconds = started.elapsed().as_secs_f64();
        log::info!(target: crate::PROGRESS, "exported {}: {}, {} bytes in {:.1} s",
            filling.written.table, counted(filling.written.rows, "row"), filling.written.bytes, filling.written.seconds);
        tables.push(filling.written);
        sums.push(filling.sums);
    }
    plan.refused.extend(bookkeeping::write(&writer, &plan.definition.bookkeeping).map_err(failed)?);
    let mut filled = Filled {
        written: Written { tables, notes: std::mem::take(&mut plan.notes) },
        unequal: plan.tables.iter().map(|_| None).collect(),
        problems: std::mem::take(&mut plan.refused),
    };
    let whole = problems.is_empty() && filled.problems.is_empty();
    filled.problems.extend(problems.lines());
    if whole {
        finish(&writer, &plan, progress, &mut filled).map_err(failed)?;
    }
    stop.look()?;
    if filled.problems.is_empty() {
        writer.commit().map_err(failed)?;
        filled.unequal = prove(file, &plan, &sums, stop, progress)?;
        if filled.unequal.iter().all(Option::is_none) {
            writer.close(&plan.definition).map_err(failed)?;
        }
    }
    Ok((plan, filled))
}

/// The cells that steps kept, version by version: they come before the rows.
fn take_kept(
    plan: &Plan,
    input: &mut Input,
    found: &Found,
    problems: &mut Problems,
    failed: impl Fn(rusqlite::Error) -> Error,
) -> Result<(), Error> {
    let tables = plan.tables.iter().filter(|table| table.key.is_some());
    let tables: Vec<&str> = tables.map(|table| table.bound.source.name.as_str()).collect();
    for version in &plan.kept {
        let mut number = 0_u64;
        input.rows(|row| {
            number += 1;
            if let Some(table) = found.add(row, &tables).map_err(&failed)? {
                problems.add(&table, OTHER_CELLS, || format!("row number {number} of version {version}"));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Makes what comes after the rows, and has SQLite look through the file.
fn finish(writer: &Writer, plan: &Plan, progress: &Progress, filled: &mut Filled) -> rusqlite::Result<()> {
    progress.begin(Phase::Indexes, "indexes, triggers and views", None);
    writer.set_sequences(&plan.sequences)?;
    filled.problems.extend(writer.make_rest(&plan.definition));
    if !filled.problems.is_empty() {
        return Ok(());
    }
    // only now are the rows there, and the views that an index may be over
    for index in writer.full_text()?.iter().filter(|index| index.external) {
        if let Err(why) = writer.rebuild(&index.table)? {
            filled.written.notes.push(format!(
                "{}: its full-text index is empty: SQLite cannot read its content table ({why})",
                index.table
            ));
        }
    }
    progress.begin(Phase::Keys, "integrity_check", None);
    let looked = writer.check()?;
    filled.problems.extend(looked.wrong.into_iter().map(|line| format!("SQLite's integrity_check: {line}")));
    let notes = &mut filled.written.notes;
    if !looked.orphans.is_empty() {
        let (lost, others) = orphans::told(plan, &writer.references()?, &looked.orphans);
        filled.problems.extend(lost);
        notes.extend(others);
    }
    notes.extend(looked.unchecked.into_iter().map(|(table, why)| {
        format!("{table}: SQLite cannot check whether its rows refer to rows that are there ({why})")
    }));
    Ok(())
}

/// Reads the file and compares it with what was sent, table by table.
fn prove(
    file: &Path,
    plan: &Plan,
    sums: &[Sums],
    stop: &Stop,
    progress: &Progress,
) -> Result<Vec<Option<String>>, Error> {
    let source = Source::open(file, Duration::ZERO, || false)?;
    bookkeeping::prove(&source, &plan.definition.bookkeeping)?;
    let each = plan.tables.iter().zip(sums).map(|(table, sent)| {
        progress.begin(Phase::Proof, &table.bound.source.name, None);
        let each = |rows| {
            progress.rows(rows);
            stop.look()
        };
        let found = proof::of_file(&source, table, each)?;
        Ok(proof::difference(table, sent, &found))
    });
    each.collect()
}

/// What SQLite has against a row, with the reason if the row lacks a column that it must have.
fn explained(refusal: String, table: &BackTable) -> String {
    if table.bound.without_way_back().any(|column| refusal.ends_with(&column)) {
        let why = "the step skips this column, or a version has dropped it since: in that case add it again in a version";
        return format!("{refusal} ({why})");
    }
    refusal
}

const OTHER_ROW: &str = "a quarantined row that is not as outgrow wrote it (put it right in outgrow_quarantine, or delete it there if \
                         nobody needs it)";

const OTHER_CELLS: &str = "cells that were kept are not as outgrow wrote them (put them right in outgrow_original, or delete the row \
                           there: its cells are then written in their column's format)";

/// The cells of a quarantined row by column, out of its COPY-binary tuple; `None` if a step has not written them like
/// that.
fn quarantined_row(tuple: &[u8], source: &schema::Table) -> Option<Vec<(String, Option<Cell<'static>>)>> {
    let text = tuple::cells(tuple).next().and_then(tuple::value)?;
    let row: Map<String, Value> = serde_json::from_slice(text).ok()?;
    let has = |name: &str| source.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    row.into_iter()
        .map(|(name, value)| {
            let cell = given_back(&value)?;
            has(&name).then_some((name, cell))
        })
        .collect()
}

/// One table under way.
struct Filling<'a> {
    table: &'a BackTable,
    found: &'a Found,
    writer: &'a Writer,
    failed: &'a dyn Fn(rusqlite::Error) -> Error,
    adding: Adding<'a>,
    sums: Sums,
    written: WrittenTable,
}

impl<'a> Filling<'a> {
    fn of(
        table: &'a BackTable,
        found: &'a Found,
        writer: &'a Writer,
        failed: &'a dyn Fn(rusqlite::Error) -> Error,
    ) -> Filling<'a> {
        let written = WrittenTable {
            table: table.bound.source.name.clone(),
            target: table.bound.target.name.clone(),
            step: table.step.as_ref().map(|(_, label)| label.clone()),
            ..WrittenTable::default()
        };
        let (adding, sums) = (Adding::of(table), Sums::default());
        Filling { table, found, writer, failed, adding, sums, written }
    }

    /// The rows that the server has in the table.
    fn stored(
        &mut self,
        input: &mut Input,
        progress: &Progress,
        problems: &mut Problems,
    ) -> Result<(), Error> {
        let (table, failed) = (self.table, self.failed);
        let columns = table.bound.columns.iter().enumerate();
        // the file computes these itself
        let bound: Vec<(usize, &str)> = columns
            .filter(|(_, column)| !column.source.generated)
            .map(|(index, column)| (index, column.source.name.as_str()))
            .collect();
        let names: Vec<&str> = bound.iter().map(|(_, name)| *name).collect();
        let mut insert = self.writer.insert(&table.bound.source.name, &names).map_err(failed)?;
        input.rows(|tuple| {
            self.written.rows += 1;
            self.written.bytes += tuple.len() as u64;
            let number = self.written.rows;
            progress.rows(number);
            let (cells, originals) = row::cells(table, self.found, tuple, number, problems)?;
            self.written.originals += originals;
            let values: SmallVec<[_; 16]> = bound.iter().map(|(index, _)| cells[*index].as_ref()).collect();
            if let Err(refusal) = insert.row(&values).map_err(failed)? {
                let (name, why) = (&table.bound.source.name, explained(refusal, table));
                problems.add(name, &why, || row::name(table, tuple, number));
            }
            self.adding.sent(&mut self.sums, tuple, &cells);
            Ok(())
        })
    }

    /// The rows that the step put into the quarantine.
    fn quarantined(&mut self, input: &mut Input, problems: &mut Problems) -> Result<(), Error> {
        let (table, failed) = (self.table, self.failed);
        let source = &table.bound.source;
        let (mut insert, mut scratch): (Option<(Vec<String>, Insert<'_>)>, _) = (None, Vec::new());
        input.rows(|tuple| {
            self.written.quarantined += 1;
            let number = self.written.quarantined;
            let Some(row) = quarantined_row(tuple, source) else {
                problems.add(&source.name, OTHER_ROW, || format!("quarantined row number {number}"));
                return Ok(());
            };
            // the file computes the others itself
            let given =
                |name: &String| !source.columns.iter().any(|column| column.generated && column.name == *name);
            let written = || row.iter().filter(|(name, _)| given(name));
            let named = || written().map(|(name, _)| name);
            if insert.as_ref().is_none_or(|(names, _)| !names.iter().eq(named())) {
                let names: Vec<String> = named().cloned().collect();
                let list: Vec<&str> = names.iter().map(String::as_str).collect();
                let prepared = self.writer.insert(&source.name, &list).map_err(failed)?;
                insert = Some((names, prepared));
            }
            let Some((_, insert)) = &mut insert else { return Ok(()) };
            let values: Vec<_> = written().map(|(_, cell)| cell.as_ref()).collect();
            if let Err(refusal) = insert.row(&values).map_err(failed)? {
                problems.add(&source.name, &refusal, || format!("quarantined row number {number}"));
            }
            let by_column = |index: usize| {
                let name = &table.bound.columns[index].source.name;
                let cell = row.iter().find(|(known, _)| known == name).and_then(|(_, cell)| cell.as_ref());
                cell.map_or(ValueRef::Null, Cell::value)
            };
            self.adding.read(&mut self.sums, &mut scratch, by_column);
            Ok(())
        })
    }
}
