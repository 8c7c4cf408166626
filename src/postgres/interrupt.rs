//! Ctrl-C and SIGTERM: the statement under way is cancelled on the server, so that its transaction rolls back before
//! the process ends instead of whenever the server notices that we are gone.

use super::session::Canceller;
use crate::error::{Error, Signal, server_message};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver};

/// The cancel request is repeated at this pace, since one that arrives between two statements hits nothing.
const REPEAT: Duration = Duration::from_millis(100);

/// Work that has no statement under way on the server looks for a signal at this pace.
pub const LOOK: Duration = Duration::from_millis(100);

/// After this the process ends, and the server rolls back when it notices: a platform kills after 10 s at the least.
const LIMIT: Duration = Duration::from_secs(8);

/// The first signal ends the work, the second the waiting for its end: more tell nothing new.
const SIGNALS: usize = 2;

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
        self.signalled.load(Ordering::Acquire)
    }

    /// [`Interrupt::signalled`], to hand to what knows nothing of signals.
    pub fn ended(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let signalled = Arc::clone(&self.signalled);
        move || signalled.load(Ordering::Acquire)
    }

    /// Waits for a signal.
    pub async fn come(&self) {
        while !self.signalled() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for so long, or until a signal.
    pub async fn pause(&self, pause: Duration) {
        // either end is fine
        let _ = tokio::time::timeout(pause, self.come()).await;
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
        tokio::select! {
            done = &mut running => done.map_err(std::io::Error::other)?,
            () = self.come() => Err(given_up()),
        }
    }

    /// Takes signals on a thread of its own: this one may be busy with the source, and nobody else would notice.
    fn listen(&self) -> Result<Receiver<Signal>, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let mut signals = Signals::listen()?;
        drop(inside);
        let (sender, receiver) = mpsc::channel(SIGNALS);
        let signalled = Arc::clone(&self.signalled);
        let taking = async move {
            loop {
                tokio::select! {
                    signal = signals.next() => {
                        // first, so that whoever ends because of it finds it
                        let _ = sender.try_send(signal);
                        signalled.store(true, Ordering::Release);
                    }
                    () = sender.closed() => return,
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(taking))?;
        Ok(receiver)
    }

    /// Runs `work` to its end or to the first signal. A signal that comes too late to stop it changes nothing.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Interrupted`] after a signal.
    pub async fn guard<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::pin!(work);
        let mut signals = self.listen()?;
        let signal = tokio::select! {
            result = &mut work => return match (result, signals.try_recv()) {
                (Err(error), Ok(signal)) => Err(Error::Interrupted { signal, during: Some(Box::new(error)) }),
                (result, _) => result,
            },
            Some(signal) = signals.recv() => signal,
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
            Some(_) = signals.recv() => Err(Error::Abandoned { signal }),
            () = tokio::time::sleep(LIMIT) => Err(Error::Abandoned { signal }),
        }
    }
}

/// What is said of work that a signal ended, to nobody.
pub(super) fn given_up() -> Error {
    Error::Io(std::io::Error::other("given up"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_ends_a_pause() -> Result<(), tokio::time::error::Elapsed> {
        let interrupt = Interrupt::default();
        interrupt.pause(Duration::from_millis(1)).await;
        interrupt.signalled.store(true, Ordering::Relaxed);
        tokio::time::timeout(LIMIT, interrupt.pause(Duration::MAX)).await
    }
}
