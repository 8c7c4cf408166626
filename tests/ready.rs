//! What must hold of the target before a row moves, and what is said where it does not.

use crate::support::{Project, Role, cells};

#[test]
fn values_for_a_column_that_the_target_computes_are_not_dropped() {
    let project = Project::one_table(
        "id int PRIMARY KEY, a int, c int GENERATED ALWAYS AS (a + 1) STORED",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, c); INSERT INTO t VALUES (1, 1, 77)",
    );
    project.outgrow(["migrate"]).exits(7).says(&[
        "t.c: the source has values in this column, and the target's column c computes its own",
        "[table.t.column.c] with skip = true",
    ]);
    let step = "source = \"sqlite\"\ntables = [\"t\"]\n[table.t.column.c]\n";
    project.write("migrations/V2__import.toml", format!("{step}read = \"unix_s\"\n"));
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&["t.c: the step has a rule for it", "skip = true is the only rule"]);
    project.write("migrations/V2__import.toml", format!("{step}skip = true\n"));
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT c::text FROM t"), ["2"]);
}

#[test]
fn a_column_that_both_sides_compute_is_named_as_not_compared() {
    let project = Project::one_table(
        "a int, b int GENERATED ALWAYS AS (a * 2) STORED",
        "CREATE TABLE t (a, b AS (a * 3)); INSERT INTO t VALUES (4)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds().prints(&["not compared: b (computed in the target)"]);
}

/// It was there before the target computed it, and nobody filled it.
#[test]
fn an_empty_column_is_left_to_a_target_that_computes_it() {
    let project = Project::one_table(
        "id int PRIMARY KEY, c int GENERATED ALWAYS AS (id + 1) STORED",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, c); INSERT INTO t (id) VALUES (1)",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT c::text FROM t"), ["2"]);
    project.outgrow(["verify"]).succeeds().prints(&["not compared: c (computed in the target)"]);
    project.outgrow(["export", "back.db"]).succeeds();
    assert_eq!(cells::query(&project.path("back.db"), "SELECT id, c FROM t"), ["1 | NULL"]);
}

#[test]
fn a_rule_whose_target_is_not_there_is_an_error_even_for_an_empty_column() {
    let project = Project::one_table("id int", "CREATE TABLE t (id, b); INSERT INTO t VALUES (1, NULL)");
    project.write(
        "migrations/V2__import.toml",
        "source = \"sqlite\"\ntables = [\"t\"]\n[table.t.column.b]\ntarget = \"zz\"\n",
    );
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&["t.b: the step has a rule for it, and the target's table t has no column zz"]);
}

/// TRUNCATE would make it valid.
#[test]
fn an_invalid_index_stays_as_it_is() {
    let project = Project::one_table(
        "id int PRIMARY KEY, a int",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 2)",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.execute("INSERT INTO t VALUES (1, 0)");
    let mut client = project.connect();
    client.batch_execute("CREATE INDEX CONCURRENTLY broken ON t ((1 / a))").expect_err("a division by zero");
    project.execute("DELETE FROM t");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        project.query("SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'broken'::regclass"),
        ["false"]
    );
}

#[test]
fn missing_rights_are_named_for_all_tables() {
    let project = Project::step(
        "CREATE TABLE p (id int); CREATE TABLE \"Q\" (id int);",
        "\"p\", \"Q\"",
        "CREATE TABLE p (id); CREATE TABLE Q (id); INSERT INTO p VALUES (1)",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let role = Role::of(&project);
    project.execute(&format!(
        "GRANT ALL ON SCHEMA public TO \"{0}\"; GRANT ALL ON refinery_schema_history TO \"{0}\";
         GRANT SELECT, INSERT ON p TO \"{0}\"",
        role.name
    ));
    project.run(&mut role.migrate()).exits(7).says(&[
        "table \"Q\": the role ",
        " lacks SELECT, INSERT, TRUNCATE; GRANT SELECT, INSERT, TRUNCATE ON \"Q\" TO ",
        "table p: the role ",
        " lacks TRUNCATE; GRANT TRUNCATE ON p TO ",
    ]);
    project.execute(&format!(
        "GRANT TRUNCATE ON p TO \"{0}\"; GRANT SELECT, INSERT, TRUNCATE ON \"Q\" TO \"{0}\"",
        role.name
    ));
    project.run(&mut role.migrate()).succeeds();
}

#[test]
fn a_table_under_a_name_of_ours_is_in_the_way() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.execute("CREATE TABLE outgrow_receipt (a int); CREATE VIEW outgrow_quarantine AS SELECT 1 AS b");
    project.outgrow(["migrate"]).exits(7).says(&[
        "relation outgrow_quarantine is in the way",
        "table outgrow_receipt is in the way: outgrow keeps a table of that name, with other columns; rename it",
    ]);
    project.execute("DROP TABLE outgrow_receipt; DROP VIEW outgrow_quarantine");
    project.outgrow(["migrate"]).succeeds();
}

