//! Tables and columns that the step brought and the target does not have any more: what the versions applied since say
//! of them, and what to do.

use crate::copy::bind::{self, same_name};
use crate::error::Error;
use crate::migration::step::{ColumnRules, Step, TableRules};
use crate::migration::{Kind, Version};
use crate::postgres::catalog::{self, Instead};
use crate::sqlite::{Source, schema};
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// What happened to a step's tables after it.
pub(super) struct Since<'a> {
    /// The step's own version.
    pub version: &'a Version,
    /// The versions applied after it.
    pub later: &'a [&'a Version],
    /// The columns of the target that it brought, by table, as far as they are known.
    pub brought: BTreeMap<String, Vec<String>>,
}

impl Since<'_> {
    /// A table that is gone, or out of sight.
    pub(super) async fn table(&self, client: &Client, name: &str) -> Result<String, Error> {
        let instead = catalog::instead_of(client, &[name]).await?;
        if let Some((_, Instead::Elsewhere(schema))) = same_name(&instead, name, |(name, _)| name) {
            return Ok(format!("{name}: {}", catalog::on_the_path(schema)));
        }
        Ok(format!(
            "{name}: the target has no such table in its search_path that this role can see; {}",
            self.what(name)
        ))
    }

    /// Columns of `from` with values whose column in `to` is gone, or was never there: a line for each, and `rules`
    /// without them.
    pub(super) fn columns(
        &self,
        source: &Source,
        from: &schema::Table,
        to: &catalog::Table,
        rules: &TableRules,
    ) -> Result<(TableRules, Vec<String>), Error> {
        let (mut rules, mut gone) = (rules.clone(), Vec::new());
        for column in from.columns.iter().filter(|column| !column.generated) {
            let key = rules.key_of(&column.name);
            let rule = rules.column.get(&key).cloned().unwrap_or_default();
            let name = rule.target.as_ref().unwrap_or(&column.name);
            let there = same_name(&to.columns, name, |known| &known.name).is_some();
            if rule.skip || there || !source.holds_values(from, &column.name)? {
                continue;
            }
            let place = format!("{}.{}", from.name, column.name);
            let brought = self.brought.get(&to.name);
            let never =
                brought.is_some_and(|known| !known.iter().any(|known| known.eq_ignore_ascii_case(name)));
            gone.push(if never {
                format!(
                    "{place}: not compared, the source has values in it only since {} copied the table, and the target's table {} has \
                     no column {name}; if the application needs them, add the column in a version and bring them over",
                    self.version.label, to.name
                )
            } else {
                format!(
                    "{place}: not compared, the target's table {} has no column {name} any more; {}",
                    to.name,
                    self.what(name)
                )
            });
            rules.column.insert(key, ColumnRules { skip: true, ..ColumnRules::default() });
        }
        Ok((rules, gone))
    }

    /// What `step` leaves behind in the source, added to `problems` if nothing says that it may. What a later step
    /// brings is not left behind, and a table that is `there` on both sides may be: an exported file has all of the
    /// target's.
    pub(super) fn tables_left_behind(
        &self,
        step: &Step,
        source: &Source,
        there: &[catalog::Table],
        problems: &mut Vec<String>,
    ) -> Result<Vec<String>, Error> {
        let steps = self.later.iter().filter_map(|version| version.step());
        let later: Vec<&String> = steps.flat_map(|step| &step.tables).map(|table| &table.name).collect();
        let brought = |table: &String| later.iter().any(|name| name.eq_ignore_ascii_case(table));
        let mut step = step.clone();
        let known = source.tables.iter().map(|table| &table.name);
        let names: Vec<String> = known
            .filter(|name| brought(name) || same_name(there, name, |table| &table.name).is_some())
            .filter(|name| !step.skip.iter().any(|skip| skip.eq_ignore_ascii_case(name)))
            .cloned()
            .collect();
        step.skip.extend(names);
        let (left, _) = bind::tables_left_behind(&step, source, problems)?;
        Ok(left.into_iter().filter(|table| !brought(table)).collect())
    }

    /// The step applied after this one that loads the target's table `name` too.
    pub(super) fn loaded_again(&self, name: &str) -> Option<String> {
        let loads = |version: &&&Version| {
            let tables = version.step().map(|step| step.tables.as_slice()).unwrap_or_default();
            tables.iter().any(|table| table.target_name().eq_ignore_ascii_case(name))
        };
        self.later.iter().rev().find(loads).map(|version| version.label.clone())
    }

    /// Which versions may have taken `name` away, and the next move.
    fn what(&self, name: &str) -> String {
        let found = self.later.iter().filter_map(|version| Some((version, mentioned(version, name)?)));
        let found: Vec<String> = found.map(|(version, how)| format!("{} {how}", version.label)).collect();
        let compare = format!(
            "what the step brought can be compared in another database, migrated with --to {}",
            self.version.number
        );
        if found.is_empty() {
            let label = &self.version.label;
            return format!(
                "no version applied after {label} names it, so that it was changed by hand: put it back; {compare}"
            );
        }
        format!("{}; {compare}", found.join(", "))
    }
}

/// How the statements of a version speak of `name`.
fn mentioned(version: &Version, name: &str) -> Option<&'static str> {
    if !matches!(version.kind, Kind::Sql) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let text = version.text().to_ascii_lowercase();
    let statements: Vec<&str> = text.split(';').filter(|statement| has_word(statement, &name)).collect();
    let says = |word: &str| statements.iter().any(|statement| has_word(statement, word));
    match statements.is_empty() {
        true => None,
        false if says("rename") => Some("seems to rename it"),
        false if says("drop") => Some("seems to drop it"),
        false => Some("names it"),
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(inside) && !text[at + word.len()..].starts_with(inside))
}

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn words_are_whole() {
        for text in ["rename n to m", "drop \"n\"", "n", "(n)", "t.n"] {
            assert!(has_word(text, "n"), "{text}");
        }
        for text in ["no", "in", "n_1", "", "ñn"] {
            assert!(!has_word(text, "n"), "{text}");
        }
    }
}
