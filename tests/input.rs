//! Types that only the server can read: their values go through its own input functions, and nothing is lost on the
//! way.

use crate::support::{Project, Role};

/// The values of `t.v` in the order of `t.id`, as the server spells them.
fn stored(project: &Project) -> Vec<String> {
    project.query("SELECT v::text FROM t ORDER BY id")
}

/// Table `t (id, v)` with `v` of type `kind`, made after `before`, and the rows `values`, numbered from 1.
fn of_type(before: &str, kind: &str, values: &[&str]) -> Project {
    let rows: Vec<String> = values.iter().zip(1..).map(|(value, id)| format!("({id}, {value})")).collect();
    Project::step(
        &format!("{before}; CREATE TABLE t (id int PRIMARY KEY, v {kind});"),
        "\"t\"",
        &format!("CREATE TABLE t (id, v); INSERT INTO t VALUES {}", rows.join(", ")),
    )
}

#[track_caller]
fn becomes(before: &str, kind: &str, values: &[&str], expected: &[&str]) -> Project {
    let project = of_type(before, kind, values);
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(stored(&project), expected, "{kind}");
    project
}

/// The step is refused with all of `lines`, and nothing stays.
#[track_caller]
fn refused(project: &Project, lines: &[&str]) {
    let outcome =
        project.outgrow(["migrate"]).exits(6).says(lines).never_says(&["SQLSTATE", "secret", "stage"]);
    let reported = outcome.stderr.lines().filter(|line| line.contains("rowid ")).count();
    assert_eq!(reported, lines.len(), "{outcome:#?}");
    assert_eq!(project.query("SELECT max(version)::text FROM refinery_schema_history"), ["1"]);
}

#[test]
fn types_of_every_kind_are_read_by_the_server() {
    becomes("", "int[]", &["'{1, 2}'", "'{}'", "NULL"], &["{1,2}", "{}", "NULL"]);
    becomes("", "text[]", &["'{a,\"b c\",NULL}'", "'{\"\"}'"], &["{a,\"b c\",NULL}", "{\"\"}"]);
    becomes("", "point", &["'(1,2)'", "'1.5, -0.1'"], &["(1,2)", "(1.5,-0.1)"]);
    becomes("", "money", &["'12.50'", "7"], &["$12.50", "$7.00"]);
    becomes("", "bit(3)", &["'101'", "110"], &["101", "110"]);
    becomes("", "bit", &["'1'"], &["1"]);
    becomes("", "varbit(4)", &["'1'", "''", "'1010'"], &["1", "", "1010"]);
    becomes("", "int4range", &["'[1,5]'", "'empty'"], &["[1,6)", "empty"]);
    becomes("", "tsvector", &["'b a:1'"], &["'a':1 'b'"]);
    becomes("", "\"char\"", &["'x'"], &["x"]);
    becomes("", "interval hour to minute", &["'03:04'"], &["03:04:00"]);
    becomes("", "numeric(6,2)[]", &["'{1.5,2}'"], &["{1.50,2.00}"]);
    becomes("", "char(4)[]", &["'{ab}'"], &["{\"ab  \"}"]);
    becomes(
        "CREATE TYPE pair AS (a int, \"B b\" text)",
        "pair",
        &["'(1,\"x y\")'", "'(,)'"],
        &["(1,\"x y\")", "(,)"],
    );
    becomes("CREATE TYPE mood AS ENUM ('sad', 'glad')", "mood[]", &["'{glad, sad}'"], &["{glad,sad}"]);
    becomes("CREATE DOMAIN bits AS bit(3) NOT NULL", "bits", &["'101'"], &["101"]);
    becomes("CREATE DOMAIN few AS int[] CHECK (cardinality(VALUE) < 3)", "few", &["'{1}'"], &["{1}"]);
}

