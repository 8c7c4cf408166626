//! The log on stderr: lines for people, or one JSON object a line for whoever collects them
//! (`OUTGROW_LOG_FORMAT=json`).

use crate::cli::is_url;
use crate::error::Error;
use indicatif::{MultiProgress, ProgressDrawTarget};
use indicatif_log_bridge::LogWrapper;
use log::Level;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A line of the JSON log.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: String,
    target: &'a str,
    message: String,
}

impl LogFormat {
    /// What `OUTGROW_LOG_FORMAT` asks for: `json`, or else `text`.
    ///
    /// # Errors
    /// [`Error::Config`] if it asks for something else, or `RUST_LOG` is a URL, which a message about it would quote.
    pub fn of_environment() -> Result<LogFormat, Error> {
        if filter_of_environment().is_some_and(|filter| is_url(&filter)) {
            let text = "RUST_LOG: this is a URL, and a filter such as outgrow=debug is expected";
            return Err(Error::Config(text.into()));
        }
        match std::env::var_os("OUTGROW_LOG_FORMAT") {
            None => Ok(LogFormat::Text),
            Some(format) if format.is_empty() || format == "text" => Ok(LogFormat::Text),
            Some(format) if format == "json" => Ok(LogFormat::Json),
            Some(_) => Err(Error::Config("OUTGROW_LOG_FORMAT: expected json or text".into())),
        }
    }

    /// Starts the log: warnings, what the server says and, without bars on a terminal, how far a step is; more with
    /// `-v`, errors alone with `-q`. `RUST_LOG` overrides both. Returns the bars that the log is written around.
    #[must_use]
    pub fn start(self, verbose: u8, quiet: bool) -> MultiProgress {
        let bars = MultiProgress::new();
        if quiet || self == LogFormat::Json {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        let (notices, progress) = (crate::NOTICES, crate::PROGRESS);
        let default = match (quiet, verbose) {
            (true, _) => "error".to_owned(),
            (false, 0) if std::io::stderr().is_terminal() && !bars.is_hidden() => {
                format!("warn,{notices}=info")
            }
            (false, 0) => format!("warn,{notices}=info,{progress}=info"),
            (false, 1) => format!("warn,outgrow=info,{notices}=info,{progress}=info"),
            (false, 2) => format!("info,outgrow=debug,{notices}=debug,{progress}=debug"),
            (false, _) => "trace".to_owned(),
        };
        let asked = filter_of_environment().filter(|filter| !is_url(filter));
        let understood = |filter: &String| env_filter::Builder::new().try_parse(filter).is_ok();
        let filter = asked.clone().filter(understood);
        let ignored = asked.is_some() && filter.is_none();
        let filter = filter.unwrap_or(default);
        let log = env_logger::Builder::new()
            .parse_filters(&filter)
            .format(move |out, record| match (self, record.level()) {
                (LogFormat::Json, level) => {
                    writeln!(out, "{}", json(level, record.target(), record.args().to_string()))
                }
                (LogFormat::Text, Level::Info) => writeln!(out, "{}", record.args()),
                (LogFormat::Text, level) => {
                    writeln!(out, "{}: {}", level.as_str().to_lowercase(), record.args())
                }
            })
            .build();
        let level = log.filter();
        // fails only if there is a log already
        if LogWrapper::new(bars.clone(), log).try_init().is_ok() {
            log::set_max_level(level);
        }
        if ignored {
            log::warn!("RUST_LOG is ignored: expected a filter such as info or outgrow=debug,postgres=info");
        }
        bars
    }

    /// What a run ends with: on stderr whatever the log leaves out. `text` is how people read it.
    pub(super) fn last(self, text: &str, message: &str) {
        let line = match self {
            LogFormat::Text => text.to_owned(),
            LogFormat::Json => json(Level::Error, "outgrow", message.to_owned()),
        };
        // nobody is left to tell if it cannot be written
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

/// What `RUST_LOG` asks for.
fn filter_of_environment() -> Option<String> {
    std::env::var_os("RUST_LOG").map(|filter| filter.to_string_lossy().into_owned())
}

fn json(level: Level, target: &str, message: String) -> String {
    let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let line = Line { time, level: level.as_str().to_lowercase(), target, message };
    serde_json::to_string(&line).unwrap_or_default()
}
