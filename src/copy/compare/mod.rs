//! A step's tables after the copy, source against target, cell by cell. In go the step and an open source; out come the
//! [`TableVerdict`]s. Nothing is written on either side.
//!
//! Both sides are read as COPY-binary tuples, the source through the codecs of the copy. [`count`] reads each table once
//! and ends the matter if the sides are equal; otherwise [`difference`] reads it again for the rows that differ, and
//! [`value`] for their content, if that was asked for. Memory is bounded by [`difference`]'s limit, whatever the table.

mod count;
mod difference;
mod shape;
mod sides;
mod value;
mod verdict;

pub use verdict::{Row, Rows, TableVerdict, Unfit, Value};

use super::bind::{self, same_name};
use super::columns::{self, BoundTable};
use crate::error::Error;
use crate::migration::step::{Step, StepTable};
use crate::postgres::{catalog, key};
use crate::sqlite::{Source, schema};
use difference::Differing;
use serde::Serialize;
use shape::Shape;
use std::sync::Arc;
use std::time::Instant;
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

/// Compares every table of `step`, in the transaction that `client` is in. The source is handed back, still in its
/// snapshot.
///
/// # Errors
/// [`Error::Source`] if the source cannot be read to its end, [`Error::Database`] if the target cannot.
pub async fn compare(
    client: &Client,
    step: &Step,
    mut source: Source,
    show_values: bool,
) -> Result<(Source, Compared), Error> {
    let target = super::target(client, step).await?;
    let oids: Vec<u32> = target.iter().map(|table| table.oid).collect();
    let keys = key::primary_keys(client, &oids).await?;
    let mut problems = Vec::new();
    let left = bind::left_behind(step, &source, &mut problems)?;
    let mut tables = Vec::new();
    for table in &step.tables {
        let started = Instant::now();
        let from = same_name(&source.tables, &table.name, |known| &known.name)
            .filter(|known| known.unreadable.is_none());
        let name = table.rules.target.as_ref().unwrap_or(&table.name);
        let to = same_name(&target, name, |known| &known.name);
        log::info!("comparing {}", table.name);
        let mut verdict = match (from, to) {
            (Some(from), Some(to)) => {
                let mut faults = Vec::new();
                let mut bound = columns::bind(&source, from, to, &table.rules, &mut faults)?;
                let not_compared = take_by_input(&mut bound);
                let shape = Shape::of(&bound, keys.get(&to.oid));
                let found;
                (source, found) = compare_table(client, source, bound, shape, show_values).await?;
                TableVerdict { problems: faults, not_compared, ..found }.close()
            }
            (from, to) => one_sided(client, &source, table, from, to).await?,
        };
        verdict.seconds = started.elapsed().as_secs_f64();
        let answer = if verdict.equal { "equal" } else { "differs" };
        log::info!("compared {}: {} rows, {answer}", verdict.table, verdict.source_rows);
        tables.push(verdict);
    }
    Ok((source, Compared { tables, left, problems }))
}

/// The rows of one table that differ, for people: by kind, how many, and where the first of them are.
///
/// # Errors
/// Those of [`compare`].
pub(super) async fn differing_rows(
    client: &Client,
    source: Source,
    mut bound: BoundTable,
) -> Result<(Source, Vec<String>), Error> {
    let oid = bound.target.oid;
    let keys = key::primary_keys(client, &[oid]).await?;
    take_by_input(&mut bound);
    let shape = Shape::of(&bound, keys.get(&oid));
    let (source, verdict) = compare_table(client, source, bound, shape, false).await?;
    let kinds = [
        ("not stored", &verdict.missing),
        ("stored and not sent", &verdict.added),
        ("changed", &verdict.changed),
    ];
    let kinds = kinds.iter().filter(|(_, rows)| rows.count > 0);
    Ok((source, kinds.map(|(kind, rows)| format!("{kind}: {}", rows.named())).collect()))
}

/// Takes the columns away whose values the server spells in its own way: name and type of each.
fn take_by_input(table: &mut BoundTable) -> Vec<String> {
    let taken = table.columns.extract_if(.., |column| column.codec.by_input);
    taken.map(|column| format!("{} ({})", column.target.name, column.target.type_name)).collect()
}

async fn compare_table(
    client: &Client,
    source: Source,
    bound: BoundTable,
    shape: Shape,
    show_values: bool,
) -> Result<(Source, TableVerdict), Error> {
    let table = Arc::new(bound);
    let (source, counted) = count::count(client, source, &table, &shape).await?;
    let verdict = TableVerdict {
        table: table.target.name.clone(),
        in_source: true,
        in_target: true,
        source_rows: counted.source_rows,
        target_rows: counted.target_rows,
        misfits: counted.misfits,
        keyless: shape.key.is_empty(),
        ..TableVerdict::default()
    };
    if !counted.differing.contains(&true) {
        return Ok((source, TableVerdict { equal: true, ..verdict }));
    }
    let differing = Arc::new(Differing { table, shape, buckets: counted.differing });
    let (source, verdict) = difference::find(client, source, &differing, verdict).await?;
    if show_values { value::show(client, source, &differing, verdict).await } else { Ok((source, verdict)) }
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
