//! Versions of plain SQL: a failure is shown where it is, what would break the transaction is refused before it runs,
//! and nothing that a file sets reaches the next one.

use crate::support::{Outcome, Project, repository};
use std::path::Path;
use std::process::Command;

/// V1 makes the table `t`; V2 holds `text`.
fn second(text: &str) -> Project {
    let create = "CREATE TABLE t (id int PRIMARY KEY, mail text);";
    Project::with(&[("migrations/V1__create_t.sql", create), ("migrations/V2__next.sql", text)])
}

/// V2 fails with exit code 7 and leaves no trace; V1 stays.
#[track_caller]
fn fails(project: &Project, parts: &[&str]) -> Outcome {
    let outcome =
        project.outgrow(["migrate"]).exits(7).says(&["V2__next failed and was rolled back"]).says(parts);
    assert_eq!(project.query("SELECT version::text FROM refinery_schema_history"), ["1"]);
    assert!(!project.has_table("trace"), "nothing of the version is kept");
    outcome
}

/// V2 is refused with exit code 2 before even V1 runs.
#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let project = second(text);
    project.outgrow(["migrate"]).exits(2).says(&["nothing was run"]).says(parts);
    assert!(!project.has_table("t") && !project.has_table("refinery_schema_history"), "nothing is run");
}

#[test]
fn a_failing_statement_is_shown_where_it_is() {
    let project = second("CREATE TABLE trace ();\n\nINSERT INTO t\n  SELECT 1, male FROM t;\n");
    fails(
        &project,
        &[
            "V1 before it was applied and stays",
            "migrations/V2__next.sql:4:13: column \"male\" does not exist [SQLSTATE 42703]",
            "  4 |   SELECT 1, male FROM t;\n",
            "                  ^\n",
            "hint: Perhaps you meant to reference the column \"t.mail\"",
        ],
    );
}

#[test]
fn a_syntax_error_stops_the_whole_file() {
    let project = second("CREATE TABLE trace ();\nCRATE TABLE u ();\n");
    fails(&project, &["V2__next.sql:2:1: syntax error at or near \"CRATE\"", "2 | CRATE TABLE u ();"]);
}

#[test]
fn detail_and_hint_of_the_server_are_shown() {
    let raise = "DO $$ BEGIN\n  RAISE EXCEPTION 'too early' USING DETAIL = 'the moon', HINT = 'wait', ERRCODE = '55000';\nEND $$;";
    fails(
        &second(raise),
        &[
            "V2__next.sql:1:1: too early [SQLSTATE 55000]",
            "detail: the moon",
            "hint: wait",
            "line 2 at RAISE",
        ],
    );
}

#[test]
fn an_error_without_a_position_is_shown_at_its_statement() {
    let text = "-- a comment; with a semicolon\nCREATE TABLE trace ();;\nSELECT ';' FROM t;\nDO $$ BEGIN PERFORM 1; END $$;\n\
        /* more */ CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;\n  CREATE TABLE\n    t ();\nSELECT 3;\n";
    fails(
        &second(text),
        &["V2__next.sql:6:3: relation \"t\" already exists [SQLSTATE 42P07]", "6 |   CREATE TABLE\n"],
    );
}

#[test]
fn an_error_inside_a_function_is_shown_at_the_call() {
    let text = "CREATE TABLE trace ();\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN nothing; END $$;\nSELECT f();\n";
    fails(&second(text), &["V2__next.sql:3:1: column \"nothing\" does not exist", "function f()"]);
}

#[test]
fn places_after_multi_byte_characters_count_characters() {
    let project = second("SELECT 'dañado, 日本語, 🦀';\nSELECT '🦀é', nothing;\n");
    fails(
        &project,
        &["V2__next.sql:2:14: column \"nothing\" does not exist", "2 | SELECT '🦀é', nothing;\n"],
    );
}

#[test]
fn a_statement_after_multi_byte_characters_is_found_without_a_position() {
    let project = second("CREATE TABLE \"añadido\" ();\nSELECT '🦀'; CREATE TABLE t ();\n");
    fails(&project, &["V2__next.sql:2:13: relation \"t\" already exists"]);
}

#[test]
fn a_statement_that_cannot_run_in_a_transaction_says_so() {
    let project = second("CREATE TABLE trace ();\nCREATE INDEX CONCURRENTLY ON t (mail);\n");
    fails(
        &project,
        &["V2__next.sql:2:1: CREATE INDEX CONCURRENTLY cannot run inside a transaction block", "next: "],
    );
}

#[test]
fn a_constraint_that_fails_at_the_end_takes_the_version_with_it() {
    let text = "CREATE TABLE trace (t int REFERENCES t DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO trace VALUES (1970077007);\n";
    fails(&second(text), &["violates foreign key constraint"]).never_says(&["1970077007"]);
}

