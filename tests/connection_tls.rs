//! TLS against a real server with real certificates: every mode of `sslmode` both ways, who the server is, who we are,
//! and passwords bound to the channel. What was in force is what the server says of its own session.

use crate::support::proxy::Proxy;
use crate::support::secure::{Authority, PASSWORD, Secure};
use crate::support::{Outcome, Project};
use postgres::{Client, NoTls};
use rcgen::CertificateParams;
use sha2::{Digest, Sha256};
use std::process::{Command, Stdio};

/// The server tells whether the session of this migration has TLS.
const TELLS: &str =
    "DO $$ BEGIN RAISE NOTICE 'session: %', (SELECT CASE WHEN ssl THEN version ELSE 'plain' END || ' '
    || coalesce(client_dn, '-') FROM pg_stat_ssl WHERE pid = pg_backend_pid()); END $$;";

const ENCRYPTED: &str = "session: TLSv1.3 -";
const PLAIN: &str = "session: plain -";

/// With the CA of `server` as `root.crt`, and another one as `other.crt`.
fn project(server: &Secure) -> Project {
    let project = Project::with(&[("migrations/V1__tells.sql", TELLS)]);
    project.write("root.crt", &server.authority.pem);
    project.write("other.crt", Authority::new("root-ca").pem);
    project
}

#[track_caller]
fn migrate(project: &Project, url: &str) -> Outcome {
    project.outgrow(["migrate", "--wait", "0s", "-v", "--database-url", url]).never_says(&[PASSWORD])
}

fn fingerprint(certificate: &str) -> String {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
    let digits: Vec<String> = Sha256::digest(&der).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", digits.concat())
}

#[test]
fn each_mode_at_a_server_that_has_tls() {
    let server = Secure::usual();
    let project = project(server);
    for (parameters, said) in [
        ("sslmode=disable", PLAIN),
        ("sslmode=allow", PLAIN),
        ("sslmode=prefer", ENCRYPTED),
        ("", ENCRYPTED),
        ("sslmode=require", ENCRYPTED),
        ("ssl=require", ENCRYPTED),
        ("ssl=true", ENCRYPTED),
        ("sslmode=require&ssl_min_protocol_version=TLSv1.3", ENCRYPTED),
        ("sslmode=require&sslrootcert=root.crt", ENCRYPTED),
        ("sslmode=verify-ca&sslrootcert=root.crt", ENCRYPTED),
        ("sslmode=verify-full&sslrootcert=root.crt", ENCRYPTED),
        // a fallback, as in libpq
        ("sslmode=prefer&sslrootcert=other.crt", PLAIN),
    ] {
        let outcome = migrate(&project, &server.url("ana", "localhost", parameters)).succeeds();
        outcome.says(&[said]);
    }
}

#[test]
fn each_mode_at_a_server_that_has_none() {
    let project = Project::with(&[("migrations/V1__tells.sql", TELLS)]);
    project.write("root.crt", Authority::new("root-ca").pem);
    if project.query("SHOW ssl") != ["off"] {
        // the server of TEST_DATABASE_URL: the other test's
        return;
    }
    for mode in ["require", "verify-ca&sslrootcert=root.crt", "verify-full&sslrootcert=root.crt"] {
        let url = format!("{}?sslmode={mode}", project.url());
        let mode = mode.split('&').next().expect("a mode");
        migrate(&project, &url).exits(3).says(&[
            &format!("the server offers no TLS, and sslmode={mode} asks for it"),
            "next: switch TLS on",
        ]);
    }
    migrate(&project, &format!("{}?sslmode=prefer", project.url())).succeeds().says(&[PLAIN]);
    for mode in ["disable", "allow"] {
        let url = format!("{}?sslmode={mode}", project.url());
        migrate(&project, &url).succeeds().prints(&["nothing to do"]).says(&["without TLS"]);
    }
}

