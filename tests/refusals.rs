//! Whatever else the server refuses about a row is a report too: every row, and why, and nothing of its content.

use crate::support::Project;

/// The step is refused with all of `lines`, and nothing stays; with indexes in place, and with indexes set aside.
#[track_caller]
fn refused(project: &Project, lines: &[&str]) {
    refused_as_it_is(project, lines);
    project.enlarge("app.db");
    refused_as_it_is(project, lines);
}

#[track_caller]
fn refused_as_it_is(project: &Project, lines: &[&str]) {
    let outcome = project.outgrow(["migrate"]).exits(6).says(lines).never_says(&["secret", "outgrow_"]);
    let reported: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("rowid ")).collect();
    assert_eq!(reported.len(), lines.len(), "{outcome:#?}");
    assert!(outcome.stderr.contains("nothing was kept"), "{outcome:#?}");
    assert_eq!(project.query("SELECT max(version)::text FROM refinery_schema_history"), ["1"]);
}

#[test]
fn a_condition_that_cannot_be_computed() {
    let project = Project::step(
        "CREATE DOMAIN inverse AS int CONSTRAINT inverse CHECK (1 / VALUE < 2);
         CREATE FUNCTION judge(v text) RETURNS boolean LANGUAGE plpgsql AS
         $$ BEGIN IF v LIKE 'secret%' THEN RAISE EXCEPTION 'not %', v; END IF; RETURN v <> 'x'; END $$;
         CREATE TABLE t (id int, a int, b int, d inverse, v text, CONSTRAINT ratio CHECK (a / b < 5), CONSTRAINT judged CHECK (judge(v)));",
        "\"t\"",
        "CREATE TABLE t (id, a, b, d, v); INSERT INTO t VALUES (1, 1, 1, 1, 'a'), (2, 1, 0, 1, 'secret 2'), (3, 9, 1, 0, 'x'), (4, 1, 0, 1, 'secret 4')",
    );
    refused(
        &project,
        &[
            "t.(a, b): a division by zero [SQLSTATE 22012] in 2 rows, rowid 2, 4; check constraint ratio",
            "t.(a, b): a value that the condition excludes in 1 row, rowid 3; check constraint ratio",
            "t.v: an exception that a function of the target raises [SQLSTATE P0001] in 2 rows, rowid 2, 4; check constraint judged",
            "t.v: a value that the condition excludes in 1 row, rowid 3; check constraint judged",
            "t.d: a division by zero [SQLSTATE 22012] in 1 row, rowid 3; check constraint inverse of domain inverse",
        ],
    );
    let next = "next: correct the rows in the source, leave the column behind (skip = true), or change what refuses them";
    project.outgrow(["migrate"]).says(&[next]).never_says(&["write rules in the step"]);
    project.outgrow(["migrate", "--show-values"]).exits(6);
    project.sqlite("app.db", "DELETE FROM t WHERE id > 1");
    project.outgrow(["migrate"]).succeeds().prints(&["1 row"]);
}

/// PostgreSQL does not expect it of a CHECK.
const READS_ANOTHER_TABLE: &str = "\
CREATE TABLE parent (id int UNIQUE);
CREATE FUNCTION has_parent(x int) RETURNS boolean LANGUAGE sql AS $$ SELECT EXISTS (SELECT FROM parent WHERE id = x) $$;
CREATE FUNCTION is_new(x int) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RETURN NOT EXISTS (SELECT FROM child WHERE p = x); END $$;
CREATE TABLE child (id int UNIQUE, p int CONSTRAINT has_parent CHECK (has_parent(p)) CONSTRAINT is_new CHECK (is_new(p)));";

