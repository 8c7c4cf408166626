//! Rows in the form in which they are compared: values that have several are brought to one
//! ([`crate::value::canonical`]), decided once per column.

use super::tuple;
use crate::value::canonical::Canonical;

/// The columns of a table whose values have several forms.
#[derive(Debug, Clone, Default)]
pub(super) struct Forms(Vec<Option<Canonical>>);

impl Forms {
    /// Those of columns in the order of a tuple.
    pub(super) fn of(columns: Vec<Option<Canonical>>) -> Forms {
        if columns.iter().any(Option::is_some) { Forms(columns) } else { Forms::default() }
    }

    /// There is no such column.
    pub(super) fn none(&self) -> bool {
        self.0.is_empty()
    }

    /// That of the column `index`.
    pub(super) fn get(&self, index: usize) -> Option<Canonical> {
        self.0.get(index).copied().flatten()
    }

    /// Brings the values of a COPY-binary tuple to the form in which they are compared.
    pub(super) fn unify(&self, row: &mut [u8]) {
        if self.none() {
            return;
        }
        let cells = tuple::cells_mut(row).zip(&self.0);
        cells.for_each(|(cell, form)| unify(*form, cell));
    }
}

/// Brings the value in a cell to the form in which it is compared, if it has one: NULL and a misfit have none.
pub(super) fn unify(form: Option<Canonical>, cell: &mut [u8]) {
    if let (Some(form), Some((_, value))) = (form, cell.split_first_chunk_mut::<4>()) {
        form(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_columns_with_one_form_stay() {
        let null = (-1_i32).to_be_bytes();
        let cell = |byte: u8| [1_i32.to_be_bytes().as_slice(), &[byte]].concat();
        let row = |third: u8| [3_i16.to_be_bytes().as_slice(), &null, &cell(7), &cell(third)].concat();
        let zero: Canonical = |value| value.fill(0);
        let mut unified = row(7);
        Forms::of(vec![Some(zero), None, Some(zero)]).unify(&mut unified);
        assert_eq!(unified, row(0));
        let mut kept = row(7);
        Forms::of(vec![None, None, None]).unify(&mut kept);
        assert_eq!(kept, row(7));
    }
}
