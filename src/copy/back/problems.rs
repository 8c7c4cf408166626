//! What does not go back, by table, column and reason: counted all, the first rows named.

use crate::copy::misfits::NAMED_ROWS;
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
            let (more, plural) =
                (if count > rows.len() as u64 { ", …" } else { "" }, if count == 1 { "row" } else { "rows" });
            format!("{subject}: {reason}, in {count} {plural}: {}{more}", rows.join(", "))
        })
    }
}
