//! How the cells of a column are spelt. A codec's way back gives one cell for a value, in the spelling and storage
//! class of SQLAlchemy; a [`Format`] makes of it the cell that the column's application writes: another separator,
//! fewer digits, a number as text, a UUID as bytes. It is found in some of the column's cells, once, and never changes
//! what a cell means.

mod clock;
mod json;
mod number;
mod word;

use super::{Cell, Codec, Fit};
use clock::Clock;
pub use clock::rounded;
use rusqlite::types::{Value, ValueRef};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use word::Hex;

/// How a cell differs from what [`Codec::decode`] gives. A cell to which a format does not apply stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// In nothing.
    #[default]
    Usual,
    /// A whole number is REAL too.
    Real,
    /// A whole number is INTEGER too.
    Whole,
    /// A number is text: its shortest digits; a REAL has a point.
    Digits,
    /// The same; a whole number has no point.
    Plain,
    /// The same, with so many digits after the point.
    Fixed(u16),
    /// The same, with as many digits after the point as the server keeps.
    Scaled,
    /// A boolean is one of two words.
    Words {
        /// For false.
        no: String,
        /// For true.
        yes: String,
    },
    /// Text that is a number is one: INTEGER or REAL.
    Number,
    /// A blob is text.
    Text,
    /// A UUID or a hardware address is a blob.
    Bytes,
    /// The same as text.
    Hex(Hex),
    /// A date or time.
    Clock(Clock),
    /// The same, where the way back gives what a number counts.
    Moment(Clock),
    /// A date with a constant time of day.
    Tail(String),
    /// JSON.
    Json {
        /// Without blanks.
        compact: bool,
        /// Other characters than those of ASCII are escaped.
        ascii: bool,
    },
}

