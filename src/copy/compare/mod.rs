//! A step's tables after the copy, source against target, cell by cell. In go the step and an open source; out come the
//! [`TableVerdict`]s. Nothing that stays is written on either side.
//!
//! Both sides of a [`subject`] are read as COPY-binary tuples, the source through the codecs of the copy, or, for types
//! that the server alone can read, through a temporary table ([`spelling`]), which is the only thing made. [`count`]
//! reads each once and ends the matter if the sides are equal; otherwise [`difference`] reads it again for the rows
//! that differ, and [`value`] for their content, if that was asked for. Memory is bounded by [`difference`]'s limit,
//! whatever the table. [`changes`](changes()) asks the other question: what happened to the source alone.

mod changes;
mod count;
mod difference;
mod full;
mod gone;
mod shape;
mod sketch;
mod spelling;
mod spill;
mod subject;
mod value;
mod verdict;
pub(super) mod visible;

pub use changes::{Changes, TableChanges, changes};
pub use full::{tables_with_rows, target_is_empty};
pub use verdict::{Row, Rows, TableVerdict, Unfit, Value};

use super::alike::{Alike, Ends};
use super::bind::same_name;
use super::columns::{self, BoundTable};
use super::progress::Progress;
use super::quarantine;
use super::receipt::Spelt;
use super::renamed::{self, Followed};
use crate::error::{Error, counted};
use crate::migration::Version;
use crate::migration::step::{Policy, Step, StepTable, TableRules};
use crate::postgres::{catalog, key};
use crate::sqlite::{Source, schema};
use difference::Differing;
use gone::Since;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;
use subject::{Subject, on_thread};
use tokio_postgres::Client;

/// What the comparison of a step's tables found.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// Every table that the step names.
    pub tables: Vec<TableVerdict>,
    /// Source tables with rows that the step left behind on purpose: not compared.
    pub left: Vec<String>,
    /// What is wrong outside the step's tables: source tables with rows that the step does not name.
    pub problems: Vec<String>,
}

impl Compared {
    /// Nothing differs.
    #[must_use]
    pub fn equal(&self) -> bool {
        self.problems.is_empty() && self.tables.iter().all(|table| table.equal)
    }
}

/// What is to be compared.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The step's version.
    pub version: &'a Version,
    /// The step.
    pub step: &'a Step,
    /// The versions applied after it.
    pub later: &'a [&'a Version],
    /// The step was asked for by its number: its tables are compared even if a later step loads them again.
    pub by_number: bool,
    /// The values of rows that differ are wanted.
    pub show_values: bool,
    /// Where it is shown how far the comparison is.
    pub progress: &'a Progress,
}

/// Compares every table of a step, in the transaction that `client` is in. The source is handed back, still in its
/// snapshot.
///
/// # Errors
/// [`Error::Source`] if the source cannot be read to its end, [`Error::Hidden`] if this role cannot see all rows of the
/// target, [`Error::Database`] if they cannot be read.
pub async fn compare(
    client: &Client,
    mut source: Source,
    asked: Asked<'_>,
) -> Result<(Source, Compared), Error> {
    let Followed { step, target, receipt } =
        renamed::look_up(client, asked.version, asked.step, asked.later).await?;
    let oids: Vec<u32> = target.iter().map(|table| table.oid).collect();
    let with_quarantine = step.tables.iter().any(|table| quarantines(&table.rules));
    let there = There {
        has_quarantine: visible::require(client, &target, with_quarantine).await?,
        obstacle: spelling::obstacle(client).await?,
        inherited: visible::inherited(client, &target).await?,
        keys: key::primary_keys(client, &oids).await?,
    };
    let mut problems = Vec::new();
    let since = Since { version: asked.version, later: asked.later, brought: receipt.columns() };
    let names: Vec<&str> = source.tables.iter().map(|table| table.name.as_str()).collect();
    let there_too = catalog::tables(client, &names).await?;
    let left = since.tables_left_behind(&step, &source, &there_too, &mut problems)?;
    let spelt = |table: &StepTable| {
        receipt.tables.iter().find(|known| known.table.eq_ignore_ascii_case(table.target_name()))
    };
    let alike = alike(&step, &source, &target, spelt);
    let mut tables = Vec::new();
    for table in &step.tables {
        let started = Instant::now();
        let from = same_name(&source.tables, &table.name, |known| &known.name)
            .filter(|known| known.unreadable.is_none())
            .cloned();
        let name = table.target_name();
        let to = same_name(&target, name, |known| &known.name);
        let again = since.loaded_again(name).filter(|_| !asked.by_number);
        log::info!("comparing {}", table.name);
        let mut quarantined = None;
        let mut verdict = match (&from, to) {
            _ if again.is_some() => TableVerdict::loaded_again(name, again),
            (Some(from), Some(to)) => {
                // so that an exported file is read as it was written
                let ends = Ends { from, to, rules: &table.rules, spelt: spelt(table) };
                let rules = alike.rules(ends);
                let both = Ends { rules: &rules, ..ends };
                let found;
                (source, found, quarantined) =
                    compare_both(client, source, &both, &since, &there, asked).await?;
                found
            }
            (from, to) => {
                let mut verdict = one_sided(client, &source, table, from.as_ref(), to).await?;
                if to.is_none() {
                    verdict.problems.push(since.table(client, name).await?);
                }
                verdict
            }
        };
        verdict.seconds = started.elapsed().as_secs_f64();
        let answer = if verdict.equal { "equal" } else { "differs" };
        log::info!("compared {}: {}, {answer}", verdict.table, counted(verdict.source_rows, "row"));
        tables.push(verdict);
        tables.extend(quarantined);
    }
    Ok((source, Compared { tables, left, problems }))
}

