//! Values, with PostgreSQL as the oracle: a cell of SQLite must arrive as the value that the server itself makes of an
//! SQL literal, or be refused with its rowid. A database is dear, so each test fills many tables of one.

use crate::support::Project;

/// A type, and cells of SQLite with the SQL literals that they must be.
type Arriving<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// Tables `t0`, `t1`, …, one for each type, with their cells in the order given, from rowid 1.
fn project(types: &[&str], cells: &[Vec<&str>]) -> Project {
    let (mut target, mut source, mut names) = (String::new(), String::new(), Vec::new());
    target.push_str("CREATE EXTENSION citext;");
    for (at, (kind, cells)) in types.iter().zip(cells).enumerate() {
        target.push_str(&format!("CREATE TABLE t{at} (id int, v {kind});"));
        // without affinity, a cell is stored as it is written
        source.push_str(&format!("CREATE TABLE t{at} (id INTEGER PRIMARY KEY, v);"));
        for cell in cells {
            source.push_str(&format!("INSERT INTO t{at} (v) VALUES ({cell});"));
        }
        names.push(format!("\"t{at}\""));
    }
    let step = format!("source = \"sqlite\"\ntables = [{}]\n", names.join(", "));
    let project =
        Project::with(&[("migrations/V1__create.sql", &target), ("migrations/V2__import.toml", &step)]);
    project.sqlite("app.db", &source);
    project
}

