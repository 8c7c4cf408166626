//! The second pass, for the buckets that differ: which rows are missing, added or changed, and in which columns.
//!
//! Both sides are read once more, at the same time. Of each row in such a bucket a record of hashes is kept
//! ([`sketch`](super::sketch) and [`spill`](super::spill)), in as many partitions as make the target's records of one
//! fit into [`HELD_BYTES`]. Then the partitions are met one by one, so that the time grows with the rows and not with
//! their square. Should a partition be larger all the same, it is met in several rounds, in the order of the keys'
//! hashes: a full memory only makes a round end at a smaller one.

use super::count::{BUCKETS, bucket};
use super::shape::KeyPart;
use super::sketch::Sketch;
use super::spill::Spill;
use super::subject::{Subject, given_up, on_thread};
use super::verdict::{Row, TableVerdict};
use crate::error::Error;
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use tokio_postgres::Client;
use xxhash_rust::xxh3::xxh3_128;

/// How much memory the rows of the target may take that are held at a time, about.
const HELD_BYTES: usize = 16 << 20;

/// What a held row takes apart from its columns and its key: two hashes, counts, what the map and the allocator add.
const ROW_BYTES: usize = 192;

/// A table whose sides differ.
pub(super) struct Differing {
    pub subject: Arc<Subject>,
    /// By bucket.
    pub buckets: Vec<bool>,
    /// Rows of the target, in all buckets.
    pub target_rows: u64,
}

/// Rows of the target with the same key: one, or any number of the same row if there is no key.
struct Stored {
    rows: u64,
    /// How many of them the source has as well.
    met: u64,
    hash: u128,
    cells: Box<[u8]>,
    key: Box<[u8]>,
    /// A row of the source with this key and other cells.
    changed: Option<Box<Changed>>,
}

struct Changed {
    place: Place,
    columns: Box<[u16]>,
}

/// The rows of one round: those whose key hashes are in `from..until`.
struct Held {
    rows: HashMap<u128, Stored>,
    from: u128,
    until: Option<u128>,
    limit: usize,
}

/// Finds every difference and adds it to `verdict`.
pub(super) async fn find(
    client: &Client,
    source: Source,
    differing: &Arc<Differing>,
    verdict: TableVerdict,
) -> Result<(Source, TableVerdict), Error> {
    let reading = Arc::clone(differing);
    let sent = on_thread(source, move |source, wanted| {
        let (mut spill, mut scratch) = (reading.spill(), Scratch::default());
        reading.subject.of_source(source, wanted, |row| {
            if let Some(key) = reading.candidate(row.bytes, &mut scratch) {
                spill.add(key, reading.record(key, row.bytes, Some(row.place()), &mut scratch))?;
            }
            Ok(())
        })?;
        Ok(spill)
    });
    let stored = async {
        let (mut spill, mut scratch, mut kept) = (differing.spill(), Scratch::default(), Ok(()));
        let each = |row: &[u8]| {
            if let (Ok(()), Some(key)) = (&kept, differing.candidate(row, &mut scratch)) {
                kept = spill.add(key, differing.record(key, row, None, &mut scratch));
            }
        };
        differing.subject.of_target(client, each).await?;
        kept.map(|()| spill).map_err(Error::Io)
    };
    let ((source, mut sent), mut stored) = tokio::try_join!(sent, stored)?;
    let (meeting, mut verdict) = (Arc::clone(differing), verdict);
    on_thread(source, move |_, wanted| {
        let limit = meeting.limit();
        for partition in 0..stored.partitions() {
            if !wanted() {
                return Err(given_up());
            }
            meeting.meet(partition, limit, &mut sent, &mut stored, &mut verdict)?;
        }
        Ok(verdict)
    })
    .await
}

/// Buffers that every row uses again.
#[derive(Default)]
struct Scratch {
    hash: u128,
    key: Vec<u8>,
    record: Vec<u8>,
}

impl Differing {
    /// The hash of the row's key, if the row is in a bucket that differs.
    fn candidate(&self, row: &[u8], scratch: &mut Scratch) -> Option<u128> {
        scratch.hash = xxh3_128(row);
        let key = self.subject.shape.key_hash(row, scratch.hash, &mut scratch.key);
        self.buckets[bucket(key)].then_some(key)
    }

