//! What has become of a source since a step copied it, by table. The content hash in the receipt says for certain which
//! tables of the source are as they were, whatever the application has done to the target since. The others are held
//! against the target, and what is found there is what the source has and the target does not: exactly what changed in the source
//! where the target still holds what the step brought, and otherwise at most that.

use super::subject::{Subject, on_thread};
use super::{Asked, Since, compare_subject, take_by_input, visible};
use crate::copy::bind::same_name;
use crate::copy::brought::BroughtTable;
use crate::copy::columns;
use crate::copy::proof::Tally;
use crate::copy::receipt::columns_brought;
use crate::error::Error;
use crate::migration::step::StepTable;
use crate::postgres::{catalog, key};
use crate::sqlite::{Source, schema};
use serde::Serialize;
use std::collections::HashMap;
use tokio_postgres::Client;

/// What is said of columns that are not compared here.
const NOT_HERE: &str = "compared by outgrow verify";

/// How the tables of a step differ in the source from what it copied.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Changes {
    /// The tables that do, or may.
    pub tables: Vec<TableChanges>,
    /// What cannot be counted: tables that the step does not name, tables and columns that the target does not have any more.
    pub problems: Vec<String>,
}

/// One table of the source that is not as it was.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TableChanges {
    /// Its name.
    pub table: String,
    /// The target's table holds what the step brought: the counts are the source's changes and nothing else. Otherwise
    /// `new` and `changed` are no more than those, and `deleted` no fewer.
    pub exact: bool,
    /// Rows that the target does not have.
    pub new: u64,
    /// Rows that are others in the target.
    pub changed: u64,
    /// Rows that the step copied and the source does not have any more.
    pub deleted: u64,
    /// Columns that were not compared, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
}

/// Looks for what has changed in the source since the step, in the transaction that `client` is in. Nothing is written.
///
/// # Errors
/// [`Error::Source`] if the source cannot be read to its end, [`Error::Hidden`] if this role cannot see all rows of the
/// target, [`Error::Database`] if they cannot be read.
pub async fn changes(
    client: &Client,
    mut source: Source,
    asked: Asked<'_>,
    receipt: &[BroughtTable],
) -> Result<Changes, Error> {
    let target = crate::copy::target(client, asked.step).await?;
    let oids: Vec<u32> = target.iter().map(|table| table.oid).collect();
    visible::require(client, &target, false).await?;
    let keys = key::primary_keys(client, &oids).await?;
    let brought = columns_brought(client, asked.version.number).await?;
    let since = Since { version: asked.version, later: asked.later, brought };
    let names: Vec<&str> = source.tables.iter().map(|table| table.name.as_str()).collect();
    let there_too = catalog::tables(client, &names).await?;
    let mut found = Changes::default();
    since.left_behind(asked.step, &source, &there_too, &mut found.problems)?;
    for table in &asked.step.tables {
        let name = table.rules.target.as_ref().unwrap_or(&table.name);
        if since.loaded_again(name).is_some() {
            continue;
        }
        let from = same_name(&source.tables, &table.name, |known| &known.name).cloned();
        let to = same_name(&target, name, |known| &known.name);
        let then = same_name(receipt, to.map_or(name, |to| &to.name), |known| &known.table);
        let changed;
        match (from, to) {
            (Some(from), Some(to)) => {
                let ends = Ends { from, to, table, then };
                (source, changed) =
                    table_changes(client, source, &ends, &since, &keys, &mut found.problems).await?;
            }
            (Some(_), None) => {
                found.problems.push(since.table(name));
                continue;
            }
            (None, _) => changed = gone(table, then),
        }
        found.tables.extend(changed);
    }
    Ok(found)
}

/// A table of the step, and what its receipt says of it.
struct Ends<'a> {
    from: schema::Table,
    to: &'a catalog::Table,
    table: &'a StepTable,
    then: Option<&'a BroughtTable>,
}

/// A table that the source does not have any more.
fn gone(table: &StepTable, then: Option<&BroughtTable>) -> Option<TableChanges> {
    let deleted = then.map_or(0, |then| then.rows);
    let table = table.name.clone();
    (deleted > 0).then(|| TableChanges { table, exact: true, deleted, ..TableChanges::default() })
}

async fn table_changes(
    client: &Client,
    source: Source,
    ends: &Ends<'_>,
    since: &Since<'_>,
    keys: &HashMap<u32, Vec<String>>,
    problems: &mut Vec<String>,
) -> Result<(Source, Option<TableChanges>), Error> {
    let Ends { from, to, table, then } = ends;
    let (rules, gone) = since.columns(&source, from, to, &table.rules)?;
    problems.extend(gone);
    let bound = columns::bind(&source, from, to, &rules, problems)?;
    let subject = Subject::stored(bound, keys.get(&to.oid));
    let (source, (now, subject)) = on_thread(source, move |source, wanted| {
        let mut now = Tally::default();
        subject.of_source(source, wanted, |row| {
            now.add(row.bytes);
            Ok(())
        })?;
        Ok((now, subject))
    })
    .await?;
    let is_what_was_brought = |tally: Tally| {
        then.is_some_and(|then| tally.rows == then.rows && then.hash.as_ref() == Some(&tally.hexadecimal()))
    };
    if is_what_was_brought(now) || (now.rows == 0 && then.is_none_or(|then| then.rows == 0)) {
        return Ok((source, None));
    }
    let mut bound = subject.table;
    let not_compared = take_by_input(&mut bound, NOT_HERE);
    let subject = Subject::stored(bound, keys.get(&to.oid));
    let (source, verdict) = compare_subject(client, source, subject, false).await?;
    let exact = is_what_was_brought(verdict.stored);
    let fewer = then.map_or(0, |then| then.rows.saturating_sub(now.rows));
    let changes = TableChanges {
        table: from.name.clone(),
        exact,
        new: verdict.missing.count,
        changed: verdict.changed.count,
        deleted: if exact { verdict.added.count } else { fewer },
        not_compared,
    };
    let any = changes.new + changes.changed + changes.deleted > 0 || !changes.not_compared.is_empty();
    Ok((source, any.then_some(changes)))
}
