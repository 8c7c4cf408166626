//! What a step may do that its author did not mean, and that nothing refuses: warned of, and done. In go the bound
//! tables.

use super::columns::{BoundColumn, BoundTable};
use super::reader::Count;
use crate::error::Error;
use crate::identifier::quote;
use crate::sqlite::Source;
use crate::value::Read;
use tokio_postgres::types::Type;

/// How many rows are looked at, at each end of a table.
const ROWS: u64 = 100;

/// Columns without which no export can write a row.
pub(super) fn way_back(tables: &[BoundTable]) {
    for name in tables.iter().flat_map(BoundTable::without_way_back) {
        log::warn!(
            "{name} is NOT NULL without a default in the source, and goes nowhere: an export could not write rows without it; \
             bring it into a column of the target if the way back is to stay open"
        );
    }
}

/// Text that becomes a `tsvector`, which nothing parses. (PostgreSQL: Text Search Types.)
pub(super) fn search(tables: &[BoundTable]) {
    for table in tables {
        let columns = table.columns.iter().filter(|column| column.target.type_oid == Type::TS_VECTOR.oid());
        for column in columns {
            log::warn!(
                "{}.{}: text becomes a tsvector as its type reads it, without to_tsvector, and a search finds it in no other form; \
                 unless it was one before, write skip = true for the column, and fill it in a version after the step: \
                 UPDATE … SET {} = to_tsvector(…)",
                table.source.name,
                column.source.name,
                quote(&column.target.name)
            );
        }
    }
}

/// Tables of which the rules left nothing.
pub(super) fn emptied(tables: &[BoundTable], counts: &[Count]) {
    for (table, count) in tables.iter().zip(counts) {
        if count.tally.rows == 0 && count.quarantine.rows > 0 {
            log::warn!(
                "{}: all of its rows are in the quarantine ({}), and the target's table is empty: look at the rules of the step \
                 before the application goes on",
                table.source.name,
                count.quarantine.rows
            );
        }
    }
}

/// Columns whose numbers are all as large as moments of these years are in another unit. In the wrong one most are no
/// moment of the years 1 to 9999, and refused; but seconds taken for milliseconds are all of January 1970.
pub(super) fn units(source: &Source, tables: &[BoundTable]) -> Result<(), Error> {
    for table in tables {
        let counts = |column: &&BoundColumn| {
            column.holds_moments() && column.read.is_some_and(|read| read != Read::Text)
        };
        let columns: Vec<&BoundColumn> = table.columns.iter().filter(counts).collect();
        if columns.is_empty() {
            continue;
        }
        let names: Vec<&str> = columns.iter().map(|column| column.source.name.as_str()).collect();
        let mut sizes: Vec<Vec<Read>> = vec![Vec::new(); names.len()];
        source.sample(&table.source, &names, ROWS, |cells| {
            for (index, sizes) in sizes.iter_mut().enumerate() {
                let size = Read::by_size(cells.value(index).map_err(std::io::Error::other)?);
                sizes.extend(size.filter(|size| !sizes.contains(size)));
            }
            Ok(true)
        })?;
        for (column, sizes) in columns.iter().zip(sizes) {
            if let (&[other], Some(read)) = (&sizes[..], column.read)
                && other != read
            {
                log::warn!(
                    "{}.{}: the step reads it as {}, and by the size of its numbers it is {}: look at the rule before \
                     the application goes on",
                    table.source.name,
                    column.source.name,
                    read.name(),
                    other.name()
                );
            }
        }
    }
    Ok(())
}
