//! Foreign keys on the way back: those of the source's own schema that SQLite cannot check, and those of tables that
//! never came from SQLite, in the file's names and as far as SQLite can use them.

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
        "whole: 1 row without its row of q, as in the target",
    ]);
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

/// What the file's table `audit` was made by, in one line.
fn made(project: &Project) -> String {
    let found = cells::query(&project.path("back.db"), "SELECT sql FROM sqlite_schema WHERE name = 'audit'");
    found.concat().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn foreign_keys_of_tables_that_never_came_from_sqlite_are_in_the_names_of_the_file() {
    let project = Project::step(
        "CREATE TABLE bots (id int PRIMARY KEY, region int, label text, UNIQUE (region, label))",
        "\"bot\"]\n[table.bot]\ntarget = \"bots\"\n[table.bot.column.name]\ntarget = \"label\"\n#",
        "CREATE TABLE bot (ID INTEGER PRIMARY KEY, region INT, name TEXT, UNIQUE (name, region)); INSERT INTO bot VALUES (1, 2, 'x');",
    );
    project.write(
        "migrations/V3__audit.sql",
        "CREATE TABLE audit (id int PRIMARY KEY, bot int REFERENCES bots, r int, n text, up int REFERENCES audit,
                             FOREIGN KEY (r, n) REFERENCES bots (region, label));
         INSERT INTO audit VALUES (1, 1, 2, 'x', 1)",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    assert_eq!(outcome.json()["notes"], serde_json::json!([]));
    let made = made(&project);
    for key in [
        "FOREIGN KEY (\"bot\") REFERENCES \"bot\" (\"ID\")",
        "FOREIGN KEY (\"r\", \"n\") REFERENCES \"bot\" (\"region\", \"name\")",
        "FOREIGN KEY (\"up\") REFERENCES \"audit\" (\"id\")",
    ] {
        assert!(made.contains(key), "{made}");
    }
    project.sqlite(
        "back.db",
        "PRAGMA foreign_keys = ON; INSERT INTO audit (id, bot, r, n) VALUES (2, 1, 2, 'x');",
    );
}

#[test]
fn foreign_keys_that_sqlite_could_not_use_are_left_out_with_a_note() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, name text, hidden int UNIQUE); CREATE UNIQUE INDEX ON t (name)",
        "\"t\"]\n[table.t.column.hidden]\nskip = true\n#",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, hidden INT); INSERT INTO t VALUES (1, 'x', NULL);",
    );
    project.write(
        "migrations/V3__audit.sql",
        "ALTER TABLE t ADD org int DEFAULT 7, ADD UNIQUE (org, id);
         CREATE SCHEMA far; CREATE TABLE far.t (id int PRIMARY KEY);
         CREATE TABLE ours (id int, code text, twice int GENERATED ALWAYS AS (id * 2) STORED UNIQUE, PRIMARY KEY (id, twice));
         CREATE UNIQUE INDEX ON ours (code) INCLUDE (id);
         CREATE TABLE audit (id int PRIMARY KEY, t int REFERENCES t, name text REFERENCES t (name), hidden int REFERENCES t (hidden),
                             org int, far int REFERENCES far.t, code text REFERENCES ours (code), twice int REFERENCES ours (twice),
                             FOREIGN KEY (org, t) REFERENCES t (org, id));
         INSERT INTO audit (id, t, name) VALUES (1, 1, 'x')",
    );
    project.outgrow(["migrate"]).succeeds();
    let no_key = "audit: its foreign key (name) to the target's t (name) is not in the file: SQLite wants a key of t on these columns";
    project.outgrow(["export", "back.db"]).succeeds().prints(&[
        no_key,
        "(hidden) to the target's t (hidden) is not in the file: no column of the file's table t gets what is in hidden",
        "(org, t) to the target's t (org, id) is not in the file: no column of the file's table t gets what is in org",
        "(far) to the target's t (id) is not in the file: the file has no such table",
        "(twice) to the target's ours (twice) is not in the file: no column of the file's table ours gets what is in twice",
        "ours: its key (id, twice) is not in the file: the file's table has no column twice, which the target computes",
        "ours: its key (twice) is not in the file",
    ]);
    let made = made(&project);
    assert_eq!(made.matches("REFERENCES").count(), 2, "{made}");
    assert!(made.contains("FOREIGN KEY (\"t\") REFERENCES \"t\" (\"id\")"), "{made}");
    assert!(made.contains("FOREIGN KEY (\"code\") REFERENCES \"ours\" (\"code\")"), "{made}");
    project.sqlite(
        "back.db",
        "PRAGMA foreign_keys = ON; UPDATE t SET name = 'y'; INSERT INTO ours VALUES (1, 'c');
         INSERT INTO audit (id, t, code) VALUES (2, 1, 'c');",
    );
}
