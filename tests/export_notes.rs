//! What an export says of its own accord: what the file has otherwise than the source had it, or not at all.

use crate::support::{Project, cells};

/// A table `m` with a cell that is not in its column's format, and a row that a rule sends to the quarantine.
fn with_kept() -> Project {
    let project = Project::step(
        "CREATE TABLE m (id int PRIMARY KEY, n numeric, v int)",
        "\"m\"",
        "CREATE TABLE m (id INTEGER PRIMARY KEY, n, v);
         INSERT INTO m VALUES (1, '1.50', 1), (2, '2.50', '2'), (3, '3.50', 3), (4, '4.50', 'x'), (5, '5.50', 'y');",
    );
    let step = std::fs::read_to_string(project.path("migrations/V2__import.toml")).expect("the step");
    project.write("migrations/V2__import.toml", format!("{step}[table.m]\nmisfit = \"quarantine\"\n"));
    project.outgrow(["migrate"]).succeeds();
    project
}

#[test]
fn nothing_is_said_of_what_comes_back() {
    let project = with_kept();
    // wider integers keep their format and find their kept cells
    project.execute("ALTER TABLE m ALTER id TYPE bigint, ALTER v TYPE bigint");
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    assert_eq!(outcome.json()["notes"], serde_json::json!([]));
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

#[test]
fn a_column_of_another_type_is_named() {
    let project = with_kept();
    project.execute("ALTER TABLE m ALTER n TYPE double precision");
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    let json = outcome.json();
    let notes = json["notes"].as_array().expect("notes");
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    let note = note.as_str().expect("a text");
    let said = "table m: column n was numeric when V2__import brought it and is double precision now: its cells are written as that type's";
    assert!(note.starts_with(said), "{note}");
}

#[test]
fn each_column_of_another_type_is_named() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, n numeric, b text, u uuid, s varchar(9))",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at, n, b, u, s);
         INSERT INTO t VALUES (1, '2024-01-01T12:00:00.500Z', '1.50', 'a', '0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70', 'x');",
    );
    project.outgrow(["migrate"]).succeeds();
    project.write(
        "migrations/V3__types.sql",
        "ALTER TABLE t ALTER at TYPE timestamp USING at AT TIME ZONE 'UTC', ALTER n TYPE money, ALTER u TYPE text, ALTER s TYPE text,
                       ALTER b TYPE bytea USING convert_to(b, 'UTF8')",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db"]).succeeds();
    outcome
        .prints(&[
            "column at was timestamp with time zone when V2__import brought it and is timestamp without time zone now",
            "column n was numeric when V2__import brought it and is money now",
            "column b was text when V2__import brought it and is bytea now",
            "column u was uuid when V2__import brought it and is text now",
        ])
        .never_says(&["column id", "column s "]);
}

#[test]
fn a_receipt_without_types_says_nothing_of_them() {
    let project = with_kept();
    project.execute(
        "ALTER TABLE m ALTER n TYPE double precision;
         UPDATE outgrow_receipt SET tables = jsonb_set(tables, '{0}', (tables->0) - 'types')",
    );
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    assert_eq!(outcome.json()["notes"], serde_json::json!([]));
}

#[test]
fn kept_cells_that_a_key_of_another_type_does_not_find_are_counted() {
    let project = with_kept();
    project.execute("ALTER TABLE m ALTER id TYPE text");
    project.outgrow(["export", "back.db"]).succeeds().prints(&[
        "column id was integer when V2__import brought it and is text now",
        "m: cells that V2__import kept of 1 row cannot be found again, because the type of id is another now",
    ]);
}

#[test]
fn kept_cells_that_are_gone_are_counted() {
    for meddling in ["DROP TABLE outgrow_original", "DELETE FROM outgrow_original"] {
        let project = with_kept();
        project.execute(meddling);
        project.outgrow(["export", "back.db"]).succeeds().prints(&[
            "m: cells that V2__import kept of 1 row are gone (outgrow_original): they are written in their column's format",
        ]);
        assert_eq!(cells::query(&project.path("back.db"), "SELECT v FROM m WHERE id = 2"), ["2"]);
    }
}

