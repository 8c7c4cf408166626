//! Full-text indexes of a file under way: whose text they index, and how those over other tables' text are built.
//! (SQLite: FTS5, "External Content and Contentless Tables"; FTS3 and FTS4, "FTS4 Options".)

use super::schema::is_contentless;
use super::writer::{Writer, refusal};
use crate::identifier::quote;
use rusqlite::{ErrorCode, Result};

/// A full-text index that gives the text it indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullText {
    /// The virtual table.
    pub table: String,
    /// The text is in another table or view, and the index alone is the virtual table's own.
    pub external: bool,
}

impl Writer {
    /// The full-text indexes of the file. Their modules say what they are by the tables that they keep, whatever the
    /// text of their options: both shorten and quote these as they like.
    ///
    /// # Errors
    /// SQLite's.
    pub fn full_text(&self) -> Result<Vec<FullText>> {
        let mut list = self.connection.prepare(
            "SELECT l.name, s.sql FROM pragma_table_list AS l JOIN main.sqlite_schema AS s ON s.name = l.name AND s.type = 'table'
             WHERE l.schema = 'main' AND l.type = 'virtual' ORDER BY l.name",
        )?;
        let tables = list.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let tables: Vec<(String, String)> = tables.collect::<Result<_>>()?;
        let mut found = Vec::new();
        for (table, sql) in tables {
            let keeps = |suffix: &str| self.has("table", &format!("{table}_{suffix}"));
            let is_full_text = keeps("segdir") || keeps("idx") && keeps("config");
            let external = is_full_text && !self.keeps_text(&table)?;
            if is_full_text && !(external && is_contentless(&sql)) {
                found.push(FullText { table, external });
            }
        }
        Ok(found)
    }

    /// Whether a full-text index has its text in a table of its own: `id` or `docid`, then `c0`, which FTS4 names
    /// further. A table of the application may have that table's name.
    fn keeps_text(&self, table: &str) -> Result<bool> {
        let kept = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE cid = 1 AND name GLOB 'c0*')";
        self.connection.query_row(kept, [format!("{table}_content")], |row| row.get(0))
    }

    /// The tables in which the modules of virtual tables keep what they have.
    ///
    /// # Errors
    /// SQLite's.
    pub fn shadows(&self) -> Result<Vec<String>> {
        let query = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'";
        let mut list = self.connection.prepare(query)?;
        list.query_map([], |row| row.get(0))?.collect()
    }

    /// Builds the index of a full-text table from what its content table has now. If that cannot be read, as where the
    /// application has dropped it, the index stays empty, and SQLite's words say why.
    ///
    /// # Errors
    /// SQLite's.
    pub fn rebuild(&self, table: &str) -> Result<std::result::Result<(), String>> {
        let table = quote(table);
        // read first: without a journal, building must not fail half-way
        let read = self.connection.prepare(&format!("SELECT * FROM {table} LIMIT 1"));
        match read.and_then(|mut read| read.query([])?.next().map(|_| ())) {
            Ok(()) => {}
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                return Ok(Err(refusal(&error)));
            }
            Err(error) => return Err(error),
        }
        self.connection.execute_batch(&format!("INSERT INTO {table} ({table}) VALUES ('rebuild')")).map(Ok)
    }
}
