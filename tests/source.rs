//! The source, refused: what is wrong with the file is said before anything runs, and no source is ever written to.

use crate::support::{Outcome, Project};
use std::path::Path;

/// A table `t` on both sides; the source has 2000 rows on some forty pages.
fn project() -> Project {
    Project::one_table(
        "id int, label text",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, label TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO t SELECT i, printf('row %d %s', i, hex(randomblob(30))) FROM n",
    )
}

/// `migrate` is refused with exit code 6, says `parts`, runs nothing and leaves `app.db` as it was.
#[track_caller]
fn refused(project: &Project, parts: &[&str]) -> Outcome {
    let before = std::fs::read(project.path("app.db")).ok();
    let outcome = project.outgrow(["migrate"]).exits(6).says(&["the source app.db is refused"]).says(parts);
    assert!(std::fs::read(project.path("app.db")).ok() == before, "the source was written to");
    nothing_is_run(project);
    outcome
}

#[track_caller]
fn nothing_is_run(project: &Project) {
    assert!(!project.has_table("t") && !project.has_table("refinery_schema_history"), "nothing is run");
}

fn bytes(project: &Project) -> Vec<u8> {
    std::fs::read(project.path("app.db")).expect("the source")
}

/// SQLite's own form, which Prisma and Drizzle write.
#[test]
fn a_source_may_be_named_as_sqlite_names_files() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    let run = project.outgrow(["migrate", "--source", "file:./app.db?mode=ro"]).succeeds();
    run.prints(&["1 row"]);
}

#[test]
fn a_missing_source_is_named_with_where_it_was_named() {
    let project = project();
    project.outgrow(["migrate", "--source", "data/old.db"]).exits(6).says(&[
        "the source data/old.db is refused",
        "there is no such file",
        "--source",
        "relative to the current folder",
    ]);
    nothing_is_run(&project);
    assert!(!project.path("data/old.db").exists() && !project.path("data").exists(), "it is not created");
}

#[test]
fn a_folder_is_no_source() {
    let project = project();
    project
        .outgrow(["migrate", "--source", "migrations"])
        .exits(6)
        .says(&["the source migrations is refused: it is a folder", "name the SQLite file"]);
    nothing_is_run(&project);
}

#[test]
fn an_empty_file_is_no_source() {
    let project = project();
    project.write("app.db", "");
    refused(&project, &["it is empty (0 bytes)", "look for the real one"]);
}

#[test]
fn a_file_of_another_kind_is_no_source() {
    let project = project();
    project.write("app.db", "id,label\n1,s3cret-content\n".repeat(1000));
    refused(&project, &["it is not an SQLite database", "encrypted"]).never_says(&["s3cret-content"]);
}

#[test]
fn a_git_lfs_pointer_is_recognised() {
    let project = project();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:6cef0f\nsize 45056\n";
    project.write("app.db", pointer);
    refused(&project, &["Git LFS pointer", "git lfs pull"]);
}

#[test]
fn a_file_cut_short_is_told_from_a_whole_one() {
    let project = project();
    let whole = bytes(&project);
    let half = whole.len() / 2;
    project.write("app.db", &whole[..half]);
    let (found, expected) = (format!("{half} bytes"), format!("{} bytes in all", whole.len()));
    refused(&project, &["it is cut short", &found, &expected, "copy it again"]);
    project.write("app.db", &whole[..whole.len() - 1]);
    refused(&project, &["it is cut short"]);
}

#[test]
fn a_header_alone_is_cut_short() {
    let project = project();
    let whole = bytes(&project);
    for length in [16, 99, 100] {
        project.write("app.db", &whole[..length]);
        refused(&project, &[&format!("it is cut short: {length} bytes")]);
    }
}

#[test]
fn a_damaged_header_is_not_read_as_a_database() {
    let project = project();
    let mut damaged = bytes(&project);
    damaged[16..100].fill(0xff);
    project.write("app.db", &damaged);
    refused(&project, &["it is "]);
}

#[test]
fn a_damaged_schema_is_found_before_anything_runs() {
    let project = project();
    let mut damaged = bytes(&project);
    damaged[100..4096].fill(0xff);
    project.write("app.db", &damaged);
    refused(&project, &["it is damaged", ".recover"]);
}

