//! `outgrow verify` and what a step does besides copying cells: constants, the quarantine; and what hides rows or takes
//! tables away afterwards.

use crate::support::{Project, Role};

#[test]
fn columns_that_may_not_be_read_are_named_with_their_grant() {
    let project = migrated(
        "id int PRIMARY KEY, a text, \"B\" text",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, B)",
        "",
    );
    let role = Role::of(&project);
    project.execute(&format!(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{0}\"; REVOKE SELECT ON t FROM \"{0}\"; GRANT SELECT (id) ON t TO \"{0}\"",
        role.name
    ));
    let grant = format!("can run GRANT SELECT ON t TO \"{}\"", role.name);
    let said = ["table t: this role may not read its columns a, \"B\"; its owner, ", &grant];
    project.run(&mut role.command("verify")).exits(7).says(&said).never_says(&["permission denied"]);
    let mut command = role.command("export");
    project.run(command.arg("back.db")).exits(7).says(&said).never_says(&["permission denied"]);
    project.execute(&format!("GRANT SELECT (a, \"B\") ON t TO \"{}\"", role.name));
    project.run(&mut role.command("verify")).succeeds();
}

/// Table `t` on both sides, with `rules` after the minimal step; migrated and equal.
fn migrated(columns: &str, source: &str, rules: &str) -> Project {
    let project = Project::one_table(columns, source);
    project.write("migrations/V2__import.toml", format!("source = \"sqlite\"\ntables = [\"t\"]\n{rules}"));
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds().prints(&["equal"]);
    project
}

/// Ids 1 to 4 and, of these, 2 and 4 in the quarantine.
fn quarantined() -> Project {
    migrated(
        "id int PRIMARY KEY, v int",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 10), (2, 'secret'), (3, NULL), (4, 'secret')",
        "[table.t]\nmisfit = \"quarantine\"\n",
    )
}

#[test]
fn constants_are_compared() {
    let project = migrated(
        "id int, region text, n numeric(4,1), v text, PRIMARY KEY (region, id)",
        "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "[table.t.constant]\nregion = \"eu\"\nn = 1.5\n",
    );
    project.execute(
        "UPDATE t SET n = 2 WHERE id = 1; UPDATE t SET region = 'us' WHERE id = 2; UPDATE t SET v = 'x' WHERE id = 3",
    );
    project.outgrow(["verify"]).exits(1).prints(&[
        "differs: 1 missing, 1 added, 2 changed",
        "2 rows changed: rowid 1, rowid 3",
        "columns that differ: n in 1, v in 1",
        "missing from the target: rowid 2",
    ]);
    project
        .outgrow(["verify", "--show-values"])
        .exits(1)
        .prints(&["rowid 1: id 1, n 1.5 became 2.0, region eu", "id 2, region us"]);
}

#[test]
fn the_quarantine_is_compared() {
    let project = quarantined();
    project
        .outgrow(["verify"])
        .succeeds()
        .prints(&["t               2 rows  equal", "t, quarantined  2 rows  equal"]);
    project.execute(
        "UPDATE outgrow_quarantine SET source_row = '{}' WHERE place = '2'; DELETE FROM outgrow_quarantine WHERE place = '4';
         INSERT INTO outgrow_quarantine SELECT version, table_name, '77', column_name, reason, source_row FROM outgrow_quarantine;
         INSERT INTO outgrow_quarantine SELECT 9, table_name, place, column_name, reason, source_row FROM outgrow_quarantine",
    );
    project.outgrow(["verify"]).exits(1).never_says(&["secret"]).prints(&[
        "t               2 rows  equal",
        "t, quarantined  2 rows  differs: 1 missing, 1 added, 1 changed",
        "t, quarantined:",
        "1 row missing from the target: rowid 4",
        "1 row changed: rowid 2",
        "columns that differ: source_row in 1",
        "1 table differs",
    ]);
    project
        .outgrow(["verify", "--show-values"])
        .exits(1)
        .prints(&["source_row {\"id\":2,\"v\":{\"text\":\"secret\"}} became {}", "place 77"]);
    let json = project.outgrow(["verify", "--json"]).exits(1).json();
    let table = &json["steps"][0]["tables"][1];
    assert_eq!((&table["table"], &table["quarantined_from"]), (&"outgrow_quarantine".into(), &"t".into()));
}

#[test]
fn a_quarantine_that_is_gone_is_missed() {
    let project = quarantined();
    project.execute("DROP TABLE outgrow_quarantine");
    project
        .outgrow(["verify"])
        .exits(1)
        .prints(&["t, quarantined  2 rows  differs: absent from the target", "1 table differs"])
        .prints(&["outgrow_quarantine: the target has no such table in its search_path any more"]);
    project.sqlite("app.db", "UPDATE t SET v = 0 WHERE id IN (2, 4)");
    project.outgrow(["verify"]).exits(1).prints(&["2 missing", "missing from the target: id 2, id 4"]);
}

