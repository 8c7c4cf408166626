//! A new SQLite file. In goes a [`Definition`]; out comes a file with the same schema, filled row by row. Nobody else
//! has the file open, and it counts for nothing until it is whole: there is no journal, and nothing waits for the disk
//! before the end.

use super::{Definition, Statement};
use crate::identifier::{quote, quote_all};
use crate::value::Cell;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, InterruptHandle, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Kibibytes of pages that are held.
const CACHE: i64 = 32 << 10;

/// By table and the table referred to: rows that refer to no row.
pub type Orphans = BTreeMap<(String, String), u64>;

/// A column of a foreign key: its table and name, and those that it refers to; without a name, a part of the primary key.
#[derive(Debug)]
pub struct Reference {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The table referred to, as the key names it.
    pub parent: String,
    /// The column referred to, if the key names it.
    pub to: Option<String>,
}

/// What SQLite says of a whole file.
#[derive(Debug, Default)]
pub struct Looked {
    /// What it finds wrong.
    pub wrong: Vec<String>,
    /// Rows that refer to no row.
    pub orphans: Orphans,
    /// Tables whose foreign keys it cannot check, and why, in its words. (SQLite: Foreign Key Support, "Required and
    /// Suggested Database Indexes".)
    pub unchecked: BTreeMap<String, String>,
}

/// The file under way.
pub struct Writer {
    pub(super) connection: Connection,
}

impl Writer {
    /// Makes the tables of `definition` in the empty `file`. Returns with them what SQLite refused, in words.
    ///
    /// # Errors
    /// SQLite's, if the file cannot be written.
    pub fn create(file: &Path, definition: &Definition) -> Result<(Writer, Vec<String>)> {
        let connection = fast(file)?;
        let settings = [
            ("page_size", definition.page_size.to_string()),
            ("encoding", format!("'{}'", definition.encoding.replace('\'', ""))),
            ("auto_vacuum", definition.auto_vacuum.to_string()),
            ("user_version", definition.user_version.to_string()),
            ("application_id", definition.application_id.to_string()),
        ];
        for (name, value) in settings {
            if value != "0" && value != "''" {
                // some answer with a row
                connection.execute_batch(&format!("PRAGMA {name} = {value}"))?;
            }
        }
        let writer = Writer { connection };
        writer.begin()?;
        let refused = writer.make_tables(definition);
        Ok((writer, refused))
    }

    /// Makes the tables. A virtual table brings the tables that keep its content, and so comes first; one that takes
    /// its columns from a table that is not there yet comes after that, and only then what it has not brought.
    fn make_tables(&self, definition: &Definition) -> Vec<String> {
        let own = |statement: &&Statement| {
            statement.kind == "table" && !statement.name.to_ascii_lowercase().starts_with("sqlite_")
        };
        let tables = definition.statements.iter().filter(own);
        let (modules, ordinary): (Vec<&Statement>, Vec<&Statement>) =
            tables.partition(|statement| statement.is_virtual());
        let bring = !modules.is_empty();
        let waiting: Vec<&Statement> =
            modules.into_iter().filter(|statement| self.make(statement).is_err()).collect();
        let (last, first): (Vec<&Statement>, Vec<&Statement>) = ordinary
            .into_iter()
            .partition(|statement| waiting.iter().any(|module| module.may_bring(&statement.name)));
        let rest = first.into_iter().chain(waiting).chain(last);
        rest.filter(|statement| !(bring && self.has("table", &statement.name)))
            .filter_map(|statement| self.make(statement).err())
            .collect()
    }

