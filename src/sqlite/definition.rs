//! What makes a file besides its rows: the statements of its schema, and the settings that its header keeps. The
//! receipt has it, so that the file can be made again.

use super::{Source, refused, snapshot::in_words};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The definition of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Tables, indexes, triggers and views, in the order in which they were made.
    pub statements: Vec<Statement>,
    /// What `sqlite_sequence` counts, by table.
    pub sequences: BTreeMap<String, i64>,
    /// The application's own numbers. (SQLite: PRAGMA `user_version`, `application_id`.)
    pub user_version: i32,
    /// The same.
    pub application_id: i32,
    /// `UTF-8`, `UTF-16le` or `UTF-16be`.
    pub encoding: String,
    /// Bytes of a page.
    pub page_size: u32,
    /// Whether pages are given back when rows go. (SQLite: PRAGMA `auto_vacuum`.)
    pub auto_vacuum: u8,
    /// It is in WAL mode.
    pub wal: bool,
    /// By table that keeps another tool's books: its rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bookkeeping: BTreeMap<String, Books>,
}

/// The rows of a small table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// The columns that are not computed.
    pub columns: Vec<String>,
    /// Their cells, in the order of the rows, each in a form that tells storage classes apart.
    pub rows: Vec<Vec<Value>>,
}

/// A statement of a schema. (SQLite: The Schema Table.)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// `table`, `index`, `trigger` or `view`.
    pub kind: String,
    /// What it makes.
    pub name: String,
    /// The table that it belongs to.
    pub table: String,
    /// Its text.
    pub sql: String,
}

impl Source {
    /// The definition of the database as the snapshot has it.
    ///
    /// # Errors
    /// [`Error::Source`] if SQLite cannot read it.
    pub fn definition(&self) -> Result<Definition, Error> {
        self.read_definition().map_err(|error| refused(&self.file, in_words(&error)))
    }

    fn read_definition(&self) -> rusqlite::Result<Definition> {
        let text = |row: &rusqlite::Row<'_>, at| -> rusqlite::Result<String> {
            let bytes = row.get_ref(at)?.as_bytes_or_null().ok().flatten().unwrap_or_default();
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        let mut list = self.connection.prepare(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid",
        )?;
        let statements = list.query_map([], |row| {
            Ok(Statement {
                kind: text(row, 0)?,
                name: text(row, 1)?,
                table: text(row, 2)?,
                sql: text(row, 3)?,
            })
        })?;
        let statements: Vec<Statement> = statements.collect::<Result<_, _>>()?;
        let sequences = if statements.iter().any(|statement| statement.name == "sqlite_sequence") {
            let mut list = self.connection.prepare(
                "SELECT name, max(seq) FROM main.sqlite_sequence WHERE typeof(seq) = 'integer' GROUP BY name",
            )?;
            list.query_map([], |row| Ok((text(row, 0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
        } else {
            BTreeMap::new()
        };
        let setting = |name: &str| self.connection.pragma_query_value(Some("main"), name, |row| row.get(0));
        Ok(Definition {
            statements,
            sequences,
            user_version: setting("user_version")?,
            application_id: setting("application_id")?,
            encoding: self.connection.pragma_query_value(None, "encoding", |row| row.get(0))?,
            page_size: self.connection.pragma_query_value(Some("main"), "page_size", |row| row.get(0))?,
            auto_vacuum: self.connection.pragma_query_value(Some("main"), "auto_vacuum", |row| row.get(0))?,
            wal: self.header.wal,
            bookkeeping: BTreeMap::new(),
        })
    }
}
