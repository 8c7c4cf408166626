//! `outgrow verify` on keys and tables of every kind: rows are paired whatever names them.

use crate::support::Project;

/// Table `t` with a key of the type `kind`, the values of two rows, and one change that each comparison must find: the
/// second row's `n`.
fn key_of(before: &str, kind: &str, values: [&str; 2]) -> Project {
    let [first, second] = values;
    let project = Project::step(
        &format!("{before}; CREATE TABLE t (k {kind} PRIMARY KEY, n int);"),
        "\"t\"",
        &format!("CREATE TABLE t (k, n); INSERT INTO t VALUES ({first}, 1), ({second}, 2)"),
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds().prints(&["2 rows  equal"]);
    project.execute("UPDATE t SET n = 5 WHERE n = 2");
    let outcome = project.outgrow(["verify"]).exits(1);
    assert!(
        outcome.stdout.contains("differs: 1 changed") && outcome.stdout.contains("n in 1"),
        "{kind}: {outcome:#?}"
    );
    project.outgrow(["verify", "--show-values"]).exits(1).prints(&["n 2 became 5"]);
    project
}

#[test]
fn keys_of_every_type() {
    key_of("", "bigint", ["-9223372036854775808", "9223372036854775807"]);
    key_of("", "numeric", ["'1.50'", "'-100000000000000000000.5'"]);
    key_of("", "numeric(10,4)", ["1", "'-2.5'"]);
    key_of("", "double precision", ["-0.0", "9e999"]);
    key_of("", "real", ["0.5", "-1e30"]);
    key_of("", "char(5)", ["'ab'", "'ab c'"]);
    key_of("", "text COLLATE \"C\"", ["''", "'ñ'"]);
    key_of("", "bytea", ["x'00ff'", "x''"]);
    key_of("", "uuid", ["'0000000A-0000-0000-0000-00000000000B'", "x'000102030405060708090a0b0c0d0e0f'"]);
    key_of("", "timestamptz", ["'2024-01-02 03:04:05+02:00'", "'1999-12-31 23:59:59.999999Z'"]);
    key_of("", "boolean", ["0", "1"]);
    key_of("", "jsonb", ["'{\"b\":1,\"a\":2}'", "'[]'"]);
    key_of("CREATE TYPE mood AS ENUM ('sad', 'glad')", "mood", ["'sad'", "'glad'"]);
    key_of("CREATE DOMAIN pos AS int CHECK (VALUE > 0)", "pos", ["1", "2"]);
    let server = Project::empty();
    if !server.query("SELECT 'yes' FROM pg_available_extensions WHERE name = 'citext'").is_empty() {
        key_of("CREATE EXTENSION citext", "citext", ["'Ab'", "'c'"]);
    }
}

#[test]
fn a_unique_column_that_may_be_null_is_no_key() {
    let project = Project::one_table(
        "k int UNIQUE, v text",
        "CREATE TABLE t (k, v); INSERT INTO t VALUES (NULL, 'a'), (NULL, 'a'), (NULL, NULL), (1, 'b')",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds().prints(&["4 rows  equal"]);
    project.execute("DELETE FROM t WHERE v IS NULL; INSERT INTO t VALUES (NULL, 'a')");
    project.outgrow(["verify"]).exits(1).prints(&["1 missing, 1 added", "missing from the target: rowid 3"]);
}

#[test]
fn composite_keys_of_mixed_types_without_rowid() {
    let project = Project::one_table(
        "v text, a text, b int, c bytea, PRIMARY KEY (c, a, b)",
        "CREATE TABLE t (a, b, c, v, PRIMARY KEY (a, b, c)) WITHOUT ROWID;
         INSERT INTO t VALUES ('x', 1, x'01', 'p'), ('x1', 1, x'', 'q'), ('x', 11, x'', 'r'), ('', 2, x'0101', 's')",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
    project.execute("UPDATE t SET v = 'z' WHERE b = 11; DELETE FROM t WHERE b = 2");
    project.outgrow(["verify"]).exits(1).prints(&[
        "1 missing, 1 changed",
        "missing from the target: row number 1",
        "changed: row number 3",
    ]);
}

#[test]
fn tables_of_one_column_and_of_none_that_are_compared() {
    let project =
        Project::one_table("v int, w int", "CREATE TABLE t (v); INSERT INTO t VALUES (1), (1), (NULL)");
    project.outgrow(["migrate"]).succeeds();
    project.execute("UPDATE t SET w = v");
    project.outgrow(["verify"]).succeeds().prints(&["3 rows  equal"]);
    project.execute("UPDATE t SET v = NULL");
    project.outgrow(["verify"]).exits(1).prints(&["2 missing, 2 added"]);
    project.sqlite("app.db", "UPDATE t SET v = NULL");
    project.outgrow(["verify"]).succeeds();
    project.execute("ALTER TABLE t DROP COLUMN v");
    project.outgrow(["verify"]).succeeds().prints(&["3 rows  equal"]);
    project.execute("DELETE FROM t WHERE w = 1");
    project.outgrow(["verify"]).exits(1).prints(&["3 rows  differs: 2 missing"]);
}

#[test]
fn names_that_need_quotes() {
    let project = Project::step(
        "CREATE TABLE \"a\"\"b; --\" (\"x\"\"y\" int PRIMARY KEY, \"select\" text);",
        "'a\"b; --'",
        "CREATE TABLE \"a\"\"b; --\" (\"x\"\"y\", \"select\"); INSERT INTO \"a\"\"b; --\" VALUES (1, 'p'), (2, 'q')",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
    project.execute("UPDATE \"a\"\"b; --\" SET \"select\" = 'r' WHERE \"x\"\"y\" = 2");
    project.outgrow(["verify", "--show-values"]).exits(1).prints(&["2: x\"y 2, select 'q' became r"]);
}

#[test]
fn large_values_are_shown_by_their_beginnings() {
    let project = Project::one_table(
        "id int PRIMARY KEY, b bytea, t text, j json, x jsonb",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b, t, j, x);
         INSERT INTO t SELECT 1, zeroblob(3000000), s, '\"' || s || '\"', '\"' || s || '\"' FROM (SELECT replace(hex(zeroblob(500000)), '0', 'ñ') s)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("UPDATE t SET b = b || '\\x01', t = t || 'x', j = '1', x = jsonb_build_array(x)");
    let outcome = project.outgrow(["verify", "--show-values"]).exits(1).prints(&[
        "b x'0000",
        "00…' became \\x0000",
        "t 'ññ",
        "ñ…' became ñ",
        "j '\"ñ",
        " became 1, x '\"ñ",
        " became [\"ñ",
    ]);
    assert!(outcome.stdout.len() < 6000, "{}", outcome.stdout.len());
}

/// More rows than are held at a time, in tables with a key and without one.
#[test]
fn a_million_cells_that_all_differ() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v int, w text); CREATE TABLE u (v int, w text);",
        "\"t\", \"u\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v, w); CREATE TABLE u (v, w);
         WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 250000)
         INSERT INTO t SELECT i, i, 'w' || i FROM r;
         INSERT INTO u SELECT v, w FROM t",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "UPDATE t SET v = v + 1; UPDATE t SET w = w || 'x' WHERE id <= 1000; UPDATE u SET v = v + 1",
    );
    let json = project.outgrow(["verify", "--json"]).exits(1).json();
    let tables = &json["steps"][0]["tables"];
    assert_eq!((&tables[0]["changed"]["count"], &tables[0]["columns"]["w"]), (&250_000.into(), &1000.into()));
    assert_eq!(tables[0]["changed"]["first"][4]["key"]["id"], "5");
    assert_eq!(
        (&tables[1]["missing"]["count"], &tables[1]["added"]["count"]),
        (&250_000.into(), &250_000.into())
    );
    assert_eq!(tables[1]["missing"]["first"][4]["rowid"], 5);
}
