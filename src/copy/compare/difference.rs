//! The second pass, for the buckets that differ: which rows are missing, added or changed, and in which columns.
//!
//! Rows of the target are held as hashes, as many as [`HELD_BYTES`] allows, then the source's are met with them. What did
//! not fit is left to a further pass: passes go through the keys in the order of their hashes, so that a full memory only
//! makes a pass end at a smaller hash. Nothing of the source is held.

use super::count::bucket;
use super::shape::{KeyPart, Shape, cell_hashes};
use super::sides::{on_thread, source_rows};
use super::verdict::{Row, TableVerdict};
use crate::copy::columns::BoundTable;
use crate::copy::proof::read_back;
use crate::error::Error;
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tokio_postgres::Client;
use xxhash_rust::xxh3::xxh3_128;

/// How much memory a pass may take, about: 100,000 rows of 20 columns at the least.
const HELD_BYTES: usize = 64 << 20;

/// What a held row takes apart from its columns and its key: two hashes, counts, what the map and the allocator add.
const ROW_BYTES: usize = 192;

/// A table whose sides differ.
pub(super) struct Differing {
    pub table: Arc<BoundTable>,
    pub shape: Shape,
    /// By bucket.
    pub buckets: Vec<bool>,
}

/// Rows of the target with the same key: one, or any number of the same row if there is no key.
struct Stored {
    rows: u64,
    /// How many of them the source has as well.
    met: u64,
    hash: u128,
    cells: Box<[u32]>,
    key: Box<[KeyPart]>,
    /// A row of the source with this key and other cells.
    changed: Option<Box<Changed>>,
}

struct Changed {
    place: Place,
    columns: Box<[u16]>,
}

/// The rows of one pass: those whose key hashes are in `from..until`.
struct Held {
    rows: HashMap<u128, Stored>,
    from: u128,
    until: Option<u128>,
    limit: usize,
}

/// Finds every difference and adds it to `verdict`.
pub(super) async fn find(
    client: &Client,
    mut source: Source,
    differing: &Arc<Differing>,
    mut verdict: TableVerdict,
) -> Result<(Source, TableVerdict), Error> {
    let mut from = Some(0);
    while let Some(begin) = from {
        let mut held = Held::new(differing, begin);
        let mut scratch = Vec::new();
        read_back(client, &differing.table, |row| {
            let hash = xxh3_128(row);
            let key = differing.shape.key_hash(row, hash, &mut scratch);
            if differing.buckets[bucket(key)] && held.wants(key) {
                held.add(key, hash, row, differing);
            }
        })
        .await?;
        from = held.until;
        let meeting = Arc::clone(differing);
        (source, verdict) = on_thread(source, move |source, wanted| {
            let mut scratch = Vec::new();
            source_rows(source, &meeting.table, wanted, |row| {
                let hash = xxh3_128(row.bytes);
                let key = meeting.shape.key_hash(row.bytes, hash, &mut scratch);
                if meeting.buckets[bucket(key)] && held.wants(key) {
                    held.meet(key, hash, row.bytes, row.cells.place()?, &meeting, &mut verdict);
                }
                Ok(())
            })?;
            held.close(&meeting, &mut verdict);
            Ok(verdict)
        })
        .await?;
        if from.is_some() {
            log::info!("comparing {}: more differences than fit into a pass, another one", verdict.table);
        }
    }
    Ok((source, verdict))
}

impl Held {
    fn new(differing: &Differing, from: u128) -> Held {
        // each column's hash, and its number if it differs
        let width = (size_of::<u32>() + size_of::<u16>()) * differing.table.columns.len();
        let row = ROW_BYTES + width + size_of::<KeyPart>() * differing.shape.key.len();
        // as many as fill the map, which has 2^n places and leaves one of eight free, so that it never grows
        let limit = (1 << (HELD_BYTES / row).max(8).ilog2()) / 8 * 7;
        Held { rows: HashMap::with_capacity(limit), from, until: None, limit }
    }

    fn wants(&self, key: u128) -> bool {
        key >= self.from && self.until.is_none_or(|until| key < until)
    }

    fn add(&mut self, key: u128, hash: u128, row: &[u8], differing: &Differing) {
        match self.rows.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().rows += 1,
            Entry::Vacant(free) => {
                // without a key the row is its own, and no column of it can differ
                let cells = if differing.shape.key.is_empty() { Box::default() } else { cell_hashes(row) };
                let key = differing.shape.key(&differing.table, row).into();
                free.insert(Stored { rows: 1, met: 0, hash, cells, key, changed: None });
            }
        }
        if self.rows.len() > self.limit {
            self.leave_half();
        }
    }

    /// The greater half of the keys is left to the next pass.
    fn leave_half(&mut self) {
        let mut keys: Vec<u128> = self.rows.keys().copied().collect();
        let middle = keys.len() / 2;
        let (_, until, _) = keys.select_nth_unstable(middle);
        let until = *until;
        self.until = Some(until);
        self.rows.retain(|key, _| *key < until);
    }

    fn meet(
        &mut self,
        key: u128,
        hash: u128,
        row: &[u8],
        place: Place,
        differing: &Differing,
        verdict: &mut TableVerdict,
    ) {
        match self.rows.get_mut(&key) {
            Some(stored) if stored.met < stored.rows && stored.hash == hash => {
                stored.met += 1;
                // two rows of the source with one key: the equal one counts
                if let Some(other) = stored.changed.take() {
                    differing.missing(key, &stored.key, other.place, verdict);
                }
            }
            Some(stored) if stored.met < stored.rows && stored.changed.is_none() => {
                let cells = cell_hashes(row);
                let pairs = (0_u16..).zip(stored.cells.iter().zip(&cells));
                let columns =
                    pairs.filter(|(_, (stored, sent))| stored != sent).map(|(index, _)| index).collect();
                stored.changed = Some(Box::new(Changed { place, columns }));
            }
            _ => differing.missing(key, &differing.shape.key(&differing.table, row), place, verdict),
        }
    }

    /// What was held and not met was added to the target.
    fn close(self, differing: &Differing, verdict: &mut TableVerdict) {
        for (key, stored) in self.rows {
            if let Some(changed) = &stored.changed {
                differing.changed(key, &stored.key, changed, verdict);
            } else {
                for _ in stored.met..stored.rows {
                    let rank = Row::rank(None, &stored.key, key);
                    verdict.added.add(|| differing.row(key, &stored.key, None), &rank);
                }
            }
        }
    }
}

