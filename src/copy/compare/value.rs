//! The third pass, only for `--show-values`: the beginnings of the cells of the few rows that are named. The source's
//! are written as SQLite literals; the target's, and constants, as the server writes them, by itself where it alone
//! knows how.

use super::difference::Differing;
use super::shape::{Shape, cells};
use super::subject::on_thread;
use super::verdict::{Row, TableVerdict, Value};
use crate::error::Error;
use crate::sqlite::Source;
use crate::sqlite::scan::Place;
use bytes::BytesMut;
use rusqlite::types::ValueRef;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio_postgres::Client;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use xxhash_rust::xxh3::xxh3_128;

/// Values are cut after this many characters, or bytes of a blob.
const SHOWN: usize = 200;

/// Adds the values to the rows that `verdict` names.
pub(super) async fn show(
    client: &Client,
    source: Source,
    differing: &Arc<Differing>,
    mut verdict: TableVerdict,
) -> Result<(Source, TableVerdict), Error> {
    let shape = &differing.subject.shape;
    let stored = stored_rows(client, differing, &verdict).await?;
    let sources = [&verdict.missing, &verdict.changed].into_iter().flat_map(|rows| &rows.first);
    let places: Vec<Place> = sources.filter_map(place).collect();
    let (source, sent) = source_cells(source, differing, places).await?;
    for kind in [&mut verdict.missing, &mut verdict.added, &mut verdict.changed] {
        for row in &mut kind.first {
            let columns = columns(shape, row);
            let sent = place(row).and_then(|place| sent.iter().find(|(known, _)| *known == place));
            let sent = match sent {
                Some((_, cells)) => Some(texts(client, differing, cells, &columns).await?),
                None => None,
            };
            let stored = match stored.get(&row.hash) {
                // what is missing is not there: another row may have its key
                Some(cells) if place(row).is_none() || !row.columns.is_empty() => {
                    Some(texts(client, differing, cells, &columns).await?)
                }
                _ => None,
            };
            row.values = columns
                .iter()
                .enumerate()
                .map(|(at, index)| Value {
                    column: shape.fields[*index].name.clone(),
                    source: sent.as_ref().map(|texts| texts[at].clone()),
                    target: stored.as_ref().map(|texts| texts[at].clone()),
                })
                .collect();
        }
    }
    Ok((source, verdict))
}

/// The key's columns and those that differ; all of them if there is no key.
fn columns(shape: &Shape, row: &Row) -> Vec<usize> {
    let shown = |index: &usize| {
        shape.key.is_empty() || shape.key.contains(index) || row.columns.contains(&shape.fields[*index].name)
    };
    (0..shape.fields.len()).filter(shown).collect()
}

fn place(row: &Row) -> Option<Place> {
    row.rowid.map(Place::Rowid).or(row.row_number.map(Place::Ordinal))
}

/// A cell to be shown: of a large one only its beginning is kept.
enum Shown {
    Text(String),
    /// A cell of a COPY-binary tuple, which the server is to spell.
    Raw(Vec<u8>),
}

/// The target's rows of those named, by the hash of their key.
async fn stored_rows(
    client: &Client,
    differing: &Differing,
    verdict: &TableVerdict,
) -> Result<HashMap<u128, Vec<Shown>>, Error> {
    let (subject, named) = (&differing.subject, verdict.added.first.iter().chain(&verdict.changed.first));
    let named: Vec<u128> = named.map(|row| row.hash).collect();
    let (mut rows, mut scratch) = (HashMap::new(), Vec::new());
    if !named.is_empty() {
        let each = |row: &[u8]| {
            let key = subject.shape.key_hash(row, xxh3_128(row), &mut scratch);
            if named.contains(&key) {
                rows.entry(key).or_insert_with(|| tuple(&subject.shape, row, 0).collect());
            }
        };
        subject.of_target(client, each).await?;
    }
    Ok(rows)
}

/// The source's cells of the rows in `places`, and what the step adds to them.
async fn source_cells(
    source: Source,
    differing: &Arc<Differing>,
    places: Vec<Place>,
) -> Result<(Source, Vec<(Place, Vec<Shown>)>), Error> {
    let subject = Arc::clone(&differing.subject);
    on_thread(source, move |source, wanted| {
        let mut rows = Vec::new();
        if places.is_empty() {
            return Ok(rows);
        }
        // rows of the quarantine are the step's own
        let width = if subject.is_quarantined() { 0 } else { subject.table.columns.len() };
        subject.of_source(source, wanted, |row| {
            let place = row.place();
            if places.contains(&place) {
                let cells = (0..width).map(|index| Ok(Shown::Text(literal(row.cells.value(index)?))));
                let cells = cells.collect::<rusqlite::Result<Vec<_>>>().map_err(std::io::Error::other)?;
                let added = tuple(&subject.shape, row.bytes, width);
                rows.push((place, cells.into_iter().chain(added).collect()));
            }
            Ok(())
        })?;
        Ok(rows)
    })
    .await
}