    fn record<'a>(&self, key: u128, row: &[u8], place: Option<Place>, scratch: &'a mut Scratch) -> &'a [u8] {
        Sketch::write(&self.subject.shape, key, scratch.hash, place, row, &mut scratch.record);
        &scratch.record
    }

    fn spill(&self) -> Spill {
        let buckets = self.buckets.iter().filter(|differs| **differs).count() as u64;
        let rows = self.target_rows.saturating_mul(buckets) / BUCKETS as u64;
        // half of what may be held, since partitions are not of one size
        let partitions = rows / (self.limit() as u64 / 2).max(1) + 1;
        let partitions = usize::try_from(partitions).unwrap_or(usize::MAX);
        Spill::new(Sketch::bytes(&self.subject.shape), partitions)
    }

    /// How many rows of the target may be held.
    fn limit(&self) -> usize {
        // each column's hash, and its number if it differs
        let width = (size_of::<u32>() + size_of::<u16>()) * self.subject.shape.fields.len();
        let row = ROW_BYTES + width + KeyPart::BYTES * self.subject.shape.key.len();
        // as many as a map of 2^n places takes, which leaves one of eight free
        (1 << (HELD_BYTES / row).max(8).ilog2()) / 8 * 7
    }

    /// Meets the source's records of a partition with the target's.
    fn meet(
        &self,
        partition: usize,
        limit: usize,
        sent: &mut Spill,
        stored: &mut Spill,
        verdict: &mut TableVerdict,
    ) -> io::Result<()> {
        let shape = &self.subject.shape;
        let mut from = Some(0);
        while let Some(begin) = from {
            let mut held = Held { rows: HashMap::new(), from: begin, until: None, limit };
            stored.read(partition, |record| held.add(&Sketch::read(shape, record)))?;
            from = held.until;
            sent.read(partition, |record| held.meet(&Sketch::read(shape, record), self, verdict))?;
            held.close(self, verdict);
        }
        Ok(())
    }
}

impl Held {
    fn wants(&self, key: u128) -> bool {
        key >= self.from && self.until.is_none_or(|until| key < until)
    }

    fn add(&mut self, row: &Sketch<'_>) {
        if !self.wants(row.key) {
            return;
        }
        match self.rows.entry(row.key) {
            Entry::Occupied(mut known) => known.get_mut().rows += 1,
            Entry::Vacant(free) => {
                let (cells, key) = (row.cells.into(), row.parts.into());
                free.insert(Stored { rows: 1, met: 0, hash: row.hash, cells, key, changed: None });
            }
        }
        if self.rows.len() > self.limit {
            self.leave_half();
        }
    }

    /// The greater half of the keys is left to the next round.
    fn leave_half(&mut self) {
        let mut keys: Vec<u128> = self.rows.keys().copied().collect();
        let middle = keys.len() / 2;
        let (_, until, _) = keys.select_nth_unstable(middle);
        let until = *until;
        self.until = Some(until);
        self.rows.retain(|key, _| *key < until);
    }

    fn meet(&mut self, row: &Sketch<'_>, differing: &Differing, verdict: &mut TableVerdict) {
        let Some(place) = row.place.filter(|_| self.wants(row.key)) else { return };
        match self.rows.get_mut(&row.key) {
            Some(stored) if stored.met < stored.rows && stored.hash == row.hash => {
                stored.met += 1;
                // two rows of the source with one key: the equal one counts
                if let Some(other) = stored.changed.take() {
                    differing.missing(row.key, &stored.key, other.place, verdict);
                }
            }
            Some(stored) if stored.met < stored.rows && stored.changed.is_none() => {
                stored.changed = Some(Box::new(Changed { place, columns: row.other_cells(&stored.cells) }));
            }
            _ => differing.missing(row.key, row.parts, place, verdict),
        }
    }

    /// What was held and not met was added to the target.
    fn close(self, differing: &Differing, verdict: &mut TableVerdict) {
        for (key, stored) in self.rows {
            if let Some(changed) = &stored.changed {
                differing.changed(key, &stored.key, changed, verdict);
            } else if stored.met < stored.rows {
                let parts = KeyPart::read(&stored.key);
                let rank = Row::rank(None, &parts, key);
                let added = stored.rows - stored.met;
                verdict.added.add(added, || differing.row(key, &parts, None), &rank);
            }
        }
    }
}

impl Differing {
    fn row(&self, hash: u128, key: &[KeyPart], place: Option<Place>) -> Row {
        Row {
            key: self.subject.shape.named(key).collect(),
            rowid: place.and_then(|place| if let Place::Rowid(rowid) = place { Some(rowid) } else { None }),
            row_number: place
                .and_then(|place| if let Place::Ordinal(number) = place { Some(number) } else { None }),
            columns: Vec::new(),
            values: Vec::new(),
            hash,
            rank: Row::rank(place, key, hash),
        }
    }

    fn missing(&self, hash: u128, key: &[u8], place: Place, verdict: &mut TableVerdict) {
        let row = || self.row(hash, &KeyPart::read(key), Some(place));
        verdict.missing.add(1, row, &Row::rank(Some(place), &[], hash));
    }

