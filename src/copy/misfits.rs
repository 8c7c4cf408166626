//! Values that the target cannot hold and no rule covers, by table, column and reason: counted all, the first rows
//! named, and what to write in the step.

use super::columns::{BoundTable, key};
use super::quarantine;
use crate::error::{Error, Misfits as Report};
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use crate::value::{Codec, Misfit, Read, rounded};
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;

/// How many rows are named for each misfit; all are counted.
pub(super) const NAMED_ROWS: usize = 5;

/// A rule that the reader has to finish.
const UNTOLD: &str = "\"unix_…\"";

/// The reason for text that is empty, whatever the type says of it.
const EMPTY: &str = "empty text";

/// If so many values are all that a column has, they are not exceptions.
const TYPICAL: u64 = 10;

const ANOTHER_TYPE: &str = "# no value of it fits: make the target's column text in a version before the step, and \
    ALTER … TYPE … USING … in one after it";

const DIGITS: &str = "# the digits of dates, which no rule reads: make the target's column text in a version before the step, and \
    ALTER … TYPE … USING to_timestamp(…, 'YYYYMMDDHH24MISS') in one after it";

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
    /// What the numbers among them count, by their size.
    counting: Vec<Read>,
    /// Each of them is an integer with the digits of a date.
    dates: bool,
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
        let misfit = if is_empty { Misfit(EMPTY) } else { misfit };
        self.count(table, index, misfit, place, value);
        if let Some(next) = behind(&table.columns[index].codec, misfit, value) {
            self.count(table, index, next, place, value);
        }
    }

    fn count(&mut self, table: &BoundTable, index: usize, misfit: Misfit, place: Place, value: ValueRef<'_>) {
        let column = &table.columns[index];
        let of_key = (table.source.name.clone(), column.source.name.clone(), misfit.0);
        let by_rowid = matches!(place, Place::Rowid(_));
        let group =
            || Group { report: report(table, index, misfit, by_rowid), counting: Vec::new(), dates: true };
        let Group { report, counting, dates } = self.groups.entry(of_key).or_insert_with(group);
        *dates &= has_digits_of_a_date(value);
        if let Some(read) = Read::by_size(value).filter(|read| !counting.contains(read)) {
            counting.push(read);
            report.advice = advice(table, index, misfit, counting);
        }
        report.count += 1;
        if report.rows.len() < NAMED_ROWS {
            report.rows.push(place.to_string());
            if self.show_values {
                report.values.push(shown(value));
            }
        }
    }

    /// Looks for columns of which no value fits: it is their type that is wrong, and no rule for single values helps.
    ///
    /// # Errors
    /// [`Error::Source`] if they cannot be counted.
    pub(super) fn weigh(&mut self, source: &Source, tables: &[BoundTable]) -> Result<(), Error> {
        for table in tables {
            let whole = self.without_fit(source, table)?;
            let of_table = self.groups.iter_mut().filter(|((name, ..), _)| *name == table.source.name);
            for ((_, column, reason), Group { report, dates, .. }) in of_table {
                let of_type = whole.contains(column) && *reason != "NULL";
                let line = |line| match str::split(line, ' ').next() {
                    Some("misfit") if of_type => ANOTHER_TYPE,
                    Some("read" | "misfit") if *dates => DIGITS,
                    _ => line,
                };
                let lines: Vec<&str> = report.advice.lines().map(line).collect();
                // a heading without a rule is none
                let headed = lines.iter().skip(1).any(|line| !line.starts_with('#'));
                report.advice = lines[usize::from(!headed)..].join("\n");
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
            let advice = together(of_column);
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

/// The advice of all `reports` of one column under its one heading, as TOML has it.
fn together(reports: &[Report]) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let rule = |line: &str| line.split(" = ").next().map(str::to_owned);
    for line in reports.iter().flat_map(|report| report.advice.lines()) {
        match lines.iter_mut().find(|known| rule(known) == rule(line)) {
            // one reason's numbers told what they count, and the other's did not
            Some(known) if known.contains(UNTOLD) => *known = line,
            Some(_) => {}
            None => lines.push(line),
        }
    }
    lines.join("\n")
}

/// A report without rows so far.
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
        advice: advice(table, index, misfit, &[]),
        advice_follows: false,
    }
}

