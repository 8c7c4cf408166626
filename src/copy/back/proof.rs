//! The proof of a file: its rows, read through the conversions of the way there, must add up to the rows that the
//! server sent. Columns that the server itself reads have no such conversion; of these the file must give the cells
//! that were written, and so it must of all columns of a table that no source had: its types are ours, and must keep
//! every storage class.

use super::plan::BackTable;
use crate::copy::canonical::{self, Forms};
use crate::copy::cell::{self, Fate};
use crate::copy::lossless::Lossless;
use crate::copy::proof::Tally;
use crate::copy::tuple;
use crate::error::{Error, counted};
use crate::sqlite::Source;
use crate::value::Cell;
use rusqlite::types::ValueRef;
use serde_json::{Map, json};

/// What a table must give.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// The rows in the table, as the server has them.
    stored: Tally,
    /// Of some columns the cells, as they were written.
    written: Tally,
    /// The rows that are quarantined.
    quarantined: Tally,
}

/// How the rows of a table are added up.
pub(super) struct Adding<'a> {
    table: &'a BackTable,
    /// The server's bytes are those of the conversion, all of them.
    plain: bool,
    /// The columns whose values have several forms.
    forms: Forms,
    /// The columns whose cells must be in the file as they were written.
    as_written: Vec<usize>,
    scratch: Vec<u8>,
}

impl<'a> Adding<'a> {
    pub(super) fn of(table: &'a BackTable) -> Adding<'a> {
        let forms = table.bound.forms();
        let plain = forms.none() && table.bound.columns.iter().all(|column| !column.codec.by_input);
        let columns = table.bound.columns.iter().enumerate();
        let as_written = columns
            .filter(|(_, column)| column.codec.by_input || table.made && !column.source.generated)
            .map(|(index, _)| index)
            .collect();
        Adding { table, plain, forms, as_written, scratch: Vec::new() }
    }

    /// Adds a row that the server sent, and the cells that were written for it.
    pub(super) fn sent(&mut self, sums: &mut Sums, row: &[u8], cells: &[Option<Cell<'_>>]) {
        self.stored(sums, row);
        self.written(sums, |index| cells[index].as_ref().map_or(ValueRef::Null, Cell::value));
    }

    fn stored(&mut self, sums: &mut Sums, row: &[u8]) {
        if self.plain {
            return sums.stored.add(row);
        }
        self.scratch.clear();
        for (index, cell) in tuple::cells(row).enumerate() {
            let column = self.table.bound.columns.get(index);
            if column.is_some_and(|column| column.codec.by_input) {
                continue;
            }
            let at = self.scratch.len();
            self.scratch.extend_from_slice(cell);
            canonical::unify(self.forms.get(index), &mut self.scratch[at..]);
        }
        sums.stored.add(&self.scratch);
    }

    fn written<'b>(&mut self, sums: &mut Sums, value: impl Fn(usize) -> ValueRef<'b>) {
        if self.as_written.is_empty() {
            return;
        }
        self.scratch.clear();
        for index in &self.as_written {
            let text = json!(Lossless(value(*index))).to_string();
            tuple::append(&mut self.scratch, text.as_bytes());
        }
        sums.written.add(&self.scratch);
    }

    /// Adds a row as the file has it: its `value`s by bound column. A cell that the conversion refuses makes the sums
    /// unequal.
    pub(super) fn read<'b>(
        &mut self,
        sums: &mut Sums,
        row: &mut Vec<u8>,
        value: impl Fn(usize) -> ValueRef<'b>,
    ) {
        let columns = &self.table.bound.columns;
        row.clear();
        let width = i16::try_from(columns.len() + self.table.bound.constants.len()).unwrap_or(i16::MAX);
        row.extend_from_slice(&width.to_be_bytes());
        let mut quarantined = false;
        for (index, column) in columns.iter().enumerate() {
            quarantined |= matches!(cell::convert(column, &value(index), row), Fate::Quarantined(_));
        }
        if quarantined {
            let cells = columns.iter().enumerate();
            let cells: Map<_, _> = cells
                .map(|(index, column)| (column.source.name.clone(), json!(Lossless(value(index)))))
                .collect();
            return sums.quarantined.add(serde_json::Value::Object(cells).to_string().as_bytes());
        }
        for constant in &self.table.bound.constants {
            row.extend_from_slice(&constant.field);
        }
        self.stored(sums, row);
        self.written(sums, value);
    }
}

