//! What is asked of the source once its rows are read, on a thread of its own while the server makes indexes: its
//! fingerprint, and whether its structure is sound.

use super::load::Options;
use crate::error::Error;
use crate::sqlite::{Fingerprint, Source};
use tokio::task::JoinHandle;

/// The inspection under way.
pub(super) struct Inspection(JoinHandle<(Source, Result<Fingerprint, Error>)>);

impl Inspection {
    /// Begins it. Without a proof the structure of a large source is taken as it is.
    pub(super) fn of(source: Source, options: &Options) -> Inspection {
        // a small one was looked at before anything ran
        let thorough = options.proof && source.is_large();
        Inspection(tokio::task::spawn_blocking(move || {
            let sound = if thorough { source.require_sound() } else { Ok(()) };
            let fingerprint = sound.and_then(|()| source.fingerprint());
            (source, fingerprint)
        }))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`Error::Source`] if the source is damaged, or can no longer be read.
    pub(super) async fn result(self) -> Result<(Source, Fingerprint), Error> {
        let (source, fingerprint) = self.0.await.map_err(std::io::Error::other)?;
        Ok((source, fingerprint?))
    }
}
