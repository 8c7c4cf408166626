//! `outgrow doctor`: each thing that a run depends on, found as it is and when it is wrong, and nothing changed.

use crate::support::secure::{PASSWORD, Secure};
use crate::support::{Outcome, Project, Role};
use serde_json::Value;

/// What is said about `about`, as `state: found; next`.
fn said(outcome: &Outcome, about: &str) -> Vec<String> {
    let json = outcome.json();
    let findings = json["findings"].as_array().expect("findings").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings
        .filter(|finding| finding["about"] == about)
        .map(|finding| {
            format!("{}: {}; {}", text(&finding["state"]), text(&finding["found"]), text(&finding["next"]))
        })
        .collect()
}

fn doctor(project: &Project) -> Outcome {
    project.run(&mut project.command(["doctor", "--json"]))
}

#[track_caller]
fn finds(outcome: &Outcome, about: &str, parts: &[&str]) {
    let said = said(outcome, about);
    assert!(
        said.iter().any(|line| parts.iter().all(|part| line.contains(part))),
        "{about}: {parts:?} in {outcome:#?}"
    );
}

#[test]
fn a_target_that_is_ready_and_nothing_is_changed() {
    let project = Project::intelibotx();
    let outcome = doctor(&project).succeeds();
    let json = outcome.json();
    assert_eq!(json["ready"], true);
    assert!(json["connect_milliseconds"].as_f64().expect("a number") > 0.0);
    assert!(json["round_trip_milliseconds"].as_f64().expect("a number") > 0.0);
    assert_eq!(outcome.stdout.lines().count(), 1, "one line where nobody reads it on a terminal");
    for (about, part) in [
        ("connection", "from DATABASE_URL: 127.0.0.1:"),
        ("round trip", "the median of 9"),
        ("server", "ok: PostgreSQL "),
        ("tls", "ok: none; the address is private"),
        ("pooler", "ok: none"),
        ("settings", "ok: no time limit"),
        ("versions", "ok: 6 pending, head is V6__import_from_sqlite"),
        ("rights", "enough for what is pending"),
        ("locks", "ok: no other run"),
        ("sessions", "ok: others: 0"),
        ("disk", "ok: the database takes "),
        ("source", "ok: app.db: 44 KiB, 4 tables, rollback journal, no damage"),
    ] {
        finds(&outcome, about, &[part]);
    }
    assert!(!project.has_table("refinery_schema_history"));
    let text = project.outgrow(["doctor"]).succeeds().prints(&["connection", "/"]);
    assert!(text.stdout.lines().last().is_some_and(|line| line.contains(": ready")), "{text:#?}");
}

#[test]
fn at_head_a_source_that_has_changed_is_a_warning() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    let outcome = doctor(&project).succeeds();
    finds(&outcome, "versions", &["ok: at head, V6__import_from_sqlite"]);
    finds(&outcome, "rights", &["nothing is pending"]);
    finds(&outcome, "source", &["ok: unchanged since V6__import_from_sqlite copied it"]);
    project.sqlite("app.db", "UPDATE user SET email = email || 'x'");
    let outcome = doctor(&project).succeeds();
    finds(
        &outcome,
        "source",
        &["warning: app.db has 2 new or changed rows since V6__import_from_sqlite", "outgrow verify"],
    );
    std::fs::remove_file(project.path("app.db")).expect("the source");
    let mut gone = project.command(["doctor", "--json", "--source", "app.db"]);
    finds(
        &project.run(&mut gone).succeeds(),
        "source",
        &["ok: app.db is not there, and no pending version needs it"],
    );
    project.outgrow(["doctor"]).succeeds().prints(&["none named, and no pending version needs one"]);
}

#[test]
fn a_source_that_a_step_would_refuse_is_a_problem() {
    let project = Project::one_table(
        "id int",
        "CREATE TABLE t (id); CREATE TABLE other (x); INSERT INTO other VALUES (1)",
    );
    finds(&doctor(&project).exits(1), "source", &["problem: ", "other"]);
    project.write("app.db", "no database");
    finds(&doctor(&project).exits(1), "source", &["problem: ", "not an SQLite database"]);
    project.sqlite("wal.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (id); PRAGMA wal_checkpoint");
    let mut wal = project.command(["doctor", "--json", "--source", "wal.db"]);
    let outcome = project.run(&mut wal).succeeds();
    finds(&outcome, "source", &["ok: wal.db", "WAL"]);
    finds(&outcome, "source", &["warning: ", "in WAL mode", "the newest rows"]);
    std::fs::remove_file(project.path("app.db")).expect("the source");
    finds(
        &doctor(&project).exits(1),
        "source",
        &["problem: V2__import is a pending data step", "--without-data"],
    );
}

