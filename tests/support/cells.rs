//! An SQLite file, cell by cell: storage classes and bytes.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::path::Path;

fn open(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("an SQLite file")
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(real) => format!("real {real:?}"),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) if !text.contains('\0') => format!("'{text}'"),
            _ => format!("text {}", text.escape_ascii()),
        },
        ValueRef::Blob(bytes) => format!("blob {}", bytes.escape_ascii()),
    }
}

fn rows(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(query).expect(query);
    let columns = statement.column_count();
    let mut rows = statement.query([]).expect(query);
    let mut found = Vec::new();
    while let Some(row) = rows.next().expect(query) {
        let cells: Vec<String> =
            (0..columns).map(|index| cell(row.get_ref(index).expect("a cell"))).collect();
        found.push(cells.join(" | "));
    }
    found
}

/// What `query` gives, a line for each row.
pub fn query(file: &Path, query: &str) -> Vec<String> {
    rows(&open(file), query)
}

/// Everything in the file: its schema, then each row of each table, in an order of its own.
pub fn everything(file: &Path) -> Vec<String> {
    let connection = open(file);
    let mut lines = rows(
        &connection,
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name, type",
    );
    for setting in ["user_version", "application_id", "encoding", "page_size", "auto_vacuum"] {
        lines.extend(
            rows(&connection, &format!("PRAGMA {setting}"))
                .into_iter()
                .map(|value| format!("{setting} {value}")),
        );
    }
    let mut names = connection
        .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND name <> 'sqlite_schema' ORDER BY name")
        .expect("the list");
    let names: Vec<String> =
        names.query_map([], |row| row.get(0)).expect("the list").collect::<Result<_, _>>().expect("names");
    for name in names {
        let mut found = rows(&connection, &format!("SELECT * FROM \"{}\"", name.replace('"', "\"\"")));
        found.sort();
        lines.extend(found.into_iter().map(|row| format!("{name}: {row}")));
    }
    lines
}

/// The two files hold the same.
#[track_caller]
pub fn assert_same(one: &Path, other: &Path) {
    let (mut lacks, mut has) = (everything(one), everything(other));
    let mut times: HashMap<String, usize> = HashMap::new();
    has.iter().for_each(|line| *times.entry(line.clone()).or_default() += 1);
    lacks.retain(|line| match times.get_mut(line) {
        Some(left @ 1..) => {
            *left -= 1;
            false
        }
        _ => true,
    });
    has.retain(|line| times.get(line).is_some_and(|left| *left > 0));
    assert_eq!(has, lacks, "what only one of the files has, left the second");
}
