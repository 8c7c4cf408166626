//! Rules in a step: what each does, that it is counted, and that one that matches nothing is refused.

use crate::support::{Outcome, Project, repository};

pub const LEVERAGE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 5), (2, '10x'), (3, 2.5), (4, NULL)";

/// Table `t` on both sides, and `rules` after the minimal step.
pub fn with_rules(target: &str, source: &str, rules: &str) -> Project {
    let project = Project::one_table(target, source);
    project.write("migrations/V2__import.toml", format!("source = \"sqlite\"\ntables = [\"t\"]\n{rules}"));
    project
}

pub fn receipt(project: &Project, what: &str) -> String {
    project.query(&format!("SELECT tables->0->>'{what}' FROM outgrow_receipt")).remove(0)
}

#[test]
fn tables_and_columns_are_renamed() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE bots (id serial, created_at text);"),
        (
            "migrations/V2__import.toml",
            "source = \"sqlite\"\ntables = [\"bot\"]\n[table.bot]\ntarget = \"bots\"\n\
             [table.bot.column.created]\ntarget = \"created_at\"\n",
        ),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE bot (id INTEGER PRIMARY KEY, created); INSERT INTO bot VALUES (5, 'x')",
    );
    project.outgrow(["migrate"]).succeeds().prints(&["bots", "1 row"]);
    assert_eq!(project.query("INSERT INTO bots (created_at) VALUES ('y') RETURNING id::text"), ["6"]);
    assert_eq!(project.query("SELECT created_at FROM bots ORDER BY id"), ["x", "y"]);
}

#[test]
fn a_column_with_values_is_left_behind_only_if_the_step_says_so() {
    let source = "CREATE TABLE t (a, lost, empty); INSERT INTO t VALUES (1, 'x', NULL)";
    let project = with_rules("a int", source, "");
    let advice = "[table.t.column.lost] with target = \"…\" or skip = true";
    project.outgrow(["migrate"]).exits(7).says(&["t.lost: the source has values in this column", advice]);
    let project = with_rules("a int", source, "[table.t.column.lost]\nskip = true\n");
    project.outgrow(["migrate"]).succeeds().prints(&["1 row"]);
}

#[test]
fn a_rule_that_a_report_proposes_can_be_pasted() {
    let target = "zoned timestamptz, naive timestamp, short numeric(4,1), tick timestamp(0), word text, torn text, \
                  n int, strict int NOT NULL";
    let source = "CREATE TABLE t (zoned, naive, short, tick, word, torn, n, strict); \
                  INSERT INTO t VALUES ('2024-01-01', '2024-01-01T00:00Z', 1.25, '2024-01-01 00:00:00.5', 'a' || char(0), \
                  CAST(x'61ff' AS TEXT), 'x', 'x'), (NULL, NULL, NULL, NULL, 'b', NULL, NULL, 1)";
    let project = with_rules(target, source, "");
    let pasted = |refused: Outcome| {
        let rules: Vec<&str> = refused.stderr.split("rule: ").skip(1).collect();
        let rules =
            rules.iter().flat_map(|rule| rule.lines().take(2)).map(|line| format!("{}\n", line.trim()));
        rules.collect::<String>()
    };
    let values = pasted(project.outgrow(["migrate"]).exits(6));
    assert!(values.contains("[table.t.column.short]\nround = true"), "{values}");
    assert_eq!(values.lines().count(), 16, "{values}");
    let step = |rules: &str| format!("source = \"sqlite\"\ntables = [\"t\"]\n{rules}");
    project.write("migrations/V2__import.toml", step(&values));
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
}

#[test]
fn a_constant_feeds_a_column_that_the_source_lacks() {
    let target = "a int, region text NOT NULL, n numeric(4,1) NOT NULL, ok boolean, at timestamp";
    let constants = "[table.t.constant]\nregion = \"eu\"\nn = 1.5\nok = true\nat = 2024-01-01T00:00:00\n";
    let source = "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)";
    let project = with_rules(target, source, constants);
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        project.query("SELECT concat_ws(' ', a, region, n, ok, at) FROM t ORDER BY a"),
        ["1 eu 1.5 t 2024-01-01 00:00:00", "2 eu 1.5 t 2024-01-01 00:00:00"]
    );
    let project = with_rules(target, source, "");
    project.outgrow(["migrate"]).exits(7).says(&[
        "t.region: ",
        "[table.t.constant] with region = …",
        "t.n: ",
    ]);
    let project = with_rules("a int, n int", source, "[table.t.constant]\nn = \"x\"\na = 1\nz = 1\n");
    project.outgrow(["migrate"]).exits(7).says(&[
        "t.n: the constant does not fit",
        "t.a: the step has a constant for it and it has values already; take the constant out",
        "t.z: the step has a constant for it and the target has no such column; correct the name",
    ]);
}

#[test]
fn empty_text_becomes_null_where_a_rule_says_so() {
    let source = "CREATE TABLE t (v); INSERT INTO t VALUES (''), (3)";
    let project = with_rules("v int", source, "[table.t.column.v]\nempty = \"null\"\n");
    project.outgrow(["migrate"]).succeeds().prints(&["made NULL: v 1"]);
}

