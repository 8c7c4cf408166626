//! Tables of all kinds on the way back: what SQLite has besides plain tables, and what the target has beyond the source.

use crate::export::comes_back;
use crate::support::{Project, cells};

#[test]
fn all_that_a_schema_has_comes_back() {
    comes_back(&Project::step(
        "CREATE TABLE plain (id bigserial PRIMARY KEY, a int, b text, c int GENERATED ALWAYS AS (a * 2) STORED);
         CREATE TABLE pair (a text, b int, v float8, PRIMARY KEY (b, a));
         CREATE TABLE strict (id int PRIMARY KEY, r float8, t text, b bytea, anything text);
         CREATE TABLE child (id int PRIMARY KEY, parent bigint REFERENCES plain);
         CREATE TABLE empty (id int PRIMARY KEY, v text)",
        "\"plain\", \"pair\", \"strict\", \"child\", \"empty\"",
        "PRAGMA user_version = 3; PRAGMA application_id = 77; PRAGMA page_size = 1024;
         CREATE TABLE plain (id INTEGER PRIMARY KEY AUTOINCREMENT, a INT CHECK (a < 100), b TEXT UNIQUE ON CONFLICT REPLACE,
                             c INT GENERATED ALWAYS AS (a * 2) STORED, d INT AS (a + 1));
         CREATE TABLE pair (a TEXT, b INT, v REAL DEFAULT 2.5, PRIMARY KEY (b, a)) WITHOUT ROWID;
         CREATE TABLE strict (id INTEGER PRIMARY KEY, r REAL, t TEXT, b BLOB, anything ANY) STRICT;
         CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES plain (id) ON DELETE CASCADE);
         CREATE TABLE empty (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);
         CREATE INDEX partial ON plain (b COLLATE NOCASE DESC) WHERE a > 1;
         CREATE UNIQUE INDEX expression ON plain (lower(b));
         CREATE VIEW seen AS SELECT a FROM plain;
         CREATE TRIGGER t AFTER INSERT ON child BEGIN INSERT INTO empty (v) VALUES (new.id); END;
         INSERT INTO plain (id, a, b) VALUES (1, 1, 'x'), (40, 2, 'Y'), (99, 3, NULL); DELETE FROM plain WHERE id = 99;
         INSERT INTO pair VALUES ('ñ', 1, 1), ('a', 1, NULL), ('Z', 1, -0.0), ('b', -1, 3);
         INSERT INTO strict VALUES (1, 1, 'a', x'00', '007'), (2, NULL, NULL, NULL, 'x');
         INSERT INTO empty VALUES (5, 'gone'); DELETE FROM empty; INSERT INTO child VALUES (1, 40), (2, NULL); DELETE FROM empty;",
    ));
}

#[test]
fn a_key_that_only_looks_like_the_rowid_does_not_give_rows_their_order() {
    let project = Project::step(
        "CREATE TABLE t (id int UNIQUE, v text)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY DESC, v TEXT);
         INSERT INTO t VALUES (3, 'first'), (1, 'second'), (NULL, 'third'), (2, 'fourth');",
    );
    comes_back(&project);
    let rows = cells::query(&project.path("back.db"), "SELECT rowid, v FROM t NOT INDEXED ORDER BY rowid");
    assert_eq!(rows, ["1 | 'first'", "2 | 'second'", "3 | 'third'", "4 | 'fourth'"]);
}

#[test]
fn names_are_only_names() {
    let project = Project::step(
        "CREATE TABLE \"a \"\"b'; DROP TABLE x; --\" (\"select\" int PRIMARY KEY, \"ñ %s\" text, \"a.b\" text);
         CREATE TABLE \"Order\" (\"Id\" int)",
        "\"a \\\"b'; DROP TABLE x; --\", \"order\"",
        "CREATE TABLE \"a \"\"b'; DROP TABLE x; --\" (\"select\" INTEGER PRIMARY KEY, \"ñ %s\", [a.b]);
         INSERT INTO \"a \"\"b'; DROP TABLE x; --\" VALUES (1, 'x', 5), (2, 7, NULL);
         CREATE TABLE \"order\" (ID INT); INSERT INTO \"order\" VALUES (1), ('2');",
    );
    comes_back(&project);
}