/// Every cell, in a column without affinity, is the literal beside it, to the last digit of its text form.
#[track_caller]
fn arrive(sheets: &[Arriving<'_>]) {
    let types: Vec<&str> = sheets.iter().map(|(kind, _)| *kind).collect();
    let cells: Vec<Vec<&str>> =
        sheets.iter().map(|(_, rows)| rows.iter().map(|(cell, _)| *cell).collect()).collect();
    let project = project(&types, &cells);
    project.outgrow(["migrate"]).succeeds();
    for (at, (kind, rows)) in sheets.iter().enumerate() {
        let expected: Vec<String> =
            rows.iter().zip(1..).map(|((_, literal), id)| format!("({id}, {literal}::{kind})")).collect();
        let different = project.query(&format!(
            "SELECT format('row %s is %s and not %s', id, t.v, e.v) FROM t{at} t FULL JOIN (VALUES {}) e (id, v) \
             USING (id) WHERE t.v::text IS DISTINCT FROM e.v::text",
            expected.join(", ")
        ));
        assert_eq!(different, [""; 0], "{kind} {rows:?}");
    }
}

/// Every cell is refused with its rowid, and nothing stays.
#[track_caller]
fn refused(sheets: &[(&str, &[&str])]) {
    let types: Vec<&str> = sheets.iter().map(|(kind, _)| *kind).collect();
    let cells: Vec<Vec<&str>> = sheets.iter().map(|(_, cells)| cells.to_vec()).collect();
    let project = project(&types, &cells);
    let outcome = project.outgrow(["migrate"]).exits(6).says(&["V2__import failed and was rolled back"]);
    for (at, (kind, cells)) in sheets.iter().enumerate() {
        let lines = outcome.stderr.lines().filter(|line| line.contains(&format!("t{at}.v: ")));
        let counted: usize = lines
            .filter_map(|line| line.split(" row").next()?.rsplit(" in ").next()?.parse::<usize>().ok())
            .sum();
        assert_eq!(counted, cells.len(), "every one is reported: {kind} {cells:?} {outcome:#?}");
        assert_eq!(project.query(&format!("SELECT count(*)::text FROM t{at}")), ["0"]);
    }
    assert_eq!(project.query("SELECT max(version)::text FROM refinery_schema_history"), ["1"]);
}

#[test]
fn numbers() {
    let floats: &[(&str, &str)] = &[
        ("0.1", "0.1"),
        ("1e-8", "1e-8"),
        ("2.5e-300", "2.5e-300"),
        ("9e999", "'Infinity'"),
        ("-9e999", "'-Infinity'"),
        ("7", "7"),
        ("'0.30'", "0.3"),
        ("'-0.0'", "'-0'"),
        ("4.9e-324", "4.9e-324"),
        ("2.2250738585072009e-308", "2.2250738585072009e-308"),
        ("-1.7976931348623157e308", "-1.7976931348623157e308"),
        ("0.30000000000000004", "0.30000000000000004"),
    ];
    arrive(&[
        (
            "smallint",
            &[("-32768", "'-32768'"), ("32767", "32767"), ("'12'", "12"), ("3.0", "3"), ("NULL", "NULL")],
        ),
        ("int", &[("2147483647", "2147483647"), ("-2147483648", "'-2147483648'"), ("-0.0", "0")]),
        (
            "bigint",
            &[
                ("9223372036854775807", "9223372036854775807"),
                ("-9223372036854775808", "'-9223372036854775808'"),
                ("'9223372036854775807'", "9223372036854775807"),
                ("-9223372036854775808.0", "'-9223372036854775808'"),
            ],
        ),
        ("oid", &[("0", "0"), ("4294967295", "4294967295")]),
        ("float8", floats),
        ("float4", &[("0.1", "0.1"), ("16777216", "16777216"), ("1e-45", "1e-45"), ("9e999", "'Infinity'")]),
        (
            "numeric",
            &[
                ("0.1", "0.1"),
                ("12345678901234567", "12345678901234567"),
                ("'1.50'", "1.50"),
                ("1e20", "1e20"),
                ("-0.00012", "-0.00012"),
                ("0", "0"),
                ("10000", "10000"),
                ("99990000", "99990000"),
                ("'0.00001'", "0.00001"),
                ("'-123456789012345678901234567890.0010'", "-123456789012345678901234567890.0010"),
                ("9e999", "'Infinity'"),
                ("-9e999", "'-Infinity'"),
            ],
        ),
        (
            "numeric(6,2)",
            &[
                ("1234.5", "1234.5"),
                ("'-0.01'", "-0.01"),
                ("9999.99", "9999.99"),
                ("0", "0"),
                ("'1.500'", "1.5"),
            ],
        ),
        (
            "boolean",
            &[
                ("0", "false"),
                ("1", "true"),
                ("'t'", "true"),
                ("'FALSE'", "false"),
                ("'yes'", "true"),
                ("' off '", "false"),
                ("0.0", "false"),
            ],
        ),
    ]);
    refused(&[
        ("smallint", &["32768", "-32769", "1.5", "'x'", "'1.0'", "''", "x'01'", "9e999"]),
        ("int", &["2147483648", "'10x'", "' 1'", "'01'", "'-0'"]),
        ("bigint", &["9.3e18", "'9223372036854775808'", "9223372036854775808.0"]),
        ("oid", &["-1", "4294967296"]),
        ("float8", &["9007199254740993", "'0.1000000000000000055511151231257827'", "'abc'", "x'00'", "''"]),
        ("float4", &["0.123456789", "1e300", "16777217", "1e-46"]),
        ("numeric", &["'NaN'", "''", "'1,5'", "x'31'"]),
        ("numeric(6,2)", &["12345", "1.005", "9e999", "'x'"]),
        ("boolean", &["2", "-1", "''", "'maybe'", "0.5", "x'01'", "'o'"]),
    ]);
}

#[test]
fn scales_below_zero_since_15() {
    arrive(&[("numeric(3,-2)", &[("12300", "12300"), ("99900.0", "99900")])]);
    refused(&[("numeric(3,-2)", &["12345", "100000"])]);
}

#[test]
fn texts() {
    let uuid = "'0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70'";
    arrive(&[
        (
            "text",
            &[
                ("''", "''"),
                ("'ñ 🔑 \\N'", "'ñ 🔑 \\N'"),
                ("5", "'5'"),
                ("'NULL'", "'NULL'"),
                ("'a' || char(10) || char(9) || char(13)", "E'a\\n\\t\\r'"),
                ("char(1114111)", "E'\\U0010FFFF'"),
            ],
        ),
        ("varchar(3)", &[("'ñé🔑'", "'ñé🔑'"), ("'a  '", "'a  '")]),
        (
            "char(4)",
            &[("'ñé'", "'ñé'"), ("''", "''"), ("'abcd'", "'abcd'"), ("'abc '", "'abc '"), ("12", "'12'")],
        ),
        ("citext", &[("'Ab'", "'Ab'"), ("''", "''")]),
        ("name", &[("'pg_class'", "'pg_class'"), ("'ñ'", "'ñ'")]),
        (
            "bytea",
            &[("x''", "''"), ("x'00ff'", "'\\x00ff'"), ("'ab'", "'ab'"), ("cast(x'ff' as text)", "'\\xff'")],
        ),
        (
            "uuid",
            &[
                (uuid, uuid),
                ("'0B9D8F2E4C1A4F6B9A7D2F6C1B3E5D70'", uuid),
                ("'{0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70}'", uuid),
                ("x'0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70'", uuid),
            ],
        ),
        (
            "inet",
            &[
                ("'192.168.0.1'", "'192.168.0.1'"),
                ("'192.168.0.1/24'", "'192.168.0.1/24'"),
                ("'10.0.0.0/32'", "'10.0.0.0'"),
                ("'::1'", "'::1'"),
                ("'2001:DB8::1/64'", "'2001:db8::1/64'"),
                ("'::ffff:1.2.3.4'", "'::ffff:1.2.3.4'"),
            ],
        ),
        (
            "cidr",
            &[
                ("'10.0.0.0/8'", "'10.0.0.0/8'"),
                ("'1.2.3.4'", "'1.2.3.4/32'"),
                ("'2001:db8::/32'", "'2001:db8::/32'"),
            ],
        ),
        (
            "macaddr",
            &[("'08:00:2B:01:02:03'", "'08:00:2b:01:02:03'"), ("x'08002b010203'", "'08:00:2b:01:02:03'")],
        ),
        ("macaddr8", &[("'08:00:2b:01:02:03:04:05'", "'08:00:2b:01:02:03:04:05'")]),
    ]);
    refused(&[
        ("text", &["cast(x'ff' as text)", "'a' || char(0) || 'b'", "x'ff'", "cast(x'eda080' as text)"]),
        ("varchar(3)", &["'abcd'", "'abc '", "1234"]),
        ("char(4)", &["'abcde'", "'a '", "' '", "'abcd '"]),
        ("citext", &["x'ff'"]),
        ("name", &["printf('%.*c', 64, 'x')", "printf('%.*c', 32, 'ñ')"]),
        ("bytea", &["1", "1.5"]),
        ("uuid", &["'x'", "x'00'", "1", "''"]),
        (
            "inet",
            &["'1.2.3'", "'1.2.3.4/33'", "''", "'localhost'", "16909060", "'fe80::1%eth0'", "'1.2.3.4/+8'"],
        ),
        ("cidr", &["'10.0.0.1/8'", "'2001:db8::1/32'"]),
        ("macaddr", &["'08:00:2b:01:02'", "x'00'", "''"]),
    ]);
}

#[test]
fn dates_and_times() {
    arrive(&[
        (
            "date",
            &[
                ("'2024-02-29'", "'2024-02-29'"),
                ("'0001-01-01'", "'0001-01-01'"),
                ("'9999-12-31'", "'9999-12-31'"),
                ("'2024-01-01 00:00:00'", "'2024-01-01'"),
            ],
        ),
        (
            "timestamp",
            &[
                ("'1970-01-01 00:00:00.000001'", "'1970-01-01 00:00:00.000001'"),
                ("'2099-12-31T23:59:59.5'", "'2099-12-31 23:59:59.5'"),
                ("'0001-01-01 00:00:00.000000'", "'0001-01-01 00:00:00'"),
                ("'9999-12-31 23:59:59.999999'", "'9999-12-31 23:59:59.999999'"),
                ("'2024-01-01 00:00:00.123456000'", "'2024-01-01 00:00:00.123456'"),
                ("'1900-02-28'", "'1900-02-28'"),
            ],
        ),
        ("timestamp(3)", &[("'2024-01-01 00:00:00.123000'", "'2024-01-01 00:00:00.123'")]),
        (
            "timestamptz",
            &[
                ("'2024-06-01 12:00:00+02:00'", "'2024-06-01 10:00:00Z'"),
                ("'2024-06-01T12:00:00Z'", "'2024-06-01 12:00:00Z'"),
                ("'2024-06-01 12:00:00.25-0330'", "'2024-06-01 15:30:00.25Z'"),
                ("'1883-11-18 12:00:00+01:02:03'", "'1883-11-18 10:57:57Z'"),
            ],
        ),
        ("time", &[("'00:00'", "'00:00'"), ("'23:59:59.999999'", "'23:59:59.999999'")]),
        ("time(2)", &[("'01:02:03.45'", "'01:02:03.45'")]),
        ("timetz", &[("'01:02:03+05:30'", "'01:02:03+05:30'"), ("'01:02:03.5Z'", "'01:02:03.5+00'")]),
        (
            "interval",
            &[
                ("'00:00:00'", "'0'"),
                ("'-00:00:01.5'", "'-1.5 seconds'"),
                ("'100:00:00'", "'100 hours'"),
                ("'1 day, 2:03:04'", "'1 day 02:03:04'"),
                ("'-1 days +02:03:00'", "'-1 days +02:03:00'"),
                ("'1 year 2 mons -3 days 04:05:06.7'", "'1 year 2 mons -3 days 04:05:06.7'"),
                ("'P1Y2M3W4DT5H6M7.5S'", "'P1Y2M3W4DT5H6M7.5S'"),
                ("'90 seconds'", "'90 seconds'"),
            ],
        ),
        ("interval(0)", &[("'00:00:01'", "'1 second'")]),
    ]);
    refused(&[
        ("date", &["'2024-01-01 00:00:01'", "'0000-00-00'", "''", "'2023-02-29'", "20240101"]),
        (
            "timestamp",
            &["'2024-01-01 00:00:00Z'", "1700000000", "'2024-01-01 00:00:00.1234567'", "'now'", "'infinity'"],
        ),
        ("timestamp(3)", &["'2024-01-01 00:00:00.123400'"]),
        ("timestamptz", &["'2024-06-01 12:00:00'", "'0001-01-01 00:00:00+02:00'", "1700000000.5"]),
        ("time", &["'24:00:00'", "'1:00'", "'2000-01-01 10:00:00'", "'10:00:00Z'", "3600"]),
        ("timetz", &["'10:00:00'", "'10:00:00+16:00'"]),
        ("interval", &["'1'", "90", "'1:30'", "''", "'1 fortnight'", "'00:00:00.1234567'"]),
        ("interval(0)", &["'00:00:01.5'"]),
    ]);
}

#[test]
fn json() {
    let deep = format!("'{}{}'", "[".repeat(127), "]".repeat(127));
    let controls: String = (1..32).map(|code| format!("\\u{code:04x}")).collect();
    let controls = format!("'{{\"{controls}\\u007f\": \"{controls}\\/\\\"\\\\\"}}'");
    let keys = "'{\"bb\": 1, \"a\": {\"ñ\": [], \"z\": {}}, \"\": -0.0}'";
    arrive(&[
        (
            "jsonb",
            &[
                ("'{\"a\": [1, \"\\u00f1\"]}'", "'{\"a\": [1, \"ñ\"]}'"),
                ("'null'", "'null'"),
                ("5", "'5'"),
                (
                    "'[1e2, 1.50, -0, 1E-3, 12345678901234567890123456789]'",
                    "'[1e2, 1.50, -0, 1E-3, 12345678901234567890123456789]'",
                ),
                (&deep, &deep),
                (&controls, &controls),
                (keys, keys),
            ],
        ),
        (
            "json",
            &[("'{\"a\":  1, \"a\": 2}'", "'{\"a\":  1, \"a\": 2}'"), ("' [] '", "' [] '"), ("1.5", "'1.5'")],
        ),
    ]);
    refused(&[
        ("jsonb", &["'{'", "'\"\\u0000\"'", "'NaN'", "'{\"a\":1,\"a\":1}'", "'\"\\ud800\"'", "'1e200000'"]),
        ("json", &["''", "'{a:1}'", "x'7b7d'", "'NaN'"]),
    ]);
}
