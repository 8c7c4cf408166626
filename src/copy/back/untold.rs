//! The format of a column of which no cell told one: its table was empty when the step ran, or came into the target
//! later, or all its cells were NULL. What the application writes there is most likely what it writes into other columns
//! of that kind, and keys find each other only if both sides are spelt alike.

use super::fed::Fed;
use crate::copy::columns::{BoundColumn, BoundTable};
use crate::copy::originals::{ColumnFormat, is_spelt_in_many_ways};
use crate::copy::receipt::Spelt;
use crate::migration::Version;
use crate::migration::step::{ColumnRules, Step, TableRules};
use crate::postgres::catalog;
use crate::value::Format;
use std::collections::BTreeSet;
use tokio_postgres::types::Type;

/// Whether no cell told the format of the target's `column`; `spelt` is what a receipt says of its table.
pub(super) fn is_untold(spelt: Option<&Spelt>, column: &catalog::Column) -> bool {
    let told = |spelt: &Spelt| !spelt.formats.get(&column.name).is_some_and(|format| format.untold);
    is_spelt_in_many_ways(column) && !spelt.is_some_and(told)
}

/// What the cells of the columns that are told are spelt in.
#[derive(Default)]
pub(super) struct Told(Vec<(u32, String, ColumnFormat)>);

impl Told {
    /// Adds those of a table.
    pub(super) fn add(&mut self, bound: &BoundTable, spelt: Option<&Spelt>) {
        let told = bound
            .columns
            .iter()
            .filter(|column| is_spelt_in_many_ways(&column.target) && !is_untold(spelt, &column.target));
        self.0.extend(told.map(|column| {
            let format = spelt.and_then(|spelt| spelt.formats.get(&column.target.name)).cloned();
            (column.target.type_oid, declared(column), format.unwrap_or_default())
        }));
    }

    /// The format of most columns of the type of `column` that declare the same as it in the file; of a UUID, of most
    /// columns, and without any as many digits as are declared. None if its own cells tell it.
    pub(super) fn of_others(&self, column: &BoundColumn, spelt: Option<&Spelt>) -> Option<ColumnFormat> {
        if !is_untold(spelt, &column.target) {
            return None;
        }
        let is_uuid = column.target.type_oid == Type::UUID.oid();
        let of_type = self.0.iter().filter(|(of_type, _, _)| *of_type == column.target.type_oid);
        let alike = of_type.clone().filter(|(_, other, _)| *other == declared(column));
        let any = of_type.filter(|_| is_uuid);
        let format =
            most(alike.map(|(_, _, format)| format)).or_else(|| most(any.map(|(_, _, format)| format)));
        format.or_else(|| {
            let digits_alone = is_uuid && column.source.declared.contains("(32)");
            digits_alone.then(|| ColumnFormat { format: Format::digits_alone(), ..ColumnFormat::default() })
        })
    }
}

fn declared(column: &BoundColumn) -> String {
    column.source.declared.to_ascii_lowercase()
}

fn most<'a>(formats: impl Iterator<Item = &'a ColumnFormat>) -> Option<ColumnFormat> {
    let formats: Vec<&ColumnFormat> = formats.collect();
    let count = |format: &&&ColumnFormat| formats.iter().filter(|other| other == format).count();
    formats.iter().rev().max_by_key(count).map(|format| (*format).clone())
}

/// The one zone that all rules for zones in `steps` name.
pub(super) fn common_zone(steps: &[(&Version, &Step)]) -> Option<String> {
    let tables = steps.iter().flat_map(|(_, step)| &step.tables).map(|table| &table.rules);
    let zones: BTreeSet<&String> = tables
        .flat_map(|rules| rules.column.values().filter_map(|rule| rule.zone.as_ref()).chain(&rules.zone))
        .collect();
    let mut zones = zones.into_iter();
    zones.next().filter(|_| zones.next().is_none()).cloned()
}

/// The rules by which the columns of a table are bound: moments of which no cell told anything stand in the `zone` that
/// the others stand in.
pub(super) fn rules(
    fed: &Fed<'_>,
    columns: &[String],
    spelt: Option<&Spelt>,
    zone: Option<&String>,
) -> TableRules {
    let mut rules = fed.step.map(|(_, table)| table.rules.clone()).unwrap_or_default();
    let moments = fed
        .target
        .columns
        .iter()
        .filter(|column| column.type_oid == Type::TIMESTAMPTZ.oid() && is_untold(spelt, column));
    for moment in moments {
        let Some(column) = fed.column(&moment.name, columns) else { continue };
        let named = rules.column.keys().find(|name| name.eq_ignore_ascii_case(column)).cloned();
        let rule = rules.column.entry(named.unwrap_or_else(|| column.to_owned())).or_default();
        if *rule == (ColumnRules { target: rule.target.clone(), ..ColumnRules::default() }) {
            rule.zone = zone.cloned();
        }
    }
    rules
}
