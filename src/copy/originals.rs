//! Cells that do not come back by themselves. While a table is read, the [`Format`] of each column is found, and every
//! cell that the stored value, written in that format, would not give back to the last bit is kept: one row of
//! `outgrow_original` for each row that has such cells, found again by the hash of its key as it was sent. Texts that
//! the server itself reads and spells otherwise follow from the row's stage, each row of them by the hash of its key as
//! it is stored.

use super::columns::{BoundColumn, BoundTable};
use super::lossless::Lossless;
use super::spool::Spool;
use super::stage::Stage;
use super::tuple;
use crate::error::Error;
use crate::postgres::catalog;
use crate::sqlite::Source;
use crate::value::Format;
use barrel::{Migration, backend::Pg, types};
use rusqlite::types::{Value, ValueRef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use xxhash_rust::xxh3::xxh3_128;

/// The table that holds the cells, beside refinery's history.
pub(super) const TABLE: &str = "outgrow_original";

/// Its columns, as the catalog writes them.
pub(super) const DEFINED: &str = "version integer, table_name text, row_key bytea, cells json";

const COLUMNS: [&str; 4] = ["version", "table_name", "row_key", "cells"];

/// A format is found in so many rows from each end of the table at most.
const SAMPLE_ROWS: u64 = 100;

/// All of those rows are about as long as this at most. A longer cell tells no format: it would have to be held twice
/// more.
const SAMPLE_BYTES: usize = 1 << 20;

/// What the cells of a column are spelt in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFormat {
    /// Cells that are not NULL.
    #[serde(default)]
    pub format: Format,
    /// NULL is empty text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// No cell told it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
    /// The cells that told it had fractions of a second, all of them: they do not say how a whole one is written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fractions: bool,
}

/// What the receipt says of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spelling {
    /// By column of the target: those that are not in the usual format.
    pub formats: BTreeMap<String, ColumnFormat>,
    /// Rows with cells that were kept.
    pub originals: u64,
    /// The columns of the target whose values name such a row, in their order.
    pub key: Vec<String>,
}

/// The cells that a step keeps.
pub(super) struct Originals {
    version: i32,
    /// By table: the columns of its key.
    keys: HashMap<u32, Vec<String>>,
    spool: Spool,
}

impl Originals {
    /// For the step of this `version`, into tables with these `keys`.
    pub(super) fn new(version: i32, keys: HashMap<u32, Vec<String>>) -> Originals {
        Originals { version, keys, spool: Spool::new() }
    }

    /// Keeps the texts of `table` that the server spells otherwise, from its `stage`; returns how many rows have such.
    pub(super) async fn add_respelt(
        &mut self,
        client: &Client,
        table: &BoundTable,
        stage: &Stage,
    ) -> Result<u64, Error> {
        let key = Key::of(table, self.keys.get(&table.target.oid));
        let sent = table.target_columns().count();
        let (mut rows, mut added) = (0, Ok(()));
        let each = |row: &[u8]| {
            let cells: Vec<&[u8]> = tuple::cells(row).collect();
            let text = |at: usize| Some(String::from_utf8_lossy(tuple::value(cells.get(at)?)?).into_owned());
            let (mut kept, mut as_stored) = (Map::new(), cells.clone());
            for (at, (index, _)) in stage.by_input().enumerate() {
                as_stored[index] = cells.get(sent + at).copied().unwrap_or_default();
                if let (Some(text), Some(stored)) = (text(index), text(sent + at))
                    && text != stored
                {
                    let name = table.columns[index].source.name.clone();
                    kept.insert(name, json!({ "text": text, "stored": stored }));
                }
            }
            if added.is_ok() {
                rows += 1;
                added = self.add(table, key.hash(&as_stored), kept);
            }
        };
        stage.respelt(client, each).await?;
        added.map(|()| rows)
    }

    fn add(
        &mut self,
        table: &BoundTable,
        key: u128,
        cells: Map<String, serde_json::Value>,
    ) -> Result<(), Error> {
        let mut tuple = 4_i16.to_be_bytes().to_vec();
        tuple::append(&mut tuple, &self.version.to_be_bytes());
        tuple::append(&mut tuple, table.source.name.as_bytes());
        tuple::append(&mut tuple, &key.to_be_bytes());
        tuple::append(&mut tuple, serde_json::Value::Object(cells).to_string().as_bytes());
        self.spool.add(&tuple)
    }

