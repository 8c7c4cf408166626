//! Which staged values the server cannot read, or would change: it is asked value by value, by a function that catches
//! the error. That takes a while, so it is asked only after an INSERT has failed, and where a modifier may change a value.

use super::columns::BoundTable;
use super::misfits::{self, NAMED_ROWS};
use super::reader;
use super::stage::{Stage, Staged};
use crate::error::{Error, Misfits};
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use crate::value::Misfit;
use rusqlite::types::ValueRef;
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// Values of one column that do not fit.
pub(super) struct Unread {
    /// Position of the table among the step's.
    table: usize,
    /// Position of the column among the table's.
    column: usize,
    count: u64,
    /// The first of them: number in the stage, and text.
    first: Vec<(u64, String)>,
}

/// The values of the staged column at `index` that the target's column cannot take; none if all fit.
pub(super) async fn unfit(client: &Client, stage: &Stage, index: usize) -> Result<Option<Unread>, Error> {
    let Staged { of: column, name, .. } = &stage.columns[index];
    let doing = || {
        Error::database(format!("asking for the values of {}.{} that do not fit", stage.of.name, column.name))
    };
    let function = format!("pg_temp.outgrow_fits_{}_{index}", stage.index);
    let (base, declared) = (&column.base, &column.declared);
    // an assignment of plpgsql casts as that to a column does: what is too long is an error
    let body = if column.modifier < 0 {
        format!("BEGIN PERFORM $1::{base}; RETURN true;")
    } else {
        format!(
            "DECLARE given {base} := $1::{base}; kept {declared}; \
             BEGIN kept := given; \
             IF given::pg_catalog.text = kept::pg_catalog.text THEN RETURN true; END IF; \
             RETURN coalesce(given = kept, false);"
        )
    };
    // an error in a declaration is not the block's own to catch
    let mut quotes = "$outgrow$".to_owned();
    while body.contains(&quotes) {
        quotes.insert(1, '_');
    }
    let create = format!(
        "CREATE OR REPLACE FUNCTION {function}(pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS \
         {quotes} BEGIN {body} END; EXCEPTION WHEN OTHERS THEN RETURN false; END {quotes}"
    );
    client.batch_execute(&create).await.map_err(doing())?;
    let number = &stage.number;
    let query = format!(
        "SELECT count(*) OVER (), {number}, {name} FROM {} WHERE {name} IS NOT NULL AND NOT {function}({name}) \
         ORDER BY {number} LIMIT {NAMED_ROWS}",
        stage.name
    );
    let rows = client.query(&query, &[]).await.map_err(doing())?;
    let first = rows.iter().map(|row| (row.get::<_, i64>(1).unsigned_abs(), row.get(2))).collect();
    Ok(rows.first().map(|row| Unread {
        table: stage.index,
        column: index,
        count: row.get::<_, i64>(0).unsigned_abs(),
        first,
    }))
}

/// Adds all values of the stage that do not fit to `unread`, and makes them NULL, so that the rest can be looked at.
pub(super) async fn take_out(client: &Client, stage: &Stage, unread: &mut Vec<Unread>) -> Result<(), Error> {
    for (index, column) in stage.by_input() {
        let Some(found) = unfit(client, stage, index).await? else { continue };
        let name = &column.name;
        let update = format!(
            "UPDATE {} SET {name} = NULL WHERE {name} IS NOT NULL AND NOT pg_temp.outgrow_fits_{}_{index}({name})",
            stage.name, stage.index
        );
        let doing = format!("setting values of {} aside that do not fit", stage.of.name);
        client.batch_execute(&update).await.map_err(Error::database(doing))?;
        unread.push(found);
    }
    Ok(())
}

/// The values by their places in the source.
pub(super) fn report(
    source: &Source,
    tables: &[BoundTable],
    unread: &[Unread],
    show_values: bool,
) -> Result<Vec<Misfits>, Error> {
    let mut reports = Vec::with_capacity(unread.len());
    for found in unread {
        let table = &tables[found.table];
        let wanted: BTreeSet<u64> = found.first.iter().map(|(number, _)| *number).collect();
        let places = reader::places(source, table, &wanted)?;
        let by_rowid = places.values().any(|place| matches!(place, Place::Rowid(_)));
        let misfit = Misfit("text that the server does not take as this type");
        let mut report = misfits::report(table, found.column, misfit, by_rowid);
        report.count = found.count;
        report.rows = places.values().map(Place::to_string).collect();
        if show_values {
            let values = found.first.iter().map(|(_, text)| misfits::shown(ValueRef::Text(text.as_bytes())));
            report.values = values.collect();
        }
        reports.push(report);
    }
    Ok(reports)
}
