//! libpq's parameters and their PG* variables: what each means here, and where each value came from. (PostgreSQL:
//! libpq, "Parameter Key Words" and "Environment Variables".) None is dropped in silence: what has no effect is named
//! once, and what would make the connection weaker than asked is refused.

use super::environment::Environment;
use super::service_file;
use super::url::Pairs;
use crate::cli::is_url;
use crate::error::Error;
use std::collections::BTreeMap;
use std::time::Duration;

/// What becomes of a parameter.
#[derive(PartialEq)]
enum Use {
    Honoured,
    /// Without effect here, unless it has this value, which is what happens anyway.
    Ignored(&'static str),
    /// Asks for a protection that is not there, unless it has this value.
    Refused(&'static str),
}
use Use::{Honoured, Ignored, Refused};

/// Name, variable, use. The last is ours.
const PARAMETERS: &[(&str, &str, Use)] = &[
    ("host", "PGHOST", Honoured),
    ("hostaddr", "PGHOSTADDR", Honoured),
    ("port", "PGPORT", Honoured),
    ("user", "PGUSER", Honoured),
    ("password", "PGPASSWORD", Honoured),
    ("passfile", "PGPASSFILE", Honoured),
    ("dbname", "PGDATABASE", Honoured),
    ("options", "PGOPTIONS", Honoured),
    ("application_name", "PGAPPNAME", Honoured),
    ("fallback_application_name", "", Honoured),
    ("connect_timeout", "PGCONNECT_TIMEOUT", Honoured),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", Honoured),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", Honoured),
    ("keepalives", "", Honoured),
    ("keepalives_idle", "", Honoured),
    ("keepalives_interval", "", Honoured),
    ("keepalives_count", "", Honoured),
    ("tcp_user_timeout", "", Honoured),
    ("channel_binding", "PGCHANNELBINDING", Honoured),
    ("sslmode", "PGSSLMODE", Honoured),
    ("sslnegotiation", "PGSSLNEGOTIATION", Honoured),
    ("sslrootcert", "PGSSLROOTCERT", Honoured),
    ("sslcert", "PGSSLCERT", Honoured),
    ("sslkey", "PGSSLKEY", Honoured),
    ("sslsni", "PGSSLSNI", Honoured),
    ("sslpassword", "", Ignored("")),
    ("sslcompression", "PGSSLCOMPRESSION", Ignored("0")),
    ("sslkeylogfile", "", Ignored("")),
    ("sslcertmode", "PGSSLCERTMODE", Refused("allow, disable")),
    ("sslcrl", "PGSSLCRL", Refused("")),
    ("sslcrldir", "PGSSLCRLDIR", Refused("")),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Honoured),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Ignored("TLSv1.3")),
    ("require_auth", "PGREQUIREAUTH", Refused("")),
    ("requirepeer", "PGREQUIREPEER", Refused("")),
    ("gssencmode", "PGGSSENCMODE", Refused("disable, prefer")),
    ("gssdelegation", "PGGSSDELEGATION", Ignored("0")),
    ("gsslib", "PGGSSLIB", Ignored("")),
    ("krbsrvname", "PGKRBSRVNAME", Ignored("")),
    ("client_encoding", "PGCLIENTENCODING", Ignored("UTF8, utf8, utf-8, UTF-8, auto")),
    ("replication", "", Ignored("false, off, no, 0")),
    ("service", "PGSERVICE", Honoured),
    ("servicefile", "PGSERVICEFILE", Honoured),
    ("scram_client_key", "", Ignored("")),
    ("scram_server_key", "", Ignored("")),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", Ignored("3.0")),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION", Ignored("3.0")),
    ("datestyle", "PGDATESTYLE", Ignored("")),
    ("timezone", "PGTZ", Ignored("")),
    ("geqo", "PGGEQO", Ignored("")),
    ("sslfingerprint", "OUTGROW_SSLFINGERPRINT", Honoured),
];

