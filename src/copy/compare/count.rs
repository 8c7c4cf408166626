//! The first pass: one read of each side, both at the same time. Rows are summed up in buckets by the hash of their
//! key, so that afterwards it is known in which part of the table the sides differ, in memory that no table size
//! changes.

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

/// Buckets, as a power of two: few enough to stay in a processor's cache, and one differing row of a table of a million
/// has thirty others looked at again.
const BUCKET_BITS: u32 = 15;

/// How many buckets there are.
pub(super) const BUCKETS: usize = 1 << BUCKET_BITS;

/// One side: all of it, and by bucket the sum of half of each row's hash, which says where the sides differ.
struct Side {
    tally: Tally,
    buckets: Vec<u64>,
    scratch: Vec<u8>,
}

/// What the first pass found.
pub(super) struct Counted {
    pub source_rows: u64,
    /// All of the target's rows, as the server sent them.
    pub stored: Tally,
    pub equal: bool,
    /// By bucket: the sides differ in it.
    pub differing: Vec<bool>,
    pub misfits: Vec<Unfit>,
}

/// The bucket of a key: its topmost bits.
pub(super) fn bucket(key: u128) -> usize {
    (key >> (u128::BITS - BUCKET_BITS)) as usize
}

impl Side {
    fn new() -> Side {
        Side { tally: Tally::default(), buckets: vec![0; BUCKETS], scratch: Vec::new() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn add(&mut self, shape: &Shape, row: &[u8]) {
        let hash = xxh3_128(row);
        self.tally.add_hash(hash);
        let bucket = &mut self.buckets[bucket(shape.key_hash(row, hash, &mut self.scratch))];
        *bucket = bucket.wrapping_add(hash as u64);
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
        let (mut side, mut misfits) = (Side::new(), Misfits::default());
        reading.of_source(source, wanted, |row| {
            side.add(&reading.shape, row.bytes);
            misfits.add(row)
        })?;
        Ok((side, misfits.named(&reading)))
    });
    let stored = async {
        let mut side = Side::new();
        let as_sent = subject.of_target(client, |row| side.add(&subject.shape, row)).await?;
        Ok((side, as_sent))
    };
    let ((source, (sent, misfits)), (stored, as_sent)) = tokio::try_join!(sent, stored)?;
    let equal = sent.tally == stored.tally;
    let pairs = sent.buckets.iter().zip(&stored.buckets);
    let mut differing: Vec<bool> = pairs.map(|(sent, stored)| !equal && sent != stored).collect();
    if !equal && !differing.contains(&true) {
        // halves of hashes may add up to the same; then every bucket is looked at
        differing.fill(true);
    }
    let (source_rows, stored) = (sent.tally.rows, as_sent.unwrap_or(stored.tally));
    Ok((source, Counted { source_rows, stored, equal, differing, misfits }))
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
                first.push(row.place().to_string());
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
