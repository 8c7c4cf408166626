//! The process environment over `.env` of the current folder.

use crate::error::Error;
use std::collections::HashMap;
use std::path::Path;

/// Where a value stood: the environment wins over the file, name by name.
pub(super) struct Environment {
    process: HashMap<String, String>,
    dot_env: HashMap<String, String>,
}

impl Environment {
    /// Reads both.
    ///
    /// # Errors
    /// [`Error::Config`] for a `.env` that does not parse, with the line.
    pub(super) fn read() -> Result<Environment, Error> {
        let file = Path::new(".env");
        let dot_env = if file.is_file() {
            let text = std::fs::read_to_string(file).map_err(dotenvy::Error::Io);
            text.and_then(|text| parsed(&text)).map_err(|error| unreadable_dot_env(&error))?
        } else {
            HashMap::new()
        };
        // a name or value that is not UTF-8 is none that we read
        let process = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Environment { process: process.collect(), dot_env })
    }

    /// The value and where it stood. An empty value counts as unset, as platforms inject them.
    pub(super) fn get(&self, name: &str) -> Option<(String, String)> {
        self.first(&[name]).or_else(|| self.first_in_file(&[name]))
    }

    /// The first of these names that is set in the environment.
    pub(super) fn first(&self, names: &[&str]) -> Option<(String, String)> {
        names.iter().find_map(|name| Some((set(&self.process, name)?, (*name).to_owned())))
    }

    /// The first of these names that is set in `.env`.
    pub(super) fn first_in_file(&self, names: &[&str]) -> Option<(String, String)> {
        names.iter().find_map(|name| Some((set(&self.dot_env, name)?, format!("{name} in .env"))))
    }

    /// Whether a variable of this name is in the environment, whatever its value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.process.contains_key(name)
    }
}

/// What `text` sets. Other parsers take lines that this one does not, and those of names that nobody here reads are
/// theirs: they are passed over, one by one, since a quote that is left open takes the lines behind it with it.
fn parsed(text: &str) -> Result<HashMap<String, String>, dotenvy::Error> {
    // editors of Windows begin a file with a byte-order mark: it is no part of the first name
    let mut lines: Vec<&str> = text.strip_prefix('\u{feff}').unwrap_or(text).lines().collect();
    loop {
        match dotenvy::from_read_iter(lines.join("\n").as_bytes()).collect() {
            Err(dotenvy::Error::LineParse(found, at)) => {
                // the line, or the rest of it from the value on
                let rest = found.lines().next().unwrap_or_default().trim();
                let line = lines.iter().position(|line| !rest.is_empty() && line.trim().ends_with(rest));
                match line.filter(|line| !may_be_read(lines[*line])) {
                    Some(line) => drop(lines.remove(line)),
                    None => return Err(dotenvy::Error::LineParse(found, at)),
                }
            }
            parsed => return parsed,
        }
    }
}

/// Whether a line may be about a name that is read here, or belong to the value of one.
fn may_be_read(line: &str) -> bool {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let name = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    let sets = line[name.len()..].trim_start().starts_with('=');
    !sets
        || name.is_empty()
        || name.starts_with("PG")
        || name.starts_with("OUTGROW")
        || name.ends_with("_URL")
}

fn set(values: &HashMap<String, String>, name: &str) -> Option<String> {
    values.get(name).filter(|value| !value.trim().is_empty()).cloned()
}

/// The library's message quotes the line, which may be a password: say where it is instead.
fn unreadable_dot_env(error: &dotenvy::Error) -> Error {
    Error::Config(match error {
        dotenvy::Error::LineParse(line, at) => {
            let lines = std::fs::read_to_string(".env").unwrap_or_default();
            let number = lines.find(line.trim()).map(|offset| lines[..offset].matches('\n').count());
            format!(
                ".env{}: not NAME=VALUE at character {at} (a value with blanks, quotes or # needs '…' around it)",
                number.map_or_else(String::new, |number| format!(":{}", number + 1))
            )
        }
        dotenvy::Error::Io(error) => format!(".env: {error}"),
        _ => ".env: cannot be read".to_owned(),
    })
}
