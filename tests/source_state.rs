//! The state of the source: what is read while others write, from logs and journals, and how a change is noticed later.

use crate::support::gate::{self, Gate};
use crate::support::{Outcome, Project};
use rusqlite::Connection;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Table `a` is too large for the buffers between reader and server, and each row waits at the gate; so `b` is read
/// only after the gate opens.
fn held_project() -> Project {
    let create =
        format!("CREATE TABLE a (id int, v bytea); CREATE TABLE b (id int);\n{}", gate::before_rows_of("a"));
    let project = Project::with(&[
        ("migrations/V1__create.sql", &create),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"a\", \"b\"]\n"),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE a (id, v); CREATE TABLE b (id);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO a SELECT i, zeroblob(100000) FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO b SELECT i FROM n",
    );
    project
}

/// A run in the middle of table `a`, and the session that holds it there.
fn held(project: &Project) -> (Child, Gate) {
    let mut gate = Gate::closed(project);
    let child =
        project.command(["migrate"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    gate.reached();
    (child, gate)
}

fn released(child: Child, gate: Gate) -> Outcome {
    drop(gate);
    Outcome::of(child.wait_with_output().expect("its end"), None)
}

fn open(project: &Project) -> Connection {
    let connection = Connection::open(project.path("app.db")).expect("the source");
    connection.busy_timeout(Duration::ZERO).expect("no wait");
    connection
}

fn rows_of_b(project: &Project) -> Vec<String> {
    project.query("SELECT count(*) || ' ' || max(id) FROM b")
}

fn changed_during_copy(project: &Project) -> Vec<String> {
    project.query("SELECT source->>'changed_during_copy' FROM outgrow_receipt")
}

fn beside(project: &Project, suffix: &str) -> bool {
    project.path(&format!("app.db{suffix}")).exists()
}

#[test]
fn in_wal_mode_a_writer_goes_on_and_what_it_commits_is_not_seen() {
    let project = held_project();
    let writer = open(&project);
    writer.execute_batch("PRAGMA journal_mode = WAL; INSERT INTO b VALUES (1001)").expect("a log");
    let (child, gate) = held(&project);
    writer
        .execute_batch("INSERT INTO b VALUES (2000); DELETE FROM b WHERE id = 5; PRAGMA wal_checkpoint")
        .expect("a commit during the copy");
    released(child, gate)
        .succeeds()
        .says(&["the source changed during the copy", "the state at its start"])
        .prints(&["1201 rows"]);
    assert_eq!(rows_of_b(&project), ["1001 1001"]);
    assert_eq!(changed_during_copy(&project), ["true"]);
}

#[test]
fn a_checkpoint_during_the_copy_is_no_change() {
    let project = held_project();
    let writer = open(&project);
    writer.execute_batch("PRAGMA journal_mode = WAL; INSERT INTO b VALUES (1001)").expect("a log");
    let (child, gate) = held(&project);
    writer.execute_batch("PRAGMA wal_checkpoint").expect("a checkpoint");
    released(child, gate).succeeds().never_says(&["changed"]);
    assert_eq!(changed_during_copy(&project), ["NULL"]);
    project.outgrow(["status"]).succeeds().never_says(&["has changed"]);
}

#[test]
fn an_application_that_starts_during_the_copy_keeps_its_log() {
    let project = held_project();
    project.sqlite("app.db", "PRAGMA journal_mode = WAL");
    assert!(!beside(&project, "-wal"));
    let (child, gate) = held(&project);
    let writer = open(&project);
    writer.execute_batch("INSERT INTO b VALUES (2000)").expect("a commit during the copy");
    released(child, gate).succeeds().says(&["the source changed during the copy"]);
    assert_eq!(rows_of_b(&project), ["1000 1000"]);
    writer.execute_batch("INSERT INTO b VALUES (2001)").expect("its log is still there");
    drop(writer);
    let count = open(&project).query_row("SELECT count(*) FROM b", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.expect("a count"), 1002);
}

#[test]
fn in_rollback_mode_a_writer_waits_for_the_end_of_the_copy() {
    let project = held_project();
    let (child, gate) = held(&project);
    let writer = open(&project);
    let refused = writer.execute_batch("INSERT INTO b VALUES (2000)").expect_err("the copy holds its lock");
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
    released(child, gate).succeeds().never_says(&["changed"]);
    assert_eq!(rows_of_b(&project), ["1000 1000"]);
    assert_eq!(changed_during_copy(&project), ["NULL"]);
    writer.execute_batch("INSERT INTO b VALUES (2000)").expect("the lock is gone");
}

#[test]
fn another_file_put_in_its_place_is_noticed() {
    let project = held_project();
    let (child, gate) = held(&project);
    std::fs::copy(project.path("app.db"), project.path("new.db")).expect("a copy");
    std::fs::rename(project.path("new.db"), project.path("app.db")).expect("renamed");
    released(child, gate).succeeds().says(&["the source changed during the copy"]);
    assert_eq!(rows_of_b(&project), ["1000 1000"]);
}

#[test]
fn a_source_damaged_during_the_copy_leaves_nothing_of_the_step() {
    let project = held_project();
    let (child, gate) = held(&project);
    // in place: a file that is cut short first would fail in another way
    let mut source =
        std::fs::OpenOptions::new().write(true).open(project.path("app.db")).expect("the source");
    let half = source.metadata().expect("its size").len() / 2;
    source.seek(SeekFrom::Start(half)).expect("half way");
    source.write_all(&vec![0xa5; usize::try_from(half).expect("small")]).expect("damaged");
    released(child, gate).exits(6).says(&[
        "V2__import failed and was rolled back",
        "table ",
        "it is damaged",
    ]);
    assert_eq!(project.query("SELECT count(*)::text FROM a"), ["0"]);
    assert_eq!(project.query("SELECT max(version)::text FROM refinery_schema_history"), ["1"]);
    assert!(!project.has_table("outgrow_receipt"));
}

#[test]
fn a_lock_that_is_not_let_go_is_waited_for_within_bounds() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    let writer = open(&project);
    writer.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    for command in [&["migrate"][..], &["verify"]] {
        if command == ["verify"] {
            project.outgrow(["migrate", "--without-data"]).succeeds();
        }
        let arguments = command.iter().chain(&["--lock-timeout", "100ms"]);
        let arguments = arguments.chain(if command == ["verify"] { &["--step", "2"][..] } else { &[] });
        let outcome = project.outgrow(arguments).exits(6).says(&[
            "the source app.db is refused",
            "a writer has locked it, and --lock-timeout is over",
            "stop the application",
        ]);
        // a wait of a second and more is announced
        outcome.never_says(&["waiting up to"]);
    }
}

#[test]
fn a_wait_for_a_writer_is_said_and_ends_with_a_signal() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    let writer = open(&project);
    writer.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    let mut command = project.command(["migrate", "--lock-timeout", "1h"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().expect("its stderr")).read_line(&mut said).expect("a line");
    assert_eq!(said, "warn: waiting up to 1h (--lock-timeout) for a writer that has locked app.db\n");
    let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(killed.success());
    let outcome = Outcome::of(child.wait_with_output().expect("its end"), None).exits(143);
    outcome.says(&["SIGTERM: nothing was under way, nothing was changed"]).never_says(&["left before"]);
}

/// `t` with one row in the file and one in its log, as an application that was killed leaves them: copied while open.
fn with_a_log() -> Project {
    let project = Project::one_table(
        "id int",
        "PRAGMA journal_mode = WAL; CREATE TABLE t (id); INSERT INTO t VALUES (1)",
    );
    let writer = open(&project);
    writer
        .execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (2)")
        .expect("a row in the log");
    for suffix in ["", "-wal"] {
        let copy = project.path(&format!("killed.db{suffix}"));
        std::fs::copy(project.path(&format!("app.db{suffix}")), copy).expect("a copy");
    }
    drop(writer);
    for suffix in ["", "-wal"] {
        let app = project.path(&format!("app.db{suffix}"));
        std::fs::rename(project.path(&format!("killed.db{suffix}")), app).expect("renamed");
    }
    project
}

fn both(project: &Project) -> (Vec<u8>, Vec<u8>) {
    let read = |name: &str| std::fs::read(project.path(name)).expect(name);
    (read("app.db"), read("app.db-wal"))
}

#[test]
fn a_log_that_was_never_checkpointed_is_read_in_full_and_nothing_is_left_beside_it() {
    let project = with_a_log();
    let before = both(&project);
    project.outgrow(["migrate"]).succeeds().prints(&["2 rows"]).never_says(&["missing"]);
    assert!(both(&project) == before, "the source was written to");
    assert!(!beside(&project, "-shm"), "an index of the log was left");
}

#[test]
fn a_wal_file_without_its_log_is_read_with_a_warning_and_nothing_is_left_beside_it() {
    let project = with_a_log();
    std::fs::remove_file(project.path("app.db-wal")).expect("left behind");
    project
        .outgrow(["migrate"])
        .succeeds()
        .prints(&["1 row"])
        .says(&["app.db is in WAL mode and there is no app.db-wal beside it", "the newest rows are missing"]);
    assert!(!beside(&project, "-wal") && !beside(&project, "-shm"));
}

#[test]
fn a_log_that_is_none_is_pointed_out() {
    let project = with_a_log();
    let mut log = both(&project).1;
    log[12] ^= 0xff;
    project.write("app.db-wal", &log);
    project
        .outgrow(["migrate"])
        .succeeds()
        .prints(&["1 row"])
        .says(&["app.db-wal holds ", "no commit that SQLite accepts"]);
    assert!(both(&project).1 == log);
}

#[test]
fn a_hot_journal_is_not_rolled_back_but_refused() {
    let project = Project::one_table(
        "id int, v text",
        "CREATE TABLE t (id, v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO t SELECT i, hex(zeroblob(100)) FROM n",
    );
    let writer = open(&project);
    // a small cache spills pages of the transaction into the file
    writer
        .execute_batch("PRAGMA cache_size = 2; BEGIN; UPDATE t SET v = 'half of a transaction'")
        .expect("a transaction under way");
    for suffix in ["", "-journal"] {
        let copy = project.path(&format!("killed.db{suffix}"));
        std::fs::copy(project.path(&format!("app.db{suffix}")), copy).expect("a copy");
    }
    let read = |name: &str| std::fs::read(project.path(name)).expect(name);
    let before = (read("killed.db"), read("killed.db-journal"));
    project.outgrow(["migrate", "--source", "killed.db"]).exits(6).says(&[
        "it has a hot journal",
        "copy it together with its -journal",
        "sqlite3",
    ]);
    assert!((read("killed.db"), read("killed.db-journal")) == before, "the source was written to");
    assert!(!project.has_table("t"));
}

/// Runs `migrate` where the folder of the source cannot be written to: as a user without rights, if we are root.
#[cfg(unix)]
fn migrate_read_only(project: &Project) -> Outcome {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let folder = project.path("");
    let program = project.path("outgrow");
    // by another process: a handle of ours would be inherited by what other tests start meanwhile, and keep it from running
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_outgrow")).arg(&program).status();
    assert!(copied.is_ok_and(|copied| copied.success()), "the program, where anybody can run it");
    let allow = |mode| std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode)).expect("rights");
    let configured = project.command(["migrate"]);
    let mut command = std::process::Command::new(program);
    command.arg("migrate").current_dir(&folder);
    for (name, value) in configured.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let root =
        std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if root {
        command.uid(65_534).gid(65_534);
    }
    allow(0o555);
    let outcome = project.run(&mut command);
    allow(0o755);
    outcome
}

