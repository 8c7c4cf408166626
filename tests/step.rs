//! The data step: what arrives, what is refused, and that a refusal keeps nothing. Values have `values.rs`.

use crate::support::Project;

#[test]
fn enums_and_domains() {
    let project = Project::with(&[
        (
            "migrations/V1__t.sql",
            "CREATE TYPE side AS ENUM ('BUY', 'SELL'); CREATE DOMAIN small AS numeric(4,1) NOT NULL; CREATE TABLE t (s side, d small);",
        ),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"t\"]\n"),
    ]);
    project.sqlite("app.db", "CREATE TABLE t (s, d); INSERT INTO t VALUES ('BUY', 1.5), (NULL, 999.9), ('buy', 1), ('SELL', 0.25), ('SELL', NULL)");
    project.outgrow(["migrate"]).exits(6).says(&[
        "t.s: text that is none of the labels in 1 row, rowid 3",
        "one of BUY, SELL",
        "t.d: NULL in 1 row, rowid 5",
        "rowid 4",
    ]);
    project.sqlite("app.db", "DELETE FROM t WHERE rowid > 2");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT coalesce(s::text, '-') || d FROM t ORDER BY d"), ["BUY1.5", "-999.9"]);
}

#[test]
fn all_misfits_are_reported_at_once_and_without_content() {
    let project = Project::intelibotx_from("intelibotx-rich.db");
    project.sqlite("app.db", "UPDATE botconfig SET leverage = 'SECRET' WHERE id IN (1, 3); UPDATE \"user\" SET created_at = 5 WHERE id = 2;
        UPDATE botconfig SET name = NULL WHERE 0; UPDATE usersession SET is_active = 2 WHERE id < 8");
    project
        .outgrow(["migrate"])
        .exits(6)
        .says(&[
            "botconfig.leverage: text that is not a whole number in 2 rows, rowid 1, 3; the target's column, integer, takes an integer from -2147483648 to 2147483647",
            "user.created_at: an integer in 1 row, rowid 2; the target's column, timestamp without time zone, NOT NULL",
            "usersession.is_active: an integer other than 0 and 1 in 7 rows, rowid 1, 2, 3, 4, 5, …",
            "nothing was kept",
        ])
        .never_says(&["SECRET"]);
    assert_eq!(project.query("SELECT count(*)::text FROM \"user\""), ["0"]);
    assert_eq!(project.query("SELECT last_value::text FROM user_id_seq"), ["1"], "not even a sequence moved");
}

#[test]
fn normalised_values_are_counted() {
    let project = Project::one_table(
        "a boolean, b int",
        "CREATE TABLE t (a, b); INSERT INTO t VALUES ('t', 1), (1, 2.0), (0, 3)",
    );
    let outcome = project.outgrow(["migrate"]).succeeds().prints(&["normalised: a 1, b 1"]);
    drop(outcome);
    assert_eq!(
        project.query("SELECT tables->0->>'normalised' FROM outgrow_receipt"),
        ["{\"a\": 1, \"b\": 1}"]
    );
}

#[test]
fn tables_are_loaded_in_the_order_of_their_foreign_keys() {
    let project = Project::with(&[
        (
            "migrations/V1__t.sql",
            "CREATE TABLE a (id int PRIMARY KEY, up int REFERENCES a); CREATE TABLE b (id int REFERENCES a);",
        ),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"b\", \"a\"]\n"),
    ]);
    project.sqlite("app.db", "CREATE TABLE a (id, up); CREATE TABLE b (id); INSERT INTO a VALUES (1, 2), (2, NULL); INSERT INTO b VALUES (2)");
    project.outgrow(["migrate"]).succeeds().prints(&["3 rows"]);
}

#[test]
fn an_orphan_is_refused_with_its_constraint() {
    let project = Project::intelibotx_from("intelibotx-rich.db");
    project.sqlite("app.db", "UPDATE botconfig SET exchange_id = 1900009999 WHERE id = 1");
    project
        .outgrow(["migrate"])
        .exits(6)
        .says(&["botconfig.exchange_id: no row of userexchange(id) for the value in 1 row, rowid 1; \
             foreign key botconfig_exchange_id_fkey"])
        .never_says(&["1900009999"]);
    assert_eq!(project.query("SELECT count(*)::text FROM \"user\""), ["0"]);
}

