//! The source: an SQLite file, opened read-only and read in one snapshot. In goes a path; out come the schema
//! ([`schema`]), rows as borrowed values ([`scan`], or [`feed`] where there are many) and the state it is in ([`fingerprint()`]). Nothing here ever
//! writes to the file, its log or its journal, and nothing is left beside it ([`traces`]).

mod bookkeeping;
mod definition;
pub mod draft;
pub mod feed;
mod fingerprint;
pub mod full_text;
mod header;
mod query;
pub mod scan;
pub mod schema;
mod snapshot;
mod traces;
mod wal;
pub mod writer;

pub use definition::{Books, Definition, Statement};
pub use fingerprint::{Fingerprint, fingerprint};

use crate::error::Error;
use header::Header;
use rusqlite::{Connection, ErrorCode, InterruptHandle};
use schema::Table;
use snapshot::{damaged, in_words};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use traces::Traces;

/// A file of this many bytes takes a moment to be looked through.
const LARGE: u64 = 16 << 20;

/// SQLite asks after so many of its steps whether it is still wanted: within a fraction of a second, unless a single
/// function takes longer.
const STEPS: i32 = 1000;

/// An open source, in the middle of its one read transaction: in rollback-journal mode a writer waits until it ends, in
/// WAL mode it goes on and what it commits is not seen. (SQLite: Isolation In SQLite.)
pub struct Source {
    connection: Connection,
    /// The same file, for its bytes. Closing any handle on it lets go of all locks of this process, SQLite's included,
    /// so this one is opened before the connection and closed after it.
    bytes: Arc<File>,
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
    /// What is read is not wanted any more.
    ended: Arc<dyn Fn() -> bool + Send + Sync>,
    header: Header,
    opened: Stamp,
    data_version: i64,
    _traces: Traces,
}

impl Source {
    /// Opens `file`, starts the snapshot and reads the schema; a writer may keep us waiting for as long as `wait`, and
    /// whatever is read afterwards fails once it has `ended`. Not for a file that this process has open already: see
    /// [`fingerprint()`].
    ///
    /// # Errors
    /// [`Error::Source`] if it is missing, a folder, empty, cut short, damaged, locked for longer than we wait, in need
    /// of a repair that would write to it, or not an SQLite database.
    pub fn open(
        file: &Path,
        wait: Duration,
        ended: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Source, Error> {
        let header = header::inspect(file).map_err(|reason| refused(file, reason))?;
        let traces = Traces::before(file);
        let io = |error: std::io::Error| refused(file, error.to_string());
        let bytes = Arc::new(File::open(file).map_err(io)?);
        let opened = Stamp::of(file).map_err(io)?;
        let (mut connection, schema, unlocked) = match snapshot::begin(file, wait, false) {
            Ok((connection, schema)) => (connection, schema, false),
            Err(error) if header.wal && snapshot::needs_a_writable_folder(&error) => {
                snapshot::require_no_log(file)?;
                let (connection, schema) =
                    snapshot::begin(file, wait, true).map_err(|error| refused(file, in_words(&error)))?;
                (connection, schema, true)
            }
            Err(error) => return Err(refused(file, in_words(&error))),
        };
        let ended: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(ended);
        let watched = Arc::clone(&ended);
        let data_version = connection
            .progress_handler(STEPS, Some(move || watched()))
            .and_then(|()| snapshot::data_version(&connection))
            .map_err(|error| refused(file, in_words(&error)))?;
        Ok(Source {
            connection,
            bytes,
            notes: notes(file, header, &traces).map_err(io)?,
            file: file.to_owned(),
            tables: schema.tables,
            views: schema.views,
            unlocked,
            ended,
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
        self.hasher()(&|| !(self.ended)())
    }

    /// [`Source::fingerprint`] for another thread, and for as long as it is wanted: else an error that nobody reads.
    pub fn hasher(&self) -> impl FnOnce(&dyn Fn() -> bool) -> Result<Fingerprint, Error> + Send + use<> {
        let (bytes, file) = (Arc::clone(&self.bytes), self.file.clone());
        move |wanted| {
            fingerprint::of(&bytes, &file, wanted).map_err(|error| refused(&file, error.to_string()))
        }
    }

    /// With which another thread interrupts what SQLite is doing.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }

    /// The journal mode, as far as the file itself says: `wal`, or one of those with a rollback journal.
    #[must_use]
    pub fn journal(&self) -> &'static str {
        if self.header.wal { "WAL" } else { "rollback journal" }
    }

    /// Bytes of the file, without its log.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.opened.bytes
    }

    /// Bytes of all pages of the snapshot, those that are only in the log included.
    ///
    /// # Errors
    /// [`Error::Source`] if SQLite does not say.
    pub fn snapshot_bytes(&self) -> Result<u64, Error> {
        let number = |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let bytes = number("page_count").and_then(|pages| Ok(pages.saturating_mul(number("page_size")?)));
        bytes.map(i64::unsigned_abs).map_err(|error| refused(&self.file, in_words(&error)))
    }

    /// Whether [`Source::require_sound`] takes longer than anybody should have to wait for it.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.opened.bytes > LARGE
    }

    /// Refuses a file whose structure is damaged, wherever the damage is: a page that is lost takes its rows with it,
    /// and no scan notices. Reads the whole file.
    ///
    /// # Errors
    /// [`Error::Source`] with the first damage that SQLite finds.
    pub fn require_sound(&self) -> Result<(), Error> {
        match snapshot::damage(&self.connection) {
            Ok(None) => Ok(()),
            Ok(Some(damage)) => Err(refused(&self.file, damaged(&damage))),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                Err(refused(&self.file, in_words(&error)))
            }
            // a CHECK or an index may use functions that only the application has
            Err(error) => {
                log::debug!("the structure of {} was not checked: {error}", self.file.display());
                Ok(())
            }
        }
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
            Ok(snapshot::data_version(&self.connection)? != self.data_version)
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
            "{} is in WAL mode and there is no {} beside it: right if the application was stopped and has closed it; if this is a \
             copy and the log was left behind, the newest rows are missing",
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
