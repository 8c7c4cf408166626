//! Tables that pending versions make and that are there already: an application that makes its own when it starts was
//! started against the target.

use super::Finding;
use crate::error::Error;
use crate::migration::failure::ALREADY_THERE;
use crate::migration::{Version, sql};
use crate::plan::Plan;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// By number of the pair: a table's schema, or NULL for the one in which tables are made, and its name.
const THERE: &str = "\
SELECT made.number
FROM unnest($1, $2) WITH ORDINALITY AS made (schema, name, number)
WHERE EXISTS (
    SELECT FROM pg_catalog.pg_class
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace
    WHERE relname = made.name AND nspname = coalesce(made.schema, current_schema()))
ORDER BY made.number";

/// A table that a version makes.
struct Made<'a> {
    version: &'a Version,
    schema: Option<String>,
    name: String,
}

/// What is there of what the pending versions make.
pub(super) async fn taken(client: &Client, plan: &Plan<'_>) -> Result<Vec<Finding>, Error> {
    let made = made(&plan.pending());
    let (schemas, names): (Vec<_>, Vec<_>) =
        made.iter().map(|made| (made.schema.as_deref(), made.name.as_str())).unzip();
    let rows = client.query_typed(THERE, &[(&schemas, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)]).await;
    let rows = rows.map_err(Error::database("looking for the tables that are to be made"))?;
    let number = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(0)).ok()?.checked_sub(1);
    let there: Vec<String> = rows
        .iter()
        .filter_map(|row| made.get(number(row)?))
        .map(|made| format!("{} ({})", made.name, made.version.label))
        .collect();
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let found = format!("pending versions make tables that are there already: {}", there.join(", "));
    Ok(vec![Finding::problem("versions", found, ALREADY_THERE)])
}

/// The tables that `pending` make, up to the first statement after which a name may be free again, or another schema be
/// meant.
fn made<'a>(pending: &[&'a Version]) -> Vec<Made<'a>> {
    let mut found = Vec::new();
    for version in pending.iter().copied().filter(|version| version.step().is_none()) {
        for statement in sql::read(version.text()).statements {
            let words = statement.words();
            match words[..] {
                ["CREATE", "SCHEMA", ..] => return found,
                ["CREATE" | "COMMENT" | "GRANT" | "INSERT" | "UPDATE" | "DELETE", ..] => {}
                ["ALTER", ..] if !words.contains(&"RENAME") && !words.contains(&"SCHEMA") => {}
                _ => return found,
            }
            let table = statement.table_made(version.text());
            found.extend(table.map(|(schema, name)| Made { version, schema, name }));
        }
    }
    found
}
