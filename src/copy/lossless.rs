//! A cell of the source as JSON that loses nothing, whatever its storage class: in `outgrow_quarantine`, and where a
//! cell does not come back by itself.

use crate::value::Cell;
use rusqlite::types::ValueRef;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use std::fmt;

/// A value with its storage class: `null`, an integer as a number, and otherwise an object that names the class. Text
/// that PostgreSQL cannot hold, and a blob, are written in hexadecimal.
pub(super) struct Lossless<'a>(pub ValueRef<'a>);

impl Serialize for Lossless<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (class, text) = match self.0 {
            ValueRef::Null => return serializer.serialize_unit(),
            ValueRef::Integer(number) => return serializer.serialize_i64(number),
            ValueRef::Real(real) => ("real", Form::Real(real)),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => ("text", Form::Text(text)),
                _ => ("text_hex", Form::Hex(bytes)),
            },
            ValueRef::Blob(bytes) => ("blob_hex", Form::Hex(bytes)),
        };
        let mut value = serializer.serialize_map(Some(1))?;
        value.serialize_entry(class, &text)?;
        value.end()
    }
}

/// How a value is written.
enum Form<'a> {
    Real(f64),
    Text(&'a str),
    Hex(&'a [u8]),
}

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Form::Real(real) => serializer.collect_str(&format_args!("{real:?}")),
            Form::Text(text) => serializer.serialize_str(text),
            Form::Hex(bytes) => serializer.collect_str(&Hex(bytes)),
        }
    }
}

/// Bytes in hexadecimal, some at a time.
pub(super) struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for some in self.0.chunks(512) {
            let digits = |byte: &u8| [byte >> 4, byte & 15].map(|half| char::from(DIGITS[usize::from(half)]));
            f.write_str(&some.iter().flat_map(digits).collect::<String>())?;
        }
        Ok(())
    }
}

/// The value that [`Lossless`] wrote, as SQLite had it; `None` if it is nothing of the kind.
pub(super) fn given_back(value: &Value) -> Option<Option<Cell<'static>>> {
    let bytes = |text: &str| {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let whole = rest.is_empty() && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let pairs = whole.then_some(pairs)?.iter();
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>()
    };
    let object = match value {
        Value::Null => return Some(None),
        Value::Number(number) => return number.as_i64().map(|number| Some(Cell::Integer(number))),
        other => other.as_object()?,
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let cell = match (text("real"), text("text"), text("text_hex"), text("blob_hex")) {
        (Some(real), ..) => Cell::Real(real.parse().ok()?),
        (_, Some(text), ..) => Cell::Text(text.as_bytes().to_vec().into()),
        (_, _, Some(hex), _) => Cell::Text(bytes(hex)?.into()),
        (.., Some(hex)) => Cell::Blob(bytes(hex)?.into()),
        _ => return None,
    };
    Some(Some(cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_is_lost() {
        for value in [
            ValueRef::Null,
            ValueRef::Integer(i64::MIN),
            ValueRef::Real(0.1),
            ValueRef::Real(-0.0),
            ValueRef::Real(f64::NEG_INFINITY),
            ValueRef::Real(5e-324),
            ValueRef::Text("ñ".as_bytes()),
            ValueRef::Text(b"a\0"),
            ValueRef::Text(b"\xff"),
            ValueRef::Blob(&[0, 255]),
        ] {
            let text = json!(Lossless(value)).to_string();
            let back = given_back(&serde_json::from_str(&text).expect("JSON")).expect("a value");
            match (value, back) {
                (ValueRef::Null, None) => {}
                (value, Some(cell)) => assert!(cell.is(value), "{text}"),
                (_, None) => panic!("{text}"),
            }
        }
    }

    #[test]
    fn what_was_not_written_so_is_no_value() {
        for value in [
            json!({ "text_hex": "abc" }),
            json!({ "blob_hex": "+f" }),
            json!({ "real": "a" }),
            json!({ "other": "x" }),
            json!({ "text": 5 }),
            json!("x"),
            json!([]),
            json!(true),
            json!(1.5),
        ] {
            assert!(given_back(&value).is_none(), "{value}");
        }
    }
}
