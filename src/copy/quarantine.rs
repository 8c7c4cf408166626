//! Rows that a rule sends to `outgrow_quarantine` instead of their table: where they were, why, and the row itself in a
//! form that loses nothing.

use super::spool::Spool;
use super::tuple;
use crate::error::Error;
use crate::sqlite::scan::Cells;
use crate::value::Cell;
use barrel::{Migration, backend::Pg, types};
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

/// The table that holds the rows, beside refinery's history.
pub(super) const TABLE: &str = "outgrow_quarantine";

/// Its columns, as the catalog writes them.
pub(super) const DEFINED: &str =
    "version integer, table_name text, place text, column_name text, reason text, source_row json";

const COLUMNS: [&str; 6] = ["version", "table_name", "place", "column_name", "reason", "source_row"];

/// The rows of a step.
pub(super) struct Quarantine {
    version: i32,
    spool: Spool,
}

impl Quarantine {
    pub(super) fn new(version: i32) -> Quarantine {
        Quarantine { version, spool: Spool::new() }
    }

    /// Adds a row of `table`, whose value in `column` did not fit.
    pub(super) fn add(
        &mut self,
        table: &str,
        column: &str,
        reason: &str,
        names: &[&str],
        cells: &Cells<'_>,
    ) -> Result<(), Error> {
        self.spool.add(&tuple(self.version, table, column, reason, names, cells)?)
    }

    /// Stores the rows and reads them back.
    pub(super) async fn store(self, client: &Client) -> Result<(), Error> {
        let query = query(self.version, None);
        self.spool.store(client, "the quarantined rows", (TABLE, &COLUMNS), &definition(), &query).await
    }
}

/// A row of the quarantine as a COPY-binary tuple.
pub(super) fn tuple(
    version: i32,
    table: &str,
    column: &str,
    reason: &str,
    names: &[&str],
    cells: &Cells<'_>,
) -> Result<Vec<u8>, Error> {
    let mut row = Map::new();
    for (index, name) in names.iter().enumerate() {
        row.insert((*name).to_owned(), lossless(cells.value(index).map_err(std::io::Error::other)?));
    }
    let place = cells.place().map_err(std::io::Error::other)?.to_string();
    let row = Value::Object(row).to_string();
    let mut tuple = 6_i16.to_be_bytes().to_vec();
    tuple::append(&mut tuple, &version.to_be_bytes());
    for text in [table, &place, column, reason, &row] {
        tuple::append(&mut tuple, text.as_bytes());
    }
    Ok(tuple)
}

/// The columns of such a tuple, all of them text but the first.
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    COLUMNS.into_iter()
}

/// The query of the rows that the step `version` brought, of one table or of all.
pub(super) fn query(version: i32, table: Option<&str>) -> String {
    // COPY takes no parameters, and what a quoted string means is up to the session's settings
    let of_table = table.map(|name| {
        format!(" AND table_name = convert_from(decode('{}', 'hex'), 'UTF8')", hex(name.as_bytes()))
    });
    format!(
        "SELECT {} FROM {TABLE} WHERE version = {version}{}",
        COLUMNS.join(", "),
        of_table.unwrap_or_default()
    )
}

/// The query of the rows themselves, of one table.
pub(super) fn rows(version: i32, table: &str) -> String {
    format!("SELECT source_row::pg_catalog.text FROM ({}) AS quarantined", query(version, Some(table)))
}

/// A value with its storage class: `null`, an integer as a number, and otherwise an object that names the class. Text that
/// PostgreSQL cannot hold, and a blob, are written in hexadecimal.
pub(super) fn lossless(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(real) => json!({ "real": format!("{real:?}") }),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => json!({ "text": text }),
            _ => json!({ "text_hex": hex(bytes) }),
        },
        ValueRef::Blob(bytes) => json!({ "blob_hex": hex(bytes) }),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn definition() -> String {
    let mut migration = Migration::new();
    migration.create_table_if_not_exists(TABLE, |table| {
        table.add_column("version", types::integer().increments(false));
        for column in ["table_name", "place", "column_name", "reason"] {
            table.add_column(column, types::text());
        }
        table.add_column("source_row", types::custom("json"));
    });
    migration.make::<Pg>()
}

/// The value that [`lossless`] wrote, as SQLite had it; `None` if it is nothing of the kind.
pub(super) fn given_back(value: &Value) -> Option<Option<Cell<'static>>> {
    let bytes = |text: &str| {
        let pairs = text.as_bytes().as_chunks::<2>().0.iter();
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>()
    };
    let object = match value {
        Value::Null => return Some(None),
        Value::Number(number) => return number.as_i64().map(|number| Some(Cell::Integer(number))),
        other => other.as_object()?,
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let cell = match (text("real"), text("text"), text("text_hex"), text("blob_hex")) {
        (Some(real), ..) => Cell::Real(real.parse().ok()?),
        (_, Some(text), ..) => Cell::Text(text.as_bytes().to_vec().into()),
        (_, _, Some(hex), _) => Cell::Text(bytes(hex)?.into()),
        (.., Some(hex)) => Cell::Blob(bytes(hex)?.into()),
        _ => return None,
    };
    Some(Some(cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        for value in [
            ValueRef::Null,
            ValueRef::Integer(i64::MIN),
            ValueRef::Real(0.1),
            ValueRef::Real(-0.0),
            ValueRef::Real(f64::NEG_INFINITY),
            ValueRef::Real(5e-324),
            ValueRef::Text("ñ".as_bytes()),
            ValueRef::Text(b"a\0"),
            ValueRef::Text(b"\xff"),
            ValueRef::Blob(&[0, 255]),
        ] {
            let text = lossless(value).to_string();
            let back = given_back(&serde_json::from_str(&text).expect("JSON")).expect("a value");
            match (value, back) {
                (ValueRef::Null, None) => {}
                (value, Some(cell)) => assert!(cell.is(value), "{text}"),
                (_, None) => panic!("{text}"),
            }
        }
    }
}