/// The cells of a row from the one at `start` on.
fn tuple(shape: &Shape, row: &[u8], start: usize) -> impl Iterator<Item = Shown> {
    let cells = cells(row).zip(&shape.fields).skip(start);
    cells.map(|(cell, field)| match spelt(cell, field.type_oid) {
        Some(text) => Shown::Text(text),
        None => Shown::Raw(cell.to_vec()),
    })
}

/// The beginning of a cell as the server writes it, for NULL and the types that may be large and are spelt as they are.
fn spelt(cell: &[u8], type_oid: u32) -> Option<String> {
    let (length, bytes) = cell.split_at_checked(4)?;
    if length[0] & 0x80 != 0 {
        return Some("NULL".to_owned());
    }
    let text = match Type::from_oid(type_oid)? {
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON => bytes,
        // a version number comes first
        Type::JSONB => bytes.get(1..)?,
        Type::BYTEA => return Some(format!("\\x{}", hex(bytes))),
        _ => return None,
    };
    // a character takes up to four bytes
    let start = String::from_utf8_lossy(&text[..text.len().min(4 * (SHOWN + 1))]);
    Some(shortened(start.into_owned()))
}

/// The value as SQL writes it.
fn literal(value: ValueRef<'_>) -> String {
    let more = |cut: bool| if cut { "…" } else { "" };
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(real) => format!("{real:?}"),
        ValueRef::Text(bytes) => {
            // a character takes up to four bytes
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN)]);
            let start: String = text.chars().take(SHOWN).collect();
            format!("'{}{}'", start.replace('\'', "''"), more(start.len() < bytes.len()))
        }
        ValueRef::Blob(bytes) => {
            format!("x'{}'", hex(bytes))
        }
    }
}

/// The beginning of a blob.
fn hex(bytes: &[u8]) -> String {
    let start: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN { start + "…" } else { start }
}

/// The cells `columns` of a row, as the server writes them where that is not known.
async fn texts(
    client: &Client,
    differing: &Differing,
    row: &[Shown],
    columns: &[usize],
) -> Result<Vec<String>, Error> {
    let (mut raw, mut shown) = (Vec::new(), Vec::new());
    for index in columns {
        if let Shown::Raw(cell) = &row[*index] {
            raw.push(Raw(cell));
            let name = &differing.subject.shape.fields[*index].type_name;
            shown.push(format!("left(${}::{name}::text, {})", raw.len(), SHOWN + 1));
        }
    }
    let mut spelt = Vec::new();
    if !raw.is_empty() {
        let query = format!("SELECT ARRAY[{}]::text[]", shown.join(", "));
        let parameters: Vec<&(dyn ToSql + Sync)> = raw.iter().map(|raw| raw as &(dyn ToSql + Sync)).collect();
        let doing = Error::database(format!("writing values of table {}", differing.subject.name));
        spelt = client.query_one(&query, &parameters).await.map_err(doing)?.get(0);
    }
    let mut spelt: std::vec::IntoIter<Option<String>> = spelt.into_iter();
    let text = |index: &usize| match &row[*index] {
        Shown::Text(text) => text.clone(),
        Shown::Raw(_) => spelt.next().flatten().map_or_else(|| "NULL".to_owned(), shortened),
    };
    Ok(columns.iter().map(text).collect())
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A cell of a COPY-binary tuple, sent back as it came.
struct Raw<'a>(&'a [u8]);

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ToSql for Raw<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let (length, bytes) = self.0.split_at(4);
        if length[0] & 0x80 != 0 {
            return Ok(IsNull::Yes);
        }
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_cut_between_characters() {
        let long = "ñ".repeat(SHOWN + 1);
        let shown = literal(ValueRef::Text(long.as_bytes()));
        assert_eq!(shown.chars().count(), SHOWN + 3);
        assert_eq!(literal(ValueRef::Text(b"it's")), "'it''s'");
        assert_eq!(literal(ValueRef::Blob(&[0, 255])), "x'00ff'");
    }
}
