//! What a step may say about one column where the target's type is not enough.

use super::Zone;
use rusqlite::types::ValueRef;

/// The rules of one column. The default is: none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// What the numbers in a column of dates and times count.
    pub read: Option<Read>,
    /// The zone whose clock a date and time without a zone shows.
    pub zone: Option<Zone>,
    /// Digits after the point that the target's column does not keep are rounded away.
    pub round: bool,
    /// What becomes of NUL characters in text: PostgreSQL has none.
    pub nul: Repair,
    /// What becomes of bytes in text that are not UTF-8.
    pub utf8: Repair,
}

/// How the cells of a temporal column are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Read {
    /// Text that says the date and the time.
    #[default]
    Text,
    /// Seconds since 1970-01-01 00:00 UTC.
    UnixSeconds,
    /// Milliseconds since then.
    UnixMillis,
    /// Microseconds since then.
    UnixMicros,
    /// Days since noon, 24 November 4714 BC, as `julianday()` of SQLite counts them: to the millisecond.
    Julian,
    /// Text of a date and time as far from 1970-01-01 00:00 as the interval is long, as SQLAlchemy writes one.
    Epoch,
    /// Text of a time of day behind the date 2000-01-01, as Rails writes one.
    Dated,
}

impl Read {
    /// Numbers are counted from a moment.
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Read::UnixSeconds | Read::UnixMillis | Read::UnixMicros | Read::Julian)
    }

    const NAMES: [(&'static str, Read); 7] = [
        ("text", Read::Text),
        ("unix_s", Read::UnixSeconds),
        ("unix_ms", Read::UnixMillis),
        ("unix_us", Read::UnixMicros),
        ("julian", Read::Julian),
        ("epoch", Read::Epoch),
        ("2000-01-01", Read::Dated),
    ];

    /// What a number counts that is a moment, by its size: one of the years 1973 to 2099 in one unit is none of them in
    /// another. Days are Julian ones from 1858 to 2405.
    #[must_use]
    pub fn by_size(value: ValueRef<'_>) -> Option<Read> {
        #[expect(clippy::cast_precision_loss, reason = "it is the size that counts")]
        let number = match value {
            ValueRef::Integer(number) => number as f64,
            ValueRef::Real(real) => real,
            _ => return None,
        };
        let units = [(1.0, Read::UnixSeconds), (1e3, Read::UnixMillis), (1e6, Read::UnixMicros)];
        let moment = units.iter().find(|(unit, _)| (1e8 * unit..4.1e9 * unit).contains(&number));
        let day = (2.4e6..2.6e6).contains(&number).then_some(Read::Julian);
        moment.map(|(_, read)| *read).or(day)
    }

    /// By its name in a step: `text`, `unix_s`, `unix_ms`, `unix_us`, `julian`, `epoch`,
    /// `2000-01-01`.
    ///
    /// # Errors
    /// In words: there is none of that name.
    pub fn parse(name: &str) -> Result<Read, String> {
        let found = Read::NAMES.iter().find(|(known, _)| *known == name).map(|(_, read)| *read);
        found.ok_or_else(|| {
            let known = Read::NAMES.map(|(name, _)| name).join(", ");
            format!("read = \"{name}\" is none of {known}")
        })
    }

    /// Its name in a step.
    #[must_use]
    pub fn name(self) -> &'static str {
        Read::NAMES.iter().find(|(_, read)| *read == self).map_or("", |(name, _)| name)
    }

    /// Microseconds in one of what is counted; `None` if nothing is, or Julian days.
    pub(super) fn micros(self) -> Option<i64> {
        match self {
            Read::UnixSeconds => Some(1_000_000),
            Read::UnixMillis => Some(1000),
            Read::UnixMicros => Some(1),
            Read::Text | Read::Julian | Read::Epoch | Read::Dated => None,
        }
    }
}

/// What becomes of characters that PostgreSQL cannot store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Repair {
    /// The value is a misfit.
    #[default]
    Fail,
    /// They are left out.
    Strip,
    /// U+FFFD stands for each.
    Replace,
}

impl Repair {
    /// What stands in the place of a character.
    pub(super) fn substitute(self) -> Option<&'static str> {
        match self {
            Repair::Fail => None,
            Repair::Strip => Some(""),
            Repair::Replace => Some("\u{fffd}"),
        }
    }
}