#[test]
fn ids_go_on_above_the_largest_ever_used() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE s (id serial PRIMARY KEY, v text); CREATE TABLE i (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
            CREATE TABLE e (id serial, v text); CREATE TABLE f (id smallserial, v text);"),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"s\", \"i\", \"e\", \"f\"]\n"),
    ]);
    project.sqlite("app.db", "CREATE TABLE s (id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO s VALUES (7, 'a'), (40, 'b'); DELETE FROM s WHERE id = 40;
        CREATE TABLE i (id INTEGER PRIMARY KEY, v); INSERT INTO i VALUES (5, 'a'); CREATE TABLE e (id INTEGER PRIMARY KEY, v);
        CREATE TABLE f (id INTEGER PRIMARY KEY, v); INSERT INTO f VALUES (32767, 'last')");
    project.outgrow(["migrate"]).succeeds();
    let next =
        |table: &str| project.query(&format!("INSERT INTO {table} (v) VALUES ('new') RETURNING id::text"));
    assert_eq!(next("s"), ["41"], "sqlite_sequence counts");
    assert_eq!(next("i"), ["6"]);
    assert_eq!(next("e"), ["1"]);
    project.connect().batch_execute("INSERT INTO f (v) VALUES ('new')").expect_err("there is no id left");
}

#[test]
fn a_step_loads_into_empty_tables_only() {
    let project = Project::intelibotx();
    project.outgrow(["migrate", "--to", "5"]).succeeds();
    project.execute("INSERT INTO trading_sessions SELECT 1, 1, now(), NULL, 0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL;
        INSERT INTO userexchange SELECT WHERE false; INSERT INTO \"user\" VALUES (9, 'a', 'b', NULL, NULL, NULL, NULL, NULL, 'c', 'd', 'e', false, false, now(), NULL, NULL, true, true)");
    project.outgrow(["migrate"]).exits(7).says(&["table user: it already holds rows", "--without-data"]);
    assert_eq!(project.query("SELECT count(*)::text FROM \"user\""), ["1"]);
}

#[test]
fn a_source_that_the_step_does_not_fit_is_refused_before_anything_runs() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE a (id int);"),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"a\", \"gone\"]\nskip = [\"log\"]\n"),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE a (id); CREATE TABLE forgotten (v); INSERT INTO forgotten VALUES (1); CREATE TABLE idle (v);
         CREATE TABLE alembic_version (v); INSERT INTO alembic_version VALUES (1)",
    );
    project.outgrow(["migrate"]).exits(6).says(&[
        "table gone: the step names it and the source has no such table",
        "table forgotten: it holds rows and the step does not name it",
        "table log: the step skips it and the source has no such table; correct the name or take it out of skip",
    ]);
    assert!(!project.has_table("a"));
}

#[test]
fn other_tools_bookkeeping_and_skipped_tables_are_left_and_named() {
    let project =
        Project::one_table("v int", "CREATE TABLE t (v); CREATE TABLE log (v); INSERT INTO log VALUES (1)");
    project.sqlite("app.db", "CREATE TABLE alembic_version (v); INSERT INTO alembic_version VALUES (1)");
    project.write("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"t\"]\nskip = [\"log\"]\n");
    project.outgrow(["migrate"]).succeeds().prints(&["alembic_version", "log", "left behind"]);
    assert_eq!(
        project.query("SELECT left_behind::text FROM outgrow_receipt"),
        ["[\"alembic_version\", \"log\"]"]
    );
}

