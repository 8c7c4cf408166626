//! What is asked of the source once its rows are read, on a thread of its own while the server makes indexes: its
//! fingerprint, and whether its structure is sound.

use super::load::Options;
use crate::error::Error;
use crate::postgres::interrupt::{Interrupt, LOOK};
use crate::sqlite::{Fingerprint, Source};
use rusqlite::InterruptHandle;
use tokio::task::JoinHandle;

/// The inspection under way.
pub(super) struct Inspection {
    running: JoinHandle<(Source, Result<Fingerprint, Error>)>,
    sqlite: InterruptHandle,
    interrupt: Interrupt,
}

impl Inspection {
    /// Begins it. Without a proof the structure of a large source is taken as it is.
    pub(super) fn of(source: Source, options: &Options) -> Inspection {
        // a small one was looked at before anything ran
        let thorough = options.proof && source.is_large();
        let (sqlite, interrupt) = (source.interrupt_handle(), options.interrupt.clone());
        let running = tokio::task::spawn_blocking(move || {
            let sound = if thorough { source.require_sound() } else { Ok(()) };
            let fingerprint = sound.and_then(|()| source.fingerprint());
            (source, fingerprint)
        });
        Inspection { running, sqlite, interrupt }
    }

    /// Waits for its end, which a signal brings about.
    ///
    /// # Errors
    /// [`Error::Source`] if the source is damaged, or can no longer be read.
    pub(super) async fn result(mut self) -> Result<(Source, Fingerprint), Error> {
        let (source, fingerprint) = loop {
            tokio::select! {
                ended = &mut self.running => break ended.map_err(std::io::Error::other)?,
                () = tokio::time::sleep(LOOK) => if self.interrupt.signalled() { self.sqlite.interrupt() },
            }
        };
        Ok((source, fingerprint?))
    }
}
