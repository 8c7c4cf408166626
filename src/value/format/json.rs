//! JSON in another spelling than that of `jsonb`, with the same content in the same order.

use super::super::Cell;
use super::Format;
use std::borrow::Cow;

/// The document `text`, which has one blank after each comma and colon.
pub(super) fn spell(text: &[u8], compact: bool, ascii: bool) -> Option<Cell<'static>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut out = Vec::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' if compact && !quoted => continue,
            '\u{7f}'.. if ascii => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
                escaped = false;
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(Cell::Text(Cow::Owned(out)))
}

/// What a document may be spelt in.
pub(super) fn formats() -> Vec<Format> {
    let json = |compact, ascii| Format::Json { compact, ascii };
    vec![json(true, false), json(false, true), json(true, true)]
}
