//! A second server, with TLS: certificates made here, a pg_hba.conf in which a role's name says how it may come in.

use super::server::Server;
use postgres::{Client, NoTls};
use rcgen::SigningKey;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use x509_cert::der::asn1::BitString;
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Decode, Encode, EncodePem};

/// The password of every role on these servers.
pub const PASSWORD: &str = "of-a-test-only";

/// A certificate of a CA, and the key that signs with it.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key, PEM.
    pub fn signs(&self, mut params: CertificateParams, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }
}

/// A server with TLS.
pub struct Secure {
    server: Server,
    pub authority: Authority,
    /// Of the server, PEM.
    pub certificate: String,
}

const HBA: &str = "\
hostssl   all tls_only   all scram-sha-256
hostnossl all plain_only all scram-sha-256
hostssl   all certified  all cert
host      all postgres,ana all scram-sha-256
";

impl Secure {
    /// With a certificate for `localhost`, as it should be.
    pub fn usual() -> &'static Secure {
        static SERVER: OnceLock<Secure> = OnceLock::new();
        SERVER.get_or_init(|| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            Secure::signed("usual", params)
        })
    }

    /// As Railway has it: for `localhost`, and itself marked as a CA.
    pub fn marked_as_ca() -> &'static Secure {
        static SERVER: OnceLock<Secure> = OnceLock::new();
        SERVER.get_or_init(|| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Secure::signed("marked", params)
        })
    }

    /// With a certificate of X.509 version 1, as `openssl x509 -req` makes them: no extensions.
    pub fn version_1() -> &'static Secure {
        static SERVER: OnceLock<Secure> = OnceLock::new();
        SERVER.get_or_init(|| {
            let authority = Authority::new("root-ca");
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(Vec::new()).expect("no names");
            let signed = params.signed_by(&key, &authority.issuer).expect("a certificate");
            let mut certificate = x509_cert::Certificate::from_der(signed.der()).expect("a certificate");
            certificate.tbs_certificate.version = x509_cert::Version::V1;
            certificate.tbs_certificate.extensions = None;
            let tbs = certificate.tbs_certificate.to_der().expect("DER");
            let signature = authority.issuer.key().sign(&tbs).expect("a signature");
            certificate.signature = BitString::from_bytes(&signature).expect("bits");
            let certificate = certificate.to_pem(LineEnding::LF).expect("PEM");
            Secure::start("version1", authority, certificate, &key.serialize_pem())
        })
    }

    fn signed(name: &str, params: CertificateParams) -> Secure {
        let authority = Authority::new("root-ca");
        let (certificate, key) = authority.signs(params, "localhost");
        Secure::start(name, authority, certificate, &key)
    }

    fn start(name: &str, authority: Authority, certificate: String, key: &str) -> Secure {
        let server = Server::start(name);
        let mut client = Client::connect(&server.url, NoTls).expect("the server");
        for (file, text) in [
            ("server.crt", certificate.as_str()),
            ("server.key", key),
            ("root.crt", &authority.pem),
            ("pg_hba.conf", HBA),
        ] {
            // the server's own user writes it, in the folder of its data
            let lines: Vec<String> = text.lines().map(|line| format!("('{line}')")).collect();
            let copy = format!("COPY (VALUES {}) TO PROGRAM 'umask 077; cat >{file}'", lines.join(", "));
            client.batch_execute(&copy).expect(file);
        }
        for role in ["tls_only", "plain_only", "certified", "ana"] {
            client
                .batch_execute(&format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{PASSWORD}'"))
                .expect(role);
        }
        // each its own statement: ALTER SYSTEM runs in no transaction
        for statement in ["ALTER SYSTEM SET ssl_ca_file = 'root.crt'", "ALTER SYSTEM SET ssl = on"] {
            client.batch_execute(statement).expect(statement);
        }
        client.batch_execute("SELECT pg_reload_conf()").expect("a reload");
        // a role that only the new pg_hba.conf refuses shows that it is in force
        let port = server.port();
        let refused = || {
            let url = format!("postgres://certified:{PASSWORD}@127.0.0.1:{port}/postgres");
            Client::connect(&url, NoTls).err().is_some_and(|error| error.code().is_some())
                && client_reads(&server.url, "SHOW ssl") == "on"
        };
        let started = Instant::now();
        while !refused() {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "TLS does not come into force: see the server's log"
            );
            std::thread::yield_now();
        }
        Secure { server, authority, certificate }
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The database of this test, without a history, and its URL for `role`, at `host`.
    pub fn url(&self, role: &str, host: &str, parameters: &str) -> String {
        let test = std::thread::current().name().unwrap_or("main").replace("::", "_");
        let database = &test[test.len().saturating_sub(40)..];
        let mut client = Client::connect(&self.server.url, NoTls).expect("the server");
        if client.execute("SELECT FROM pg_database WHERE datname = $1", &[&database]).expect("databases") == 0
        {
            let create = format!("CREATE DATABASE \"{database}\" TEMPLATE template0");
            client.batch_execute(&create).expect("a database");
        }
        let (server, _) = self.server.url.rsplit_once('/').expect("a URL with a database");
        let mut client = Client::connect(&format!("{server}/{database}"), NoTls).expect("the database");
        client.batch_execute("DROP TABLE IF EXISTS refinery_schema_history").expect("no history");
        format!("postgres://{role}:{PASSWORD}@{host}:{}/{database}?{parameters}", self.port())
    }
}

fn client_reads(url: &str, query: &str) -> String {
    let mut client = Client::connect(url, NoTls).expect("the server");
    client.query_one(query, &[]).expect(query).get(0)
}
