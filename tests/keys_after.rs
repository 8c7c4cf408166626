//! Keys that a version makes after the step: the server checks them by going through indexes side by side, where that is
//! the quick way.

use crate::support::Project;

/// Parents and children, by numbers and by texts, and a place for what every definition is made under.
fn project() -> Project {
    Project::step(
        "CREATE TABLE parent (id bigint, code text); CREATE TABLE \"Child\" (id bigint, parent bigint, code text);
         CREATE TABLE elsewhere (id bigint PRIMARY KEY);
         CREATE TABLE made (number serial, what text);
         CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO public.made (what) VALUES (tg_tag || ' ' || current_setting('enable_hashjoin')); END $$;",
        "\"parent\", \"Child\"",
        "CREATE TABLE parent (id, code); CREATE TABLE Child (id, parent, code);
         INSERT INTO parent VALUES (1, 'a'), (2, 'b'); INSERT INTO Child VALUES (1, 2, 'b'), (2, NULL, NULL), (3, 1, 'a')",
    )
}

/// What `enable_hashjoin` is while the statements of V3 run, which follows the step in the same run.
fn under(project: &Project, keys: &str) -> Vec<String> {
    project.write(
        "migrations/V3__note.sql",
        "CREATE EVENT TRIGGER note ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX') EXECUTE FUNCTION note();",
    );
    project.write("migrations/V4__keys.sql", keys);
    project.write("migrations/V5__later.sql", "ALTER TABLE elsewhere ADD x int;");
    project.outgrow(["migrate"]).succeeds();
    project.query("SELECT what FROM made ORDER BY number")
}

#[test]
fn keys_of_numbers_are_checked_by_merging() {
    let keys = "ALTER TABLE parent ADD PRIMARY KEY (id);
        CREATE INDEX ON \"Child\" (parent);
        ALTER TABLE ONLY public.\"Child\" ADD CONSTRAINT child_parent FOREIGN KEY (parent) REFERENCES parent;
        COMMENT ON CONSTRAINT child_parent ON \"Child\" IS 'whose';";
    let off = "ALTER TABLE off";
    assert_eq!(under(&project(), keys), [off, "CREATE INDEX off", off, "ALTER TABLE on"]);
}

#[test]
fn keys_of_texts_and_of_other_tables_are_not() {
    for keys in [
        "ALTER TABLE parent ADD UNIQUE (code); ALTER TABLE \"Child\" ADD FOREIGN KEY (code) REFERENCES parent (code);",
        "ALTER TABLE parent ADD PRIMARY KEY (id); ALTER TABLE elsewhere ADD FOREIGN KEY (id) REFERENCES parent;",
        "ALTER TABLE parent ADD UNIQUE (code);",
    ] {
        assert!(under(&project(), keys).iter().all(|made| made == "ALTER TABLE on"), "{keys}");
    }
}

#[test]
fn nor_are_keys_beside_other_statements_or_of_another_run() {
    let keys = "ALTER TABLE parent ADD PRIMARY KEY (id); \
                ALTER TABLE \"Child\" ADD FOREIGN KEY (parent) REFERENCES parent;";
    let beside = format!("{keys} UPDATE \"Child\" SET code = 'c';");
    assert!(under(&project(), &beside).iter().all(|made| made == "ALTER TABLE on"));
    let project = project();
    project.outgrow(["migrate"]).succeeds();
    assert!(under(&project, keys).iter().all(|made| made == "ALTER TABLE on"));
}

#[test]
fn rows_without_a_parent_are_refused_all_the_same() {
    let project = project();
    project.sqlite("app.db", "INSERT INTO Child VALUES (4, 9, NULL)");
    let keys = "ALTER TABLE parent ADD PRIMARY KEY (id);\n\
                ALTER TABLE \"Child\" ADD FOREIGN KEY (parent) REFERENCES parent;";
    project.write("migrations/V3__keys.sql", keys);
    let refused = project.outgrow(["migrate"]).exits(7);
    refused.says(&["V3__keys", "V3__keys.sql:2", "23503", "V1 to V2 before it were applied and stay"]);
}
