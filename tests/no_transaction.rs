//! `-- outgrow: no-transaction`: statement by statement, resumable, and CREATE INDEX CONCURRENTLY never waits for us.

use crate::support::{Outcome, Project};
use std::process::Stdio;

const INDEX: &str = "CREATE INDEX CONCURRENTLY t_id ON t (id);";

/// V1 makes `t`, V2 is `statements` outside a transaction.
fn untransacted(statements: &str) -> Project {
    Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);"),
        ("migrations/V2__alone.sql", &format!("-- outgrow: no-transaction\n{statements}\n")),
    ])
}

fn is_valid(project: &Project, index: &str) -> Vec<String> {
    project.query(&format!(
        "SELECT indisvalid::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relname = '{index}'"
    ))
}

#[test]
fn it_runs_is_recorded_and_says_what_it_is() {
    let project = untransacted(&format!("{INDEX}\nVACUUM t;\nALTER TABLE t ADD COLUMN x int;"));
    project
        .outgrow(["migrate"])
        .succeeds()
        .says(&["V2__alone runs outside a transaction: resumable, not atomic"])
        .prints(&["V2__alone", "2 versions applied"]);
    assert_eq!(is_valid(&project, "t_id"), ["true"]);
    assert_eq!(project.query("SELECT count(*)::text FROM outgrow_progress"), ["0"]);
    project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
    project.outgrow(["status", "--check"]).succeeds();
}

#[test]
fn what_failed_is_gone_on_with() {
    let project = untransacted(
        "INSERT INTO t VALUES (2);\nCREATE UNIQUE INDEX CONCURRENTLY \"T_id\" ON public.t (id);\nVACUUM t;",
    );
    project.outgrow(["migrate"]).exits(7).says(&[
        "V2__alone stopped at its statement 2 of 3",
        "what ran before that stays",
        "run migrate again to go on with statement 2",
        "V1 before it was applied and stays",
        "V2__alone.sql:3:1: could not create unique index",
    ]);
    project
        .outgrow(["status"])
        .succeeds()
        .prints(&["V2__alone  pending, stopped after 1 statement: migrate goes on there"]);
    assert_eq!(is_valid(&project, "T_id"), ["false"]);
    assert_eq!(project.query("SELECT count(*)::text FROM refinery_schema_history"), ["1"]);
    project.execute("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)");
    project
        .outgrow(["migrate"])
        .succeeds()
        .says(&["going on with statement 2 of 3", "dropping the index T_id"]);
    assert_eq!(is_valid(&project, "T_id"), ["true"]);
    assert_eq!(project.query("SELECT count(*)::text FROM t WHERE id = 2"), ["1"], "no statement runs twice");
}

#[test]
fn what_the_file_sets_holds_for_the_session_that_goes_on() {
    let project = untransacted(
        "CREATE SCHEMA app;\nSET search_path = app, public;\nSELECT 1 / count(*) FROM gate;\nCREATE TABLE made ();",
    );
    project.execute("CREATE TABLE gate (open int)");
    project.outgrow(["migrate"]).exits(7).says(&["stopped at its statement 3 of 4", "division by zero"]);
    project.execute("INSERT INTO gate VALUES (1)");
    project.outgrow(["migrate"]).succeeds().says(&["going on with statement 3 of 4"]);
    assert_eq!(project.query("SELECT schemaname::text FROM pg_tables WHERE tablename = 'made'"), ["app"]);
}

