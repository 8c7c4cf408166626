//! What the catalog says of constraints, indexes and triggers of the step's tables: the same before and after, or they
//! were not put back exactly.

use crate::error::Error;
use crate::postgres::catalog::SCOPE;
use crate::postgres::of_tables;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// By the name of each thing: all that can be known of it.
pub(super) type Facts = BTreeMap<String, String>;

/// Reads the catalog.
pub(super) async fn read(client: &Client, tables: &[u32]) -> Result<Facts, Error> {
    let rows = of_tables(client, &format!("WITH scope AS ({SCOPE}) {FACTS}"), tables)
        .await
        .map_err(Error::database("reading the target's constraints, indexes and triggers"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Names of what is not the same in both.
pub(super) fn differences(before: &Facts, after: &Facts) -> Vec<String> {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// Everything but the numbers that a new object gets, and what the server counts. Expressions are compared as the
/// server writes them out: their stored trees say where in a statement each word stood. (PostgreSQL: System Catalogs,
/// `pg_constraint`, `pg_index`, `pg_class`, `pg_trigger`, `pg_depend`.)
const FACTS: &str = "\
SELECT format('constraint %s of %s', k.conname, k.conrelid::regclass),
       concat_ws(' ', (to_jsonb(k) - 'oid' - 'conindid')::text, k.conindid::regclass, pg_get_constraintdef(k.oid),
                 pg_catalog.obj_description(k.oid, 'pg_constraint'))
FROM scope s JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid
UNION ALL
SELECT format('index %s of %s', x.indexrelid::regclass, x.indrelid::regclass),
       concat_ws(' ', (to_jsonb(x) - 'indexrelid' - 'indexprs' - 'indpred')::text, pg_get_indexdef(x.indexrelid),
                 c.relowner, c.relam, c.reltablespace, c.relpersistence, c.reloptions, c.relispartition,
                 pg_catalog.obj_description(c.oid, 'pg_class'),
                 (SELECT string_agg(concat_ws(' ', a.attnum, a.attstattarget, a.attoptions), ',' ORDER BY a.attnum)
                  FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid),
                 (SELECT string_agg(concat_ws(' ', d.refclassid, d.refobjid, d.deptype), ',' ORDER BY d.refclassid, d.refobjid)
                  FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                    AND d.refclassid <> 'pg_catalog.pg_constraint'::regclass))
FROM scope s JOIN pg_catalog.pg_index x ON x.indrelid = s.relid
JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
UNION ALL
SELECT format('trigger %s of %s', t.tgname, t.tgrelid::regclass),
       concat_ws(' ', to_jsonb(t)::text, pg_catalog.obj_description(t.oid, 'pg_trigger'))
FROM scope s JOIN pg_catalog.pg_trigger t ON t.tgrelid = s.relid
WHERE NOT t.tgisinternal OR t.tgconstraint = 0
UNION ALL
SELECT format('checks of constraint %s of %s', k.conname, k.conrelid::regclass),
       string_agg(concat_ws(' ', (to_jsonb(t) - 'oid' - 'tgname' - 'tgconstraint' - 'tgconstrindid')::text,
                            t.tgconstrindid::regclass), ' ' ORDER BY t.tgrelid, t.tgfoid, t.tgtype)
FROM scope s JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid
JOIN pg_catalog.pg_trigger t ON t.tgconstraint = k.oid
WHERE t.tgisinternal
GROUP BY k.oid, k.conname, k.conrelid";