#[test]
fn types_of_extensions_and_of_other_builds() {
    let of_extensions: [(&str, &str, &str, &str); 4] = [
        ("hstore", "hstore", "'a=>1'", "\"a\"=>\"1\""),
        ("ltree", "ltree", "'a.b'", "a.b"),
        ("citext", "citext[]", "'{Ab}'", "{Ab}"),
        ("cube", "cube", "'1,2'", "(1, 2)"),
    ];
    let server = Project::empty();
    for (extension, kind, value, expected) in of_extensions {
        let available = format!("SELECT 'yes' FROM pg_available_extensions WHERE name = '{extension}'");
        if !server.query(&available).is_empty() {
            becomes(&format!("CREATE EXTENSION {extension}"), kind, &[value], &[expected]);
        }
    }
    if !server.query("SELECT 'yes' FROM pg_available_extensions WHERE name = 'citext'").is_empty() {
        becomes(
            "CREATE EXTENSION citext; CREATE DOMAIN mail AS citext",
            "mail",
            &["'A@b'", "NULL"],
            &["A@b", "NULL"],
        );
        let step = "source = \"sqlite\"\ntables = [\"t\"]\n[table.t]\nmisfit = \"quarantine\"\n";
        let project =
            of_type("CREATE EXTENSION citext; CREATE DOMAIN mail AS citext", "mail", &["'A@b'", "x'00'"]);
        project.write("migrations/V2__import.toml", step);
        project.outgrow(["migrate"]).succeeds().prints(&["quarantined: v 1"]);
        assert_eq!(stored(&project), ["A@b"]);
    }
    // not every server is built with libxml
    if server.connect().simple_query("SELECT '<a/>'::xml").is_ok() {
        becomes("", "xml", &["'<a>é</a>'"], &["<a>é</a>"]);
        refused(
            &of_type("", "xml", &["'<secret>'", "'<a/>'"]),
            &["t.v: text that the server does not take as this type in 1 row, rowid 1;"],
        );
    }
}

#[test]
fn all_misfits_are_reported_at_once() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, p point, a int[] NOT NULL, n int); CREATE TABLE u (id int UNIQUE, t int REFERENCES t, b bit(3));",
        "\"t\", \"u\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, p, a, n);
         INSERT INTO t VALUES (10, 'secret', '{1}', 1), (20, '(1,2)', '{secret}', 'x'), (30, NULL, '{2}', 2), (40, x'00', NULL, 3),
           (51, '', '{3}', 3), (52, '', '{3}', 3), (53, '', '{3}', 3), (54, '', '{3}', 3), (55, '', '{3}', 3);
         CREATE TABLE u (id, t, b); INSERT INTO u VALUES (1, 10, '101'), (1, 11, '1010'), (2, 10, '10')",
    );
    refused(
        &project,
        &[
            "t.p: text that the server does not take as this type in 6 rows, rowid 10, 51, 52, 53, 54, …; the target's column, point, takes text that PostgreSQL reads as point",
            "t.p: a blob in 1 row, rowid 40;",
            "t.a: text that the server does not take as this type in 1 row, rowid 20; the target's column, integer[], NOT NULL, takes",
            "t.a: NULL in 1 row, rowid 40;",
            "t.n: text that is not a whole number in 1 row, rowid 20;",
            "u.b: text that the server does not take as this type in 2 rows, rowid 2, 3; the target's column, bit(3), takes",
            "u.id: the same value in 2 rows, rowid 1 = 2; unique index u_id_key",
            "u.t: no row of t(id) for the value in 1 row, rowid 2; foreign key u_t_fkey",
        ],
    );
    project
        .outgrow(["migrate", "--show-values"])
        .exits(6)
        .says(&["values \"secret\", \"\", ", "values \"1010\", \"10\""]);
    project.sqlite(
        "app.db",
        "DELETE FROM t WHERE id > 10; UPDATE t SET p = '1,2'; DELETE FROM u WHERE rowid > 1",
    );
    project.outgrow(["migrate"]).succeeds().prints(&["2 rows"]);
    assert_eq!(project.query("SELECT p::text FROM t"), ["(1,2)"]);
}

