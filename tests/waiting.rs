//! A server that is not up yet is waited for, and nothing else.

use crate::connection::{parts, port, project};
use crate::support::proxy::Proxy;
use crate::support::{Outcome, Project, closed_port};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Stdio};

/// A run of which stderr is read as it comes.
fn started(
    project: &Project,
    url: &str,
    wait: &str,
    variable: Option<&str>,
) -> (Child, BufReader<impl Read>) {
    let mut command = project.command(["migrate", "--database-url", url]);
    if !wait.is_empty() {
        command.args(["--wait", wait]);
    }
    if let Some(variable) = variable {
        command.env(variable, "production");
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    let stderr = BufReader::new(child.stderr.take().expect("its stderr"));
    (child, stderr)
}

fn line(stderr: &mut BufReader<impl Read>) -> String {
    let mut line = String::new();
    stderr.read_line(&mut line).expect("UTF-8");
    line
}

#[test]
fn a_server_that_comes_up_later_is_waited_for() {
    let project = project();
    let [user, password, _, _, database] = parts(&project);
    let late = closed_port();
    let url = format!("postgres://{user}:{password}@127.0.0.1:{late}/{database}");
    let (child, mut stderr) = started(&project, &url, "2m", None);
    let first = line(&mut stderr);
    assert!(
        first.starts_with(&format!("waiting up to 2m for {user}@127.0.0.1:{late}/{database}: ")),
        "{first}"
    );
    assert!(first.contains("refused"), "{first}");
    let listener = TcpListener::bind(("127.0.0.1", late)).expect("the port is free again");
    // it listens, and the server behind is still starting
    let _proxy = Proxy::behind(listener, port(&project), 2);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("UTF-8");
    assert!(rest.contains(" answers, after ") && !rest.contains("waiting"), "{rest}");
    Outcome::of(child.wait_with_output().expect("its end"), Some(password))
        .succeeds()
        .prints(&["at head, V1"]);
}

#[test]
fn a_server_that_is_starting_is_waited_for() {
    let project = project();
    let [user, password, _, _, database] = parts(&project);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = Proxy::behind(listener, port(&project), 3);
    let url = format!("postgres://{user}:{password}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
    let outcome = project.outgrow(["migrate", "--database-url", &url]).succeeds();
    outcome.says(&["the database system is starting up", " answers, after "]);
}

#[test]
fn a_proxy_that_hangs_up_is_waited_for() {
    let project = project();
    let [user, password, _, _, database] = parts(&project);
    let server = port(&project);
    for mode in ["prefer", "disable"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let proxy = std::thread::spawn(move || {
            drop(listener.accept().expect("a visitor"));
            let (mut second, _) = listener.accept().expect("a visitor");
            second.read_exact(&mut [0; 8]).expect("a message");
            drop(second);
            Proxy::behind(listener, server, 0)
        });
        let url = format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?sslmode={mode}");
        let outcome = project.outgrow(["migrate", "--wait", "2m", "--database-url", &url]).succeeds();
        outcome.says(&["waiting up to 2m", " answers, after "]);
        proxy.join().expect("the proxy");
    }
}

#[test]
fn a_name_that_does_not_resolve_is_waited_for_until_the_wait_is_over() {
    let project = project();
    let url = "postgres://ana:s3cret@nowhere.invalid/app";
    let outcome = project.outgrow(["migrate", "--wait", "1s", "--database-url", url]).exits(3);
    outcome.never_says(&["s3cret"]).says(&[
        "waiting up to 1s for ana@nowhere.invalid:5432/app: the name nowhere.invalid does not resolve: ",
        "error: no connection to ana@nowhere.invalid:5432/app: the name nowhere.invalid does not resolve: ",
        "\n  waited ",
        "s for it (--wait)",
        "next: check the host's name",
    ]);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let project = project();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let url = format!("postgres://ana:s3cret@127.0.0.1:{port}/app?connect_timeout=1");
    let outcome = project.outgrow(["migrate", "--wait", "0s", "--database-url", &url]).exits(3);
    outcome.says(&["no answer in 1s (connect_timeout)"]).never_says(&["s3cret", "(--wait)"]);
}

#[test]
fn what_would_be_the_same_again_is_not_waited_for() {
    let project = project();
    let [user, password, host, port, database] = parts(&project);
    for (url, said) in [
        (format!("postgres://{user}:s3cret@{host}:{port}/{database}"), "password authentication failed"),
        (format!("postgres://{user}:{password}@{host}:{port}/no_such_database"), "does not exist"),
        (
            format!("postgres://{user}:{password}@{host}:{port}/{database}?target_session_attrs=standby"),
            "asks for",
        ),
    ] {
        let outcome = project.outgrow(["migrate", "--wait", "10m", "--database-url", &url]).exits(3);
        outcome.says(&[said]).never_says(&["waiting up", "(--wait)", "s3cret"]);
    }
}

#[test]
fn how_long_is_waited_depends_on_where_we_are() {
    let project = project();
    let url = format!("postgres://ana:s3cret@127.0.0.1:{}/app", closed_port());
    let cases = [
        (None, "", "waiting up to 5s "),
        (Some("RAILWAY_ENVIRONMENT_NAME"), "", "waiting up to 1m "),
        (Some("DYNO"), "", "waiting up to 1m "),
        (Some("RENDER"), "", "waiting up to 1m "),
        (Some("FLY_APP_NAME"), "", "waiting up to 1m "),
        (Some("DYNO"), "20s", "waiting up to 20s "),
    ];
    for (variable, wait, said) in cases {
        let (mut child, mut stderr) = started(&project, &url, wait, variable);
        let first = line(&mut stderr);
        child.kill().expect("a run");
        child.wait().expect("its end");
        assert!(first.starts_with(said), "{variable:?} {first}");
    }
    for wait in ["11m", "soon", "-1s"] {
        project.outgrow(["status", &format!("--wait={wait}")]).exits(2).says(&["--wait"]);
    }
    project
        .outgrow(["status", "--wait", "5"])
        .exits(2)
        .says(&["expected a number with its unit, such as 500ms"]);
}
