//! `outgrow check`: what passes and what fails, where a failure is shown, what may be seen of the rows, what is refused
//! before anything runs.

use crate::support::{Outcome, Project};

/// A project whose only check is `text`, on a table `t` with three rows.
pub fn one(text: impl AsRef<[u8]>) -> Project {
    let project = Project::empty();
    project.execute(
        "CREATE TABLE t (id serial PRIMARY KEY, mail text UNIQUE, pin int, token uuid); \
         INSERT INTO t (mail, pin, token) SELECT 'secret-' || i, 1900004000 + i, gen_random_uuid() FROM generate_series(1, 3) i",
    );
    project.write("checks/one.sql", text);
    project
}

#[track_caller]
fn passes(text: &str) -> Outcome {
    one(text).outgrow(["check"]).succeeds().prints(&["one", "passed"])
}

/// Fails, says `parts`, and keeps what the rows hold to itself.
#[track_caller]
fn fails(text: &str, parts: &[&str]) -> Outcome {
    let project = one(text);
    let outcome = project.outgrow(["check"]).exits(1).prints(parts).prints(&["1 of 1 check failed"]);
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["3"], "nothing stays");
    outcome.never_says(&["secret", "1900004001"])
}

/// Refused before anything runs.
#[track_caller]
fn refused(text: impl AsRef<[u8]>, parts: &[&str]) {
    one(text).outgrow(["check"]).exits(2).says(&["the checks are refused, nothing was run"]).says(parts);
}

#[test]
fn no_rows_is_a_pass() {
    passes("-- a\nSELECT id FROM t WHERE id > 3;");
    passes("-- a\nSELECT id FROM t; SELECT id FROM t WHERE false");
    passes("\u{feff}-- a\r\n-- b\r\nSELECT id FROM t\r\n  WHERE false;\r\n");
    passes("-- a\nDELETE FROM t;\n-- expect-error: 22012\nSELECT 1 / 0;\n");
    passes("-- a\nSELECT id FROM t WHERE false;\nDELETE FROM t;");
    passes("-- a\nDO $$ BEGIN PERFORM 1; END $$;");
}

#[test]
fn rows_of_the_last_query_are_counterexamples() {
    let text = "-- No mail\n-- Who has mail?\n\nSELECT id, id AS pin, mail, pin, token AS token_id, 'has mail' AS reason\n  FROM t ORDER BY id;\nDELETE FROM t;\n";
    let outcome = fails(
        text,
        &[
            "No mail: Who has mail?",
            "checks/one.sql:4:1: 3 rows found, and none expected",
            "  id 1, token_id ",
            ", reason has mail\n",
            "  not shown: pin, mail, pin (--show-values shows all)",
        ],
    );
    assert!(!outcome.stdout.contains("NULL"), "{outcome:#?}");
    let shown = one(text);
    shown
        .outgrow(["check", "--show-values"])
        .exits(1)
        .prints(&["id 1, pin 1, mail secret-1, pin 1900004001, token_id"]);
}

#[test]
fn thousands_of_rows_are_counted_and_five_named() {
    let text = "-- a\nSELECT i AS user_id, repeat('secret', 10000) AS mail FROM generate_series(1, 20000) i";
    let outcome = fails(text, &["20000 rows found", "  user_id 5\n  …\n  not shown: mail"]);
    assert!(!outcome.stdout.contains("user_id 6"), "{outcome:#?}");
    let shown = one(text).outgrow(["check", "--show-values"]).exits(1);
    assert!(shown.stdout.len() < 4000, "long values are cut: {}", shown.stdout.len());
}

#[test]
fn what_a_terminal_would_obey_is_escaped() {
    let project = one("-- a\nSELECT E'\\u001b[2J\\n' AS x");
    project.outgrow(["check", "--show-values"]).exits(1).prints(&["  x \\u{1b}[2J\\n\n"]);
}

