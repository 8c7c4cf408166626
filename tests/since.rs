//! What has become of the source since a step copied it: said by `status`, `doctor` and `migrate`, and no more than is
//! known.

use crate::rules::with_rules;
use crate::support::{Outcome, Project, Role};
use serde_json::json;
use std::process::{Command, Stdio};

const SCHEMA: &str =
    "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, n int);";

/// `t` with ids 1 to 5 and `u` with ids 1 to 3 on both sides.
fn migrated() -> Project {
    let project = Project::step(
        SCHEMA,
        "\"t\", \"u\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE u (id INTEGER PRIMARY KEY, n);
         INSERT INTO t VALUES (1, 'secret'), (2, 'secret'), (3, 'secret'), (4, NULL), (5, '');
         INSERT INTO u VALUES (1, 1), (2, 2), (3, 3)",
    );
    project.outgrow(["migrate"]).succeeds();
    project
}

/// All three end well and say `found`, and what to do.
#[track_caller]
fn all_say(project: &Project, found: &str) {
    let next = "next: ";
    project.outgrow(["status"]).succeeds().prints(&[found, next, "at head"]).never_says(&["secret"]);
    project.outgrow(["doctor"]).succeeds().prints(&[found, next]).never_says(&["secret"]);
    assert_eq!(warned_about(project), ["source"]);
    let outcome = project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
    outcome.says(&[found, next]).never_says(&["secret"]);
}

/// What `doctor` warns about, but for how long answers take: other tests use the machine, too.
#[track_caller]
fn warned_about(project: &Project) -> Vec<String> {
    let said = project.outgrow(["doctor", "--json"]).succeeds().json();
    let findings = said["findings"].as_array().expect("findings").iter();
    let warnings = findings.filter(|finding| finding["state"] != "ok").map(|finding| &finding["about"]);
    let about = warnings.map(|about| about.as_str().expect("a name").to_owned());
    about.filter(|about| !["connection", "round trip"].contains(&about.as_str())).collect()
}

/// None of them has anything to warn of.
#[track_caller]
fn none_warns(project: &Project) -> Outcome {
    project.outgrow(["status"]).succeeds().never_says(&["next:", "since V2__import"]);
    assert!(warned_about(project).is_empty());
    let outcome = project.outgrow(["migrate"]).succeeds();
    assert_eq!(outcome.stderr, "", "{outcome:#?}");
    outcome
}

#[test]
fn a_source_that_is_as_it_was_is_no_news() {
    let project = migrated();
    none_warns(&project);
    project.outgrow(["doctor"]).succeeds().prints(&["unchanged since V2__import copied it"]);
    let json = project.outgrow(["migrate", "--json"]).succeeds().json();
    assert!(json.get("source").is_none(), "{json}");
    // the application works on, in the target
    project.execute("UPDATE t SET v = 'x'; DELETE FROM u WHERE id = 1; INSERT INTO u VALUES (9, 9)");
    none_warns(&project);
}

#[test]
fn rows_of_an_old_application_are_counted() {
    let project = migrated();
    project.sqlite(
        "app.db",
        "INSERT INTO t VALUES (6, 'secret'), (7, 'secret'); UPDATE t SET v = 'secret2' WHERE id = 1; DELETE FROM t WHERE id = 2",
    );
    let found =
        "app.db has 3 new or changed rows since V2__import copied it: table t, 2 new, 1 changed, 1 deleted";
    all_say(&project, found);
    let status = project.outgrow(["status", "--json"]).succeeds().json();
    let table = json!({"table": "t", "exact": true, "new": 2, "changed": 1, "deleted": 1});
    assert_eq!(status["source"][0]["changes"]["tables"], json!([table]));
    assert_eq!(
        (&status["source"][0]["version"], &status["versions"][1]["source_changed"]),
        (&json!(2), &json!(true))
    );
    let migrate = project.outgrow(["migrate", "--json"]).succeeds().json();
    assert_eq!(migrate["source"], status["source"]);
    let doctor = project.outgrow(["doctor", "--json"]).succeeds().json().to_string();
    assert!(doctor.contains(found), "{doctor}");
    // the old application gave up, and its rows were entered
    project.execute(
        "INSERT INTO t VALUES (6, 'secret'), (7, 'secret'); UPDATE t SET v = 'secret2' WHERE id = 1",
    );
    project.outgrow(["status"]).succeeds().prints(&["has no new or changed row that the target lacks"]);
}

