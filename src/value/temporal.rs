//! Dates and times. SQLite has no such types: what an application stores is text, or a number that a rule says how to
//! read, and PostgreSQL counts days or microseconds from 2000-01-01 (Date/Time Types; `date_recv`, `timestamp_recv`,
//! `time_recv`, `timetz_recv`).

use super::moment::{self, DAY, Moment, SECOND};
use super::numeric::{scaled, unscaled};
use super::spelling;
use super::zone::UNIX_TO_2000;
use super::{Cell, Codec, Fit, Misfit, Read, Rules, Spelt, Zone, array, only_text};
use rusqlite::types::ValueRef;

/// `date`: `YYYY-MM-DD`, or a date and time at midnight.
#[must_use]
pub fn date(rules: &Rules) -> Codec {
    let reading = Reading::new(-1, rules);
    let expects = match reading.read {
        Read::Text => "a date, YYYY-MM-DD".to_owned(),
        _ => format!("{}, at midnight", reading.number_in_words()),
    };
    let beside = Misfit("a time of day beside the date");
    let back = reading.clone();
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let days = if reading.read == Read::Text {
            let moment = Moment::parse(only_text(value)?)?;
            if moment.clock.unwrap_or(0) != 0 || moment.offset.is_some() {
                return Err(beside);
            }
            moment.days
        } else {
            let (wall, _) = reading.wall(value)?;
            if wall.rem_euclid(DAY) != 0 {
                return Err(beside);
            }
            i32::try_from(wall / DAY).map_err(|_| beside)?
        };
        out.extend_from_slice(&days.to_be_bytes());
        Ok(())
    };
    Codec::new(expects, encode, move |bytes| {
        let days: i64 = i32::from_be_bytes(array(bytes)?).into();
        if back.read == Read::Text {
            let mut out = Spelt::new();
            spelling::spell_date(days, &mut out)?;
            return Some(Cell::Spelt(out));
        }
        back.wall_cell(days.checked_mul(DAY)?)
    })
}

/// `timestamp`, with the digits after the second that the type modifier allows. A zone in the text is a misfit, unless
/// a rule names the zone whose clock the column shows.
#[must_use]
pub fn timestamp(modifier: i32, rules: &Rules) -> Codec {
    let reading = Reading::new(modifier, rules);
    let expects = match (reading.read, &reading.zone) {
        (Read::Text, None) => "a date and time without a zone, YYYY-MM-DD HH:MM:SS.ffffff".to_owned(),
        (Read::Text, Some(_)) => "a date and time, YYYY-MM-DD HH:MM:SS.ffffff".to_owned(),
        _ => reading.number_in_words(),
    };
    let back = reading.clone();
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        if let Some(micros) = reading.spelt(value, b"") {
            out.extend_from_slice(&micros.to_be_bytes());
            return Ok(Some(Fit::Exact));
        }
        let (micros, changed) = reading.wall(value)?;
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(changed.then_some(Fit::Repaired))
    };
    Codec::knowing(expects, encode, move |bytes| back.wall_cell(i64::from_be_bytes(array(bytes)?)))
}

/// `timestamptz`: text that says its offset, or text of the clock of the zone that a rule names. Without either it
/// would be a guess.
#[must_use]
pub fn timestamptz(modifier: i32, rules: &Rules) -> Codec {
    let reading = Reading::new(modifier, rules);
    let expects = match (reading.read, &reading.zone) {
        (Read::Text, None) => "a date and time with its zone, YYYY-MM-DD HH:MM:SS.ffffff+00:00".to_owned(),
        (Read::Text, Some(_)) => "a date and time, YYYY-MM-DD HH:MM:SS.ffffff".to_owned(),
        _ => reading.number_in_words(),
    };
    let back = reading.clone();
    let utc = reading.zone.is_none();
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        if utc && let Some(micros) = reading.spelt(value, b"+00:00") {
            out.extend_from_slice(&micros.to_be_bytes());
            return Ok(Some(Fit::Exact));
        }
        let (micros, changed) = reading.instant(value)?;
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(changed.then_some(Fit::Repaired))
    };
    Codec::knowing(expects, encode, move |bytes| back.instant_cell(i64::from_be_bytes(array(bytes)?)))
}

