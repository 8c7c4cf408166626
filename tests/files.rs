//! What `migrations/` may hold: every fault is named with its file, all faults at once, and nothing is run.

use crate::support::{Outcome, Project};

const TABLE: &str = "CREATE TABLE t (id int);\n";

/// A project whose first version is sound, and these files beside it.
fn beside_a_sound_version(files: &[(&str, &str)]) -> Project {
    let project = Project::with(files);
    project.write("migrations/V1__create_t.sql", TABLE);
    project
}

/// `migrate` is refused with exit code 2, says `parts`, and runs nothing.
#[track_caller]
fn refused(project: &Project, parts: &[&str]) -> Outcome {
    let outcome = project.outgrow(["migrate"]).exits(2).says(parts);
    assert!(!project.has_table("t") && !project.has_table("refinery_schema_history"), "nothing is run");
    outcome
}

#[track_caller]
fn history(project: &Project) -> Vec<String> {
    project.query("SELECT version::text FROM refinery_schema_history ORDER BY version")
}

#[test]
fn a_missing_folder_is_named_with_the_flag_that_names_another() {
    let project = Project::empty();
    refused(&project, &["migrations: ", "No such file or directory", "--migrations"]);
    project.outgrow(["migrate", "--migrations", "db/versions"]).exits(2).says(&["db/versions: "]);
    project
        .run(project.command(["status"]).env("OUTGROW_MIGRATIONS", "elsewhere"))
        .exits(2)
        .says(&["elsewhere: "]);
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused() {
    let project = Project::with(&[("migrations", "")]);
    refused(&project, &["migrations: ", "Not a directory", "--migrations"]);
}

#[test]
fn an_empty_folder_is_told_what_belongs_there() {
    let project = Project::with(&[("migrations/.gitkeep", "")]);
    refused(&project, &["migrations: holds no migrations", "V1__create_user.sql"]);
}

#[test]
fn the_folder_can_be_named_by_flag_and_by_environment() {
    let project =
        Project::with(&[("a/V1__a.sql", "CREATE TABLE a ();"), ("b/V1__b.sql", "CREATE TABLE b ();")]);
    let mut command = project.command(["migrate", "--migrations", "a"]);
    project.run(command.env("OUTGROW_MIGRATIONS", "b")).succeeds().prints(&["V1__a"]);
    assert!(project.has_table("a") && !project.has_table("b"), "the flag wins");
    project
        .run(project.command(["status"]).env("OUTGROW_MIGRATIONS", "b"))
        .succeeds()
        .prints(&["V1__b", "divergent"]);
}

#[test]
fn a_misnamed_file_is_named_with_what_was_expected() {
    for name in ["V2_two.sql", "v2__two.sql", "2__two.sql", "V2__two.sql.bak", "README.md", "V2__two-b.sql"] {
        let project = beside_a_sound_version(&[(&format!("migrations/{name}"), "")]);
        refused(&project, &[&format!("migrations/{name}: is "), "expected V<number>__<name>.sql"]);
    }
}

#[test]
fn a_number_that_the_history_cannot_hold_is_refused() {
    let project = beside_a_sound_version(&[("migrations/V20260101120000__late.sql", "")]);
    refused(&project, &["V20260101120000__late.sql: version 20260101120000 is too large", "2147483647"]);
}

#[test]
fn two_files_with_one_version_are_both_named() {
    let project = beside_a_sound_version(&[("migrations/V01__other.sql", "")]);
    refused(
        &project,
        &["migrations/V1__create_t.sql: version 1 is taken by migrations/V01__other.sql", "another number"],
    );
}

#[test]
fn a_step_and_a_file_of_sql_cannot_share_a_version() {
    let step = "source = \"sqlite\"\ntables = [\"t\"]\n";
    let project = beside_a_sound_version(&[("migrations/V1__import.toml", step)]);
    refused(&project, &["migrations/V1__import.toml: version 1 is taken by migrations/V1__create_t.sql"]);
}

#[test]
fn a_step_cannot_arrive_out_of_order() {
    let step = "source = \"sqlite\"\ntables = [\"t\"]\n";
    let project = beside_a_sound_version(&[("migrations/U2__import.toml", step)]);
    refused(&project, &["U2__import.toml: is misnamed: a data step cannot arrive out of order", "V<number>"]);
}

#[test]
fn a_step_that_does_not_parse_is_located() {
    let torn = "source = \"sqlite\"\ntables = [\"t\"\nskip = []\n";
    let project = beside_a_sound_version(&[("migrations/V2__import.toml", torn)]);
    refused(&project, &["migrations/V2__import.toml:3:1: ", "a data step reads: source = \"sqlite\""]);
}

#[test]
fn an_unknown_key_is_located_and_the_known_ones_are_listed() {
    let step = "source = \"sqlite\"\ntables = [\"t\"]\n\n  tabels = [\"u\"]\n";
    let project = beside_a_sound_version(&[("migrations/V2__import.toml", step)]);
    refused(&project, &["migrations/V2__import.toml:4:3: unknown field `tabels`", "`tables`", "`skip`"]);
}

#[test]
fn a_missing_key_and_a_wrong_type_are_named() {
    let project = beside_a_sound_version(&[
        ("migrations/V2__a.toml", "source = \"sqlite\"\n"),
        ("migrations/V3__b.toml", "source = \"sqlite\"\ntables = \"t\"\n"),
        ("migrations/V4__c.toml", "source = \"mysql\"\ntables = [\"e\", \"E\"]\n"),
    ]);
    refused(
        &project,
        &[
            "V2__a.toml:",
            "missing field `tables`",
            "V3__b.toml:2:10: ",
            "V4__c.toml:1:10: source is \"mysql\"",
            "V4__c.toml:2:16: table \"E\" is named twice",
        ],
    );
}

#[test]
fn a_file_that_is_not_utf_8_is_located() {
    let project = beside_a_sound_version(&[]);
    project.write("migrations/V2__latin.sql", b"SELECT 1;\nSELECT 'caf\xe9';\n");
    refused(&project, &["migrations/V2__latin.sql:", "is not UTF-8"]);
}

#[test]
fn several_faults_are_reported_at_once() {
    let project = beside_a_sound_version(&[
        ("migrations/V1__again.sql", ""),
        ("migrations/V3__import.toml", "source = 1\n"),
        ("migrations/notes.txt", ""),
        ("migrations/U4__import.toml", ""),
    ]);
    refused(
        &project,
        &["nothing was run", "version 1 is taken", "V3__import.toml:1:", "notes.txt: ", "U4__import.toml: "],
    );
}

#[test]
fn files_that_begin_with_a_dot_are_left_alone() {
    let project = beside_a_sound_version(&[
        ("migrations/.V2__swap.sql.swp", "nonsense"),
        ("migrations/.DS_Store", "\u{1}"),
        ("migrations/.git/V3__hidden.sql", "nonsense"),
    ]);
    project.outgrow(["migrate"]).succeeds().prints(&["at head, V1, 1 version applied"]);
}

#[test]
fn line_endings_and_a_byte_order_mark_do_not_change_a_version() {
    let project = Project::one_table("id int", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/V1__create_t.sql", "\u{feff}CREATE TABLE t (id int);");
    project.write("migrations/V2__import.toml", "\u{feff}source = \"sqlite\"\r\ntables = [\"t\"]\r\n");
    project.outgrow(["migrate"]).succeeds().prints(&["at head, V2, nothing to do"]);
    project.outgrow(["status", "--check"]).succeeds();
}

#[test]
fn a_file_from_windows_is_applied_and_its_errors_are_located() {
    let project = Project::with(&[
        ("migrations/V1__a.sql", "\u{feff}CREATE TABLE t (id int);\r\nINSERT INTO t\r\nVALUES (1);\r\n"),
        ("migrations/V2__b.sql", "\u{feff}SELECT 1;\r\nSELECT nothing;\r\n"),
    ]);
    project.outgrow(["migrate"]).exits(7).says(&["V2__b.sql:2:8: ", "2 | SELECT nothing;\n"]);
    assert_eq!(history(&project), ["1"]);
}

#[test]
fn an_edited_file_is_named_and_nothing_is_applied() {
    let project = beside_a_sound_version(&[]);
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/V1__create_t.sql", "CREATE TABLE t (id bigint);\n");
    project.write("migrations/V2__next.sql", "CREATE TABLE next ();");
    project.outgrow(["migrate"]).exits(5).says(&[
        "migrations/V1__create_t.sql was edited or renamed after it was applied on 20",
        "put the old file back",
        "new version",
    ]);
    assert!(!project.has_table("next"));
}

#[test]
fn a_renamed_file_is_an_edited_one() {
    let project = beside_a_sound_version(&[]);
    project.outgrow(["migrate"]).succeeds();
    let migrations = project.path("migrations");
    std::fs::rename(migrations.join("V1__create_t.sql"), migrations.join("V1__make_t.sql")).expect("renamed");
    project.outgrow(["migrate"]).exits(5).says(&["V1__make_t.sql was edited or renamed"]);
}

#[test]
fn a_missing_file_is_named() {
    let project = beside_a_sound_version(&[("migrations/V2__next.sql", "CREATE TABLE next ();")]);
    project.outgrow(["migrate"]).succeeds();
    std::fs::remove_file(project.path("migrations/V2__next.sql")).expect("removed");
    project.outgrow(["migrate"]).exits(5).says(&[
        "V2__next was applied on 20",
        "its file is missing",
        "put it back",
    ]);
}

#[test]
fn a_late_file_is_named_with_the_number_that_it_needs() {
    let project = beside_a_sound_version(&[("migrations/V5__five.sql", "")]);
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/V3__three.sql", "CREATE TABLE three ();");
    project.outgrow(["migrate"]).exits(5).says(&[
        "migrations/V3__three.sql is not applied and V5 above it is",
        "above V5",
        "U instead of V",
    ]);
    assert!(!project.has_table("three"));
}

#[test]
fn everything_in_which_history_and_files_differ_is_reported_at_once() {
    let project = beside_a_sound_version(&[("migrations/V3__a.sql", ""), ("migrations/V4__b.sql", "")]);
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/V1__create_t.sql", "-- edited");
    project.write("migrations/V2__late.sql", "");
    std::fs::remove_file(project.path("migrations/V4__b.sql")).expect("removed");
    project.outgrow(["migrate"]).exits(5).says(&[
        "the history diverges from the files",
        "V1__create_t.sql was edited",
        "V2__late.sql is not applied",
        "V4__b was applied",
    ]);
}

#[test]
fn a_u_file_may_arrive_late() {
    let project = beside_a_sound_version(&[("migrations/V5__five.sql", "")]);
    project.outgrow(["migrate"]).succeeds();
    project.write("migrations/U3__index.sql", "CREATE INDEX ON t (id);");
    project.outgrow(["status", "--check"]).exits(1).prints(&["U3__index", "pending"]);
    project.outgrow(["migrate"]).succeeds().prints(&["U3__index", "at head, V5, 1 version applied"]);
    assert_eq!(history(&project), ["1", "3", "5"]);
    project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
}

#[test]
fn a_u_file_that_fails_is_called_by_its_name() {
    let project = beside_a_sound_version(&[("migrations/U2__index.sql", "CREATE INDEX ON nothing (id);")]);
    project.outgrow(["migrate"]).exits(7).says(&["U2__index failed", "migrations/U2__index.sql:1:"]);
    assert_eq!(history(&project), ["1"]);
}

#[test]
fn a_version_to_stop_at_must_exist() {
    let project = beside_a_sound_version(&[("migrations/V3__three.sql", "CREATE TABLE three ();")]);
    project.outgrow(["migrate", "--to", "2"]).exits(2).says(&["--to 2: there is no version 2", "1", "3"]);
    assert!(!project.has_table("t"));
    project.outgrow(["migrate", "--to", "1"]).succeeds().prints(&["at V1, head is V3, 1 version applied"]);
    assert!(!project.has_table("three"));
    project.outgrow(["migrate", "--to", "head"]).exits(2).says(&["--to", "head"]);
}

#[test]
fn a_version_to_stop_at_below_the_applied_ones_changes_nothing() {
    let project = beside_a_sound_version(&[("migrations/V3__three.sql", "")]);
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["migrate", "--to", "1"]).succeeds().prints(&["at head, V3, nothing to do"]);
    assert_eq!(history(&project), ["1", "3"]);
}
