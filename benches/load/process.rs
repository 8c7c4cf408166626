//! A program run to its end: how long it took and, on Linux, what it used.

use serde::Serialize;
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What one run took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Run {
    /// From start to end.
    pub seconds: f64,
    /// The client's own time on a processor, in seconds.
    pub cpu: Option<f64>,
    /// The client's largest resident set, in MB.
    pub peak: Option<f64>,
}

/// Runs `command`, whose output is shown only if it fails.
pub fn run(command: &mut Command) -> Result<Run, Box<dyn Error>> {
    let begun = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (id, ended) = (child.id(), AtomicBool::new(false));
    let (output, seconds, used) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(id, &ended));
        let output = child.wait_with_output();
        let seconds = begun.elapsed().as_secs_f64();
        ended.store(true, Ordering::Relaxed);
        (output, seconds, watcher.join().unwrap_or_default())
    });
    let output = output?;
    if !output.status.success() {
        return Err(format!("{command:?}\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Run { seconds, ..used })
}

/// Looks at the process while it is there: the last look is a few milliseconds before its end.
fn watch(id: u32, ended: &AtomicBool) -> Run {
    let mut seen = Run::default();
    while !ended.load(Ordering::Relaxed) {
        let place = Path::new("/proc").join(id.to_string());
        seen.cpu = cpu(&place).or(seen.cpu);
        seen.peak = peak(&place).or(seen.peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    seen
}

/// (Linux: `proc_pid_stat(5)`: `utime` and `stime` are the 14th and 15th field, in hundredths of a second.)
fn cpu(place: &Path) -> Option<f64> {
    let stat = std::fs::read_to_string(place.join("stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / 100.0)
}

fn peak(place: &Path) -> Option<f64> {
    let status = std::fs::read_to_string(place.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