    /// Stores them and reads them back.
    pub(super) async fn store(self, client: &Client) -> Result<(), Error> {
        let what = "the cells that do not come back by themselves";
        let query = query(self.version);
        self.spool.store(client, what, (TABLE, &COLUMNS), &definition(), &query).await
    }
}

/// The query of what the step `version` kept.
pub(super) fn query(version: i32) -> String {
    format!("SELECT {} FROM {TABLE} WHERE version = {version}", COLUMNS.join(", "))
}

/// Which columns name a row.
pub(super) struct Key(Vec<(usize, bool)>);

impl Key {
    /// Of rows with these columns: those of `key` if all are there, otherwise all.
    pub(super) fn of(table: &BoundTable, key: Option<&Vec<String>>) -> Key {
        let own = table.columns.iter().map(|column| &column.target);
        let columns: Vec<_> = own.chain(table.constants.iter().map(|constant| &constant.target)).collect();
        let part = |index: usize| {
            let of_type = Type::from_oid(columns[index].type_oid);
            (index, matches!(of_type, Some(Type::INT2 | Type::INT4 | Type::INT8)))
        };
        let at = |name: &String| columns.iter().position(|column| column.name == *name);
        let named = key.and_then(|key| key.iter().map(|name| at(name).map(part)).collect::<Option<Vec<_>>>());
        Key(named.filter(|key| !key.is_empty()).unwrap_or_else(|| (0..columns.len()).map(part).collect()))
    }

    fn names(&self, table: &BoundTable) -> Vec<String> {
        let columns: Vec<&str> = table.target_columns().collect();
        self.0.iter().map(|(index, _)| columns[*index].to_owned()).collect()
    }

    /// The hash of a row's key, of its `cells`: of a column that the server reads, the text. An integer counts as one
    /// of eight bytes, so that a column may be made wider.
    pub(super) fn hash(&self, cells: &[&[u8]]) -> u128 {
        let mut key = Vec::new();
        for (index, integer) in &self.0 {
            let cell = cells.get(*index).copied().unwrap_or_default();
            match tuple::value(cell) {
                Some(value) if *integer => {
                    let sign = if value.first().is_some_and(|first| first >> 7 == 1) { 0xff } else { 0 };
                    key.extend_from_slice(&8_i32.to_be_bytes());
                    key.extend(std::iter::repeat_n(sign, 8_usize.saturating_sub(value.len())));
                    key.extend_from_slice(value);
                }
                _ => key.extend_from_slice(cell),
            }
        }
        xxh3_128(&key)
    }
}

/// What is known of the format of a column.
#[derive(Default)]
struct Known {
    format: Option<Format>,
    empty: bool,
    fractions: bool,
}

/// The reading of one table: its formats, and the cells of the row under way that are to be kept.
pub(super) struct Keeping {
    known: Vec<Known>,
    key: Key,
    cells: Map<String, serde_json::Value>,
    rows: u64,
}

impl Keeping {
    /// Finds the formats of `table`, whose cells are read in the order of `columns`.
    pub(super) fn new(
        source: &Source,
        table: &BoundTable,
        columns: &[&str],
        originals: &Originals,
    ) -> Keeping {
        let mut samples: Vec<Vec<(Vec<u8>, Value)>> = vec![Vec::new(); table.columns.len()];
        let (mut nulls, mut empties, mut bytes) = (vec![0_u32; samples.len()], vec![0_u32; samples.len()], 0);
        let sampled = source.sample(&table.source, columns, SAMPLE_ROWS, |cells| {
            for (index, column) in table.columns.iter().enumerate() {
                match cells.value(index).map_err(std::io::Error::other)? {
                    ValueRef::Null => nulls[index] += 1,
                    ValueRef::Text(b"") if column.empty_is_null => empties[index] += 1,
                    ValueRef::Text(long) | ValueRef::Blob(long) if long.len() > SAMPLE_BYTES => {}
                    value => {
                        if let Some(sample) = Format::sample(&column.codec, value) {
                            bytes += sample.0.len();
                            samples[index].push(sample);
                        }
                    }
                }
            }
            Ok(bytes < SAMPLE_BYTES)
        });
        if let Err(error) = sampled {
            // whatever cannot be read, the scan says so
            log::debug!("table {}: {error}", table.source.name);
        }
        let found = table.columns.iter().zip(&samples).zip(nulls.iter().zip(empties));
        let known = found.map(|((column, sample), (nulls, empties))| Known {
            format: Format::of(&column.codec, sample),
            empty: empties > *nulls,
            fractions: !sample.is_empty()
                && sample.iter().all(|(field, cell)| has_fraction(column, field, cell)),
        });
        let known = known.collect();
        let key = Key::of(table, originals.keys.get(&table.target.oid));
        Keeping { known, key, cells: Map::new(), rows: 0 }
    }

