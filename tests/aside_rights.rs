//! What is set aside takes the owner's rights alone, and what this role cannot make again stays in place.

use crate::aside::CATALOG;
use crate::support::{Project, Role};

#[test]
fn the_owners_rights_are_enough() {
    let project = Project::step(
        "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
         ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();",
        "\"a\", \"b\"",
        "CREATE TABLE a (id, b); CREATE TABLE b (id, a); INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 1)",
    );
    let role = Role::of(&project);
    project.execute(&format!("GRANT ALL ON SCHEMA public TO \"{}\"", role.name));
    project
        .run(&mut role.migrate())
        .exits(6)
        .says(&["a.b: no row of b(id) for the value in 1 row, rowid 2; foreign key a_b_fkey"]);
    project.sqlite("app.db", "INSERT INTO b VALUES (2, 2)");
    project.run(&mut role.migrate()).succeeds().prints(&["4 rows", "triggers that did not run: t"]);
}

#[test]
fn a_key_that_this_role_cannot_make_again_stays_in_place() {
    let project = Project::step(
        "CREATE TABLE a (id int, other int);",
        "\"a\"",
        "CREATE TABLE a (id, other); INSERT INTO a VALUES (1, 7), (2, 8), (3, 8)",
    );
    let role = Role::of(&project);
    project.execute(&format!(
        "GRANT ALL ON SCHEMA public TO \"{0}\"; CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (7);
         GRANT ALL ON other TO \"{0}\"",
        role.name
    ));
    project.run(role.migrate().args(["--to", "1"])).succeeds();
    project.execute(&format!(
        "ALTER TABLE a ADD FOREIGN KEY (other) REFERENCES other; REVOKE REFERENCES ON other FROM \"{}\"",
        role.name
    ));
    let before = project.query(CATALOG);
    project
        .run(&mut role.migrate())
        .exits(6)
        .says(&["a.other: no row of other(id) for the value in 2 rows, rowid 2, 3; "]);
    project.sqlite("app.db", "UPDATE a SET other = 7");
    project.run(&mut role.migrate()).succeeds();
    assert_eq!(project.query(CATALOG), before);
}

#[test]
fn what_only_the_owner_may_do_is_refused_to_others() {
    let project = Project::step(
        "CREATE TABLE t (v int); CREATE TABLE s (v int);
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
         CREATE TRIGGER audit BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
        "\"t\", \"s\"",
        "CREATE TABLE t (v); CREATE TABLE s (v); INSERT INTO t VALUES (1)",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let role = Role::of(&project);
    project.execute(&format!(
        "GRANT ALL ON SCHEMA public TO \"{0}\"; GRANT ALL ON ALL TABLES IN SCHEMA public TO \"{0}\";
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE s ENABLE ROW LEVEL SECURITY",
        role.name
    ));
    project.run(&mut role.migrate()).exits(7).says(&[
        "table s: its row-level security applies to this role",
        "table t: its row-level security applies to this role",
        "connect as its owner",
    ]);
    project.execute("ALTER TABLE t DISABLE ROW LEVEL SECURITY; ALTER TABLE s DISABLE ROW LEVEL SECURITY");
    project.run(&mut role.migrate()).exits(7).says(&["table t: its trigger audit would run for every row"]);
    project.execute(&format!(
        "ALTER TABLE t OWNER TO \"{0}\"; ALTER TABLE s OWNER TO \"{0}\"; ALTER TABLE t ENABLE ROW LEVEL SECURITY;
         ALTER TABLE t FORCE ROW LEVEL SECURITY",
        role.name
    ));
    project.run(&mut role.migrate()).exits(7).says(&["table t: its row-level security applies to this role"]);
    project.execute("ALTER TABLE t NO FORCE ROW LEVEL SECURITY");
    project.run(&mut role.migrate()).succeeds().prints(&["1 row", "triggers that did not run: audit"]);
}

#[test]
fn an_event_trigger_that_lets_no_table_be_made_is_named_before_a_row_is_read() {
    let project =
        Project::one_table("id int PRIMARY KEY", "CREATE TABLE t (id); INSERT INTO t VALUES (1), ('x')");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.execute(
        "CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'ask the DBA'; END $$;
         CREATE EVENT TRIGGER gate ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION forbid();
         CREATE EVENT TRIGGER other ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION forbid();",
    );
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&[
            "cannot make its table outgrow_receipt",
            "gate (forbid())",
            "ask the DBA",
            "ALTER EVENT TRIGGER",
        ])
        .never_says(&["other (", "rowid", "copied t"]);
    project.execute("DROP EVENT TRIGGER gate; DROP EVENT TRIGGER other");
    project.sqlite("app.db", "DELETE FROM t WHERE id = 'x'");
    project.outgrow(["migrate"]).succeeds();
}
