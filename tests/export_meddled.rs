//! What outgrow keeps in the target and somebody has changed: the way back says so, and writes no NULL or other
//! spelling in its place.

use crate::support::{Project, cells};

/// A table `m` with a cell that is not in its column's format, and two rows that a rule sends to the quarantine.
fn with_kept() -> Project {
    let project = Project::step(
        "CREATE TABLE m (id int PRIMARY KEY, v int)",
        "\"m\"]\n[table.m]\nmisfit = \"quarantine\"\n#",
        "CREATE TABLE m (id INTEGER PRIMARY KEY, v);
         INSERT INTO m VALUES (1, 1), (2, '2'), (3, 3), (4, 'x'), (5, 'y');",
    );
    project.outgrow(["migrate"]).succeeds();
    project
}

#[test]
fn a_quarantined_row_that_is_not_as_it_was_written_is_reported() {
    let project = with_kept();
    for row in [
        r#"{"id": 4, "v": {"txt": "secret"}}"#,
        r#"{"id": 4, "v": {"text_hex": "secret"}}"#,
        r#"{"id": 4.5, "v": {"text": "secret"}}"#,
        r#"{"id": 4, "secret": 1}"#,
        r#"["secret"]"#,
    ] {
        project.execute(&format!(
            "UPDATE outgrow_quarantine SET source_row = '{row}'::json WHERE place LIKE '%4'"
        ));
        let outcome = project.outgrow(["export", "back.db"]).exits(6);
        outcome
            .says(&[
                "m: a quarantined row that is not as outgrow wrote it",
                "in outgrow_quarantine",
                "in 1 row: ",
            ])
            .never_says(&["secret"]);
        assert!(!project.path("back.db").exists());
    }
    project.execute("DELETE FROM outgrow_quarantine WHERE place LIKE '%4'");
    project.outgrow(["export", "back.db"]).succeeds();
    assert_eq!(cells::query(&project.path("back.db"), "SELECT count(*) FROM m"), ["4"]);
}

#[test]
fn a_kept_cell_that_is_not_as_it_was_written_is_reported() {
    let project = with_kept();
    for cells in [
        r#"{"v": {"txt": "secret"}}"#,
        r#"{"v": {"text": "secret", "stored": 5}}"#,
        r#"["secret"]"#,
        r#""secret""#,
    ] {
        project.execute(&format!("UPDATE outgrow_original SET cells = '{cells}'::json"));
        let outcome = project.outgrow(["export", "back.db"]).exits(6);
        outcome
            .says(&[
                "m: cells that were kept are not as outgrow wrote them",
                "in outgrow_original",
                "in 1 row: ",
            ])
            .never_says(&["secret"]);
        assert!(!project.path("back.db").exists());
    }
    // nobody asks for those of a table that is not written
    project.execute("UPDATE outgrow_original SET table_name = 'other'");
    project.outgrow(["export", "back.db"]).succeeds();
}
