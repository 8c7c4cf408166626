//! Dates and times as applications write them. The way back gives `YYYY-MM-DD HH:MM:SS.ffffff+HH:MM`, or those of its
//! parts that the type has.

use super::super::moment::{self, Moment, SECOND};
use super::super::spelling;
use super::super::{Spelt, array};
use super::Format;
use serde::{Deserialize, Serialize};

/// How a date with its time, or a time alone, is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// What stands between date and time.
    mark: char,
    time: Time,
    /// Another zone than that of the way back: seconds east of Greenwich, and how that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<(i32, String)>,
}

/// How the time of day is written. Digits that say something are never left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Time {
    /// With so many digits after the second; with six, as most write it, where that many do not say it.
    Digits(u8),
    /// With six, or none if they are all zero: Python's `isoformat`.
    SixOrNone,
    /// With three or six, or none.
    Thousands,
    /// Without zeros at the end.
    Shortest,
    /// Without the second, if it is zero.
    Minutes,
    /// Not at all, if it is midnight.
    Midnight,
}

impl Format {
    /// A time has six digits after the second, whatever they are.
    #[must_use]
    pub fn has_six_digits(&self) -> bool {
        matches!(self, Format::Usual | Format::Clock(Clock { time: Time::Digits(6), .. }))
    }

    /// A time has six digits after the second, or none if they are all zero.
    #[must_use]
    pub fn has_six_digits_or_none(&self) -> bool {
        matches!(self, Format::Clock(Clock { time: Time::SixOrNone | Time::Digits(0), .. }))
    }

    /// The same format, with six digits after the second, or none if they are all zero.
    #[must_use]
    pub fn with_six_digits_or_none(self) -> Format {
        match self {
            Format::Usual => Format::Clock(Clock { mark: ' ', time: Time::SixOrNone, zone: None }),
            Format::Clock(clock) => Format::Clock(Clock { time: Time::SixOrNone, ..clock }),
            other => other,
        }
    }
}

impl Clock {
    /// What the way back gives as `usual`, in this style.
    pub(super) fn spell(&self, usual: &[u8]) -> Option<Spelt> {
        let (date, time, zone) = parts(usual)?;
        let mut out = Spelt::new();
        let shifted;
        let (date, time, zone) = match &self.zone {
            None => (date, time, zone),
            Some((east, written)) => {
                let stands =
                    if zone.is_empty() { *east } else { i32::try_from(moment::offset(zone)?).ok()? };
                if stands == *east {
                    (date, time, written.as_bytes())
                } else if date.is_empty() {
                    (date, time, zone)
                } else {
                    shifted = shift(usual, *east)?;
                    let (date, time, _) = parts(&shifted)?;
                    (date, time, written.as_bytes())
                }
            }
        };
        out.extend_from_slice(date);
        let time = self.time.spell(time)?;
        if !date.is_empty() && !time.is_empty() {
            out.push(u8::try_from(self.mark).ok()?);
        }
        out.extend_from_slice(&time);
        if !time.is_empty() {
            out.extend_from_slice(zone);
        }
        Some(out)
    }
}

/// `text` with zeros in place of the digits after the second beyond those `kept`, if it has more.
#[must_use]
pub fn rounded(text: &[u8], kept: usize) -> Option<Vec<u8>> {
    let second = |four: &[u8]| four[0] == b':' && four[3] == b'.';
    let point = text.windows(4).position(second)? + 3;
    let digits = text[point + 1..].iter().take_while(|digit| digit.is_ascii_digit()).count();
    let mut rounded = text.to_vec();
    rounded.get_mut(point + 1 + kept..point + 1 + digits)?.fill(b'0');
    (digits > kept).then_some(rounded)
}

/// The same moment on the clock `east` of Greenwich, without a zone.
fn shift(usual: &[u8], east: i32) -> Option<Spelt> {
    let moment = Moment::parse(usual).ok()?;
    let (micros, _) = moment.micros(-1, false).ok()?;
    let micros = micros + (i64::from(east) - moment.offset.unwrap_or(0)) * SECOND;
    let mut out = Spelt::new();
    spelling::spell_moment(moment::in_years(micros).ok()?, &mut out)?;
    Some(out)
}

/// Date, time and zone of what the way back gives; what it does not have is empty.
fn parts(usual: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (date, rest) = match usual.get(4) {
        Some(b'-') => usual.split_at_checked(10)?,
        _ => (&usual[..0], usual),
    };
    let (time, zone) = rest.strip_prefix(b" ").unwrap_or(rest).split_at_checked(15)?;
    // "1 year 00:00:01" is as long
    let is_time = matches!(time, [_, _, b':', _, _, b':', _, _, b'.', ..]);
    is_time.then_some((date, time, zone))
}

