//! Booleans as words, and UUIDs and hardware addresses as digits.

use super::super::Cell;
use super::Format;
use serde::{Deserialize, Serialize};

/// Words for false and true, in small letters.
const PAIRS: [(&str, &str); 6] =
    [("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"), ("off", "on"), ("0", "1")];

/// The pair of words that `text` is one of, written as it is.
pub(super) fn pair(text: &[u8], truth: bool) -> Option<Format> {
    let text = std::str::from_utf8(text).ok()?;
    let is = |(no, yes): &&(&str, &str)| (if truth { *yes } else { *no }).eq_ignore_ascii_case(text);
    let (no, yes) = PAIRS.iter().find(is)?;
    let capital = text.starts_with(|c: char| c.is_ascii_uppercase());
    let all = capital && (text.len() > 1 && text[1..].bytes().all(|byte| byte.is_ascii_uppercase()));
    let written = |word: &str| match (all, capital) {
        (true, _) => word.to_ascii_uppercase(),
        (false, true) => format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]),
        (false, false) => word.to_owned(),
    };
    Some(Format::Words { no: written(no), yes: written(yes) })
}

/// How hexadecimal digits are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hex {
    /// What stands between groups.
    mark: Option<char>,
    /// In capitals.
    upper: bool,
    /// In braces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    braces: bool,
}

impl Hex {
    /// `text` has its groups as the way back has them: of two digits between colons, or those of a UUID between
    /// hyphens.
    pub(super) fn spell(&self, text: &[u8]) -> Option<Cell<'static>> {
        let mut out = super::super::Spelt::new();
        out.extend(self.braces.then_some(b'{'));
        for byte in text {
            match byte {
                b':' | b'-' => out.extend(self.mark.and_then(|mark| u8::try_from(mark).ok())),
                digit if digit.is_ascii_hexdigit() => {
                    out.push(if self.upper { digit.to_ascii_uppercase() } else { *digit });
                }
                _ => return None,
            }
        }
        out.extend(self.braces.then_some(b'}'));
        Some(Cell::Spelt(out))
    }
}

/// What hexadecimal `text` may be spelt in.
pub(super) fn formats(text: &[u8]) -> Vec<Format> {
    let braces = text.starts_with(b"{");
    let mark = text.iter().find(|byte| matches!(byte, b':' | b'-')).map(|byte| char::from(*byte));
    let upper = text.iter().any(|byte| matches!(byte, b'A'..=b'F'));
    vec![Format::Hex(Hex { mark, upper, braces })]
}