/// Fills the page at `part` of the file with `byte`.
fn damage(project: &Project, part: f64, byte: u8) {
    let mut damaged = bytes(project);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a small file")]
    let page = (damaged.len() as f64 * part) as usize / 4096 * 4096;
    damaged[page..page + 4096].fill(byte);
    project.write("app.db", &damaged);
}

#[test]
fn a_damaged_page_anywhere_is_found_before_anything_runs() {
    for (part, byte) in [(0.3, 0x00), (0.5, 0xa5), (0.99, 0xff)] {
        let project = project();
        damage(&project, part, byte);
        refused(&project, &["it is damaged (", ".recover"]);
    }
}

#[test]
fn a_damaged_freelist_is_found_before_anything_runs() {
    let project = project();
    project
        .sqlite("app.db", "CREATE TABLE big (v); INSERT INTO big VALUES (zeroblob(100000)); DROP TABLE big");
    let mut damaged = bytes(&project);
    // the first trunk page of the freelist, and how many there are
    damaged[36..40].copy_from_slice(&7_u32.to_be_bytes());
    project.write("app.db", &damaged);
    refused(&project, &["it is damaged (", "reelist"]);
}

/// A leaf that an inner page leads to twice: every page reads well, and rows are doubled and lost.
#[test]
fn a_page_that_is_reached_twice_is_found() {
    let project = project();
    let mut damaged = bytes(&project);
    // page 2 is the root of t: a type byte of 5, cells that begin with the number of a page
    let root = 4096;
    assert_eq!(damaged[root], 5);
    let cell = |damaged: &[u8], at: usize| {
        let offset = u16::from_be_bytes([damaged[root + 12 + 2 * at], damaged[root + 13 + 2 * at]]);
        root + usize::from(offset)
    };
    let (first, second) = (cell(&damaged, 0), cell(&damaged, 1));
    damaged.copy_within(first..first + 4, second);
    project.write("app.db", &damaged);
    refused(&project, &["it is damaged ("]);
}

/// A row that is gone from its page without a trace in any other: the rest reads well.
#[test]
fn a_large_source_is_looked_through_while_the_server_is_busy() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v text",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
         INSERT INTO t SELECT i, printf('%01000d', i) FROM n",
    );
    let mut damaged = bytes(&project);
    let page = damaged.len() / 2 / 4096 * 4096;
    assert_eq!(damaged[page], 13, "a leaf");
    damaged[page + 4] -= 1;
    project.write("app.db", &damaged);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.outgrow(["migrate", "--dry-run"]).exits(6).says(&["it is damaged ("]);
    project.outgrow(["migrate"]).exits(6).says(&[
        "V2__import failed and was rolled back",
        "it is damaged (",
        ".recover",
    ]);
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["0"]);
}

#[test]
fn every_page_size_and_encoding() {
    for (size, encoding) in [(512, "UTF-8"), (65_536, "UTF-8"), (4096, "UTF-16le"), (1024, "UTF-16be")] {
        for journal in ["DELETE", "WAL"] {
            let project = Project::one_table(
                "id int, label text",
                &format!(
                    "PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}'; PRAGMA journal_mode = {journal};
                     CREATE TABLE t (id, label); INSERT INTO t VALUES (1, 'ñ 🔑'), (2, printf('%.70000c', 'x')), (3, '')"
                ),
            );
            project.outgrow(["migrate"]).succeeds().prints(&["3 rows"]);
            assert_eq!(project.query("SELECT label FROM t WHERE id = 1"), ["ñ 🔑"], "{size} {encoding}");
            assert_eq!(project.query("SELECT length(label)::text FROM t WHERE id = 2"), ["70000"]);
            project.outgrow(["status"]).succeeds().never_says(&["has changed"]);
        }
    }
}

#[test]
fn an_encrypted_file_is_no_source() {
    let project = project();
    // SQLCipher begins with a random salt
    let noise: Vec<u8> =
        (0..40_960_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 1).collect();
    project.write("app.db", noise);
    refused(&project, &["an encrypted one", "sqlcipher_export"]);
}

#[test]
fn a_format_of_a_later_version_is_refused() {
    let project = project();
    let mut later = bytes(&project);
    later[19] = 3;
    project.write("app.db", later);
    refused(&project, &["format version 3"]);
}

#[test]
fn a_database_without_tables_lacks_the_steps_table() {
    let project = project();
    std::fs::remove_file(project.path("app.db")).expect("removed");
    project.sqlite("app.db", "PRAGMA user_version = 1");
    project.outgrow(["migrate"]).exits(6).says(&["app.db", "table t", "the source has no such table"]);
    nothing_is_run(&project);
}

