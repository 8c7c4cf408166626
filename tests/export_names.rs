//! Names on the way back: what the target has under names that the file cannot have is refused with the reason, all of
//! it at once.

use crate::support::{Project, cells};

#[test]
fn a_table_split_over_two_steps_is_refused_with_the_reason() {
    let project = Project::step(
        "CREATE TABLE a (id int PRIMARY KEY, x text); CREATE TABLE b (id int PRIMARY KEY, y text)",
        "\"t\"]\n[table.t]\ntarget = \"a\"\n[table.t.column.y]\nskip = true\n#",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y TEXT); INSERT INTO t VALUES (1, 'p', 'q');",
    );
    project.write(
        "migrations/V3__rest.toml",
        "source = \"sqlite\"\ntables = [\"t\"]\n[table.t]\ntarget = \"b\"\n[table.t.column.x]\nskip = true\n",
    );
    project.outgrow(["migrate"]).succeeds();
    project
        .outgrow(["export", "back.db"])
        .exits(6)
        .says(&[
            "table t: V2__import brought it into the target's table a, and V3__rest into b",
            "drop in a version the one",
        ])
        .never_says(&["UNIQUE"]);
    project.execute("DROP TABLE b");
    project
        .outgrow(["export", "back.db"])
        .succeeds()
        .prints(&["t: the rows of a; V3__rest brought it into b, and the target has no table b any more"]);
    assert_eq!(cells::query(&project.path("back.db"), "SELECT * FROM t"), ["1 | 'p' | NULL"]);
}

#[test]
fn names_that_sqlite_takes_for_others_are_refused_all_at_once() {
    let project = Project::step(
        "CREATE TABLE \"Item\" (id int PRIMARY KEY); CREATE TABLE places (id int PRIMARY KEY)",
        "\"Item\", \"t\"]\n[table.t]\ntarget = \"places\"\n#",
        "CREATE TABLE Item (id INTEGER PRIMARY KEY); INSERT INTO Item VALUES (1);
         CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);
         CREATE VIEW seen AS SELECT id FROM t; CREATE INDEX by_id ON t (id);",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE seen (id int); CREATE TABLE \"By_Id\" (id int);
         CREATE TABLE sqlite_own (id int); CREATE TABLE nothing (); CREATE TABLE fields (v int, \"V\" int)",
    );
    project.outgrow(["export", "back.db"]).exits(6).says(&[
        "tables Item (where V2__import brought the file's table Item) and item: the file cannot have both",
        "rename item in a version",
        "tables places (where V2__import brought the file's table t) and t: the file cannot have both",
        "table seen: the file has the source's view of that name",
        "table By_Id: the file has the source's index of that name",
        "table sqlite_own: SQLite keeps names that begin with sqlite_ for itself",
        "table nothing: it has no column",
        "table fields: SQLite takes the names of its columns v and V for the same",
    ]);
    assert!(!project.path("back.db").exists());
}

#[test]
fn a_trigger_may_have_the_name_of_a_table() {
    let project = Project::one_table(
        "id int PRIMARY KEY",
        "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TRIGGER t AFTER DELETE ON t BEGIN SELECT 1; END; INSERT INTO t VALUES (1)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

#[test]
fn a_target_without_a_table_is_said_to_have_none() {
    let project = Project::with(&[("migrations/V1__t.sql", "CREATE TABLE t (id int);")]);
    project
        .outgrow(["export", "back.db"])
        .exits(2)
        .says(&["there is nothing to export", "outgrow migrate"])
        .never_says(&["failed start"]);
}
