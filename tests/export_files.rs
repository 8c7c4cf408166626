//! The file that an export writes: where, when, and that nothing else is left.

use crate::support::{Project, cells};

fn project() -> Project {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');",
    );
    project.outgrow(["migrate"]).succeeds();
    project
}

/// The names in the project's folder.
fn names(project: &Project) -> Vec<String> {
    let entries = project.path("").read_dir().expect("the folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let project = project();
    project.outgrow(["export", "back.db"]).succeeds();
    let mode = project.path("back.db").metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(names(&project), ["app.db", "back.db", "migrations"]);
}

#[test]
fn a_file_is_replaced_only_if_asked() {
    let project = project();
    project.write("back.db", "something");
    project.outgrow(["export", "back.db"]).exits(2).says(&["back.db: it is there already", "--force"]);
    assert_eq!(std::fs::read_to_string(project.path("back.db")).expect("the file"), "something");
    project.outgrow(["export", "back.db", "--force"]).succeeds();
    assert_eq!(cells::query(&project.path("back.db"), "SELECT count(*) FROM t"), ["2"]);
    std::os::unix::fs::symlink("nowhere", project.path("link.db")).expect("a link");
    project.outgrow(["export", "link.db"]).exits(2).says(&["link.db: it is there already"]);
}

#[test]
fn what_is_no_ordinary_file_is_never_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let project = project();
    let pipe = project.path("back.db");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let refused = "back.db: it is no ordinary file (a device, a pipe), and is not replaced";
    project.outgrow(["export", "back.db", "--force"]).exits(2).says(&[refused]);
    assert!(pipe.metadata().expect("the pipe").file_type().is_fifo());
}

/// A folder in which nobody can make a file, not root either.
#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_takes_no_file_is_named() {
    project()
        .outgrow(["export", "/proc/back.db"])
        .exits(2)
        .says(&["/proc/back.db: no file can be made in /proc ("]);
}

#[test]
fn the_source_is_never_replaced() {
    let project = project();
    let before = std::fs::read(project.path("app.db")).expect("the source");
    project
        .outgrow(["export", "./app.db", "--force"])
        .exits(2)
        .says(&["it is the source, which is never written to"]);
    let mut without = project.command(["export", "app.db", "--force"]);
    project
        .run(without.env_remove("SOURCE_DATABASE_URL"))
        .exits(2)
        .says(&["it is the source that a step was copied from"]);
    assert_eq!(std::fs::read(project.path("app.db")).expect("the source"), before);
}

#[test]
fn an_export_may_be_replaced_by_the_next() {
    let project = project();
    project.outgrow(["export", "back.db"]).succeeds();
    project.outgrow(["export", "back.db", "--force"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

#[test]
fn what_sqlite_would_take_for_a_part_of_it_is_in_the_way() {
    let project = project();
    project.write("back.db-wal", "");
    project.outgrow(["export", "back.db"]).exits(2).says(&["beside it is back.db-wal"]);
    project.outgrow(["export", "migrations"]).exits(2).says(&["it is a folder"]);
    project.outgrow(["export", "nowhere/back.db"]).exits(2).says(&["there is no such folder"]);
}

#[test]
fn nothing_is_left_of_one_that_is_refused() {
    let project = project();
    project.execute("INSERT INTO t VALUES (3, 'c'); ALTER TABLE t ADD at timestamp; ALTER TABLE t DROP v; ALTER TABLE t RENAME at TO v; UPDATE t SET v = 'infinity' WHERE id = 3");
    project.outgrow(["export", "back.db"]).exits(6).says(&[
        "back.db was not written",
        "t.v: infinity",
        "in 1 row: id 3",
    ]);
    assert_eq!(names(&project), ["app.db", "migrations"]);
}

#[test]
fn a_journal_mode_is_kept() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "\"t\"",
        "PRAGMA journal_mode = WAL; PRAGMA page_size = 8192; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    assert_eq!(std::fs::read(project.path("back.db")).expect("the file")[18], 2);
    assert_eq!(names(&project).iter().filter(|name| name.starts_with("back.db")).count(), 1);
}

#[test]
fn json_says_the_same() {
    let json = project().outgrow(["export", "back.db", "--json"]).succeeds().json();
    assert_eq!(json["tables"][0]["table"], "t");
    assert_eq!(json["tables"][0]["rows"], 2);
    assert_eq!(json["tables"][0]["step"], "V2__import");
    assert_eq!(json["file"], "back.db");
}

#[test]
fn a_name_that_is_a_part_of_another_database_is_refused() {
    let project = project();
    for name in ["app.db-wal", "app.db-shm", "other.db-journal"] {
        project.write(name, "");
        let outcome = project.outgrow(["export", name, "--force"]).exits(2);
        outcome.says(&[&format!("{name}: SQLite takes a file of that name for a part of another database")]);
        assert_eq!(std::fs::read_to_string(project.path(name)).expect("the file"), "");
    }
}
