//! What has become of a source since a step copied it, by table. The content hash in the receipt says for certain which
//! tables of the source are as they were, whatever the application has done to the target since. The others are held
//! against the target, and what is found there is what the source has and the target does not: exactly what changed in
//! the source where the target still holds what the step brought, and otherwise at most that. Rows that a rule sends to
//! the quarantine are a table's as well, with a hash of their own.

use super::subject::{Subject, on_thread};
use super::verdict::TableVerdict;
use super::{Asked, Since, compare_subject, lost, quarantines, take_by_input, visible};
use crate::copy::bind::same_name;
use crate::copy::brought::BroughtTable;
use crate::copy::columns::{self, BoundTable};
use crate::copy::proof::Tally;
use crate::copy::renamed::{self, Followed};
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
    /// What cannot be counted: tables that the step does not name, tables and columns that the target does not have any
    /// more.
    pub problems: Vec<String>,
    /// The source has no table of the step's; nothing else is said then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub another_file: bool,
}

/// One table of the source that is not as it was.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TableChanges {
    /// Its name.
    pub table: String,
    /// The target's table and its part of the quarantine hold what the step brought: the counts are the source's
    /// changes and nothing else. Otherwise `new` and `changed` are no more than those, and `deleted` no fewer.
    pub exact: bool,
    /// Rows that the target does not have, neither in the table nor in the quarantine.
    pub new: u64,
    /// Rows that are others in the target.
    pub changed: u64,
    /// Rows that the step copied and the source does not have any more. One that turned into a misfit, or fits now, is
    /// new as well.
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
    let Followed { step, target, receipt: recorded } =
        renamed::look_up(client, asked.version, asked.step, asked.later).await?;
    let oids: Vec<u32> = target.iter().map(|table| table.oid).collect();
    let with_quarantine = step.tables.iter().any(|table| quarantines(&table.rules));
    let there = There {
        has_quarantine: visible::require(client, &target, with_quarantine).await?,
        keys: key::primary_keys(client, &oids).await?,
    };
    let since = Since { version: asked.version, later: asked.later, brought: recorded.columns() };
    let names: Vec<&str> = source.tables.iter().map(|table| table.name.as_str()).collect();
    let there_too = catalog::tables(client, &names).await?;
    let mut found = Changes::default();
    let has = |table: &StepTable| same_name(&source.tables, &table.name, |known| &known.name).is_some();
    if !step.tables.iter().any(has) {
        return Ok(Changes { another_file: true, ..found });
    }
    since.tables_left_behind(&step, &source, &there_too, &mut found.problems)?;
    for (table, was) in step.tables.iter().zip(&asked.step.tables) {
        let name = table.target_name();
        if since.loaded_again(name).is_some() {
            continue;
        }
        let from = same_name(&source.tables, &table.name, |known| &known.name).cloned();
        let to = same_name(&target, name, |known| &known.name);
        let then = same_name(receipt, was.target_name(), |known| &known.table);
        let changed;
        match (from, to) {
            (Some(from), Some(to)) => {
                let ends = Ends { from, to, table, then };
                (source, changed) =
                    table_changes(client, source, &ends, &since, &there, &mut found.problems).await?;
            }
            (Some(_), None) => {
                found.problems.push(since.table(client, name).await?);
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

/// What is known of the target.
struct There {
    has_quarantine: bool,
    /// By table: the columns of its primary key.
    keys: HashMap<u32, Vec<String>>,
}

/// A table that the source does not have any more.
fn gone(table: &StepTable, then: Option<&BroughtTable>) -> Option<TableChanges> {
    let deleted = then.map_or(0, |then| then.rows + then.quarantined_rows());
    let table = table.name.clone();
    (deleted > 0).then(|| TableChanges { table, exact: true, deleted, ..TableChanges::default() })
}

/// What a receipt says of one part of a table's rows: those in the table, or those in the quarantine.
#[derive(Clone, Copy, Default)]
struct Then<'a> {
    rows: u64,
    hash: Option<&'a str>,
}

impl<'a> Then<'a> {
    fn stored(then: &'a BroughtTable) -> Then<'a> {
        Then { rows: then.rows, hash: then.hash.as_deref() }
    }

    fn quarantined(then: &'a BroughtTable) -> Then<'a> {
        Then { rows: then.quarantined_rows(), hash: then.quarantined_hash.as_deref() }
    }

    /// These rows are, for certain, those that were brought.
    fn is(self, tally: Tally) -> bool {
        tally.rows == self.rows && (self.rows == 0 || self.hash == Some(&tally.hexadecimal()))
    }
}

/// What became of one part of a table's rows.
#[derive(Default)]
struct Part {
    /// Rows that were brought.
    then: u64,
    /// Rows that the source has now.
    now: u64,
    /// The target has what was brought.
    exact: bool,
    new: u64,
    changed: u64,
    /// Rows of the target that the source does not have.
    deleted: u64,
}

impl Part {
    fn as_it_was(rows: u64) -> Part {
        Part { then: rows, now: rows, exact: true, ..Part::default() }
    }

    fn compared(then: Then<'_>, now: u64, verdict: &TableVerdict) -> Part {
        Part {
            then: then.rows,
            now,
            exact: then.is(verdict.stored),
            new: verdict.missing.count,
            changed: verdict.changed.count,
            deleted: verdict.added.count,
        }
    }
}

async fn table_changes(
    client: &Client,
    source: Source,
    ends: &Ends<'_>,
    since: &Since<'_>,
    there: &There,
    problems: &mut Vec<String>,
) -> Result<(Source, Option<TableChanges>), Error> {
    let Ends { from, to, table, then } = ends;
    let (rules, gone) = since.columns(&source, from, to, &table.rules)?;
    problems.extend(gone);
    let bound = columns::bind(&source, from, to, &rules, problems)?;
    let in_quarantine = if quarantines(&rules) {
        let bound = columns::bind(&source, from, to, &rules, &mut Vec::new())?;
        Subject::quarantined(bound, since.version.number)
    } else {
        None
    };
    let (source, stored, not_compared) =
        stored(client, source, bound, there.keys.get(&to.oid), then.map(Then::stored).unwrap_or_default())
            .await?;
    let (source, quarantined) = match in_quarantine {
        Some(subject) => {
            let then = then.map(Then::quarantined).unwrap_or_default();
            quarantined(client, source, subject, then, there.has_quarantine).await?
        }
        None => (source, Part::as_it_was(0)),
    };
    let exact = stored.exact && quarantined.exact;
    // a row that has moved from one part to the other is still there
    let fewer = (stored.then + quarantined.then).saturating_sub(stored.now + quarantined.now);
    let changes = TableChanges {
        table: from.name.clone(),
        exact,
        new: stored.new + quarantined.new,
        changed: stored.changed + quarantined.changed,
        deleted: if exact { stored.deleted + quarantined.deleted } else { fewer },
        not_compared,
    };
    let any = changes.new + changes.changed + changes.deleted > 0 || !changes.not_compared.is_empty();
    Ok((source, any.then_some(changes)))
}

/// The rows in the table itself, and the columns that were not compared.
async fn stored(
    client: &Client,
    source: Source,
    bound: BoundTable,
    key: Option<&Vec<String>>,
    then: Then<'_>,
) -> Result<(Source, Part, Vec<String>), Error> {
    let (source, (now, subject)) = tally(source, Subject::stored(bound, key).bytewise()).await?;
    if then.is(now) {
        return Ok((source, Part::as_it_was(now.rows), Vec::new()));
    }
    let mut bound = subject.table;
    let not_compared = take_by_input(&mut bound, NOT_HERE);
    let subject = Subject::stored(bound, key);
    let (source, verdict) = compare_subject(client, source, subject, false).await?;
    Ok((source, Part::compared(then, now.rows, &verdict), not_compared))
}

/// The rows that a rule sends to the quarantine.
async fn quarantined(
    client: &Client,
    source: Source,
    subject: Subject,
    then: Then<'_>,
    has_quarantine: bool,
) -> Result<(Source, Part), Error> {
    let (source, (now, subject)) = tally(source, subject).await?;
    if then.is(now) {
        return Ok((source, Part::as_it_was(now.rows)));
    }
    let (source, verdict) = if has_quarantine {
        compare_subject(client, source, subject, false).await?
    } else {
        lost(source, subject).await?
    };
    Ok((source, Part::compared(then, now.rows, &verdict)))
}

/// The source's rows of `subject`.
async fn tally(source: Source, subject: Subject) -> Result<(Source, (Tally, Subject)), Error> {
    on_thread(source, move |source, wanted| {
        let mut now = Tally::default();
        subject.of_source(source, wanted, |row| {
            now.add(row.bytes);
            Ok(())
        })?;
        Ok((now, subject))
    })
    .await
}