/// The parameters of one connection, each with the place it came from, for messages.
pub(super) struct Parameters {
    /// Where the connection string was given.
    origin: String,
    values: Values,
}

/// By libpq's name: the value, and the place it came from.
type Values = BTreeMap<&'static str, (String, String)>;

impl Parameters {
    /// What the string says; where it is silent what the service says that it or PGSERVICE names, and then the PG*
    /// variables. Names what is ignored in one line.
    ///
    /// # Errors
    /// [`Error::Config`] for a parameter given twice, one that is unknown and may be a protection misspelled, and one
    /// that asks for a protection that is not there.
    pub(super) fn merge(pairs: Pairs, origin: &str, env: &Environment) -> Result<Parameters, Error> {
        let mut parameters = Parameters { origin: origin.to_owned(), values: Values::new() };
        let mut ignored = Vec::new();
        parameters.values = taken(pairs, origin, &mut ignored)?;
        parameters.fill_from_service(env, &mut ignored)?;
        // the address of another host would lead elsewhere than the string says
        let located = parameters.get("host").or(parameters.get("hostaddr")).is_some();
        for (name, variable, _) in PARAMETERS.iter().filter(|(_, variable, _)| !variable.is_empty()) {
            let elsewhere = located && ["host", "hostaddr"].contains(name);
            if parameters.get(name).is_none()
                && !elsewhere
                && let Some(found) = env.get(variable)
            {
                parameters.values.insert(name, found);
            }
        }
        parameters.require_no_url()?;
        ignored.extend(parameters.without_effect()?);
        if !ignored.is_empty() {
            log::warn!("{origin}: without effect here, and ignored: {}", ignored.join(", "));
        }
        Ok(parameters)
    }

    /// What the named service says, if one is named.
    fn fill_from_service(&mut self, env: &Environment, ignored: &mut Vec<String>) -> Result<(), Error> {
        for (name, variable) in [("service", "PGSERVICE"), ("servicefile", "PGSERVICEFILE")] {
            if let (None, Some(found)) = (self.get(name), env.get(variable)) {
                self.values.insert(name, found);
            }
        }
        let Some(service) = self.get("service") else { return Ok(()) };
        let folder = env.get("PGSYSCONFDIR").map(|(folder, _)| folder);
        let (file, pairs) = service_file::find(service, self.get("servicefile"), folder.as_deref())
            .map_err(|what| self.wrong("service", &what))?;
        let located = self.get("host").or(self.get("hostaddr")).is_some();
        for (name, found) in taken(pairs, &file.display().to_string(), ignored)? {
            if !(located && ["host", "hostaddr"].contains(&name)) {
                self.values.entry(name).or_insert(found);
            }
        }
        Ok(())
    }

    /// A whole URL in the place of a host or a file would be quoted by every message about it, its password included.
    fn require_no_url(&self) -> Result<(), Error> {
        let quoted = |name: &&&str| !["password", "options"].contains(*name);
        let url = self.values.iter().filter(|(name, (value, _))| quoted(name) && is_url(value));
        match url.map(|(name, _)| name).next() {
            Some(name) => Err(self
                .wrong(name, "this is a URL, and a part of one is expected: it belongs into DATABASE_URL")),
            None => Ok(()),
        }
    }

