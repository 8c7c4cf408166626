//! Dates and times. SQLite has no such types: what an application stores is text, and PostgreSQL counts days or
//! microseconds from 2000-01-01 (Date/Time Types; `date_recv`, `timestamp_recv`).

use super::{Codec, Misfit, fit, only_text};
use time::{Date, Month};

/// Julian day of 2000-01-01, where PostgreSQL's count starts.
const EPOCH: i32 = 2_451_545;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// `date`: `YYYY-MM-DD`, or a date and time at midnight.
#[must_use]
pub fn date() -> Codec {
    Codec::new("a date, YYYY-MM-DD", |value, out| {
        let moment = Moment::parse(only_text(value)?)?;
        if moment.clock != Some(0) && moment.clock.is_some() || moment.offset.is_some() {
            return Err(Misfit("a time of day beside the date"));
        }
        out.extend_from_slice(&moment.days.to_be_bytes());
        Ok(fit(moment.clock.is_none()))
    })
}

/// `timestamp`, with the digits after the second that the type modifier allows. A zone in the text is a misfit: to drop
/// it would be to lose it.
#[must_use]
pub fn timestamp(modifier: i32) -> Codec {
    Codec::new("a date and time without a zone, YYYY-MM-DD HH:MM:SS.ffffff", move |value, out| {
        let moment = Moment::parse(only_text(value)?)?;
        if moment.offset.is_some() {
            return Err(Misfit("a time with a zone"));
        }
        out.extend_from_slice(&moment.micros(modifier)?.to_be_bytes());
        Ok(fit(moment.canonical))
    })
}

/// `timestamptz`: text that says its offset. Without one it would be a guess.
#[must_use]
pub fn timestamptz(modifier: i32) -> Codec {
    Codec::new("a date and time with its zone, YYYY-MM-DD HH:MM:SS.ffffff+00:00", move |value, out| {
        let moment = Moment::parse(only_text(value)?)?;
        let Some(offset) = moment.offset else {
            return Err(Misfit("a time without a zone"));
        };
        let micros = moment.micros(modifier)? - offset * SECOND;
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(fit(moment.canonical && offset == 0))
    })
}

/// What a text says, nothing assumed.
#[derive(Debug, PartialEq, Eq)]
struct Moment {
    /// Days since 2000-01-01.
    days: i32,
    /// Microseconds since midnight, if the text has a time of day.
    clock: Option<i64>,
    /// Seconds east of Greenwich, if the text has a zone.
    offset: Option<i64>,
    /// Written as SQLAlchemy writes it: a blank, six digits, and `+00:00` if it has a zone.
    canonical: bool,
}

const NOT_A_DATE: Misfit = Misfit("text that is not a date and time");

impl Moment {
    /// `YYYY-MM-DD [(T| ) HH:MM[:SS[(.|,)f{1,9}]] [Z | (+|-)HH[[:]MM]]]`. More than six digits after the second must
    /// be zeros: PostgreSQL keeps six.
    fn parse(text: &[u8]) -> Result<Moment, Misfit> {
        let mut text = Cursor(text);
        let year = text.number(4)?;
        text.one_of(b"-")?;
        let month = text.number(2)?;
        text.one_of(b"-")?;
        let day = text.number(2)?;
        let days = days(year, month, day)?;
        if text.0.is_empty() {
            return Ok(Moment { days, clock: None, offset: None, canonical: false });
        }
        let blank = text.one_of(b" Tt")? == b' ';
        let clock = text.number(2)? * 3600;
        text.one_of(b":")?;
        let minutes = text.number(2)?;
        let mut seconds = 0;
        let (mut micros, mut digits) = (0, 0);
        if text.skip(b':') {
            seconds = text.number(2)?;
            if text.skip(b'.') || text.skip(b',') {
                (micros, digits) = text.fraction()?;
            }
        }
        if clock > 23 * 3600 || minutes > 59 || seconds > 59 {
            return Err(NOT_A_DATE);
        }
        let (offset, plain) = text.zone()?;
        let clock = (clock + minutes * 60 + seconds) * SECOND + micros;
        Ok(Moment { days, clock: Some(clock), offset, canonical: blank && digits == 6 && plain })
    }

    /// Microseconds since 2000-01-01, in the text's own zone. `modifier` is the number of digits that the column keeps
    /// after the second, or -1 for six.
    fn micros(&self, modifier: i32) -> Result<i64, Misfit> {
        let micros = i64::from(self.days) * DAY + self.clock.unwrap_or(0);
        let kept = u32::try_from(modifier).unwrap_or(6).min(6);
        if micros % 10_i64.pow(6 - kept) != 0 {
            return Err(Misfit("a time with more digits after the second"));
        }
        Ok(micros)
    }
}

