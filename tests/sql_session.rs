//! What `pg_dump` writes is a version as it stands, and nothing that a version sets reaches the next one.

use crate::sql::{refused, second};
use crate::support::{Project, repository};
use std::path::Path;
use std::process::Command;

/// `pg_dump -s` of the project's database, without what belongs to outgrow and to psql.
fn dump(project: &Project) -> String {
    let programs =
        Command::new(repository().join("scripts/postgres")).arg("bin").output().expect("scripts/postgres");
    let programs = String::from_utf8(programs.stdout).expect("UTF-8");
    let mut pg_dump = Command::new(Path::new(programs.trim()).join("pg_dump"));
    let dump =
        pg_dump.args(["-s", "-T", "refinery_schema_history", &project.url()]).output().expect("pg_dump");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let dump = String::from_utf8(dump.stdout).expect("UTF-8");
    let sql =
        dump.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    sql.map(|line| format!("{line}\n")).collect()
}

/// A database that InteliBotX's versions made, with a function of the newer kind: its dump and its columns and keys.
fn dumped() -> (String, Vec<String>) {
    let project = Project::intelibotx();
    let function = "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;";
    project.outgrow(["migrate", "--to", "5"]).succeeds();
    project.execute(function);
    (dump(&project), project.query(include_str!("golden/schema.sql")))
}

#[test]
fn what_pg_dump_writes_is_a_version_as_it_stands() {
    let (dump, schema) = dumped();
    assert!(dump.contains("set_config('search_path', '', false)"), "{dump}");
    let project = Project::with(&[("migrations/V1__dump.sql", &dump)]);
    project.outgrow(["migrate"]).succeeds().prints(&["V1__dump", "at head, V1, 1 version applied"]);
    assert_eq!(project.query(include_str!("golden/schema.sql")), schema);
    assert_eq!(project.query("SELECT f()::text"), ["1"]);
    project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
}

#[test]
fn what_pg_dump_sets_does_not_reach_the_next_version() {
    let (dump, _) = dumped();
    let settings = "CREATE TABLE settings AS SELECT name FROM pg_settings WHERE source = 'session';";
    let project = Project::with(&[("migrations/V1__dump.sql", &dump), ("migrations/V2__next.sql", settings)]);
    project.outgrow(["migrate"]).succeeds().prints(&["V1__dump", "V2__next", "2 versions applied"]);
    assert!(project.has_table("public.settings"));
    let ours = "SELECT name FROM settings WHERE name !~ '_timeout$|^tcp_keepalives|^client_connection_check'";
    assert_eq!(project.query(ours), [""; 0]);
    assert_eq!(project.query("SELECT count(*)::text FROM public.refinery_schema_history"), ["2"]);
    project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
}

#[test]
fn a_dump_with_psqls_lines_is_told_which_to_delete() {
    let dump = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSELECT 1;\n\n\\unrestrict abc\n";
    refused(dump, &["V2__next.sql:5:1: \\restrict", "V2__next.sql:9:1: \\unrestrict", "delete its lines"]);
}

#[test]
fn a_role_does_not_reach_the_next_version() {
    let project =
        second("CREATE TABLE seen AS SELECT current_user::text AS current, session_user::text AS session;");
    project.write("migrations/V1__create_t.sql", "CREATE TABLE t (); SET ROLE pg_monitor;");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT (current = session)::text FROM seen"), ["true"]);
}

#[test]
fn a_session_authorization_does_not_reach_the_next_version() {
    let project = second("CREATE TABLE seen AS SELECT session_user::text AS session;");
    project.write("migrations/V1__create_t.sql", "CREATE TABLE t (); SET SESSION AUTHORIZATION pg_monitor;");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT (session = session_user)::text FROM seen"), ["true"]);
}

