//! One row on the way back: from the COPY-binary tuple to cells, each in its column's format, or as it was kept.

use super::found::{self, Found, Original};
use super::plan::BackTable;
use super::problems::Problems;
use crate::copy::cell::{self, Fate};
use crate::copy::columns::BoundColumn;
use crate::copy::tuple;
use crate::error::Error;
use crate::value::{Cell, Format};
use rusqlite::types::ValueRef;
use smallvec::SmallVec;
use std::borrow::Cow;
use tokio_postgres::types::Type;

/// The cells of a row, by bound column.
pub(super) type Row<'a> = SmallVec<[Option<Cell<'a>>; 16]>;

/// Makes the cells of `row`, the `number`th of its table. What has no form in SQLite is a problem, and so is empty text
/// that the step would take for NULL. The second value is how many cells came as they were kept.
pub(super) fn cells<'a>(
    table: &BackTable,
    found: &Found,
    row: &'a [u8],
    number: u64,
    problems: &mut Problems,
) -> Result<(Row<'a>, u64), Error> {
    let (cells, originals) = given(table, found, row, number, problems)?;
    let columns = table.bound.columns.iter().zip(tuple::cells(row)).zip(&cells);
    for ((column, field), cell) in columns.filter(|((column, _), _)| column.empty_is_null) {
        let empty = cell.as_ref().is_some_and(|cell| cell.value() == ValueRef::Text(b""));
        if empty && tuple::value(field).is_some() && !column.target.not_null {
            let subject = format!("{}.{}", table.bound.target.name, column.target.name);
            let reason = "empty text, which the step's empty = \"null\" takes for NULL (write NULL in the target instead)";
            problems.add(&subject, reason, || name(table, row, number));
        }
    }
    Ok((cells, originals))
}

/// The cells as the formats and what was kept give them; what has no form is a problem, and NULL here.
fn given<'a>(
    table: &BackTable,
    found: &Found,
    row: &'a [u8],
    number: u64,
    problems: &mut Problems,
) -> Result<(Row<'a>, u64), Error> {
    let (columns, constants) = (&table.bound.columns, &table.bound.constants);
    let mut fields = tuple::cells(row);
    let (mut cells, mut scratch) = (Row::new(), Vec::new());
    for (index, (column, format)) in columns.iter().zip(&table.formats).enumerate() {
        let field = fields.next().unwrap_or_default();
        cells.push(match tuple::value(field) {
            None if format.empty => Some(Cell::Text(Cow::Borrowed(b""))),
            None => None,
            Some(field) => match (column.codec.decode)(field) {
                Some(usual) => Some(spelt(column, &format.format, field, usual, &mut scratch)),
                None => {
                    let subject = format!("{}.{}", table.bound.target.name, columns[index].target.name);
                    problems.add(&subject, unspeakable(column), || name(table, row, number));
                    None
                }
            },
        });
    }
    for (constant, field) in constants.iter().zip(fields) {
        if field != constant.field && !constant.is(field) {
            let subject = format!("{}.{}", table.bound.target.name, constant.target.name);
            let reason = "another value than the step's constant, and the file has no such column";
            problems.add(&subject, reason, || name(table, row, number));
        }
    }
    let kept = match (&table.key, &table.step) {
        (Some(key), Some((version, _))) => {
            found.take(*version, &table.bound, key, row).map_err(std::io::Error::other)?
        }
        _ => return Ok((cells, 0)),
    };
    let mut originals = 0;
    if kept.is_empty() {
        return Ok((cells, 0));
    }
    let columns = columns.iter().zip(&table.formats);
    for (((column, format), field), cell) in columns.zip(tuple::cells(row)).zip(cells.iter_mut()) {
        let Some(original) = kept.get(&column.source.name).and_then(found::original) else { continue };
        if still(column, &original, field, &mut scratch) {
            *cell = match original.cell {
                Some(sent) if original.sent => Some(format.format.apply(field, sent)),
                kept => kept,
            };
            originals += 1;
        }
    }
    Ok((cells, originals))
}

/// The cell in its column's format, unless it would be taken for another value there: a column in which all times said
/// the offset of the summer has none for the winter.
fn spelt<'a>(
    column: &BoundColumn,
    format: &Format,
    field: &'a [u8],
    usual: Cell<'a>,
    scratch: &mut Vec<u8>,
) -> Cell<'a> {
    if *format == Format::Usual {
        return usual;
    }
    let cell = format.apply(field, usual.clone());
    scratch.clear();
    let same = (column.codec.encode)(&cell.value(), scratch).is_ok()
        // the zeros after the point of a number are no value
        && (scratch.as_slice() == field || (column.codec.decode)(scratch).as_ref() == Some(&usual));
    // what the server reads by itself has no form here that could be compared
    if same || column.codec.by_input { cell } else { usual }
}

/// Whether `original` is still what the target holds: otherwise the application has written another value since.
fn still(column: &BoundColumn, original: &Original, field: &[u8], scratch: &mut Vec<u8>) -> bool {
    if let Some(stored) = &original.stored {
        return tuple::value(field) == Some(stored.as_bytes());
    }
    scratch.clear();
    let value = original.cell.as_ref().map_or(ValueRef::Null, Cell::value);
    let fate = cell::convert(column, &value, scratch);
    matches!(fate, Fate::Fits(_) | Fate::Nulled) && scratch.as_slice() == field
}

/// What a row is called: by its key, if that is of integers and UUIDs, or else by its number in the order of the
/// reading.
pub(super) fn name(table: &BackTable, row: &[u8], number: u64) -> String {
    let part = |index: &usize| {
        let column = &table.bound.columns[*index];
        let of_type = Type::from_oid(column.target.type_oid)?;
        if !matches!(of_type, Type::INT2 | Type::INT4 | Type::INT8 | Type::UUID) {
            return None;
        }
        let field = tuple::value(tuple::cells(row).nth(*index)?)?;
        let text = match (column.codec.decode)(field)?.value() {
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            _ => return None,
        };
        Some(format!("{} {text}", column.target.name))
    };
    let parts: Option<Vec<String>> = table.named_by.iter().map(part).collect();
    match parts {
        Some(parts) if !parts.is_empty() => parts.join(", "),
        _ => format!("row number {number}"),
    }
}

/// Why the way back gives no cell.
fn unspeakable(column: &BoundColumn) -> &'static str {
    match Type::from_oid(column.target.type_oid) {
        Some(Type::FLOAT4 | Type::FLOAT8) => "NaN, which SQLite stores as NULL",
        Some(Type::NUMERIC) => "NaN, which is no number in SQLite",
        Some(Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ) => {
            "infinity, a year before 1 or after 9999, or a moment that the column's numbers or zone cannot say (write another in \
             the target, or make the column text in a version)"
        }
        Some(Type::TIME | Type::TIMETZ) => "24:00:00, or a time that the column's numbers cannot say",
        Some(Type::INTERVAL) => {
            "months in a column of numbers or of times since 1970, or a span that those cannot say (SQL makes hours of months, \
             720 of each: make_interval(secs => extract(epoch FROM …)))"
        }
        _ => "a value that has no form in SQLite",
    }
}