#[test]
fn a_diverging_history_and_broken_files_are_problems() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/V1__create_user.sql", "SELECT 1;");
    finds(&doctor(&project).exits(1), "versions", &["problem: ", "V1__create_user.sql was edited"]);
    project.write("migrations/notes.txt", "");
    let outcome = doctor(&project).exits(1);
    finds(&outcome, "versions", &["problem: ", "notes.txt"]);
    // the rest is looked at all the same
    finds(&outcome, "server", &["ok: PostgreSQL"]);
}

#[test]
fn rights_that_are_missing_are_named_with_the_grant() {
    let project = Project::one_table("id int", "CREATE TABLE t (id)");
    let role = Role::of(&project);
    let run = || project.run(role.command("doctor").arg("--json"));
    project.execute(
        "REVOKE ALL ON SCHEMA public FROM public; REVOKE TEMPORARY ON DATABASE \"$\" FROM public"
            .replace('$', &database(&project))
            .as_str(),
    );
    // not even the schema may be used
    finds(&run().exits(1), "rights", &["problem: none of the schemas in the search_path"]);
    project.execute(&format!("GRANT USAGE ON SCHEMA public TO \"{}\"", role.name));
    let outcome = run().exits(1);
    let grant = format!("GRANT CREATE ON SCHEMA public TO \"{}\"", role.name);
    finds(&outcome, "rights", &["problem: ", "may not create anything in schema public", &grant]);
    finds(&outcome, "rights", &["warning: ", "temporary tables", "GRANT TEMPORARY ON DATABASE"]);
    project.execute(&format!(
        "GRANT CREATE ON SCHEMA public TO \"{0}\"; GRANT TEMPORARY ON DATABASE \"{1}\" TO \"{0}\"",
        role.name,
        database(&project)
    ));
    finds(&run().succeeds(), "rights", &["ok: ", "enough"]);
    // V1 by somebody else: neither the history nor the table is this role's
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.execute(&format!("GRANT SELECT ON refinery_schema_history TO \"{}\"", role.name));
    let outcome = run().exits(1);
    finds(&outcome, "rights", &["problem: ", "lacks INSERT on refinery_schema_history"]);
    finds(
        &outcome,
        "rights",
        &["problem: ", "may not write, read and lock tables that a step loads: t (of postgres)"],
    );
    project.execute(&format!(
        "GRANT INSERT ON refinery_schema_history TO \"{0}\"; GRANT SELECT, INSERT ON t TO \"{0}\"",
        role.name
    ));
    finds(&run().exits(1), "rights", &["problem: ", "lock tables", "GRANT SELECT, INSERT, TRUNCATE"]);
    project.execute(&format!("GRANT TRUNCATE ON t TO \"{}\"", role.name));
    finds(&run().succeeds(), "rights", &["warning: ", "does not own", "keys stay in force"]);
    project.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; \
         CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    );
    finds(
        &run().exits(1),
        "rights",
        &["problem: ", "may not set the triggers of tables aside", "t (of postgres)"],
    );
}

fn database(project: &Project) -> String {
    project.query("SELECT current_database()::text").remove(0)
}

#[test]
fn settings_that_bite() {
    let project = Project::intelibotx();
    let name = database(&project);
    project.execute(&format!(
        "ALTER DATABASE \"{name}\" SET statement_timeout = '30s'; ALTER DATABASE \"{name}\" SET idle_in_transaction_session_timeout = 5000"
    ));
    let outcome = doctor(&project).succeeds();
    let limits =
        "ok: idle_in_transaction_session_timeout is 5s, statement_timeout is 30s: for the application alone";
    finds(&outcome, "settings", &[limits, "--statement-timeout"]);
    project.execute(&format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on"));
    finds(&doctor(&project).exits(1), "settings", &["problem: default_transaction_read_only is on"]);
}

#[test]
fn another_run_and_open_transactions_are_named() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    let mut other = project.connect();
    other
        .batch_execute("SET application_name = 'the app'; SELECT pg_advisory_lock(x'6f757467726f77'::bigint); BEGIN; SELECT FROM botconfig")
        .expect("a transaction");
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).expect("a pid").get(0);
    let outcome = doctor(&project).succeeds();
    let end = format!("SELECT pg_terminate_backend({pid})");
    finds(&outcome, "locks", &["warning: another run holds the lock", "the app", &end]);
    finds(&outcome, "sessions", &["warning: ", "the app, is idle in transaction", "holds botconfig", &end]);
    drop(other);
}

