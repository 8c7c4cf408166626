//! What an SQLite file says of its tables. Declared types are kept for messages only: a column may hold any storage
//! class whatever it declares. (SQLite: PRAGMA `table_list`, `table_xinfo`; Rowid Tables.)

use super::bookkeeping;
use super::snapshot::in_words;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};
use std::collections::BTreeMap;

/// What the main database has.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub tables: Vec<Table>,
    pub views: Vec<String>,
}

/// A table that holds rows of its own.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name, as stored.
    pub name: String,
    /// The columns, in order, without those that a virtual table hides.
    pub columns: Vec<Column>,
    /// What to call the rowid in a query; `None` in a WITHOUT ROWID table, or if columns have taken all its names.
    pub rowid: Option<&'static str>,
    /// The columns of the primary key of a WITHOUT ROWID table, in its order: the table's own order.
    pub key: Vec<String>,
    /// The largest rowid ever used, where AUTOINCREMENT keeps it (`sqlite_sequence`).
    pub autoincrement: Option<i64>,
    /// Whose it is.
    pub kind: Kind,
    /// Why no row of it can be brought, and what to do.
    pub unreadable: Option<String>,
}

/// Whose a table is. (SQLite: PRAGMA `table_list`; The Virtual Table Mechanism, "The xShadowName Method".)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The application's.
    Ordinary,
    /// The application's, kept by a module of SQLite, such as FTS5.
    Virtual,
    /// Where the module of a virtual table keeps its content.
    Shadow,
    /// SQLite's own: `sqlite_sequence`, `sqlite_stat1`, …
    Internal,
}

impl Table {
    /// It keeps books for SQLite, for a virtual table or for another tool: left behind unless a step names it.
    #[must_use]
    pub fn is_bookkeeping(&self) -> bool {
        matches!(self.kind, Kind::Shadow | Kind::Internal) || bookkeeping::is_known(&self.name)
    }

    /// It keeps books for another tool, by its name, or may do so: a step that leaves it behind takes it for such.
    #[must_use]
    pub fn may_keep_books(&self) -> bool {
        self.kind == Kind::Ordinary
            && (bookkeeping::is_known(&self.name) || bookkeeping::is_perhaps(&self.name))
    }

    /// Nothing is lost with it: the schema is written anew, and what `sqlite_sequence` counts goes on in sequences.
    #[must_use]
    pub fn is_carried_otherwise(&self) -> bool {
        ["sqlite_schema", "sqlite_sequence"].iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name, as stored.
    pub name: String,
    /// It is an alias of the rowid (INTEGER PRIMARY KEY), so `sqlite_sequence` counts it.
    pub is_rowid: bool,
    /// It is computed from others: nothing is lost where the target has no such column, or computes it again.
    pub generated: bool,
    /// The type that it declares, which says nothing of what it holds, but may change what is written to it.
    pub declared: String,
    /// A row cannot be written without a value for it: NOT NULL, no default, nothing that SQLite gives by itself.
    pub required: bool,
}

impl Column {
    /// SQLite makes text of every number that is written to it. (SQLite: Datatypes, "Determination Of Column
    /// Affinity".)
    #[must_use]
    pub fn has_text_affinity(&self) -> bool {
        let declared = self.declared.to_ascii_uppercase();
        let says = |word: &&str| declared.contains(*word);
        !says(&"INT") && ["CHAR", "CLOB", "TEXT"].iter().any(says)
    }
}

/// All tables and views.
pub(super) fn read(connection: &Connection) -> Result<Schema> {
    // what the list itself does not check is the text of a damaged schema
    let mut list = connection.prepare(
        "SELECT l.name, l.type, l.wr, s.sql FROM pragma_table_list AS l \
         LEFT JOIN sqlite_schema AS s ON s.name = l.name AND s.type IN ('table', 'view') \
         WHERE l.schema = 'main' ORDER BY l.name",
    )?;
    let mut rows = list.query([])?;
    let (mut schema, used) = (Schema::default(), used(connection)?);
    while let Some(row) = rows.next()? {
        let (name, is_text) = text(row.get_ref(0)?);
        let (kind, _) = text(row.get_ref(1)?);
        let (sql, _) = text(row.get_ref(3)?);
        let kind = match kind.as_str() {
            "view" => {
                schema.views.push(name);
                continue;
            }
            "virtual" => Kind::Virtual,
            "shadow" => Kind::Shadow,
            _ if name.starts_with("sqlite_") => Kind::Internal,
            _ => Kind::Ordinary,
        };
        schema.tables.push(table(connection, name, is_text, kind, row.get(2)?, &sql, &used));
    }
    Ok(schema)
}

/// The text of a name, and whether it is UTF-8: SQLite does not check.
fn text(value: ValueRef<'_>) -> (String, bool) {
    let bytes = value.as_bytes_or_null().ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let is_text = matches!(text, std::borrow::Cow::Borrowed(_));
    (text.into_owned(), is_text)
}

fn table(
    connection: &Connection,
    name: String,
    is_text: bool,
    kind: Kind,
    without_rowid: bool,
    sql: &str,
    used: &BTreeMap<String, i64>,
) -> Table {
    let mut table = Table {
        columns: Vec::new(),
        rowid: None,
        key: Vec::new(),
        autoincrement: used.get(&name).copied(),
        kind,
        unreadable: None,
        name,
    };
    if !is_text {
        table.unreadable =
            Some("its name is not UTF-8 (shown with �); rename it with ALTER TABLE in a copy".into());
        return table;
    }
    if kind == Kind::Virtual && is_contentless(sql) {
        table.unreadable = Some(
            "it is a full-text index without content of its own (content=''): list it under skip, \
             and index the text again in the target"
                .into(),
        );
        return table;
    }
    match details(connection, &table.name, without_rowid) {
        Ok((columns, key)) => {
            table.rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|alias| {
                !without_rowid && !columns.iter().any(|column| column.name.eq_ignore_ascii_case(alias))
            });
            (table.columns, table.key) = (columns, key);
        }
        Err(error) if kind == Kind::Virtual => {
            table.unreadable = Some(format!(
                "it is a virtual table, and what keeps it is not part of this program ({error}): list it under skip, \
                 or copy its rows into an ordinary table first"
            ));
        }
        Err(rusqlite::Error::Utf8Error(..)) => {
            table.unreadable =
                Some("a column's name is not UTF-8; rename it with ALTER TABLE in a copy".into());
        }
        Err(error) => table.unreadable = Some(in_words(&error)),
    }
    table
}

