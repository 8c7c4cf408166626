//! InteliBotX's acceptance checks of what it trades with: exchanges and their keys, bots, operations and their numbers.

use crate::checks::fails_alone;

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