#[test]
fn a_table_of_hostile_name_in_the_quarantine() {
    // o'\"t in SQL, and in TOML
    let (quoted, name) = ("\"o'\\\"\"t\"", "o'\\\\\\\"t");
    let project = Project::step(
        &format!("CREATE TABLE {quoted} (v int);"),
        &format!("\"{name}\""),
        &format!("CREATE TABLE {quoted} (v); INSERT INTO {quoted} VALUES (1), ('secret')"),
    );
    project.write(
        "migrations/V2__import.toml",
        format!("source = \"sqlite\"\ntables = [\"{name}\"]\n[table.\"{name}\"]\nmisfit = \"quarantine\"\n"),
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds().prints(&["o'\\\"t, quarantined  1 row  equal"]);
    project.execute("DELETE FROM outgrow_quarantine");
    project.outgrow(["verify"]).exits(1).prints(&["1 row missing from the target: rowid 2"]);
}

#[test]
fn what_a_role_cannot_see_is_refused_with_the_next_move() {
    let project = quarantined();
    project.execute("CREATE TABLE other (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    let role = Role::of(&project);
    let verify = || {
        let mut command = role.migrate();
        let url = command.get_envs().find(|(name, _)| *name == "DATABASE_URL").and_then(|(_, url)| url);
        let url = url.expect("a URL").to_owned();
        command = project.command(["verify"]);
        command.env("DATABASE_URL", url);
        project.run(&mut command)
    };
    project.execute(&format!("GRANT SELECT ON t, refinery_schema_history TO \"{}\"", role.name));
    verify().exits(7).never_says(&[" 42501", "SQLSTATE"]).says(&[
        "the target cannot be read as a whole:",
        "table t: its row-level security applies to this role, and would decide which rows can be stored and seen; connect as its owner, postgres",
        "table outgrow_quarantine: this role may not read it; its owner, postgres, or a superuser can run GRANT SELECT ON outgrow_quarantine TO",
    ]);
    project.execute(&format!(
        "ALTER TABLE t DISABLE ROW LEVEL SECURITY; REVOKE SELECT ON t FROM \"{0}\"; GRANT SELECT ON outgrow_quarantine TO \"{0}\"",
        role.name
    ));
    verify().exits(7).says(&["table t: this role may not read it"]);
    project.execute(&format!("GRANT SELECT (id, v) ON t TO \"{}\"", role.name));
    verify().succeeds().prints(&["t, quarantined  2 rows  equal"]);
}

#[test]
fn rows_in_tables_that_inherit_are_rows_added() {
    let project = migrated("v int", "CREATE TABLE t (v); INSERT INTO t VALUES (1)", "");
    project.execute("CREATE TABLE child () INHERITS (t); CREATE TABLE \"Grand child\" () INHERITS (child)");
    project.outgrow(["verify"]).succeeds();
    project.execute("INSERT INTO child VALUES (5), (6); INSERT INTO \"Grand child\" VALUES (7)");
    project.outgrow(["verify"]).exits(1).prints(&[
        "1 row  differs: 3 added in tables that inherit from it",
        "  2 rows in child, which inherits from it",
        "  1 row in \"Grand child\", which inherits from it",
        "1 table differs",
    ]);
    let json = project.outgrow(["verify", "--json"]).exits(1).json();
    assert_eq!(json["steps"][0]["tables"][0]["inherited"]["child"], 2);
}

#[test]
fn tables_that_inherit_and_are_brought_as_well_are_no_additions() {
    let project = Project::step(
        "CREATE TABLE t (v int); CREATE TABLE child () INHERITS (t);",
        "\"t\", \"child\"",
        "CREATE TABLE t (v); INSERT INTO t VALUES (1); CREATE TABLE child (v); INSERT INTO child VALUES (2)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
}

#[test]
fn what_became_of_tables_and_columns_is_guessed_from_later_versions() {
    let project = Project::step(
        "CREATE TABLE bots (id int PRIMARY KEY, \"Name\" text, n int); CREATE TABLE old (id int);",
        "\"bots\", \"old\"",
        "CREATE TABLE bots (id, name, n); INSERT INTO bots VALUES (1, 'a', 2); CREATE TABLE old (id); INSERT INTO old VALUES (1)",
    );
    let by_hand = |statement: &str| format!("DO $$ BEGIN {statement}; END $$;");
    project.write("migrations/V3__names.sql", by_hand("ALTER TABLE bots RENAME COLUMN \"Name\" TO title"));
    project.write("migrations/V4__tidy.sql", "DROP TABLE old; ALTER TABLE bots ADD later int DEFAULT 5;");
    project.write("migrations/V5__not_yet.sql", by_hand("ALTER TABLE bots RENAME TO robots"));
    project.outgrow(["migrate", "--to", "4"]).succeeds();
    project.outgrow(["verify"]).exits(1).prints(&[
        "bots      1 row  differs: columns that cannot be compared",
        "old       1 row  differs: absent from the target",
        "bots.name: not compared, the target's table bots has no column name any more; V3__names seems to rename it; \
         what the step brought can be compared in another database, migrated with --to 2",
        "old: the target has no such table in its search_path that this role can see; V4__tidy seems to drop it;",
    ]);
    project.execute("UPDATE bots SET n = 3");
    project.outgrow(["verify"]).exits(1).prints(&["columns that differ: n in 1"]).never_says(&["V5"]);
    project.outgrow(["migrate"]).succeeds();
    let json = project.outgrow(["verify", "--json"]).exits(1).json();
    let problem = json["steps"][0]["tables"][0]["problems"][0].to_string();
    assert!(
        problem.contains("V3__names seems to rename it, V4__tidy names it, V5__not_yet seems to rename it"),
        "{problem}"
    );
}

#[test]
fn what_a_later_version_renamed_is_compared_under_its_new_name() {
    let project = Project::step(
        "CREATE TABLE bots (id int PRIMARY KEY, \"Name\" text, n int)",
        "\"bots\"",
        "CREATE TABLE bots (id INTEGER PRIMARY KEY, name, n);
         INSERT INTO bots VALUES (1, 'a', 2), (2, 'b', 'x'), (3, 'c', 4)",
    );
    let step =
        "source = \"sqlite\"\ntables = [\"bots\"]\n[table.bots.column]\nn = { misfit = \"quarantine\" }\n";
    project.write("migrations/V2__import.toml", step);
    project.write(
        "migrations/V3__names.sql",
        "ALTER TABLE bots RENAME COLUMN \"Name\" TO title; ALTER TABLE bots RENAME n TO size; ALTER TABLE bots RENAME TO robots;",
    );
    project.outgrow(["migrate"]).succeeds();
    project
        .outgrow(["verify"])
        .succeeds()
        .prints(&["robots               2 rows  equal", "robots, quarantined   1 row  equal"]);
    project.execute("UPDATE robots SET size = 3 WHERE id = 3");
    project.outgrow(["verify"]).exits(1).prints(&["columns that differ: size in 1"]);
    project.execute("UPDATE robots SET size = 4 WHERE id = 3");
    project.sqlite("app.db", "UPDATE bots SET n = 5 WHERE id = 1; INSERT INTO bots VALUES (4, 'd', 'y')");
    let status = project.outgrow(["status", "--json"]).succeeds().json();
    let bots = serde_json::json!({"table": "bots", "exact": true, "new": 1, "changed": 1, "deleted": 0});
    assert_eq!(status["source"][0]["changes"]["tables"], serde_json::json!([bots]), "{status}");
}

#[test]
fn a_table_that_two_steps_load_is_compared_with_the_later_one() {
    let project = migrated("id int PRIMARY KEY", "CREATE TABLE t (id); INSERT INTO t VALUES (1)", "");
    project.write("migrations/V3__empty.sql", "DELETE FROM t;");
    project.write(
        "migrations/V4__again.toml",
        "source = \"sqlite\"\ntables = [\"u\"]\nskip = [\"t\"]\n[table.u]\ntarget = \"T\"\n",
    );
    project.write("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"t\"]\n");
    project.sqlite("app.db", "CREATE TABLE u (id); INSERT INTO u VALUES (7)");
    project.outgrow(["migrate"]).succeeds();
    project
        .outgrow(["verify"])
        .succeeds()
        .prints(&["loaded again by V4__again, not compared here", "t         1 row  equal"]);
    project.sqlite("app.db", "CREATE TABLE w (id); INSERT INTO w VALUES (7)");
    let named = "table w: it holds rows and the step does not name it";
    let outcome = project.outgrow(["verify"]).exits(1).prints(&[named]);
    assert!(!outcome.stdout.contains("table u"), "{outcome:#?}");
    project.sqlite("app.db", "DROP TABLE w");
    project.outgrow(["verify", "--step", "2"]).exits(1).prints(&["1 missing, 1 added"]);
    project.outgrow(["verify", "--step", "4"]).succeeds();
}
