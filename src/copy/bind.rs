//! Binds a step to what is there: each of its tables to one of the source and one of the target, and their columns
//! ([`columns`]). All that does not fit is found here, before a row moves, and reported together.

use super::columns::{self, BoundTable};
use crate::error::Error;
use crate::migration::step::{Step, StepTable};
use crate::postgres::catalog::{self, Instead};
use crate::sqlite::{Source, schema};

/// A step ready to run.
pub(super) struct Bound {
    /// The tables to copy.
    pub tables: Vec<BoundTable>,
    /// Optional tables that the source does not have.
    pub absent: Vec<String>,
    /// Source tables with rows that are not copied: skipped by the step, or other tools' bookkeeping.
    pub left: Vec<String>,
}

/// Binds `step` to the tables of `source` and `target`.
///
/// `others` are relations of the target that are no tables, by name and kind.
pub(super) fn bind(
    step: &Step,
    source: &Source,
    target: &[catalog::Table],
    others: &[(String, Instead)],
) -> Result<Bound, Error> {
    let (from, misfits) = source_tables(step, source)?;
    let mut faults = Vec::new();
    let mut tables = Vec::new();
    for (from, table) in from.present {
        let name = table.target_name();
        match same_name(target, name, |known| &known.name) {
            Some(to) if tables.iter().any(|known: &BoundTable| known.target.oid == to.oid) => {
                faults.push(format!(
                    "table {}: another table of the step goes to the target's table {} already",
                    from.name, to.name
                ));
            }
            Some(to) => {
                let table = columns::bind(source, from, to, &table.rules, &mut faults)?;
                columns::require_fed(&table, &mut faults);
                columns::require_room(&table, &mut faults);
                if table.target_columns().next().is_none() {
                    faults.push(format!(
                        "table {}: no column of it has one in the target; list the table under skip instead",
                        from.name
                    ));
                }
                tables.push(table);
            }
            None => {
                let rule = format!("[table.{}]", columns::key(&from.name));
                faults.push(match same_name(others, name, |other| &other.0) {
                    Some((_, Instead::Elsewhere(schema))) => {
                        format!("table {name}: the step names it, and {}", catalog::on_the_path(schema))
                    }
                    Some((_, Instead::NoTable(kind))) => format!(
                        "table {name}: the step names it, and in the target that is {kind}: name the table behind it, {rule} with \
                         target = \"…\", or create a table of that name in a version before the step"
                    ),
                    None => format!(
                        "table {name}: the step names it and the target has no such table in its search_path; \
                         create it in a version before the step, or write {rule} with target = \"…\", its name there{}",
                        cut(name, &rule)
                    ),
                });
            }
        }
    }
    let zone = step.tables.iter().any(|table| table.rules.zone_of_step);
    if zone && faults.is_empty() && !tables.iter().any(columns::takes_zone) {
        faults.push("the step has zone for all its tables, and no column takes that rule".to_owned());
    }
    if !misfits.is_empty() {
        let misfits = misfits.into_iter().chain(faults).collect();
        return Err(Error::Misfits { file: source.file.clone(), misfits });
    }
    if !faults.is_empty() {
        return Err(Error::Target(faults));
    }
    Ok(Bound { tables, absent: from.absent, left: from.left })
}

/// The tables of a source from a step's point of view.
pub(super) struct SourceTables<'a> {
    /// Named by the step and there.
    present: Vec<(&'a schema::Table, &'a StepTable)>,
    /// Optional, and not there.
    absent: Vec<String>,
    /// Holding rows that are not copied: skipped by the step, or other tools' bookkeeping.
    left: Vec<String>,
}

