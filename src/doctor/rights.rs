//! What this role may do, held against what is pending.

use super::{Finding, rows};
use crate::copy::RECEIPTS;
use crate::error::Error;
use crate::migration::step::{Step, StepTable};
use crate::plan::{HISTORY, Plan};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// The rights that the pending versions need. What they create themselves is this role's own.
pub(super) async fn rights(client: &Client, plan: &Plan<'_>) -> Result<Vec<Finding>, Error> {
    let pending = plan.pending();
    let role = rows(client, "asking for the role", "SELECT current_user, current_schema()").await?;
    let (role, schema) = role.first().map_or((None, None), |row| (row.get(0), row.get(1)));
    let role = role.unwrap_or_default();
    let Some(schema) = schema else {
        let found = format!("none of the schemas in the search_path of {role} exists");
        let next = "create one, or name one: options=-c%20search_path%3DNAME in the URL";
        return Ok(vec![Finding::problem("rights", found, next)]);
    };
    if pending.is_empty() {
        return Ok(vec![Finding::ok("rights", format!("role {role}, schema {schema}; nothing is pending"))]);
    }
    let steps: Vec<&Step> = pending.iter().filter_map(|version| version.step()).collect();
    let mut findings =
        general(client, role, !plan.history.exists, !steps.is_empty(), steps.len() < pending.len()).await?;
    findings.extend(tables(client, role, &steps).await?);
    if findings.is_empty() {
        let what =
            if steps.is_empty() { "schema and history" } else { "schema, history and the step's tables" };
        let found = format!("role {role}, schema {schema}: enough for what is pending, on {what}");
        findings.push(Finding::ok("rights", found));
    }
    Ok(findings)
}

/// On the schema, the database, the history and the receipts.
async fn general(
    client: &Client,
    role: &str,
    first: bool,
    step: bool,
    sql: bool,
) -> Result<Vec<Finding>, Error> {
    let query = format!(
        "SELECT quote_ident(current_schema()), quote_ident(current_database()), quote_ident(current_user), \
         has_schema_privilege(current_schema(), 'CREATE'), \
         has_database_privilege(current_database(), 'TEMPORARY'), \
         to_regclass('{RECEIPTS}') IS NOT NULL, \
         has_table_privilege(to_regclass('{HISTORY}'), 'INSERT'), \
         has_table_privilege(to_regclass('{RECEIPTS}'), 'SELECT') AND has_table_privilege(to_regclass('{RECEIPTS}'), 'INSERT')"
    );
    let said = rows(client, "asking for the role's rights", &query).await?;
    let Some(said) = said.first() else { return Ok(Vec::new()) };
    let text = |at| said.get(at).unwrap_or_default();
    let (schema, database, quoted) = (text(0), text(1), text(2));
    let is = |at| said.get(at) == Some("t");
    let denied = |at| said.get(at) == Some("f");
    let mut findings = Vec::new();
    let creates = first || sql || (step && !is(5));
    if creates && denied(3) {
        findings.push(Finding::problem(
            "rights",
            format!("role {role} may not create anything in schema {schema}"),
            format!("as its owner: GRANT CREATE ON SCHEMA {schema} TO {quoted}"),
        ));
    }
    if step && denied(4) {
        findings.push(Finding::warning(
            "rights",
            format!("role {role} may not make temporary tables: a step needs them for types that the server itself reads"),
            format!("as the owner of the database: GRANT TEMPORARY ON DATABASE {database} TO {quoted}"),
        ));
    }
    for (at, table, needed) in [(6, HISTORY, "INSERT"), (7, RECEIPTS, "SELECT, INSERT")] {
        if denied(at) && (at == 6 || step) {
            findings.push(Finding::problem(
                "rights",
                format!("role {role} lacks {needed} on {table}"),
                format!("as its owner: GRANT {needed} ON {table} TO {quoted}"),
            ));
        }
    }
    Ok(findings)
}

/// On the tables that a step loads and that are there already.
async fn tables(client: &Client, role: &str, steps: &[&Step]) -> Result<Vec<Finding>, Error> {
    let target = |step: &&Step| {
        let names = step.tables.iter().map(StepTable::target_name);
        names.map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let names: Vec<String> = steps.iter().flat_map(target).collect();
    let foreign = client.query_typed(FOREIGN, &[(&names, Type::TEXT_ARRAY)]).await;
    let foreign = foreign.map_err(Error::database("asking who owns the step's tables"))?;
    let named = |what: &str| {
        let those = foreign.iter().filter(|row| row.get::<_, &str>(2) == what);
        let named = those.map(|row| format!("{} (of {})", row.get::<_, &str>(0), row.get::<_, &str>(1)));
        Some(named.collect::<Vec<_>>().join(", ")).filter(|named| !named.is_empty())
    };
    let owner = "connect as their owner, or as a member of that role";
    let refused = named("rights").map(|named| {
        let found = format!("role {role} may not write, read and lock tables that a step loads: {named}");
        Finding::problem("rights", found, format!("{owner}; or GRANT SELECT, INSERT, TRUNCATE"))
    });
    let triggers = named("triggers").map(|named| {
        let found =
            format!("role {role} may not set the triggers of tables aside that a step loads: {named}");
        Finding::problem("rights", found, owner)
    });
    let slower = named("").map(|named| {
        let found =
            format!("role {role} does not own tables that a step loads: {named}; their keys stay in force");
        Finding::warning("rights", found, owner)
    });
    Ok(refused.into_iter().chain(triggers).chain(slower).collect())
}

/// The tables of those names that this role does not own, and what keeps a step from loading them: what
/// `copy::ready` and `copy::aside::trigger` refuse.
const FOREIGN: &str = "\
SELECT c.relname::text, pg_get_userbyid(c.relowner)::text,
       CASE WHEN NOT (has_any_column_privilege(c.oid, 'SELECT') AND has_any_column_privilege(c.oid, 'INSERT')
                      AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')) THEN 'rights'
            WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
                         AND t.tgenabled <> 'D' AND t.tgtype & 4 <> 0) THEN 'triggers'
            ELSE '' END
FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid) AND lower(c.relname::text COLLATE \"C\") = ANY ($1)
  AND NOT pg_has_role(c.relowner, 'USAGE')
ORDER BY 1";
