//! Rows that the server knows by their numbers in a COPY, found again in the source.

use super::cell::{self, Fate};
use super::columns::BoundTable;
use crate::error::Error;
use crate::migration::step::Policy;
use crate::sqlite::Source;
use crate::sqlite::scan::{Cells, Place, unreadable};
use std::collections::{BTreeMap, BTreeSet};

/// Where the rows are that [`super::reader::read`] sent as the `wanted` ones of `table`, counted from 1.
pub(super) fn find(
    source: &Source,
    table: &BoundTable,
    wanted: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Place>, Error> {
    let (mut places, mut sent, mut scratch) = (BTreeMap::new(), 0, Vec::new());
    let sends_all = table.columns.iter().all(|column| column.misfit != Policy::Quarantine);
    source.scan(&table.source, &table.source_columns(), |cells| {
        if !sends_all && is_quarantined(table, cells, &mut scratch)? {
            return Ok(());
        }
        sent += 1;
        if wanted.contains(&sent) {
            places.insert(sent, cells.place());
        }
        Ok(())
    })?;
    Ok(places)
}

fn is_quarantined(table: &BoundTable, cells: &Cells<'_>, scratch: &mut Vec<u8>) -> Result<bool, Error> {
    for (index, column) in table.columns.iter().enumerate() {
        scratch.clear();
        let value = cells.value(index).map_err(unreadable)?;
        if matches!(cell::convert(column, &value, scratch), Fate::Quarantined(_)) {
            return Ok(true);
        }
    }
    Ok(false)
}
