//! Rules for columns that have none, and of which no cell says what the application writes there: their table was empty
//! when the step ran, or all their cells were NULL. What other columns of their kind are read by holds for them as well,
//! on the way back and when an exported file is compared.

use super::bind::same_name;
use super::columns::rule_for;
use super::originals::is_spelt_in_many_ways;
use super::receipt::Spelt;
use crate::migration::step::{ColumnRules, TableRules};
use crate::postgres::catalog;
use crate::sqlite::schema;
use std::collections::BTreeSet;
use tokio_postgres::types::Type;

/// A table at both ends, the rules that the step has for it, and what its receipt says of it.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub from: &'a schema::Table,
    pub to: &'a catalog::Table,
    pub rules: &'a TableRules,
    pub spelt: Option<&'a Spelt>,
}

/// Whether no cell told the format of the target's `column`; `spelt` is what a receipt says of its table.
pub(super) fn is_untold(spelt: Option<&Spelt>, column: &catalog::Column) -> bool {
    let told = |spelt: &Spelt| !spelt.formats.get(&column.name).is_some_and(|format| format.untold);
    is_spelt_in_many_ways(column) && !spelt.is_some_and(told)
}

/// What the rules of a step, or of several, say of columns of one kind.
pub(super) struct Alike {
    /// The one zone that all rules for zones name.
    zone: Option<String>,
    /// By column that is spelt in one of many ways: how it is read.
    columns: Vec<Kind>,
}

/// Columns of one type that declare the same in the file.
struct Kind {
    type_oid: u32,
    declared: String,
    read: Option<String>,
}

impl<'a> Ends<'a> {
    /// The columns of both ends, with the rule that joins them.
    fn columns(self) -> impl Iterator<Item = (&'a schema::Column, &'a catalog::Column, ColumnRules)> {
        self.from.columns.iter().filter_map(move |column| {
            let rule = rule_for(self.rules, self.from, column);
            let name = rule.target.as_ref().unwrap_or(&column.name);
            let target = same_name(&self.to.columns, name, |known| &known.name)?;
            (!rule.skip && is_spelt_in_many_ways(target)).then_some((column, target, rule))
        })
    }
}

impl Alike {
    /// What the rules of all `tables` say, and their columns without one of which cells tell how they are spelt.
    pub(super) fn of<'a>(tables: impl Iterator<Item = Ends<'a>> + Clone) -> Alike {
        let zones: BTreeSet<&String> = tables
            .clone()
            .flat_map(|ends| ends.rules.column.values().map(|rule| &rule.zone).chain([&ends.rules.zone]))
            .flatten()
            .collect();
        let mut zones = zones.into_iter();
        let zone = zones.next().filter(|_| zones.next().is_none()).cloned();
        let mut columns = Vec::new();
        for ends in tables {
            let told = |target| !is_untold(ends.spelt, target);
            let counts = ends.columns().filter(|(_, target, rule)| rule.read.is_some() || told(target));
            columns.extend(counts.map(|(column, target, rule)| Kind {
                type_oid: target.type_oid,
                declared: column.declared.to_ascii_lowercase(),
                read: rule.read,
            }));
        }
        Alike { zone, columns }
    }

    /// The rules of a table, with those of others for each column that has none and of which no cell tells.
    pub(super) fn rules(&self, ends: Ends<'_>) -> TableRules {
        let mut rules = ends.rules.clone();
        for (column, target, rule) in ends.columns() {
            let is_bare = rule == ColumnRules { target: rule.target.clone(), ..ColumnRules::default() };
            if !is_bare || !is_untold(ends.spelt, target) {
                continue;
            }
            let zone = self.zone.clone().filter(|_| target.type_oid == Type::TIMESTAMPTZ.oid());
            let rule = ColumnRules { read: self.read(column, target), zone, ..rule };
            if rule.read.is_some() || rule.zone.is_some() {
                rules.column.insert(rules.key_of(&column.name), rule);
            }
        }
        rules
    }

    /// How most columns of its kind are read; without any, an interval as the framework reads it that declares it so:
    /// SQLAlchemy a moment since 1970, Django microseconds.
    fn read(&self, column: &schema::Column, target: &catalog::Column) -> Option<String> {
        let declared = column.declared.to_ascii_lowercase();
        let alike = |kind: &&Kind| kind.type_oid == target.type_oid && kind.declared == declared;
        let reads: Vec<&Option<String>> = self.columns.iter().filter(alike).map(|kind| &kind.read).collect();
        let count = |read: &&&Option<String>| reads.iter().filter(|other| other == read).count();
        // the first of those that are as frequent
        if let Some(most) = reads.iter().rev().max_by_key(count) {
            return (*most).clone();
        }
        match declared.as_str() {
            "datetime" if target.type_oid == Type::INTERVAL.oid() => Some("epoch".to_owned()),
            "bigint" if target.type_oid == Type::INTERVAL.oid() => Some("unix_us".to_owned()),
            _ => None,
        }
    }
}
