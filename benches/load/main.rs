//! `make bench`: how long a whole load takes, in ratios to what the server needs for the same rows by itself (tables,
//! `COPY … FROM` a ready-made binary file on its own disk, then keys, indexes, foreign keys and sequences).
//!
//! In go two generated SQLite files, of a size that is an argument; out come a table of medians on standard output and,
//! with `--output`, a JSON file. The contestants take turns, so that a noisy machine is noisy for all of them, and what
//! each has loaded is compared with what the server itself has: a fast wrong answer ends the benchmark.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]
#![allow(unreachable_pub, reason = "nobody imports it")]

mod case;
mod content;
mod contestant;
mod process;
mod report;
mod server;

use case::Case;
use clap::Parser;
use contestant::Contestant;
use report::Report;
use server::Server;
use std::error::Error;
use std::path::PathBuf;

/// Loads generated SQLite files into PostgreSQL with whatever is installed here, and compares times and content.
#[derive(Parser)]
struct Arguments {
    /// 1 is 5,000,000 rows of 6 columns, and 1,600,000 rows in three tables with 35 columns in one
    #[arg(long, default_value_t = 0.2)]
    size: f64,
    /// How often each contestant loads each source
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only cases or contestants whose names contain this; the server's own load is always run
    #[arg(long)]
    only: Option<String>,
    /// Write all figures to this file, as JSON
    #[arg(long)]
    output: Option<PathBuf>,
    /// What `cargo bench` passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("load");
    std::fs::create_dir_all(&folder)?;
    let server = Server::start(&folder)?;
    let mut report = Report::new(&server, arguments.size, arguments.rounds)?;
    for case in Case::all() {
        let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.contains(only));
        let all: Vec<Contestant> = Contestant::installed().collect();
        let chosen =
            all.iter().filter(|one| **one == Contestant::Limit || wanted(one.name()) || wanted(case.name));
        let chosen: Vec<Contestant> = chosen.copied().collect();
        if chosen.len() == 1 {
            continue;
        }
        eprintln!("{}: making the source", case.name);
        let source = case.source(&folder, arguments.size)?;
        let content = contestant::prepare(&server, &case, &folder, &source)?;
        for round in 1..=arguments.rounds {
            for contestant in &chosen {
                let run = contestant.run(&server, &case, &folder, &source)?;
                eprintln!(
                    "{} {round}/{}: {} {:.2} s",
                    case.name,
                    arguments.rounds,
                    contestant.name(),
                    run.seconds
                );
                if contestant.loads() {
                    content::require_content(&server, &case, contestant.name(), &content)?;
                }
                report.add(&case, *contestant, run);
            }
        }
    }
    println!("{report}");
    if let Some(file) = &arguments.output {
        std::fs::write(file, report.json()?)?;
    }
    Ok(())
}
