//! The way back from targets with a longer story: two steps, versions since, no history at all.

use crate::support::{Project, cells};

#[test]
fn a_table_that_two_steps_brought_is_as_the_later_source_had_it() {
    let project = Project::step(
        "CREATE TABLE m (id int PRIMARY KEY, t timestamptz); CREATE TABLE q (id int);",
        "\"m\", \"q\"",
        "CREATE TABLE m (id INTEGER PRIMARY KEY, t TEXT); CREATE INDEX m_t ON m (t); CREATE TABLE q (id INT);
         INSERT INTO m VALUES (1, '2024-01-01 00:00:00+00:00'); INSERT INTO q VALUES (1), (2)",
    );
    project.write("migrations/V3__empty.sql", "TRUNCATE m;");
    project.write(
        "migrations/V4__again.toml",
        "source = \"sqlite\"\ntables = [\"m\"]\nskip = [\"q\"]\n[table.m.column.t]\nread = \"unix_s\"\n",
    );
    project.outgrow(["migrate", "--to", "3"]).succeeds();
    let second = "CREATE TABLE m (id INTEGER PRIMARY KEY, t INT); CREATE TABLE q (other TEXT); CREATE INDEX q_other ON q (other);
                  INSERT INTO m VALUES (1, 1704067200), (2, 1704067200.5)";
    project.sqlite("second.db", second);
    project.outgrow(["migrate", "--source", "second.db"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    let (back, second) = (project.path("back.db"), project.path("second.db"));
    let rows = "SELECT id, typeof(t), t FROM m ORDER BY id";
    assert_eq!(cells::query(&back, rows), cells::query(&second, rows));
    let of_m = "SELECT sql FROM sqlite_schema WHERE tbl_name = 'm'";
    assert_eq!(cells::query(&back, of_m), cells::query(&second, of_m));
    assert_eq!(cells::query(&back, "SELECT count(*), max(id) FROM q"), ["2 | 2"]);
}

#[test]
fn an_exported_file_is_compared_though_it_has_tables_that_no_step_brought() {
    let project = Project::one_table(
        "id int PRIMARY KEY",
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("CREATE TABLE since (id int PRIMARY KEY); INSERT INTO since VALUES (5)");
    project.outgrow(["export", "back.db"]).succeeds();
    project
        .outgrow(["verify", "--source", "back.db"])
        .succeeds()
        .prints(&["since", "left behind, not compared"]);
}

#[test]
fn without_a_history_everything_is_made_from_the_catalog() {
    let project = Project::with(&[("migrations/V1__t.sql", "CREATE TABLE nothing ();")]);
    project.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')");
    project.outgrow(["export", "back.db"]).succeeds();
    assert_eq!(cells::query(&project.path("back.db"), "SELECT id, v FROM t"), ["1 | 'a'"]);
}

#[test]
fn text_that_looks_like_infinity_stays_text() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v text",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (4, 'inf'), (5, '-inf'), (6, '6')");
    project.outgrow(["export", "back.db"]).succeeds();
    let classes = "SELECT group_concat(typeof(v)) FROM (SELECT v FROM t ORDER BY id)";
    let expected = ["'integer,integer,integer,text,text,integer'"];
    assert_eq!(cells::query(&project.path("back.db"), classes), expected);
}

#[test]
fn a_refusal_beside_columns_that_the_server_reads_is_a_report() {
    let project = Project::one_table(
        "id int PRIMARY KEY, n numeric, a int[]",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n REAL, a); INSERT INTO t VALUES (1, 1.5, '{1}'), (2, 2.5, '{ 2 }')",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (3, 9007199254740993)");
    project.outgrow(["export", "back.db"]).exits(6).says(&[
        "t.n: a value of which the file's column, declared REAL, would make another",
        "in 1 row: id 3",
    ]);
}

#[test]
fn a_schema_that_needs_the_application_says_so() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text);",
        "\"t\"",
        "PRAGMA writable_schema = ON; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a');
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT CHECK (v REGEXP ''^a''))' WHERE name = 't'",
    );
    project.outgrow(["migrate"]).succeeds();
    project
        .outgrow(["export", "back.db"])
        .exits(6)
        .says(&["table t: SQLite cannot make it: no such function: REGEXP"]);
    assert!(!project.path("back.db").exists());
}

#[test]
fn how_the_database_would_spell_values_does_not_matter() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v float8[], w date[])",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w TEXT);
         INSERT INTO t VALUES (1, '{0.30000000000000004}', '{2024-02-01}');",
    );
    let settings = "ALTER DATABASE %I SET extra_float_digits = 0; ALTER DATABASE %1$I SET datestyle = german";
    project.execute(&format!("DO $$ BEGIN EXECUTE format('{settings}', current_database()); END $$"));
    project.outgrow(["migrate"]).succeeds();
    let changed =
        "UPDATE t SET v = '{0.3}'; INSERT INTO t VALUES (2, '{0.30000000000000004}', '{01.02.2024}')";
    project.execute(changed);
    project.outgrow(["export", "back.db"]).succeeds();
    assert_eq!(
        cells::query(&project.path("back.db"), "SELECT * FROM t ORDER BY id"),
        ["1 | '{0.3}' | '{2024-02-01}'", "2 | '{0.30000000000000004}' | '{2024-02-01}'"]
    );
    project.outgrow(["verify", "--source", "back.db"]).succeeds();
}

/// SQLite could not make a row again without a value there.
#[test]
fn a_step_says_beforehand_what_closes_the_way_back() {
    let project = Project::one_table(
        "id int PRIMARY KEY",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT NOT NULL, other TEXT NOT NULL DEFAULT 'x');
         INSERT INTO t VALUES (1, 'a', 'b')",
    );
    project.write(
        "migrations/V2__import.toml",
        "source = \"sqlite\"\ntables = [\"t\"]\n[table.t.column.old]\nskip = true\n[table.t.column.other]\nskip = true\n",
    );
    let migrated = project.outgrow(["migrate"]).succeeds();
    migrated
        .says(&["t.old is NOT NULL without a default in the source, and goes nowhere"])
        .never_says(&["t.other"]);
    project.outgrow(["export", "back.db"]).exits(6).says(&[
        "NOT NULL constraint failed: t.old (the step skips this column, or a version has dropped it since",
    ]);
}

/// Go and chrono write nanoseconds.
#[test]
fn rows_written_since_are_spelt_like_those_whose_times_were_rounded() {
    let project = Project::one_table(
        "id int PRIMARY KEY, at timestamptz",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT);
         INSERT INTO t VALUES (1, '2025-03-09T10:39:56.191005271Z'), (2, '2025-03-09T10:39:57.999999999Z')",
    );
    project.write(
        "migrations/V2__import.toml",
        "source = \"sqlite\"\ntables = [\"t\"]\n[table.t.column.at]\nround = true\n",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (3, '2026-01-02 03:04:05.678901+00')");
    project.outgrow(["export", "back.db"]).succeeds();
    assert_eq!(
        cells::query(&project.path("back.db"), "SELECT at FROM t ORDER BY id"),
        [
            "'2025-03-09T10:39:56.191005271Z'",
            "'2025-03-09T10:39:57.999999999Z'",
            "'2026-01-02T03:04:05.678901000Z'"
        ]
    );
}

#[test]
fn a_step_that_has_not_run_is_named() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project
        .outgrow(["export", "back.db"])
        .succeeds()
        .says(&["V2__import is pending: what it brings is not in the target"]);
}
