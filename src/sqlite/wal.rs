//! The write-ahead log beside a source. In goes its path; out comes which pages of the database its committed frames
//! hold, found by the same rules as SQLite's own recovery. (SQLite: Database File Format, "The Write-Ahead Log".)

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Result, Seek, SeekFrom};
use std::path::Path;

/// Bytes of the log's header and of that of each frame.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What the header opens with; the last bit says in which byte order the checksums read.
const MAGIC: u32 = 0x377f_0682;

/// The committed part of a log that has any.
pub(super) struct Log {
    file: File,
    /// Bytes of a page.
    pub page_size: usize,
    /// How many pages the database has after the last commit.
    pub pages: u32,
    /// By page: where its newest committed content begins in the log.
    places: HashMap<u32, u64>,
}

impl Log {
    /// The log at `path`; `None` if there is none, or nothing in it is committed.
    pub(super) fn read(path: &Path) -> Result<Option<Log>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::with_capacity(1 << 16, &file);
        let mut header = [0; HEADER];
        if !filled(&mut reader, &mut header)? {
            return Ok(None);
        }
        let page_size = word(&header, 8) as usize;
        let mut sum = Checksum { big_endian: word(&header, 0) & 1 == 1, pair: (0, 0) };
        sum.add(&header[..24]);
        let known = word(&header, 0) & !1 == MAGIC && page_size.is_power_of_two();
        if !known || !(512..=65_536).contains(&page_size) || !sum.is(&header[24..]) {
            return Ok(None);
        }
        let mut frame = vec![0; FRAME_HEADER + page_size];
        let mut at = HEADER as u64;
        let (mut pages, mut places, mut open) = (0, HashMap::new(), HashMap::new());
        // salts tell the frames of this log from what an earlier one left behind them
        while filled(&mut reader, &mut frame)? && frame[8..16] == header[16..24] {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER..]);
            if word(&frame, 0) == 0 || !sum.is(&frame[16..]) {
                break;
            }
            open.insert(word(&frame, 0), at + FRAME_HEADER as u64);
            if word(&frame, 4) > 0 {
                pages = word(&frame, 4);
                places.extend(open.drain());
            }
            at += frame.len() as u64;
        }
        Ok((pages > 0).then_some(Log { file, page_size, pages, places }))
    }

    /// Puts page `number` into `page`, if the log has it.
    pub(super) fn page(&self, number: u32, page: &mut [u8]) -> Result<bool> {
        let Some(place) = self.places.get(&number) else {
            return Ok(false);
        };
        let mut file = &self.file;
        file.seek(SeekFrom::Start(*place))?;
        file.read_exact(page)?;
        Ok(true)
    }
}

/// Whether `buffer` could be filled.
fn filled(reader: &mut impl Read, buffer: &mut [u8]) -> Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The big-endian number at `offset`.
fn word(bytes: &[u8], offset: usize) -> u32 {
    bytes[offset..offset + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The running checksum. (Database File Format, "Checksum Algorithm".)
struct Checksum {
    big_endian: bool,
    pair: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let number = |offset| {
            let number = word(bytes, offset);
            if self.big_endian { number } else { number.swap_bytes() }
        };
        for offset in (0..bytes.len()).step_by(8) {
            self.pair.0 = self.pair.0.wrapping_add(number(offset)).wrapping_add(self.pair.1);
            self.pair.1 = self.pair.1.wrapping_add(number(offset + 4)).wrapping_add(self.pair.0);
        }
    }

    /// Whether `stored` begins with it.
    fn is(&self, stored: &[u8]) -> bool {
        self.pair == (word(stored, 0), word(stored, 4))
    }
}
