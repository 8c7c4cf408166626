//! Rows of one table, handed over by SQLite itself: they are the arguments of an SQL function of ours. To ask a
//! statement for each cell takes several calls, each of which looks at the statement's state and locks; arguments are
//! there already, and reading takes a quarter less. In goes a [`Sink`], which owns what it needs, for SQLite keeps a
//! function until it is told otherwise; out it comes again. (SQLite: Application-Defined SQL Functions.)

use super::Source;
use super::query::{Order, Query};
use super::scan::{Cells, Values};
use super::schema::Table;
use crate::error::Error;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::limits::Limit;
use std::sync::{Arc, Mutex, PoisonError};

/// The function. It takes any number of arguments, and nothing in the file's own schema may call it.
const FUNCTION: &str = "outgrow_take";
const ANY_NUMBER: i32 = -1;

/// Takes the rows of a table.
pub trait Sink: Send + 'static {
    /// The table, and the columns that are wanted of it.
    fn wants(&self) -> (&Table, Vec<&str>);

    /// Takes the row under the cursor. It must not use the source.
    ///
    /// # Errors
    /// Its own, which ends the reading.
    fn row(&mut self, cells: &Cells<'_>) -> Result<(), Error>;
}

/// A sink that is being fed.
struct Fed<S> {
    sink: S,
    query: Query,
    order: Order,
    ended: Result<(), Error>,
}

impl<S: Sink> Fed<S> {
    /// Takes one row; whether it was the last, because something failed.
    fn take(&mut self, context: &Context<'_>) -> rusqlite::Result<bool> {
        let cells = self.query.cells(Values::Arguments(context), self.order.next_number())?;
        if let Err(error) = self.order.add(&cells) {
            self.ended = Err(error);
        } else if let Err(error) = self.sink.row(&cells) {
            self.ended = Err(error);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

impl Source {
    /// Gives every row of the table that it wants to `sink`, in the table's own order, and hands it back.
    ///
    /// # Errors
    /// [`Error::Source`] if SQLite cannot read on; whatever [`Sink::row`] returns.
    pub fn feed<S: Sink>(&self, mut sink: S) -> Result<S, Error> {
        let (table, columns) = sink.wants();
        let (query, order) = (Query::of(table, &columns), Order::of(self, table));
        let most = self.connection.limit(Limit::SQLITE_LIMIT_FUNCTION_ARG).unwrap_or_default();
        if query.width() > usize::try_from(most).unwrap_or_default() {
            return self.each(&query, order, |cells| sink.row(cells)).map(|()| sink);
        }
        let (text, name) = (query.as_arguments(FUNCTION), table.name.clone());
        let fed = Arc::new(Mutex::new(Fed { sink, query, order, ended: Ok(()) }));
        let taken = self.call(&text, &fed);
        let gone = self.connection.remove_function(FUNCTION, ANY_NUMBER);
        taken.and(gone).map_err(|error| self.unreadable(&name, &error))?;
        // the function had the only other share
        let fed = Arc::into_inner(fed).ok_or_else(|| std::io::Error::other("SQLite kept the function"))?;
        let Fed { sink, ended, .. } = fed.into_inner().unwrap_or_else(PoisonError::into_inner);
        ended.map(|()| sink)
    }

    /// Runs the query `text`, which gives a row if its function says so of any.
    fn call<S: Sink>(&self, text: &str, fed: &Arc<Mutex<Fed<S>>>) -> rusqlite::Result<()> {
        let fed = Arc::clone(fed);
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        self.connection.create_scalar_function(FUNCTION, ANY_NUMBER, flags, move |context| {
            fed.lock().unwrap_or_else(PoisonError::into_inner).take(context)
        })?;
        self.connection.prepare(text)?.exists([]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The rows of a table as texts; no more than `most` of them.
    struct Rows {
        table: Table,
        found: Vec<String>,
        most: usize,
    }

    impl Sink for Rows {
        fn wants(&self) -> (&Table, Vec<&str>) {
            (&self.table, self.table.columns.iter().map(|column| column.name.as_str()).collect())
        }

        fn row(&mut self, cells: &Cells<'_>) -> Result<(), Error> {
            if self.found.len() == self.most {
                return Err(Error::Config("enough".into()));
            }
            self.found.push(text(cells, self.table.columns.len())?);
            Ok(())
        }
    }

    fn text(cells: &Cells<'_>, columns: usize) -> Result<String, Error> {
        assert!(cells.value(columns).is_err());
        let values: Result<Vec<_>, _> = (0..columns).map(|index| cells.value(index)).collect();
        Ok(format!("{}: {:?}", cells.place(), values.map_err(std::io::Error::other)?))
    }

    #[test]
    fn a_sink_is_given_what_a_scan_finds() -> Result<(), Box<dyn std::error::Error>> {
        let file = tempfile::NamedTempFile::new()?;
        let wide: Vec<String> = (0..1200).map(|number| format!("c{number}")).collect();
        rusqlite::Connection::open(file.path())?.execute_batch(&format!(
            "CREATE TABLE aliased (a, id INTEGER PRIMARY KEY, b); INSERT INTO aliased VALUES ('x', 7, 1.5), (x'00', -1, NULL);
             CREATE TABLE plain (a); INSERT INTO plain VALUES (''), (x''), (9223372036854775807);
             CREATE TABLE keyed (a TEXT PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO keyed VALUES ('z', 1), ('y', 2);
             CREATE TABLE wide ({}); INSERT INTO wide (c0, c1199) VALUES (1, 2);
             CREATE TABLE empty (a)",
            wide.join(", ")
        ))?;
        let source = Source::open(file.path(), Duration::ZERO, || false)?;
        let tables: Vec<&Table> = source.tables.iter().filter(|table| !table.is_bookkeeping()).collect();
        assert_eq!(tables.len(), 5);
        for table in tables {
            let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            let mut scanned = Vec::new();
            source.scan(table, &columns, |cells| {
                scanned.push(text(cells, columns.len())?);
                Ok(())
            })?;
            let rows = |most| Rows { table: table.clone(), found: Vec::new(), most };
            assert_eq!(source.feed(rows(9))?.found, scanned, "{}", table.name);
            if !scanned.is_empty() {
                let ended = source.feed(rows(scanned.len() - 1)).map(|_| ());
                assert!(matches!(ended, Err(Error::Config(_))), "{}", table.name);
            }
        }
        Ok(())
    }
}
