//! The only place that prints. Results go to stdout, as text or as one JSON document drawn from the same struct; errors
//! and the log go to stderr.

mod checked;
mod doctor;
mod exported;
mod human;
mod junit;
mod log;
mod progress;
mod verified;

use crate::cli::Unparsed;
use crate::copy::progress::Progress;
use crate::error::{Error, ExitCode, Misfits};
use indicatif::MultiProgress;
pub use junit::Junit;
pub use log::LogFormat;
use progress::Watch;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// A command's result, as text.
pub trait Report: Serialize {
    /// Lines for people.
    fn text(&self) -> String;
    /// What the process ends with.
    fn exit_code(&self) -> ExitCode;
}

/// How results are printed.
pub struct Output {
    json: bool,
    log: LogFormat,
    /// The bars on the terminal: the log is written around them.
    bars: MultiProgress,
}

/// An error under `--json`.
#[derive(Serialize)]
struct Failed<'a> {
    error: String,
    exit_code: u8,
    #[serde(skip_serializing_if = "<[Misfits]>::is_empty")]
    misfits: &'a [Misfits],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    constraints: &'a [String],
}

impl Output {
    /// Text, or one JSON document; errors go to stderr as the log does, which is written around `bars`.
    #[must_use]
    pub fn new(json: bool, log: LogFormat, bars: MultiProgress) -> Output {
        Output { json, log, bars }
    }

    /// Shows on stderr how far a step is, until what is returned is dropped.
    #[must_use]
    pub fn watch(&self, progress: &Progress) -> Watch {
        Watch::new(progress.clone(), self.bars.clone())
    }

    /// Prints a result.
    ///
    /// # Errors
    /// [`Error::Io`] if stdout cannot be written; a reader that has gone away is none.
    pub fn show(&self, report: &impl Report) -> Result<ExitCode, Error> {
        let text = if self.json { json(report)? } else { report.text() };
        match writeln!(std::io::stdout().lock(), "{text}") {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(report.exit_code()),
        }
    }

    /// Prints an error on stderr and, under `--json`, on stdout; returns the code to end with.
    #[must_use]
    pub fn failed(&self, error: &Error) -> ExitCode {
        let code = error.exit_code();
        self.log.last(&format!("error: {error}"), &error.to_string());
        if self.json {
            print_failed(&error.to_string(), code, error.misfits(), error.constraints());
        }
        code
    }
}

/// On a terminal spread over lines, else one line, as deployment logs and `tail -n 1` want it.
fn json(value: &impl Serialize) -> Result<String, Error> {
    let spread = std::io::stdout().is_terminal();
    let text = if spread { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map_err(|error| Error::Io(error.into()))
}

/// Prints help or version, or the complaint about the arguments without the passwords it may quote.
#[must_use]
pub fn unparsed(unparsed: &Unparsed, log: LogFormat) -> ExitCode {
    let text = unparsed.text.trim_end();
    let text = if unparsed.quotes { without_passwords(text) } else { text.to_owned() };
    if unparsed.asked {
        // nobody is left to tell if it cannot be written
        let _ = writeln!(std::io::stdout().lock(), "{text}");
        return ExitCode::Done;
    }
    log.last(&text, &text);
    if unparsed.json {
        print_failed(&text, ExitCode::Usage, &[], &[]);
    }
    ExitCode::Usage
}

/// An error as the one JSON document on stdout.
fn print_failed(error: &str, code: ExitCode, misfits: &[Misfits], constraints: &[String]) {
    let failed = Failed { error: error.to_owned(), exit_code: code.number(), misfits, constraints };
    if let Ok(text) = json(&failed) {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}

/// Everything in a line between `://` and the last `@`, and all after `password=`, becomes `…`.
fn without_passwords(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = match (line.find("://"), line.rfind('@')) {
            (Some(scheme), Some(at)) if scheme < at => format!("{}://…{}", &line[..scheme], &line[at..]),
            _ => line.to_owned(),
        };
        // ASCII case keeps every offset
        match line.to_ascii_lowercase().find("password") {
            Some(at) if line[at + 8..].trim_start().starts_with('=') => format!("{}=…", &line[..at + 8]),
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Line breaks and what a terminal would obey, escaped.
fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_complaint_quotes_is_cleaned() {
        let text = "unexpected argument 'postgres://ana:s3@c ret@db/app' found\nUsage";
        assert_eq!(without_passwords(text), "unexpected argument 'postgres://…@db/app' found\nUsage");
        assert_eq!(without_passwords("'host=db password=s3cret' x"), "'host=db password=…");
    }
}