#[test]
fn a_rule_that_matches_nothing_is_refused() {
    let source = "CREATE TABLE t (v); INSERT INTO t VALUES (1)";
    let project = with_rules("v int", source, "[table.t.column.w]\nskip = true\n");
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&["t.w: the step has a rule for it and the source has no such column"]);
    let project = with_rules("v int", source, "[table.u]\ntarget = \"v\"\n");
    project.outgrow(["migrate"]).exits(2).says(&["V2__import.toml:3:8: table \"u\" has rules"]);
}

#[test]
fn a_column_that_cannot_be_bound_is_one_fault() {
    let source = "CREATE TABLE t (a); INSERT INTO t VALUES (1)";
    let project =
        with_rules("b int NOT NULL", source, "[table.t.column.a]\ntarget = \"b\"\nread = \"unix_ms\"\n");
    project.outgrow(["migrate"]).exits(7).says(&["t.a: "]).never_says(&["NOT NULL without a default"]);
}

#[test]
fn two_columns_cannot_feed_one() {
    let source = "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)";
    let project = with_rules("a int", source, "[table.t.column.b]\ntarget = \"a\"\n");
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&["t.b: the target's column a is fed by another column already"]);
}

#[test]
fn values_are_shown_only_when_asked() {
    let project = Project::one_table("id int, v int", LEVERAGE);
    project.outgrow(["migrate", "--show-values"]).exits(6).says(&["values \"10x\"", "values 2.5"]);
    let report = project.outgrow(["migrate", "--json"]).exits(6).json();
    let misfit = &report["misfits"][1];
    assert_eq!(
        (misfit["table"].as_str(), misfit["column"].as_str(), misfit["count"].as_u64()),
        (Some("t"), Some("v"), Some(1))
    );
    assert_eq!(misfit["rows"][0], "2");
    assert!(misfit["values"].is_null());
}

#[test]
fn a_step_without_proof_says_so() {
    let project = Project::one_table("v int", "CREATE TABLE t (v); INSERT INTO t VALUES (1)");
    project.outgrow(["migrate", "--proof", "none"]).succeeds();
    assert_eq!(project.query("SELECT proof FROM outgrow_receipt"), ["unproven"]);
}

#[test]
fn text_is_repaired_where_a_rule_says_so() {
    let source = "CREATE TABLE t (a, b, c); INSERT INTO t VALUES ('x' || char(0) || 'y', cast(x'61ff' AS text), '2024-01-01 00:00:00.1234567')";
    let rules = "[table.t.column.a]\nnul = \"strip\"\n[table.t.column.b]\nutf8 = \"replace\"\n[table.t.column.c]\nround = true\n";
    let project = with_rules("a text, b text, c timestamp", source, rules);
    project.outgrow(["migrate"]).succeeds().prints(&["changed by rule: a 1, b 1, c 1"]);
    assert_eq!(
        project.query("SELECT concat_ws('|', a, b, c) FROM t"),
        ["xy|a\u{fffd}|2024-01-01 00:00:00.123457"]
    );
    project.outgrow(["verify"]).succeeds();
}

#[test]
fn a_rule_that_means_nothing_for_the_type_is_refused() {
    let source = "CREATE TABLE t (v); INSERT INTO t VALUES (1)";
    for (rule, fault) in [
        ("read = \"unix_ms\"", "t.v: read = \"unix_ms\" means nothing for the target's type integer"),
        ("nul = \"strip\"", "t.v: nul means nothing"),
    ] {
        let project = with_rules("v int", source, &format!("[table.t.column.v]\n{rule}\n"));
        project.outgrow(["migrate"]).exits(7).says(&[fault]);
    }
}

#[test]
fn verify_knows_the_rules() {
    let source = format!("{LEVERAGE}; INSERT INTO t VALUES (5, '')");
    let project = with_rules("id int, v int", &source, "[table.t]\nmisfit = \"quarantine\"\n");
    project.outgrow(["migrate"]).succeeds().prints(&["2 rows", "quarantined: v 3"]);
    project.outgrow(["verify"]).succeeds();
    project.execute("UPDATE t SET v = 6 WHERE id = 1");
    project.outgrow(["verify"]).exits(1).prints(&["rowid 1"]);
}

/// The blocks of docs/steps.md, one after the other, are one step, and it works.
#[test]
fn the_step_of_the_documentation_works() {
    let text = std::fs::read_to_string(repository().join("docs/steps.md")).expect("docs/steps.md");
    let step: String =
        text.split("```toml\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    let project = Project::with(&[
        (
            "migrations/V1__t.sql",
            "CREATE TABLE \"user\" (id int); CREATE TABLE bots (created_at timestamp, leverage int, region text);",
        ),
        ("migrations/V2__import.toml", &step),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE user (id); CREATE TABLE bot (created, leverage); CREATE TABLE old_log (v); CREATE TABLE deltas (v);
         INSERT INTO bot VALUES (1700000000000, '10x'); INSERT INTO old_log VALUES (1)",
    );
    project.outgrow(["migrate"]).succeeds().prints(&["made NULL: leverage 1", "trades", "absent", "old_log"]);
    assert_eq!(
        project.query("SELECT concat_ws('|', created_at, leverage, region) FROM bots"),
        ["2023-11-14 22:13:20|eu"]
    );
}