    /// By column: the way back gives every cell that the codec calls exact.
    pub(super) fn usual(&self) -> Vec<bool> {
        self.known.iter().map(|known| known.format == Some(Format::Usual) && !known.empty).collect()
    }

    /// Looks at the cell of the `column` at `index`, which was sent as `field`, with its length. Returns whether from
    /// now on only those need a look that the codec does not call exact.
    pub(super) fn cell(
        &mut self,
        index: usize,
        column: &BoundColumn,
        field: &[u8],
        value: ValueRef<'_>,
    ) -> bool {
        let known = &mut self.known[index];
        let comes_back = match tuple::value(field) {
            None if known.empty => value == ValueRef::Text(b""),
            None => value == ValueRef::Null,
            Some(stored) => {
                if known.format.is_none() && stored.len() <= SAMPLE_BYTES {
                    let cell = Format::sample(&column.codec, value);
                    let format = cell.and_then(|cell| Format::of(&column.codec, &[cell]));
                    known.format = Some(format.unwrap_or_default());
                }
                let format = known.format.as_ref().unwrap_or(&Format::Usual);
                let usual = (column.codec.decode)(stored);
                usual.is_some_and(|usual| format.gives(stored, &usual, value))
            }
        };
        if !comes_back {
            self.cells.insert(column.source.name.clone(), json!(Lossless(value)));
        }
        known.format == Some(Format::Usual) && !known.empty
    }

    /// The row under way ends: what it has to keep is kept, unless it is not sent.
    pub(super) fn end_row(
        &mut self,
        table: &BoundTable,
        sent: Option<&[u8]>,
        originals: &mut Originals,
    ) -> Result<(), Error> {
        if self.cells.is_empty() {
            return Ok(());
        }
        let cells = std::mem::take(&mut self.cells);
        let Some(row) = sent else { return Ok(()) };
        self.rows += 1;
        let key = self.key.hash(&tuple::cells(row).collect::<Vec<_>>());
        originals.add(table, key, cells)
    }

    /// What the receipt says.
    pub(super) fn spelling(self, table: &BoundTable) -> Spelling {
        let columns = table.columns.iter().zip(self.known);
        let formats = columns.map(|(column, known)| {
            let untold = known.format.is_none() && is_spelt_in_many_ways(&column.target);
            let format = known.format.unwrap_or_default();
            let fractions = known.fractions && format.has_six_digits();
            (column.target.name.clone(), ColumnFormat { format, empty: known.empty, untold, fractions })
        });
        Spelling {
            formats: formats.filter(|(_, format)| *format != ColumnFormat::default()).collect(),
            originals: self.rows,
            key: self.key.names(table),
        }
    }
}

/// Whether the cell is text of a time with a fraction of a second; `field` is its binary form, which begins with
/// microseconds.
fn has_fraction(column: &BoundColumn, field: &[u8], cell: &Value) -> bool {
    let of_type = Type::from_oid(column.target.type_oid);
    let is_time = matches!(of_type, Some(Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME));
    let micros = field.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes));
    is_time && matches!(cell, Value::Text(_)) && micros.is_some_and(|micros| micros % 1_000_000 != 0)
}

/// Whether applications differ in how they write such a column, so that others of its kind tell more than a type does.
pub(super) fn is_spelt_in_many_ways(column: &catalog::Column) -> bool {
    let of_type = Type::from_oid(column.type_oid);
    matches!(
        of_type,
        Some(Type::UUID | Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME | Type::INTERVAL)
    )
}

fn definition() -> String {
    let mut migration = Migration::new();
    migration.create_table_if_not_exists(TABLE, |table| {
        table.add_column("version", types::integer().increments(false));
        table.add_column("table_name", types::text());
        table.add_column("row_key", types::custom("bytea"));
        table.add_column("cells", types::custom("json"));
    });
    migration.make::<Pg>()
}