    /// Opens a file that was made so.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open(file: &Path) -> Result<Writer> {
        Ok(Writer { connection: fast(file)? })
    }

    /// With which another thread interrupts what the file is doing.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }

    /// Runs a statement of the schema; what SQLite says against it, in words.
    pub(super) fn make(&self, statement: &Statement) -> std::result::Result<(), String> {
        self.connection
            .execute_batch(&statement.sql)
            .map_err(|error| format!("{} {}: SQLite cannot make it: {error}", statement.kind, statement.name))
    }

    pub(super) fn has(&self, kind: &str, name: &str) -> bool {
        let found =
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2 COLLATE NOCASE)";
        self.connection.query_row(found, [kind, name], |row| row.get(0)).unwrap_or(false)
    }

    /// Begins a transaction. One is under way in a new file.
    ///
    /// # Errors
    /// SQLite's.
    pub fn begin(&self) -> Result<()> {
        self.connection.execute_batch("BEGIN")
    }

    /// Ends the transaction under way, so that another connection can read.
    ///
    /// # Errors
    /// SQLite's.
    pub fn commit(&self) -> Result<()> {
        self.connection.execute_batch("COMMIT")
    }

    /// The statement that adds rows with these columns to `table`. Whatever the schema says of conflicts, a row that is
    /// in the way of another is refused.
    ///
    /// # Errors
    /// SQLite's.
    pub fn insert(&self, table: &str, columns: &[&str]) -> Result<Insert<'_>> {
        let encoding: String = self.connection.query_row("PRAGMA main.encoding", [], |row| row.get(0))?;
        let units = match encoding.as_str() {
            "UTF-16le" => Some(u16::to_le_bytes as fn(u16) -> [u8; 2]),
            "UTF-16be" => Some(u16::to_be_bytes as fn(u16) -> [u8; 2]),
            _ => None,
        };
        let (table, list) = (quote(table), quote_all(columns.iter().copied()));
        let into = format!("INSERT OR ABORT INTO {table}");
        let into = if columns.is_empty() { into } else { format!("{into} ({list})") };
        let marks = vec!["?"; columns.len()].join(", ");
        let values =
            if columns.is_empty() { "DEFAULT VALUES".to_owned() } else { format!("VALUES ({marks})") };
        let statement = self.connection.prepare(&format!("{into} {values}"))?;
        Ok(Insert { connection: &self.connection, statement, into, units })
    }

    /// Sets what `sqlite_sequence` counts, where that is more than it is already. (SQLite: AUTOINCREMENT.)
    ///
    /// # Errors
    /// SQLite's.
    pub fn set_sequences(&self, sequences: &BTreeMap<String, i64>) -> Result<()> {
        if !self.has("table", "sqlite_sequence") {
            return Ok(());
        }
        for (table, last) in sequences {
            let known = "SELECT max(seq) FROM sqlite_sequence WHERE name = ?1";
            let known: Option<i64> = self.connection.query_row(known, [table], |row| row.get(0))?;
            let last = known.unwrap_or(*last).max(*last);
            self.connection.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [table])?;
            let insert = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
            self.connection.execute(insert, rusqlite::params![table, last])?;
        }
        Ok(())
    }

    /// Makes what is not a table, in order, after the rows. Returns what SQLite refused, in words.
    pub fn make_rest(&self, definition: &Definition) -> Vec<String> {
        let rest = definition.statements.iter().filter(|statement| statement.kind != "table");
        // else SQLite would go through its whole schema for each of them
        let brought = definition.statements.iter().any(Statement::is_virtual);
        rest.filter(|statement| !(brought && self.has(&statement.kind, &statement.name)))
            .filter_map(|statement| self.make(statement).err())
            .collect()
    }

    /// Looks through the whole file. (SQLite: PRAGMA `integrity_check`, `foreign_key_check`.)
    ///
    /// # Errors
    /// SQLite's.
    pub fn check(&self) -> Result<Looked> {
        let mut check = self.connection.prepare("PRAGMA main.integrity_check(20)")?;
        let found = check.query_map([], |row| row.get::<_, String>(0))?;
        let mut looked = Looked { wrong: found.collect::<Result<_>>()?, ..Looked::default() };
        looked.wrong.retain(|line| line != "ok");
        // table by table: one whose keys cannot be checked would end the check of all
        let mut list = self.connection.prepare(
            "SELECT DISTINCT s.name FROM main.sqlite_schema AS s, pragma_foreign_key_list(s.name) WHERE s.type = 'table'",
        )?;
        let tables: Vec<String> = list.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
        for table in tables {
            match self.orphans(&table) {
                Ok(orphans) => looked.orphans.extend(orphans),
                // a key that refers to columns which are no key is the schema's own matter
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                    looked.unchecked.insert(table, refusal(&error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(looked)
    }

    /// The foreign keys of the schema, column by column. (SQLite: PRAGMA `foreign_key_list`.)
    ///
    /// # Errors
    /// SQLite's.
    pub fn references(&self) -> Result<Vec<Reference>> {
        let mut list = self.connection.prepare(
            "SELECT s.name, f.\"from\", f.\"table\", f.\"to\" \
             FROM main.sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f WHERE s.type = 'table'",
        )?;
        let reference = |row: &rusqlite::Row<'_>| {
            Ok(Reference { table: row.get(0)?, column: row.get(1)?, parent: row.get(2)?, to: row.get(3)? })
        };
        list.query_map([], reference)?.collect()
    }

    /// The rows of `table` that refer to no row.
    fn orphans(&self, table: &str) -> Result<Orphans> {
        let check = format!("PRAGMA main.foreign_key_check({})", quote(table));
        let mut check = self.connection.prepare(&check)?;
        let (mut rows, mut orphans) = (check.query([])?, Orphans::new());
        while let Some(row) = rows.next()? {
            *orphans.entry((row.get(0)?, row.get(2)?)).or_default() += 1;
        }
        Ok(orphans)
    }

    /// Leaves the file in the journal mode that `definition` says, and closes it.
    ///
    /// # Errors
    /// SQLite's.
    pub fn close(self, definition: &Definition) -> Result<()> {
        if definition.wal {
            self.connection.execute_batch("PRAGMA journal_mode = WAL")?;
        }
        self.connection.close().map_err(|(_, error)| error)
    }
}

fn fast(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -{CACHE}"
    ))?;
    Ok(connection)
}