#[test]
fn quarantined_rows_that_are_gone_are_counted() {
    for (meddling, left) in
        [("DROP TABLE outgrow_quarantine", 0), ("DELETE FROM outgrow_quarantine WHERE place LIKE '%4'", 1)]
    {
        let project = with_kept();
        project.execute(meddling);
        let said =
            format!("m: V2__import put 2 rows into the quarantine, and outgrow_quarantine holds {left}: ");
        project.outgrow(["export", "back.db"]).succeeds().prints(&[&said]);
        let rows = cells::query(&project.path("back.db"), "SELECT count(*) FROM m");
        assert_eq!(rows, [(3 + left).to_string()]);
    }
}

#[test]
fn what_is_outside_of_the_schemas_is_named() {
    let project = with_kept();
    project.execute(
        "CREATE SCHEMA o2; CREATE TABLE o2.t (id int); CREATE TABLE o2.m (id int); CREATE VIEW seen AS SELECT 1 AS one;
         CREATE MATERIALIZED VIEW sums AS SELECT sum(n) FROM m;
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (id int) SERVER s",
    );
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    let said = "not in the file: o2.m (another schema), o2.t (another schema), far (foreign table), sums (materialized view)";
    assert_eq!(outcome.json()["notes"], serde_json::json!([said]));
}

#[test]
fn a_computed_column_that_the_file_has_not_is_counted() {
    let project = with_kept();
    project.execute(
        "CREATE TABLE fresh (id int, twice int GENERATED ALWAYS AS (id * 2) STORED); INSERT INTO fresh VALUES (1), (2)",
    );
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    let said = "fresh.twice: 2 values left behind; the file's table fresh has no such column";
    assert_eq!(outcome.json()["notes"], serde_json::json!([said]));
}

/// Django's `SearchVectorField` and the like: the application on the file knows of no such value.
#[test]
fn a_computed_column_that_came_empty_goes_back_empty() {
    let project = Project::one_table(
        "id int PRIMARY KEY, title text, length int GENERATED ALWAYS AS (length(title)) STORED",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, title TEXT, length INTEGER); INSERT INTO t VALUES (1, 'a', NULL)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (2, 'b')");
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    assert_eq!(
        outcome.json()["notes"],
        serde_json::json!(["t.length: empty, as it came; the target computes it"])
    );
    let file = project.path("back.db");
    assert_eq!(cells::query(&file, "SELECT * FROM t"), ["1 | 'a' | NULL", "2 | 'b' | NULL"]);
    project.run(&mut project.command(["verify", "--source", "back.db"])).succeeds();
}

#[test]
fn a_table_that_another_step_brought_is_not_left_behind() {
    let project = Project::step(
        "CREATE TABLE m (id int); CREATE TABLE q (id int); CREATE TABLE own (id int); INSERT INTO own VALUES (7)",
        "\"m\"]\nskip = [\"q\", \"own\", \"log\"",
        "CREATE TABLE m (id INT); INSERT INTO m VALUES (1); CREATE TABLE q (id INT); INSERT INTO q VALUES (2);
         CREATE TABLE own (id INT); INSERT INTO own VALUES (1); CREATE TABLE log (id INT); INSERT INTO log VALUES (1);",
    );
    project.write(
        "migrations/V3__second.toml",
        "source = \"sqlite\"\ntables = [\"q\"]\nskip = [\"m\", \"own\", \"log\"]\n",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db"]).succeeds();
    outcome
        .prints(&[
            "log: empty in the file; V2__import left it behind",
            "own: the rows that the target has; V2__import left the source's behind",
        ])
        .never_says(&["q: empty", "m: empty", "own: empty"]);
    assert_eq!(cells::query(&project.path("back.db"), "SELECT id FROM q"), ["2"]);
    assert_eq!(cells::query(&project.path("back.db"), "SELECT id FROM own"), ["7"]);
}
