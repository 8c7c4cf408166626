//! Columns of which no cell told how the application spells them: they are spelt as others of their kind.

use crate::export::comes_back;
use crate::support::{Project, cells};

const SCHEMA: &str = "CREATE TABLE p (id uuid PRIMARY KEY, made timestamptz);
    CREATE TABLE c (id int PRIMARY KEY, p uuid REFERENCES p, made timestamptz);";

fn steps(project: &Project, rules: &str) {
    let step = format!("source = \"sqlite\"\ntables = [\"p\", \"c\"]\n{rules}");
    project.write("migrations/V2__import.toml", step);
    project.outgrow(["migrate"]).succeeds();
}

const ROWS: &str = "INSERT INTO p VALUES ('0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70', '2026-01-02 03:04:05.6+00');
    INSERT INTO c VALUES (1, '0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70', '2026-01-02 03:04:05.6+00')";

/// As Django and SQLAlchemy have them; whatever tells, the key finds its row.
#[test]
fn keys_find_each_other_though_a_table_was_empty() {
    let p = "CREATE TABLE p (id CHAR(32) PRIMARY KEY, made DATETIME);";
    let c = "CREATE TABLE c (id INTEGER PRIMARY KEY, p CHAR(32) REFERENCES p (id), made DATETIME);";
    let told = "INSERT INTO p VALUES ('1b9d8f2e4c1a4f6b9a7d2f6c1b3e5d71', '2024-05-06 07:08:09.100000')";
    let null = "INSERT INTO c VALUES (9, NULL, NULL)";
    for rows in ["", told, &format!("{told}; {null}")] {
        let project = Project::step(SCHEMA, "\"p\", \"c\"", &format!("{p} {c} {rows}"));
        steps(&project, if rows.is_empty() { "" } else { "[table.p]\nzone = \"UTC\"\n" });
        project.execute(ROWS);
        project.outgrow(["export", "back.db"]).succeeds().never_says(&["without their row"]);
        let (file, joined) = (project.path("back.db"), "SELECT c.p, c.made FROM c JOIN p ON p.id = c.p");
        let made =
            if rows.is_empty() { "2026-01-02 03:04:05.600000+00:00" } else { "2026-01-02 03:04:05.600000" };
        assert_eq!(
            cells::query(&file, joined),
            [format!("'0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70' | '{made}'")],
            "{rows}"
        );
    }
}

/// A table that came into the target later has keys in the file, too.
#[test]
fn a_table_that_never_came_from_sqlite_is_spelt_like_the_others() {
    let project = Project::step(
        SCHEMA,
        "\"p\", \"c\"",
        "CREATE TABLE p (id TEXT PRIMARY KEY, made TEXT); CREATE TABLE c (id INTEGER PRIMARY KEY, p, made);
         INSERT INTO p VALUES ('0B9D8F2E4C1A4F6B9A7D2F6C1B3E5D70', NULL)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute(
        "CREATE TABLE later (id uuid PRIMARY KEY REFERENCES p);
         INSERT INTO later SELECT id FROM p",
    );
    project.outgrow(["export", "back.db"]).succeeds();
    let found = cells::query(&project.path("back.db"), "SELECT count(*) FROM later JOIN p USING (id)");
    assert_eq!(found, ["1"]);
}

/// Where it is a guess, and one that is wrong for a key, there is no file.
#[test]
fn rows_that_the_file_would_lose_are_refused() {
    let project = Project::step(
        SCHEMA,
        "\"p\", \"c\"",
        "CREATE TABLE p (id TEXT PRIMARY KEY, made TEXT); CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p (id), made);
         INSERT INTO p VALUES ('0b9d8f2e-4c1a-4f6b-9a7d-2f6c1b3e5d70', NULL)",
    );
    // most others of that declaration are written otherwise
    let others = "CREATE TABLE o (id TEXT, b TEXT); INSERT INTO o VALUES ('0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70', '0B9D8F2E4C1A4F6B9A7D2F6C1B3E5D70')";
    project.sqlite(
        "app.db",
        &others.replace("0B9D8F2E4C1A4F6B9A7D2F6C1B3E5D70", "0b9d8f2e4c1a4f6b9a7d2f6c1b3e5d70"),
    );
    project.write("migrations/V1__create.sql", format!("{SCHEMA} CREATE TABLE o (id uuid, b uuid);"));
    project.write("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"p\", \"c\", \"o\"]\n");
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO c SELECT 1, id FROM p");
    project.outgrow(["export", "back.db"]).exits(6).says(&[
        "c: 1 row without its row of p that the target finds: no row of the step tells how the application spells p",
    ]);
    assert!(!project.path("back.db").exists());
}

/// Python and Rails leave out a fraction of zero, SQLAlchemy does not: a column whose cells all have one tells neither, and
/// others of its kind do.
#[test]
fn whole_seconds_are_written_as_in_columns_that_have_some() {
    let exported = |whole: &str| {
        let project = Project::one_table(
            "id int PRIMARY KEY, a timestamp, b timestamp, c timestamp",
            &format!(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a datetime(6), b datetime(6), c other);
                 INSERT INTO t VALUES (1, '2024-01-01 10:00:00.123456', '{whole}', '2024-01-01 10:00:00.123456'),
                     (2, '2024-01-02T10:00:00.120000', '2024-01-02 10:00:00.120000', '2024-01-02 10:00:00.120000')"
            ),
        );
        project.outgrow(["migrate"]).succeeds();
        project.outgrow(["export", "back.db"]).succeeds();
        cells::assert_same(&project.path("back.db"), &project.path("app.db"));
        let row = "'2025-01-01 00:00:00'";
        project.execute(&format!("INSERT INTO t VALUES (3, {row}, {row}, {row}), (4, now(), now(), now())"));
        project.outgrow(["export", "again.db"]).succeeds();
        cells::query(&project.path("again.db"), "SELECT a || '|' || b || '|' || c FROM t WHERE id = 3")
    };
    let (short, long) = ("2025-01-01 00:00:00", "2025-01-01 00:00:00.000000");
    assert_eq!(exported("2024-01-01 10:00:00"), [format!("'{short}|{short}|{long}'")]);
    assert_eq!(exported("2024-01-01 10:00:00.000000"), [format!("'{long}|{long}|{long}'")]);
}

