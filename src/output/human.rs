//! Results as text.

use super::Report;
use crate::copy::progress::Took;
use crate::copy::{Receipt, TableReceipt};
use crate::error::{ExitCode, counted};
use crate::migrate::{Applied, Migrated};
use crate::plan::{State, rfc3339};
use crate::status::{Entry, Status};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::DecimalBytes;

impl Report for Migrated {
    fn text(&self) -> String {
        let at = match self.version {
            Some(version) if version >= self.head => format!("at head, V{version}"),
            Some(version) => format!("at V{version}, head is V{}", self.head),
            None => format!("no version applied, head is V{}", self.head),
        };
        if self.applied.is_empty() && !self.dry_run {
            return format!("{}: {at}, nothing to do", self.database);
        }
        let mut table = columns();
        for version in &self.applied {
            applied(&mut table, version);
        }
        align_right(&mut table, &[1, 2, 3, 4]);
        let versions = counted(self.applied.len() as u64, "version");
        let what = match (self.dry_run, self.applied.len()) {
            (true, 0) => "nothing to do".to_owned(),
            (true, _) => format!("{versions} would be applied, nothing was written"),
            (false, _) => format!("{versions} applied in {}", duration(self.seconds)),
        };
        format!("{}\n{}: {at}, {what}", lines(&table), self.database).trim_start_matches('\n').to_owned()
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Done
    }
}

fn applied(table: &mut Table, version: &Applied) {
    let label = version.label.clone();
    let none = String::new;
    let note = |note: &str| [none(), none(), none(), none(), none(), note.to_owned()];
    let Some(receipt) = &version.receipt else {
        let note = version.note.unwrap_or_default().to_owned();
        table.add_row([label, none(), duration(version.seconds), none(), none(), note]);
        return;
    };
    let source = match &receipt.source {
        Some(source) => format!("from {}, sha256 {}…", source.name, &source.sha256[..12]),
        None => "recorded without data".to_owned(),
    };
    table.add_row([label, rows(receipt.rows()), duration(version.seconds), none(), none(), source]);
    for part in &receipt.tables {
        let name = format!("  {}", part.table);
        table.add_row(match part.state {
            "copied" => {
                let (rows, took) = (rows(part.rows), duration(part.seconds));
                [name, rows, took, size(part.bytes), rate(part), changes(part)]
            }
            state => [name, none(), none(), none(), none(), state.to_owned()],
        });
    }
    let bytes: u64 = receipt.tables.iter().map(|table| table.bytes).sum();
    if bytes >= WORTH_A_RATE && !receipt.phases.is_empty() {
        table.add_row(note(&shares(receipt)));
    }
    if let Some(said) = version.note {
        table.add_row(note(said));
    }
    for left in &receipt.left {
        let mut row = note("left behind");
        row[0] = format!("  {left}");
        table.add_row(row);
    }
}

/// Fewer bytes say nothing about a rate, nor about what takes time.
const WORTH_A_RATE: u64 = 1_000_000;

/// Bytes as the server got them.
pub(super) fn size(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { DecimalBytes(bytes).to_string() }
}

fn rate(table: &TableReceipt) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let megabytes = table.bytes as f64 / 1e6;
    if table.bytes < WORTH_A_RATE { String::new() } else { format!("{:.1} MB/s", megabytes / table.seconds) }
}

/// What part of its time a step spent on what.
fn shares(receipt: &Receipt) -> String {
    let whole: f64 = receipt.phases.iter().map(|took| took.seconds).sum();
    let share = |took: &Took| format!("{} {:.0} %", took.phase, 100.0 * took.seconds / whole);
    receipt.phases.iter().map(share).collect::<Vec<_>>().join(", ")
}

/// What was not copied letter by letter, by column.
fn changes(table: &TableReceipt) -> String {
    let kinds = [
        ("normalised", &table.normalised),
        ("changed by rule", &table.repaired),
        ("made NULL", &table.nulled),
        ("quarantined", &table.quarantined),
    ];
    let kinds = kinds.iter().filter(|(_, counts)| !counts.is_empty()).map(|(kind, counts)| {
        let columns: Vec<String> = counts.iter().map(|(column, count)| format!("{column} {count}")).collect();
        format!("{kind}: {}", columns.join(", "))
    });
    let triggers = (!table.set_aside.is_empty())
        .then(|| format!("triggers that did not run: {}", table.set_aside.join(", ")));
    kinds.chain(triggers).collect::<Vec<_>>().join("; ")
}

impl Report for Status {
    fn text(&self) -> String {
        let mut table = columns();
        for entry in &self.versions {
            let what = match (entry.kind, entry.source_changed) {
                (Some("step"), Some(true)) => {
                    format!("data step, the source has changed since V{}", entry.version)
                }
                (Some("step"), _) => "data step".to_owned(),
                _ => String::new(),
            };
            table.add_row([entry.label.clone(), state(entry), what]);
        }
        let count = |state| self.versions.iter().filter(|entry| entry.state == state).count();
        let wrong = count(State::Divergent) + count(State::Missing) + count(State::Late);
        let summary = match (count(State::Pending), wrong) {
            (0, 0) => format!("at head, V{}", self.head),
            (pending, 0) => format!("{pending} pending, head is V{}", self.head),
            (pending, wrong) => {
                format!("the history diverges in {wrong}, {pending} pending; outgrow migrate says what to do")
            }
        };
        let mut text = vec![lines(&table)];
        for since in &self.source {
            let unchanged = since.source_changed == Some(false);
            for said in since.says().into_iter().filter(|said| said.next.is_some() || !unchanged) {
                text.push(said.found);
                text.extend(said.next.map(|next| format!("  next: {next}")));
            }
        }
        text.push(format!("{}: {summary}", self.database));
        text.join("\n")
    }

    fn exit_code(&self) -> ExitCode {
        self.exit_code()
    }
}

fn state(entry: &Entry) -> String {
    // to the second, as people read it
    let when = entry.applied_on.and_then(rfc3339);
    let when = when.as_ref().and_then(|moment| moment.get(..19)).map(|moment| moment.replace('T', " "));
    let when = when.unwrap_or_default();
    match entry.state {
        State::Applied => format!("applied {when} UTC"),
        State::Pending => match entry.statements_done {
            Some(done) => {
                let statements = counted(done.unsigned_abs().into(), "statement");
                format!("pending, stopped after {statements}: migrate goes on there")
            }
            None => "pending".to_owned(),
        },
        State::Divergent => format!("divergent: the file was changed after {when} UTC"),
        State::Missing => format!("missing: applied {when} UTC, no such file"),
        State::Late => "late: not applied, and below the newest that is".to_owned(),
    }
}

pub(super) fn columns() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

pub(super) fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

pub(super) fn lines(table: &Table) -> String {
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

pub(super) fn rows(count: u64) -> String {
    counted(count, "row")
}

pub(super) fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}