impl Format {
    /// The cell in this format; `usual` is what the way back made of `field`, the value in binary form.
    #[must_use]
    pub fn apply<'a>(&self, field: &[u8], usual: Cell<'a>) -> Cell<'a> {
        self.other(field, &usual).unwrap_or(usual)
    }

    /// Whether the cell in this format is `value`, to the last bit.
    #[must_use]
    pub fn gives(&self, field: &[u8], usual: &Cell<'_>, value: ValueRef<'_>) -> bool {
        self.other(field, usual).as_ref().unwrap_or(usual).is(value)
    }

    /// The cell in this format, if that is another one.
    fn other(&self, field: &[u8], usual: &Cell<'_>) -> Option<Cell<'static>> {
        match (self, usual) {
            (Format::Usual, _) => None,
            (Format::Real, Cell::Integer(whole)) => number::real(*whole).map(Cell::Real),
            (Format::Whole, Cell::Real(real)) => number::whole(*real).map(Cell::Integer),
            (Format::Digits, _) => number::digits(usual),
            (Format::Plain, _) => number::plain(usual, 0),
            (Format::Fixed(digits), _) => number::plain(usual, *digits),
            (Format::Scaled, _) => number::scaled(field, usual),
            // one byte: a boolean, and no other number
            (Format::Words { no, yes }, Cell::Integer(truth)) if field.len() == 1 => {
                Cell::spelt(if *truth == 0 { no } else { yes })
            }
            (Format::Number, _) => number::read(text(usual)?),
            (Format::Text, Cell::Blob(bytes)) => Some(Cell::Text(Cow::Owned(bytes.to_vec()))),
            (Format::Bytes, Cell::Spelt(_)) => Some(Cell::Blob(Cow::Owned(field.to_vec()))),
            (Format::Hex(style), Cell::Spelt(text)) => style.spell(text),
            (Format::Clock(style), Cell::Spelt(text)) => style.spell(text).map(Cell::Spelt),
            (Format::Moment(style), Cell::Integer(_) | Cell::Real(_)) => {
                style.spell(&clock::moment(field)?).map(Cell::Spelt)
            }
            (Format::Tail(tail), Cell::Spelt(text)) => {
                Cell::spelt([text.as_slice(), tail.as_bytes()].concat())
            }
            (Format::Json { compact, ascii }, _) => json::spell(text(usual)?, *compact, *ascii),
            _ => None,
        }
    }

    /// A cell from which the format of its column can be told, with its binary form; none if it does not fit. A time
    /// that a rule rounds is spelt as what is left of it would be: the digits that are gone say nothing of the others.
    #[must_use]
    pub fn sample(codec: &Codec, value: ValueRef<'_>) -> Option<(Vec<u8>, Value)> {
        let encoded = |value: ValueRef<'_>| {
            let mut field = Vec::new();
            let fit = (codec.encode)(&value, &mut field).ok()?;
            Some((fit, field))
        };
        let (fit, field) = encoded(value)?;
        if let (Fit::Repaired, ValueRef::Text(text)) = (fit, value) {
            for text in (0..=6).rev().filter_map(|digits| clock::rounded(text, digits)) {
                if let Some((Fit::Exact | Fit::Normalised, field)) = encoded(ValueRef::Text(&text)) {
                    return Some((field, Value::Text(String::from_utf8(text).ok()?)));
                }
            }
        }
        Some((field, Value::try_from(value).ok()?))
    }

    /// A UUID or a hardware address as its digits alone.
    #[must_use]
    pub fn digits_alone() -> Format {
        Format::Hex(Hex::default())
    }

    /// The format of most of `cells`, each with its binary form; none if there are none.
    #[must_use]
    pub fn of(codec: &Codec, cells: &[(Vec<u8>, Value)]) -> Option<Format> {
        let usual: Vec<_> = cells
            .iter()
            .filter_map(|(field, value)| Some((field, (codec.decode)(field)?, ValueRef::from(value))))
            .collect();
        let mut formats = vec![Format::Usual];
        for (field, usual, value) in usual.iter().filter(|(_, usual, value)| !usual.is(*value)) {
            let new = Format::candidates(field, usual, *value).into_iter();
            let new = new.filter(|format| format.gives(field, usual, *value));
            for format in new {
                if formats.len() < CANDIDATES && !formats.contains(&format) {
                    formats.push(format);
                }
            }
        }
        let score = |format: &Format| {
            usual.iter().filter(|(field, usual, value)| format.gives(field, usual, *value)).count()
        };
        // the first of those that are right equally often
        let scored = formats.iter().rev().max_by_key(|format| score(format)).cloned();
        scored.filter(|_| !usual.is_empty())
    }

    /// What `value` may be spelt in, where the way back gives `usual` for `field`.
    fn candidates(field: &[u8], usual: &Cell<'_>, value: ValueRef<'_>) -> Vec<Format> {
        match (usual, value) {
            (Cell::Integer(_) | Cell::Real(_), ValueRef::Text(text)) if clock::is_moment(text) => {
                clock::moment(field).map(|usual| clock::moments(&usual, text)).unwrap_or_default()
            }
            (Cell::Integer(_), ValueRef::Real(_)) => vec![Format::Real],
            (Cell::Real(_), ValueRef::Integer(_)) => vec![Format::Whole],
            (Cell::Integer(truth), ValueRef::Text(text)) => {
                word::pair(text, *truth != 0).into_iter().chain(number::formats(text)).collect()
            }
            (Cell::Real(_), ValueRef::Text(text)) => number::formats(text),
            (Cell::Text(_) | Cell::Spelt(_), ValueRef::Integer(_) | ValueRef::Real(_)) => {
                vec![Format::Number]
            }
            (Cell::Blob(_), ValueRef::Text(_)) => vec![Format::Text],
            (Cell::Spelt(_), ValueRef::Blob(_)) => vec![Format::Bytes],
            (Cell::Text(_), ValueRef::Text(_)) => json::formats(),
            (Cell::Spelt(usual), ValueRef::Text(text)) => {
                let hex = word::formats(text).into_iter();
                hex.chain(clock::formats(usual, text)).chain(number::formats(text)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// So many formats are held against the cells at most.
const CANDIDATES: usize = 24;

fn text<'a>(cell: &'a Cell<'_>) -> Option<&'a [u8]> {
    match cell {
        Cell::Text(bytes) => Some(bytes),
        Cell::Spelt(bytes) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::{cells, codecs};
    use super::*;
    use crate::value::{Read, Rules, json, number, numeric, temporal, text};
    use proptest::prelude::*;

    fn given_back(codec: &Codec, texts: &[&str]) -> Vec<String> {
        let field = |text: &&str| {
            let mut field = Vec::new();
            (codec.encode)(&ValueRef::Text(text.as_bytes()), &mut field).expect(text);
            (field, Value::Text((*text).to_owned()))
        };
        let cells: Vec<_> = texts.iter().map(field).collect();
        let format = Format::of(codec, &cells).expect("a format");
        let text = |(field, _): &(Vec<u8>, Value)| match format
            .apply(field, (codec.decode)(field).expect("a cell"))
            .value()
        {
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        };
        cells.iter().map(text).collect()
    }

    #[track_caller]
    fn found(codec: &Codec, texts: &[&str]) {
        assert_eq!(given_back(codec, texts), texts);
    }

    #[test]
    fn what_applications_write_is_found() {
        let none = Rules::default();
        let (moment, zoned) = (temporal::timestamp(-1, &none), temporal::timestamptz(-1, &none));
        found(&moment, &["2024-01-01 00:00:00", "2024-01-01 12:00:00"]);
        found(&moment, &["2024-01-01 00:00:00", "2024-01-01 12:00:00.500000"]);
        found(&moment, &["2024-01-01T00:00:00.000", "2024-01-01T12:00:00.500"]);
        found(&moment, &["2024-01-01T00:00:00", "2024-01-01T12:00:00.5"]);
        found(&moment, &["2024-01-01 00:00", "2024-01-01 12:30"]);
        found(&moment, &["2024-01-01", "2024-01-02"]);
        found(&moment, &["2024-01-01 00:00:00.123456000"]);
        found(&zoned, &["2024-01-01T00:00:00Z", "2024-01-01T12:00:00.123Z", "2024-01-01T12:00:00.000001Z"]);
        found(&zoned, &["2024-01-01 00:30:00.000000+02:00", "2024-12-31 23:00:00.500000+02:00"]);
        found(&zoned, &["2024-01-01 00:30:00.000000+00", "2024-12-31 23:00:00.500000+00"]);
        found(&zoned, &["2024-01-01 00:30:00.000 +00:00", "2024-12-31 23:00:00.500 +00:00"]);
        found(&zoned, &["2024-01-01 00:30:00 UTC", "2024-12-31 23:00:00 UTC"]);
        found(&zoned, &["2024-01-01 00:30:00 +0100 CET", "2024-12-31 23:00:00.5 +0100 CET"]);
        found(&temporal::date(&none), &["2024-01-01T00:00:00", "2024-01-02T00:00:00"]);
        found(&temporal::time(-1, &none), &["12:00", "13:30"]);
        found(&temporal::timetz(-1, &none), &["12:00:00Z", "13:30:00Z"]);
        for words in [["false", "true"], ["False", "True"], ["NO", "YES"], ["f", "t"], ["N", "Y"], ["0", "1"]]
        {
            found(&number::boolean(), &words);
        }
        found(&numeric::numeric(-1, &none), &["1.50", "2", "0.000100"]);
        found(&numeric::numeric(4 + (9 << 16) + 3, &none), &["1.50", "2.25"]);
        found(&number::double(), &["1.50", "2.25"]);
        found(&number::integer(4), &["1", "20"]);
        found(&text::uuid(), &["0B9D8F2E4C1A4F6B9A7D2F6C1B3E5D70"]);
        found(&text::uuid(), &["{0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70}"]);
        found(&crate::value::net::mac(6), &["08-00-2B-01-02-03"]);
        found(&json::jsonb(), &["{\"a\":[1,\"b \\\" c\"]}", "[1,2]"]);
        found(&json::jsonb(), &["{\"a\": \"\\u00f1\\ud83d\\ude00\"}"]);
    }

    #[test]
    fn digits_that_a_rule_rounds_do_not_hide_the_format() {
        let rules = Rules { round: true, ..Rules::default() };
        for modifier in [-1, 3] {
            let codec = temporal::timestamptz(modifier, &rules);
            let times = ["00:00:00.1234567Z", "00:00:00.123456789Z", "00:00:59.999999999Z"];
            let texts = times.map(|time| format!("2024-01-01T{time}"));
            let sample = texts.map(|text| Format::sample(&codec, ValueRef::Text(text.as_bytes())));
            let format = Format::of(&codec, &sample.map(|cell| cell.expect("a cell"))).expect("a format");
            let mut field = Vec::new();
            (codec.encode)(&ValueRef::Text(b"2026-01-02 03:04:05.678+00:00"), &mut field).expect("a moment");
            let cell = format.apply(&field, (codec.decode)(&field).expect("a cell"));
            assert!(cell.is(ValueRef::Text(b"2026-01-02T03:04:05.678000000Z")), "{format:?} makes {cell:?}");
        }
    }

    #[test]
    fn digits_that_say_something_stay() {
        let codec = temporal::timestamp(-1, &Rules::default());
        let cells = ["2024-01-01", "2024-01-02", "2024-01-03 10:00:00.000001"];
        assert_eq!(given_back(&codec, &cells), cells);
        let cells = ["2024-01-01 00:00", "2024-01-02 00:00", "2024-01-03 10:00:01"];
        assert_eq!(given_back(&codec, &cells), cells);
        let cells = ["2024-01-01 00:00:00.1", "2024-01-02 00:00:00.2", "2024-01-03 10:00:00.123456"];
        assert_eq!(given_back(&codec, &cells), cells);
    }

    #[test]
    fn a_time_is_no_numeric_although_its_bytes_read_as_one() {
        let rules = Rules { read: Some(Read::UnixMillis), ..Rules::default() };
        let codec = temporal::time(-1, &rules);
        let cell = |value: Value| {
            let mut field = Vec::new();
            (codec.encode)(&ValueRef::from(&value), &mut field).expect("a time");
            (field, value)
        };
        let sample = [cell(Value::Text("0".to_owned())), cell(Value::Integer(66))];
        let format = Format::of(&codec, &sample).expect("a format");
        let (field, _) = cell(Value::Integer(1));
        assert_eq!(format.apply(&field, Cell::Integer(1)), Cell::Integer(1), "{format:?}");
    }

    #[test]
    fn no_format_changes_a_value() {
        let codecs = codecs();
        let config = ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() };
        let cells = (proptest::collection::vec(cells(), 1..4), cells());
        let result = proptest::test_runner::TestRunner::new(config).run(&cells, |(sample, other)| {
            // "Z" behind the clock of another zone is right for some moments: there the way back asks for every cell
            for (name, codec) in codecs.iter().filter(|(name, _)| !name.ends_with(" zone")) {
                let field = |cell: &Cell<'_>| {
                    let mut field = Vec::new();
                    let value = Value::try_from(cell.value()).ok()?;
                    (codec.encode)(&cell.value(), &mut field).ok().map(|_| (field, value))
                };
                let sample: Vec<_> = sample.iter().filter_map(field).collect();
                let Some(format) = Format::of(codec, &sample) else { continue };
                for (field, _) in sample.iter().cloned().chain(field(&other)) {
                    let usual = (codec.decode)(&field).expect("a cell");
                    let cell = format.apply(&field, usual.clone());
                    let mut again = Vec::new();
                    let fit = (codec.encode)(&cell.value(), &mut again);
                    prop_assert!(
                        matches!(fit, Ok(Fit::Exact | Fit::Normalised)),
                        "{name}: {format:?} makes {cell:?} of {usual:?}"
                    );
                    // zeros after the point are no value
                    let again = if *name == "numeric" {
                        (codec.decode)(&again) == (codec.decode)(&field)
                    } else {
                        again == field
                    };
                    prop_assert!(again, "{name}: {format:?} makes {cell:?} of {usual:?}");
                }
            }
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
    }
}
