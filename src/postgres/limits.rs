//! How long things may take in a session or a transaction, whatever server, database or role have set.

use std::time::Duration;

/// A query that sets the limits, for the transaction if `local`: for a `lock`, and for one `statement` (`None` is no
/// limit). It also sets what else a run must not owe to the habits of the platform: time-outs that are meant for
/// requests, and hours until the server notices that a machine is gone, while a lock is held. (PostgreSQL: Client
/// Connection Defaults; Connection Settings, "TCP Settings".)
///
/// `transaction_timeout` came with PostgreSQL 17; `client_connection_check_interval` is for some systems alone.
#[must_use]
pub fn settings(lock: Duration, statement: Option<Duration>, local: bool) -> String {
    let set = |name: &str, value: u128| format!("set_config('{name}', '{value}', {local})");
    format!(
        "SELECT {}, {}, {}, {}, {}, {}, \
         CASE WHEN current_setting('server_version_num')::int >= 170000 THEN {} END, \
         CASE WHEN version() LIKE '%linux%' THEN {} END",
        set("lock_timeout", milliseconds(lock)),
        set("statement_timeout", statement.map_or(0, milliseconds)),
        set("idle_in_transaction_session_timeout", 0),
        set("tcp_keepalives_idle", 30),
        set("tcp_keepalives_interval", 10),
        set("tcp_keepalives_count", 6),
        set("transaction_timeout", 0),
        set("client_connection_check_interval", 5000),
    )
}

/// Sets how long a `lock` is waited for, for what is left of a transaction.
#[must_use]
pub fn lock(lock: Duration) -> String {
    format!("SET LOCAL lock_timeout = {}", milliseconds(lock))
}

/// Sets the limits of what is left of a transaction after `RESET ALL`: for a `lock`, and for one `statement` (`None` is
/// no limit).
#[must_use]
pub fn once_more(lock: Duration, statement: Option<Duration>) -> String {
    format!("{}; SET LOCAL statement_timeout = {}", self::lock(lock), statement.map_or(0, milliseconds))
}

/// How the server spells values and names, and reads what says too little of itself, such as a time without a zone in
/// an array: for the transaction, in one way wherever it is asked, whatever server, database, role or machine have set.
/// (PostgreSQL: Client Connection Defaults, "Locale and Formatting".)
pub const SPELLING: &str = "SET LOCAL extra_float_digits = 1; SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = postgres; \
                            SET LOCAL timezone = 'UTC'; SET LOCAL bytea_output = hex; SET LOCAL quote_all_identifiers = off";

/// What `--statement-timeout` allows one statement: 0 is no limit, as in PostgreSQL.
#[must_use]
pub fn of_statement(given: Option<Duration>) -> Option<Duration> {
    given.filter(|limit| !limit.is_zero())
}

/// As the server takes it: 0 would mean "for ever".
#[must_use]
pub fn milliseconds(duration: Duration) -> u128 {
    duration.as_millis().clamp(1, i32::MAX as u128)
}
