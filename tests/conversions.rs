//! `docs/conversions.md` is what the codecs do with sample cells, and nothing else.

use crate::support::repository;
use outgrow::copy::codec::choose;
use outgrow::postgres::catalog::Column;
use outgrow::value::{Cell, Fit, Read, Repair, Rules, Zone};
use rusqlite::types::ValueRef;
use tokio_postgres::types::Type;

/// The name of the target type, its number, its modifier, and samples of text.
type Sample = (&'static str, Type, i32, &'static [&'static str]);

const VARHDRSZ: i32 = 4;

fn types() -> Vec<Sample> {
    let number: &[&str] = &["12", "1.50", "1e3", "x", ""];
    let date: &[&str] = &["2024-02-29", "2024-02-29 00:00:00", "2024-02-29 12:00:00", "0000-00-00", ""];
    let moment: &[&str] = &[
        "2024-02-29 12:00:00.000000",
        "2024-02-29T12:00:00.5",
        "2024-02-29 12:00:00.1234567",
        "2024-02-29 12:00:00+02:00",
        "2024-02-29T12:00:00Z",
        "2024-02-29 12:00:00.000 +00:00",
        "now",
    ];
    let word: &[&str] = &["abc", "ab ", "longer"];
    vec![
        ("boolean", Type::BOOL, -1, &["true", "f", "1", "maybe", ""]),
        ("smallint", Type::INT2, -1, number),
        ("integer", Type::INT4, -1, number),
        ("bigint", Type::INT8, -1, number),
        ("oid", Type::OID, -1, &["12"]),
        ("real", Type::FLOAT4, -1, &["0.1", "0.123456789"]),
        ("double precision", Type::FLOAT8, -1, number),
        ("numeric", Type::NUMERIC, -1, number),
        ("numeric(6,2)", Type::NUMERIC, VARHDRSZ + (6 << 16) + 2, &["12.5", "12.345", "12345"]),
        ("text", Type::TEXT, -1, word),
        ("varchar(3)", Type::VARCHAR, VARHDRSZ + 3, word),
        ("char(4)", Type::BPCHAR, VARHDRSZ + 4, word),
        ("name", Type::NAME, -1, word),
        ("bytea", Type::BYTEA, -1, word),
        (
            "uuid",
            Type::UUID,
            -1,
            &["0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70", "0B9D8F2E4C1A4F6B9A7D2F6C1B3E5D70", "abc"],
        ),
        ("json", Type::JSON, -1, &["{\"b\":1,  \"a\":1}", "{\"a\":1,\"a\":2}", "NaN", ""]),
        ("jsonb", Type::JSONB, -1, &["{\"b\":1,  \"a\":1}", "{\"a\":1,\"a\":2}", "NaN", "\"\\u0000\""]),
        ("date", Type::DATE, -1, date),
        ("time", Type::TIME, -1, &["12:00", "12:00:00.500000", "2000-01-01 12:00:00", "24:00:00"]),
        ("timetz", Type::TIMETZ, -1, &["12:00:00.000000+02:00", "12:00Z", "12:00"]),
        ("timestamp", Type::TIMESTAMP, -1, moment),
        ("timestamp(3)", Type::TIMESTAMP, 3, &["2024-02-29 12:00:00.123000", "2024-02-29 12:00:00.123400"]),
        ("timestamptz", Type::TIMESTAMPTZ, -1, moment),
        ("interval", Type::INTERVAL, -1, &["01:30:00", "1 day, 2:00:00", "P1DT2H", "1:30", "90"]),
        ("inet", Type::INET, -1, &["192.168.0.1", "192.168.0.1/24", "2001:DB8::1", "localhost"]),
        ("cidr", Type::CIDR, -1, &["10.0.0.0/8", "10.0.0.1/8"]),
        ("macaddr", Type::MACADDR, -1, &["08:00:2b:01:02:03", "08002B010203", "abc"]),
    ]
}

/// A rule as the table shows it, the type it is for as in [`Sample`], and cells.
type Ruled = (&'static str, Rules, &'static str, Type, i32, Vec<Cell<'static>>);

fn rules() -> Vec<Ruled> {
    let none = Rules::default;
    let read = |name: &str| Rules { read: Read::parse(name).ok(), ..none() };
    let madrid = Rules { zone: Zone::parse("Europe/Madrid").ok(), ..none() };
    let both = Rules { read: Some(Read::UnixSeconds), ..madrid.clone() };
    let round = Rules { round: true, ..none() };
    let (int, real) = (Cell::Integer, Cell::Real);
    let seconds = || vec![int(1_700_000_000), real(1_700_000_000.25), text("1700000000"), text("2024-01-01")];
    let clock = || {
        vec![text("2024-07-01 12:00:00.000000"), text("2024-07-01 12:00:00Z"), text("2024-10-27 02:30:00")]
    };
    let dirty =
        || vec![text("abc"), Cell::Text(b"a\0b".as_slice().into()), Cell::Text(b"a\xffb".as_slice().into())];
    let fine = text("2024-02-29 12:00:00.1234567");
    vec![
        ("read unix_s", read("unix_s"), "timestamp", Type::TIMESTAMP, -1, seconds()),
        ("read unix_s", read("unix_s"), "timestamptz", Type::TIMESTAMPTZ, -1, seconds()),
        ("read unix_s", read("unix_s"), "date", Type::DATE, -1, vec![int(86_400), int(1)]),
        ("read unix_s", read("unix_s"), "time", Type::TIME, -1, vec![int(3600), int(86_400)]),
        ("read unix_s", read("unix_s"), "interval", Type::INTERVAL, -1, vec![int(3600), real(0.5)]),
        (
            "read unix_ms",
            read("unix_ms"),
            "timestamp",
            Type::TIMESTAMP,
            -1,
            vec![int(1_700_000_000_123), real(0.5)],
        ),
        (
            "read unix_us",
            read("unix_us"),
            "timestamp",
            Type::TIMESTAMP,
            -1,
            vec![int(1_700_000_000_123_456), real(0.5)],
        ),
        (
            "read epoch",
            read("epoch"),
            "interval",
            Type::INTERVAL,
            -1,
            vec![text("1970-01-04 00:00:05.000000"), text("1969-12-31 23:00:00.000000"), text("01:30:00")],
        ),
        (
            "read 2000-01-01",
            read("2000-01-01"),
            "time",
            Type::TIME,
            -1,
            vec![text("2000-01-01 06:30:00.000000"), text("06:30:00"), text("2024-07-01 06:30:00")],
        ),
        (
            "read julian",
            read("julian"),
            "timestamp",
            Type::TIMESTAMP,
            -1,
            vec![real(2_440_587.5), real(2_440_587.123_456_789)],
        ),
        ("read unix_s, zone Europe/Madrid", both, "timestamp", Type::TIMESTAMP, -1, vec![int(1_719_828_000)]),
        ("zone Europe/Madrid", madrid.clone(), "timestamptz", Type::TIMESTAMPTZ, -1, clock()),
        ("zone Europe/Madrid", madrid, "timestamp", Type::TIMESTAMP, -1, clock()),
        ("round", round.clone(), "timestamp", Type::TIMESTAMP, -1, vec![fine]),
        (
            "round",
            round,
            "numeric(6,2)",
            Type::NUMERIC,
            VARHDRSZ + (6 << 16) + 2,
            vec![real(12.345), real(1.5)],
        ),
        (
            "nul strip, utf8 strip",
            Rules { nul: Repair::Strip, utf8: Repair::Strip, ..none() },
            "text",
            Type::TEXT,
            -1,
            dirty(),
        ),
        (
            "nul replace, utf8 replace",
            Rules { nul: Repair::Replace, utf8: Repair::Replace, ..none() },
            "text",
            Type::TEXT,
            -1,
            dirty(),
        ),
    ]
}

fn text(text: &'static str) -> Cell<'static> {
    Cell::Text(text.as_bytes().into())
}

/// As SQLite writes it.
fn literal(cell: &Cell<'_>) -> String {
    match cell.value() {
        ValueRef::Null => "`NULL`".to_owned(),
        ValueRef::Integer(number) => format!("`{number}`"),
        ValueRef::Real(real) => format!("`{real:?}`"),
        ValueRef::Text(bytes) => {
            format!("`'{}'`", String::from_utf8_lossy(bytes).replace('\0', "\\0"))
        }
        ValueRef::Blob(bytes) => {
            format!("`x'{}'`", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}

fn outcomes(kind: &Type, modifier: i32, rules: &Rules, cells: &[Cell<'_>]) -> (String, String) {
    let column =
        Column { type_oid: kind.oid(), type_name: kind.name().into(), modifier, ..Column::default() };
    let codec = choose(&column, rules).expect("a codec");
    let outcome = |cell: &Cell<'_>| {
        let mut bytes = Vec::new();
        let found = (codec.encode)(&cell.value(), &mut bytes);
        let back = || literal(&(codec.decode)(&bytes).expect("a cell"));
        let what = match found {
            Ok(Fit::Exact) => "kept".to_owned(),
            Ok(Fit::Normalised) => format!("comes back as {}", back()),
            Ok(Fit::Repaired) => format!("changed to {}", back()),
            Err(misfit) => format!("refused, {}", misfit.0),
        };
        format!("{} {what}", literal(cell))
    };
    (codec.expects.clone(), cells.iter().map(outcome).collect::<Vec<_>>().join("<br>"))
}

fn document() -> String {
    let mut out = String::from(HEAD);
    out.push_str("| target type | takes | INTEGER | REAL | TEXT | BLOB |\n|---|---|---|---|---|---|\n");
    for (name, kind, modifier, texts) in types() {
        let texts: Vec<Cell<'_>> = texts.iter().map(|sample| text(sample)).collect();
        let classes = [
            vec![Cell::Integer(1), Cell::Integer(1_700_000_000)],
            vec![Cell::Real(1.0), Cell::Real(0.5)],
            texts,
            vec![Cell::Blob(b"\x00\xff".as_slice().into())],
        ];
        let found = classes.map(|cells| outcomes(&kind, modifier, &Rules::default(), &cells));
        let takes = found[0].0.clone();
        let found: Vec<String> = found.into_iter().map(|(_, outcome)| outcome).collect();
        out.push_str(&format!("| `{name}` | {takes} | {} |\n", found.join(" | ")));
    }
    out.push_str(RULES);
    out.push_str("| rule | target type | takes | samples |\n|---|---|---|---|\n");
    for (rule, rules, name, kind, modifier, cells) in rules() {
        let (takes, found) = outcomes(&kind, modifier, &rules, &cells);
        out.push_str(&format!("| {rule} | `{name}` | {takes} | {found} |\n"));
    }
    out
}

const HEAD: &str = "\
# Conversions

What becomes of a cell is decided by its storage class in SQLite and the type of the target's column; the type that
SQLite's column was declared with means nothing. A value that the target cannot hold exactly is refused, and the step
with it: nothing is rounded, cut or guessed unless the step has a rule for it, and then the receipt counts it.

*kept*: as the type's usual form is written. *comes back as*: the same value, whose usual form is another spelling or
storage class; the receipt counts it as normalised. *changed to*: a rule made it another value; the receipt counts that too.
Whichever it is, [the way back](export.md) gives the cell as it was, because the step records what it takes.
*refused*: the reason, as the report gives it. NULL stays NULL, and is refused if the column is NOT NULL.

An enum takes its labels, spelt as the type spells them; a domain takes what its base type takes; `citext` is `text`.
`timestamp`, `time` and `interval` keep as many digits after the second as they are declared with. Any other type
takes what PostgreSQL's own input function for it makes of the value as text ([steps](steps.md#types-that-postgresql-reads)).
`jsonb` is taken apart, and so holds arrays and objects that are nested up to 127 levels deep; `json` as deep as the server takes.

This file is written by a test from what the code does: `OUTGROW_WRITE_DOCS=1 cargo test conversions`.

";

const RULES: &str = "
## Rules

`read` says what a number counts: `unix_s`, `unix_ms`, `unix_us` since 1970-01-01 00:00 UTC, or `julian` days; `epoch` is an
`interval` written as a moment, `2000-01-01` a `time` behind that date. `zone` is
`UTC`, an offset like `+02:00`, or a name like `Europe/Madrid`: it gives naive text its place in time (`timestamptz`),
or says which clock a `timestamp` or `date` shows. A time that the clock skips or shows twice is refused. `round` rounds
away digits that the target does not keep, halves upwards for times and away from zero for `numeric(p,s)`. `nul` and
`utf8` `strip` or `replace` (by U+FFFD) what PostgreSQL cannot hold in text. A rule that means nothing for the target's
type is refused.

";

#[test]
fn the_table_of_conversions_is_what_the_code_does() {
    let (path, document) = (repository().join("docs/conversions.md"), document());
    if std::env::var_os("OUTGROW_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(repository().join("docs")).expect("docs/");
        std::fs::write(&path, &document).expect("the file");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = written.lines().zip(document.lines()).find(|(one, other)| one != other);
    assert!(
        written == document,
        "docs/conversions.md is not what the code does: {differ:#?}\nOUTGROW_WRITE_DOCS=1 cargo test conversions writes it"
    );
}
