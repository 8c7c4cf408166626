//! A run of `outgrow check`: which checks, what it prints for whom, and what ends it.

use crate::check::one;
use crate::support::{Project, Role};
use std::process::{Command, Stdio};

#[test]
fn a_folder_without_checks_is_said_so() {
    let project = Project::empty();
    project.outgrow(["check"]).exits(2).says(&["checks: cannot be read as a folder of checks", "--checks"]);
    std::fs::create_dir(project.path("checks")).expect("a folder");
    project
        .outgrow(["check"])
        .exits(2)
        .says(&["checks: holds no checks: expected files whose names end in .sql"]);
    project
        .outgrow(["check", "--checks", "postgres://a:secret@b/c"])
        .exits(2)
        .says(&["--checks: this is a URL"])
        .never_says(&["secret"]);
    let other = one("SELECT");
    other.write("other/x.sql", "-- x\nSELECT 1 WHERE false");
    other.outgrow(["check", "--checks", "other"]).succeeds().prints(&["x  x"]);
    other.run(other.command(["check"]).env("OUTGROW_CHECKS", "other")).succeeds();
    other.write(".env", "OUTGROW_CHECKS=other\n");
    other.outgrow(["check"]).succeeds();
}

/// `a`, `ab` and `deep/a` pass, `b` and `c` fail.
fn several() -> Project {
    let project = Project::empty();
    for (name, rows) in [("a", 0), ("ab", 0), ("b", 1), ("c", 2), ("deep/a", 0)] {
        let text =
            format!("-- Name of {name} <&\">\n-- Why?\nSELECT i AS id FROM generate_series(1, {rows}) i");
        project.write(&format!("checks/{name}.sql"), text);
    }
    project
}

#[test]
fn checks_are_chosen_by_name() {
    let project = several();
    let ran = |arguments: &[&str]| -> Vec<String> {
        let found = project.outgrow(["check", "--json"].iter().chain(arguments)).json();
        let ids = found["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .map(|check| check["check"].as_str().expect("a name").to_owned());
        ids.collect()
    };
    assert_eq!(ran(&[]), ["a", "ab", "b", "c", "deep/a"]);
    assert_eq!(ran(&["--only", "b"]), ["ab", "b"]);
    assert_eq!(ran(&["--only", "?"]), ["a", "b", "c"]);
    assert_eq!(ran(&["--only", "*a", "--only", "c"]), ["a", "c", "deep/a"]);
    project
        .outgrow(["check", "--only", "a", "--only", "zz"])
        .exits(2)
        .says(&["--only zz: no check has such a name; there are a, ab, b, c, deep/a"]);
    // a file that was not asked for may be broken
    project.write("checks/b.sql", "SELECT");
    project.outgrow(["check", "--only", "a*"]).succeeds();
}

#[test]
fn after_the_first_failure_the_others_need_not_run() {
    let project = several();
    project.outgrow(["check"]).exits(1).prints(&["2 of 5 checks failed, in"]);
    let outcome =
        project.outgrow(["check", "--fail-fast"]).exits(1).prints(&["1 of 5 checks failed, 2 not run, in"]);
    assert_eq!(outcome.stdout.matches("not run\n").count(), 2, "{outcome:#?}");
}

#[test]
fn results_for_machines() {
    let project = several();
    let found = project.outgrow(["check", "--json", "--fail-fast"]).exits(1).json();
    assert_eq!((&found["passed"], &found["checks"][0]["state"]), (&false.into(), &"passed".into()));
    let failed = &found["checks"][2];
    assert_eq!((&failed["file"], &failed["name"]), (&"checks/b.sql".into(), &"Name of b <&\">".into()));
    assert_eq!((&failed["question"], &failed["failure"]["line"]), (&"Why?".into(), &3.into()));
    assert_eq!(failed["failure"]["counterexamples"]["count"], 1);
    assert_eq!(
        failed["failure"]["counterexamples"]["first"][0][0],
        serde_json::json!({ "column": "id", "value": "1" })
    );
    assert!(failed["server_seconds"].as_f64().expect("a time") > 0.0);
    assert_eq!(found["checks"][4]["state"], "not_run");
}

#[test]
fn results_for_continuous_integration() {
    let project = several();
    project.write("checks/c.sql", "-- c\nSELECT id, E'\\u0001]]>' AS x FROM (SELECT 7 AS id) t");
    project.write("report.xml", "of an earlier run");
    project.outgrow(["check", "--fail-fast", "--only", "b", "--only", "c", "--junit", "report.xml"]).exits(1);
    let read = || std::fs::read_to_string(project.path("report.xml")).expect("the report");
    let report = read();
    for part in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"outgrow check\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"",
        "<testcase name=\"Name of b &lt;&amp;&quot;&gt;\" classname=\"b\" file=\"checks/b.sql\" time=\"",
        "<failure message=\"1 row found, and none expected\">checks/b.sql:3:1: 1 row found, and none expected\n  id 1</failure>",
        "<skipped/>",
        "</testsuites>\n",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
    project.outgrow(["check", "--only", "c", "--junit", "report.xml", "--show-values"]).exits(1);
    assert!(read().contains("id 7, x \\u{1}]]&gt;"), "{}", read());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = project.path("report.xml").metadata().expect("the report").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    project.outgrow(["check", "--only", "a*", "--junit", "/dev/null"]).succeeds();
    project
        .outgrow(["check", "--junit", "no/such/report.xml"])
        .exits(2)
        .says(&["--junit no/such/report.xml: cannot be written"]);
    project.outgrow(["check", "--junit", "checks"]).exits(2).says(&["--junit checks: this is a folder"]);
    // a run that comes to no result leaves no report of another one
    project
        .outgrow(["check", "--junit", "report.xml", "--database-url", "postgres://x@127.0.0.1:1/y"])
        .exits(3);
    assert!(!project.path("report.xml").exists());
}

#[test]
fn a_connection_that_breaks_ends_the_run() {
    let project = one("-- a\nSELECT pg_terminate_backend(pg_backend_pid())");
    project.write("checks/a.sql", "-- a\nSELECT 1 AS id");
    project.write("checks/two.sql", "-- b\nSELECT 1 WHERE false");
    project.outgrow(["check"]).exits(3).says(&[
        "no connection to",
        "the connection broke while running checks/one.sql: terminating connection due to administrator command",
        "it ended checks/one.sql; of 1 before it failed: a",
    ]);
}

#[test]
fn rights_are_the_roles_own() {
    let project = one("-- a\nSELECT id FROM t WHERE false");
    let role = Role::of(&project);
    project.run(&mut role.command("check")).exits(1).prints(&["permission denied for table t"]);
    project.execute(&format!("GRANT SELECT ON t TO \"{}\"", role.name));
    project.run(&mut role.command("check")).succeeds();
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_run_at_once() {
    let project = one("-- a\nSELECT pg_sleep(1000)");
    project.write("checks/two.sql", "-- b\nSELECT pg_sleep(1000)");
    let mut run = project.command(["check"]);
    let child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let asleep = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(1000)%' \
        AND wait_event = 'PgSleep'";
    while project.query(asleep) == ["0"] {
        std::thread::yield_now();
    }
    let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert_eq!(project.query(asleep), ["0"]);
}
