//! Promise 4: a step commits only if every stored row equals what was sent. Each way of bending a row must be caught. A
//! step sets triggers aside, so that here an event trigger of a superuser's turns them on again behind its back.

use crate::support::Project;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Table `t` with a trigger that does `body` to rows as they are stored, whoever disables it.
fn with_trigger(body: &str) -> Project {
    let project = Project::one_table(
        "id int, v text",
        "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.meddles(body);
    project
}

#[track_caller]
fn is_caught(project: &Project, says: &str) {
    project.outgrow(["migrate"]).exits(8).says(&["V2__import failed and was rolled back", "table t: ", says]);
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["0"]);
    assert_eq!(project.query("SELECT max(version)::text FROM refinery_schema_history"), ["1"]);
}

#[test]
fn a_changed_row_is_caught() {
    let project = with_trigger("IF NEW.id = 2 THEN NEW.v := 'x'; END IF; RETURN NEW;");
    is_caught(&project, "3 rows read and stored, and the content differs");
    project.outgrow(["migrate"]).exits(8).says(&["not stored: 1 row, rowid 2"]);
}

#[test]
fn a_changed_row_is_named_by_its_key() {
    let project = Project::one_table(
        "id int PRIMARY KEY, v text",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (7, 'a'), (8, 'MARKER-1'), (9, 'c')",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let proxy = Proxy::start(&project, "MARKER-1", "MARKER-2");
    let mut command = project.command(["migrate"]);
    command.env("DATABASE_URL", &proxy.url);
    project.run(&mut command).exits(8).says(&["the content differs", "changed: 1 row, rowid 8 (v)"]);
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["0"]);
}

#[test]
fn rows_swapped_between_tables_are_caught() {
    let project = Project::with(&[
        ("migrations/V1__t.sql", "CREATE TABLE a (v text); CREATE TABLE b (v text);"),
        ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"a\", \"b\"]\n"),
    ]);
    project.sqlite(
        "app.db",
        "CREATE TABLE a (v); CREATE TABLE b (v); INSERT INTO a VALUES ('only-in-a'); INSERT INTO b VALUES ('only-in-b')",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let proxy = Proxy::swapping(&project, "only-in-a", "only-in-b");
    let mut command = project.command(["migrate"]);
    command.env("DATABASE_URL", &proxy.url);
    project
        .run(&mut command)
        .exits(8)
        .says(&["table a: 1 row read and stored", "table b: 1 row read and stored"]);
}

/// A network that changes what a COPY carries, and leaves every length as it was.
struct Proxy {
    url: String,
}

impl Proxy {
    fn start(project: &Project, from: &str, to: &str) -> Proxy {
        Proxy::replacing(project, vec![(from.into(), to.into())])
    }

    fn swapping(project: &Project, one: &str, other: &str) -> Proxy {
        Proxy::replacing(project, vec![(one.into(), other.into()), (other.into(), one.into())])
    }

    fn replacing(project: &Project, pairs: Vec<(String, String)>) -> Proxy {
        let url = project.url();
        let (_, address) = url.split_once('@').expect("a host");
        let address = address.split('/').next().expect("a host").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("its address").to_string();
        let url = url.replace(&address, &own);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                let server = TcpStream::connect(&address).expect("the server");
                let (mut answers, mut to_client) =
                    (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
                std::thread::spawn(move || std::io::copy(&mut answers, &mut to_client));
                let pairs = pairs.clone();
                std::thread::spawn(move || forward(client, server, &pairs));
            }
        });
        Proxy { url }
    }
}

/// What one read brings is small here, so that a marker is never cut in two.
fn forward(mut client: TcpStream, mut server: TcpStream, pairs: &[(String, String)]) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = client.read(&mut bytes) {
        let sent = bytes[..read].to_vec();
        for (from, to) in pairs {
            assert_eq!(from.len(), to.len());
            for at in 0..(read + 1).saturating_sub(from.len()) {
                if &sent[at..at + from.len()] == from.as_bytes() {
                    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
                }
            }
        }
        if server.write_all(&bytes[..read]).is_err() {
            return;
        }
    }
    // the client is gone, and the server must hear of it; it may have gone first
    let _ = server.shutdown(std::net::Shutdown::Write);
}

#[test]
fn two_values_swapped_are_caught() {
    let project = with_trigger("IF NEW.id < 3 THEN NEW.id := 3 - NEW.id; END IF; RETURN NEW;");
    is_caught(&project, "the content differs");
}

#[test]
fn a_dropped_row_is_caught() {
    is_caught(&with_trigger("IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW;"), "3 rows read, 2 stored");
}

#[test]
fn an_added_row_is_caught() {
    let project = with_trigger("IF NEW.id = 2 THEN INSERT INTO t VALUES (9, 'z'); END IF; RETURN NEW;");
    is_caught(&project, "3 rows read, 4 stored");
}

#[test]
fn what_the_server_spells_its_own_way_is_no_difference() {
    let project = Project::one_table(
        "n numeric(12,4), j jsonb, ts timestamp(3), f float4",
        "CREATE TABLE t (n, j, ts, f); INSERT INTO t VALUES
         (1.5, '{\"b\":1e2,\"a\":[\"\\u00e9\", 1.50]}', '2024-01-01T00:00:00.5', 0.1), (0, '[]', '1999-12-31', -0.0)",
    );
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query("SELECT proof FROM outgrow_receipt"), ["content"]);
    assert_eq!(
        project.query("SELECT (tables->0->>'hash') ~ '^[0-9a-f]{32}$' || '' FROM outgrow_receipt"),
        ["true"]
    );
}