/// What is known of the target.
struct There {
    has_quarantine: bool,
    /// Why no temporary table can be made.
    obstacle: Option<&'static str>,
    /// By table: rows in tables that inherit from it.
    inherited: HashMap<u32, BTreeMap<String, u64>>,
    /// By table: the columns of its primary key.
    keys: HashMap<u32, Vec<String>>,
}

/// What the rules of `step` say of columns that have none.
fn alike<'a>(
    step: &Step,
    source: &Source,
    target: &[catalog::Table],
    spelt: impl Fn(&StepTable) -> Option<&'a Spelt>,
) -> Alike {
    let ends = step.tables.iter().filter_map(|table| {
        let from = same_name(&source.tables, &table.name, |known| &known.name)?;
        let to = same_name(target, table.target_name(), |known| &known.name)?;
        Some(Ends { from, to, rules: &table.rules, spelt: spelt(table) })
    });
    Alike::of(ends)
}

fn quarantines(rules: &TableRules) -> bool {
    let of_columns = rules.column.values().map(|rule| rule.misfit);
    of_columns.chain([rules.misfit]).any(|policy| policy == Some(Policy::Quarantine))
}

/// The rows in the table, and those in the quarantine, if there are any on either side.
async fn compare_both(
    client: &Client,
    mut source: Source,
    both: &Ends<'_>,
    since: &Since<'_>,
    there: &There,
    Asked { show_values, progress, .. }: Asked<'_>,
) -> Result<(Source, TableVerdict, Option<TableVerdict>), Error> {
    let (rules, mut problems) = since.columns(&source, both.from, both.to, both.rules)?;
    let mut bound = columns::bind(&source, both.from, both.to, &rules, &mut problems)?;
    let mut not_compared = Vec::new();
    if let Some(obstacle) = there.obstacle {
        not_compared = take_by_input(&mut bound, obstacle);
    }
    not_compared.extend(bound.computed.iter().map(|name| format!("{name} (computed in the target)")));
    let subject = Subject::stored(bound, there.keys.get(&both.to.oid)).shown(progress);
    let found;
    (source, found) = compare_subject(client, source, subject, show_values).await?;
    let inherited = there.inherited.get(&both.to.oid).cloned().unwrap_or_default();
    let verdict = TableVerdict { problems, not_compared, inherited, ..found }.close();
    if !quarantines(&rules) {
        return Ok((source, verdict, None));
    }
    let bound = columns::bind(&source, both.from, both.to, &rules, &mut Vec::new())?;
    let Some(subject) = Subject::quarantined(bound, since.version.number) else {
        return Ok((source, verdict, None));
    };
    let found;
    (source, found) = if there.has_quarantine {
        compare_subject(client, source, subject.shown(progress), show_values).await?
    } else {
        lost(source, subject).await?
    };
    let any = found.source_rows + found.target_rows > 0;
    let found = TableVerdict { quarantined_from: Some(verdict.table.clone()), ..found }.close();
    Ok((source, verdict, any.then_some(found)))
}

/// The rows of one table that differ, for people: by kind, how many, and where the first of them are.
///
/// # Errors
/// Those of [`compare`].
pub(super) async fn differing_rows(
    client: &Client,
    source: Source,
    bound: BoundTable,
) -> Result<(Source, Vec<String>), Error> {
    // the proof that failed knows nothing of numbers that are the same in another form
    let subject = alone(client, bound).await?.bytewise();
    let (source, verdict) = compare_subject(client, source, subject, false).await?;
    let kinds = [
        ("not stored", &verdict.missing),
        ("stored and not sent", &verdict.added),
        ("changed", &verdict.changed),
    ];
    let kinds = kinds.iter().filter(|(_, rows)| rows.count > 0);
    Ok((source, kinds.map(|(kind, rows)| format!("{kind}: {}", rows.named())).collect()))
}

