//! `outgrow verify`: whatever differs is found, and nothing else; values stay hidden; nothing is written.

use crate::support::{Outcome, Project};

/// Table `t` on both sides, migrated: `columns` in the target, `rows` of (id, v) or as `columns` has it.
fn migrated(columns: &str, source: &str) -> Project {
    let project = Project::one_table(columns, source);
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds().prints(&["equal"]);
    project
}

/// Ids 1 to 5 with secret words.
fn words() -> Project {
    migrated(
        "id int PRIMARY KEY, v text, n int",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v, n);
         INSERT INTO t VALUES (1, 'secret-a', 10), (2, 'secret-b', 20), (3, '', 30), (4, NULL, 40), (5, 'secret-e', 50)",
    )
}

#[track_caller]
fn differs(project: &Project, parts: &[&str]) -> Outcome {
    project.outgrow(["verify"]).exits(1).prints(parts).prints(&["1 table differs"]).never_says(&["secret"])
}

#[test]
fn both_fixtures_are_equal_after_the_copy() {
    for (fixture, rows) in [("intelibotx.db", "2 rows  equal"), ("intelibotx-rich.db", "87 rows  equal")] {
        let project = Project::intelibotx_from(fixture);
        project.outgrow(["migrate"]).succeeds();
        let found =
            project.outgrow(["verify"]).succeeds().prints(&["V6__import_from_sqlite", rows, ": equal"]);
        assert!(!found.stdout.contains("differ"), "{found:#?}");
    }
}

#[test]
fn an_optional_table_that_the_source_lacks_must_be_empty() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds().prints(&["absent from the source, empty in the target"]);
    project.execute(
        "DROP TABLE trades CASCADE; CREATE TABLE trades (id int); INSERT INTO trades VALUES (1), (2)",
    );
    project
        .outgrow(["verify"])
        .exits(1)
        .prints(&["differs: absent from the source, 2 rows in the target", "1 table differs"]);
}

#[test]
fn a_changed_cell_is_named_by_key_and_column() {
    let project = words();
    project.execute(
        "UPDATE t SET v = 'secret-x' WHERE id = 2; UPDATE t SET v = 'secret-y', n = NULL WHERE id = 5",
    );
    let parts =
        ["5 rows  differs: 2 changed", "2 rows changed: id 2, id 5", "columns that differ: n in 1, v in 2"];
    differs(&project, &parts);
}

#[test]
fn null_and_empty_text_are_not_the_same() {
    let project = words();
    project.execute("UPDATE t SET v = CASE id WHEN 3 THEN NULL ELSE '' END WHERE id IN (3, 4)");
    differs(&project, &["2 rows changed: id 3, id 4", "v in 2"]);
}

#[test]
fn deleted_and_added_rows_are_told_apart() {
    let project = words();
    project.execute(
        "DELETE FROM t WHERE id IN (1, 4); INSERT INTO t VALUES (-7, 'secret-n', 1), (100, 'secret-m', 1)",
    );
    let parts = ["2 missing, 2 added", "missing from the target: id 1, id 4", "target alone: id -7, id 100"];
    differs(&project, &parts);
}

#[test]
fn swapped_values_are_two_changed_rows() {
    let project = words();
    project.execute("UPDATE t SET v = CASE id WHEN 1 THEN 'secret-b' ELSE 'secret-a' END WHERE id IN (1, 2)");
    differs(&project, &["2 rows changed: id 1, id 2"]);
}

#[test]
fn a_source_that_changed_is_said_so() {
    let project = words();
    project.sqlite("app.db", "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (6, 'secret-f', 60)");
    let parts = [
        "target alone: id 1",
        "missing from the target: id 6",
        "not the file, byte by byte, that V2__import read",
    ];
    differs(&project, &parts);
    project.sqlite("app.db", "CREATE TABLE later (x); INSERT INTO later VALUES ('secret')");
    differs(&project, &["table later: it holds rows and the step does not name it"]);
}

#[test]
fn what_no_longer_fits_is_part_of_the_report() {
    let project = words();
    project.sqlite(
        "app.db",
        "UPDATE t SET n = 'secret' WHERE id IN (2, 4); UPDATE t SET v = 'a' || char(0) WHERE id = 2",
    );
    let parts = [
        "2 rows changed: id 2, id 4",
        "n in 2, v in 1",
        "n: text that is no integer",
        "v: text with a NUL character in 1 row of the source, rowid 2;",
    ];
    let outcome = project.outgrow(["verify"]).exits(1).prints(&parts[..2]).prints(&parts[3..]);
    assert!(outcome.stdout.contains("in 2 rows of the source, rowid 2, 4;"), "{outcome:#?}");
}