/// Both databases fold ASCII letters alone, so these are two tables on either side.
#[test]
fn names_that_differ_in_a_letter_beyond_ascii_are_different() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE \"Über\" (a int); CREATE TABLE \"über\" (a int);"),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"Über\", \"über\"]\n"),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE \"Über\" (a); CREATE TABLE \"über\" (a); INSERT INTO \"Über\" VALUES (1), (1); INSERT INTO \"über\" VALUES (2)",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT count(*) || ' ' || max(a) FROM \"Über\""), ["2 1"]);
    assert_eq!(project.query("SELECT count(*) || ' ' || max(a) FROM \"über\""), ["1 2"]);
}

#[test]
fn two_tables_cannot_go_to_one_and_one_without_columns_goes_nowhere() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE z (v int); CREATE TABLE n ();"),
        (
            "migrations/V2__import.toml",
            "source = \"sqlite\"\ntables = [\"a\", \"b\", \"n\"]\n[table.a]\ntarget = \"z\"\n[table.b]\ntarget = \"z\"\n\
             [table.n.column.v]\nskip = true\n",
        ),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE a (v); CREATE TABLE b (v); CREATE TABLE n (v); INSERT INTO n VALUES (1)",
    );
    project.outgrow(["migrate"]).exits(7).says(&[
        "table b: another table of the step goes to the target's table z already",
        "table n: no column of it has one in the target",
    ]);
}

#[test]
fn a_name_that_postgresql_has_cut_is_pointed_out() {
    let (long, cut) = (format!("t{}", "ñ".repeat(40)), format!("t{}", "ñ".repeat(31)));
    let project = Project::step(
        &format!("CREATE TABLE \"{long}\" (id int, \"{long}\" int);"),
        &format!("\"{long}\""),
        &format!("CREATE TABLE \"{long}\" (id, \"{long}\"); INSERT INTO \"{long}\" VALUES (1, 2)"),
    );
    let hint = format!(
        "PostgreSQL cuts names after 63 bytes, so it may be there as {cut}: write [table.\"{long}\"] with target"
    );
    project.outgrow(["migrate"]).exits(7).says(&[&hint]);
    let step =
        format!("source = \"sqlite\"\ntables = [\"{long}\"]\n[table.\"{long}\"]\ntarget = \"{cut}\"\n");
    project.write("migrations/V2__import.toml", &step);
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&[&format!("so it may be there as {cut}: write the same rule with target")]);
    project.write(
        "migrations/V2__import.toml",
        format!("{step}[table.\"{long}\".column.\"{long}\"]\ntarget = \"{cut}\"\n"),
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query(&format!("SELECT \"{cut}\"::text FROM \"{cut}\"")), ["2"]);
}

/// What all values of a column have in common is no exception: rules for those would leave nothing of it.
#[test]
fn of_a_column_without_a_value_that_fits_the_type_is_named_and_not_the_values() {
    let rows = |from: i32, to: i32| {
        let row = |at| {
            format!(
                "('page {at}', '', {}, '2024-0{}-01 12:00:0{at}')",
                20_240_229_120_000_i64 + i64::from(at),
                at % 9 + 1
            )
        };
        (from..to).map(row).collect::<Vec<_>>().join(", ")
    };
    let source = format!("CREATE TABLE t (a, b, c, d); INSERT INTO t VALUES {}", rows(0, 10));
    let columns = "a int NOT NULL, b date, c timestamp, d timestamp";
    let project = with_rules(columns, &source, "");
    let typed = "# no value of it fits: make the target's column text in a version before the step, and ALTER … TYPE … USING";
    project.outgrow(["migrate"]).exits(6).says(&[
        &format!("    rule: {typed}"),
        "t.b: empty text in 10 rows",
        "rule: [table.t.column.b]\n          empty = \"null\"\n",
        "    rule: # the digits of dates, which no rule reads: make the target's column text",
    ]);
    let text = "CREATE TABLE t (a, b, c TEXT, d); INSERT INTO t (c) VALUES ('20240229120000'), ('20240229')";
    let outcome = with_rules(columns, text, "").outgrow(["migrate"]).exits(6);
    outcome.says(&["t.c: text that is not a date and time in 2 rows", "rule: # the digits of dates"]);
    // one more that fits: now the others are exceptions
    let project = with_rules(columns, &format!("{source}, (7, NULL, NULL, NULL)"), "");
    project
        .outgrow(["migrate"])
        .exits(6)
        .says(&["rule: [table.t.column.a]\n          misfit = \"quarantine\""])
        .never_says(&[typed]);
    let rules = "[table.t]\nmisfit = \"quarantine\"\n";
    let project = with_rules(columns, &source, rules);
    project
        .outgrow(["migrate"])
        .succeeds()
        .says(&["t: all of its rows are in the quarantine (10), and the target's table is empty"]);
}
