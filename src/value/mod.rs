//! What a cell is worth in PostgreSQL. For each type family there is a function that, given what is special about one
//! column, returns its [`Codec`]: a closure that appends the COPY-binary form of a borrowed SQLite value, or refuses
//! it. The decision is made once per column; the loop over rows only calls.
//!
//! Exactness is the rule: a value that the target cannot hold as it is, is a [`Misfit`]. Formats are those of the
//! server's `*_recv` functions (PostgreSQL: COPY, "Binary Format").

pub mod canonical;
mod decimal;
pub mod format;
pub mod interval;
pub mod json;
mod moment;
pub mod net;
pub mod number;
pub mod numeric;
#[cfg(test)]
mod properties;
mod rules;
mod short;
mod spelling;
pub mod temporal;
pub mod text;
mod zone;

pub use format::{Format, rounded};
pub use rules::{Read, Repair, Rules};
pub use zone::Zone;

use canonical::Canonical;
use rusqlite::types::ValueRef;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Appends the binary form of a value that is not NULL: the very bytes that the server gives back for it.
///
/// The value is lent: it was written a moment ago in parts, which a copy of it would have to wait for.
pub type Encode = Box<dyn Fn(&ValueRef<'_>, &mut Vec<u8>) -> Result<Fit, Misfit> + Send + Sync>;

/// The cell that the application would have stored for a binary form; `None` if SQLite has none (`infinity` as a date).
pub type Decode = Box<dyn for<'a> Fn(&'a [u8]) -> Option<Cell<'a>> + Send + Sync>;

/// How the cells of one column cross.
pub struct Codec {
    /// Converts one cell. Its [`Fit`] is the encoder's word where the value alone tells; elsewhere what was appended is
    /// decoded and compared with the cell.
    pub encode: Encode,
    /// The way back.
    pub decode: Decode,
    /// What the column takes, in words: "an integer from -32768 to 32767".
    pub expects: String,
    /// The binary form is that of text, and the server's own input function makes the column's type of it.
    pub by_input: bool,
    /// Of a type that keeps apart what is one value: brings the binary form to the one in which values are compared.
    pub canonical: Option<Canonical>,
}

impl Codec {
    /// Of an encoder that never changes a value.
    fn new(
        expects: impl Into<String>,
        encode: impl Fn(ValueRef<'_>, &mut Vec<u8>) -> Result<(), Misfit> + Send + Sync + 'static,
        decode: impl for<'a> Fn(&'a [u8]) -> Option<Cell<'a>> + Clone + Send + Sync + 'static,
    ) -> Codec {
        Codec::changing(expects, move |value, out| encode(value, out).map(|()| false), decode)
    }

    /// Of an encoder that says whether a rule changed the value.
    fn changing(
        expects: impl Into<String>,
        encode: impl Fn(ValueRef<'_>, &mut Vec<u8>) -> Result<bool, Misfit> + Send + Sync + 'static,
        decode: impl for<'a> Fn(&'a [u8]) -> Option<Cell<'a>> + Clone + Send + Sync + 'static,
    ) -> Codec {
        let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
            encode(value, out).map(|changed| changed.then_some(Fit::Repaired))
        };
        Codec::knowing(expects, encode, decode)
    }

    /// Of an encoder that says how a value arrived where the value alone tells: what it calls exact is not decoded to
    /// see.
    fn knowing(
        expects: impl Into<String>,
        encode: impl Fn(ValueRef<'_>, &mut Vec<u8>) -> Result<Option<Fit>, Misfit> + Send + Sync + 'static,
        decode: impl for<'a> Fn(&'a [u8]) -> Option<Cell<'a>> + Clone + Send + Sync + 'static,
    ) -> Codec {
        let back = decode.clone();
        let encode = move |value: &ValueRef<'_>, out: &mut Vec<u8>| {
            let start = out.len();
            if let Some(fit) = encode(*value, out)? {
                debug_assert!(fit != Fit::Exact || back(&out[start..]).is_some_and(|cell| cell.is(*value)));
                return Ok(fit);
            }
            match back(&out[start..]) {
                Some(cell) if cell.is(*value) => Ok(Fit::Exact),
                Some(_) => Ok(Fit::Normalised),
                None => Err(Misfit("a value that could not be given back")),
            }
        };
        let (encode, decode) = (Box::new(encode), Box::new(decode));
        Codec { encode, decode, expects: expects.into(), by_input: false, canonical: None }
    }
}

/// Text as long as a date, a number or a UUID, without an allocation.
pub type Spelt = SmallVec<[u8; 40]>;

/// A cell of SQLite on the way back: never NULL, borrowed from the binary form where that has its bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Storage class INTEGER.
    Integer(i64),
    /// Storage class REAL.
    Real(f64),
    /// Storage class TEXT, as UTF-8.
    Text(Cow<'a, [u8]>),
    /// The same, spelt out from another form.
    Spelt(Spelt),
    /// Storage class BLOB.
    Blob(Cow<'a, [u8]>),
}

impl Cell<'_> {
    /// As rusqlite binds it.
    #[must_use]
    pub fn value(&self) -> ValueRef<'_> {
        match self {
            Cell::Integer(number) => ValueRef::Integer(*number),
            Cell::Real(real) => ValueRef::Real(*real),
            Cell::Text(bytes) => ValueRef::Text(bytes),
            Cell::Spelt(bytes) => ValueRef::Text(bytes),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// Whether `value` is this cell: the same storage class and the same bytes or bits.
    #[must_use]
    pub fn is(&self, value: ValueRef<'_>) -> bool {
        match (self.value(), value) {
            (ValueRef::Real(one), ValueRef::Real(other)) => one.to_bits() == other.to_bits(),
            (one, other) => one == other,
        }
    }

    /// Text that had to be spelt.
    fn spelt(text: impl AsRef<[u8]>) -> Option<Cell<'static>> {
        Some(Cell::Spelt(Spelt::from_slice(text.as_ref())))
    }
}

/// How a value arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The way back gives the same cell: same value, same storage class, same spelling.
    Exact,
    /// The same value, but another storage class or spelling on the way back: `'t'` for true, `1.0` for 1.
    Normalised,
    /// Another value, because a rule of the step said so: rounded, or characters stripped or replaced.
    Repaired,
}

/// A value that the target column cannot hold as it is: what was found, without the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit(pub &'static str);

/// The characters of a text value: SQLite does not check that they are UTF-8, and PostgreSQL has no NUL character.
fn characters(bytes: &[u8]) -> Result<&str, Misfit> {
    let text = std::str::from_utf8(bytes).map_err(|_| Misfit("text that is not valid UTF-8"))?;
    if text.contains('\0') {
        return Err(Misfit("text with a NUL character"));
    }
    Ok(text)
}

/// The bytes of a value that must be text.
fn only_text(value: ValueRef<'_>) -> Result<&[u8], Misfit> {
    match value {
        ValueRef::Text(bytes) => Ok(bytes),
        ValueRef::Integer(_) => Err(Misfit("an integer")),
        ValueRef::Real(_) => Err(Misfit("a real")),
        ValueRef::Blob(_) | ValueRef::Null => Err(Misfit("a blob")),
    }
}

/// A number of the server's, by its `*_send` function: big-endian, nothing else in the cell.
fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}
