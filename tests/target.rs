//! The target and how it is named: every way in which a URL can be wrong, the exit codes, and no password in any of it.

use crate::support::{Outcome, Project, closed_port};
use std::net::TcpListener;

pub const SECRET: &str = "s3cret";

/// One version, nothing else.
pub fn project() -> Project {
    Project::with(&[("migrations/V1__create_t.sql", "CREATE TABLE t (id int);")])
}

/// `migrate --database-url URL`, whose password is not shown.
#[track_caller]
fn migrate_to(project: &Project, url: &str) -> Outcome {
    let outcome = project.outgrow(["migrate", "--wait", "0s", "--database-url", url]);
    outcome.never_says(&[SECRET, "s3c", "cret"])
}

/// The project's URL with one part replaced.
#[track_caller]
pub fn url_with(project: &Project, part: &str, replacement: &str) -> String {
    let url = project.url();
    assert!(url.contains(part), "a URL without {part}");
    url.replacen(part, replacement, 1)
}

/// What stands between `//` and `@`, `@` and `/`, and after it.
pub fn parts(project: &Project) -> (String, String, String) {
    let url = project.url();
    let (_, rest) = url.split_once("://").expect("a scheme");
    let (user, rest) = rest.rsplit_once('@').expect("a user");
    let (host, database) = rest.split_once('/').expect("a database");
    (user.to_owned(), host.to_owned(), database.to_owned())
}

pub fn without_url(project: &Project, arguments: &[&str]) -> Outcome {
    project.run(project.command(arguments).env_remove("DATABASE_URL"))
}

#[test]
fn without_a_url_every_way_to_give_one_is_named() {
    let project = project();
    for verb in ["migrate", "status"] {
        without_url(&project, &[verb]).exits(2).says(&[
            "no target database",
            "DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/NAME",
            ".env",
            "--database-url",
        ]);
    }
    project.run(project.command(["status"]).env("DATABASE_URL", " ")).exits(2).says(&["no target database"]);
}

#[test]
fn a_malformed_url_is_refused_with_the_form_expected() {
    let project = project();
    for url in [
        "ana:s3cret@db/app",
        "postgres://ana:s3cret@db:five/app",
        "postgres://ana:s3cret@db/app?sslmod=require",
        "postgres://ana:s3cret@db/app?s3cret",
        "postgres:///?port=1",
        "postgres:///app?port=1",
        "'postgres://ana:s3cret@db/app'",
        "DATABASE_URL=postgres://ana:s3cret@db/app",
        "jdbc:postgresql://db/app?password=s3cret",
        "POSTGRES//db",
        "https://ana:s3cret@db/app",
        "host=db password=s3 cret",
        "host=db password='s3cret",
    ] {
        migrate_to(&project, url).exits(2).says(&["--database-url: ", "postgres://"]);
    }
    for url in ["host=db password=my s3cret=1", "postgres://ana@db/app?password=my&s3cret=1"] {
        migrate_to(&project, url).exits(2).says(&["what follows the password is no parameter", "%26"]);
    }
}

#[test]
fn a_parameter_with_a_value_that_is_none_is_refused_with_those_that_are() {
    migrate_to(&project(), "postgres://ana:s3cret@db/app?sslmode=s3cret").exits(2).says(&[
        "--database-url: sslmode: expected one of disable, allow, prefer, require, verify-ca, verify-full",
    ]);
}

#[test]
fn a_malformed_url_in_the_environment_is_called_by_its_variable() {
    let project = project();
    let mut command = project.command(["status"]);
    let outcome = project.run(command.env("DATABASE_URL", "postgres://ana:s3cret@db:five/app")).exits(2);
    outcome.says(&["DATABASE_URL: "]).never_says(&[SECRET]);
}

#[test]
fn an_sqlite_url_is_no_target() {
    let project = project();
    for url in ["sqlite:///s3cret.db", "sqlite+aiosqlite:////data/s3cret.db"] {
        migrate_to(&project, url).exits(2).says(&[
            "--database-url: this is an SQLite URL",
            "expected postgres://",
            "SOURCE_DATABASE_URL",
        ]);
    }
}

#[test]
fn a_password_that_is_not_percent_encoded_is_refused() {
    let project = project();
    for url in [
        "postgres://ana:s3c@cret@db/app",
        "postgres://ana:s3c/cret@db/app",
        "postgres://ana:s3c?cret@db/app",
        "postgres://ana:s3c#cret@db/app",
        "postgres://ana:s3c@b/cret@db/app",
        "postgres://ana:s3c@b?cret@db/app",
        "postgres://ana:s3c@b?cret=1@db/app",
        "postgres://ana:s3c?@cret@db/app",
    ] {
        migrate_to(&project, url).exits(2).says(&["percent-encoded", "%40 for @", "%2F for /"]);
    }
}

