//! A test in five readable lines: a [`Project`] is a folder with migrations and SQLite files and a database of its own;
//! [`Project::outgrow`] runs the program in it, and an [`Outcome`] is compared with what it should have said.

pub mod cells;
pub mod gate;
mod outcome;
pub mod pgbouncer;
pub mod proxy;
mod role;
pub mod secure;
pub mod server;

pub use outcome::Outcome;
use postgres::{Client, NoTls};
pub use role::Role;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The checkout.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A port of this machine where nobody listens, another at every call: below those that systems hand out themselves, so
/// that no passing connection has it.
pub fn closed_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = 10_000 + std::process::id() % 90 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(port).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A folder and a database, both gone after a test that passes; the database stays after one that fails.
pub struct Project {
    folder: TempDir,
    database: String,
}

impl Project {
    /// With no files at all.
    pub fn empty() -> Project {
        let test = std::thread::current().name().unwrap_or("main").replace("::", "_");
        let shortened = &test[test.len().saturating_sub(40)..];
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let database = format!("{shortened}_{}_{number}", std::process::id());
        server::execute(&format!("CREATE DATABASE \"{database}\" TEMPLATE template0"));
        Project { folder: TempDir::new().expect("a temporary folder"), database }
    }

    /// With these files, paths relative to the folder.
    pub fn with(files: &[(&str, &str)]) -> Project {
        let project = Project::empty();
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    /// InteliBotX's versions, and its sample source as `app.db`.
    pub fn intelibotx() -> Project {
        Project::intelibotx_from("intelibotx.db")
    }

    /// InteliBotX's versions, and one of its fixtures as `app.db`.
    pub fn intelibotx_from(fixture: &str) -> Project {
        let project = Project::empty();
        project.copy("migrations");
        std::fs::copy(repository().join("fixtures").join(fixture), project.path("app.db"))
            .expect("the fixture");
        project
    }

    /// One table `t` on both sides: `columns` as the target declares them, and a source made by `statements`.
    pub fn one_table(columns: &str, statements: &str) -> Project {
        let project = Project::with(&[
            ("migrations/V1__create_t.sql", &format!("CREATE TABLE t ({columns});")),
            ("migrations/V2__import.toml", "source = \"sqlite\"\ntables = [\"t\"]\n"),
        ]);
        project.sqlite("app.db", statements);
        project
    }

    /// A target made by `schema`, a step with `tables` (quoted, separated by commas), and a source made by
    /// `statements`.
    pub fn step(schema: &str, tables: &str, statements: &str) -> Project {
        let step = format!("source = \"sqlite\"\ntables = [{tables}]\n");
        let project =
            Project::with(&[("migrations/V1__create.sql", schema), ("migrations/V2__import.toml", &step)]);
        project.sqlite("app.db", statements);
        project
    }

    /// Makes the database once more, empty and in another encoding.
    pub fn encoded_in(self, encoding: &str) -> Project {
        server::execute(&format!("DROP DATABASE \"{}\"", self.database));
        server::execute(&format!(
            "CREATE DATABASE \"{}\" TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'",
            self.database
        ));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(path, content).expect("the file");
    }

    /// Copies the files of a folder of the checkout.
    pub fn copy(&self, folder: &str) {
        for entry in repository().join(folder).read_dir().expect(folder) {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            self.write(&format!("{folder}/{name}"), std::fs::read(&path).expect("a file"));
        }
    }

    /// Copies InteliBotX's acceptance checks, with wider budgets: other tests use the machine, too.
    pub fn copy_checks(&self) {
        self.copy("checks");
        for (name, budget, wider) in
            [("dashboard", "budget: 50 ms", "budget: 2 s"), ("connection", "budget: 100 ms", "budget: 20 s")]
        {
            let path = format!("checks/{name}.sql");
            let text = std::fs::read_to_string(self.path(&path)).expect("a check");
            assert!(text.contains(budget), "{path}");
            self.write(&path, text.replace(budget, wider));
        }
    }

    /// Runs `statements` on the SQLite file `name`, made if it is missing.
    pub fn sqlite(&self, name: &str, statements: &str) {
        let connection = rusqlite::Connection::open(self.path(name)).expect("an SQLite file");
        connection.pragma_update(None, "foreign_keys", false).expect("as applications have it");
        connection.execute_batch(statements).expect("the statements");
    }

    /// Makes an SQLite file longer with pages that hold nothing, so that it is not loaded as a small one.
    pub fn enlarge(&self, name: &str) {
        let filler =
            "CREATE TABLE filler (b); INSERT INTO filler VALUES (zeroblob(600000)); DROP TABLE filler";
        self.sqlite(name, filler);
    }

    /// The URL of the project's database.
    pub fn url(&self) -> String {
        server::url(&self.database)
    }

    /// Where the server listens.
    pub fn host_and_port(&self) -> (String, u16) {
        let url = self.url();
        let (_, after) = url.split_once('@').expect("a host");
        let (place, _) = after.split_once('/').expect("a database");
        let (host, port) = place.split_once(':').expect("a port");
        (host.to_owned(), port.parse().expect("a number"))
    }

    /// A session of the test's own.
    pub fn connect(&self) -> Client {
        Client::connect(&self.url(), NoTls).expect("a connection")
    }

    /// The first column of every row, as text: `query` must cast.
    pub fn query(&self, query: &str) -> Vec<String> {
        let rows = self.connect().query(query, &[]).expect(query);
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or("NULL".into())).collect()
    }

