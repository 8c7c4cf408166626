//! Booleans, integers, floats and numerics.

use super::{Codec, Fit, Misfit, characters, fit};
use rusqlite::types::ValueRef;

/// `boolean`: 0 and 1, and in text the spellings PostgreSQL itself accepts (Boolean Type).
#[must_use]
pub fn boolean() -> Codec {
    Codec::new("a boolean: 0, 1 or one of PostgreSQL's spellings", |value, out| {
        let (truth, exact) = match value {
            ValueRef::Integer(0) => (false, true),
            ValueRef::Integer(1) => (true, true),
            ValueRef::Integer(_) => return Err(Misfit("an integer other than 0 and 1")),
            ValueRef::Real(real) if real == 0.0 || real == 1.0 => (real == 1.0, false),
            ValueRef::Real(_) => return Err(Misfit("a real other than 0 and 1")),
            ValueRef::Text(bytes) => (truth(characters(bytes)?)?, false),
            ValueRef::Blob(_) | ValueRef::Null => return Err(Misfit("a blob")),
        };
        out.push(u8::from(truth));
        Ok(fit(exact))
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
    let min = -max - 1;
    Codec::new(format!("an integer from {min} to {max}"), move |value, out| {
        let (number, exact) = match value {
            ValueRef::Integer(number) => (number, true),
            ValueRef::Real(real) => (whole(real)?, false),
            ValueRef::Text(bytes) => (canonical_integer(bytes)?, false),
            ValueRef::Blob(_) | ValueRef::Null => return Err(Misfit("a blob")),
        };
        if number < min || number > max {
            return Err(Misfit("an integer out of range"));
        }
        out.extend_from_slice(&number.to_be_bytes()[8 - bytes..]);
        Ok(fit(exact))
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
        Err(Misfit("an integer out of range"))
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
    Codec::new("a number that a double holds exactly", |value, out| {
        let (real, fit) = real(value)?;
        out.extend_from_slice(&real.to_be_bytes());
        Ok(fit)
    })
}

/// `real`: what its shortest decimal form gives back, so `0.1` fits and 0.1000000001 does not.
#[must_use]
pub fn single() -> Codec {
    Codec::new("a number that a real (four bytes) holds exactly", |value, out| {
        let (real, fit) = real(value)?;
        #[expect(clippy::cast_possible_truncation, reason = "checked in the next line")]
        let single = real as f32;
        if single.to_string().parse() != Ok(real) {
            return Err(Misfit("a real with more digits than four bytes hold"));
        }
        out.extend_from_slice(&single.to_be_bytes());
        Ok(fit)
    })
}

fn real(value: ValueRef<'_>) -> Result<(f64, Fit), Misfit> {
    match value {
        ValueRef::Real(real) => Ok((real, Fit::Exact)),
        ValueRef::Integer(number) => {
            #[expect(clippy::cast_precision_loss, reason = "checked in the next line")]
            let real = number as f64;
            if whole(real) != Ok(number) {
                return Err(Misfit("an integer with more digits than a float holds"));
            }
            Ok((real, Fit::Normalised))
        }
        ValueRef::Text(bytes) => {
            let decimal = Decimal::parse(characters(bytes)?)?;
            let real: f64 = decimal.to_string().parse().map_err(|_| NOT_A_NUMBER)?;
            if Decimal::of_real(real)? != decimal.without_trailing_zeros() {
                return Err(Misfit("text with more digits than a float holds"));
            }
            Ok((real, Fit::Normalised))
        }
        ValueRef::Blob(_) | ValueRef::Null => Err(Misfit("a blob")),
    }
}

const NOT_A_NUMBER: Misfit = Misfit("text that is not a number");

/// `numeric` or `numeric(precision, scale)`, by its type modifier. A real gives its shortest digits that read back as
/// the same real.
#[must_use]
pub fn numeric(modifier: i32) -> Codec {
    // numeric.c: precision in the upper half, scale in eleven signed bits, both offset by VARHDRSZ
    let limit = (modifier >= 4).then(|| {
        let packed = modifier - 4;
        ((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024)
    });
    let expects = match limit {
        Some((precision, scale)) => {
            format!("a number of at most {precision} digits, {scale} of them after the point")
        }
        None => "a number".to_owned(),
    };
    Codec::new(expects, move |value, out| {
        let (decimal, fit) = match value {
            ValueRef::Integer(number) => (Decimal::parse(&number.to_string())?, Fit::Exact),
            ValueRef::Real(real) if real.is_infinite() && limit.is_none() => {
                // numeric.c: no digits, weight 0, the sign word alone; numeric_send reads a display scale of 32 out of it
                let sign: u16 = if real > 0.0 { 0xd000 } else { 0xf000 };
                for word in [0, 0, sign, 32] {
                    out.extend_from_slice(&word.to_be_bytes());
                }
                return Ok(Fit::Exact);
            }
            ValueRef::Real(real) => (Decimal::of_real(real)?, Fit::Exact),
            ValueRef::Text(bytes) => (Decimal::parse(characters(bytes)?)?, Fit::Normalised),
            ValueRef::Blob(_) | ValueRef::Null => return Err(Misfit("a blob")),
        };
        let decimal = match limit {
            Some((precision, scale)) => decimal.within(precision, scale)?,
            None => decimal,
        };
        decimal.write(out)?;
        Ok(fit)
    })
}

/// The number that `text` writes, as the server's `numeric_out` spells it: no exponent, and its digits after the point.
///
/// # Errors
/// [`Misfit`] if it is none, or one that `numeric` cannot hold.
pub(super) fn numeric_text(text: &str) -> Result<String, Misfit> {
    let decimal = Decimal::parse(text)?;
    let scale = usize::try_from(decimal.scale).unwrap_or(0);
    let digits = String::from_utf8_lossy(&decimal.digits);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let (sign, point) = (if decimal.negative { "-" } else { "" }, if scale > 0 { "." } else { "" });
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

/// A decimal number: `digits` without leading zeros, of which the last `scale` stand after the point.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    scale: i32,
}

/// `numeric` holds up to this many digits after the point (Numeric Types).
const MAX_SCALE: i32 = 16_383;

/// and up to this many before it.
const MAX_WHOLE: i32 = 131_072;

impl Decimal {
    /// `[+-] digits [. digits] [e [+-] digits]`, as both databases read numbers.
    fn parse(text: &str) -> Result<Decimal, Misfit> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| NOT_A_NUMBER)?),
            None => (text, 0),
        };
        let negative = mantissa.starts_with('-');
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(NOT_A_NUMBER);
        }
        let too_long = Misfit("a number with more digits than numeric holds");
        let scale = i32::try_from(fraction.len()).map_err(|_| too_long)?;
        let scale = scale.checked_sub(exponent).ok_or(too_long)?;
        if !(-MAX_WHOLE..=MAX_SCALE).contains(&scale) || digits.len() > (MAX_WHOLE + MAX_SCALE) as usize {
            return Err(too_long);
        }
        let mut decimal = Decimal { negative, digits, scale };
        decimal.settle();
        Ok(decimal)
    }

    /// The shortest digits that read back as `real`.
    fn of_real(real: f64) -> Result<Decimal, Misfit> {
        if !real.is_finite() {
            return Err(Misfit("a real that is infinite"));
        }
        Ok(Decimal::parse(&format!("{real:e}"))?.without_trailing_zeros())
    }

    /// No leading zeros; no negative scale; zero has no sign.
    fn settle(&mut self) {
        while self.scale < 0 {
            self.digits.push(0x30);
            self.scale += 1;
        }
        let zeros = self.digits.iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..zeros);
        if self.digits.is_empty() {
            self.negative = false;
        }
    }

    fn without_trailing_zeros(mut self) -> Decimal {
        while self.scale > 0 && self.digits.last().is_none_or(|digit| *digit == b'0') {
            self.digits.pop();
            self.scale -= 1;
        }
        self
    }

    /// The same value with exactly `scale` digits after the point, as `numeric(precision, scale)` stores it. A negative
    /// scale stores whole tens, hundreds, …
    fn within(mut self, precision: i32, scale: i32) -> Result<Decimal, Misfit> {
        self = self.without_trailing_zeros();
        if self.scale > scale.max(0) {
            return Err(Misfit("a number with more digits after the point"));
        }
        let rounded = usize::try_from(-scale).unwrap_or(0);
        if self.digits.iter().rev().take(rounded).any(|digit| *digit != b'0') {
            return Err(Misfit("a number with more digits than its scale keeps"));
        }
        while self.scale < scale {
            if !self.digits.is_empty() {
                self.digits.push(b'0');
            }
            self.scale += 1;
        }
        let length = i32::try_from(self.digits.len()).unwrap_or(i32::MAX);
        if length + scale.min(0) > precision {
            return Err(Misfit("a number with more digits before the point"));
        }
        Ok(self)
    }

    /// The server's form: groups of four decimal digits, the weight of the first group, sign, display scale
    /// (numeric.c, `numeric_recv`).
    fn write(&self, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let too_long = |_| Misfit("a number with more digits than numeric holds");
        let length = i32::try_from(self.digits.len()).map_err(too_long)?;
        let whole = length - self.scale;
        // so that the point falls between two groups
        let lead = whole.rem_euclid(4);
        let lead = if lead == 0 { 4 } else { lead };
        let mut groups: Vec<i16> = Vec::with_capacity(self.digits.len() / 4 + 2);
        let mut rest = self.digits.as_slice();
        let mut take = usize::try_from(lead).unwrap_or(4);
        while !rest.is_empty() {
            let (group, after) = rest.split_at(take.min(rest.len()));
            let value = group.iter().fold(0, |value, digit| value * 10 + i16::from(digit - b'0'));
            let missing = u32::try_from(take - group.len()).unwrap_or(0);
            groups.push(value * 10_i16.pow(missing));
            rest = after;
            take = 4;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        let weight = if groups.is_empty() { 0 } else { (whole + 3).div_euclid(4) - 1 };
        out.extend_from_slice(&i16::try_from(groups.len()).map_err(too_long)?.to_be_bytes());
        out.extend_from_slice(&i16::try_from(weight).map_err(too_long)?.to_be_bytes());
        out.extend_from_slice(&(if self.negative { 0x4000_u16 } else { 0 }).to_be_bytes());
        out.extend_from_slice(&u16::try_from(self.scale).map_err(too_long)?.to_be_bytes());
        for group in groups {
            out.extend_from_slice(&group.to_be_bytes());
        }
        Ok(())
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let digits = String::from_utf8_lossy(&self.digits);
        write!(f, "{sign}{digits:0>1}e-{}", self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> String {
        Decimal::parse(text).expect(text).to_string()
    }

    #[test]
    fn decimals_are_read_as_written() {
        assert_eq!(decimal("-12.50"), "-1250e-2");
        assert_eq!(decimal("+007"), "7e-0");
        assert_eq!(decimal("1.5e3"), "1500e-0");
        assert_eq!(decimal("15e-3"), "15e-3");
        assert_eq!(decimal("-0.00"), "0e-2");
        for bad in ["", "-", ".", "1.2.3", "1e", "0x10", "NaN", "1_000", " 1", "1,5"] {
            assert_eq!(Decimal::parse(bad), Err(NOT_A_NUMBER), "{bad}");
        }
    }

    #[test]
    fn numbers_are_spelt_without_exponent() {
        for (text, spelt) in
            [("1e3", "1000"), ("-1.50", "-1.50"), ("1.5e-3", "0.0015"), ("-0", "0"), ("0.10", "0.10")]
        {
            assert_eq!(numeric_text(text).as_deref(), Ok(spelt), "{text}");
        }
    }

    #[test]
    fn precision_and_scale_never_round() {
        let within = |text, precision, scale| {
            Decimal::parse(text).and_then(|d| d.within(precision, scale)).map(|d| d.to_string())
        };
        assert_eq!(within("1.5", 4, 2), Ok("150e-2".into()));
        assert_eq!(within("1.500", 4, 2), Ok("150e-2".into()));
        assert_eq!(within("0", 2, 2), Ok("0e-2".into()));
        assert_eq!(within("0.05", 2, 2), Ok("5e-2".into()));
        assert!(within("1.505", 4, 2).is_err());
        assert!(within("100", 4, 2).is_err());
        assert_eq!(within("1200", 2, -2), Ok("1200e-0".into()));
        assert!(within("1250", 2, -2).is_err());
    }

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
