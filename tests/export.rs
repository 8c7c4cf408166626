//! The way back: SQLite → PostgreSQL → SQLite gives the same cells, and migrating the exported file the same content
//! again.

use crate::support::{Project, cells};

/// Migrates `app.db`, exports it, and asserts that the file holds the same.
/// The source goes there and back, and is the same.
#[track_caller]
pub fn comes_back(project: &Project) {
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

/// A table `t<n>` for each type, with a cell of each kind that it takes: in one table all of them, so that most are not
/// in the column's format, and then a table for each two cells, so that they are.
fn kinds() -> Vec<(&'static str, &'static [&'static str])> {
    vec![
        ("boolean", &["0", "1", "0.0", "1.0", "'t'", "'FALSE'", "'Yes'", "' off '", "'true'", "NULL"]),
        ("smallint", &["-32768", "7", "7.0", "'12'", "-0.0"]),
        ("int", &["2147483647", "3.0", "'-5'"]),
        ("bigint", &["9223372036854775807", "'9223372036854775807'", "-9223372036854775808.0", "1e3"]),
        ("oid", &["4294967295", "1.0"]),
        ("float8", &["0.1", "7", "9e999", "-9e999", "'0.30'", "'-0.0'", "-0.0", "4.9e-324", "1e20", "'1e3'"]),
        ("float4", &["0.1", "16777216", "9e999", "'0.50'"]),
        (
            "numeric",
            &[
                "0.1",
                "'1.50'",
                "1e20",
                "0",
                "2.0",
                "'-123456789012345678901234567890.0010'",
                "9e999",
                "'1e3'",
                "'+7'",
                "'007'",
            ],
        ),
        ("numeric(6,2)", &["1234.5", "'-0.01'", "'1.500'", "3", "3.0", "'3.00'"]),
        ("text", &["''", "'ñ 🔑'", "5", "0.5", "'5'", "1e300", "' a '"]),
        ("varchar(3)", &["'ñé🔑'", "'a  '", "12"]),
        ("char(4)", &["'ab'", "'abcd'", "'abc '", "''", "12"]),
        ("bytea", &["x'00ff'", "x''", "'text'", "CAST(x'ff00' AS TEXT)"]),
        (
            "uuid",
            &[
                "'0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70'",
                "'0B9D8F2E4C1A4F6B9A7D2F6C1B3E5D70'",
                "x'0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70'",
                "'{0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70}'",
            ],
        ),
        ("json", &["'{\"b\":1,  \"a\":1}'", "5", "'5'", "0.5", "'null'", "' [1] '"]),
        (
            "jsonb",
            &[
                "'{\"b\":1,  \"a\":1}'",
                "'{\"a\": 1, \"b\": [1.50, \"x\"]}'",
                "'[1,2]'",
                "5",
                "'1e2'",
                "'\"\\u00f1\"'",
                "'\"ñ\"'",
            ],
        ),
        (
            "date",
            &[
                "'2024-02-29'",
                "'2024-02-29 00:00:00'",
                "'2024-02-29T00:00:00.000'",
                "'0001-01-01'",
                "'9999-12-31'",
            ],
        ),
        ("time", &["'12:00'", "'12:00:00.500000'", "'12:00:00'", "'12:00:00,25'"]),
        ("timetz", &["'12:00:00.000000+02:00'", "'12:00Z'", "'12:00:00-03'"]),
        (
            "timestamp",
            &[
                "'2024-02-29 12:00:00.000000'",
                "'2024-02-29T12:00:00.5'",
                "'2024-02-29'",
                "'2024-02-29 12:00'",
                "'2024-02-29 12:00:00'",
                "'2024-02-29t12:00:00,123'",
                "'2024-02-29 12:00:00.123456000'",
            ],
        ),
        ("timestamp(3)", &["'2024-02-29 12:00:00.123000'", "'2024-02-29 12:00:00.123'"]),
        (
            "timestamptz",
            &[
                "'2024-02-29 12:00:00+02:00'",
                "'2024-02-29T12:00:00Z'",
                "'2024-02-29T12:00:00.123Z'",
                "'2024-02-29 12:00:00.000000+00:00'",
                "'0001-01-01 00:00:00+00'",
                "'2024-02-29 12:00:00-0330'",
                "'2024-02-29 12:00:00.000 +00:00'",
                "'2024-02-29 12:00:00 UTC'",
                "'2024-02-29 12:00:00.5 -0700 MST'",
                "'2024-02-29 12:00:00.5 -0700 MST m=+0.000000001'",
            ],
        ),
        ("interval", &["'01:30:00'", "'1 day, 2:00:00'", "'P1DT2H'", "'90 seconds'"]),
        ("inet", &["'192.168.0.1'", "'192.168.0.1/24'", "'2001:DB8::1'", "'10.0.0.1/32'"]),
        ("cidr", &["'10.0.0.0/8'"]),
        ("macaddr", &["'08:00:2b:01:02:03'", "'08002B010203'", "x'08002b010203'", "'08-00-2b-01-02-03'"]),
        ("int[]", &["'{1,2}'", "'{1, 2}'", "NULL"]),
        ("int4range", &["'[1,5)'", "'[1,4]'"]),
        ("money", &["'$1.00'", "5", "'3'", "2.5"]),
        ("bit(3)", &["'101'", "101"]),
        ("point", &["'(1,2)'", "'1,2'"]),
        ("mood", &["'ok'", "'sad'"]),
    ]
}

/// A project with these cells, in tables whose columns are declared as `declared`.
fn sheets(declared: &str, extra: &str) -> Project {
    let (mut target, mut source, mut names) =
        (String::from("CREATE TYPE mood AS ENUM ('ok', 'sad');"), String::new(), Vec::new());
    for (at, (kind, cells)) in kinds().into_iter().enumerate() {
        let mut table = |name: String, cells: &[&str]| {
            target.push_str(&format!("CREATE TABLE {name} (id int {extra}, v {kind});"));
            source.push_str(&format!("CREATE TABLE {name} (id INTEGER, v {declared});"));
            for (id, cell) in cells.iter().enumerate() {
                source.push_str(&format!("INSERT INTO {name} VALUES ({id}, {cell});"));
            }
            names.push(format!("\"{name}\""));
        };
        table(format!("t{at}"), cells);
        for (pair, cells) in cells.chunks(2).enumerate() {
            table(format!("t{at}_{pair}"), cells);
        }
    }
    let step = format!("source = \"sqlite\"\ntables = [{}]\n", names.join(", "));
    let project =
        Project::with(&[("migrations/V1__create.sql", &target), ("migrations/V2__import.toml", &step)]);
    project.sqlite("app.db", &source);
    project
}

#[test]
fn every_kind_of_value_comes_back() {
    comes_back(&sheets("", "PRIMARY KEY"));
}

#[test]
fn so_it_does_where_nothing_tells_rows_apart() {
    comes_back(&sheets("", ""));
}

#[test]
fn so_it_does_in_a_column_of_numbers() {
    // the affinity of numbers makes REAL and INTEGER of text where that loses nothing
    let project = sheets("NUMERIC", "PRIMARY KEY");
    comes_back(&project);
}

#[test]
fn the_exported_file_gives_the_same_content_again() {
    let project = sheets("", "PRIMARY KEY");
    comes_back(&project);
    project.outgrow(["verify", "--source", "back.db"]).succeeds();
    let again = sheets("", "PRIMARY KEY");
    std::fs::copy(project.path("back.db"), again.path("app.db")).expect("a copy");
    again.outgrow(["migrate"]).succeeds();
    let content = |project: &Project| {
        let tables =
            project.query("SELECT jsonb_path_query_array(tables, '$[*].hash')::text FROM outgrow_receipt");
        let kept =
            project.query("SELECT table_name || row_key::text || cells FROM outgrow_original ORDER BY 1");
        (tables, kept)
    };
    assert_eq!(content(&again), content(&project));
}

#[test]
fn rules_are_undone() {
    let project = Project::step(
        "CREATE TABLE places (id int PRIMARY KEY, made_at timestamp, seen timestamptz, note varchar(3), code smallint,
                              region text NOT NULL, score numeric(4,1), clock date)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, created, seen, note TEXT, code, secret, score, day);
         INSERT INTO t (id, created, seen, note, code, score, day) VALUES
           (1, 1700000000123, '2024-07-01 12:00:00', 'a' || char(0), 70000, 1.25, 0),
           (2, 1700000000456, '2024-07-01 12:00:00Z', '', 7, 1.5, 86400.0),
           (3, NULL, '2024-01-01 12:00:00.5', CAST(x'61ff' AS TEXT), -1, NULL, -86400),
           (4, 1700000000000.0, NULL, 'toolong', 'x', 2, NULL);",
    );
    let step = std::fs::read_to_string(project.path("migrations/V2__import.toml")).expect("the step");
    project.write(
        "migrations/V2__import.toml",
        format!(
            "{step}[table.t]\ntarget = \"places\"\n[table.t.constant]\nregion = \"eu\"\n\
             [table.t.column.created]\ntarget = \"made_at\"\nread = \"unix_ms\"\n\
             [table.t.column.seen]\nzone = \"Europe/Madrid\"\n\
             [table.t.column.note]\nempty = \"null\"\nnul = \"strip\"\nutf8 = \"replace\"\nmisfit = \"quarantine\"\n\
             [table.t.column.code]\nmisfit = \"null\"\n[table.t.column.secret]\nskip = true\n\
             [table.t.column.score]\nround = true\n[table.t.column.day]\nread = \"unix_s\"\ntarget = \"clock\"\n"
        ),
    );
    comes_back(&project);
    let outcome = project.outgrow(["export", "again.db"]).succeeds();
    outcome.prints(&["from places; and 1 row from the quarantine", "again.db: 4 rows in 1 table of "]);
    project.outgrow(["verify", "--source", "back.db"]).succeeds();
}

