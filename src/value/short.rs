//! Decimal numbers as applications have them: at most eighteen digits and no exponent, in one machine word. What is
//! longer, or out of the ordinary, is left to [`Decimal`](super::decimal::Decimal), which gives the same for all
//! numbers.

use super::decimal::MINUS;

/// A number below this has at most eighteen digits.
const LIMIT: u64 = 10_u64.pow(18);

/// A decimal of at most so many digits is the shortest that reads back as its nearest double (`DBL_DIG` in C).
const EXACT: u64 = 10_u64.pow(15);

/// Powers of ten up to this are doubles, so that one division gives the nearest.
const LARGEST_POWER: u32 = 22;

/// `mantissa` divided by 10^`scale`; zero has no sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    negative: bool,
    mantissa: u64,
    scale: u32,
}

impl Short {
    /// `[-] digits [. digits]`.
    pub(super) fn parse(text: &[u8]) -> Option<Short> {
        let (negative, digits) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        if digits.len() > 19 || digits.len() < 2 && digits.first() == Some(&b'.') {
            return None;
        }
        let (mut mantissa, mut point) = (0, None);
        for (at, byte) in digits.iter().enumerate() {
            match byte {
                b'.' if point.is_none() => point = Some(at),
                b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
                _ => return None,
            }
        }
        let scale = point.map_or(0, |point| digits.len() - point - 1);
        let fits = !digits.is_empty() && mantissa < LIMIT;
        fits.then_some(Short {
            negative: negative && mantissa != 0,
            mantissa,
            scale: u32::try_from(scale).ok()?,
        })
    }

    pub(super) fn integer(number: i64) -> Option<Short> {
        let mantissa = Some(number.unsigned_abs()).filter(|mantissa| *mantissa < LIMIT)?;
        Some(Short { negative: number < 0, mantissa, scale: 0 })
    }

