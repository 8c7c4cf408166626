//! Rules for dates, times and intervals: what numbers count, which clock a text shows, how many digits are kept.

use crate::rules::with_rules;
use crate::support::{Project, cells};

#[test]
fn numbers_are_read_as_times() {
    let target = "s timestamp, ms timestamptz, us timestamp, j timestamp, d date";
    let source = "CREATE TABLE t (s, ms, us, j, d); INSERT INTO t VALUES
        (1700000000, 1700000000123, 1700000000123456, 2460000.5, 86400), (0.5, NULL, NULL, NULL, NULL)";
    let rules: String =
        [("s", "unix_s"), ("ms", "unix_ms"), ("us", "unix_us"), ("j", "julian"), ("d", "unix_s")]
            .iter()
            .map(|(column, read)| format!("[table.t.column.{column}]\nread = \"{read}\"\n"))
            .collect();
    let project = with_rules(target, source, &rules);
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        project.query("SELECT concat_ws('|', s, ms AT TIME ZONE 'UTC', us, j, d) FROM t ORDER BY s"),
        [
            "1970-01-01 00:00:00.5",
            "2023-11-14 22:13:20|2023-11-14 22:13:20.123|2023-11-14 22:13:20.123456|2023-02-25 00:00:00|1970-01-02"
        ]
    );
    let project = with_rules(target, source, "");
    project.outgrow(["migrate"]).exits(6).says(&[
        "rule: [table.t.column.s]\n",
        "read = \"unix_s\"  # by the size of the numbers; of unix_s, ",
    ]);
}

/// What a number counts is told by its size: no moment of these years is one in another unit.
#[test]
fn the_advice_names_the_unit() {
    let source = "CREATE TABLE t (s, ms, us, j, mixed, small, clock);
        INSERT INTO t VALUES (0, 1719835200000, 1719835200000000, 2460493.5, 1719835200, 5, 1719835200),
            (1719835200.25, 1719835200001, 1719835200000001, 2460493, 1719835200000, 6, 1719835201)";
    let target =
        "s timestamp, ms timestamptz, us date, j timestamp, mixed timestamp, small timestamp, clock time";
    let project = with_rules(target, source, "");
    let advised = [
        ("s", "unix_s\"  # by the size"),
        ("ms", "unix_ms\""),
        ("us", "unix_us\""),
        ("j", "julian\""),
        ("mixed", "unix_…\""),
        ("small", "unix_…\""),
        ("clock", "unix_…\""),
    ];
    let advised =
        advised.map(|(column, read)| format!("rule: [table.t.column.{column}]\n          read = \"{read}"));
    let advised = advised.each_ref().map(String::as_str);
    project.outgrow(["migrate"]).exits(6).says(&advised);
    let wrong = "[table.t.column.ms]\nread = \"unix_s\"\n[table.t.column.s]\nread = \"unix_ms\"\n";
    let source = "CREATE TABLE t (s, ms, v); INSERT INTO t VALUES (1719835200, 1719835200000, 1), (0, 1719835200000, 1)";
    let project = with_rules("s timestamp, ms timestamp, v int", source, wrong);
    project.outgrow(["migrate"]).exits(6).says(&[
        "t.ms: a time beyond the years 1 to 9999 in 2 rows",
        "read = \"unix_ms\"  # by the size of the numbers; or misfit = \"null\"",
        "t.s: the step reads it as unix_ms, and by the size of its numbers it is unix_s",
    ]);
    let source = "CREATE TABLE t (s, ms, v); INSERT INTO t VALUES (0, 1719835200000000, 20240101)";
    let project = with_rules("s timestamp, ms timestamp, v smallint", source, wrong);
    project.outgrow(["migrate"]).exits(6).says(&[
        "t.ms: a number out of range in 1 row",
        "read = \"unix_us\"  # by the size of the numbers; or misfit = \"null\"",
        "[table.t.column.v]\n          misfit = \"null\"",
    ]);
}

