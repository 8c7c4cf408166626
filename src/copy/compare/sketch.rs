//! What is kept of a row that may differ: hashes of its key, of all of it and of each cell, its place, and the parts of
//! its key that may be shown. Records of one table have one size.

use super::shape::{KeyPart, Shape, cell_hash, cells};
use crate::sqlite::scan::Place;

const HASH_BYTES: usize = 16;
const PLACE_BYTES: usize = 9;
const CELL_BYTES: usize = 4;

/// A record, read.
pub(super) struct Sketch<'a> {
    /// The hash of the key.
    pub key: u128,
    /// The hash of the row.
    pub hash: u128,
    /// Where the row is, if it is the source's.
    pub place: Option<Place>,
    /// The hashes of its cells; none without a key, since no column of such a row can differ.
    pub cells: &'a [u8],
    /// The parts of its key, for [`KeyPart::read`].
    pub parts: &'a [u8],
}

/// The size of the cells' hashes.
fn cells_bytes(shape: &Shape) -> usize {
    if shape.key.is_empty() { 0 } else { CELL_BYTES * shape.fields.len() }
}

impl<'a> Sketch<'a> {
    /// The size of a record.
    pub(super) fn bytes(shape: &Shape) -> usize {
        2 * HASH_BYTES + PLACE_BYTES + cells_bytes(shape) + KeyPart::BYTES * shape.key.len()
    }

    /// Makes `out` the record of `row`.
    pub(super) fn write(
        shape: &Shape,
        key: u128,
        hash: u128,
        place: Option<Place>,
        row: &[u8],
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.extend_from_slice(&key.to_le_bytes());
        out.extend_from_slice(&hash.to_le_bytes());
        let (kind, number) = match place {
            None => (0, [0; 8]),
            Some(Place::Rowid(rowid)) => (1, rowid.to_le_bytes()),
            Some(Place::Ordinal(number)) => (2, number.to_le_bytes()),
        };
        out.push(kind);
        out.extend_from_slice(&number);
        if !shape.key.is_empty() {
            cells(row).for_each(|cell| out.extend_from_slice(&cell_hash(cell).to_le_bytes()));
        }
        shape.key(row).for_each(|part| part.append(out));
    }

    /// Reads a record of [`Sketch::bytes`].
    pub(super) fn read(shape: &Shape, record: &'a [u8]) -> Sketch<'a> {
        let (key, rest) = first::<HASH_BYTES>(record);
        let (hash, rest) = first::<HASH_BYTES>(rest);
        let ([kind], rest) = first::<1>(rest);
        let (number, rest) = first::<8>(rest);
        let (cells, parts) = rest.split_at(cells_bytes(shape));
        let place = match kind {
            1 => Some(Place::Rowid(i64::from_le_bytes(number))),
            2 => Some(Place::Ordinal(u64::from_le_bytes(number))),
            _ => None,
        };
        Sketch { key: u128::from_le_bytes(key), hash: u128::from_le_bytes(hash), place, cells, parts }
    }

    /// The columns whose hashes are not those of `cells`.
    pub(super) fn other_cells(&self, cells: &[u8]) -> Box<[u16]> {
        let pairs = self.cells.chunks_exact(CELL_BYTES).zip(cells.chunks_exact(CELL_BYTES));
        (0..).zip(pairs).filter(|(_, (own, other))| own != other).map(|(index, _)| index).collect()
    }
}

/// The first `N` bytes and the rest; a record is never shorter.
fn first<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    match bytes.split_first_chunk() {
        Some((first, rest)) => (*first, rest),
        None => ([0; N], &[]),
    }
}
