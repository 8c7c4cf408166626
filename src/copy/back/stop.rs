//! Ends the work on a file early, whatever SQLite is doing.

use crate::error::Error;
use rusqlite::InterruptHandle;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether the file is still wanted.
#[derive(Default)]
pub(super) struct Stop {
    stopped: AtomicBool,
    running: Mutex<Option<InterruptHandle>>,
}

impl Stop {
    /// From now on stopping interrupts this connection.
    pub(super) fn interrupts(&self, connection: InterruptHandle) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Stops. To be repeated: what begins only afterwards is not interrupted.
    pub(super) fn now(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(running) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            running.interrupt();
        }
    }

    /// Fine if it is still wanted.
    pub(super) fn look(&self) -> Result<(), Error> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Io(std::io::Error::other("the file was given up")));
        }
        Ok(())
    }
}