#[test]
fn conditions_that_read_other_tables_blame_no_row_that_is_right() {
    let project = Project::step(
        READS_ANOTHER_TABLE,
        "\"parent\", \"child\"",
        "CREATE TABLE parent (id); INSERT INTO parent VALUES (1), (2), (3), (3);
         CREATE TABLE child (id, p); INSERT INTO child VALUES (1, 1), (2, 2), (2, 3), (4, 4), (5, 1)",
    );
    refused(
        &project,
        &[
            "parent.id: the same value in 2 rows, rowid 3 = 4; unique index parent_id_key",
            "child.id: the same value in 2 rows, rowid 2 = 3; unique index child_id_key",
            "child.p: a value that the condition excludes in 1 row, rowid 4; check constraint has_parent, which calls has_parent(integer): \
             tables that this reads must come first in the step",
            "child.p: a value that the condition excludes in 1 row, rowid 5; check constraint is_new, which calls is_new(integer)",
        ],
    );
    project.sqlite("app.db", "DELETE FROM child WHERE id > 1; DELETE FROM parent WHERE rowid = 4");
    project.outgrow(["migrate"]).succeeds();
}

#[test]
fn a_condition_that_reads_a_table_that_comes_later() {
    let project = Project::step(
        READS_ANOTHER_TABLE,
        "\"child\", \"parent\"",
        "CREATE TABLE parent (id); INSERT INTO parent VALUES (1), (2); CREATE TABLE child (id, p); INSERT INTO child VALUES (1, 1), (2, 2)",
    );
    refused(
        &project,
        &[
            "child.p: a value that the condition excludes in 2 rows, rowid 1, 2; check constraint has_parent, which calls has_parent(integer): \
             tables that this reads must come first in the step",
        ],
    );
}

#[test]
fn a_function_that_raises_is_named_and_its_message_only_if_asked() {
    let project = Project::step(
        "CREATE FUNCTION deep(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
         $$ BEGIN IF v LIKE 'secret%' THEN RAISE EXCEPTION 'not %', v USING ERRCODE = 'AB123'; END IF; RETURN v; END $$;
         CREATE TABLE t (v text); CREATE FUNCTION whole(r t) RETURNS boolean LANGUAGE sql AS $$ SELECT deep((r).v) <> '' $$;
         ALTER TABLE t ADD CONSTRAINT whole CHECK (whole(t.*));",
        "\"t\"",
        "CREATE TABLE t (v); INSERT INTO t VALUES ('a'), ('secret b'), ('c'), ('secret d')",
    );
    refused(
        &project,
        &[
            "t: an exception that a function of the target raises [SQLSTATE AB123] in 2 rows, rowid 2, 4; PL/pgSQL function deep(text) line 1 at RAISE",
        ],
    );
    project
        .outgrow(["migrate", "--show-values"])
        .exits(6)
        .says(&["[SQLSTATE AB123] (the first: not secret b) in 2 rows"]);
}

#[test]
fn a_generated_column_that_cannot_be_computed() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text, n int GENERATED ALWAYS AS (v::int) STORED CONSTRAINT positive CHECK (n > 0));
         CREATE TABLE u (id int PRIMARY KEY, big bigint, small smallint GENERATED ALWAYS AS (big * 2) STORED, \"a b\" int);",
        "\"t\", \"u\"",
        "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, '1'), (2, 'secret'), (3, '-5'), (4, 'secret'), (4, '9');
         CREATE TABLE u (id, big, \"a b\"); INSERT INTO u VALUES (1, 10, 1), (2, 40000, 2), (3, 5, 'x')",
    );
    let cast = "a text or a date that is no value of the type it is cast to [SQLSTATE 22P02]";
    refused(
        &project,
        &[
            "u.a b: text that is not a whole number in 1 row, rowid 3;",
            &format!("t.n: {cast} in 2 rows, rowid 2, 4; generated column n"),
            "t.id: the same value in 2 rows, rowid 4 = 5; primary key t_pkey",
            "t.n: a value that the condition excludes in 1 row, rowid 3; check constraint positive",
            "u.small: a number out of range [SQLSTATE 22003] in 1 row, rowid 2; generated column small",
        ],
    );
}