    fn changed(&self, hash: u128, key: &[u8], changed: &Changed, verdict: &mut TableVerdict) {
        let name = |index: &u16| self.subject.shape.fields[usize::from(*index)].name.clone();
        let row = || self.row(hash, &KeyPart::read(key), Some(changed.place));
        let rank = Row::rank(Some(changed.place), &[], hash);
        for index in &changed.columns {
            verdict.columns.entry(name(index)).or_default().add(1, row, &rank);
        }
        let row = || Row { columns: changed.columns.iter().map(name).collect(), ..row() };
        verdict.changed.add(1, row, &rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::columns::{BoundColumn, BoundTable};
    use crate::migration::step::Policy;
    use crate::postgres::catalog;
    use crate::sqlite::schema;
    use crate::value::number;

    /// A table of integers: the columns `id` and `v`.
    fn table(key: &[&str]) -> Differing {
        let column = |name: &str| BoundColumn {
            source: schema::Column {
                name: name.into(),
                is_rowid: false,
                generated: false,
                required: false,
                declared: String::new(),
            },
            target: catalog::Column {
                name: name.into(),
                type_oid: 23,
                type_name: "integer".into(),
                modifier: -1,
                ..catalog::Column::default()
            },
            codec: number::integer(4),
            misfit: Policy::Fail,
            empty_is_null: false,
            read: None,
        };
        let table = BoundTable {
            source: schema::Table {
                name: "t".into(),
                columns: Vec::new(),
                rowid: None,
                autoincrement: None,
                key: Vec::new(),
                kind: schema::Kind::Ordinary,
                unreadable: None,
            },
            target: catalog::Table {
                oid: 1,
                schema: "s".into(),
                name: "t".into(),
                partitioned: false,
                owned: true,
                columns: Vec::new(),
            },
            columns: vec![column("id"), column("v")],
            constants: Vec::new(),
            computed: Vec::new(),
            refused: Vec::new(),
        };
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        let subject = Arc::new(Subject::stored(table, Some(&key)));
        Differing { subject, buckets: vec![true; BUCKETS], target_rows: 0 }
    }

    fn tuple((id, v): (i32, i32)) -> Vec<u8> {
        let cell = |number: i32| [4_i32.to_be_bytes(), number.to_be_bytes()].concat();
        [2_i16.to_be_bytes().to_vec(), cell(id), cell(v)].concat()
    }

    /// Missing, added, changed, if `limit` rows are held at a time, of one of so many partitions.
    fn compared(
        differing: &Differing,
        source: &[(i32, i32)],
        target: &[(i32, i32)],
        (limit, partitions): (usize, usize),
    ) -> [u64; 3] {
        let mut spills = [source, target].map(|rows| {
            let size = Sketch::bytes(&differing.subject.shape);
            let (mut spill, mut scratch) = (Spill::new(size, partitions), Scratch::default());
            for (row, number) in rows.iter().copied().map(tuple).zip(1..) {
                let key = differing.candidate(&row, &mut scratch).expect("all buckets differ");
                let record = differing.record(key, &row, Some(Place::Rowid(number)), &mut scratch);
                spill.add(key, record).expect("added");
            }
            spill
        });
        let [sent, stored] = &mut spills;
        let mut verdict = TableVerdict::default();
        for partition in 0..partitions {
            differing.meet(partition, limit, sent, stored, &mut verdict).expect("met");
        }
        [verdict.missing.count, verdict.added.count, verdict.changed.count]
    }

    #[test]
    fn any_number_of_partitions_and_rounds_finds_the_same() {
        let source: Vec<_> = (0..1000).map(|id| (id, id % 3)).collect();
        let target: Vec<_> = (100..1200).map(|id| (id, id % 6)).collect();
        let changed = (100..1000).filter(|id| id % 3 != id % 6).count() as u64;
        for memory in [(20, 1), (20, 50), (100, 3), (5000, 1)] {
            let found = compared(&table(&["id"]), &source, &target, memory);
            assert_eq!(found, [100, 200, changed], "{memory:?}");
            let found = compared(&table(&[]), &source, &target, memory);
            assert_eq!(found, [100 + changed, 200 + changed, 0], "{memory:?}");
        }
    }

    #[test]
    fn no_more_is_held_than_the_limit() {
        let (differing, mut scratch) = (table(&["id"]), Scratch::default());
        let mut held = Held { rows: HashMap::new(), from: 0, until: None, limit: 20 };
        for row in (0..1000).map(|id| tuple((id, 0))) {
            let key = differing.candidate(&row, &mut scratch).expect("all buckets differ");
            let record = differing.record(key, &row, None, &mut scratch);
            held.add(&Sketch::read(&differing.subject.shape, record));
            assert!(held.rows.len() <= 20);
        }
        assert!(held.until.is_some());
    }

    #[test]
    fn a_million_equal_rows_without_a_key_are_one() {
        assert_eq!(compared(&table(&[]), &[(1, 1); 40], &[(1, 1); 50], (2, 1)), [0, 10, 0]);
    }

    #[test]
    fn of_two_source_rows_with_one_key_the_equal_one_counts() {
        for source in [[(1, 5), (1, 6)], [(1, 6), (1, 5)]] {
            assert_eq!(compared(&table(&["id"]), &source, &[(1, 6)], (2, 1)), [1, 0, 0]);
            assert_eq!(compared(&table(&["id"]), &source, &[(1, 7)], (2, 1)), [1, 0, 1]);
        }
    }
}
