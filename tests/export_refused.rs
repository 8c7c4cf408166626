//! What has no place in the file: its own rules refuse it, SQLite has no form for it, or it cannot be read as a whole.

use crate::export::comes_back;
use crate::support::Project;

#[test]
fn what_sqlite_refuses_is_reported_all_at_once() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, a int, b text, c text); CREATE TABLE s (id int PRIMARY KEY, v text)",
        "\"t\", \"s\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT CHECK (a < 10), b TEXT NOT NULL, c TEXT UNIQUE ON CONFLICT IGNORE);
         CREATE TABLE s (id INTEGER PRIMARY KEY, v INT) STRICT; INSERT INTO t VALUES (1, 1, 'b', 'c'); INSERT INTO s VALUES (1, 2)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "INSERT INTO t VALUES (2, 11, 'b', 'd'), (3, 12, 'b', 'e'), (4, 1, NULL, 'f'), (5, 1, 'b', 'c'); INSERT INTO s VALUES (2, 'word')",
    );
    let outcome = project.outgrow(["export", "back.db"]).exits(6);
    outcome
        .says(&[
            "back.db was not written",
            "t: CHECK constraint failed: a < 10, in 2 rows: id 2, id 3",
            "t: NOT NULL constraint failed: t.b, in 1 row: id 4",
            "t: UNIQUE constraint failed: t.c, in 1 row: id 5",
            "s: cannot store TEXT value in INT column s.v, in 1 row: id 2",
        ])
        .never_says(&["word"]);
    assert!(!project.path("back.db").exists());
}

#[test]
fn what_sqlite_has_no_form_for_is_reported_all_at_once() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, f float8, n numeric, d date, ts timestamp, z timestamptz, c time)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, f, n, d, ts, z, c);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "INSERT INTO t VALUES (1, 'NaN', 'NaN', 'infinity', '-infinity', '10000-01-01Z', '24:00');
         INSERT INTO t (id, d) VALUES (2, '0001-12-31 BC')",
    );
    project.outgrow(["export", "back.db"]).exits(6).says(&[
        "t.f: NaN, which SQLite stores as NULL, in 1 row: id 1",
        "t.n: NaN",
        "t.d: infinity, a year before 1",
        "in 2 rows: id 1, id 2",
        "t.ts: infinity",
        "t.z: infinity",
        "t.c: 24:00:00",
    ]);
}

#[test]
fn an_affinity_that_makes_another_value_is_noticed() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC); INSERT INTO t VALUES (1, 1.5);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (2, 12345678901234567890123.5)");
    let outcome = project.outgrow(["export", "back.db"]).exits(6);
    outcome
        .says(&[
            "t.n: a value of which the file's column, declared NUMERIC, would make another (SQLite: Type Affinity), in 1 row: id 2; \
             write to the target what such a column keeps",
        ])
        .never_says(&["12345678901234567890123"]);
    assert!(!project.path("back.db").exists());
}

#[test]
fn cells_that_the_file_would_have_otherwise_are_named_by_column() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, a int, g int, x text, n numeric); CREATE TABLE k (k text, v int)",
        "\"t\", \"k\"]\n[table.t.column.x]\nempty = \"null\"\n#",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, g INT GENERATED ALWAYS AS (a * 2) STORED, x TEXT, n TEXT);
         INSERT INTO t (id, a, x, n) VALUES (1, 1, '', '1.50'), (2, 2, '', '2.50'), (3, 3, 'c', '3.50');
         CREATE TABLE k (k INT, v INT); INSERT INTO k VALUES ('seven', 7);",
    );
    comes_back(&project);
    project.execute(
        "UPDATE t SET g = 7 WHERE id > 1; UPDATE t SET n = 'infinity' WHERE id = 2; INSERT INTO t VALUES (10, 4, 8, '', 1); INSERT INTO k VALUES ('007', 1)",
    );
    // what has no form is found first, what SQLite makes other values of when the rest is there
    project.outgrow(["export", "again.db"]).exits(6).says(&[
        "t.x: empty text, which the step's empty = \"null\" takes for NULL (write NULL in the target instead), in 1 row: id 10",
    ]);
    project.execute("UPDATE t SET x = NULL WHERE id = 10");
    let outcome = project.outgrow(["export", "again.db"]).exits(6);
    outcome
        .says(&[
            "t.g: another value than the file computes for its column, in 2 rows: id 2, id 3; set the target's column to",
            "t.n: a value of which the file's column, declared TEXT, would make another (SQLite: Type Affinity), in 1 row: id 2",
            "k: a cell (which, is not told without a primary key)",
        ])
        .never_says(&["007", "Infinity"]);
    assert!(!project.path("again.db").exists());
}

#[test]
fn a_unique_index_that_the_rows_break_is_reported() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE UNIQUE INDEX once ON t (v); INSERT INTO t VALUES (1, 'a');",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (2, 'a')");
    project
        .outgrow(["export", "back.db"])
        .exits(6)
        .says(&["index once: SQLite cannot make it: UNIQUE constraint failed: t.v"]);
}

#[test]
fn every_table_that_may_not_be_read_is_named_with_its_grant() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric)",
        "\"t\"]\n[table.t]\nmisfit = \"quarantine\"\n#",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, '1.50'), (2, 1), (3, 2), (4, 'x');",
    );
    project.outgrow(["migrate"]).succeeds();
    let role = crate::support::Role::of(&project);
    let grants = |tables: &[&str]| -> Vec<String> {
        let grant = |table: &&str| format!("can run GRANT SELECT ON {table} TO \"{}\"", role.name);
        tables.iter().map(grant).collect()
    };
    let history = grants(&["refinery_schema_history"]);
    for verb in ["status", "migrate", "verify"] {
        project.run(&mut role.command(verb)).exits(7).says(&[&history[0]]).never_says(&["permission denied"]);
    }
    let all = grants(&[
        "refinery_schema_history",
        "outgrow_receipt",
        "outgrow_original",
        "outgrow_quarantine",
        "t",
    ]);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut command = role.command("export");
    project.run(command.arg("back.db")).exits(7).says(&all).never_says(&["permission denied"]);
    project.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{}\"", role.name));
    let mut command = role.command("export");
    project.run(command.arg("back.db")).succeeds();
}

#[test]
fn hidden_rows_are_refused() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY");
    let role = crate::support::Role::of(&project);
    project.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{}\"", role.name));
    let mut command = role.command("export");
    project.run(command.arg("back.db")).exits(7).says(&["the target cannot be read as a whole", "table t"]);
    assert!(!project.path("back.db").exists());
}

#[test]
fn zeros_at_the_end_of_a_number_are_not_named_with_one_that_does_not_fit() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v numeric)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL); INSERT INTO t VALUES (1, 1.5);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (10, 12.50), (11, 123456789012345678)");
    let said = "declared REAL, would make another (SQLite: Type Affinity), in 1 row: id 11";
    project.outgrow(["export", "back.db"]).exits(6).says(&[said]);
}
