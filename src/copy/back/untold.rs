//! The format of a column of which no cell told one: its table was empty when the step ran, or came into the target
//! later, or all its cells were NULL. What the application writes there is most likely what it writes into other columns
//! of that kind, and keys find each other only if both sides are spelt alike.

use crate::copy::alike::is_untold;
use crate::copy::columns::{BoundColumn, BoundTable};
use crate::copy::originals::{ColumnFormat, is_spelt_in_many_ways};
use crate::copy::receipt::Spelt;
use crate::value::Format;
use tokio_postgres::types::Type;

/// What the cells of the columns that are told are spelt in, by kind.
#[derive(Default)]
pub(super) struct Told(Vec<Kind>);

/// Columns of one type that declare the same in the file and are spelt alike.
struct Kind {
    type_oid: u32,
    declared: String,
    format: ColumnFormat,
    /// How many they are.
    columns: usize,
}

impl Told {
    /// Adds those of a table.
    pub(super) fn add(&mut self, bound: &BoundTable, spelt: Option<&Spelt>) {
        let told = bound
            .columns
            .iter()
            .filter(|column| is_spelt_in_many_ways(&column.target) && !is_untold(spelt, &column.target));
        for column in told {
            let (type_oid, declared) = (column.target.type_oid, declared(column));
            let format = own(column, spelt);
            let alike = |kind: &&mut Kind| {
                kind.type_oid == type_oid && kind.declared == declared && kind.format == format
            };
            match self.0.iter_mut().find(alike) {
                Some(kind) => kind.columns += 1,
                None => self.0.push(Kind { type_oid, declared, format, columns: 1 }),
            }
        }
    }

    /// What the cells of `column` are written in: its own format, unless no cell told one.
    pub(super) fn format(&self, column: &BoundColumn, spelt: Option<&Spelt>) -> ColumnFormat {
        let of_others = is_untold(spelt, &column.target).then(|| self.of_others(column)).flatten();
        let known = of_others.unwrap_or_else(|| own(column, spelt));
        if known.fractions && self.omits_zeros(column) {
            return ColumnFormat { format: known.format.with_six_digits_or_none(), ..known };
        }
        known
    }

    /// Most columns of the type of `column` that declare the same as it and have whole seconds write these without a
    /// fraction, as Python and Rails do.
    fn omits_zeros(&self, column: &BoundColumn) -> bool {
        let alike = self.0.iter().filter(|kind| {
            kind.type_oid == column.target.type_oid
                && kind.declared == declared(column)
                && !kind.format.fractions
        });
        let columns = |of: fn(&Format) -> bool| {
            let of = alike.clone().filter(|kind| of(&kind.format.format));
            of.map(|kind| kind.columns).sum::<usize>()
        };
        columns(Format::has_six_digits_or_none) > columns(Format::has_six_digits)
    }

    /// The format of most columns of the type of `column` that declare the same as it in the file; of a UUID, of most
    /// columns, and without any as many digits as are declared.
    fn of_others(&self, column: &BoundColumn) -> Option<ColumnFormat> {
        let is_uuid = column.target.type_oid == Type::UUID.oid();
        let of_type = self.0.iter().filter(|kind| kind.type_oid == column.target.type_oid);
        let alike = most(of_type.clone().filter(|kind| kind.declared == declared(column)));
        let any = || most(of_type.filter(|_| is_uuid));
        alike.or_else(any).or_else(|| {
            let digits_alone = is_uuid && column.source.declared.contains("(32)");
            digits_alone.then(|| ColumnFormat { format: Format::digits_alone(), ..ColumnFormat::default() })
        })
    }
}

/// What the receipt says of a column; the usual format if it says nothing.
fn own(column: &BoundColumn, spelt: Option<&Spelt>) -> ColumnFormat {
    spelt.and_then(|spelt| spelt.formats.get(&column.target.name)).cloned().unwrap_or_default()
}

fn declared(column: &BoundColumn) -> String {
    column.source.declared.to_ascii_lowercase()
}

fn most<'a>(kinds: impl Iterator<Item = &'a Kind>) -> Option<ColumnFormat> {
    let kinds: Vec<&Kind> = kinds.collect();
    let columns = |of: &&&Kind| {
        let alike = kinds.iter().filter(|kind| kind.format == of.format);
        alike.map(|kind| kind.columns).sum::<usize>()
    };
    // the first of those that are as frequent
    kinds.iter().rev().max_by_key(columns).map(|kind| kind.format.clone())
}