/// FTS3, FTS4 and FTS5 take `content=''` for an index over text that is kept nowhere. (SQLite: FTS5, "Contentless
/// Tables".)
pub(super) fn is_contentless(sql: &str) -> bool {
    let packed: String = sql.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    ["content=''", "content=\"\""].iter().any(|option| packed.contains(option))
}

type Details = (Vec<Column>, Vec<String>);

fn details(connection: &Connection, table: &str, without_rowid: bool) -> Result<Details> {
    let columns = columns(connection, table)?;
    let key = if without_rowid { key(connection, table)? } else { Vec::new() };
    Ok((columns, key))
}

fn key(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut list = connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY pk")?;
    list.query_map([table], |row| row.get(0))?.collect()
}

/// A key with an index of its own is no alias of the rowid: one of several columns, of a table without a rowid, and
/// `INTEGER PRIMARY KEY DESC`. (SQLite: CREATE TABLE, "ROWIDs and the INTEGER PRIMARY KEY".)
fn columns(connection: &Connection, table: &str) -> Result<Vec<Column>> {
    let mut list = connection.prepare(
        "SELECT name, upper(type) = 'INTEGER' AND pk = 1 \
             AND NOT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk'), hidden, type, \
             \"notnull\" AND dflt_value IS NULL \
         FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?;
    let rows = list.query_map([table], |row| {
        // 0 ordinary, 1 hidden in a virtual table, 2 and 3 generated
        let hidden: i64 = row.get(2)?;
        let (is_rowid, generated) = (row.get(1)?, hidden > 1);
        let column = Column {
            name: row.get(0)?,
            is_rowid,
            generated,
            declared: row.get(3)?,
            required: row.get::<_, bool>(4)? && !is_rowid && !generated,
        };
        Ok((hidden != 1).then_some(column))
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// The largest rowid ever used, by table. What keeps them has no index, and so is read once and not for each table.
fn used(connection: &Connection) -> Result<BTreeMap<String, i64>> {
    let kept: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence')",
        [],
        |row| row.get(0),
    )?;
    if !kept {
        return Ok(BTreeMap::new());
    }
    // the table is writable by anyone: what is not an integer counts as nothing, and twice the same name as the larger
    let mut list = connection.prepare(
        "SELECT name, max(seq) FROM sqlite_sequence WHERE typeof(name) = 'text' AND typeof(seq) = 'integer' GROUP BY name",
    )?;
    list.query_map([], |row| Ok((text(row.get_ref(0)?).0, row.get(1)?)))?.collect()
}
