//! Booleans, integers and floats.

use super::decimal::{Decimal, NOT_A_NUMBER};
use super::{Cell, Codec, Fit, Misfit, array, characters};
use rusqlite::types::ValueRef;

/// `boolean`: 0 and 1, and in text the spellings PostgreSQL itself accepts (Boolean Type).
#[must_use]
pub fn boolean() -> Codec {
    let encode = |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let mut fit = None;
        let truth = match value {
            ValueRef::Integer(number @ (0 | 1)) => {
                fit = Some(Fit::Exact);
                number == 1
            }
            ValueRef::Integer(_) => return Err(Misfit("an integer other than 0 and 1")),
            ValueRef::Real(real) if real == 0.0 || real == 1.0 => real == 1.0,
            ValueRef::Real(_) => return Err(Misfit("a real other than 0 and 1")),
            ValueRef::Text(bytes) => truth(characters(bytes)?)?,
            ValueRef::Blob(_) | ValueRef::Null => return Err(Misfit("a blob")),
        };
        out.push(u8::from(truth));
        Ok(fit)
    };
    Codec::knowing("a boolean: 0, 1 or one of PostgreSQL's spellings", encode, |bytes| {
        array(bytes).map(|[truth]| Cell::Integer(truth.into()))
    })
}

/// `parse_bool_with_len` of the server: any unambiguous prefix, in any case, between blanks.
fn truth(text: &str) -> Result<bool, Misfit> {
    let word = text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']).to_ascii_lowercase();
    let starts = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if starts("true", 1) || starts("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if starts("false", 1) || starts("no", 1) || starts("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(Misfit("text that is no boolean"))
    }
}

/// `smallint`, `integer`, `bigint`, by the number of bytes.
#[must_use]
pub fn integer(bytes: usize) -> Codec {
    let max = i64::MAX >> (64 - 8 * bytes);
    ranged(bytes, -max - 1, max)
}

/// `oid`: four bytes without a sign.
#[must_use]
pub fn oid() -> Codec {
    ranged(4, 0, u32::MAX.into())
}

fn ranged(width: usize, min: i64, max: i64) -> Codec {
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let mut fit = None;
        let number = match value {
            ValueRef::Integer(number) => {
                fit = Some(Fit::Exact);
                number
            }
            ValueRef::Real(real) => whole(real)?,
            ValueRef::Text(bytes) => canonical_integer(bytes)?,
            ValueRef::Blob(_) | ValueRef::Null => return Err(Misfit("a blob")),
        };
        if number < min || number > max {
            return Err(Misfit("an integer out of range"));
        }
        out.extend_from_slice(&number.to_be_bytes()[8 - width..]);
        Ok(fit)
    };
    Codec::knowing(format!("an integer from {min} to {max}"), encode, move |bytes| {
        let sign = if min < 0 && bytes.first()? >> 7 == 1 { 0xff } else { 0 };
        let mut whole = [sign; 8];
        whole.get_mut(8 - width..)?.copy_from_slice(bytes.get(..width)?);
        Some(Cell::Integer(i64::from_be_bytes(whole)))
    })
}

/// 2^63 as a double: the first that is beyond `i64`.
const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;

fn whole(real: f64) -> Result<i64, Misfit> {
    if !real.is_finite() {
        Err(Misfit("a real that is infinite"))
    } else if real.fract() != 0.0 {
        Err(Misfit("a real with a fraction"))
    } else if (-BEYOND_I64..BEYOND_I64).contains(&real) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within i64")]
        Ok(real as i64)
    } else {
        Err(Misfit("a real out of range"))
    }
}

/// Digits with an optional minus and nothing else, written as SQLite would write them back.
fn canonical_integer(bytes: &[u8]) -> Result<i64, Misfit> {
    let not_one = Misfit("text that is not a whole number");
    let text = characters(bytes)?;
    let number: i64 = text.parse().map_err(|_| not_one)?;
    if number.to_string() == text { Ok(number) } else { Err(not_one) }
}

/// `double precision`: every real, infinities included (SQLite itself stores NaN as NULL).
#[must_use]
pub fn double() -> Codec {
    let encode = |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let real = real(value)?;
        out.extend_from_slice(&real.to_be_bytes());
        Ok((matches!(value, ValueRef::Real(_)) && !real.is_nan()).then_some(Fit::Exact))
    };
    Codec::knowing("a number that a double holds exactly", encode, |bytes| {
        Some(f64::from_be_bytes(array(bytes)?)).filter(|real| !real.is_nan()).map(Cell::Real)
    })
}

/// `real`: what its shortest decimal form gives back, so `0.1` fits and 0.1000000001 does not.
#[must_use]
pub fn single() -> Codec {
    let encode = |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let real = real(value)?;
        #[expect(clippy::cast_possible_truncation, reason = "checked in the next line")]
        let single = real as f32;
        if widened(single).map(f64::to_bits) != Some(real.to_bits()) {
            return Err(Misfit("a real with more digits than four bytes hold"));
        }
        out.extend_from_slice(&single.to_be_bytes());
        Ok(())
    };
    Codec::new("a number that a real (four bytes) holds exactly", encode, |bytes| {
        widened(f32::from_be_bytes(array(bytes)?)).map(Cell::Real)
    })
}

/// The double that is written with the shortest digits of `single`.
fn widened(single: f32) -> Option<f64> {
    single.to_string().parse().ok().filter(|real: &f64| !real.is_nan())
}

fn real(value: ValueRef<'_>) -> Result<f64, Misfit> {
    match value {
        ValueRef::Real(real) => Ok(real),
        ValueRef::Integer(number) => {
            #[expect(clippy::cast_precision_loss, reason = "checked in the next line")]
            let real = number as f64;
            if whole(real) != Ok(number) {
                return Err(Misfit("an integer with more digits than a float holds"));
            }
            Ok(real)
        }
        ValueRef::Text(bytes) => {
            let text = characters(bytes)?;
            let decimal = Decimal::parse(text)?;
            // from the text itself: a decimal zero has no sign
            let real: f64 = text.parse().map_err(|_| NOT_A_NUMBER)?;
            if Decimal::of_real(real)? != decimal.without_trailing_zeros() {
                return Err(Misfit("text with more digits than a float holds"));
            }
            Ok(real)
        }
        ValueRef::Blob(_) | ValueRef::Null => Err(Misfit("a blob")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_postgres_own() {
        for yes in ["t", "TRUE", " yes ", "y", "on", "1"] {
            assert_eq!(truth(yes), Ok(true), "{yes}");
        }
        for no in ["f", "fal", "no", "off", "of", "0"] {
            assert_eq!(truth(no), Ok(false), "{no}");
        }
        for neither in ["", "o", "2", "truee", "ja"] {
            assert!(truth(neither).is_err(), "{neither}");
        }
    }
}