/// Holds `step` against the tables of `source`; what does not fit is the second value.
pub(super) fn source_tables<'a>(
    step: &'a Step,
    source: &'a Source,
) -> Result<(SourceTables<'a>, Vec<String>), Error> {
    let mut tables = SourceTables { present: Vec::new(), absent: Vec::new(), left: Vec::new() };
    let mut faults = Vec::new();
    for table in &step.tables {
        let is_view = same_name(&source.views, &table.name, |name| name).is_some();
        match same_name(&source.tables, &table.name, |known| &known.name) {
            Some(found) => match &found.unreadable {
                None => tables.present.push((found, table)),
                Some(reason) => faults.push(format!("table {}: {reason}", found.name)),
            },
            None if is_view => faults.push(format!(
                "table {}: the step names it and it is a view, which holds no rows: name the tables it reads from",
                table.name
            )),
            None if table.optional => tables.absent.push(table.name.clone()),
            None => faults.push(format!(
                "table {}: the step names it and the source has no such table (correct the name, or list it under optional if that is right)",
                table.name
            )),
        }
    }
    let unnamed;
    (tables.left, unnamed) = tables_left_behind(step, source, &mut faults)?;
    if unnamed.len() > 1 {
        let required = tables.present.iter().filter(|(_, table)| !table.optional);
        let all = required.map(|(_, table)| table.name.as_str()).chain(unnamed);
        let all: Vec<String> = all.map(|name| toml::Value::from(name).to_string()).collect();
        faults.push(format!("to bring all of them: tables = [{}]", all.join(", ")));
    }
    Ok((tables, faults))
}

/// What becomes of a name that is too long for PostgreSQL, and the `rule` that helps; nothing for one that is not.
/// (PostgreSQL: Lexical Structure, "Identifiers and Key Words".)
pub(super) fn cut(name: &str, rule: &str) -> String {
    if name.len() <= NAME_BYTES {
        return String::new();
    }
    let end = (0..=NAME_BYTES).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!(
        "; PostgreSQL cuts names after {NAME_BYTES} bytes, so it may be there as {}: write {rule} with target = \"…\"",
        &name[..end]
    )
}

/// A name is as long as this at most: NAMEDATALEN - 1.
const NAME_BYTES: usize = 63;

/// The one item of that name: letter by letter, else the only one that differs in case alone.
pub(super) fn same_name<'a, T>(items: &'a [T], name: &str, named: impl Fn(&T) -> &String) -> Option<&'a T> {
    items.iter().find(|item| named(item) == name).or_else(|| {
        let mut alike = items.iter().filter(|item| named(item).eq_ignore_ascii_case(name));
        alike.next().filter(|_| alike.next().is_none())
    })
}

/// Source tables with rows that the step does not bring: those that it skips or that are bookkeeping, and those that it
/// should name.
pub(super) fn tables_left_behind<'a>(
    step: &Step,
    source: &'a Source,
    faults: &mut Vec<String>,
) -> Result<(Vec<String>, Vec<&'a str>), Error> {
    let (mut left, mut unnamed) = (Vec::new(), Vec::new());
    let brought: Vec<&str> = step.tables.iter().map(|table| table.name.as_str()).collect();
    let skipped: Vec<&str> = step.skip.iter().map(String::as_str).collect();
    let listed = |names: &[&str], table: &str| names.iter().any(|name| name.eq_ignore_ascii_case(table));
    for table in source.tables.iter().filter(|table| !table.is_carried_otherwise()) {
        let name = table.name.as_str();
        if listed(&brought, name) {
            continue;
        }
        if listed(&skipped, name) || table.is_bookkeeping() {
            // one that cannot be read may hold some
            if table.unreadable.is_some() || source.holds_rows(table).unwrap_or(true) {
                left.push(table.name.clone());
            }
            continue;
        }
        if let Some(reason) = &table.unreadable {
            faults.push(format!("table {name}: {reason}"));
        } else if source.holds_rows(table)? {
            let books = match table.may_keep_books() {
                true => "; or under bookkeeping, if the application keeps there which of its migrations ran",
                false => "",
            };
            faults.push(format!(
                "table {name}: it holds rows and the step does not name it; \
                 list it under tables, or under skip to leave it behind{books}"
            ));
            unnamed.push(name);
        }
    }
    for name in &step.skip {
        let known = same_name(&source.tables, name, |known| &known.name).is_some();
        if !known && same_name(&source.views, name, |view| view).is_none() {
            faults.push(format!("table {name}: the step skips it and the source has no such table; correct the name or take it out of skip"));
        }
    }
    Ok((left, unnamed))
}
