//! Rows of one table as borrowed values, in the table's own order.

use super::Source;
use super::query::{Order, Query};
use super::schema::{Kind, Table};
use super::snapshot::in_words;
use crate::error::Error;
use crate::identifier::quote;
use rusqlite::Row;
use rusqlite::functions::Context;
use rusqlite::types::ValueRef;

/// Where a row is found again: by its rowid, or, without one, by its number in the table's own order, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `SELECT … WHERE rowid = …`
    Rowid(i64),
    /// `SELECT … LIMIT 1 OFFSET n - 1`
    Ordinal(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Rowid(rowid) => write!(f, "{rowid}"),
            Place::Ordinal(number) => write!(f, "row number {number}"),
        }
    }
}

/// One row under the cursor.
pub struct Cells<'a> {
    pub(super) values: Values<'a>,
    /// How many columns were asked for.
    pub(super) columns: usize,
    pub(super) ordinal: u64,
    /// The rowid, and the index of a column that is its alias.
    pub(super) rowid: Option<(i64, Option<usize>)>,
}

/// Where SQLite has the cells: the query's columns in their order.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    /// A statement's row.
    Row(&'a Row<'a>),
    /// The arguments of a function.
    Arguments(&'a Context<'a>),
}

impl<'a> Values<'a> {
    #[inline]
    pub(super) fn get(self, index: usize) -> rusqlite::Result<ValueRef<'a>> {
        match self {
            Values::Row(row) => row.get_ref(index),
            Values::Arguments(context) if index < context.len() => Ok(context.get_raw(index)),
            Values::Arguments(_) => Err(rusqlite::Error::InvalidColumnIndex(index)),
        }
    }
}

impl Cells<'_> {
    /// The value of the column at `index` among those asked for. Borrowed until the next row.
    ///
    /// # Errors
    /// SQLite's, if the index is out of range.
    #[inline]
    pub fn value(&self, index: usize) -> rusqlite::Result<ValueRef<'_>> {
        match self.rowid {
            Some((rowid, Some(alias))) if alias == index => Ok(ValueRef::Integer(rowid)),
            // the last one comes first
            _ => self.values.get(self.columns.wrapping_sub(index + 1)),
        }
    }

    /// Where the row is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.rowid.map_or(Place::Ordinal(self.ordinal), |(rowid, _)| Place::Rowid(rowid))
    }
}

/// A cell that SQLite does not give.
#[must_use]
pub fn unreadable(error: rusqlite::Error) -> Error {
    Error::Io(std::io::Error::other(error))
}

