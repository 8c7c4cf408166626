//! Promise 1 under fire: killed or interrupted in the middle of the step, between two tables, nothing of it stays, and
//! the next run completes.

use crate::support::gate::{self, Gate};
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::{Outcome, Project};
use postgres::Client;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

/// Two tables; the second waits at the gate for each row.
fn two_tables() -> Project {
    let create = format!("CREATE TABLE a (id int); CREATE TABLE b (id int);\n{}", gate::before_rows_of("b"));
    let project = Project::with(&[
        ("migrations/V1__create.sql", &create),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"a\", \"b\"]\n"),
        ("migrations/V3__after.sql", "CREATE TABLE after_step ();"),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE a (id); CREATE TABLE b (id); INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (3)",
    );
    project
}

/// A run that stands in the middle of the step, and the session that holds it there.
fn held_in_the_step(project: &Project) -> (Child, Gate) {
    let mut gate = Gate::closed(project);
    let mut child = project
        .command(["migrate", "-v"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a run");
    let stderr = BufReader::new(child.stderr.as_mut().expect("its stderr"));
    let reached = stderr.lines().map(|line| line.expect("UTF-8")).any(|line| line == "copying b");
    assert!(reached, "the run ended before the step");
    gate.reached();
    (child, gate)
}

fn nothing_of_the_step_stays(project: &Project) {
    let counts = "SELECT (SELECT count(*) FROM a) || ' ' || (SELECT count(*) FROM b) || ' ' || max(version) FROM refinery_schema_history";
    assert_eq!(project.query(counts), ["0 0 1"]);
    assert!(!project.has_table("outgrow_receipt"));
}

fn the_next_run_completes(project: &Project) {
    project
        .outgrow(["migrate"])
        .succeeds()
        .prints(&["V2__import  3 rows", "at head, V3, 2 versions applied"]);
    assert_eq!(project.query("SELECT (SELECT count(*) FROM a) || ' ' || (SELECT count(*) FROM b)"), ["2 1"]);
}

#[test]
fn killed_in_the_middle_of_the_step() {
    let project = two_tables();
    let (mut child, gate) = held_in_the_step(&project);
    child.kill().expect("SIGKILL");
    child.wait().expect("its end");
    nothing_of_the_step_stays(&project);
    drop(gate);
    the_next_run_completes(&project);
}

#[test]
fn the_server_restarted_in_the_middle_of_the_step() {
    let server = Server::start("-restarted");
    let project = two_tables();
    let database = project.url().rsplit_once('/').expect("a database").1.to_owned();
    let (before, _) = server.url.rsplit_once('/').expect("a database");
    let there = format!("{before}/{database}");
    let connect = |url: &str| Client::connect(url, postgres::NoTls);
    connect(&server.url)
        .and_then(|mut client| client.batch_execute(&format!("CREATE DATABASE \"{database}\"")))
        .expect("a database of the same name");
    let mut gate = Gate::held_by(connect(&there).expect("a session"));
    let run = || {
        let mut command = project.command(["migrate"]);
        command.env("DATABASE_URL", &there).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let child = run().spawn().expect("a run");
    gate.reached();
    server.restart();
    let outcome = Outcome::of(child.wait_with_output().expect("its end"), None);
    assert_ne!(outcome.code, Some(0), "{outcome:#?}");
    outcome.says(&["V2__import failed and was rolled back", "V1 before it was applied and stays"]);
    project.run(&mut run()).succeeds().prints(&["V2__import  3 rows", "at head, V3, 2 versions applied"]);
    let counts = "SELECT (SELECT count(*) FROM a) || ' ' || (SELECT count(*) FROM b)";
    let row = connect(&there).expect("a session").query_one(counts, &[]).expect("the counts");
    assert_eq!(row.get::<_, &str>(0), "2 1");
}

#[test]
fn the_network_cut_in_the_middle_of_the_step() {
    let project = two_tables();
    let (host, port) = project.host_and_port();
    let proxy = Proxy::to(port);
    let through = project.url().replace(&format!("{host}:{port}"), &format!("127.0.0.1:{}", proxy.port));
    let mut gate = Gate::closed(&project);
    let child = project
        .command(["migrate"])
        .env("DATABASE_URL", through)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a run");
    gate.reached();
    proxy.cut();
    let outcome = Outcome::of(child.wait_with_output().expect("its end"), None).exits(3);
    outcome.says(&["V2__import failed and was rolled back", "V1 before it was applied and stays"]);
    drop(gate);
    the_next_run_completes(&project);
}

fn interrupted(signal: &str, code: i32) {
    let project = two_tables();
    let (child, gate) = held_in_the_step(&project);
    let sent = std::process::Command::new("kill")
        .args(["-s", signal, &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(sent.success());
    // the gate is still closed: the server's statement must be cancelled, not waited for
    let output = child.wait_with_output().expect("its end");
    Outcome::of(output, None).exits(code);
    nothing_of_the_step_stays(&project);
    drop(gate);
    the_next_run_completes(&project);
}

#[test]
fn ctrl_c_in_the_middle_of_the_step() {
    interrupted("INT", 130);
}

#[test]
fn terminated_in_the_middle_of_the_step() {
    interrupted("TERM", 143);
}

#[test]
fn what_an_interrupted_run_says() {
    let project = two_tables();
    let mut gate = Gate::closed(&project);
    let child =
        project.command(["migrate"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    gate.reached();
    std::process::Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().expect("kill");
    let outcome = Outcome::of(child.wait_with_output().expect("its end"), None).exits(130);
    outcome.says(&[
        "SIGINT: V2__import was rolled back",
        "V1 before it was applied and stays",
        "Run migrate again",
    ]);
}

/// A run in the middle of a step whose source has this many rows, each of them slow to read: the text is computed for
/// each. The file is large enough not to be looked through for damage before.
fn reading_slowly(rows: u32, text: &str) -> (Project, Child) {
    let project = Project::one_table(
        "id int PRIMARY KEY, b bytea, v text",
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO t SELECT i, NULL FROM n;
             UPDATE t SET b = zeroblob(17 << 20) WHERE id = 1;
             ALTER TABLE t ADD COLUMN v TEXT AS ({text});"
        ),
    );
    let mut command = project.command(["migrate", "-v"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    said(&mut child, "copying t");
    (project, child)
}

/// Reads what the run says until it says this.
fn said(child: &mut Child, expected: &str) {
    let (stderr, mut text) = (child.stderr.as_mut().expect("its stderr"), String::new());
    while !text.contains(expected) {
        let mut byte = [0];
        stderr.read_exact(&mut byte).expect("more");
        text.push(byte[0].into());
    }
}

fn terminate(child: &Child) {
    let sent = std::process::Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(sent.success());
}

#[test]
fn a_signal_ends_the_reading_of_a_large_source() {
    let (project, child) = reading_slowly(20_000, "substr(printf('%.5000000c', 'x'), id, 50000)");
    terminate(&child);
    let outcome = Outcome::of(child.wait_with_output().expect("its end"), None).exits(143);
    outcome.says(&["SIGTERM: V2__import was rolled back"]).never_says(&["left before"]);
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["0"]);
}

#[test]
fn a_second_signal_ends_the_run_whatever_it_is_reading() {
    // hours for one row
    let text = "instr(printf('%.90000000c', 'x'), printf('%.45000000c', 'x') || 'y')";
    let (_project, mut child) = reading_slowly(1, text);
    terminate(&child);
    said(&mut child, "again to leave at once");
    terminate(&child);
    let outcome = Outcome::of(child.wait_with_output().expect("its end"), None).exits(143);
    outcome.says(&["SIGTERM: left before the server confirmed the rollback"]);
}

#[test]
fn what_the_server_kept_is_not_known_when_the_network_is_cut_in_a_version() {
    let project = Project::with(&[
        ("migrations/V1__gate.sql", "CREATE TABLE gate ();"),
        ("migrations/V2__next.sql", "LOCK TABLE gate; CREATE TABLE t ();"),
    ]);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let mut gate = project.connect();
    gate.batch_execute("BEGIN; LOCK TABLE gate").expect("a gate");
    let (host, port) = project.host_and_port();
    let proxy = Proxy::to(port);
    let through = project.url().replace(&format!("{host}:{port}"), &format!("127.0.0.1:{}", proxy.port));
    let mut command = project.command(["migrate"]);
    command.env("DATABASE_URL", through).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("a run");
    let waiting = "SELECT 'x' FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted";
    while project.query(waiting).is_empty() {}
    proxy.cut();
    let outcome = Outcome::of(child.wait_with_output().expect("its end"), None).exits(3);
    outcome.says(&["V2__next failed, and whether the server kept it is not known: outgrow status says"]);
}

#[test]
fn nor_when_the_session_is_ended_at_the_commit() {
    let project = Project::with(&[
        (
            "migrations/V1__t.sql",
            "CREATE TABLE t (id int);
             CREATE FUNCTION ended() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
             CREATE CONSTRAINT TRIGGER ended AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
               FOR EACH ROW EXECUTE FUNCTION ended();",
        ),
        ("migrations/V2__next.sql", "INSERT INTO t VALUES (1);"),
    ]);
    let outcome = project.outgrow(["migrate"]).exits(3);
    outcome.says(&["V2__next failed, and whether the server kept it is not known: outgrow status says"]);
}