/// Python's timedelta is microseconds to Django, and a moment since 1970 to SQLAlchemy: the rule that others needed holds
/// for a column that had no cell, and `verify` reads the file as it was written.
#[test]
fn columns_without_a_cell_have_the_rule_of_others_of_their_kind() {
    let columns = "id INTEGER PRIMARY KEY, d bigint, at integer, e datetime, made datetime, day integer";
    let project = Project::step(
        "CREATE TABLE a (id int PRIMARY KEY, d interval, at timestamptz, e interval, made timestamptz, day date);
         CREATE TABLE b (LIKE a)",
        "\"a\", \"b\"",
        &format!(
            "CREATE TABLE a ({columns}); CREATE TABLE b ({columns}); INSERT INTO b (id) VALUES (1);
             INSERT INTO a VALUES (1, 7200000001, 1700000000123, '1970-01-02 00:00:00.000000', '2024-05-06 07:08:09.100000', 86400)"
        ),
    );
    let rules = [
        ("d", "read = \"unix_us\""),
        ("at", "read = \"unix_ms\""),
        ("e", "read = \"epoch\""),
        ("made", "zone = \"UTC\""),
        ("day", "read = \"unix_s\""),
    ];
    let rules = rules.map(|(column, rule)| format!("[table.a.column.{column}]\n{rule}\n"));
    project.write(
        "migrations/V2__import.toml",
        format!("source = \"sqlite\"\ntables = [\"a\", \"b\"]\n{}", rules.concat()),
    );
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
    project.execute("INSERT INTO b SELECT id + 1, d, at, e, made, day FROM a");
    project.outgrow(["export", "back.db"]).succeeds();
    let file = project.path("back.db");
    let cells = |table: &str| {
        cells::query(&file, &format!("SELECT d, at, e, made, day FROM {table} ORDER BY id DESC LIMIT 1"))
    };
    assert_eq!(cells("b"), cells("a"));
    let mut verify = project.command(["verify", "--source", "back.db"]);
    project.run(&mut verify).succeeds();
}

/// No other column tells it: what declares an interval like that is written by one framework.
#[test]
fn an_interval_that_nothing_tells_is_written_as_its_declaration_says() {
    let project = Project::one_table(
        "id int PRIMARY KEY, django interval, alchemy interval",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, django bigint, alchemy DATETIME)",
    );
    project.outgrow(["migrate"]).succeeds();
    project.execute("INSERT INTO t VALUES (1, '2 hours', '1 day 00:00:01')");
    project.outgrow(["export", "back.db"]).succeeds();
    let cells = cells::query(&project.path("back.db"), "SELECT django, alchemy FROM t");
    assert_eq!(cells, ["7200000000 | '1970-01-02 00:00:01.000000'"]);
    project.run(&mut project.command(["verify", "--source", "back.db"])).succeeds();
}

/// What its own cells tell comes before what those of others do.
#[test]
fn a_column_with_cells_keeps_to_them() {
    let project = Project::step(
        "CREATE TABLE a (id int PRIMARY KEY, t time); CREATE TABLE b (id int PRIMARY KEY, t time)",
        "\"a\", \"b\"",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, t time); CREATE TABLE b (id INTEGER PRIMARY KEY, t time);
         INSERT INTO a VALUES (1, '2000-01-01 06:30:00'); INSERT INTO b VALUES (1, '07:00:00')",
    );
    let rule = "[table.a.column.t]\nread = \"2000-01-01\"\n";
    project
        .write("migrations/V2__import.toml", format!("source = \"sqlite\"\ntables = [\"a\", \"b\"]\n{rule}"));
    comes_back(&project);
    project.outgrow(["verify"]).succeeds();
    project.run(&mut project.command(["verify", "--source", "back.db"])).succeeds();
}