#[cfg(unix)]
#[test]
fn read_only_folders() {
    let rollback = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    migrate_read_only(&rollback).succeeds().prints(&["1 row"]);
    let project = with_a_log();
    std::fs::remove_file(project.path("app.db-wal")).expect("left behind");
    migrate_read_only(&project).succeeds().prints(&["1 row"]).says(&["there is no app.db-wal"]);
    let project = with_a_log();
    let before = both(&project);
    migrate_read_only(&project)
        .exits(6)
        .says(&["its newest rows are in app.db-wal (", "copy both files to a folder of your own"]);
    assert!(both(&project) == before && !beside(&project, "-shm"));
}

#[test]
fn the_fingerprint_is_that_of_the_state_wherever_it_stands() {
    let project = with_a_log();
    project.outgrow(["migrate"]).succeeds();
    let recorded = project.query("SELECT source->>'sha256' FROM outgrow_receipt");
    open(&project).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("folded into the file");
    project.outgrow(["status"]).succeeds().never_says(&["has changed"]);
    let sum = std::process::Command::new("sha256sum").arg(project.path("app.db")).output();
    if let Ok(sum) = sum {
        assert!(String::from_utf8_lossy(&sum.stdout).starts_with(&recorded[0]), "{recorded:?}");
    }
    open(&project).execute_batch("INSERT INTO t VALUES (3)").expect("a change");
    project.outgrow(["status"]).succeeds().prints(&["the source has changed since V2"]);
}

#[test]
fn status_says_that_the_source_has_changed() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["status"]).succeeds().never_says(&["the source"]);
    project.outgrow(["migrate"]).succeeds();
    let changed = |project: &Project| {
        project.outgrow(["status", "--json"]).succeeds().json()["versions"][1]["source_changed"].clone()
    };
    assert_eq!(changed(&project), false);
    // the same length and the same counter
    let mut bytes = std::fs::read(project.path("app.db")).expect("the source");
    let last = bytes.len() - 1;
    bytes[last] ^= 2;
    project.write("app.db", &bytes);
    assert_eq!(changed(&project), true);
    project.outgrow(["status", "--check"]).succeeds().prints(&["data step, the source has changed since V2"]);
    std::fs::remove_file(project.path("app.db")).expect("gone");
    assert_eq!(changed(&project), serde_json::Value::Null);
    assert!(!Path::new(&project.path("app.db")).exists());
}
