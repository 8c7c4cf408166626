//! The loading half of a step: tables must be empty, chunks from the reader go into the server's COPY, and the rows
//! are read back and compared.

use super::bind::BoundTable;
use super::proof;
use super::reader::{self, Count, Piece};
use crate::error::{Error, server_message};
use crate::identifier::quote_all;
use crate::sqlite::Source;
use futures_util::SinkExt;
use std::path::Path;
use std::pin::pin;
use std::time::Instant;
use tokio::sync::mpsc::{self, Receiver};
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

/// Copies all tables and says what was read of each, in the same order. The source comes back with its snapshot open.
pub(super) async fn load(
    client: &Client,
    source: Source,
    tables: Vec<BoundTable>,
) -> Result<(Source, Vec<BoundTable>, Vec<Count>), Error> {
    let file = source.file.clone();
    let (sender, mut pieces) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let targets: Vec<(String, String)> =
        tables.iter().map(|table| (table.target.name.clone(), copy_statement(table))).collect();
    let reading = tokio::task::spawn_blocking(move || {
        let result = reader::read(&source, &tables, &sender);
        (source, tables, result)
    });
    let written = write(client, &file, &targets, &mut pieces).await;
    drop(pieces);
    let (source, tables, read) = reading.await.map_err(std::io::Error::other)?;
    // a misfit or a read error is why the COPY was left open: it comes first
    read?;
    Ok((source, tables, written?))
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
    let columns = quote_all(table.columns.iter().map(|column| column.target.name.as_str()));
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