#[test]
fn the_failed_version_is_tried_again_and_the_earlier_ones_are_not() {
    let project = second("SELECT nothing;");
    fails(&project, &[]);
    project.write("migrations/V2__next.sql", "INSERT INTO t VALUES (1, 'a');");
    project.outgrow(["migrate"]).succeeds().prints(&["V2__next", "at head, V2, 1 version applied"]);
    assert_eq!(project.query("SELECT mail FROM t"), ["a"]);
}

#[test]
fn commands_of_psql_are_refused_with_their_line() {
    refused(
        "\\restrict abc\nSELECT 1;\n",
        &["migrations/V2__next.sql:1:1: \\restrict", "psql", "pg_dump", "delete"],
    );
    refused("SELECT 1;\n\\connect app\n", &["V2__next.sql:2:1: \\connect", "psql", "DATABASE_URL"]);
    refused("SELECT 1;\n  \\i other.sql\n", &["V2__next.sql:2:3: \\i is a command of psql, not SQL"]);
}

#[test]
fn inline_rows_are_refused_with_their_line() {
    let copy =
        "SELECT 1;\nCOPY public.t (id, mail) FROM stdin;\n7\tcontent@example.com; COMMIT;\n\\.\nSELECT 2;\n";
    refused(copy, &["V2__next.sql:2:1: COPY … FROM STDIN", "INSERT", "data step"]);
    let project = second(copy);
    project.outgrow(["migrate"]).exits(2).never_says(&[
        "content@example.com",
        "V2__next.sql:3",
        "V2__next.sql:4",
    ]);
}

#[test]
fn what_would_end_the_transaction_is_refused() {
    for statement in
        ["COMMIT", "commit work", "ROLLBACK", "END", "ABORT", "COMMIT AND CHAIN", "PREPARE TRANSACTION 'x'"]
    {
        let word = statement.split(' ').next().expect("a word").to_uppercase();
        let text = format!("BEGIN;\nCREATE TABLE trace ();\n/* now */ {statement};\n");
        refused(&text, &[&format!("V2__next.sql:3:11: {word} would end the transaction"), "delete it"]);
    }
}

#[test]
fn every_refusal_of_every_pending_file_is_reported_at_once() {
    let project = second("COMMIT;\nSELECT 1;\nROLLBACK;\n");
    project.write("migrations/V3__more.sql", "\\connect app\n");
    project.outgrow(["migrate"]).exits(2).says(&[
        "V2__next.sql:1:1: ",
        "V2__next.sql:3:1: ",
        "V3__more.sql:1:1: ",
    ]);
    assert!(!project.has_table("t"));
}

#[test]
fn a_procedure_that_commits_cannot_end_the_transaction() {
    let text = "CREATE TABLE trace ();\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p();\n";
    fails(&second(text), &["V2__next.sql:3:1: invalid transaction termination"]);
    fails(
        &second("CREATE TABLE trace ();\nDO $$ BEGIN COMMIT; END $$;"),
        &["invalid transaction termination"],
    );
}

#[test]
fn the_same_words_elsewhere_are_allowed() {
    let text = "SELECT 'COMMIT; ROLLBACK;', E'\\'; END;', $x$ COMMIT; \\connect $x$; -- COMMIT;\n\
        /* ROLLBACK; /* END; */ \\restrict */\n\
        DO $$ BEGIN BEGIN INSERT INTO t VALUES (1, 'a'); EXCEPTION WHEN others THEN NULL; END; END; $$;\n\
        CREATE FUNCTION f(x int) RETURNS text LANGUAGE sql BEGIN ATOMIC\n  SELECT 1;\n  SELECT CASE WHEN x > 1 THEN 'END' ELSE 'COMMIT' END;\nEND;\n\
        CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\n\
        SAVEPOINT a; INSERT INTO t VALUES (2, 'b'); ROLLBACK TO SAVEPOINT a; RELEASE a;\n\
        CREATE TABLE \"commit\" (\"end\" int, \"rollback\" text);\n\
        PREPARE q AS SELECT 1; DEALLOCATE q;\n";
    let project = second(text);
    project.outgrow(["migrate"]).succeeds().prints(&["at head, V2"]);
    assert_eq!(project.query("SELECT id::text FROM t"), ["1"]);
    assert_eq!(project.query("SELECT f(2)"), ["END"]);
}

#[test]
fn a_file_with_nothing_to_do_is_a_version_all_the_same() {
    for text in ["", "-- nothing yet\n", ";\n;\n"] {
        second(text).outgrow(["migrate"]).succeeds().prints(&["V2__next", "at head, V2"]);
    }
}

