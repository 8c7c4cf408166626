//! The history is refinery's: what outgrow wrote, refinery's own runner accepts, and the other way round.

use crate::support::Project;
use refinery::{Migration, Runner};

/// Every version of the project, as refinery makes them from name and text.
fn migrations(project: &Project) -> Vec<Migration> {
    let files = project
        .path("migrations")
        .read_dir()
        .expect("migrations/")
        .map(|entry| entry.expect("an entry").path());
    files
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("a migration");
            let stem = file.file_stem().expect("a stem").to_string_lossy().into_owned();
            Migration::unapplied(&stem, &text).expect("a migration")
        })
        .collect()
}

/// refinery's own runner on refinery's own driver, which applies what is pending.
fn refinery_runs(project: &Project, migrations: &[Migration]) -> Result<Vec<i32>, refinery::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (mut client, connection) =
            tokio_postgres::connect(&project.url(), tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let report = Runner::new(migrations).run_async(&mut client).await?;
        Ok(report.applied_migrations().iter().map(Migration::version).collect())
    })
}

#[test]
fn refinery_accepts_what_outgrow_applied() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(refinery_runs(&project, &migrations(&project)).expect("no divergence"), Vec::<i32>::new());
}

#[test]
fn refinery_notices_an_edited_step() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    let step =
        std::fs::read_to_string(project.path("migrations/V6__import_from_sqlite.toml")).expect("the step");
    project.write("migrations/V6__import_from_sqlite.toml", format!("{step}# edited\n"));
    refinery_runs(&project, &migrations(&project)).expect_err("the text is what is hashed");
}

#[test]
fn outgrow_goes_on_where_refinery_stopped() {
    let project = Project::intelibotx();
    let first: Vec<_> =
        migrations(&project).into_iter().filter(|migration| migration.version() < 4).collect();
    let mut applied = refinery_runs(&project, &first).expect("three versions");
    applied.sort_unstable();
    assert_eq!(applied, [1, 2, 3]);
    project.outgrow(["migrate"]).succeeds().prints(&["V4__create_botconfig", "3 versions applied"]);
    assert_eq!(project.query("SELECT count(*)::text FROM refinery_schema_history"), ["6"]);
}

#[test]
fn the_columns_are_refinerys() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    let columns = "SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute \
        WHERE attrelid = 'refinery_schema_history'::regclass AND attnum > 0 ORDER BY attnum";
    assert_eq!(
        project.query(columns),
        [
            "version integer",
            "name character varying(255)",
            "applied_on character varying(255)",
            "checksum character varying(255)"
        ]
    );
}

/// A version that makes a schema which then comes first in the search_path must not start a second history there.
#[test]
fn there_is_one_history_whatever_the_search_path_finds_later() {
    let project =
        Project::with(&[("migrations/V1__schema.sql", "CREATE SCHEMA AUTHORIZATION CURRENT_USER;")]);
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/V2__table.sql", "CREATE TABLE t ();");
    project.outgrow(["migrate"]).succeeds().prints(&["1 version applied"]);
    assert_eq!(
        project.query("SELECT count(*)::text FROM pg_class WHERE relname = 'refinery_schema_history'"),
        ["1"]
    );
    project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
}
