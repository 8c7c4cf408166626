//! Where the target is named, and what of it is honoured; several hosts and addresses.

use crate::support::{Project, closed_port};
use postgres::Config;
use postgres::config::Host;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;

/// What the session is, as the server sees it.
const TELLS: &str = "DO $$ BEGIN RAISE NOTICE 'session: % %', current_setting('application_name'),
    current_setting('search_path'); END $$;";

pub fn project() -> Project {
    Project::with(&[("migrations/V1__tells.sql", TELLS)])
}

/// User, password, host, port and database of the project's URL.
pub fn parts(project: &Project) -> [String; 5] {
    let config: Config = project.url().parse().expect("a URL");
    let host = match &config.get_hosts()[0] {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    };
    [
        config.get_user().expect("a user").to_owned(),
        String::from_utf8(config.get_password().expect("a password").to_owned()).expect("UTF-8"),
        host,
        config.get_ports()[0].to_string(),
        config.get_dbname().expect("a database").to_owned(),
    ]
}

pub fn port(project: &Project) -> u16 {
    parts(project)[3].parse().expect("a port")
}

fn without_url<'a>(project: &Project, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = project.command(arguments);
    command.env_remove("DATABASE_URL");
    command
}

#[test]
fn the_most_direct_url_is_used_and_named() {
    let project = project();
    let wrong = "sqlite:///not-a-target.db";
    let names = ["MIGRATION_DATABASE_URL", "DATABASE_UNPOOLED_URL", "DIRECT_URL", "DATABASE_URL"];
    for (at, name) in names.iter().enumerate() {
        let mut command = without_url(&project, ["status"]);
        command.env(name, project.url());
        for less in &names[at + 1..] {
            command.env(less, wrong);
        }
        let outcome = project.run(&mut command).succeeds();
        if *name == "DATABASE_URL" {
            outcome.never_says(&["connecting to"]);
        } else {
            outcome.says(&[&format!(", as {name} says")]);
        }
    }
    let mut command = project.command(["status", "-v", "--database-url", &project.url()]);
    project.run(command.env("MIGRATION_DATABASE_URL", wrong)).succeeds().says(&[", as --database-url says"]);
}

#[test]
fn what_was_set_for_this_run_wins_over_the_file() {
    let project = project();
    project.write(".env", "MIGRATION_DATABASE_URL=sqlite:///not-a-target.db\n");
    project.outgrow(["status"]).succeeds();
    project.write(".env", format!("DATABASE_URL=sqlite:///x.db\nDIRECT_URL={}\n", project.url()));
    let mut command = without_url(&project, ["status"]);
    project.run(&mut command).succeeds().says(&[", as DIRECT_URL in .env says"]);
}

#[test]
fn libpq_variables_name_a_target_alone() {
    let project = project();
    let [user, password, host, port, database] = parts(&project);
    let mut command = without_url(&project, ["migrate"]);
    command.env("PGHOST", &host).env("PGPORT", &port).env("PGUSER", &user).env("PGPASSWORD", &password);
    command
        .env("PGDATABASE", &database)
        .env("PGAPPNAME", "release")
        .env("PGOPTIONS", "-c search_path=public,pg_catalog");
    command.env("PGCONNECT_TIMEOUT", "7");
    let outcome = project.run(&mut command).succeeds();
    outcome.says(&["as PGHOST says", "session: release public,pg_catalog"]);
    let mut command = without_url(&project, ["status"]);
    project
        .run(command.env("PGHOST", &host).env("PGPORT", "five"))
        .exits(2)
        .says(&["PGPORT: the port is not"]);
    let mut command = without_url(&project, ["status"]);
    command.env("PGDATABASE", &database).env("PGPORT", "1");
    project.run(&mut command).exits(2).says(&["PGDATABASE: no host, and no Unix socket in "]);
}

