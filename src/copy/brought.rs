//! What the receipts say of what steps brought, as far as it is held against the source and the target later on.

use super::receipt::TABLE;
use crate::sqlite::Fingerprint;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What one step brought.
#[derive(Debug, Clone, Deserialize)]
pub struct Brought {
    /// The step's number.
    pub version: i32,
    /// The source as it was; `None` if the step was recorded with `--without-data`.
    pub source: Option<Fingerprint>,
    /// Its tables.
    #[serde(default)]
    pub tables: Vec<BroughtTable>,
    /// The target's tables to which it brought rows are empty now; unknown if it brought none.
    pub empty: Option<bool>,
}

/// What it brought of one table.
#[derive(Debug, Clone, Deserialize)]
pub struct BroughtTable {
    /// The table's name, in the target if it was copied.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// Their content hash, in hexadecimal.
    pub hash: Option<String>,
    /// By column: rows that went to the quarantine because of it.
    pub quarantined: Option<BTreeMap<String, u64>>,
    /// Their content hash, as the quarantine has them.
    pub quarantined_hash: Option<String>,
}

impl BroughtTable {
    /// All rows that went to the quarantine.
    #[must_use]
    pub fn quarantined_rows(&self) -> u64 {
        self.quarantined.iter().flat_map(BTreeMap::values).sum()
    }
}

/// One row and column of JSON for [`read`]; NULL where there are no receipts, or none that this role may read.
///
/// A statement that names a table fails where there is none, and the tables of the receipts have names that only these
/// know: `query_to_xml` takes its query as text, and so the answer comes with the history's, in one round trip. In
/// hexadecimal it needs no XML. Whether the target's tables are empty ends with the first row of any of them; one that
/// cannot be looked into, because somebody holds or awaits a lock against readers, may hold some: nobody waits here but
/// for a moment. (PostgreSQL: XML Functions, "Mapping Tables to XML"; Explicit Locking.)
#[must_use]
pub fn query() -> String {
    let looked_up = "SELECT encode(convert_to(coalesce(json_agg(json_build_object(
            'version', version, 'source', source - 'definition', 'empty', empty, 'tables', listed)), '[]')::text, 'UTF8'), 'hex') AS d";
    let any = "FROM jsonb_array_elements(tables) AS t, to_regclass(quote_ident(t->>'table')) AS found
               WHERE (t->>'rows')::bigint > 0";
    let locked = "SELECT FROM pg_catalog.pg_locks AS l, pg_catalog.pg_database AS d
                  WHERE l.relation = found AND l.mode = 'AccessExclusiveLock'
                    AND l.database = d.oid AND d.datname = current_database()";
    format!(
        "SELECT CASE WHEN pg_catalog.set_config('lock_timeout', '500ms', true) IS NOT NULL THEN
           CASE WHEN pg_catalog.has_table_privilege(pg_catalog.to_regclass('{TABLE}'), 'SELECT')
           THEN pg_catalog.convert_from(pg_catalog.decode(pg_catalog.substring(pg_catalog.query_to_xml($outgrow$
             {looked_up}
             FROM {TABLE},
               LATERAL (SELECT json_agg(json_build_object('table', t->'table', 'rows', t->'rows', 'hash', t->'hash',
                          'quarantined', t->'quarantined', 'quarantined_hash', t->'quarantined_hash')) AS listed
                        FROM jsonb_array_elements(tables) AS t) AS every,
               LATERAL (SELECT CASE WHEN EXISTS (SELECT {any}) THEN NOT EXISTS (SELECT {any}
                          AND CASE WHEN has_table_privilege(found, 'SELECT') AND NOT row_security_active(found)
                                        AND NOT EXISTS ({locked})
                                   THEN query_to_xml('SELECT 1 AS one FROM ' || found || ' LIMIT 1', false, true, '')::text
                                        LIKE '%<one>%'
                                   ELSE true END) END AS empty) AS target
           $outgrow$, false, false, '')::pg_catalog.text, '<d>([0-9a-f]*)</d>'), 'hex'), 'UTF8') END END"
    )
}

/// The answer to [`query`], by version. A receipt that another version of outgrow wrote may say less than ours.
#[must_use]
pub fn read(answer: &str) -> BTreeMap<i32, Brought> {
    let receipts: Vec<serde_json::Value> = serde_json::from_str(answer).unwrap_or_default();
    let known = receipts.into_iter().filter_map(|receipt| serde_json::from_value(receipt).ok());
    known.map(|brought: Brought| (brought.version, brought)).collect()
}
