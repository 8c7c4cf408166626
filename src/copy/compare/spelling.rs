//! What the server makes of the values that it alone can read (arrays, ranges, types of extensions): the source's text
//! is put into a temporary table as the load puts it there ([`Stage`]), and comes back as the server spells it, so that
//! it can be held against the target's values, spelt the same way. What came back waits in memory, and beyond a few
//! megabytes in an unlinked temporary file, and is put into the source's rows each time they are read. The temporary
//! table is rolled back.

use super::shape::{UNFIT, cells};
use super::subject::{Subject, given_up, on_thread};
use crate::copy::columns::BoundTable;
use crate::copy::reader::{CHUNK_BYTES, CHUNKS_IN_FLIGHT, HEADER, TRAILER};
use crate::copy::spool::unwritable;
use crate::copy::stage::Stage;
use crate::copy::{fits, proof};
use crate::error::{Error, is_circumstance};
use crate::sqlite::Source;
use crate::value::Misfit;
use bytes::Bytes;
use futures_util::SinkExt;
use std::io::{self, BufReader, Read, Seek, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::SpooledTempFile;
use tokio::sync::mpsc::{self, Sender};
use tokio_postgres::Client;

/// More than this waits on disk instead of in memory.
const IN_MEMORY_BYTES: usize = 8 << 20;

/// The length of a field that is NULL.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Why a temporary table cannot be made in this transaction; `None` if it can.
///
/// # Errors
/// [`Error::Database`] if the server does not answer.
pub(super) async fn obstacle(client: &Client) -> Result<Option<&'static str>, Error> {
    let doing = Error::database("asking whether a temporary table can be made");
    let row = client.query_one(GROUND, &[]).await.map_err(doing)?;
    Ok(match (row.get(0), row.get(1), row.get(2)) {
        (true, _, _) => Some("only the server can read it, and this one is a standby"),
        (_, true, _) => Some("only the server can read it, and transactions are read-only here"),
        (_, _, false) => Some("only the server can read it, which takes TEMPORARY on the database"),
        _ => None,
    })
}

/// (PostgreSQL: Recovery Information Functions; Access Privilege Inquiry Functions.)
const GROUND: &str = "\
SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only') = 'on',
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY')";

/// The source's rows of one table, of each the columns that the server reads, in the order of the scan.
pub(super) struct Spelling(Mutex<SpooledTempFile>);

/// Lets the server spell the columns of `subject` that it alone can read.
///
/// # Errors
/// [`Error::Source`] if the source cannot be read, [`Error::Database`] if the temporary table cannot be made and
/// filled.
pub(super) async fn spell(
    client: &Client,
    source: Source,
    subject: Subject,
) -> Result<(Source, Subject), Error> {
    let stage = Stage::of_input(&subject.table).filter(|_| !subject.is_quarantined());
    let Some(stage) = stage else { return Ok((source, subject)) };
    let doing = Error::database(format!("letting the server spell values of {}", subject.name));
    client.batch_execute("SAVEPOINT outgrow_spelling").await.map_err(doing)?;
    stage.create(client).await?;
    let (source, mut subject) = send(client, source, subject, &stage).await?;
    let spool = spelt(client, &stage).await?;
    let doing = Error::database("dropping a temporary table");
    let end = "ROLLBACK TO SAVEPOINT outgrow_spelling; RELEASE SAVEPOINT outgrow_spelling";
    client.batch_execute(end).await.map_err(doing)?;
    subject.spelling = Some(Spelling(Mutex::new(spool)));
    Ok((source, subject))
}