/// The sums of a table in the file.
pub(super) fn of_file(
    source: &Source,
    table: &BackTable,
    mut rows: impl FnMut(u64) -> Result<(), Error>,
) -> Result<Sums, Error> {
    let columns = table.bound.source_columns();
    let (mut sums, mut adding, mut row, mut count) = (Sums::default(), Adding::of(table), Vec::new(), 0);
    source.scan(&table.bound.source, &columns, |cells| {
        count += 1;
        rows(count)?;
        adding.read(&mut sums, &mut row, |index| cells.value(index).unwrap_or(ValueRef::Null));
        Ok(())
    })?;
    Ok(sums)
}

/// How the sums `found` in the file differ from those of what was sent.
pub(super) fn difference(table: &BackTable, sent: &Sums, found: &Sums) -> Option<String> {
    let name = &table.bound.source.name;
    if sent == found {
        return None;
    }
    let (rows, there) =
        (sent.stored.rows + sent.quarantined.rows, found.stored.rows + found.quarantined.rows);
    if rows != there {
        return Some(format!("{name}: {} written, and the file has {there}", counted(rows, "row")));
    }
    Some(format!(
        "{name}: what the file has is not what the target has: the type that a column of the file declares makes values of \
         another storage class of these (SQLite: Type Affinity)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::codec;
    use crate::copy::columns::{BoundColumn, BoundTable};
    use crate::migration::step::Policy;
    use crate::postgres::catalog;
    use crate::sqlite::schema;
    use crate::value::Rules;
    use tokio_postgres::types::Type;

    /// A table with one column of type `json`.
    fn table(made: bool) -> BackTable {
        let target = catalog::Column {
            name: "v".into(),
            type_oid: Type::JSON.oid(),
            type_name: "json".into(),
            modifier: -1,
            ..catalog::Column::default()
        };
        let codec = codec::choose(&target, &Rules::default()).expect("a codec");
        let source = schema::Column {
            name: "v".into(),
            is_rowid: false,
            generated: false,
            declared: String::new(),
            required: false,
        };
        let column =
            BoundColumn { source, target, codec, misfit: Policy::Fail, empty_is_null: false, read: None };
        let source = schema::Table {
            name: "t".into(),
            columns: Vec::new(),
            rowid: None,
            autoincrement: None,
            key: Vec::new(),
            kind: schema::Kind::Ordinary,
            unreadable: None,
        };
        let target = catalog::Table {
            oid: 1,
            schema: "s".into(),
            name: "t".into(),
            partitioned: false,
            owned: true,
            columns: Vec::new(),
        };
        let bound = BoundTable {
            source,
            target,
            columns: vec![column],
            constants: Vec::new(),
            computed: Vec::new(),
            refused: Vec::new(),
        };
        BackTable {
            bound,
            formats: Vec::new(),
            untold: Vec::new(),
            step: None,
            key: None,
            quarantined: false,
            made,
            named_by: Vec::new(),
            order: String::new(),
        }
    }

    #[test]
    fn a_table_of_ours_keeps_storage_classes_as_they_were_written() {
        let row = [1_i16.to_be_bytes().as_slice(), &1_i32.to_be_bytes(), b"5"].concat();
        let written = [Some(Cell::Text(b"5".as_slice().into()))];
        let differs = |made, read: ValueRef<'_>| {
            let table = table(made);
            let (mut adding, mut sent, mut found) = (Adding::of(&table), Sums::default(), Sums::default());
            adding.sent(&mut sent, &row, &written);
            adding.read(&mut found, &mut Vec::new(), |_| read);
            difference(&table, &sent, &found).is_some()
        };
        // both are the JSON 5
        assert!(!differs(true, ValueRef::Text(b"5")) && differs(true, ValueRef::Integer(5)));
        assert!(!differs(false, ValueRef::Integer(5)) && differs(false, ValueRef::Integer(6)));
    }
}