/// `YYYYMMDD` or `YYYYMMDDHHMMSS`, of which a column that SQLite takes for one of numbers makes integers.
fn has_digits_of_a_date(value: ValueRef<'_>) -> bool {
    let ValueRef::Integer(number) = value else { return false };
    let date = match number {
        10_000_101..=99_991_231 => number,
        10_000_101_000_000..=99_991_231_235_959 => {
            let (hour, minute, second) = (number / 10_000 % 100, number / 100 % 100, number % 100);
            if hour > 23 || minute > 59 || second > 59 {
                return false;
            }
            number / 1_000_000
        }
        _ => return false,
    };
    (1..=12).contains(&(date / 100 % 100)) && (1..=31).contains(&(date % 100))
}

/// What to write in the step, or that only the source can be changed; `counting` is what the numbers count, by their
/// size.
fn advice(table: &BoundTable, index: usize, misfit: Misfit, counting: &[Read]) -> String {
    let column = &table.columns[index];
    let name = column.target.type_name.as_str();
    if let Some(line) = by_size(name, misfit, counting) {
        return self::rule(table, index, &line);
    }
    let temporal = name.starts_with("timestamp") || name.starts_with("date") || name.starts_with("time");
    let rule = match misfit.0 {
        "a time without a zone" => "zone = \"UTC\"  # the zone that such times are in",
        "a time with a zone" => "zone = \"UTC\"  # the zone to store them in",
        found if found.contains("after the second") => "round = true",
        "a number with digits beyond the microsecond" | "a Julian day between two milliseconds" => {
            "round = true"
        }
        "the date 2000-01-01 beside the time of day" => {
            "read = \"2000-01-01\"  # Rails writes it before each"
        }
        "a date and time instead of an interval" => "read = \"epoch\"  # SQLAlchemy counts from 1970-01-01",
        "an integer" | "a real" if name.starts_with("interval") => {
            "read = \"unix_…\"  # what the number counts: unix_s, unix_ms or unix_us"
        }
        "an integer" | "a real" if temporal => "read = \"unix_…\"  # unix_s, unix_ms, unix_us or julian",
        EMPTY if !column.target.not_null => "empty = \"null\"",
        found if found.contains("NUL character") => {
            "nul = \"strip\"  # or \"replace\"; what counts its bytes (serialized PHP) is read no more after either: bytea keeps them"
        }
        found if found.contains("UTF-8") => "utf8 = \"strip\"  # or \"replace\"",
        found if found == quarantine::TOO_LARGE => "misfit = \"null\"  # or skip = true",
        _ if column.codec.by_input => "skip = true",
        "NULL" => {
            "misfit = \"quarantine\"  # or to bring such rows: DROP NOT NULL in a version before the step, and in one after it \
             UPDATE and SET NOT NULL"
        }
        "a number with more digits after the point" => "round = true  # or misfit = \"quarantine\"",
        found if found.contains("digits than") => {
            "misfit = \"quarantine\"  # or to bring such rows: double precision or numeric, in a version before the step"
        }
        _ if column.target.not_null => "misfit = \"quarantine\"",
        _ => "misfit = \"null\"  # or \"quarantine\"",
    };
    self::rule(table, index, rule)
}

/// How numbers are to be read that the column, of the type `name`, does not take as they are.
fn by_size(name: &str, misfit: Misfit, counting: &[Read]) -> Option<String> {
    let &[read] = counting else { return None };
    let others = match misfit.0 {
        "an integer" | "a real" => "of unix_s, unix_ms, unix_us, julian",
        found if found.ends_with("beyond the years 1 to 9999") => "or misfit = \"null\"",
        _ => return None,
    };
    let moments = name.starts_with("timestamp") || name == "date";
    moments.then(|| format!("read = \"{}\"  # by the size of the numbers; {others}", read.name()))
}

/// `rule` as the step has it, ready to be pasted there.
pub(super) fn rule(table: &BoundTable, index: usize, rule: &str) -> String {
    let column = &table.columns[index];
    format!("[table.{}.column.{}]\n{rule}", key(&table.source.name), key(&column.source.name))
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
