//! The way in: what the README shows is what happens, and `make migrate` works on a fresh checkout.

use crate::support::{Project, repository};
use std::path::Path;
use std::process::Command;

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).expect("README.md")
}

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let text = readme();
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|block| block.split("```").next().expect("a block").to_owned()).collect()
}

/// Without what differs from run to run: durations, the server's address, the width of columns.
fn settled(text: &str) -> Vec<String> {
    let word = |word: &str| match word {
        word if word.contains('@') => "DATABASE:".to_owned(),
        word if word.parse::<f64>().is_ok() => "N".to_owned(),
        word => word.to_owned(),
    };
    let line = |line: &str| {
        line.split_whitespace()
            .map(word)
            .collect::<Vec<_>>()
            .join(" ")
            .replace("N ms", "T")
            .replace("N s", "T")
    };
    text.lines().map(line).collect()
}

#[test]
fn the_terminal_output_of_the_readme_is_real() {
    let project = Project::intelibotx();
    project.copy_checks();
    std::fs::create_dir(project.path("fixtures")).expect("a folder");
    std::fs::rename(project.path("app.db"), project.path("fixtures/intelibotx.db")).expect("the source");
    let mut commands = 0;
    for block in blocks("console") {
        for session in block.split("$ outgrow ").skip(1) {
            let (arguments, expected) = session.split_once('\n').expect("a command line");
            let outcome = project.outgrow(arguments.split(' ')).succeeds();
            assert_eq!(settled(&outcome.stdout), settled(expected), "$ outgrow {arguments}");
            commands += 1;
        }
    }
    assert_eq!(commands, 4);
}

/// The shell blocks hold nothing but what is run here, in [`make_migrate_on_a_fresh_checkout`], or by the gate itself.
#[test]
fn the_commands_of_the_readme_work() {
    let project = Project::intelibotx();
    project.copy_checks();
    let makefile = std::fs::read_to_string(repository().join("Makefile")).expect("Makefile");
    for line in blocks("sh").iter().flat_map(|block| block.lines()) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["make", target] => assert!(makefile.contains(&format!("\n{target}: ")), "{line}"),
            ["cargo", "install", "--locked", "--path", "."] => {}
            ["export", url] => assert!(url.starts_with("DATABASE_URL=postgres://"), "{line}"),
            ["outgrow", verb @ ("migrate" | "verify"), "--source", _] => {
                project.outgrow([verb, "--source", "app.db"]).succeeds();
            }
            ["outgrow", arguments @ ..] => {
                project.outgrow(arguments).succeeds();
            }
            _ => panic!("a line that no test runs: {line}"),
        }
    }
    project.outgrow(["migrate", "--to", "5"]).succeeds();
    project.outgrow(["status", "--check"]).succeeds();
}

#[test]
fn every_option_is_in_the_help_and_in_the_readme() {
    let project = Project::empty();
    let help = project.outgrow(["migrate", "--help"]).succeeds().stdout;
    for option in [
        "--database-url",
        "--source",
        "--migrations",
        "--wait",
        "--lock-timeout",
        "--json",
        "--to",
        "--without-data",
        "--dry-run",
        "--proof",
        "--show-values",
    ] {
        assert!(help.contains(option) && readme().contains(option), "{option}");
    }
    let help = project.outgrow(["verify", "--help"]).succeeds().stdout;
    for option in ["--step", "--show-values"] {
        assert!(help.contains(option) && readme().contains(option), "{option}");
    }
    let help = project.outgrow(["check", "--help"]).succeeds().stdout;
    let options = include_str!("../docs/checks.md");
    for option in ["--checks", "--only", "--fail-fast", "--statement-timeout", "--junit", "--show-values"] {
        assert!(help.contains(option) && options.contains(&format!("| `{option}")), "{option}");
    }
    project.outgrow(["--help"]).succeeds().prints(&["Exit codes:", "migrate", "status", "verify", "check"]);
    project.outgrow(["--version"]).succeeds().prints(&[env!("CARGO_PKG_VERSION")]);
}

/// What `make migrate` needs, copied.
fn checkout() -> tempfile::TempDir {
    let checkout = tempfile::TempDir::new().expect("a folder");
    for name in ["Makefile", "scripts", "migrations", "fixtures"] {
        let copied = Command::new("cp").arg("-R").arg(repository().join(name)).arg(checkout.path()).status();
        assert!(copied.expect("cp").success());
    }
    checkout
}

/// `make` there, with the program that the tests have built, and no target in the environment.
fn make(checkout: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("make");
    for name in [
        "MIGRATION_DATABASE_URL",
        "DATABASE_UNPOOLED_URL",
        "DIRECT_URL",
        "DATABASE_URL",
        "PGHOST",
        "PGHOSTADDR",
        "PGDATABASE",
        "PGSERVICE",
        "SOURCE_DATABASE_URL",
        "MAKEFLAGS",
        "MAKELEVEL",
        "MFLAGS",
    ] {
        command.env_remove(name);
    }
    let program = format!("OUTGROW={}", env!("CARGO_BIN_EXE_outgrow"));
    command.args(["-o", "build", &program]).args(arguments).current_dir(checkout);
    command
}

/// Any of the ways to name a target keeps `make migrate` from starting a server of its own.
#[test]
fn make_migrate_goes_where_the_environment_says() {
    let checkout = checkout();
    for name in ["MIGRATION_DATABASE_URL", "DATABASE_UNPOOLED_URL", "DIRECT_URL", "DATABASE_URL"] {
        let output = make(checkout.path(), &["migrate"]).env(name, "sqlite:///x.db").output().expect("make");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&format!("{name}: this is an SQLite URL")), "{said}");
    }
    let output = make(checkout.path(), &["migrate"])
        .env("PGDATABASE", "app")
        .env("PGPORT", "1")
        .output()
        .expect("make");
    assert!(String::from_utf8_lossy(&output.stderr).contains("PGDATABASE: no host"), "{output:?}");
    std::fs::write(checkout.path().join(".env"), "DIRECT_URL=sqlite:///x.db\n").expect(".env");
    let output = make(checkout.path(), &["migrate"]).output().expect("make");
    assert!(String::from_utf8_lossy(&output.stderr).contains("DIRECT_URL in .env: "), "{output:?}");
    assert!(!checkout.path().join(".pg").exists(), "a server was started");
}

#[test]
fn make_migrate_on_a_fresh_checkout() {
    let checkout = checkout();
    let make = |arguments: &[&str]| {
        let output = make(checkout.path(), arguments).output().expect("make");
        assert!(output.status.success(), "make {arguments:?}: {output:#?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let first = make(&["migrate"]);
    assert!(first.contains("at head, V6, 6 versions applied"), "{first}");
    let url = first.lines().find(|line| line.starts_with("postgres://")).expect("its URL");
    let mut client = postgres::Client::connect(url, postgres::NoTls).expect("the local database");
    let users = client.query("SELECT email FROM \"user\" ORDER BY id", &[]).expect("users");
    assert_eq!(users[0].get::<_, String>(0), "ana.lopez@example.com");
    let second = make(&["migrate"]);
    assert!(second.contains("nothing to do"), "{second}");
    make(&["pg-stop"]);
    // as root the data are where the link leads
    if let Ok(data) = std::fs::read_link(checkout.path().join(".pg/server")) {
        std::fs::remove_dir_all(data).expect("the data");
    }
}
