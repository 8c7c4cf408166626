//! Memory does not grow with the source: 32 MB are enough for any number of rows, and beside them twice the largest
//! row. (Linux: `proc_pid_status(5)`, `VmHWM`; other systems have no such file, and show nothing here.)

use crate::support::{Outcome, Project};
use std::process::Stdio;

const MB: u64 = 1_000_000;

/// Runs outgrow with no more than `most` bytes at any moment.
#[track_caller]
fn within(most: u64, project: &Project, arguments: &[&str]) -> Outcome {
    let mut command = project.command(arguments);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    let (place, mut peak) = (format!("/proc/{}/status", run.id()), 0);
    while run.try_wait().expect("a state").is_none() {
        let status = std::fs::read_to_string(&place).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
    }
    assert!(peak <= most, "{arguments:?}: {} MB", peak / MB);
    Outcome::of(run.wait_with_output().expect("its end"), None)
}

#[test]
fn a_large_row_is_held_twice_at_most() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v bytea);",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, zeroblob(40000000)), (2, x'78'), (3, zeroblob(40000000)),
           (4, zeroblob(40000000)), (5, zeroblob(40000000))",
    );
    within((32 + 2 * 40) * MB, &project, &["migrate"]).succeeds();
    // which has it from both sides
    within((32 + 4 * 40) * MB, &project, &["verify"]).succeeds();
    assert_eq!(project.query("SELECT length(v)::text FROM t WHERE id = 1"), ["40000000"]);
}

#[test]
fn any_number_of_rows_is_read_in_the_same_memory() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text);",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         SELECT i, hex(zeroblob(200)) FROM n",
    );
    assert!(project.path("app.db").metadata().expect("the file").len() > 40 * MB);
    within(32 * MB, &project, &["migrate"]).succeeds();
    within(32 * MB, &project, &["verify"]).succeeds();
    // SQLite holds 32 MiB of the pages that it writes
    within(64 * MB, &project, &["export", "back.db"]).succeeds();
}

#[test]
fn any_number_of_differences_is_found_in_the_same_memory() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v int);",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000) SELECT i, i FROM n",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("UPDATE t SET v = v + 1");
    // more of the program is read than elsewhere, and without optimisation that is larger
    within(40 * MB, &project, &["verify"]).exits(1).prints(&["150000 changed"]);
}
