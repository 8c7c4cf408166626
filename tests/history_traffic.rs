//! What the server is asked: at head one query, on the way there two messages for each version. A proxy between the
//! program and the server reads along.

use crate::support::Project;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// (PostgreSQL: Message Formats, SSLRequest.)
const SSL_REQUEST: u32 = 80_877_103;

/// Type and content of every message that one session sends after it has connected.
type Asked = Vec<(u8, String)>;

/// Listens for one session; gives the URL to connect to and, when the session has ended, what was asked.
fn listening(project: &Project) -> (String, JoinHandle<Asked>) {
    let url = project.url();
    let (user, server) = url.rsplit_once('@').expect("a user");
    let (address, database) = server.split_once('/').expect("a database");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("{user}@{}/{database}", listener.local_addr().expect("its address"));
    let address = address.to_owned();
    let session = std::thread::spawn(move || {
        let (client, _) = listener.accept().expect("a session");
        let server = TcpStream::connect(&address).expect("the server");
        std::thread::spawn(move || second_session(&listener, &address));
        // neither side waits for more before it sends
        client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).expect("an option");
        let (mut answers, mut back) =
            (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
        // ends with the session, and either side may be the first to go
        let answering = std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
        let asked = pass_on(client, &server);
        let _ = server.shutdown(std::net::Shutdown::Write);
        let _ = answering.join();
        asked
    });
    (url, session)
}

/// The session that tells whether a pooler is in between; at head there is none.
fn second_session(listener: &TcpListener, address: &str) {
    let (client, _) = listener.accept().expect("a session");
    let server = TcpStream::connect(address).expect("the server");
    let (mut answers, mut back) =
        (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
    std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
    pass_on(client, &server);
}

/// (PostgreSQL: Message Flow. The first messages have no type, the password's is `p` and the last one's `X`.)
fn pass_on(mut client: TcpStream, mut server: &TcpStream) -> Asked {
    let mut asked = Asked::new();
    let mut starting = true;
    loop {
        let mut head = [0; 5];
        let head = if starting { &mut head[1..] } else { &mut head[..] };
        if client.read_exact(head).is_err() {
            return asked;
        }
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().expect("four bytes"));
        let mut content = vec![0; length as usize - 4];
        client.read_exact(&mut content).expect("a whole message");
        server.write_all(head).and_then(|()| server.write_all(&content)).expect("the server listens");
        if starting {
            starting = content[..4] == SSL_REQUEST.to_be_bytes();
        } else if !b"pX".contains(&head[0]) {
            let text = String::from_utf8_lossy(&content).trim_end_matches('\0').to_owned();
            asked.push((head[0], text));
        }
    }
}

/// Runs `migrate`, and returns what it printed and what it asked.
fn migrate(project: &Project) -> (String, Asked) {
    let (url, session) = listening(project);
    let run = project.run(project.command(["migrate"]).env("DATABASE_URL", url)).succeeds();
    (run.stdout, session.join().expect("the proxy"))
}

fn with_versions(count: usize) -> Project {
    let project = Project::empty();
    for number in 1..=count {
        let text = format!("-- what number {number} is for\nSELECT {number};\n");
        project.write(&format!("migrations/V{number}__version_{number}.sql"), text);
    }
    project
}

/// Promise 2. One message that reads, alone, takes no lock that outlives it.
#[test]
fn at_head_one_query_is_asked() {
    let project = Project::intelibotx();
    project.outgrow(["migrate"]).succeeds();
    let database = project.query("SELECT quote_ident(current_database())").remove(0);
    project.execute(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    let (printed, asked) = migrate(&project);
    assert!(printed.contains("nothing to do"), "{printed}");
    let query = "SET LOCAL lock_timeout = 60000; SELECT version, name, applied_on, checksum FROM refinery_schema_history ORDER BY version";
    // the receipts come with the history where there is a source that may have changed
    assert!(
        matches!(&asked[..], [(b'Q', text)] if text.starts_with(query) && text.contains("outgrow_receipt")),
        "{asked:?}"
    );
    std::fs::remove_file(project.path("app.db")).expect("gone");
    let (_, asked) = migrate(&project);
    assert_eq!(asked, [(b'Q', query.to_owned())]);
}

/// More versions than are handed to refinery at a time.
#[test]
fn two_thousand_versions_are_applied_by_one_run() {
    let project = with_versions(2000);
    let (printed, asked) = migrate(&project);
    assert!(printed.contains("at head, V2000, 2000 versions applied"), "{printed}");
    let history =
        "SELECT count(*) || ' ' || min(version) || ' ' || max(version) FROM refinery_schema_history";
    assert_eq!(project.query(history), ["2000 1 2000"]);
    let simple = asked.iter().filter(|(of, _)| *of == b'Q').count();
    // the history before and under the lock, its creation, the lock, and five times who answers
    assert_eq!(simple, 2 * 2000 + 9);
    let (printed, asked) = migrate(&project);
    assert!(printed.contains("nothing to do"), "{printed}");
    assert_eq!(asked.len(), 1);
}

/// Where a version fails, the end of its transaction is on the way already.
#[test]
fn a_version_that_fails_late_is_not_recorded() {
    let project = with_versions(300);
    for text in ["SELECT 1;\nCREATE TABLE t (;\n", "CREATE TABLE t ();\nSELECT 1/0;\n"] {
        project.write("migrations/V290__version_290.sql", text);
        project.outgrow(["migrate"]).exits(7).says(&["migrations/V290__version_290.sql:2:"]).never_says(&[
            "WARNING",
            "SAVEPOINT",
            "there is no transaction",
        ]);
        assert_eq!(project.query("SELECT max(version)::text FROM refinery_schema_history"), ["289"]);
        assert!(!project.has_table("t"));
    }
    project.write("migrations/V290__version_290.sql", "SELECT 290;\n");
    project.outgrow(["migrate"]).succeeds().prints(&["11 versions applied"]);
}
