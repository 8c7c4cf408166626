//! Numbers in another storage class, or as text.

use super::super::decimal::Decimal;
use super::super::{Cell, numeric};
use super::Format;

/// 2^53: up to here every whole number is a double.
const EXACT: i64 = 1 << 53;

/// The same number as REAL.
pub(super) fn real(whole: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "within 2^53")]
    (-EXACT..=EXACT).contains(&whole).then_some(whole as f64)
}

/// The same number as INTEGER, if it is whole. A negative zero is none.
pub(super) fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "compared in the next line")]
    let whole = number as i64;
    real(whole).filter(|same| same.to_bits() == number.to_bits()).map(|_| whole)
}

/// A number as its shortest digits, as SQLite casts it to text.
pub(super) fn digits(cell: &Cell<'_>) -> Option<Cell<'static>> {
    match cell {
        Cell::Integer(number) => Cell::spelt(itoa::Buffer::new().format(*number)),
        Cell::Real(real) => {
            let text = format!("{real:?}");
            // of two shortest forms that are as near, the server writes the even one, and these digits may be the other
            let same =
                Decimal::parse(&text).ok()?.without_trailing_zeros() == Decimal::of_real(*real).ok()?;
            if same { Cell::spelt(text) } else { None }
        }
        _ => None,
    }
}

/// A number without exponent and with at least so many digits after the point; none of a negative zero, whose sign
/// would be lost.
pub(super) fn plain(cell: &Cell<'_>, digits: u16) -> Option<Cell<'static>> {
    let mut decimal = match cell {
        Cell::Text(_) | Cell::Blob(_) => return None,
        Cell::Real(zero) if *zero == 0.0 && zero.is_sign_negative() => return None,
        _ => Decimal::of(cell.value()).ok()?.without_trailing_zeros(),
    };
    decimal.pad(digits.into());
    Cell::spelt(decimal.spelt())
}

/// A `numeric` as the server writes it; none of another number, even if its bytes read as a `numeric`.
pub(super) fn scaled(field: &[u8], usual: &Cell<'_>) -> Option<Cell<'static>> {
    let written = numeric::written(field)?;
    let number = Decimal::parse(&written).ok()?.without_trailing_zeros();
    let same = Decimal::of(usual.value()).is_ok_and(|usual| usual.without_trailing_zeros() == number);
    if same { Cell::spelt(written) } else { None }
}

/// The number that `text` writes as SQLite casts it to text.
pub(super) fn read(text: &[u8]) -> Option<Cell<'static>> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(number) = text.parse::<i64>() {
        return (itoa::Buffer::new().format(number) == text).then_some(Cell::Integer(number));
    }
    let real: f64 = text.parse().ok()?;
    (format!("{real:?}") == text && real.is_finite()).then_some(Cell::Real(real))
}

/// What a number that is written as `text` may be spelt in.
pub(super) fn formats(text: &[u8]) -> Vec<Format> {
    if !text.first().is_some_and(|first| first.is_ascii_digit() || *first == b'-') {
        return Vec::new();
    }
    let point = text.iter().position(|byte| *byte == b'.');
    let after = point.and_then(|point| u16::try_from(text.len() - point - 1).ok());
    [Format::Digits, Format::Plain, Format::Scaled].into_iter().chain(after.map(Format::Fixed)).collect()
}
