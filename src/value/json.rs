//! JSON: `json` keeps the text, `jsonb` takes it apart and gives it back in a spelling of its own.

use super::numeric::numeric_text;
use super::{Cell, Codec, Misfit, characters};
use rusqlite::types::ValueRef;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// `json`: kept as text, checked by a real parser. A bare number that SQLite turned into one is a JSON number.
#[must_use]
pub fn json() -> Codec {
    let encode = |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let text = text(value)?;
        serde_json::from_str::<IgnoredAny>(&text).map_err(|_| NOT_JSON)?;
        out.extend_from_slice(text.as_bytes());
        Ok(())
    };
    Codec::new("valid JSON", encode, |bytes| Some(Cell::Text(bytes.into())))
}

/// `jsonb`: sent as the server will spell it. What it would lose is refused: a key that stands twice, a NUL character,
/// half a surrogate pair, a number beyond `numeric`, a string too long.
#[must_use]
pub fn jsonb() -> Codec {
    let expects = "valid JSON without duplicate keys, and without \\u0000 in a string";
    let encode = |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let node: Node = serde_json::from_str(&text(value)?).map_err(|error| reason(&error))?;
        // jsonb_recv: version 1, then the text
        out.push(1);
        node.spell(out);
        Ok(())
    };
    Codec::new(expects, encode, |bytes| bytes.strip_prefix(&[1]).map(|text| Cell::Text(text.into())))
}

const NOT_JSON: Misfit = Misfit("text that is no JSON");

