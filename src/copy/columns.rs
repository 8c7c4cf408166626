//! Binds the columns of one table: each source column to the target column of its name or of its rule, that to the
//! codec of its type, and what a misfit does is decided here, once.

use super::bind::{cut, same_name};
use super::canonical::Forms;
use super::codec;
use super::constants::{self, BoundConstant};
use crate::error::Error;
use crate::identifier::quote_all;
use crate::migration::step::{ColumnRules, Mend, Policy, TableRules};
use crate::postgres::catalog;
use crate::sqlite::{Source, schema};
use crate::value::{Codec, Read, Repair, Rules, Zone};
use tokio_postgres::types::Type;

/// A table with its two ends.
pub(super) struct BoundTable {
    pub source: schema::Table,
    pub target: catalog::Table,
    pub columns: Vec<BoundColumn>,
    /// Target columns that the step gives a constant.
    pub constants: Vec<BoundConstant>,
    /// Target columns that compute their own values, of source columns that compute theirs or hold none.
    pub computed: Vec<String>,
    /// Target columns of which a fault says already why they are not fed.
    pub refused: Vec<String>,
}

impl BoundTable {
    /// Which of the columns and constants have values of several forms, in the order of a tuple.
    pub(super) fn forms(&self) -> Forms {
        let columns = self.columns.iter().map(|column| column.codec.canonical);
        Forms::of(columns.chain(self.constants.iter().map(|constant| constant.canonical)).collect())
    }

    /// The source columns that are read, in the order of the target's.
    pub(super) fn source_columns(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.source.name.as_str()).collect()
    }

    /// Columns of the source that go nowhere, and without which none of its rows can be made again.
    pub(super) fn without_way_back(&self) -> impl Iterator<Item = String> {
        let goes_nowhere = |column: &&schema::Column| {
            let bound = self.columns.iter().any(|bound| bound.source.name == column.name);
            !bound && !self.computed.iter().any(|name| name.eq_ignore_ascii_case(&column.name))
        };
        let required = self.source.columns.iter().filter(|column| column.required);
        required.filter(goes_nowhere).map(|column| format!("{}.{}", self.source.name, column.name))
    }

    /// What COPY writes, in order: the columns, then the constants.
    pub(super) fn target_columns(&self) -> impl Iterator<Item = &str> {
        let columns = self.columns.iter().map(|column| column.target.name.as_str());
        columns.chain(self.constants.iter().map(|constant| constant.target.name.as_str()))
    }

    /// The same columns of the table's own rows, as `COPY … TO` names them. A table is read sooner than a query of it,
    /// and of a partitioned one, or of no columns, there is the query alone. (PostgreSQL: COPY, Notes.)
    pub(super) fn copied(&self) -> String {
        let (columns, table) = (quote_all(self.target_columns()), &self.target);
        if table.partitioned || columns.is_empty() {
            format!("(SELECT {columns} FROM {})", table.own_rows())
        } else {
            format!("{} ({columns})", table.quoted())
        }
    }
}

/// A column that exists on both ends.
pub(super) struct BoundColumn {
    pub source: schema::Column,
    pub target: catalog::Column,
    pub codec: Codec,
    /// What happens to a value that does not fit.
    pub misfit: Policy,
    /// Empty text becomes NULL.
    pub empty_is_null: bool,
    /// What the step says that its numbers count.
    pub read: Option<Read>,
}

impl BoundColumn {
    /// Its type is a date, with or without a time.
    pub(super) fn holds_moments(&self) -> bool {
        let of_type = Type::from_oid(self.target.type_oid);
        matches!(of_type, Some(Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::DATE))
    }
}

