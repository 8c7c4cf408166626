//! The load of a whole step, from the savepoint at which nothing is loaded and everything is in its place, to the moment
//! when it is in its place again. In goes what is to be read; out come what was loaded, or what the server refuses.

use super::aside::{Aside, Extent};
use super::columns::BoundTable;
use super::inspection::{Hashing, Inspection};
use super::load::{self, Destination, Failure, Loaded, Reading};
use super::originals::Originals;
use super::progress::Progress;
use super::quarantine::Quarantine;
use super::reader::{AfterMisfit, Count};
use super::{constraint, emptied, order, ready};
use crate::error::{Error, server_message};
use crate::sqlite::Source;
use std::collections::HashSet;
use tokio_postgres::Client;
use tokio_postgres::error::{DbError, SqlState};

/// A source of fewer bytes is loaded with keys and indexes in place and not as frozen: each new index, and each table
/// that is emptied for it, is a file on the server's disk, and what is set aside is compared with what comes back; all
/// that takes longer than to look each of so few rows up in every index.
const SMALL: u64 = 128 * 1024;

/// The same of one table, where there are so many that it shows.
const FEW_ROWS: u64 = 1000;

/// A step of fewer tables is not held up by them.
const MANY_TABLES: usize = 20;

/// A load that nothing refused.
pub(super) struct Whole {
    pub source: Source,
    pub hashing: Hashing,
    pub tables: Vec<BoundTable>,
    pub quarantine: Quarantine,
    pub originals: Option<Originals>,
    pub counts: Vec<Count>,
    /// What was set aside for it, and is back in its place.
    pub aside: Aside,
}

/// Loads all tables with triggers, keys and indexes set aside, and puts these back. What the server refuses is looked
/// up for the whole step, from the savepoint at which nothing was loaded and everything was in its place.
pub(super) async fn load(client: &Client, mut reading: Reading) -> Result<Whole, Error> {
    let (version, options) = (reading.version, reading.options.clone());
    ready::require(client, &reading.tables).await?;
    // not before: it holds the file open, and a step whose tables are in use opens it again for another attempt
    let hashing = Hashing::of(&reading.source);
    client.batch_execute("SAVEPOINT outgrow_load").await.map_err(Error::database("preparing the load"))?;
    let large = large_tables(&reading)?;
    let (aside, emptied) = make_way(client, &reading.tables, &large).await?;
    reading.tables = order::by_foreign_keys(client, reading.tables, &aside.kept).await?;
    let target = |_, table: &BoundTable| Destination {
        name: table.target.quoted(),
        frozen: emptied.contains(&table.target.oid),
    };
    let loaded = load::load(client, reading, target).await?;
    let Loaded { source, tables, quarantine, originals, counts, .. } = loaded;
    let counts = match counts {
        Ok(counts) => put_back(client, &tables, &aside, &emptied, &options.progress)
            .await
            .map(|()| counts)
            .map_err(|error| {
                let table =
                    error.as_db_error().and_then(DbError::table).unwrap_or("keys and indexes").to_owned();
                Failure::of(error, &table, || "putting keys, indexes and triggers back".into())
            }),
        Err(failure) => Err(failure),
    };
    let failure = match counts {
        Ok(counts) => {
            aside.compare(client).await?;
            return Ok(Whole { source, hashing, tables, quarantine, originals, counts, aside });
        }
        Err(Failure::Other(error)) => return Err(error),
        Err(failure) => failure,
    };
    // whatever a damaged source gave, that it is damaged comes first
    let source = Inspection::of(source, &options).result().await?;
    let reading =
        Reading { source, tables, version, options, after_misfit: AfterMisfit::ReadOn, originals: None };
    Err(constraint::explain(client, reading, failure).await)
}

/// Sets triggers, keys and indexes aside and empties the tables that will be frozen, all of which takes longer than it
/// saves where there are few rows. What is dropped and made takes locks, of which the server has a limited number:
/// where they do not suffice, no more is set aside than must be. (PostgreSQL: Lock Management,
/// `max_locks_per_transaction`.)
async fn make_way(
    client: &Client,
    tables: &[BoundTable],
    large: &HashSet<u32>,
) -> Result<(Aside, Vec<u32>), Error> {
    match set_aside(client, tables, large).await {
        Err(Error::Database { doing, source })
            if !large.is_empty() && source.code() == Some(&SqlState::OUT_OF_MEMORY) =>
        {
            log::info!("{doing}: {}; keys and indexes stay in place", server_message(&source));
            let doing = Error::database("preparing the load");
            client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_load").await.map_err(doing)?;
            set_aside(client, tables, &HashSet::new()).await
        }
        done => done,
    }
}

async fn set_aside(
    client: &Client,
    tables: &[BoundTable],
    large: &HashSet<u32>,
) -> Result<(Aside, Vec<u32>), Error> {
    let aside = Aside::set(client, tables, Extent::Of(large)).await?;
    Ok((aside, emptied::truncate(client, tables, large).await?))
}

/// The tables for which it pays, by object identifier: none of a small source, and of a step of many tables those of
/// many rows.
fn large_tables(reading: &Reading) -> Result<HashSet<u32>, Error> {
    if reading.source.snapshot_bytes()? < SMALL {
        return Ok(HashSet::new());
    }
    let all = reading.tables.len() < MANY_TABLES;
    let many_rows =
        |table: &BoundTable| reading.source.at_most(&table.source).is_none_or(|rows| rows > FEW_ROWS);
    let large = reading.tables.iter().filter(|table| all || many_rows(table));
    Ok(large.map(|table| table.target.oid).collect())
}

/// The most values of a column that the server keeps of its sample while a step counts. The sample is 300 rows for
/// each, and a server's own 100 would make it the longest part of a load of many columns. It is for the first queries:
/// to the server all rows of the step are changes that nobody has counted yet, so that autovacuum does it again, as it
/// is set, within its next round. (PostgreSQL: ANALYZE, Notes; The Autovacuum Daemon.)
const STATISTICS: i32 = 25;

/// Puts back what was set aside. Between indexes and foreign keys the server counts what was loaded, for the plans by
/// which it checks the keys, and for the application's first queries.
async fn put_back(
    client: &Client,
    tables: &[BoundTable],
    aside: &Aside,
    frozen: &[u32],
    progress: &Progress,
) -> Result<(), tokio_postgres::Error> {
    aside.put_indexes_back(client, progress).await?;
    let owned = tables.iter().filter(|table| table.target.owned);
    let names: Vec<String> = owned.map(|table| table.target.quoted()).collect();
    if !names.is_empty() {
        let target = format!(
            "SELECT pg_catalog.set_config('default_statistics_target', \
             least(pg_catalog.current_setting('default_statistics_target')::int, {STATISTICS})::text, true)"
        );
        client.batch_execute(&format!("{target}; ANALYZE {}", names.join(", "))).await?;
    }
    aside.put_keys_back(client, frozen, progress).await
}