#[test]
fn a_target_that_the_step_does_not_fit_is_reported_whole() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE a (id int, extra int NOT NULL); CREATE TABLE p (id int);"),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"a\", \"p\", \"b\"]\n"),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE a (id, lost); INSERT INTO a VALUES (1, 2); CREATE TABLE b (id); CREATE TABLE p (id);",
    );
    project.outgrow(["migrate"]).exits(7).says(&[
        "table b: the step names it and the target has no such table",
        "create it in a version before the step, or write [table.b] with target = \"…\", its name there\n",
        "a.lost: the source has values in this column and the target's table a has no column lost",
        "a.extra: the target's column is NOT NULL without a default",
    ]);
}

#[test]
fn what_is_no_table_in_the_target_is_called_what_it_is() {
    let project = Project::with(&[
        (
            "migrations/V1__t.sql",
            "CREATE TABLE a (id int); CREATE VIEW \"V\" AS SELECT * FROM a; CREATE MATERIALIZED VIEW m AS SELECT * FROM a;",
        ),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"v\", \"m\"]\n"),
    ]);
    project.sqlite("app.db", "CREATE TABLE v (id); CREATE TABLE m (id)");
    project.outgrow(["migrate"]).exits(7).says(&[
        "table v: the step names it, and in the target that is a view: name the table behind it, [table.v] with target = ",
        "table m: the step names it, and in the target that is a materialized view: ",
    ]);
}

#[test]
fn a_table_that_the_target_lacks() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE a (id int);"),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"b\"]\n"),
    ]);
    project.sqlite("app.db", "CREATE TABLE b (id)");
    project.outgrow(["migrate"]).exits(7).says(&[
        "table b: the step names it and the target has no such table",
        "create it in a version before the step",
    ]);
}

#[test]
fn hostile_names_are_only_names() {
    let project = Project::with(&[
        (
            "migrations/V1__t.sql",
            "CREATE TABLE \"a\"\"; DROP TABLE x; --\" (\"select\" int, \"Ü\"\"\" text, rowid int);",
        ),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = ['a\"; DROP TABLE x; --']\n"),
    ]);
    project.sqlite("app.db", "CREATE TABLE \"a\"\"; DROP TABLE x; --\" (\"select\", \"Ü\"\"\", rowid); INSERT INTO \"a\"\"; DROP TABLE x; --\" VALUES (1, 'x', 7)");
    project.outgrow(["migrate"]).succeeds().prints(&["1 row"]);
    assert_eq!(project.query("SELECT \"Ü\"\"\" || rowid FROM \"a\"\"; DROP TABLE x; --\""), ["x7"]);
}

#[test]
fn generated_and_defaulted_columns_are_left_to_the_target() {
    let project = Project::one_table(
        "a int, b int GENERATED ALWAYS AS (a * 2) STORED, c text DEFAULT 'new'",
        "CREATE TABLE t (a, b GENERATED ALWAYS AS (a * 2) VIRTUAL); INSERT INTO t VALUES (4)",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT a || ' ' || b || ' ' || c FROM t"), ["4 8 new"]);
}

#[test]
fn tables_without_a_rowid_or_a_key() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE w (k text, n int); CREATE TABLE d (n int);"),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"w\", \"d\"]\n"),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE w (k TEXT PRIMARY KEY, n) WITHOUT ROWID; INSERT INTO w VALUES ('b', 'x'), ('a', 1);
        CREATE TABLE d (n); INSERT INTO d VALUES (1), (1), (1)",
    );
    project
        .outgrow(["migrate"])
        .exits(6)
        .says(&["w.n: text that is not a whole number in 1 row, row number 2;"]);
    project.sqlite("app.db", "UPDATE w SET n = 2 WHERE k = 'b'");
    project.outgrow(["migrate"]).succeeds().prints(&["5 rows"]);
}

#[test]
fn rows_larger_than_a_chunk_arrive() {
    let project = Project::one_table(
        "id int, v bytea",
        "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, zeroblob(3000000)), (2, x'01'), (3, randomblob(200000))",
    );
    project.outgrow(["migrate"]).succeeds().prints(&["3 rows"]);
    assert_eq!(
        project.query("SELECT string_agg(length(v)::text, ' ' ORDER BY id) FROM t"),
        ["3000000 1 200000"]
    );
}
