//! What a cell is worth in PostgreSQL. For each type family there is a function that, given what is special about one
//! column, returns its [`Codec`]: a closure that appends the COPY-binary form of a borrowed SQLite value, or refuses it.
//! The decision is made once per column; the loop over rows only calls.
//!
//! Exactness is the rule: a value that the target cannot hold as it is, is a [`Misfit`]. Formats are those of the
//! server's `*_recv` functions (PostgreSQL: COPY, "Binary Format").

pub mod json;
pub mod number;
pub mod temporal;
pub mod text;

use rusqlite::types::ValueRef;

/// Appends the binary form of a value that is not NULL.
pub type Encode = Box<dyn Fn(ValueRef<'_>, &mut Vec<u8>) -> Result<Fit, Misfit> + Send + Sync>;

/// How the cells of one column cross.
pub struct Codec {
    /// Converts one cell.
    pub encode: Encode,
    /// What the column takes, in words: "an integer from -32768 to 32767".
    pub expects: String,
}

impl Codec {
    fn new(
        expects: impl Into<String>,
        encode: impl Fn(ValueRef<'_>, &mut Vec<u8>) -> Result<Fit, Misfit> + Send + Sync + 'static,
    ) -> Codec {
        Codec { encode: Box::new(encode), expects: expects.into() }
    }
}

/// How a value arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The way back gives the same cell: same value, same storage class, same spelling.
    Exact,
    /// The same value, but another storage class or spelling on the way back: `'t'` for true, `1.0` for 1.
    Normalised,
    /// A rule changed it.
    Repaired,
}

/// A value that the target column cannot hold as it is: what was found, without the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit(pub &'static str);

/// `Exact` if `exact`.
fn fit(exact: bool) -> Fit {
    if exact { Fit::Exact } else { Fit::Normalised }
}

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
