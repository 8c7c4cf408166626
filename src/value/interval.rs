//! `interval`: months, days and microseconds, each kept as it is written (Date/Time Types, "Interval Input").

use super::canonical::{self, Canonical};
use super::moment::{self, DAY, Moment, SECOND};
use super::numeric::{scaled, unscaled};
use super::spelling;
use super::zone::UNIX_TO_2000;
use super::{Cell, Codec, Misfit, Read, Rules, Spelt, array, only_text};
use rusqlite::types::ValueRef;

const NOT_AN_INTERVAL: Misfit = Misfit("text that is not an interval");

const A_MOMENT: Misfit = Misfit("a date and time instead of an interval");

/// `interval`: ISO 8601 (`P1DT2H`), `HH:MM:SS.ffffff`, parts with their units (`1 day, 2:00:00`), or a number that a
/// rule says the unit of. `digits` are those after the second, or -1 for six.
#[must_use]
pub fn interval(digits: i32, rules: &Rules) -> Codec {
    let unit = rules.read.and_then(Read::micros).map(i64::ilog10);
    let (epoch, round) = (rules.read == Some(Read::Epoch), rules.round);
    let expects = match unit {
        None if epoch => "a date and time as far from 1970-01-01 00:00:00 as the interval is long",
        Some(6) => "a number of seconds",
        Some(3) => "a number of milliseconds",
        Some(_) => "a number of microseconds",
        None => "an interval: HH:MM:SS.ffffff, ISO 8601, or parts with their units",
    };
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let (span, changed) = if let Some(power) = unit {
            let (micros, inexact) = scaled(value, power, round)?;
            let (micros, changed) = moment::rounded(micros, 6, digits, round)?;
            (Span { micros, ..Span::default() }, changed || inexact)
        } else if epoch {
            Span::since_epoch(only_text(value)?, digits, round)?
        } else {
            let text = std::str::from_utf8(only_text(value)?).map_err(|_| NOT_AN_INTERVAL)?;
            let other = || if Moment::parse(text.as_bytes()).is_ok() { A_MOMENT } else { NOT_AN_INTERVAL };
            let mut span = Span::parse(text).ok_or_else(other)?;
            let (nanos, changed) = moment::rounded(span.nanos, 9, digits, round)?;
            span.micros = span.micros.checked_add(nanos / 1000).ok_or(NOT_AN_INTERVAL)?;
            (span, changed)
        };
        out.extend_from_slice(&span.micros.to_be_bytes());
        out.extend_from_slice(&span.days.to_be_bytes());
        out.extend_from_slice(&span.months.to_be_bytes());
        Ok(changed)
    };
    let counted = (unit.is_some() || epoch).then_some(canonical::in_hours as Canonical);
    let codec = Codec::changing(expects, encode, move |bytes| {
        let (micros, rest) = bytes.split_at_checked(8)?;
        let (days, months) = rest.split_at_checked(4)?;
        let span = Span {
            micros: i64::from_be_bytes(array(micros)?),
            days: i32::from_be_bytes(array(days)?),
            months: i32::from_be_bytes(array(months)?),
            nanos: 0,
        };
        match unit {
            Some(power) => unscaled(span.counted()?, power),
            None if epoch => span.moment(),
            None => Cell::spelt(span.spell()),
        }
    });
    Codec { canonical: counted, ..codec }
}

/// As the server holds it; `nanos` is what was written after the second, before rounding.
#[derive(Debug, Default, PartialEq, Eq)]
struct Span {
    months: i32,
    days: i32,
    micros: i64,
    nanos: i64,
}

/// A part's unit, in the order in which they may be written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

use Unit::{Day, Hour, Minute, Month, Second, Week, Year};

