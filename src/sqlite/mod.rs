//! The source: an SQLite file, opened read-only and read in one snapshot. In goes a path; out come the schema
//! ([`schema`]), rows as borrowed values ([`scan`]) and the state it is in ([`fingerprint()`]). Nothing here ever writes to
//! the file, its log or its journal, and nothing is left beside it ([`traces`]).

mod bookkeeping;
mod fingerprint;
mod header;
pub mod scan;
pub mod schema;
mod traces;
mod wal;

pub use fingerprint::{Fingerprint, fingerprint};

use crate::error::Error;
use header::Header;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use schema::{Schema, Table};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use traces::Traces;

/// How long a writer may keep us from reading before we give up.
const BUSY: Duration = Duration::from_secs(10);

/// An open source, in the middle of its one read transaction: in rollback-journal mode a writer waits until it ends, in WAL mode
/// it goes on and what it commits is not seen. (SQLite: Isolation In SQLite.)
pub struct Source {
    connection: Connection,
    /// The same file, for its bytes. Closing any handle on it lets go of all locks of this process, SQLite's included, so
    /// this one is opened before the connection and closed after it.
    bytes: File,
    /// The file.
    pub file: PathBuf,
    /// Its tables as the snapshot has them.
    pub tables: Vec<Table>,
    /// The names of its views, which hold no rows.
    pub views: Vec<String>,
    /// What whoever runs the command should know of the file, in words.
    pub notes: Vec<String>,
    /// It is read without locks (`immutable`): its folder is read-only.
    unlocked: bool,
    header: Header,
    opened: Stamp,
    data_version: i64,
    _traces: Traces,
}

impl Source {
    /// Opens `file`, starts the snapshot and reads the schema. Not for a file that this process has open already: see
    /// [`fingerprint()`].
    ///
    /// # Errors
    /// [`Error::Source`] if it is missing, a folder, empty, cut short, damaged, locked for longer than we wait, in need of
    /// a repair that would write to it, or not an SQLite database.
    pub fn open(file: &Path) -> Result<Source, Error> {
        let header = header::inspect(file).map_err(|reason| refused(file, reason))?;
        let traces = Traces::before(file);
        let io = |error: std::io::Error| refused(file, error.to_string());
        let bytes = File::open(file).map_err(io)?;
        let opened = Stamp::of(file).map_err(io)?;
        let (connection, schema, unlocked) = match snapshot(file, false) {
            Ok((connection, schema)) => (connection, schema, false),
            Err(error) if header.wal && needs_a_writable_folder(&error) => {
                require_no_log(file)?;
                let (connection, schema) =
                    snapshot(file, true).map_err(|error| refused(file, in_words(&error)))?;
                (connection, schema, true)
            }
            Err(error) => return Err(refused(file, in_words(&error))),
        };
        let data_version = data_version(&connection).map_err(|error| refused(file, in_words(&error)))?;
        Ok(Source {
            connection,
            bytes,
            notes: notes(file, header, &traces).map_err(io)?,
            file: file.to_owned(),
            tables: schema.tables,
            views: schema.views,
            unlocked,
            header,
            opened,
            data_version,
            _traces: traces,
        })
    }

