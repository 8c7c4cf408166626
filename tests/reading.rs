//! Rules for the reading of single columns, straight through the codecs: what is sent must be the value that the server
//! makes of an SQL literal, what the server gives back must be the same bytes, and those must decode to the cell.

use crate::support::Project;
use outgrow::value::interval::interval;
use outgrow::value::numeric::numeric;
use outgrow::value::temporal::{date, time, timestamp, timestamptz, timetz};
use outgrow::value::text::{Limit, text};
use outgrow::value::{Cell, Codec, Fit, Read, Repair, Rules, Zone};
use rusqlite::types::ValueRef;
use std::io::{Read as _, Write as _};

/// A server's and SQLite's opinion on values.
struct Oracle {
    client: postgres::Client,
    sqlite: rusqlite::Connection,
    // dropped after the connection
    _project: Project,
}

impl Oracle {
    fn new() -> Oracle {
        let project = Project::empty();
        let sqlite = rusqlite::Connection::open_in_memory().expect("SQLite");
        Oracle { client: project.connect(), sqlite, _project: project }
    }

    fn cell(&self, literal: &str) -> Cell<'static> {
        let query = format!("SELECT {literal}");
        let cell = self.sqlite.query_row(&query, [], |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Integer(number) => Cell::Integer(number),
                ValueRef::Real(real) => Cell::Real(real),
                ValueRef::Text(bytes) => Cell::Text(bytes.to_vec().into()),
                ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec().into()),
                ValueRef::Null => panic!("{literal} is NULL"),
            })
        });
        cell.expect(literal)
    }

    /// Cells of SQLite, the literals that they must be, and how they arrive.
    #[track_caller]
    fn arrive(&mut self, kind: &str, codec: &Codec, rows: &[(&str, &str, Fit)]) {
        let mut stream = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        let mut expected = Vec::new();
        for (id, (cell, literal, fit)) in (0_i32..).zip(rows) {
            let (value, mut bytes) = (self.cell(cell), Vec::new());
            let found = (codec.encode)(&value.value(), &mut bytes);
            assert_eq!(found, Ok(*fit), "{cell} as {kind}");
            let back = (codec.decode)(&bytes).expect("a cell");
            assert_eq!(back.is(value.value()), *fit == Fit::Exact, "{cell} as {kind} comes back as {back:?}");
            stream.extend_from_slice(&[0, 2, 0, 0, 0, 4]);
            stream.extend_from_slice(&id.to_be_bytes());
            stream.extend_from_slice(&i32::try_from(bytes.len()).expect("short").to_be_bytes());
            stream.extend_from_slice(&bytes);
            expected.push(format!("({id}, {literal}::{kind})"));
        }
        stream.extend_from_slice(&[0xff, 0xff]);
        let table = format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id int, v {kind})");
        self.client.batch_execute(&table).expect("a table");
        let mut copy = self.client.copy_in("COPY t FROM STDIN (FORMAT binary)").expect("a COPY");
        copy.write_all(&stream).expect("the rows");
        copy.finish().expect(kind);
        let query = format!(
            "SELECT format('%s is %s and not %s', id, t.v, e.v) FROM t FULL JOIN (VALUES {}) e (id, v) USING (id) \
             WHERE t.v::text IS DISTINCT FROM e.v::text",
            expected.join(", ")
        );
        let different = self.client.query(&query, &[]).expect(&query);
        let different: Vec<String> = different.iter().map(|row| row.get(0)).collect();
        assert_eq!(different, [""; 0], "{kind}");
        let mut back = Vec::new();
        let mut copy =
            self.client.copy_out("COPY (TABLE t ORDER BY id) TO STDOUT (FORMAT binary)").expect("a COPY");
        copy.read_to_end(&mut back).expect("the rows");
        assert_eq!(back, stream, "{kind}");
    }

    #[track_caller]
    fn refused(&self, codec: &Codec, cells: &[&str]) {
        for cell in cells {
            let found = (codec.encode)(&self.cell(cell).value(), &mut Vec::new());
            assert!(found.is_err(), "{cell} is {found:?}");
        }
    }
}

fn reading(read: Read) -> Rules {
    Rules { read: Some(read), ..Rules::default() }
}

fn zone(name: &str) -> Rules {
    Rules { zone: Some(Zone::parse(name).expect(name)), ..Rules::default() }
}

fn rounding(rules: Rules) -> Rules {
    Rules { round: true, ..rules }
}

use Fit::{Exact, Normalised, Repaired};

