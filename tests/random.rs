//! Thousands of random values of each type in one file: that the step commits means that the server gave back every
//! byte that was sent. Beside each value stands its text form, of which the server makes the value that must be stored.

use crate::support::{Project, cells};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rusqlite::types::Value;

/// Values of each type.
const ROWS: usize = 1000;

/// A cell, and the text that the server casts to the type; none if only the bytes are compared.
type Pair = (Value, Option<String>);

fn same(text: String) -> Pair {
    (Value::Text(text.clone()), Some(text))
}

fn text(pattern: &str) -> BoxedStrategy<String> {
    proptest::string::string_regex(pattern).expect(pattern).boxed()
}

fn reals() -> BoxedStrategy<f64> {
    let edges = [
        0.0,
        -0.0,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        f64::EPSILON,
        5e-324,
        1e15,
        1e16,
        9_007_199_254_740_993.0,
        0.1 + 0.2,
        1e22,
        1e23,
    ];
    let all = any::<f64>().prop_filter("stored as NULL", |real| !real.is_nan());
    let short = (any::<i32>(), 0..8).prop_map(|(digits, scale)| f64::from(digits) / 10_f64.powi(scale));
    prop_oneof![1 => proptest::sample::select(edges.to_vec()), 5 => all, 5 => short].boxed()
}

fn documents() -> BoxedStrategy<String> {
    let string = text(
        "\"([^\"\\\\\\pC]|\\\\[nrtbf\"\\\\/]|\\\\u00[0-1][1-9a-f]|\\\\ud83d\\\\ude00|[\u{7f}-\u{a0}]){0,8}\"",
    );
    let number = text("-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?");
    let leaf = prop_oneof![text("null|true|false| \\[\\] |\\{\\}"), number, string.clone()];
    let tree = leaf.prop_recursive(5, 40, 6, move |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..6)
            .prop_map(|items| format!("[{}]", items.join(" ,")));
        let entries = proptest::collection::vec((string.clone(), inner), 0..6);
        let object = entries.prop_map(|mut entries| {
            // as the server would refuse them: escapes make keys alike that look different
            entries.dedup_by_key(|(key, _)| key.clone());
            let numbered = entries.iter().enumerate();
            let entries: Vec<String> =
                numbered.map(|(at, (key, value))| format!("\"{at}{} :{value}", &key[1..])).collect();
            format!("{{{}}}", entries.join(", "))
        });
        prop_oneof![list, object]
    });
    tree.boxed()
}

