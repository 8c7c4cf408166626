//! What the target refuses, in words: a line for each rule and reason, the rows by their places in the source.

use super::columns::BoundTable;
use super::constraint::Found;
use super::misfits::NAMED_ROWS;
use super::places;
use super::refused::{self, RefusedRows};
use crate::error::{Error, counted};
use crate::postgres::rule::Rule;
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use std::collections::{BTreeMap, BTreeSet};

/// One reason.
struct Reason<'a> {
    /// The columns that it is about, as the target calls them.
    columns: &'a [String],
    what: String,
    rows: i64,
    at_least: bool,
    groups: Vec<Vec<u64>>,
    /// Kind and name of what refuses.
    by: Option<String>,
}

/// The lines of all tables, in their order.
pub(super) fn lines(
    source: &Source,
    tables: &[BoundTable],
    rules: &[Rule],
    found: &[Found],
    refused: &[RefusedRows],
    show_values: bool,
) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for table in tables {
        let of = table.target.oid;
        let found = found.iter().filter(|found| rules[found.rule].table == of);
        let refused = refused.iter().filter(|refused| refused.table == of);
        let reasons: Vec<Reason<'_>> = found
            .map(|found| broken(&rules[found.rule], found))
            .chain(refused.map(|refused| unstored(rules, refused, show_values)))
            .collect();
        let wanted: BTreeSet<u64> =
            reasons.iter().flat_map(|reason| reason.groups.iter().flatten().copied()).collect();
        if !wanted.is_empty() {
            let places = places::find(source, table, &wanted)?;
            lines.extend(reasons.iter().map(|reason| line(table, reason, &places)));
        }
    }
    Ok(lines)
}

fn broken<'a>(rule: &'a Rule, found: &Found) -> Reason<'a> {
    Reason {
        columns: &rule.columns,
        what: found.what.clone(),
        rows: found.rows,
        at_least: false,
        groups: found.groups.clone(),
        by: Some(rule.name.clone()),
    }
}

fn unstored<'a>(rules: &'a [Rule], refused: &RefusedRows, show_values: bool) -> Reason<'a> {
    let name = refused.constraint.as_deref();
    let rule =
        rules.iter().find(|rule| rule.table == refused.table && name.is_some_and(|name| rule.is_named(name)));
    let mut what = match rule.filter(|rule| rule.sqlstate == refused.code) {
        Some(rule) => rule.what.clone(),
        None => refused::in_words(&refused.code, name),
    };
    if show_values || refused.harmless {
        what = format!("{what} (the first: {})", refused.message.replace('\n', " "));
    }
    Reason {
        columns: rule.map_or(&[], |rule| &rule.columns),
        what,
        rows: refused.rows,
        at_least: refused.at_least,
        groups: refused.first.iter().map(|number| vec![*number]).collect(),
        by: rule
            .map(named)
            .or(refused.constraint.clone())
            .or(refused.function.clone())
            .or(refused.indexes.clone()),
    }
}

/// The name of a rule. Tables are filled in the order of the step, and what a function reads may not be there.
fn named(rule: &Rule) -> String {
    let name = &rule.name;
    match &rule.calls {
        Some(calls) => {
            format!("{name}, which calls {calls}: tables that this reads must come first in the step")
        }
        None => name.clone(),
    }
}

fn line(table: &BoundTable, reason: &Reason<'_>, places: &BTreeMap<u64, Place>) -> String {
    let name = &table.source.name;
    let columns: Vec<&str> = reason.columns.iter().map(|column| source_name(table, column)).collect();
    let subject = match columns.as_slice() {
        [] => name.clone(),
        [column] => format!("{name}.{column}"),
        several => format!("{name}.({})", several.join(", ")),
    };
    let groups = reason.groups.iter().take(NAMED_ROWS).map(|group| {
        let rows =
            group.iter().take(NAMED_ROWS).filter_map(|number| places.get(number)).map(Place::to_string);
        let more = if group.len() > NAMED_ROWS { " = …" } else { "" };
        format!("{}{more}", rows.collect::<Vec<_>>().join(" = "))
    });
    let groups = groups.collect::<Vec<_>>().join(", ");
    let more = if reason.groups.len() > NAMED_ROWS { ", …" } else { "" };
    let rows = counted(reason.rows.unsigned_abs(), "row");
    let at_least = if reason.at_least { "at least " } else { "" };
    let by = reason.by.as_ref().map(|by| format!("; {by}")).unwrap_or_default();
    let rowid = if places.values().any(|place| matches!(place, Place::Rowid(_))) { "rowid " } else { "" };
    format!("{subject}: {} in {at_least}{rows}, {rowid}{groups}{more}{by}", reason.what)
}

/// What the source calls the target's column, where it has it.
fn source_name<'a>(table: &'a BoundTable, column: &'a str) -> &'a str {
    let bound = table.columns.iter().find(|bound| bound.target.name == column);
    bound.map_or(column, |bound| bound.source.name.as_str())
}