/// Binds the columns of `from` to those of `to` by `rules`; what does not fit is added to `faults`.
pub(super) fn bind(
    source: &Source,
    from: &schema::Table,
    to: &catalog::Table,
    rules: &TableRules,
    faults: &mut Vec<String>,
) -> Result<BoundTable, Error> {
    let mut table = BoundTable {
        source: from.clone(),
        target: to.clone(),
        columns: Vec::new(),
        constants: Vec::new(),
        computed: Vec::new(),
        refused: Vec::new(),
    };
    for (name, rule) in &rules.column {
        if same_name(&from.columns, name, |column| &column.name).is_none() {
            let target = rule.target.as_ref().unwrap_or(name);
            table
                .refused
                .extend(same_name(&to.columns, target, |column| &column.name).map(|to| to.name.clone()));
            faults.push(format!(
                "{}.{name}: the step has a rule for it and the source has no such column; correct the name, or take the rule out",
                from.name
            ));
        }
    }
    let defaults = ColumnRules { zone: rules.zone.clone(), round: rules.round, ..ColumnRules::default() };
    let defaults = value_rules(&defaults).unwrap_or_else(|fault| {
        faults.push(format!("table {}: {fault}", from.name));
        Rules::default()
    });
    for column in &from.columns {
        let rule = rule_for(rules, from, column);
        if rule.skip {
            continue;
        }
        let name = rule.target.as_ref().unwrap_or(&column.name);
        let fault = match same_name(&to.columns, name, |column| &column.name) {
            None => without_target(source, &table, column, name, &rule)?,
            Some(target) if target.generated => computed_there(source, &mut table, column, target, &rule)?,
            Some(target) if table.target_columns().any(|bound| bound == target.name) => {
                Some(format!("the target's column {} is fed by another column already", target.name))
            }
            Some(target) => match bind_column(column, target, &rule, rules.misfit, &defaults) {
                Ok(bound) => {
                    table.columns.push(bound);
                    None
                }
                Err(fault) => {
                    table.refused.push(target.name.clone());
                    Some(fault)
                }
            },
        };
        faults.extend(fault.map(|fault| format!("{}.{}: {fault}", from.name, column.name)));
    }
    require_taken(&table, rules, &defaults, faults);
    constants::bind(&mut table, rules, faults);
    Ok(table)
}

/// The rule of the step for `column`, whatever the case of its name there.
pub(super) fn rule_for(rules: &TableRules, from: &schema::Table, column: &schema::Column) -> ColumnRules {
    let is_its = |name: &String| {
        same_name(&from.columns, name, |column| &column.name).is_some_and(|found| found.name == column.name)
    };
    let rule = rules.column.iter().find(|(name, _)| is_its(name));
    rule.map(|(_, rule)| rule.clone()).unwrap_or_default()
}

/// Why `column` cannot do without one in the target, which has none of that `name`: it holds values and is not computed
/// in the source, or the step asks for it.
fn without_target(
    source: &Source,
    table: &BoundTable,
    column: &schema::Column,
    name: &str,
    rule: &ColumnRules,
) -> Result<Option<String>, Error> {
    let (from, to) = (&table.source, &table.target.name);
    if !column.generated && source.holds_values(from, &column.name)? {
        return Ok(Some(format!(
            "the source has values in this column and the target's table {to} has no column {name}; \
             add it in a version, or write [table.{}.column.{}] with target = \"…\" or skip = true{}",
            key(&from.name),
            key(&column.name),
            cut(name, "the same rule")
        )));
    }
    let asked = rule.target.is_some();
    Ok(asked.then(|| format!("the step has a rule for it, and the target's table {to} has no column {name}")))
}

/// Why `column` cannot be left to the `target`, which computes its own values: the step asks for more, or the source
/// has values of its own there.
fn computed_there(
    source: &Source,
    table: &mut BoundTable,
    column: &schema::Column,
    target: &catalog::Column,
    rule: &ColumnRules,
) -> Result<Option<String>, Error> {
    if *rule != ColumnRules::default() {
        return Ok(Some(format!(
            "the step has a rule for it, and the target's column {} computes its own values; \
             skip = true is the only rule that it takes",
            target.name
        )));
    }
    if column.generated || !source.holds_values(&table.source, &column.name)? {
        table.computed.push(target.name.clone());
        return Ok(None);
    }
    Ok(Some(format!(
        "the source has values in this column, and the target's column {} computes its own; \
         if those are right, write [table.{}.column.{}] with skip = true",
        target.name,
        key(&table.source.name),
        key(&column.name)
    )))
}

fn bind_column(
    source: &schema::Column,
    target: &catalog::Column,
    rule: &ColumnRules,
    of_table: Option<Policy>,
    defaults: &Rules,
) -> Result<BoundColumn, String> {
    let rules = value_rules(rule)?;
    let codec = codec_of(target, &rules, defaults)?;
    let misfit = match (rule.misfit, of_table) {
        (Some(Policy::Fail), _) => Policy::Fail,
        (Some(_), _) | (None, Some(Policy::Null | Policy::Quarantine)) if codec.by_input => {
            return Err(format!(
                "misfit = \"null\" or \"quarantine\", and the server itself reads the target's type {}; \
                 write misfit = \"fail\" for this column",
                target.type_name
            ));
        }
        (Some(Policy::Null), _) if target.not_null => {
            return Err("misfit = \"null\", and the target's column is NOT NULL; write \"quarantine\" or \"fail\", or drop NOT NULL \
                        in a version before the step"
                .into());
        }
        (Some(policy), _) => policy,
        (None, Some(Policy::Null)) if target.not_null => Policy::Fail,
        (None, of_table) => of_table.unwrap_or(Policy::Fail),
    };
    Ok(BoundColumn {
        source: source.clone(),
        target: target.clone(),
        codec,
        misfit,
        empty_is_null: rule.empty.is_some(),
        read: rules.read,
    })
}

