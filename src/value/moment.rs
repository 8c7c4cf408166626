//! Dates and times as text: what applications write is read with nothing assumed. How they are spelt is in
//! [`super::spelling`].

use super::Misfit;
use time::{Date, Month};

/// Julian day of 2000-01-01, where PostgreSQL's count starts.
pub(super) const EPOCH: i32 = 2_451_545;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;

/// 0001-01-01 and 9999-12-31, the first and last day that the text form has, in days since 2000-01-01.
pub(super) const FIRST_DAY: i64 = -730_119;
pub(super) const LAST_DAY: i64 = 2_921_939;

pub(super) const NOT_A_DATE: Misfit = Misfit("text that is not a date and time");
const NOT_A_TIME: Misfit = Misfit("text that is not a time of day");

/// What a text says, nothing assumed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 2000-01-01.
    pub days: i32,
    /// Nanoseconds since midnight, if the text has a time of day.
    pub clock: Option<i64>,
    /// Seconds east of Greenwich, if the text has a zone.
    pub offset: Option<i64>,
}

impl Moment {
    /// `YYYY-MM-DD [(T| ) HH:MM[:SS[(.|,)f{1,9}]] [Z | (+|-)HH[[:]MM[:SS]]]]`, and with a blank before the zone, as
    /// Sequelize, Ruby and Go write it.
    pub(super) fn parse(text: &[u8]) -> Result<Moment, Misfit> {
        let mut text = Cursor(text);
        Moment::read(&mut text).ok_or(NOT_A_DATE)
    }

    fn read(text: &mut Cursor<'_>) -> Option<Moment> {
        let year = text.number::<4>()?;
        text.one_of(b"-")?;
        let month = text.number::<2>()?;
        text.one_of(b"-")?;
        let days = days(year, month, text.number::<2>()?)?;
        if text.0.is_empty() {
            return Some(Moment { days, clock: None, offset: None });
        }
        text.one_of(b" Tt")?;
        Some(Moment { days, clock: Some(text.clock()?), offset: text.zone()? })
    }

    /// Microseconds since 2000-01-01 in the text's own zone, and whether they had to be rounded.
    pub(super) fn micros(&self, modifier: i32, round: bool) -> Result<(i64, bool), Misfit> {
        let (clock, changed) = rounded(self.clock.unwrap_or(0), 9, modifier, round)?;
        Ok((i64::from(self.days) * DAY + clock / 1000, changed))
    }
}

/// What Rails writes before a time of day.
pub(super) const RAILS_DATE: &[u8] = b"2000-01-01";

/// Nanoseconds since midnight and seconds east of Greenwich of a time of day: `HH:MM[:SS[.f]]`, and the zone.
pub(super) fn time_of_day(text: &[u8]) -> Result<(i64, Option<i64>), Misfit> {
    let mut rest = Cursor(text);
    let parsed = rest.clock().and_then(|clock| Some((clock, rest.zone()?)));
    parsed.ok_or_else(|| match Moment::parse(text) {
        Ok(_) if text.starts_with(RAILS_DATE) => Misfit("the date 2000-01-01 beside the time of day"),
        Ok(_) => Misfit("a date beside the time of day"),
        Err(_) => NOT_A_TIME,
    })
}

/// Seconds east of Greenwich: `+HH[[:]MM[:SS]]`.
pub(super) fn offset(text: &[u8]) -> Option<i64> {
    Cursor(text).zone()?
}

/// The microseconds of a text without zone: for tests.
#[cfg(test)]
pub(super) fn wall(text: &str) -> Result<i64, Misfit> {
    Moment::parse(text.as_bytes())?.micros(-1, false).map(|(micros, _)| micros)
}

/// `time`, counted in units of 10^-`digits` seconds, with no more digits after the second than `modifier` keeps (-1 for
/// six), and whether it had to be rounded; halves go up.
pub(super) fn rounded(time: i64, digits: u32, modifier: i32, round: bool) -> Result<(i64, bool), Misfit> {
    let kept = u32::try_from(modifier).unwrap_or(6).min(6);
    let unit = 10_i64.pow(digits - kept);
    let rest = time.rem_euclid(unit);
    if rest == 0 {
        return Ok((time, false));
    }
    if round {
        // the least of all has nothing below it, the greatest nothing above
        let change = if 2 * rest >= unit { unit - rest } else { -rest };
        return time.checked_add(change).map(|time| (time, true)).ok_or(Misfit("a time out of range"));
    }
    Err(Misfit(if digits > 6 && time % 10_i64.pow(digits - 6) != 0 {
        "a time with more than six digits after the second"
    } else {
        "a time with more digits after the second"
    }))
}

