//! Which tables the file has, and how each is fed: in go the receipts and the target's tables, out comes the [`Plan`],
//! with both ends of every table bound ([`bind`]).

use super::bind;
use super::bookkeeping;
use super::fed::{self, Fed};
use super::made;
use super::modules::Modules;
use super::notes::{self as said, Held};
use super::originals::{self, ColumnFormat};
use super::orphans::Enforced;
use super::sequence;
use super::untold::Told;
use crate::copy::alike::is_untold;
use crate::copy::columns::{BoundColumn, BoundTable};
use crate::copy::compare::visible;
use crate::copy::originals::Key;
use crate::copy::receipt::{self, ForTheWayBack, Spelt};
use crate::copy::{TABLES_OF_OURS, quarantine, renamed};
use crate::error::Error;
use crate::identifier::quote;
use crate::migration::Version;
use crate::migration::step::Step;
use crate::postgres::{catalog, key, sequences};
use crate::sqlite::draft::Draft;
use crate::sqlite::{Definition, Statement};
use crate::value::Format;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// What is to be written.
pub(super) struct Plan {
    pub definition: Definition,
    pub tables: Vec<BackTable>,
    /// Versions whose kept cells are read first.
    pub kept: Vec<i32>,
    /// What `sqlite_sequence` counts.
    pub sequences: BTreeMap<String, i64>,
    pub notes: Vec<String>,
    /// Statements that SQLite refused.
    pub refused: Vec<String>,
    /// Foreign keys that the target enforces.
    pub enforced: Enforced,
}

/// A table with its two ends.
pub(super) struct BackTable {
    pub bound: BoundTable,
    /// By bound column.
    pub formats: Vec<ColumnFormat>,
    /// The step that brought it: number and label.
    pub step: Option<(i32, String)>,
    /// Names a row whose cells were kept, if there are such.
    pub key: Option<Key>,
    /// Rows of it are in the quarantine.
    pub quarantined: bool,
    /// It was made from the catalog, by types of our own choice: its cells are stored as they are written.
    pub made: bool,
    /// The positions of the bound columns that name a row.
    pub named_by: Vec<usize>,
    /// Columns of the file of which no cell told the format.
    pub untold: Vec<String>,
    /// What puts its rows into the order in which the file stores them.
    pub order: String,
}

impl Plan {
    /// What the server is asked, in the order in which the file takes it.
    pub(super) fn queries(&self) -> impl Iterator<Item = String> {
        let kept = self.kept.iter().map(|version| originals::query(*version));
        kept.chain(self.tables.iter().flat_map(BackTable::queries))
    }
}

impl BackTable {
    fn queries(&self) -> impl Iterator<Item = String> {
        let columns = self.bound.columns.iter().map(|column| {
            let name = quote(&column.target.name);
            if column.codec.by_input { format!("{name}::pg_catalog.text") } else { name }
        });
        let constants = self.bound.constants.iter().map(|constant| quote(&constant.target.name));
        let list: Vec<String> = columns.chain(constants).collect();
        let rows = format!("SELECT {} FROM {}{}", list.join(", "), self.bound.target.own_rows(), self.order);
        let step = self.step.as_ref().filter(|_| self.quarantined);
        let quarantined = step.map(|(version, _)| quarantine::rows(*version, &self.bound.source.name));
        std::iter::once(rows).chain(quarantined)
    }
}

