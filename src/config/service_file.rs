//! The connection service file: parameters under a name. `[NAME]`, then `parameter=value` lines, `#` for comments.
//! (PostgreSQL: libpq, "The Connection Service File".)

use super::url::Pairs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder of the system's file, as Debian has it, unless PGSYSCONFDIR names another.
const SYSTEM: &str = "/etc/postgresql-common";

/// What the file says of `service`, and which file: the `named` one or `~/.pg_service.conf`, then the system's, in
/// `folder`.
///
/// # Errors
/// Where was looked in vain; a line that is not understood, by its number; a file that cannot be read.
pub(super) fn find(
    service: &str,
    named: Option<&str>,
    folder: Option<&str>,
) -> Result<(PathBuf, Pairs), String> {
    let own = match named {
        Some(file) => Some(PathBuf::from(file)),
        None => std::env::home_dir().map(|home| home.join(".pg_service.conf")),
    };
    let system = Path::new(folder.unwrap_or(SYSTEM)).join("pg_service.conf");
    let mut looked = Vec::new();
    for file in own.into_iter().chain([system]) {
        let shown = file.display().to_string();
        match std::fs::read_to_string(&file) {
            Ok(text) => match section(&text, service) {
                Ok(Some(pairs)) => return Ok((file, pairs)),
                Ok(None) => {}
                Err(line) => return Err(format!("{shown}:{line}: expected NAME=VALUE")),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{shown}: {error}")),
        }
        looked.push(shown);
    }
    let looked = looked.join(" nor in ");
    Err(format!("no such service in {looked}: expected its name there in [ ], and host=…, dbname=… below it"))
}

/// The lines below `[service]`, if it is there; or the number of one that has no `=`.
fn section(text: &str, service: &str) -> Result<Option<Pairs>, usize> {
    let mut found: Option<Pairs> = None;
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if name.strip_suffix(']') == Some(service) {
                found = Some(Pairs::new());
            }
        } else if let Some(pairs) = &mut found {
            let (name, value) = line.split_once('=').ok_or(at + 1)?;
            pairs.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn a_service_is_its_lines_up_to_the_next() {
        let text = "# mine\n[other]\nno pair\n[app]\nhost=db\n\n  password=a=b #c  \n[last]\nhost=x\n";
        let pairs = |list: &[(&str, &str)]| {
            Some(list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(section(text, "app"), Ok(pairs(&[("host", "db"), ("password", "a=b #c")])));
        assert_eq!(section(text, "other"), Err(3));
        assert_eq!(section(text, "app]"), Ok(None));
    }
}