#[test]
fn an_error_is_shown_where_it_is_without_row_content() {
    fails(
        "-- a\n\nSELECT 1;\nINSERT INTO t (mail)\n  SELECT mail FROM t;\nSELECT nothing;",
        &[
            "checks/one.sql:4:1: duplicate key value violates unique constraint \"t_mail_key\" [SQLSTATE 23505]",
            "  4 | INSERT INTO t (mail)\n      ^\n",
            "  detail: Key (mail)=(…) already exists.",
        ],
    );
    fails("-- ñ 日本\nSELECT 'é', nothing;", &["one.sql:2:13: column \"nothing\" does not exist"]);
    fails("-- a\nSELECT mail::int FROM t", &["invalid input syntax for type integer: \"…\""]);
    fails("-- a\nSELECT $1::int;", &["one.sql:2:8: there is no parameter $1"]);
    fails("-- a\nSELEC 1;", &["one.sql:2:1: syntax error"]);
}

#[test]
fn an_expected_error_must_be_that_error() {
    passes(
        "-- a\n-- expect-error: 23505\nINSERT INTO t (mail) VALUES ('secret-1');\nSELECT id FROM t WHERE id > 3;",
    );
    passes(
        "-- a\n\n-- expect-error: 42703\n-- a column of another release\nSELECT nothing FROM t;\nSELECT 1 WHERE false",
    );
    let insert = "INSERT INTO t (mail) VALUES ('new')";
    fails(
        &format!("-- a\nSELECT 1 WHERE false;\n-- expect-error: 23505\n{insert};"),
        &["checks/one.sql:4:1: this statement was not refused, and SQLSTATE 23505 was expected"],
    );
    fails(
        &format!("-- a\n-- expect-error: 23505\n{insert} RETURNING nothing;"),
        &["does not exist [SQLSTATE 42703], and SQLSTATE 23505 was expected"],
    );
    // what was refused left nothing, and what came before it stays
    passes(
        "-- a\nDELETE FROM t WHERE id = 3;\n-- expect-error: 22012\nINSERT INTO t (pin) VALUES (1 / 0);\nSELECT 1 FROM t HAVING count(*) <> 2",
    );
}

#[test]
fn what_a_commit_would_refuse_is_refused() {
    let schema = "CREATE TABLE u (t int REFERENCES t DEFERRABLE INITIALLY DEFERRED);\n";
    fails(
        &format!("-- a\n{schema}INSERT INTO u VALUES (1970077007);\nSELECT 1 WHERE false;"),
        &["violates foreign key constraint", "SQLSTATE 23503"],
    )
    .never_says(&["1970077007"]);
    passes(&format!("-- a\n{schema}-- expect-error: 23503\nINSERT INTO u VALUES (1970077007);"));
    passes(&format!("-- a\n{schema}INSERT INTO u VALUES (1970077007);\nINSERT INTO t VALUES (1970077007);"));
}

#[test]
fn budgets_are_the_servers_time() {
    let sleep = "SELECT pg_sleep(0.2);\n";
    let end = "SELECT 1 WHERE false;";
    passes(&format!("-- a\n-- budget: 20 s\n{sleep}-- budget: 10s\n{sleep}{end}"));
    fails(
        &format!("-- a\n{sleep}-- budget: 150 ms\n{sleep}{end}"),
        &["checks/one.sql:4:1: this statement took ", " ms, and the budget is 150.0 ms"],
    );
    fails(
        &format!("-- a\n-- budget: 300 ms\n{sleep}{sleep}{end}"),
        &["checks/one.sql: the statements took ", " ms, and the budget is 300.0 ms"],
    );
    // what must be refused is not timed
    passes(&format!("-- a\n-- budget: 10 s\n-- expect-error: 22012\nSELECT pg_sleep(0.1), 1 / 0;\n{end}"));
}

