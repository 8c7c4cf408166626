//! What a comparison found: the structs that `outgrow verify` prints. Rows are named by integer and UUID keys and by
//! rowids; no other content of a cell is kept unless it was asked for.

use super::shape::KeyPart;
use crate::copy::proof::Tally;
use crate::error::counted;
use crate::sqlite::scan::Place;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// How many rows are named of each kind of difference; all are counted.
pub(super) const NAMED_ROWS: usize = 5;

/// What comes first: by place in the source, by key, and, where neither may be told, always the same.
pub(super) type Rank = (i128, Vec<KeyPart>, u128);

/// One table of a step, source against target.
#[derive(Debug, Default, Serialize)]
pub struct TableVerdict {
    /// The table's name, in the target if it is there.
    pub table: String,
    /// These are rows that the step put into the quarantine instead of this table; `table` is then the quarantine.
    pub quarantined_from: Option<String>,
    /// A later step loads the table again, and it is compared there.
    pub loaded_again: Option<String>,
    /// Nothing differs.
    pub equal: bool,
    /// The source has the table.
    pub in_source: bool,
    /// The target has the table.
    pub in_target: bool,
    /// Rows in the source.
    pub source_rows: u64,
    /// Rows in the target.
    pub target_rows: u64,
    /// Rows that are the same on both sides.
    pub equal_rows: u64,
    /// Rows of the source that the target does not have.
    pub missing: Rows,
    /// Rows of the target that the source does not have.
    pub added: Rows,
    /// Rows with the same primary key and other cells.
    pub changed: Rows,
    /// By column: the changed rows in which it differs; in JSON how many.
    #[serde(serialize_with = "counts")]
    pub columns: BTreeMap<String, Rows>,
    /// Rows added to tables that inherit from it, where the application sees them as rows of this one: by their names.
    pub inherited: BTreeMap<String, u64>,
    /// Cells of the source that the target's column cannot hold (any more).
    pub misfits: Vec<Unfit>,
    /// Columns that cannot be compared, and why.
    pub problems: Vec<String>,
    /// Columns that are not compared, and why: both sides compute them, or only the server can read the source's text,
    /// for which it needs a temporary table, and none can be made.
    pub not_compared: Vec<String>,
    /// The rows were compared as wholes, because the target's table has no primary key among the columns compared.
    pub keyless: bool,
    /// How long it took.
    pub seconds: f64,
    /// The target's rows, as the server sent them.
    #[serde(skip)]
    pub(super) stored: Tally,
}

/// Rows of one kind: all of them counted, the first named.
#[derive(Debug, Default, Serialize)]
pub struct Rows {
    /// How many.
    pub count: u64,
    /// The first of them, in the source's order, or by key.
    pub first: Vec<Row>,
}

/// One row that differs.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// By column of the target's primary key: an integer or a UUID; `None` where it is content and not shown.
    pub key: BTreeMap<String, Option<String>>,
    /// Its rowid in the source.
    pub rowid: Option<i64>,
    /// Its number in the source's own order, from 1, if the table has no rowid.
    pub row_number: Option<u64>,
    /// The columns that differ, if it is changed.
    pub columns: Vec<String>,
    /// With `--show-values`: its key's values, and those that differ; all values of a row that has no key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    #[serde(skip)]
    pub(super) hash: u128,
    #[serde(skip)]
    pub(super) rank: Rank,
}

/// A cell on both sides.
#[derive(Debug, Clone, Serialize)]
pub struct Value {
    /// The target's column.
    pub column: String,
    /// As an SQLite literal, shortened.
    pub source: Option<String>,
    /// As PostgreSQL writes it, shortened.
    pub target: Option<String>,
}

/// Source cells of one column that do not fit, for one reason.
#[derive(Debug, Clone, Serialize)]
pub struct Unfit {
    /// The target's column.
    pub column: String,
    /// What was found.
    pub found: &'static str,
    /// What the column takes.
    pub expects: String,
    /// In how many rows.
    pub rows: u64,
    /// Where: the first of them, by rowid or number.
    pub first: Vec<String>,
}

fn counts<S: Serializer>(columns: &BTreeMap<String, Rows>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(columns.iter().map(|(column, rows)| (column, rows.count)))
}

impl Rows {
    /// Counts `rows` equal ones, and names them if they are among the first.
    pub(super) fn add(&mut self, rows: u64, row: impl FnOnce() -> Row, rank: &Rank) {
        self.count += rows;
        let at = self.first.partition_point(|known| known.rank <= *rank);
        if at < NAMED_ROWS {
            let named = usize::try_from(rows).unwrap_or(usize::MAX).min(NAMED_ROWS);
            self.first.splice(at..at, std::iter::repeat_n(row(), named));
            self.first.truncate(NAMED_ROWS);
        }
    }
}

impl Rows {
    /// How many, and the first by rowid or key, with the columns that differ.
    pub(super) fn named(&self) -> String {
        let row = |row: &Row| {
            let key =
                row.key.iter().filter_map(|(column, text)| Some(format!("{column} {}", text.as_ref()?)));
            let place = match (row.rowid, row.row_number) {
                (Some(rowid), _) => format!("rowid {rowid}"),
                (_, Some(number)) => format!("row number {number}"),
                _ => key.collect::<Vec<_>>().join(", "),
            };
            if row.columns.is_empty() { place } else { format!("{place} ({})", row.columns.join(", ")) }
        };
        let first: Vec<String> = self.first.iter().map(row).filter(|place| !place.is_empty()).collect();
        let more = if self.count > first.len() as u64 { ", …" } else { "" };
        let rows = counted(self.count, "row");
        if first.is_empty() { rows } else { format!("{rows}, {}{more}", first.join(", ")) }
    }
}

impl Row {
    /// The place in the source takes the first rank; a row without one is ranked by its key.
    pub(super) fn rank(place: Option<Place>, key: &[KeyPart], hash: u128) -> Rank {
        match place {
            Some(Place::Rowid(rowid)) => (rowid.into(), Vec::new(), hash),
            Some(Place::Ordinal(number)) => (number.into(), Vec::new(), hash),
            None => (0, key.to_vec(), hash),
        }
    }
}

impl TableVerdict {
    /// A table that the step `again` loads, and is compared with it.
    pub(super) fn loaded_again(table: &str, again: Option<String>) -> TableVerdict {
        TableVerdict { table: table.to_owned(), loaded_again: again, equal: true, ..TableVerdict::default() }
    }

    /// Fills in what follows from the rest. `equal` so far says that the rows are.
    pub(super) fn close(mut self) -> TableVerdict {
        self.equal_rows = self.source_rows.saturating_sub(self.missing.count + self.changed.count);
        self.equal &= self.misfits.is_empty() && self.problems.is_empty() && self.inherited.is_empty();
        self
    }
}
