//! One cell under the rules of its column: a field of a COPY-binary tuple, and what became of the value.

use super::columns::BoundColumn;
use crate::migration::step::Policy;
use crate::value::{Fit, Misfit};
use rusqlite::types::ValueRef;

/// The length of a field that is NULL.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// What became of a cell.
pub(super) enum Fate {
    /// It was converted.
    Fits(Fit),
    /// A rule made it NULL.
    Nulled,
    /// A rule sends its row to the quarantine.
    Quarantined(Misfit),
    /// No rule covers it.
    Refused(Misfit),
}

/// Appends length and bytes of `value`, NULL for one that has none; the length is patched in when it is known.
pub(super) fn convert(column: &BoundColumn, value: &ValueRef<'_>, out: &mut Vec<u8>) -> Fate {
    let null = match value {
        ValueRef::Null => Some(Fate::Fits(Fit::Exact)),
        ValueRef::Text(b"") if column.empty_is_null => Some(Fate::Nulled),
        _ => None,
    };
    if let Some(fate) = null.filter(|_| !column.target.not_null) {
        out.extend_from_slice(&NULL);
        return fate;
    }
    let at = out.len();
    match field(column, value, out) {
        Ok(fit) => Fate::Fits(fit),
        Err(misfit) => {
            out.truncate(at);
            out.extend_from_slice(&NULL);
            match column.misfit {
                Policy::Null => Fate::Nulled,
                Policy::Quarantine => Fate::Quarantined(misfit),
                Policy::Fail => Fate::Refused(misfit),
            }
        }
    }
}

#[inline]
fn field(column: &BoundColumn, value: &ValueRef<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    if matches!(value, ValueRef::Null) {
        return Err(Misfit("NULL"));
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let fit = (column.codec.encode)(value, out)?;
    let length = i32::try_from(out.len() - at - 4).map_err(|_| Misfit("a value longer than 2 GB"))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(fit)
}
