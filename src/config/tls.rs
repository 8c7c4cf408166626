//! How the connection is to be protected: libpq's `ssl…` parameters, judged; nothing is read yet. (PostgreSQL: libpq,
//! "SSL Support".)

use super::parameter::Parameters;
use crate::error::Error;
use std::fmt;
use std::path::PathBuf;

/// `sslmode`, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Never TLS.
    Disable,
    /// TLS if the server refuses anything else.
    Allow,
    /// TLS if the server offers it.
    Prefer,
    /// TLS, to whoever answers; to a server of the given CA if there is a `sslrootcert`.
    Require,
    /// TLS, to a server whose certificate leads to the CA.
    VerifyCa,
    /// And the certificate is for the host of the URL.
    VerifyFull,
}

/// As libpq spells them, weakest first.
const MODES: [(&str, Mode); 6] = [
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = MODES.iter().find(|(_, mode)| mode == self);
        f.write_str(mode.map_or("", |(name, _)| name))
    }
}

/// Whose signature a server's certificate must lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// The CAs that the system trusts.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

/// How the connection is to be protected.
#[derive(Debug, Clone)]
pub struct Tls {
    /// `sslmode`.
    pub mode: Mode,
    /// `sslrootcert`, or `~/.postgresql/root.crt` where there is one. [`Mode::VerifyCa`] and above always have one.
    pub root: Option<Root>,
    /// The certificate and key of the client, PEM: `sslcert` and `sslkey`, or those in `~/.postgresql`.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The SHA-256 of the one certificate that is accepted.
    pub fingerprint: Option<[u8; 32]>,
    /// Whether the host's name is sent in the clear, as proxies need it.
    pub sni: bool,
    /// TLS 1.2 is not enough.
    pub only_1_3: bool,
}

impl Tls {
    /// # Errors
    /// [`Error::Config`] for a value that is not known, a file that is named and missing, and parameters that exclude
    /// each other.
    pub(super) fn new(parameters: &Parameters) -> Result<Tls, Error> {
        let asked = parameters.choice("sslmode", &MODES)?;
        let fingerprint = match parameters.get("sslfingerprint") {
            Some(text) => Some(parse_fingerprint(text).ok_or_else(|| {
                parameters.wrong("sslfingerprint", "expected sha256: and 64 hexadecimal digits")
            })?),
            None => None,
        };
        let system = parameters.get("sslrootcert") == Some("system");
        let mode = asked.unwrap_or(match () {
            () if system => Mode::VerifyFull,
            () if fingerprint.is_some() => Mode::Require,
            () => Mode::Prefer,
        });
        if system && mode != Mode::VerifyFull {
            // anybody can have a certificate from one of those CAs
            return Err(parameters.wrong("sslmode", "sslrootcert=system needs sslmode=verify-full"));
        }
        if fingerprint.is_some() && mode < Mode::Require {
            return Err(parameters.wrong("sslmode", "a fingerprint needs sslmode=require or stronger"));
        }
        let minimum = [("TLSv1", false), ("TLSv1.1", false), ("TLSv1.2", false), ("TLSv1.3", true)];
        Ok(Tls {
            mode,
            root: root(parameters, mode)?,
            client: client(parameters, mode)?,
            fingerprint,
            sni: parameters.choice("sslsni", &[("0", false), ("1", true)])?.unwrap_or(true),
            only_1_3: parameters.choice("ssl_min_protocol_version", &minimum)?.unwrap_or(false),
        })
    }
}

/// A file of `~/.postgresql`, if it is there.
fn at_home(name: &str) -> Option<PathBuf> {
    let file = std::env::home_dir()?.join(".postgresql").join(name);
    file.is_file().then_some(file)
}

fn root(parameters: &Parameters, mode: Mode) -> Result<Option<Root>, Error> {
    let root = match parameters.get("sslrootcert") {
        _ if mode == Mode::Disable => None,
        Some("system") => Some(Root::System),
        Some(file) if PathBuf::from(file).is_file() => Some(Root::File(file.into())),
        Some(file) => return Err(parameters.wrong("sslrootcert", &format!("no such file: {file}"))),
        // a pinned certificate needs no CA that nobody named for it
        None if mode == Mode::Require && parameters.get("sslfingerprint").is_some() => None,
        None => at_home("root.crt").map(Root::File),
    };
    if mode >= Mode::VerifyCa && root.is_none() {
        return Err(parameters.wrong(
            "sslmode",
            "verifying needs to know the CA: add sslrootcert=FILE with its certificate, or sslrootcert=system and \
             sslmode=verify-full for the CAs of the operating system",
        ));
    }
    Ok(root)
}

fn client(parameters: &Parameters, mode: Mode) -> Result<Option<(PathBuf, PathBuf)>, Error> {
    if mode == Mode::Disable || parameters.get("sslcertmode") == Some("disable") {
        return Ok(None);
    }
    let certificate = match parameters.get("sslcert") {
        Some(file) if PathBuf::from(file).is_file() => PathBuf::from(file),
        Some(file) => return Err(parameters.wrong("sslcert", &format!("no such file: {file}"))),
        None => match at_home("postgresql.crt") {
            Some(file) => file,
            None => return Ok(None),
        },
    };
    match parameters.get("sslkey").map_or_else(|| at_home("postgresql.key"), |file| Some(file.into())) {
        Some(key) if key.is_file() => Ok(Some((certificate, key))),
        Some(key) => Err(parameters.wrong("sslkey", &format!("no such file: {}", key.display()))),
        None => Err(parameters.wrong("sslcert", "the certificate needs its key: add sslkey=FILE")),
    }
}

/// `sha256:` and hexadecimal digits, with colons or without, as OpenSSL prints them.
fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits = text.trim().to_lowercase().replace("sha256:", "").replace(':', "");
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_as_openssl_prints_them() {
        let plain = format!("sha256:{}", "0aFF".repeat(16));
        let colons = format!("SHA256:{}", ["0A:FF"; 16].join(":"));
        assert_eq!(parse_fingerprint(&plain), parse_fingerprint(&colons));
        assert_eq!(parse_fingerprint(&plain).map(|bytes| bytes[31]), Some(0xff));
        for wrong in
            ["sha256:", "sha1:00", &plain[..plain.len() - 1], &plain.replace('F', "+"), &"é".repeat(32)]
        {
            assert_eq!(parse_fingerprint(wrong), None, "{wrong}");
        }
    }
}
