//! Foreign keys on the way back: those of the source's own schema that SQLite cannot check, and those of tables that never came
//! from SQLite, in the file's names and as far as SQLite can use them.

use crate::support::{Project, cells};

#[test]
fn foreign_keys_that_refer_to_no_key_are_the_schemas_own_matter() {
    let project = Project::step(
        "CREATE TABLE p (id int, a int, b int); CREATE TABLE q (id int PRIMARY KEY);
         CREATE TABLE t (id int PRIMARY KEY, p int); CREATE TABLE whole (id int PRIMARY KEY, q int);
         CREATE TABLE u (id int PRIMARY KEY, p int); CREATE TABLE v (id int PRIMARY KEY, p int); CREATE TABLE w (id int PRIMARY KEY, p int)",
        "\"p\", \"q\", \"t\", \"u\", \"v\", \"w\", \"whole\"",
        "CREATE TABLE p (id INT, a INT, b INT, PRIMARY KEY (a, b)); CREATE TABLE q (id INTEGER PRIMARY KEY); CREATE VIEW seen AS SELECT id FROM p;
         CREATE TABLE t (id INTEGER PRIMARY KEY, p INT REFERENCES p (id)); CREATE TABLE u (id INTEGER PRIMARY KEY, p INT REFERENCES p);
         CREATE TABLE v (id INTEGER PRIMARY KEY, p INT REFERENCES p (none)); CREATE TABLE w (id INTEGER PRIMARY KEY, p INT REFERENCES seen (id));
         CREATE TABLE whole (id INTEGER PRIMARY KEY, q INT REFERENCES q);
         INSERT INTO p VALUES (1, 2, 3); INSERT INTO t VALUES (1, 1); INSERT INTO u VALUES (1, 1); INSERT INTO v VALUES (1, 1); INSERT INTO w VALUES (1, 1);
         INSERT INTO whole VALUES (1, 5);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds().prints(&[
        "t: SQLite cannot check whether its rows refer to rows that are there (foreign key mismatch - \"t\" referencing \"p\")",
        "(foreign key mismatch - \"u\" referencing \"p\")",
        "(foreign key mismatch - \"v\" referencing \"p\")",
        "(foreign key mismatch - \"w\" referencing \"seen\")",
        "whole: 1 rows refer to rows of q that are not there",
    ]);
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}