#[test]
fn encodings_and_damaged_text_come_back() {
    comes_back(&Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "\"t\"",
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'ñ🔑'), (2, '');",
    ));
}

#[test]
fn halves_of_surrogate_pairs_come_back() {
    for (encoding, high, low) in [("UTF-16le", "3dd8", "3ddc"), ("UTF-16be", "d83d", "dc3d")] {
        let project = Project::step(
            "CREATE TABLE t (id int PRIMARY KEY, v text, w text)",
            "\"t\"",
            &format!(
                "PRAGMA encoding = '{encoding}'; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w TEXT);
                 INSERT INTO t VALUES (1, 'ñ', CAST(x'{high}' AS TEXT)), (2, CAST(x'{low}' AS TEXT), '🔑'), (3, 'a', 'b');
                 UPDATE t SET v = 'ñ' || v, w = '🔑' || w;"
            ),
        );
        let step = std::fs::read_to_string(project.path("migrations/V2__import.toml")).expect("the step");
        let rules = "[table.t.column.v]\nmisfit = \"quarantine\"\n[table.t.column.w]\nutf8 = \"replace\"\n";
        project.write("migrations/V2__import.toml", step + rules);
        comes_back(&project);
        let halves = |file: &str| cells::query(&project.path(file), "SELECT id, hex(v), hex(w) FROM t");
        assert_eq!(halves("back.db"), halves("app.db"));
    }
}

#[test]
fn a_full_text_index_comes_back() {
    let project = Project::step(
        "CREATE TABLE notes (title text, body text)",
        "\"notes\"",
        "CREATE VIRTUAL TABLE notes USING fts5(title, body); INSERT INTO notes VALUES ('one', 'the first'), ('two', 'another');",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    let file = project.path("back.db");
    assert_eq!(cells::query(&file, "SELECT title FROM notes WHERE notes MATCH 'first'"), ["'one'"]);
}

#[test]
fn what_stays_behind_is_named() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v int)",
        "\"t\", \"u\"]\nskip = [\"log\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 2);
         CREATE TABLE u (id INTEGER PRIMARY KEY, w INT DEFAULT 9); INSERT INTO u VALUES (1, 5);
         CREATE TABLE log (line TEXT); INSERT INTO log VALUES ('x');",
    );
    project.write(
        "migrations/V1__create.sql",
        "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE u (id int PRIMARY KEY, w int)",
    );
    project.write(
        "migrations/V3__later.sql",
        "ALTER TABLE t ADD extra text; UPDATE t SET extra = 'x'; ALTER TABLE u DROP w; ALTER TABLE u ADD w2 int; UPDATE u SET w2 = 5;
         CREATE TABLE fresh (id bigint PRIMARY KEY, parent int REFERENCES t, at timestamptz, price numeric(9,2), n numeric, doc jsonb, yes boolean,
                             list int[], code varchar(5) UNIQUE, raw bytea, key uuid, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
         INSERT INTO fresh VALUES (1, 1, '2024-01-01 12:00Z', 1.50, 123456789012345678901234567890.10, '{\"b\": 1}', true, '{1,2}', 'a', '\\x00', '0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70'),
                                  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db"]).succeeds();
    outcome.prints(&[
        "log: empty in the file; V2__import left it behind",
        "t.extra: 1 value left behind; the file's table t has no such column",
        "u.w2: 1 value left behind",
        "u.w: what the file's own schema gives a row without it",
        "fresh",
        "brought by no step",
    ]);
    let file = project.path("back.db");
    assert_eq!(cells::query(&file, "SELECT * FROM u"), ["1 | 9"]);
    assert_eq!(cells::query(&file, "SELECT count(*) FROM log"), ["0"]);
    assert_eq!(
        cells::query(&file, "SELECT * FROM fresh WHERE id = 1"),
        [
            "1 | 1 | '2024-01-01 12:00:00.000000+00:00' | real 1.5 | '123456789012345678901234567890.10' | '{\"b\": 1}' | 1 | \
          '{1,2}' | 'a' | blob \\x00 | '0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70'"
        ]
    );
    assert_eq!(
        cells::query(
            &file,
            "SELECT type FROM pragma_table_info('fresh') WHERE name IN ('id', 'at', 'price')"
        ),
        ["'INTEGER'", "'DATETIME'", "'NUMERIC(9, 2)'"]
    );
}

#[test]
fn a_database_that_never_had_a_source_is_exported_too() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')",
        "\"t\"",
        "",
    );
    std::fs::remove_file(project.path("app.db")).expect("no source");
    project.outgrow(["migrate", "--without-data"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    assert_eq!(cells::query(&project.path("back.db"), "SELECT * FROM t"), ["1 | 'a'"]);
}

#[test]
fn numbers_without_a_precision_keep_their_digits_in_a_column_of_text() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "CREATE TABLE made (id int PRIMARY KEY, n numeric, f float8);
         INSERT INTO made VALUES (1, 0.1234567890123456, 0.1234567890123456), (2, 1e-7, 1e-7), (3, 5, '-Infinity'), (4, 1.50, 2);
         INSERT INTO t SELECT id, n FROM made",
    );
    project.outgrow(["export", "back.db"]).succeeds();
    let file = project.path("back.db");
    let made = [
        "'0.1234567890123456' | real 0.1234567890123456",
        "'0.0000001' | real 1e-7",
        "'5' | real -inf",
        "'1.50' | real 2.0",
    ];
    assert_eq!(cells::query(&file, "SELECT n, f FROM made ORDER BY id"), made);
    let of_step = ["'0.1234567890123456'", "'0.0000001'", "'5'", "'1.50'"];
    assert_eq!(cells::query(&file, "SELECT n FROM t ORDER BY id"), of_step);
}

