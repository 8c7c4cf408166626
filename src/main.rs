//! The `outgrow` program: parse, logger, runtime, run, exit code. Everything else is in the library.

use outgrow::cli;
use outgrow::output::{self, LogFormat, Output};
use std::process::ExitCode;

fn main() -> ExitCode {
    let format = LogFormat::of_environment();
    let log = *format.as_ref().unwrap_or(&LogFormat::Text);
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(unparsed) => return output::unparsed(&unparsed, log).into(),
    };
    let bars = log.start(cli.global.verbose, cli.global.quiet);
    let output = Output::new(cli.global.json, log, bars);
    if let Err(error) = format {
        return output.failed(&error).into();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.failed(&error.into()).into(),
    };
    let code = match runtime.block_on(outgrow::run(cli, &output)) {
        Ok(code) => code.into(),
        Err(error) => output.failed(&error).into(),
    };
    // a run that was abandoned does not wait for what its threads are still reading
    runtime.shutdown_background();
    code
}