#[test]
fn what_the_application_did_to_the_target_is_not_blamed_on_the_source() {
    let project = migrated();
    project.execute("UPDATE u SET n = n + 1; DELETE FROM u WHERE id = 3; INSERT INTO u VALUES (8, 8)");
    project.sqlite("app.db", "INSERT INTO t VALUES (6, 'secret')");
    all_say(&project, "app.db has 1 new or changed row since V2__import copied it: table t, 1 new\n");
    project.execute("UPDATE t SET v = 'x' WHERE id = 5; INSERT INTO t VALUES (100, 'y')");
    all_say(
        &project,
        "app.db has up to 2 new or changed rows since V2__import copied it: table t, up to 1 new, up to 1 changed\n",
    );
    project.sqlite("app.db", "DELETE FROM t WHERE id IN (1, 2, 6)");
    all_say(
        &project,
        "app.db has up to 1 new or changed row since V2__import copied it: table t, up to 1 changed, at least 2 deleted",
    );
}

#[test]
fn a_file_that_changed_and_whose_rows_did_not_is_no_warning() {
    let project = migrated();
    project.sqlite("app.db", "CREATE INDEX i ON t (v); PRAGMA user_version = 7; VACUUM");
    project.execute("UPDATE t SET v = 'x'; DELETE FROM u WHERE id = 1");
    let said =
        "app.db has changed since V2__import copied it, and has no new or changed row that the target lacks";
    project.outgrow(["status"]).succeeds().prints(&[said]).never_says(&["next:"]);
    project.outgrow(["doctor"]).succeeds().prints(&[said]);
    assert!(warned_about(&project).is_empty());
    assert_eq!(project.outgrow(["migrate"]).succeeds().stderr, "");
}

#[test]
fn a_later_version_that_changes_a_type_is_no_change_of_the_source() {
    let project = migrated();
    project.write(
        "migrations/V3__wider.sql",
        "ALTER TABLE t ALTER id TYPE bigint; ALTER TABLE u ADD m int DEFAULT 1;",
    );
    project.outgrow(["migrate"]).succeeds();
    project.sqlite("app.db", "PRAGMA user_version = 7");
    project.outgrow(["status"]).succeeds().prints(&["has no new or changed row that the target lacks"]);
    project.sqlite("app.db", "INSERT INTO t VALUES (6, NULL)");
    all_say(
        &project,
        "app.db has up to 1 new or changed row since V2__import copied it: table t, up to 1 new",
    );
}

#[test]
fn tables_and_columns_that_cannot_be_counted_are_named() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v point",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, '1,2')",
    );
    project.outgrow(["migrate"]).succeeds();
    project.sqlite("app.db", "UPDATE t SET v = '3,4'");
    all_say(
        &project,
        "app.db has changed since V2__import copied it: table t, perhaps v (point: compared by outgrow verify)",
    );
    project.sqlite(
        "app.db",
        "UPDATE t SET v = '1,2'; CREATE TABLE later (x); INSERT INTO later VALUES ('secret')",
    );
    all_say(
        &project,
        "app.db has changed since V2__import copied it: table later: it holds rows and the step does not name it",
    );
}

#[test]
fn a_file_with_none_of_the_tables_is_another_one() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate"]).succeeds();
    project.sqlite("app.db", "DROP TABLE t; CREATE TABLE x (v); INSERT INTO x VALUES (1)");
    all_say(&project, "app.db has none of the tables that V2__import brought: it is another file");
}

#[test]
fn a_target_that_is_empty_while_the_source_is_full() {
    let project = migrated();
    project.execute("TRUNCATE t");
    none_warns(&project);
    project.execute("DELETE FROM u");
    all_say(&project, "the tables of V2__import are empty in the target, and app.db has rows in t, u");
    let json = project.outgrow(["migrate", "--json"]).succeeds().json();
    assert_eq!(json["source"][0]["missing_in_target"], json!(["t", "u"]));
    assert_eq!(json["source"][0]["source_changed"], false);
    project.execute("INSERT INTO u VALUES (7)");
    none_warns(&project);
}

#[test]
fn a_step_without_data_beside_a_full_source() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate", "--without-data"]).succeeds();
    let recorded = "the tables of V2__import, which was recorded without data, are empty in the target, and app.db has rows in t";
    all_say(&project, recorded);
    // as in a database that was given its schema and its history by other means
    project.execute("DROP TABLE outgrow_receipt");
    all_say(&project, "the tables of V2__import are empty in the target, and app.db has rows in t");
    project.execute("INSERT INTO t VALUES (5)");
    none_warns(&project);
    project.execute("DELETE FROM t");
    project.sqlite("app.db", "DELETE FROM t");
    none_warns(&project);
}

#[test]
fn versions_that_are_pending_are_applied_all_the_same() {
    let project = migrated();
    project.sqlite("app.db", "INSERT INTO t VALUES (6, 'secret')");
    project.write("migrations/V3__more.sql", "CREATE TABLE more (id int);");
    let outcome = project.outgrow(["migrate"]).succeeds().prints(&["1 version applied"]);
    outcome.says(&["app.db has changed since V2__import copied it\n", "outgrow status counts the rows"]);
    assert!(project.has_table("more"));
}

