//! What a step recorded about what it copied: table `outgrow_receipt`, one row for each step, written in the step's own
//! transaction.

use super::columns::BoundTable;
use super::originals::ColumnFormat;
use super::progress::Took;
use super::reader::Count;
use crate::error::Error;
use crate::migration::Version;
use crate::postgres::catalog::{self, Instead};
use crate::postgres::reading;
use crate::sqlite::{Definition, Fingerprint};
use barrel::{Migration, backend::Pg, types};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::SystemTime;
use tokio_postgres::Client;
use tokio_postgres::types::{Json, Type};

/// The table that holds the receipts, beside refinery's history.
pub const TABLE: &str = "outgrow_receipt";

/// Its columns, as the catalog writes them.
pub(super) const COLUMNS: &str = "version integer, step text, source jsonb, tables jsonb, left_behind jsonb, proof text, \
                                  tool text, started_at timestamp with time zone, finished_at timestamp with time zone";

/// One step's receipt.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    /// The step's version.
    pub version: i32,
    /// The step's name, without number.
    pub step: String,
    /// The source as it was; `None` if the step was recorded with `--without-data`.
    pub source: Option<Fingerprint>,
    /// Every table the step names.
    pub tables: Vec<TableReceipt>,
    /// Source tables with rows that were left behind: skipped, or other tools' bookkeeping.
    pub left: Vec<String>,
    /// What was compared before the commit: `content`, every row; `unproven`, nothing, as asked; `none`, if nothing was
    /// brought.
    pub proof: &'static str,
    /// What took how long; not stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Took>,
    /// The version of outgrow.
    pub tool: &'static str,
    /// When the step began.
    #[serde(skip)]
    started: SystemTime,
}

/// What was brought of one table.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TableReceipt {
    /// The table's name, in the target if it was copied.
    pub table: String,
    /// `copied`; `absent`, if it is optional and the source has no such table; or `not brought`, by `--without-data`.
    pub state: &'static str,
    /// Rows copied.
    pub rows: u64,
    /// Their size in COPY-binary form.
    pub bytes: u64,
    /// The sum, modulo 2^128, of the XXH3 hashes of their COPY-binary tuples, in hexadecimal.
    pub hash: Option<String>,
    /// How long its COPY took; reading the source overlaps.
    pub seconds: f64,
    /// By column: how many values came in another spelling or storage class than the type's usual one.
    pub normalised: BTreeMap<String, u64>,
    /// By column: the rowid of the first of them, or its row number where there is none.
    pub normalised_at: BTreeMap<String, String>,
    /// By column: how many values a rule changed (characters left out or replaced, digits rounded).
    pub repaired: BTreeMap<String, u64>,
    /// By column: how many values a rule made NULL.
    pub nulled: BTreeMap<String, u64>,
    /// By column: how many rows went to `outgrow_quarantine` because of it.
    pub quarantined: BTreeMap<String, u64>,
    /// The sum of their hashes as `hash` has it, of the tuples in `outgrow_quarantine`, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined_hash: Option<String>,
    /// Triggers of the table that did not run for these rows, and are enabled again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<String>,
    /// By column: what its cells are spelt in on the way back, where that is not the type's usual form.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub formats: BTreeMap<String, ColumnFormat>,
    /// By column: the type, behind all domains and without its modifier, that its cells were brought into.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, String>,
    /// Rows with cells that their columns' formats do not give back: these are in `outgrow_original`.
    #[serde(skip_serializing_if = "is_zero")]
    pub originals: u64,
    /// The columns by whose values, hashed, `outgrow_original` names a row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn types(table: &BoundTable) -> BTreeMap<String, String> {
    let columns = table.columns.iter().map(|column| &column.target);
    let all = columns.chain(table.constants.iter().map(|constant| &constant.target));
    all.map(|column| (column.name.clone(), column.base.clone())).collect()
}

impl TableReceipt {
    pub(super) fn of(table: &BoundTable, count: &Count) -> TableReceipt {
        TableReceipt {
            table: table.target.name.clone(),
            state: "copied",
            rows: count.tally.rows,
            bytes: count.bytes,
            hash: Some(count.tally.hexadecimal()),
            seconds: count.seconds,
            normalised: count.normalised.clone(),
            normalised_at: count.normalised_at.clone(),
            repaired: count.repaired.clone(),
            nulled: count.nulled.clone(),
            quarantined: count.quarantined.clone(),
            quarantined_hash: (count.quarantine.rows > 0).then(|| count.quarantine.hexadecimal()),
            set_aside: Vec::new(),
            formats: count.spelling.formats.clone(),
            types: types(table),
            originals: count.spelling.originals,
            key: if count.spelling.originals > 0 { count.spelling.key.clone() } else { Vec::new() },
        }
    }

