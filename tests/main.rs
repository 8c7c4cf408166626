//! All tests that go through the program: one binary, one throw-away server, a database for each test.

#![allow(clippy::print_stderr, reason = "a failing test names the database it keeps")]
#![allow(unreachable_pub, reason = "a test binary has no public interface")]

mod support;

mod aside;
mod aside_rights;
mod check;
mod check_run;
mod checks;
mod checks_trading;
mod concurrent;
mod connection;
mod connection_tls;
mod constraints;
mod conversions;
mod crash;
mod doctor;
mod door;
mod dot_env;
mod dry_run;
mod export;
mod export_files;
mod export_full_text;
mod export_keys;
mod export_meddled;
mod export_names;
mod export_notes;
mod export_tables;
mod export_under_way;
mod export_ways;
mod files;
mod history;
mod history_traffic;
mod house;
mod input;
mod intelibotx;
mod memory;
mod no_transaction;
mod originals;
mod platforms;
mod pooler;
mod proof;
mod quarantine;
mod random;
mod reading;
mod ready;
mod refusals;
mod rules;
mod since;
mod source;
mod source_state;
mod source_tables;
mod sql;
mod sql_content;
mod sql_session;
mod status;
mod step;
mod target;
mod values;
mod verify;
mod verify_input;
mod verify_keys;
mod verify_rules;
mod waiting;
mod written;