#[test]
fn sequences_that_count_down_go_on_below_and_those_at_their_end_say_so() {
    let project = Project::step(
        "CREATE TABLE down (id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT -1) PRIMARY KEY, a int);
         CREATE TABLE round (id int GENERATED ALWAYS AS IDENTITY (MAXVALUE 40 CYCLE) PRIMARY KEY);
         CREATE TABLE full_up (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);",
        "\"down\", \"round\", \"full_up\"",
        "CREATE TABLE down (id INTEGER PRIMARY KEY, a); INSERT INTO down VALUES (-3, 1), (-9, 2);
         CREATE TABLE round (id INTEGER PRIMARY KEY); INSERT INTO round VALUES (3), (50);
         CREATE TABLE full_up (id INTEGER PRIMARY KEY); INSERT INTO full_up VALUES (2147483647)",
    );
    project.outgrow(["migrate"]).succeeds().says(&[
        "ids of round reach 50, it ends at 40, and begins again at ids that may be taken",
        "ids of full_up reach 2147483647, it ends at 2147483647, and has no next one",
    ]);
    assert_eq!(project.query("INSERT INTO down (a) VALUES (3) RETURNING id::text"), ["-10"]);
}

#[test]
fn one_sequence_of_several_tables_goes_on_above_all_of_them_and_columns_of_any_type_count() {
    let project = Project::step(
        "CREATE SEQUENCE ids;
         CREATE TABLE a (id bigint DEFAULT nextval('ids'), v int); CREATE TABLE b (id bigint DEFAULT nextval('ids'), v int);
         CREATE SEQUENCE digits; CREATE TABLE c (id text DEFAULT nextval('digits'), v int);
         CREATE SEQUENCE decimals; CREATE TABLE d (id numeric DEFAULT nextval('decimals'), v int);
         CREATE SEQUENCE unused; CREATE TABLE e (id bigint DEFAULT nextval('unused'), v int);",
        "\"a\", \"b\", \"c\", \"d\", \"e\"",
        "CREATE TABLE a (id, v); INSERT INTO a VALUES (90, 1), (NULL, 2); CREATE TABLE b (id, v); INSERT INTO b VALUES (7, 1);
         CREATE TABLE c (id, v); INSERT INTO c VALUES ('9', 1), ('10', 2), ('x', 3);
         CREATE TABLE d (id, v); INSERT INTO d VALUES (30, 1), (30.5, 2);
         CREATE TABLE e (v); INSERT INTO e VALUES (1), (2)",
    );
    project.outgrow(["migrate"]).succeeds();
    let next = |table: &str| project.query(&format!("INSERT INTO {table} (v) VALUES (0) RETURNING id::text"));
    assert_eq!([next("b"), next("a")], [["91"], ["92"]]);
    assert_eq!(next("c"), ["11"]);
    assert_eq!(next("d"), ["31"]);
    assert_eq!(next("e"), ["3"], "the rows have taken two");
}

#[test]
fn of_two_sequences_the_one_that_the_default_calls_goes_on() {
    let project = Project::one_table(
        "id serial PRIMARY KEY",
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (7)",
    );
    let moved = "CREATE TABLE t (id serial PRIMARY KEY); CREATE SEQUENCE a_first; \
                 ALTER TABLE t ALTER id SET DEFAULT nextval('a_first');";
    project.write("migrations/V1__create_t.sql", moved);
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("INSERT INTO t DEFAULT VALUES RETURNING id::text"), ["8"]);
}