/// Plans the file, and makes its schema in it.
pub(super) async fn of(
    client: &Client,
    applied: &[&Version],
    file: &Path,
    lock_timeout: Duration,
) -> Result<Plan, Error> {
    let target = tables_of_theirs(client).await?;
    let (steps, receipts) = brought(client, applied, &target).await?;
    let steps: Vec<(&Version, &Step)> = steps.iter().map(|(version, step)| (*version, step)).collect();
    let has_quarantine = visible::require(client, &target, true).await?;
    let oids: Vec<u32> = target.iter().map(|table| table.oid).collect();
    let keys = key::row_keys(client, &oids).await?;
    let mut notes = Vec::new();
    let held = Held::of(client, &receipts, has_quarantine).await?;
    let mut fed = fed::feed(&steps, &target, &receipts, &mut notes);
    let mut definition = merged(&steps, &receipts, &mut notes);
    if fed.is_empty() && definition.statements.is_empty() {
        return Err(Error::Config(
            "there is nothing to export: the target has no table in its search_path but outgrow's own; bring it to head with \
             outgrow migrate, or name another target"
                .into(),
        ));
    }
    notes.extend(bookkeeping::instead_of_the_targets(&mut fed, &mut definition));
    let mut refused = fed::unnameable(&mut fed, &definition);
    let new = fed.iter().filter(|fed| fed.made_by(&definition).is_none());
    let made: Vec<u32> = new.map(|fed| fed.target.oid).collect();
    let failed = |error: rusqlite::Error| Error::Io(std::io::Error::other(error));
    let draft = Draft::of(&definition).map_err(failed)?;
    let modules = Modules::of(&draft).map_err(failed)?;
    notes.extend(said::left(&steps, &receipts, &fed, &definition, &modules));
    modules.take_external(&mut fed, &mut notes);
    made::add(client, &fed, &draft, &mut definition, &mut notes).await?;
    let spelt = spelt_by_table(&fed, &receipts);
    let spelt = |fed: &Fed<'_>| spelt.get(&fed.target.oid).copied();
    let bound = bind::bind(file, &definition, &fed, lock_timeout, spelt, &mut notes, &mut refused)?;
    let mut told = Told::default();
    bound.iter().for_each(|(bound, fed)| told.add(bound, spelt(fed)));
    let mut tables = Vec::new();
    for (bound, fed) in bound {
        notes.extend(modules.rowids(&bound.source.name));
        bind::columns_left_behind(client, &bound, &mut notes).await?;
        let spelt = spelt(fed);
        let mut kept = None;
        if let (Some((version, _)), Some(spelt)) = (fed.step, spelt) {
            notes.extend(said::other_types(&bound, spelt, &version.label));
            notes.extend(said::unquarantined(&bound, version, spelt, &held));
            kept = said::key(&bound, version, spelt, &held, &mut notes);
        }
        let made = made.contains(&fed.target.oid);
        tables.push(table(bound, fed, (spelt, &told), keys.get(&fed.target.oid), kept, has_quarantine, made));
    }
    notes.extend(said::outside(client).await?);
    // the schema's own order, so that two exports are alike
    tables.sort_by_key(|table| {
        definition.statements.iter().position(|statement| statement.name == table.bound.source.name)
    });
    let sequences = sequence::last(client, &definition, &tables).await?;
    let (kept, enforced) = (versions_with_kept_cells(&tables), Enforced::between(client, &tables).await?);
    Ok(Plan { definition, kept, tables, sequences, notes, refused, enforced })
}