    pub fn execute(&self, statements: &str) {
        self.connect().batch_execute(statements).expect(statements);
    }

    /// Gives table `t` a trigger that does `body` to rows as they are stored, and an event trigger that turns it on
    /// again whenever a step sets it aside: only a superuser can meddle like that.
    pub fn meddles(&self, body: &str) {
        self.execute(&format!(
            "CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             CREATE TRIGGER bend BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION bend();
             CREATE FUNCTION insist() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
               IF EXISTS (SELECT FROM pg_trigger WHERE tgname = 'bend' AND tgenabled = 'D') THEN
                 ALTER TABLE t ENABLE TRIGGER bend;
               END IF;
             END $$;
             CREATE EVENT TRIGGER insist ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION insist()"
        ));
    }

    /// Whether the target has a table of that name.
    pub fn has_table(&self, name: &str) -> bool {
        self.query(&format!("SELECT to_regclass('{name}')::text")) != ["NULL"]
    }

    /// The program, not yet run: in the project's folder, with its database and `app.db` in the environment and nothing
    /// else that it reads.
    pub fn command<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgrow"));
        for (name, _) in std::env::vars().filter(|(name, _)| {
            ["PG", "RUST", "RAILWAY", "DYNO", "RENDER", "FLY_", "RELEASE_COMMAND"]
                .iter()
                .any(|read| name.starts_with(read))
        }) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("OUTGROW_MIGRATIONS")
            .env_remove("OUTGROW_CHECKS")
            .env_remove("OUTGROW_LOG_FORMAT")
            .env_remove("ENVIRONMENT")
            .env_remove("SOURCE_DATABASE_URL")
            .env_remove("MIGRATION_DATABASE_URL")
            .env_remove("DATABASE_UNPOOLED_URL")
            .env_remove("DIRECT_URL")
            .env("HOME", self.folder.path())
            .env("DATABASE_URL", self.url())
            .stdin(Stdio::null());
        if self.path("app.db").exists() {
            command.env("SOURCE_DATABASE_URL", "app.db");
        }
        command
    }

    /// Runs the program to its end.
    pub fn outgrow<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Outcome {
        self.run(&mut self.command(arguments))
    }

    /// Runs `command` to its end.
    pub fn run(&self, command: &mut Command) -> Outcome {
        Outcome::of(command.output().expect("the program runs"), server::password())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            server::keep();
            eprintln!("kept: database {} (see CONTRIBUTING.md)", self.database);
        } else {
            server::execute(&format!("DROP DATABASE \"{}\" WITH (FORCE)", self.database));
        }
    }
}
