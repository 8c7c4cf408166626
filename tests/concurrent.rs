//! One at a time: any number of runs at once, one applies, the others wait and find head. The application goes on
//! meanwhile.

use crate::support::{Outcome, Project};
use std::process::Stdio;

/// Starts so many runs at once, and counts the versions that they say they applied.
fn applied_by(project: &Project, runs: usize) -> usize {
    let runs: Vec<_> = (0..runs)
        .map(|_| {
            project
                .command(["migrate", "-q"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a run")
        })
        .collect();
    let mut applied = 0;
    for run in runs {
        let outcome = Outcome::of(run.wait_with_output().expect("its end"), None).succeeds();
        applied += outcome.stdout.lines().filter(|line| line.starts_with(" V")).count();
    }
    applied
}

#[test]
fn sixteen_runs_at_once_apply_everything_once() {
    let project = Project::intelibotx();
    assert_eq!(applied_by(&project, 16), 6, "every version by exactly one run");
    assert_eq!(project.query("SELECT count(*)::text FROM \"user\""), ["2"]);
}

#[test]
fn eight_runs_at_once_before_a_step_bring_its_rows_once() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1), (2), (3)");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    assert_eq!(applied_by(&project, 8), 1, "the step by exactly one run");
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["3"]);
}

#[test]
fn a_held_lock_ends_the_wait_and_names_the_holder() {
    let project = Project::intelibotx();
    let mut holder = project.connect();
    holder
        .batch_execute("SET application_name = 'release-7'; SELECT pg_advisory_lock(31372865227091831)")
        .expect("the lock");
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).expect("a pid").get(0);
    project.outgrow(["migrate", "--lock-timeout", "50ms"]).exits(4).says(&[
        "another run holds the lock, waited 50ms",
        "release-7",
        &format!("SELECT pg_terminate_backend({pid})"),
    ]);
    assert!(!project.has_table("user"));
}

#[test]
fn at_head_no_lock_is_needed() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    let mut holder = project.connect();
    holder.batch_execute("SELECT pg_advisory_lock(31372865227091831)").expect("the lock");
    project.outgrow(["migrate", "--lock-timeout", "1ms"]).succeeds().prints(&["nothing to do"]);
}

/// A table `t`, a version that alters it, and the session of an application that holds a lock on it.
fn application_uses_t(second: (&str, &str)) -> (Project, postgres::Client) {
    let project = Project::with(&[("migrations/V1__t.sql", "CREATE TABLE t (id int);"), second]);
    project.sqlite("app.db", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let mut application = project.connect();
    application.batch_execute("SET application_name = 'the app'; BEGIN; SELECT * FROM t").expect("a lock");
    (project, application)
}

const ALTER: (&str, &str) =
    ("migrations/V2__alter.sql", "CREATE TABLE u ();\nALTER TABLE t ADD COLUMN x int;");

/// A run that reports a first repetition on stderr; then the application lets go of its table.
fn repeats_until_it_may(second: (&str, &str)) -> Project {
    use std::io::{BufRead, BufReader};
    let (project, mut application) = application_uses_t(second);
    let mut run = project.command(["migrate", "--lock-attempt", "20ms"]);
    let mut run = run.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a run");
    let mut lines =
        BufReader::new(run.stderr.take().expect("its stderr")).lines().map(|line| line.expect("UTF-8"));
    let said = lines.find(|line| line.contains("a lock is not to be had")).expect("a repetition");
    assert!(said.contains("the app, idle in transaction, holds one on t"), "{said}");
    assert!(said.contains("rolled back, attempt 2 in"), "{said}");
    application.batch_execute("COMMIT").expect("the end");
    lines.for_each(drop);
    Outcome::of(run.wait_with_output().expect("its end"), None).succeeds();
    project
}

#[test]
fn a_version_waits_in_short_attempts_for_a_table_in_use() {
    let project = repeats_until_it_may(ALTER);
    assert_eq!(project.query("SELECT count(*)::text FROM refinery_schema_history"), ["2"]);
}

#[test]
fn so_does_a_step() {
    let project =
        repeats_until_it_may(("migrations/V2__step.toml", "source = \"sqlite\"\ntables = [\"t\"]\n"));
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["1"]);
}

#[test]
fn the_attempts_end_with_the_lock_timeout() {
    let (project, _application) = application_uses_t(ALTER);
    project.outgrow(["migrate", "--lock-attempt", "20ms", "--lock-timeout", "3s"]).exits(4).says(&[
        "attempt 2 in",
        "V2__alter failed and was rolled back",
        "V2__alter.sql:2:1: canceling statement due to lock timeout",
        "the app, idle in transaction, holds one on t; to end it: SELECT pg_terminate_backend(",
    ]);
    assert!(!project.has_table("u"));
}