#[test]
fn a_check_that_would_never_end_is_ended() {
    let endless = one("-- a\nSELECT pg_sleep(1000)");
    endless.write("checks/two.sql", "-- b\nSELECT 1 WHERE false");
    let ended = endless.outgrow(["check", "--statement-timeout", "200ms"]).exits(1);
    ended.prints(&[
        "one.sql:2:1: canceling statement due to statement timeout",
        "next: if it took too long, --statement-timeout allows more (0s: no limit)",
        "two  b",
        "1 of 2 checks failed",
    ]);
    endless.write("checks/one.sql", "-- a\nSELECT 1 FROM generate_series(1, 200000) HAVING count(*) = 0");
    endless.outgrow(["check", "--statement-timeout", "0s"]).succeeds();
    let mut holder = endless.connect();
    holder.batch_execute("BEGIN; LOCK TABLE t").expect("a lock");
    endless.write("checks/one.sql", "-- a\nSELECT id FROM t");
    let ended = endless.outgrow(["check", "--lock-timeout", "200ms"]).exits(1);
    ended.prints(&["one.sql:2:16: canceling statement due to lock timeout"]);
}

#[test]
fn nothing_of_one_check_reaches_the_next() {
    let project = one(
        "-- a\nSET search_path = nowhere; SET statement_timeout = 77777; CREATE TEMP TABLE left_over (); PREPARE q AS SELECT 1;\
         SELECT pg_advisory_lock(1);SELECT set_config('x.y', 'z', false); LISTEN x; DECLARE c CURSOR WITH HOLD FOR SELECT 1;\
         CREATE TABLE public.made (); SELECT 1 WHERE false;",
    );
    project.write(
        "checks/two.sql",
        "-- b\nSELECT pg_sleep(0.01); SELECT 'kept' FROM pg_prepared_statements WHERE name = 'q' UNION ALL SELECT 'temp' FROM pg_class \
         WHERE relname IN ('left_over', 'made') UNION ALL SELECT 'lock' FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() \
         UNION ALL SELECT 'cursor' FROM pg_cursors WHERE name = 'c' UNION ALL SELECT 'set' WHERE current_setting('x.y', true) <> '' \
         OR current_setting('search_path') = 'nowhere' OR current_setting('statement_timeout') = '77777ms'",
    );
    project.outgrow(["check"]).succeeds().prints(&["2 checks passed"]);
    assert!(!project.has_table("made"));
}

#[test]
fn a_number_of_a_sequence_is_all_that_stays() {
    let project = one(
        "-- a\nINSERT INTO t (mail) VALUES ('new') RETURNING id; UPDATE t SET pin = 0; SELECT 1 WHERE false",
    );
    let state = "SELECT xmin::text || ctid::text || id FROM t ORDER BY id";
    let before = project.query(state);
    project.outgrow(["check"]).succeeds();
    assert_eq!(project.query(state), before);
    assert_eq!(project.query("SELECT last_value::text FROM t_id_seq"), ["4"]);
}

#[test]
fn all_that_must_not_run_is_refused_at_once() {
    let text = "-- a\nBEGIN;\nSELECT 1;\ncommit;\n\\d t\nSAVEPOINT s; ROLLBACK TO s;\n  VACUUM t;\nCREATE INDEX CONCURRENTLY ON t (pin);\n\
        COPY t TO '/tmp/x';\nSELECT (SELECT setval('t_id_seq', 1));\nCREATE DATABASE x;\nEND;\nSTART TRANSACTION;\nPREPARE TRANSACTION 'x';\nDISCARD ALL;";
    let places = [
        "2:1: BEGIN",
        "4:1: COMMIT",
        "5:1: \\d",
        "6:1: SAVEPOINT",
        "6:14: ROLLBACK",
        "7:3: VACUUM",
        "8:1: CONCURRENTLY",
        "9:1: COPY",
        "10:16: setval",
        "11:1: CREATE DATABASE",
        "12:1: END",
        "13:1: START",
        "14:1: PREPARE",
        "15:1: DISCARD",
    ];
    let places = places.map(|place| format!("checks/one.sql:{place}"));
    refused(text, &places.each_ref().map(String::as_str));
    passes("-- a\nPREPARE q AS SELECT 1; DO $$ BEGIN END $$; SELECT 'COMMIT; setval' WHERE false");
    fails("-- a\nDO $$ BEGIN COMMIT; END $$;", &["one.sql:2:1: invalid transaction termination"]);
}

