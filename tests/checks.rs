//! InteliBotX's acceptance checks: all pass on its databases as they are, and each fails, alone, on a database that is broken
//! in just its way.

use crate::support::Project;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A fixture, migrated, with the application's checks.
fn migrated(fixture: &str) -> Project {
    let project = Project::intelibotx_from(fixture);
    project.copy_checks();
    project.outgrow(["migrate"]).succeeds();
    project
}

/// For each way to break the grown database: what breaks it, what mends it, and what `check`, and no other, says then.
#[track_caller]
fn fails_alone(check: &str, ways: &[(&str, &str, &[&str])]) {
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
fn exchanges() {
    fails_alone(
        "exchanges",
        &[
            (
                "UPDATE userexchange SET user_id = 2, connection_name = 'secret' WHERE id IN (1, 2); UPDATE botconfig SET exchange_id = NULL",
                "UPDATE userexchange SET connection_name = 'other' WHERE id = 1",
                &["user_id 2, id 1, other_id 2, reason two exchanges of one name"],
            ),
            (
                "ALTER TABLE userexchange DROP CONSTRAINT userexchange_user_id_fkey",
                "ALTER TABLE userexchange ADD CONSTRAINT userexchange_user_id_fkey FOREIGN KEY (user_id) REFERENCES \"user\" (id)",
                &["exchanges.sql:18:1: this statement was not refused, and SQLSTATE 23503"],
            ),
            (
                "ALTER TABLE userexchange ALTER connection_name DROP NOT NULL",
                "ALTER TABLE userexchange ALTER connection_name SET NOT NULL",
                &["exchanges.sql:22:1: this statement was not refused, and SQLSTATE 23502"],
            ),
            (
                "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.encrypted_api_key := 'x'; RETURN NEW; END $$; \
             CREATE TRIGGER cut BEFORE INSERT ON userexchange FOR EACH ROW EXECUTE FUNCTION cut()",
                "DROP FUNCTION cut CASCADE",
                &["user_id -1", "reason not read back as it was written"],
            ),
        ],
    );
}

#[test]
fn exchange_keys() {
    let mend = "UPDATE userexchange SET encrypted_api_key = NULL, encrypted_api_secret = NULL WHERE id = 1";
    fails_alone(
        "exchange_keys",
        &[
            (
                "UPDATE userexchange SET encrypted_api_key = left(encrypted_api_key, 135) WHERE id = 1",
                mend,
                &["table userexchange, id 1, column encrypted_api_key, reason not a Fernet token in base64"],
            ),
            (
                "UPDATE \"user\" SET encrypted_binance_mainnet_secret = NULL WHERE id = 1",
                "UPDATE \"user\" SET encrypted_binance_mainnet_key = NULL WHERE id = 1",
                &[
                    "table user, id 1, column encrypted_binance_mainnet_secret, reason a key without its secret",
                ],
            ),
            (
                "UPDATE \"user\" SET encrypted_binance_testnet_key = 'in the clear' WHERE id = 1",
                "UPDATE \"user\" SET encrypted_binance_testnet_key = NULL, encrypted_binance_testnet_secret = NULL WHERE id = 1",
                &[
                    "table user, id 1, column encrypted_binance_testnet_key, reason not a Fernet token in base64",
                ],
            ),
        ],
    );
}

#[test]
fn bots() {
    let exchange = "FOREIGN KEY (exchange_id) REFERENCES userexchange (id)";
    fails_alone(
        "bots",
        &[
            (
                "ALTER TABLE botconfig DROP CONSTRAINT botconfig_exchange_id_fkey",
                &format!("ALTER TABLE botconfig ADD CONSTRAINT botconfig_exchange_id_fkey {exchange}"),
                &["bots.sql:21:1: this statement was not refused, and SQLSTATE 23503"],
            ),
            (
                "ALTER TABLE botconfig DROP CONSTRAINT botconfig_user_id_fkey",
                "ALTER TABLE botconfig ADD CONSTRAINT botconfig_user_id_fkey FOREIGN KEY (user_id) REFERENCES \"user\" (id)",
                &["bots.sql:25:1: this statement was not refused, and SQLSTATE 23503"],
            ),
            (
                "ALTER TABLE botconfig ALTER dca_levels DROP NOT NULL, ALTER max_orders_per_pair SET DEFAULT 1, \
             ALTER active SET DEFAULT true, ALTER status SET DEFAULT 'STOPPED'",
                "ALTER TABLE botconfig ALTER dca_levels SET NOT NULL, ALTER max_orders_per_pair DROP DEFAULT, \
             ALTER active DROP DEFAULT, ALTER status DROP DEFAULT",
                &["bots.sql:29:1: this statement was not refused, and SQLSTATE 23502"],
            ),
            (
                "ALTER TABLE botconfig ALTER min_entry_price TYPE real",
                "ALTER TABLE botconfig ALTER min_entry_price TYPE double precision",
                &["reason not read back as it was written"],
            ),
        ],
    );
}

/// The application's own schema has one enum type for both columns, and every operation fails on it.
#[test]
fn operations() {
    fails_alone(
        "operations",
        &[
            (
                "ALTER TABLE trading_operations ADD CONSTRAINT statuses CHECK (status <> 'CANCELLED') NOT VALID",
                "ALTER TABLE trading_operations DROP CONSTRAINT statuses",
                &[
                    "operations.sql:12:1: new row for relation \"trading_operations\" violates check constraint",
                    "detail: Failing row contains (…)",
                ],
            ),
            (
                "ALTER TABLE trading_operations ALTER side TYPE varchar",
                "ALTER TABLE trading_operations ALTER side TYPE tradeside USING side::tradeside",
                &["this statement was not refused, and SQLSTATE 22P02 was expected"],
            ),
            (
                "ALTER TABLE trading_operations DROP CONSTRAINT trading_operations_bot_id_fkey",
                "ALTER TABLE trading_operations ADD CONSTRAINT trading_operations_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES botconfig (id)",
                &["this statement was not refused, and SQLSTATE 23503 was expected"],
            ),
            (
                "CREATE RULE lost AS ON INSERT TO trading_operations WHERE NEW.status = 'PENDING' DO INSTEAD NOTHING",
                "DROP RULE lost ON trading_operations",
                &["bot_id -1, reason an operation is missing"],
            ),
        ],
    );
}

#[test]
fn dashboard() {
    fails_alone(
        "dashboard",
        &[
            (
                "ALTER TABLE trading_operations RENAME TO stored; CREATE VIEW trading_operations AS \
             SELECT * FROM stored WHERE (SELECT pg_sleep(2.1)) IS NOT NULL",
                "DROP VIEW trading_operations; ALTER TABLE stored RENAME TO trading_operations",
                &["dashboard.sql:10:1: this statement took ", ", and the budget is 2.0 s"],
            ),
            (
                "UPDATE trading_operations SET user_id = 3 WHERE bot_id = 2",
                "UPDATE trading_operations AS o SET user_id = b.user_id FROM botconfig AS b WHERE b.id = o.bot_id",
                &["bot_id 2, user_id 3, owner_id 1, reason operations of another user's bot"],
            ),
        ],
    );
}

#[test]
fn numbers() {
    fails_alone(
        "numbers",
        &[(
            "UPDATE botconfig SET stake = 'Infinity', min_volume = 'NaN' WHERE id = 5",
            "UPDATE botconfig SET stake = 1, min_volume = 1 WHERE id = 5",
            &["id 5, column min_volume", "id 5, column stake"],
        )],
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
