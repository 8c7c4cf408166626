//! One at a time: any number of runs at once, one applies, the others wait and find head.

use crate::support::{Outcome, Project};
use std::process::Stdio;

#[test]
fn eight_runs_at_once_apply_everything_once() {
    let project = Project::intelibotx();
    let runs: Vec<_> = (0..8)
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
    assert_eq!(applied, 6, "every version by exactly one run");
    assert_eq!(project.query("SELECT count(*)::text FROM \"user\""), ["2"]);
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
