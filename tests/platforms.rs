//! What lies in `deploy/`: every file parses, says what its platform needs, and the commands in it do what they are
//! there for.

use crate::support::{Outcome, Project, repository};
use serde_json::Value;
use std::process::Command;

fn file(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml_ng::from_str(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The text at a JSON pointer.
#[track_caller]
fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    document
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no text at {pointer}: {document:#}"))
}

/// `command` as a shell runs it, with the program on its path.
fn shell(project: &Project, command: &str) -> Command {
    let ours = project.command::<&str>([]);
    let program = std::path::Path::new(ours.get_program());
    let path = std::env::var("PATH").expect("a path");
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(project.path(""));
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("PATH", format!("{}:{path}", program.parent().expect("a folder").display()));
    shell
}

/// The command of a platform that starts it without a shell: what stands in the quotes of `sh -c`.
#[track_caller]
fn in_quotes(command: &str) -> &str {
    let inner = command.strip_prefix("sh -c \"").and_then(|rest| rest.strip_suffix('"'));
    inner.filter(|inner| !inner.contains('"')).unwrap_or_else(|| panic!("not sh -c \"…\": {command}"))
}

/// A release command brings an application to head, finds nothing to do the next time, and fails where it should.
#[track_caller]
fn releases(command: &str) {
    let project = Project::intelibotx();
    project.copy_checks();
    let run = || project.run(&mut shell(&project, command));
    run().succeeds().prints(&["at head, V6, 6 versions applied", "checks passed"]);
    run().succeeds().prints(&["nothing to do", "checks passed"]);
    project.write("migrations/V7__wrong.sql", "CREATE TABLE wrong (;");
    let failed: Outcome = run().exits(7).never_says(&["checks passed"]);
    assert!(failed.stderr.contains("V7__wrong"), "{failed:#?}");
}

#[test]
fn railway_runs_one_command() {
    let railway: Value = serde_json::from_str(&file("deploy/railway.json")).expect("JSON");
    let commands = railway["deploy"]["preDeployCommand"].as_array().expect("a list");
    assert_eq!(commands.len(), 1, "Railway refuses two");
    let command = commands[0].as_str().expect("text");
    in_quotes(command);
    releases(command);
}

#[test]
fn heroku_runs_its_release_line() {
    let procfile = file("deploy/Procfile");
    let lines: Vec<_> = procfile.lines().map(|line| line.split_once(": ").expect("NAME: COMMAND")).collect();
    assert_eq!(lines.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["release", "web"]);
    releases(lines[0].1);
}

#[test]
fn render_runs_without_a_shell_of_its_own() {
    let render = yaml("deploy/render.yaml");
    assert_eq!(text(&render, "/services/0/envVars/0/fromDatabase/name"), text(&render, "/databases/0/name"));
    releases(in_quotes(text(&render, "/services/0/preDeployCommand")));
}

#[test]
fn fly_runs_without_a_shell_of_its_own() {
    let fly: toml::Table = toml::from_str(&file("deploy/fly.toml")).expect("TOML");
    let deploy = fly["deploy"].as_table().expect("a table");
    let timeout = deploy["release_command_timeout"].as_str().expect("text");
    assert!(humantime::parse_duration(timeout).expect("a duration").as_secs() > 300);
    releases(in_quotes(deploy["release_command"].as_str().expect("text")));
}

/// Each line by itself, on an empty database.
fn applies_to_an_empty_database(commands: &[&str]) {
    let project = Project::intelibotx();
    std::fs::remove_file(project.path("app.db")).expect("no source");
    assert_eq!(commands.len(), 3);
    for command in commands {
        project.run(&mut shell(&project, command)).succeeds();
    }
    assert!(project.has_table("botconfig"));
}

#[test]
fn the_jobs_of_github_and_gitlab_apply_to_an_empty_database() {
    let github = yaml("deploy/github-actions.yml");
    let steps = github["jobs"]["migrations"]["steps"].as_array().expect("steps");
    let commands: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let (install, commands) = commands.split_first().expect("commands");
    assert!(install.starts_with("cargo install --locked --path "), "{install}");
    applies_to_an_empty_database(commands);

    let gitlab = yaml("deploy/gitlab-ci.yml");
    let script = gitlab["migrations"]["script"].as_array().expect("a script");
    applies_to_an_empty_database(&script.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    // the image's own entrypoint would be given the shell as its argument
    assert_eq!(gitlab["migrations"]["image"]["entrypoint"], serde_json::json!([""]));
    for (job, host) in [
        (text(&github, "/jobs/migrations/env/DATABASE_URL"), "localhost"),
        (text(&gitlab, "/migrations/variables/DATABASE_URL"), text(&gitlab, "/migrations/services/0/alias")),
    ] {
        assert_eq!(job.split_once('@').expect("a URL").1, format!("{host}:5432/postgres"));
    }
}

#[test]
fn compose_brings_the_sample_to_head() {
    let compose = yaml("deploy/docker-compose.yml");
    let (db, migrate) = (&compose["services"]["db"], &compose["services"]["migrate"]);
    let set = |name| text(db, &format!("/environment/{name}"));
    let (user, password, name) = (set("POSTGRES_USER"), set("POSTGRES_PASSWORD"), set("POSTGRES_DB"));
    let expected = format!("postgres://{user}:{password}@db:5432/{name}");
    assert_eq!(text(migrate, "/environment/DATABASE_URL"), expected);
    assert!(text(db, "/ports/0").starts_with("127.0.0.1:"), "its password is no secret");
    // where the volumes lead, and whether the files are there
    for (at, inside) in [(0, "/app/migrations"), (1, "/source")] {
        let volume = text(migrate, &format!("/volumes/{at}"));
        let (outside, rest) = volume.split_once(':').expect("two paths");
        assert!(rest.starts_with(inside) && repository().join("deploy").join(outside).is_dir(), "{volume}");
    }
    let source = text(migrate, "/environment/SOURCE_DATABASE_URL");
    assert!(repository().join("fixtures").join(source.trim_start_matches("/source/")).is_file(), "{source}");
    let project = Project::intelibotx();
    let arguments = migrate["command"].as_array().expect("arguments").iter().filter_map(Value::as_str);
    project.outgrow(arguments).succeeds().prints(&["at head, V6"]);
}

#[test]
fn images_run_as_nobody_special_and_take_the_binary_from_where_it_is() {
    for (name, target) in [
        ("deploy/Dockerfile", "/usr/local/bin/outgrow"),
        ("deploy/python.Dockerfile", "/usr/local/bin/outgrow"),
    ] {
        let image = file(name);
        let last = image.rsplit("\nFROM ").next().expect("a stage");
        let user = last.lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
        assert!(user != "root" && user != "0", "{name}");
        assert!(last.contains("bookworm"), "{name}: the glibc of the binary");
        let copied = last.lines().find(|line| line.starts_with("COPY --from=") && line.ends_with(target));
        assert!(copied.is_some(), "{name}");
        // a build takes the folder as it is, and a password must not get into a layer
        assert!(!last.contains(".env"), "{name}");
    }
    let ignored = file("deploy/Dockerfile.dockerignore");
    for name in [".env", "target", ".git", ".pg"] {
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn the_hook_finds_an_edited_file() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let entry = text(&hooks, "/0/entry");
    let project = Project::intelibotx();
    let run = || project.run(&mut shell(&project, entry));
    run().succeeds();
    assert!(!project.has_table("botconfig"), "a hook writes nothing");
    project.outgrow(["migrate"]).succeeds();
    run().succeeds();
    let edited =
        std::fs::read_to_string(project.path("migrations/V4__create_botconfig.sql")).expect("a version");
    project.write("migrations/V4__create_botconfig.sql", edited + "\n-- later");
    run().exits(5).says(&["V4__create_botconfig.sql was edited"]);
}

#[test]
fn every_file_has_its_line_in_the_documentation() {
    let page = file("docs/deploy.md");
    for entry in repository().join("deploy").read_dir().expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(page.contains(&format!("](../deploy/{name})")) || name.ends_with(".dockerignore"), "{name}");
    }
}