/// The application's tables.
async fn tables_of_theirs(client: &Client) -> Result<Vec<catalog::Table>, Error> {
    let ours: Vec<&str> = TABLES_OF_OURS.to_vec();
    let names = client.query(ALL, &[&ours]).await.map_err(Error::database("listing the target's tables"))?;
    let names: Vec<String> = names.iter().map(|row| row.get(0)).collect();
    let mut tables = catalog::tables(client, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    tables.retain(|table| names.contains(&table.name));
    sequences::tie(client, &mut tables).await?;
    Ok(tables)
}

/// The steps that were applied, and by version what their receipts say, both under the names of now.
async fn brought<'a>(
    client: &Client,
    applied: &[&'a Version],
    target: &[catalog::Table],
) -> Result<(Vec<(&'a Version, Step)>, HashMap<i32, ForTheWayBack>), Error> {
    let (mut steps, mut receipts) = (Vec::new(), HashMap::new());
    for (version, step) in applied.iter().filter_map(|version| Some((*version, version.step()?))) {
        let mut receipt = receipt::for_the_way_back(client, version.number).await?;
        let renames = renamed::after(version, applied);
        steps.push((version, renamed::follow(version, step, &renames, target, &mut receipt)));
        receipts.insert(version.number, receipt);
    }
    Ok((steps, receipts))
}

/// By table of the target: what the receipt of the step that brought it says of it.
fn spelt_by_table<'a>(fed: &[Fed<'_>], receipts: &'a HashMap<i32, ForTheWayBack>) -> HashMap<u32, &'a Spelt> {
    let mut by_name = HashMap::new();
    for (version, receipt) in receipts {
        for table in &receipt.tables {
            by_name.entry((*version, table.table.as_str())).or_insert(table);
        }
    }
    let of_step = |fed: &Fed<'_>| by_name.get(&(fed.step?.0.number, fed.target.name.as_str())).copied();
    fed.iter().filter_map(|fed| Some((fed.target.oid, of_step(fed)?))).collect()
}

fn versions_with_kept_cells(tables: &[BackTable]) -> Vec<i32> {
    let with_kept = tables.iter().filter(|table| table.key.is_some());
    let versions: BTreeSet<i32> = with_kept.filter_map(|table| Some(table.step.as_ref()?.0)).collect();
    versions.into_iter().collect()
}

/// What the sources were made of, all steps together.
fn merged(
    steps: &[(&Version, &Step)],
    receipts: &HashMap<i32, ForTheWayBack>,
    notes: &mut Vec<String>,
) -> Definition {
    let mut merged = Definition::default();
    for (version, step) in steps {
        let Some(receipt) = receipts.get(&version.number) else { continue };
        let Some(definition) = &receipt.definition else {
            if receipt.tables.iter().any(|table| table.state == "copied") || receipt.tables.is_empty() {
                notes.push(format!(
                    "{}: there is no receipt of what its source was made of and how its cells were written, so that its tables \
                     are made from the catalog, and their cells are as SQLAlchemy writes them",
                    version.label
                ));
            }
            continue;
        };
        let known = std::mem::replace(&mut merged, definition.clone());
        // what belongs to a table comes from where its rows came from last
        let brings = |table: &str| {
            step.tables.iter().any(|brought| brought.name.eq_ignore_ascii_case(table))
                && definition.statements.iter().any(|there| there.name.eq_ignore_ascii_case(table))
        };
        let has = |known: &[Statement], statement: &Statement| {
            let same = |other: &Statement| {
                other.table.eq_ignore_ascii_case(&statement.table)
                    || other.name.eq_ignore_ascii_case(&statement.name)
            };
            known.iter().any(same)
        };
        let (kept, _): (Vec<Statement>, Vec<Statement>) =
            known.statements.into_iter().partition(|statement| !brings(&statement.table));
        merged.statements.retain(|new| brings(&new.table) || !has(&kept, new));
        merged.statements.splice(0..0, kept);
        merged.bookkeeping.extend(known.bookkeeping);
        for (table, last) in known.sequences {
            let counted = merged.sequences.entry(table).or_insert(last);
            *counted = last.max(*counted);
        }
    }
    merged
}

fn table(
    bound: BoundTable,
    fed: &Fed<'_>,
    (spelt, told): (Option<&Spelt>, &Told),
    key: Option<&Vec<String>>,
    kept: Option<Key>,
    has_quarantine: bool,
    made: bool,
) -> BackTable {
    let format = |column: &BoundColumn| {
        let known = told.format(column, spelt);
        let number = Type::from_oid(column.target.type_oid) == Some(Type::NUMERIC);
        // SQLite would make text of it, with fifteen digits
        let format = if number && known.format == Format::Usual && column.source.has_text_affinity() {
            Format::Scaled
        } else {
            known.format
        };
        ColumnFormat { format, ..known }
    };
    let formats = bound.columns.iter().map(format).collect();
    let untold = bound.columns.iter().filter(|column| is_untold(spelt, &column.target));
    let untold = untold.map(|column| column.source.name.clone()).collect();
    let position = |name: &String| bound.columns.iter().position(|column| column.target.name == *name);
    let named_by = key.map(|key| key.iter().filter_map(position).collect()).unwrap_or_default();
    BackTable {
        formats,
        untold,
        step: fed.step.map(|(version, _)| (version.number, version.label.clone())),
        key: kept,
        quarantined: has_quarantine && fed.step.is_some(),
        made,
        named_by,
        order: order(&bound),
        bound,
    }
}

/// The order in which the file stores rows: by rowid or, without one, by the key.
fn order(bound: &BoundTable) -> String {
    let by_rowid = bound.columns.iter().find(|column| column.source.is_rowid);
    let by_key = bound
        .source
        .key
        .iter()
        .filter(|_| bound.source.rowid.is_none())
        .map(|name| bound.columns.iter().find(|column| column.source.name.eq_ignore_ascii_case(name)));
    let columns: Option<Vec<_>> = match by_rowid {
        Some(column) => Some(vec![column]),
        None => by_key.collect(),
    };
    let columns = columns.unwrap_or_default().into_iter().map(|column| {
        let text =
            matches!(Type::from_oid(column.target.type_oid), Some(Type::TEXT | Type::VARCHAR | Type::BPCHAR));
        format!("{}{}", quote(&column.target.name), if text { " COLLATE \"C\"" } else { "" })
    });
    let columns: Vec<String> = columns.collect();
    if columns.is_empty() { String::new() } else { format!(" ORDER BY {}", columns.join(", ")) }
}

/// The application's tables that a query without a schema finds. Partitions are read through their table, and those of
/// extensions are made anew. (PostgreSQL: System Catalogs, `pg_depend`.)
const ALL: &str = "\
SELECT c.relname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND pg_catalog.pg_table_is_visible(c.oid) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND c.relname <> ALL ($1)
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname";
