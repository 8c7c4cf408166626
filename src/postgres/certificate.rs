//! Whether a server's certificate is good. In goes what the mode asks for: a fingerprint, CAs, the host's name, or
//! nothing; that the server holds the certificate's key is asked always, since channel binding rests on it.
//!
//! webpki refuses a server certificate that is itself marked as a CA, as OpenSSL's defaults make them and some hosts
//! have them (Railway). One such is accepted here if a CA of the file signed it directly, or if it is in the file
//! itself, and everything else about it is in order. (RFC 5280, section 6; OpenSSL accepts the same.)

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode, EncodeValue};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName};

/// The fingerprint of the certificate in the last handshake, as `sha256:…`.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Option<String>>>);

impl Seen {
    /// Takes it, so that the next handshake starts without one.
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, digest: &[u8]) {
        let mut text = "sha256:".to_owned();
        for byte in digest {
            // writing to a string cannot fail
            let _ = write!(text, "{byte:02x}");
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// What is asked of a server's certificate. With no CAs and no fingerprint: nothing, as `sslmode=require` has it.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The CAs that the certificate must lead to.
    pub(super) roots: Option<RootCertStore>,
    /// The same, as they stand in the file that was given; none for the system's.
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// It must be for the host.
    pub(super) named: bool,
    /// It must be this one.
    pub(super) fingerprint: Option<[u8; 32]>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) seen: Seen,
}