/// How the rows of one table differ, whatever step brought it.
///
/// # Errors
/// Those of [`compare`].
pub(super) async fn differing(
    client: &Client,
    source: Source,
    bound: BoundTable,
) -> Result<(Source, TableVerdict), Error> {
    let subject = alone(client, bound).await?;
    compare_subject(client, source, subject, false).await
}

/// A table outside the comparison of its step.
async fn alone(client: &Client, mut bound: BoundTable) -> Result<Subject, Error> {
    let oid = bound.target.oid;
    let keys = key::primary_keys(client, &[oid]).await?;
    if let Some(obstacle) = spelling::obstacle(client).await? {
        take_by_input(&mut bound, obstacle);
    }
    Ok(Subject::stored(bound, keys.get(&oid)))
}

/// Takes the columns away that the server must read, which the `obstacle` forbids: name and type of each.
fn take_by_input(table: &mut BoundTable, obstacle: &str) -> Vec<String> {
    let taken = table.columns.extract_if(.., |column| column.codec.by_input);
    taken.map(|column| format!("{} ({}: {obstacle})", column.target.name, column.target.type_name)).collect()
}

async fn compare_subject(
    client: &Client,
    source: Source,
    subject: Subject,
    show_values: bool,
) -> Result<(Source, TableVerdict), Error> {
    let (source, subject) = spelling::spell(client, source, subject).await?;
    let subject = Arc::new(subject);
    subject.begin(&source);
    let (source, counted) = count::count(client, source, &subject).await?;
    let verdict = TableVerdict {
        table: subject.name.clone(),
        in_source: true,
        in_target: true,
        source_rows: counted.source_rows,
        target_rows: counted.stored.rows,
        stored: counted.stored,
        misfits: counted.misfits,
        keyless: subject.shape.key.is_empty(),
        ..TableVerdict::default()
    };
    if counted.equal {
        return Ok((source, TableVerdict { equal: true, ..verdict }));
    }
    let differing =
        Arc::new(Differing { subject, buckets: counted.differing, target_rows: counted.stored.rows });
    differing.subject.begin(&source);
    let (source, verdict) = difference::find(client, source, &differing, verdict).await?;
    if show_values { value::show(client, source, &differing, verdict).await } else { Ok((source, verdict)) }
}

/// The rows that should be in a quarantine that is not there.
async fn lost(source: Source, subject: Subject) -> Result<(Source, TableVerdict), Error> {
    let (source, rows) = on_thread(source, move |source, wanted| {
        let mut rows = 0;
        subject.of_source(source, wanted, |_| {
            rows += 1;
            Ok(())
        })?;
        Ok(rows)
    })
    .await?;
    let mut verdict = TableVerdict {
        table: quarantine::TABLE.to_owned(),
        in_source: true,
        source_rows: rows,
        equal: rows == 0,
        ..TableVerdict::default()
    };
    verdict.missing.count = rows;
    if rows > 0 {
        verdict.problems.push(format!(
            "{}: the target has no such table in its search_path any more: the rows that the step put there are lost, \
             unless it was renamed or moved; put it back",
            quarantine::TABLE
        ));
    }
    Ok((source, verdict))
}

/// A table that one side does not have, or neither. An optional one that the source never had is equal while the
/// target's is empty.
async fn one_sided(
    client: &Client,
    source: &Source,
    table: &StepTable,
    from: Option<&schema::Table>,
    to: Option<&catalog::Table>,
) -> Result<TableVerdict, Error> {
    let mut verdict = TableVerdict {
        table: to.map_or(&table.name, |to| &to.name).clone(),
        in_source: from.is_some(),
        in_target: to.is_some(),
        keyless: true,
        ..TableVerdict::default()
    };
    if let Some(from) = from {
        source.scan(from, &[], |_| {
            verdict.source_rows += 1;
            Ok(())
        })?;
    }
    if let Some(to) = to {
        let query = format!("SELECT count(*) FROM {}", to.quoted());
        let row = client.query_one(&query, &[]).await;
        let count: i64 = row.map_err(Error::database(format!("counting table {}", to.name)))?.get(0);
        verdict.target_rows = u64::try_from(count).unwrap_or_default();
    }
    verdict.missing.count = verdict.source_rows;
    verdict.added.count = verdict.target_rows;
    verdict.equal = from.is_none() && table.optional && verdict.target_rows == 0;
    Ok(verdict.close())
}