    /// The parameters that are set and do nothing.
    fn without_effect(&self) -> Result<Vec<String>, Error> {
        let mut ignored = Vec::new();
        for (name, variable, r#use) in PARAMETERS {
            let Some((value, place)) = self.values.get(name) else { continue };
            let is = |values: &str| values.split(", ").any(|one| one == value);
            match r#use {
                Refused(unless) if !is(unless) => {
                    return Err(Error::Config(format!(
                        "{place} asks for a protection that outgrow does not have: remove it{}",
                        if unless.is_empty() {
                            String::new()
                        } else {
                            format!(", or write one of: {unless}")
                        }
                    )));
                }
                Ignored(unless) if !is(unless) => {
                    ignored.push((*if place.starts_with("PG") { variable } else { name }).to_owned());
                }
                _ => {}
            }
        }
        Ok(ignored)
    }

    /// Its value, if it is set.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    /// The error that calls the parameter by the place it was given in. It never shows the value.
    pub(super) fn wrong(&self, name: &str, what: &str) -> Error {
        let place = self.values.get(name).map_or(&self.origin, |(_, place)| place);
        Error::Config(format!("{place}: {what}"))
    }

    /// One of these, by its name.
    ///
    /// # Errors
    /// [`Error::Config`] with all the names.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match choices.iter().find(|(choice, _)| *choice == value) {
            Some((_, chosen)) => Ok(Some(*chosen)),
            None => {
                let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
                Err(self.wrong(name, &format!("expected one of {}", names.join(", "))))
            }
        }
    }

    /// A whole number; zero and less mean the default, as in libpq.
    ///
    /// # Errors
    /// [`Error::Config`] if it is no number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number: i32 = value.trim().parse().map_err(|_| self.wrong(name, "expected a whole number"))?;
        Ok(u32::try_from(number).ok().filter(|number| *number > 0))
    }

    /// A number of seconds.
    ///
    /// # Errors
    /// As [`Parameters::number`].
    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, Error> {
        Ok(self.number(name)?.map(|seconds| Duration::from_secs(seconds.into())))
    }
}

/// The pairs that `origin` gives, by libpq's names; those that libpq does not have go to `ignored`.
fn taken(pairs: Pairs, origin: &str, ignored: &mut Vec<String>) -> Result<Values, Error> {
    let (mut values, mut after_password) = (Values::new(), false);
    for (name, value) in pairs {
        let (name, value) = spelled_as_libpq(name, value);
        let place = format!("{origin}: {name}");
        let Some((name, ..)) = PARAMETERS.iter().find(|(known, ..)| *known == name) else {
            ignored.push(foreign(&name, origin, after_password)?);
            continue;
        };
        after_password = *name == "password";
        let before = values.insert(name, (value.clone(), place.clone()));
        if before.is_some_and(|(before, _)| before != value) {
            return Err(Error::Config(format!("{place} is given twice, with different values")));
        }
    }
    Ok(values)
}

/// asyncpg's `ssl=MODE`, and JDBC's `ssl=true`, which libpq reads as `sslmode=require`.
fn spelled_as_libpq(name: String, value: String) -> (String, String) {
    if name != "ssl" {
        return (name, value);
    }
    let mode = match value.as_str() {
        "true" | "1" | "on" => "require",
        "false" | "0" | "off" => "disable",
        mode => mode,
    };
    ("sslmode".into(), mode.to_owned())
}

/// The name of a parameter that libpq does not have: applications put their drivers' and pools' into the same URL. One
/// that sounds like a protection is refused, since it may be one misspelled.
fn foreign(name: &str, origin: &str, after_password: bool) -> Result<String, Error> {
    if after_password {
        return Err(Error::Config(format!(
            "{origin}: what follows the password is no parameter that PostgreSQL's clients have: a password with blanks stands in \
             '…', and & in a URL is written %26; or move the parameter to another place"
        )));
    }
    // what is no plain word may be a part of the password
    let plain = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let shown = if plain { name } else { "a parameter" };
    let lower = name.to_lowercase();
    let sounds = ["ssl", "tls", "cert", "auth", "channel", "verif", "host", "pass", "user", "target"];
    if !plain || sounds.iter().any(|word| lower.contains(word)) {
        return Err(Error::Config(format!(
            "{origin}: {shown} is no parameter that PostgreSQL's clients have: expected postgres://…?sslmode=…, sslrootcert, \
             sslcert, sslkey, application_name, connect_timeout, options or the like; correct or remove it"
        )));
    }
    Ok(shown.to_owned())
}
