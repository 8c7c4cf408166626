//! The rules of a step, for a table that later versions may have changed: what they say of the way there must not keep
//! a column from going back.

use crate::copy::alike::Ends;
use crate::copy::bind::same_name;
use crate::copy::columns::{self, BoundTable};
use crate::error::Error;
use crate::migration::step::{ColumnRules, Policy, TableRules};
use crate::postgres::catalog;
use crate::sqlite::{Source, schema};

/// Binds the columns of both `ends` as the step did; what does not fit is added to `faults`.
pub(super) fn bind(source: &Source, ends: Ends<'_>, faults: &mut Vec<String>) -> Result<BoundTable, Error> {
    let (from, to, mut rules) = (ends.from, &written_out(ends), ends.rules.clone());
    for rule in rules.column.values_mut() {
        // a column that is gone is named like any other, not as a fault of its rule
        rule.skip |= rule.target.as_ref().is_some_and(|name| is_gone(to, name));
    }
    let mut found = Vec::new();
    let mut bound = columns::bind(source, from, to, &rules, &mut found)?;
    let relaxed = bound.refused.iter().filter(|name| relax(&mut rules, from, name)).count();
    if relaxed > 0 {
        found.clear();
        bound = columns::bind(source, from, to, &rules, &mut found)?;
    }
    faults.append(&mut found);
    Ok(bound)
}

/// The target's end with the values that it computes like any others, where the file has a column that takes them: not
/// one that was there and empty, for what the target computes is nothing that the application knows.
fn written_out(Ends { from, to, rules, spelt }: Ends<'_>) -> catalog::Table {
    let mut to = to.clone();
    for column in from.columns.iter().filter(|column| !column.generated) {
        let rule = columns::rule_for(rules, from, column);
        let name = rule.target.as_ref().unwrap_or(&column.name);
        let named = |target: &&mut catalog::Column| target.name.eq_ignore_ascii_case(name);
        let Some(target) = to.columns.iter_mut().find(named).filter(|_| !rule.skip) else { continue };
        let was_empty = spelt.is_some_and(|spelt| spelt.had_none(&target.name)) && !column.required;
        target.generated &= was_empty;
    }
    to
}

/// The target has no column of that name.
pub(super) fn is_gone(to: &catalog::Table, name: &str) -> bool {
    same_name(&to.columns, name, |column| &column.name).is_none()
}

/// Leaves of the rule for the column that feeds `target` what holds for any type, and nulls or not: its cells are
/// written as those of the type that it has now. Whether there is such a rule.
fn relax(rules: &mut TableRules, from: &schema::Table, target: &str) -> bool {
    let feeds = |name: &str, rule: Option<&ColumnRules>| {
        rule.and_then(|rule| rule.target.as_deref()).unwrap_or(name).eq_ignore_ascii_case(target)
    };
    let fed = from.columns.iter().find_map(|column| {
        let key = rules.key_of(&column.name);
        feeds(&column.name, rules.column.get(&key)).then_some(key)
    });
    let Some(name) = fed else { return false };
    let rule = rules.column.entry(name).or_default();
    let (target, empty) = (rule.target.take(), rule.empty);
    *rule = ColumnRules { target, empty, misfit: Some(Policy::Fail), ..ColumnRules::default() };
    true
}
