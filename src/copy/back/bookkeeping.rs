//! The tables of other tools in the file: their rows are those that the receipt kept, whatever the target has in a table
//! of that name, where the application may have a history of its own by now.

use super::fed::Fed;
use crate::copy::bookkeeping;
use crate::copy::lossless::given_back;
use crate::error::{Error, counted};
use crate::sqlite::writer::Writer;
use crate::sqlite::{Books, Definition, Source};
use std::collections::BTreeMap;

/// Decides where the rows of such tables come from: of one that a step brought, from the target like any other; of one
/// that a receipt kept, from there. Out come the notes.
pub(super) fn instead_of_the_targets(fed: &mut Vec<Fed<'_>>, definition: &mut Definition) -> Vec<String> {
    let named = |fed: &Fed<'_>, table: &str| fed.name().eq_ignore_ascii_case(table);
    definition.bookkeeping.retain(|table, _| !fed.iter().any(|fed| fed.step.is_some() && named(fed, table)));
    let notes = definition.bookkeeping.iter().map(|(table, books)| {
        let rows = counted(books.rows.len() as u64, "row");
        let others = if fed.iter().any(|fed| named(fed, table)) { ", and not the target's own" } else { "" };
        format!("{table}: the {rows} that the source had{others}, so that the application finds which migrations its file has seen")
    });
    let notes = notes.collect();
    fed.retain(|fed| !definition.bookkeeping.keys().any(|table| named(fed, table)));
    notes
}

/// Writes the rows, which the tables of the file are made for; what SQLite refuses, in words.
pub(super) fn write(writer: &Writer, kept: &BTreeMap<String, Books>) -> rusqlite::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (table, Books { columns, rows }) in kept {
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut insert = writer.insert(table, &names)?;
        for (index, row) in rows.iter().enumerate() {
            let cells: Option<Vec<_>> = row.iter().map(given_back).collect();
            let refusal = match cells.filter(|cells| cells.len() == names.len()) {
                Some(cells) => insert.row(&cells.iter().map(Option::as_ref).collect::<Vec<_>>())?.err(),
                None => Some("the receipt has it in a form that outgrow does not write".to_owned()),
            };
            problems.extend(refusal.map(|why| format!("{table}: row number {}: {why}", index + 1)));
        }
    }
    Ok(problems)
}

/// Refuses a file whose rows are not those that were written.
///
/// # Errors
/// [`Error::Proof`] with the tables that differ; those of [`bookkeeping::read`].
pub(super) fn prove(file: &Source, kept: &BTreeMap<String, Books>) -> Result<(), Error> {
    let tables: Vec<String> = kept.keys().cloned().collect();
    let found = bookkeeping::read(file, &tables)?;
    let differs = kept.iter().filter(|(table, books)| found.get(*table) != Some(*books));
    let lines: Vec<String> = differs
        .map(|(table, _)| format!("{table}: the file does not have the rows that were kept"))
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(Error::Proof(lines)) }
}
