//! The rows that a check's last query returns, which are its counterexamples: all are counted, the first are named, and
//! a value is shown only if it cannot be a secret.

use crate::migration::sql;
use serde::Serialize;
use std::sync::Arc;
use tokio_postgres::types::Type;
use tokio_postgres::{SimpleColumn, SimpleQueryRow, Statement};

/// How many rows are named.
const NAMED: usize = 5;

/// Values are cut after so many characters.
const LONGEST: usize = 200;

/// Rows that should not be there.
#[derive(Debug, Serialize)]
pub struct Counterexamples {
    /// How many there are.
    pub count: u64,
    /// The first of them, as far as they are shown.
    pub first: Vec<Vec<Cell>>,
    /// Columns whose values are shown under `--show-values` alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

/// One value of a row.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// The column's name in the query.
    pub column: String,
    /// The value as PostgreSQL writes it; `None` is NULL.
    pub value: Option<String>,
}

/// The rows of one query, as they come.
#[derive(Default)]
pub(super) struct Rows {
    columns: Vec<String>,
    pub count: u64,
    first: Vec<Vec<Option<String>>>,
}

impl Rows {
    pub(super) fn of(columns: &Arc<[SimpleColumn]>) -> Rows {
        Rows { columns: columns.iter().map(|column| column.name().to_owned()).collect(), ..Rows::default() }
    }

    pub(super) fn push(&mut self, row: &SimpleQueryRow) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push((0..row.len()).map(|at| row.get(at).map(shortened)).collect());
        }
    }

    /// The first value of the first row.
    pub(super) fn single(&self) -> Option<&str> {
        self.first.first()?.first()?.as_deref()
    }

    /// The rows as a report may have them: `query` is what returned them, as the server described it, in the file
    /// `text`.
    pub(super) fn report(self, query: &Statement, text: &str, show_values: bool) -> Counterexamples {
        let key = |at: usize| {
            let column = query.columns().get(at);
            show_values || column.is_some_and(|column| names_a_row(column.name(), column.type_()))
        };
        let literals: Vec<String> =
            sql::literals(text).map(|literal| literal.trim_matches('\'').replace("''", "'")).collect();
        // what the file says itself is no secret: the reason, the name of a table
        let written = |value: &Option<String>| value.as_ref().is_none_or(|value| literals.contains(value));
        let shows = |row: &Vec<Option<String>>, at: usize| key(at) || row.get(at).is_some_and(written);
        let hidden = (0..self.columns.len()).filter(|at| self.first.iter().any(|row| !shows(row, *at)));
        let hidden: Vec<String> = hidden.filter_map(|at| self.columns.get(at).cloned()).collect();
        let cells = |row: &Vec<Option<String>>| {
            let columns = self.columns.iter().enumerate().filter(|(at, _)| shows(row, *at));
            let cell = |(at, column): (usize, &String)| Cell {
                column: column.clone(),
                value: row.get(at).cloned().flatten(),
            };
            columns.map(cell).collect()
        };
        Counterexamples { count: self.count, first: self.first.iter().map(cells).collect(), hidden }
    }
}

/// An integer or a UUID that is called `id` or `…_id`, or the name of a table, column or type from the catalog.
fn names_a_row(name: &str, kind: &Type) -> bool {
    if [Type::NAME, Type::REGCLASS, Type::REGTYPE].contains(kind) {
        return true;
    }
    let number = [Type::INT2, Type::INT4, Type::INT8, Type::OID, Type::UUID].contains(kind);
    number && (name == "id" || name.ends_with("_id"))
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_numbers_that_say_they_are_ids() {
        assert!(names_a_row("id", &Type::INT4) && names_a_row("user_id", &Type::UUID));
        assert!(!names_a_row("id", &Type::VARCHAR) && !names_a_row("pin", &Type::INT4));
        assert!(!names_a_row("paid", &Type::INT8));
        assert!(names_a_row("column", &Type::NAME));
    }
}
