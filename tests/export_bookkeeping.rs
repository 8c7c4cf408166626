//! The tables of other tools on the way back: the application that gets its file back finds in it which of its own
//! migrations that file has seen.

use crate::support::{Project, cells};

const SOURCE: &str = "\
CREATE TABLE t (id INTEGER PRIMARY KEY, a);
INSERT INTO t VALUES (1, 'x');
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('9f2c');
CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER, is_applied, tstamp);
INSERT INTO goose_db_version VALUES (1, 0, 1, '2024-01-01 00:00:00'), (7, 20240101000000, 1, NULL);
CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, checksum BLOB NOT NULL, real, text, double AS (version * 2));
INSERT INTO _sqlx_migrations VALUES (9007199254740993, x'00ff', 0.1, char(0) || 'a');";

#[test]
fn which_migrations_the_file_has_seen_comes_back() {
    let project = Project::one_table("id int PRIMARY KEY, a text", SOURCE);
    project.outgrow(["migrate"]).succeeds().prints(&["alembic_version", "left behind"]);
    project.outgrow(["export", "back.db"]).succeeds().prints(&[
        "alembic_version: the 1 row that the source had",
        "goose_db_version: the 2 rows that the source had",
    ]);
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

/// The application keeps its books in PostgreSQL, too, and these are of its migrations there.
#[test]
fn what_the_target_has_in_such_a_table_is_not_the_files() {
    let project = Project::one_table("id int PRIMARY KEY, a text", SOURCE);
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('pg')",
    );
    project
        .outgrow(["export", "back.db"])
        .succeeds()
        .prints(&["alembic_version: the 1 row that the source had, and not the target's own"]);
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

#[test]
fn a_step_that_brings_such_a_table_has_its_rows_written_as_they_are_now() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE alembic_version (version_num text);",
        "\"t\", \"alembic_version\"",
        SOURCE,
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("UPDATE alembic_version SET version_num = 'next'");
    project.outgrow(["export", "back.db"]).succeeds();
    let found = cells::query(&project.path("back.db"), "SELECT version_num FROM alembic_version");
    assert_eq!(found, ["'next'"]);
}

#[test]
fn rows_that_nobody_kept_like_that_are_refused_by_table_and_number() {
    let project = Project::one_table("id int PRIMARY KEY, a text", SOURCE);
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "UPDATE outgrow_receipt SET source = jsonb_set(source,
            '{definition,bookkeeping,goose_db_version,rows,1}', '[1, 2]')",
    );
    project.outgrow(["export", "back.db"]).exits(6).says(&["goose_db_version: row number 2: the receipt"]);
    assert!(!project.path("back.db").exists());
}

/// Synapse's `applied_schema_deltas`, Quassel's `coreinfo`: no name that anybody else would know.
#[test]
fn a_table_keeps_books_if_the_step_says_so() {
    let source = "CREATE TABLE t (id INTEGER PRIMARY KEY, a);
        CREATE TABLE Deltas (version, file); INSERT INTO Deltas VALUES (73, '01.sql.sqlite'), (73, '02.sql')";
    let project = Project::one_table("id int PRIMARY KEY, a text", source);
    let made = "CREATE TABLE t (id int PRIMARY KEY, a text);
        CREATE TABLE deltas (version int, file text); INSERT INTO deltas VALUES (73, '01.sql.postgres');";
    project.write("migrations/V1__create_t.sql", made);
    let step = |rest: &str| {
        project.write("migrations/V2__import.toml", format!("source = \"sqlite\"\ntables = [\"t\"]\n{rest}"))
    };
    step("skip = [\"deltas\"]\nbookkeeping = [\"deltas\"]\n");
    project.outgrow(["migrate"]).exits(2).says(&["V2__import.toml:4:16: table \"deltas\" is named twice"]);
    step("bookkeeping = [\"deltas\"]\n");
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
    project
        .outgrow(["export", "back.db"])
        .succeeds()
        .prints(&["Deltas: the 2 rows that the source had, and not the target's own"]);
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

/// TypeORM's and Laravel's; an application may have a table of that name for itself.
#[test]
fn a_table_of_a_common_name_keeps_books_if_the_step_skips_it() {
    let project = Project::one_table(
        "id int PRIMARY KEY, a text",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a);
         CREATE TABLE migrations (id INTEGER PRIMARY KEY, name); INSERT INTO migrations VALUES (1, 'Init1700000000000')",
    );
    project.outgrow(["migrate"]).exits(6).says(&["table migrations: it holds rows"]);
    let step = "source = \"sqlite\"\ntables = [\"t\"]\nskip = [\"migrations\"]\n";
    project.write("migrations/V2__import.toml", step);
    project.outgrow(["migrate"]).succeeds();
    project.execute("CREATE TABLE migrations (id int); INSERT INTO migrations VALUES (9)");
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

/// As a dump of a database that the application's own tool has made leaves it.
#[test]
fn books_that_are_empty_in_the_target_are_warned_of() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE alembic_version (v text); CREATE TABLE goose_db_version (v int);
         INSERT INTO goose_db_version VALUES (1)",
        "\"t\"",
        SOURCE,
    );
    let warned =
        ["alembic_version is left behind, and empty in the target", "or list alembic_version under tables"];
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.outgrow(["migrate", "--dry-run"]).succeeds().says(&warned);
    project
        .outgrow(["migrate"])
        .succeeds()
        .says(&warned)
        .never_says(&["goose_db_version is", "_sqlx_migrations is"]);
}
