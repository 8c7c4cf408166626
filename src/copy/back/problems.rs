//! What does not go back, by table, column and reason: counted all, the first rows named.

use crate::copy::compare::{Row, Rows, TableVerdict};
use crate::copy::misfits::NAMED_ROWS;
use crate::error::counted;
use crate::sqlite::schema;
use std::collections::BTreeMap;

/// All problems so far.
#[derive(Default)]
pub(super) struct Problems(BTreeMap<(String, String), (u64, Vec<String>)>);

impl Problems {
    /// Adds one: `subject` is a table, or a table with its column. `row` names the row if it may be named.
    pub(super) fn add(&mut self, subject: &str, reason: &str, row: impl FnOnce() -> String) {
        let (count, rows) = self.0.entry((subject.to_owned(), reason.to_owned())).or_default();
        *count += 1;
        if rows.len() < NAMED_ROWS {
            rows.push(row());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line for each subject and reason.
    pub(super) fn lines(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|((subject, reason), (count, rows))| {
            format!("{subject}: {reason}, {}", in_rows(count, &rows))
        })
    }
}

fn in_rows(count: u64, named: &[String]) -> String {
    let more = if count > named.len() as u64 { ", …" } else { "" };
    let names = if named.is_empty() { String::new() } else { format!(": {}{more}", named.join(", ")) };
    format!("in {}{names}", counted(count, "row"))
}

/// What became of a table's cells in the file, a line for each of its `columns`: the target's name and the file's
/// column.
pub(super) fn altered(verdict: &TableVerdict, columns: &[(String, schema::Column)]) -> Vec<String> {
    let table = &verdict.table;
    let by_column = verdict.columns.iter().map(|(name, rows)| {
        let column = columns.iter().find(|(target, _)| target == name).map(|(_, column)| column);
        let (why, next) = match column {
            Some(column) if column.generated => (
                "another value than the file computes for its column".to_owned(),
                "set the target's column to what the expression of the source's gives",
            ),
            column => (
                format!(
                    "a value of which the file's column, declared {}, would make another (SQLite: Type Affinity)",
                    column.map(|column| column.declared.as_str()).filter(|it| !it.is_empty()).unwrap_or("without a type")
                ),
                "write to the target what such a column keeps",
            ),
        };
        format!("{table}.{name}: {why}, {}; {next}", found_in(rows))
    });
    let mut lines: Vec<String> = by_column.collect();
    let others = if verdict.added.count > 0 { &verdict.added } else { &verdict.missing };
    if others.count > 0 {
        let what = if verdict.keyless {
            "a cell (which, is not told without a primary key)"
        } else {
            "a cell of the key"
        };
        lines.push(format!(
            "{table}: {what}, of which the type that the file's column declares would make another value (SQLite: Type Affinity), {}",
            found_in(others)
        ));
    }
    lines
}

/// The rows by their keys; by their numbers in the file where these are not shown.
fn found_in(rows: &Rows) -> String {
    let name = |row: &Row| {
        let parts: Option<Vec<String>> =
            row.key.iter().map(|(column, text)| Some(format!("{column} {}", text.as_ref()?))).collect();
        let number =
            row.rowid.map(|rowid| rowid.to_string()).or(row.row_number.map(|number| number.to_string()));
        match parts {
            Some(parts) if !parts.is_empty() => Some(parts.join(", ")),
            _ => number.map(|number| format!("row number {number}")),
        }
    };
    let named: Vec<String> = rows.first.iter().filter_map(name).collect();
    in_rows(rows.count, &named)
}
