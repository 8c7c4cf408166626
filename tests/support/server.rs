//! One server for all tests: the one in `TEST_DATABASE_URL`, or a throw-away one that ends with this process, however
//! that ends: `scripts/postgres run` waits for the end of its standard input.

use super::repository;
use postgres::{Client, Config, NoTls};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

pub struct Server {
    /// URL of a database in which others can be created.
    pub url: String,
    /// Where its data are, if we started it.
    folder: Option<PathBuf>,
    /// Holds the pipe whose end stops the server.
    _child: Option<Child>,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("TEST_DATABASE_URL") {
        Ok(url) => Server { url, folder: None, _child: None },
        Err(_) => Server::start(""),
    })
}

impl Server {
    /// One of our own; `name` tells it from the others of this run.
    pub fn start(name: &str) -> Server {
        let folder = std::env::temp_dir().join(format!("outgrow-test-{}{name}", std::process::id()));
        let mut child = Command::new(repository().join("scripts/postgres"))
            .arg("run")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/postgres runs");
        let mut url = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut url).expect("the URL");
        let url = url.trim().to_owned();
        assert!(url.starts_with("postgres://"), "no server: scripts/postgres run says why above");
        Server { url, folder: Some(folder), _child: Some(child) }
    }

    /// Stops it as an operator would, and starts it again with its data.
    pub fn restart(&self) {
        for verb in ["stop", "start"] {
            let mut command = Command::new(repository().join("scripts/postgres"));
            command.arg(verb).arg(self.folder.as_ref().expect("a server of our own"));
            assert!(command.output().expect("scripts/postgres runs").status.success(), "{verb}");
        }
    }

    pub fn port(&self) -> u16 {
        self.url.parse::<Config>().expect("a URL").get_ports()[0]
    }
}

/// The URL of a database on the server.
pub fn url(database: &str) -> String {
    let (server, _) = server().url.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{database}")
}

/// The password that no output may show.
pub fn password() -> Option<String> {
    let config: Config = server().url.parse().expect("a URL");
    config.get_password().map(|password| String::from_utf8_lossy(password).into_owned())
}

/// Runs a statement outside all databases of tests.
pub fn execute(statement: &str) {
    let mut client = Client::connect(&server().url, NoTls).expect("the server");
    client.batch_execute(statement).expect(statement);
}

/// Lets the data survive the process.
pub fn keep() {
    if let Some(folder) = &server().folder {
        // the test has failed already, and says so
        let _ = std::fs::write(folder.join("keep"), "");
    }
}