/// Whether the text form has a year for `micros` since 2000-01-01.
pub(super) fn in_years(micros: i64) -> Result<i64, Misfit> {
    if (FIRST_DAY * DAY..(LAST_DAY + 1) * DAY).contains(&micros) {
        Ok(micros)
    } else {
        Err(Misfit("a time beyond the years 1 to 9999"))
    }
}

/// Days since 2000-01-01; years 1 to 9999, as the text form has them.
pub(super) fn days(year: i64, month: i64, day: i64) -> Option<i32> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let year = i32::try_from(year).ok().filter(|year| *year > 0)?;
    let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    Some(date.to_julian_day() - EPOCH)
}

/// A number of nothing but digits, a few.
fn whole(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| value * 10 + i64::from(digit))
    })
}

/// The rest of a text, read from the left.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Exactly `N` digits.
    fn number<const N: usize>(&mut self) -> Option<i64> {
        let (number, rest) = self.0.split_first_chunk::<N>()?;
        let value = whole(number)?;
        self.0 = rest;
        Some(value)
    }

    fn one_of(&mut self, choice: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !choice.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    /// Nanoseconds since midnight.
    fn clock(&mut self) -> Option<i64> {
        let hours = self.number::<2>()?;
        self.one_of(b":")?;
        let minutes = self.number::<2>()?;
        let (mut seconds, mut nanos) = (0, 0);
        if self.one_of(b":").is_some() {
            seconds = self.number::<2>()?;
            if self.one_of(b".,").is_some() {
                nanos = self.fraction()?;
            }
        }
        let real = hours < 24 && minutes < 60 && seconds < 60;
        real.then_some((hours * 3600 + minutes * 60 + seconds) * 1_000_000_000 + nanos)
    }

    /// One to nine digits, as nanoseconds.
    fn fraction(&mut self) -> Option<i64> {
        // what SQLAlchemy writes has six, and nothing after them
        if let Ok(six) = <&[u8; 6]>::try_from(self.0)
            && let Some(micros) = whole(six)
        {
            self.0 = &[];
            return Some(micros * 1000);
        }
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        let unit = 10_i64.pow(9_u32.checked_sub(u32::try_from(digits).ok().filter(|digits| *digits > 0)?)?);
        Some(whole(number)? * unit)
    }

    /// Seconds east of Greenwich, if anything is left. PostgreSQL takes displacements below 16 hours.
    fn zone(&mut self) -> Option<Option<i64>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let apart = self.one_of(b" ").is_some();
        if apart && self.0 == b"UTC" {
            return Some(Some(0));
        }
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return self.0.is_empty().then_some(Some(0)),
        };
        let hours = self.number::<2>()?;
        let (mut minutes, mut seconds) = (0, 0);
        if !self.0.is_empty() {
            self.one_of(b":");
            minutes = self.number::<2>()?;
        }
        if self.one_of(b":").is_some() {
            seconds = self.number::<2>()?;
        }
        let ends = self.0.is_empty() || apart && self.is_name_of_go();
        let real = ends && hours < 16 && minutes < 60 && seconds < 60;
        real.then_some(Some(sign * (hours * 3600 + minutes * 60 + seconds)))
    }

    /// Whether the rest is what Go's `Time.String` writes behind the offset, and what says no more than that: the
    /// zone's name, and the reading of the monotonic clock (` CET`, ` -03`, ` UTC m=+0.1`).
    fn is_name_of_go(&self) -> bool {
        let Some(rest) = self.0.strip_prefix(b" ") else { return false };
        let (name, clock) = match rest.iter().position(|byte| *byte == b' ') {
            Some(end) => (&rest[..end], Some(&rest[end..])),
            None => (rest, None),
        };
        let is_name = match name {
            [b'+' | b'-', digits @ ..] => {
                [2, 4].contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
            }
            letters => (2..=6).contains(&letters.len()) && letters.iter().all(u8::is_ascii_alphabetic),
        };
        let is_clock = |clock: &[u8]| {
            clock.strip_prefix(b" m=").is_some_and(|reading| {
                matches!(reading, [b'+' | b'-', digits @ ..]
                    if !digits.is_empty() && digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
            })
        };
        is_name && clock.is_none_or(is_clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_applications_write() {
        assert_eq!(wall("2000-01-01 00:00:00.000000"), Ok(0));
        assert_eq!(wall("2000-01-01T00:00:01.5"), Ok(1_500_000));
        assert_eq!(wall("1999-12-31 23:59:59.999999"), Ok(-1));
        assert_eq!(wall("2000-01-01 00:00:00.000001000"), Ok(1));
        assert_eq!(wall("2000-01-02"), Ok(DAY));
        assert_eq!(wall("0001-01-01 00:00"), Ok(FIRST_DAY * DAY));
        assert_eq!(wall("9999-12-31 23:59:59.999999"), Ok((LAST_DAY + 1) * DAY - 1));
    }

    #[test]
    fn offsets() {
        let offset = |text: &str| Moment::parse(text.as_bytes()).map(|moment| moment.offset);
        assert_eq!(offset("2024-05-06 07:08:09Z"), Ok(Some(0)));
        assert_eq!(offset("2024-05-06 07:08:09-03:30"), Ok(Some(-12_600)));
        assert_eq!(offset("2024-05-06 07:08+02"), Ok(Some(7200)));
        assert_eq!(offset("2024-05-06 07:08:09.1+0530"), Ok(Some(19_800)));
        assert_eq!(offset("2024-05-06 07:08:09"), Ok(None));
        assert_eq!(offset("2024-05-06 07:08:09.123 +00:00"), Ok(Some(0)));
        assert_eq!(offset("2024-05-06 07:08:09 UTC"), Ok(Some(0)));
        assert_eq!(offset("2024-05-06 07:08:09 +0530"), Ok(Some(19_800)));
        assert_eq!(offset("2024-05-06 07:08:09.123456789 -0700 MST m=+0.1"), Ok(Some(-25_200)));
        assert_eq!(offset("2024-05-06 07:08:09 +0000 UTC"), Ok(Some(0)));
        assert_eq!(offset("2024-05-06 07:08:09 -0300 -03"), Ok(Some(-10_800)));
    }

    #[test]
    fn digits_are_rounded_by_rule_only() {
        assert_eq!(rounded(1_234_567_499, 9, 6, true), Ok((1_234_567_000, true)));
        assert_eq!(rounded(1_234_567_500, 9, -1, true), Ok((1_234_568_000, true)));
        assert_eq!(rounded(1_500_000, 6, 0, true), Ok((2_000_000, true)));
        assert_eq!(rounded(-1_500_001, 6, 0, true), Ok((-2_000_000, true)));
        assert!(rounded(1_234_567_500, 9, -1, false).is_err());
        assert_eq!(rounded(1_230_000, 6, 2, false), Ok((1_230_000, false)));
        for end in [i64::MIN, i64::MAX] {
            assert_eq!(rounded(end, 6, 2, true), Err(Misfit("a time out of range")), "{end}");
        }
        assert_eq!(rounded(i64::MIN + 5808, 6, 2, true), Ok((i64::MIN + 5808, false)));
    }

    #[test]
    fn what_is_no_moment() {
        for bad in [
            "",
            "now",
            "0000-00-00",
            "0000-01-01",
            "2023-02-29",
            "2024-13-01",
            "2024-1-1",
            "10000-01-01",
            "2024-01-01 24:00:00",
            "2024-01-01 23:59:60",
            "2024-01-01 1:00",
            "2024-01-01 00:00:00.",
            "2024-01-01 00:00:00.0000001",
            "2024-01-01 00:00:00 BC",
            "2024-01-01 00:00:00+16:00",
            "2024-01-01 ",
            "2024-01-01 00:00:00 ",
            "2024-01-01 00:00:00  +00:00",
            "2024-01-01 00:00:00 CET",
            "2024-01-01 00:00:00 PM",
            "2024-01-01 00:00:00+00:00 UTC",
            "2024-01-01 00:00:00 +0000 ",
            "2024-01-01 00:00:00 +0000 UTC m=",
            "2024-01-01 00:00:00 +0000 UTC x=+1",
        ] {
            assert!(wall(bad).is_err(), "{bad}");
        }
    }
}