#[test]
fn the_forms_that_applications_use_are_accepted() {
    let project = project();
    let (user, host, database) = parts(&project);
    for scheme in ["postgresql", "postgresql+psycopg2", "postgresql+asyncpg"] {
        let url = format!("{scheme}://{user}@{host}/{database}");
        project.outgrow(["migrate", "--database-url", &url]).succeeds();
    }
    let ((name, password), (host, port)) =
        (user.split_once(':').expect("a password"), host.split_once(':').expect("a port"));
    let pairs = format!("host={host} port={port} user={name} password={password} dbname={database}");
    project.outgrow(["migrate", "--database-url", &pairs]).succeeds().prints(&["nothing to do"]);
}

#[test]
fn a_server_that_does_not_answer_is_named_with_what_to_check() {
    let project = project();
    let port = closed_port();
    let outcome = migrate_to(&project, &format!("postgres://ana:s3cret@127.0.0.1:{port}/app")).exits(3);
    outcome.says(&[
        &format!("no connection to ana@127.0.0.1:{port}/app"),
        "refused",
        "check that the server runs",
        "--database-url",
    ]);
}

#[test]
fn something_else_than_a_server_is_a_failed_connection() {
    let project = project();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let other = std::thread::spawn(move || drop(listener.accept().expect("a visitor")));
    let outcome = migrate_to(&project, &format!("postgres://ana:s3cret@127.0.0.1:{port}/app")).exits(3);
    outcome.says(&[&format!("no connection to ana@127.0.0.1:{port}/app"), "next: "]);
    other.join().expect("the other");
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let project = project();
    let (user, _, database) = parts(&project);
    let name = user.split(':').next().expect("a name");
    let url = url_with(&project, &user, &format!("{name}:{SECRET}"));
    migrate_to(&project, &url).exits(3).says(&[
        &format!("no connection to {name}@"),
        &format!("/{database}"),
        "password authentication failed",
        "check user and password",
        "--database-url",
    ]);
}

#[test]
fn a_url_without_a_password_is_told_to_have_one() {
    let project = project();
    let (user, _, _) = parts(&project);
    let url = url_with(&project, &user, user.split(':').next().expect("a name"));
    migrate_to(&project, &url).exits(3).says(&["asks for a password", "postgres://USER:PASSWORD@"]);
}

#[test]
fn a_missing_database_is_named_with_what_makes_it() {
    let project = project();
    let (_, _, database) = parts(&project);
    let url = url_with(&project, &database, "no_such_database");
    migrate_to(&project, &url).exits(3).says(&[
        "database \"no_such_database\" does not exist",
        "createdb",
        "--database-url",
    ]);
}

#[test]
fn clap_does_not_quote_a_password() {
    let project = project();
    for arguments in [
        vec!["migrate", "postgres://ana:s3cret@db/app"],
        vec!["postgres://ana:s3cret@db/app"],
        vec!["migrate", "postgres://ana:s3c@cret@db/app"],
        vec!["migrate", "postgres://ana:s3cret pass@db/app"],
        vec!["migrate", "postgres://ana:pass s3cret@db/app"],
        vec!["migrate", "postgres://ana:pass s3cret s3cret@db/app"],
        vec!["migrate", "host=db password=s3cret"],
        vec!["migrate", "host=db password = s3cret"],
        vec!["migrate", "host=db password='pass s3cret'"],
        vec!["migrate", "host=db PASSWORD=s3cret"],
        vec!["migrate", "postgres://db/app?user=ana&password=s3cret"],
        vec!["migrate", "--to", "postgres://ana:s3cret@db/app"],
        vec!["migrate", "--lock-timeout=postgres://ana:s3cret@db/app"],
        vec!["migrate", "--databse-url=postgres://ana:s3cret@db/app"],
        vec!["migrate", "DATABASE_URL=postgres://ana:s3cret@db/app"],
        vec!["--database-url", "postgres://ana:s3cret@db/app", "migrat"],
        vec!["migrate", "-dpostgres://ana:s3cret@db/app"],
    ] {
        project.outgrow(&arguments).exits(2).says(&["error: "]).never_says(&[SECRET, "s3c", "cret"]);
    }
}

#[test]
fn a_url_in_the_place_of_a_path_does_not_show_its_password() {
    const URL: &str = "postgres://ana:s3cret@db/app";
    let project = project();
    project.write("checks/one.sql", "-- a\nSELECT 1 WHERE false;");
    for (arguments, place) in [
        (vec!["status", "--migrations", URL], "--migrations: this is a URL, and a folder is expected"),
        (vec!["check", "--checks", URL], "--checks: this is a URL, and a folder is expected"),
        (vec!["check", "--junit", URL], "--junit: this is a URL, and a file is expected"),
        (vec!["check", "--only", URL], "--only: this is a URL, and a name is expected"),
        (vec!["export", URL], "FILE: this is a URL, and a file is expected"),
    ] {
        project.outgrow(arguments).exits(2).says(&[place]).never_says(&[SECRET]);
    }
    for (variable, expected) in [
        ("OUTGROW_MIGRATIONS", "a folder is expected"),
        ("OUTGROW_CHECKS", "a folder is expected"),
        ("RUST_LOG", "a filter such as outgrow=debug is expected"),
        ("PGPASSFILE", "a part of one is expected"),
        ("PGAPPNAME", "a part of one is expected"),
    ] {
        let outcome = project.run(project.command(["check"]).env(variable, URL)).exits(2);
        outcome.says(&[variable, "this is a URL", expected]).never_says(&[SECRET]);
    }
    let mut command = project.command(["status"]);
    let outcome = project.run(command.env_remove("DATABASE_URL").env("PGHOST", URL)).exits(2);
    outcome.says(&["PGHOST: this is a URL"]).never_says(&[SECRET]);
}

