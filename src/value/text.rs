//! Text, bytes, enums, UUIDs and JSON.

use super::{Codec, Fit, Misfit, characters, fit, only_text};
use rusqlite::types::ValueRef;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;

/// `text` and `varchar`, or `varchar(limit)` with a limit in characters. A number becomes its digits.
#[must_use]
pub fn text(limit: Option<usize>) -> Codec {
    let expects = match limit {
        Some(limit) => format!("text of at most {limit} characters"),
        None => "text".to_owned(),
    };
    Codec::new(expects, move |value, out| {
        let start = out.len();
        let exact = matches!(value, ValueRef::Text(_));
        match value {
            ValueRef::Text(bytes) => out.extend_from_slice(characters(bytes)?.as_bytes()),
            ValueRef::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
            ValueRef::Real(real) => out.extend_from_slice(format!("{real:?}").as_bytes()),
            ValueRef::Blob(_) | ValueRef::Null => return Err(Misfit("a blob")),
        }
        // a text has at most as many characters as bytes, so most need no counting
        if let Some(limit) = limit
            && out.len() - start > limit
            && String::from_utf8_lossy(&out[start..]).chars().count() > limit
        {
            return Err(Misfit("text with more characters"));
        }
        Ok(fit(exact))
    })
}

/// `bytea`: a blob as it is; a text as its bytes.
#[must_use]
pub fn bytes() -> Codec {
    Codec::new("a blob or text", |value, out| match value {
        ValueRef::Blob(bytes) => {
            out.extend_from_slice(bytes);
            Ok(Fit::Exact)
        }
        ValueRef::Text(bytes) => {
            out.extend_from_slice(bytes);
            Ok(Fit::Normalised)
        }
        ValueRef::Integer(_) => Err(Misfit("an integer")),
        ValueRef::Real(_) | ValueRef::Null => Err(Misfit("a real")),
    })
}

/// An enum: one of its labels, spelt as the type spells it.
#[must_use]
pub fn label(labels: &[String]) -> Codec {
    let expects = format!("one of {}", labels.join(", "));
    let labels: HashSet<Vec<u8>> = labels.iter().map(|label| label.clone().into_bytes()).collect();
    Codec::new(expects, move |value, out| {
        let text = only_text(value)?;
        if !labels.contains(text) {
            return Err(Misfit("text that is none of the labels"));
        }
        out.extend_from_slice(text);
        Ok(Fit::Exact)
    })
}

/// `uuid`: text with or without hyphens and braces, or the 16 bytes themselves.
#[must_use]
pub fn uuid() -> Codec {
    Codec::new("a UUID: text, or a blob of 16 bytes", |value, out| match value {
        ValueRef::Blob(bytes) if bytes.len() == 16 => {
            out.extend_from_slice(bytes);
            Ok(Fit::Normalised)
        }
        ValueRef::Blob(_) => Err(Misfit("a blob that is not 16 bytes long")),
        _ => {
            let text = only_text(value)?;
            let uuid = uuid::Uuid::try_parse_ascii(text).map_err(|_| Misfit("text that is no UUID"))?;
            out.extend_from_slice(uuid.as_bytes());
            let canonical = uuid.hyphenated().encode_lower(&mut [0; 36]).as_bytes() == text;
            Ok(fit(canonical))
        }
    })
}

/// `json`: kept as text, checked by a real parser. A bare number that SQLite turned into one is a JSON number.
#[must_use]
pub fn json() -> Codec {
    Codec::new("valid JSON", |value, out| {
        let (text, fit) = json_text(value)?;
        serde_json::from_slice::<IgnoredAny>(&text).map_err(|_| NOT_JSON)?;
        out.extend_from_slice(&text);
        Ok(fit)
    })
}

/// `jsonb`: stored taken apart, so that it comes back re-spelt; its strings have no NUL and no half of a surrogate pair.
#[must_use]
pub fn jsonb() -> Codec {
    Codec::new("valid JSON whose strings have no \\u0000", |value, out| {
        let (text, _) = json_text(value)?;
        let mut parser = serde_json::Deserializer::from_slice(&text);
        Storable.deserialize(&mut parser).and_then(|()| parser.end()).map_err(|_| {
            Misfit("text that is no JSON, or has \\u0000 or half a surrogate pair in a string")
        })?;
        // jsonb_recv: version 1, then the text
        out.push(1);
        out.extend_from_slice(&text);
        Ok(Fit::Normalised)
    })
}

const NOT_JSON: Misfit = Misfit("text that is no JSON");

fn json_text(value: ValueRef<'_>) -> Result<(std::borrow::Cow<'_, [u8]>, Fit), Misfit> {
    match value {
        ValueRef::Text(bytes) => Ok((characters(bytes)?.as_bytes().into(), Fit::Exact)),
        ValueRef::Integer(number) => Ok((number.to_string().into_bytes().into(), Fit::Normalised)),
        ValueRef::Real(real) if real.is_finite() => {
            Ok((format!("{real:?}").into_bytes().into(), Fit::Normalised))
        }
        ValueRef::Real(_) => Err(Misfit("a real that is infinite")),
        ValueRef::Blob(_) | ValueRef::Null => Err(Misfit("a blob")),
    }
}

/// Walks a document whose every string, key or value, jsonb can hold; keeps nothing of it.
struct Storable;

impl<'de> DeserializeSeed<'de> for Storable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Storable {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON that jsonb can hold")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(E::custom("\\u0000")) } else { Ok(()) }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Storable)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            if key.contains('\0') {
                return Err(A::Error::custom("\\u0000"));
            }
            entries.next_value_seed(Storable)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(codec: &Codec, text: &str) -> bool {
        (codec.encode)(ValueRef::Text(text.as_bytes()), &mut Vec::new()).is_ok()
    }

    #[test]
    fn limits_count_characters() {
        assert!(takes(&text(Some(3)), "ñé🔑"));
        assert!(!takes(&text(Some(3)), "ñé🔑 "));
        assert!(!takes(&text(None), "a\0b"));
    }

    #[test]
    fn json_is_parsed_not_guessed() {
        for good in ["null", " {\"a\": [1, 2.5e900, \"\\ud83d\\ude00\"]} ", "\"\\u00f1\""] {
            assert!(takes(&json(), good), "{good}");
        }
        for bad in ["", "NaN", "{'a': 1}", "[1,]", "{\"a\": 1} x"] {
            assert!(!takes(&json(), bad) && !takes(&jsonb(), bad), "{bad}");
        }
        for only_json in ["\"\\u0000\"", "{\"\\u0000\": 1}"] {
            assert!(takes(&json(), only_json) && !takes(&jsonb(), only_json), "{only_json}");
        }
        assert!(!takes(&jsonb(), "\"\\ud83d\""));
    }
}
