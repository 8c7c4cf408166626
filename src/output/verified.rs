//! What `outgrow verify` found, as text: a line for each table, then the differences, then the answer.

use super::human::{align_right, columns, lines, rows};
use super::{Report, printable};
use crate::copy::compare::{Row, Rows, TableVerdict, Unfit, Value};
use crate::error::ExitCode;
use crate::verify::{StepVerdict, Verified};

impl Report for Verified {
    fn text(&self) -> String {
        let mut table = columns();
        let mut differences = Vec::new();
        for step in &self.steps {
            let note = if step.compared.is_none() { "recorded without data, not compared" } else { "" };
            table.add_row([step.label.clone(), String::new(), note.to_owned()]);
            let Some(compared) = &step.compared else { continue };
            for verdict in &compared.tables {
                let known = verdict.in_source || verdict.quarantined_from.is_some();
                let rows = if known { rows(verdict.source_rows) } else { String::new() };
                table.add_row([
                    format!("  {}", title(verdict)),
                    rows,
                    answer(verdict) + &not_compared(verdict),
                ]);
            }
            for left in &compared.left {
                table.add_row([format!("  {left}"), String::new(), "left behind, not compared".to_owned()]);
            }
            differences.extend(step_differences(step));
        }
        align_right(&mut table, &[1]);
        let differ = self.differing();
        let answer = match differ {
            _ if self.equal => "equal".to_owned(),
            0 => "the source differs".to_owned(),
            1 => "1 table differs".to_owned(),
            _ => format!("{differ} tables differ"),
        };
        differences.insert(0, lines(&table));
        differences.push(format!("{}: {answer}", self.database));
        differences.join("\n")
    }

    fn exit_code(&self) -> ExitCode {
        self.exit_code()
    }
}

impl Verified {
    fn differing(&self) -> usize {
        let tables = self.steps.iter().filter_map(|step| step.compared.as_ref());
        tables.flat_map(|compared| &compared.tables).filter(|table| !table.equal).count()
    }
}

/// What the answer does not speak of.
fn not_compared(table: &TableVerdict) -> String {
    if table.not_compared.is_empty() {
        return String::new();
    }
    format!("; not compared: {}", table.not_compared.join(", "))
}

/// What the lines call a table.
fn title(table: &TableVerdict) -> String {
    match &table.quarantined_from {
        Some(from) => format!("{from}, quarantined"),
        None => table.table.clone(),
    }
}

/// The line of a table.
fn answer(table: &TableVerdict) -> String {
    if let Some(step) = &table.loaded_again {
        return format!("loaded again by {step}, not compared here");
    }
    match (table.in_source, table.in_target) {
        (false, false) => "absent on both sides".to_owned(),
        (true, false) => "differs: absent from the target".to_owned(),
        (false, true) if table.equal => "absent from the source, empty in the target".to_owned(),
        (false, true) => {
            format!("differs: absent from the source, {} in the target", rows(table.target_rows))
        }
        (true, true) if table.equal => "equal".to_owned(),
        (true, true) => {
            let kinds = [(&table.missing, "missing"), (&table.added, "added"), (&table.changed, "changed")];
            let kinds = kinds.iter().filter(|(rows, _)| rows.count > 0);
            let mut parts: Vec<String> = kinds.map(|(rows, kind)| format!("{} {kind}", rows.count)).collect();
            if !table.misfits.is_empty() {
                let cells: u64 = table.misfits.iter().map(|unfit| unfit.rows).sum();
                parts.push(format!("{cells} that do not fit"));
            }
            if !table.problems.is_empty() {
                parts.push("columns that cannot be compared".to_owned());
            }
            if !table.inherited.is_empty() {
                let inherited: u64 = table.inherited.values().sum();
                parts.push(format!("{inherited} added in tables that inherit from it"));
            }
            format!("differs: {}", parts.join(", "))
        }
    }
}