#[test]
fn at_the_finest_level_of_logging_no_password_shows() {
    let project = Project::one_table(
        "id int, mail text",
        "CREATE TABLE t (id, mail); INSERT INTO t VALUES (1, 's3cret')",
    );
    let url = project.url();
    for arguments in
        [vec!["migrate", "--database-url", &url], vec!["status", "-vvv"], vec!["migrate", "-vvv"]]
    {
        let outcome = project.run(project.command(&arguments).env("RUST_LOG", "trace"));
        outcome.succeeds().says(&["connecting to "]).never_says(&[SECRET]);
    }
}

#[test]
fn at_the_finest_level_of_logging_a_refused_password_does_not_show() {
    let project = project();
    let (user, _, _) = parts(&project);
    let url = url_with(&project, &user, &format!("{}:{SECRET}", user.split(':').next().expect("a name")));
    let mut command = project.command(["migrate", "--database-url", &url]);
    project.run(command.env("RUST_LOG", "trace")).exits(3).never_says(&[SECRET]);
}

#[test]
fn errors_are_json_too() {
    let project = project();
    let failed =
        without_url(&project, &["migrate", "--json"]).exits(2).says(&["error: no target database"]).json();
    assert_eq!(failed["exit_code"], 2);
    assert!(failed["error"].as_str().expect("a text").contains("DATABASE_URL"), "{failed}");
    project.write("migrations/V2__wrong.sql", "SELECT nothing;");
    let failed = project.outgrow(["--json", "migrate"]).exits(7).json();
    assert_eq!(failed["exit_code"], 7);
    assert!(failed["error"].as_str().expect("a text").contains("V2__wrong.sql:1:8"), "{failed}");
}

#[test]
fn results_are_one_json_document() {
    let project = project();
    let before = project.outgrow(["status", "--json"]).succeeds().json();
    assert_eq!((&before["at_head"], &before["versions"][0]["state"]), (&false.into(), &"pending".into()));
    let result = project.outgrow(["migrate", "--json"]).succeeds().json();
    assert_eq!((&result["version"], &result["applied"][0]["name"]), (&1.into(), &"create_t".into()));
    let after = project.outgrow(["status", "--json", "--check"]).succeeds().json();
    assert_eq!((&after["at_head"], &after["versions"][0]["state"]), (&true.into(), &"applied".into()));
}

#[test]
fn a_database_that_may_not_be_written_is_named_so() {
    let project = project();
    let url = format!("{}?options=-c%20default_transaction_read_only%3Don", project.url());
    let outcome = project.outgrow(["migrate", "--database-url", &url]).exits(7);
    outcome.says(&["read-only transaction", "next: writes are refused here: outgrow doctor says by what"]);
    assert!(!project.has_table("t"));
}

#[test]
fn help_and_version_go_to_stdout() {
    let project = Project::empty();
    project.outgrow(["--version"]).succeeds().prints(&["outgrow "]).never_says(&["error"]);
    project.outgrow(["--help"]).succeeds().prints(&["migrate", "status", "Exit codes", "DATABASE_URL"]);
    project.outgrow(["migrate", "--help"]).succeeds().prints(&["--without-data", "--to"]);
    let bare = project.outgrow::<&str>([]).exits(2);
    bare.says(&["migrate", "status", "postgres://USER:PASSWORD@HOST:PORT/NAME"]);
    project
        .outgrow(["migrate", "--without-data", "--source", "app.db"])
        .exits(2)
        .says(&["cannot be used with"]);
}

/// MediaWiki's tables are in a schema of their own: each command names it, and says how it is found.
#[test]
fn tables_in_a_schema_that_is_not_on_the_search_path_are_named_with_it() {
    let project = Project::step(
        "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY); CREATE TABLE other (id int)",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
    );
    let there = "the target has it in the schema app, which is not on the search_path: give the URL of every run \
                 ?options=-csearch_path%3Dapp,public";
    project.outgrow(["migrate"]).exits(7).says(&["table t: the step names it, and ", there]);
    let url = format!("{}?options=-csearch_path%3Dapp,public", project.url());
    let on_the_path = |command: &[&str]| {
        let mut arguments = command.to_vec();
        arguments.extend(["--database-url", &url]);
        project.outgrow(arguments)
    };
    on_the_path(&["migrate"]).succeeds();
    on_the_path(&["verify"]).succeeds();
    on_the_path(&["export", "back.db"]).succeeds();
    project.outgrow(["verify"]).exits(1).prints(&["t: ", there]);
    project.outgrow(["export", "lost.db"]).exits(7).says(&["table outgrow_receipt: ", there]);
    assert!(!project.path("lost.db").exists());
}
