//! Who loads: the server by itself, outgrow in several ways, and the other tools that are installed.

use crate::case::Case;
use crate::content::{self, Content};
use crate::process::{self, Run};
use crate::server::Server;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// One way to load, or to compare what was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// The server reads a binary file on its own disk, then makes the keys.
    Limit,
    /// The same with `COPY … FREEZE`.
    Frozen,
    /// outgrow without proof; the keys are a version after the step.
    Unproven,
    /// and a version before it.
    UnprovenKeyed,
    /// outgrow as it is; the keys are a version after the step.
    Proven,
    /// and a version before it.
    ProvenKeyed,
    /// `outgrow verify` of what was just loaded.
    Verify,
    Sqlite3Psql,
    DuckDb,
    Pgloader,
}

const ALL: [Contestant; 10] = [
    Contestant::Limit,
    Contestant::Frozen,
    Contestant::Unproven,
    Contestant::UnprovenKeyed,
    Contestant::Proven,
    Contestant::ProvenKeyed,
    Contestant::Verify,
    Contestant::Sqlite3Psql,
    Contestant::DuckDb,
    Contestant::Pgloader,
];

impl Contestant {
    /// All that can run here.
    pub fn installed() -> impl Iterator<Item = Contestant> {
        ALL.into_iter().filter(|contestant| match contestant {
            Contestant::Sqlite3Psql => works("sqlite3", &["--version"]) && works("psql", &["--version"]),
            Contestant::DuckDb => {
                works("python3", &["-c", "import duckdb as d; d.sql('INSTALL sqlite; INSTALL postgres')"])
            }
            Contestant::Pgloader => works("pgloader", &["--version"]),
            _ => true,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Contestant::Limit => "limit",
            Contestant::Frozen => "limit with FREEZE",
            Contestant::Unproven => "outgrow --proof none, keys after",
            Contestant::UnprovenKeyed => "outgrow --proof none, keys before",
            Contestant::Proven => "outgrow, keys after",
            Contestant::ProvenKeyed => "outgrow, keys before",
            Contestant::Verify => "outgrow verify",
            Contestant::Sqlite3Psql => "sqlite3 | psql",
            Contestant::DuckDb => "DuckDB",
            Contestant::Pgloader => "pgloader",
        }
    }

    /// Whether it leaves a database whose content can be compared.
    pub fn loads(self) -> bool {
        self != Contestant::Verify
    }

    /// One run, in a fresh database (but for the comparison, which takes the one before).
    pub fn run(
        self,
        server: &Server,
        case: &Case,
        folder: &Path,
        source: &Path,
    ) -> Result<Run, Box<dyn Error>> {
        if self == Contestant::Verify {
            return outgrow(server, folder, source, &["verify"]);
        }
        let mut client = server.fresh()?;
        match self {
            Contestant::Limit | Contestant::Frozen => {
                let directory: String = client.query_one("SHOW data_directory", &[])?.get(0);
                let option = if self == Contestant::Frozen { ", FREEZE" } else { "" };
                let mut sql = format!("BEGIN; {}", case.create());
                for table in &case.tables {
                    let name = table.name;
                    let _ = write!(
                        sql,
                        "COPY {name} FROM '{}' (FORMAT binary{option}); ",
                        ready(&directory, case, name)
                    );
                }
                let _ = write!(sql, "{}{} COMMIT", case.constrain(), sequences(case));
                let begun = Instant::now();
                client.batch_execute(&sql)?;
                Ok(Run { seconds: begun.elapsed().as_secs_f64(), ..Run::default() })
            }
            Contestant::Unproven | Contestant::Proven => {
                versions(
                    folder,
                    &[(1, "sql", &case.create()), (2, "toml", &case.step()), (3, "sql", &case.constrain())],
                )?;
                let proof = if self == Contestant::Proven { "content" } else { "none" };
                outgrow(server, folder, source, &["migrate", "--proof", proof])
            }
            Contestant::UnprovenKeyed | Contestant::ProvenKeyed => {
                versions(
                    folder,
                    &[(1, "sql", &case.create()), (2, "sql", &case.constrain()), (3, "toml", &case.step())],
                )?;
                outgrow(server, folder, source, &["migrate", "--to", "2"])?;
                let proof = if self == Contestant::ProvenKeyed { "content" } else { "none" };
                outgrow(server, folder, source, &["migrate", "--proof", proof])
            }
            Contestant::Sqlite3Psql | Contestant::DuckDb | Contestant::Pgloader => {
                client.batch_execute(&case.create())?;
                let mut script = self.script(server, case, source);
                let _ = writeln!(
                    script,
                    "psql -q -v ON_ERROR_STOP=1 '{}' -c \"{}{}\"",
                    server.url,
                    case.constrain(),
                    sequences(case)
                );
                let file = folder.join("contestant.sh");
                std::fs::write(&file, script)?;
                process::run(Command::new("sh").arg("-eu").arg(&file))
            }
            Contestant::Verify => Err("it loads nothing".into()),
        }
    }

    /// What loads the rows of all tables, for a shell.
    fn script(self, server: &Server, case: &Case, source: &Path) -> String {
        let (url, source) = (&server.url, source.display());
        let mut script = String::new();
        match self {
            Contestant::Sqlite3Psql => {
                for table in &case.tables {
                    let (name, columns) = (table.name, table.names());
                    let _ = writeln!(
                        script,
                        "sqlite3 -readonly -csv '{source}' 'SELECT {columns} FROM {name}' | \
                         psql -q -v ON_ERROR_STOP=1 '{url}' -c '\\copy {name} ({columns}) FROM stdin (FORMAT csv)'"
                    );
                }
            }
            Contestant::DuckDb => {
                let _ = write!(
                    script,
                    "python3 - <<'END'\nimport duckdb\nd = duckdb.connect()\n\
                     d.execute(\"LOAD sqlite; LOAD postgres; ATTACH '{source}' AS s (TYPE sqlite, READ_ONLY); ATTACH '{url}' AS p (TYPE postgres)\")\n"
                );
                for table in &case.tables {
                    let (name, columns) = (table.name, table.names());
                    let _ = writeln!(
                        script,
                        "d.execute('INSERT INTO p.{name} ({columns}) SELECT {columns} FROM s.{name}')"
                    );
                }
                script.push_str("END\n");
            }
            _ => {
                let _ = write!(
                    script,
                    "cat >\"$0.load\" <<'END'\nLOAD DATABASE FROM sqlite://{source} INTO {url}\nWITH data only, create no tables;\nEND\n\
                     pgloader \"$0.load\"\n"
                );
            }
        }
        script
    }
}

/// Loads the source once, writes the files for the server's own load, and returns what every load must give.
pub fn prepare(
    server: &Server,
    case: &Case,
    folder: &Path,
    source: &Path,
) -> Result<Content, Box<dyn Error>> {
    Contestant::Proven.run(server, case, folder, source)?;
    let mut client = server.connect()?;
    let directory: String = client.query_one("SHOW data_directory", &[])?.get(0);
    for table in &case.tables {
        let file = ready(&directory, case, table.name);
        client.batch_execute(&format!("COPY {} TO '{file}' (FORMAT binary)", table.name))?;
    }
    content::content(server, case)
}

fn ready(directory: &str, case: &Case, table: &str) -> String {
    format!("{directory}/{}-{table}.copy", case.name)
}

fn sequences(case: &Case) -> String {
    let each =
        |name: &str| format!("SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}; ");
    case.tables.iter().map(|table| each(table.name)).collect()
}

fn versions(folder: &Path, versions: &[(i32, &str, &str)]) -> Result<(), Box<dyn Error>> {
    let folder = folder.join("migrations");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    for (number, kind, text) in versions {
        std::fs::write(folder.join(format!("V{number}__version.{kind}")), text)?;
    }
    Ok(())
}

fn outgrow(server: &Server, folder: &Path, source: &Path, arguments: &[&str]) -> Result<Run, Box<dyn Error>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outgrow"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("DATABASE_URL", &server.url)
        .env("SOURCE_DATABASE_URL", source);
    process::run(&mut command)
}

fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
