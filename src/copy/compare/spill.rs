//! Records of the rows of one side, by partition of their keys: in memory, and beyond two megabytes in an unlinked
//! temporary file. A partition of one side is then met with the same partition of the other, so that tables of any size
//! are compared in memory of one size. (The partitions of a "Grace" hash join.)

use crate::copy::spool::unwritable;
use std::io::{self, Read, Seek, SeekFrom, Write};
use tempfile::SpooledTempFile;

/// More than this waits on disk instead of in memory.
const IN_MEMORY_BYTES: usize = 2 << 20;

/// What is gathered of a partition before it is written, about.
const BLOCK_BYTES: usize = 4 << 10;

/// At most this many partitions, each of which has a block in memory.
const MOST_PARTITIONS: usize = 1024;

/// Records of one size.
pub(super) struct Spill {
    record_bytes: usize,
    partitions: Vec<Partition>,
    file: SpooledTempFile,
    end: u64,
}

#[derive(Default)]
struct Partition {
    /// What is not written yet.
    tail: Vec<u8>,
    /// Where the written blocks begin, and their lengths.
    blocks: Vec<(u64, usize)>,
}

impl Spill {
    pub(super) fn new(record_bytes: usize, partitions: usize) -> Spill {
        let partitions = partitions.clamp(1, MOST_PARTITIONS);
        Spill {
            record_bytes,
            partitions: std::iter::repeat_with(Partition::default).take(partitions).collect(),
            file: SpooledTempFile::new(IN_MEMORY_BYTES),
            end: 0,
        }
    }

    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Adds a record of a row whose key has this hash.
    pub(super) fn add(&mut self, key: u128, record: &[u8]) -> io::Result<()> {
        debug_assert_eq!(record.len(), self.record_bytes);
        let partition = self.partition(key);
        let partition = &mut self.partitions[partition];
        partition.tail.extend_from_slice(record);
        if partition.tail.len() >= BLOCK_BYTES {
            self.file.write_all(&partition.tail).map_err(unwritable)?;
            partition.blocks.push((self.end, partition.tail.len()));
            self.end += partition.tail.len() as u64;
            partition.tail.clear();
        }
        Ok(())
    }

    /// The upper half of the hash, as a fraction of one, times the number of partitions.
    #[expect(clippy::cast_possible_truncation, reason = "less than the number of partitions")]
    fn partition(&self, key: u128) -> usize {
        (((key >> 64) * self.partitions.len() as u128) >> 64) as usize
    }

    /// Calls `each` with every record of a partition, in the order in which they were added.
    pub(super) fn read(&mut self, partition: usize, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let Partition { tail, blocks } = &self.partitions[partition];
        let mut block = Vec::new();
        for (start, length) in blocks {
            block.resize(*length, 0);
            self.file.seek(SeekFrom::Start(*start))?;
            self.file.read_exact(&mut block)?;
            block.chunks_exact(self.record_bytes).for_each(&mut each);
        }
        tail.chunks_exact(self.record_bytes).for_each(&mut each);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_128;

    #[test]
    fn what_was_added_is_read_in_order_and_each_key_in_one_partition() {
        for (partitions, rows) in [(1, 10), (7, 3_000_000), (0, 5), (2000, 100_000)] {
            let mut spill = Spill::new(4, partitions);
            for number in 0..rows {
                let number = u32::to_le_bytes(number);
                spill.add(xxh3_128(&number), &number).expect("added");
            }
            let mut seen = vec![false; rows as usize];
            for partition in 0..spill.partitions() {
                let mut last = None;
                spill
                    .read(partition, |record| {
                        let number = u32::from_le_bytes(record.try_into().expect("four bytes"));
                        assert!(last.is_none_or(|last| last < number) && !seen[number as usize]);
                        (seen[number as usize], last) = (true, Some(number));
                    })
                    .expect("read");
            }
            assert!(seen.iter().all(|seen| *seen));
        }
    }
}
