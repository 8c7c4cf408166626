//! Versions of plain SQL: a failure is shown where it is, and what would break the transaction is refused before it
//! runs.

use crate::support::{Outcome, Project};

/// V1 makes the table `t`; V2 holds `text`.
pub fn second(text: &str) -> Project {
    let create = "CREATE TABLE t (id int PRIMARY KEY, mail text);";
    Project::with(&[("migrations/V1__create_t.sql", create), ("migrations/V2__next.sql", text)])
}

/// V2 fails with exit code 7 and leaves no trace; V1 stays.
#[track_caller]
pub fn fails(project: &Project, parts: &[&str]) -> Outcome {
    let outcome =
        project.outgrow(["migrate"]).exits(7).says(&["V2__next failed and was rolled back"]).says(parts);
    assert_eq!(project.query("SELECT version::text FROM refinery_schema_history"), ["1"]);
    assert!(!project.has_table("trace"), "nothing of the version is kept");
    outcome
}

/// V2 is refused with exit code 2 before even V1 runs.
#[track_caller]
pub fn refused(text: &str, parts: &[&str]) {
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
fn a_failure_in_a_long_line_is_shown_in_a_few() {
    let long = "x".repeat(100_000);
    let project = second(&format!("CREATE TABLE trace (); SELECT '{long}' AS many, male FROM t, '{long}"));
    let outcome =
        fails(&project, &["V2__next.sql:1:100056: unterminated quoted string at or near \"'xxx", "^\n"]);
    assert!(outcome.stderr.len() < 3000, "{} bytes", outcome.stderr.len());
    project.write(
        "migrations/V2__next.sql",
        format!("CREATE TABLE trace (); SELECT '{long}' AS many, male FROM t;"),
    );
    fails(&project, &["column \"male\" does not exist", "xxx' AS many, male FROM t;\n"]);
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

/// The server would run both halves, and be left with nothing.
#[test]
fn a_half_that_undoes_the_other_is_refused_with_its_line() {
    for down in ["-- +goose Down", "-- migrate:down", "-- +migrate Down", "-- Down Migration"] {
        let text = format!("CREATE TABLE a ();\n{down}\nDROP TABLE a;\n");
        refused(&text, &[&format!("V2__next.sql:2:1: \"{down}\""), "delete this line and all after it"]);
    }
    let project = Project::empty();
    project.write("migrations/V1__a.sql", "-- +goose Up\nCREATE TABLE a ();\n-- +goose Down\n-- nothing\n");
    project.outgrow(["migrate"]).succeeds();
    assert!(project.has_table("a"));
}