#[test]
fn of_a_large_source_migrate_says_only_that_it_changed() {
    let project = migrated();
    project.sqlite("app.db", "INSERT INTO t VALUES (6, hex(zeroblob(9000000)))");
    let outcome = project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
    outcome.says(&["app.db has changed since V2__import copied it\n", "outgrow status counts the rows"]);
    project.outgrow(["status"]).succeeds().prints(&["1 new or changed row"]);
}

#[test]
fn what_cannot_be_looked_at_fails_nothing() {
    let project = migrated();
    project.sqlite("app.db", "INSERT INTO t VALUES (6, 'secret')");
    let mut session = project.connect();
    let mut lock = session.transaction().expect("a transaction");
    lock.batch_execute("LOCK TABLE t").expect("a lock");
    let not_counted = ["app.db has changed since V2__import copied it (not counted: ", "lock timeout"];
    project.outgrow(["status"]).succeeds().prints(&not_counted);
    project.outgrow(["migrate"]).succeeds().says(&not_counted);
    drop(lock);
    let role = Role::of(&project);
    project.execute(&format!("GRANT SELECT ON refinery_schema_history TO \"{}\"", role.name));
    project.run(&mut role.command("status")).succeeds().never_says(&["next:"]);
    project.execute(&format!("GRANT SELECT ON outgrow_receipt TO \"{}\"", role.name));
    project
        .run(&mut role.command("status"))
        .succeeds()
        .prints(&["(not counted: ", "table t: this role may not read it"]);
    project.write("app.db", "no database");
    project
        .outgrow(["migrate"])
        .succeeds()
        .says(&["app.db has changed since V2__import copied it (not counted"]);
    std::fs::remove_file(project.path("app.db")).expect("gone");
    none_warns(&project);
}

#[test]
fn a_table_of_the_applications_with_the_receipts_name_is_in_nobodys_way() {
    let project =
        Project::with(&[("migrations/V1__own.sql", "CREATE TABLE outgrow_receipt (version int, x int);")]);
    project.sqlite("app.db", "CREATE TABLE t (id)");
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO outgrow_receipt VALUES (1, 1)");
    none_warns(&project).prints(&["nothing to do"]);
}

#[test]
fn the_file_of_another_step_is_no_change() {
    let project = Project::one_table(
        "id int PRIMARY KEY",
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)",
    );
    project.write("migrations/V3__u.sql", "CREATE TABLE u (id int PRIMARY KEY);");
    project.write("migrations/V4__other.toml", "source = \"sqlite\"\ntables = [\"u\"]\n");
    project.outgrow(["migrate", "--to", "3"]).succeeds();
    project.sqlite("other.db", "CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (5)");
    project.outgrow(["migrate", "--source", "other.db"]).succeeds();
    for source in ["app.db", "other.db"] {
        project.outgrow(["status", "--source", source]).succeeds().never_says(&["changed"]);
        project.outgrow(["migrate", "--source", source]).succeeds().never_says(&["changed"]);
    }
    project.sqlite("other.db", "INSERT INTO u VALUES (6)");
    project.outgrow(["status", "--source", "other.db"]).succeeds().prints(&["1 new"]);
}

#[test]
fn a_column_that_the_step_never_brought_is_not_called_gone() {
    let project = migrated();
    project.sqlite("app.db", "ALTER TABLE t ADD COLUMN since TEXT; UPDATE t SET since = 'secret'");
    let said = "t.since: not compared, the source has values in it only since V2__import copied the table, and the target's table t has no column since";
    all_say(&project, said);
    project.outgrow(["verify"]).exits(1).prints(&[said]).never_says(&["any more"]);
}

#[test]
fn tables_that_a_pending_step_fills_are_not_called_empty() {
    let project = migrated();
    project.execute("TRUNCATE t; TRUNCATE u");
    all_say(&project, "the tables of V2__import are empty in the target, and app.db has rows in t, u");
    let step = std::fs::read_to_string(project.path("migrations/V2__import.toml")).expect("the step");
    project.write("migrations/V3__again.toml", step);
    project.outgrow(["status"]).succeeds().never_says(&["are empty in the target"]);
    project.outgrow(["migrate"]).succeeds().never_says(&["are empty in the target"]);
}