#[test]
fn a_service_file_names_a_target() {
    let project = project();
    let [user, password, host, port, database] = parts(&project);
    let service = |name: &str, user: &str| {
        format!("# mine\n[{name}]\nhost={host}\nport={port}\nuser={user}\npassword={password}\n")
    };
    let text = service("other", "nobody") + &service("app", &user) + "application_name=release\nschema=x\n";
    project.write(".pg_service.conf", format!("{text}dbname={database}\n"));
    let mut command = without_url(&project, ["migrate"]);
    // the service wins over the variables
    command.env("PGSERVICE", "app").env("PGUSER", "nobody").env("PGPORT", "1");
    project.run(&mut command).succeeds().says(&["as PGSERVICE says", "session: release ", "ignored: schema"]);
    // and the string over the service, whose address is that of another host
    project.write("folder/pg_service.conf", "[sys]\nhostaddr=192.0.2.1\nuser=nobody\ndbname=nowhere\n");
    let url = format!("postgres://{user}:{password}@{host}:{port}/{database}?service=sys");
    let mut command = project.command(["status", "--database-url", &url]);
    project.run(command.env("PGSYSCONFDIR", "folder")).succeeds();
    let mut command = project.command(["status", "--database-url", "service=sy"]);
    command.env("PGSERVICEFILE", "mine.conf").env("PGSYSCONFDIR", "folder");
    project
        .run(&mut command)
        .exits(2)
        .says(&["--database-url: service: no such service in mine.conf nor in folder/pg_service.conf"]);
    project.write("mine.conf", format!("[sy]\nhost={host}\n{password}\n"));
    project.run(&mut command).exits(2).says(&["mine.conf:3: expected NAME=VALUE"]);
}

/// As `--database-url "$URL"` is where nobody set it.
#[test]
fn an_empty_url_is_no_url() {
    let project = project();
    let said = "--database-url: it is empty (a variable that is not set?): expected postgres://";
    project.outgrow(["status", "--database-url", " "]).exits(2).says(&[said]);
}

#[test]
fn libpq_variables_fill_what_the_url_leaves_out() {
    let project = project();
    let [user, password, host, port, database] = parts(&project);
    let url = format!("postgres://{user}@{host}/{database}?sslmode=disable");
    let mut command = project.command(["migrate", "--database-url", &url]);
    command.env("PGPORT", &port).env("PGPASSWORD", &password).env("PGAPPNAME", "release");
    // what the URL says, it says
    command.env("PGHOST", "nowhere.invalid").env("PGHOSTADDR", "192.0.2.1").env("PGUSER", "nobody");
    command.env("PGSSLMODE", "require");
    project.run(&mut command).succeeds().says(&["session: release"]);
    let mut command = project.command(["status"]);
    project.run(command.env("PGSSLMODE", "verify-ca")).exits(2).says(&["PGSSLMODE: verifying needs"]);
}

#[test]
fn parameters_are_honoured_or_named() {
    let project = project();
    let url = format!(
        "{}?application_name=release&options=-csearch_path%3Dpublic,pg_catalog&keepalives_idle=20&connect_timeout=5\
         &target_session_attrs=read-write&gssencmode=disable&schema=public&krbsrvname=x&pgbouncer=true",
        project.url()
    );
    let mut command = project.command(["migrate", "--database-url", &url]);
    let outcome = project.run(command.env("PGGSSLIB", "x")).succeeds();
    outcome.says(&[
        "session: release public,pg_catalog",
        "--database-url: without effect here, and ignored: schema, pgbouncer, PGGSSLIB, krbsrvname\n",
    ]);
    for (parameter, said) in [
        ("keepalives_idle=soon", "keepalives_idle: expected a whole number"),
        ("application_name=a&application_name=b", "application_name is given twice"),
        ("target_session_attrs=prefer-standby", "write primary, or any"),
        ("hostaddr=localhost", "hostaddr: expected an IPv4 or IPv6 address"),
        ("hostaddr=127.0.0.1,127.0.0.2", "hostaddr: 2 of them for 1 hosts"),
    ] {
        let url = format!("{}?{parameter}", project.url());
        project.outgrow(["status", "--database-url", &url]).exits(2).says(&[said]);
    }
}

