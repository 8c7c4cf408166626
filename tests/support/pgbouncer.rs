//! A PgBouncer before the tests' server, one for each mode and the whole process; `scripts/pgbouncer run` waits for the
//! end of its standard input.

use super::{Project, repository, server};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

struct Bouncer {
    port: u16,
    /// Holds the pipe whose end stops it.
    _child: Child,
}

fn start(mode: &str) -> Bouncer {
    let folder = std::env::temp_dir().join(format!("outgrow-pgbouncer-{}-{mode}", std::process::id()));
    let mut child = Command::new(repository().join("scripts/pgbouncer"))
        .arg("run")
        .arg(&folder)
        .arg(mode)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts/pgbouncer runs");
    writeln!(child.stdin.as_mut().expect("its input"), "{}", server::url("postgres")).expect("the URL");
    let mut port = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut port).expect("the port");
    let port = port.trim().parse().expect("no pooler: scripts/pgbouncer run says why above");
    Bouncer { port, _child: child }
}

fn through(project: &Project, bouncer: &Bouncer) -> String {
    let url = project.url();
    let (before, after) = url.split_once('@').expect("a host");
    let (_, database) = after.split_once('/').expect("a database");
    format!("{before}@127.0.0.1:{}/{database}", bouncer.port)
}

/// The URL of the project's database through a pooler in transaction mode.
pub fn transaction_mode(project: &Project) -> String {
    static POOLER: OnceLock<Bouncer> = OnceLock::new();
    through(project, POOLER.get_or_init(|| start("transaction")))
}

/// The URL of the project's database through a pooler in session mode.
pub fn session_mode(project: &Project) -> String {
    static POOLER: OnceLock<Bouncer> = OnceLock::new();
    through(project, POOLER.get_or_init(|| start("session")))
}