#[test]
fn an_index_whose_expression_cannot_be_computed() {
    let project = Project::step(
        "CREATE TABLE t (id int, v text); CREATE INDEX by_number ON t ((v::int));
         CREATE INDEX live ON t (id) WHERE v::int > 0; CREATE UNIQUE INDEX once ON t ((1 / id));",
        "\"t\"",
        "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 'secret'), (5, '5'), (0, '7')",
    );
    let cast =
        "a text or a date that is no value of the type it is cast to [SQLSTATE 22P02] in 1 row, rowid 1";
    refused(
        &project,
        &[
            &format!("t: {cast}; index by_number"),
            &format!("t.id: {cast}; index live"),
            "t: a division by zero [SQLSTATE 22012] in 1 row, rowid 3; unique index once",
        ],
    );
}

#[test]
fn what_is_too_long_for_an_index() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, v text, w text); CREATE INDEX by_v ON t (v); CREATE UNIQUE INDEX by_w ON t (w);",
        "\"t\"",
        "CREATE TABLE t (id, v, w); INSERT INTO t VALUES (1, hex(randomblob(2000)), 'a'), (2, 'b', hex(randomblob(2000))),
           (3, hex(randomblob(2000)), 'c'), (4, 'd', 'd'), (5, hex(randomblob(9000)), NULL)",
    );
    refused(
        &project,
        &[
            "t.v: a value that is too long for an index [SQLSTATE 54000] in 2 rows, rowid 1, 3; index by_v",
            "t.w: a value that is too long for an index [SQLSTATE 54000] in 1 row, rowid 2; unique index by_w",
            "t: more than the server holds in a row or an index [SQLSTATE 54000] (the first: index row requires \
             18016 bytes, maximum size is 8191) in 1 row, rowid 5; one of the indexes by_v (v), by_w (w), t_pkey (id)",
        ],
    );
}

#[test]
fn a_row_that_is_too_wide_for_a_page() {
    let columns: Vec<String> = (1..=600).map(|n| format!("c{n}")).collect();
    for kind in ["text", "bigint"] {
        let wide: Vec<String> = columns.iter().map(|name| format!("{name} {kind}")).collect();
        let value = if kind == "text" { "'12345678901234567890123456789012345'" } else { "7" };
        let (long, short) = (vec![value; 600].join(", "), vec!["NULL"; 600].join(", "));
        let wide = if kind == "text" {
            wide
        } else {
            [wide.clone(), wide.iter().map(|c| format!("d{c}")).collect()].concat()
        };
        let (columns, long, short) = match kind {
            "text" => (columns.join(", "), long, short),
            _ => (
                format!("{0}, d{1}", columns.join(", "), columns.join(", d")),
                format!("{long}, {long}"),
                format!("{short}, {short}"),
            ),
        };
        let project = Project::step(
            &format!("CREATE TABLE t ({});", wide.join(", ")),
            "\"t\"",
            &format!(
                "CREATE TABLE t ({columns}); INSERT INTO t VALUES ({short}), ({long}), ({short}), ({long})"
            ),
        );
        project.outgrow(["migrate"]).exits(6).says(&[
            "t: the server refuses a row: more than the server holds in a row or an index [SQLSTATE 54000], rowid 2\n",
            "this may not be all",
        ]);
    }
}

#[test]
fn values_that_the_type_itself_refuses() {
    let deep = |levels: usize| format!("'{}{}'", "[".repeat(levels), "]".repeat(levels));
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, j json, b jsonb, n numeric);",
        "\"t\"",
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, j, b, n); INSERT INTO t VALUES (1, '{{}}', '[1e131071]', 1), (2, {0}, '1e131072', '{1}'),
               (3, '[]', '1e-16384', 0), (4, {0}, {0}, '{2}')",
            deep(200_000),
            "9".repeat(12_001),
            "9".repeat(12_000)
        ),
    );
    refused(
        &project,
        &[
            "t.j: a value nested deeper than the server's max_stack_depth allows in 2 rows, rowid 2, 4; the target's column, json, takes",
            "t.b: JSON with a number that numeric cannot hold in 2 rows, rowid 2, 3;",
            "t.b: JSON nested deeper than 127 levels in 1 row, rowid 4;",
            "t.n: a number with more digits than the server takes at once in 1 row, rowid 2;",
        ],
    );
    project
        .outgrow(["migrate"])
        .says(&["rule: [table.t.column.j]\n          skip = true  # or make the target's column text"]);
    project.sqlite("app.db", "DELETE FROM t WHERE id IN (2, 3); UPDATE t SET j = '[]', b = '[]'");
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
}

