//! A row as a COPY-binary tuple: its number of columns, then the length and bytes of each. (PostgreSQL: COPY, "Binary
//! Format".)

/// The cells of a tuple, each with the four bytes of its length.
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

/// As [`cells`], to be changed in place.
pub(super) fn cells_mut(row: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    let mut rest = row.get_mut(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = i32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let bytes = 4 + usize::try_from(length).unwrap_or(0);
        let (cell, after) = std::mem::take(&mut rest).split_at_mut_checked(bytes)?;
        rest = after;
        Some(cell)
    })
}

/// The value in such a cell; none in one that is NULL.
pub(super) fn value(cell: &[u8]) -> Option<&[u8]> {
    let (length, value) = cell.split_first_chunk::<4>()?;
    (i32::from_be_bytes(*length) >= 0).then_some(value)
}

/// Appends a cell.
pub(super) fn append(tuple: &mut Vec<u8>, value: &[u8]) {
    tuple.extend_from_slice(&length(value.len()));
    tuple.extend_from_slice(value);
}

/// The length of a cell. SQLite's values end below 1 GB; the server refuses what is longer.
pub(super) fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}