/// The server's own parser has the last word on where a statement ends.
#[test]
fn a_second_command_does_not_hide_behind_a_first() {
    // what is one text to the standard is a text and a COMMIT to a server with this setting
    let text = "-- a\nDELETE FROM t;\nSET standard_conforming_strings = off;\nSELECT '\\''''; COMMIT; --';\nSELECT 1 WHERE false";
    let project = one(text);
    project
        .outgrow(["check"])
        .exits(1)
        .prints(&["cannot insert multiple commands into a prepared statement"]);
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["3"]);
}

#[test]
fn files_that_are_no_checks_are_refused() {
    refused("", &["checks/one.sql:1:1: the name is missing", "one.sql:1:1: holds no statement"]);
    refused("-- a\n-- only words\n", &["checks/one.sql:1:1: holds no statement"]);
    refused("SELECT 1;", &["checks/one.sql:1:1: the name is missing", "-- Name of the check"]);
    refused("--\n-- budget: 1 s\nSELECT 1;", &["the name is missing"]);
    refused(b"-- a\nSELECT '\xff'", &["checks/one.sql: is not UTF-8 from byte 13 on"]);
    refused("-- a\nSELECT 1\0;", &["checks/one.sql:2:9: a NUL character"]);
    let project = one("-- a\nSELECT 1 WHERE false");
    project.write("checks/notes.md", "");
    project.write("checks/.hidden", "");
    project.write("checks/deep/b.sql", "SELECT 1");
    project
        .outgrow(["check"])
        .exits(2)
        .says(&["checks/notes.md: is no check", "checks/deep/b.sql:1:1: the name is missing"])
        .never_says(&["hidden"]);
}

#[test]
fn directives_that_mean_nothing_are_refused() {
    let at = |line: &str| format!("-- a\nSELECT 1;\n{line}\nSELECT 2;\n");
    refused(
        at("-- expect_error: 23505"),
        &["one.sql:3:1: expect_error is not a directive: write -- expect-error: …"],
    );
    refused(at("-- expect-error 23505"), &["one.sql:3:1: a colon is missing"]);
    refused(at("-- expect-error: unique_violation"), &["is not the SQLSTATE of an error", "23505"]);
    refused(at("-- budget: fast"), &["one.sql:3:1: budget: \"fast\" is not a time above 0, such as 50 ms"]);
    refused(
        at("-- timeout: 5 s"),
        &[
            "one.sql:3:1: timeout is not a directive; those that there are: expect-error, budget, connect-budget",
        ],
    );
    refused(at("-- connect-budget: 5 s"), &["one.sql:3:1: connect-budget belongs into the leading comment"]);
    refused(at("-- budget: 1 s\n-- budget: 2 s"), &["one.sql:4:1: given twice"]);
    refused(
        at("-- budget: 1 s\n-- expect-error: 23505"),
        &["one.sql:5:1: a statement that must be refused is not timed"],
    );
    refused(
        at("SELECT\n-- budget: 1 s\n3;"),
        &["one.sql:4:1: a directive stands on a line of its own, before the statement"],
    );
    refused(at("SELECT 3; -- budget: 1 s"), &["one.sql:3:11: a directive stands on a line of its own"]);
    refused("-- a\nSELECT 1;\n-- budget: 1 s\n", &["one.sql:3:1: no statement follows"]);
    refused(
        "-- a\n-- budget: 1 s\n-- expect-error: 22012\nSELECT 1 / 0",
        &["budget: there is no statement to time"],
    );
    passes("-- a\n-- Note: see https://example.com\nSELECT 1 -- id: the key\n WHERE false; -- note: x");
}
