//! Rows that a rule sends to `outgrow_quarantine` instead of their table: where they were, why, and the row itself in a
//! form that loses nothing. They wait in memory, and beyond a megabyte in an unlinked temporary file, until the COPY
//! under way has ended.

use super::proof::{self, Tally};
use super::reader::{HEADER, TRAILER};
use crate::error::Error;
use crate::sqlite::scan::Cells;
use barrel::{Migration, backend::Pg, types};
use bytes::Bytes;
use futures_util::SinkExt;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};
use std::io::{Read, Seek, Write};
use std::pin::pin;
use tempfile::SpooledTempFile;
use tokio_postgres::Client;

/// The table that holds the rows, beside refinery's history.
pub(super) const TABLE: &str = "outgrow_quarantine";

/// Its columns, as the catalog writes them.
pub(super) const DEFINED: &str =
    "version integer, table_name text, place text, column_name text, reason text, source_row json";

const COLUMNS: [&str; 6] = ["version", "table_name", "place", "column_name", "reason", "source_row"];

/// More than this waits on disk instead of in memory.
const IN_MEMORY_BYTES: usize = 1 << 20;

/// The rows of a step, as a COPY in binary format.
pub(super) struct Quarantine {
    version: i32,
    spool: SpooledTempFile,
    tally: Tally,
}

impl Quarantine {
    pub(super) fn new(version: i32) -> Quarantine {
        Quarantine { version, spool: SpooledTempFile::new(IN_MEMORY_BYTES), tally: Tally::default() }
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
        let tuple = tuple(self.version, table, column, reason, names, cells)?;
        if self.tally.rows == 0 {
            self.spool.write_all(HEADER)?;
        }
        self.tally.add(&tuple);
        self.spool.write_all(&tuple)?;
        Ok(())
    }

    /// Stores the rows and reads them back.
    pub(super) async fn store(mut self, client: &Client) -> Result<(), Error> {
        if self.tally.rows == 0 {
            return Ok(());
        }
        let doing = || Error::database("storing the quarantined rows");
        client.batch_execute(&definition()).await.map_err(doing())?;
        let columns = COLUMNS.join(", ");
        let statement = format!("COPY {TABLE} ({columns}) FROM STDIN (FORMAT binary)");
        let mut sink = pin!(client.copy_in(statement.as_str()).await.map_err(doing())?);
        self.spool.write_all(&TRAILER)?;
        self.spool.rewind()?;
        let mut chunk = vec![0; 1 << 16];
        loop {
            match self.spool.read(&mut chunk)? {
                0 => break,
                read => sink.send(Bytes::copy_from_slice(&chunk[..read])).await.map_err(doing())?,
            }
        }
        sink.finish().await.map_err(doing())?;
        let mut stored = Tally::default();
        proof::rows(client, TABLE, &query(self.version, None), |row| stored.add(row)).await?;
        if stored == self.tally {
            Ok(())
        } else {
            Err(Error::Proof(vec![format!("table {TABLE}: not what was sent")]))
        }
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
    field(&mut tuple, &version.to_be_bytes());
    for text in [table, &place, column, reason, &row] {
        field(&mut tuple, text.as_bytes());
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

fn field(tuple: &mut Vec<u8>, bytes: &[u8]) {
    // SQLite's values end below 1 GB; a row of several that does not is refused by the server
    tuple.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
    tuple.extend_from_slice(bytes);
}

/// A value with its storage class: `null`, an integer as a number, and otherwise an object that names the class. Text that
/// PostgreSQL cannot hold, and a blob, are written in hexadecimal.
fn lossless(value: ValueRef<'_>) -> Value {
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

fn hex(bytes: &[u8]) -> String {
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
