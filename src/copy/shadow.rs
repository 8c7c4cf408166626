//! Copies of a step's tables without a single rule, as temporary tables: the whole source fits in, row by row with its
//! number, and what the rules of the real tables would refuse can be looked up. They end with the transaction.

use super::columns::BoundTable;
use super::load::Destination;
use crate::error::Error;
use crate::identifier::quote;
use tokio_postgres::Client;

/// The copies, empty.
pub(super) struct Shadows {
    tables: Vec<Shadow>,
    /// The column with the row's number in its table, from 1, in the order of the load; quoted.
    pub number: String,
    /// The column that is true of a row in which NULL stands for a misfit; quoted.
    pub unfit: String,
}

struct Shadow {
    of: u32,
    /// The name of what it is a copy of, quoted: expressions may use it for the whole row.
    alias: String,
}

impl Shadows {
    /// Makes them; without the columns that the server computes if `without_computed`, since an expression may raise.
    /// The role needs TEMPORARY on the database, which everybody has unless it was revoked.
    pub(super) async fn create(
        client: &Client,
        tables: &[BoundTable],
        without_computed: bool,
    ) -> Result<Shadows, Error> {
        let doing = || Error::database("making temporary tables to look up what constraints refuse");
        let mut shadows = Shadows {
            tables: Vec::with_capacity(tables.len()),
            number: number(tables),
            unfit: quote(&unfit(tables)),
        };
        let oids: Vec<u32> = tables.iter().map(|table| table.target.oid).collect();
        let definitions = client.query(DEFINITIONS, &[&oids, &without_computed]).await.map_err(doing())?;
        let mut statements = Vec::with_capacity(tables.len());
        for (index, table) in tables.iter().enumerate() {
            let columns = definitions.iter().filter(|row| row.get::<_, u32>(0) == table.target.oid);
            let columns: String = columns.map(|row| format!("{}, ", row.get::<_, &str>(1))).collect();
            statements.push(format!(
                "CREATE TEMPORARY TABLE {} ({columns}{} bigint GENERATED ALWAYS AS IDENTITY, {} boolean{}) ON COMMIT DROP",
                Shadows::name(index),
                shadows.number,
                shadows.unfit,
                if without_computed { one_by_one(tables) } else { String::new() }
            ));
            shadows.tables.push(Shadow { of: table.target.oid, alias: quote(&table.target.name) });
        }
        client.batch_execute(&statements.join("; ")).await.map_err(doing())?;
        Ok(shadows)
    }

    /// The copy of the table at `index` of those given.
    pub(super) fn name(index: usize) -> String {
        format!("pg_temp.outgrow_shadow_{index}")
    }

    /// The same, to be loaded.
    pub(super) fn destination(index: usize) -> Destination {
        Destination { name: Shadows::name(index), frozen: false }
    }

    /// The copy of table `of` and the name of the original, quoted; nothing if there is none.
    pub(super) fn copy_of(&self, of: u32) -> Option<(String, &str)> {
        let index = self.tables.iter().position(|shadow| shadow.of == of)?;
        Some((Shadows::name(index), &self.tables[index].alias))
    }

    /// Lets the server count what was loaded, so that it plans the look-up well.
    pub(super) async fn analyze(&self, client: &Client) -> Result<(), Error> {
        let names: Vec<String> = (0..self.tables.len()).map(Shadows::name).collect();
        client
            .batch_execute(&format!("ANALYZE {}", names.join(", ")))
            .await
            .map_err(Error::database("analyzing temporary tables"))
    }

    /// The copy of table `of`, for FROM, under the name of the original; nothing if there is none.
    pub(super) fn from(&self, of: u32) -> Option<String> {
        self.copy_of(of).map(|(name, alias)| format!("{name} AS {alias}"))
    }
}

/// A name for the number of a row that no column of `tables` has; quoted.
pub(super) fn number(tables: &[BoundTable]) -> String {
    quote(&free_name(tables, "outgrow_row"))
}

/// A name for the mark of a row that holds a misfit, which no column of `tables` has.
pub(super) fn unfit(tables: &[BoundTable]) -> String {
    free_name(tables, "outgrow_unfit")
}

/// A column for whose sake COPY stores each row by itself, and says at which it failed: its default is volatile.
/// (PostgreSQL: `copyfrom.c`, `CIM_SINGLE`.)
pub(super) fn one_by_one(tables: &[BoundTable]) -> String {
    format!(", {} double precision DEFAULT pg_catalog.random()", quote(&free_name(tables, "outgrow_single")))
}

/// `name`, made longer until no column of `tables` has it.
fn free_name(tables: &[BoundTable], name: &str) -> String {
    let mut name = name.to_owned();
    while tables.iter().flat_map(|table| &table.target.columns).any(|column| column.name == name) {
        name.push('_');
    }
    name
}

/// Column by column: the base type of a domain, whose CHECKs would refuse rows, and the collation, expressions and
/// defaults of the original; no identity, no NOT NULL.
const DEFINITIONS: &str = "\
WITH RECURSIVE base AS (
  SELECT t.oid AS asked, t.oid, t.typtype, t.typbasetype, t.typtypmod AS modifier
  FROM pg_catalog.pg_type t
  WHERE t.oid IN (SELECT atttypid FROM pg_catalog.pg_attribute WHERE attrelid = ANY ($1))
  UNION ALL
  SELECT b.asked, t.oid, t.typtype, t.typbasetype, greatest(b.modifier, t.typtypmod)
  FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype
  WHERE b.typtype = 'd'
)
SELECT a.attrelid,
       format('%I %s%s%s', a.attname, pg_catalog.format_type(b.oid, greatest(a.atttypmod, b.modifier)),
              CASE WHEN l.oid IS NOT NULL THEN format(' COLLATE %I.%I', n.nspname, l.collname) END,
              CASE WHEN a.attgenerated <> ''
                   THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_catalog.pg_get_expr(d.adbin, d.adrelid))
                   WHEN d.oid IS NOT NULL THEN format(' DEFAULT %s', pg_catalog.pg_get_expr(d.adbin, d.adrelid)) END)
FROM pg_catalog.pg_attribute a
JOIN base b ON b.asked = a.atttypid AND b.typtype <> 'd'
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped AND NOT ($2 AND a.attgenerated <> '')
ORDER BY a.attrelid, a.attnum";
