//! Shows how far a step, an export or a comparison is, on stderr: a bar on a terminal, and elsewhere a line now and
//! then, so that no log of a deployment stands still without a reason.

use super::human;
use crate::copy::progress::{Phase, Progress, Work};
use indicatif::{HumanFloatCount, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// A bar is drawn anew this often.
const FRAME: Duration = Duration::from_millis(100);

/// A line is written this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Shows it until it is dropped.
pub struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to show `progress`. Bars are drawn in `bars`, which knows what else is written to the terminal.
    pub(super) fn new(progress: Progress, bars: MultiProgress) -> Watch {
        let (stop, stopped) = mpsc::channel();
        let terminal = std::io::stderr().is_terminal() && !bars.is_hidden();
        let (pace, mut bar) = (if terminal { FRAME } else { HEARTBEAT }, None);
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(pace) == Err(RecvTimeoutError::Timeout) {
                match (progress.now(), terminal) {
                    (Some((work, rows)), true) => draw(&bars, &mut bar, &work, rows),
                    (Some((work, rows)), false) => {
                        log::info!(target: crate::PROGRESS, "{}", line(&work, rows))
                    }
                    (None, _) => clear(&bars, &mut bar),
                }
            }
            clear(&bars, &mut bar);
        });
        Watch { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // it has nothing left to say
            let _ = thread.join();
        }
    }
}

/// A bar, and what it shows.
type Bar = Option<(ProgressBar, Phase, String)>;

fn draw(bars: &MultiProgress, bar: &mut Bar, work: &Work, rows: u64) {
    let same = |(_, phase, what): &(ProgressBar, Phase, String)| *phase == work.phase && *what == work.what;
    if !bar.as_ref().is_some_and(same) {
        clear(bars, bar);
        let new =
            bars.add(ProgressBar::new(work.expected.unwrap_or_default()).with_elapsed(work.since.elapsed()));
        new.set_style(style(work));
        new.set_prefix(work.phase.to_string());
        new.set_message(work.what.clone());
        *bar = Some((new, work.phase, work.what.clone()));
    }
    if let Some((bar, ..)) = bar {
        bar.set_position(rows);
        bar.tick();
    }
}

fn clear(bars: &MultiProgress, bar: &mut Bar) {
    if let Some((bar, ..)) = bar.take() {
        bar.finish_and_clear();
        bars.remove(&bar);
    }
}

/// No colours: none is needed, and `NO_COLOR` has nothing to switch off.
fn style(work: &Work) -> ProgressStyle {
    let template = match (work.phase, work.expected) {
        (Phase::Indexes | Phase::Keys, _) => "{prefix:9} {msg}  {spinner} {elapsed}",
        (_, Some(1..)) => "{prefix:9} {msg}  {bar:24} {human_pos} of {human_len} rows  {rate}  {eta} left",
        _ => "{prefix:9} {msg}  {human_pos} rows  {rate}  {elapsed}",
    };
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // what it is written to is drawn, or is not
        let _ = write!(out, "{:.0}/s", HumanFloatCount(state.per_sec()));
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", rate)
}

/// The same in words.
fn line(work: &Work, rows: u64) -> String {
    let since = human::duration(work.since.elapsed().as_secs_f64());
    match (work.phase, work.expected) {
        (Phase::Indexes | Phase::Keys, _) => format!("{}: {}, for {since}", work.phase, work.what),
        (phase, Some(expected)) => {
            format!("{phase} {}: {rows} of at most {} in {since}", work.what, human::rows(expected))
        }
        (phase, None) => format!("{phase} {}: {} in {since}", work.what, human::rows(rows)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_line_says_what_and_how_far() {
        let work = |phase, expected| Work { phase, what: "trade".into(), expected, since: Instant::now() };
        assert_eq!(line(&work(Phase::Loading, Some(90)), 7), "loading trade: 7 of at most 90 rows in 0 ms");
        assert_eq!(line(&work(Phase::Proof, None), 1), "proof trade: 1 row in 0 ms");
        assert_eq!(line(&work(Phase::Indexes, None), 0), "indexes: trade, for 0 ms");
    }

    #[test]
    fn every_template_is_one() {
        for phase in
            [Phase::Reading, Phase::Loading, Phase::Indexes, Phase::Keys, Phase::Proof, Phase::Comparing]
        {
            for expected in [None, Some(0), Some(5)] {
                let work = Work { phase, what: "trade".into(), expected, since: Instant::now() };
                let bar = ProgressBar::hidden().with_style(style(&work));
                bar.set_position(3);
                bar.tick();
            }
        }
    }
}
