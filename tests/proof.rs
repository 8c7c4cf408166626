//! Promise 4: a step commits only if every stored row equals what was sent. Each way of bending a row must be caught. A
//! step sets triggers aside, so that here an event trigger of a superuser's turns them on again behind its back.

use crate::support::Project;

/// Table `t` with a trigger that does `body` to rows as they are stored, whoever disables it.
fn with_trigger(body: &str) -> Project {
    let project = Project::one_table(
        "id int, v text",
        "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.execute(&format!(
        "CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
         CREATE TRIGGER bend BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION bend();
         CREATE FUNCTION insist() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF EXISTS (SELECT FROM pg_trigger WHERE tgname = 'bend' AND tgenabled = 'D') THEN
             ALTER TABLE t ENABLE TRIGGER bend;
           END IF;
         END $$;
         CREATE EVENT TRIGGER insist ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION insist()"
    ));
    project
}

#[track_caller]
fn is_caught(project: &Project, says: &str) {
    project.outgrow(["migrate"]).exits(8).says(&["V2__import failed and was rolled back", "table t: ", says]);
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["0"]);
    assert_eq!(project.query("SELECT max(version)::text FROM refinery_schema_history"), ["1"]);
}

#[test]
fn a_changed_row_is_caught() {
    let project = with_trigger("IF NEW.id = 2 THEN NEW.v := 'x'; END IF; RETURN NEW;");
    is_caught(&project, "3 rows read and stored, and their content differs");
}

#[test]
fn two_values_swapped_are_caught() {
    let project = with_trigger("IF NEW.id < 3 THEN NEW.id := 3 - NEW.id; END IF; RETURN NEW;");
    is_caught(&project, "their content differs");
}

#[test]
fn a_dropped_row_is_caught() {
    is_caught(&with_trigger("IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW;"), "3 rows read, 2 stored");
}

#[test]
fn an_added_row_is_caught() {
    let project = with_trigger("IF NEW.id = 2 THEN INSERT INTO t VALUES (9, 'z'); END IF; RETURN NEW;");
    is_caught(&project, "3 rows read, 4 stored");
}

#[test]
fn what_the_server_spells_its_own_way_is_no_difference() {
    let project = Project::one_table(
        "n numeric(12,4), j jsonb, ts timestamp(3), f float4",
        "CREATE TABLE t (n, j, ts, f); INSERT INTO t VALUES
         (1.5, '{\"b\":1e2,\"a\":[\"\\u00e9\", 1.50]}', '2024-01-01T00:00:00.5', 0.1), (0, '[]', '1999-12-31', -0.0)",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT proof FROM outgrow_receipt"), ["content"]);
    assert_eq!(
        project.query("SELECT (tables->0->>'hash') ~ '^[0-9a-f]{32}$' || '' FROM outgrow_receipt"),
        ["true"]
    );
}
