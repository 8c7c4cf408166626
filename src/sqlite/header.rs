//! What can be said of a file before SQLite sees it, better than SQLite would: in goes a path, out comes what its first
//! hundred bytes declare, or why it cannot be a source. (SQLite: Database File Format, "The Database Header".)

use super::beside;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Where an SQLite file says what it is.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Bytes of the header.
const LENGTH: u64 = 100;

/// What the header declares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Commits go to a write-ahead log beside the file (read version 2).
    pub wal: bool,
}

/// Reads the header of `file`.
pub(super) fn inspect(file: &Path) -> Result<Header, String> {
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
        .and_then(|open| open.take(LENGTH).read_to_end(&mut header))
        .map_err(|error| error.to_string())?;
    if header.is_empty() {
        return Err("it is empty (0 bytes): a failed start of the application leaves such a file, look for the real one".into());
    }
    if header.starts_with(b"version https://git-lfs") {
        return Err("it is a Git LFS pointer, not the file itself: run git lfs pull".into());
    }
    if !header.starts_with(MAGIC) {
        return Err("it is not an SQLite database (or an encrypted one): it does not start with \
                    \"SQLite format 3\"; name the right file, or decrypt it into a new one first \
                    (SQLCipher: sqlcipher_export)"
            .into());
    }
    let too_short =
        || format!("it is cut short: {} bytes, and the header alone takes {LENGTH}", metadata.len());
    let (size, pages) = declared_size(&header).ok_or_else(too_short)?;
    if !size.is_power_of_two() || size < 512 {
        return Err(format!("it is damaged: its header gives a page size of {size} bytes; copy it again"));
    }
    if header[19] > 2 {
        return Err(format!(
            "its header asks for format version {}, and this program reads versions 1 and 2: \
             it is damaged, or a newer SQLite wrote it",
            header[19]
        ));
    }
    // the count of pages is valid only if it was written together with the change counter
    let log = std::fs::metadata(beside(file, "-wal")).is_ok_and(|log| log.len() > 0);
    if metadata.len() < size * pages && header[24..28] == header[92..96] && !log {
        return Err(format!(
            "it is cut short: {} bytes, and its header says {pages} pages of {size} bytes, {} bytes in all; copy it again",
            metadata.len(),
            size * pages
        ));
    }
    Ok(Header { wal: header[19] == 2 })
}

/// Page size (1 stands for 65536) and number of pages, if the header is whole.
fn declared_size(header: &[u8]) -> Option<(u64, u64)> {
    let size = u16::from_be_bytes(header.get(16..18)?.try_into().ok()?);
    let pages = u32::from_be_bytes(header.get(28..32)?.try_into().ok()?);
    header.get(99)?;
    Some((if size == 1 { 65_536 } else { size.into() }, pages.into()))
}