#[test]
fn text_keys_are_content() {
    let project = migrated(
        "name text PRIMARY KEY, n int",
        "CREATE TABLE t (name TEXT PRIMARY KEY, n); INSERT INTO t VALUES ('secret-a', 1), ('secret-b', 2), ('secret-c', 3)",
    );
    project.execute(
        "UPDATE t SET n = 9 WHERE name = 'secret-b'; DELETE FROM t WHERE name = 'secret-c'; INSERT INTO t VALUES ('secret-d', 4)",
    );
    let parts = [
        "changed: rowid 2",
        "missing from the target: rowid 3",
        "1 row in the target alone (--show-values shows them)",
    ];
    differs(&project, &parts);
    project.outgrow(["verify", "--show-values"]).exits(1).prints(&[
        "rowid 2: name 'secret-b', n 2 became 9",
        "rowid 3: name 'secret-c'",
        "    name secret-d",
    ]);
}

#[test]
fn values_are_shown_if_asked_for() {
    let project = words();
    project
        .execute("UPDATE t SET v = E'secret\\n\\u001b[2J' WHERE id = 2; UPDATE t SET v = NULL WHERE id = 1");
    differs(&project, &["changed: id 1, id 2"]);
    project
        .outgrow(["verify", "--show-values"])
        .exits(1)
        .prints(&["id 1: id 1, v 'secret-a' became NULL", "v 'secret-b' became secret\\n\\u{1b}[2J"]);
}

#[test]
fn without_a_key_rows_are_a_multiset() {
    let project = migrated(
        "v text, n int",
        "CREATE TABLE t (v, n); INSERT INTO t VALUES ('secret', 1), ('secret', 1), ('secret', 1), (NULL, 2)",
    );
    project.execute("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE n = 1); INSERT INTO t VALUES (NULL, 2), (NULL, 2)");
    differs(&project, &["4 rows  differs: 1 missing, 2 added", "1 row missing from the target: rowid 3"]);
    project
        .outgrow(["verify", "--show-values"])
        .exits(1)
        .prints(&["rowid 3: v 'secret', n 1", "    v NULL, n 2"]);
}

#[test]
fn composite_keys_and_tables_without_rowid() {
    let project = migrated(
        "a int, b uuid, c text, v text, PRIMARY KEY (b, a)",
        "CREATE TABLE t (a, b, c, v, PRIMARY KEY (a, b)) WITHOUT ROWID;
         INSERT INTO t VALUES (1, '00000000-0000-0000-0000-00000000000a', 'x', 'secret'),
                              (2, '00000000-0000-0000-0000-00000000000a', 'y', 'secret')",
    );
    project.execute("UPDATE t SET c = 'z' WHERE a = 2");
    let parts = ["changed: (a 2, b 00000000-0000-0000-0000-00000000000a)", "c in 1"];
    differs(&project, &parts);
}

#[test]
fn thousands_of_differences_are_all_counted() {
    let project = migrated(
        "id bigint PRIMARY KEY, v text, n int",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v, n);
         WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 20000)
         INSERT INTO t SELECT i, 'secret' || i, i % 7 FROM r",
    );
    project.execute(
        "UPDATE t SET n = n + 1 WHERE id % 2 = 0; UPDATE t SET v = 'x' WHERE id % 10 = 0;
         DELETE FROM t WHERE id % 10 = 1; INSERT INTO t SELECT 50000 + i, 'secret', 0 FROM generate_series(1, 3000) i",
    );
    let found = project.outgrow(["verify", "--json"]).exits(1).json();
    let table = &found["steps"][0]["tables"][0];
    assert_eq!((&table["source_rows"], &table["target_rows"]), (&20_000.into(), &21_000.into()));
    assert_eq!((&table["missing"]["count"], &table["added"]["count"]), (&2000.into(), &3000.into()));
    assert_eq!((&table["changed"]["count"], &table["equal_rows"]), (&10_000.into(), &8_000.into()));
    assert_eq!((&table["columns"]["n"], &table["columns"]["v"]), (&10_000.into(), &2000.into()));
    assert_eq!(table["missing"]["first"][4]["key"]["id"], "41");
    assert_eq!(table["added"]["first"][0]["key"]["id"], "50001");
    assert_eq!(table["changed"]["first"][0]["columns"], serde_json::json!(["n"]));
    let text = found.to_string();
    assert!(!text.contains("secret") && !text.contains("\"values\""), "{text}");
}

#[test]
fn a_table_or_column_that_is_gone_is_a_difference() {
    let project = words();
    project.execute("ALTER TABLE t RENAME n TO m; ALTER TABLE t ADD added int NOT NULL DEFAULT 1; ALTER TABLE t ALTER added DROP DEFAULT");
    differs(
        &project,
        &[
            "t.n: not compared, the target's table t has no column n any more; no version applied after V2__import names it",
        ],
    );
    project.execute("DROP TABLE t");
    differs(&project, &["5 rows  differs: absent from the target"]);
    project.sqlite("app.db", "DROP TABLE t");
    differs(&project, &["absent on both sides"]);
}