#[test]
fn numbers_as_moments() {
    let mut oracle = Oracle::new();
    let seconds = reading(Read::UnixSeconds);
    let rows = [
        ("0", "'1970-01-01'", Exact),
        ("-1", "'1969-12-31 23:59:59'", Exact),
        ("1700000000", "'2023-11-14 22:13:20'", Exact),
        ("1700000000.123456", "'2023-11-14 22:13:20.123456'", Exact),
        ("-0.000001", "'1969-12-31 23:59:59.999999'", Exact),
        ("1700000000.0", "'2023-11-14 22:13:20'", Normalised),
        ("'1700000000.5'", "'2023-11-14 22:13:20.5'", Normalised),
        ("-62135596800", "'0001-01-01'", Exact),
        ("253402300799", "'9999-12-31 23:59:59'", Exact),
    ];
    oracle.arrive("timestamp", &timestamp(-1, &seconds), &rows);
    // text beside the numbers is read as text
    let texts = [
        ("'2024-01-01'", "'2024-01-01'", Normalised),
        ("'0500-01-01 01:02'", "'0500-01-01 01:02'", Normalised),
    ];
    oracle.arrive("timestamp", &timestamp(-1, &seconds), &texts);
    oracle.refused(&timestamptz(-1, &seconds), &["'2024-01-01'"]);
    oracle.client.batch_execute("SET timezone = 'UTC'").expect("UTC");
    oracle.arrive("timestamptz", &timestamptz(-1, &seconds), &rows);
    oracle.refused(
        &timestamp(-1, &seconds),
        &[
            "0.1234567",
            "9e999",
            "253402300800",
            "-62135596801",
            "9223372036854775807",
            "'2024-01-01 00:00:00Z'",
            "x'00'",
            "''",
        ],
    );
    oracle.refused(&timestamp(0, &seconds), &["0.5"]);
    oracle.arrive(
        "timestamp",
        &timestamp(-1, &rounding(seconds.clone())),
        &[("0.1234567", "'1970-01-01 00:00:00.123457'", Repaired), ("0.5", "'1970-01-01 00:00:00.5'", Exact)],
    );
    oracle.arrive(
        "timestamp(0)",
        &timestamp(0, &rounding(seconds)),
        &[("1.75", "'1970-01-01 00:00:02'", Repaired)],
    );
    oracle.arrive(
        "timestamp",
        &timestamp(-1, &reading(Read::UnixMillis)),
        &[
            ("1700000000123", "'2023-11-14 22:13:20.123'", Exact),
            ("1700000000123.456", "'2023-11-14 22:13:20.123456'", Exact),
            ("-1", "'1969-12-31 23:59:59.999'", Exact),
        ],
    );
    oracle.arrive(
        "timestamp",
        &timestamp(-1, &reading(Read::UnixMicros)),
        &[("1700000000123456", "'2023-11-14 22:13:20.123456'", Exact)],
    );
    oracle.refused(&timestamp(-1, &reading(Read::UnixMicros)), &["0.5"]);
    let julian = [
        ("2440587.5", "'1970-01-01'", Exact),
        ("julianday('2024-02-29 12:34:56.789')", "'2024-02-29 12:34:56.789'", Exact),
        ("julianday('0001-01-01')", "'0001-01-01'", Exact),
        ("julianday('9999-12-31 23:59:59.999')", "'9999-12-31 23:59:59.999'", Exact),
        ("2451545", "'2000-01-01 12:00'", Normalised),
    ];
    oracle.arrive("timestamp", &timestamp(-1, &reading(Read::Julian)), &julian);
    oracle.refused(
        &timestamp(-1, &reading(Read::Julian)),
        &["2440587.123456789", "0", "-1.5", "'2440587.5'", "1e300"],
    );
}

#[test]
fn numbers_as_days_times_and_intervals() {
    let mut oracle = Oracle::new();
    oracle.arrive(
        "date",
        &date(&reading(Read::UnixSeconds)),
        &[
            ("86400", "'1970-01-02'", Exact),
            ("-86400", "'1969-12-31'", Exact),
            ("'1970-01-02'", "'1970-01-02'", Normalised),
        ],
    );
    oracle.refused(&date(&reading(Read::UnixSeconds)), &["1", "'1970-01-01 00:00:01'"]);
    let madrid = Rules { read: Some(Read::UnixMillis), ..zone("Europe/Madrid") };
    oracle.arrive("date", &date(&madrid), &[("1719784800000", "'2024-07-01'", Exact)]);
    oracle.refused(&date(&madrid), &["1719792000000"]);
    oracle.arrive("date", &date(&reading(Read::Julian)), &[("2451544.5", "'2000-01-01'", Exact)]);
    oracle.arrive(
        "time",
        &time(-1, &reading(Read::UnixSeconds)),
        &[("0", "'00:00'", Exact), ("3723.5", "'01:02:03.5'", Exact), ("'01:02'", "'01:02'", Normalised)],
    );
    oracle.refused(&time(-1, &reading(Read::UnixSeconds)), &["86400", "-1"]);
    oracle.arrive(
        "time",
        &time(-1, &rounding(Rules::default())),
        &[("'01:02:03.1234567'", "'01:02:03.123457'", Repaired)],
    );
    oracle.refused(&time(-1, &rounding(Rules::default())), &["'23:59:59.9999999'"]);
    oracle.refused(&timetz(-1, &rounding(Rules::default())), &["'23:59:59.9999999Z'"]);
    oracle.arrive(
        "timetz",
        &timetz(-1, &rounding(Rules::default())),
        &[
            ("'01:02:03.1234567+02:00'", "'01:02:03.123457+02'", Repaired),
            ("'01:02:03.000000+02:00'", "'01:02:03+02'", Exact),
        ],
    );
    oracle.arrive(
        "interval",
        &interval(-1, &reading(Read::UnixMicros)),
        &[("90000000", "'00:01:30'", Exact), ("-1", "'-00:00:00.000001'", Exact)],
    );
    oracle.arrive(
        "interval",
        &interval(-1, &reading(Read::UnixSeconds)),
        &[("0.25", "'00:00:00.25'", Exact)],
    );
}

