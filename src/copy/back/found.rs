//! The cells that a step kept ([`super::originals`]), found again by the key of their row: in a private database of
//! SQLite's own, which keeps on disk what does not fit into its cache, and is gone when it is closed.

use crate::copy::columns::BoundTable;
use crate::copy::lossless::given_back;
use crate::copy::originals::Key;
use crate::copy::tuple;
use crate::value::Cell;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension, Result, params};
use serde_json::{Map, Value, json};

/// The cells of all steps.
pub(super) struct Found {
    connection: Connection,
}

/// A kept cell.
pub(super) struct Original {
    /// As SQLite had it.
    pub cell: Option<Cell<'static>>,
    /// The text that the server made of it, where the server itself reads the column.
    pub stored: Option<String>,
    /// It is what was sent, and the cell that this came from is in the column's format.
    pub sent: bool,
}

impl Found {
    pub(super) fn new() -> Result<Found> {
        let connection = Connection::open("")?;
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384; BEGIN;
             CREATE TABLE kept (version INTEGER, of_table TEXT, row_key BLOB, respelt INTEGER, cells TEXT)",
        )?;
        Ok(Found { connection })
    }

    /// Adds what a step kept, as a COPY-binary tuple, if it is of one of `tables`. The name of the table comes back if
    /// the cells are not as a step wrote them.
    pub(super) fn add(&self, row: &[u8], tables: &[&str]) -> Result<Option<String>> {
        let values: Vec<Option<&[u8]>> = tuple::cells(row).map(tuple::value).collect();
        let [Some(version), Some(table), Some(key), Some(cells)] = values[..] else { return Ok(None) };
        let version = version.try_into().map_or(0, i32::from_be_bytes);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (table, cells) = (text(table), text(cells));
        if !tables.contains(&table.as_str()) {
            return Ok(None);
        }
        let known: Option<Map<String, Value>> = serde_json::from_str(&cells).ok();
        let Some(known) = known.filter(|cells| cells.values().all(|cell| original(cell).is_some())) else {
            return Ok(Some(table));
        };
        let respelt = known.values().any(|cell| cell.get("stored").is_some());
        let mut insert = self.connection.prepare_cached("INSERT INTO kept VALUES (?1, ?2, ?3, ?4, ?5)")?;
        insert.execute(params![version, table, key, respelt, cells])?;
        Ok(None)
    }

    /// Everything was added.
    pub(super) fn complete(&self) -> Result<()> {
        self.connection.execute_batch("CREATE INDEX found ON kept (of_table, row_key, version, respelt)")
    }

    /// The cells that were kept for `row`, by the source's names of their columns. Of rows with the same key, as there
    /// are where nothing tells rows apart, each has its own: what was given once is not given again.
    pub(super) fn take(
        &self,
        version: i32,
        table: &BoundTable,
        key: &Key,
        row: &[u8],
    ) -> Result<Map<String, Value>> {
        let mut fields: Vec<&[u8]> = tuple::cells(row).collect();
        let of_table = &table.source.name;
        // what the server spells otherwise is found by its spelling, and the rest by the text that was sent
        let respelt = self.one(version, of_table, key.hash(&fields), true)?;
        let mut sent = Vec::new();
        for (index, column) in table.columns.iter().enumerate() {
            if let Some(text) = respelt.get(&column.source.name).and_then(|cell| cell.get("text")?.as_str()) {
                let mut field = Vec::new();
                tuple::append(&mut field, text.as_bytes());
                sent.push((index, field));
            }
        }
        for (index, field) in &sent {
            fields[*index] = field;
        }
        let mut cells = self.one(version, of_table, key.hash(&fields), false)?;
        for (name, value) in respelt {
            let cell = match (cells.remove(&name), value.get("stored")) {
                (Some(kept), Some(stored)) => json!({ "kept": kept, "stored": stored }),
                _ => value,
            };
            cells.insert(name, cell);
        }
        Ok(cells)
    }

    /// Takes the cells of one row.
    fn one(&self, version: i32, table: &str, key: u128, respelt: bool) -> Result<Map<String, Value>> {
        let mut find = self.connection.prepare_cached(
            "SELECT rowid, cells FROM kept WHERE of_table = ?1 AND row_key = ?2 AND version = ?3 AND respelt = ?4 LIMIT 1",
        )?;
        let found: Option<(i64, String)> = find
            .query_row(params![table, key.to_be_bytes(), version, respelt], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((rowid, text)) = found else { return Ok(Map::new()) };
        self.connection.prepare_cached("DELETE FROM kept WHERE rowid = ?1")?.execute([rowid])?;
        serde_json::from_str(&text)
            .map_err(|error| Error::FromSqlConversionFailure(1, Type::Text, error.into()))
    }
}

/// The cell that `value` says; `None` if it is nothing that a step wrote.
pub(super) fn original(value: &Value) -> Option<Original> {
    let stored = match value.get("stored") {
        Some(stored) => Some(stored.as_str()?.to_owned()),
        None => None,
    };
    let cell = given_back(value.get("kept").unwrap_or(value))?;
    let sent = stored.is_some() && value.get("kept").is_none();
    Some(Original { cell, stored, sent })
}
