//! Rows for a table of outgrow's own, made while a COPY is under way on the only connection: they wait in memory, and
//! beyond a megabyte in an unlinked temporary file, until it has ended.

use super::proof::{self, Tally};
use super::reader::{HEADER, TRAILER};
use crate::error::Error;
use bytes::Bytes;
use futures_util::SinkExt;
use std::io::{self, Read, Seek, Write};
use std::pin::pin;
use tempfile::SpooledTempFile;
use tokio_postgres::Client;

/// More than this waits on disk instead of in memory.
const IN_MEMORY_BYTES: usize = 1 << 20;

/// Why a temporary file could not be made or written, with its folder and what to do.
pub(super) fn unwritable(error: io::Error) -> io::Error {
    let folder = std::env::temp_dir();
    let said = format!(
        "writing a temporary file in {}: {error}\n  next: set TMPDIR to a folder that is there, that this user may write in, \
         and that has room",
        folder.display()
    );
    io::Error::new(error.kind(), said)
}

/// The rows, as a COPY in binary format.
pub(super) struct Spool {
    file: SpooledTempFile,
    tally: Tally,
}

impl Spool {
    pub(super) fn new() -> Spool {
        Spool { file: SpooledTempFile::new(IN_MEMORY_BYTES), tally: Tally::default() }
    }

    /// Adds a row, as a COPY-binary tuple.
    pub(super) fn add(&mut self, tuple: &[u8]) -> Result<(), Error> {
        if self.tally.rows == 0 {
            self.file.write_all(HEADER)?;
        }
        self.tally.add(tuple);
        self.file.write_all(tuple).map_err(unwritable)?;
        Ok(())
    }

    /// Stores the rows in `table`, which `definition` makes, and reads them back with `query`; `what` they are is for
    /// messages. Nothing happens if there are none.
    pub(super) async fn store(
        mut self,
        client: &Client,
        what: &str,
        table: (&str, &[&str]),
        definition: &str,
        query: &str,
    ) -> Result<(), Error> {
        if self.tally.rows == 0 {
            return Ok(());
        }
        let doing = || Error::database(format!("storing {what}"));
        client.batch_execute(definition).await.map_err(doing())?;
        let (name, columns) = table;
        let statement = format!("COPY {name} ({}) FROM STDIN (FORMAT binary)", columns.join(", "));
        let mut sink = pin!(client.copy_in(statement.as_str()).await.map_err(doing())?);
        self.file.write_all(&TRAILER).map_err(unwritable)?;
        self.file.rewind()?;
        let mut chunk = vec![0; 1 << 16];
        loop {
            match self.file.read(&mut chunk)? {
                0 => break,
                read => sink.send(Bytes::copy_from_slice(&chunk[..read])).await.map_err(doing())?,
            }
        }
        sink.finish().await.map_err(doing())?;
        let mut stored = Tally::default();
        proof::rows(client, name, &format!("({query})"), |row| stored.add(row)).await?;
        if stored == self.tally {
            Ok(())
        } else {
            Err(Error::Proof(vec![format!("table {name}: not what was sent")]))
        }
    }
}
