//! Rows of one table as borrowed values, in the table's own order.

use super::Source;
use super::schema::{Kind, Table};
use super::snapshot::{damaged, in_words};
use crate::error::Error;
use crate::identifier::{quote, quote_all};
use rusqlite::Row;
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
    row: &'a Row<'a>,
    /// How many columns were asked for.
    columns: usize,
    ordinal: u64,
    /// The rowid, and the index of a column that is its alias.
    rowid: Option<(i64, Option<usize>)>,
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
            _ => self.row.get_ref(self.columns.wrapping_sub(index + 1)),
        }
    }

    /// Where the row is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.rowid.map_or(Place::Ordinal(self.ordinal), |(rowid, _)| Place::Rowid(rowid))
    }
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
        mut each: impl FnMut(&Cells<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let unreadable = |error: rusqlite::Error| self.unreadable(table, &error);
        let order = match quote_all(table.key.iter().map(String::as_str)) {
            key if key.is_empty() => String::new(),
            key => format!(" ORDER BY {key}"),
        };
        let query = Query::of(table, columns);
        let text = format!("{}{order}", query.text);
        let mut statement = self.connection.prepare(&text).map_err(unreadable)?;
        let mut rows = statement.query([]).map_err(unreadable)?;
        let (mut ordinal, mut last) = (0, None);
        while let Some(row) = rows.next().map_err(unreadable)? {
            ordinal += 1;
            let cells = query.cells(row, ordinal).map_err(unreadable)?;
            // a page reached twice, or in the wrong place, brings rows that were there already
            if let Some((rowid, _)) = cells.rowid.filter(|_| table.kind != Kind::Virtual) {
                if last.is_some_and(|last| last >= rowid) {
                    return Err(Error::Source {
                        file: self.file.clone(),
                        reason: format!(
                            "table {}: {}",
                            table.name,
                            damaged(&format!("rowid {rowid} out of order"))
                        ),
                    });
                }
                last = Some(rowid);
            }
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
        let unreadable = |error: rusqlite::Error| self.unreadable(table, &error);
        let rowid = table.rowid.filter(|_| table.kind == Kind::Ordinary);
        let ends = [Some(String::new()), rowid.map(|rowid| format!(" ORDER BY {rowid} DESC"))];
        let query = Query::of(table, columns);
        for order in ends.into_iter().flatten() {
            let text = format!("{}{order} LIMIT {most}", query.text);
            let mut statement = self.connection.prepare(&text).map_err(unreadable)?;
            let mut rows = statement.query([]).map_err(unreadable)?;
            while let Some(row) = rows.next().map_err(unreadable)? {
                if !each(&query.cells(row, 0).map_err(unreadable)?)? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn unreadable(&self, table: &Table, error: &rusqlite::Error) -> Error {
        Error::Source {
            file: self.file.clone(),
            reason: format!("table {}: {}", table.name, in_words(error)),
        }
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
        self.connection.query_row(&query, [], |row| row.get(0)).map_err(|error| Error::Source {
            file: self.file.clone(),
            reason: format!("table {}: {}", table.name, in_words(&error)),
        })
    }

    /// Whether any row of `table` has a value in `column`.
    ///
    /// # Errors
    /// [`Error::Source`] if SQLite cannot read it.
    pub fn holds_values(&self, table: &Table, column: &str) -> Result<bool, Error> {
        let (table, column) = (quote(&table.name), quote(column));
        let query = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {column} IS NOT NULL)");
        self.connection.query_row(&query, [], |row| row.get(0)).map_err(|error| Error::Source {
            file: self.file.clone(),
            reason: format!("table {table}: {}", in_words(&error)),
        })
    }
}

/// The query of all rows of a table. Never through an index: one that is damaged, or short of a row, must not decide
/// what is brought.
struct Query {
    text: String,
    columns: usize,
    /// Which of the query's columns is the rowid, if the table has one.
    rowid: Option<usize>,
    /// Which of those asked for is its alias.
    alias: Option<usize>,
}

impl Query {
    /// Of `columns`, the last one first: SQLite reads a row's header as far as the column it is asked for, and one that
    /// is longer than what the row's own page holds of it is read anew, from the file, for each column further on.
    fn of(table: &Table, columns: &[&str]) -> Query {
        let alias = table.columns.iter().find(|column| column.is_rowid && table.rowid.is_some());
        let alias = alias.and_then(|alias| columns.iter().position(|name| *name == alias.name));
        let mut list: Vec<String> = columns.iter().rev().map(|name| quote(name)).collect();
        let rowid = table.rowid.map(|name| match alias {
            Some(at) => columns.len() - 1 - at,
            None => {
                list.push(name.to_owned());
                columns.len()
            }
        });
        if list.is_empty() {
            list.push("NULL".to_owned());
        }
        let text = format!("SELECT {} FROM {} NOT INDEXED", list.join(", "), quote(&table.name));
        Query { text, columns: columns.len(), rowid, alias }
    }

    fn cells<'a>(&self, row: &'a Row<'a>, ordinal: u64) -> rusqlite::Result<Cells<'a>> {
        let rowid = match self.rowid {
            Some(at) => Some((row.get_ref(at)?.as_i64()?, self.alias)),
            None => None,
        };
        Ok(Cells { row, columns: self.columns, ordinal, rowid })
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
