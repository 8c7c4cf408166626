//! When versions are on the server's disk: SQL that more SQL follows is not waited for, and the end of it is.

use crate::support::Project;

/// Notes, for every row that the history gets, how its commit is written.
const NOTES: &str = "CREATE TABLE noted (version int, commit text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO noted VALUES (NEW.version, current_setting('synchronous_commit')); RETURN NEW; END $$;
    CREATE TRIGGER note BEFORE INSERT ON refinery_schema_history FOR EACH ROW EXECUTE FUNCTION note();";

const NOTED: &str = "SELECT version || ' ' || commit FROM noted ORDER BY version";

#[test]
fn only_the_last_of_several_is_waited_for() {
    let project = Project::with(&[
        ("migrations/V1__notes.sql", NOTES),
        ("migrations/V2__t.sql", "CREATE TABLE t (v int)"),
        ("migrations/V3__import.toml", "source = \"sqlite\"\ntables = [\"t\"]\n"),
        ("migrations/V4__u.sql", "CREATE TABLE u ()"),
        ("migrations/V5__index.sql", "-- outgrow: no-transaction\nCREATE INDEX CONCURRENTLY t_v ON t (v)"),
        ("migrations/V6__w.sql", "CREATE TABLE w ()"),
        ("migrations/V7__x.sql", "CREATE TABLE x ()"),
    ]);
    project.sqlite("app.db", "CREATE TABLE t (v); INSERT INTO t VALUES (1)");
    // what every server has that is not made for tests
    project.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); END $$",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query(NOTED), ["1 off", "2 on", "3 off", "4 on", "5 on", "6 off", "7 on"]);
}

#[test]
fn what_stays_is_settled_before_it_is_said() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE t ()"),
        ("migrations/V2__wrong.sql", "CREATE TABLE t ()"),
    ]);
    project.outgrow(["migrate"]).exits(7).says(&["V1 before it was applied and stays"]);
    // with nobody left to ask, it is not known
    project.execute("DROP TABLE t, refinery_schema_history");
    project.write("migrations/V2__wrong.sql", "SELECT pg_terminate_backend(pg_backend_pid())");
    let outcome = project.outgrow(["migrate"]);
    outcome.says(&["V1 before it was applied; outgrow status says whether the server kept it"]);
}