/// `time`: `HH:MM[:SS[.f]]`, which a rule may expect behind a date, or a number that a rule reads as a moment of
/// 1970-01-01.
#[must_use]
pub fn time(modifier: i32, rules: &Rules) -> Codec {
    let reading = Reading::new(modifier, rules);
    if reading.read == Read::Dated {
        return dated(reading);
    }
    let expects = match reading.read {
        Read::Text => "a time of day, HH:MM:SS.ffffff".to_owned(),
        _ => format!("{}, within a day", reading.number_in_words()),
    };
    let back = reading.clone();
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let (micros, changed) = if reading.is_spelt(value) {
            reading.clock(only_text(value)?)?
        } else {
            let (instant, changed) = reading.number(value)?;
            (instant + UNIX_TO_2000 * SECOND, changed)
        };
        out.extend_from_slice(&within_a_day(micros)?.to_be_bytes());
        Ok(changed)
    };
    Codec::changing(expects, encode, move |bytes| {
        let micros = within_a_day(i64::from_be_bytes(array(bytes)?)).ok()?;
        if back.read != Read::Text {
            return back.number_cell(micros - UNIX_TO_2000 * SECOND);
        }
        let mut out = Spelt::new();
        spelling::spell_clock(micros, &mut out);
        Some(Cell::Spelt(out))
    })
}

/// `time` behind the date that Rails puts before it. (ActiveRecord: `Type::Time`.)
fn dated(reading: Reading) -> Codec {
    let expects = "a time of day behind the date 2000-01-01, or without one";
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let text = only_text(value)?;
        let time = text.strip_prefix(moment::RAILS_DATE).and_then(|rest| rest.strip_prefix(b" "));
        let (micros, changed) = reading.clock(time.unwrap_or(text))?;
        out.extend_from_slice(&within_a_day(micros)?.to_be_bytes());
        Ok(changed)
    };
    Codec::changing(expects, encode, |bytes| {
        let mut out = Spelt::from_slice(moment::RAILS_DATE);
        out.push(b' ');
        spelling::spell_clock(within_a_day(i64::from_be_bytes(array(bytes)?)).ok()?, &mut out);
        Some(Cell::Spelt(out))
    })
}

/// The server also has a 24:00:00, which no application means.
fn within_a_day(micros: i64) -> Result<i64, Misfit> {
    if (0..DAY).contains(&micros) { Ok(micros) } else { Err(Misfit("a time beyond the day")) }
}

/// `timetz`: `HH:MM[:SS[.f]]` and its offset.
#[must_use]
pub fn timetz(modifier: i32, rules: &Rules) -> Codec {
    let round = rules.round;
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let (nanos, offset) = moment::time_of_day(only_text(value)?)?;
        let offset = offset.ok_or(Misfit("a time without a zone"))?;
        let (nanos, changed) = moment::rounded(nanos, 9, modifier, round)?;
        out.extend_from_slice(&within_a_day(nanos / 1000)?.to_be_bytes());
        // seconds west of Greenwich; offsets are below 16 hours
        let west = i32::try_from(-offset).map_err(|_| moment::NOT_A_DATE)?;
        out.extend_from_slice(&west.to_be_bytes());
        Ok(changed)
    };
    Codec::changing("a time of day with its zone, HH:MM:SS.ffffff+00:00", encode, |bytes| {
        let (micros, west) = bytes.split_at_checked(8)?;
        let mut out = Spelt::new();
        spelling::spell_clock(within_a_day(i64::from_be_bytes(array(micros)?)).ok()?, &mut out);
        spelling::spell_offset(-i64::from(i32::from_be_bytes(array(west)?)), &mut out);
        Some(Cell::Spelt(out))
    })
}

