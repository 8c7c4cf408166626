//! `outgrow verify` and types that only the server can read: it spells both sides, in a temporary table that does not
//! stay.

use crate::support::{Project, Role};

/// Table `t (id, v, n)` with `v` of type `kind`, made after `before`, and the rows `values`, numbered from 1; migrated.
fn of_type(before: &str, kind: &str, values: &[&str]) -> Project {
    let rows: Vec<String> =
        values.iter().zip(1..).map(|(value, id)| format!("({id}, {value}, {id})")).collect();
    let project = Project::step(
        &format!("{before}; CREATE TABLE t (id int PRIMARY KEY, v {kind}, n int);"),
        "\"t\"",
        &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v, n); INSERT INTO t VALUES {}", rows.join(", ")),
    );
    project.outgrow(["migrate"]).succeeds();
    project
}

#[track_caller]
fn is_equal(project: &Project) {
    let outcome = project.outgrow(["verify"]).succeeds().prints(&[": equal"]);
    assert!(!outcome.stdout.contains("not compared"), "{outcome:#?}");
}

#[test]
fn values_of_every_such_type_are_compared() {
    for (before, kind, first, second, other) in [
        ("", "int[]", "'{1, 2}'", "NULL", "{2,1}"),
        ("", "text[]", "'{a,\"b c\",NULL}'", "'{\"\"}'", "{}"),
        ("", "float8[]", "'{0.1, 0.30000000000000004}'", "'{0.1}'", "{0.10000000000000002}"),
        ("", "point", "'1, -0.1'", "NULL", "(0,0)"),
        ("", "money", "12.5", "7", "$7.01"),
        ("", "bit(3)", "'101'", "110", "111"),
        ("", "int4range", "'[1,5]'", "'empty'", "[1,2)"),
        ("", "tsvector", "'b a:1'", "''", "''a''"),
        ("", "numeric(6,2)[]", "'{1.5,2}'", "'{}'", "{0.00}"),
        ("", "\"char\"", "'x'", "''", "y"),
        ("CREATE TYPE pair AS (a int, \"B b\" text)", "pair", "'(1,\"x y\")'", "'(,)'", "(,x)"),
        (
            "CREATE DOMAIN few AS int[] CHECK (cardinality(VALUE) < 3)",
            "few NOT NULL",
            "'{1}'",
            "'{2}'",
            "{3}",
        ),
    ] {
        let project = of_type(before, kind, &[first, second]);
        is_equal(&project);
        project.execute(&format!("UPDATE t SET v = '{other}' WHERE id = 2"));
        let changed = ["1 row changed: id 2", "columns that differ: v in 1"];
        // a setting that would hide the last digits
        let url = format!("{}?options=-c%20extra_float_digits%3D-3", project.url());
        project.outgrow(["verify", "--database-url", &url]).exits(1).prints(&changed);
        let shown = format!("2: id 2, v {second} became {}", other.replace("''", "'"));
        project.outgrow(["verify", "--show-values"]).exits(1).prints(&[&shown]);
    }
}

#[test]
fn keys_of_such_types_pair_the_rows() {
    let project = Project::step(
        "CREATE TABLE t (v int4range, w int[], n int, PRIMARY KEY (w, v));",
        "\"t\"",
        "CREATE TABLE t (v, w, n); INSERT INTO t VALUES ('[1,2]', '{ 1}', 1), ('[3,4]', '{1}', 2), ('[3,5)', '{2}', 3), ('[9,9]', '{}', 4)",
    );
    project.outgrow(["migrate"]).succeeds();
    is_equal(&project);
    project.execute(
        "UPDATE t SET n = 5 WHERE n = 2; DELETE FROM t WHERE n = 3; INSERT INTO t VALUES ('[7,8)', '{}', 6)",
    );
    let outcome = project.outgrow(["verify"]).exits(1).prints(&[
        "1 missing, 1 added, 1 changed",
        "missing from the target: rowid 3",
        "changed: rowid 2",
        "n in 1",
    ]);
    outcome.never_says(&["[7,8)"]);
    project
        .outgrow(["verify", "--show-values"])
        .exits(1)
        .prints(&["v '[3,4]', w '{1}', n 2 became 5", "v [7,8), w {}"]);
}

#[test]
fn rows_that_go_elsewhere_do_not_shift_the_others() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v int[], n int",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v, n);
         INSERT INTO t VALUES (1, '{1}', 1), (2, 'no array', 'x'), (3, NULL, 3), (4, '{4}', 'y'), (5, '{5}', 5)",
    );
    project.write(
        "migrations/V2__import.toml",
        "source = \"sqlite\"\ntables = [\"t\"]\n[table.t.column.n]\nmisfit = \"quarantine\"\n",
    );
    project.outgrow(["migrate"]).succeeds();
    let equal = project.outgrow(["verify"]).succeeds();
    equal.prints(&["t               3 rows  equal", "t, quarantined  2 rows  equal"]);
    project.execute("UPDATE t SET v = '{6}' WHERE id = 5");
    project.outgrow(["verify"]).exits(1).prints(&["1 row changed: id 5", "v in 1"]);
}

