//! The loading half of a step: tables must be empty, chunks from the reader go into the server's COPY, and the rows
//! are read back and compared.

use super::columns::BoundTable;
use super::misfits::Misfits;
use super::proof;
use super::quarantine::Quarantine;
use super::reader::{self, Count, Piece};
use crate::error::{Error, server_message};
use crate::identifier::quote_all;
use crate::sqlite::Source;
use futures_util::SinkExt;
use std::path::Path;
use std::pin::pin;
use std::time::Instant;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// Chunks that may wait between reader and server: enough that neither waits for the other for long.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Locks the tables against writers and refuses those that hold rows, all of them in one message.
pub(super) async fn require_empty(client: &Client, tables: &[BoundTable]) -> Result<(), Error> {
    if tables.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = tables.iter().map(|table| table.target.quoted()).collect();
    let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
    client.batch_execute(&lock).await.map_err(Error::database(
        "locking the target's tables against writers (is the application still running?)",
    ))?;
    let queries: Vec<String> = (0..names.len())
        .map(|index| format!("SELECT {index} WHERE EXISTS (SELECT 1 FROM {})", names[index]))
        .collect();
    let full = client
        .query(&queries.join(" UNION ALL "), &[])
        .await
        .map_err(Error::database("looking for rows in the target's tables"))?;
    if full.is_empty() {
        return Ok(());
    }
    let full = full.iter().map(|row| usize::try_from(row.get::<_, i32>(0)).unwrap_or_default());
    Err(Error::Target(
        full.map(|index| {
            format!(
                "table {}: it already holds rows, and a step loads into empty tables only; \
                 empty it, or record the step as having brought nothing with --without-data",
                tables[index].target.name
            )
        })
        .collect(),
    ))
}

/// What a load brought: the tables, what was read of each in the same order, and the rows that went elsewhere.
pub(super) struct Loaded {
    pub tables: Vec<BoundTable>,
    pub counts: Vec<Count>,
    pub quarantine: Quarantine,
}

/// How a step is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Misfits are reported with their values.
    pub show_values: bool,
    /// Rows are read back and compared before the commit.
    pub proof: bool,
}

/// Copies all tables. The source comes back with its snapshot open.
pub(super) async fn load(
    client: &Client,
    source: Source,
    tables: Vec<BoundTable>,
    version: i32,
    options: Options,
) -> Result<(Source, Loaded), Error> {
    let file = source.file.clone();
    let targets: Vec<(String, String)> =
        tables.iter().map(|table| (table.target.name.clone(), copy_statement(table))).collect();
    let (reading, mut pieces) = start_reading(source, tables, version, options);
    let written = write(client, &file, &targets, &mut pieces).await;
    drop(pieces);
    reading.end(written).await
}

/// Reads all tables and sends nothing: every misfit of the step, or the counts of what would be copied.
pub(super) async fn rehearse(
    source: Source,
    tables: Vec<BoundTable>,
    version: i32,
    options: Options,
) -> Result<(Source, Loaded), Error> {
    let (reading, mut pieces) = start_reading(source, tables, version, options);
    let mut counts = Vec::new();
    while let Some(piece) = pieces.recv().await {
        if let Piece::End(count) = piece {
            counts.push(count);
        }
    }
    reading.end(Ok(counts)).await
}

/// The reader at work on its own thread.
struct Reading(JoinHandle<(Source, Loaded, Result<(), Error>)>);

fn start_reading(
    source: Source,
    tables: Vec<BoundTable>,
    version: i32,
    options: Options,
) -> (Reading, Receiver<Piece>) {
    let (sender, pieces) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let reading = tokio::task::spawn_blocking(move || {
        let (mut misfits, mut quarantine) = (Misfits::new(options.show_values), Quarantine::new(version));
        let result = reader::read(&source, &tables, &sender, &mut misfits, &mut quarantine);
        let result = result.and_then(|()| misfits.into_result(&source.file));
        (source, Loaded { tables, counts: Vec::new(), quarantine }, result)
    });
    (Reading(reading), pieces)
}

impl Reading {
    /// Waits for the reader. A misfit or a read error is why a COPY was left open, so it comes before what was written.
    async fn end(self, written: Result<Vec<Count>, Error>) -> Result<(Source, Loaded), Error> {
        let (source, loaded, read) = self.0.await.map_err(std::io::Error::other)?;
        read?;
        Ok((source, Loaded { counts: written?, ..loaded }))
    }
}

async fn write(
    client: &Client,
    file: &Path,
    targets: &[(String, String)],
    pieces: &mut Receiver<Piece>,
) -> Result<Vec<Count>, Error> {
    let mut counts = Vec::with_capacity(targets.len());
    for (name, statement) in targets {
        let started = Instant::now();
        log::info!("copying {name}");
        let refused = |error| refused(file, name, error);
        let mut sink = pin!(client.copy_in(statement.as_str()).await.map_err(refused)?);
        loop {
            match pieces.recv().await {
                Some(Piece::Chunk(bytes)) => sink.send(bytes).await.map_err(refused)?,
                Some(Piece::End(mut count)) => {
                    let taken = sink.finish().await.map_err(refused)?;
                    count.seconds = started.elapsed().as_secs_f64();
                    log::info!("copied {name}: {taken} rows, {} bytes", count.bytes);
                    if taken != count.tally.rows {
                        return Err(differ(name, count.tally.rows, taken));
                    }
                    counts.push(count);
                    break;
                }
                // the reader stopped before the table's end and has the reason
                None => return Ok(counts),
            }
        }
    }
    Ok(counts)
}

fn copy_statement(table: &BoundTable) -> String {
    let columns = quote_all(table.target_columns());
    format!("COPY {} ({columns}) FROM STDIN (FORMAT binary)", table.target.quoted())
}

/// A row that PostgreSQL refuses is the source's fault if a constraint refused it. The detail would show its content.
fn refused(file: &Path, table: &str, error: tokio_postgres::Error) -> Error {
    let constraint = error.as_db_error().filter(|said| said.code().code().starts_with("23"));
    match constraint {
        Some(_) => Error::Misfits {
            file: file.to_owned(),
            misfits: vec![format!("{table}: {}", server_message(&error))],
        },
        None => Error::Database { doing: format!("copying table {table}"), source: error },
    }
}

/// Reads every table back and compares it with what was sent.
pub(super) async fn prove(client: &Client, tables: &[BoundTable], counts: &[Count]) -> Result<(), Error> {
    let mut unequal = Vec::new();
    for (table, count) in tables.iter().zip(counts) {
        unequal.extend(proof::compare(client, table, count.tally).await?);
    }
    if unequal.is_empty() { Ok(()) } else { Err(Error::Proof(unequal)) }
}

fn differ(table: &str, read: u64, stored: u64) -> Error {
    Error::Proof(vec![format!("table {table}: {read} rows read, {stored} stored")])
}
