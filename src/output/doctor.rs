//! What `outgrow doctor` found, as text: a line for each finding, under it what to do, then the answer.

use super::human::{columns, lines};
use super::{Report, printable};
use crate::doctor::{Diagnosis, Finding, State};
use crate::error::{ExitCode, counted};

impl Report for Diagnosis {
    fn text(&self) -> String {
        let mut table = columns();
        for finding in &self.findings {
            let state = match finding.state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Problem => "PROBLEM",
            };
            let mut said = finding.found.clone();
            if let Some(next) = &finding.next {
                said = format!("{said}\n  next: {next}");
            }
            let said: Vec<String> = said.lines().map(printable).collect();
            table.add_row([finding.about.to_owned(), state.to_owned(), said.join("\n")]);
        }
        let (problems, warnings) = (self.count(State::Problem), self.count(State::Warning));
        let is_step = |finding: &Finding| finding.about == "step";
        let unread = if self.findings.iter().any(is_step) { ", rows not read" } else { "" };
        let answer = match (problems, warnings) {
            (0, 0) => format!("ready{unread}"),
            (0, _) => format!("ready{unread}, {}", counted(warnings as u64, "warning")),
            (_, _) => format!("not ready, {}", counted(problems as u64, "problem")),
        };
        format!("{}\n{}: {answer}", lines(&table), self.database.as_deref().unwrap_or("no target"))
    }

    fn exit_code(&self) -> ExitCode {
        self.exit_code()
    }
}
