//! Versions that make the keys after the rows. In go a version and what this run has applied; out comes whether the
//! server should check its foreign keys by going through indexes side by side.
//!
//! The reason is the one for keys that a step puts back (`copy::aside`): the planner takes the pages of an index for
//! scattered and would hash one of the tables, which takes twice as long for rows that were just brought.

use crate::copy::Receipt;
use crate::migration::objects::ForeignKey;
use crate::migration::statement::Statement;
use crate::migration::{Kind, Version, sql};
use std::collections::BTreeMap;

/// What a version's transaction is told first. (PostgreSQL: Query Planning, "Planner Method Configuration".)
pub(super) const MERGE: &str = "SET LOCAL enable_hashjoin TO off;\n";

/// Types that are compared by no collation, which would make it slow to sort what has no index.
const SORTS_WELL: [&str; 4] = ["smallint", "integer", "bigint", "uuid"];

/// The tables that the steps of this run have loaded, each with the types of its columns.
#[derive(Default)]
pub(super) struct Loaded(BTreeMap<String, BTreeMap<String, String>>);

impl Loaded {
    /// Adds what a step has loaded.
    pub(super) fn extend(&mut self, receipt: &Receipt) {
        let tables = receipt.tables.iter().map(|table| (table.table.clone(), table.types.clone()));
        self.0.extend(tables);
    }

    /// Whether `version` does nothing but make keys and indexes, with foreign keys of these tables that sort well.
    pub(super) fn merges_in(&self, version: &Version) -> bool {
        if self.0.is_empty() || !matches!(version.kind, Kind::Sql) {
            return false;
        }
        let statements = sql::read(version.text()).statements;
        let added = statements.iter().flat_map(|statement| statement.foreign_keys(version.text()));
        let added: Vec<ForeignKey> = added.collect();
        !added.is_empty() && statements.iter().all(makes_keys) && added.iter().all(|key| self.sorts_well(key))
    }

    fn sorts_well(&self, key: &ForeignKey) -> bool {
        let types = self.0.get(&key.table);
        let sorts_well = |column| types?.get(column).map(|name| SORTS_WELL.contains(&name.as_str()));
        key.columns.iter().all(|column| sorts_well(column) == Some(true))
    }
}

fn makes_keys(statement: &Statement) -> bool {
    match statement.words().as_slice() {
        ["ALTER", "TABLE", rest @ ..] => rest.contains(&"ADD") && !rest.contains(&"USING"),
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] | ["COMMENT", "ON", ..] => true,
        _ => false,
    }
}
