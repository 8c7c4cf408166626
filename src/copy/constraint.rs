//! What only PostgreSQL can see (unique keys as it compares them, foreign keys, CHECKs, partitions), looked up for the whole
//! step after a load has failed: everything is loaded once more into tables without rules ([`super::shadow`]), and each
//! rule of the target is asked for all rows that break it. The report names them by their rowids in the source.

use super::columns::BoundTable;
use super::fits;
use super::load::{self, Failure, Reading};
use super::misfits::NAMED_ROWS;
use super::reader::{self, AfterMisfit};
use super::shadow::Shadows;
use crate::error::{Error, Misfits, is_circumstance, server_message};
use crate::postgres::rule::{self, Broken, Parent, Rule};
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Client;

/// What a rule found: how many rows, and the first groups of rows that break it together, by their numbers.
struct Found {
    rule: Rule,
    rows: i64,
    groups: Vec<Vec<u64>>,
}

/// Turns the first failure of a load into all there are. The transaction is left to be rolled back.
pub(super) async fn explain(client: &Client, reading: Reading, failure: Failure) -> Error {
    let file = reading.source.file.clone();
    let first = match &failure {
        Failure::Other(_) => return failure.into_error(&file),
        Failure::Values(_) => None,
        Failure::Constraint { code, line } => Some((code.clone(), line.clone())),
    };
    log::info!("looking up every row that a constraint of the target refuses");
    match look_up(client, reading, first).await {
        Ok(Some((misfits, constraints))) => Error::Unfit { file, misfits, constraints },
        Ok(None) => failure.into_error(&file),
        Err(error) => {
            log::warn!(
                "this may not be all, what else the constraints refuse could not be looked up: {error}"
            );
            failure.into_error(&file)
        }
    }
}

/// Values that do not fit, and a line for each rule that rows break; nothing if there are no rules.
async fn look_up(
    client: &Client,
    reading: Reading,
    first: Option<(String, String)>,
) -> Result<Option<(Vec<Misfits>, Vec<String>)>, Error> {
    let doing = || Error::database("going back to before the load");
    client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_load").await.map_err(doing())?;
    let oids: Vec<u32> = reading.tables.iter().map(|table| table.target.oid).collect();
    let rules = rule::read(client, &oids).await?;
    let staged = reading.tables.iter().flat_map(|table| &table.columns).any(|column| column.codec.by_input);
    if rules.is_empty() && !staged {
        return Ok(None);
    }
    let show_values = reading.options.show_values;
    let shadows = Shadows::create(client, &reading.tables).await?;
    let reading = Reading { after_misfit: AfterMisfit::SendOn, ..reading };
    let loaded = load::load(client, reading, |index, _| Shadows::destination(index)).await?;
    let mut misfits = match loaded.counts {
        Ok(_) => Vec::new(),
        Err(Failure::Values(misfits)) => misfits,
        Err(Failure::Other(error)) => return Err(error),
        Err(Failure::Constraint { line, .. }) => return Err(Error::Target(vec![line])),
    };
    shadows.analyze(client).await?;
    let mut found = Vec::new();
    for rule in rules {
        found.extend(broken(client, &shadows, rule).await?);
    }
    let (source, tables, unread) = (loaded.source, loaded.tables, loaded.unread);
    // the first failure is among what was found, by its rule or by its value
    let is_found = |code: &String| {
        let by_rule = found.iter().any(|found| found.rule.sqlstate == code.as_str());
        by_rule || !unread.is_empty() && !code.starts_with("23")
    };
    let first = first.filter(|(code, _)| !is_found(code));
    let named = tokio::task::spawn_blocking(move || {
        let unread = fits::report(&source, &tables, &unread, show_values)?;
        Ok::<_, Error>((unread, report(&source, &tables, &found)?))
    });
    let (unread, mut lines) = named.await.map_err(std::io::Error::other)??;
    misfits.extend(unread);
    lines.extend(first.map(|(_, line)| line));
    Ok(Some((misfits, lines)))
}

/// The rows that break `rule`, if any. A rule that cannot be asked this way (its expression takes the table's row type,
/// say) is none.
async fn broken(client: &Client, shadows: &Shadows, rule: Rule) -> Result<Option<Found>, Error> {
    let doing = || Error::database(format!("looking up the rows that break {}", rule.name));
    let Some(query) = query(shadows, &rule) else { return Ok(None) };
    client.batch_execute("SAVEPOINT outgrow_rule").await.map_err(doing())?;
    let rows = match client.query(&query, &[]).await {
        Ok(rows) => rows,
        Err(error) if error.code().is_some_and(|code| !is_circumstance(code)) => {
            log::debug!("{}: {}", rule.name, server_message(&error));
            client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_rule").await.map_err(doing())?;
            return Ok(None);
        }
        Err(error) => return Err(doing()(error)),
    };
    let Some(row) = rows.first() else { return Ok(None) };
    let group = |numbers: Vec<i64>| numbers.into_iter().map(i64::unsigned_abs).collect();
    let found = Found { rows: row.get(0), groups: rows.iter().map(|row| group(row.get(1))).collect(), rule };
    Ok(Some(found))
}