#[test]
fn what_the_server_says_is_shown_unless_quiet() {
    let raise =
        "DO $$ BEGIN RAISE NOTICE 'twelve done'; RAISE WARNING 'one left' USING HINT = 'see to it'; END $$;";
    let loud = second(raise).outgrow(["migrate"]).succeeds();
    loud.says(&["NOTICE: twelve done", "WARNING: one left", "see to it"]);
    let quiet = second(raise).outgrow(["migrate", "-q"]).succeeds();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn outgrow_makes_the_server_say_nothing_of_its_own() {
    let project = Project::intelibotx();
    // outgrow's own line for each table is all
    let stderr = project.outgrow(["migrate"]).succeeds().stderr;
    assert_eq!(stderr.lines().filter(|line| !line.starts_with("copied ")).count(), 0, "{stderr}");
    assert_eq!(stderr.lines().count(), 4, "{stderr}");
    assert_eq!(project.outgrow(["migrate"]).succeeds().stderr, "");
}

#[test]
fn a_notice_before_the_error_is_shown_too() {
    let project = second("DO $$ BEGIN RAISE NOTICE 'so far'; END $$;\nSELECT nothing;\n");
    fails(&project, &["NOTICE: so far", "V2__next.sql:2:8: "]);
}

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

/// V1 stores this; V2 fails on it: no part of the output may hold it.
const CONTENT: &str = "anacontent";

/// V1 makes a table with two rows that hold [`CONTENT`]; V2 is `text`, which the server refuses because of them.
#[track_caller]
fn fails_on_content(text: &str, parts: &[&str]) {
    let create = format!(
        "CREATE TABLE t (id int PRIMARY KEY, mail text); INSERT INTO t VALUES (1, '{CONTENT}'), (2, '{CONTENT}');"
    );
    let project = second(text);
    project.write("migrations/V1__create_t.sql", create);
    fails(&project, parts).never_says(&[CONTENT]);
}

#[test]
fn a_broken_constraint_does_not_show_the_row() {
    fails_on_content(
        "CREATE UNIQUE INDEX u ON t (mail);",
        &["could not create unique index \"u\"", "Key (mail)=(…) is duplicated"],
    );
    fails_on_content("UPDATE t SET id = 7;", &["duplicate key value", "Key (id)=(…) already exists."]);
    fails_on_content("UPDATE t SET id = NULL;", &["null value in column \"id\"", "Failing row contains (…)"]);
    fails_on_content(
        "ALTER TABLE t ADD CHECK (mail = '');",
        &["check constraint", "is violated by some row"],
    );
    fails_on_content(
        "CREATE TABLE u (mail text PRIMARY KEY);\nALTER TABLE t ADD FOREIGN KEY (mail) REFERENCES u;",
        &["V2__next.sql:2:1: ", "foreign key constraint", "Key (mail)=(…) is not present in table \"u\"."],
    );
}

#[test]
fn a_value_that_does_not_convert_is_not_shown() {
    fails_on_content(
        "ALTER TABLE t ALTER mail TYPE int USING mail::int;",
        &["invalid input syntax for type integer"],
    );
    fails_on_content(
        "ALTER TABLE t ALTER mail TYPE uuid USING mail::uuid;",
        &["invalid input syntax for type uuid"],
    );
    fails_on_content(
        "ALTER TABLE t ALTER mail TYPE date USING mail::date;",
        &["invalid input syntax for type date"],
    );
    fails_on_content(
        "CREATE TYPE mood AS ENUM ('a');\nALTER TABLE t ALTER mail TYPE mood USING mail::mood;",
        &["V2__next.sql:2:", "invalid input value for enum mood"],
    );
}

#[test]
fn a_document_that_does_not_convert_is_not_shown() {
    fails_on_content(
        "ALTER TABLE t ALTER mail TYPE jsonb USING mail::jsonb;",
        &["invalid input syntax for type json"],
    );
}

#[test]
fn a_value_in_a_statement_that_a_function_builds_is_not_shown() {
    let text = "DO $$ DECLARE x text; BEGIN SELECT mail INTO x FROM t LIMIT 1;\n\
        EXECUTE format('INSERT INTO t VALUES (1, %L)', x); END $$;";
    fails_on_content(text, &["duplicate key value violates unique constraint", "Key (id)=(…)"]);
}

#[test]
fn a_value_that_the_file_itself_holds_is_shown_with_its_line() {
    let project = second("SELECT 'twelve'::int;");
    fails(&project, &["invalid input syntax for type integer: \"twelve\"", "1 | SELECT 'twelve'::int;"]);
}

#[test]
fn a_password_in_a_statement_is_not_shown() {
    for text in [
        "ALTER ROLE no_such_role PASSWORD 's3cret';",
        "CREATE ROLE a WITH PASSWORD = 's3cret';",
        "ALTER ROLE a SET PASSWORD 's3cret';",
        "CREATE ROLE a WITH PASSWORD\n  's3cret' VALID UNTL 'tomorrow';",
        "CREATE USER a IDENTIFIED BY 's3cret';",
    ] {
        fails(&second(text), &["migrations/V2__next.sql:"]).never_says(&["s3cret"]);
    }
}

#[test]
fn a_column_that_is_called_password_is_no_password() {
    let project = second("CREATE TABLE trace (\n  password_hash TXT NOT NULL\n);\n");
    fails(
        &project,
        &["V2__next.sql:2:17: type \"txt\" does not exist", "2 |   password_hash TXT NOT NULL\n"],
    );
}