#[test]
fn characters_that_the_target_does_not_have() {
    let project = Project::step(
        "CREATE TYPE mood AS ENUM ('sad', 'glad');
         CREATE TABLE t (id int PRIMARY KEY, v text, w varchar(8), j jsonb NOT NULL, m mood, a text[]);",
        "\"t\"",
        "CREATE TABLE t (id, v, w, j, m, a); INSERT INTO t VALUES (1, 'señal', 'ñ', '[\"é\"]', 'sad', '{ñ}'), (2, 'secret 🔑', '€', '[\"🔑\"]', 'glad', '{🔑}'),
         (3, '🔑', 'a', '[]', NULL, NULL)",
    )
    .encoded_in("LATIN1");
    let missing = "text with a character that the target database's encoding does not have";
    refused(
        &project,
        &[
            &format!("t.v: {missing} in 2 rows, rowid 2, 3; the target's column, text, takes text"),
            &format!("t.w: {missing} in 1 row, rowid 2;"),
            &format!("t.j: {missing} in 1 row, rowid 2;"),
            &format!("t.a: {missing} in 1 row, rowid 2;"),
        ],
    );
    project.outgrow(["migrate"]).says(&[
        "rule: [table.t.column.v]\n          skip = true  # or make the target database with ENCODING 'UTF8'",
    ]);
    project.outgrow(["migrate", "--show-values"]).says(&["values \"secret 🔑\", \"🔑\""]);
    project.sqlite("app.db", "DELETE FROM t WHERE id > 1");
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
}

#[test]
fn a_database_without_an_encoding_counts_bytes() {
    let project = Project::step(
        "CREATE TABLE t (v varchar(3), c char(2), w text);",
        "\"t\"",
        "CREATE TABLE t (v, c, w); INSERT INTO t VALUES ('ñé🔑', 'a', 'ñ🔑'), ('abc', 'ñé', '')",
    )
    .encoded_in("SQL_ASCII");
    refused(
        &project,
        &[
            "t.v: text that the server does not take as this type in 1 row, rowid 1;",
            "t.c: text that the server does not take as this type in 1 row, rowid 2;",
        ],
    );
}

#[test]
fn a_row_with_a_misfit_breaks_no_rule_with_the_null_in_its_place() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL CHECK (a IS NOT NULL), b int, p point,
           CONSTRAINT one_of CHECK (b IS NOT NULL), CONSTRAINT has_p CHECK (p IS NOT NULL));",
        "\"t\"",
        "CREATE TABLE t (id, a, b, p); INSERT INTO t VALUES (1, 'x', 1, '(1,2)'), (2, 2, 'x', '(1,2)'), (3, 3, 'y', '(1,2)'), (4, 4, 4, 'secret'),
         (5, 5, NULL, '(1,2)'), (5, 'x', 6, '(1,2)')",
    );
    refused(
        &project,
        &[
            "t.a: text that is not a whole number in 2 rows, rowid 1, 6;",
            "t.b: text that is not a whole number in 2 rows, rowid 2, 3;",
            "t.p: text that the server does not take as this type in 1 row, rowid 4;",
            "t.b: a value that the condition excludes in 1 row, rowid 5; check constraint one_of",
            "t.id: the same value in 2 rows, rowid 5 = 6; primary key t_pkey",
        ],
    );
}

#[test]
fn what_a_function_of_the_target_warns_of_is_not_shown() {
    let project = Project::with(&[
        (
            "migrations/V1__t.sql",
            "CREATE FUNCTION f(text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS \
             $$ BEGIN RAISE WARNING 'odd %', $1; RETURN true; END $$; CREATE TABLE t (v text CHECK (f(v)));",
        ),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"t\"]\n"),
    ]);
    project.sqlite("app.db", "CREATE TABLE t (v); INSERT INTO t VALUES ('s3cret')");
    project.outgrow(["migrate", "-v"]).succeeds().never_says(&["s3cret"]);
}
