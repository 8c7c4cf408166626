//! The one read transaction: how a connection to a source is opened and begun, what keeps it from that, and SQLite's
//! failures in words.

use super::schema::{self, Schema};
use super::{beside, name, refused};
use crate::error::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::path::Path;
use std::time::Duration;

/// A writer is waited for so long without a word.
const QUIET: Duration = Duration::from_secs(1);

/// SQLite keeps the wait in an `int`.
const MAX_WAIT: Duration = Duration::from_millis(2_147_483_647);

/// Changes whenever another connection has committed, once the transaction is over.
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

/// A connection in the middle of a read transaction, and the schema as that sees it.
pub(super) fn begin(file: &Path, wait: Duration, immutable: bool) -> rusqlite::Result<(Connection, Schema)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        Connection::open_with_flags(immutable_uri(file), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(file, flags)?
    };
    // SQLite counts in milliseconds, and takes none as a refusal to wait
    let patience = |wait: Duration| connection.busy_timeout(wait.clamp(Duration::from_millis(1), MAX_WAIT));
    patience(wait.min(QUIET))?;
    // a reader that closes last must not fold the log into the file; a hostile schema must not run code
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cell_size_check = ON; BEGIN")?;
    let schema = match schema::read(&connection) {
        Err(error) if wait > QUIET && is_locked(&error) => {
            let shown = humantime::format_duration(wait);
            log::warn!("waiting up to {shown} (--lock-timeout) for a writer that has locked {}", name(file));
            patience(wait - QUIET)?;
            schema::read(&connection)?
        }
        read => read?,
    };
    patience(wait)?;
    Ok((connection, schema))
}

/// SQLite's only way to read a WAL-mode file where `-wal` and `-shm` cannot be made: without locks and without the log.
/// (SQLite: Write-Ahead Logging, "Read-Only Databases"; Uniform Resource Identifiers, "Recognized Query Parameters".)
fn immutable_uri(file: &Path) -> String {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut uri = String::from("file://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether SQLite failed to make or to write `-wal` or `-shm`.
pub(super) fn needs_a_writable_folder(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => true,
        Some(ErrorCode::ReadOnly) => extended != Some(ffi::SQLITE_READONLY_ROLLBACK),
        Some(ErrorCode::SystemIoFailure) => [
            ffi::SQLITE_IOERR_SHMOPEN,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_IOERR_SHMLOCK,
            ffi::SQLITE_IOERR_SHMMAP,
            ffi::SQLITE_IOERR_LOCK,
        ]
        .iter()
        .any(|code| Some(*code) == extended),
        _ => false,
    }
}

/// Refuses a file whose newest rows are in a log that cannot be read.
pub(super) fn require_no_log(file: &Path) -> Result<(), Error> {
    let log = beside(file, "-wal");
    match std::fs::metadata(&log).map(|log| log.len()) {
        Ok(bytes @ 1..) => Err(refused(
            file,
            format!(
                "its newest rows are in {} ({bytes} bytes), and SQLite reads that only where it may write beside it: \
                 copy both files to a folder of your own and name the copy",
                name(&log)
            ),
        )),
        _ => Ok(()),
    }
}

/// What SQLite finds wrong with the structure of the file: pages that are damaged, lost or used twice. Whether the rows
/// keep their constraints is not asked here. (SQLite: PRAGMA `quick_check`.)
pub(super) fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut check = connection.prepare("PRAGMA main.quick_check(1)")?;
    let mut found = check.query([])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let found: String = row.get(0)?;
    // structure comes first, and under this heading
    let found = found.strip_prefix("*** in database main ***");
    Ok(found.map(|found| found.trim().lines().next().unwrap_or_default().to_owned()))
}

/// SQLite's message with what to do about it.
pub(crate) fn in_words(error: &rusqlite::Error) -> String {
    if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_READONLY_ROLLBACK) {
        return "it has a hot journal: an application stopped in the middle of a transaction, and the file can be read only \
                after that was rolled back, which writes to it; copy it together with its -journal, open the copy once with \
                sqlite3, and name the copy"
            .into();
    }
    if is_locked(error) {
        return format!(
            "{error}: a writer has locked it, and --lock-timeout is over; stop the application and try again"
        );
    }
    if error.to_string().contains("no such collation sequence") {
        return format!(
            "{error}: only the application has it, and without it SQLite reads no table whose key is in its order; make the table anew \
             with COLLATE BINARY, NOCASE or RTRIM in a copy of the file, from within the application, and name the copy"
        );
    }
    let next = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => {
            return damaged(&error.to_string());
        }
        Some(ErrorCode::NotADatabase) => "it is not an SQLite database, or it is encrypted",
        Some(ErrorCode::SystemIoFailure) => {
            "the disk or the file system failed to read it: copy it elsewhere"
        }
        Some(ErrorCode::CannotOpen) => "it or its folder cannot be read by this user",
        _ => "SQLite cannot read it",
    };
    format!("{error}: {next}")
}

/// What to do about a damaged file.
pub(super) fn damaged(what: &str) -> String {
    format!("it is damaged ({what}): copy it again, or restore it with sqlite3 FILE .recover")
}
