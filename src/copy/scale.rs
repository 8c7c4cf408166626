//! The zeros at the end of a `numeric` without a scale of its own. The server keeps them, they are no part of the
//! value, and a file of which the column holds reals has none: two rows are compared without them, decided once per
//! column.

use super::tuple;
use crate::postgres::catalog;
use tokio_postgres::types::Type;

/// Bytes of a cell before its digits: their length, the number of their groups, the weight of the first, sign, and
/// scale.
const HEAD_BYTES: usize = 12;

/// Decimal digits of a group.
const GROUP_DIGITS: i32 = 4;

/// The columns of a table that keep such zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct FreeScales(Vec<bool>);

impl FreeScales {
    /// Those that are `free`, in the order of a tuple.
    pub(super) fn of(free: Vec<bool>) -> FreeScales {
        if free.contains(&true) { FreeScales(free) } else { FreeScales::default() }
    }

    /// There is no such column.
    pub(super) fn none(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the zeros out of a COPY-binary tuple.
    pub(super) fn shorten(&self, row: &mut [u8]) {
        if self.none() {
            return;
        }
        let cells = tuple::cells_mut(row).zip(&self.0);
        cells.filter(|(_, free)| **free).for_each(|(cell, _)| shorten(cell));
    }
}

/// The column's numbers keep as many digits after the point as they were written with.
pub(super) fn is_free(column: &catalog::Column) -> bool {
    // a modifier is precision and scale, and four (numeric.c, `make_numeric_typmod`)
    Type::from_oid(column.type_oid) == Some(Type::NUMERIC) && column.modifier < 4
}

/// Takes the zeros out of a cell: groups that are zero are never sent, so that it is the scale alone that says them.
/// (numeric.c, `numeric_send`, `strip_var`.)
pub(super) fn shorten(cell: &mut [u8]) {
    // NULL and a misfit have no head
    let Some((head, digits)) = cell.split_first_chunk_mut::<HEAD_BYTES>() else { return };
    let groups = digits.as_chunks().0;
    let weight = i32::from(i16::from_be_bytes([head[6], head[7]]));
    let after_point = i32::try_from(groups.len()).unwrap_or(i32::MAX).saturating_sub(1 + weight);
    let last = groups.last().map_or(0, |group| u16::from_be_bytes(*group));
    let scale = after_point.saturating_mul(GROUP_DIGITS).saturating_sub(zeros(last));
    let scale = u16::try_from(scale.max(0)).unwrap_or(u16::MAX);
    head[10..].copy_from_slice(&scale.to_be_bytes());
}

/// How many zeros a group ends with.
fn zeros(group: u16) -> i32 {
    match group {
        0 => GROUP_DIGITS,
        _ if group.is_multiple_of(1000) => 3,
        _ if group.is_multiple_of(100) => 2,
        _ if group.is_multiple_of(10) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Rules, numeric};
    use rusqlite::types::ValueRef;

    fn cell(text: &str) -> Vec<u8> {
        let (mut cell, codec) = (Vec::new(), numeric::numeric(-1, &Rules::default()));
        (codec.encode)(&ValueRef::Text(text.as_bytes()), &mut cell).expect("a number");
        let mut whole = Vec::new();
        tuple::append(&mut whole, &cell);
        whole
    }

    #[test]
    fn a_number_is_the_same_with_and_without_its_zeros() {
        for (text, short) in [
            ("12.50", "12.5"),
            ("12.00", "12"),
            ("-0.00010", "-0.0001"),
            ("0.00000", "0"),
            ("0.0000000001000", "0.0000000001"),
            ("120000.0", "120000"),
            ("1.23456000", "1.23456"),
            ("10000.00000001", "10000.00000001"),
            ("7", "7"),
        ] {
            let mut shortened = cell(text);
            shorten(&mut shortened);
            assert_eq!(shortened, cell(short), "{text}");
        }
    }

    #[test]
    fn what_has_no_digits_stays() {
        let null = (-1_i32).to_be_bytes();
        let mut row = [2_i16.to_be_bytes().as_slice(), &null, &cell("1.50")].concat();
        FreeScales(vec![true, true]).shorten(&mut row);
        assert_eq!(row, [2_i16.to_be_bytes().as_slice(), &null, &cell("1.5")].concat());
        let mut kept = row.clone();
        FreeScales::default().shorten(&mut kept);
        assert_eq!(kept, row);
    }
}
