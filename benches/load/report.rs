//! The figures of all runs: medians and ratios to the server's own load, as a table and as JSON.

use crate::case::Case;
use crate::contestant::Contestant;
use crate::process::Run;
use crate::server::Server;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::error::Error;
use std::fmt;

/// All figures, and what they were measured on.
#[derive(Serialize)]
pub struct Report {
    size: f64,
    rounds: usize,
    processors: usize,
    postgres: String,
    results: Vec<Measured>,
}

/// What one contestant did with one source.
#[derive(Serialize)]
struct Measured {
    case: &'static str,
    contestant: &'static str,
    runs: Vec<Run>,
}

impl Measured {
    fn median(&self, figure: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
        let mut figures: Vec<f64> = self.runs.iter().filter_map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    fn seconds(&self) -> Option<f64> {
        self.median(|run| Some(run.seconds))
    }
}

impl Report {
    pub fn new(server: &Server, size: f64, rounds: usize) -> Result<Report, Box<dyn Error>> {
        let processors = std::thread::available_parallelism()?.get();
        Ok(Report { size, rounds, processors, postgres: server.version()?, results: Vec::new() })
    }

    pub fn add(&mut self, case: &Case, contestant: Contestant, run: Run) {
        let (case, contestant) = (case.name, contestant.name());
        match self.results.iter_mut().find(|one| one.case == case && one.contestant == contestant) {
            Some(measured) => measured.runs.push(run),
            None => self.results.push(Measured { case, contestant, runs: vec![run] }),
        }
    }

    pub fn json(&self) -> Result<String, Box<dyn Error>> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Of the median to that of the limit.
    fn ratio(&self, measured: &Measured) -> Option<f64> {
        let limit = self
            .results
            .iter()
            .find(|one| one.case == measured.case && one.contestant == Contestant::Limit.name());
        Some(measured.seconds()? / limit?.seconds()?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { size, rounds, processors, postgres, .. } = self;
        writeln!(f, "size {size}, medians of {rounds}, {processors} processors, PostgreSQL {postgres}")?;
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN);
        table.set_header(["source", "contestant", "ratio", "seconds", "client CPU s", "client MB"]);
        let shown = |figure: Option<f64>, digits: usize| {
            figure.map_or_else(String::new, |figure| format!("{figure:.digits$}"))
        };
        for one in &self.results {
            table.add_row([
                one.case.to_owned(),
                one.contestant.to_owned(),
                shown(self.ratio(one), 2),
                shown(one.seconds(), 2),
                shown(one.median(|run| run.cpu), 2),
                shown(one.median(|run| run.peak), 0),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{table}")
    }
}
