//! A schema made in memory, without a row: what SQLite makes of it is known before there is a file.

use super::full_text::FullText;
use super::writer::Writer;
use super::{Definition, Statement};
use crate::identifier::{quote, quote_all};
use rusqlite::{ErrorCode, Result};
use std::path::Path;

/// The schema.
pub struct Draft {
    writer: Writer,
}

impl Draft {
    /// Makes what `definition` says. What SQLite refuses is not there; whoever makes the file is told why.
    ///
    /// # Errors
    /// SQLite's, if there is no memory.
    pub fn of(definition: &Definition) -> Result<Draft> {
        let (writer, _) = Writer::create(Path::new(":memory:"), definition)?;
        let _ = writer.make_rest(definition);
        Ok(Draft { writer })
    }

    /// Its full-text indexes.
    ///
    /// # Errors
    /// SQLite's.
    pub fn full_text(&self) -> Result<Vec<FullText>> {
        self.writer.full_text()
    }

    /// The tables in which the modules of virtual tables keep what they have.
    ///
    /// # Errors
    /// SQLite's.
    pub fn shadows(&self) -> Result<Vec<String>> {
        self.writer.shadows()
    }

    /// Makes one more table, unless SQLite refuses it.
    pub fn add(&self, statement: &Statement) {
        let _ = self.writer.make(statement);
    }

    /// The columns of `table`, computed ones too; none if there is no such table.
    ///
    /// # Errors
    /// SQLite's.
    pub fn columns(&self, table: &str) -> Result<Vec<String>> {
        let query = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
        let mut list = self.writer.connection.prepare(query)?;
        list.query_map([table], |row| row.get(0))?.collect()
    }

    /// Whether a foreign key may refer to these `columns` of `table`: SQLite wants its primary key, or a UNIQUE index
    /// on just these with the collations of the columns, and says so when it is to check such a foreign key. (SQLite:
    /// Foreign Key Support, "Required and Suggested Database Indexes".)
    ///
    /// # Errors
    /// SQLite's.
    pub fn is_key(&self, table: &str, columns: &[&str]) -> Result<bool> {
        let connection = &self.writer.connection;
        let own: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
        let free = |name: &String| !self.writer.has("table", name) && !self.writer.has("view", name);
        let names = (0_u32..).map(|number| format!("outgrow_probe_{number}"));
        let probe = names.into_iter().find(free).map(|name| quote(&name)).unwrap_or_default();
        connection.execute_batch(&format!(
            "CREATE TABLE {probe} ({}, FOREIGN KEY ({}) REFERENCES {} ({}))",
            own.join(", "),
            own.join(", "),
            quote(table),
            quote_all(columns.iter().copied())
        ))?;
        let usable = match connection.prepare(&format!("PRAGMA main.foreign_key_check({probe})")) {
            Ok(_) => true,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => false,
            Err(error) => return Err(error),
        };
        connection.execute_batch(&format!("DROP TABLE {probe}"))?;
        Ok(usable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_says_which_columns_are_a_key() {
        let statement = |kind: &str, sql: &str| Statement {
            kind: kind.into(),
            name: sql.split(' ').nth(2).unwrap_or_default().into(),
            table: "t".into(),
            sql: sql.into(),
        };
        let statements = vec![
            statement("table", "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d COLLATE NOCASE, e)"),
            statement("view", "CREATE VIEW outgrow_probe_0 AS SELECT id FROM t"),
            Statement { name: "i".into(), ..statement("index", "CREATE UNIQUE INDEX i ON t (b, a)") },
            Statement {
                name: "j".into(),
                ..statement("index", "CREATE UNIQUE INDEX j ON t (c) WHERE c > 1")
            },
            Statement {
                name: "k".into(),
                ..statement("index", "CREATE UNIQUE INDEX k ON t (d COLLATE BINARY)")
            },
            Statement { name: "l".into(), ..statement("index", "CREATE INDEX l ON t (e)") },
        ];
        let draft = Draft::of(&Definition { statements, ..Definition::default() }).expect("a schema");
        assert_eq!(draft.columns("t").expect("columns"), ["id", "a", "b", "c", "d", "e"]);
        let is_key = |table: &str, columns: &[&str]| draft.is_key(table, columns).expect("an answer");
        assert!(is_key("t", &["id"]) && is_key("t", &["a", "b"]) && is_key("t", &["b", "a"]));
        for columns in [["a"], ["c"], ["d"], ["e"], ["none"]] {
            assert!(!is_key("t", &columns), "{columns:?}");
        }
        assert!(!is_key("t", &["id", "a"]) && !is_key("outgrow_probe_0", &["id"]));
    }
}
