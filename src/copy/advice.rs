//! What to write in the step where values of a column do not fit: in go the column, the reason and what the values
//! look like, out comes TOML that can be pasted, or what else to do as a comment of it.

use super::columns::{BoundColumn, BoundTable, key};
use super::quarantine;
use crate::error::Misfits as Report;
use crate::value::Read;
use rusqlite::types::ValueRef;
use tokio_postgres::types::Type;

/// A rule that the reader has to finish.
const UNTOLD: &str = "\"unix_…\"";

/// The reason for text that is empty, whatever the type says of it.
pub(super) const EMPTY: &str = "empty text";

/// What a timestamp says depends on who reads it.
const CLOCK: &str = "; with zone = \"…\" if the application reads timestamp by a clock that is not UTC (node-postgres does: TZ)";

const ANOTHER_TYPE: &str = "# no value of it fits: make the target's column text in a version before the step, and \
    ALTER … TYPE … USING … in one after it";

const DIGITS: &str = "# the digits of dates, which no rule reads: make the target's column text in a version before the step, and \
    ALTER … TYPE … USING to_timestamp(…, 'YYYYMMDDHH24MISS') in one after it";

/// What the values of one column and reason look like.
#[derive(Default)]
pub(super) struct Seen {
    /// What the numbers among them count, by their size.
    counting: Vec<Read>,
    /// One of them has not the digits of a date.
    other_than_dates: bool,
    /// The column has no value that fits.
    pub no_fit: bool,
}

impl Seen {
    /// Adds one.
    pub(super) fn add(&mut self, value: ValueRef<'_>) {
        self.other_than_dates |= !has_digits_of_a_date(value);
        let read = Read::by_size(value).filter(|read| !self.counting.contains(read));
        self.counting.extend(read);
    }
}

/// `YYYYMMDD` or `YYYYMMDDHHMMSS`: text, of which SQLite makes an integer where it takes the column for one of numbers.
fn has_digits_of_a_date(value: ValueRef<'_>) -> bool {
    let number = match value {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Text(text) if matches!(text.len(), 8 | 14) && text.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok())
        }
        _ => None,
    };
    let Some(number) = number else { return false };
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

/// What to write in the step, or that only the source can be changed.
pub(super) fn of(table: &BoundTable, index: usize, reason: &str, seen: &Seen) -> String {
    let column = &table.columns[index];
    let name = column.target.type_name.as_str();
    if let Some(line) = by_size(column, reason, &seen.counting) {
        return rule(table, index, &line);
    }
    let temporal = name.starts_with("timestamp") || name.starts_with("date") || name.starts_with("time");
    let line = match reason {
        "a time without a zone" => {
            "zone = \"UTC\"  # the zone that such times are in; above the step's headings it holds for every table"
        }
        "a time that the zone's clock shows twice" => {
            "misfit = \"null\"  # or \"quarantine\"; or to bring such rows: timestamptz, in a version before the step"
        }
        "a time of day beside the date" if column.read.is_some_and(Read::counts) => {
            "zone = \"…\"  # the one whose midnight it is: that of the application's clock, such as \"Europe/Madrid\"; or misfit = \"null\""
        }
        "text that is no JSON" if !column.target.not_null => {
            "misfit = \"null\"  # or \"quarantine\"; or to bring such rows: text, in a version before the step"
        }
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
            "read = \"unix_…\"  # what the number counts: unix_s, unix_ms or unix_us (Django counts microseconds)"
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
    // a comment needs no heading
    match line.split(' ').next() {
        Some("misfit") if seen.no_fit && reason != "NULL" => ANOTHER_TYPE.to_owned(),
        Some("read" | "misfit") if column.holds_moments() && !seen.other_than_dates => DIGITS.to_owned(),
        _ => rule(table, index, line),
    }
}

/// How numbers are to be read that the column does not take as they are.
fn by_size(column: &BoundColumn, reason: &str, counting: &[Read]) -> Option<String> {
    let &[read] = counting else { return None };
    let others = match reason {
        "an integer" | "a real" => "of unix_s, unix_ms, unix_us, julian",
        found if found == "a number out of range" || found.ends_with("beyond the years 1 to 9999") => {
            "or misfit = \"null\""
        }
        _ => return None,
    };
    let clock = match Type::from_oid(column.target.type_oid) {
        Some(Type::TIMESTAMP) if column.read.is_none() => CLOCK,
        _ => "",
    };
    column
        .holds_moments()
        .then(|| format!("read = \"{}\"  # by the size of the numbers; {others}{clock}", read.name()))
}

/// `rule` as the step has it, ready to be pasted there.
pub(super) fn rule(table: &BoundTable, index: usize, rule: &str) -> String {
    let column = &table.columns[index];
    format!("[table.{}.column.{}]\n{rule}", key(&table.source.name), key(&column.source.name))
}

/// The advice of all `reports` of one column under its one heading, as TOML has it.
pub(super) fn together(reports: &[Report]) -> String {
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
