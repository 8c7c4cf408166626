//! A signal ends what takes long beside the server, too: whatever is read of the source, and by whichever command.

use crate::support::{Outcome, Project};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

fn started(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run")
}

#[track_caller]
fn terminated(child: Child) -> Outcome {
    let sent = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(sent.success());
    Outcome::of(child.wait_with_output().expect("its end"), None).exits(143)
}

/// The file is sparse, so that only reading it takes long.
#[test]
fn the_hash_of_verify() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate"]).succeeds();
    project.execute("UPDATE t SET id = 2");
    let file = std::fs::OpenOptions::new().write(true).open(project.path("app.db")).expect("the source");
    file.set_len(1 << 38).expect("longer");
    let mut child = started(&mut project.command(["verify", "-v"]));
    let lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
    let mut lines = lines.map(|line| line.expect("UTF-8"));
    assert!(lines.any(|line| line.contains("compared t: 1 row, differs")));
    terminated(child);
}

/// A CHECK that takes long for each of many rows, which the look at the structure asks.
#[test]
fn a_query_of_the_source() {
    let project = Project::empty();
    project.sqlite(
        "app.db",
        "PRAGMA ignore_check_constraints = ON;
         CREATE TABLE t (id INTEGER PRIMARY KEY, CHECK (length(printf('%.500000c', char(97 + id % 26))) > 0));
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) INSERT INTO t SELECT i FROM n",
    );
    project.write("migrations/V1__t.sql", "CREATE TABLE t ();");
    let child = started(&mut project.command(["doctor"]));
    // the last question before the source is looked at
    let idle = "SELECT 'x' FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'outgrow' \
                AND state = 'idle' AND query LIKE '%pg_database_size%' AND pid <> pg_backend_pid()";
    while project.query(idle).is_empty() {}
    let outcome = terminated(child).says(&["SIGTERM: nothing was under way, nothing was changed"]);
    outcome.never_says(&["left before"]);
}
