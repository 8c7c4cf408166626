//! What only PostgreSQL can see (unique keys as it compares them, foreign keys, CHECKs, partitions), looked up for the
//! whole step after a load has failed: everything is loaded once more into tables without rules ([`super::shadow`]),
//! and each rule of the target is asked for all rows that break it. The report names them by their rowids in the
//! source.

use super::columns::BoundTable;
use super::fits::{self, Unread};
use super::load::{self, Failure, Loaded, Reading};
use super::places;
use super::reader::{AfterMisfit, Count};
use super::refused::{self, Refusal};
use super::shadow::Shadows;
use super::{breaking, quarantine, raising, report};
use crate::error::{Error, Misfits, is_circumstance};
use crate::postgres::rule::{self, Broken, Parent, Rule};
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Client;

/// What a rule found: how many rows, and the first groups of rows that break it together, by their numbers.
#[derive(PartialEq, Eq)]
pub(super) struct Found {
    /// Position of the rule among those read.
    pub rule: usize,
    /// SQLSTATE; of a rule that is broken, that of its kind.
    pub code: String,
    /// What is wrong with the rows.
    pub what: String,
    pub rows: i64,
    pub groups: Vec<Vec<u64>>,
}

/// Turns the first failure of a load into all there are. The transaction is left to be rolled back.
pub(super) async fn explain(client: &Client, reading: Reading, failure: Failure) -> Error {
    let file = reading.source.file.clone();
    let first = match &failure {
        Failure::Other(_) => return failure.into_error(&file),
        Failure::Values(_) => None,
        Failure::Refused(refusal) => Some(placed(refusal.clone(), &reading.source, &reading.tables)),
    };
    let why = if first.is_some() { "the target refuses rows" } else { "there are values that do not fit" };
    log::info!(target: crate::PROGRESS,
        "{why}: everything is loaded once more, into temporary tables, to name all that the target refuses");
    let failure = first.clone().map_or(failure, Failure::Refused);
    match look_up(client, reading, first).await {
        Ok((misfits, lines)) if misfits.is_empty() && lines.is_empty() => failure.into_error(&file),
        Ok((misfits, constraints)) => Error::Unfit { file, misfits, constraints },
        // a row that goes nowhere, beside which nothing more can be looked up
        Err(error @ Error::Unfit { .. }) => {
            log::warn!("this may not be all: what comes after the last row named here was not looked up");
            error
        }
        Err(error) => {
            log::warn!("this may not be all, what else the target refuses could not be looked up: {error}");
            failure.into_error(&file)
        }
    }
}

/// `refusal` with the row's place in the source, if it is known; a source that cannot be read says so elsewhere.
fn placed(mut refusal: Refusal, source: &Source, tables: &[BoundTable]) -> Refusal {
    let table = tables.iter().find(|table| table.target.name == refusal.table);
    if let (Some(table), Some(row)) = (table, refusal.row)
        && let Ok(places) = places::find(source, table, &BTreeSet::from([row]))
        && let Some(place) = places.get(&row)
    {
        let rowid = if matches!(place, Place::Rowid(_)) { "rowid " } else { "" };
        refusal.line = format!("{}, {rowid}{place}", refusal.line);
    }
    refusal
}

/// The source in shadows, and what did not go in.
struct Filled {
    source: Source,
    tables: Vec<BoundTable>,
    shadows: Shadows,
    misfits: Vec<Misfits>,
    unread: Vec<Unread>,
    /// Rows that rules sent to the quarantine, by the target's table.
    quarantined: HashMap<u32, u64>,
}

