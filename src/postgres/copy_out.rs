//! A COPY from the server. In goes the statement; out come its messages as they arrive, the server left to run ahead of
//! whoever takes them.

use bytes::Bytes;
use futures_util::{FutureExt, TryStreamExt};
use std::pin::Pin;
use std::thread::sleep;
use std::time::Duration;
use tokio::task::yield_now;
use tokio_postgres::{Client, CopyOutStream, Error, ToStatement};

/// A COPY of fewer bytes is over before a pause would pay.
const LONG: usize = 1024 * 1024;

/// How long nothing is taken once all that has come is taken. The server sends 8 KB at a time (PQ_SEND_BUFFER_SIZE in
/// pqcomm.c), and to wake a thread for each costs both sides more than the bytes do; this is some 15 of them.
const PAUSE: Duration = Duration::from_millis(1);

/// A COPY TO STDOUT under way.
pub struct CopyOut {
    stream: Pin<Box<CopyOutStream>>,
    /// Bytes so far.
    taken: usize,
}

impl CopyOut {
    /// Begins `statement`, which is a COPY … TO STDOUT, prepared or not.
    ///
    /// # Errors
    /// The driver's.
    pub async fn begin<T: ?Sized + ToStatement>(client: &Client, statement: &T) -> Result<CopyOut, Error> {
        Ok(CopyOut { stream: Box::pin(client.copy_out(statement).await?), taken: 0 })
    }

    /// The next message, none after the last.
    ///
    /// # Errors
    /// The driver's.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let mut ready = self.stream.try_next().now_or_never();
        if ready.is_none() {
            // the connection's turn: there may be more on the socket
            yield_now().await;
            ready = self.stream.try_next().now_or_never();
        }
        let next = match ready {
            Some(next) => next?,
            None => {
                if self.taken > LONG {
                    // the thread and not only this task: the connection must not be woken either
                    sleep(PAUSE);
                }
                self.stream.try_next().await?
            }
        };
        self.taken += next.as_ref().map_or(0, Bytes::len);
        Ok(next)
    }
}
