//! The source: an SQLite file, opened read-only and read in one snapshot. In goes a path; out come the schema
//! ([`schema`]), rows as borrowed values ([`scan`]) and a fingerprint. Nothing here ever writes to the file.

pub mod scan;
pub mod schema;

use crate::error::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use schema::Table;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a writer may keep us from reading before we give up.
const BUSY: Duration = Duration::from_secs(10);

/// Where an SQLite file says what it is (SQLite: Database File Format, "The Database Header").
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// An open source, in the middle of its one read transaction.
pub struct Source {
    connection: Connection,
    /// The file.
    pub file: PathBuf,
    /// Its tables as the snapshot has them.
    pub tables: Vec<Table>,
}

/// What identifies the state of a source: recorded in the receipt.
#[derive(Debug, Clone, Serialize)]
pub struct Fingerprint {
    /// The file's name without its folder.
    pub name: String,
    /// Bytes of the file and of its write-ahead log.
    pub bytes: u64,
    /// SHA-256 over the file and then its write-ahead log, in hexadecimal.
    pub sha256: String,
}

impl Source {
    /// Opens `file`, starts the snapshot and reads the schema.
    ///
    /// # Errors
    /// [`Error::Source`] if it is missing, a folder, empty, cut short, or not an SQLite database.
    pub fn open(file: &Path) -> Result<Source, Error> {
        inspect(file).map_err(|reason| refused(file, reason))?;
        let unreadable = |error: rusqlite::Error| refused(file, in_words(&error));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(unreadable)?;
        connection.busy_timeout(BUSY).map_err(unreadable)?;
        // a reader that closes last must not fold the log into the file; a hostile schema must not run code
        for (setting, on) in [
            (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        ] {
            connection.set_db_config(setting, on).map_err(unreadable)?;
        }
        connection
            .execute_batch("PRAGMA query_only = ON; PRAGMA cell_size_check = ON; BEGIN")
            .map_err(unreadable)?;
        let tables = schema::read(&connection).map_err(unreadable)?;
        Ok(Source { connection, file: file.to_owned(), tables })
    }

    /// The state of the source, from the bytes on disk.
    ///
    /// # Errors
    /// [`Error::Source`] if the file can no longer be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let mut hash = Sha256::new();
        let mut bytes = 0;
        let mut feed = |file: &Path| -> std::io::Result<()> {
            let mut file = File::open(file)?;
            let mut chunk = vec![0; 1 << 16];
            loop {
                match file.read(&mut chunk)? {
                    0 => return Ok(()),
                    read => {
                        hash.update(&chunk[..read]);
                        bytes += read as u64;
                    }
                }
            }
        };
        let log = beside(&self.file, "-wal");
        feed(&self.file)
            .and_then(|()| if log.exists() { feed(&log) } else { Ok(()) })
            .map_err(|error| refused(&self.file, error.to_string()))?;
        Ok(Fingerprint {
            name: self.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes,
            sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
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

/// What can be said of the file before SQLite sees it, better than SQLite would.
fn inspect(file: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file: check --source or SOURCE_DATABASE_URL, relative to the current folder"
                .to_owned()
        }
        _ => format!("{error}"),
    })?;
    if metadata.is_dir() {
        return Err("it is a folder: name the SQLite file in it".into());
    }
    if !metadata.is_file() {
        return Err("it is not a file but a pipe, a socket or a device: name the SQLite file".into());
    }
    let mut header = Vec::new();
    File::open(file)
        .and_then(|open| open.take(100).read_to_end(&mut header))
        .map_err(|error| error.to_string())?;
    if header.is_empty() {
        return Err("it is empty (0 bytes): a failed start of the application leaves such a file, look for the real one".into());
    }
    if header.starts_with(b"version https://git-lfs") {
        return Err("it is a Git LFS pointer, not the file itself: run git lfs pull".into());
    }
    if !header.starts_with(MAGIC) {
        return Err(
            "it is not an SQLite database (or an encrypted one): it does not start with \"SQLite format 3\""
                .into(),
        );
    }
    let too_short = || format!("it is cut short: {} bytes, and the header alone takes 100", metadata.len());
    let (size, pages) = declared_size(&header).ok_or_else(too_short)?;
    if !size.is_power_of_two() || size < 512 {
        return Err(format!("it is damaged: its header gives a page size of {size} bytes; copy it again"));
    }
    // the count of pages is valid only if it was written together with the change counter
    if metadata.len() < size * pages && header[24..28] == header[92..96] && !beside(file, "-wal").exists() {
        return Err(format!(
            "it is cut short: {} bytes, and its header says {pages} pages of {size} bytes, {} bytes in all; copy it again",
            metadata.len(),
            size * pages
        ));
    }
    Ok(())
}

/// Page size (1 stands for 65536) and number of pages, if the header is whole.
fn declared_size(header: &[u8]) -> Option<(u64, u64)> {
    let size = u16::from_be_bytes(header.get(16..18)?.try_into().ok()?);
    let pages = u32::from_be_bytes(header.get(28..32)?.try_into().ok()?);
    header.get(99)?;
    Some((if size == 1 { 65_536 } else { size.into() }, pages.into()))
}

/// SQLite's message with what to do about it.
pub(crate) fn in_words(error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode;
    let next = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "a writer has locked it: stop the application and try again"
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            return format!(
                "it is damaged ({error}): copy it again, or restore it with sqlite3 FILE .recover"
            );
        }
        Some(ErrorCode::NotADatabase) => "it is not an SQLite database, or it is encrypted",
        Some(ErrorCode::CannotOpen) => "it or its folder cannot be read by this user",
        _ => "SQLite cannot read it",
    };
    format!("{error}: {next}")
}
