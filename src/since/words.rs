//! What has become of a source, in words: what was found, and what to do about it.

use super::Since;
use crate::copy::compare::{Changes, TableChanges};

/// One thing to say.
#[derive(Debug)]
pub struct Said {
    /// What was found.
    pub found: String,
    /// What to do, unless all is well.
    pub next: Option<String>,
}

impl Since {
    /// Everything that there is to say, with what to do.
    #[must_use]
    pub fn says(&self) -> Vec<Said> {
        let (label, source) = (&self.label, &self.source);
        if !self.missing_in_target.is_empty() {
            let how = if self.without_data { ", which was recorded without data," } else { "" };
            return vec![Said {
                found: format!(
                    "the tables of {label}{how} are empty in the target, and {source} has rows in {}",
                    self.missing_in_target.join(", ")
                ),
                next: Some(
                    "if the rows belong there, migrate into a new database with this source, or bring them by a data step \
                     under the next number; if not, name no source"
                        .to_owned(),
                ),
            }];
        }
        match (self.source_changed, &self.changes) {
            (None, _) => self.not_counted.iter().map(|why| self.untold(why)).collect(),
            (Some(false), _) => {
                vec![Said { found: format!("unchanged since {label} copied it"), next: None }]
            }
            (Some(true), Some(changes)) if changes.another_file => vec![Said {
                found: format!("{source} has none of the tables that {label} brought: it is another file"),
                next: Some("name the file that the rows came from, or none".to_owned()),
            }],
            (Some(true), Some(changes)) if changes.tables.is_empty() && changes.problems.is_empty() => {
                let found = format!(
                    "{source} has changed since {label} copied it, and has no new or changed row that the target lacks"
                );
                vec![Said { found, next: None }]
            }
            (Some(true), changes) => {
                let found = match changes {
                    Some(changes) => self.in_words(changes),
                    None => format!("{source} has changed since {label} copied it"),
                };
                // an error's own advice stands within the brackets
                let why = self.not_counted.as_ref().map(|why| why.replace("\n  next: ", "; "));
                let not_counted = why.map(|why| format!(" (not counted: {why})"));
                let count = if changes.is_some() { "" } else { "outgrow status counts the rows, " };
                let next = format!(
                    "what was written to it since is not in the target: stop what still writes to it; {count}outgrow verify \
                     --step {} names them; if the file is only kept, name no source",
                    self.version
                );
                vec![Said { found: found + &not_counted.unwrap_or_default(), next: Some(next) }]
            }
        }
    }

    /// That the time did not suffice to tell whether the source has changed.
    fn untold(&self, why: &str) -> Said {
        let (label, source) = (&self.label, &self.source);
        Said {
            found: format!(
                "whether {source} has changed since {label} copied it is not known (not counted: {why})"
            ),
            next: Some(format!(
                "outgrow verify --step {} compares it, however long that takes; if the file is only kept, name no source",
                self.version
            )),
        }
    }

    fn in_words(&self, changes: &Changes) -> String {
        let rows: u64 = changes.tables.iter().map(|table| table.new + table.changed).sum();
        let exact = changes.tables.iter().all(|table| table.exact || table.new + table.changed == 0);
        let up_to = if exact { "" } else { "up to " };
        let what = match rows {
            0 => "has changed".to_owned(),
            1 => format!("has {up_to}1 new or changed row"),
            _ => format!("has {up_to}{rows} new or changed rows"),
        };
        let parts = changes.tables.iter().map(in_table).chain(changes.problems.iter().cloned());
        let parts: Vec<String> = parts.collect();
        format!("{} {what} since {} copied it: {}", self.source, self.label, parts.join("; "))
    }
}

/// The counts of one table.
fn in_table(table: &TableChanges) -> String {
    let (most, least) = if table.exact { ("", "") } else { ("up to ", "at least ") };
    let counts = [
        (table.new, format!("{most}{} new", table.new)),
        (table.changed, format!("{most}{} changed", table.changed)),
        (table.deleted, format!("{least}{} deleted", table.deleted)),
    ];
    let counts = counts.into_iter().filter(|(rows, _)| *rows > 0).map(|(_, text)| text);
    let perhaps = table.not_compared.iter().map(|column| format!("perhaps {column}"));
    let parts: Vec<String> = counts.chain(perhaps).collect();
    format!("table {}, {}", table.table, parts.join(", "))
}
