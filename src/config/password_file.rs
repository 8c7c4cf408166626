//! The password file: `passfile`, PGPASSFILE or `~/.pgpass`. Lines of `host:port:database:user:password`, `*` for any,
//! `\` before `:` and `\`; the first that fits counts. (PostgreSQL: libpq, "The Password File".)

use super::database::{Endpoint, Host};
use std::path::{Path, PathBuf};

/// Gives each endpoint its password, where the file has one. A file that others may read is not used, as in libpq.
pub(super) fn fill(endpoints: &mut [Endpoint], database: &str, user: &str, named: Option<&str>) {
    let home = || std::env::home_dir().map(|home| home.join(".pgpass"));
    let Some(file) = named.map(PathBuf::from).or_else(home) else { return };
    match readable(&file) {
        Ok(()) => {}
        Err(_) if named.is_none() && !file.exists() => return,
        Err(why) => {
            log::warn!("the password file {} is not used: {why}", file.display());
            return;
        }
    }
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            log::warn!("the password file {} is not used: {error}", file.display());
            return;
        }
    };
    for endpoint in endpoints {
        let host = match &endpoint.host {
            Host::Unix(folder) => folder.to_string_lossy().into_owned(),
            Host::Tcp(name, _) => name.clone(),
        };
        let port = endpoint.port.to_string();
        let wanted = [host.as_str(), &port, database, user];
        let password =
            text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password(line, &wanted));
        endpoint.set_password(password);
    }
}

/// The password of a line that fits.
fn password(line: &str, wanted: &[&str]) -> Option<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ':' if fields.len() <= wanted.len() => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(characters.next()),
            c => fields.last_mut()?.push(c),
        }
    }
    let password = fields.pop()?;
    let fits = fields.len() == wanted.len()
        && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
    (fits && !password.is_empty()).then_some(password)
}

#[cfg(unix)]
fn readable(file: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("others may read it; this keeps it to its owner: chmod 600 {}", file.display()));
    }
    if metadata.is_file() { Ok(()) } else { Err("it is not a file".into()) }
}

#[cfg(not(unix))]
fn readable(file: &Path) -> Result<(), String> {
    if file.is_file() { Ok(()) } else { Err("it is not a file".into()) }
}

#[cfg(test)]
mod tests {
    use super::password;

    #[test]
    fn a_line_fits_or_does_not() {
        let wanted = ["db", "5432", "app", "ana"];
        for (line, expected) in [
            ("db:5432:app:ana:s3cret", Some("s3cret")),
            ("*:*:*:*:a:b\\\\c\\:d", Some("a:b\\c:d")),
            ("db:5433:app:ana:s3cret", None),
            ("db:5432:app:ana", None),
            ("db:5432:app:ana:", None),
            ("", None),
        ] {
            assert_eq!(password(line, &wanted).as_deref(), expected, "{line}");
        }
        assert_eq!(password("\\::1\\\\:x:*:s", &[":", "1\\", "x", "y"]).as_deref(), Some("s"));
        assert_eq!(password("\\:\\:1:1:*:*:s", &["::1", "1", "x", "y"]).as_deref(), Some("s"));
    }
}