#[test]
fn a_pipe_is_no_source_and_is_not_waited_for() {
    let project = project();
    let made = std::process::Command::new("mkfifo").arg(project.path("pipe")).status().expect("mkfifo");
    assert!(made.success());
    project.outgrow(["migrate", "--source", "pipe"]).exits(6).says(&["pipe is refused", "it is not a file"]);
    nothing_is_run(&project);
}

#[test]
fn the_source_is_named_as_applications_name_it() {
    let absolute = |project: &Project| format!("sqlite:///{}", project.path("app.db").display());
    let forms =
        ["./app.db", "sqlite:///app.db", "sqlite:///./app.db", "sqlite+aiosqlite:///app.db?timeout=5"];
    for form in forms {
        project().outgrow(["migrate", "--source", form]).succeeds().prints(&["2000 rows", "from app.db"]);
    }
    let project = project();
    project.outgrow(["migrate", "--source", &absolute(&project)]).succeeds().prints(&["2000 rows"]);
}

#[test]
fn a_url_without_a_file_is_refused() {
    for url in ["sqlite://", "sqlite:///", "sqlite:///:memory:", ":memory:"] {
        let project = project();
        project.outgrow(["migrate", "--source", url]).exits(2).says(&["--source: ", "expected a path"]);
        nothing_is_run(&project);
    }
}

#[test]
fn a_postgres_url_is_no_source() {
    let project = project();
    let url = "postgresql+asyncpg://ana:s3cret@db/app";
    let outcome = project.outgrow(["migrate", "--source", url]).exits(2);
    outcome.says(&["--source: this is a PostgreSQL URL", "SQLite file"]).never_says(&["s3cret"]);
    let outcome = project.run(project.command(["migrate"]).env("SOURCE_DATABASE_URL", url)).exits(2);
    outcome.says(&["SOURCE_DATABASE_URL: this is a PostgreSQL URL"]).never_says(&["s3cret"]);
    nothing_is_run(&project);
}

#[test]
fn no_other_url_shows_its_password() {
    let project = project();
    for url in [
        "mysql://ana:s3cret@db/app",
        "POSTGRES://ana:s3cret@db/app",
        "libsql://db.turso.io?authToken=s3cret",
        "https://ana:s3cret@example.com/app.db",
        "host=db user=ana password=s3cret",
    ] {
        let outcome = project.outgrow(["migrate", "--source", url]).never_says(&["s3cret"]);
        assert!([Some(2), Some(6)].contains(&outcome.code), "{outcome:#?}");
        nothing_is_run(&project);
    }
}

#[test]
fn the_source_is_needed_only_while_a_step_is_pending() {
    let project = project();
    project.outgrow(["migrate"]).succeeds();
    project.write("app.db", "");
    project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
    project.outgrow(["status", "--check"]).succeeds();
    project.write("migrations/V3__more.sql", "CREATE TABLE more ();");
    project.outgrow(["migrate"]).succeeds().prints(&["1 version applied"]);
}

#[test]
fn a_step_above_the_version_to_stop_at_needs_no_source() {
    let project = project();
    project.write("app.db", "");
    project.outgrow(["migrate", "--to", "1"]).succeeds().prints(&["at V1, head is V2"]);
}

/// In WAL mode too, rows that stand in the log alone arrive, and neither file nor log changes.
#[test]
fn the_source_and_its_write_ahead_log_are_not_touched() {
    let project = project();
    let writer = rusqlite::Connection::open(project.path("app.db")).expect("the source");
    let statements =
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; INSERT INTO t (label) VALUES ('new')";
    writer.execute_batch(statements).expect("a row in the log");
    let log = || std::fs::read(project.path("app.db-wal")).expect("the log");
    let before = (bytes(&project), log());
    project.outgrow(["migrate"]).succeeds().prints(&["2001 rows"]);
    assert!((bytes(&project), log()) == before, "the source was written to");
}

#[test]
fn nothing_appears_beside_the_source() {
    let project = project();
    project.outgrow(["migrate"]).succeeds();
    let beside = |name: &str| Path::new(&project.path(name)).exists();
    assert!(!beside("app.db-wal") && !beside("app.db-shm") && !beside("app.db-journal"));
}
