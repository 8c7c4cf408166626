//! Tables whose rows COPY may write as already frozen: no later VACUUM rewrites them, and their pages are known as
//! visible to all from the start. The server allows it for a table that was emptied in the same subtransaction, which
//! changes nothing for one that is empty. (PostgreSQL: COPY, option FREEZE; TRUNCATE.)

use super::columns::BoundTable;
use crate::error::{Error, is_circumstance, server_message};
use crate::postgres::of_tables;
use std::collections::HashSet;
use tokio_postgres::Client;

/// Truncates those of `tables` that are `large` and allow it, all locked and empty; returns them by object identifier.
///
/// Left alone are partitioned tables (their COPY takes no FREEZE), those with triggers that would see it, those that
/// are published (a subscriber would be emptied too), and those with an invalid index, which would come back valid.
///
/// # Errors
/// [`Error::Database`] for a failure that is not the tables'.
pub(super) async fn truncate(
    client: &Client,
    tables: &[BoundTable],
    large: &HashSet<u32>,
) -> Result<Vec<u32>, Error> {
    if large.is_empty() {
        return Ok(Vec::new());
    }
    let doing = || Error::database("preparing the target's tables for the load");
    let oids: Vec<u32> = large.iter().copied().collect();
    let rows = of_tables(client, FREEZABLE, &oids).await.map_err(doing())?;
    let allowed: Vec<u32> = rows.iter().map(|row| row.get(0)).collect();
    let names = tables.iter().filter(|table| allowed.contains(&table.target.oid));
    let names: Vec<String> = names.map(|table| format!("ONLY {}", table.target.quoted())).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let statement =
        format!("SAVEPOINT outgrow_truncate; TRUNCATE {}; RELEASE outgrow_truncate", names.join(", "));
    match client.batch_execute(&statement).await {
        Ok(()) => Ok(allowed),
        // a foreign key of a table outside the step refers to one of them
        Err(error) if error.code().is_some_and(|code| !is_circumstance(code)) => {
            log::debug!("loading without FREEZE: {}", server_message(&error));
            client
                .batch_execute("ROLLBACK TO outgrow_truncate; RELEASE outgrow_truncate")
                .await
                .map_err(doing())?;
            Ok(Vec::new())
        }
        Err(error) => Err(doing()(error)),
    }
}

/// 32 in `tgtype` is TRUNCATE.
const FREEZABLE: &str = "\
SELECT c.oid FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1) AND c.relkind = 'r' AND pg_catalog.has_table_privilege(c.oid, 'TRUNCATE')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                  WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND (t.tgtype & 32) <> 0)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_tables p
                  WHERE p.schemaname = n.nspname AND p.tablename = c.relname)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND NOT x.indisvalid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                  WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conrelid <> ALL ($1))";
