//! The query of all rows of a table, and the order in which they have to come.

use super::Source;
use super::scan::{Cells, Values};
use super::schema::{Kind, Table};
use super::snapshot::damaged;
use crate::error::Error;
use crate::identifier::{quote, quote_all};
use std::path::PathBuf;

/// Never through an index: one that is damaged, or short of a row, must not decide what is brought.
pub(super) struct Query {
    /// The table's name.
    pub table: String,
    /// What is selected.
    list: Vec<String>,
    /// How many of them were asked for.
    columns: usize,
    /// Which of the query's columns is the rowid, if the table has one.
    rowid: Option<usize>,
    /// Which of those asked for is its alias.
    alias: Option<usize>,
    /// How the table is sorted, if that can be told.
    order: String,
}

impl Query {
    /// Of `columns`, the last one first: SQLite reads a row's header as far as the column it is asked for, and one that
    /// is longer than what the row's own page holds of it is read anew, from the file, for each column further on.
    pub(super) fn of(table: &Table, columns: &[&str]) -> Query {
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
        let order = match quote_all(table.key.iter().map(String::as_str)) {
            key if key.is_empty() => String::new(),
            key => format!(" ORDER BY {key}"),
        };
        Query { table: table.name.clone(), list, columns: columns.len(), rowid, alias, order }
    }

    /// How many values it gives for each row.
    pub(super) fn width(&self) -> usize {
        self.list.len()
    }

    /// Its text, all rows in their order.
    pub(super) fn in_order(&self) -> String {
        self.rows(&self.order)
    }

    /// Its text, with what comes behind the table: an order, a limit.
    pub(super) fn rows(&self, behind: &str) -> String {
        format!("SELECT {} {}{behind}", self.list.join(", "), self.from())
    }

    /// Its text, the values given to `function`: the rows, in their order, of which this says so.
    pub(super) fn as_arguments(&self, function: &str) -> String {
        let list = self.list.join(", ");
        format!("SELECT 1 {} WHERE {function}({list}){}", self.from(), self.order)
    }

    fn from(&self) -> String {
        format!("FROM {} NOT INDEXED", quote(&self.table))
    }

    /// The row that has these `values`, and the number `ordinal`.
    #[inline]
    pub(super) fn cells<'a>(&self, values: Values<'a>, ordinal: u64) -> rusqlite::Result<Cells<'a>> {
        let rowid = match self.rowid {
            Some(at) => Some((values.get(at)?.as_i64()?, self.alias)),
            None => None,
        };
        Ok(Cells { values, columns: self.columns, ordinal, rowid })
    }
}

/// The rows of a table so far: a page reached twice, or in the wrong place, brings some that were there already.
pub(super) struct Order {
    file: PathBuf,
    table: String,
    /// The table is read in the order of its rowids.
    ascending: bool,
    last: Option<i64>,
    rows: u64,
}

impl Order {
    pub(super) fn of(source: &Source, table: &Table) -> Order {
        let ascending = table.kind != Kind::Virtual;
        Order { file: source.file.clone(), table: table.name.clone(), ascending, last: None, rows: 0 }
    }

    /// The number of the row that comes next, from 1.
    pub(super) fn next_number(&self) -> u64 {
        self.rows + 1
    }

    /// Counts `row`, which has to come after the last.
    #[inline]
    pub(super) fn add(&mut self, row: &Cells<'_>) -> Result<(), Error> {
        self.rows += 1;
        let Some((rowid, _)) = row.rowid.filter(|_| self.ascending) else { return Ok(()) };
        if self.last.is_some_and(|last| last >= rowid) {
            let found = damaged(&format!("rowid {rowid} out of order"));
            let reason = format!("table {}: {found}", self.table);
            return Err(Error::Source { file: self.file.clone(), reason });
        }
        self.last = Some(rowid);
        Ok(())
    }
}
