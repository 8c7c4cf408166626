//! What an SQLite file says of its tables. Declared types are kept for messages only: a column may hold any storage
//! class whatever it declares. (SQLite: PRAGMA `table_list`, `table_xinfo`; Rowid Tables.)

use rusqlite::{Connection, Result};

/// A table that holds rows of its own.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name, as stored.
    pub name: String,
    /// The ordinary columns, in order; generated ones are computed again by the target.
    pub columns: Vec<Column>,
    /// What to call the rowid in a query; `None` in a WITHOUT ROWID table, or if columns have taken all its names.
    pub rowid: Option<&'static str>,
    /// The largest rowid ever used, where AUTOINCREMENT keeps it (`sqlite_sequence`).
    pub autoincrement: Option<i64>,
    /// It is SQLite's own or a virtual table's, not the application's.
    pub internal: bool,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name, as stored.
    pub name: String,
    /// It is an alias of the rowid (INTEGER PRIMARY KEY), so `sqlite_sequence` counts it.
    pub is_rowid: bool,
}

/// All tables of the main database.
pub(super) fn read(connection: &Connection) -> Result<Vec<Table>> {
    let mut list = connection.prepare(
        "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND type <> 'view' ORDER BY name",
    )?;
    let tables = list.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
    })?;
    tables
        .map(|table| {
            let (name, kind, without_rowid) = table?;
            let columns = columns(connection, &name, without_rowid)?;
            let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|alias| {
                !without_rowid && !columns.iter().any(|column| column.name.eq_ignore_ascii_case(alias))
            });
            Ok(Table {
                rowid,
                autoincrement: autoincrement(connection, &name)?,
                internal: kind != "table" || name.starts_with("sqlite_"),
                columns,
                name,
            })
        })
        .collect()
}

fn columns(connection: &Connection, table: &str, without_rowid: bool) -> Result<Vec<Column>> {
    let mut list = connection.prepare(
        "SELECT name, upper(type) = 'INTEGER' AND pk = 1 AND (SELECT max(pk) FROM pragma_table_xinfo(?1)) = 1, hidden \
         FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?;
    let rows = list.query_map([table], |row| {
        let column = Column { name: row.get(0)?, is_rowid: row.get::<_, bool>(1)? && !without_rowid };
        Ok((column, row.get::<_, i64>(2)?))
    })?;
    // hidden: 0 ordinary, 1 of a virtual table, 2 and 3 generated
    let ordinary = rows.filter_map(|row| match row {
        Ok((column, 0)) => Some(Ok(column)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    ordinary.collect()
}

fn autoincrement(connection: &Connection, table: &str) -> Result<Option<i64>> {
    let kept: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence')",
        [],
        |row| row.get(0),
    )?;
    if !kept {
        return Ok(None);
    }
    // the table is writable by anyone: what is not an integer counts as nothing, and twice the same name as the larger
    connection.query_row(
        "SELECT max(seq) FROM sqlite_sequence WHERE name = ?1 AND typeof(seq) = 'integer'",
        [table],
        |row| row.get(0),
    )
}