impl Source {
    /// Calls `each` with every row of `table`, cells in the order of `columns`.
    ///
    /// # Errors
    /// [`Error::Source`] if SQLite cannot read on; whatever `each` returns, which ends the scan.
    pub fn scan(
        &self,
        table: &Table,
        columns: &[&str],
        each: impl FnMut(&Cells<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.each(&Query::of(table, columns), Order::of(self, table), each)
    }

    /// Calls `each` with every row of `query`.
    pub(super) fn each(
        &self,
        query: &Query,
        mut order: Order,
        mut each: impl FnMut(&Cells<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let unreadable = |error: rusqlite::Error| self.unreadable(&query.table, &error);
        let mut statement = self.connection.prepare(&query.in_order()).map_err(unreadable)?;
        let mut rows = statement.query([]).map_err(unreadable)?;
        while let Some(row) = rows.next().map_err(unreadable)? {
            let cells = query.cells(Values::Row(row), order.next_number()).map_err(unreadable)?;
            order.add(&cells)?;
            each(&cells)?;
        }
        Ok(())
    }

    /// Calls `each` with at most `most` rows from the beginning of `table`, and with as many from its end if it has
    /// rowids, until `each` has enough.
    ///
    /// # Errors
    /// Those of [`Source::scan`].
    pub fn sample(
        &self,
        table: &Table,
        columns: &[&str],
        most: u64,
        mut each: impl FnMut(&Cells<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let unreadable = |error: rusqlite::Error| self.unreadable(&table.name, &error);
        let rowid = table.rowid.filter(|_| table.kind == Kind::Ordinary);
        let ends = [Some(String::new()), rowid.map(|rowid| format!(" ORDER BY {rowid} DESC"))];
        let query = Query::of(table, columns);
        for order in ends.into_iter().flatten() {
            let text = query.rows(&format!("{order} LIMIT {most}"));
            let mut statement = self.connection.prepare(&text).map_err(unreadable)?;
            let mut rows = statement.query([]).map_err(unreadable)?;
            while let Some(row) = rows.next().map_err(unreadable)? {
                if !each(&query.cells(Values::Row(row), 0).map_err(unreadable)?)? {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) fn unreadable(&self, table: &str, error: &rusqlite::Error) -> Error {
        Error::Source { file: self.file.clone(), reason: format!("table {table}: {}", in_words(error)) }
    }

    /// How many rows `table` has at most, where that can be known without reading it: rowids are used once, and may
    /// have gaps.
    #[must_use]
    pub fn at_most(&self, table: &Table) -> Option<u64> {
        let rowid = table.rowid.filter(|_| table.kind == Kind::Ordinary)?;
        let table = quote(&table.name);
        let ends = format!("SELECT (SELECT max({rowid}) FROM {table}), (SELECT min({rowid}) FROM {table})");
        let (last, first): (Option<i64>, Option<i64>) =
            self.connection.query_row(&ends, [], |row| Ok((row.get(0)?, row.get(1)?))).ok()?;
        match (first, last) {
            (Some(first), Some(last)) => last.abs_diff(first).checked_add(1),
            _ => Some(0),
        }
    }

    /// Whether `table` holds any row.
    ///
    /// # Errors
    /// [`Error::Source`] if SQLite cannot read it.
    pub fn holds_rows(&self, table: &Table) -> Result<bool, Error> {
        let query = format!("SELECT EXISTS (SELECT 1 FROM {} NOT INDEXED)", quote(&table.name));
        self.connection
            .query_row(&query, [], |row| row.get(0))
            .map_err(|error| self.unreadable(&table.name, &error))
    }

    /// How many values each of `columns` has in `table`; NULL is none.
    ///
    /// # Errors
    /// [`Error::Source`] if SQLite cannot read it.
    pub fn count_values(&self, table: &Table, columns: &[&str]) -> Result<Vec<u64>, Error> {
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        let counts: Vec<String> = columns.iter().map(|column| format!("count({})", quote(column))).collect();
        let query = format!("SELECT {} FROM {} NOT INDEXED", counts.join(", "), quote(&table.name));
        let read = |row: &Row<'_>| {
            let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
            (0..columns.len()).map(count).collect::<rusqlite::Result<Vec<u64>>>()
        };
        self.connection.query_row(&query, [], read).map_err(|error| self.unreadable(&table.name, &error))
    }

    /// Whether any row of `table` has a value in `column`.
    ///
    /// # Errors
    /// [`Error::Source`] if SQLite cannot read it.
    pub fn holds_values(&self, table: &Table, column: &str) -> Result<bool, Error> {
        let (from, column) = (quote(&table.name), quote(column));
        let query = format!("SELECT EXISTS (SELECT 1 FROM {from} WHERE {column} IS NOT NULL)");
        self.connection
            .query_row(&query, [], |row| row.get(0))
            .map_err(|error| self.unreadable(&table.name, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// How often this thread has read from a file or a socket; none where the system does not say. (Linux:
    /// `proc_pid_io(5)`.)
    fn reads() -> Option<u64> {
        let io = std::fs::read_to_string("/proc/thread-self/io").ok()?;
        io.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
    }

    #[test]
    fn a_wide_row_is_read_from_the_file_once() -> Result<(), Box<dyn std::error::Error>> {
        let file = tempfile::NamedTempFile::new()?;
        let columns: Vec<String> = (0..1500).map(|number| format!("c{number}")).collect();
        let values: Vec<&str> = ["7", "'x'", "'2024-01-01 00:00:00'", "NULL"].repeat(375);
        let table = format!("CREATE TABLE t ({})", columns.join(", "));
        let rows = vec![format!("({})", values.join(", ")); 20].join(", ");
        let connection = rusqlite::Connection::open(file.path())?;
        connection.execute_batch(&format!("{table}; INSERT INTO t VALUES {rows}"))?;
        let source = Source::open(file.path(), Duration::ZERO, || false)?;
        let table = source.tables.iter().find(|table| table.name == "t").ok_or("no table")?;
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let (before, mut cells) = (reads(), 0);
        source.scan(table, &names, |row| {
            let first = row.value(0).map_err(std::io::Error::other)?;
            let last = row.value(1498).map_err(std::io::Error::other)?;
            assert_eq!((first, last), (ValueRef::Integer(7), ValueRef::Text(b"2024-01-01 00:00:00")));
            assert!(row.value(1500).is_err());
            cells += 1;
            Ok(())
        })?;
        assert_eq!(cells, 20);
        if let (Some(before), Some(after)) = (before, reads()) {
            assert!(after - before < 20 * 10, "{} reads", after - before);
        }
        Ok(())
    }
}
