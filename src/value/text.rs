//! Text, bytes, enums and UUIDs.

use super::{Cell, Codec, Fit, Misfit, Rules, only_text};
use crate::error::counted;
use rusqlite::types::ValueRef;
use std::borrow::Cow;
use std::collections::HashSet;

/// How long a text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// As long as it likes: `text`, `citext`, `varchar`, `bpchar` without a length.
    None,
    /// `varchar(n)`: characters.
    Characters(usize),
    /// `char(n)`: characters, and blanks are added up to that many.
    Padded(usize),
    /// `name`: bytes. One fewer than NAMEDATALEN.
    Bytes(usize),
}

/// `text` and its relatives. A number becomes its digits.
///
/// `char(n)` does not tell blanks that were written from those it adds: text that ends in blanks is a misfit, unless it
/// is as long as the column is wide.
#[must_use]
pub fn text(limit: Limit, rules: &Rules) -> Codec {
    let expects = match limit {
        Limit::None => "text".to_owned(),
        Limit::Characters(most) => format!("text of at most {}", counted(most as u64, "character")),
        Limit::Padded(most) => {
            format!("text of at most {} that does not end in blanks", counted(most as u64, "character"))
        }
        Limit::Bytes(most) => format!("text of at most {most} bytes"),
    };
    let characters = Characters::new(rules);
    let as_written = (!matches!(limit, Limit::Padded(_))).then_some(Fit::Exact);
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let start = out.len();
        let mut fit = None;
        match value {
            ValueRef::Text(bytes) => {
                let (text, repaired) = characters.of(bytes)?;
                out.extend_from_slice(text.as_bytes());
                fit = if repaired { Some(Fit::Repaired) } else { as_written };
            }
            ValueRef::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
            ValueRef::Real(real) => out.extend_from_slice(format!("{real:?}").as_bytes()),
            ValueRef::Blob(_) | ValueRef::Null => return Err(Misfit("a blob")),
        }
        fit_into(limit, start, out)?;
        Ok(fit)
    };
    Codec::knowing(expects, encode, move |bytes| {
        let end = match limit {
            Limit::Padded(_) => bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1),
            _ => bytes.len(),
        };
        Some(Cell::Text(bytes[..end].into()))
    })
}

fn fit_into(limit: Limit, start: usize, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let bytes = out.len() - start;
    let count = || String::from_utf8_lossy(&out[start..]).chars().count();
    match limit {
        Limit::None => {}
        Limit::Bytes(most) if bytes > most => return Err(Misfit("text with more bytes")),
        Limit::Bytes(_) => {}
        // a text has at most as many characters as bytes, so most need no counting
        Limit::Characters(most) if bytes > most && count() > most => {
            return Err(Misfit("text with more characters"));
        }
        Limit::Characters(_) => {}
        Limit::Padded(most) => {
            let missing = most.checked_sub(count()).ok_or(Misfit("text with more characters"))?;
            if missing > 0 && bytes > 0 && out.last() == Some(&b' ') {
                return Err(Misfit("text that ends in blanks"));
            }
            out.resize(out.len() + missing, b' ');
        }
    }
    Ok(())
}

/// The characters of a text value: SQLite does not check that they are UTF-8, and PostgreSQL has no NUL character.
#[derive(Clone, Copy)]
struct Characters {
    nul: Option<&'static str>,
    utf8: Option<&'static str>,
}

impl Characters {
    fn new(rules: &Rules) -> Characters {
        Characters { nul: rules.nul.substitute(), utf8: rules.utf8.substitute() }
    }

    /// The text, and whether it was repaired.
    fn of(self, bytes: &[u8]) -> Result<(Cow<'_, str>, bool), Misfit> {
        let mut text = match (std::str::from_utf8(bytes), self.utf8) {
            (Ok(text), _) => Cow::Borrowed(text),
            (Err(_), None) => return Err(Misfit("text that is not valid UTF-8")),
            (Err(_), Some(substitute)) => {
                let mut text = String::with_capacity(bytes.len());
                for chunk in bytes.utf8_chunks() {
                    text.push_str(chunk.valid());
                    if !chunk.invalid().is_empty() {
                        text.push_str(substitute);
                    }
                }
                Cow::Owned(text)
            }
        };
        let mut changed = matches!(text, Cow::Owned(_));
        if text.contains('\0') {
            let substitute = self.nul.ok_or(Misfit("text with a NUL character"))?;
            text = Cow::Owned(text.replace('\0', substitute));
            changed = true;
        }
        Ok((text, changed))
    }
}

