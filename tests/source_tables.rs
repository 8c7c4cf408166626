//! What a source can hold beside ordinary tables: virtual tables, views, other tools' books, names of any kind.

use crate::support::Project;

/// A step over `tables`, skipping `skip`, from a source made by `statements`; the target has `t (id int)`.
fn project(tables: &str, skip: &str, statements: &str) -> Project {
    let step = format!("source = \"sqlite\"\ntables = [{tables}]\nskip = [{skip}]\n");
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE t (id int); CREATE TABLE notes (title text, body text);"),
        ("migrations/V2__import.toml", &step),
    ]);
    project.sqlite("app.db", statements);
    project
}

const FTS: &str = "CREATE TABLE t (id); INSERT INTO t VALUES (1);
    CREATE VIRTUAL TABLE notes USING fts5(title, body); INSERT INTO notes VALUES ('a', 'b'), ('c', NULL)";

#[test]
fn a_virtual_table_with_rows_is_not_left_behind_silently() {
    project("'t'", "", FTS)
        .outgrow(["migrate"])
        .exits(6)
        .says(&["table notes: it holds rows and the step does not name it", "under skip"]);
    let empty = "CREATE TABLE t (id); CREATE VIRTUAL TABLE notes USING fts5(title)";
    project("'t'", "", empty).outgrow(["migrate"]).succeeds();
}

#[test]
fn a_virtual_table_that_is_skipped_is_named_with_its_shadow_tables() {
    let outcome = project("'t'", "'notes'", FTS).outgrow(["migrate"]).succeeds();
    outcome.prints(&["1 row", "notes ", "notes_content", "notes_data", "left behind"]);
}

#[test]
fn a_virtual_table_that_is_named_is_copied() {
    for module in ["fts5", "fts4", "fts3"] {
        let project = project("'t', 'notes'", "", &FTS.replace("fts5", module));
        project.outgrow(["migrate"]).succeeds().prints(&["3 rows"]);
        let found = project.query("SELECT title || coalesce(body, '-') FROM notes ORDER BY 1");
        assert_eq!(found, ["ab", "c-"], "{module}");
    }
}

#[test]
fn a_full_text_index_without_content_has_nothing_to_copy() {
    let contentless = "CREATE TABLE t (id);
        CREATE VIRTUAL TABLE notes USING fts5(title, body, content = ''); INSERT INTO notes VALUES ('a', 'b')";
    for tables in ["'t'", "'t', 'notes'"] {
        let project = project(tables, "", contentless);
        project.outgrow(["migrate"]).exits(6).says(&["table notes: it is a full-text index without content"]);
    }
    project("'t'", "'notes'", contentless).outgrow(["migrate"]).succeeds().prints(&["left behind"]);
}

#[test]
fn an_rtree_and_its_shadow_tables() {
    let rtree = "CREATE TABLE t (id); CREATE VIRTUAL TABLE spots USING rtree(id, x0, x1);
        INSERT INTO spots VALUES (1, 0, 1)";
    project("'t'", "", rtree).outgrow(["migrate"]).exits(6).says(&["table spots: it holds rows"]);
    project("'t'", "'spots'", rtree).outgrow(["migrate"]).succeeds().prints(&["spots_node", "left behind"]);
}

#[test]
fn a_virtual_table_of_an_unknown_module() {
    let unknown = "CREATE TABLE t (id); INSERT INTO t VALUES (1); PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING vec0(e float[3])')";
    project("'t'", "", unknown).outgrow(["migrate"]).exits(6).says(&[
        "table v: it is a virtual table",
        "no such module: vec0",
        "skip",
    ]);
    let project = project("'t'", "'v'", unknown);
    project.outgrow(["migrate"]).succeeds().prints(&["1 row", "left behind"]);
}