/// A query for the number of rows that break `rule` and for the first groups of them: one more than will be named.
fn query(shadows: &Shadows, rule: &Rule) -> Option<String> {
    let (from, number) = (shadows.from(rule.table)?, &shadows.number);
    let limit = NAMED_ROWS + 1;
    let filter = |filter: &Option<String>| filter.clone().unwrap_or_else(|| "true".to_owned());
    let own = filter(&rule.filter);
    let keyed = |keys: &[String], predicate: &Option<String>| {
        let keys = keys.iter().enumerate().map(|(n, key)| format!(", {key} AS k{n}"));
        let predicate = filter(predicate);
        format!(
            "SELECT {number} AS n{} FROM {from} WHERE ({predicate}) AND ({own})",
            keys.collect::<String>()
        )
    };
    let each = |keys: &[String], text: &dyn Fn(usize) -> String, between: &str| {
        (0..keys.len()).map(text).collect::<Vec<_>>().join(between)
    };
    let single = match &rule.broken {
        Broken::Same { keys, predicate, nulls_equal } => {
            let known = |n| if *nulls_equal { "true".to_owned() } else { format!("k{n} IS NOT NULL") };
            return Some(format!(
                "SELECT (sum(rows) OVER ())::bigint, first FROM (\
                   SELECT count(*) AS rows, (array_agg(n ORDER BY n))[1:{limit}] AS first \
                   FROM ({}) AS keyed WHERE {} GROUP BY {} HAVING count(*) > 1) AS same \
                 ORDER BY first LIMIT {limit}",
                keyed(keys, predicate),
                each(keys, &known, " AND "),
                each(keys, &|n| format!("k{n}"), ", ")
            ));
        }
        Broken::Excluded { keys, operators, predicate } => format!(
            "WITH keyed AS ({}) SELECT a.n FROM keyed AS a \
             WHERE EXISTS (SELECT 1 FROM keyed AS b WHERE a.n <> b.n AND {})",
            keyed(keys, predicate),
            each(keys, &|n| format!("a.k{n} {} b.k{n}", operators[n]), " AND ")
        ),
        Broken::True(condition) => {
            format!("SELECT {number} AS n FROM {from} WHERE ({own}) AND ({condition})")
        }
        Broken::TrueOfValue { column, condition } => {
            format!(
                "SELECT n FROM (SELECT {number} AS n, {column} AS value FROM {from}) AS one WHERE {condition}"
            )
        }
        Broken::Orphan { parent, child, comparisons, full } => {
            let parent = match parent {
                Parent::Among { table, filter: part } => {
                    format!("(SELECT * FROM {} WHERE {})", shadows.from(*table)?, filter(part))
                }
                Parent::Elsewhere(parent) => parent.clone(),
            };
            let known = |c: &String| format!("c.{c} IS NOT NULL");
            let known: Vec<String> = child.iter().map(known).collect();
            let rows = format!("SELECT c.{number} AS n FROM (SELECT * FROM {from} WHERE {own}) AS c");
            let orphans = format!(
                "{rows} WHERE {} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {})",
                known.join(" AND "),
                comparisons.join(" AND ")
            );
            let mixed = format!("{rows} WHERE ({}) AND NOT ({})", known.join(" OR "), known.join(" AND "));
            if *full { format!("{orphans} UNION ALL {mixed}") } else { orphans }
        }
    };
    Some(format!("SELECT count(*) OVER (), ARRAY[n] FROM ({single}) AS single ORDER BY n LIMIT {limit}"))
}

/// A line for each rule that is broken, the rows by their places in the source.
fn report(source: &Source, tables: &[BoundTable], found: &[Found]) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for table in tables {
        let found: Vec<&Found> = found.iter().filter(|found| found.rule.table == table.target.oid).collect();
        let wanted: BTreeSet<u64> =
            found.iter().flat_map(|found| found.groups.iter().flatten().copied()).collect();
        if !wanted.is_empty() {
            let places = reader::places(source, table, &wanted)?;
            lines.extend(found.iter().map(|found| line(table, found, &places)));
        }
    }
    Ok(lines)
}

fn line(table: &BoundTable, found: &Found, places: &BTreeMap<u64, Place>) -> String {
    let name = &table.source.name;
    let columns: Vec<&str> = found.rule.columns.iter().map(|column| source_name(table, column)).collect();
    let subject = match columns.as_slice() {
        [] => name.clone(),
        [column] => format!("{name}.{column}"),
        several => format!("{name}.({})", several.join(", ")),
    };
    let groups = found.groups.iter().take(NAMED_ROWS).map(|group| {
        let rows =
            group.iter().take(NAMED_ROWS).filter_map(|number| places.get(number)).map(Place::to_string);
        let more = if group.len() > NAMED_ROWS { " = …" } else { "" };
        format!("{}{more}", rows.collect::<Vec<_>>().join(" = "))
    });
    let groups = groups.collect::<Vec<_>>().join(", ");
    let more = if found.groups.len() > NAMED_ROWS { ", …" } else { "" };
    let rows = if found.rows == 1 { "row" } else { "rows" };
    let rowid = if places.values().any(|place| matches!(place, Place::Rowid(_))) { "rowid " } else { "" };
    format!(
        "{subject}: {} in {} {rows}, {rowid}{groups}{more}; {}",
        found.rule.what, found.rows, found.rule.name
    )
}

/// What the source calls the target's column, where it has it.
fn source_name<'a>(table: &'a BoundTable, column: &'a str) -> &'a str {
    let bound = table.columns.iter().find(|bound| bound.target.name == column);
    bound.map_or(column, |bound| bound.source.name.as_str())
}
