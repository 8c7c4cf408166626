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
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use std::fmt;
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

/// The server holds no row of more in memory. (PostgreSQL: `memutils.h`, `MaxAllocSize`.)
const LARGEST_BYTES: usize = 0x3fff_ffff;

/// What is said of a row that is larger there.
pub(super) const TOO_LARGE: &str = "a misfit in a row whose form in outgrow_quarantine takes over 1 GB";

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

    /// Adds a row of `table`, whose value in `column` did not fit; false if it is larger than the server holds.
    pub(super) fn add(
        &mut self,
        table: &str,
        column: &str,
        reason: &str,
        names: &[&str],
        cells: &Cells<'_>,
    ) -> Result<bool, Error> {
        let tuple = tuple(self.version, table, column, reason, names, cells)?;
        if tuple.len() > LARGEST_BYTES {
            return Ok(false);
        }
        if self.tally.rows == 0 {
            self.spool.write_all(HEADER)?;
        }
        self.tally.add(&tuple);
        self.spool.write_all(&tuple)?;
        Ok(true)
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
    let place = cells.place().map_err(std::io::Error::other)?.to_string();
    let mut tuple = 6_i16.to_be_bytes().to_vec();
    field(&mut tuple, &version.to_be_bytes());
    for text in [table, &place, column, reason] {
        field(&mut tuple, text.as_bytes());
    }
    // a row may be large, so that its form is written where it is needed and nowhere else
    let start = tuple.len();
    field(&mut tuple, &[]);
    serde_json::to_writer(&mut tuple, &SourceRow { names, cells }).map_err(std::io::Error::other)?;
    let length = length(tuple.len() - start - 4);
    tuple[start..start + 4].copy_from_slice(&length);
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
        format!(" AND table_name = convert_from(decode('{}', 'hex'), 'UTF8')", Hex(name.as_bytes()))
    });
    format!(
        "SELECT {} FROM {TABLE} WHERE version = {version}{}",
        COLUMNS.join(", "),
        of_table.unwrap_or_default()
    )
}

fn field(tuple: &mut Vec<u8>, bytes: &[u8]) {
    tuple.extend_from_slice(&length(bytes.len()));
    tuple.extend_from_slice(bytes);
}

fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}

/// A row as an object, its columns in their order.
struct SourceRow<'a> {
    names: &'a [&'a str],
    cells: &'a Cells<'a>,
}

impl Serialize for SourceRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(Some(self.names.len()))?;
        for (index, name) in self.names.iter().enumerate() {
            row.serialize_entry(name, &Lossless(self.cells.value(index).map_err(S::Error::custom)?))?;
        }
        row.end()
    }
}

/// A value with its storage class: `null`, an integer as a number, and otherwise an object that names the class. Text that
/// PostgreSQL cannot hold, and a blob, are written in hexadecimal.
struct Lossless<'a>(ValueRef<'a>);

impl Serialize for Lossless<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (class, text) = match self.0 {
            ValueRef::Null => return serializer.serialize_unit(),
            ValueRef::Integer(number) => return serializer.serialize_i64(number),
            ValueRef::Real(real) => ("real", Form::Real(real)),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => ("text", Form::Text(text)),
                _ => ("text_hex", Form::Hex(bytes)),
            },
            ValueRef::Blob(bytes) => ("blob_hex", Form::Hex(bytes)),
        };
        let mut value = serializer.serialize_map(Some(1))?;
        value.serialize_entry(class, &text)?;
        value.end()
    }
}

/// How a value is written.
enum Form<'a> {
    Real(f64),
    Text(&'a str),
    Hex(&'a [u8]),
}

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Form::Real(real) => serializer.collect_str(&format_args!("{real:?}")),
            Form::Text(text) => serializer.serialize_str(text),
            Form::Hex(bytes) => serializer.collect_str(&Hex(bytes)),
        }
    }
}

/// Bytes in hexadecimal, some at a time.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for some in self.0.chunks(512) {
            let digits = |byte: &u8| [byte >> 4, byte & 15].map(|half| char::from(DIGITS[usize::from(half)]));
            f.write_str(&some.iter().flat_map(digits).collect::<String>())?;
        }
        Ok(())
    }
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
