//! A row as the comparison sees it: its COPY-binary tuple, cut into cells, and the cells that are its key.

pub(super) use crate::copy::tuple::cells;
use crate::postgres::catalog;
use tokio_postgres::types::Type;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The length of a cell that does not fit its column: no server sends it, so that the row equals no other.
pub(super) const UNFIT: [u8; 4] = (-2_i32).to_be_bytes();

/// What the cells of a row are, and where its key is.
#[derive(Debug)]
pub(super) struct Shape {
    /// The columns compared, in order.
    pub fields: Vec<Field>,
    /// Indexes of the key's columns, in their own order; none if rows are compared as wholes.
    pub key: Vec<usize>,
    /// One more than the largest of them.
    key_end: usize,
}

/// A column of the target.
#[derive(Debug)]
pub(super) struct Field {
    pub name: String,
    /// The type's object identifier; of a domain, its base type's.
    pub type_oid: u32,
    /// The type's name, as a statement may write it.
    pub type_name: String,
}

impl Field {
    pub(super) fn of(column: &catalog::Column) -> Field {
        Field { name: column.name.clone(), type_oid: column.type_oid, type_name: column.type_name.clone() }
    }

    /// A column of text.
    pub(super) fn text(name: &str) -> Field {
        Field { name: name.to_owned(), type_oid: Type::TEXT.oid(), type_name: "text".to_owned() }
    }
}

/// The value of one key column: shown if it is an integer or a UUID, since ids are needed to find a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyPart {
    Integer(i64),
    Uuid(uuid::Uuid),
    Hidden,
}

impl KeyPart {
    /// Bytes that [`KeyPart::append`] appends.
    pub(super) const BYTES: usize = 17;

    /// Appends a form of which [`KeyPart::read`] makes the part again.
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        let (kind, bytes) = match self {
            KeyPart::Hidden => (0, [0; 16]),
            KeyPart::Integer(number) => (1, i128::from(*number).to_le_bytes()),
            KeyPart::Uuid(uuid) => (2, uuid.into_bytes()),
        };
        out.push(kind);
        out.extend_from_slice(&bytes);
    }

    /// The parts that were appended one after the other.
    pub(super) fn read(bytes: &[u8]) -> Vec<KeyPart> {
        let part = |bytes: &[u8; KeyPart::BYTES]| {
            let (kind, mut value) = (bytes[0], [0; 16]);
            value.copy_from_slice(&bytes[1..]);
            match (kind, i64::try_from(i128::from_le_bytes(value))) {
                (1, Ok(number)) => KeyPart::Integer(number),
                (2, _) => KeyPart::Uuid(uuid::Uuid::from_bytes(value)),
                _ => KeyPart::Hidden,
            }
        };
        bytes.as_chunks().0.iter().map(part).collect()
    }
}

impl Shape {
    /// Rows of `fields`, told apart by the columns `key`, if all of them are among the fields: a part of a key is none.
    pub(super) fn of(fields: Vec<Field>, key: Vec<&str>) -> Shape {
        let index = |name: &&str| fields.iter().position(|field| field.name == **name);
        let key: Vec<usize> = key.iter().map(index).collect::<Option<_>>().unwrap_or_default();
        let key_end = key.iter().map(|index| index + 1).max().unwrap_or(0);
        Shape { fields, key, key_end }
    }

    /// The hash of the row's key, or of the row if it has none.
    pub(super) fn key_hash(&self, row: &[u8], row_hash: u128, scratch: &mut Vec<u8>) -> u128 {
        match self.key.as_slice() {
            [] => row_hash,
            [index] => xxh3_128(cells(row).nth(*index).unwrap_or_default()),
            key => {
                scratch.clear();
                for (index, cell) in cells(row).enumerate().take(self.key_end) {
                    if key.contains(&index) {
                        scratch.extend_from_slice(cell);
                    }
                }
                xxh3_128(scratch)
            }
        }
    }

    /// The parts of the row's key.
    pub(super) fn key(&self, row: &[u8]) -> impl Iterator<Item = KeyPart> {
        self.key.iter().map(|index| {
            let cell = cells(row).nth(*index).and_then(|cell| cell.get(4..)).unwrap_or_default();
            shown(cell, self.fields[*index].type_oid).unwrap_or(KeyPart::Hidden)
        })
    }

    /// Name and text of each part of a key.
    pub(super) fn named<'a>(
        &'a self,
        key: &'a [KeyPart],
    ) -> impl Iterator<Item = (String, Option<String>)> + 'a {
        self.key.iter().zip(key).map(|(index, part)| {
            let text = match part {
                KeyPart::Integer(number) => Some(number.to_string()),
                KeyPart::Uuid(uuid) => Some(uuid.to_string()),
                KeyPart::Hidden => None,
            };
            (self.fields[*index].name.clone(), text)
        })
    }
}

fn shown(cell: &[u8], type_oid: u32) -> Option<KeyPart> {
    match Type::from_oid(type_oid)? {
        Type::INT2 => Some(KeyPart::Integer(i16::from_be_bytes(cell.try_into().ok()?).into())),
        Type::INT4 => Some(KeyPart::Integer(i32::from_be_bytes(cell.try_into().ok()?).into())),
        Type::INT8 => Some(KeyPart::Integer(i64::from_be_bytes(cell.try_into().ok()?))),
        Type::UUID => Some(KeyPart::Uuid(uuid::Uuid::from_slice(cell).ok()?)),
        _ => None,
    }
}

/// A hash of a cell: it only says whether it differs in two rows that are already known to be unequal.
#[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for that")]
pub(super) fn cell_hash(cell: &[u8]) -> u32 {
    xxh3_64(cell) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_parts_are_read_as_they_were() {
        let parts = [
            KeyPart::Integer(i64::MIN),
            KeyPart::Hidden,
            KeyPart::Integer(-1),
            KeyPart::Uuid(uuid::Uuid::from_u128(7)),
        ];
        let mut bytes = Vec::new();
        parts.iter().for_each(|part| part.append(&mut bytes));
        assert_eq!((bytes.len(), KeyPart::read(&bytes)), (4 * KeyPart::BYTES, parts.to_vec()));
    }
}
