//! An export in the middle of its work: it sees one state of the target, and when it ends early it leaves nothing.

use crate::support::{Outcome, Project, cells};
use postgres::Client;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

fn project() -> Project {
    let project = Project::step(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY)",
        "\"a\", \"b\", \"c\"",
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY);
         INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (3);",
    );
    project.outgrow(["migrate"]).succeeds();
    project
}

/// A run that waits for table `b`, and the session that it waits for.
fn waiting_for_b(project: &Project) -> (Child, Client) {
    let mut session = project.connect();
    session.batch_execute("BEGIN; LOCK TABLE b IN ACCESS EXCLUSIVE MODE").expect("a lock");
    let mut command = project.command(["export", "back.db"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    let waits = "SELECT FROM pg_locks WHERE relation = 'b'::regclass AND NOT granted";
    while session.query(waits, &[]).expect("pg_locks").is_empty() {}
    assert_eq!(temporary(project), 1, "it writes beside the destination");
    (child, session)
}

/// How many temporary files there are.
fn temporary(project: &Project) -> usize {
    let entries = project.path("").read_dir().expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".back.db.")).count()
}

fn ended(child: Child) -> Outcome {
    Outcome::of(child.wait_with_output().expect("its end"), None)
}

#[test]
fn it_sees_one_state_of_the_target() {
    let project = project();
    let (child, mut session) = waiting_for_b(&project);
    project.execute("INSERT INTO a VALUES (9); INSERT INTO c VALUES (9)");
    session.batch_execute("INSERT INTO b VALUES (9); COMMIT").expect("a commit");
    ended(child).succeeds();
    let all = "SELECT id FROM a UNION ALL SELECT id FROM b UNION ALL SELECT id FROM c";
    assert_eq!(cells::query(&project.path("back.db"), all), ["1", "2", "3"]);
}

#[test]
fn a_signal_leaves_nothing() {
    let project = project();
    let (child, session) = waiting_for_b(&project);
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().expect("kill");
    assert!(killed.success());
    ended(child).exits(143);
    assert_eq!((temporary(&project), project.path("back.db").exists()), (0, false));
    drop(session);
    project.outgrow(["export", "back.db"]).succeeds();
}

#[test]
fn a_signal_ends_what_sqlite_is_doing() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v int)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1);
         CREATE INDEX slow ON t (CASE WHEN v > 5 THEN length(printf('%.50000000c', 'x')) END);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t SELECT i, i FROM generate_series(6, 10000) AS i");
    let mut command = project.command(["export", "back.db"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    let stderr = BufReader::new(child.stderr.as_mut().expect("its stderr"));
    let reached = stderr.lines().map(|line| line.expect("UTF-8")).any(|line| line.starts_with("exported t"));
    assert!(reached, "the run ended before the index");
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().expect("kill");
    assert!(killed.success());
    ended(child).exits(143).never_says(&["left before"]);
    assert_eq!((temporary(&project), project.path("back.db").exists()), (0, false));
}

#[test]
fn the_server_gone_leaves_nothing() {
    let project = project();
    let (child, mut session) = waiting_for_b(&project);
    let terminate =
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'b'::regclass AND NOT granted";
    session.batch_execute(terminate).expect("the end of its session");
    let outcome = ended(child);
    assert_ne!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!((temporary(&project), project.path("back.db").exists()), (0, false));
}

#[test]
fn a_wait_for_a_table_ends() {
    let project = project();
    let mut session = project.connect();
    session.batch_execute("BEGIN; LOCK TABLE b IN ACCESS EXCLUSIVE MODE").expect("a lock");
    project.outgrow(["export", "back.db", "--lock-timeout", "100ms"]).exits(4);
    assert_eq!((temporary(&project), project.path("back.db").exists()), (0, false));
}

#[test]
fn a_file_that_came_meanwhile_stays() {
    let project = project();
    let (child, mut session) = waiting_for_b(&project);
    project.write("back.db", "somebody else's");
    session.batch_execute("COMMIT").expect("a commit");
    ended(child).exits(2).says(&["back.db: File exists"]);
    assert_eq!(std::fs::read_to_string(project.path("back.db")).expect("the file"), "somebody else's");
    assert_eq!(temporary(&project), 0);
}