#[test]
fn a_search_path_does_not_reach_the_next_version() {
    let project = second("CREATE TABLE seen ();");
    project.write(
        "migrations/V1__create_t.sql",
        "CREATE SCHEMA other; SET search_path = other; CREATE TABLE t ();",
    );
    project.outgrow(["migrate"]).succeeds();
    assert!(project.has_table("other.t") && project.has_table("public.seen"));
    assert!(project.has_table("public.refinery_schema_history"));
    project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
}

#[test]
fn temporary_tables_do_not_reach_the_next_version() {
    let project = second("INSERT INTO t VALUES (1);");
    let create = "CREATE TABLE t (id int); CREATE TEMP TABLE t (id int); CREATE TEMP TABLE refinery_schema_history (x int);";
    project.write("migrations/V1__create_t.sql", create);
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT id::text FROM public.t"), ["1"]);
    assert_eq!(project.query("SELECT count(*)::text FROM public.refinery_schema_history"), ["2"]);
}

#[test]
fn settings_do_not_reach_the_next_version() {
    let project =
        second("CREATE TABLE seen AS SELECT current_setting('DateStyle') AS style, '1 2 2026'::date AS day;");
    let set = "CREATE TABLE t (); SET DateStyle = 'SQL, DMY'; SET statement_timeout = '1ms'; SET default_transaction_read_only = on;";
    project.write("migrations/V1__create_t.sql", set);
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT style || ' ' || day FROM seen"), ["ISO, MDY 2026-01-02"]);
}

/// What a file leaves open in the session otherwise: prepared statements, cursors, locks of its own.
#[test]
fn prepared_statements_do_not_reach_the_next_version() {
    let project = second("PREPARE q AS SELECT 2;");
    project.write("migrations/V1__create_t.sql", "CREATE TABLE t (); PREPARE q AS SELECT 1;");
    project.outgrow(["migrate"]).succeeds();
}

/// A file that drops every advisory lock of the session must not open the door to a second run.
#[test]
fn a_file_cannot_give_the_lock_away() {
    let held =
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted";
    let project = second(&format!("CREATE TABLE seen AS {held};"));
    project.write("migrations/V1__create_t.sql", "CREATE TABLE t (); SELECT pg_advisory_unlock_all();");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT count::text FROM seen"), ["1"]);
}

/// Versions that only change tables are told the limits once, and what another kind of version sets back they are told
/// again.
#[test]
fn limits_hold_in_every_version_whatever_came_before() {
    let project = Project::with(&[
        (
            "migrations/V1__note.sql",
            "CREATE TABLE made (number serial, limits text); CREATE TABLE t (id int);
             CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.made (limits) VALUES (concat_ws(' ', current_setting('lock_timeout'), current_setting('statement_timeout'),
                 current_setting('tcp_keepalives_idle'), current_setting('search_path')));
               PERFORM set_config('search_path', 'nowhere', false);
             END $$;
             CREATE EVENT TRIGGER note ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION note();",
        ),
        ("migrations/V2__plain.sql", "ALTER TABLE t ADD a int;"),
        ("migrations/V3__plain.sql", "ALTER TABLE t ADD b int;"),
        ("migrations/V4__sets.sql", "SET lock_timeout = 1; RESET ALL; SELECT 1; ALTER TABLE t ADD c int;"),
        ("migrations/V5__plain.sql", "ALTER TABLE t ADD d int;"),
        ("migrations/V6__plain.sql", "ALTER TABLE t ADD e int;"),
    ]);
    let url = format!("{}&options=-ctcp_keepalives_idle%3D77", project.url());
    let url = if url.contains('?') { url } else { url.replacen('&', "?", 1) };
    let mut command = project.command(["migrate", "--lock-attempt", "7s", "--statement-timeout", "90s"]);
    project.run(command.env("DATABASE_URL", url)).succeeds();
    let limits = "7s 90s 30 \"$user\", public";
    let set_back = "0 0 77 \"$user\", public";
    assert_eq!(
        project.query("SELECT limits FROM made ORDER BY number"),
        [limits, limits, set_back, limits, limits]
    );
    assert_eq!(project.query("SELECT count(*)::text FROM refinery_schema_history"), ["6"]);
}
