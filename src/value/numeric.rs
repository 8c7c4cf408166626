//! `numeric`, and numbers that count something in units of a power of ten.

use super::canonical::{self, Canonical};
use super::decimal::{Decimal, MAX_WHOLE, MINUS};
use super::short::Short;
use super::{Cell, Codec, Misfit, Rules, Spelt, spelling};
use crate::error::counted;
use rusqlite::types::ValueRef;

/// `numeric` or `numeric(precision, scale)`, by its type modifier. A real gives its shortest digits that read back as
/// the same real. On the way back a whole number is an integer and any other a real, as SQLite's NUMERIC affinity has
/// it, as long as they hold all digits; else it is text.
#[must_use]
pub fn numeric(modifier: i32, rules: &Rules) -> Codec {
    // numeric.c: precision in the upper half, scale in eleven signed bits, both offset by VARHDRSZ
    let limit = (modifier >= 4).then(|| {
        let packed = modifier - 4;
        ((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024)
    });
    let expects = match limit {
        Some((precision, scale)) => {
            let digits = counted(u64::from(precision.unsigned_abs()), "digit");
            format!("a number of at most {digits}, {scale} of them after the point")
        }
        None => "a number".to_owned(),
    };
    let round = rules.round;
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        if let ValueRef::Real(real) = value
            && real.is_infinite()
            && limit.is_none()
        {
            // numeric.c: no digits, weight 0, the sign word alone; numeric_send reads a display scale of 32 out of it
            for word in [0, 0, if real > 0.0 { PLUS_INFINITY } else { MINUS_INFINITY }, 32] {
                out.extend_from_slice(&word.to_be_bytes());
            }
            return Ok(false);
        }
        if let Some(short) = short(value)
            && let Some(short) =
                limit.map_or(Some(short), |(precision, scale)| short.within(precision, scale))
            && short.write(out)
        {
            return Ok(false);
        }
        let mut decimal = Decimal::of(value)?;
        let mut changed = false;
        if let Some((precision, scale)) = limit {
            changed = round && decimal.round(scale);
            decimal = decimal.within(precision, scale)?;
        }
        decimal.write(out)?;
        Ok(changed)
    };
    let free = limit.is_none().then_some(canonical::without_zeros as Canonical);
    Codec { canonical: free, ..Codec::changing(expects, encode, |bytes| back(bytes)) }
}

const PLUS_INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

/// The number that a cell is, if it is short.
fn short(value: ValueRef<'_>) -> Option<Short> {
    match value {
        ValueRef::Integer(number) => Short::integer(number),
        ValueRef::Real(real) if real.is_finite() => {
            Some(Short::parse(zmij::Buffer::new().format_finite(real).as_bytes())?.without_trailing_zeros())
        }
        ValueRef::Text(bytes) => Short::parse(bytes),
        ValueRef::Real(_) | ValueRef::Blob(_) | ValueRef::Null => None,
    }
}

fn back(bytes: &[u8]) -> Option<Cell<'static>> {
    if let Some(short) = Short::read(bytes) {
        if let Some(number) = short.whole() {
            return Some(Cell::Integer(number));
        }
        if let Some(real) = short.real() {
            return Some(Cell::Real(real));
        }
    }
    let (decimal, scale) = match taken_apart(bytes)? {
        Numeric::Infinite(real) => return Some(Cell::Real(real)),
        Numeric::Finite(decimal, scale) => (decimal, scale),
    };
    let mut decimal = decimal.without_trailing_zeros();
    if decimal.scale == 0
        && decimal.digits.len() <= 19
        && let Some(number) = decimal.integer()
    {
        return Some(Cell::Integer(number));
    }
    if let Some(real) = decimal.real()
        && Decimal::of_real(real).as_ref() == Ok(&decimal)
    {
        return Some(Cell::Real(real));
    }
    decimal.pad(scale);
    Cell::spelt(decimal.spelt())
}

/// The number as the server writes it: with all digits after the point that it keeps. None of one that is not finite.
pub(super) fn written(bytes: &[u8]) -> Option<String> {
    match taken_apart(bytes)? {
        Numeric::Infinite(_) => None,
        Numeric::Finite(decimal, scale) => {
            let mut decimal = decimal.without_trailing_zeros();
            decimal.pad(scale);
            Some(decimal.spelt())
        }
    }
}

/// What the binary form says.
enum Numeric {
    Infinite(f64),
    /// The number, and how many digits are shown after its point.
    Finite(Decimal, i32),
}

