//! What `outgrow check` found, as text: a line for each check, then what failed and why, then the answer.

use super::human::{align_right, columns, duration, lines};
use super::{Report, printable};
use crate::check::{Cell, Checked, Counterexamples, Failure, State, Verdict};
use crate::error::{ExitCode, Problem, SqlFailure, counted};

impl Report for Checked {
    fn text(&self) -> String {
        let mut table = columns();
        for verdict in &self.checks {
            let (took, state) = match verdict.state {
                State::Passed => (time(verdict), "passed"),
                State::Failed => (time(verdict), "FAILED"),
                State::NotRun => (String::new(), "not run"),
            };
            table.add_row([verdict.check.clone(), printable(&verdict.name), took, state.to_owned()]);
        }
        align_right(&mut table, &[2]);
        let mut text = vec![lines(&table)];
        text.extend(self.checks.iter().filter_map(failed));
        let (failed, not_run) = (self.count(State::Failed), self.count(State::NotRun));
        let skipped = if not_run == 0 { String::new() } else { format!(", {not_run} not run") };
        let (count, took) = (self.checks.len(), duration(self.seconds));
        text.push(match failed {
            0 => format!("{}: {} passed in {took}", self.database, checks(count)),
            _ => format!("{}: {failed} of {} failed{skipped}, in {took}", self.database, checks(count)),
        });
        text.join("\n")
    }

    fn exit_code(&self) -> ExitCode {
        self.exit_code()
    }
}

fn checks(count: usize) -> String {
    counted(count as u64, "check")
}

/// What the server took, or what connecting took where the check is about that.
fn time(verdict: &Verdict) -> String {
    match verdict.connect_budget_seconds {
        Some(_) => duration(verdict.connect_seconds),
        None => duration(verdict.server_seconds),
    }
}

fn failed(verdict: &Verdict) -> Option<String> {
    let failure = verdict.failure.as_ref()?;
    let question = match verdict.question.as_str() {
        "" => verdict.name.clone(),
        question => format!("{}: {question}", verdict.name),
    };
    Some(format!("\n{}\n{}", printable(&question), reason(failure)))
}

/// Where and why, and the counterexamples.
pub(super) fn reason(failure: &Failure) -> String {
    let said = SqlFailure {
        problem: Problem {
            file: failure.file.clone().into(),
            at: failure.line.zip(failure.column),
            message: failure.message.clone(),
        },
        line: failure.source_line.clone(),
        notes: failure.notes.clone(),
    };
    let rows = failure.counterexamples.as_ref().map(counterexamples).unwrap_or_default();
    [said.to_string()].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

fn counterexamples(found: &Counterexamples) -> Vec<String> {
    let shown = found.first.iter().filter(|row| !row.is_empty());
    let mut text: Vec<String> =
        shown.map(|row| format!("  {}", row.iter().map(cell).collect::<Vec<_>>().join(", "))).collect();
    if !text.is_empty() && found.count > found.first.len() as u64 {
        text.push("  …".to_owned());
    }
    if !found.hidden.is_empty() {
        text.push(format!("  not shown: {} (--show-values shows all)", printable(&found.hidden.join(", "))));
    }
    text
}

fn cell(cell: &Cell) -> String {
    let value = cell.value.as_deref().map_or_else(|| "NULL".to_owned(), printable);
    format!("{} {value}", printable(&cell.column))
}