#[test]
fn a_sequence_that_numbers_more_than_numbers_is_named() {
    let project =
        Project::one_table("id int", "CREATE TABLE t (n TEXT); INSERT INTO t VALUES ('A-1'), ('A-2')");
    let numbered = "CREATE SEQUENCE sq; CREATE TABLE t (n text UNIQUE DEFAULT 'A-' || nextval('sq'));";
    project.write("migrations/V1__create_t.sql", numbered);
    let outcome = project.outgrow(["migrate"]).succeeds();
    outcome.says(&["sq: t.n holds values that are no numbers", "ALTER SEQUENCE"]).never_says(&["A-1", "A-2"]);
}

/// Doctrine and Hibernate ask a sequence for ids that the database ties to nothing.
#[test]
fn a_sequence_that_is_named_for_a_key_goes_on_and_others_that_nothing_uses_are_named() {
    let project = Project::step(
        "CREATE SEQUENCE product_id_seq; CREATE TABLE product (id int NOT NULL PRIMARY KEY, v int);
         CREATE SEQUENCE \"Users_seq\" INCREMENT 50; CREATE TABLE users (id bigint PRIMARY KEY);
         CREATE SEQUENCE plain_id_seq; CREATE TABLE plain (id int, n int PRIMARY KEY);
         CREATE TABLE other (id serial PRIMARY KEY); ALTER TABLE other ALTER id DROP DEFAULT;
         CREATE SEQUENCE \"A'S\"; CREATE TABLE named (id int DEFAULT nextval('\"A''S\"'::text) PRIMARY KEY, v int);
         CREATE SEQUENCE old; CREATE TABLE older (id int DEFAULT nextval(('public.old'::text)::regclass) PRIMARY KEY);
         CREATE SEQUENCE far START 5; SELECT nextval('far');",
        "\"product\", \"users\", \"plain\", \"other\", \"named\", \"older\"",
        "CREATE TABLE product (id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO product VALUES (3, 1), (9, 1);
         DELETE FROM product WHERE id = 9;
         CREATE TABLE users (id INTEGER PRIMARY KEY); INSERT INTO users VALUES (7);
         CREATE TABLE plain (id, n INTEGER PRIMARY KEY); INSERT INTO plain VALUES (5, 6);
         CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO other VALUES (8);
         CREATE TABLE named (id INTEGER PRIMARY KEY, v); INSERT INTO named VALUES (11, 1);
         CREATE TABLE older (id INTEGER PRIMARY KEY); INSERT INTO older VALUES (12)",
    );
    let outcome = project.outgrow(["migrate"]).succeeds();
    outcome
        .says(&[
            "sequences that no column uses stay at their start: public.plain_id_seq; ",
            "setval('public.plain_id_seq'",
        ])
        .never_says(&["product_id_seq", "Users_seq", "other_id_seq", "A'S", "public.old", "public.far"]);
    let next = |name: &str| project.query(&format!("SELECT nextval('{name}')::text"));
    assert_eq!(next("product_id_seq"), ["10"]);
    assert_eq!(next("\"Users_seq\""), ["57"]);
    assert_eq!(next("other_id_seq"), ["9"]);
    assert_eq!(project.query("INSERT INTO named (v) VALUES (0) RETURNING id::text"), ["12"]);
    assert_eq!(project.query("INSERT INTO older DEFAULT VALUES RETURNING id::text"), ["13"]);
    assert_eq!(next("plain_id_seq"), ["1"]);
}

#[test]
fn a_column_that_the_step_skips_is_named_as_such_where_the_target_must_have_a_value() {
    let project =
        Project::one_table("id int, v int NOT NULL", "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 2)");
    project.write(
        "migrations/V2__import.toml",
        "source = \"sqlite\"\ntables = [\"t\"]\n[table.t.column.v]\nskip = true\n",
    );
    project.outgrow(["migrate"]).exits(7).says(&[
        "t.v: the target's column is NOT NULL without a default, and the step skips the source's; write [table.t.constant]",
    ]);
}