fn text(value: ValueRef<'_>) -> Result<Cow<'_, str>, Misfit> {
    match value {
        ValueRef::Text(bytes) => Ok(characters(bytes)?.into()),
        ValueRef::Integer(number) => Ok(number.to_string().into()),
        ValueRef::Real(real) if real.is_finite() => Ok(format!("{real:?}").into()),
        ValueRef::Real(_) => Err(Misfit("a real that is infinite")),
        ValueRef::Blob(_) | ValueRef::Null => Err(Misfit("a blob")),
    }
}

const DUPLICATE: &str = "a key stands twice";
const NUL: &str = "a NUL character";
const NUMBER: &str = "a number that numeric cannot hold";
const LONG: &str = "a string of 256 MB";

/// A string of jsonb is shorter than this, in bytes: its entry has 28 bits for the length (jsonb.h,
/// `JENTRY_OFFLENMASK`).
const STRING_BYTES: usize = 1 << 28;

fn reason(error: &serde_json::Error) -> Misfit {
    let text = error.to_string();
    let is = |reason: &str| text.starts_with(reason);
    Misfit(match () {
        () if is(DUPLICATE) => "JSON in which a key stands twice",
        () if is(NUL) => "JSON with \\u0000 in a string",
        () if is(NUMBER) => "JSON with a number that numeric cannot hold",
        () if is(LONG) => "JSON with a string of 256 MB or more",
        () if is("recursion limit") => "JSON nested deeper than 127 levels",
        () if text.contains("hex escape") => "JSON with half a surrogate pair",
        () => return NOT_JSON,
    })
}

/// A document as jsonb holds it.
enum Node {
    Null,
    Bool(bool),
    /// As `numeric_out` spells it.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// Sorted as jsonb sorts: by length in bytes, then by bytes.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// As the server's `jsonb_out` spells it.
    fn spell(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
            Node::Number(number) => out.extend_from_slice(number.as_bytes()),
            Node::Text(text) => spell_text(text, out),
            Node::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b", " } else { b"" });
                    item.spell(out);
                }
                out.push(b']');
            }
            Node::Object(entries) => {
                out.push(b'{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b", " } else { b"" });
                    spell_text(key, out);
                    out.extend_from_slice(b": ");
                    value.spell(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// `escape_json` of the server: quotes, backslashes and control characters, nothing else.
fn spell_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Node, D::Error> {
        parser.deserialize_any(Building)
    }
}

/// Refuses a string or a key that jsonb cannot hold.
fn string<E: serde::de::Error>(text: &str) -> Result<(), E> {
    match () {
        () if text.len() >= STRING_BYTES => Err(E::custom(LONG)),
        () if text.contains('\0') => Err(E::custom(NUL)),
        () => Ok(()),
    }
}

struct Building;

/// How serde_json hands over a number whose digits it keeps (its feature `arbitrary_precision`): an object with this
/// key.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

impl<'de> Visitor<'de> for Building {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.to_string()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        string::<E>(text).map(|()| Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut object: Vec<(String, Node)> = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key == NUMBER_TOKEN && object.is_empty() {
                let number = entries.next_value::<String>()?;
                return numeric_text(&number).map(Node::Number).map_err(|_| A::Error::custom(NUMBER));
            }
            string::<A::Error>(&key)?;
            object.push((key, entries.next_value()?));
        }
        object.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        if object.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(A::Error::custom(DUPLICATE));
        }
        Ok(Node::Object(object))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fit;
    use super::*;
    use proptest::prelude::*;

    /// JSON documents as applications write them, and some that are broken.
    pub(in super::super) fn documents() -> impl Strategy<Value = String> {
        let text = |pattern: &str| proptest::string::string_regex(pattern).expect(pattern).boxed();
        let string = text("\"(\\PC|\\\\[nrtbf\"\\\\/]|\\\\u00[0-7][0-9a-f]|\\\\ud83d\\\\ude00){0,8}\"");
        let number = text("-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,10})?([eE][+-]?[0-9]{1,2})?");
        let leaf = prop_oneof![text("null|true|false| \\[\\] |\\{\\}"), number, string.clone()];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(",")));
            let entry = (string.clone(), inner).prop_map(|(key, value)| format!("{key} : {value}"));
            let object = proptest::collection::vec(entry, 0..6)
                .prop_map(|entries| format!("{{{}}}", entries.join(", ")));
            prop_oneof![list, object]
        })
    }

    fn encoded(codec: &Codec, text: &str) -> Result<(String, Fit), Misfit> {
        let mut out = Vec::new();
        let fit = (codec.encode)(&ValueRef::Text(text.as_bytes()), &mut out)?;
        Ok((String::from_utf8_lossy(&out).into_owned(), fit))
    }

    #[test]
    fn json_is_parsed_not_guessed() {
        for good in ["null", " {\"a\": [1, 2.5e900, \"\\ud83d\\ude00\"]} ", "\"\\u00f1\"", "-0.0"] {
            assert!(encoded(&json(), good).is_ok() && encoded(&jsonb(), good).is_ok(), "{good}");
        }
        for bad in ["", "NaN", "{'a': 1}", "[1,]", "{\"a\": 1} x", "01", "+1"] {
            assert_eq!(encoded(&json(), bad), Err(NOT_JSON), "{bad}");
            assert_eq!(encoded(&jsonb(), bad), Err(NOT_JSON), "{bad}");
        }
    }

    #[test]
    fn what_jsonb_would_lose_is_named() {
        for (text, reason) in [
            ("\"\\u0000\"", "JSON with \\u0000 in a string"),
            ("{\"a\": 1, \"b\": 2, \"a\": 1}", "JSON in which a key stands twice"),
            ("\"\\ud83d\"", "JSON with half a surrogate pair"),
            ("1e200000", "JSON with a number that numeric cannot hold"),
            ("[1e131072]", "JSON with a number that numeric cannot hold"),
        ] {
            assert_eq!(encoded(&jsonb(), text), Err(Misfit(reason)), "{text}");
        }
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(encoded(&jsonb(), &nested(127)).is_ok());
        let deep = nested(128);
        assert_eq!(encoded(&jsonb(), &deep), Err(Misfit("JSON nested deeper than 127 levels")));
        assert!(encoded(&json(), &deep).is_ok());
    }

    #[test]
    fn a_string_ends_below_256_mb() {
        let taken = |bytes| Building.visit_str::<serde_json::Error>(&"a".repeat(bytes)).map(drop);
        assert_eq!(
            taken(STRING_BYTES).map_err(|error| reason(&error)),
            Err(Misfit("JSON with a string of 256 MB or more"))
        );
        assert!(taken(STRING_BYTES - 1).is_ok());
    }

    #[test]
    fn jsonb_is_spelt_as_the_server_spells_it() {
        let spelt = |text| encoded(&jsonb(), text).map(|(spelt, fit)| (spelt[1..].to_owned(), fit));
        let normalised = |text: &str| Ok((text.to_owned(), Fit::Normalised));
        assert_eq!(spelt("{\"bb\":1,\"a\":[1e2,1.50]}"), normalised("{\"a\": [100, 1.50], \"bb\": 1}"));
        assert_eq!(spelt("\"\\u00f1\\u0001\\/\""), normalised("\"ñ\\u0001/\""));
        assert_eq!(spelt("{\"a\": [1, true, null]}"), Ok(("{\"a\": [1, true, null]}".into(), Fit::Exact)));
    }
}