#[test]
fn views_hold_no_rows() {
    let views = "CREATE TABLE t (id); INSERT INTO t VALUES (1); CREATE VIEW names AS SELECT id FROM t;
        CREATE VIEW broken AS SELECT * FROM gone";
    let outcome = project("'t'", "", views).outgrow(["migrate"]).succeeds();
    outcome.prints(&["1 row"]).never_says(&["names", "broken"]);
    project("'t', 'Names'", "", views)
        .outgrow(["migrate"])
        .exits(6)
        .says(&["table Names: the step names it and it is a view", "name the tables it reads from"]);
    project("'t'", "'broken'", views).outgrow(["migrate"]).succeeds();
}

#[test]
fn bookkeeping_is_left_and_named_unless_the_step_names_it() {
    let books = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (1); ANALYZE;
        CREATE TABLE __EFMigrationsHistory (id); INSERT INTO __EFMigrationsHistory VALUES (1);
        CREATE TABLE knex_migrations (id); CREATE TABLE knex_migrations_lock (id); INSERT INTO knex_migrations_lock VALUES (0);
        CREATE TABLE notes (title, body)";
    let project = project("'t'", "", books);
    project.outgrow(["migrate"]).succeeds();
    let left = project.query("SELECT jsonb_array_elements_text(left_behind) FROM outgrow_receipt");
    // sqlite_sequence goes on in the target's sequences
    assert_eq!(left[..2], ["__EFMigrationsHistory", "knex_migrations_lock"]);
    assert!(left[2..].iter().all(|name| name.starts_with("sqlite_stat")) && left.len() > 2, "{left:?}");
    let named = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE alembic_version (version_num text);"),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"alembic_version\"]\n"),
    ]);
    named.sqlite(
        "app.db",
        "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('x')",
    );
    named.outgrow(["migrate"]).succeeds().prints(&["1 row"]);
    assert_eq!(named.query("SELECT version_num FROM alembic_version"), ["x"]);
}

#[test]
fn content_types_of_django_are_rows_of_the_application() {
    let django = "CREATE TABLE t (id); CREATE TABLE django_content_type (id); INSERT INTO django_content_type VALUES (1)";
    project("'t'", "", django)
        .outgrow(["migrate"])
        .exits(6)
        .says(&["table django_content_type: it holds rows"]);
}

#[test]
fn names_that_are_not_utf_8() {
    let project = project("'t'", "", "CREATE TABLE t (id); CREATE TABLE caf0 (id); CREATE TABLE c (caf1)");
    let mut bytes = std::fs::read(project.path("app.db")).expect("the source");
    for name in [&b"caf0"[..], b"caf1"] {
        while let Some(at) = bytes.windows(4).position(|window| window == name) {
            bytes[at + 3] = 0xe9;
        }
    }
    project.write("app.db", &bytes);
    project.outgrow(["migrate"]).exits(6).says(&[
        "table caf\u{fffd}: its name is not UTF-8",
        "table c: a column's name is not UTF-8",
        "ALTER TABLE",
    ]);
}

#[test]
fn long_names_and_names_with_every_kind_of_character() {
    let long = "l".repeat(3000);
    let name =
        format!("CREATE TABLE t (id); CREATE TABLE \"{long}\" (id); INSERT INTO \"{long}\" VALUES (1)");
    let project = project("'t'", "", &name);
    project.outgrow(["migrate"]).exits(6).says(&[&format!("table {long}: it holds rows")]);
    let odd = "CREATE TABLE t (id); CREATE TABLE \"a\tb\n'c' [d] `e` %s {} \u{1f511}\" (\"\", \"%\");
        INSERT INTO \"a\tb\n'c' [d] `e` %s {} \u{1f511}\" VALUES (1, 2)";
    self::project("'t'", "", odd).outgrow(["migrate"]).exits(6).says(&["%s {} \u{1f511}: it holds rows"]);
}

