//! What identifies the state of a source. In goes a path; out comes a [`Fingerprint`] of the database as the last
//! commit left it, whether that commit is still in the write-ahead log or already in the file: folding the log into the
//! file (a checkpoint, as every clean end of an application does) changes nothing here.

use super::wal::Log;
use super::{beside, refused};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Result, Seek};
use std::path::Path;

/// The state of a source: recorded in the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The file's name without its folder.
    pub name: String,
    /// Bytes of the database.
    pub bytes: u64,
    /// SHA-256 of the database, in hexadecimal: that of the file if there is nothing in a write-ahead log.
    pub sha256: String,
    /// SQLite's own count of changes (Database File Format, "File change counter"); in WAL mode it may stand still.
    #[serde(default)]
    pub change_counter: Option<u32>,
    /// Another process committed while the step ran. What was copied is the state at the step's start, and this
    /// fingerprint may be that of a later one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed_during_copy: bool,
}

impl Fingerprint {
    /// Whether `file` is in another state than this one. Size and change counter are compared first; what is left is
    /// hashed, if it has no more than `at_most` bytes: `None` says that only a hash could tell. The warning of
    /// [`fingerprint`] holds here too.
    ///
    /// # Errors
    /// [`Error::Source`] if the file cannot be read, or if the answer is not `wanted` any more.
    pub fn differs_from(
        &self,
        file: &Path,
        at_most: u64,
        wanted: &dyn Fn() -> bool,
    ) -> std::result::Result<Option<bool>, Error> {
        let differs = || -> Result<Option<bool>> {
            let open = File::open(file)?;
            let image = Image::of(&open, file)?;
            let counted = self.change_counter.is_some() && self.change_counter != image.change_counter()?;
            if self.changed_during_copy || self.bytes != image.bytes || counted {
                return Ok(Some(true));
            }
            Ok(if image.bytes > at_most { None } else { Some(self.sha256 != image.hash(wanted)?) })
        };
        differs().map_err(|error| refused(file, error.to_string()))
    }
}

/// The state that `file` is in now. Not for a file that this process has open as a [`super::Source`]: closing a file
/// lets go of all the locks that the process holds on it. (SQLite: How To Corrupt, "Posix advisory locks canceled by a
/// separate thread doing close()".)
///
/// # Errors
/// [`Error::Source`] if the file cannot be read.
pub fn fingerprint(file: &Path) -> std::result::Result<Fingerprint, Error> {
    File::open(file)
        .and_then(|open| of(&open, file, &|| true))
        .map_err(|error| refused(file, error.to_string()))
}

/// The state of `open`, which is the file at `path`; an error if it is not `wanted` any more.
pub(super) fn of(open: &File, path: &Path, wanted: &dyn Fn() -> bool) -> Result<Fingerprint> {
    let image = Image::of(open, path)?;
    Ok(Fingerprint {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes: image.bytes,
        sha256: image.hash(wanted)?,
        change_counter: image.change_counter()?,
        changed_during_copy: false,
    })
}

/// The database as a checkpoint would leave it: the pages of the log over those of the file.
struct Image<'a> {
    file: &'a File,
    log: Option<Log>,
    bytes: u64,
}

impl Image<'_> {
    fn of<'a>(file: &'a File, path: &Path) -> Result<Image<'a>> {
        let log = Log::read(&beside(path, "-wal"))?;
        let bytes = match &log {
            Some(log) => u64::from(log.pages) * log.page_size as u64,
            None => file.metadata()?.len(),
        };
        Ok(Image { file, log, bytes })
    }

    fn change_counter(&self) -> Result<Option<u32>> {
        let mut start = [0; 28];
        self.each(|piece| {
            if let Some(found) = piece.get(..28) {
                start.copy_from_slice(found);
            }
            false
        })?;
        let counter = start[24..].iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        Ok(start.starts_with(b"SQLite").then_some(counter))
    }

    fn hash(&self, wanted: &dyn Fn() -> bool) -> Result<String> {
        let (mut hash, mut complete) = (Sha256::new(), true);
        self.each(|piece| {
            hash.update(piece);
            complete = wanted();
            complete
        })?;
        if !complete {
            return Err(std::io::Error::other("the reading was given up"));
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Piece by piece, until `take` has enough.
    fn each(&self, mut take: impl FnMut(&[u8]) -> bool) -> Result<()> {
        let mut file = self.file;
        file.rewind()?;
        let Some(log) = &self.log else {
            let mut piece = vec![0; 1 << 16];
            loop {
                let read = file.read(&mut piece)?;
                if read == 0 || !take(&piece[..read]) {
                    return Ok(());
                }
            }
        };
        let mut page = vec![0; log.page_size];
        for number in 1..=log.pages {
            // a page that was never written counts as zeros, as in a sparse file
            page.fill(0);
            let mut place = 0;
            while place < page.len() {
                match file.read(&mut page[place..])? {
                    0 => break,
                    read => place += read,
                }
            }
            log.page(number, &mut page)?;
            if !take(&page) {
                break;
            }
        }
        Ok(())
    }
}
