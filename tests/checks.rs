//! InteliBotX's acceptance checks, of logins and of rows as a whole: all pass on its databases as they are, and each
//! fails, alone, on a database that is broken in just its way.

use crate::support::Project;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A fixture, migrated, with the application's checks.
pub fn migrated(fixture: &str) -> Project {
    let project = Project::intelibotx_from(fixture);
    project.copy_checks();
    project.outgrow(["migrate"]).succeeds();
    project
}

/// For each way to break the grown database: what breaks it, what mends it, and what `check`, and no other, says then.
#[track_caller]
pub fn fails_alone(check: &str, ways: &[(&str, &str, &[&str])]) {
    let project = migrated("intelibotx-rich.db");
    for (broken, mended, parts) in ways {
        project.execute(broken);
        let outcome = project.outgrow(["check", "--json"]).exits(1);
        let found = outcome.json();
        let failed: Vec<&str> = found["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .filter(|verdict| verdict["state"] == "failed")
            .filter_map(|verdict| verdict["check"].as_str())
            .collect();
        assert_eq!(failed, [check], "{broken}: {outcome:#?}");
        let only = ["check", "--only", &format!("{check}*")];
        project
            .outgrow(only)
            .exits(1)
            .prints(parts)
            .prints(&["1 of 1 check failed"])
            .never_says(&["$2b$12$", "Z0FBQUFB", "user01@", "user02@"]);
        project.execute(mended);
    }
    project.outgrow(["check"]).succeeds();
}

#[test]
fn all_pass_on_both_fixtures_and_on_a_new_installation() {
    for fixture in ["intelibotx.db", "intelibotx-rich.db"] {
        migrated(fixture).outgrow(["check"]).succeeds().prints(&["login_passwords", "18 checks passed"]);
    }
    let project = migrated("intelibotx.db");
    project.execute("TRUNCATE \"user\" CASCADE");
    project.outgrow(["check"]).succeeds().prints(&["18 checks passed"]);
}

#[test]
fn nothing_is_left_behind_but_the_numbers_of_sequences() {
    let project = migrated("intelibotx-rich.db");
    let state = "SELECT xmin::text || ctid::text || id FROM \"user\" UNION ALL SELECT xmin::text || ctid::text || id FROM botconfig \
        UNION ALL SELECT xmin::text || ctid::text || id FROM userexchange UNION ALL SELECT xmin::text || ctid::text || id FROM usersession \
        UNION ALL SELECT xmin::text || ctid::text || id FROM trading_operations \
        UNION ALL SELECT xmin::text || ctid::text || oid FROM pg_class WHERE relkind <> 'S' ORDER BY 1";
    let before = project.query(state);
    project.outgrow(["check"]).succeeds();
    assert_eq!(project.query(state), before);
}

#[test]
fn login_passwords() {
    let undo = "UPDATE \"user\" SET password_hash = '$2b$12$' || repeat('a', 53) WHERE id = 7";
    let hash = |value: &str| format!("UPDATE \"user\" SET password_hash = {value} WHERE id = 7");
    fails_alone(
        "login_passwords",
        &[
            (&hash("left(password_hash, 59)"), undo, &["id 7, reason not 60 characters"]),
            (
                &hash("replace(password_hash, '$2b$12$', '$2b$04$')"),
                undo,
                &["id 7, reason the cost is not 12"],
            ),
            (&hash("repeat('x', 60)"), undo, &["id 7, reason not a bcrypt hash"]),
            (
                &hash("left(password_hash, 59) || ' '"),
                undo,
                &["id 7, reason a character that bcrypt does not write"],
            ),
        ],
    );
}

#[test]
fn login_email() {
    let index = "CREATE UNIQUE INDEX ix_user_email ON \"user\" (email)";
    fails_alone(
        "login_email",
        &[
            (
                "DROP INDEX ix_user_email",
                index,
                &["login_email.sql:9:1: this statement was not refused, and SQLSTATE 23505"],
            ),
            (
                "UPDATE \"user\" SET email = 'a.lopez@example.com' WHERE id = 3; DROP INDEX ix_user_email; \
             CREATE UNIQUE INDEX ix_user_email ON \"user\" (lower(email))",
                "DROP INDEX ix_user_email; CREATE UNIQUE INDEX ix_user_email ON \"user\" (email)",
                &[
                    "login_email.sql:3:1: duplicate key value violates unique constraint \"ix_user_email\" [SQLSTATE 23505]",
                ],
            ),
            (
                "DROP INDEX ix_user_email; UPDATE \"user\" SET email = 'user01@example.com' WHERE id = 2; \
             CREATE UNIQUE INDEX ix_user_email ON \"user\" (email) WHERE id < 0",
                "UPDATE \"user\" SET email = 'b' WHERE id = 2; DROP INDEX ix_user_email; \
             CREATE UNIQUE INDEX ix_user_email ON \"user\" (email)",
                &["id 1, reason the address stands twice"],
            ),
        ],
    );
}

#[test]
fn login_verification() {
    let set = |what: &str| format!("UPDATE \"user\" SET {what} WHERE id = 21");
    let undo = set(
        "verification_token = 'f492af40-44ca-4cba-9adb-6c134c81717a', verification_expires = '2099-12-31'",
    );
    fails_alone(
        "login_verification",
        &[
            (&set("verification_token = NULL"), &undo, &["id 21, reason not verified and no token"]),
            (&set("verification_expires = NULL"), &undo, &["id 21, reason a token without an expiry"]),
            (
                &set("verification_token = left(verification_token, 20)"),
                &undo,
                &["id 21, reason the token is not a UUID"],
            ),
            (
                &set("verification_token = (SELECT verification_token FROM \"user\" WHERE id = 8)"),
                &undo,
                &["id 8, reason the token is also that of another user", "id 21, reason"],
            ),
        ],
    );
}

#[test]
fn login_reset() {
    let set = |what: &str| format!("UPDATE \"user\" SET {what} WHERE id = 18");
    let undo = set("reset_token = repeat('-', 43), reset_expires = '2099-12-31'");
    fails_alone(
        "login_reset",
        &[
            (&set("reset_token = NULL"), &undo, &["id 18, reason an expiry without a token"]),
            (&set("reset_expires = NULL"), &undo, &["id 18, reason a token without an expiry"]),
            (
                &set("reset_token = left(reset_token, 42)"),
                &undo,
                &["id 18, reason not 43 URL-safe characters"],
            ),
            (
                &set("reset_token = (SELECT reset_token FROM \"user\" WHERE id = 26)"),
                &undo,
                &["id 18, reason the token is also that of another user", "id 26, reason"],
            ),
        ],
    );
}

#[test]
fn registration() {
    fails_alone(
        "registration",
        &[
            (
                "ALTER TABLE \"user\" ALTER id DROP DEFAULT",
                "ALTER TABLE \"user\" ALTER id SET DEFAULT nextval('user_id_seq')",
                &["registration.sql:3:1: null value in column \"id\"", "SQLSTATE 23502"],
            ),
            (
                "ALTER TABLE \"user\" ALTER password_hash DROP NOT NULL",
                "ALTER TABLE \"user\" ALTER password_hash SET NOT NULL",
                &["registration.sql:12:1: this statement was not refused, and SQLSTATE 23502 was expected"],
            ),
            (
                "ALTER TABLE \"user\" ALTER id SET DEFAULT 34",
                "ALTER TABLE \"user\" ALTER id SET DEFAULT nextval('user_id_seq')",
                &["id 34, reason not above the ids in use"],
            ),
        ],
    );
}

#[test]
fn sessions() {
    let key = "ALTER TABLE usersession ADD CONSTRAINT usersession_user_id_fkey FOREIGN KEY (user_id) REFERENCES \"user\" (id)";
    let drop = "ALTER TABLE usersession DROP CONSTRAINT usersession_user_id_fkey;";
    let cascade = format!("{drop} {key} ON DELETE CASCADE");
    fails_alone(
        "sessions",
        &[
            (
                "ALTER TABLE usersession DROP CONSTRAINT usersession_token_jti_key",
                "ALTER TABLE usersession ADD UNIQUE (token_jti)",
                &["sessions.sql:12:1: this statement was not refused, and SQLSTATE 23505"],
            ),
            (drop, key, &["sessions.sql:16:1: this statement was not refused, and SQLSTATE 23503"]),
            (&cascade, &format!("{drop} {key}"), &["sessions.sql:21:1: this statement was not refused"]),
            (
                "UPDATE usersession SET expires_at = created_at WHERE id IN (5, 6)",
                "UPDATE usersession SET expires_at = '2099-01-01' WHERE id IN (5, 6)",
                &["2 rows found, and none expected", "id 5, user_id ", "reason ends before it begins"],
            ),
        ],
    );
}

#[test]
fn timestamps() {
    fails_alone(
        "timestamps",
        &[(
            "ALTER TABLE \"user\" ALTER last_login_at TYPE timestamptz; ALTER TABLE trades DROP closed_at",
            "ALTER TABLE \"user\" ALTER last_login_at TYPE timestamp; ALTER TABLE trades ADD closed_at timestamp",
            &[
                "table user, column last_login_at, type timestamp with time zone",
                "table trades, column closed_at, type NULL",
            ],
        )],
    );
}

#[test]
fn types() {
    fails_alone(
        "types",
        &[(
            "ALTER TABLE trading_sessions ALTER symbol_distribution TYPE jsonb; ALTER TABLE botconfig ALTER take_profit TYPE numeric",
            "ALTER TABLE trading_sessions ALTER symbol_distribution TYPE json; ALTER TABLE botconfig ALTER take_profit TYPE float8",
            &[
                "column symbol_distribution, expected json, type jsonb",
                "column take_profit, expected double precision, type numeric",
            ],
        )],
    );
}

#[test]
fn sequences() {
    fails_alone(
        "sequences",
        &[(
            "SELECT setval('trades_id_seq', 3)",
            "SELECT setval('trades_id_seq', 1000)",
            &["table trades, next_id 4, largest_id 12"],
        )],
    );
}

#[test]
fn orphans() {
    // the keys stay; only the rows break them
    let broken = "SET session_replication_role = replica; UPDATE usersession SET user_id = 777 WHERE id = 9; \
        UPDATE botconfig SET exchange_id = 778 WHERE id = 10; UPDATE trading_orders SET trade_id = 779 WHERE id = 11";
    let mended = "UPDATE usersession SET user_id = 1 WHERE id = 9; UPDATE botconfig SET exchange_id = NULL WHERE id = 10; \
        UPDATE trading_orders SET trade_id = NULL WHERE id = 11";
    fails_alone(
        "orphans",
        &[(
            broken,
            mended,
            &[
                "table usersession, id 9, missing_id 777",
                "table botconfig, id 10, missing_id 778",
                "table trading_orders, id 11, missing_id 779",
            ],
        )],
    );
}

#[test]
fn ownership() {
    fails_alone(
        "ownership",
        &[(
            "UPDATE botconfig SET exchange_id = 1 WHERE id = 1",
            "UPDATE botconfig SET exchange_id = NULL WHERE id = 1",
            &["id 1, user_id 1, exchange_id 1, owner_id 2"],
        )],
    );
}

/// The URL of the project's database over a network on which every answer takes 50 ms.
fn from_afar(project: &Project) -> String {
    let url = project.url();
    let (_, address) = url.split_once('@').expect("a host");
    let address = address.split('/').next().expect("a host").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("its address").to_string();
    let far = url.replace(&address, &own);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection");
            let mut server = TcpStream::connect(&address).expect("the server");
            let mut questions = client.try_clone().expect("a handle");
            let mut to_server = server.try_clone().expect("a handle");
            std::thread::spawn(move || std::io::copy(&mut questions, &mut to_server));
            std::thread::spawn(move || {
                let mut bytes = [0; 1 << 12];
                while let Ok(read @ 1..) = server.read(&mut bytes) {
                    std::thread::sleep(Duration::from_millis(50));
                    if client.write_all(&bytes[..read]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    far
}

#[test]
fn connection() {
    let project = Project::with(&[("checks/connection.sql", include_str!("../checks/connection.sql"))]);
    project
        .outgrow(["check", "--database-url", &from_afar(&project)])
        .exits(1)
        .prints(&["checks/connection.sql: opening a session took ", "ms, and the budget is 100.0 ms"]);
}