#[test]
fn zones() {
    let mut oracle = Oracle::new();
    oracle.client.batch_execute("SET timezone = 'Asia/Tokyo'").expect("a zone that must not matter");
    let madrid = zone("Europe/Madrid");
    oracle.arrive(
        "timestamptz",
        &timestamptz(-1, &madrid),
        &[
            ("'2024-07-01 12:00:00.000000'", "'2024-07-01 12:00 Europe/Madrid'", Exact),
            ("'2024-01-01 12:00:00'", "'2024-01-01 11:00Z'", Normalised),
            ("'2024-07-01T12:00:00Z'", "'2024-07-01 12:00Z'", Normalised),
            ("'2024-10-27 02:30:00.000000+02:00'", "'2024-10-27 00:30Z'", Exact),
            ("'2024-10-27 02:30:00.000000+01:00'", "'2024-10-27 01:30Z'", Exact),
            ("'1899-01-01 00:00:00.000000'", "'1899-01-01 00:00 Europe/Madrid'", Exact),
        ],
    );
    oracle.refused(
        &timestamptz(-1, &madrid),
        &["'2024-03-31 02:30:00'", "'2024-10-27 02:30:00'", "1700000000"],
    );
    oracle.arrive(
        "timestamp",
        &timestamp(-1, &madrid),
        &[
            ("'2024-07-01 12:00:00.000000'", "'2024-07-01 12:00'", Exact),
            ("'2024-07-01 12:00:00Z'", "'2024-07-01 14:00'", Normalised),
        ],
    );
    oracle.refused(&timestamp(-1, &madrid), &["'2024-10-27 00:30:00Z'"]);
    oracle.arrive(
        "timestamptz",
        &timestamptz(-1, &zone("-03:30")),
        &[
            ("'2024-07-01 12:00:00.000000'", "'2024-07-01 15:30Z'", Exact),
            ("'9999-12-31 20:00:00.000000'", "'9999-12-31 23:30Z'", Exact),
        ],
    );
    oracle.refused(&timestamptz(-1, &zone("-03:30")), &["'9999-12-31 23:00:00'"]);
    let unix = Rules { read: Some(Read::UnixSeconds), ..madrid };
    oracle.arrive("timestamp", &timestamp(-1, &unix), &[("1719828000", "'2024-07-01 12:00'", Exact)]);
    oracle.refused(&timestamp(-1, &unix), &["1729989000"]);
}

#[test]
fn repairs() {
    let mut oracle = Oracle::new();
    let rules = |nul, utf8| Rules { nul, utf8, ..Rules::default() };
    oracle.arrive(
        "text",
        &text(Limit::None, &rules(Repair::Strip, Repair::Strip)),
        &[("cast(x'610062ff' as text)", "'ab'", Repaired), ("'ab'", "'ab'", Exact)],
    );
    oracle.arrive(
        "char(4)",
        &text(Limit::Padded(4), &rules(Repair::Replace, Repair::Replace)),
        &[("cast(x'610062ff' as text)", "E'a\\uFFFDb\\uFFFD'", Repaired)],
    );
    let round = rounding(Rules::default());
    oracle.arrive(
        "timestamp",
        &timestamp(-1, &round),
        &[
            ("'2024-01-01 00:00:00.123456789'", "'2024-01-01 00:00:00.123456789'", Repaired),
            ("'2024-12-31 23:59:59.9999999'", "'2025-01-01'", Repaired),
        ],
    );
    oracle.refused(&timestamp(-1, &round), &["'9999-12-31 23:59:59.9999999'"]);
    oracle.arrive(
        "timestamp(1)",
        &timestamp(1, &round),
        &[("'2024-01-01 00:00:00.26'", "'2024-01-01 00:00:00.26'", Repaired)],
    );
    oracle.arrive(
        "interval",
        &interval(-1, &round),
        &[("'00:00:01.0000016'", "'00:00:01.000002'", Repaired)],
    );
    oracle.arrive(
        "numeric(6,2)",
        &numeric(4 + (6 << 16) + 2, &round),
        &[("1.005", "1.005", Repaired), ("'-9.995'", "-9.995", Repaired), ("1.5", "1.5", Exact)],
    );
    oracle.refused(&numeric(4 + (6 << 16) + 2, &round), &["9999.995"]);
}
