//! What a step records for the way back: the format of each column, the cells that it does not give, and what the
//! source was made of.

use crate::support::Project;

fn recorded(project: &Project, what: &str) -> String {
    project.query(&format!("SELECT tables->0->>'{what}' FROM outgrow_receipt")).remove(0)
}

/// `outgrow_original`, by what was kept.
fn originals(project: &Project) -> Vec<String> {
    project.query("SELECT table_name || ' ' || cells FROM outgrow_original ORDER BY cells::text")
}

#[test]
fn a_file_as_sqlalchemy_writes_it_keeps_nothing() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamp, yes boolean, price numeric, note text, doc jsonb)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at, yes, price, note, doc);
         INSERT INTO t VALUES (1, '2024-01-01 12:00:00.000000', 1, 1.5, 'a', '{\"a\": [1, 2]}'), (2, NULL, 0, 2, '', NULL);",
    );
    project.outgrow(["migrate"]).succeeds();
    assert!(!project.has_table("outgrow_original"));
    assert_eq!(recorded(&project, "formats"), "NULL");
    assert_eq!(recorded(&project, "originals"), "NULL");
}

#[test]
fn a_format_is_found_and_what_differs_from_it_is_kept() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, key uuid, yes boolean, price float8, note text)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at, key, yes, price, note);
         INSERT INTO t VALUES
           (1, '2024-01-01T12:00:00.000Z', '0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70', 'true', 1, 'a'),
           (2, '2024-01-01T12:00:00.5Z',   '0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d71', 'false', 2.5, 7),
           (3, '2024-01-01T14:00:00.250Z', x'0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d72', 'TRUE', 2, 'b'),
           (4, '2024-01-01T14:00:00.250Z', NULL, 1, 3.0, NULL);",
    );
    project.outgrow(["migrate"]).succeeds();
    let formats: serde_json::Value = serde_json::from_str(&recorded(&project, "formats")).expect("JSON");
    assert_eq!(formats["at"]["format"]["clock"]["time"]["digits"], 3, "{formats}");
    assert_eq!(formats["at"]["format"]["clock"]["zone"][1], "Z", "{formats}");
    assert_eq!(formats["key"]["format"]["hex"]["mark"], serde_json::Value::Null, "{formats}");
    assert_eq!(formats["yes"]["format"]["words"]["yes"], "true", "{formats}");
    assert_eq!(formats["price"]["format"], "whole", "{formats}");
    assert_eq!(formats["note"]["format"], "number", "{formats}");
    assert_eq!(
        originals(&project),
        [
            "t {\"at\":{\"text\":\"2024-01-01T12:00:00.5Z\"}}",
            "t {\"key\":{\"blob_hex\":\"0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d72\"},\"yes\":{\"text\":\"TRUE\"}}",
            "t {\"price\":{\"real\":\"3.0\"},\"yes\":1}",
        ]
    );
    assert_eq!((recorded(&project, "originals"), recorded(&project, "key")), ("3".into(), "[\"id\"]".into()));
}

#[test]
fn what_a_rule_changes_is_kept() {
    let project = Project::step(
        "CREATE TABLE t (id int, at timestamp, note text, code smallint, seen timestamp)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at, note, code, seen);
         INSERT INTO t VALUES (1, '2024-01-01 12:00:00.1234567', 'a' || char(0), 70000, ''),
                              (2, '2024-01-01 12:00:00.000000', 'b', 7, ''), (3, NULL, NULL, NULL, NULL);",
    );
    let step = std::fs::read_to_string(project.path("migrations/V2__import.toml")).expect("the step");
    project.write(
        "migrations/V2__import.toml",
        format!(
            "{step}[table.t.column.at]\nround = true\n[table.t.column.note]\nnul = \"strip\"\n\
             [table.t.column.code]\nmisfit = \"null\"\n[table.t.column.seen]\nempty = \"null\"\n"
        ),
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        originals(&project),
        [
            "t {\"at\":{\"text\":\"2024-01-01 12:00:00.1234567\"},\"code\":70000,\"note\":{\"text_hex\":\"6100\"}}",
            "t {\"seen\":null}",
        ]
    );
    let formats: serde_json::Value = serde_json::from_str(&recorded(&project, "formats")).expect("JSON");
    assert_eq!(formats["seen"]["empty"], true, "{formats}");
    // without a unique key a row is found by all of its values
    assert_eq!(recorded(&project, "key"), "[\"id\", \"at\", \"note\", \"code\", \"seen\"]");
}

#[test]
fn rows_are_named_by_a_unique_key_if_there_is_no_primary_one() {
    let project = Project::step(
        "CREATE TABLE t (a int UNIQUE, b int NOT NULL UNIQUE, v int)",
        "\"t\"",
        "CREATE TABLE t (a, b, v); INSERT INTO t VALUES (1, 1, 1), (2, 2, '2'), (3, 3, 3);",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(recorded(&project, "key"), "[\"b\"]");
}

#[test]
fn a_quarantined_row_is_kept_once() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v int, w int)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v, w); INSERT INTO t VALUES (1, 1, 1), (2, '2', 'x'), (3, '3', 3), (4, 4, 4);",
    );
    let step = std::fs::read_to_string(project.path("migrations/V2__import.toml")).expect("the step");
    project.write("migrations/V2__import.toml", format!("{step}[table.t]\nmisfit = \"quarantine\"\n"));
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(originals(&project), ["t {\"v\":{\"text\":\"3\"}}"]);
    assert_eq!(project.query("SELECT count(*)::text FROM outgrow_quarantine"), ["1"]);
}

#[test]
fn the_source_can_be_made_again() {
    let statements = "PRAGMA user_version = 7; PRAGMA application_id = 42;
        CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT DEFAULT 'x');
        CREATE INDEX t_v ON t (v) WHERE v > 'a';
        CREATE VIEW w AS SELECT v FROM t;
        INSERT INTO t (id, v) VALUES (9, 'a'); DELETE FROM t;";
    let project = Project::step("CREATE TABLE t (id bigserial PRIMARY KEY, v text)", "\"t\"", statements);
    project.outgrow(["migrate"]).succeeds();
    let text = project.query("SELECT source->>'definition' FROM outgrow_receipt").remove(0);
    let definition: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let names = definition["statements"].as_array().expect("a list").iter().map(|made| &made["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["t", "sqlite_sequence", "t_v", "w"]);
    assert_eq!(definition["statements"][2]["sql"], "CREATE INDEX t_v ON t (v) WHERE v > 'a'");
    assert_eq!(definition["sequences"]["t"], 9);
    assert_eq!((&definition["user_version"], &definition["application_id"]), (&7.into(), &42.into()));
}

#[test]
fn texts_that_the_server_spells_otherwise_are_kept() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, list int[], price money)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, list, price);
         INSERT INTO t VALUES (1, '{1,2}', '$1.00'), (2, '{1, 2}', 5), (3, NULL, '3');",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        originals(&project),
        [
            "t {\"list\":{\"stored\":\"{1,2}\",\"text\":\"{1, 2}\"},\"price\":{\"stored\":\"$5.00\",\"text\":\"5\"}}",
            "t {\"price\":5}",
            "t {\"price\":{\"stored\":\"$3.00\",\"text\":\"3\"}}",
        ]
    );
}

#[test]
fn many_cells_are_kept_beyond_memory() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, doc jsonb)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, doc);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO t SELECT i, '{\"b\":' || i || ', \"a\" : \"' || printf('%060d', i) || '\"}' FROM n;",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT count(DISTINCT row_key)::text FROM outgrow_original"), ["20000"]);
    assert_eq!(recorded(&project, "originals"), "20000");
}
