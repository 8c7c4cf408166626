//! Tables and columns that a version renamed after the step that brought them: the step and its receipt, by the names
//! that are in the target now. What the statements of later versions do not say is not followed.

use super::bind::same_name;
use super::receipt::{self, ForTheWayBack, Spelt};
use crate::error::Error;
use crate::migration::Version;
use crate::migration::objects::Rename;
use crate::migration::step::{Step, StepTable, TableRules};
use crate::postgres::catalog;
use tokio_postgres::Client;

/// A name that the step filled, and what it is after the renames.
struct Name {
    was: String,
    now: String,
}

/// A table of the target that the step filled.
struct Brought {
    table: Name,
    columns: Vec<Name>,
}

impl Name {
    fn new(name: &str) -> Name {
        Name { was: name.to_owned(), now: name.to_owned() }
    }
}

impl Brought {
    fn of(spelt: &Spelt) -> Brought {
        Brought {
            table: Name::new(&spelt.table),
            columns: spelt.types.keys().map(|column| Name::new(column)).collect(),
        }
    }
}

/// A step by the names of now.
pub(super) struct Followed {
    pub step: Step,
    /// What the catalog has under the names of its tables.
    pub target: Vec<catalog::Table>,
    /// What is recorded of it; nothing if this role may not read that, and then nothing is followed either.
    pub receipt: ForTheWayBack,
}

/// The step of `version` after the versions applied `later`, and the tables that it filled.
pub(super) async fn look_up(
    client: &Client,
    version: &Version,
    step: &Step,
    later: &[&Version],
) -> Result<Followed, Error> {
    let mut receipt = receipt::if_readable(client, version.number).await?;
    let renames = after(version, later);
    let new_names = renames.iter().filter(|rename| rename.column.is_none()).map(|rename| rename.to.as_str());
    let names: Vec<&str> = step.tables.iter().map(StepTable::target_name).chain(new_names).collect();
    let mut target = catalog::tables(client, &names).await?;
    let step = follow(version, step, &renames, &target, &mut receipt);
    target.retain(|known| {
        step.tables.iter().any(|table| table.target_name().eq_ignore_ascii_case(&known.name))
    });
    Ok(Followed { step, target, receipt })
}

/// What those of `applied` that come after `version` rename.
pub(super) fn after(version: &Version, applied: &[&Version]) -> Vec<Rename> {
    let later = applied.iter().filter(|later| later.number > version.number);
    later.flat_map(|later| later.renames()).collect()
}

/// The step of `version`, and its `receipt`, [`after`] the `renames`.
pub(super) fn follow(
    version: &Version,
    step: &Step,
    renames: &[Rename],
    target: &[catalog::Table],
    receipt: &mut ForTheWayBack,
) -> Step {
    let mut brought: Vec<Brought> = receipt.tables.iter().map(Brought::of).collect();
    for rename in renames {
        apply(rename, &mut brought, &version.label);
    }
    settle(brought.iter_mut().map(|brought| &mut brought.table).collect(), |name| {
        target.iter().any(|table| table.name == name)
    });
    let mut followed = step.clone();
    let names = step.tables.iter().map(|table| table.target_name().to_owned());
    let by_name: Vec<(String, usize)> = names.zip(0..).collect();
    for (spelt, Brought { table, mut columns }) in receipt.tables.iter_mut().zip(brought) {
        let there = target.iter().find(|known| known.name == table.now);
        let there = there.map(|known| known.columns.as_slice()).unwrap_or_default();
        settle(columns.iter_mut().collect(), |name| there.iter().any(|column| column.name == name));
        if let Some((_, at)) = same_name(&by_name, &table.was, |(name, _)| name) {
            let rules = &mut followed.tables[*at].rules;
            if table.now != table.was {
                rules.target = Some(table.now.clone());
            }
            rename_columns(rules, &step.tables[*at].rules, &columns);
        }
        rename_spelt(spelt, table.now, &columns);
    }
    followed
}

fn apply(rename: &Rename, brought: &mut [Brought], label: &str) {
    match &rename.column {
        None => give(
            brought.iter_mut().map(|brought| &mut brought.table).collect(),
            &rename.table,
            &rename.to,
            label,
        ),
        Some(column) => {
            for brought in brought.iter_mut().filter(|brought| brought.table.now == rename.table) {
                give(brought.columns.iter_mut().collect(), column, &rename.to, label);
            }
        }
    }
}

/// What is called `from` is called `to` from now on. What was called that before must be gone: no table of the target
/// has the name that it gets.
fn give(names: Vec<&mut Name>, from: &str, to: &str, label: &str) {
    if !names.iter().any(|name| name.now == from) {
        return;
    }
    for name in names {
        if name.now == to {
            name.now = format!("{} of {label}", name.was);
        } else if name.now == from {
            to.clone_into(&mut name.now);
        }
    }
}

/// What has the old name again, as its replacement or because the version did not come to that, is what the application
/// means by it; unless it is another of the step's.
fn settle(names: Vec<&mut Name>, has: impl Fn(&str) -> bool) {
    let taken: Vec<String> =
        names.iter().filter(|name| name.now != name.was).map(|name| name.now.clone()).collect();
    for name in names {
        if has(&name.was) && !taken.contains(&name.was) {
            name.now.clone_from(&name.was);
        }
    }
}

fn rename_columns(rules: &mut TableRules, of_step: &TableRules, columns: &[Name]) {
    for Name { was, now } in columns.iter().filter(|column| column.now != column.was) {
        if let Some(constant) = of_step.constant.keys().find(|name| name.eq_ignore_ascii_case(was)) {
            if let Some(value) = rules.constant.remove(constant) {
                rules.constant.insert(now.clone(), value);
            }
            continue;
        }
        let mut targets = of_step.column.iter();
        let ruled =
            targets.find(|(_, rule)| rule.target.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(was)));
        let mut own = of_step.column.keys();
        let key = ruled.map(|(name, _)| name).or_else(|| own.find(|name| name.eq_ignore_ascii_case(was)));
        rules.column.entry(key.unwrap_or(was).clone()).or_default().target = Some(now.clone());
    }
}

fn rename_spelt(spelt: &mut Spelt, table: String, columns: &[Name]) {
    let name = |known: String| match columns.iter().find(|column| column.was == known) {
        Some(column) => column.now.clone(),
        None => known,
    };
    spelt.table = table;
    spelt.types =
        std::mem::take(&mut spelt.types).into_iter().map(|(column, of)| (name(column), of)).collect();
    spelt.formats =
        std::mem::take(&mut spelt.formats).into_iter().map(|(column, of)| (name(column), of)).collect();
    spelt.key = std::mem::take(&mut spelt.key).into_iter().map(name).collect();
}
