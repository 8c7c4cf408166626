//! `migrate --dry-run`: everything is read, nothing is written.

use crate::rules::LEVERAGE;
use crate::support::Project;

#[test]
fn a_dry_run_reads_everything_and_writes_nothing() {
    let project = Project::one_table("id int, v int", LEVERAGE);
    project.outgrow(["migrate", "--dry-run"]).succeeds().prints(&[
        "V2__import",
        "not read: versions before it make its tables",
        "nothing was written",
    ]);
    assert!(!project.has_table("t") && !project.has_table("refinery_schema_history"));
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let refused = project
        .outgrow(["migrate", "--dry-run"])
        .exits(6)
        .says(&["t.v: text that is not a whole number in 1 row, rowid 2", "rowid 3"]);
    refused
        .says(&["rule: [table.t.column.v]\n          misfit = \"null\"  # or \"quarantine\""])
        .never_says(&["10x"]);
    project.sqlite("app.db", "DELETE FROM t WHERE id IN (2, 3)");
    project.outgrow(["migrate", "--dry-run"]).succeeds().prints(&[
        "2 rows",
        "1 version would be applied, nothing was written",
        "not checked by this reading: unique keys",
    ]);
    let json = project.outgrow(["migrate", "--dry-run", "--json"]).succeeds().json();
    assert!(
        json["applied"][0]["note"].as_str().is_some_and(|note| note.contains("foreign keys, CHECKs")),
        "{json}"
    );
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["0"]);
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["migrate", "--dry-run"]).succeeds().prints(&["nothing to do"]);
}

#[test]
fn a_dry_run_needs_no_right_to_write() {
    let project = Project::one_table("id int, v int", "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 2)");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let mut command = project.command(["migrate", "--dry-run"]);
    command.env("DATABASE_URL", format!("{}?options=-cdefault_transaction_read_only%3Don", project.url()));
    project.run(&mut command).succeeds().prints(&["1 row", "nothing was written"]);
}
