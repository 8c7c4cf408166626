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

/// As `migrate` would.
#[test]
fn a_dry_run_looks_for_rows_in_the_targets_tables() {
    let project = Project::one_table("id int, v int", "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 2)");
    project
        .write("migrations/V1__create_t.sql", "CREATE TABLE t (id int, v int); INSERT INTO t VALUES (0, 0)");
    project.outgrow(["migrate", "--dry-run"]).succeeds();
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.outgrow(["migrate", "--dry-run"]).exits(7).says(&["table t: it already holds rows"]);
    project.sqlite("app.db", "INSERT INTO t VALUES (3, 'x')");
    let both = project.outgrow(["migrate", "--dry-run"]).exits(6);
    both.says(&["table t: it already holds rows", "t.v: text that is not a whole number in 1 row"]);
}

#[test]
fn all_rules_of_a_column_are_advised_under_one_heading() {
    let source = "CREATE TABLE t (at);
        INSERT INTO t VALUES ('2024-01-01 00:00:00'), ('2024-01-01T00:00:00.123456789Z'), ('2024-01-01 00:00:00');";
    let project = Project::one_table("at timestamptz", source);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let refused = project.outgrow(["migrate", "--dry-run"]).exits(6);
    assert_eq!(refused.stderr.matches("[table.t.column.at]").count(), 1, "{}", refused.stderr);
    let (_, rule) = refused.stderr.split_once("rule: ").expect("a rule");
    let lines: Vec<&str> = rule.lines().take(3).map(str::trim).collect();
    project.write(
        "migrations/V2__import.toml",
        format!("source = \"sqlite\"\ntables = [\"t\"]\n{}\n", lines.join("\n")),
    );
    project.outgrow(["migrate"]).succeeds().prints(&["3 rows"]);
}

/// Each of two reasons would otherwise take a run of its own.
#[test]
fn all_that_speaks_against_a_cell_is_named_at_once() {
    let source = "CREATE TABLE t (at); INSERT INTO t VALUES ('2024-01-01T00:00:00.123456789Z')";
    let project = Project::one_table("at timestamp", source);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.outgrow(["migrate", "--dry-run"]).exits(6).says(&[
        "t.at: a time with a zone in 1 row",
        "t.at: a time with more than six digits after the second in 1 row",
        "round = true",
        "zone = \"UTC\"",
    ]);
}