#[test]
fn what_the_server_does_not_take_any_more_is_part_of_the_report() {
    let project = of_type("", "int[]", &["'{1}'", "'{2}'", "NULL", "'{4}'"]);
    project.sqlite(
        "app.db",
        "UPDATE t SET v = 'secret' WHERE id IN (2, 3); UPDATE t SET v = x'00' WHERE id = 1; UPDATE t SET v = ' {4}' WHERE id = 4",
    );
    project.outgrow(["verify"]).exits(1).never_says(&["secret"]).prints(&[
        "3 changed, 3 that do not fit",
        "3 rows changed: id 1, id 2, id 3",
        "v: a blob in 1 row of the source, rowid 1; the target's column, integer[], takes text that PostgreSQL reads as integer[]",
        "v: text that the server does not take as this type in 2 rows of the source, rowid 2, 3;",
    ]);
    project
        .outgrow(["verify", "--show-values"])
        .exits(1)
        .prints(&["v 'secret' became {2}", "v 'secret' became NULL"]);
}

#[test]
fn a_cast_that_cuts_or_rounds_hides_nothing() {
    for (kind, value, longer) in [("bit(3)", "'101'", "'1010'"), ("numeric(4,2)[]", "'{1.23}'", "'{1.234}'")]
    {
        let project = of_type("", kind, &[value]);
        is_equal(&project);
        project.sqlite("app.db", &format!("UPDATE t SET v = {longer}"));
        project
            .outgrow(["verify"])
            .exits(1)
            .prints(&["1 row changed: id 1", "text that the server does not take"]);
    }
}

#[test]
fn characters_that_the_database_does_not_have_do_not_end_it() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v text[]",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, '{ñ}'), (2, '{b}')",
    )
    .encoded_in("LATIN1");
    project.outgrow(["migrate"]).succeeds();
    is_equal(&project);
    project.sqlite("app.db", "UPDATE t SET v = '{中}' WHERE id = 2");
    project.outgrow(["verify"]).exits(1).prints(&["1 row changed: id 2", "rowid 2;"]);
}

#[test]
fn where_no_temporary_table_can_be_made_such_columns_are_named() {
    let project = of_type("", "point", &["'1,2'", "NULL"]);
    let role = Role::without_temporary_tables(&project);
    project.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{}\"", role.name));
    project.execute("UPDATE t SET v = '(5,5)' WHERE id = 1");
    let named =
        "equal; not compared: v (point: only the server can read it, which takes TEMPORARY on the database)";
    project.run(&mut role.command("verify")).succeeds().prints(&[named]);
    project.outgrow(["verify"]).exits(1).prints(&["1 row changed: id 1"]);
    let url = format!("{}?options=-c%20default_transaction_read_only%3Don", project.url());
    let json = project.outgrow(["verify", "--json", "--database-url", &url]).succeeds().json();
    let reason = "v (point: only the server can read it, and transactions are read-only here)";
    assert_eq!(json["steps"][0]["tables"][0]["not_compared"], serde_json::json!([reason]));
}

#[test]
fn nothing_stays() {
    let project = of_type("", "int[]", &["'{1}'", "'{2}'"]);
    let state = "SELECT (SELECT string_agg(xmin::text || ctid::text, ',' ORDER BY id) FROM t) || ' ' ||
                 (SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relname !~ '^pg_toast')";
    project.execute("UPDATE t SET v = '{3}' WHERE id = 2");
    let before = project.query(state);
    project.outgrow(["verify", "--show-values"]).exits(1).prints(&["v '{2}' became {3}"]);
    assert_eq!(project.query(state), before);
}

/// More than waits in memory, in many chunks, and not in the order of the keys.
#[test]
fn a_large_table() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v text[], p point",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v, p);
         WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 150000)
         INSERT INTO t SELECT (i * 7919) % 1000003, '{' || i || ', \"' || hex(zeroblob(40)) || '\"}', i || ',1' FROM r",
    );
    project.outgrow(["migrate"]).succeeds();
    is_equal(&project);
    project.execute(
        "UPDATE t SET p = '(0,0)' WHERE id % 1000 = 1; UPDATE t SET v = v || '{x}' WHERE id % 1000 = 1",
    );
    let changed = project.query("SELECT count(*)::text FROM t WHERE id % 1000 = 1").remove(0);
    let json = project.outgrow(["verify", "--json"]).exits(1).json();
    let table = &json["steps"][0]["tables"][0];
    for count in [&table["changed"]["count"], &table["columns"]["p"], &table["columns"]["v"]] {
        assert_eq!(count.to_string(), changed);
    }
}

#[test]
fn time_outs_of_the_platform_do_not_end_it() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v int[]",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v);
         WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 100000)
         INSERT INTO t SELECT i, '{' || i || '}' FROM r",
    );
    project.outgrow(["migrate"]).succeeds();
    let name = project.query("SELECT quote_ident(current_database())").remove(0);
    project.execute(&format!(
        "ALTER DATABASE {name} SET statement_timeout = '100ms'; \
         ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '1ms'"
    ));
    is_equal(&project);
}