#[test]
fn a_target_that_cannot_be_reached_is_one_problem_among_others() {
    let project = Project::intelibotx();
    let run = |url: &str| {
        project.run(&mut project.command(["doctor", "--json", "--wait", "0s", "--database-url", url]))
    };
    let outcome =
        run("postgres://ana:of-a-test-only@127.0.0.1:1/app").exits(1).never_says(&["of-a-test-only"]);
    finds(&outcome, "connection", &["problem: no connection to ana@127.0.0.1:1/app"]);
    finds(&outcome, "source", &["ok: app.db"]);
    assert_eq!(outcome.json()["connect_milliseconds"], Value::Null);
    let mut unnamed = project.command(["doctor", "--json"]);
    finds(
        &project.run(unnamed.env_remove("DATABASE_URL")).exits(1),
        "target",
        &["problem: no target database"],
    );
}

#[test]
fn the_place_of_the_database_is_held_against_the_environment() {
    let project = Project::intelibotx();
    let run = |name: &str| project.run(project.command(["doctor", "--json"]).env("ENVIRONMENT", name));
    finds(
        &run("production").succeeds(),
        "environment",
        &["warning: ENVIRONMENT is production", "on this machine"],
    );
    finds(&run("development").succeeds(), "environment", &["ok: ENVIRONMENT is development"]);
    assert!(said(&doctor(&project), "environment").is_empty());
}

#[test]
fn tls_in_force_and_what_was_verified() {
    let server = Secure::usual();
    let project = Project::with(&[("migrations/V1__nothing.sql", "SELECT 1;")]);
    project.write("root.crt", &server.authority.pem);
    for (parameters, said) in [
        ("sslmode=require", "sslmode=require, not verified (TLSv1.3, "),
        (
            "sslmode=verify-full&sslrootcert=root.crt",
            "sslmode=verify-full, certificate and host were verified (TLSv1.3, ",
        ),
        ("sslmode=disable", "none; the address is private"),
    ] {
        let url = server.url("ana", "localhost", parameters);
        let mut command = project.command(["doctor", "--json", "--database-url", &url]);
        finds(&project.run(&mut command).succeeds().never_says(&[PASSWORD]), "tls", &[said]);
    }
}

/// A release command looks for a file on a volume that is not there.
#[test]
fn on_a_platform_a_missing_source_is_explained() {
    let project = Project::intelibotx();
    std::fs::remove_file(project.path("app.db")).expect("the source");
    for (variable, value, said, budget) in [
        ("RAILWAY_ENVIRONMENT_NAME", "production", "volumes are not mounted in a pre-deploy command", ""),
        ("DYNO", "release.3141", "what the slug brought", "after 1h"),
        ("RENDER", "true", "only once the deploy is live", ""),
        (
            "FLY_APP_NAME",
            "app",
            "not mounted in a release command's machine",
            "after 5m; release_command_timeout",
        ),
    ] {
        let choices = [said, "once from a machine that has the file", "COPY app.db", "copy at start"];
        let run = |arguments: &[&str]| {
            project.run(project.command(arguments).env(variable, value).env("RELEASE_COMMAND", "1"))
        };
        run(&["migrate", "--source", "/data/app.db"]).exits(6).says(&["no such file"]).says(&choices);
        run(&["migrate"]).exits(2).says(&["no source is named"]).says(&choices);
        let outcome = run(&["doctor", "--json", "--source", "/data/app.db"]).exits(1);
        finds(&outcome, "source", &choices);
        finds(&outcome, "platform", &["ok: ", budget]);
        let short = run(&["doctor", "--json", "--lock-timeout", "2h"]);
        let expected = if budget.is_empty() { "ok: " } else { "warning: " };
        finds(&short, "platform", &[expected]);
    }
    // a volume that is there is where to look
    let mut mounted = project.command(["migrate", "--source", "app.db"]);
    mounted.env("RAILWAY_PROJECT_ID", "1").env("RAILWAY_VOLUME_MOUNT_PATH", "/data");
    project.run(&mut mounted).exits(6).says(&["a volume is mounted in this container"]);
    // elsewhere there is nothing to explain
    project.outgrow(["migrate", "--source", "app.db"]).exits(6).never_says(&["volume"]);
}

