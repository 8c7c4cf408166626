//! Dates and times as the way back spells them, which is SQLAlchemy's: `YYYY-MM-DD HH:MM:SS.ffffff`. Microseconds and
//! days since 2000-01-01 go in, text comes out; and text of this spelling alone is read at a glance.

use super::Spelt;
use super::moment::{DAY, EPOCH, FIRST_DAY, LAST_DAY, SECOND, days};
use time::Date;

/// Appends `YYYY-MM-DD`, if the text form has the year.
pub(super) fn spell_date(days: i64, out: &mut Spelt) -> Option<()> {
    out.extend_from_slice(&date(days)?);
    Some(())
}

fn date(days: i64) -> Option<[u8; 10]> {
    if !(FIRST_DAY..=LAST_DAY).contains(&days) {
        return None;
    }
    let (year, month, day) =
        Date::from_julian_day(i32::try_from(days).ok()? + EPOCH).ok()?.to_calendar_date();
    let ([a, b, c, d], [e, f], [g, h]) =
        (digits(year.unsigned_abs()), digits(u32::from(u8::from(month))), digits(day.into()));
    Some([a, b, c, d, b'-', e, f, b'-', g, h])
}

/// Appends `HH:MM:SS.ffffff` of microseconds since midnight.
pub(super) fn spell_clock(micros: i64, out: &mut Spelt) {
    out.extend_from_slice(&clock(micros));
}

fn clock(micros: i64) -> [u8; 15] {
    // a day has fewer seconds than 2^32, and a second fewer microseconds
    let part = |number: i64| u32::try_from(number).unwrap_or(0);
    let (seconds, micros) = (part(micros / SECOND), part(micros % SECOND));
    let ([a, b], [c, d], [e, f]) = (digits(seconds / 3600), digits(seconds / 60 % 60), digits(seconds % 60));
    let [g, h, i, j, k, l] = digits(micros);
    [a, b, b':', c, d, b':', e, f, b'.', g, h, i, j, k, l]
}

/// Appends `YYYY-MM-DD HH:MM:SS.ffffff`.
pub(super) fn spell_moment(micros: i64, out: &mut Spelt) -> Option<()> {
    let mut moment = [b' '; 26];
    moment[..10].copy_from_slice(&date(micros.div_euclid(DAY))?);
    moment[11..].copy_from_slice(&clock(micros.rem_euclid(DAY)));
    out.extend_from_slice(&moment);
    Some(())
}

/// The microseconds that [`spell_moment`] spells as `text`; none of any other text.
pub(super) fn spelt(text: &[u8]) -> Option<i64> {
    let text: &[u8; 26] = text.try_into().ok()?;
    if [4, 7, 10, 13, 16, 19].map(|at| text[at]) != *b"-- ::." {
        return None;
    }
    // looked at all at once in the end
    let mut largest = 0;
    let mut number = |from: usize, to: usize| {
        text[from..to].iter().fold(0, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            largest = digit.max(largest);
            number * 10 + i64::from(digit)
        })
    };
    let [year, month, day] = [number(0, 4), number(5, 7), number(8, 10)];
    let [hours, minutes, seconds, micros] = [number(11, 13), number(14, 16), number(17, 19), number(20, 26)];
    if largest > 9 || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let clock = (hours * 3600 + minutes * 60 + seconds) * SECOND + micros;
    Some(i64::from(days(year, month, day)?) * DAY + clock)
}

/// Appends `+HH:MM`, and seconds if there are any.
pub(super) fn spell_offset(east: i64, out: &mut Spelt) {
    let seconds = u32::try_from(east.unsigned_abs()).unwrap_or(0);
    let ([a, b], [c, d]) = (digits(seconds / 3600), digits(seconds / 60 % 60));
    out.extend_from_slice(&[if east < 0 { b'-' } else { b'+' }, a, b, b':', c, d]);
    if seconds % 60 != 0 {
        out.push(b':');
        out.extend_from_slice(&digits::<2>(seconds % 60));
    }
}

/// The last `N` digits of a number.
pub(super) fn digits<const N: usize>(mut number: u32) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelt_as_ours_is_read_at_a_glance_and_nothing_else() {
        for micros in [0, -1, 1_500_000, 59 * SECOND + 7, FIRST_DAY * DAY, (LAST_DAY + 1) * DAY - 1] {
            let mut text = Spelt::new();
            spell_moment(micros, &mut text).expect("within the years");
            assert_eq!(spelt(&text), Some(micros));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] = if other[at].is_ascii_digit() { b':' } else { b'0' };
                assert_eq!(spelt(&other), None, "{other:?}");
            }
        }
        for other in
            ["2023-02-29 00:00:00.000000", "0000-01-01 00:00:00.000000", "2024-01-01 24:00:00.000000"]
        {
            assert_eq!(spelt(other.as_bytes()), None, "{other}");
        }
    }
}