    pub(super) fn without_trailing_zeros(mut self) -> Short {
        while self.scale > 0 && self.mantissa.is_multiple_of(10) {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The same value with exactly `scale` digits after the point, if it has no more and they are at most `precision`
    /// in all.
    pub(super) fn within(self, precision: i32, scale: i32) -> Option<Short> {
        let short = self.without_trailing_zeros();
        let (precision, scale) = (u32::try_from(precision).ok()?, u32::try_from(scale).ok()?);
        let mantissa = short.mantissa.checked_mul(10_u64.checked_pow(scale.checked_sub(short.scale)?)?)?;
        let limit = 10_u64.checked_pow(precision).map_or(LIMIT, |limit| limit.min(LIMIT));
        (mantissa < limit).then_some(Short { mantissa, scale, ..short })
    }

    /// The server's form: groups of four decimal digits, the weight of the first group, sign, display scale
    /// (numeric.c, `numeric_recv`); false if it has none here.
    pub(super) fn write(self, out: &mut Vec<u8>) -> bool {
        // so that the point falls between two groups
        let missing = (4 - self.scale % 4) % 4;
        let (Some(mut rest), Ok(scale)) =
            (self.mantissa.checked_mul(10_u64.pow(missing)), u16::try_from(self.scale))
        else {
            return false;
        };
        let mut groups = [0; 5];
        let mut from = groups.len();
        while rest > 0 {
            from -= 1;
            groups[from] = u16::try_from(rest % 10_000).unwrap_or(0);
            rest /= 10_000;
        }
        let fraction = usize::from(scale.div_ceil(4));
        let weight = if self.mantissa == 0 {
            0
        } else {
            i16::try_from(groups.len() - from).unwrap_or(0) - i16::try_from(fraction).unwrap_or(0) - 1
        };
        let end = groups.iter().rposition(|group| *group != 0).map_or(from, |last| last + 1);
        let head = [
            u16::try_from(end - from).unwrap_or(0),
            weight.cast_unsigned(),
            if self.negative { MINUS } else { 0 },
            scale,
        ];
        for word in head.iter().chain(&groups[from..end]) {
            out.extend_from_slice(&word.to_be_bytes());
        }
        true
    }

    /// The number in the server's form; none of one that is longer, or not finite.
    pub(super) fn read(bytes: &[u8]) -> Option<Short> {
        let (head, groups) = bytes.split_first_chunk::<8>()?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let negative = match word(4) {
            0 => false,
            MINUS => true,
            _ => return None,
        };
        let add = |value: u64, group: &[u8; 2]| {
            value.checked_mul(10_000)?.checked_add(u16::from_be_bytes(*group).into())
        };
        let (groups, _) = groups.as_chunks::<2>();
        let mantissa = groups.iter().try_fold(0, add)?;
        // groups after the point; those that are zero are not written
        let after = i32::try_from(groups.len()).ok()? - i32::from(word(2).cast_signed()) - 1;
        let (mantissa, scale) = match u32::try_from(after) {
            Ok(after) => (mantissa, after.checked_mul(4)?),
            Err(_) => (mantissa.checked_mul(10_u64.checked_pow(4 * after.unsigned_abs())?)?, 0),
        };
        let negative = negative && mantissa != 0;
        let short = Short { negative, mantissa, scale }.without_trailing_zeros();
        (short.mantissa < LIMIT).then_some(short)
    }

    /// The number, if it is whole.
    pub(super) fn whole(self) -> Option<i64> {
        let number = i64::try_from(self.mantissa).ok().filter(|_| self.scale == 0)?;
        Some(if self.negative { -number } else { number })
    }

    /// The double of which these digits are the shortest, if that needs no search.
    pub(super) fn real(self) -> Option<f64> {
        if self.mantissa >= EXACT || self.scale > LARGEST_POWER {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "fifteen digits fit")]
        let real = self.mantissa as f64 / 10_f64.powi(i32::try_from(self.scale).ok()?);
        Some(if self.negative { -real } else { real })
    }
}

#[cfg(test)]
mod tests {
    use super::super::decimal::Decimal;
    use super::*;
    use proptest::prelude::*;

    fn written(decimal: &Decimal) -> Vec<u8> {
        let mut out = Vec::new();
        decimal.write(&mut out).expect("a short number");
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_the_same_number(text in "-?(0{0,3}[0-9]{1,12}|)(\\.[0-9]{0,9})?", precision in 1..18, scale in 0..12) {
            let (short, decimal) = (Short::parse(text.as_bytes()), Decimal::parse(&text));
            prop_assert!(short.is_none() || decimal.is_ok(), "{text}");
            if let (Some(short), Ok(decimal)) = (short, decimal) {
                let mut out = Vec::new();
                if short.write(&mut out) {
                    prop_assert_eq!(&out, &written(&decimal));
                    prop_assert_eq!(Short::read(&out), Some(short.without_trailing_zeros()));
                }
                match (short.within(precision, scale), decimal.clone().within(precision, scale)) {
                    (Some(short), Ok(decimal)) => {
                        out.clear();
                        if short.write(&mut out) {
                            prop_assert_eq!(&out, &written(&decimal));
                        }
                    }
                    (short, decimal) => prop_assert!(short.is_none(), "{decimal:?}"),
                }
                let bare = decimal.without_trailing_zeros();
                if let Some(real) = short.without_trailing_zeros().real() {
                    prop_assert_eq!(bare.real(), Some(real));
                    prop_assert!(real == 0.0 || Decimal::of_real(real).as_ref() == Ok(&bare));
                }
            }
        }
    }

    #[test]
    fn what_is_not_short() {
        for text in ["", "-", ".", "1e5", "+1", "1.2.3", "1234567890123456789", " 1"] {
            assert_eq!(Short::parse(text.as_bytes()), None, "{text}");
        }
        assert!(Short::parse(b"-999999999999999999").is_some_and(|short| short.write(&mut Vec::new())));
    }
}