#[expect(clippy::cast_precision_loss, reason = "any number will do")]
fn families() -> Vec<(&'static str, BoxedStrategy<Pair>)> {
    let integer = |number: i64| (Value::Integer(number), Some(number.to_string()));
    // where two forms are as short and as near, the even one, as the server itself writes a double
    let real = |real: f64| {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format(real);
        (Value::Real(real), Some(text.strip_suffix(".0").unwrap_or(text).to_owned()))
    };
    let day = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
    let clock = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)?";
    let zone = "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])";
    let decimal = "-?[0-9]{1,30}(\\.[0-9]{1,20})?(e-?[0-9]{1,2})?";
    vec![
        ("bigint", any::<i64>().prop_map(integer).boxed()),
        ("float8", reals().prop_map(real).boxed()),
        ("float8", text("-?[0-9]{1,9}\\.[0-9]{1,6}").prop_map(same).boxed()),
        (
            "float4",
            any::<f32>()
                .prop_filter("stored as NULL", |real| !real.is_nan())
                .prop_map(|single| (Value::Real(single.to_string().parse().expect("digits")), Some(single.to_string())))
                .boxed(),
        ),
        ("numeric", reals().prop_map(real).boxed()),
        ("numeric", any::<i64>().prop_map(integer).boxed()),
        ("numeric", text(decimal).prop_map(same).boxed()),
        ("numeric(30,10)", text("-?[0-9]{1,20}(\\.[0-9]{1,10})?").prop_map(same).boxed()),
        (
            "numeric(18,6)",
            (-999_999_999_i64..999_999_999).prop_map(move |n| real(n as f64 / 1_000_000.0)).boxed(),
        ),
        ("jsonb", documents().prop_map(same).boxed()),
        ("json", documents().prop_map(same).boxed()),
        ("text", text("[^\\x00]{0,40}").prop_map(same).boxed()),
        ("char(12)", text("([^\\x00]{0,11}[^\\x00 ])?").prop_map(same).boxed()),
        (
            "bytea",
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| (Value::Blob(bytes), None)).boxed(),
        ),
        ("date", text(day).prop_map(same).boxed()),
        ("timestamp", text(&format!("{day}[T ]{clock}")).prop_map(same).boxed()),
        ("timestamptz", text(&format!("[1-8]{}[T ]{clock}{zone}", "[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])")).prop_map(same).boxed()),
        ("time", text(clock).prop_map(same).boxed()),
        ("timetz", text(&format!("{clock}{zone}")).prop_map(same).boxed()),
        (
            "interval",
            prop_oneof![
                text("P[1-9]Y-?[0-9]{1,2}M[0-9]{1,3}DT-?[0-9]{1,3}H[0-9]{1,2}M[0-9]{1,2}(\\.[0-9]{1,6})?S"),
                text("(-?[0-9]{1,2} days? )?[+-]?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"),
                text("([1-9] years )?-?[0-9]{1,2} mons( -?[0-9] hours)?( -?[0-9] mins)?( -?[1-9]\\.[0-9] secs)?"),
            ]
            .prop_map(same)
            .boxed(),
        ),
        (
            "inet",
            prop_oneof![
                any::<[u8; 4]>().prop_map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
                any::<[u8; 16]>().prop_map(|octets| format!("{}/64", std::net::Ipv6Addr::from(octets))),
            ]
            .prop_map(same)
            .boxed(),
        ),
        ("uuid", text("[0-9a-fA-F]{8}-([0-9a-f]{4}-){3}[0-9A-F]{12}").prop_map(same).boxed()),
        ("macaddr", text("([0-9a-fA-F]{2}:){5}[0-9a-f]{2}").prop_map(same).boxed()),
    ]
}

#[test]
fn every_byte_comes_back_and_is_the_servers_own_value() {
    come_back(&families());
}

#[test]
fn thousands_come_back_since_15() {
    let thousands = (-99_999_999_999_i64..99_999_999_999).prop_map(|n| n * 1000);
    let pair = |number: i64| (Value::Integer(number), Some(number.to_string()));
    come_back(&[("numeric(12,-3)", thousands.prop_map(pair).boxed())]);
}

fn come_back(families: &[(&str, BoxedStrategy<Pair>)]) {
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    let project = Project::empty();
    let mut source = rusqlite::Connection::open(project.path("app.db")).expect("a file");
    let (mut target, mut names) = (String::new(), Vec::new());
    let rows = source.transaction().expect("a transaction");
    for (at, (kind, values)) in families.iter().enumerate() {
        target.push_str(&format!("CREATE TABLE t{at} (v {kind}, said text);"));
        rows.execute_batch(&format!("CREATE TABLE t{at} (v, said)")).expect("a table");
        let mut insert = rows.prepare(&format!("INSERT INTO t{at} VALUES (?1, ?2)")).expect("an insert");
        for _ in 0..ROWS {
            let pair = values.new_tree(&mut runner).expect("a value").current();
            insert.execute(rusqlite::params![pair.0, pair.1]).expect("a row");
        }
        names.push(format!("\"t{at}\""));
    }
    rows.commit().expect("the rows");
    project.write("migrations/V1__create.sql", target);
    project.write(
        "migrations/V2__import.toml",
        format!("source = \"sqlite\"\ntables = [{}]\n", names.join(", ")),
    );
    project.outgrow(["migrate"]).succeeds();
    let mut client = project.connect();
    for (at, (kind, _)) in families.iter().enumerate() {
        let query = format!(
            "SELECT format('%L is stored as %L', said, v) FROM t{at} \
             WHERE said IS NOT NULL AND v::text IS DISTINCT FROM (said::{kind})::text LIMIT 5"
        );
        let different = client.query(&query, &[]).expect(kind);
        let different: Vec<String> = different.iter().map(|row| row.get(0)).collect();
        assert_eq!(different, [""; 0], "{kind}");
    }
    project.outgrow(["export", "back.db"]).succeeds();
    cells::assert_same(&project.path("back.db"), &project.path("app.db"));
}