#[test]
fn a_role_that_may_only_read_is_enough_and_nothing_is_written() {
    let project = words();
    project.execute("UPDATE t SET v = 'secret-x' WHERE id = 2");
    let role = format!(
        "reader_{}",
        project.query("SELECT oid::text FROM pg_database WHERE datname = current_database()")[0]
    );
    project.execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'reading-only-7'; GRANT SELECT ON t, refinery_schema_history TO {role}"
    ));
    let url = project.url();
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    let url = format!("{scheme}://{role}:reading-only-7@{host}");
    let state = "SELECT string_agg(xmin::text || ctid::text, ',' ORDER BY id) FROM t";
    let before = (project.query(state), std::fs::read(project.path("app.db")).expect("the source"));
    let outcome = project.outgrow(["verify", "--database-url", &url]).exits(1).prints(&["changed: id 2"]);
    outcome.never_says(&["reading-only-7"]);
    project.outgrow(["verify", "--show-values"]).exits(1);
    let after = (project.query(state), std::fs::read(project.path("app.db")).expect("the source"));
    assert!(before == after);
    project.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn rows_that_a_policy_hides_are_not_taken_for_missing() {
    let project = words();
    let role = format!(
        "hidden_{}",
        project.query("SELECT oid::text FROM pg_database WHERE datname = current_database()")[0]
    );
    project.execute(&format!(
        "CREATE ROLE {role}; GRANT SELECT ON t, refinery_schema_history TO {role}; ALTER TABLE t ENABLE ROW LEVEL SECURITY"
    ));
    let url = format!("{}?options=-c%20role%3D{role}", project.url());
    project.outgrow(["verify", "--database-url", &url]).exits(7).says(&["row-level security"]);
    project.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn without_step_or_source_there_is_nothing_to_compare() {
    let project = Project::intelibotx();
    project.outgrow(["verify"]).exits(2).says(&["no data step is applied", "outgrow migrate"]);
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify", "--step", "5"]).exits(2).says(&["--step 5: there is no data step"]);
    project.outgrow(["verify", "--step", "6"]).succeeds();
    project.outgrow(["verify", "--source", "nowhere.db"]).exits(6).says(&["there is no such file"]);
    std::fs::rename(project.path("app.db"), project.path("other.db")).expect("renamed");
    project.outgrow(["verify"]).exits(2).says(&["no source to compare with", "--source"]);
    project.outgrow(["verify", "--source", "other.db"]).succeeds();
    let step = project.path("migrations/V6__import_from_sqlite.toml");
    let text = std::fs::read_to_string(&step).expect("the step");
    std::fs::write(&step, text + "# edited\n").expect("written");
    project
        .outgrow(["verify", "--source", "other.db"])
        .exits(5)
        .says(&["V6__import_from_sqlite.toml was edited"]);
}

#[test]
fn a_step_recorded_without_data_is_compared_only_by_name() {
    let project = Project::one_table("id int PRIMARY KEY", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate", "--without-data"]).succeeds();
    project.outgrow(["verify"]).exits(2).says(&["recorded with --without-data"]);
    project.outgrow(["verify", "--step", "2"]).exits(1).prints(&["1 row missing from the target: id 1"]);
}

#[test]
fn zeros_at_the_end_of_a_number_without_a_scale_are_no_difference() {
    let project = migrated(
        "id int PRIMARY KEY, v numeric",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL); INSERT INTO t VALUES (1, 1.5), (2, 300), (3, NULL)",
    );
    project.execute(
        "INSERT INTO t VALUES (10, 12.50), (11, 1000000.000), (12, 0.000010), (13, 0.00), (14, -10000.0)",
    );
    project.outgrow(["export", "back.db"]).succeeds();
    project.outgrow(["verify", "--source", "back.db"]).succeeds().prints(&["8 rows  equal"]);
    project.execute("UPDATE t SET v = 12.75 WHERE id = 10; UPDATE t SET v = 'NaN' WHERE id = 13");
    project.outgrow(["verify", "--source", "back.db", "--show-values"]).exits(1).prints(&[
        "8 rows  differs: 2 changed",
        "v 12.5 became 12.75",
        "became NaN",
    ]);
}

#[test]
fn zeros_at_the_end_of_a_key_are_no_difference() {
    let project =
        migrated("v numeric PRIMARY KEY", "CREATE TABLE t (v); INSERT INTO t VALUES (1.5), ('2.50')");
    project.execute("UPDATE t SET v = 1.500 WHERE v = 1.5; UPDATE t SET v = 2.5 WHERE v = 2.5");
    project.outgrow(["verify"]).succeeds().prints(&["2 rows  equal"]);
}
