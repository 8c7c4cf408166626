//! Both ends of the file's tables: the schema is made in the file, empty, so that SQLite itself says what its tables are,
//! and each is bound to the target's by the rules of the step that brought it. What has no place at one end is noted or
//! refused.

use super::fed::Fed;
use super::rules;
use crate::copy::alike::{Alike, Ends};
use crate::copy::bind::same_name;
use crate::copy::columns::BoundTable;
use crate::copy::receipt::Spelt;
use crate::error::{Error, counted};
use crate::identifier::quote;
use crate::migration::step::TableRules;
use crate::postgres::catalog;
use crate::sqlite::writer::Writer;
use crate::sqlite::{Definition, Source, schema};
use std::path::Path;
use std::time::Duration;
use tokio_postgres::Client;

/// Makes the schema in `file`, and binds the tables that SQLite made of it. What it refused, and what cannot be bound,
/// is added to `refused`.
pub(super) fn bind<'a>(
    file: &Path,
    definition: &Definition,
    fed: &'a [Fed<'a>],
    lock_timeout: Duration,
    spelt: impl Fn(&Fed<'_>) -> Option<&'a Spelt>,
    notes: &mut Vec<String>,
    refused: &mut Vec<String>,
) -> Result<Vec<(BoundTable, &'a Fed<'a>)>, Error> {
    let made =
        Writer::create(file, definition).and_then(|(writer, refused)| writer.commit().map(|()| refused));
    refused.extend(made.map_err(|error| super::file::unwritable(file, &error))?);
    // of a file without any table, what was refused is the reason
    let source = Source::open(file, lock_timeout, || false).map_err(|error| match refused.as_slice() {
        [] => error,
        problems => Error::Back { file: file.to_owned(), problems: problems.to_vec() },
    })?;
    let none = TableRules::default();
    let ends = fed.iter().filter_map(|fed| {
        let from = same_name(&source.tables, fed.name(), |table| &table.name)?;
        let rules = fed.step.map_or(&none, |(_, table)| &table.rules);
        Some((fed, Ends { from, to: fed.target, rules, spelt: spelt(fed) }))
    });
    let ends: Vec<(&Fed<'_>, Ends<'_>)> = ends.collect();
    let alike = Alike::of(ends.iter().map(|(_, ends)| *ends));
    let mut tables = Vec::new();
    for (fed, ends) in ends {
        let rules = &alike.rules(ends);
        tables.push((bind_columns(&source, Ends { rules, ..ends }, notes, refused)?, fed));
    }
    Ok(tables)
}

fn bind_columns(
    source: &Source,
    ends: Ends<'_>,
    notes: &mut Vec<String>,
    refused: &mut Vec<String>,
) -> Result<BoundTable, Error> {
    let bound = rules::bind(source, ends, notes)?;
    let from = ends.from;
    let missing = from.columns.iter().filter(|column| {
        !column.generated && !bound.columns.iter().any(|known| known.source.name == column.name)
    });
    for column in missing {
        let named = |name: &String| name.eq_ignore_ascii_case(&column.name);
        let skipped = ends.rules.column.iter().any(|(name, rule)| named(name) && rule.skip);
        let (place, target) = (format!("{}.{}", from.name, column.name), &ends.to.name);
        if bound.computed.iter().any(|computed| computed.eq_ignore_ascii_case(&column.name)) {
            notes.push(format!("{place}: empty, as it came; the target computes it"));
        } else if skipped {
            notes.push(format!(
                "{place}: what the file's own schema gives a row without it; the step skips it"
            ));
        } else if column.is_rowid || from.key.iter().any(named) {
            refused.push(format!(
                "{place}: it is the key of the file's table, and the target's table {target} has no such column any more; \
                 rename the column back in a version"
            ));
        } else {
            notes.push(format!(
                "{place}: what the file's own schema gives a row without it; the target's table {target} has no such column"
            ));
        }
    }
    Ok(bound)
}

/// Notes columns of the target that hold values, computed ones too, and have none in the file.
pub(super) async fn columns_left_behind(
    client: &Client,
    bound: &BoundTable,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let target = &bound.target;
    // both ends compute such a column, or the step skips it, which is said
    let computed = |column: &catalog::Column| {
        let named = |from: &schema::Column| from.name.eq_ignore_ascii_case(&column.name);
        column.generated && (bound.computed.contains(&column.name) || bound.source.columns.iter().any(named))
    };
    let extra = target
        .columns
        .iter()
        .filter(|column| !computed(column) && !bound.target_columns().any(|known| known == column.name));
    let extra: Vec<&catalog::Column> = extra.collect();
    if extra.is_empty() {
        return Ok(());
    }
    let counts: Vec<String> = extra.iter().map(|column| format!("count({})", quote(&column.name))).collect();
    let query = format!("SELECT {} FROM {}", counts.join(", "), target.own_rows());
    let row = client.query_one(&query, &[]).await.map_err(Error::database("counting what stays behind"))?;
    for (at, column) in extra.iter().enumerate() {
        let count = row.get::<_, i64>(at).unsigned_abs();
        if count > 0 {
            notes.push(format!(
                "{}.{}: {} left behind; the file's table {} has no such column",
                target.name,
                column.name,
                counted(count, "value"),
                bound.source.name
            ));
        }
    }
    Ok(())
}
