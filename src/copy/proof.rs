//! The proof: every row is hashed when it is sent and again when it is read back from the server, and the two must
//! agree.
//!
//! Codecs emit exactly the bytes that PostgreSQL gives back for the value (a `numeric(p,s)` with its scale, a `jsonb`
//! spelt as the server spells it), so a row is compared as the bytes of its COPY-binary tuple. The hashes of a table's
//! rows are added up modulo 2^128: their order does not matter, their number does.

use super::columns::BoundTable;
use super::progress::Progress;
use super::reader::HEADER;
use crate::error::{Error, counted};
use crate::postgres::copy_out::CopyOut;
use tokio_postgres::{Client, Statement, ToStatement};
use xxhash_rust::xxh3::xxh3_128;

/// How many rows, and the sum of their 128-bit hashes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub rows: u64,
    pub hash: u128,
}

impl Tally {
    /// Adds one row: its number of columns, then the length and bytes of each.
    pub(super) fn add(&mut self, row: &[u8]) {
        self.add_hash(xxh3_128(row));
    }

    /// Adds one row by its hash.
    pub(super) fn add_hash(&mut self, row: u128) {
        self.rows += 1;
        self.hash = self.hash.wrapping_add(row);
    }

    /// The hash as a receipt has it.
    pub(super) fn hexadecimal(&self) -> String {
        format!("{:032x}", self.hash)
    }
}

/// Reads `table` back by `statement`, which is [`of`] it, and compares it with what was `sent`; says how they differ.
pub(super) async fn compare(
    client: &Client,
    table: &BoundTable,
    statement: &Statement,
    sent: Tally,
    progress: &Progress,
) -> Result<Option<String>, Error> {
    let name = &table.target.name;
    let mut stored = Tally::default();
    let each = |row: &[u8]| {
        stored.add(row);
        progress.rows(stored.rows);
    };
    read(client, name, statement, each).await?;
    Ok(difference(name, sent, stored))
}

/// How what is `stored` in table `name` differs from what was `sent`.
pub(super) fn difference(name: &str, sent: Tally, stored: Tally) -> Option<String> {
    if stored.rows != sent.rows {
        Some(format!("table {name}: {} read, {} stored", counted(sent.rows, "row"), stored.rows))
    } else if stored.hash != sent.hash {
        Some(format!(
            "table {name}: {} read and stored, and the content differs; \
             does a trigger, a rule or a type of the target change values?",
            counted(sent.rows, "row")
        ))
    } else {
        None
    }
}

/// Calls `each` with every row of `copied`, which is of `table`, as a COPY-binary tuple. What is copied: a table with
/// its columns, or a query in parentheses.
pub(super) async fn rows(
    client: &Client,
    table: &str,
    copied: &str,
    each: impl FnMut(&[u8]),
) -> Result<(), Error> {
    read(client, table, of(copied).as_str(), each).await
}

/// The statement that gives the rows of what is `copied`.
pub(super) fn of(copied: &str) -> String {
    format!("COPY {copied} TO STDOUT (FORMAT binary)")
}

async fn read<T: ?Sized + ToStatement>(
    client: &Client,
    table: &str,
    statement: &T,
    mut each: impl FnMut(&[u8]),
) -> Result<(), Error> {
    // there is a message for each row: nothing is spelt out for one that is no error
    let failed = |error| Error::database(format!("reading table {table} back"))(error);
    let mut copy = CopyOut::begin(client, statement).await.map_err(failed)?;
    let mut rows = Rows::default();
    while let Some(bytes) = copy.next().await.map_err(failed)? {
        rows.feed(&bytes, &mut each);
    }
    if rows.ended {
        return Ok(());
    }
    Err(Error::Proof(vec![format!("table {table}: the server ended in the middle of a row")]))
}

/// Cuts a COPY-binary stream into rows. The server sends a message a row, but the protocol does not promise it.
#[derive(Default)]
pub(super) struct Rows {
    begun: bool,
    /// The end of the stream has come.
    pub ended: bool,
    /// The beginning of a row whose rest is still to come.
    pending: Vec<u8>,
}

impl Rows {
    /// Calls `each` with every row that is whole with these `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        let joined;
        let mut rest = if self.pending.is_empty() {
            bytes
        } else {
            self.pending.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.pending);
            &joined[..]
        };
        if !self.begun {
            let Some(after) = rest.get(HEADER.len()..) else {
                self.pending = rest.to_vec();
                return;
            };
            self.begun = true;
            rest = after;
        }
        while !self.ended {
            match row_length(rest) {
                Some(0) => self.ended = true,
                Some(length) => {
                    each(&rest[..length]);
                    rest = &rest[length..];
                }
                None => {
                    self.pending = rest.to_vec();
                    return;
                }
            }
        }
    }
}

/// Bytes of the row that `bytes` begins with, if it is whole; 0 for the end of the stream.
fn row_length(bytes: &[u8]) -> Option<usize> {
    let columns = i16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
    if columns < 0 {
        return Some(0);
    }
    let mut at = 2;
    for _ in 0..columns {
        let length = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        // -1 is NULL
        at += 4 + usize::try_from(length).unwrap_or(0);
    }
    (at <= bytes.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        bytes.extend_from_slice(&[0, 2, 0, 0, 0, 1, 7, 255, 255, 255, 255]);
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 3, 1, 2, 3]);
        bytes.extend_from_slice(&[255, 255]);
        bytes
    }

    #[test]
    fn rows_are_found_however_the_stream_is_cut() {
        for size in 1..=stream().len() {
            let (mut rows, mut lengths) = (Rows::default(), Vec::new());
            for piece in stream().chunks(size) {
                rows.feed(piece, |row| lengths.push(row.len()));
            }
            assert_eq!((lengths, rows.ended), (vec![11, 2, 9], true), "pieces of {size}");
        }
    }

    #[test]
    fn the_order_of_rows_does_not_count_and_their_number_does() {
        let tally = |rows: &[&[u8]]| {
            rows.iter().fold(Tally::default(), |mut tally, row| {
                tally.add(row);
                tally
            })
        };
        assert_eq!(tally(&[b"a", b"b"]), tally(&[b"b", b"a"]));
        assert_ne!(tally(&[b"a", b"a"]), tally(&[b"b", b"b"]));
        assert_ne!(tally(&[b"a"]).hash, tally(&[b"a", b"a"]).hash);
    }
}
