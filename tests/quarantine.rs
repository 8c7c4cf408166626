//! Rows that a rule sends to the quarantine, and values that it makes NULL.

use crate::rules::{LEVERAGE, receipt, with_rules};

#[test]
fn a_misfit_becomes_null_where_a_rule_says_so() {
    let project = with_rules("id int, v int", LEVERAGE, "[table.t.column.v]\nmisfit = \"null\"\n");
    project.outgrow(["migrate"]).succeeds().prints(&["made NULL: v 2"]);
    assert_eq!(
        project.query("SELECT coalesce(v::text, 'NULL') FROM t ORDER BY id"),
        ["5", "NULL", "NULL", "NULL"]
    );
    assert_eq!(receipt(&project, "nulled"), "{\"v\": 2}");
    let project = with_rules("id int, v int NOT NULL", LEVERAGE, "[table.t.column.v]\nmisfit = \"null\"\n");
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&["t.v: misfit = \"null\", and the target's column is NOT NULL; write \"quarantine\" or \"fail\", or drop NOT NULL"]);
}

#[test]
fn a_misfit_goes_to_the_quarantine_where_a_rule_says_so() {
    let source = format!("{LEVERAGE}; INSERT INTO t VALUES (5, x'00ff'), (6, 'a' || char(0))");
    let project = with_rules("id int, v int", &source, "[table.t]\nmisfit = \"quarantine\"\n");
    project.outgrow(["migrate"]).succeeds().prints(&["2 rows", "quarantined: v 4"]);
    assert_eq!(project.query("SELECT id::text FROM t ORDER BY id"), ["1", "4"]);
    assert_eq!(
        project.query("SELECT concat_ws('|', version, table_name, place, column_name, reason, source_row) FROM outgrow_quarantine ORDER BY place"),
        [
            "2|t|2|v|text that is not a whole number|{\"id\":1,\"v\":{\"text\":\"10x\"}}".replace("\"id\":1", "\"id\":2"),
            "2|t|3|v|a real with a fraction|{\"id\":3,\"v\":{\"real\":\"2.5\"}}".to_owned(),
            "2|t|5|v|a blob|{\"id\":5,\"v\":{\"blob_hex\":\"00ff\"}}".to_owned(),
            "2|t|6|v|text with a NUL character|{\"id\":6,\"v\":{\"text_hex\":\"6100\"}}".to_owned(),
        ]
    );
    assert_eq!(receipt(&project, "quarantined"), "{\"v\": 4}");
}

#[test]
fn a_second_step_adds_to_the_same_quarantine() {
    let project = with_rules("id int, v int", LEVERAGE, "[table.t]\nmisfit = \"quarantine\"\n");
    project.write("migrations/V3__u.sql", "CREATE TABLE u (id int, v int);");
    let again = "source = \"sqlite\"\ntables = [\"t\"]\n[table.t]\ntarget = \"u\"\nmisfit = \"quarantine\"\n";
    project.write("migrations/V4__again.toml", again);
    project.outgrow(["migrate"]).succeeds();
    let counted =
        "SELECT version || ' ' || count(*) FROM outgrow_quarantine GROUP BY version ORDER BY version";
    assert_eq!(project.query(counted), ["2 2", "4 2"]);
}

#[test]
fn a_large_quarantine_arrives_whole() {
    let source = "CREATE TABLE t (id INTEGER PRIMARY KEY, v);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO t SELECT i, printf('%.*c', 1000, 'x') FROM n";
    let project = with_rules("id int, v int", source, "[table.t.column.v]\nmisfit = \"quarantine\"\n");
    project.outgrow(["migrate"]).succeeds().prints(&["0 rows", "quarantined: v 3000"]);
    assert_eq!(
        project
            .query("SELECT count(*) || ' ' || sum(length(source_row->'v'->>'text')) FROM outgrow_quarantine"),
        ["3000 3000000"]
    );
}

#[test]
fn one_column_fails_while_another_is_quarantined() {
    let source = "CREATE TABLE t (a, b); INSERT INTO t VALUES ('x', 1), (1, 'y')";
    let project = with_rules("a int, b int", source, "[table.t.column.a]\nmisfit = \"quarantine\"\n");
    project
        .outgrow(["migrate"])
        .exits(6)
        .says(&["t.b: text that is not a whole number in 1 row, rowid 2"])
        .never_says(&["t.a:"]);
    assert!(!project.has_table("outgrow_quarantine"));
}

#[test]
fn only_what_is_stored_is_counted_as_changed() {
    let rules = "[table.t.column.a]\nmisfit = \"quarantine\"\n[table.t.column.b]\nmisfit = \"null\"\n\
                 [table.t.column.c]\nnul = \"strip\"\n";
    let source = "CREATE TABLE t (a, b, c, d); INSERT INTO t VALUES ('x', 'y', 'z' || char(0), '7'), (1, 'y', 'z', '7')";
    let project = with_rules("a int, b int, c text, d int", source, rules);
    for arguments in [&["migrate", "--dry-run", "--json"][..], &["migrate", "--json"]] {
        project.outgrow(["migrate", "--to", "1"]).succeeds();
        let found = project.outgrow(arguments).succeeds().json();
        let table = &found["applied"][0]["receipt"]["tables"][0];
        assert_eq!(table["quarantined"].to_string(), "{\"a\":1}", "{table}");
        assert_eq!(table["nulled"].to_string(), "{\"b\":1}", "{table}");
        assert_eq!(table["repaired"].to_string(), "{}", "{table}");
        assert_eq!(table["normalised"].to_string(), "{\"d\":1}", "{table}");
    }
}

#[test]
fn a_folder_for_temporary_files_that_cannot_be_used_is_named() {
    let source =
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, hex(zeroblob(1000000)))";
    let project = with_rules("id int PRIMARY KEY, v date", source, "[table.t]\nmisfit = \"quarantine\"\n");
    let missing = project.path("no-such-folder");
    let outcome = project.run(project.command(["migrate"]).env("TMPDIR", &missing)).exits(7);
    let folder = format!("writing a temporary file in {}: ", missing.display());
    outcome.says(&[&folder, "next: set TMPDIR to a folder that is there"]);
    project.outgrow(["migrate"]).succeeds();
}

#[test]
fn an_id_in_the_quarantine_is_not_given_again() {
    let source = "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2), (4, 'x')";
    let project = with_rules("id serial PRIMARY KEY, v int", source, "[table.t]\nmisfit = \"quarantine\"\n");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("INSERT INTO t (v) VALUES (3) RETURNING id::text"), ["5"]);
    project.outgrow(["export", "back.db"]).succeeds();
}
