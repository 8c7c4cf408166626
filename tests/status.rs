//! `outgrow status` in each state of the target.

use crate::support::Project;
use crate::target::project;

#[test]
fn status_of_an_empty_database_creates_nothing() {
    let project = project();
    let relations = "SELECT count(*)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    project.outgrow(["status"]).succeeds().prints(&["V1__create_t", "pending", "1 pending, head is V1"]);
    project.outgrow(["status", "--check"]).exits(1).prints(&["1 pending"]);
    assert_eq!(project.query(relations), ["0"]);
}

#[test]
fn status_at_head_is_done() {
    let project = project();
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["status"]).succeeds().prints(&["V1__create_t", "applied 20", "at head, V1"]);
    project.outgrow(["status", "--check"]).succeeds();
}

#[test]
fn status_half_way_is_pending() {
    let project = project();
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"t\"]\n");
    project.outgrow(["status"]).succeeds().prints(&["V2__import", "pending", "data step", "1 pending"]);
    project.outgrow(["status", "--check"]).exits(1);
}

#[test]
fn status_of_a_history_that_diverges_shows_each_state() {
    let project = project();
    project.write("migrations/V3__three.sql", "");
    project.write("migrations/V4__four.sql", "");
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/V1__create_t.sql", "-- edited");
    project.write("migrations/V2__late.sql", "");
    std::fs::remove_file(project.path("migrations/V3__three.sql")).expect("removed");
    project.write("migrations/V5__next.sql", "");
    project.outgrow(["status"]).succeeds().prints(&[
        "divergent",
        "late",
        "missing",
        "pending",
        "diverges in 3",
    ]);
    project.outgrow(["status", "--check"]).exits(5).prints(&["divergent"]);
    let states = project.outgrow(["status", "--json", "--check"]).exits(5).json();
    let states =
        states["versions"].as_array().expect("versions").iter().map(|version| version["state"].clone());
    assert_eq!(states.collect::<Vec<_>>(), ["divergent", "late", "missing", "applied", "pending"]);
}

#[test]
fn status_works_for_a_role_that_may_only_read() {
    let project = project();
    project.outgrow(["migrate"]).succeeds();
    let url = format!("{}?options=-c%20default_transaction_read_only%3Don", project.url());
    project.outgrow(["status", "--check", "--database-url", &url]).succeeds().prints(&["at head"]);
    project.outgrow(["migrate", "--database-url", &url]).succeeds().prints(&["nothing to do"]);
}

#[test]
fn a_history_in_a_schema_that_is_not_looked_in_is_named() {
    let project = Project::with(&[("migrations/V1__a.sql", "CREATE TABLE a (id int);")]);
    project.execute("CREATE SCHEMA app");
    let url = format!("{}?options=-csearch_path%3Dapp", project.url());
    project
        .run(project.command(["migrate"]).env("DATABASE_URL", &url))
        .succeeds()
        .never_says(&["no history"]);
    project.run(project.command(["status", "--check"]).env("DATABASE_URL", &url)).succeeds();
    for arguments in [["status", "--check"], ["migrate", "--dry-run"]] {
        project.outgrow(arguments).says(&[
            "no history refinery_schema_history is found, and every version counts as pending; the target has it in the schema app",
            "options=-csearch_path%3Dapp",
        ]);
    }
    project.outgrow(["doctor"]).prints(&["no history is found", "the target has it in the schema app"]);
    project.execute("CREATE SCHEMA other; CREATE TABLE other.refinery_schema_history (version int)");
    project.outgrow(["status"]).succeeds().never_says(&["no history"]);
}