#[test]
fn a_server_that_insists_is_met_where_the_mode_allows_it() {
    let server = Secure::usual();
    let project = project(server);
    for (role, mode, said) in [
        ("tls_only", "allow", ENCRYPTED),
        ("tls_only", "prefer", ENCRYPTED),
        ("plain_only", "allow", PLAIN),
        ("plain_only", "prefer", PLAIN),
    ] {
        let url = server.url(role, "localhost", &format!("sslmode={mode}"));
        migrate(&project, &url).succeeds().says(&[said]);
    }
    // never weaker than asked
    let url = server.url("plain_only", "localhost", "sslmode=require");
    migrate(&project, &url).exits(3).says(&["no pg_hba.conf entry", "SSL encryption"]);
    let url = server.url("tls_only", "localhost", "sslmode=disable");
    migrate(&project, &url).exits(3).says(&["no pg_hba.conf entry", "no encryption", "look at sslmode"]);
}

#[test]
fn a_certificate_that_is_not_what_was_asked_is_refused() {
    let server = Secure::usual();
    let project = project(server);
    let pin = fingerprint(&server.certificate);
    for (host, parameters, said) in [
        ("localhost", "sslmode=verify-ca&sslrootcert=other.crt", "does not lead to a CA in sslrootcert"),
        ("localhost", "sslmode=verify-full&sslrootcert=other.crt", "does not lead to a CA in sslrootcert"),
        ("localhost", "sslmode=require&sslrootcert=other.crt", "does not lead to a CA in sslrootcert"),
        (
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=root.crt",
            "not for the host of the URL (sslmode=verify-full): it is for localhost\n",
        ),
        (
            "db.example",
            "hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert=root.crt",
            "not for the host of the URL",
        ),
        ("localhost", "sslrootcert=system", "does not lead to a CA"),
    ] {
        let url = server.url("ana", host, parameters);
        let mut command = project.command(["migrate", "--wait", "0s", "--database-url", &url]);
        let outcome = project.run(command.env("SSL_CERT_FILE", project.path("other.crt")));
        outcome.exits(3).says(&[said, &format!("sslfingerprint={pin}")]).never_says(&["session: ", PASSWORD]);
    }
    // the name is verify-full's alone
    let url = server.url("ana", "127.0.0.1", "sslmode=verify-ca&sslrootcert=root.crt");
    migrate(&project, &url).succeeds().says(&[ENCRYPTED]);
}

#[test]
fn the_systems_cas_are_asked_under_verify_full() {
    let server = Secure::usual();
    let project = project(server);
    let url = server.url("ana", "localhost", "sslrootcert=system");
    let mut command = project.command(["migrate", "--database-url", &url]);
    project.run(command.env("SSL_CERT_FILE", project.path("root.crt"))).succeeds().says(&[ENCRYPTED]);
    let mut command = project.command(["migrate", "--database-url", &url]);
    project.write("none.crt", "");
    std::fs::create_dir(project.path("none")).expect("a folder");
    let empty =
        command.env("SSL_CERT_FILE", project.path("none.crt")).env("SSL_CERT_DIR", project.path("none"));
    project.run(empty).exits(2).says(&["no certificates of CAs", "ca-certificates"]);
    let url = server.url("ana", "localhost", "sslrootcert=system&sslmode=verify-ca");
    migrate(&project, &url).exits(2).says(&["sslrootcert=system needs sslmode=verify-full"]);
}

#[test]
fn require_says_that_it_does_not_verify_and_a_fingerprint_ends_that() {
    let server = Secure::usual();
    let project = project(server);
    let pin = fingerprint(&server.certificate);
    let url = server.url("ana", "127.0.0.1", "sslmode=require");
    migrate(&project, &url)
        .succeeds()
        .says(&["does not check who the server is", &format!("sslfingerprint={pin}")]);
    let url = server.url("ana", "127.0.0.1", &format!("sslfingerprint={pin}"));
    migrate(&project, &url).succeeds().says(&[ENCRYPTED]).never_says(&["does not check"]);
    let wrong = fingerprint(&server.authority.pem);
    let url = server.url("ana", "127.0.0.1", &format!("sslmode=require&sslfingerprint={wrong}"));
    migrate(&project, &url).exits(3).says(&["not the one that sslfingerprint names"]);
    // from the environment, and beside a mode that would let it be
    let url = server.url("ana", "127.0.0.1", "");
    let mut command = project.command(["migrate", "--database-url", &url]);
    project.run(command.env("OUTGROW_SSLFINGERPRINT", &wrong)).exits(3).says(&["not the one"]);
    let mut command = project.command(["migrate", "--database-url", &format!("{url}sslmode=prefer")]);
    project.run(command.env("OUTGROW_SSLFINGERPRINT", &wrong)).exits(2).says(&["needs sslmode=require"]);
    let url = server.url("ana", "localhost", "sslfingerprint=sha256:12");
    migrate(&project, &url).exits(2).says(&["sslfingerprint: expected sha256: and 64"]);
}

