//! The loading half of a step: chunks from the reader go into the server's COPY, and the rows are read back and compared.

use super::bind::BoundTable;
use super::proof;
use super::reader::{self, AfterMisfit, Count, Piece};
use crate::error::{Error, server_message};
use crate::identifier::quote_all;
use crate::sqlite::Source;
use futures_util::SinkExt;
use std::pin::pin;
use std::time::Instant;
use tokio::sync::mpsc::{self, Receiver};
use tokio_postgres::Client;

/// Chunks that may wait between reader and server: enough that neither waits for the other for long.
const CHUNKS_IN_FLIGHT: usize = 4;

/// What a load leaves: its two ends, which can be used again, and how it went.
pub(super) struct Loaded {
    pub source: Source,
    pub tables: Vec<BoundTable>,
    /// What was read of each table, in the same order.
    pub counts: Result<Vec<Count>, Failure>,
}

/// Why a load ended early.
pub(super) enum Failure {
    /// Values that their columns cannot take: a line for each table, column and reason.
    Values(Vec<String>),
    /// PostgreSQL refused a row by a constraint: SQLSTATE, of class 23, and a line without the row's content.
    Constraint {
        code: String,
        line: String,
    },
    Other(Error),
}

/// Copies all tables, each into the one that `target` names.
pub(super) async fn load(
    client: &Client,
    source: Source,
    tables: Vec<BoundTable>,
    after_misfit: AfterMisfit,
    target: impl Fn(usize, &BoundTable) -> String,
) -> Result<Loaded, Error> {
    let (sender, mut pieces) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let targets = tables.iter().enumerate().map(|(index, table)| {
        let columns = quote_all(table.columns.iter().map(|column| column.target.name.as_str()));
        let statement = format!("COPY {} ({columns}) FROM STDIN (FORMAT binary)", target(index, table));
        (table.target.name.clone(), statement)
    });
    let targets: Vec<(String, String)> = targets.collect();
    let reading = tokio::task::spawn_blocking(move || {
        let result = reader::read(&source, &tables, after_misfit, &sender);
        (source, tables, result)
    });
    let written = write(client, &targets, &mut pieces).await;
    drop(pieces);
    let (source, tables, read) = reading.await.map_err(std::io::Error::other)?;
    // a misfit or a read error is why the COPY was left open: it comes first
    let counts = match read {
        Ok(()) => written,
        Err(Error::Misfits { misfits, .. }) => Err(Failure::Values(misfits)),
        Err(error) => Err(Failure::Other(error)),
    };
    Ok(Loaded { source, tables, counts })
}

async fn write(
    client: &Client,
    targets: &[(String, String)],
    pieces: &mut Receiver<Piece>,
) -> Result<Vec<Count>, Failure> {
    let mut counts = Vec::with_capacity(targets.len());
    for (name, statement) in targets {
        let started = Instant::now();
        log::info!("copying {name}");
        let refused = |error| Failure::of(error, name, || format!("copying table {name}"));
        let mut sink = pin!(client.copy_in(statement.as_str()).await.map_err(refused)?);
        loop {
            match pieces.recv().await {
                Some(Piece::Chunk(bytes)) => sink.send(bytes).await.map_err(refused)?,
                Some(Piece::End(mut count)) => {
                    let taken = sink.finish().await.map_err(refused)?;
                    count.seconds = started.elapsed().as_secs_f64();
                    log::info!("copied {name}: {taken} rows, {} bytes", count.bytes);
                    if taken != count.tally.rows {
                        return Err(Failure::Other(differ(name, count.tally.rows, taken)));
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

impl Failure {
    /// A row that PostgreSQL refuses is the source's fault if a constraint refused it. The detail would show its content.
    pub(super) fn of(error: tokio_postgres::Error, table: &str, doing: impl FnOnce() -> String) -> Failure {
        match error.as_db_error().map(|said| said.code().code()).filter(|code| code.starts_with("23")) {
            Some(code) => Failure::Constraint {
                code: code.to_owned(),
                line: format!("{table}: {}", server_message(&error)),
            },
            None => Failure::Other(Error::Database { doing: doing(), source: error }),
        }
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
