//! Behind PgBouncer: what is a session there, what is not, and that runs keep out of each other's way all the same.

use crate::support::{Outcome, Project, pgbouncer};
use std::process::{Child, Stdio};

fn at_once(project: &Project, runs: usize, urls: &[String]) -> usize {
    let started: Vec<_> = (0..runs)
        .map(|number| {
            project
                .command(["migrate", "-q"])
                .env("DATABASE_URL", &urls[number % urls.len()])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a run")
        })
        .collect();
    let ends = started.into_iter().map(|run| {
        let outcome = Outcome::of(run.wait_with_output().expect("its end"), None).succeeds();
        outcome.stdout.lines().filter(|line| line.starts_with(" V")).count()
    });
    ends.sum()
}

/// Nobody is left holding an advisory lock in the project's database.
fn no_lock_stays(project: &Project) {
    let locks = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(project.query(locks), ["0"]);
}

#[test]
fn in_transaction_mode_each_version_holds_the_lock() {
    let project = Project::intelibotx();
    let url = pgbouncer::transaction_mode(&project);
    project
        .run(project.command(["migrate"]).env("DATABASE_URL", &url))
        .succeeds()
        .says(&["is a pooler in transaction mode: each version holds the lock"]);
    no_lock_stays(&project);
    assert_eq!(project.query("SELECT count(*)::text FROM \"user\""), ["2"]);
    project.run(project.command(["migrate"]).env("DATABASE_URL", &url)).succeeds().prints(&["nothing to do"]);
}

#[test]
fn in_transaction_mode_runs_at_once_apply_everything_once() {
    let project = Project::intelibotx();
    let urls = [pgbouncer::transaction_mode(&project), project.url()];
    assert_eq!(at_once(&project, 8, &urls), 6, "every version by exactly one run");
    assert_eq!(project.query("SELECT count(*)::text FROM \"user\""), ["2"]);
}

#[test]
fn in_session_mode_the_session_holds_the_lock() {
    let project = Project::intelibotx();
    let urls = [pgbouncer::session_mode(&project)];
    assert_eq!(at_once(&project, 4, &urls), 6, "every version by exactly one run");
    let again = Project::intelibotx();
    let url = pgbouncer::session_mode(&again);
    again.run(again.command(["migrate"]).env("DATABASE_URL", url)).succeeds().never_says(&["pooler"]);
}

#[test]
fn in_transaction_mode_a_held_lock_names_its_holder() {
    let project = Project::intelibotx();
    let mut holder = project.connect();
    holder
        .batch_execute("SET application_name = 'release-7'; SELECT pg_advisory_lock(31372865227091831)")
        .expect("the lock");
    let url = pgbouncer::transaction_mode(&project);
    project
        .run(project.command(["migrate", "--lock-timeout", "50ms"]).env("DATABASE_URL", url))
        .exits(4)
        .says(&["another run holds the lock, waited 50ms", "release-7", "SELECT pg_terminate_backend("]);
    assert!(!project.has_table("user"));
}

#[test]
fn in_transaction_mode_a_version_without_a_transaction_is_refused() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE t (id int);"),
        ("migrations/V2__index.sql", "-- outgrow: no-transaction\nCREATE INDEX CONCURRENTLY t_id ON t (id);"),
    ]);
    let url = pgbouncer::transaction_mode(&project);
    project.run(project.command(["migrate"]).env("DATABASE_URL", &url)).exits(2).says(&[
        "is a pooler in transaction mode",
        "V2__index runs outside a transaction",
        "nothing was run",
        "MIGRATION_DATABASE_URL, DATABASE_UNPOOLED_URL or DIRECT_URL",
    ]);
    assert!(!project.has_table("t"));
    let direct = project.url();
    let mut command = project.command(["migrate"]);
    command.env("DATABASE_URL", &url).env("MIGRATION_DATABASE_URL", direct);
    project.run(&mut command).succeeds();
}

/// A pooler's mode: the URL of a database behind it, and what the doctor says of it.
type Mode = (fn(&Project) -> String, &'static str);

#[test]
fn every_command_works_behind_either() {
    let modes: [Mode; 2] = [
        (pgbouncer::transaction_mode, "a pooler in transaction mode"),
        (pgbouncer::session_mode, "none in transaction mode"),
    ];
    for (url, pooler) in modes {
        let project = Project::intelibotx();
        project.write(
            "checks/users.sql",
            "-- users have arrived\nSELECT 1 WHERE NOT EXISTS (SELECT FROM \"user\")",
        );
        let url = url(&project);
        let run = |arguments: &[&str]| project.run(project.command(arguments).env("DATABASE_URL", &url));
        run(&["doctor"]).succeeds().prints(&[pooler]);
        run(&["migrate", "--to", "5"]).succeeds();
        run(&["migrate", "--dry-run"]).succeeds().prints(&["V6__import_from_sqlite"]);
        run(&["status"]).succeeds().prints(&["pending"]);
        run(&["migrate"]).succeeds();
        run(&["verify"]).succeeds();
        run(&["check"]).succeeds();
        no_lock_stays(&project);
    }
}

/// What the driver of a run that was not told to clean up leaves with the pooler's process.
fn left_over(url: &str) {
    let mut client = postgres::Client::connect(url, postgres::NoTls).expect("the pooler");
    let names = ["s0", "s1", "s2", "s3"].map(|name| format!("PREPARE {name} AS SELECT 1"));
    client.batch_execute(&format!("DEALLOCATE ALL; {}", names.join("; "))).expect("statements");
}

#[test]
fn statements_that_others_left_prepared_are_in_nobodys_way() {
    let project = Project::intelibotx();
    let url = pgbouncer::transaction_mode(&project);
    for arguments in [
        &["migrate", "--to", "5"][..],
        &["migrate", "--dry-run"],
        &["migrate"],
        &["verify"],
        &["status"],
        &["doctor"],
        &["export", "back.db"],
    ] {
        left_over(&url);
        project.run(project.command(arguments).env("DATABASE_URL", &url)).succeeds();
    }
}

#[test]
fn in_transaction_mode_a_run_that_waited_finds_head() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE t (id int);"),
        ("migrations/V2__next.sql", "LOCK TABLE gate; CREATE TABLE u (id int);"),
    ]);
    project.execute("CREATE TABLE gate ()");
    let mut gate = project.connect();
    gate.batch_execute("BEGIN; LOCK TABLE gate").expect("a gate");
    let url = pgbouncer::transaction_mode(&project);
    let run = || {
        let mut command = project.command(["migrate", "--lock-attempt", "60s"]);
        command.env("DATABASE_URL", &url).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("a run")
    };
    let first = run();
    let waits = |query: &str| while project.query(query).is_empty() {};
    waits("SELECT 'x' FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted");
    let second = run();
    waits(
        "SELECT 'x' FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_xact_lock%' AND datname = current_database() \
           AND pid <> pg_backend_pid()",
    );
    gate.batch_execute("COMMIT").expect("the end of the gate");
    let ended = |run: Child| Outcome::of(run.wait_with_output().expect("its end"), None).succeeds();
    ended(first).prints(&["at head, V2, 2 versions applied"]);
    ended(second).prints(&["at head, V2, nothing to do"]);
}
