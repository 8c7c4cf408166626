//! Tables and columns that a version renamed or dropped after the step, on the way back.

use crate::support::{Project, cells};

const SOURCE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC, d TEXT, region_of TEXT);
    INSERT INTO t VALUES (-1, '1.5', '2024-05-06T07:08:09', 'a'), (2, 2.5, '2024-05-06 07:08:09', NULL);
    CREATE TABLE \"U\" (a TEXT, b TEXT); INSERT INTO \"U\" VALUES ('x', 'y'), ('z', NULL);";

/// Two tables, one of them with renames of the step's own, and the version `later` after it.
fn project(later: &str) -> Project {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric, \"Date\" timestamp, region_of text, region text NOT NULL);
         CREATE TABLE things (a text, b text)",
        "\"t\", \"U\"",
        SOURCE,
    );
    let step = "source = \"sqlite\"\ntables = [\"t\", \"U\"]\n[table.U]\ntarget = \"things\"\n\
                [table.t.column.d]\ntarget = \"Date\"\n[table.t.constant]\nregion = \"eu\"\n";
    project.write("migrations/V2__import.toml", step);
    project.write("migrations/V3__later.sql", later);
    project.outgrow(["migrate"]).succeeds();
    project
}

#[track_caller]
fn comes_back(later: &str) {
    let project = project(later);
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    assert_eq!(outcome.json()["notes"], serde_json::json!([]), "{later}");
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

#[test]
fn what_a_later_version_renamed_comes_back() {
    comes_back(
        "ALTER TABLE t RENAME TO \"New T\"; ALTER TABLE \"New T\" RENAME \"Date\" TO \"at.\"\"x\";
         ALTER TABLE IF EXISTS public.\"New T\" RENAME COLUMN ID TO number; ALTER TABLE \"New T\" RENAME n TO m;
         ALTER TABLE \"New T\" RENAME m TO price; ALTER TABLE \"New T\" RENAME region TO land;
         ALTER TABLE things RENAME TO u; ALTER TABLE u RENAME a TO c",
    );
}

#[test]
fn names_that_changed_places_come_back() {
    comes_back(
        "ALTER TABLE things RENAME a TO c; ALTER TABLE things RENAME b TO a; ALTER TABLE things RENAME c TO b;
         ALTER TABLE t RENAME TO x; ALTER TABLE things RENAME TO t; ALTER TABLE x RENAME TO things",
    );
}

#[test]
fn a_replacement_under_the_old_name_is_what_is_exported() {
    let project = project(
        "ALTER TABLE things RENAME TO things_old;
         CREATE TABLE things (a text, b text); INSERT INTO things SELECT a, 'new' FROM things_old;
         ALTER TABLE t ADD price numeric; UPDATE t SET price = n + 1; ALTER TABLE t DROP n; ALTER TABLE t RENAME price TO n",
    );
    project.outgrow(["export", "back.db"]).succeeds().prints(&["things_old"]);
    let file = project.path("back.db");
    assert_eq!(cells::query(&file, "SELECT * FROM \"U\""), ["'x' | 'new'", "'z' | 'new'"]);
    assert_eq!(cells::query(&file, "SELECT n FROM t"), ["2.5", "3.5"].map(|n| format!("real {n}")));
}

#[test]
fn what_was_dropped_is_said_and_is_not_what_has_its_name_now() {
    let project = project("ALTER TABLE things DROP b; ALTER TABLE things RENAME a TO b; DROP TABLE t");
    let outcome = project.outgrow(["export", "back.db"]).succeeds().never_says(&["has a rule for it"]);
    outcome.prints(&[
        "U.b: what the file's own schema gives a row without it; the target's table things has no such column",
        "t: empty in the file; V2__import brought it into t, and the target has no table t any more",
    ]);
    let file = project.path("back.db");
    assert_eq!(cells::query(&file, "SELECT * FROM \"U\""), ["'x' | NULL", "'z' | NULL"]);

    let project = self::project("DROP TABLE things; ALTER TABLE t RENAME TO things");
    let outcome = project.outgrow(["export", "back.db"]).succeeds();
    outcome.prints(&["U: empty in the file"]);
    let (back, app) = (project.path("back.db"), project.path("app.db"));
    assert_eq!(cells::query(&back, "SELECT * FROM t"), cells::query(&app, "SELECT * FROM t"));
}

#[test]
fn what_no_version_says_is_renamed_is_named() {
    let project =
        project("DO $$ BEGIN ALTER TABLE things RENAME TO others; ALTER TABLE t RENAME n TO m; END $$");
    let outcome = project.outgrow(["export", "back.db"]).succeeds();
    outcome.prints(&[
        "U: empty in the file; V2__import brought it into things, and the target has no table things any more",
        "t.n: what the file's own schema gives a row without it; the target's table t has no such column",
        "t.m: 2 values left behind",
    ]);
    assert_eq!(cells::query(&project.path("back.db"), "SELECT count(*) FROM others"), ["2"]);
}

#[test]
fn rules_that_a_column_does_not_take_any_more_do_not_keep_it_from_the_file() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, a int, at timestamp, e text)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, at, e); INSERT INTO t VALUES (1, 'x', 0, ''), (2, 7, 1500, 'y')",
    );
    let step = "source = \"sqlite\"\ntables = [\"t\"]\n[table.t.column]\na = { misfit = \"null\" }\n\
                at = { read = \"unix_ms\", target = \"at\" }\ne = { empty = \"null\" }\n";
    project.write("migrations/V2__import.toml", step);
    project.write(
        "migrations/V3__later.sql",
        "UPDATE t SET a = 5 WHERE a IS NULL; ALTER TABLE t ALTER a SET NOT NULL;
         ALTER TABLE t ALTER at TYPE bigint USING extract(epoch FROM at) * 1000, ALTER e TYPE text[] USING ARRAY[e]",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    let json = outcome.json();
    let notes = json["notes"].as_array().expect("notes");
    assert!(
        notes
            .iter()
            .all(|note| note.as_str().is_some_and(|note| note.contains("when V2__import brought it"))),
        "{notes:?}"
    );
    let rows = ["1 | 5 | 0 | '{NULL}'", "2 | 7 | 1500 | '{y}'"];
    assert_eq!(cells::query(&project.path("back.db"), "SELECT * FROM t"), rows);
}