/// The codec of a column with rules of its `own`, and with as many of its table's `defaults` as its type takes.
fn codec_of(target: &catalog::Column, own: &Rules, defaults: &Rules) -> Result<Codec, String> {
    let with = |round: bool, zone: bool| Rules {
        round: own.round || round && defaults.round,
        zone: own.zone.clone().or_else(|| defaults.zone.clone().filter(|_| zone)),
        ..own.clone()
    };
    let mut codecs = [(true, true), (true, false), (false, true)].into_iter();
    let codec = codecs.find_map(|(round, zone)| codec::choose(target, &with(round, zone)).ok());
    codec.map_or_else(|| codec::choose(target, own), Ok)
}

/// Whether a column of `table` takes a rule for its zone.
pub(super) fn takes_zone(table: &BoundTable) -> bool {
    takes(table, &Rules { zone: Zone::parse("UTC").ok(), ..Rules::default() })
}

fn takes(table: &BoundTable, rule: &Rules) -> bool {
    table.columns.iter().any(|column| codec::choose(&column.target, rule).is_ok())
}

/// A rule for all columns of a table that none of them takes is a mistake.
fn require_taken(table: &BoundTable, rules: &TableRules, defaults: &Rules, faults: &mut Vec<String>) {
    let round = Rules { round: defaults.round, ..Rules::default() };
    let zone = Rules { zone: defaults.zone.clone(), ..Rules::default() };
    let own_zone = defaults.zone.is_some() && !rules.zone_of_step;
    let each = [("round", defaults.round, round), ("zone", own_zone, zone)];
    for (name, _, _) in each.iter().filter(|(_, given, rule)| *given && !takes(table, rule)) {
        faults.push(format!(
            "table {}: the step has {name} for all its columns, and no column of it takes that rule",
            table.source.name
        ));
    }
}

/// What the codec needs to know of a rule.
fn value_rules(rule: &ColumnRules) -> Result<Rules, String> {
    let read = rule.read.as_deref().map(Read::parse);
    let zone = rule.zone.as_deref().map(Zone::parse);
    let repair = |mend: Option<Mend>| match mend {
        None => Repair::Fail,
        Some(Mend::Strip) => Repair::Strip,
        Some(Mend::Replace) => Repair::Replace,
    };
    Ok(Rules {
        read: read.transpose()?,
        zone: zone.transpose()?,
        round: rule.round,
        nul: repair(rule.nul),
        utf8: repair(rule.utf8),
    })
}

/// Every target column that must have a value gets one.
pub(super) fn require_fed(table: &BoundTable, faults: &mut Vec<String>) {
    for column in &table.target.columns {
        let fed = table.target_columns().any(|bound| bound == column.name);
        let refused = table.refused.contains(&column.name);
        let has = same_name(&table.source.columns, &column.name, |known| &known.name).is_some();
        if column.not_null && !column.has_default && !column.generated && !fed && !refused {
            faults.push(format!(
                "{}.{}: the target's column is NOT NULL without a default, and {}; write [table.{}.constant] with {} = …, or list the table under skip",
                table.target.name,
                column.name,
                if has { "the step skips the source's" } else { "the source has no such column" },
                key(&table.source.name),
                key(&column.name)
            ));
        }
    }
}

/// A table holds as many columns at most. (PostgreSQL: Appendix K, "PostgreSQL Limits".)
const MOST_COLUMNS: usize = 1600;

/// A table of which the server reads values has room in its temporary table for the number of a row.
pub(super) fn require_room(table: &BoundTable, faults: &mut Vec<String>) {
    let mut by_input = table.columns.iter().filter(|column| column.codec.by_input);
    if table.target_columns().count() < MOST_COLUMNS {
        return;
    }
    if let Some(column) = by_input.next() {
        let name = &column.target.name;
        faults.push(format!(
            "table {}: the server itself reads {name} ({}), by way of a temporary table with a column more, and PostgreSQL holds \
             {MOST_COLUMNS} at most; make such columns text in a version before the step, and give them their types in one \
             after it (ALTER TABLE … ALTER COLUMN … TYPE … USING …)",
            table.source.name, column.target.type_name
        ));
    }
}

/// `name` as a key in TOML.
pub(super) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    }
}
