//! Decimal numbers: digits are kept one by one, never as a float.

use super::{Misfit, Spelt, characters};
use rusqlite::types::ValueRef;
use smallvec::SmallVec;

pub(super) const NOT_A_NUMBER: Misfit = Misfit("text that is not a number");

/// A decimal number: `digits` without leading zeros, of which the last `scale` stand after the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) negative: bool,
    pub(super) digits: Spelt,
    pub(super) scale: i32,
}

/// The sign word of a negative number.
pub(super) const MINUS: u16 = 0x4000;

/// `numeric` holds up to this many digits after the point (Numeric Types).
const MAX_SCALE: i32 = 16_383;

/// `numeric` holds up to this many digits before the point.
pub(super) const MAX_WHOLE: i32 = 131_072;

/// The binary form holds up to this many groups of four digits (numeric.c, `numeric_recv`: `NUMERIC_MAX_PRECISION` +
/// `NUMERIC_MAX_RESULT_SCALE`), trailing zeros not counted.
const MAX_GROUPS: usize = 3000;

impl Decimal {
    pub(super) fn of(value: ValueRef<'_>) -> Result<Decimal, Misfit> {
        match value {
            ValueRef::Integer(number) => Decimal::parse(itoa::Buffer::new().format(number)),
            ValueRef::Real(real) => Decimal::of_real(real),
            ValueRef::Text(bytes) => Decimal::parse(characters(bytes)?),
            ValueRef::Blob(_) | ValueRef::Null => Err(Misfit("a blob")),
        }
    }

    /// Without exponent, and with its digits after the point.
    pub(super) fn spelt(&self) -> String {
        let scale = usize::try_from(self.scale).unwrap_or(0);
        let mut digits = "0".repeat((scale + 1).saturating_sub(self.digits.len()));
        digits.push_str(&String::from_utf8_lossy(&self.digits));
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let (sign, point) = (if self.negative { "-" } else { "" }, if scale > 0 { "." } else { "" });
        format!("{sign}{whole}{point}{fraction}")
    }

    /// The number, if it is whole and within the range.
    pub(super) fn integer(&self) -> Option<i64> {
        if self.scale != 0 {
            return None;
        }
        let add = |value: i64, digit: &u8| {
            let digit = i64::from(digit - b'0');
            value.checked_mul(10)?.checked_add(if self.negative { -digit } else { digit })
        };
        self.digits.iter().try_fold(0, add)
    }

    /// The double that is nearest.
    pub(super) fn real(&self) -> Option<f64> {
        let mut text = Spelt::new();
        text.push(if self.negative { b'-' } else { b'+' });
        text.extend_from_slice(&self.digits);
        text.extend_from_slice(b"0e-");
        text.extend_from_slice(itoa::Buffer::new().format(self.scale + 1).as_bytes());
        std::str::from_utf8(&text).ok()?.parse().ok()
    }

