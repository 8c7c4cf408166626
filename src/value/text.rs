//! Text, bytes, enums and UUIDs.

use super::{Codec, Fit, Misfit, characters, fit, only_text};
use rusqlite::types::ValueRef;
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
}