/// Fills the stage.
async fn send(
    client: &Client,
    source: Source,
    subject: Subject,
    stage: &Stage,
) -> Result<(Source, Subject), Error> {
    let doing = || Error::database(format!("copying values of {} into a temporary table", stage.of.name));
    let mut sink = Box::pin(client.copy_in(stage.copy().as_str()).await.map_err(doing())?);
    let (sender, mut chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let width = i16::try_from(stage.columns.len()).unwrap_or(i16::MAX);
    let reading = on_thread(source, move |source, wanted| {
        read(source, &subject, width, &sender, wanted)?;
        Ok(subject)
    });
    let sending = async {
        while let Some(chunk) = chunks.recv().await {
            sink.send(chunk).await.map_err(doing())?;
        }
        // one that was left without its end is given up with what the reading says
        Ok(sink)
    };
    let (read, mut sink) = tokio::try_join!(reading, sending)?;
    sink.as_mut().finish().await.map_err(doing())?;
    Ok(read)
}

/// Sends the columns that the server reads; a value that is none for it already is sent as NULL.
fn read(
    source: &Source,
    subject: &Subject,
    width: i16,
    chunks: &Sender<Bytes>,
    wanted: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut chunk = HEADER.to_vec();
    subject.of_source(source, wanted, |row| {
        chunk.extend_from_slice(&width.to_be_bytes());
        for (_, cell) in cells(row.bytes).enumerate().filter(|(index, _)| reads(&subject.table, *index)) {
            chunk.extend_from_slice(if cell == UNFIT { &NULL } else { cell });
        }
        if chunk.len() >= CHUNK_BYTES {
            let full = std::mem::take(&mut chunk);
            chunks.blocking_send(full.into()).map_err(|_| given_up())?;
        }
        Ok(())
    })?;
    chunk.extend_from_slice(&TRAILER);
    chunks.blocking_send(chunk.into()).map_err(|_| given_up())
}

/// The server reads the column at `index` itself.
fn reads(table: &BoundTable, index: usize) -> bool {
    table.columns.get(index).is_some_and(|column| column.codec.by_input)
}

/// The staged values as the server spells them. If it cannot, it is asked which they are, one by one, and those become
/// NULL; so too where a cast would cut or round what an assignment refuses.
async fn spelt(client: &Client, stage: &Stage) -> Result<SpooledTempFile, Error> {
    let doing = || Error::database(format!("reading values of {}", stage.of.name));
    if stage.columns.iter().all(|column| column.of.modifier < 0) {
        client.batch_execute("SAVEPOINT outgrow_spelt").await.map_err(doing())?;
        match spool(client, stage).await {
            Err(Error::Database { source, .. })
                if source.code().is_some_and(|code| !is_circumstance(code)) => {}
            spooled => return spooled,
        }
        client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_spelt").await.map_err(doing())?;
    }
    fits::take_out(client, stage, &mut Vec::new()).await?;
    spool(client, stage).await
}

async fn spool(client: &Client, stage: &Stage) -> Result<SpooledTempFile, Error> {
    let columns: Vec<String> = stage.columns.iter().map(|column| column.spelt()).collect();
    let query = format!("(SELECT {} FROM {} ORDER BY {})", columns.join(", "), stage.name, stage.number);
    let (mut spool, mut written) = (SpooledTempFile::new(IN_MEMORY_BYTES), Ok(()));
    let each = |row: &[u8]| {
        if written.is_ok() {
            written = spool.write_all(row).map_err(unwritable);
        }
    };
    proof::rows(client, &stage.of.name, &query, each).await?;
    written?;
    Ok(spool)
}

impl Spelling {
    /// For one reading of the source, from its first row on.
    pub(super) fn open(&self) -> MutexGuard<'_, SpooledTempFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reading of the source beside its spelling.
pub(super) struct Pass<'a> {
    spelt: BufReader<&'a mut SpooledTempFile>,
    row: Vec<u8>,
}

impl Pass<'_> {
    pub(super) fn over(spelt: &mut SpooledTempFile) -> io::Result<Pass<'_>> {
        spelt.rewind()?;
        Ok(Pass { spelt: BufReader::new(spelt), row: Vec::new() })
    }

    /// Puts the next row's spelling into that `row` of `table`. What the server does not take does not fit.
    pub(super) fn put(
        &mut self,
        table: &BoundTable,
        row: &mut Vec<u8>,
        misfits: &mut Vec<(usize, Misfit)>,
    ) -> io::Result<()> {
        let mut width = [0; 2];
        self.spelt.read_exact(&mut width)?;
        self.row.clear();
        self.row.extend_from_slice(&row[..2]);
        for (index, sent) in cells(row).enumerate() {
            if !reads(table, index) {
                self.row.extend_from_slice(sent);
                continue;
            }
            let mut length = [0; 4];
            self.spelt.read_exact(&mut length)?;
            match (sent == NULL || sent == UNFIT, u64::try_from(i32::from_be_bytes(length))) {
                (true, _) => self.row.extend_from_slice(sent),
                (false, Ok(bytes)) => {
                    self.row.extend_from_slice(&length);
                    let read = self.spelt.by_ref().take(bytes).read_to_end(&mut self.row)?;
                    if read as u64 != bytes {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                (false, Err(_)) => {
                    self.row.extend_from_slice(&UNFIT);
                    misfits.push((index, Misfit("text that the server does not take as this type")));
                }
            }
        }
        std::mem::swap(row, &mut self.row);
        Ok(())
    }
}
