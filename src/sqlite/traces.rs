//! Leaves nothing beside a source. To read a file in WAL mode, SQLite needs its log `-wal` and the index of it, `-shm`,
//! and makes whichever is missing; a connection that may not write cannot remove them again, and files left by another
//! user can keep the application from its own database.
//!
//! They are removed as SQLite itself removes them: under the exclusive lock of the database, which nobody gets while
//! any other process has the file open in WAL mode. Only for that lock the file is opened once more with the right to
//! write; nothing is written, and a log with anything in it is never touched. (SQLite: Write-Ahead Logging, "Use of WAL
//! Without Shared-Memory": in exclusive mode from the first access on, no `-shm` is made.)

use super::beside;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// What stood beside a source before it was opened. Dropped after the connection to it, it removes what is new.
pub(super) struct Traces {
    file: PathBuf,
    /// There was a log.
    pub log: bool,
    index: bool,
}

impl Traces {
    pub(super) fn before(file: &Path) -> Traces {
        Traces {
            file: file.to_owned(),
            log: beside(file, "-wal").exists(),
            index: beside(file, "-shm").exists(),
        }
    }

    fn remove(&self, log: &Path, index: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        // without it, closing would fold the log into the file
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        if !self.index && index.exists() {
            std::fs::remove_file(index)?;
        }
        if !self.log && std::fs::metadata(log).is_ok_and(|log| log.len() == 0) {
            std::fs::remove_file(log)?;
        }
        Ok(())
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        let (log, index) = (beside(&self.file, "-wal"), beside(&self.file, "-shm"));
        let new = (!self.log && log.exists()) || (!self.index && index.exists());
        // a journal would be rolled back by whoever may write
        if new && !beside(&self.file, "-journal").exists() {
            // somebody else has the file open, and what we made is theirs now; or we may not write here
            if let Err(error) = self.remove(&log, &index) {
                log::debug!("{} and {} stay: {error}", log.display(), index.display());
            }
        }
    }
}