    pub(super) fn absent(table: String) -> TableReceipt {
        TableReceipt { table, state: "absent", ..TableReceipt::default() }
    }

    pub(super) fn not_brought(table: String) -> TableReceipt {
        TableReceipt { state: "not brought", ..TableReceipt::absent(table) }
    }
}

impl Receipt {
    pub(super) fn new(
        version: &Version,
        source: Option<Fingerprint>,
        tables: Vec<TableReceipt>,
        left: Vec<String>,
        proof: &'static str,
        started: SystemTime,
    ) -> Receipt {
        Receipt {
            version: version.number,
            step: version.name().to_owned(),
            source,
            tables,
            left,
            proof,
            phases: Vec::new(),
            tool: env!("CARGO_PKG_VERSION"),
            started,
        }
    }

    /// All rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// What is stored of the source.
#[derive(Debug, Serialize)]
struct StoredSource<'a> {
    #[serde(flatten)]
    fingerprint: &'a Fingerprint,
    /// What it takes to make the file again; not read where only the fingerprint is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<&'a Definition>,
}

/// Stores `receipt`, and with it the definition `of_source`, in the table that [`own::make`](super::own::make) made.
pub(super) async fn record(
    client: &Client,
    receipt: &Receipt,
    of_source: Option<&Definition>,
) -> Result<(), Error> {
    let insert = format!(
        "INSERT INTO {TABLE} (version, step, source, tables, left_behind, proof, tool, started_at, finished_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())"
    );
    let source =
        receipt.source.as_ref().map(|fingerprint| Json(StoredSource { fingerprint, definition: of_source }));
    client
        .execute_typed(
            &insert,
            &[
                (&receipt.version, Type::INT4),
                (&receipt.step, Type::TEXT),
                (&source, Type::JSONB),
                (&Json(&receipt.tables), Type::JSONB),
                (&Json(&receipt.left), Type::JSONB),
                (&receipt.proof, Type::TEXT),
                (&receipt.tool, Type::TEXT),
                (&receipt.started, Type::TIMESTAMPTZ),
            ],
        )
        .await
        .map_err(Error::database("storing the receipt"))?;
    Ok(())
}

/// The sources that steps were copied from, by version; none where there are no receipts. Reads only.
///
/// # Errors
/// [`Error::Database`] if the receipts cannot be read.
pub async fn sources(client: &Client) -> Result<BTreeMap<i32, Fingerprint>, Error> {
    let query = format!("SELECT version, source - 'definition' FROM {TABLE} WHERE source IS NOT NULL");
    if !reading::has_table(client, TABLE).await? {
        return Ok(BTreeMap::new());
    }
    let rows = client.query(&query, &[]).await.map_err(Error::database("reading the receipts"))?;
    // a receipt that another version of outgrow wrote may say less than ours
    let known = rows.iter().filter_map(|row| {
        let source: Json<Fingerprint> = row.try_get(1).ok()?;
        Some((row.get(0), source.0))
    });
    Ok(known.collect())
}

/// What a receipt says of the source of its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The file's SHA-256, in hexadecimal.
    From(String),
    /// The step brought nothing (`--without-data`).
    WithoutData,
    /// There is no receipt, or this role may not read it.
    Unknown,
}

/// Looks up the receipt of `version`.
///
/// # Errors
/// [`Error::Database`] if the query fails.
pub async fn recorded(client: &Client, version: i32) -> Result<Recorded, Error> {
    let doing = || Error::database("reading the receipt");
    let readable = format!("SELECT has_table_privilege(to_regclass('{TABLE}'), 'SELECT')");
    let readable: Option<bool> = client.query_one(&readable, &[]).await.map_err(doing())?.get(0);
    if readable != Some(true) {
        return Ok(Recorded::Unknown);
    }
    let query = format!("SELECT source->>'sha256' FROM {TABLE} WHERE version = $1");
    let row = client.query_opt(&query, &[&version]).await.map_err(doing())?;
    Ok(match row.map(|row| row.get::<_, Option<String>>(0)) {
        Some(Some(sha256)) => Recorded::From(sha256),
        Some(None) => Recorded::WithoutData,
        None => Recorded::Unknown,
    })
}