#[test]
fn a_certificate_that_is_marked_as_a_ca_is_verified_all_the_same() {
    let server = Secure::marked_as_ca();
    let project = project(server);
    project.write("server.crt", &server.certificate);
    let pin = format!("sslfingerprint={}", fingerprint(&server.certificate));
    for (host, parameters) in [
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", pin.as_str()),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=root.crt"),
        ("127.0.0.1", "sslmode=verify-ca&sslrootcert=server.crt"),
        ("localhost", "sslmode=verify-full&sslrootcert=root.crt"),
    ] {
        migrate(&project, &server.url("ana", host, parameters)).succeeds().says(&[ENCRYPTED]);
    }
    for (host, parameters, said) in [
        ("localhost", "sslmode=verify-ca&sslrootcert=other.crt", "does not lead to a CA"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=root.crt", "not for the host"),
    ] {
        migrate(&project, &server.url("ana", host, parameters)).exits(3).says(&[said]);
    }
}

/// webpki does not read it; what can be asked of it without reading is.
#[test]
fn a_certificate_of_version_1_serves_where_it_is_not_verified() {
    let server = Secure::version_1();
    let project = project(server);
    let pin = format!("channel_binding=require&sslfingerprint={}", fingerprint(&server.certificate));
    for parameters in ["sslmode=require", pin.as_str()] {
        migrate(&project, &server.url("ana", "localhost", parameters)).succeeds().says(&[ENCRYPTED]);
    }
    let url = server.url("ana", "localhost", "sslmode=verify-ca&sslrootcert=root.crt");
    migrate(&project, &url).exits(3).says(&["the server's certificate is refused", "sslfingerprint=sha256:"]);
}

#[test]
fn the_client_shows_a_certificate_of_its_own() {
    let server = Secure::usual();
    let project = project(server);
    let (certificate, key) =
        server.authority.signs(CertificateParams::new(Vec::new()).expect("no names"), "certified");
    project.write("client.crt", certificate);
    project.write("client.key", &key);
    let url = server.url("certified", "localhost", "sslmode=require&sslcert=client.crt&sslkey=client.key");
    migrate(&project, &url).exits(2).says(&["client.key: others may read this private key", "chmod 600"]);
    set_owner_only(&project, "client.key");
    migrate(&project, &url).succeeds().says(&["session: TLSv1.3 /CN=certified"]);
    let url = server.url("certified", "localhost", "sslmode=require");
    migrate(&project, &url).exits(3).says(&["requires a valid client certificate"]);
    // where libpq looks by itself
    for name in ["crt", "key"] {
        let text = std::fs::read(project.path(&format!("client.{name}"))).expect("the file");
        project.write(&format!(".postgresql/postgresql.{name}"), text);
    }
    set_owner_only(&project, ".postgresql/postgresql.key");
    migrate(&project, &url).succeeds().says(&["session: TLSv1.3 /CN=certified"]);
    let url = server.url("certified", "localhost", "sslmode=require&sslcert=root.crt&sslkey=missing.key");
    migrate(&project, &url).exits(2).says(&["sslkey: no such file: missing.key"]);
}

fn set_owner_only(project: &Project, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(project.path(name), owner_only).expect("its permissions");
}