#[test]
fn a_zone_makes_naive_times_moments() {
    let source = "CREATE TABLE t (v); INSERT INTO t VALUES ('2024-07-01 12:00:00'), ('2024-01-01 12:00:00')";
    let project = with_rules("v timestamptz", source, "[table.t.column.v]\nzone = \"Europe/Madrid\"\n");
    project.outgrow(["migrate"]).succeeds();
    let utc = project.query("SELECT (v AT TIME ZONE 'UTC')::text FROM t ORDER BY v");
    assert_eq!(utc, ["2024-01-01 11:00:00", "2024-07-01 10:00:00"]);
    project.outgrow(["verify"]).succeeds();
    let gap = "CREATE TABLE t (v); INSERT INTO t VALUES ('2024-03-31 02:30:00')";
    let project = with_rules("v timestamptz", gap, "[table.t.column.v]\nzone = \"Europe/Madrid\"\n");
    project.outgrow(["migrate"]).exits(6).says(&["t.v: ", "rowid 1"]);
}

#[test]
fn a_rule_whose_value_is_none_is_refused_before_anything_runs() {
    let source = "CREATE TABLE t (v); INSERT INTO t VALUES (1)";
    let rules =
        "[table.t]\nzone = \"Mars\"\n[table.t.column.v]\nread = \"minutes\"\nzone = \"Europ/Madird\"\n";
    let project = with_rules("v timestamp", source, rules);
    project.outgrow(["migrate"]).exits(2).says(&[
        "V2__import.toml:3:8: zone = \"Mars\" is no zone such as UTC",
        "column \"t\".\"v\": read = \"minutes\" is none of text, unix_s, unix_ms, unix_us, julian, epoch",
        "column \"t\".\"v\": zone = \"Europ/Madird\" is no zone",
    ]);
    assert!(!project.has_table("t"));
}

/// A span that the drivers write as days and the rest of one.
#[test]
fn what_sqlalchemy_writes_of_an_interval_is_one() {
    let source = "CREATE TABLE t (id INTEGER PRIMARY KEY, v DATETIME);
        INSERT INTO t VALUES (1, '1970-01-04 00:00:00.000005'), (2, '1969-12-31 23:00:00.000000'), (3, '1970-01-01 00:01:30.000000')";
    let project = with_rules("id int PRIMARY KEY, v interval", source, "");
    project
        .outgrow(["migrate"])
        .exits(6)
        .says(&["t.v: a date and time instead of an interval in 3 rows", "read = \"epoch\""]);
    let project =
        with_rules("id int PRIMARY KEY, v interval", source, "[table.t.column.v]\nread = \"epoch\"\n");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        project.query("SELECT v::text FROM t ORDER BY id"),
        ["3 days 00:00:00.000005", "-1 days +23:00:00", "00:01:30"]
    );
    project.outgrow(["verify"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
    project.execute("INSERT INTO t VALUES (4, '40 days 01:00:00')");
    project.outgrow(["export", "again.db"]).succeeds();
    let found = cells::query(&project.path("again.db"), "SELECT v FROM t WHERE id = 4");
    assert_eq!(found, ["'1970-02-10 01:00:00.000000'"]);
    project.execute("INSERT INTO t VALUES (5, '26:00:00')");
    project.outgrow(["export", "third.db"]).succeeds();
    let found = cells::query(&project.path("third.db"), "SELECT v FROM t WHERE id = 5");
    assert_eq!(found, ["'1970-01-02 02:00:00.000000'"]);
    project.execute("INSERT INTO t VALUES (6, '1 mon')");
    project.outgrow(["export", "fourth.db"]).exits(6).says(&["t.v: months", "make_interval", "id 6"]);
}

/// Django counts microseconds in SQLite, and writes days and the rest of one to PostgreSQL: what it wrote since goes back
/// as it would have been counted, and is no difference.
#[test]
fn days_in_a_column_that_counts_are_as_many_hours() {
    let day = 86_400_000_000_i64;
    let source = format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v bigint); INSERT INTO t VALUES (1, {}), (2, {}), (3, 5)",
        40 * day,
        -day - 5
    );
    let rules = "[table.t.column.v]\nread = \"unix_us\"\n[table.t.constant]\nk = 1.5\n";
    let project = with_rules("id int PRIMARY KEY, v interval, k numeric", &source, rules);
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
    project.execute(
        "UPDATE t SET v = justify_hours(v), k = 1.50; INSERT INTO t VALUES (4, '2 days -00:00:01', 1.5)",
    );
    project.outgrow(["verify"]).exits(1).prints(&["differs: 1 added", "id 4"]);
    project.outgrow(["export", "again.db"]).succeeds();
    let found = cells::query(&project.path("again.db"), "SELECT v FROM t ORDER BY id");
    assert_eq!(
        found,
        [(40 * day).to_string(), (-day - 5).to_string(), "5".into(), (2 * day - 1_000_000).to_string()]
    );
    project.execute("UPDATE t SET v = '39 days 24:00:01' WHERE id = 1");
    project.outgrow(["verify"]).exits(1).prints(&["v"]);
    project.execute("UPDATE t SET v = '1 mon' WHERE id = 1");
    project.outgrow(["export", "third.db"]).exits(6).says(&["t.v: months", "id 1"]);
}