#[test]
fn nothing_is_cut_or_rounded() {
    for (before, kind, value) in [
        ("", "bit(3)", "'1010'"),
        ("", "varbit(3)", "'1010'"),
        ("", "numeric(4,2)[]", "'{1.234}'"),
        ("", "varchar(3)[]", "'{\"abc  \"}'"),
        ("", "interval hour to minute", "'03:04:05'"),
        ("", "\"char\"", "'xy'"),
        ("CREATE DOMAIN bits AS bit(3)", "bits", "'1010'"),
    ] {
        let project = of_type(before, kind, &["NULL", value]);
        for proof in ["content", "none"] {
            let outcome = project.outgrow(["migrate", "--proof", proof]).exits(6);
            assert!(
                outcome.stderr.contains("in 1 row, rowid 2; the target's column"),
                "{kind}: {outcome:#?}"
            );
        }
    }
}

#[test]
fn what_comes_in_another_spelling_is_counted() {
    let project = of_type("", "int[]", &["'{1, 2}'", "'{1,2}'", "NULL", "' {3}'"]);
    project.outgrow(["migrate"]).succeeds().prints(&["normalised: v 2"]);
    assert_eq!(project.query("SELECT tables->0->>'normalised' FROM outgrow_receipt"), ["{\"v\": 2}"]);
    let again = project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
    assert_eq!((stored(&project).len(), again.code), (4, Some(0)));
    assert_eq!(
        project.query("SELECT count(*)::text FROM pg_class WHERE relname LIKE 'outgrow_stage%'"),
        ["0"]
    );
}

#[test]
fn constraints_are_looked_up_as_ever() {
    let project = of_type(
        "CREATE DOMAIN few AS int[] CONSTRAINT few CHECK (cardinality(VALUE) < 3)",
        "few UNIQUE, CHECK (v[1] > 0), n int GENERATED ALWAYS AS (cardinality(v)) STORED",
        &["'{1}'", "'{ 1}'", "'{1,2,3}'", "'{0}'"],
    );
    refused(
        &project,
        &[
            "t.v: the same value in 2 rows, rowid 1 = 2; unique index t_v_key",
            "t.v: a value that the condition excludes in 1 row, rowid 3; check constraint few of domain few",
            "t.v: a value that the condition excludes in 1 row, rowid 4; check constraint t_v_check",
        ],
    );
}

#[test]
fn what_a_step_cannot_say_of_such_columns() {
    let project = of_type("", "point", &["'1,2'"]);
    for (rules, part) in [
        (
            "[table.t.column.v]\nmisfit = \"null\"",
            "t.v: misfit = \"null\" or \"quarantine\", and the server itself reads",
        ),
        ("[table.t]\nmisfit = \"quarantine\"", "write misfit = \"fail\" for this column"),
        (
            "[table.t.column.v]\nskip = true\n[table.t.constant]\nv = \"1,2\"",
            "a constant of type point is not supported",
        ),
        ("[table.t.column.v]\nround = true", "round means nothing for the target's type point"),
    ] {
        project
            .write("migrations/V2__import.toml", format!("source = \"sqlite\"\ntables = [\"t\"]\n{rules}\n"));
        project.outgrow(["migrate"]).exits(7).says(&[part]);
    }
    project.execute("CREATE RULE elsewhere AS ON INSERT TO t DO INSTEAD NOTHING");
    project.write(
        "migrations/V2__import.toml",
        "source = \"sqlite\"\ntables = [\"t\"]\n[table.t]\nmisfit = \"null\"\n[table.t.column.v]\nmisfit = \"fail\"\n[table.t.column.id]\nmisfit = \"fail\"\n",
    );
    project.outgrow(["migrate"]).exits(7).says(&["table t: its rule elsewhere rewrites INSERT", "v (point)"]);
    project.execute("ALTER TABLE t DISABLE RULE elsewhere");
    project.outgrow(["migrate"]).succeeds();
}

