//! What feeds each table of the file: a table of the target, and the step that brought it. Names that the file cannot
//! have as the target has them are found here, before anything is made.

use crate::copy::bind::same_name;
use crate::copy::receipt::ForTheWayBack;
use crate::migration::Version;
use crate::migration::step::{Step, StepTable};
use crate::postgres::catalog;
use crate::sqlite::{Definition, Statement};
use std::collections::{BTreeMap, HashMap};

/// A table of the target, and what fed it.
pub(super) struct Fed<'a> {
    pub target: &'a catalog::Table,
    pub step: Option<(&'a Version, &'a StepTable)>,
}

impl Fed<'_> {
    /// What the file calls the table.
    pub(super) fn name(&self) -> &str {
        self.step.map_or(&self.target.name, |(_, table)| &table.name)
    }

    /// Which of the file's `columns` gets what the target has in its column `target`.
    pub(super) fn column<'a>(&self, target: &str, columns: &'a [String]) -> Option<&'a str> {
        let rules = self.step.map(|(_, table)| &table.rules.column);
        let feeds = |column: &&String| {
            let mut rules = rules.into_iter().flatten();
            let rule = rules.find(|(name, _)| same_name(columns, name, |name| name) == Some(*column));
            let name = rule.and_then(|(_, rule)| rule.target.as_ref()).unwrap_or(column);
            let fed = same_name(&self.target.columns, name, |known| &known.name);
            !rule.is_some_and(|(_, rule)| rule.skip) && fed.is_some_and(|fed| fed.name == target)
        };
        columns.iter().find(feeds).map(String::as_str)
    }

    /// The statement that makes the table, if a source had it.
    pub(super) fn made_by<'a>(&self, definition: &'a Definition) -> Option<&'a Statement> {
        let mut tables = definition.statements.iter().filter(|statement| statement.kind == "table");
        tables.find(|statement| statement.name.eq_ignore_ascii_case(self.name()))
    }
}

/// Which step feeds each table of the target: the last that names it. A table of a step that is not there is a note.
pub(super) fn feed<'a>(
    steps: &[(&'a Version, &'a Step)],
    target: &'a [catalog::Table],
    receipts: &HashMap<i32, ForTheWayBack>,
    notes: &mut Vec<String>,
) -> Vec<Fed<'a>> {
    let mut fed: Vec<Fed<'a>> = target.iter().map(|target| Fed { target, step: None }).collect();
    let mut gone = Vec::new();
    for (version, step) in steps {
        for table in &step.tables {
            let name = table.target_name();
            let oid = same_name(target, name, |known| &known.name).map(|found| found.oid);
            let copied = receipts.get(&version.number).is_some_and(|receipt| receipt.copied(name));
            match fed.iter_mut().find(|fed| Some(fed.target.oid) == oid) {
                Some(found) => found.step = Some((version, table)),
                None if copied => gone.push((&table.name, name, &version.label)),
                None => {}
            }
        }
    }
    notes.extend(gone.into_iter().map(|(table, name, label)| {
        let other = fed.iter().find(|fed| fed.step.is_some() && fed.name().eq_ignore_ascii_case(table));
        let rows = other.map_or("empty in the file".into(), |fed| format!("the rows of {}", fed.target.name));
        format!(
            "{table}: {rows}; {label} brought it into {name}, and the target has no table {name} any more"
        )
    }));
    fed
}

/// Takes the tables out of `fed` that the file cannot have under their names; returns why, and what to do. SQLite does
/// not tell the case of ASCII letters apart, has one set of names for tables, indexes and views, and keeps those that
/// begin with `sqlite_` for itself. (SQLite: CREATE TABLE.)
pub(super) fn unnameable(fed: &mut Vec<Fed<'_>>, definition: &Definition) -> Vec<String> {
    let mut namesakes: BTreeMap<String, Vec<&Fed<'_>>> = BTreeMap::new();
    for fed in fed.iter() {
        namesakes.entry(fed.name().to_ascii_lowercase()).or_default().push(fed);
    }
    let (mut refused, mut taken) = (Vec::new(), Vec::new());
    for alike in namesakes.values() {
        let why: Vec<String> = match alike.as_slice() {
            [only] => alone(only, definition),
            [first, others @ ..] => others.iter().map(|other| together(first, other)).collect(),
            [] => Vec::new(),
        };
        if !why.is_empty() {
            taken.extend(alike.iter().map(|fed| fed.target.oid));
        }
        refused.extend(why);
    }
    fed.retain(|fed| !taken.contains(&fed.target.oid));
    refused
}

/// Why two tables of the target cannot be in one file.
fn together(one: &Fed<'_>, other: &Fed<'_>) -> String {
    let (first, second) = (&one.target.name, &other.target.name);
    if let (Some((first_step, _)), Some((second_step, _))) = (one.step, other.step) {
        return format!(
            "table {}: {} brought it into the target's table {first}, and {} into {second}; the file has one table for both, and \
             nothing says which of their rows are one: drop in a version the one that the application can do without",
            one.name(),
            first_step.label,
            second_step.label
        );
    }
    let (brought, free) = if one.step.is_some() { (one, other) } else { (other, one) };
    let from = brought.step.map(|(version, table)| {
        format!(" (where {} brought the file's table {})", version.label, table.name)
    });
    format!(
        "tables {}{} and {}: the file cannot have both, because SQLite takes their names for the same whatever the case of \
         their letters: rename {} in a version",
        brought.target.name,
        from.unwrap_or_default(),
        free.target.name,
        free.target.name
    )
}

/// Why a table that no step brought cannot be in the file.
fn alone(fed: &Fed<'_>, definition: &Definition) -> Vec<String> {
    let (name, columns) = (&fed.target.name, &fed.target.columns);
    if fed.step.is_some() {
        return Vec::new();
    }
    if name.to_ascii_lowercase().starts_with("sqlite_") {
        return vec![format!(
            "table {name}: SQLite keeps names that begin with sqlite_ for itself: rename it in a version"
        )];
    }
    if fed.made_by(definition).is_some() {
        return Vec::new();
    }
    let mut why = Vec::new();
    let others = definition.statements.iter().filter(|statement| statement.kind != "trigger");
    why.extend(others.filter(|statement| statement.name.eq_ignore_ascii_case(name)).map(|statement| {
        format!(
            "table {name}: the file has the source's {} of that name, and SQLite has one set of names for both: rename the table \
             in a version",
            statement.kind
        )
    }));
    if columns.is_empty() {
        why.push(format!(
            "table {name}: it has no column, and SQLite makes no such table: drop it in a version, or add a column"
        ));
    }
    for (at, column) in columns.iter().enumerate() {
        let same = columns[..at].iter().find(|known| known.name.eq_ignore_ascii_case(&column.name));
        why.extend(same.map(|same| {
            format!(
                "table {name}: SQLite takes the names of its columns {} and {} for the same whatever the case of their letters: \
                 rename one of them in a version",
                same.name, column.name
            )
        }));
    }
    why
}