impl Differing {
    fn row(&self, hash: u128, key: &[KeyPart], place: Option<Place>) -> Row {
        Row {
            key: self.shape.named(&self.table, key).collect(),
            rowid: place.and_then(|place| if let Place::Rowid(rowid) = place { Some(rowid) } else { None }),
            row_number: place
                .and_then(|place| if let Place::Ordinal(number) = place { Some(number) } else { None }),
            columns: Vec::new(),
            values: Vec::new(),
            hash,
            rank: Row::rank(place, key, hash),
        }
    }

    fn missing(&self, hash: u128, key: &[KeyPart], place: Place, verdict: &mut TableVerdict) {
        verdict.missing.add(|| self.row(hash, key, Some(place)), &Row::rank(Some(place), key, hash));
    }

    fn changed(&self, hash: u128, key: &[KeyPart], changed: &Changed, verdict: &mut TableVerdict) {
        let name = |index: &u16| self.table.columns[usize::from(*index)].target.name.clone();
        for index in &changed.columns {
            *verdict.columns.entry(name(index)).or_default() += 1;
        }
        let row = || Row {
            columns: changed.columns.iter().map(name).collect(),
            ..self.row(hash, key, Some(changed.place))
        };
        verdict.changed.add(row, &Row::rank(Some(changed.place), key, hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::columns::BoundColumn;
    use crate::migration::step::Policy;
    use crate::postgres::catalog;
    use crate::sqlite::schema;
    use crate::value::number;

    /// A table of integers: the columns `id` and `v`, with the first as its key or none.
    fn table(key: Vec<usize>) -> Differing {
        let column = |name: &str| BoundColumn {
            source: schema::Column { name: name.into(), is_rowid: false, generated: false },
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
        };
        Differing { table: Arc::new(table), shape: Shape { key }, buckets: Vec::new() }
    }

    fn tuple((id, v): (i32, i32)) -> Vec<u8> {
        let cell = |number: i32| [4_i32.to_be_bytes(), number.to_be_bytes()].concat();
        [2_i16.to_be_bytes().to_vec(), cell(id), cell(v)].concat()
    }

    /// Missing, added, changed, and the number of passes that a memory of `limit` rows takes.
    fn compared(
        differing: &Differing,
        source: &[(i32, i32)],
        target: &[(i32, i32)],
        limit: usize,
    ) -> ([u64; 3], usize) {
        let (mut verdict, mut from, mut passes) = (TableVerdict::default(), Some(0), 0);
        let keyed = |row: &[u8]| {
            let hash = xxh3_128(row);
            (differing.shape.key_hash(row, hash, &mut Vec::new()), hash)
        };
        while let Some(begin) = from {
            passes += 1;
            let mut held = Held { rows: HashMap::new(), from: begin, until: None, limit };
            for row in target.iter().copied().map(tuple) {
                let (key, hash) = keyed(&row);
                if held.wants(key) {
                    held.add(key, hash, &row, differing);
                }
            }
            assert!(held.rows.len() <= limit);
            from = held.until;
            for (row, number) in source.iter().copied().map(tuple).zip(1..) {
                let (key, hash) = keyed(&row);
                if held.wants(key) {
                    held.meet(key, hash, &row, Place::Rowid(number), differing, &mut verdict);
                }
            }
            held.close(differing, &mut verdict);
        }
        ([verdict.missing.count, verdict.added.count, verdict.changed.count], passes)
    }

    #[test]
    fn any_number_of_passes_finds_the_same() {
        let source: Vec<_> = (0..1000).map(|id| (id, id % 3)).collect();
        let target: Vec<_> = (100..1200).map(|id| (id, id % 6)).collect();
        let changed = (100..1000).filter(|id| id % 3 != id % 6).count() as u64;
        for limit in [20, 100, 5000] {
            let (found, passes) = compared(&table(vec![0]), &source, &target, limit);
            assert_eq!(found, [100, 200, changed], "{limit}");
            assert_eq!(passes > 1, limit < 1100, "{limit}: {passes}");
            let (found, _) = compared(&table(Vec::new()), &source, &target, limit);
            assert_eq!(found, [100 + changed, 200 + changed, 0], "{limit}");
        }
    }

    #[test]
    fn a_million_equal_rows_without_a_key_are_one() {
        let (found, passes) = compared(&table(Vec::new()), &[(1, 1); 40], &[(1, 1); 50], 2);
        assert_eq!((found, passes), ([0, 10, 0], 1));
    }

    #[test]
    fn of_two_source_rows_with_one_key_the_equal_one_counts() {
        for source in [[(1, 5), (1, 6)], [(1, 6), (1, 5)]] {
            assert_eq!(compared(&table(vec![0]), &source, &[(1, 6)], 2).0, [1, 0, 0]);
            assert_eq!(compared(&table(vec![0]), &source, &[(1, 7)], 2).0, [1, 0, 1]);
        }
    }
}
