//! Target columns that the source does not have and a step gives one value in every row.

use super::bind::same_name;
use super::columns::BoundTable;
use super::{canonical, codec};
use crate::migration::step::TableRules;
use crate::postgres::catalog;
use crate::value::Rules;
use crate::value::canonical::Canonical;
use rusqlite::types::ValueRef;

/// A target column with the same value in every row.
pub(super) struct BoundConstant {
    pub target: catalog::Column,
    /// Length and bytes, as in a COPY-binary tuple.
    pub field: Vec<u8>,
    /// As of its codec.
    pub canonical: Option<Canonical>,
}

impl BoundConstant {
    /// The cell has its value, though it may have another form.
    pub(super) fn is(&self, cell: &[u8]) -> bool {
        let in_one_form = |cell: &[u8]| {
            let mut cell = cell.to_vec();
            canonical::unify(self.canonical, &mut cell);
            cell
        };
        in_one_form(cell) == in_one_form(&self.field)
    }
}

/// Binds the constants of `rules`; what does not fit is added to `faults`.
pub(super) fn bind(table: &mut BoundTable, rules: &TableRules, faults: &mut Vec<String>) {
    for (name, value) in &rules.constant {
        let place = format!("{}.{name}", table.target.name);
        let Some(target) = same_name(&table.target.columns, name, |column| &column.name) else {
            faults.push(format!(
                "{place}: the step has a constant for it and the target has no such column; \
                 correct the name, or add the column in a version before the step"
            ));
            continue;
        };
        if target.generated || table.target_columns().any(|bound| bound == target.name) {
            faults.push(format!(
                "{place}: the step has a constant for it and it has values already; \
                 take the constant out, or skip the source's column (skip = true)"
            ));
            continue;
        }
        match constant(target, value) {
            Ok(constant) => table.constants.push(constant),
            Err(found) => {
                faults.push(format!("{place}: the constant does not fit: {found}"));
                table.refused.push(target.name.clone());
            }
        }
    }
}

/// A constant: what SQLite would store for it goes through the column's codec.
fn constant(target: &catalog::Column, value: &toml::Value) -> Result<BoundConstant, String> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(moment) => moment.to_string(),
        toml::Value::Array(_) | toml::Value::Table(_) => return Err("a list or a table".into()),
        _ => String::new(),
    };
    let value = match value {
        toml::Value::Integer(number) => ValueRef::Integer(*number),
        toml::Value::Float(real) => ValueRef::Real(*real),
        toml::Value::Boolean(truth) => ValueRef::Integer((*truth).into()),
        _ => ValueRef::Text(text.as_bytes()),
    };
    let codec = codec::choose(target, &Rules::default())?;
    if codec.by_input {
        return Err(format!(
            "a constant of type {} is not supported; give the column a DEFAULT in a version before the step",
            target.type_name
        ));
    }
    let mut field = vec![0; 4];
    (codec.encode)(&value, &mut field)
        .map_err(|misfit| format!("{}, {} takes {}", misfit.0, target.type_name, codec.expects))?;
    let length = i32::try_from(field.len() - 4).map_err(|_| "it is longer than 2 GB")?;
    field[..4].copy_from_slice(&length.to_be_bytes());
    Ok(BoundConstant { target: target.clone(), field, canonical: codec.canonical })
}
