//! Tables that never came from SQLite, as SQLAlchemy would make them there: the types by name, keys, NOT NULL, foreign
//! keys; and the defaults that SQLite has a form for, ids that are given once. (PostgreSQL: System Catalogs, `pg_constraint`.)

use super::default;
use super::fed::Fed;
use crate::error::Error;
use crate::identifier::{quote, quote_all};
use crate::postgres::catalog;
use crate::sqlite::draft::Draft;
use crate::sqlite::{Definition, Statement};
use std::collections::HashMap;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// Adds to `definition` the statements for the tables of `all` that it does not make. What SQLite could not use of
/// their keys is left out, with a note. `draft` is the schema so far, and gets them too.
pub(super) async fn add(
    client: &Client,
    all: &[Fed<'_>],
    draft: &Draft,
    definition: &mut Definition,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let new: Vec<&Fed<'_>> = all.iter().filter(|fed| fed.made_by(definition).is_none()).collect();
    if new.is_empty() {
        return Ok(());
    }
    let oids: Vec<u32> = new.iter().map(|fed| fed.target.oid).collect();
    let rows = client.query(CONSTRAINTS, &[&oids]).await;
    let mut constraints: HashMap<u32, Vec<Constraint>> = HashMap::new();
    for row in rows.map_err(Error::database("reading the target's constraints"))? {
        constraints.entry(row.get(0)).or_default().push(Constraint::of(&row));
    }
    let rows = client.query(DEFAULTS, &[&oids]).await;
    let mut defaults: HashMap<u32, HashMap<String, String>> = HashMap::new();
    for row in rows.map_err(Error::database("reading the target's defaults"))? {
        defaults.entry(row.get(0)).or_default().insert(row.get(1), row.get(2));
    }
    let failed = |error: rusqlite::Error| Error::Io(std::io::Error::other(error));
    let (none, without) = (Vec::new(), HashMap::new());
    let mut made = Vec::new();
    for fed in new {
        let constraints = constraints.get(&fed.target.oid).unwrap_or(&none);
        let defaults = defaults.get(&fed.target.oid).unwrap_or(&without);
        let parts = parts(fed, constraints, defaults, notes);
        draft.add(&statement(fed, &parts));
        made.push((fed, parts, constraints));
    }
    // only now is every table there that one may refer to
    for (fed, mut parts, constraints) in made {
        for key in constraints.iter().filter(|constraint| constraint.kind == "f") {
            match foreign_key(fed, key, all, draft).map_err(failed)? {
                Ok(part) => parts.push(part),
                Err(why) => notes.push(format!(
                    "{}: its foreign key ({}) to the target's {} ({}) is not in the file: {why}",
                    fed.name(),
                    key.columns.join(", "),
                    key.parent_name,
                    key.referred.join(", ")
                )),
            }
        }
        definition.statements.push(statement(fed, &parts));
    }
    Ok(())
}

/// A key of the target.
struct Constraint {
    /// `p`, `u` or `f`, as in `pg_constraint`; a unique index is a `u`.
    kind: String,
    columns: Vec<String>,
    /// Of a foreign key: the table referred to.
    parent: u32,
    parent_name: String,
    referred: Vec<String>,
}

impl Constraint {
    fn of(row: &Row) -> Constraint {
        Constraint {
            kind: row.get(1),
            columns: row.get(2),
            parent: row.get::<_, Option<u32>>(3).unwrap_or_default(),
            parent_name: row.get::<_, Option<String>>(4).unwrap_or_default(),
            referred: row.get(5),
        }
    }
}

fn statement(fed: &Fed<'_>, parts: &[String]) -> Statement {
    let name = fed.name();
    Statement {
        kind: "table".into(),
        name: name.into(),
        table: name.into(),
        sql: format!("CREATE TABLE {} (\n  {}\n)", quote(name), parts.join(",\n  ")),
    }
}

/// The columns of the table, and its own keys.
fn parts(
    fed: &Fed<'_>,
    constraints: &[Constraint],
    defaults: &HashMap<String, String>,
    notes: &mut Vec<String>,
) -> Vec<String> {
    let table = fed.target;
    let has = |column: &catalog::Column| !column.generated || is_first_of_none(table);
    let primary = constraints.iter().find(|constraint| constraint.kind == "p");
    let rowid = match primary.map(|primary| primary.columns.as_slice()) {
        Some([only]) => table.columns.iter().find(|column| column.name == *only && is_integer(column)),
        _ => None,
    };
    let mut formless = Vec::new();
    let columns = table.columns.iter().filter(|column| has(column)).map(|column| {
        let is_rowid = rowid.is_some_and(|rowid| rowid.name == column.name);
        let null = if column.not_null { " NOT NULL" } else { "" };
        let declared = match (is_rowid, &column.sequence) {
            (true, Some(_)) => "INTEGER PRIMARY KEY AUTOINCREMENT".to_owned(),
            (true, None) => "INTEGER PRIMARY KEY".to_owned(),
            (false, _) => declared(column),
        };
        let default = defaults.get(&column.name).filter(|_| !is_rowid);
        let default = match default.map(|default| default::of(default, column)) {
            Some(Some(value)) => format!(" DEFAULT {value}"),
            Some(None) => {
                formless.push(column.name.as_str());
                String::new()
            }
            None => String::new(),
        };
        format!("{} {declared}{default}{null}", quote(&column.name))
    });
    let mut parts: Vec<String> = columns.collect();
    if !formless.is_empty() {
        let columns = formless.join(", ");
        notes
            .push(format!("{}: without the default of {columns}, which has no form in the file", fed.name()));
    }
    for constraint in constraints {
        let kind = match constraint.kind.as_str() {
            "p" if rowid.is_none_or(|rowid| !has(rowid)) => "PRIMARY KEY",
            "u" => "UNIQUE",
            _ => continue,
        };
        let lacks = |name: &&String| !table.columns.iter().any(|column| column.name == **name && has(column));
        match constraint.columns.iter().find(lacks) {
            Some(column) => notes.push(format!(
                "{}: its key ({}) is not in the file: the file's table has no column {column}, which the target computes",
                fed.name(),
                constraint.columns.join(", ")
            )),
            None => parts.push(format!("{kind} ({})", quote_all(constraint.columns.iter().map(String::as_str)))),
        }
    }
    parts
}

/// The foreign key in the file's names, or why SQLite could not use it there.
fn foreign_key(
    fed: &Fed<'_>,
    key: &Constraint,
    all: &[Fed<'_>],
    draft: &Draft,
) -> rusqlite::Result<Result<String, String>> {
    let Some(parent) = all.iter().find(|fed| fed.target.oid == key.parent) else {
        return Ok(Err("the file has no such table".into()));
    };
    let names = |fed: &Fed<'_>, columns: &[String]| -> rusqlite::Result<Result<Vec<String>, String>> {
        let there = draft.columns(fed.name())?;
        let name = |column: &String| {
            let name = fed.column(column, &there).map(str::to_owned);
            name.ok_or_else(|| {
                format!("no column of the file's table {} gets what is in {column}", fed.name())
            })
        };
        Ok(columns.iter().map(name).collect())
    };
    let (own, referred) = match (names(fed, &key.columns)?, names(parent, &key.referred)?) {
        (Ok(own), Ok(referred)) => (own, referred),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    let referred: Vec<&str> = referred.iter().map(String::as_str).collect();
    let parent = parent.name();
    if !draft.is_key(parent, &referred)? {
        return Ok(Err(format!("SQLite wants a key of {parent} on these columns, and the file's has none")));
    }
    let (own, referred) = (quote_all(own.iter().map(String::as_str)), quote_all(referred));
    Ok(Ok(format!("FOREIGN KEY ({own}) REFERENCES {} ({referred})", quote(parent))))
}

/// A table of generated columns alone has to have some column.
fn is_first_of_none(table: &catalog::Table) -> bool {
    table.columns.iter().all(|column| column.generated)
}

fn is_integer(column: &catalog::Column) -> bool {
    matches!(Type::from_oid(column.type_oid), Some(Type::INT2 | Type::INT4 | Type::INT8))
}

/// The type by which SQLAlchemy declares such a column in SQLite. Its affinity keeps what the column holds: a number
/// with more digits than a double has is text, and no NUMERIC.
fn declared(column: &catalog::Column) -> String {
    let length = column.modifier - 4;
    let name = match Type::from_oid(column.type_oid) {
        Some(Type::BOOL) => "BOOLEAN",
        Some(Type::INT2) => "SMALLINT",
        Some(Type::INT4 | Type::OID) => "INTEGER",
        Some(Type::INT8) => "BIGINT",
        Some(Type::FLOAT4 | Type::FLOAT8) => "FLOAT",
        Some(Type::NUMERIC) if column.modifier >= 4 && (column.modifier - 4) >> 16 <= 15 => {
            return format!("NUMERIC({}, {})", length >> 16, ((length & 0x7ff) ^ 1024) - 1024);
        }
        Some(Type::BYTEA) => "BLOB",
        Some(Type::UUID) => "CHAR(36)",
        Some(Type::DATE) => "DATE",
        Some(Type::TIME | Type::TIMETZ) => "TIME",
        Some(Type::TIMESTAMP | Type::TIMESTAMPTZ) => "DATETIME",
        Some(Type::VARCHAR | Type::BPCHAR) if length > 0 => return format!("VARCHAR({length})"),
        // JSON would have the affinity of numbers
        _ => "TEXT",
    };
    name.to_owned()
}

/// Identities have none, and what is computed is no default. (PostgreSQL: System Catalogs, `pg_attrdef`.)
const DEFAULTS: &str = "\
SELECT d.adrelid, a.attname::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE d.adrelid = ANY ($1) AND a.attgenerated = ''";

/// A unique index that is no constraint's is a key as well: a foreign key may refer to it. (PostgreSQL: CREATE TABLE,
/// "REFERENCES"; System Catalogs, `pg_index`.)
const CONSTRAINTS: &str = "\
SELECT c.conrelid, c.contype::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ORDER BY k.position) AS columns,
       f.oid, f.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum ORDER BY k.position),
       c.contype = 'f' AS is_foreign, c.conname AS name
FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_class f ON f.oid = c.confrelid
WHERE c.conrelid = ANY ($1) AND c.contype IN ('p', 'u', 'f') AND c.conparentid = 0
UNION ALL
SELECT i.indrelid, 'u',
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE k.position <= i.indnkeyatts ORDER BY k.position),
       NULL, NULL, '{}', false, r.relname
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class r ON r.oid = i.indexrelid
WHERE i.indrelid = ANY ($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))
ORDER BY conrelid, is_foreign, contype, name";
