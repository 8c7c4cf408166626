//! A row as the comparison sees it: its COPY-binary tuple, cut into cells, and the cells that are its key.

use crate::copy::columns::{BoundColumn, BoundTable};
use tokio_postgres::types::Type;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The length of a cell that does not fit its column: no server sends it, so that the row equals no other.
pub(super) const UNFIT: [u8; 4] = (-2_i32).to_be_bytes();

/// Where the key of a table's rows is.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Indexes of the key's columns among those compared; none if rows are compared as wholes.
    pub key: Vec<usize>,
}

/// The value of one key column: shown if it is an integer or a UUID, since ids are needed to find a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyPart {
    Integer(i64),
    Uuid(uuid::Uuid),
    Hidden,
}

impl Shape {
    /// The shape of `table`, whose primary key has the columns `key`.
    pub(super) fn of(table: &BoundTable, key: Option<&Vec<String>>) -> Shape {
        let index = |name: &String| table.columns.iter().position(|column| column.target.name == *name);
        // a part of a key is none
        Shape { key: key.and_then(|key| key.iter().map(index).collect()).unwrap_or_default() }
    }

    /// The hash of the row's key, or of the row if it has none.
    pub(super) fn key_hash(&self, row: &[u8], row_hash: u128, scratch: &mut Vec<u8>) -> u128 {
        if self.key.is_empty() {
            return row_hash;
        }
        scratch.clear();
        for (index, cell) in cells(row).enumerate() {
            if self.key.contains(&index) {
                scratch.extend_from_slice(cell);
            }
        }
        xxh3_128(scratch)
    }

    /// The parts of the row's key.
    pub(super) fn key(&self, table: &BoundTable, row: &[u8]) -> Vec<KeyPart> {
        let cells: Vec<&[u8]> = if self.key.is_empty() { Vec::new() } else { cells(row).collect() };
        let parts = self.key.iter().map(|index| (cells.get(*index), table.columns.get(*index)));
        parts
            .map(|(cell, column)| cell.zip(column).and_then(|(cell, column)| shown(cell, column)))
            .map(|part| part.unwrap_or(KeyPart::Hidden))
            .collect()
    }

    /// Name and text of each part of a key.
    pub(super) fn named<'a>(
        &'a self,
        table: &'a BoundTable,
        key: &'a [KeyPart],
    ) -> impl Iterator<Item = (String, Option<String>)> + 'a {
        self.key.iter().zip(key).map(|(index, part)| {
            let text = match part {
                KeyPart::Integer(number) => Some(number.to_string()),
                KeyPart::Uuid(uuid) => Some(uuid.to_string()),
                KeyPart::Hidden => None,
            };
            (table.columns[*index].target.name.clone(), text)
        })
    }
}

fn shown(cell: &[u8], column: &BoundColumn) -> Option<KeyPart> {
    let bytes = &cell[4..];
    match Type::from_oid(column.target.type_oid)? {
        Type::INT2 => Some(KeyPart::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into())),
        Type::INT4 => Some(KeyPart::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into())),
        Type::INT8 => Some(KeyPart::Integer(i64::from_be_bytes(bytes.try_into().ok()?))),
        Type::UUID => Some(KeyPart::Uuid(uuid::Uuid::from_slice(bytes).ok()?)),
        _ => None,
    }
}

/// The cells of a COPY-binary tuple, each with the four bytes of its length.
pub(super) fn cells(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = row.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = i32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        // NULL and what does not fit have no bytes
        let (cell, after) = rest.split_at_checked(4 + usize::try_from(length).unwrap_or(0))?;
        rest = after;
        Some(cell)
    })
}

/// A hash for each cell: they only say which columns of two rows, already known to be unequal, differ.
#[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for that")]
pub(super) fn cell_hashes(row: &[u8]) -> Box<[u32]> {
    cells(row).map(|cell| xxh3_64(cell) as u32).collect()
}