impl Statement {
    /// It makes a virtual table.
    fn is_virtual(&self) -> bool {
        let mut words = self.sql.split_ascii_whitespace().skip(1);
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("virtual"))
    }
}

impl Statement {
    /// The module of this virtual table may keep its content in a table of that name: its own, `_` and a word.
    fn may_bring(&self, name: &str) -> bool {
        let start = name.get(..self.name.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.name));
        start && name[self.name.len()..].starts_with('_')
    }
}

/// Adds rows to one table.
pub struct Insert<'a> {
    connection: &'a Connection,
    statement: rusqlite::Statement<'a>,
    /// The statement up to its values.
    into: String,
    /// How a file in UTF-16 has each unit.
    units: Option<fn(u16) -> [u8; 2]>,
}

impl Insert<'_> {
    /// Adds a row; what SQLite has against it, in words without values.
    ///
    /// # Errors
    /// SQLite's, if the file cannot be written.
    pub fn row(&mut self, cells: &[Option<&Cell<'_>>]) -> Result<std::result::Result<(), String>> {
        let literal = |cell: &Option<&Cell<'_>>| cell.and_then(|cell| self.literal(cell));
        let added = if self.units.is_some() && cells.iter().any(|cell| literal(cell).is_some()) {
            let values = cells.iter().zip(1..);
            let values = values.map(|(cell, number)| literal(cell).unwrap_or_else(|| format!("?{number}")));
            let values: Vec<String> = values.collect();
            let sql = format!("{} VALUES ({})", self.into, values.join(", "));
            add(&mut self.connection.prepare(&sql)?, cells)
        } else {
            add(&mut self.statement, cells)
        };
        match added {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
                    Ok(Err(refusal(&error)))
                }
                _ => Err(error),
            },
        }
    }

    /// Text that ends with half a surrogate pair, for a file in UTF-16: SQLite, given it in UTF-8, would replace that
    /// half.
    fn literal(&self, cell: &Cell<'_>) -> Option<String> {
        let (Some(units), ValueRef::Text(text)) = (self.units, cell.value()) else { return None };
        let (start, end) = text.split_last_chunk::<3>()?;
        let [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf] = *end else { return None };
        let half = 0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f);
        let all = std::str::from_utf8(start).ok()?.encode_utf16().chain([half]);
        let hex: String = all.flat_map(units).map(|byte| format!("{byte:02x}")).collect();
        Some(format!("CAST(x'{hex}' AS TEXT)"))
    }
}

fn add(statement: &mut rusqlite::Statement<'_>, cells: &[Option<&Cell<'_>>]) -> Result<usize> {
    // a literal has no parameter, and may be the last
    let parameters = statement.parameter_count();
    for (cell, number) in cells.iter().zip(1..=parameters) {
        let value = cell.map_or(ValueRef::Null, Cell::value);
        statement.raw_bind_parameter(number, ToSqlOutput::Borrowed(value))?;
    }
    statement.raw_execute()
}

/// SQLite's own words for a constraint or a schema; they name it and no value.
pub(super) fn refusal(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(said)) => said.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
