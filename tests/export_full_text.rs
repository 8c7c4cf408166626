//! Full-text indexes on the way back: those over another table's text are built anew, those with text of their own are
//! filled like any table.

use crate::support::{Outcome, Project, cells};

const INDEXED: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (10, 'hello'), (20, 'world');
    CREATE VIRTUAL TABLE f USING fts5(v, content='t', content_rowid='id'); INSERT INTO f (f) VALUES ('rebuild');
    CREATE VIRTUAL TABLE f4 USING fts4(content=\"t\"); INSERT INTO f4 (f4) VALUES ('rebuild');
    CREATE VIEW seen AS SELECT id, v FROM t;
    CREATE VIRTUAL TABLE \"of view\" USING fts5(v, content=seen, content_rowid=id); INSERT INTO \"of view\" (\"of view\") VALUES ('rebuild');";

fn notes(outcome: &Outcome) -> Vec<String> {
    let json = outcome.json();
    let notes = json["notes"].as_array().expect("notes").iter();
    notes.map(|note| note.as_str().expect("a text").to_owned()).collect()
}

#[track_caller]
fn finds(project: &Project, index: &str, word: &str, rows: &[&str]) {
    let query = format!("SELECT rowid, v FROM \"{index}\" WHERE \"{index}\" MATCH '{word}'");
    assert_eq!(cells::query(&project.path("back.db"), &query), rows, "{index}");
}

#[test]
fn an_index_that_the_step_skips_is_built_over_the_rows_of_the_file() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "\"t\"]\nskip = [\"f\", \"f4\", \"of view\"",
        &format!(
            "{INDEXED} CREATE TRIGGER changed AFTER UPDATE ON t BEGIN
                 INSERT INTO f (f, rowid, v) VALUES ('delete', old.id, old.v); INSERT INTO f (rowid, v) VALUES (new.id, new.v);
             END"
        ),
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (30, 'hello again')");
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    assert_eq!(notes(&outcome), [""; 0]);
    for index in ["f", "f4", "of view"] {
        finds(&project, index, "hello", &["10 | 'hello'", "30 | 'hello again'"]);
    }
    project.sqlite(
        "back.db",
        "UPDATE t SET v = 'other' WHERE id = 10; INSERT INTO f (f, rank) VALUES ('integrity-check', 1);",
    );
    finds(&project, "f", "hello", &["30 | 'hello again'"]);
}

#[test]
fn an_index_that_the_step_names_is_built_and_not_filled() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE f (v text)",
        "\"t\", \"f\"]\nskip = [\"f4\", \"of view\"",
        INDEXED,
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    let said = "f: its full-text index is built anew over the text that its content table has in the file, and the rows of the target's \
                table f are not read";
    assert_eq!(notes(&outcome), [said]);
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
    finds(&project, "f", "hello", &["10 | 'hello'"]);
    project.outgrow(["verify", "--source", "back.db"]).succeeds();
}

#[test]
fn an_index_over_a_table_that_is_gone_stays_empty() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "\"t\"]\nskip = [\"f\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (10, 'hello');
         CREATE TABLE gone (v); CREATE VIRTUAL TABLE f USING fts5(v, content=gone); DROP TABLE gone;",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    let notes = notes(&outcome);
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(
        note.starts_with("f: its full-text index is empty: SQLite cannot read its content table ("),
        "{note}"
    );
}

#[test]
fn an_index_with_its_own_text_has_new_rowids() {
    let project = Project::step(
        "CREATE TABLE f (v text); CREATE TABLE f4 (v text)",
        "\"f\", \"f4\"]\nskip = [\"left\", \"without\"",
        "CREATE VIRTUAL TABLE f USING fts5(v); INSERT INTO f (rowid, v) VALUES (10, 'hello'), (20, 'world');
         CREATE VIRTUAL TABLE f4 USING fts4(v); INSERT INTO f4 (docid, v) VALUES (10, 'hello'), (20, 'world');
         CREATE VIRTUAL TABLE left USING fts5(v); INSERT INTO left VALUES ('hello');
         CREATE VIRTUAL TABLE without USING fts5(v, content=''); INSERT INTO without (rowid, v) VALUES (1, 'hello');",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    let anew = |table: &str| {
        format!(
            "{table}: its rowids are made anew, because no column of it has them: what refers to rows of it by rowid is to be set again"
        )
    };
    let mut notes = notes(&outcome);
    notes.sort();
    let left = |table: &str| format!("{table}: empty in the file; V2__import left it behind");
    assert_eq!(notes, [anew("f4"), anew("f"), left("left"), left("without")]);
    for index in ["f", "f4"] {
        finds(&project, index, "world", &["2 | 'world'"]);
    }
}

#[test]
fn a_table_of_the_application_that_is_named_like_a_modules_is_its_own() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "\"t\"]\nskip = [\"f\", \"f_content\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (10, 'hello');
         CREATE TABLE f_content (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO f_content VALUES (1, 'mine');
         CREATE VIRTUAL TABLE f USING fts5(v, c = 't', content_rowid = 'id'); INSERT INTO f (f) VALUES ('rebuild');",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["export", "back.db", "--json"]).succeeds();
    assert_eq!(notes(&outcome), ["f_content: empty in the file; V2__import left it behind"]);
    finds(&project, "f", "hello", &["10 | 'hello'"]);
}
