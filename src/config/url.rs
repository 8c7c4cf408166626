//! A connection string taken apart: `postgres://…` or `key=value …` goes in, libpq's parameters by name come out, not
//! yet judged. (PostgreSQL: libpq, "Connection Strings".) No message quotes a part of it that may be a password.

use crate::error::Error;
use percent_encoding::percent_decode_str;

/// Names and values in the order of the string.
pub(super) type Pairs = Vec<(String, String)>;

/// What a URL looks like, for messages.
pub(super) const FORM: &str = "expected postgres://USER:PASSWORD@HOST:PORT/NAME";

const ENCODE: &str = "write %40 for @, %2F for /, %3F for ?, %23 for #, %3A for :, %25 for %";

/// Parses `postgres://`, `postgresql://`, SQLAlchemy's `postgresql+driver://`, or `key=value` pairs. `origin` is where
/// it was given.
///
/// # Errors
/// [`Error::Config`] with what is wrong and the form expected.
pub(super) fn parse(text: &str, origin: &str) -> Result<Pairs, Error> {
    let text = text.trim();
    let parsed = match text.split_once("://") {
        Some((scheme, _)) if scheme.starts_with("sqlite") => Err("this is an SQLite URL, and the target is a \
             PostgreSQL database: expected postgres://…; name the SQLite file with --source or SOURCE_DATABASE_URL"
            .to_owned()),
        Some((scheme, rest)) => match scheme.split('+').next() {
            Some("postgres" | "postgresql") => url(rest),
            // a quote that docker's --env-file keeps, `psql `, `DATABASE_URL=`, `jdbc:`
            _ if scheme.ends_with("postgres") || scheme.ends_with("postgresql") => Err(format!(
                "something stands before postgres://, such as a quote, the variable's name or jdbc: take it away; {FORM}"
            )),
            _ => Err("the scheme is not one of postgres://, postgresql://".to_owned()),
        },
        None if text.contains('=') => key_value(text),
        None => Err(format!("not a database URL: {FORM}")),
    };
    parsed.map_err(|what| Error::Config(format!("{origin}: {what}")))
}

/// What stands behind `postgres://`.
fn url(rest: &str) -> Result<Pairs, String> {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A raw @ / ? # in the password would send a part of it to the resolver as a host name, and so into a message.
    if authority.matches('@').count() > 1 || tail.contains('@') {
        return Err(format!(
            "the user or the password holds a character that must be percent-encoded in a URL: {ENCODE}"
        ));
    }
    let mut pairs = Pairs::new();
    let hosts = match authority.split_once('@') {
        Some((user, hosts)) => {
            let (user, password) =
                user.split_once(':').map_or((user, None), |(user, secret)| (user, Some(secret)));
            pairs.push(("user".into(), decoded(user, "the user")?));
            if let Some(password) = password {
                pairs.push(("password".into(), decoded(password, "the password")?));
            }
            hosts
        }
        None => authority,
    };
    host_list(hosts, &mut pairs)?;
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    pairs.push(("dbname".into(), decoded(path.trim_start_matches('/'), "the name of the database")?));
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some((name, value)) = parameter.split_once('=') else {
            return Err(format!("a parameter has no value: {FORM}?NAME=VALUE&NAME=VALUE"));
        };
        pairs.push((decoded(name, "a parameter's name")?, decoded(value, "a parameter")?));
    }
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(pairs)
}

/// `HOST:PORT,HOST:PORT`, an IPv6 address in brackets. Ports left out altogether leave room for PGPORT.
fn host_list(hosts: &str, pairs: &mut Pairs) -> Result<(), String> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((name, "")) => (name, ""),
                Some((name, port)) if port.starts_with(':') => (name, &port[1..]),
                _ => return Err(format!("an address in brackets does not end: expected [::1]:PORT; {FORM}")),
            },
            None if host.matches(':').count() > 1 => {
                return Err(format!(
                    "a host has more than one colon: an IPv6 address stands in brackets, as [::1]:5432; {FORM}"
                ));
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(decoded(name, "a host")?);
        ports.push(decoded(port, "a port")?);
    }
    pairs.push(("host".into(), names.join(",")));
    if ports.iter().any(|port| !port.is_empty()) {
        pairs.push(("port".into(), ports.join(",")));
    }
    Ok(())
}

/// Without its percent-encoding, which must be whole: `what` names the part, since the part itself may be a secret.
fn decoded(part: &str, what: &str) -> Result<String, String> {
    let whole = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !part.split('%').skip(1).all(whole) {
        return Err(format!("{what} holds a % that is not followed by two hexadecimal digits: {ENCODE}"));
    }
    let text = percent_decode_str(part).decode_utf8();
    text.map(Into::into).map_err(|_| format!("{what} is not UTF-8 after percent-decoding"))
}

/// `key = value` pairs, separated by blanks; a value with blanks stands in `'…'`, and `\` keeps the next character.
fn key_value(text: &str) -> Result<Pairs, String> {
    let wrong =
        || format!("does not parse as KEY=VALUE pairs (a value with blanks needs '…' around it): {FORM}");
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=').ok_or_else(wrong)?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        let behind = behind.trim_start();
        let quoted = behind.starts_with('\'');
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in behind.char_indices().skip(usize::from(quoted)) {
            match c {
                _ if escaped => {
                    value.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '\'' if quoted => {
                    end = Some(at + 1);
                    break;
                }
                _ if !quoted && c.is_whitespace() => {
                    end = Some(at);
                    break;
                }
                _ => value.push(c),
            }
        }
        let end = match end {
            Some(end) => end,
            None if quoted => return Err(wrong()),
            None => behind.len(),
        };
        pairs.push((name.to_owned(), value));
        rest = behind[end..].trim_start();
    }
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> String {
        match parse(text, "--database-url") {
            Ok(pairs) => {
                pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        assert_eq!(
            pairs(
                "postgresql+asyncpg://ana:s%40%2F%C3%A9:x@db:5433/app?ssl=require&options=-csearch_path%3Da"
            ),
            "user=ana password=s@/é:x host=db port=5433 dbname=app ssl=require options=-csearch_path=a"
        );
        assert_eq!(pairs("postgres://a,[::1]:5433,c/app"), "host=a,::1,c port=,5433, dbname=app");
        assert_eq!(pairs("postgres://%2Fvar%2Frun/app"), "host=/var/run dbname=app");
        assert_eq!(pairs("postgres:///app?host=/var/run"), "dbname=app host=/var/run");
        assert_eq!(pairs("postgres://"), "");
    }

    #[test]
    fn pairs_are_taken_apart() {
        assert_eq!(
            pairs("host = db  password='a b\\'c\\\\' user=x\\ y"),
            "host=db password=a b'c\\ user=x y"
        );
    }

    #[test]
    fn what_does_not_parse_is_named_without_its_content() {
        for (text, said) in [
            ("postgres://ana:s3%cret@db/app", "the password holds a % that is not"),
            ("postgres://ana:s3%c@db/app", "%25 for %"),
            ("postgres://ana:s3cret%FF@db/app", "the password is not UTF-8"),
            ("postgres://ana:s3cret@::1/app", "in brackets"),
            ("postgres://ana:s3cret@[::1/app", "does not end"),
            ("postgres://ana:s3cret@db/app?s3cret", "has no value"),
            ("host=db password=s3 cret", "KEY=VALUE"),
            ("host=db password='s3 cret", "KEY=VALUE"),
        ] {
            let message = pairs(text);
            assert!(message.contains(said), "{message}");
            assert!(!message.contains("s3") && !message.contains("cret"), "{message}");
        }
    }
}
