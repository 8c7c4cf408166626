//! Sequences after a load: the next id is above the largest that was ever used, in the source or in the target. The
//! tables were empty, so that the ids are those that were read, of rows in the quarantine, too: they may come back.
//!
//! `ALTER SEQUENCE … RESTART` and not `setval`: it belongs to the transaction, so that a step that is rolled back
//! leaves its sequences where they were, and so does a `nextval` after it (PostgreSQL: ALTER SEQUENCE, Notes).

use super::columns::BoundTable;
use super::reader::Count;
use super::tuple;
use crate::error::Error;
use crate::value::Cell;
use rusqlite::types::ValueRef;
use std::fmt::Write;
use tokio::try_join;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

/// The ids in one column that a sequence numbers, as they were read.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    /// Position of the column among those of its table.
    column: usize,
    /// The smallest and the largest.
    ends: Option<(i64, i64)>,
    /// There are values that are no numbers, such as `A-7` where the default is `'A-' || nextval(…)`.
    other: bool,
}

impl Ids {
    /// For each column of `table` that a sequence numbers.
    pub(super) fn of(table: &BoundTable) -> Vec<Ids> {
        let numbered = table.columns.iter().enumerate().filter(|(_, bound)| bound.target.sequence.is_some());
        numbered.map(|(column, _)| Ids { column, ends: None, other: false }).collect()
    }

    /// Adds that of a `row` of `table`, which is a COPY-binary tuple.
    pub(super) fn add(&mut self, table: &BoundTable, row: &[u8]) {
        let Some(value) = tuple::cells(row).nth(self.column).and_then(tuple::value) else { return };
        let Some(id) = (table.columns[self.column].codec.decode)(value).and_then(number) else {
            self.other = true;
            return;
        };
        let (least, greatest) = self.ends.unwrap_or((id, id));
        self.ends = Some((least.min(id), greatest.max(id)));
    }
}

/// An id in a column of whatever type; none in text that is no number.
fn number(cell: Cell<'_>) -> Option<i64> {
    match cell.value() {
        ValueRef::Integer(id) => Some(id),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the next whole number is beyond it all the same"
        )]
        ValueRef::Real(id) => Some(id as i64),
        ValueRef::Text(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        ValueRef::Blob(_) | ValueRef::Null => None,
    }
}

/// A sequence and the ids of one column that it numbers.
struct Numbered<'a> {
    table: &'a str,
    /// The sequence's name, for statements.
    sequence: &'a str,
    /// None if there is no row.
    least: Option<i64>,
    /// The largest that was ever used.
    greatest: Option<i64>,
}

/// Advances the sequence of every column that has one. A sequence that is far enough is left alone.
pub(super) async fn advance(client: &Client, tables: &[BoundTable], counts: &[Count]) -> Result<(), Error> {
    let numbered: Vec<Numbered<'_>> =
        tables.iter().zip(counts).flat_map(|(table, count)| of_table(table, count)).collect();
    let mut names: Vec<&str> = numbered.iter().map(|numbered| numbered.sequence).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    warn_of_others(tables, counts);
    let doing = || Error::database("advancing the sequences");
    let states = names.iter().enumerate().map(|(at, name)| {
        format!(
            "SELECT {at}, CASE WHEN q.is_called THEN q.last_value + s.seqincrement ELSE q.last_value END, \
                    s.seqincrement, s.seqmin, s.seqmax, s.seqcycle \
             FROM {name} q, pg_catalog.pg_sequence s WHERE s.seqrelid = ($1::text[])[{}]::regclass",
            at + 1
        )
    });
    let query = states.collect::<Vec<_>>().join(" UNION ALL ");
    let rows = client.query_typed(&query, &[(&names, Type::TEXT_ARRAY)]).await.map_err(doing())?;
    let (mut restarts, mut restarted) = (String::new(), Vec::new());
    for row in &rows {
        let name = names[usize::try_from(row.get::<_, i32>(0)).unwrap_or_default()];
        // one sequence may number several tables
        let columns = numbered.iter().filter(|numbered| numbered.sequence == name);
        if let Some(last) = last_used(columns, row) {
            let _ = write!(restarts, "ALTER SEQUENCE {name} RESTART WITH {last};");
            restarted.push(name);
        }
    }
    if restarted.is_empty() {
        return Ok(());
    }
    // restarted at the last id and moved once: at the end of its range a sequence is used up, as it must be
    let used = "SELECT pg_catalog.nextval(sequence::regclass) FROM unnest($1::text[]) AS sequence";
    let names: [(&(dyn ToSql + Sync), Type); 1] = [(&restarted, Type::TEXT_ARRAY)];
    let moved = client.query_typed(used, &names);
    try_join!(client.batch_execute(&restarts), moved).map(drop).map_err(doing())
}

/// Names sequences that nothing in the database uses.
pub(super) fn warn_of_unused(names: &[String]) {
    if let [first, ..] = names {
        log::warn!(
            "sequences that no column uses stay at their start: {}; if ids are taken from them (by the application, a function, a \
             trigger), set them in a version after the step, such as SELECT setval('{}', (SELECT max(id) FROM …))",
            names.join(", "),
            first.replace('\'', "''")
        );
    }
}

/// Says where a sequence numbers values that are no numbers: what it gives next may be taken.
fn warn_of_others(tables: &[BoundTable], counts: &[Count]) {
    for (table, count) in tables.iter().zip(counts) {
        for ids in count.ids.iter().filter(|ids| ids.other) {
            let column = &table.columns[ids.column].target;
            log::warn!(
                "sequence {}: {}.{} holds values that are no numbers, and what it gives next may be taken; \
                 set it in a version (ALTER SEQUENCE … RESTART WITH …)",
                column.sequence.as_deref().unwrap_or_default(),
                table.target.name,
                column.name
            );
        }
    }
}

fn of_table<'a>(table: &'a BoundTable, count: &'a Count) -> impl Iterator<Item = Numbered<'a>> {
    count.ids.iter().filter_map(|ids| {
        let column = &table.columns[ids.column];
        // by rows that are gone
        let ever_used = table.source.autoincrement.filter(|_| column.source.is_rowid);
        Some(Numbered {
            table: &table.target.name,
            sequence: column.target.sequence.as_deref()?,
            least: ids.ends.map(|(least, _)| least),
            greatest: ids.ends.map(|(_, greatest)| greatest).max(ever_used),
        })
    })
}

/// The id at which to restart the sequence of `columns`, whose state is `row`; none if it is beyond them. One that
/// counts down goes on below the smallest id.
fn last_used<'a>(columns: impl Iterator<Item = &'a Numbered<'a>>, row: &Row) -> Option<i64> {
    let [next, step, min, max] = [1, 2, 3, 4].map(|at| row.get::<_, i64>(at));
    let ends = columns.filter_map(|column| {
        let end = if step > 0 { column.greatest } else { column.least };
        Some((end?, column))
    });
    // the complement turns the order round
    let (last, column) = ends.max_by_key(|(end, _)| if step > 0 { *end } else { !*end })?;
    let after = last.saturating_add(step);
    if !(min..=max).contains(&after) {
        let what = if row.get(5) { "begins again at ids that may be taken" } else { "has no next one" };
        log::warn!(
            "sequence {}: ids of {} reach {last}, it ends at {}, and {what}; \
             give it room in a version (ALTER SEQUENCE … MAXVALUE, a column of type bigint)",
            column.sequence,
            column.table,
            if step > 0 { max } else { min }
        );
    }
    let behind = if step > 0 { after > next } else { after < next };
    behind.then(|| last.clamp(min, max))
}
