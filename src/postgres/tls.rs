//! TLS by rustls: from what the URL asks ([`config::tls`](crate::config::tls)) to what the driver connects with. The
//! six modes' meaning is libpq's; which certificate is good is decided in [`super::certificate`].

use super::certificate::{Seen, Verifier};
use crate::config::tls::{Mode, Root, Tls};
use crate::error::Error;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What a TLS session is made with, and what was seen of the last one.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) make: MakeRustlsConnect,
    pub(super) seen: Seen,
}

impl Connector {
    /// Reads the certificates and the key that `tls` names; nothing for [`Mode::Disable`].
    ///
    /// # Errors
    /// [`Error::Config`] with the file, and what it should hold.
    pub(super) fn new(tls: &Tls) -> Result<Option<Connector>, Error> {
        if tls.mode == Mode::Disable {
            return Ok(None);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (roots, authorities) = match &tls.root {
            None => (None, Vec::new()),
            Some(Root::System) => (Some(system_roots()?), Vec::new()),
            Some(Root::File(file)) => {
                let authorities = certificates(file)?;
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(authorities.iter().cloned());
                (Some(roots), authorities)
            }
        };
        let seen = Seen::default();
        let verifier = Verifier {
            roots,
            authorities,
            named: tls.mode == Mode::VerifyFull,
            fingerprint: tls.fingerprint,
            algorithms: provider.signature_verification_algorithms,
            seen: seen.clone(),
        };
        let versions = if tls.only_1_3 { &[&rustls::version::TLS13][..] } else { rustls::DEFAULT_VERSIONS };
        let unusable = |error: rustls::Error| Error::Config(format!("TLS: {error}"));
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &tls.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| {
                    Error::Config(format!(
                        "{} and {}: no certificate and its key ({error})",
                        certificate.display(),
                        key.display()
                    ))
                })?,
        };
        config.enable_sni = tls.sni;
        // registered for PostgreSQL; sslnegotiation=direct needs it (PostgreSQL: Protocol Flow, "SSL Session
        // Encryption")
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Some(Connector { make: MakeRustlsConnect::new(config), seen }))
    }
}

/// Every certificate of a PEM file.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, pem::Error>>();
    match read() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Err(pem::Error::Io(error)) => Err(Error::Config(format!("{}: {error}", file.display()))),
        _ => Err(Error::Config(format!("{}: no certificate in PEM in it", file.display()))),
    }
}

/// The first key of a PEM file, which nobody but its owner may read (root's file also its group), as in libpq.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let wrong = |what: String| Error::Config(format!("{}: {what}", file.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = file.metadata().map_err(|error| wrong(error.to_string()))?;
        let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
        if metadata.mode() & others != 0 {
            return Err(wrong(format!(
                "others may read this private key; this keeps it to its owner: chmod 600 {}",
                file.display()
            )));
        }
    }
    PrivateKeyDer::from_pem_file(file).map_err(|error| match error {
        pem::Error::Io(error) => wrong(error.to_string()),
        _ => wrong(
            "no private key in PEM in it that is not encrypted (an encrypted one: openssl pkey -in KEY -out PLAIN)"
                .into(),
        ),
    })
}

/// The CAs that the operating system trusts; SSL_CERT_FILE and SSL_CERT_DIR override where they are.
fn system_roots() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::Config(
            "sslrootcert=system: this system has no certificates of CAs; install its package ca-certificates, or set \
             SSL_CERT_FILE to a file that has them"
                .into(),
        ));
    }
    Ok(roots)
}

/// A name in a certificate as rustls has it, such as `DnsName("localhost")`, without what is around it.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// What rustls names by one word, such as `CertificateRequired` or `UnknownCA`, in several.
fn words(name: &str) -> String {
    if name.contains(' ') {
        return name.to_owned();
    }
    let is_lower = |letter: Option<&char>| letter.is_some_and(char::is_ascii_lowercase);
    let letters: Vec<char> = name.chars().collect();
    let mut words = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let follows_word = at > 0 && is_lower(letters.get(at - 1));
        let begins_word = is_lower(letters.get(at + 1));
        if letter.is_ascii_uppercase() && at > 0 && (follows_word || begins_word) {
            words.push(' ');
        }
        // an abbreviation stays one
        words.push(if begins_word { letter.to_ascii_lowercase() } else { *letter });
    }
    words
}

/// What a failed handshake means, and what to do about it. `seen` is the certificate's fingerprint, if one came.
pub(super) fn explain(error: &rustls::Error, seen: Option<&str>) -> (String, String) {
    let pin = seen.map_or_else(String::new, |seen| {
        format!(
            "; or, if the server's certificate is {seen}, pin it with sslmode=require&sslfingerprint={seen}"
        )
    });
    match error {
        // a CA of the same name with another key
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => (
            "the server's certificate does not lead to a CA in sslrootcert".into(),
            format!("give the file of the CA that signed it{pin}"),
        ),
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => (
            format!(
                "the server's certificate is not for the host of the URL (sslmode=verify-full): it is for {}",
                if presented.is_empty() {
                    "no name".to_owned()
                } else {
                    presented.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
                }
            ),
            format!(
                "use a name that it is for; sslmode=verify-ca with the CA's file leaves the name out{pin}"
            ),
        ),
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => (
            "the server's certificate is not the one that sslfingerprint names".into(),
            format!(
                "if it was renewed, take the new fingerprint from the server itself{}; if not, somebody is in between",
                seen.map_or_else(String::new, |seen| format!(" (this one is {seen})"))
            ),
        ),
        rustls::Error::AlertReceived(alert) => (
            format!("the server refused the TLS session ({})", words(&format!("{alert:?}"))),
            "if it asks for a client certificate, give sslcert and sslkey; its log says more".into(),
        ),
        rustls::Error::InvalidCertificate(problem) => (
            format!("the server's certificate is refused: {}", words(&problem.to_string())),
            format!("renew it on the server{pin}"),
        ),
        other => (
            format!("TLS failed: {other}"),
            "check that this is a PostgreSQL server; its log says more".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn names_are_taken_apart_into_words() {
        assert_eq!(words("CertificateRequired"), "certificate required");
        assert_eq!(words("UnknownCA"), "unknown CA");
        assert_eq!(words("UnknownPSKIdentity"), "unknown PSK identity");
        assert_eq!(words("it is said already"), "it is said already");
    }
}