#[test]
fn the_root_at_home_turns_require_into_verify_ca() {
    let server = Secure::usual();
    let project = project(server);
    project.write(".postgresql/root.crt", Authority::new("root-ca").pem);
    let url = server.url("ana", "localhost", "sslmode=require");
    migrate(&project, &url).exits(3).says(&["does not lead to a CA"]);
    project.write(".postgresql/root.crt", &server.authority.pem);
    migrate(&project, &url).succeeds().says(&[ENCRYPTED]).never_says(&["does not check who"]);
}

#[test]
fn a_password_is_bound_to_the_channel() {
    let server = Secure::usual();
    let project = project(server);
    let url = server.url("ana", "localhost", "sslmode=require&channel_binding=require");
    migrate(&project, &url).succeeds().says(&[ENCRYPTED]);
    let url = server.url("ana", "localhost", "sslmode=allow&channel_binding=require");
    migrate(&project, &url).exits(3).says(&["channel binding", "channel_binding=require needs TLS"]);
    let url = server.url("ana", "localhost", "sslmode=disable&channel_binding=require");
    migrate(&project, &url).exits(2).says(&["channel_binding: channel binding needs TLS"]);
}

/// Ctrl-C: the request to cancel goes to the server as the session's own bytes do.
#[test]
fn what_cancels_a_session_is_encrypted_as_well() {
    let server = Secure::usual();
    let project = Project::with(&[("migrations/V1__waits.sql", "SELECT pg_advisory_xact_lock(77);")]);
    let proxy = Proxy::to(server.port());
    let url = server.url("tls_only", "localhost", "sslmode=require");
    let mut holder = Client::connect(&url.replace("tls_only", "ana").replace("require", "disable"), NoTls)
        .expect("a session");
    holder.execute("SELECT pg_advisory_lock(77)", &[]).expect("the lock");
    let url = url.replace(&server.port().to_string(), &proxy.port.to_string());
    let mut command = project.command(["migrate", "--database-url", &url]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a run");
    let waits = "SELECT FROM pg_locks WHERE objid = 77 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while holder.query(waits, &[]).expect("pg_locks").is_empty() {
        assert!(child.try_wait().expect("a child").is_none(), "the run ended before the lock");
    }
    assert!(
        Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().expect("kill").success()
    );
    Outcome::of(child.wait_with_output().expect("its end"), None)
        .exits(130)
        .says(&["V1__waits was rolled back"]);
    let first = proxy.first_bytes();
    assert!(first.len() > 1, "no request to cancel");
    for bytes in first {
        // SSLRequest, and then the handshake's record
        assert_eq!(bytes[..9], [0, 0, 0, 8, 4, 210, 22, 47, 22], "a connection in the clear");
    }
}

#[test]
fn what_verifying_needs_and_what_is_missing_is_said_before_anything_is_sent() {
    let server = Secure::usual();
    let project = project(server);
    project.write("empty.crt", "no certificate");
    for (parameters, said) in [
        ("sslmode=verify-ca", "sslmode: verifying needs to know the CA: add sslrootcert=FILE"),
        ("sslmode=verify-full", "sslrootcert=system"),
        ("sslmode=require&sslrootcert=missing.crt", "sslrootcert: no such file: missing.crt"),
        ("sslmode=verify-ca&sslrootcert=empty.crt", "empty.crt: no certificate in PEM"),
        ("sslmode=require&sslcert=root.crt", "sslcert: the certificate needs its key"),
        (
            "sslmode=verify",
            "sslmode: expected one of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        ("sslmode=require&ssl=disable", "sslmode is given twice"),
        ("sslmode=require&sslcrl=root.crt", "sslcrl asks for a protection"),
        ("require_auth=scram-sha-256", "require_auth asks for a protection"),
        ("gssencmode=require", "gssencmode asks for a protection"),
        ("sslmod=require", "sslmod is no parameter"),
        ("sslnegotiation=direct", "direct needs sslmode=require"),
    ] {
        migrate(&project, &server.url("ana", "localhost", parameters)).exits(2).says(&[said]);
    }
}
