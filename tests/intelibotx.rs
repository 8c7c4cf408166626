//! The main job on real input: InteliBotX from its SQLite file to PostgreSQL at head.

use crate::support::{Project, repository};

/// Every cell of `table`, the way both databases can write it.
const COLUMNS: &str = "id::text || '|' || email || '|' || password_hash || '|' || is_verified::int || '|' || \
    coalesce(verification_token, 'NULL') || '|' || coalesce(to_char(verification_expires, 'YYYY-MM-DD HH24:MI:SS.US'), 'NULL') \
    || '|' || to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US')";

const SQLITE_COLUMNS: &str = "id || '|' || email || '|' || password_hash || '|' || is_verified || '|' || \
    coalesce(verification_token, 'NULL') || '|' || coalesce(verification_expires, 'NULL') || '|' || created_at";

fn sqlite(project: &Project, query: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(project.path("app.db")).expect("the source");
    let mut statement = connection.prepare(query).expect(query);
    let rows = statement.query_map([], |row| row.get(0)).expect(query);
    rows.collect::<Result<_, _>>().expect(query)
}

#[test]
fn the_two_users_arrive_as_they_were() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds().prints(&[
        "V6__import_from_sqlite   2 rows",
        "trades",
        "absent",
        "at head, V6",
    ]);
    let expected = sqlite(&project, &format!("SELECT {SQLITE_COLUMNS} FROM user ORDER BY id"));
    assert_eq!(expected.len(), 2);
    assert!(expected[0].contains("$2b$12$"));
    assert_eq!(project.query(&format!("SELECT {COLUMNS} FROM \"user\" ORDER BY id")), expected);
}

#[test]
fn a_new_user_gets_the_next_id() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    let insert = "INSERT INTO \"user\" (email, password_hash, preferred_exchange, preferred_mode, default_market_type, \
        two_factor_enabled, api_keys_configured, created_at, is_active, is_verified) \
        VALUES ('c@example.com', 'x', 'BINANCE', 'TESTNET', 'SPOT', false, false, now(), true, false) RETURNING id::text";
    assert_eq!(project.query(insert), ["3"]);
}

#[test]
fn the_grown_file_arrives_row_by_row() {
    let project = Project::intelibotx_from("intelibotx-rich.db");
    project.outgrow(["migrate"]).succeeds().prints(&["431 rows"]);
    let users = sqlite(&project, &format!("SELECT {SQLITE_COLUMNS} FROM user ORDER BY id"));
    assert_eq!(project.query(&format!("SELECT {COLUMNS} FROM \"user\" ORDER BY id")), users);
    let stakes = "stake AS text) FROM botconfig ORDER BY id";
    let source: Vec<f64> = sqlite(&project, &format!("SELECT cast({stakes}"))
        .iter()
        .map(|s| s.parse().expect("a real"))
        .collect();
    assert_eq!(source.len(), 87);
    let exact = sqlite(
        &project,
        "SELECT id || '|' || user_id || '|' || name || '|' || coalesce(leverage, 'NULL') FROM botconfig ORDER BY id",
    );
    let bots = "SELECT id || '|' || user_id || '|' || name || '|' || coalesce(leverage::text, 'NULL') FROM botconfig ORDER BY id";
    assert_eq!(project.query(bots), exact);
    let json = sqlite(
        &project,
        "SELECT id || '|' || coalesce(exit_market_conditions, 'NULL') FROM trades ORDER BY id",
    );
    assert_eq!(
        project.query(
            "SELECT id || '|' || coalesce(exit_market_conditions::text, 'NULL') FROM trades ORDER BY id"
        ),
        json
    );
    assert_eq!(project.query("SELECT nextval('botconfig_id_seq')::text"), ["94"]);
}