impl Time {
    /// `usual` is `HH:MM:SS.ffffff`.
    fn spell(self, usual: &[u8]) -> Option<Spelt> {
        let fraction: [u8; 6] = array(usual.get(9..15)?)?;
        let zeros = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
        let digits = match self {
            Time::Digits(digits) if 6 - zeros > digits.into() => 6,
            Time::Digits(digits) => digits.into(),
            Time::SixOrNone | Time::Minutes | Time::Midnight if zeros < 6 => 6,
            Time::Thousands => (6 - zeros).div_ceil(3) * 3,
            Time::Shortest => 6 - zeros,
            Time::Midnight if usual.starts_with(b"00:00:00") => return Some(Spelt::new()),
            Time::Minutes if usual.get(5..8) == Some(b":00") => return Some(Spelt::from_slice(&usual[..5])),
            Time::SixOrNone | Time::Minutes | Time::Midnight => 0,
        };
        let mut out = Spelt::from_slice(&usual[..8]);
        if digits > 0 {
            out.push(b'.');
            out.extend_from_slice(&fraction[..digits.min(6)]);
            out.extend(std::iter::repeat_n(b'0', digits.saturating_sub(6)));
        }
        Some(out)
    }
}

/// What a moment that is written as `text` may be spelt in.
pub(super) fn formats(usual: &[u8], text: &[u8]) -> Vec<Format> {
    if usual.len() == 10 && usual[4] == b'-' {
        let tail = text.strip_prefix(usual).and_then(|tail| String::from_utf8(tail.to_vec()).ok());
        return tail.map(Format::Tail).into_iter().collect();
    }
    let Some((date, _, zone)) = parts(usual) else { return Vec::new() };
    let (mark, time) = match text.get(date.len()..) {
        Some([]) => (' ', &[][..]),
        Some(rest) if date.is_empty() => (' ', rest),
        Some([mark, rest @ ..]) => (char::from(*mark), rest),
        None => return Vec::new(),
    };
    let length = time.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b':' | b'.'));
    let (time, written) = time.split_at(length.unwrap_or(time.len()));
    let zone = match (written == zone, moment::offset(written), std::str::from_utf8(written)) {
        (false, Some(east), Ok(written)) => i32::try_from(east).ok().map(|east| (east, written.to_owned())),
        _ => None,
    };
    let after = time.len().saturating_sub(9);
    let times = match time.len() {
        0 => vec![Time::Midnight],
        5 => vec![Time::Minutes],
        8 => vec![Time::Digits(0), Time::SixOrNone, Time::Thousands, Time::Shortest],
        _ => vec![
            Time::Digits(u8::try_from(after).unwrap_or(6)),
            Time::SixOrNone,
            Time::Thousands,
            Time::Shortest,
        ],
    };
    times.into_iter().map(|time| Format::Clock(Clock { mark, time, zone: zone.clone() })).collect()
}

/// Whether `text` begins as a date does.
pub(super) fn is_moment(text: &[u8]) -> bool {
    matches!(text, [_, _, _, _, b'-', _, _, b'-', ..])
}

/// The moment whose binary form `field` is, as a clock in UTC shows it; none of a type of another size.
pub(super) fn moment(field: &[u8]) -> Option<Spelt> {
    let micros = moment::in_years(i64::from_be_bytes(array(field)?)).ok()?;
    let mut out = Spelt::new();
    spelling::spell_moment(micros, &mut out)?;
    Some(out)
}

/// What such a moment that is written as `text` may be spelt in.
pub(super) fn moments(usual: &[u8], text: &[u8]) -> Vec<Format> {
    let clocks = formats(usual, text).into_iter();
    clocks
        .filter_map(
            |format| if let Format::Clock(clock) = format { Some(Format::Moment(clock)) } else { None },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_as_long_as_a_time_is_none() {
        let clock = Clock { mark: ' ', time: Time::Digits(7), zone: None };
        assert_eq!(clock.spell(b"1 year 00:00:01"), None);
        assert!(formats(b"00:00:00.1", b"00:00:00.10").is_empty(), "nor is one as long as a date");
        assert_eq!(clock.spell(b"00:00:01.500000").as_deref(), Some(&b"00:00:01.5000000"[..]));
    }
}