/// How the cells of a column say a moment.
#[derive(Clone)]
struct Reading {
    read: Read,
    zone: Option<Zone>,
    round: bool,
    /// Digits after the second, or -1 for six.
    modifier: i32,
}

impl Reading {
    fn new(modifier: i32, rules: &Rules) -> Reading {
        Reading {
            read: rules.read.unwrap_or_default(),
            zone: rules.zone.clone(),
            round: rules.round,
            modifier,
        }
    }

    fn number_in_words(&self) -> String {
        let unit = match self.read {
            Read::Julian => return "a Julian day, to the millisecond, or text".to_owned(),
            Read::UnixMillis => "milliseconds",
            Read::UnixMicros => "microseconds",
            Read::UnixSeconds | Read::Text | Read::Epoch | Read::Dated => "seconds",
        };
        format!("a number of {unit} since 1970-01-01 00:00 UTC, or text")
    }

    /// What the clock shows in text that the way back would spell in the same way: the usual case, read at a glance.
    fn spelt(&self, value: ValueRef<'_>, zone: &[u8]) -> Option<i64> {
        let ValueRef::Text(text) = value else { return None };
        let micros = spelling::spelt(text.strip_suffix(zone).filter(|_| self.read == Read::Text)?)?;
        moment::rounded(micros, 6, self.modifier, false).is_ok().then_some(micros)
    }

    /// The time of day that `text` says, in microseconds, and whether it was rounded.
    fn clock(&self, text: &[u8]) -> Result<(i64, bool), Misfit> {
        let (nanos, offset) = moment::time_of_day(text)?;
        if offset.is_some() {
            return Err(Misfit("a time with a zone"));
        }
        let (nanos, changed) = moment::rounded(nanos, 9, self.modifier, self.round)?;
        Ok((nanos / 1000, changed))
    }

    /// Whether `value` is the text of a date or time, whatever the numbers beside it count.
    fn is_spelt(&self, value: ValueRef<'_>) -> bool {
        let has_marks = |text: &[u8]| text.contains(&b':') || text.get(4) == Some(&b'-');
        self.read == Read::Text || matches!(value, ValueRef::Text(text) if has_marks(text))
    }

    /// What the column's clock shows, and whether that was rounded.
    fn wall(&self, value: ValueRef<'_>) -> Result<(i64, bool), Misfit> {
        let (micros, changed) = if self.is_spelt(value) {
            let moment = Moment::parse(only_text(value)?)?;
            let (micros, changed) = moment.micros(self.modifier, self.round)?;
            match (moment.offset, &self.zone) {
                (None, _) => (micros, changed),
                (Some(offset), Some(zone)) => (zone.wall(micros - offset * SECOND)?, changed),
                (Some(_), None) => return Err(Misfit("a time with a zone")),
            }
        } else {
            let (instant, changed) = self.number(value)?;
            let wall = self.zone.as_ref().map_or(Ok(instant), |zone| zone.wall(instant))?;
            (wall, changed)
        };
        Ok((moment::in_years(micros)?, changed))
    }

