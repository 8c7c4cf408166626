//! The first pass: one read of each side, both at the same time. Rows are summed up in buckets by the hash of their key,
//! so that afterwards it is known in which part of the table the sides differ, in memory that no table size changes.

use super::shape::Shape;
use super::subject::{SourceRow, Subject, on_thread};
use super::verdict::{NAMED_ROWS, Unfit};
use crate::copy::proof::Tally;
use crate::error::Error;
use crate::sqlite::Source;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_postgres::Client;
use xxhash_rust::xxh3::xxh3_128;

/// Buckets, as a power of two: one differing row of a table of a million has fifteen others looked at again.
const BUCKET_BITS: u32 = 16;

/// The tallies of one side.
struct Buckets {
    tallies: Vec<Tally>,
    scratch: Vec<u8>,
}

/// What the first pass found.
pub(super) struct Counted {
    pub source_rows: u64,
    pub target_rows: u64,
    /// By bucket: the sides differ in it.
    pub differing: Vec<bool>,
    /// Rows of the target in those that differ.
    pub candidates: u64,
    pub misfits: Vec<Unfit>,
}

/// The bucket of a key: its topmost bits.
pub(super) fn bucket(key: u128) -> usize {
    (key >> (u128::BITS - BUCKET_BITS)) as usize
}

impl Buckets {
    fn new() -> Buckets {
        Buckets { tallies: vec![Tally::default(); 1 << BUCKET_BITS], scratch: Vec::new() }
    }

    fn add(&mut self, shape: &Shape, row: &[u8]) {
        let hash = xxh3_128(row);
        let key = shape.key_hash(row, hash, &mut self.scratch);
        self.tallies[bucket(key)].add_hash(hash);
    }

    fn rows(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.rows).sum()
    }
}

/// Reads both sides of `subject`.
pub(super) async fn count(
    client: &Client,
    source: Source,
    subject: &Arc<Subject>,
) -> Result<(Source, Counted), Error> {
    let reading = Arc::clone(subject);
    let sent = on_thread(source, move |source, wanted| {
        let (mut buckets, mut misfits) = (Buckets::new(), Misfits::default());
        reading.of_source(source, wanted, |row| {
            buckets.add(&reading.shape, row.bytes);
            misfits.add(row)
        })?;
        Ok((buckets, misfits.named(&reading)))
    });
    let stored = async {
        let mut buckets = Buckets::new();
        subject.of_target(client, |row| buckets.add(&subject.shape, row)).await?;
        Ok(buckets)
    };
    let ((source, (sent, misfits)), stored) = tokio::try_join!(sent, stored)?;
    let pairs = || sent.tallies.iter().zip(&stored.tallies);
    let counted = Counted {
        source_rows: sent.rows(),
        target_rows: stored.rows(),
        differing: pairs().map(|(sent, stored)| sent != stored).collect(),
        candidates: pairs().filter(|(sent, stored)| sent != stored).map(|(_, stored)| stored.rows).sum(),
        misfits,
    };
    Ok((source, counted))
}

/// By column and reason: how many, and the first rows.
#[derive(Default)]
struct Misfits(BTreeMap<(usize, &'static str), (u64, Vec<String>)>);

impl Misfits {
    fn add(&mut self, row: &SourceRow<'_>) -> Result<(), Error> {
        for (index, misfit) in row.misfits {
            let (count, first) = self.0.entry((*index, misfit.0)).or_default();
            *count += 1;
            if first.len() < NAMED_ROWS {
                first.push(row.place()?.to_string());
            }
        }
        Ok(())
    }

    fn named(self, subject: &Subject) -> Vec<Unfit> {
        let named = self.0.into_iter().map(|((index, found), (rows, first))| {
            let column = &subject.table.columns[index];
            let null = if column.target.not_null { ", NOT NULL" } else { "" };
            let expects = format!("{}{null}, takes {}", column.target.type_name, column.codec.expects);
            Unfit { column: column.target.name.clone(), found, expects, rows, first }
        });
        named.collect()
    }
}