/// Go and chrono write nanoseconds in every column of time.
#[test]
fn rules_for_a_table_hold_for_the_columns_that_take_them() {
    let source = "CREATE TABLE t (a, b, c, d, e);
        INSERT INTO t VALUES ('2024-07-01 12:00:00.123456789', '2024-07-01T12:00:00.1234567+01:00', '1.25', 'x', 7)";
    let rules = "[table.t]\nround = true\nzone = \"Europe/Madrid\"\n[table.t.column.a]\nzone = \"UTC\"\n";
    let project = with_rules("a timestamptz, b timestamp, c numeric(2,1), d text, e int", source, rules);
    project.outgrow(["migrate"]).succeeds().prints(&["changed by rule: a 1, b 1, c 1"]);
    assert_eq!(
        project.query("SELECT concat_ws('|', a AT TIME ZONE 'UTC', b, c, d, e) FROM t"),
        ["2024-07-01 12:00:00.123457|2024-07-01 13:00:00.123457|1.3|x|7"]
    );
    project.outgrow(["verify"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
    let rules = "[table.t]\nround = true\nzone = \"UTC\"\n";
    with_rules("d text", "CREATE TABLE t (d); INSERT INTO t VALUES ('x')", rules)
        .outgrow(["migrate"])
        .exits(7)
        .says(&[
            "table t: the step has zone for all its columns, and no column of it takes that rule",
            "table t: the step has round for all its columns, and no column of it takes that rule",
        ]);
}

/// Knex writes both into one column: text by default, and what `new Date()` counts.
#[test]
fn numbers_and_texts_of_one_column_are_both_times() {
    let source = "CREATE TABLE t (at, w, d, c);
        INSERT INTO t VALUES ('2024-07-01 12:00:00', '2024-07-01 12:00:00', '2024-07-01', '12:00:01'),
            (1719835200000, 1719835200000, 1719792000000, 43201000), ('1719835200000', NULL, NULL, NULL)";
    let columns = ["at", "w", "d", "c"].map(|name| format!("[table.t.column.{name}]\nread = \"unix_ms\"\n"));
    let rules = columns.concat().replacen("unix_ms\"\n", "unix_ms\"\nzone = \"UTC\"\n", 1);
    let project = with_rules("at timestamptz, w timestamp, d date, c time", source, &rules);
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        project.query("SELECT DISTINCT concat_ws('|', at AT TIME ZONE 'UTC', w, d, c) FROM t ORDER BY 1"),
        ["2024-07-01 12:00:00", "2024-07-01 12:00:00|2024-07-01 12:00:00|2024-07-01|12:00:01"]
    );
    project.outgrow(["verify"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

/// Prisma's engine wrote milliseconds once, and its adapter writes text now: what most cells are, new ones are, too.
#[test]
fn a_column_of_texts_beside_some_numbers_goes_on_in_texts() {
    let texts = |mark: &str, zone: &str| {
        let text = |day| format!("'2024-01-0{day}{mark}12:00:00.00{day}{zone}'");
        (1..5).map(text).collect::<Vec<_>>()
    };
    for (of_type, mark, zone, rules, expected) in [
        ("timestamptz", "T", "+00:00", "zone = \"UTC\"\n", "'2026-05-05T05:05:05.005+00:00'"),
        ("timestamptz", " ", "Z", "", "'2026-05-05 05:05:05.005Z'"),
        ("timestamp", " ", "", "zone = \"Europe/Madrid\"\n", "'2026-05-05 05:05:05.005'"),
    ] {
        let rows: Vec<String> = texts(mark, zone).into_iter().chain(["1704067200000".to_owned()]).collect();
        let source = format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES ({})",
            rows.join("), (")
        );
        let rules = format!("[table.t.column.v]\nread = \"unix_ms\"\n{rules}");
        let project = with_rules(&format!("id int PRIMARY KEY, v {of_type}"), &source, &rules);
        project.outgrow(["migrate"]).succeeds();
        assert_eq!(project.query("SELECT count(*)::text FROM outgrow_original"), ["1"], "{of_type}");
        project.execute("INSERT INTO t VALUES (9, '2026-05-05 05:05:05.005+00')");
        project.outgrow(["export", "again.db"]).succeeds();
        assert_eq!(cells::query(&project.path("again.db"), "SELECT v FROM t WHERE id = 9"), [expected]);
        project.execute("DELETE FROM t WHERE id = 9");
        project.outgrow(["export", "back.db"]).succeeds();
        cells::assert_same(&project.path("back.db"), &project.path("app.db"));
    }
}

/// PostgreSQL would take the number for seconds.
#[test]
fn a_number_is_no_interval_whatever_fields_the_interval_has() {
    let source = "CREATE TABLE t (v); INSERT INTO t VALUES (3), ('3 days 04:05:06.7')";
    for of_type in ["interval", "interval day to second", "interval hour to second(6)", "interval second"] {
        with_rules(&format!("v {of_type}"), source, "").outgrow(["migrate"]).exits(6).says(&[
            "t.v: an integer in 1 row, rowid 1;",
            "read = \"unix_…\"  # what the number counts: unix_s, unix_ms or unix_us (Django counts microseconds)",
        ]);
    }
    let source = "CREATE TABLE t (v); INSERT INTO t VALUES (93784), (0.5)";
    let project = with_rules("v interval day to second", source, "[table.t.column.v]\nread = \"unix_s\"\n");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT v::text FROM t ORDER BY v"), ["00:00:00.5", "26:03:04"]);
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

/// Rails has no time of day in SQLite: it writes one as a moment of the first day of 2000.
#[test]
fn a_time_of_day_stands_behind_the_date_of_rails() {
    let source = "CREATE TABLE t (id INTEGER PRIMARY KEY, v time);
        INSERT INTO t VALUES (1, '2000-01-01 06:30:00'), (2, '2000-01-01 23:59:59.123456'), (3, NULL), (4, '08:00:00')";
    let project = with_rules("id int PRIMARY KEY, v time", source, "");
    project.outgrow(["migrate"]).exits(6).says(&[
        "t.v: the date 2000-01-01 beside the time of day in 2 rows",
        "rule: [table.t.column.v]\n          read = \"2000-01-01\"  # Rails",
    ]);
    let project =
        with_rules("id int PRIMARY KEY, v time", source, "[table.t.column.v]\nread = \"2000-01-01\"\n");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        project.query("SELECT v::text FROM t WHERE id < 3 ORDER BY id"),
        ["06:30:00", "23:59:59.123456"]
    );
    project.outgrow(["verify"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
    project.execute("INSERT INTO t VALUES (5, '12:00'), (6, '12:00:00.5')");
    project.outgrow(["export", "again.db"]).succeeds();
    let found = cells::query(&project.path("again.db"), "SELECT v FROM t WHERE id > 4 ORDER BY id");
    assert_eq!(found, ["'2000-01-01 12:00:00'", "'2000-01-01 12:00:00.500000'"]);
    let other = source.replace("'2000-01-01 06", "'2024-07-01 06");
    let project =
        with_rules("id int PRIMARY KEY, v time", &other, "[table.t.column.v]\nread = \"2000-01-01\"\n");
    project.outgrow(["migrate"]).exits(6).says(&["t.v: a date beside the time of day in 1 row, rowid 1"]);
}

#[test]
fn a_zone_of_the_step_holds_for_every_table() {
    let project = Project::step(
        "CREATE TABLE a (id int, at timestamptz); CREATE TABLE b (id int, at timestamptz); CREATE TABLE c (id int)",
        "\"a\", \"b\", \"c\"",
        "CREATE TABLE a (id, at); CREATE TABLE b (id, at); CREATE TABLE c (id);
         INSERT INTO a VALUES (1, '2024-07-01 12:00:00'); INSERT INTO b VALUES (1, '2024-07-01 12:00:00')",
    );
    project.outgrow(["migrate"]).exits(6).says(&["above the step's headings it holds for every table"]);
    let step = |zone: &str, rules: &str| {
        let text = format!("source = \"sqlite\"\ntables = [\"a\", \"b\", \"c\"]\nzone = \"{zone}\"\n{rules}");
        project.write("migrations/V2__import.toml", text);
    };
    step("Europa/Madrid", "");
    project.outgrow(["migrate"]).exits(2).says(&["V2__import.toml:3:8", "Europa/Madrid"]);
    let none = "source = \"sqlite\"\ntables = [\"c\"]\nskip = [\"a\", \"b\"]\nzone = \"UTC\"\n";
    project.write("migrations/V2__import.toml", none);
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&["the step has zone for all its tables, and no column takes that rule"]);
    step("Europe/Madrid", "[table.b]\nzone = \"UTC\"\n");
    project.outgrow(["migrate"]).succeeds();
    let hours = "SELECT concat_ws(' ', extract(hour FROM a.at AT TIME ZONE 'UTC'), extract(hour FROM b.at AT TIME ZONE 'UTC')) FROM a, b";
    assert_eq!(project.query(hours), ["10 12"]);
    project.outgrow(["verify"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}

/// What knex writes where the process has a clock of its own: midnight there, in milliseconds.
#[test]
fn midnights_of_a_local_clock_are_days_by_its_zone() {
    let project = Project::one_table(
        "id int, d date, at timestamp",
        "CREATE TABLE t (id, d, at); INSERT INTO t VALUES (1, 1709161200000, 1709161200000), (2, 1721944800000, 1721944800000)",
    );
    project.outgrow(["migrate"]).exits(6).says(&[
        "[table.t.column.d]\n          read = \"unix_ms\"  # by the size",
        "if the application reads timestamp by a clock that is not UTC",
    ]);
    let rules = |zone: &str| {
        let step = "source = \"sqlite\"\ntables = [\"t\"]\n";
        let rules =
            ["d", "at"].map(|column| format!("[table.t.column.{column}]\nread = \"unix_ms\"\n{zone}\n"));
        project.write("migrations/V2__import.toml", format!("{step}{}", rules.concat()));
    };
    rules("");
    project.outgrow(["migrate"]).exits(6).says(&["zone = \"…\"  # the one whose midnight it is"]);
    rules("zone = \"Europe/Madrid\"");
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        project.query("SELECT d || ' ' || at FROM t ORDER BY id"),
        ["2024-02-29 2024-02-29 00:00:00", "2024-07-26 2024-07-26 00:00:00"]
    );
    project.outgrow(["verify"]).succeeds();
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}