/// `bytea`: a blob as it is; a text as its bytes.
#[must_use]
pub fn bytes() -> Codec {
    let encode = |value: ValueRef<'_>, out: &mut Vec<u8>| match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        ValueRef::Integer(_) => Err(Misfit("an integer")),
        ValueRef::Real(_) | ValueRef::Null => Err(Misfit("a real")),
    };
    Codec::new("a blob or text", encode, |bytes| Some(Cell::Blob(bytes.into())))
}

/// An enum: one of its labels, spelt as the type spells it.
#[must_use]
pub fn label(labels: &[String]) -> Codec {
    let expects = format!("one of {}", labels.join(", "));
    let labels: HashSet<Vec<u8>> = labels.iter().map(|label| label.clone().into_bytes()).collect();
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let text = only_text(value)?;
        if !labels.contains(text) {
            return Err(Misfit("text that is none of the labels"));
        }
        out.extend_from_slice(text);
        Ok(())
    };
    Codec::new(expects, encode, |bytes| Some(Cell::Text(bytes.into())))
}

/// `uuid`: text with or without hyphens and braces, or the 16 bytes themselves. The way back has hyphens.
#[must_use]
pub fn uuid() -> Codec {
    let encode = |value: ValueRef<'_>, out: &mut Vec<u8>| {
        match value {
            ValueRef::Blob(bytes) if bytes.len() == 16 => out.extend_from_slice(bytes),
            ValueRef::Blob(_) => return Err(Misfit("a blob that is not 16 bytes long")),
            _ => {
                let uuid = uuid::Uuid::try_parse_ascii(only_text(value)?);
                out.extend_from_slice(uuid.map_err(|_| Misfit("text that is no UUID"))?.as_bytes());
            }
        }
        Ok(())
    };
    Codec::new("a UUID: text, or a blob of 16 bytes", encode, |bytes| {
        let uuid = uuid::Uuid::from_slice(bytes).ok()?;
        Cell::spelt(uuid.hyphenated().encode_lower(&mut [0; 36]).as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Fit, Repair};
    use super::*;

    fn sent(codec: &Codec, bytes: &[u8]) -> Result<(String, Fit), Misfit> {
        let mut out = Vec::new();
        let fit = (codec.encode)(&ValueRef::Text(bytes), &mut out)?;
        Ok((String::from_utf8(out).expect("UTF-8"), fit))
    }

    #[test]
    fn limits_count_characters() {
        let three = text(Limit::Characters(3), &Rules::default());
        assert!(sent(&three, "ñé🔑".as_bytes()).is_ok());
        assert!(sent(&three, "ñé🔑 ".as_bytes()).is_err());
        let name = text(Limit::Bytes(4), &Rules::default());
        assert!(sent(&name, "ñé".as_bytes()).is_ok());
        assert!(sent(&name, "ñéa".as_bytes()).is_err());
    }

    #[test]
    fn blanks_fill_up_and_are_never_mistaken() {
        let padded = text(Limit::Padded(3), &Rules::default());
        assert_eq!(sent(&padded, "ñ".as_bytes()), Ok(("ñ  ".into(), Fit::Exact)));
        assert_eq!(sent(&padded, b""), Ok(("   ".into(), Fit::Exact)));
        assert_eq!(sent(&padded, b"ab "), Ok(("ab ".into(), Fit::Normalised)));
        assert!(sent(&padded, b"a ").is_err());
        assert!(sent(&padded, b"abc ").is_err());
    }

    #[test]
    fn repairs_follow_the_rules() {
        let rules = |nul, utf8| Rules { nul, utf8, ..Rules::default() };
        let dirty = b"a\0b\xffc\xe2\x82";
        assert!(sent(&text(Limit::None, &rules(Repair::Fail, Repair::Strip)), dirty).is_err());
        assert!(sent(&text(Limit::None, &rules(Repair::Strip, Repair::Fail)), dirty).is_err());
        let strip = text(Limit::None, &rules(Repair::Strip, Repair::Strip));
        assert_eq!(sent(&strip, dirty), Ok(("abc".into(), Fit::Repaired)));
        assert_eq!(sent(&strip, b"abc"), Ok(("abc".into(), Fit::Exact)));
        let replace = text(Limit::None, &rules(Repair::Replace, Repair::Replace));
        assert_eq!(sent(&replace, dirty), Ok(("a\u{fffd}b\u{fffd}c\u{fffd}".into(), Fit::Repaired)));
    }
}