    /// `[+-] digits [. digits] [e [+-] digits]`, as both databases read numbers.
    pub(super) fn parse(text: &str) -> Result<Decimal, Misfit> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| NOT_A_NUMBER)?),
            None => (text, 0),
        };
        let negative = mantissa.starts_with('-');
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let mut digits = Spelt::from_slice(whole.as_bytes());
        digits.extend_from_slice(fraction.as_bytes());
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
    pub(super) fn of_real(real: f64) -> Result<Decimal, Misfit> {
        if !real.is_finite() {
            return Err(Misfit("a real that is infinite"));
        }
        Ok(Decimal::parse(zmij::Buffer::new().format_finite(real))?.without_trailing_zeros())
    }

    /// No leading zeros; no negative scale; zero has no sign.
    pub(super) fn settle(&mut self) {
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

    pub(super) fn without_trailing_zeros(mut self) -> Decimal {
        while self.scale > 0 && self.digits.last().is_none_or(|digit| *digit == b'0') {
            self.digits.pop();
            self.scale -= 1;
        }
        self
    }

    /// The same value with exactly `scale` digits after the point, as `numeric(precision, scale)` stores it. A negative
    /// scale stores whole tens, hundreds, …
    pub(super) fn within(mut self, precision: i32, scale: i32) -> Result<Decimal, Misfit> {
        self = self.without_trailing_zeros();
        if self.scale > scale.max(0) {
            return Err(Misfit("a number with more digits after the point"));
        }
        let rounded = usize::try_from(-scale).unwrap_or(0);
        if self.digits.iter().rev().take(rounded).any(|digit| *digit != b'0') {
            return Err(Misfit("a number with more digits than its scale keeps"));
        }
        self.pad(scale);
        let length = i32::try_from(self.digits.len()).unwrap_or(i32::MAX);
        if length + scale.min(0) > precision {
            return Err(Misfit("a number with more digits before the point"));
        }
        Ok(self)
    }

    /// The same value with at least `scale` digits after the point.
    pub(super) fn pad(&mut self, scale: i32) {
        while self.scale < scale {
            if !self.digits.is_empty() {
                self.digits.push(b'0');
            }
            self.scale += 1;
        }
    }

    /// Rounds to `scale` digits after the point, halves away from zero, as the server does (numeric.c, `round_var`),
    /// and says whether that made another number.
    pub(super) fn round(&mut self, scale: i32) -> bool {
        let Ok(surplus) = usize::try_from(self.scale - scale) else { return false };
        let cut = self.digits.len().saturating_sub(surplus);
        let lost = &self.digits[cut..];
        if lost.iter().all(|digit| *digit == b'0') {
            return false;
        }
        // the first digit that goes decides, if it is there and not a zero that is not written
        let up = lost.len() == surplus && lost.first().is_some_and(|digit| *digit >= b'5');
        self.digits.truncate(cut);
        if up {
            let nines = self.digits.iter().rev().take_while(|digit| **digit == b'9').count();
            let at = self.digits.len() - nines;
            self.digits[at..].fill(b'0');
            match at.checked_sub(1) {
                Some(before) => self.digits[before] += 1,
                None => self.digits.insert(0, b'1'),
            }
        }
        self.scale = scale;
        self.settle();
        true
    }

    /// The server's form: groups of four decimal digits, the weight of the first group, sign, display scale
    /// (numeric.c, `numeric_recv`).
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let too_long = |_| Misfit("a number with more digits than numeric holds");
        let length = i32::try_from(self.digits.len()).map_err(too_long)?;
        let whole = length - self.scale;
        // so that the point falls between two groups
        let lead = whole.rem_euclid(4);
        let lead = if lead == 0 { 4 } else { lead };
        let mut groups: SmallVec<[i16; 16]> = SmallVec::new();
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
        if groups.len() > MAX_GROUPS {
            return Err(Misfit("a number with more digits than the server takes at once"));
        }
        let weight = if groups.is_empty() { 0 } else { (whole + 3).div_euclid(4) - 1 };
        out.extend_from_slice(&i16::try_from(groups.len()).map_err(too_long)?.to_be_bytes());
        out.extend_from_slice(&i16::try_from(weight).map_err(too_long)?.to_be_bytes());
        out.extend_from_slice(&(if self.negative { MINUS } else { 0 }).to_be_bytes());
        out.extend_from_slice(&u16::try_from(self.scale).map_err(too_long)?.to_be_bytes());
        for group in groups {
            out.extend_from_slice(&group.to_be_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
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
    fn rounding_goes_away_from_zero() {
        let round = |text, scale| {
            let mut decimal = Decimal::parse(text).expect(text);
            let changed = decimal.round(scale);
            (decimal.spelt(), changed)
        };
        assert_eq!(round("1.005", 2), ("1.01".into(), true));
        assert_eq!(round("-9.995", 2), ("-10.00".into(), true));
        assert_eq!(round("0.004", 2), ("0.00".into(), true));
        assert_eq!(round("-0.004", 2), ("0.00".into(), true));
        assert_eq!(round("0.5", 0), ("1".into(), true));
        assert_eq!(round("0.05", 0), ("0".into(), true));
        assert_eq!(round("1.500", 1), ("1.500".into(), false));
        assert_eq!(round("1250", -2), ("1300".into(), true));
        assert_eq!(round("49", -2), ("0".into(), true));
    }
}