impl Span {
    /// Of the moment that `text` says, in whole days and the rest of one, as the drivers write what Python has.
    fn since_epoch(text: &[u8], digits: i32, round: bool) -> Result<(Span, bool), Misfit> {
        let moment = Moment::parse(text)?;
        if moment.offset.is_some() {
            return Err(Misfit("a time with a zone"));
        }
        let (micros, changed) = moment.micros(digits, round)?;
        let micros = micros + UNIX_TO_2000 * SECOND;
        let days = i32::try_from(micros.div_euclid(DAY)).map_err(|_| NOT_AN_INTERVAL)?;
        Ok((Span { days, micros: micros.rem_euclid(DAY), ..Span::default() }, changed))
    }

    /// How many microseconds it is long, with 24 hours to a day; a month has no such number.
    fn counted(&self) -> Option<i64> {
        canonical::micros_of(self.days, self.micros).filter(|_| self.months == 0)
    }

    /// The moment of which [`Span::since_epoch`] makes a span as long as this one.
    fn moment(&self) -> Option<Cell<'static>> {
        let micros = self.counted()?.checked_sub(UNIX_TO_2000 * SECOND)?;
        let mut out = Spelt::new();
        spelling::spell_moment(moment::in_years(micros).ok()?, &mut out)?;
        Some(Cell::Spelt(out))
    }

    fn parse(text: &str) -> Option<Span> {
        match text.strip_prefix('P').or_else(|| text.strip_prefix("-P")) {
            Some(parts) => Span::iso(parts, text.starts_with('-')),
            None => Span::verbose(text),
        }
    }

    /// `[nY][nM][nW][nD][T[nH][nM][n[.f]S]]`, each number with a sign of its own if it has one.
    fn iso(parts: &str, negative: bool) -> Option<Span> {
        let (date, time) = match parts.split_once('T') {
            Some((_, "")) => return None,
            Some((date, time)) => (date, time),
            None if parts.is_empty() => return None,
            None => (parts, ""),
        };
        let mut span = Span::default();
        let units: [(&str, &[(char, Unit)]); 2] = [
            (date, &[('Y', Year), ('M', Month), ('W', Week), ('D', Day)]),
            (time, &[('H', Hour), ('M', Minute), ('S', Second)]),
        ];
        for (mut rest, units) in units {
            let mut last = None;
            while !rest.is_empty() {
                let end = rest.find(|c: char| c.is_ascii_uppercase())?;
                let letter = rest[end..].chars().next()?;
                let (_, unit) = units.iter().find(|(known, _)| *known == letter)?;
                if last.is_some_and(|last| last >= *unit) {
                    return None;
                }
                last = Some(*unit);
                span.add(&rest[..end], *unit, negative)?;
                rest = &rest[end + 1..];
            }
        }
        Some(span)
    }

    /// `1 year 2 mons -3 days 04:05:06.7`, as the server writes it, or with commas, as Python does.
    fn verbose(text: &str) -> Option<Span> {
        let mut span = Span::default();
        let mut words = text.split(' ');
        let mut last = None;
        while let Some(word) = words.next() {
            let unit = if word.contains(':') {
                span.clock(word)?;
                // nothing may follow a time
                if words.next().is_some() || last.is_some_and(|last| last >= Hour) {
                    return None;
                }
                Second
            } else {
                let name = words.next()?;
                let name = name.strip_suffix(',').unwrap_or(name);
                let unit = match name.strip_suffix('s').unwrap_or(name) {
                    "year" => Year,
                    "mon" | "month" => Month,
                    "week" => Week,
                    "day" => Day,
                    "hour" => Hour,
                    "min" | "minute" => Minute,
                    "sec" | "second" => Second,
                    _ => return None,
                };
                span.add(word, unit, false)?;
                unit
            };
            if last.is_some_and(|last| last >= unit) {
                return None;
            }
            last = Some(unit);
        }
        last.map(|_| span)
    }

    /// `[+-]H:MM:SS[.f]`.
    fn clock(&mut self, word: &str) -> Option<()> {
        let negative = word.starts_with('-');
        let parts: Vec<&str> = word.strip_prefix(['-', '+']).unwrap_or(word).split(':').collect();
        let [hours, minutes, seconds] = parts[..] else { return None };
        let two = |part: &str| part.len() == 2 && part < "60" && part.bytes().all(|b| b.is_ascii_digit());
        if !hours.starts_with(|c: char| c.is_ascii_digit())
            || !two(minutes)
            || !two(seconds.split('.').next()?)
        {
            return None;
        }
        self.add(hours, Hour, negative)?;
        self.add(minutes, Minute, negative)?;
        self.add(seconds, Second, negative)
    }

    /// Adds `number` of `unit`; only seconds may have a fraction.
    fn add(&mut self, number: &str, unit: Unit, negated: bool) -> Option<()> {
        let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
        let sign = if number.starts_with('-') == negated { 1 } else { -1 };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) if unit == Second => (whole, Some(fraction)),
            Some(_) => return None,
            None => (unsigned, None),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) {
            return None;
        }
        let whole: i64 = sign * whole.parse::<i64>().ok()?;
        if let Some(fraction) = fraction {
            if !digits(fraction) || fraction.len() > 9 {
                return None;
            }
            self.nanos = sign * format!("{fraction:0<9}").parse::<i64>().ok()?;
        }
        let small = |total: i32, each: i32| i32::try_from(whole).ok()?.checked_mul(each)?.checked_add(total);
        let long = |each: i64| whole.checked_mul(each * SECOND)?.checked_add(self.micros);
        match unit {
            Year => self.months = small(self.months, 12)?,
            Month => self.months = small(self.months, 1)?,
            Week => self.days = small(self.days, 7)?,
            Day => self.days = small(self.days, 1)?,
            Hour => self.micros = long(3600)?,
            Minute => self.micros = long(60)?,
            Second => self.micros = long(1)?,
        }
        Some(())
    }

    /// As the server spells it (`interval_out`, style `postgres`).
    fn spell(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut negative = false;
        for (number, unit) in [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")] {
            if number != 0 {
                let plus = if negative && number > 0 { "+" } else { "" };
                let plural = if number == 1 { "" } else { "s" };
                parts.push(format!("{plus}{number} {unit}{plural}"));
                negative = number < 0;
            }
        }
        if self.micros != 0 || parts.is_empty() {
            let sign = match () {
                () if self.micros < 0 => "-",
                () if negative => "+",
                () => "",
            };
            let micros = self.micros.unsigned_abs();
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            let fraction = if rest == 0 { String::new() } else { format!(".{rest:06}") };
            let fraction = fraction.trim_end_matches('0');
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            parts.push(format!("{sign}{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60));
        }
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Option<(i32, i32, i64)> {
        Span::parse(text).map(|span| (span.months, span.days, span.micros + span.nanos / 1000))
    }

    #[test]
    fn what_applications_write() {
        for (text, expected) in [
            ("00:00:00", (0, 0, 0)),
            ("-00:00:01.5", (0, 0, -1_500_000)),
            ("100:00:00", (0, 0, 100 * 3600 * SECOND)),
            ("1 day, 2:03:04", (0, 1, 7384 * SECOND)),
            ("-1 days +02:03:00", (0, -1, 7380 * SECOND)),
            ("1 year 2 mons -3 days 04:05:06.7", (14, -3, 14_706_700_000)),
            ("P1Y2M3W4DT5H6M7.5S", (14, 25, 18_367_500_000)),
            ("-P1DT-2H", (0, -1, 7200 * SECOND)),
            ("90 seconds", (0, 0, 90 * SECOND)),
        ] {
            assert_eq!(span(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_interval() {
        for bad in [
            "",
            "P",
            "PT",
            "1",
            "1:30",
            "1 fortnight",
            "1 day 1 day",
            "P1H",
            "PT1M1H",
            "1.5 days",
            "00:60:00",
        ] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
