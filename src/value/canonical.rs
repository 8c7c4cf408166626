//! What the server keeps apart although it is one value, and the application's file knows one form of it only: the zeros
//! at the end of a `numeric` without a scale of its own, and the days of an `interval` that a rule counts. In goes the
//! binary form of a value, to be changed in place to the one form in which it is compared.

use super::moment::DAY;

/// Brings a value to the form in which it is compared; what has no other form stays.
pub type Canonical = fn(&mut [u8]);

/// Bytes before the digits of a `numeric`: the number of their groups, the weight of the first, sign, and scale.
const HEAD_BYTES: usize = 8;

/// Decimal digits of a group.
const GROUP_DIGITS: i32 = 4;

/// Takes the zeros out of a `numeric`: groups that are zero are never sent, so that it is the scale alone that says
/// them. (numeric.c, `numeric_send`, `strip_var`.)
pub(super) fn without_zeros(value: &mut [u8]) {
    let Some((head, digits)) = value.split_first_chunk_mut::<HEAD_BYTES>() else { return };
    let groups = digits.as_chunks().0;
    let weight = i32::from(i16::from_be_bytes([head[2], head[3]]));
    let after_point = i32::try_from(groups.len()).unwrap_or(i32::MAX).saturating_sub(1 + weight);
    let last = groups.last().map_or(0, |group| u16::from_be_bytes(*group));
    let scale = after_point.saturating_mul(GROUP_DIGITS).saturating_sub(zeros(last));
    let scale = u16::try_from(scale.max(0)).unwrap_or(u16::MAX);
    head[6..].copy_from_slice(&scale.to_be_bytes());
}

/// How many zeros a group ends with.
fn zeros(group: u16) -> i32 {
    match group {
        0 => GROUP_DIGITS,
        _ if group.is_multiple_of(1000) => 3,
        _ if group.is_multiple_of(100) => 2,
        _ if group.is_multiple_of(10) => 1,
        _ => 0,
    }
}

/// Makes hours of an `interval`'s days, 24 of each, as the server compares intervals. A month is not so many days, and
/// stays. (timestamp.c, `interval_cmp_value`, `interval_send`.)
pub(super) fn in_hours(value: &mut [u8]) {
    let Some((micros, rest)) = value.split_first_chunk_mut::<8>() else { return };
    let Some((days, months)) = rest.split_first_chunk_mut::<4>() else { return };
    let (whole, rest) = (i32::from_be_bytes(*days), i64::from_be_bytes(*micros));
    if let Some(all) = micros_of(whole, rest).filter(|_| months == [0; 4]) {
        *micros = all.to_be_bytes();
        *days = [0; 4];
    }
}

/// How many microseconds so many `days`, of 24 hours each, and `micros` are; none if that is out of range.
pub(super) fn micros_of(days: i32, micros: i64) -> Option<i64> {
    i64::from(days).checked_mul(DAY)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Read, Rules, interval::interval, numeric::numeric};
    use rusqlite::types::ValueRef;

    #[test]
    fn a_number_is_the_same_with_and_without_its_zeros() {
        let codec = numeric(-1, &Rules::default());
        let number = |text: &str| {
            let mut value = Vec::new();
            (codec.encode)(&ValueRef::Text(text.as_bytes()), &mut value).expect("a number");
            value
        };
        for (text, short) in [
            ("12.50", "12.5"),
            ("12.00", "12"),
            ("-0.00010", "-0.0001"),
            ("0.00000", "0"),
            ("0.0000000001000", "0.0000000001"),
            ("120000.0", "120000"),
            ("1.23456000", "1.23456"),
            ("10000.00000001", "10000.00000001"),
            ("7", "7"),
        ] {
            let mut value = number(text);
            without_zeros(&mut value);
            assert_eq!(value, number(short), "{text}");
        }
    }

    #[test]
    fn days_are_the_same_as_their_hours_and_months_are_no_days() {
        let hours = |micros: i64, days: i32, months: i32| {
            let whole = [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat();
            let mut counted = whole.clone();
            in_hours(&mut counted);
            (whole, counted)
        };
        let day = 86_400_000_000;
        assert_eq!(hours(5, 40, 0).1, hours(40 * day + 5, 0, 0).0);
        assert_eq!(hours(5, -1, 0).1, hours(5 - day, 0, 0).0);
        for kept in [hours(5, 0, 0), hours(5, 1, 1), hours(i64::MAX, 1, 0), hours(0, i32::MAX, 0)] {
            assert_eq!(kept.0, kept.1);
        }
    }

    #[test]
    fn only_what_has_several_forms_is_brought_to_one() {
        let read = |read| Rules { read, ..Rules::default() };
        let canonical = |rules| interval(-1, &rules).canonical.is_some();
        assert!(canonical(read(Some(Read::UnixMicros))) && canonical(read(Some(Read::Epoch))));
        assert!(!canonical(read(None)));
        let digits = 4 + (6 << 16) + 2;
        let canonical = |modifier| numeric(modifier, &Rules::default()).canonical.is_some();
        assert!(canonical(-1) && !canonical(digits));
    }
}