#[test]
fn a_step_whose_table_stays_in_use_says_who_holds_it() {
    let step = ("migrations/V2__step.toml", "source = \"sqlite\"\ntables = [\"t\"]\n");
    let (project, _application) = application_uses_t(step);
    let run = ["migrate", "--lock-attempt", "20ms", "--lock-timeout", "1s", "--json"];
    let outcome = project.outgrow(run).exits(4).says(&["attempt 2 in"]);
    let holder = "the app, idle in transaction, holds one on t; to end it: SELECT pg_terminate_backend(";
    let error = outcome.json()["error"].as_str().expect("the error").to_owned();
    for part in ["V2__step failed and was rolled back", "canceling statement due to lock timeout", holder] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_table_outside_the_step_that_its_keys_refer_to_is_named() {
    let project = Project::step(
        "CREATE TABLE elsewhere (id int PRIMARY KEY); CREATE TABLE t (id int, e int REFERENCES elsewhere);",
        "\"t\"",
        "CREATE TABLE t (id, e); INSERT INTO t VALUES (1, NULL)",
    );
    project.enlarge("app.db");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let mut application = project.connect();
    application
        .batch_execute("SET application_name = 'the app'; BEGIN; SELECT * FROM elsewhere")
        .expect("a lock");
    let outcome = project.outgrow(["migrate", "--lock-attempt", "20ms", "--lock-timeout", "1s"]).exits(4);
    let (_, error) = outcome.stderr.split_once("error: ").expect("an error");
    assert!(error.contains("the app, idle in transaction, holds one on elsewhere"), "{error}");
    application.batch_execute("COMMIT").expect("the end");
    let said = "table elsewhere is locked until the step ends as well";
    project.outgrow(["migrate"]).succeeds().says(&[said]);
}

#[test]
fn time_outs_of_the_platform_are_not_for_migrations() {
    let project = Project::with(&[("migrations/V1__slow.sql", "CREATE TABLE t (); SELECT pg_sleep(2);")]);
    let name = project.query("SELECT quote_ident(current_database())").remove(0);
    project.execute(&format!(
        "ALTER DATABASE {name} SET statement_timeout = '1500ms'; \
         ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '1ms'"
    ));
    let ended = project.outgrow(["migrate", "--statement-timeout", "50ms"]).exits(7);
    ended.says(&[
        "statement timeout",
        "next: if it took too long, --statement-timeout allows more (0s: no limit)",
    ]);
    project.outgrow(["migrate", "--statement-timeout", "0s"]).succeeds();
}

#[test]
fn a_lock_on_the_history_is_not_waited_for_for_ever() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE gate ();"),
        ("migrations/V2__next.sql", "LOCK TABLE gate; CREATE TABLE t ();"),
    ]);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let (mut gate, mut holder) = (project.connect(), project.connect());
    gate.batch_execute("BEGIN; LOCK TABLE gate").expect("a gate");
    let run = project
        .command(["migrate", "--lock-attempt", "2s", "--lock-timeout", "3s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a run");
    let waiting = "SELECT 'x' FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted";
    while project.query(waiting).is_empty() {}
    holder.batch_execute("BEGIN; LOCK TABLE refinery_schema_history").expect("the history");
    gate.batch_execute("COMMIT").expect("the end of the gate");
    let outcome = Outcome::of(run.wait_with_output().expect("its end"), None).exits(4);
    outcome.says(&["V2__next failed and was rolled back"]);
    assert!(!project.has_table("t"));
}

#[test]
fn reading_the_history_does_not_wait_for_ever_for_a_lock() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate"]).succeeds();
    let mut holder = project.connect();
    holder
        .batch_execute("SET application_name = 'somebody'; BEGIN; LOCK TABLE refinery_schema_history")
        .expect("the history");
    for command in ["status", "migrate", "verify", "export"] {
        let mut run = project.command([command, "--lock-timeout", "50ms"]);
        if command == "export" {
            run.arg("out.db");
        }
        project.run(&mut run).exits(4).says(&[
            "error: reading the history refinery_schema_history: canceling statement due to lock timeout",
            "somebody, idle in transaction, holds one on refinery_schema_history; to end it: SELECT pg_terminate_backend(",
        ]);
    }
    let outcome = project.outgrow(["doctor"]).exits(1);
    outcome.prints(&["reading the history", "somebody, idle in transaction, holds one on"]);
}

#[test]
fn reading_a_table_does_not_wait_for_ever_for_a_lock() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate"]).succeeds();
    for table in ["t", "outgrow_receipt"] {
        let mut holder = project.connect();
        holder
            .batch_execute(&format!("SET application_name = 'somebody'; BEGIN; LOCK TABLE {table}"))
            .expect("the lock");
        for arguments in [vec!["verify"], vec!["export", "out.db"]] {
            let mut run = project.command(arguments);
            project.run(run.args(["--lock-timeout", "50ms"])).exits(4).says(&[
                "canceling statement due to lock timeout",
                &format!("somebody, idle in transaction, holds one on {table}; to end it: SELECT pg_terminate_backend("),
            ]);
        }
    }
}