impl Verifier {
    /// Whether the certificate leads to one of the CAs.
    fn trusted(
        &self,
        roots: &RootCertStore,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let marked = Certificate::from_der(server).ok().filter(is_ca);
        if let Some(marked) = marked.filter(|_| !self.authorities.is_empty()) {
            let listed = self.authorities.iter().any(|authority| **authority == **server);
            let issuers = self.authorities.iter().filter_map(|der| Certificate::from_der(der).ok());
            let mut issuers = issuers.filter(|issuer| issues(issuer, &marked, now));
            if !serves(&marked, now)? {
                return Err(CertificateError::InvalidPurpose.into());
            }
            if listed || issuers.any(|issuer| self.signed(&issuer, &marked).is_some()) {
                return Ok(());
            }
            return Err(CertificateError::UnknownIssuer.into());
        }
        let parsed = ParsedCertificate::try_from(server)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, self.algorithms.all)
    }

    /// Whether the signature on `subject` is by the key of `issuer`.
    fn signed(&self, issuer: &Certificate, subject: &Certificate) -> Option<()> {
        let signed = subject.tbs_certificate.to_der().ok()?;
        let signature = subject.signature.as_bytes()?;
        let key = &issuer.tbs_certificate.subject_public_key_info;
        let (key_algorithm, algorithm) = (content(&key.algorithm)?, content(&subject.signature_algorithm)?);
        let fitting = self.algorithms.all.iter().filter(|candidate| {
            candidate.public_key_alg_id().as_ref() == key_algorithm
                && candidate.signature_alg_id().as_ref() == algorithm
        });
        let key = key.subject_public_key.as_bytes()?;
        let mut fitting = fitting.map(|candidate| candidate.verify_signature(key, &signed, signature));
        fitting.any(|verified| verified.is_ok()).then_some(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest = Sha256::digest(server);
        self.seen.set(&digest);
        if self.fingerprint.is_some_and(|expected| expected[..] != digest[..]) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        // a pinned certificate needs no CA, unless the mode asks for one
        if let Some(roots) = &self.roots {
            self.trusted(roots, server, intermediates, now)?;
        }
        if self.named {
            verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, server, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, server, signature, &self.algorithms).or_else(|error| {
            // webpki does not read certificates of X.509 version 1, which `openssl x509 -req` makes: their key is
            // enough
            let Ok(parsed) = Certificate::from_der(server) else { return Err(error) };
            let Ok(key) = parsed.tbs_certificate.subject_public_key_info.to_der() else { return Err(error) };
            let key = SubjectPublicKeyInfoDer::from(key);
            verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// An `AlgorithmIdentifier` as rustls compares it: without its outer header.
fn content<T: Encode + EncodeValue>(algorithm: &T) -> Option<Vec<u8>> {
    let mut der = algorithm.to_der().ok()?;
    let length = usize::try_from(algorithm.value_len().ok()?).ok()?;
    Some(der.split_off(der.len().checked_sub(length)?))
}

fn is_ca(certificate: &Certificate) -> bool {
    matches!(certificate.tbs_certificate.get::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca)
}

fn in_time(certificate: &Certificate, now: UnixTime) -> Result<(), Error> {
    let validity = &certificate.tbs_certificate.validity;
    match now.as_secs() {
        now if now < validity.not_before.to_unix_duration().as_secs() => {
            Err(CertificateError::NotValidYet.into())
        }
        now if now > validity.not_after.to_unix_duration().as_secs() => Err(CertificateError::Expired.into()),
        _ => Ok(()),
    }
}

/// Every extension that must be understood is one that is looked at here; a CA that is limited to some names is not.
fn understood(certificate: &Certificate) -> bool {
    const KNOWN: [ObjectIdentifier; 4] =
        [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID, SubjectAltName::OID];
    let extensions = certificate.tbs_certificate.extensions.iter().flatten();
    extensions.into_iter().all(|extension| {
        KNOWN.contains(&extension.extn_id) || !extension.critical && extension.extn_id != NameConstraints::OID
    })
}

/// Whether the certificate may stand for a server now.
fn serves(certificate: &Certificate, now: UnixTime) -> Result<bool, Error> {
    /// `id-kp-serverAuth` and `anyExtendedKeyUsage` (RFC 5280, section 4.2.1.12).
    const SERVER: [&str; 2] = ["1.3.6.1.5.5.7.3.1", "2.5.29.37.0"];
    in_time(certificate, now)?;
    let purpose = match certificate.tbs_certificate.get::<ExtendedKeyUsage>() {
        Ok(None) => true,
        Ok(Some((_, usage))) => usage.0.iter().any(|usage| SERVER.contains(&usage.to_string().as_str())),
        Err(_) => false,
    };
    Ok(purpose && understood(certificate))
}

/// Whether `issuer` is a CA, in time, that may have signed `subject`.
fn issues(issuer: &Certificate, subject: &Certificate, now: UnixTime) -> bool {
    let may_sign = match issuer.tbs_certificate.get::<KeyUsage>() {
        Ok(None) => true,
        Ok(Some((_, usage))) => usage.key_cert_sign(),
        Err(_) => false,
    };
    is_ca(issuer)
        && may_sign
        && understood(issuer)
        && in_time(issuer, now).is_ok()
        && issuer.tbs_certificate.subject == subject.tbs_certificate.issuer
        && subject.signature_algorithm == subject.tbs_certificate.signature
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
        KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
    };

    fn ca(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// What `verify-ca` says of a certificate made from `server`, signed by a CA made from `authority`, with that CA in
    /// the file, or another of its name.
    fn verified(server: CertificateParams, authority: CertificateParams, trusted: bool) -> Result<(), Error> {
        let keys = [(); 3].map(|()| KeyPair::generate().expect("a key"));
        let [key, server_key, other_key] = keys;
        let listed =
            if trusted { authority.self_signed(&key) } else { ca("root-ca").self_signed(&other_key) };
        let listed = listed.expect("a certificate").der().clone();
        let server = server.signed_by(&server_key, &Issuer::new(authority, key)).expect("a certificate");
        verify(server.der(), listed)
    }

    fn verify(server: &CertificateDer<'static>, listed: CertificateDer<'static>) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates([listed.clone()]);
        let verifier = Verifier {
            roots: Some(roots),
            authorities: vec![listed],
            named: false,
            fingerprint: None,
            algorithms: rustls::crypto::ring::default_provider().signature_verification_algorithms,
            seen: Seen::default(),
        };
        let name = ServerName::try_from("db.example").expect("a name");
        verifier.verify_server_cert(server, &[], &name, &[], UnixTime::now()).map(|_| ())
    }

    #[test]
    fn a_server_marked_as_a_ca_is_taken_from_its_ca_alone() {
        assert_eq!(verified(ca("localhost"), ca("root-ca"), true), Ok(()));
        // the same name, another key
        assert_eq!(
            verified(ca("localhost"), ca("root-ca"), false),
            Err(CertificateError::UnknownIssuer.into())
        );
        // its own key is no CA's
        let (key, other) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let itself = ca("localhost").self_signed(&key).expect("a certificate").der().clone();
        assert_eq!(verify(&itself, itself.clone()), Ok(()));
        let listed = ca("localhost").self_signed(&other).expect("a certificate").der().clone();
        assert_eq!(verify(&itself, listed), Err(CertificateError::UnknownIssuer.into()));
    }

    #[test]
    fn and_only_if_all_else_is_in_order() {
        let mut over = ca("localhost");
        over.not_after = date_time_ymd(2001, 1, 1);
        assert_eq!(verified(over, ca("root-ca"), true), Err(CertificateError::Expired.into()));
        let mut early = ca("localhost");
        early.not_before = date_time_ymd(4000, 1, 1);
        assert_eq!(verified(early, ca("root-ca"), true), Err(CertificateError::NotValidYet.into()));
        let mut of_a_client = ca("localhost");
        of_a_client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        assert_eq!(verified(of_a_client, ca("root-ca"), true), Err(CertificateError::InvalidPurpose.into()));

        let mut over = ca("root-ca");
        over.not_after = date_time_ymd(2001, 1, 1);
        let mut no_signer = ca("root-ca");
        no_signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let mut no_ca = ca("root-ca");
        no_ca.is_ca = IsCa::ExplicitNoCa;
        let mut limited = ca("root-ca");
        limited.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example".to_owned())],
            excluded_subtrees: Vec::new(),
        });
        for authority in [over, no_signer, no_ca, limited] {
            assert_eq!(
                verified(ca("localhost"), authority, true),
                Err(CertificateError::UnknownIssuer.into())
            );
        }
    }
}
