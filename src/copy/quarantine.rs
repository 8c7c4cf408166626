//! Rows that a rule sends to `outgrow_quarantine` instead of their table: where they were, why, and the row itself in a
//! form that loses nothing.

use super::lossless::{Hex, Lossless};
use super::proof::Tally;
use super::spool::Spool;
use super::tuple;
use crate::error::Error;
use crate::sqlite::scan::Cells;
use barrel::{Migration, backend::Pg, types};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use tokio_postgres::Client;

/// The table that holds the rows, beside refinery's history.
pub(super) const TABLE: &str = "outgrow_quarantine";

/// Its columns, as the catalog writes them.
pub(super) const DEFINED: &str =
    "version integer, table_name text, place text, column_name text, reason text, source_row json";

const COLUMNS: [&str; 6] = ["version", "table_name", "place", "column_name", "reason", "source_row"];

/// The server holds no row of more in memory. (PostgreSQL: `memutils.h`, `MaxAllocSize`.)
const LARGEST_BYTES: usize = 0x3fff_ffff;

/// What is said of a row that is larger there.
pub(super) const TOO_LARGE: &str = "a misfit in a row whose form in outgrow_quarantine takes over 1 GB";

/// The rows of a step.
pub(super) struct Quarantine {
    version: i32,
    spool: Spool,
}

impl Quarantine {
    pub(super) fn new(version: i32) -> Quarantine {
        Quarantine { version, spool: Spool::new() }
    }

    /// Adds a row of `table`, whose value in `column` did not fit, and to `tally`; false if it is larger than the
    /// server holds.
    pub(super) fn add(
        &mut self,
        table: &str,
        column: &str,
        reason: &str,
        names: &[&str],
        cells: &Cells<'_>,
        tally: &mut Tally,
    ) -> Result<bool, Error> {
        let tuple = tuple(self.version, table, column, reason, names, cells)?;
        if tuple.len() > LARGEST_BYTES {
            return Ok(false);
        }
        self.spool.add(&tuple)?;
        tally.add(&tuple);
        Ok(true)
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
    let place = cells.place().to_string();
    let mut tuple = 6_i16.to_be_bytes().to_vec();
    tuple::append(&mut tuple, &version.to_be_bytes());
    for text in [table, &place, column, reason] {
        tuple::append(&mut tuple, text.as_bytes());
    }
    // a row may be large, so that its form is written where it is needed and nowhere else
    let start = tuple.len();
    tuple::append(&mut tuple, &[]);
    serde_json::to_writer(&mut tuple, &SourceRow { names, cells }).map_err(std::io::Error::other)?;
    let length = tuple::length(tuple.len() - start - 4);
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

/// The query of the rows themselves, of one table.
pub(super) fn rows(version: i32, table: &str) -> String {
    format!("SELECT source_row::pg_catalog.text FROM ({}) AS quarantined", query(version, Some(table)))
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
