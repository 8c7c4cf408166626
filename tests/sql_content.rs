//! What a failed version says shows where it is and nothing of the rows.

use crate::sql::{fails, second};

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

#[test]
fn content_that_is_read_as_something_else_is_not_shown() {
    for text in [
        "SELECT to_tsquery('simple', mail || ' & & x') FROM t;",
        "SELECT ('<a>' || mail)::xml FROM t;",
        "SELECT mail::regclass FROM t;",
        "SELECT mail::regproc FROM t;",
        "SELECT mail::regtype FROM t;",
        "SELECT ts_headline('a', 'a'::tsquery, mail) FROM t;",
    ] {
        let project = second(&format!("INSERT INTO t VALUES (1, '{CONTENT}');"));
        project.outgrow(["migrate"]).succeeds();
        project.write("migrations/V3__reads.sql", text);
        project.outgrow(["migrate"]).exits(7).says(&["V3__reads.sql:1:"]).never_says(&[CONTENT]);
    }
    let two = fails(&second("ALTER TABLE t DROP CONSTRAINT none;"), &[]);
    two.says(&["constraint \"none\" of relation \"t\" does not exist"]);
}
