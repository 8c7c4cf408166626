//! How far a step, an export or a comparison is. The copy writes it as it goes, and whoever shows it reads it whenever
//! they like: neither waits for the other. What it took is kept by phase for the receipt.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The progress of one run. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Rows of the work under way.
    rows: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Option<Work>,
    took: Vec<Took>,
}

/// What is being done.
#[derive(Debug, Clone)]
pub struct Work {
    /// The kind of work.
    pub phase: Phase,
    /// The table, index or key.
    pub what: String,
    /// How many rows there are, by an estimate that is never too low.
    pub expected: Option<u64>,
    /// When it began.
    pub since: Instant,
}

/// The kinds of work, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The source is read, and nothing is written.
    Reading,
    /// Rows are read, converted and sent.
    Loading,
    /// Rows go back to an SQLite file.
    Exporting,
    /// The server makes indexes.
    Indexes,
    /// The server checks foreign keys.
    Keys,
    /// Rows are read back and compared.
    Proof,
    /// Rows of the source and the target are read and compared.
    Comparing,
}

/// How long a phase took, all tables together.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Took {
    /// Which.
    pub phase: Phase,
    /// How long.
    pub seconds: f64,
}

impl Progress {
    /// Something begins, and what was under way has ended.
    pub(super) fn begin(&self, phase: Phase, what: &str, expected: Option<u64>) {
        let mut state = self.state();
        state.end();
        self.0.rows.store(0, Ordering::Relaxed);
        state.now = Some(Work { phase, what: what.to_owned(), expected, since: Instant::now() });
    }

    /// So many rows are done of what is under way.
    pub(super) fn rows(&self, rows: u64) {
        self.0.rows.store(rows, Ordering::Relaxed);
    }

    /// Nothing follows; returns what the phases took.
    #[must_use]
    pub fn finish(&self) -> Vec<Took> {
        let mut state = self.state();
        state.end();
        std::mem::take(&mut state.took)
    }

    /// What is under way, and how many of its rows are done.
    #[must_use]
    pub fn now(&self) -> Option<(Work, u64)> {
        let work = self.state().now.clone()?;
        Some((work, self.0.rows.load(Ordering::Relaxed)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self) {
        let Some(work) = self.now.take() else { return };
        let seconds = work.since.elapsed().as_secs_f64();
        match self.took.iter_mut().find(|took| took.phase == work.phase) {
            Some(took) => took.seconds += seconds,
            None => self.took.push(Took { phase: work.phase, seconds }),
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Phase::Reading => "reading",
            Phase::Loading => "loading",
            Phase::Exporting => "exporting",
            Phase::Indexes => "indexes",
            Phase::Keys => "keys",
            Phase::Proof => "proof",
            Phase::Comparing => "comparing",
        })
    }
}
