//! What is asked of the source beside its rows, each on a thread of its own: its fingerprint, while they are read and
//! loaded, and whether its structure is sound, while the server reads them back.

use super::load::Options;
use crate::error::Error;
use crate::sqlite::{Fingerprint, Source};
use rusqlite::InterruptHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::task::JoinHandle;

/// The fingerprint in the making. Dropped, it is given up.
pub(super) struct Hashing {
    running: JoinHandle<Result<Fingerprint, Error>>,
    given_up: Arc<AtomicBool>,
}

impl Hashing {
    pub(super) fn of(source: &Source) -> Hashing {
        let (hasher, given_up) = (source.hasher(), Arc::new(AtomicBool::new(false)));
        let asked = Arc::clone(&given_up);
        let running = tokio::task::spawn_blocking(move || hasher(&|| !asked.load(Relaxed)));
        Hashing { running, given_up }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`Error::Source`] if the file can no longer be read.
    pub(super) async fn result(mut self) -> Result<Fingerprint, Error> {
        (&mut self.running).await.map_err(std::io::Error::other)?
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.given_up.store(true, Relaxed);
    }
}

/// The look at the structure under way. Dropped, it is given up.
pub(super) struct Inspection {
    running: JoinHandle<(Source, Result<(), Error>)>,
    sqlite: InterruptHandle,
}

impl Inspection {
    /// Begins it. Without a proof the structure of a large source is taken as it is.
    pub(super) fn of(source: Source, options: &Options) -> Inspection {
        // a small one was looked at before anything ran
        let thorough = options.proof && source.is_large();
        let sqlite = source.interrupt_handle();
        let running = tokio::task::spawn_blocking(move || {
            let sound = if thorough { source.require_sound() } else { Ok(()) };
            (source, sound)
        });
        Inspection { running, sqlite }
    }

    /// Waits for its end, which a signal brings about.
    ///
    /// # Errors
    /// [`Error::Source`] if the source is damaged.
    pub(super) async fn result(mut self) -> Result<Source, Error> {
        let (source, sound) = (&mut self.running).await.map_err(std::io::Error::other)?;
        sound.map(|()| source)
    }
}

impl Drop for Inspection {
    fn drop(&mut self) {
        self.sqlite.interrupt();
    }
}
