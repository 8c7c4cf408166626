//! What `.env` names, and what wins over it; none of its values shows.

use crate::support::Project;
use crate::target::{SECRET, parts, project, url_with, without_url};

#[test]
fn dot_env_is_read() {
    let project = project();
    let url = project.url();
    project.write(".env", format!("# of the application\nOTHER='a b'\nexport DATABASE_URL=\"{url}\"\n"));
    without_url(&project, &["migrate"]).succeeds().prints(&["at head, V1"]);
    assert!(project.has_table("t"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    let project = project();
    project.write(".env", format!("\u{feff}DATABASE_URL={}\n", project.url()));
    without_url(&project, &["migrate"]).succeeds().prints(&["at head, V1"]);
    project.write(".env", format!("\u{feff}DATABASE_URL {}\n", project.url()));
    without_url(&project, &["migrate"]).exits(2).says(&[".env:1: "]);
}

#[test]
fn dot_env_names_source_and_folder_too() {
    let project = Project::empty();
    project.write("db/V1__t.sql", "CREATE TABLE t (id int);");
    project.write("db/V2__import.toml", "source = \"sqlite\"\ntables = [\"t\"]\n");
    project.sqlite("old.db", "CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    project.write(".env", "SOURCE_DATABASE_URL=sqlite:///old.db\nOUTGROW_MIGRATIONS=db\n");
    project.outgrow(["migrate"]).succeeds().prints(&["1 row", "from old.db"]);
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_dot_env() {
    let project = project();
    let wrong = "sqlite:///not-a-target.db";
    project.write(".env", format!("DATABASE_URL={wrong}\n"));
    project.outgrow(["status"]).succeeds();
    without_url(&project, &["status"]).exits(2).says(&["DATABASE_URL in .env: this is an SQLite URL"]);
    let mut command = project.command(["status", "--database-url", &project.url()]);
    project.run(command.env("DATABASE_URL", wrong)).succeeds();
    let mut command = project.command(["status", "--database-url", wrong]);
    project.run(&mut command).exits(2).says(&["--database-url: "]);
}

#[test]
fn a_wrong_password_in_dot_env_is_told_with_where_it_stood() {
    let project = project();
    let (user, _, _) = parts(&project);
    let name = user.split(':').next().expect("a name");
    project
        .write(".env", format!("DATABASE_URL={}\n", url_with(&project, &user, &format!("{name}:{SECRET}"))));
    let outcome = without_url(&project, &["migrate"]).exits(3);
    outcome.says(&["the URL came from DATABASE_URL in .env"]).never_says(&[SECRET]);
}

#[test]
fn a_line_of_dot_env_that_does_not_parse_is_located_and_not_shown() {
    for line in [
        "DATABASE_URL=postgres://ana:s3cret pass@db/app",
        "DATABASE_URL='postgres://ana:s3cret@db/app",
        "DATABASE_URL postgres://ana:s3cret@db/app",
        "s3cret",
        "  s3cret cret  ",
        "DATABASE_URL=\"postgres://ana:s3\\qcret@db/app\"",
    ] {
        let project = project();
        project.write(".env", format!("# a comment\nA=1\n\n{line}\nB=2\n"));
        let outcome = project.outgrow(["status"]).exits(2).says(&[".env:4: "]);
        outcome.never_says(&[SECRET, "s3\\", "cret"]);
    }
}

/// As Node, Ruby and Python take them; a quote that is left open must not hide what stands behind it.
#[test]
fn lines_of_others_that_do_not_parse_are_passed_over() {
    let project = project();
    let others = "APP_NAME=My App\nMSG=it's\nexport FOO=bar baz\nBT=`x y`\n";
    project.write(".env", format!("{others}DATABASE_URL={}\nLAST=a b\n", project.url()));
    without_url(&project, &["migrate"]).succeeds().prints(&["at head, V1"]);
}