#[test]
fn hostile_names_partitions_constants_and_identities() {
    let project = Project::step(
        "CREATE SCHEMA \"S s\"; CREATE TYPE \"S s\".\"T\"\"t\" AS (a int);
         CREATE TABLE \"T t\" (id int GENERATED ALWAYS AS IDENTITY, outgrow_row \"S s\".\"T\"\"t\"[], \"a\"\"b\" money, region text) PARTITION BY LIST (region);
         CREATE TABLE eu PARTITION OF \"T t\" FOR VALUES IN ('eu');",
        "\"T t\"",
        "CREATE TABLE \"T t\" (id, outgrow_row, \"a\"\"b\"); INSERT INTO \"T t\" VALUES (7, '{(1)}', '$1'), (8, NULL, 2)",
    );
    project.write(
        "migrations/V2__import.toml",
        "source = \"sqlite\"\ntables = [\"T t\"]\n[table.\"T t\".constant]\nregion = \"eu\"\n",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(
        project.query("SELECT \"T t\"::text FROM \"T t\" ORDER BY id"),
        ["(7,\"{(1)}\",$1.00,eu)", "(8,,$2.00,eu)"]
    );
    project.execute("INSERT INTO \"T t\" (region) VALUES ('eu')");
    assert_eq!(project.query("SELECT max(id)::text FROM \"T t\""), ["9"]);
}

#[test]
fn the_columns_beside_them_arrive_as_ever() {
    let columns =
        "c char(4), n numeric(6,2), w varchar(3), s timestamp(3), m mood, j jsonb, i interval(2), d positive";
    let values =
        "'ab', 1.5, 'abc', '2024-01-02 03:04:05.678', 'glad', '{\"b\":1,\"a\":[]}', '01:02:03.25', 3";
    let project = Project::step(
        &format!(
            "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN positive AS numeric(4,1) NOT NULL CHECK (VALUE > 0);
             CREATE TABLE t (id int PRIMARY KEY, v point, {columns}, k char(3), z numeric(5,2));"
        ),
        "\"t\"",
        &format!("CREATE TABLE t (id, c, n, w, s, m, j, i, d, v); INSERT INTO t VALUES (1, {values}, '1,2')"),
    );
    let step = "source = \"sqlite\"\ntables = [\"t\"]\n[table.t.constant]\nk = \"x\"\nz = 1\n";
    project.write("migrations/V2__import.toml", step);
    project.outgrow(["migrate"]).succeeds();
    project.outgrow(["verify"]).succeeds();
    assert_eq!(
        project.query("SELECT concat_ws('|', c, n, w, s, m, j, i, d, v, k, z) FROM t"),
        ["ab  |1.50|abc|2024-01-02 03:04:05.678|glad|{\"a\": [], \"b\": 1}|01:02:03.25|3.0|(1,2)|x  |1.00"]
    );
}

#[test]
fn errors_of_every_class_are_misfits() {
    for (before, kind, value) in [
        ("", "tsvector", "'''secret'"),
        ("", "regclass", "'secret'"),
        ("", "point[]", "'{secret}'"),
        ("", "int4range", "'[5,1]'"),
        ("CREATE DOMAIN \"$outgrow$\" AS int CHECK (VALUE > 0)", "\"$outgrow$\"[]", "'{-1}'"),
        ("CREATE TYPE pair AS (a int, b int)", "pair", "'(1)'"),
    ] {
        let project = of_type(before, kind, &["NULL", value, "NULL", value]);
        let outcome = project.outgrow(["migrate"]).exits(6).never_says(&["secret"]);
        let found = "t.v: text that the server does not take as this type in 2 rows, rowid 2, 4; ";
        assert!(outcome.stderr.contains(found), "{kind}: {outcome:#?}");
    }
}

#[test]
fn a_table_of_nothing_else_and_a_key_of_such_a_type() {
    let project = Project::step(
        "CREATE TABLE sole (v int[]); CREATE TABLE keyed (v int4range PRIMARY KEY, n int); CREATE TABLE empty (v point);",
        "\"sole\", \"keyed\", \"empty\"",
        "CREATE TABLE sole (v); INSERT INTO sole VALUES ('{1}'), (NULL); CREATE TABLE empty (v);
         CREATE TABLE keyed (v, n); INSERT INTO keyed VALUES ('[1,2]', 1), ('[3,4]', 2)",
    );
    project.outgrow(["migrate"]).succeeds();
    let outcome = project.outgrow(["verify"]).succeeds();
    assert!(!outcome.stdout.contains("not compared"), "{outcome:#?}");
    project.execute("DELETE FROM sole WHERE v IS NULL; UPDATE keyed SET n = 5 WHERE n = 2");
    project.outgrow(["verify"]).exits(1).prints(&["2 tables differ", "1 missing\n", "1 changed\n", "n in 1"]);
}

#[test]
fn what_is_changed_on_the_way_into_the_table_is_noticed() {
    let project = of_type("", "int[]", &["'{1}'", "'{2}'"]);
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.meddles("NEW.v := NEW.v || 9; RETURN NEW;");
    let differs = "table t: 2 rows read and stored, and the content differs";
    project.outgrow(["migrate"]).exits(8).says(&[differs, "changed: 2 rows, rowid 1 (v), rowid 2 (v)"]);
    project.execute("DROP EVENT TRIGGER insist");
    project.outgrow(["migrate"]).succeeds().prints(&["triggers that did not run: bend"]);
    assert_eq!(stored(&project), ["{1}", "{2}"]);
}

#[test]
fn a_role_that_cannot_make_temporary_tables_is_told() {
    let project = of_type("", "int[]", &["'{1}'"]);
    let role = Role::without_temporary_tables(&project);
    project.run(&mut role.migrate()).exits(7).says(&[
        "making a temporary table for the columns of t that the server itself reads",
        "permission denied to create temporary tables",
    ]);
}

#[test]
fn a_table_as_wide_as_can_be_leaves_no_room_for_its_temporary_one() {
    let names: Vec<String> = (0..1600).map(|number| format!("c{number}")).collect();
    let source =
        format!("CREATE TABLE t ({}); INSERT INTO t (c0, c1599) VALUES (1, '{{1}}')", names.join(", "));
    let target = |last: &str| format!("{} int2, c1599 {last}", names[..1599].join(" int2, "));
    let project = Project::one_table(&target("int[]"), &source);
    let said = "table t: the server itself reads c1599 (integer[]), by way of a temporary table";
    project.outgrow(["migrate"]).exits(7).says(&[said, "make such columns text"]);
    project.outgrow(["migrate", "--dry-run"]).exits(7).says(&[said]);
    Project::one_table(&target("text"), &source).outgrow(["migrate"]).succeeds();
}

#[test]
fn money_beyond_its_cents_is_no_money() {
    let fits = ["'$1,234.5'", "-3", "'(12.10)'", "'0.100'", "0", "0.25", "'10000000'", "NULL"];
    let kept = ["$1,234.50", "-$3.00", "-$12.10", "$0.10", "$0.00", "$0.25", "$10,000,000.00", "NULL"];
    let project = becomes("", "money", &fits, &kept);
    project.outgrow(["verify"]).succeeds();
    refused(
        &of_type("", "money", &["1", "'1.999'", "0.005", "'99.995'", "'$1,000.001'"]),
        &[
            "t.v: text with more digits or characters than the type keeps in 4 rows, rowid 2, 3, 4, 5; the target's column, money, takes",
        ],
    );
}

/// A search index is made of text by to_tsvector, and by nothing else.
#[test]
fn text_that_becomes_a_tsvector_is_warned_of() {
    let project = of_type("", "tsvector", &["'Hello running'"]);
    project.outgrow(["migrate"]).succeeds().says(&[
        "t.v: text becomes a tsvector as its type reads it, without to_tsvector",
        "SET \"v\" = to_tsvector(",
    ]);
    let project = of_type("", "text", &["'Hello running'"]);
    project.outgrow(["migrate"]).succeeds().never_says(&["warn: "]);
}