    fn wall_cell(&self, micros: i64) -> Option<Cell<'static>> {
        let micros = moment::in_years(micros).ok()?;
        if self.read != Read::Text {
            let instant = self.zone.as_ref().map_or(Ok(micros), |zone| zone.instant(micros));
            return self.number_cell(instant.ok()?);
        }
        let mut out = Spelt::new();
        spelling::spell_moment(micros, &mut out)?;
        Some(Cell::Spelt(out))
    }

    /// The instant, and whether it was rounded.
    fn instant(&self, value: ValueRef<'_>) -> Result<(i64, bool), Misfit> {
        let (micros, changed) = if self.is_spelt(value) {
            let moment = Moment::parse(only_text(value)?)?;
            let (micros, changed) = moment.micros(self.modifier, self.round)?;
            match (moment.offset, &self.zone) {
                (Some(offset), _) => (micros - offset * SECOND, changed),
                (None, Some(zone)) => (zone.instant(micros)?, changed),
                (None, None) => return Err(Misfit("a time without a zone")),
            }
        } else {
            self.number(value)?
        };
        Ok((moment::in_years(micros)?, changed))
    }

    /// With a zone: what its clock shows, and the offset beside it where the clock shows that twice.
    fn instant_cell(&self, instant: i64) -> Option<Cell<'static>> {
        let instant = moment::in_years(instant).ok()?;
        if self.read != Read::Text {
            return self.number_cell(instant);
        }
        let east = self.zone.as_ref().map_or(Some(0), |zone| zone.east(instant))?;
        let mut out = Spelt::new();
        spelling::spell_moment(instant + east * SECOND, &mut out)?;
        if self.zone.as_ref().is_none_or(|zone| zone.wall(instant).is_err()) {
            spelling::spell_offset(east, &mut out);
        }
        Some(Cell::Spelt(out))
    }

    /// The instant that a number says, and whether it was rounded.
    fn number(&self, value: ValueRef<'_>) -> Result<(i64, bool), Misfit> {
        let (micros, inexact) = match self.read {
            Read::Julian => {
                let (millis, inexact) = julian_millis(value, self.round)?;
                ((millis - JULIAN_TO_2000) * 1000, inexact)
            }
            _ => {
                let unix = scaled(value, self.power(), self.round)?;
                let beyond = Misfit("a number beyond the years 1 to 9999");
                (unix.0.checked_sub(UNIX_TO_2000 * SECOND).ok_or(beyond)?, unix.1)
            }
        };
        let (micros, changed) = moment::rounded(moment::in_years(micros)?, 6, self.modifier, self.round)?;
        Ok((micros, changed || inexact))
    }

    fn number_cell(&self, instant: i64) -> Option<Cell<'static>> {
        if self.read == Read::Julian {
            if instant % 1000 != 0 {
                return None;
            }
            return Some(Cell::Real(julian_day(instant / 1000 + JULIAN_TO_2000)));
        }
        unscaled(instant.checked_add(UNIX_TO_2000 * SECOND)?, self.power())
    }

    /// How many digits the unit has after the point in microseconds.
    fn power(&self) -> u32 {
        self.read.micros().map_or(0, i64::ilog10)
    }
}

/// 2000-01-01 00:00 as a Julian day, in milliseconds.
const JULIAN_TO_2000: i64 = 211_813_444_800_000;

/// The last moment of year 9999 (`julianday('9999-12-31 23:59:59.999')` rounded up), as SQLite limits them.
const LAST_JULIAN: f64 = 5_373_484.5;

/// SQLite keeps milliseconds and divides: `x.iJD/86400000.0` (date.c). A day that is no such quotient is rounded by
/// rule.
fn julian_millis(value: ValueRef<'_>, round: bool) -> Result<(i64, bool), Misfit> {
    let day = match value {
        ValueRef::Real(real) => real,
        #[expect(clippy::cast_precision_loss, reason = "what is beyond is refused below")]
        ValueRef::Integer(number) => number as f64,
        ValueRef::Text(_) => return Err(Misfit("text")),
        ValueRef::Blob(_) | ValueRef::Null => return Err(Misfit("a blob")),
    };
    if !(0.0..LAST_JULIAN).contains(&day) {
        return Err(Misfit("a number that is no Julian day"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 5e14")]
    let millis = (day * 86_400_000.0).round() as i64;
    let exact = julian_day(millis).to_bits() == day.to_bits();
    if exact || round { Ok((millis, !exact)) } else { Err(Misfit("a Julian day between two milliseconds")) }
}

#[expect(clippy::cast_precision_loss, reason = "at most 5e14")]
fn julian_day(millis: i64) -> f64 {
    millis as f64 / 86_400_000.0
}