fn step_differences(step: &StepVerdict) -> Vec<String> {
    let Some(compared) = &step.compared else { return Vec::new() };
    let mut text = Vec::new();
    if step.source_changed == Some(true) {
        text.push(format!("the source is not the file, byte by byte, that {} read", step.label));
    }
    text.extend(compared.problems.iter().cloned());
    for table in compared.tables.iter().filter(|table| !table.equal) {
        if !(table.in_source && table.in_target) {
            text.extend(table.problems.iter().cloned());
            continue;
        }
        text.push(format!("{}:", title(table)));
        text.extend(named("missing from the target", &table.missing));
        text.extend(named("in the target alone", &table.added));
        text.extend(named("changed", &table.changed));
        if !table.columns.is_empty() {
            let columns: Vec<String> =
                table.columns.iter().map(|(column, rows)| format!("{column} in {}", rows.count)).collect();
            text.push(format!("  columns that differ: {}", columns.join(", ")));
        }
        for (child, count) in &table.inherited {
            text.push(format!("  {} in {child}, which inherits from it", rows(*count)));
        }
        text.extend(table.misfits.iter().map(misfit));
        text.extend(table.problems.iter().map(|problem| format!("  {problem}")));
    }
    text
}

/// How many rows, and the first of them.
fn named(what: &str, found: &Rows) -> Vec<String> {
    if found.count == 0 {
        return Vec::new();
    }
    let count = rows(found.count);
    if found.first.iter().any(|row| !row.values.is_empty()) {
        let more = if found.count > found.first.len() as u64 { ", the first of them" } else { "" };
        let heading = format!("  {count} {what}{more}:");
        return [heading].into_iter().chain(found.first.iter().map(with_values)).collect();
    }
    let names: Vec<String> = found.first.iter().filter_map(name).collect();
    let more = if found.count > names.len() as u64 { ", …" } else { "" };
    if names.is_empty() {
        return vec![format!("  {count} {what} (--show-values shows them)")];
    }
    vec![format!("  {count} {what}: {}{more}", names.join(", "))]
}

/// A row by its key, if all of it may be shown, else by its place in the source, else by what may be shown of its key.
fn name(row: &Row) -> Option<String> {
    let key = || {
        let parts =
            row.key.iter().filter_map(|(column, value)| Some(format!("{column} {}", value.as_ref()?)));
        let parts: Vec<String> = parts.collect();
        match parts.len() {
            0 => None,
            1 if row.key.len() == 1 => Some(parts.join("")),
            _ => Some(format!("({})", parts.join(", "))),
        }
    };
    if row.key.values().all(Option::is_some) && !row.key.is_empty() {
        return key();
    }
    let place = row.rowid.map(|rowid| format!("rowid {rowid}"));
    place.or_else(|| row.row_number.map(|number| format!("row number {number}"))).or_else(key)
}

fn with_values(row: &Row) -> String {
    let values: Vec<String> = row.values.iter().map(|cell| value(row, cell)).collect();
    match name(row) {
        Some(name) => format!("    {name}: {}", values.join(", ")),
        None => format!("    {}", values.join(", ")),
    }
}

/// A cell on both sides; of a changed row's key, which is the same, on one.
fn value(row: &Row, value: &Value) -> String {
    let column = &value.column;
    let same = !row.columns.is_empty() && !row.columns.contains(column);
    match (&value.source, &value.target) {
        (Some(source), Some(_)) if same => format!("{column} {}", printable(source)),
        (Some(source), Some(target)) => {
            format!("{column} {} became {}", printable(source), printable(target))
        }
        (Some(one), None) | (None, Some(one)) => format!("{column} {}", printable(one)),
        (None, None) => column.clone(),
    }
}

fn misfit(unfit: &Unfit) -> String {
    let more = if unfit.rows > unfit.first.len() as u64 { ", …" } else { "" };
    let rowid = if unfit.first.iter().all(|place| place.parse::<i64>().is_ok()) { "rowid " } else { "" };
    format!(
        "  {}: {} in {} of the source, {rowid}{}{more}; the target's column, {}",
        unfit.column,
        unfit.found,
        rows(unfit.rows),
        unfit.first.join(", "),
        unfit.expects
    )
}