#[test]
fn rows_without_a_key_that_are_equal_keep_their_own_cells() {
    let project = Project::step(
        "CREATE TABLE t (a int, b numeric(6,2))",
        "\"t\"",
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 1.5), (1, '1.5'), (1, '1.50'), (1, 1.5), (1, '1.50'), (2, 2), (2, '2'), (2, 2);",
    );
    comes_back(&project);
    project.execute("DELETE FROM t WHERE a = 2");
    project.outgrow(["export", "less.db"]).succeeds();
    assert_eq!(
        cells::query(&project.path("less.db"), "SELECT b FROM t ORDER BY typeof(b), b"),
        ["real 1.5", "real 1.5", "'1.5'", "'1.50'", "'1.50'"]
    );
}

#[test]
fn rows_without_a_key_that_differ_in_what_the_server_reads_keep_their_own_cells() {
    let project = Project::step(
        "CREATE TABLE t (a int[], n numeric, b int[]); CREATE TABLE u (a int[]); CREATE TABLE k (a int[] PRIMARY KEY, n numeric)",
        "\"t\", \"u\", \"k\"",
        "CREATE TABLE t (a, n, b); CREATE TABLE u (a); CREATE TABLE k (a, n);
         INSERT INTO u VALUES ('{5}'), ('{1, 2}'), ('{3, 4}'), ('{1,2}'), (NULL), ('{ 1,2}');
         INSERT INTO k VALUES ('{5}', '1.50'), ('{1, 2}', 1.5), ('{ 3}', '1.5');
         INSERT INTO t VALUES ('{5}', '1.50', '{9}'), ('{1, 2}', 1.5, '{ 1}'), ('{3, 4}', '1.5', '{2}'), ('{1,2}', '1.500', '{1}'),
                              ('{1, 2}', '1.5', NULL), (NULL, 2, '{ 7}'), (NULL, '2.0', '{7}'), ('{1,2}', 1.5, '{1}')",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "CREATE TABLE x AS SELECT * FROM t ORDER BY a DESC, b; DELETE FROM t; INSERT INTO t SELECT * FROM x; DROP TABLE x;
         UPDATE k SET n = n WHERE a = '{1,2}'",
    );
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

#[test]
fn what_was_written_since_follows_the_format() {
    let project = Project::step(
        "CREATE TABLE t (id bigserial PRIMARY KEY, at timestamptz, key uuid, yes boolean, price numeric, doc jsonb, note text)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, at, key, yes, price, doc, note);
         INSERT INTO t VALUES
           (1, '2024-01-01T12:00:00.000Z', '0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70', 'true', '1.50', '{\"a\":1}', 'a'),
           (2, '2024-01-01T12:00:00.500Z', '0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d71', 'false', '2.25', '{\"b\":2,\"a\":1}', 'b'),
           (3, '2024-01-01 12:00:00Z', NULL, 1, 3, '5', 4), (7, NULL, NULL, NULL, NULL, NULL, NULL); DELETE FROM t WHERE id = 7;",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "INSERT INTO t (at, key, yes, price, doc, note)
           VALUES ('2025-06-07 08:09:10.25+02', '0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d7f', true, 12.340, '{\"x\": [1, 2]}', 'c');
         UPDATE t SET note = 'other' WHERE id = 3; UPDATE t SET at = '2025-01-01 00:00:00.000001Z', yes = false WHERE id = 3;
         UPDATE t SET note = 'B' WHERE id = 2; DELETE FROM t WHERE id = 1",
    );
    let outcome = project.outgrow(["export", "back.db"]).succeeds();
    outcome.prints(&["back.db: 3 rows in 1 table of "]);
    assert_eq!(
        cells::query(&project.path("back.db"), "SELECT * FROM t"),
        [
            "2 | '2024-01-01T12:00:00.500Z' | '0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d71' | 'false' | '2.25' | '{\"b\":2,\"a\":1}' | 'B'",
            "3 | '2025-01-01T00:00:00.000001Z' | NULL | 'false' | 3 | '5' | 'other'",
            "8 | '2025-06-07T06:09:10.250Z' | '0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d7f' | 'true' | '12.340' | '{\"x\":[1,2]}' | 'c'",
        ]
    );
    assert_eq!(cells::query(&project.path("back.db"), "SELECT * FROM sqlite_sequence"), ["'t' | 8"]);
}

#[test]
fn a_key_may_be_made_wider() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (-1, '1.50'), (1, 2.5), (2, 3.5);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("ALTER TABLE t ALTER id TYPE bigint");
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
    project.execute("ALTER TABLE t RENAME id TO number");
    let outcome = project.outgrow(["export", "again.db"]).exits(6);
    outcome.says(&[
        "t.id: it is the key of the file's table, and the target's table t has no such column any more",
    ]);
    project.execute("ALTER TABLE t RENAME number TO id; ALTER TABLE t RENAME n TO price");
    let outcome = project.outgrow(["export", "again.db"]).succeeds();
    outcome.prints(&["t.n: what the file's own schema gives", "t.price: 3 values left behind"]);
}

