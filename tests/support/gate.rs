//! A gate in the middle of a data step: each row of one table waits at it, so that a test can do what it likes to the
//! run, the server or the source meanwhile.

use super::Project;
use postgres::Client;

/// The advisory lock that a closed gate holds.
const LOCK: i64 = 4242;

/// `pg_locks` shows those of all databases.
const WAITING: &str = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4242 AND NOT granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// SQL that puts a gate before each row of `table`: in the default of a column that the source does not feed.
pub fn before_rows_of(table: &str) -> String {
    format!(
        "CREATE FUNCTION gate() RETURNS int LANGUAGE plpgsql AS\n\
         $$ BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN 1; END $$;\n\
         ALTER TABLE {table} ADD COLUMN waited int DEFAULT gate();"
    )
}

/// A closed gate; dropping it opens it.
pub struct Gate(Client);

impl Gate {
    /// Closes that of the project's database.
    pub fn closed(project: &Project) -> Gate {
        Gate::held_by(project.connect())
    }

    /// Closes that of the database to which `session` is connected.
    pub fn held_by(mut session: Client) -> Gate {
        session.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).expect("the gate");
        Gate(session)
    }

    /// Returns when a run waits at it.
    pub fn reached(&mut self) {
        while self.0.query(WAITING, &[]).expect("pg_locks").is_empty() {}
    }
}