/// Loads everything into shadows: first with the columns that the server computes, and then, if a row is refused all
/// the same, without them and value by value.
async fn fill(client: &Client, mut reading: Reading) -> Result<Filled, Error> {
    let (version, options) = (reading.version, reading.options.clone());
    let mut as_bytes = false;
    loop {
        let back = client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_load").await;
        back.map_err(Error::database("going back to before the load"))?;
        let shadows = Shadows::create(client, &reading.tables, as_bytes).await?;
        reading.after_misfit = AfterMisfit::SendOn { as_bytes };
        let loaded = load::load(client, reading, |index, _| Shadows::destination(index)).await?;
        let Loaded { source, tables, counts, refused, unread, .. } = loaded;
        let quarantined = quarantined(&tables, counts.as_deref().unwrap_or_default());
        let (misfits, failure) = match counts {
            Ok(_) => (Vec::new(), None),
            Err(Failure::Values(misfits)) => (misfits, refused),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        match failure {
            None => return Ok(Filled { source, tables, shadows, misfits, unread, quarantined }),
            Some(Failure::Refused(_)) if !as_bytes => as_bytes = true,
            Some(Failure::Refused(refusal)) => {
                let constraints = vec![placed(refusal, &source, &tables).line];
                return Err(Error::Unfit { file: source.file, misfits, constraints });
            }
            Some(failure) => return Err(failure.into_error(&source.file)),
        }
        let options = options.clone();
        reading =
            Reading { source, tables, version, options, after_misfit: AfterMisfit::ReadOn, originals: None };
    }
}

/// Values that do not fit, and a line for each reason for which rows are refused.
async fn look_up(
    client: &Client,
    reading: Reading,
    first: Option<Refusal>,
) -> Result<(Vec<Misfits>, Vec<String>), Error> {
    let show_values = reading.options.show_values;
    let Filled { source, tables, shadows, mut misfits, unread, quarantined } = fill(client, reading).await?;
    shadows.analyze(client).await?;
    let oids: Vec<u32> = tables.iter().map(|table| table.target.oid).collect();
    let mut found = Vec::new();
    let rules = rule::read(client, &oids).await?;
    let mut doubtful = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let broken = broken(client, &shadows, rule, at).await?;
        match rule.calls {
            None => found.extend(broken),
            Some(_) => doubtful.push((at, broken)),
        }
    }
    let is_known = |found: &[Found], code: &str, table: u32, name: Option<&str>| {
        let of_table = || rules.iter().filter(|rule| rule.table == table);
        // an index of a partition has a name of its own
        let named = name.filter(|name| of_table().any(|rule| rule.is_named(name)));
        let same = |found: &Found| {
            let rule = &rules[found.rule];
            found.code == code && rule.table == table && named.is_none_or(|name| rule.is_named(name))
        };
        // the reader knows what is NULL, and every foreign key is a rule
        ["23502", "23503"].contains(&code) || found.iter().any(same)
    };
    let known = |code: &str, table: u32, name: Option<&str>| is_known(&found, code, table, name);
    let mut refused = refused::look_up(client, &shadows, &tables, !doubtful.is_empty(), known).await?;
    // what breaks a rule with the tables filled as it does with them empty, breaks it whatever its functions read
    for (at, empty) in doubtful {
        if broken(client, &shadows, &rules[at], at).await? == empty {
            found.extend(empty);
        }
    }
    refused.retain(|row| !is_known(&found, &row.code, row.table, row.constraint.as_deref()));
    explain_orphans(&mut found, &rules, &quarantined);
    // the first failure is among what was found, by its rule, by its value or by its row
    let is_found = |code: &str| {
        found.iter().any(|found| found.code == code)
            || refused.iter().any(|refused| refused.code == code)
            || !unread.is_empty() && !code.starts_with("23")
    };
    let first = first.filter(|first| !is_found(&first.code));
    let named = tokio::task::spawn_blocking(move || {
        let unread = fits::report(&source, &tables, unread, show_values)?;
        Ok::<_, Error>((unread, report::lines(&source, &tables, &rules, &found, &refused, show_values)?))
    });
    let (unread, mut lines) = named.await.map_err(std::io::Error::other)??;
    misfits.extend(unread);
    lines.extend(first.map(|first| first.line));
    Ok((misfits, lines))
}

/// How many rows of each table are in the quarantine.
fn quarantined(tables: &[BoundTable], counts: &[Count]) -> HashMap<u32, u64> {
    let rows = |count: &Count| count.quarantined.values().sum();
    tables.iter().zip(counts).map(|(table, count)| (table.target.oid, rows(count))).collect()
}

/// The parent of a row may be in the source, and not come with it.
fn explain_orphans(found: &mut [Found], rules: &[Rule], quarantined: &HashMap<u32, u64>) {
    for found in found {
        if let Broken::Orphan { parent: Parent::Among { table, .. }, .. } = &rules[found.rule].broken
            && let Some(rows) = quarantined.get(table).filter(|rows| **rows > 0)
        {
            let rows = if *rows == 1 { "a row".to_owned() } else { format!("{rows} rows") };
            found.what = format!("{}, of which rules send {rows} to {},", found.what, quarantine::TABLE);
        }
    }
}

/// The rows that break `rule`, the one at `at`, or for which it cannot be computed. A rule that cannot be asked this
/// way (its expression takes the table's row type, say) finds none.
async fn broken(client: &Client, shadows: &Shadows, rule: &Rule, at: usize) -> Result<Vec<Found>, Error> {
    let doing = || Error::database(format!("looking up the rows that break {}", rule.name));
    let Some(query) = breaking::query(shadows, rule) else { return Ok(Vec::new()) };
    let as_rule = |rows, groups| Found {
        rule: at,
        code: rule.sqlstate.to_owned(),
        what: rule.what.clone(),
        rows,
        groups,
    };
    client.batch_execute("SAVEPOINT outgrow_rule").await.map_err(doing())?;
    let error = match client.query(&query, &[]).await {
        Ok(rows) => {
            let group = |numbers: Vec<i64>| numbers.into_iter().map(i64::unsigned_abs).collect();
            let groups = rows.iter().map(|row| group(row.get(1))).collect();
            return Ok(rows.first().map(|row| as_rule(row.get(0), groups)).into_iter().collect());
        }
        Err(error) => error,
    };
    match error.code() {
        Some(code) if is_circumstance(code) => return Err(doing()(error)),
        None => return Err(doing()(error)),
        Some(code) => log::debug!("{}: SQLSTATE {}", rule.name, code.code()),
    }
    client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_rule").await.map_err(doing())?;
    if !error.code().is_some_and(refused::is_of_rows) {
        return Ok(Vec::new());
    }
    let asked = raising::rows(client, shadows, rule).await?.into_iter().map(|asked| {
        let groups = asked.first.into_iter().map(|number| vec![number]).collect();
        match asked.code {
            None => as_rule(asked.rows, groups),
            Some(code) => {
                let what = refused::in_words(&code, None);
                Found { rule: at, what, code, rows: asked.rows, groups }
            }
        }
    });
    Ok(asked.collect())
}