/// The application's floats, bit by bit: SQLite's cells are read as doubles, not as their 15-digit text.
#[test]
fn floats_arrive_to_the_last_bit() {
    let project = Project::intelibotx_from("intelibotx-rich.db");
    project.outgrow(["migrate"]).succeeds();
    let connection = rusqlite::Connection::open(project.path("app.db")).expect("the source");
    let mut statement =
        connection.prepare("SELECT stake, take_profit FROM botconfig ORDER BY id").expect("a query");
    let pairs =
        statement.query_map([], |row| Ok((row.get::<_, f64>(0)?, row.get::<_, f64>(1)?))).expect("rows");
    let expected: Vec<_> =
        pairs.map(|pair| pair.map(|(a, b)| (a.to_bits(), b.to_bits())).expect("a row")).collect();
    let rows =
        project.connect().query("SELECT stake, take_profit FROM botconfig ORDER BY id", &[]).expect("rows");
    let stored: Vec<_> =
        rows.iter().map(|row| (row.get::<_, f64>(0).to_bits(), row.get::<_, f64>(1).to_bits())).collect();
    assert_eq!(stored, expected);
}

#[test]
fn a_second_run_changes_nothing() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    let versions = "SELECT xmin::text || ctid::text FROM \"user\" UNION ALL SELECT xmin::text || ctid::text FROM refinery_schema_history \
        UNION ALL SELECT xmin::text || ctid::text FROM outgrow_receipt UNION ALL SELECT xmin::text || relname FROM pg_class ORDER BY 1";
    let before = project.query(versions);
    std::fs::remove_file(project.path("app.db")).expect("the source goes");
    project.outgrow(["migrate"]).succeeds().prints(&["at head, V6, nothing to do"]);
    assert_eq!(project.query(versions), before);
}

#[test]
fn the_source_is_not_touched() {
    let project = Project::intelibotx();
    let before = std::fs::read(project.path("app.db")).expect("the source");
    project.outgrow(["migrate"]).succeeds();
    assert!(std::fs::read(project.path("app.db")).expect("the source") == before);
    let folder: Vec<_> = project
        .path("")
        .read_dir()
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(folder.len(), 2, "only migrations and app.db: {folder:?}");
}

#[test]
fn the_schema_is_the_one_the_application_makes() {
    let schema = include_str!("golden/schema.sql");
    let project = Project::intelibotx();
    project.outgrow(["migrate", "--to", "4"]).succeeds().prints(&["at V4, head is V6"]);
    assert_eq!(project.query(schema).join("\n") + "\n", include_str!("golden/create_all.txt"));
    project.outgrow(["migrate", "--to", "5"]).succeeds();
    assert_eq!(project.query(schema).join("\n") + "\n", include_str!("golden/trading.txt"));
}

#[test]
fn without_data_the_step_is_recorded_as_empty() {
    let project = Project::intelibotx();
    project
        .outgrow(["migrate", "--without-data"])
        .succeeds()
        .prints(&["recorded without data", "not brought"]);
    assert_eq!(project.query("SELECT count(*)::text FROM \"user\""), ["0"]);
    assert_eq!(
        project.query("SELECT proof || coalesce(source::text, 'NULL') FROM outgrow_receipt"),
        ["noneNULL"]
    );
    project.outgrow(["migrate"]).succeeds().prints(&["nothing to do"]);
}

#[test]
fn without_a_source_the_choices_are_explained() {
    let project = Project::intelibotx();
    std::fs::remove_file(project.path("app.db")).expect("the source goes");
    project.outgrow(["migrate"]).exits(2).says(&[
        "V6__import_from_sqlite is a data step and no source is named",
        "--source",
        "--without-data",
    ]);
    assert!(!project.has_table("user"), "nothing was run");
}

#[test]
fn the_receipt_says_what_was_brought() {
    let project = Project::intelibotx();
    let result = project.outgrow(["migrate", "--json"]).succeeds().json();
    let step = &result["applied"][5];
    assert_eq!(step["receipt"]["tables"][0]["rows"], 2);
    assert_eq!(step["receipt"]["tables"][5]["state"], "absent");
    let sha256 = "6cef0f863d9e65720fca4578d1a5c496f73d713b803b4051b32e0513e960c8c0";
    assert_eq!(project.query("SELECT source->>'sha256' FROM outgrow_receipt WHERE version = 6"), [sha256]);
    assert_eq!(project.query("SELECT tables->5->>'state' FROM outgrow_receipt"), ["absent"]);
}

#[test]
fn the_sample_fixture_is_the_plans_file() {
    assert_eq!(repository().join("fixtures/intelibotx.db").metadata().expect("the fixture").len(), 45_056);
}