/// Days since 2000-01-01; years 1 to 9999, as the text form has them.
fn days(year: i64, month: i64, day: i64) -> Result<i32, Misfit> {
    let month = u8::try_from(month).ok().and_then(|month| Month::try_from(month).ok()).ok_or(NOT_A_DATE)?;
    let year = i32::try_from(year).ok().filter(|year| *year > 0).ok_or(NOT_A_DATE)?;
    let day = u8::try_from(day).map_err(|_| NOT_A_DATE)?;
    let date = Date::from_calendar_date(year, month, day).map_err(|_| NOT_A_DATE)?;
    Ok(date.to_julian_day() - EPOCH)
}

/// The rest of a text, read from the left.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Result<i64, Misfit> {
        let (number, rest) = self.0.split_at_checked(digits).ok_or(NOT_A_DATE)?;
        if !number.iter().all(u8::is_ascii_digit) {
            return Err(NOT_A_DATE);
        }
        self.0 = rest;
        Ok(number.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }

    fn one_of(&mut self, choice: &[u8]) -> Result<u8, Misfit> {
        let (first, rest) = self.0.split_first().ok_or(NOT_A_DATE)?;
        if !choice.contains(first) {
            return Err(NOT_A_DATE);
        }
        self.0 = rest;
        Ok(*first)
    }

    fn skip(&mut self, byte: u8) -> bool {
        self.one_of(&[byte]).is_ok()
    }

    /// Microseconds, and how many digits they were written with.
    fn fraction(&mut self) -> Result<(i64, usize), Misfit> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return Err(NOT_A_DATE);
        }
        let nanos = self.number(digits)? * 10_i64.pow(u32::try_from(9 - digits).unwrap_or(0));
        if nanos % 1000 != 0 {
            return Err(Misfit("a time with more than six digits after the second"));
        }
        Ok((nanos / 1000, digits))
    }

    /// Seconds east of Greenwich, if anything is left, and whether it was written as nothing or `+00:00`.
    fn zone(&mut self) -> Result<(Option<i64>, bool), Misfit> {
        let written = self.0;
        if written.is_empty() {
            return Ok((None, true));
        }
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ if self.0.is_empty() => return Ok((Some(0), false)),
            _ => return Err(NOT_A_DATE),
        };
        let hours = self.number(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.skip(b':');
            self.number(2)?
        };
        // PostgreSQL takes displacements below 16 hours
        if !self.0.is_empty() || hours > 15 || minutes > 59 {
            return Err(NOT_A_DATE);
        }
        Ok((Some(sign * (hours * 3600 + minutes * 60)), written == b"+00:00"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Result<i64, Misfit> {
        Moment::parse(text.as_bytes())?.micros(-1)
    }

    #[test]
    fn what_applications_write() {
        assert_eq!(micros("2000-01-01 00:00:00.000000"), Ok(0));
        assert_eq!(micros("2000-01-01T00:00:01.5"), Ok(1_500_000));
        assert_eq!(micros("1999-12-31 23:59:59.999999"), Ok(-1));
        assert_eq!(micros("2000-01-01 00:00:00.000001000"), Ok(1));
        assert_eq!(micros("2000-01-02"), Ok(DAY));
        assert!(micros("9999-12-31 23:59:59.999999").is_ok());
        assert!(micros("0001-01-01 00:00").is_ok());
    }

    #[test]
    fn offsets() {
        let offset = |text: &str| Moment::parse(text.as_bytes()).map(|moment| moment.offset);
        assert_eq!(offset("2024-05-06 07:08:09Z"), Ok(Some(0)));
        assert_eq!(offset("2024-05-06 07:08:09-03:30"), Ok(Some(-12_600)));
        assert_eq!(offset("2024-05-06 07:08+02"), Ok(Some(7200)));
        assert_eq!(offset("2024-05-06 07:08:09.1+0530"), Ok(Some(19_800)));
        assert_eq!(offset("2024-05-06 07:08:09"), Ok(None));
    }

    #[test]
    fn only_sqlalchemys_form_is_canonical() {
        let canonical = |text: &str| Moment::parse(text.as_bytes()).map(|moment| moment.canonical);
        assert_eq!(canonical("2024-05-06 07:08:09.000000"), Ok(true));
        assert_eq!(canonical("2024-05-06 07:08:09.000000+00:00"), Ok(true));
        assert_eq!(canonical("2024-05-06T07:08:09.000000"), Ok(false));
        assert_eq!(canonical("2024-05-06 07:08:09"), Ok(false));
        assert_eq!(canonical("2024-05-06 07:08:09.000000Z"), Ok(false));
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
        ] {
            assert!(micros(bad).is_err(), "{bad}");
        }
    }
}
