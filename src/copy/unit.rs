//! Whether the numbers of a column count what the step says that they count. In the wrong unit most are no moment of the
//! years 1 to 9999, and refused; but seconds taken for milliseconds are all of January 1970, which nothing else would
//! find.

use super::columns::{BoundColumn, BoundTable, rule_for};
use crate::error::Error;
use crate::migration::step::Step;
use crate::sqlite::Source;
use crate::value::Read;
use tokio_postgres::types::Type;

/// How many rows are looked at, at each end of a table.
const ROWS: u64 = 100;

/// Warns of columns whose numbers are all as large as moments of these years are in another unit.
pub(super) fn doubt(step: &Step, source: &Source, tables: &[BoundTable]) -> Result<(), Error> {
    for table in tables {
        let columns = moments_read(step, table);
        if columns.is_empty() {
            continue;
        }
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let mut sizes: Vec<Vec<Read>> = vec![Vec::new(); names.len()];
        source.sample(&table.source, &names, ROWS, |cells| {
            for (index, sizes) in sizes.iter_mut().enumerate() {
                let size = Read::by_size(cells.value(index).map_err(std::io::Error::other)?);
                sizes.extend(size.filter(|size| !sizes.contains(size)));
            }
            Ok(true)
        })?;
        for ((column, read), sizes) in columns.iter().zip(sizes) {
            if let [other] = sizes[..]
                && other != *read
            {
                log::warn!(
                    "{}.{column}: the step reads it as {}, and by the size of its numbers it is {}: look at the rule before \
                     the application goes on",
                    table.source.name,
                    read.name(),
                    other.name()
                );
            }
        }
    }
    Ok(())
}

/// The columns of the source whose numbers the step reads as moments, and as what.
fn moments_read<'a>(step: &Step, table: &'a BoundTable) -> Vec<(&'a str, Read)> {
    let of_step = step.tables.iter().find(|of_step| of_step.name.eq_ignore_ascii_case(&table.source.name));
    let Some(of_step) = of_step else { return Vec::new() };
    let read = |column: &'a BoundColumn| {
        let of_type = Type::from_oid(column.target.type_oid)?;
        let rule = rule_for(&of_step.rules, &table.source, &column.source);
        let read = Read::parse(rule.read.as_deref()?).ok()?;
        let moment =
            matches!(of_type, Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::DATE) && read != Read::Text;
        moment.then_some((column.source.name.as_str(), read))
    };
    table.columns.iter().filter_map(read).collect()
}