#[test]
fn rows_that_only_the_quarantine_can_hold_are_counted() {
    let project = quarantining("(1, 1), (2, 2), (20, 'secret')");
    project
        .sqlite("app.db", "INSERT INTO t VALUES (22, 'secret3'); UPDATE t SET v = 'secret2' WHERE id = 20");
    let found = "app.db has 2 new or changed rows since V2__import copied it: table t, 1 new, 1 changed";
    all_say(&project, &format!("{found}\n"));
    let status = project.outgrow(["status", "--json"]).succeeds().json();
    let table = json!({"table": "t", "exact": true, "new": 1, "changed": 1, "deleted": 0});
    assert_eq!(status["source"][0]["changes"]["tables"], json!([table]));
    project.outgrow(["verify"]).exits(1).prints(&["1 missing", "1 changed"]);
    // one of the quarantine and one of the table are gone
    project.sqlite("app.db", "DELETE FROM t WHERE id IN (2, 20)");
    all_say(&project, "1 new or changed row since V2__import copied it: table t, 1 new, 2 deleted\n");
}

#[test]
fn a_row_that_turned_into_a_misfit_is_not_only_deleted() {
    // the first of the step, which made no quarantine
    let project = quarantining("(1, 1), (2, 2)");
    project.sqlite("app.db", "UPDATE t SET v = 'secret' WHERE id = 1");
    let found = "app.db has 1 new or changed row since V2__import copied it: table t, 1 new, 1 deleted\n";
    all_say(&project, found);
    project.execute("UPDATE t SET v = 7 WHERE id = 2");
    let found = "app.db has up to 2 new or changed rows since V2__import copied it: table t, up to 1 new, up to 1 changed\n";
    all_say(&project, found);
}

#[test]
fn a_quarantine_that_is_gone_holds_nothing() {
    let project = quarantining("(1, 1), (20, 'secret')");
    project.execute("DROP TABLE outgrow_quarantine");
    project.sqlite("app.db", "PRAGMA user_version = 7");
    project.outgrow(["status"]).succeeds().prints(&["has no new or changed row that the target lacks"]);
    project.sqlite("app.db", "UPDATE t SET v = 'secret2' WHERE id = 20");
    let found = "app.db has up to 1 new or changed row since V2__import copied it: table t, up to 1 new\n";
    all_say(&project, found);
}

#[test]
fn quarantined_rows_that_were_dealt_with_are_no_news() {
    let project = quarantining("(1, 1), (20, 'secret'), (21, 'secret')");
    project.execute("INSERT INTO t VALUES (20, 20); DELETE FROM outgrow_quarantine WHERE place = '20'");
    project.sqlite("app.db", "PRAGMA user_version = 7");
    project.outgrow(["status"]).succeeds().prints(&["has no new or changed row that the target lacks"]);
    // which of the two rows that the quarantine lacks is the new one, nothing says
    project.sqlite("app.db", "INSERT INTO t VALUES (22, 'secret')");
    all_say(&project, "has up to 2 new or changed rows since V2__import copied it: table t, up to 2 new\n");
}

/// Rows of `t`, those with a text for `v` in the quarantine.
fn quarantining(rows: &str) -> Project {
    let source = format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES {rows}");
    let project = with_rules("id int PRIMARY KEY, v int", &source, "[table.t]\nmisfit = \"quarantine\"\n");
    project.outgrow(["migrate"]).succeeds();
    project
}

#[test]
fn zeros_that_the_application_wrote_are_no_change_of_the_source() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v numeric",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, '1.50'), (2, 2.5)",
    );
    project.outgrow(["migrate"]).succeeds();
    // what the source has is held against the receipt byte by byte
    project.sqlite("app.db", "PRAGMA user_version = 7");
    project.execute("UPDATE t SET v = 7 WHERE id = 1");
    project.outgrow(["status"]).succeeds().prints(&["has no new or changed row that the target lacks"]);
    project.execute("UPDATE t SET v = 1.50 WHERE id = 1");
    project.sqlite("app.db", "INSERT INTO t VALUES (3, 3.5)");
    let said = "app.db has 1 new or changed row since V2__import copied it: table t, 1 new\n";
    project.outgrow(["status"]).succeeds().prints(&[said]);
    project.execute("UPDATE t SET v = 2.500 WHERE id = 2");
    project
        .outgrow(["status"])
        .succeeds()
        .prints(&["has up to 1 new or changed row", "table t, up to 1 new\n"]);
}

/// The file is sparse, so that only reading it takes long.
#[cfg(unix)]
#[test]
fn a_signal_ends_the_hashing_of_a_large_source() {
    let project = migrated();
    let bytes = 1_u64 << 38;
    let file = std::fs::OpenOptions::new().write(true).open(project.path("app.db")).expect("the source");
    file.set_len(bytes).expect("longer");
    project.execute(&format!("UPDATE outgrow_receipt SET source = source || '{{\"bytes\": {bytes}}}'"));
    let mut command = project.command(["status"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("status");
    // the last question before the source is hashed
    let idle = "SELECT 'x' FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'outgrow' \
                AND state = 'idle' AND query LIKE '%SELECT version, done FROM outgrow_progress'";
    while project.query(idle).is_empty() {}
    let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    Outcome::of(child.wait_with_output().expect("its end"), None).exits(130);
}