#[test]
fn a_session_that_is_not_as_asked_is_not_taken() {
    let project = project();
    for (attrs, code) in [("any", 0), ("primary", 0), ("read-write", 0), ("standby", 3), ("read-only", 3)] {
        let url = format!("{}?target_session_attrs={attrs}", project.url());
        let outcome = project.outgrow(["status", "--wait", "0s", "--database-url", &url]).exits(code);
        if code != 0 {
            outcome.says(&["not what target_session_attrs asks for"]);
        }
    }
}

#[test]
fn every_host_and_every_address_is_tried() {
    let project = project();
    let [user, password, _, port, database] = parts(&project);
    let closed = closed_port();
    let at = |hosts: &str| format!("postgres://{user}:{password}@{hosts}/{database}");
    let url = at(&format!("127.0.0.1:{closed},[::1]:{closed},localhost:{port}"));
    project.outgrow(["status", "--wait", "0s", "--database-url", &url]).succeeds();
    let url = at(&format!("127.0.0.1:{closed},[::1]:{closed}"));
    project.outgrow(["status", "--wait", "0s", "--database-url", &url]).exits(3).says(&[
        &format!("no connection to {user}@127.0.0.1:{closed},[::1]:{closed}/{database}: "),
        &format!("127.0.0.1:{closed}: Connection refused"),
        &format!("[::1]:{closed}: "),
    ]);
}

/// A Unix socket behind which is the server at that port; gives the head of the one session's first message.
fn door(socket: &Path, port: u16) -> JoinHandle<[u8; 8]> {
    let listener = UnixListener::bind(socket).expect("a socket");
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("the program");
        let mut server = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        let (mut answers, mut back) =
            (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
        std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
        let mut first = [0; 8];
        client.read_exact(&mut first).expect("a startup message");
        server.write_all(&first).expect("the server");
        let _ = std::io::copy(&mut client, &mut server);
        first
    })
}

#[test]
fn a_unix_socket_is_reached_and_never_asked_for_tls() {
    let project = project();
    let [user, password, _, port, database] = parts(&project);
    let door = door(&project.path(".s.PGSQL.5432"), port.parse().expect("a port"));
    let folder = project.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    let url = format!("postgres://{user}:{password}@/{database}?host={folder}&sslmode=require");
    project.outgrow(["status", "-v", "--database-url", &url]).succeeds().says(&["without TLS"]);
    assert_eq!(door.join().expect("the door")[4..], [0, 3, 0, 0], "protocol 3.0");
}

#[test]
fn without_a_host_the_socket_of_this_machine_is_taken() {
    let project = project();
    let [user, password, _, port, database] = parts(&project);
    let local = closed_port();
    let socket = PathBuf::from(format!("/tmp/.s.PGSQL.{local}"));
    // a run that was killed may have left it
    let _ = std::fs::remove_file(&socket);
    let door = door(&socket, port.parse().expect("a port"));
    let url = format!("postgresql:///{database}?user={user}&password={password}&port={local}");
    let outcome = project.outgrow(["status", "--database-url", &url]);
    std::fs::remove_file(&socket).expect("the socket");
    outcome.succeeds().prints(&[&format!("{user}@/tmp:{local}/{database}: ")]);
    door.join().expect("the door");
}

#[test]
fn the_password_file_is_read_if_it_is_its_owners_alone() {
    let project = project();
    let [user, password, host, port, database] = parts(&project);
    let url = format!("postgres://{user}@{host}:{port}/{database}");
    let lines = format!("# mine\nelsewhere:*:*:*:wrong\n{host}:{port}:*:{user}:{password}\n*:*:*:*:wrong\n");
    for (name, variable) in [(".pgpass", ""), ("passwords", "passwords")] {
        project.write(name, &lines);
        let run = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(project.path(name), permissions).expect("its permissions");
            let mut command = project.command(["status", "--database-url", &url]);
            project.run(command.env("PGPASSFILE", variable))
        };
        run(0o600).succeeds();
        run(0o644).exits(3).says(&["is not used: others may read it", "asks for a password"]);
        std::fs::remove_file(project.path(name)).expect("the file");
    }
}