#[test]
fn a_format_never_makes_another_value() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamp)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at); INSERT INTO t VALUES (1, '2024-07-01 12:00:00+02:00'), (2, '2024-07-02 12:00:00+02:00');",
    );
    let step = std::fs::read_to_string(project.path("migrations/V2__import.toml")).expect("the step");
    project.write(
        "migrations/V2__import.toml",
        format!("{step}[table.t.column.at]\nzone = \"Europe/Madrid\"\n"),
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (3, '2024-08-01 12:00:00'), (4, '2025-01-15 12:00:00')");
    project.outgrow(["export", "back.db"]).succeeds();
    assert_eq!(
        cells::query(&project.path("back.db"), "SELECT at FROM t"),
        [
            "'2024-07-01 12:00:00+02:00'",
            "'2024-07-02 12:00:00+02:00'",
            "'2024-08-01 12:00:00+02:00'",
            "'2025-01-15 12:00:00.000000'"
        ]
    );
}

#[test]
fn the_file_of_a_step_must_be_there() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);",
    );
    project.outgrow(["migrate"]).succeeds();
    let step = project.path("migrations/V2__import.toml");
    let text = std::fs::read_to_string(&step).expect("the step");
    std::fs::write(&step, format!("{text}# edited\n")).expect("the step");
    project
        .outgrow(["export", "back.db"])
        .exits(5)
        .says(&["V2__import was edited or renamed after it was applied"]);
    std::fs::remove_file(&step).expect("the step");
    project.outgrow(["export", "back.db"]).exits(5).says(&["V2", "brought rows, and its file is missing"]);
}

#[test]
fn intelibotx_comes_back() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    let (before, after) =
        (cells::everything(&project.path("app.db")), cells::everything(&project.path("back.db")));
    let lost: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    assert_eq!(lost, [""; 0]);
    // tables that the source did not have yet
    assert!(after.iter().any(|line| line.contains("trading_operations")), "{after:#?}");
    project.outgrow(["verify", "--source", "back.db"]).succeeds();
}

#[test]
fn a_quarantined_row_comes_back_to_a_table_that_computes_a_column() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, a int, g int)",
        "\"t\"]\n[table.t]\nmisfit = \"quarantine\"\n#",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, g INT GENERATED ALWAYS AS (a * 2) STORED, h AS (a + 1));
         INSERT INTO t (id, a) VALUES (1, 1), (2, 'x'), (3, 3);",
    );
    comes_back(&project);
}
