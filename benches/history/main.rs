//! `cargo bench --bench history`: what a long history costs, as whole processes, in ratios to `psql` for the same work:
//! `select 1` where there is nothing to do, and otherwise one file with the same statements, each version's in a
//! transaction of its own (without a history).
//!
//! Out comes a table of medians. psql and outgrow take turns, so that a noisy machine is noisy for both, and what
//! outgrow has recorded is counted: a fast wrong answer ends the benchmark.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]
#![allow(unreachable_pub, reason = "nobody imports it")]

#[path = "../load/process.rs"]
mod process;
#[path = "../load/server.rs"]
mod server;

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use server::Server;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Applies long histories, and looks at them when they are applied.
#[derive(Parser)]
struct Arguments {
    /// How often each case is run
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only cases whose names contain this
    #[arg(long)]
    only: Option<String>,
    /// What `cargo bench` passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured.
struct Case {
    name: &'static str,
    /// How many versions there are; 0 is this repository's own, and its sample source.
    versions: usize,
    /// They are applied already.
    at_head: bool,
}

const CASES: [Case; 6] = [
    Case { name: "1,000 applied", versions: 1000, at_head: true },
    Case { name: "5,000 applied", versions: 5000, at_head: true },
    Case { name: "10,000 applied", versions: 10_000, at_head: true },
    Case { name: "1,000 pending", versions: 1000, at_head: false },
    Case { name: "5,000 pending", versions: 5000, at_head: false },
    Case { name: "the sample", versions: 0, at_head: false },
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("history");
    std::fs::create_dir_all(&folder)?;
    let server = Server::start(&folder)?;
    let processors = std::thread::available_parallelism()?;
    println!("medians of {}, {processors} processors, PostgreSQL {}", arguments.rounds, server.version()?);
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(["case", "outgrow ms", "psql ms", "ratio"]);
    for case in CASES {
        if arguments.only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
            continue;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let place = case.place(&folder)?;
        if case.at_head {
            server.fresh()?;
            migrate(&server, &place)?;
        }
        for round in 1..=arguments.rounds {
            theirs.push(case.psql(&server, &place)?);
            if !case.at_head {
                server.fresh()?;
            }
            ours.push(migrate(&server, &place)?);
            case.require_history(&server)?;
            eprintln!("{} {round}/{}", case.name, arguments.rounds);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        table.add_row([
            case.name.to_owned(),
            format!("{:.1}", ours * 1e3),
            format!("{:.1}", theirs * 1e3),
            format!("{:.2}", ours / theirs),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(())
}

impl Case {
    /// A folder with `migrations/`, the source `app.db` if there is one, and `all.sql` for psql.
    fn place(&self, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let place = folder.join(self.versions.to_string());
        let migrations = place.join("migrations");
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        std::fs::create_dir_all(&migrations)?;
        if self.versions == 0 {
            let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
            for entry in repository.join("migrations").read_dir()? {
                let entry = entry?;
                std::fs::copy(entry.path(), migrations.join(entry.file_name()))?;
            }
            std::fs::copy(repository.join("fixtures/intelibotx.db"), place.join("app.db"))?;
        }
        let mut all = String::new();
        for number in 1..=self.versions {
            let text = statement(number);
            std::fs::write(migrations.join(format!("V{number}__change_{number}.sql")), &text)?;
            all += &format!("BEGIN;\n{text}COMMIT;\n");
        }
        std::fs::write(place.join("all.sql"), all)?;
        Ok(place)
    }

    /// How long psql takes, in seconds. Debian's `psql` is a script that looks for the program: this is the program.
    fn psql(&self, server: &Server, place: &Path) -> Result<f64, Box<dyn Error>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres");
        let programs = String::from_utf8(Command::new(script).arg("bin").output()?.stdout)?;
        let mut command = Command::new(Path::new(programs.trim()).join("psql"));
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"]).arg(&server.url).current_dir(place);
        if self.at_head || self.versions == 0 {
            command.args(["-c", "select 1"]);
        } else {
            server.fresh()?;
            command.args(["-f", "all.sql"]);
        }
        Ok(process::run(&mut command)?.seconds)
    }

    fn require_history(&self, server: &Server) -> Result<(), Box<dyn Error>> {
        let count = "SELECT count(*) FROM refinery_schema_history";
        let recorded: i64 = server.connect()?.query_one(count, &[])?.get(0);
        if self.versions == 0 || usize::try_from(recorded)? == self.versions {
            Ok(())
        } else {
            Err(format!("{}: {recorded} versions are recorded", self.name).into())
        }
    }
}

/// As small as versions are: the first of every hundred makes a table, and the others change it.
fn statement(number: usize) -> String {
    let table = (number - 1) / 100;
    match (number - 1) % 100 {
        0 => format!("-- what change {number} is for\nCREATE TABLE t{table} (id bigint PRIMARY KEY);\n"),
        change => {
            format!("-- what change {number} is for\nALTER TABLE t{table} ADD COLUMN c{change} text;\n")
        }
    }
}

fn migrate(server: &Server, place: &Path) -> Result<f64, Box<dyn Error>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outgrow"));
    command
        .args(["migrate", "--source", "app.db"])
        .current_dir(place)
        .env("DATABASE_URL", &server.url)
        .env_remove("OUTGROW_MIGRATIONS");
    Ok(process::run(&mut command)?.seconds)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