#[test]
fn infinity_goes_back_as_the_real_that_sqlite_has_for_it() {
    let project = Project::one_table(
        "id int PRIMARY KEY, n numeric",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC); INSERT INTO t VALUES (1, 9e999), (2, 1.5)",
    );
    comes_back(&project);
    project.execute("INSERT INTO t VALUES (3, '-Infinity')");
    project.outgrow(["export", "again.db"]).succeeds();
    let found = cells::query(&project.path("again.db"), "SELECT n FROM t ORDER BY id");
    assert_eq!(found, ["real inf", "real 1.5", "real -inf"]);
    project.outgrow(["verify", "--source", "again.db"]).succeeds();
}

#[test]
fn rows_that_refer_to_none_are_noted() {
    let project = Project::step(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int)",
        "\"p\", \"c\"",
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p); INSERT INTO c VALUES (1, 5), (2, NULL);",
    );
    comes_back(&project);
    project
        .outgrow(["export", "again.db"])
        .succeeds()
        .prints(&["c: 1 row without its row of p, as in the target"]);
}

/// What an application made on PostgreSQL goes on in the file: it leaves columns out that have a default.
#[test]
fn a_table_of_the_targets_own_keeps_its_defaults_and_gives_no_id_twice() {
    let project = Project::one_table("id int", "CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "CREATE TABLE own (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, ok boolean NOT NULL DEFAULT false,
           state varchar(20) NOT NULL DEFAULT 'it''s', n int NOT NULL DEFAULT -7, f numeric(8,2) DEFAULT 1.5, j jsonb DEFAULT '{}',
           made timestamptz(3) NOT NULL DEFAULT current_timestamp(3), day date DEFAULT CURRENT_DATE,
           late timestamp DEFAULT (now() AT TIME ZONE 'utc'), code uuid DEFAULT gen_random_uuid(), x text DEFAULT lower('A'));
         INSERT INTO own (ok) VALUES (true), (false), (true); DELETE FROM own WHERE id = 3",
    );
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    let said = "own: without the default of code, x, which has no form in the file";
    assert_eq!(outcome.json()["notes"], serde_json::json!([said]));
    let file = rusqlite::Connection::open(project.path("back.db")).expect("the file");
    file.execute("INSERT INTO own (code) VALUES (NULL)", []).expect("a row with defaults");
    let cells = "SELECT id, ok, state, n, f, j, made = datetime('now') OR made < datetime('now'), day <= date('now'), late <= datetime('now')
                 FROM own ORDER BY id DESC LIMIT 1";
    assert_eq!(
        cells::query(&project.path("back.db"), cells),
        ["4 | 0 | 'it's' | -7 | real 1.5 | '{}' | 1 | 1 | 1"]
    );
}