#[test]
fn the_log_as_json_has_an_object_a_line() {
    let project =
        Project::with(&[("migrations/V1__says.sql", "DO $$ BEGIN RAISE NOTICE 'two\nlines'; END $$;")]);
    let run = |arguments: &[&str]| project.run(project.command(arguments).env("OUTGROW_LOG_FORMAT", "json"));
    let lines = |outcome: &Outcome| -> Vec<Value> {
        outcome.stderr.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    let outcome = run(&["migrate", "-v"]).succeeds();
    let said = lines(&outcome);
    assert!(
        said.iter().any(|line| line["target"] == "postgres" && line["message"] == "NOTICE: two\nlines"),
        "{said:?}"
    );
    for line in &said {
        let keys: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["level", "message", "target", "time"]);
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')));
    }
    // what ends a run is a line like any other, whatever else is quiet
    let mut filtered = project.command(["status"]);
    filtered.env("OUTGROW_LOG_FORMAT", "json").env("RUST_LOG", "outgrow=loud");
    let ignored = lines(&project.run(&mut filtered).succeeds());
    assert!(
        ignored[0]["message"].as_str().is_some_and(|said| said.starts_with("RUST_LOG is ignored")),
        "{ignored:?}"
    );
    let refused = lines(&run(&["migrate", "-q", "--migrations", "none"]).exits(2));
    assert_eq!((refused.len(), &refused[0]["level"]), (1, &Value::from("error")));
    assert_eq!(lines(&run(&["no-such-command"]).exits(2)).len(), 1);
    let mut unknown = project.command(["migrate"]);
    project
        .run(unknown.env("OUTGROW_LOG_FORMAT", "xml"))
        .exits(2)
        .says(&["OUTGROW_LOG_FORMAT: expected json or text"]);
    project.run(project.command(["migrate"]).env("OUTGROW_LOG_FORMAT", "")).succeeds();
}

#[test]
fn a_step_that_does_not_fit_the_target_is_a_problem() {
    let project = Project::one_table("id int", "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 2)");
    let outcome = doctor(&project).succeeds();
    finds(&outcome, "step", &["ok: V2__import: not held against the target, because V1__create_t"]);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let outcome = doctor(&project).exits(1);
    finds(&outcome, "step", &["problem: V2__import: the target is not ready", "t.v: the source has values"]);
    project.execute("ALTER TABLE t ADD v int, ADD w int NOT NULL");
    let outcome = doctor(&project).exits(1);
    finds(&outcome, "step", &["problem: V2__import: ", "t.w: the target's column is NOT NULL"]);
    project.execute("ALTER TABLE t DROP w; INSERT INTO t VALUES (7, 8)");
    let outcome = doctor(&project).exits(1);
    finds(&outcome, "step", &["problem: V2__import: ", "table t: it already holds rows"]);
    project.execute("TRUNCATE t");
    let outcome = project.outgrow(["doctor"]).succeeds();
    outcome.prints(&[
        "V2__import: its tables and columns fit; its rows were not read",
        ": ready, rows not read\n",
    ]);
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["doctor"]).succeeds().prints(&[": ready\n"]).never_says(&["rows not read"]);
    project
        .write("migrations/V3__again.toml", "source = \"sqlite\"\ntables = [\"nowhere\"]\nskip = [\"t\"]\n");
    project.sqlite("app.db", "CREATE TABLE nowhere (id)");
    let outcome = doctor(&project).exits(1);
    finds(
        &outcome,
        "step",
        &["problem: V3__again: ", "table nowhere: the step names it and the target has no such table"],
    );
}

/// Every dump of pg_dump has such a line.
#[test]
fn what_a_pending_file_must_not_say_is_found() {
    let project = Project::empty();
    project.write("migrations/V1__a.sql", "\\restrict abc\nCREATE TABLE a ();\n");
    let outcome = doctor(&project).exits(1);
    finds(&outcome, "versions", &["problem", "V1__a.sql:1:1: \\restrict is a command of psql"]);
}

/// The application was started against the target, and made its tables.
#[test]
fn tables_that_are_there_before_the_version_that_makes_them() {
    let project = Project::intelibotx();
    project.execute(
        "CREATE TABLE \"user\" (id int); CREATE SCHEMA other; CREATE TABLE other.botconfig (id int)",
    );
    let outcome = doctor(&project).exits(1);
    finds(&outcome, "versions", &["problem", "there already: user (V1__create_user);", "create_all"]);
    project.outgrow(["migrate"]).exits(7).says(&["relation \"user\" already exists", "next: ", "create_all"]);
    project.execute("DROP TABLE \"user\"");
    doctor(&project).succeeds();
    project.outgrow(["migrate"]).succeeds();
    doctor(&project).succeeds();

    let project = Project::empty();
    project.execute("CREATE TABLE a (); CREATE TABLE b (); CREATE TYPE c AS (d int)");
    project.write("migrations/V1__a.sql", "CREATE TABLE IF NOT EXISTS a (); CREATE TABLE public.c ();\n");
    project.write("migrations/V2__b.sql", "DROP TABLE b; CREATE TABLE b ();\n");
    finds(&doctor(&project).exits(1), "versions", &["problem", "there already: c (V1__a);"]);
}
