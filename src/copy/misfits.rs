//! Values that the target cannot hold and no rule covers, by table, column and reason: counted all, the first rows
//! named, with what to write in the step ([`advice`]).

use super::advice::{self, Seen};
use super::columns::BoundTable;
use super::quarantine;
use crate::error::{Error, Misfits as Report};
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use crate::value::{Codec, Misfit, rounded};
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;

/// How many rows are named for each misfit; all are counted.
pub(super) const NAMED_ROWS: usize = 5;

/// If so many values are all that a column has, they are not exceptions.
const TYPICAL: u64 = 10;

/// A shown value is cut after this many characters.
const SHOWN_CHARACTERS: usize = 60;

/// All misfits so far.
#[derive(Default)]
pub(super) struct Misfits {
    groups: BTreeMap<(String, String, &'static str), Group>,
    show_values: bool,
}

/// Those of one column for one reason.
struct Group {
    report: Report,
    /// The column's position in its table.
    index: usize,
    seen: Seen,
}

impl Misfits {
    pub(super) fn new(show_values: bool) -> Misfits {
        Misfits { groups: BTreeMap::new(), show_values }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds one value of the column at `index`, with all that speaks against it.
    pub(super) fn add(
        &mut self,
        table: &BoundTable,
        index: usize,
        misfit: Misfit,
        place: Place,
        value: ValueRef<'_>,
    ) {
        let is_empty = value == ValueRef::Text(b"") && misfit.0 != quarantine::TOO_LARGE;
        let misfit = if is_empty { Misfit(advice::EMPTY) } else { misfit };
        self.count(table, index, misfit, place, value);
        if let Some(next) = behind(&table.columns[index].codec, misfit, value) {
            self.count(table, index, next, place, value);
        }
    }

    fn count(&mut self, table: &BoundTable, index: usize, misfit: Misfit, place: Place, value: ValueRef<'_>) {
        let column = &table.columns[index];
        let of_key = (table.source.name.clone(), column.source.name.clone(), misfit.0);
        let by_rowid = matches!(place, Place::Rowid(_));
        let group = || Group { report: report(table, index, misfit, by_rowid), index, seen: Seen::default() };
        let Group { report, seen, .. } = self.groups.entry(of_key).or_insert_with(group);
        seen.add(value);
        report.count += 1;
        if report.rows.len() < NAMED_ROWS {
            report.rows.push(place.to_string());
            if self.show_values {
                report.values.push(shown(value));
            }
        }
    }

    /// Advises what to do, once all is read: where no value of a column fits it is the type that is wrong, and no rule for
    /// single values helps.
    ///
    /// # Errors
    /// [`Error::Source`] if a column's values cannot be counted.
    pub(super) fn advise(&mut self, source: &Source, tables: &[BoundTable]) -> Result<(), Error> {
        for table in tables {
            let whole = self.without_fit(source, table)?;
            let of_table = self.groups.iter_mut().filter(|((name, ..), _)| *name == table.source.name);
            for ((_, column, _), Group { report, index, seen }) in of_table {
                seen.no_fit = whole.contains(column);
                report.advice = advice::of(table, *index, report.found, seen);
            }
        }
        Ok(())
    }

    /// The columns of `table` with many values of which none fits.
    fn without_fit(&self, source: &Source, table: &BoundTable) -> Result<Vec<String>, Error> {
        let mut misfits: BTreeMap<&str, u64> = BTreeMap::new();
        for ((name, column, reason), group) in &self.groups {
            if *name == table.source.name && *reason != "NULL" {
                *misfits.entry(column).or_default() += group.report.count;
            }
        }
        misfits.retain(|_, count| *count >= TYPICAL);
        let columns: Vec<&str> = misfits.keys().copied().collect();
        let counts = source.count_values(&table.source, &columns)?;
        let whole = misfits.into_iter().zip(counts).filter(|((_, misfits), values)| misfits >= values);
        Ok(whole.map(|((column, _), _)| column.to_owned()).collect())
    }

    /// A report for each table, column and reason; those of one column follow each other, and have one advice.
    pub(super) fn into_reports(self) -> Vec<Report> {
        let mut reports: Vec<Report> = self.groups.into_values().map(|group| group.report).collect();
        for of_column in
            reports.chunk_by_mut(|one, next| one.table == next.table && one.column == next.column)
        {
            let advice = advice::together(of_column);
            let last = of_column.len() - 1;
            for (at, report) in of_column.iter_mut().enumerate() {
                report.advice.clone_from(&advice);
                report.advice_follows = at < last;
            }
        }
        reports
    }
}

/// What speaks against a time that has too many digits once it is rounded: its zone, or that it has none.
fn behind(codec: &Codec, misfit: Misfit, value: ValueRef<'_>) -> Option<Misfit> {
    let ValueRef::Text(text) = value else { return None };
    let text = rounded(text, 0).filter(|_| misfit.0.contains("after the second"))?;
    (codec.encode)(&ValueRef::Text(&text), &mut Vec::new()).err()
}

/// A report without rows and advice so far.
pub(super) fn report(table: &BoundTable, index: usize, misfit: Misfit, by_rowid: bool) -> Report {
    let column = &table.columns[index];
    Report {
        table: table.source.name.clone(),
        column: column.source.name.clone(),
        found: misfit.0,
        target_type: column.target.type_name.clone(),
        not_null: column.target.not_null,
        expects: column.codec.expects.clone(),
        count: 0,
        by_rowid,
        rows: Vec::new(),
        values: Vec::new(),
        advice: String::new(),
        advice_follows: false,
    }
}

/// A value for `--show-values`.
pub(super) fn shown(value: ValueRef<'_>) -> String {
    let text = match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(real) => format!("{real:?}"),
        ValueRef::Text(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    };
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
