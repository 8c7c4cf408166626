//! What errors are about, as data: one fault of a file, what the server said of a statement, values that do not fit.
//! Each shows itself as text, and the last is also part of JSON.

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// A number with what it counts: `1 row`, `2 rows`.
#[must_use]
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// One fault of a file, located as far as it is known. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder.
    pub file: PathBuf,
    /// Line and column.
    pub at: Option<(usize, usize)>,
    /// What was found, what was expected, what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// What PostgreSQL said of a statement in a migration file.
#[derive(Debug, Clone)]
pub struct SqlFailure {
    /// File, line, column and the server's message.
    pub problem: Problem,
    /// The line itself, where it can be shown.
    pub line: Option<String>,
    /// DETAIL, HINT and context, each on a line of its own.
    pub notes: Vec<String>,
}

impl fmt::Display for SqlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)?;
        if let (Some(text), Some((line, column))) = (&self.line, self.problem.at) {
            let (margin, (text, column)) = (format!("{line} | "), around(text, column));
            write!(f, "\n  {margin}{}", text.replace('\t', " "))?;
            write!(f, "\n  {:>1$}", '^', margin.len() + column)?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}

/// As many characters of a line are shown at most.
const SHOWN_CHARACTERS: usize = 160;

/// The part of a `line` that is shown, and where `column` is in it: a line may be a whole dump.
fn around(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().count();
    let column = column.min(length + 1);
    if length <= SHOWN_CHARACTERS {
        return (line.to_owned(), column);
    }
    let first = column.saturating_sub(SHOWN_CHARACTERS / 2).min(length - SHOWN_CHARACTERS);
    let before = if first > 0 { "…" } else { "" };
    let after = if first + SHOWN_CHARACTERS < length { "…" } else { "" };
    let shown: String = line.chars().skip(first).take(SHOWN_CHARACTERS).collect();
    (format!("{before}{shown}{after}"), column - first + usize::from(first > 0))
}

/// Values of one column that the target cannot hold, for one reason.
#[derive(Debug, Clone, Serialize)]
pub struct Misfits {
    /// The table in the source.
    pub table: String,
    /// The column in the source.
    pub column: String,
    /// What was found, without its content.
    pub found: &'static str,
    /// The target column's type.
    pub target_type: String,
    /// The target column is NOT NULL.
    pub not_null: bool,
    /// What such a column takes.
    pub expects: String,
    /// How many rows.
    pub count: u64,
    /// `rows` are rowids, and not numbers in the table's own order.
    pub by_rowid: bool,
    /// The first of them.
    pub rows: Vec<String>,
    /// Their values, under `--show-values`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What to write in the step, a few lines of TOML.
    pub advice: String,
    /// The next report is of the same column, and shows it.
    #[serde(skip)]
    pub advice_follows: bool,
}

impl fmt::Display for Misfits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rowid = if self.by_rowid { "rowid " } else { "" };
        let more = if self.count > self.rows.len() as u64 { ", …" } else { "" };
        let null = if self.not_null { ", NOT NULL" } else { "" };
        write!(
            f,
            "{}.{}: {} in {}, {rowid}{}{more}; ",
            self.table,
            self.column,
            self.found,
            counted(self.count, "row"),
            self.rows.join(", ")
        )?;
        if !self.values.is_empty() {
            write!(f, "values {}{more}; ", self.values.join(", "))?;
        }
        write!(f, "the target's column, {}{null}, takes {}", self.target_type, self.expects)?;
        if self.advice_follows {
            Ok(())
        } else {
            write!(f, "\n  rule: {}", self.advice.replace('\n', "\n        "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_column() {
        let failure = SqlFailure {
            problem: Problem { file: "V1__a.sql".into(), at: Some((7, 5)), message: "no".into() },
            line: Some("abc def".into()),
            notes: vec!["hint: x".into()],
        };
        assert_eq!(failure.to_string(), "V1__a.sql:7:5: no\n  7 | abc def\n          ^\n  hint: x");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_column_is_shown() {
        let line = format!("{}!{}", "a".repeat(99_999), "b".repeat(99_999));
        for (column, shown, at) in [(1, 'a', 1), (100_000, '!', 81), (199_999, 'b', 161)] {
            let (part, caret) = around(&line, column);
            assert_eq!((part.chars().nth(caret - 1), caret), (Some(shown), at));
            assert!(part.chars().count() <= SHOWN_CHARACTERS + 2);
        }
        assert_eq!(around("short", 9), ("short".to_owned(), 6));
    }
}
