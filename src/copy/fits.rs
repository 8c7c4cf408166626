//! Which staged values the server cannot read, or would change: it is asked value by value, by a function that catches
//! the error. That takes a while, so it is asked only after an INSERT has failed, and where a modifier may change a
//! value.

use super::advice;
use super::columns::BoundTable;
use super::misfits::{self, NAMED_ROWS};
use super::places;
use super::refused;
use super::stage::Stage;
use crate::error::{Error, Misfits};
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use crate::value::Misfit;
use rusqlite::types::ValueRef;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Client;

/// Values of one column that do not fit, for one reason.
pub(super) struct Unread {
    /// Position of the table among the step's.
    table: usize,
    /// Position of the column among the table's.
    column: usize,
    /// Why: an SQLSTATE, or [`CHANGED`].
    code: String,
    count: u64,
    /// The first of them: number in the stage, and how the text begins.
    first: Vec<(u64, Vec<u8>)>,
}

/// What stands for an SQLSTATE where the server takes a value, and keeps another.
const CHANGED: &str = "changed";

/// The values of the staged column at `index` that the target's column cannot take; none if all fit.
pub(super) async fn unfit(client: &Client, stage: &Stage, index: usize) -> Result<Vec<Unread>, Error> {
    let column = &stage.columns[index];
    let doing = || {
        Error::database(format!(
            "asking for the values of {}.{} that do not fit",
            stage.of.name, column.of.name
        ))
    };
    let function = format!("pg_temp.outgrow_fits_{}_{index}", stage.index);
    let (base, declared, cast) = (&column.of.base, &column.of.declared, column.cast("$1"));
    // an assignment of plpgsql casts as that to a column does: what is too long is an error
    let body = if column.is_money() {
        // with the separators of whatever language: digits beyond the cents are others than those that are kept
        let digits =
            |text: &str| format!("trim('0' FROM pg_catalog.regexp_replace({text}, '[^0-9]', '', 'g'))");
        format!(
            "BEGIN IF {} = {} THEN RETURN NULL; END IF; RETURN '{CHANGED}';",
            digits(&column.text("$1")),
            digits(&format!("({cast})::pg_catalog.text"))
        )
    } else if column.of.modifier < 0 {
        format!("BEGIN PERFORM {cast}; RETURN NULL;")
    } else {
        format!(
            "DECLARE given {base} := {cast}; kept {declared}; \
             BEGIN kept := given; \
             IF given::pg_catalog.text = kept::pg_catalog.text THEN RETURN NULL; END IF; \
             IF given = kept THEN RETURN NULL; END IF; \
             RETURN '{CHANGED}';"
        )
    };
    // an error in a declaration is not the block's own to catch
    let body = format!("BEGIN {body} END; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END");
    let signature = format!("{function}({}) RETURNS pg_catalog.text", column.of_type());
    client.batch_execute(&refused::function(&signature, &body)).await.map_err(doing())?;
    let (number, name) = (&stage.number, &column.name);
    let query = format!(
        "SELECT code, count(*), (array_agg(n ORDER BY n))[1:{NAMED_ROWS}] \
         FROM (SELECT {number} AS n, {function}({name}) AS code FROM {} WHERE {name} IS NOT NULL) AS asked \
         WHERE code IS NOT NULL GROUP BY code ORDER BY code",
        stage.name
    );
    let values = format!(
        "SELECT {number}, {} FROM {} WHERE {number} = ANY ($1) ORDER BY {number}",
        column.beginning(),
        stage.name
    );
    let mut unread = Vec::new();
    for row in client.query(&query, &[]).await.map_err(doing())? {
        let first = client.query(&values, &[&row.get::<_, Vec<i64>>(2)]).await.map_err(doing())?;
        unread.push(Unread {
            table: stage.index,
            column: index,
            code: row.get(0),
            count: row.get::<_, i64>(1).unsigned_abs(),
            first: first.iter().map(|row| (row.get::<_, i64>(0).unsigned_abs(), row.get(1))).collect(),
        });
    }
    Ok(unread)
}

/// Adds all values of the stage that do not fit to `unread`, and makes them NULL, so that the rest can be looked at.
pub(super) async fn take_out(client: &Client, stage: &Stage, unread: &mut Vec<Unread>) -> Result<(), Error> {
    for (index, column) in stage.by_input() {
        let found = unfit(client, stage, index).await?;
        if found.is_empty() {
            continue;
        }
        let name = &column.name;
        let mark = stage.unfit.iter().map(|unfit| format!(", {unfit} = true")).collect::<String>();
        let update = format!(
            "UPDATE {} SET {name} = NULL{mark} \
             WHERE {name} IS NOT NULL AND pg_temp.outgrow_fits_{}_{index}({name}) IS NOT NULL",
            stage.name, stage.index
        );
        let doing = format!("setting values of {} aside that do not fit", stage.of.name);
        client.batch_execute(&update).await.map_err(Error::database(doing))?;
        unread.extend(found);
    }
    Ok(())
}

/// What an SQLSTATE says of a value, and what helps beside a correction of the source.
fn reason(code: &str) -> (Misfit, &'static str) {
    match code {
        "22P05" | "22021" => (
            Misfit("text with a character that the target database's encoding does not have"),
            "skip = true  # or make the target database with ENCODING 'UTF8' TEMPLATE template0",
        ),
        "54001" => (
            Misfit("a value nested deeper than the server's max_stack_depth allows"),
            "skip = true  # or make the target's column text in a version before the step",
        ),
        CHANGED => (
            Misfit("text with more digits or characters than the type keeps"),
            "skip = true  # or give the target's column a wider type in a version before the step",
        ),
        _ if code.starts_with("54") => {
            (Misfit("a value beyond a limit of the server for this type"), "skip = true")
        }
        _ => (
            Misfit("text that the server does not take as this type"),
            "skip = true  # or bring it as text: make the column text in a version before the step, and ALTER … TYPE … USING … \
             in one after it",
        ),
    }
}

/// The values by their places in the source, those of one reason together.
pub(super) fn report(
    source: &Source,
    tables: &[BoundTable],
    unread: Vec<Unread>,
    show_values: bool,
) -> Result<Vec<Misfits>, Error> {
    let mut together: BTreeMap<(usize, usize, &str), Unread> = BTreeMap::new();
    for found in unread {
        match together.entry((found.table, found.column, reason(&found.code).0.0)) {
            Entry::Vacant(place) => drop(place.insert(found)),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count += found.count;
                known.first.extend(found.first);
                known.first.sort();
                known.first.truncate(NAMED_ROWS);
            }
        }
    }
    let mut reports = Vec::with_capacity(together.len());
    for found in together.into_values() {
        let table = &tables[found.table];
        let wanted: BTreeSet<u64> = found.first.iter().map(|(number, _)| *number).collect();
        let places = places::find(source, table, &wanted)?;
        let by_rowid = places.values().any(|place| matches!(place, Place::Rowid(_)));
        let (misfit, rule) = reason(&found.code);
        let mut report = misfits::report(table, found.column, misfit, by_rowid);
        report.advice = advice::rule(table, found.column, rule);
        report.count = found.count;
        report.rows = places.values().map(Place::to_string).collect();
        if show_values {
            let values = found.first.iter().map(|(_, text)| misfits::shown(ValueRef::Text(text)));
            report.values = values.collect();
        }
        reports.push(report);
    }
    Ok(reports)
}