#[test]
fn a_lock_that_the_file_gave_away_is_missed() {
    let project = untransacted(
        "DO $$ BEGIN PERFORM pg_advisory_unlock_all(); LOCK TABLE t IN SHARE MODE; END $$;\nCREATE TABLE made ();",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let (mut writer, mut other) = (project.connect(), project.connect());
    writer.batch_execute("BEGIN; INSERT INTO t VALUES (9)").expect("a writer");
    let run =
        project.command(["migrate"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    let waiting = "SELECT pid::text FROM pg_locks WHERE relation = 't'::regclass AND NOT granted";
    while project.query(waiting).is_empty() {}
    // "outgrow" in ASCII
    other.batch_execute("SELECT pg_advisory_lock(x'6f757467726f77'::bigint)").expect("the lock");
    writer.batch_execute("COMMIT").expect("the end of the writer");
    let outcome = Outcome::of(run.wait_with_output().expect("its end"), None).exits(4);
    outcome.says(&["stopped at its statement 1 of 2", "let go of the lock", "another run took it"]);
    assert!(!project.has_table("made"));
}

#[test]
fn what_has_run_must_stay_and_what_failed_may_change() {
    let project = untransacted("INSERT INTO t VALUES (2);\nALTER TABLE missing ADD x int;");
    project.outgrow(["migrate"]).exits(7).says(&["statement 2 of 2", "V2__alone.sql:3:"]);
    project.write(
        "migrations/V2__alone.sql",
        "-- outgrow: no-transaction\nINSERT INTO t VALUES (3);\nALTER TABLE t ADD x int;\n",
    );
    project.outgrow(["migrate"]).exits(5).says(&["V2__alone.sql was begun", "put them back"]);
    project.write(
        "migrations/V2__alone.sql",
        "-- outgrow: no-transaction\nINSERT INTO t VALUES (2);\nALTER TABLE t ADD x int;\n",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT count(*)::text FROM t WHERE id = 2"), ["1"]);
    project.outgrow(["status", "--check"]).succeeds();
}

/// A transaction of the test keeps the index from being finished, and another run waits for the lock meanwhile: neither
/// it nor its holder may keep the other for ever.
#[test]
fn a_waiting_run_does_not_keep_the_index_from_being_made() {
    let project = untransacted(INDEX);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let mut old = project.connect();
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t").expect("a snapshot");
    let run = || {
        let mut command = project.command(["migrate"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run")
    };
    let holder = run();
    let building = "SELECT pid::text FROM pg_stat_progress_create_index WHERE datname = current_database() AND relid = 't'::regclass AND phase LIKE 'waiting%'";
    while project.query(building).is_empty() {}
    let waiter = run();
    let connected = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name = 'outgrow' AND query LIKE '%pg_try_advisory_lock(%' AND query NOT LIKE '%outgrow_progress%'";
    while project.query(connected).is_empty() {}
    old.batch_execute("COMMIT").expect("the end of the snapshot");
    for run in [holder, waiter] {
        Outcome::of(run.wait_with_output().expect("its end"), None).succeeds();
    }
    assert_eq!(is_valid(&project, "t_id"), ["true"]);
}

#[test]
fn killed_while_the_index_was_made() {
    let project = untransacted(INDEX);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let mut old = project.connect();
    old.batch_execute("BEGIN; INSERT INTO t VALUES (9)").expect("a writer");
    let mut run =
        project.command(["migrate"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("a run");
    let building = "SELECT pid::text FROM pg_stat_progress_create_index WHERE datname = current_database() AND relid = 't'::regclass";
    // in this phase the index stands in the catalog and is not valid yet
    let begun = format!("{building} AND phase = 'waiting for writers before build'");
    while project.query(&begun).is_empty() {}
    run.kill().expect("SIGKILL");
    run.wait().expect("its end");
    // the server still builds, until it notices that nobody listens
    for pid in project.query(building) {
        project.execute(&format!("SELECT pg_terminate_backend({pid})"));
    }
    old.batch_execute("COMMIT").expect("the end of the writer");
    while !project.query(building).is_empty() {}
    project
        .outgrow(["migrate"])
        .succeeds()
        .says(&["going on with statement 1 of 1", "dropping the index t_id"]);
    assert_eq!(is_valid(&project, "t_id"), ["true"]);
}

/// The process may end between the end of a statement and the note of it.
#[test]
fn an_index_that_was_finished_before_the_crash_is_kept() {
    let project = untransacted("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);");
    project.outgrow(["migrate"]).exits(7);
    project.execute("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)");
    project.execute("DROP INDEX t_id");
    project.execute("CREATE UNIQUE INDEX t_id ON t (id)");
    project.outgrow(["migrate"]).exits(7).says(&["relation \"t_id\" already exists"]);
    project.execute("UPDATE outgrow_progress SET begun = true");
    project.outgrow(["migrate", "-v"]).succeeds().says(&["the index t_id was made before the interruption"]);
}

#[test]
fn interrupted_it_says_where() {
    let project = untransacted(&format!("VACUUM t;\n{INDEX}"));
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let mut old = project.connect();
    old.batch_execute("BEGIN; INSERT INTO t VALUES (9)").expect("a writer");
    let run =
        project.command(["migrate"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a run");
    let building = "SELECT pid::text FROM pg_stat_progress_create_index WHERE datname = current_database() AND relid = 't'::regclass";
    while project.query(building).is_empty() {}
    std::process::Command::new("kill").args(["-s", "TERM", &run.id().to_string()]).status().expect("kill");
    Outcome::of(run.wait_with_output().expect("its end"), None)
        .exits(143)
        .says(&["V2__alone was stopped at its statement 2 of 2", "run migrate again to go on with it"]);
    old.batch_execute("COMMIT").expect("the end of the writer");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(is_valid(&project, "t_id"), ["true"]);
}

#[test]
fn what_makes_no_sense_there_is_refused() {
    let project =
        untransacted("BEGIN;\nCREATE INDEX CONCURRENTLY ON t (id);\nCOMMIT;\n-- outgrow: no-transaction");
    let temporary = untransacted("CREATE TEMP TABLE a AS SELECT 1;\nSELECT 1 INTO TEMPORARY TABLE b;");
    temporary.outgrow(["migrate"]).exits(2).says(&[
        "V2__alone.sql:2:1: what is temporary is gone with the session",
        "V2__alone.sql:3:1: what is temporary is gone with the session",
    ]);
    project.outgrow(["migrate"]).exits(2).says(&[
        "V2__alone.sql:2:1: BEGIN: here each statement stands alone",
        "V2__alone.sql:3:1: the index has no name",
        "V2__alone.sql:4:1: COMMIT",
        "V2__alone.sql:5:1: \"-- outgrow: no-transaction\" means nothing here",
    ]);
    assert!(!project.has_table("t"));
}