/// What a receipt says for the way back.
#[derive(Debug, Default)]
pub(super) struct ForTheWayBack {
    /// What the source was made of.
    pub definition: Option<Definition>,
    /// What was copied.
    pub tables: Vec<Spelt>,
    /// Source tables with rows that were left behind.
    pub left: Vec<String>,
}

/// The spelling of one table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Spelt {
    /// Its name in the target.
    pub table: String,
    /// `copied`, or why not.
    pub state: String,
    pub rows: u64,
    pub formats: BTreeMap<String, ColumnFormat>,
    pub types: BTreeMap<String, String>,
    pub originals: u64,
    pub key: Vec<String>,
    pub quarantined: BTreeMap<String, u64>,
}

impl Spelt {
    /// Its rows had no value in the target's `column`, which the step did not bring.
    pub(super) fn had_none(&self, column: &str) -> bool {
        self.rows > 0 && !self.types.is_empty() && !self.types.contains_key(column)
    }
}

impl ForTheWayBack {
    /// The step brought the table of that name.
    pub(super) fn copied(&self, table: &str) -> bool {
        self.tables.iter().any(|known| known.table.eq_ignore_ascii_case(table) && known.state == "copied")
    }

    /// The columns of the target that the step brought, by table; nothing of a table of which it does not say.
    pub(super) fn columns(&self) -> BTreeMap<String, Vec<String>> {
        let known = self.tables.iter().filter(|table| !table.types.is_empty());
        known.map(|table| (table.table.clone(), table.types.keys().cloned().collect())).collect()
    }
}

/// What a role that may not read receipts knows as well: nothing.
pub(super) async fn if_readable(client: &Client, version: i32) -> Result<ForTheWayBack, Error> {
    match recorded(client, version).await? {
        Recorded::Unknown => Ok(ForTheWayBack::default()),
        _ => for_the_way_back(client, version).await,
    }
}

/// Reads the receipt of `version`; nothing of it is known if there is none.
pub(super) async fn for_the_way_back(client: &Client, version: i32) -> Result<ForTheWayBack, Error> {
    let doing = || Error::database("reading the receipt");
    if !reading::has_table(client, TABLE).await? {
        let instead = catalog::instead_of(client, &[TABLE]).await?;
        return match instead.into_iter().next() {
            Some((name, Instead::Elsewhere(schema))) => {
                Err(Error::Target(vec![format!("table {name}: {}", catalog::on_the_path(&schema))]))
            }
            _ => Ok(ForTheWayBack::default()),
        };
    }
    let query = format!("SELECT source->'definition', tables, left_behind FROM {TABLE} WHERE version = $1");
    let Some(row) = client.query_opt(&query, &[&version]).await.map_err(doing())? else {
        return Ok(ForTheWayBack::default());
    };
    // a receipt that another version of outgrow wrote may say less than ours
    Ok(ForTheWayBack {
        definition: row.try_get::<_, Json<Definition>>(0).ok().map(|definition| definition.0),
        tables: row.try_get::<_, Json<Vec<Spelt>>>(1).map(|tables| tables.0).unwrap_or_default(),
        left: row.try_get::<_, Json<Vec<String>>>(2).map(|left| left.0).unwrap_or_default(),
    })
}

/// The statement that makes the table, if it is not there.
pub(super) fn definition() -> String {
    let mut migration = Migration::new();
    migration.create_table_if_not_exists(TABLE, |table| {
        table.add_column("version", types::integer().primary(true).increments(false));
        table.add_column("step", types::text());
        table.add_column("source", types::custom("jsonb").nullable(true));
        table.add_column("tables", types::custom("jsonb"));
        table.add_column("left_behind", types::custom("jsonb"));
        table.add_column("proof", types::text());
        table.add_column("tool", types::text());
        table.add_column("started_at", types::custom("timestamptz"));
        table.add_column("finished_at", types::custom("timestamptz"));
    });
    migration.make::<Pg>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_made_once() {
        let sql = super::definition();
        assert!(sql.starts_with("CREATE TABLE IF NOT EXISTS \"outgrow_receipt\""), "{sql}");
        assert!(sql.contains("\"version\" INTEGER PRIMARY KEY NOT NULL"), "{sql}");
    }
}
