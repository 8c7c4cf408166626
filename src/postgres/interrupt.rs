//! Ctrl-C and SIGTERM: the statement under way is cancelled on the server, so that its transaction rolls back before
//! the process ends instead of whenever the server notices that we are gone.

use super::session::Canceller;
use crate::error::{Error, Signal, server_message};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The cancel request is repeated at this pace, since one that arrives between two statements hits nothing.
const REPEAT: Duration = Duration::from_millis(100);

/// Work that has no statement under way on the server looks for a signal at this pace.
pub const LOOK: Duration = Duration::from_millis(100);

/// After this the process ends, and the server rolls back when it notices: a platform kills after 10 s at the least.
const LIMIT: Duration = Duration::from_secs(8);

/// Knows the session that a signal must cancel. Clones share it.
#[derive(Clone, Default)]
pub struct Interrupt {
    session: Arc<Mutex<Option<Canceller>>>,
    signalled: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on a signal cancels what this session is doing.
    pub fn watch(&self, canceller: Canceller) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(canceller);
    }

    /// A signal has come: what fails now fails because of it.
    #[must_use]
    pub fn signalled(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
    }

    /// Runs on a thread of its own what may block for long; after a signal nobody waits for it.
    ///
    /// # Errors
    /// Those of `work`; any after a signal.
    pub async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut running = tokio::task::spawn_blocking(work);
        loop {
            tokio::select! {
                done = &mut running => return done.map_err(std::io::Error::other)?,
                () = tokio::time::sleep(LOOK) => if self.signalled() {
                    return Err(Error::Io(std::io::Error::other("given up")));
                },
            }
        }
    }

    /// Runs `work` to its end or to the first signal. A signal that comes too late to stop it changes nothing.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Interrupted`] after a signal.
    pub async fn guard<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::pin!(work);
        let mut signals = Signals::listen()?;
        let signal = tokio::select! {
            result = &mut work => return result,
            signal = signals.next() => signal,
        };
        self.signalled.store(true, Ordering::Relaxed);
        let canceller = self.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(canceller) = canceller else {
            return Err(Error::Interrupted { signal, during: None });
        };
        log::warn!("{signal}: cancelling and rolling back (again to leave at once)");
        let cancel = async {
            loop {
                if let Err(error) = canceller.cancel().await {
                    log::debug!("cancel request: {}", server_message(&error));
                }
                tokio::time::sleep(REPEAT).await;
            }
        };
        tokio::select! {
            result = &mut work => match result {
                Ok(done) => Ok(done),
                Err(error) => Err(Error::Interrupted { signal, during: Some(Box::new(error)) }),
            },
            () = cancel => unreachable!("the loop has no end"),
            _ = signals.next() => Err(Error::Abandoned { signal }),
            () = tokio::time::sleep(LIMIT) => Err(Error::Abandoned { signal }),
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Signals, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Signals, Error> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
