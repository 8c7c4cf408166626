//! The way back: the target's tables as an SQLite file that the application opens as its own. In go the applied steps
//! and an empty file; out comes what was written, proven, or every reason why not everything goes back.
//!
//! [`plan`] says which tables there are and what [`fed`] them, by the names that they have now ([`super::renamed`]),
//! made as the source had them or, for those that never came from SQLite, as [`made`] from the catalog, and binds both
//! ends as a step does. Rows are read in one snapshot by COPY and cross a bounded channel to a thread that has the file
//! ([`mod@file`]): there the codec's way back gives a [`row`] its usual cells, each column's format its spelling, and
//! [`found`] the cells that were kept. Afterwards the file is read through the conversions of the way there, and must
//! give the very rows that the server sent.

mod bind;
mod bookkeeping;
mod default;
mod fed;
mod file;
mod found;
mod made;
mod modules;
mod notes;
mod orphans;
mod plan;
mod problems;
mod proof;
mod row;
mod rules;
mod sequence;
mod stop;
mod untold;

use super::progress::Progress;
use super::{compare, originals};
use crate::error::Error;
use crate::migration::Version;
use crate::postgres::copy_out::CopyOut;
use crate::postgres::interrupt::{Interrupt, LOOK};
use crate::sqlite::{Source, schema};
use plan::{BackTable, Plan};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stop::Stop;
use tokio::sync::mpsc::{self, Sender};
use tokio_postgres::Client;

/// Chunks that may wait between server and file.
const CHUNKS_IN_FLIGHT: usize = 4;

/// A chunk is sent on when it has reached this.
const CHUNK_BYTES: usize = 128 << 10;

/// What was written.
#[derive(Debug, Default, Serialize)]
pub struct Written {
    /// The tables, in the order of the file's schema.
    pub tables: Vec<WrittenTable>,
    /// What is in the target and has no place in the file, or in the file and is empty, and why.
    pub notes: Vec<String>,
}

/// One table of the file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WrittenTable {
    /// Its name in the file.
    pub table: String,
    /// Its name in the target.
    pub target: String,
    /// The step that brought it; none if none did.
    pub step: Option<String>,
    /// Rows that the server sent.
    pub rows: u64,
    /// Their size in COPY-binary form.
    pub bytes: u64,
    /// Rows from the quarantine beside them.
    pub quarantined: u64,
    /// Cells that came back as they were kept, because their column's format does not give them.
    pub originals: u64,
    /// How long it took.
    pub seconds: f64,
}

/// What the channel carries.
enum Piece {
    /// A part of a COPY.
    Chunk(Vec<u8>),
    /// The COPY has ended.
    End,
}

/// Fills the empty `file` with the target's tables, which the versions `applied` made, in the transaction that `client`
/// is in.
///
/// # Errors
/// [`Error::Back`] with everything that does not go back; [`Error::Hidden`] if rows of the target cannot be seen;
/// [`Error::Proof`] if the file does not give the rows that were read.
pub async fn write(
    client: &Client,
    applied: &[&Version],
    file: &Path,
    lock_timeout: Duration,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Written, Error> {
    let plan = plan::of(client, applied, file, lock_timeout).await?;
    let queries: Vec<String> = plan.queries().collect();
    let (sender, pieces) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let (path, progress, stop) = (file.to_owned(), progress.clone(), Arc::new(Stop::default()));
    let watched = Arc::clone(&stop);
    let mut filling = tokio::task::spawn_blocking(move || {
        file::fill(&path, plan, file::Input::new(pieces), &watched, &progress)
    });
    let mut read = Ok(());
    for query in &queries {
        read = send(client, query, &sender).await;
        if read.is_err() || sender.is_closed() {
            break;
        }
    }
    drop(sender);
    let filled = loop {
        // the server is done with, so that cancelling there ends nothing here
        tokio::select! {
            filled = &mut filling => break filled.map_err(std::io::Error::other)?,
            () = tokio::time::sleep(LOOK) => if interrupt.signalled() { stop.now() },
        }
    };
    // a file that could not be written on is why the reading ended, and the other way round
    let (plan, mut filled) = match (read, filled) {
        (Err(error), _) | (Ok(()), Err(error)) => return Err(error),
        (Ok(()), Ok(filled)) => filled,
    };
    let Plan { tables, .. } = plan;
    for (table, unequal) in tables.into_iter().zip(&filled.unequal) {
        if let Some(line) = unequal {
            let altered = altered(client, file, lock_timeout, interrupt, table).await?;
            if altered.is_empty() {
                filled.problems.push(line.clone());
            }
            filled.problems.extend(altered);
        }
    }
    if filled.problems.is_empty() {
        return Ok(filled.written);
    }
    Err(Error::Back { file: file.to_owned(), problems: filled.problems })
}

/// Sends what `query` gives, as a COPY in binary format.
async fn send(client: &Client, query: &str, pieces: &Sender<Piece>) -> Result<(), Error> {
    let failed = |error| Error::database("reading the target")(error);
    let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
    let mut copy = CopyOut::begin(client, &copy).await.map_err(failed)?;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    while let Some(bytes) = copy.next().await.map_err(failed)? {
        chunk.extend_from_slice(&bytes);
        if chunk.len() >= CHUNK_BYTES {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES));
            if pieces.send(Piece::Chunk(full)).await.is_err() {
                // whoever writes has stopped and says why
                return Ok(());
            }
        }
    }
    let _ = pieces.send(Piece::Chunk(chunk)).await;
    let _ = pieces.send(Piece::End).await;
    Ok(())
}

/// What the file does not give as the target has it, by column, as far as a comparison row by row finds it.
async fn altered(
    client: &Client,
    file: &Path,
    lock_timeout: Duration,
    interrupt: &Interrupt,
    table: BackTable,
) -> Result<Vec<String>, Error> {
    let source = Source::open(file, lock_timeout, interrupt.ended())?;
    let columns: Vec<(String, schema::Column)> = table
        .bound
        .columns
        .iter()
        .map(|column| (column.target.name.clone(), column.source.clone()))
        .collect();
    let (_, verdict) = compare::differing(client, source, table.bound).await?;
    Ok(problems::altered(&verdict, &columns))
}