    /// The state of the snapshot. It is that of a later commit if [`Source::changed_since_opening`] says so.
    ///
    /// # Errors
    /// [`Error::Source`] if the file can no longer be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, Error> {
        fingerprint::of(&self.bytes, &self.file).map_err(|error| refused(&self.file, error.to_string()))
    }

    /// Ends the snapshot, and says whether another process has committed since it began, or put another file in its
    /// place. (SQLite: PRAGMA `data_version`, which stands still inside a transaction.)
    ///
    /// # Errors
    /// [`Error::Source`] if the file was read without locks and has changed: what was read may be of two states.
    pub fn changed_since_opening(&self) -> Result<bool, Error> {
        let now = Stamp::of(&self.file).ok();
        let same_file = now.as_ref().is_some_and(|now| now.id == self.opened.id);
        // in WAL mode a checkpoint touches the file and changes nothing
        let untouched =
            if self.header.wal && !self.unlocked { same_file } else { now.as_ref() == Some(&self.opened) };
        if self.unlocked {
            let log = std::fs::metadata(beside(&self.file, "-wal")).is_ok_and(|log| log.len() > 0);
            return if untouched && !log {
                Ok(false)
            } else {
                Err(refused(
                    &self.file,
                    "it was changed while it was read, and in its read-only folder it cannot be locked: \
                     stop the application, or copy the file and its -wal to a folder of your own"
                        .into(),
                ))
            };
        }
        let committed = || -> rusqlite::Result<bool> {
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("COMMIT")?;
            }
            Ok(data_version(&self.connection)? != self.data_version)
        };
        // a file that can no longer be read (locked, replaced, damaged) is not as it was
        Ok(!untouched || committed().unwrap_or(true))
    }
}

/// What a write changes about a file, whoever writes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    id: Option<(u64, u64)>,
}

impl Stamp {
    fn of(file: &Path) -> std::io::Result<Stamp> {
        let metadata = std::fs::metadata(file)?;
        Ok(Stamp { bytes: metadata.len(), modified: metadata.modified().ok(), id: id(&metadata) })
    }
}

/// Device and inode, where there are such things: another file under the same name has others.
#[cfg(unix)]
fn id(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> Option<(u64, u64)> {
    None
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

/// A connection in the middle of a read transaction, and the schema as that sees it.
fn snapshot(file: &Path, immutable: bool) -> rusqlite::Result<(Connection, Schema)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        Connection::open_with_flags(immutable_uri(file), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(file, flags)?
    };
    connection.busy_timeout(BUSY)?;
    // a reader that closes last must not fold the log into the file; a hostile schema must not run code
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cell_size_check = ON; BEGIN")?;
    let schema = schema::read(&connection)?;
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

/// Whether SQLite failed to make or to write `-wal` or `-shm`.
fn needs_a_writable_folder(error: &rusqlite::Error) -> bool {
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
fn require_no_log(file: &Path) -> Result<(), Error> {
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

/// What can be missing from a file in WAL mode without anything being wrong with it.
fn notes(file: &Path, header: Header, before: &Traces) -> std::io::Result<Vec<String>> {
    let log = beside(file, "-wal");
    if before.log {
        let bytes = std::fs::metadata(&log).map_or(0, |log| log.len());
        return Ok(if bytes > 0 && wal::Log::read(&log)?.is_none() {
            vec![format!(
                "{} holds {bytes} bytes and no commit that SQLite accepts: it is read as empty, \
                 and if it was damaged or belongs to another file, the newest rows are missing",
                name(&log)
            )]
        } else {
            Vec::new()
        });
    }
    Ok(if header.wal {
        vec![format!(
            "{} is in WAL mode and there is no {} beside it: if this is a copy and the log was left behind, \
             the newest rows are missing",
            name(file),
            name(&log)
        )]
    } else {
        Vec::new()
    })
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn refused(file: &Path, reason: String) -> Error {
    Error::Source { file: file.to_owned(), reason }
}

/// `app.db-wal` beside `app.db`.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

/// SQLite's message with what to do about it.
pub(crate) fn in_words(error: &rusqlite::Error) -> String {
    if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_READONLY_ROLLBACK) {
        return "it has a hot journal: an application stopped in the middle of a transaction, and the file can be read only \
                after that was rolled back, which writes to it; copy it together with its -journal, open the copy once with \
                sqlite3, and name the copy"
            .into();
    }
    let next = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            return format!(
                "{error}: a writer has locked it, and {} s were not enough; stop the application and try again",
                BUSY.as_secs()
            );
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            return format!(
                "it is damaged ({error}): copy it again, or restore it with sqlite3 FILE .recover"
            );
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