fn taken_apart(bytes: &[u8]) -> Option<Numeric> {
    let (head, groups) = bytes.split_first_chunk::<8>()?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let negative = match word(4) {
        PLUS_INFINITY => return Some(Numeric::Infinite(f64::INFINITY)),
        MINUS_INFINITY => return Some(Numeric::Infinite(f64::NEG_INFINITY)),
        0 => false,
        MINUS => true,
        _ => return None,
    };
    let weight = i32::from(i16::from_be_bytes([head[2], head[3]]));
    let mut digits = Spelt::new();
    for group in groups.chunks_exact(2) {
        digits.extend_from_slice(&spelling::digits::<4>(u16::from_be_bytes([group[0], group[1]]).into()));
    }
    let written = i32::try_from(digits.len()).ok()?;
    let mut decimal = Decimal { negative, digits, scale: written - 4 * (weight + 1) };
    decimal.settle();
    Some(Numeric::Finite(decimal, i32::from(word(6))))
}

/// `value` times 10^`power` as a whole number, and whether digits had to be rounded away for that.
///
/// # Errors
/// [`Misfit`] if it is no number, has more digits and may not be rounded, or is out of range.
pub(super) fn scaled(value: ValueRef<'_>, power: u32, round: bool) -> Result<(i64, bool), Misfit> {
    let beyond = Misfit("a number out of range");
    if let ValueRef::Integer(number) = value {
        return Ok((number.checked_mul(10_i64.pow(power)).ok_or(beyond)?, false));
    }
    let mut decimal = Decimal::of(value)?.without_trailing_zeros();
    let kept = i32::try_from(power).map_err(|_| beyond)?;
    let mut changed = false;
    if decimal.scale > kept {
        if !round {
            return Err(Misfit("a number with digits beyond the microsecond"));
        }
        changed = decimal.round(kept);
    }
    decimal.pad(kept);
    decimal.scale = 0;
    Ok((decimal.integer().ok_or(beyond)?, changed))
}

/// `number` divided by 10^`power`: an integer, or the real that has exactly these digits.
pub(super) fn unscaled(number: i64, power: u32) -> Option<Cell<'static>> {
    let unit = 10_i64.pow(power);
    if number % unit == 0 {
        return Some(Cell::Integer(number / unit));
    }
    let decimal = Decimal::parse(&format!("{number}e-{power}")).ok()?.without_trailing_zeros();
    let real = decimal.real()?;
    (Decimal::of_real(real).as_ref() == Ok(&decimal)).then_some(Cell::Real(real))
}

/// The number that `text` writes, as the server's `numeric_out` spells it: no exponent, and its digits after the point.
///
/// # Errors
/// [`Misfit`] if it is none, or one that `numeric` cannot hold.
pub(super) fn numeric_text(text: &str) -> Result<String, Misfit> {
    let decimal = Decimal::parse(text)?;
    if i32::try_from(decimal.digits.len()).is_ok_and(|digits| digits - decimal.scale <= MAX_WHOLE) {
        Ok(decimal.spelt())
    } else {
        Err(Misfit("a number with more digits than numeric holds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelt_without_exponent() {
        for (text, spelt) in
            [("1e3", "1000"), ("-1.50", "-1.50"), ("1.5e-3", "0.0015"), ("-0", "0"), ("0.10", "0.10")]
        {
            assert_eq!(numeric_text(text).as_deref(), Ok(spelt), "{text}");
        }
    }

    #[test]
    fn numbers_end_where_numeric_does() {
        for (good, bad) in [("9e131071", "1e131072"), ("1e-16383", "1e-16384"), ("0e131072", "0e-16384")] {
            assert!(numeric_text(good).is_ok(), "{good}");
            assert!(numeric_text(bad).is_err(), "{bad}");
        }
        let whole = |digits| "9".repeat(digits);
        assert!(numeric_text(&whole(131_072)).is_ok());
        assert!(numeric_text(&whole(131_073)).is_err());
    }

    #[test]
    fn any_weight_decodes() {
        // no server sends these: one group, as far from the point as sixteen bits reach
        for weight in [i16::MIN, i16::MAX] {
            let mut bytes = vec![0, 1];
            bytes.extend_from_slice(&weight.to_be_bytes());
            bytes.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
            assert!(back(&bytes).is_some());
        }
    }

    #[test]
    fn scaling_is_exact_or_refused() {
        let real = |real, round| scaled(ValueRef::Real(real), 6, round);
        assert_eq!(real(1_700_000_000.123_456, false), Ok((1_700_000_000_123_456, false)));
        assert!(real(0.123_456_7, false).is_err());
        assert_eq!(real(0.123_456_7, true), Ok((123_457, true)));
        assert!(real(1e300, false).is_err());
        assert!(scaled(ValueRef::Integer(i64::MAX), 6, true).is_err());
        assert_eq!(unscaled(1_700_000_000_123_456, 6), Some(Cell::Real(1_700_000_000.123_456)));
        assert_eq!(unscaled(-5_000_000, 6), Some(Cell::Integer(-5)));
        assert_eq!(unscaled(9_007_199_254_740_993_001, 6), None);
    }
}