#[test]
fn a_name_with_a_nul_is_damage() {
    let project = project("'t'", "", "CREATE TABLE t (id); CREATE TABLE abcd (id)");
    let mut bytes = std::fs::read(project.path("app.db")).expect("the source");
    while let Some(at) = bytes.windows(4).position(|window| window == b"abcd") {
        bytes[at + 1] = 0;
    }
    project.write("app.db", &bytes);
    project.outgrow(["migrate"]).exits(6).says(&["it is damaged", "malformed database schema"]);
}

#[test]
fn strict_generated_and_without_rowid_tables() {
    let project = Project::with(&[
        (
            "migrations/V1__t.sql",
            "CREATE TABLE s (id int, b bytea, loose text, twice int); CREATE TABLE w (a int, k text, n int);",
        ),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"s\", \"w\"]\n"),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE s (id INTEGER PRIMARY KEY, b BLOB, loose ANY, twice INT AS (id * 2) STORED, thrice INT AS (id * 3)) STRICT;
         INSERT INTO s VALUES (1, x'00', 'x'), (2, NULL, '5');
         CREATE TABLE w (a INT, k TEXT, n INT, PRIMARY KEY (k, a)) WITHOUT ROWID;
         CREATE INDEX narrow ON w (n); INSERT INTO w VALUES (1, 'b', 3), (2, 'a', 2), (3, 'a', 1)",
    );
    project.outgrow(["migrate"]).succeeds().prints(&["5 rows"]);
    assert_eq!(
        project.query("SELECT id || ' ' || twice FROM s"),
        ["1 2", "2 4"],
        "computed there, stored here"
    );
    assert_eq!(project.query("SELECT string_agg(k || a || n, ' ' ORDER BY k, a) FROM w"), ["a22 a31 b13"]);
}

/// An index is never asked which rows there are: one that lacks a row must not make it disappear.
#[test]
fn rows_that_an_index_lacks_arrive() {
    let project = Project::one_table("id int", "CREATE TABLE t (id INT, filler); CREATE INDEX i ON t (id)");
    let lacking = "INSERT INTO t SELECT value, hex(zeroblob(50)) FROM json_each('[1, 2, 3]'); PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (id) WHERE id < 0' WHERE name = 'i'";
    project.sqlite("app.db", lacking);
    project.sqlite("app.db", "INSERT INTO t VALUES (4, ''), (5, '')");
    let whole = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (id)' WHERE name = 'i'";
    project.sqlite("app.db", whole);
    project.write("migrations/V1__create_t.sql", "CREATE TABLE t (id int, filler text);");
    project.outgrow(["migrate"]).succeeds().prints(&["5 rows"]);
}

#[test]
fn a_collation_that_only_the_application_has() {
    let collated = "CREATE TABLE t (id INT COLLATE NOCASE); CREATE INDEX i ON t (id); INSERT INTO t VALUES (1);
        CREATE TABLE notes (title TEXT COLLATE NOCASE PRIMARY KEY, body) WITHOUT ROWID; INSERT INTO notes VALUES ('a', 'b')";
    let project = project("'t', 'notes'", "", collated);
    project.sqlite(
        "app.db",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'ICU_DE')",
    );
    let outcome = project.outgrow(["migrate"]).exits(6);
    outcome
        .says(&[
            "table notes: no such collation sequence: ICU_DE: only the application has it",
            "and name the copy",
        ])
        .never_says(&["table t:"]);
}

/// A hand would have to type each of them.
#[test]
fn a_list_of_all_tables_is_ready_to_be_pasted() {
    let source = "CREATE TABLE t (id); CREATE TABLE \"a b\" (v); CREATE TABLE c (v); CREATE TABLE idle (v);
         INSERT INTO t VALUES (1); INSERT INTO \"a b\" VALUES (1); INSERT INTO c VALUES (1)";
    let refused = project("'t'", "", source).outgrow(["migrate"]).exits(6);
    refused.says(&["to bring all of them: tables = [\"t\", \"a b\", \"c\"]"]);
}
