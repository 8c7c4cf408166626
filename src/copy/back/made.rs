//! Tables that never came from SQLite, as SQLAlchemy would make them there: the types by name, keys, NOT NULL, foreign keys.
//! (PostgreSQL: System Catalogs, `pg_constraint`.)

use crate::error::Error;
use crate::identifier::{quote, quote_all};
use crate::postgres::catalog;
use crate::sqlite::Statement;
use std::collections::HashMap;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// The statements for these tables, each with its name in the file.
pub(super) async fn statements(
    client: &Client,
    tables: &[(String, &catalog::Table)],
) -> Result<Vec<Statement>, Error> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let oids: Vec<u32> = tables.iter().map(|(_, table)| table.oid).collect();
    let rows = client.query(CONSTRAINTS, &[&oids]).await;
    let mut constraints: HashMap<u32, Vec<Row>> = HashMap::new();
    for row in rows.map_err(Error::database("reading the target's constraints"))? {
        constraints.entry(row.get(0)).or_default().push(row);
    }
    let none = Vec::new();
    let made = tables.iter().map(|(name, table)| {
        let constraints = constraints.get(&table.oid).unwrap_or(&none);
        Statement {
            kind: "table".into(),
            name: name.clone(),
            table: name.clone(),
            sql: statement(name, table, constraints),
        }
    });
    Ok(made.collect())
}

fn statement(name: &str, table: &catalog::Table, constraints: &[Row]) -> String {
    let columns_of = |row: &Row| row.get::<_, Vec<String>>(2);
    let primary = constraints.iter().find(|row| row.get::<_, &str>(1) == "p").map(columns_of);
    let rowid = match primary.as_deref() {
        Some([only]) => table.columns.iter().find(|column| column.name == *only && is_integer(column)),
        _ => None,
    };
    let columns =
        table.columns.iter().filter(|column| !column.generated || is_first_of_none(table)).map(|column| {
            let is_rowid = rowid.is_some_and(|rowid| rowid.name == column.name);
            let declared = if is_rowid { "INTEGER PRIMARY KEY".to_owned() } else { declared(column) };
            let null = if column.not_null { " NOT NULL" } else { "" };
            format!("{} {declared}{null}", quote(&column.name))
        });
    let mut parts: Vec<String> = columns.collect();
    for row in constraints {
        let columns = columns_of(row);
        let list = quote_all(columns.iter().map(String::as_str));
        match row.get::<_, &str>(1) {
            "p" if rowid.is_none() => parts.push(format!("PRIMARY KEY ({list})")),
            "u" => parts.push(format!("UNIQUE ({list})")),
            "f" => {
                let referred: Vec<String> = row.get(4);
                let referred = quote_all(referred.iter().map(String::as_str));
                parts.push(format!("FOREIGN KEY ({list}) REFERENCES {} ({referred})", quote(row.get(3))));
            }
            _ => {}
        }
    }
    format!("CREATE TABLE {} (\n  {}\n)", quote(name), parts.join(",\n  "))
}

/// A table of generated columns alone has to have some column.
fn is_first_of_none(table: &catalog::Table) -> bool {
    table.columns.iter().all(|column| column.generated)
}

fn is_integer(column: &catalog::Column) -> bool {
    matches!(Type::from_oid(column.type_oid), Some(Type::INT2 | Type::INT4 | Type::INT8))
}

/// The type by which SQLAlchemy declares such a column in SQLite. Its affinity keeps what the column holds: a number with more
/// digits than a double has is text, and no NUMERIC.
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

const CONSTRAINTS: &str = "\
SELECT c.conrelid, c.contype::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ORDER BY k.position),
       f.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum ORDER BY k.position)
FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_class f ON f.oid = c.confrelid
WHERE c.conrelid = ANY ($1) AND c.contype IN ('p', 'u', 'f') AND c.conparentid = 0
ORDER BY c.conrelid, c.contype = 'f', c.contype, c.conname";
