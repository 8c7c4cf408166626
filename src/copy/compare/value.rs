//! The third pass, only for `--show-values`: the cells of the few rows that are named. The source's are written as SQLite
//! literals; the target's are turned into text by the server, which alone knows how it writes each of its types.

use super::difference::Differing;
use super::shape::cells;
use super::sides::{on_thread, source_rows};
use super::verdict::{Row, TableVerdict, Value};
use crate::copy::proof::read_back;
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
    let stored = stored_rows(client, differing, &verdict).await?;
    let sources = [&verdict.missing, &verdict.changed].into_iter().flat_map(|rows| &rows.first);
    let places: Vec<Place> = sources.filter_map(place).collect();
    let (source, sent) = source_cells(source, differing, places).await?;
    for kind in [&mut verdict.missing, &mut verdict.added, &mut verdict.changed] {
        for row in &mut kind.first {
            let columns = columns(differing, row);
            let sent = place(row).and_then(|place| sent.iter().find(|(known, _)| *known == place));
            let stored = match stored.get(&row.hash) {
                // what is missing is not there: another row may have its key
                Some(bytes) if place(row).is_none() || !row.columns.is_empty() => {
                    Some(texts(client, differing, bytes, &columns).await?)
                }
                _ => None,
            };
            row.values = columns
                .iter()
                .enumerate()
                .map(|(at, index)| Value {
                    column: differing.table.columns[*index].target.name.clone(),
                    source: sent.map(|(_, cells)| cells[*index].clone()),
                    target: stored.as_ref().map(|texts| texts[at].clone()),
                })
                .collect();
        }
    }
    Ok((source, verdict))
}

/// The key's columns and those that differ; all of them if there is no key.
fn columns(differing: &Differing, row: &Row) -> Vec<usize> {
    let bound = &differing.table.columns;
    let shown = |index: &usize| {
        differing.shape.key.is_empty()
            || differing.shape.key.contains(index)
            || row.columns.contains(&bound[*index].target.name)
    };
    (0..bound.len()).filter(shown).collect()
}

fn place(row: &Row) -> Option<Place> {
    row.rowid.map(Place::Rowid).or(row.row_number.map(Place::Ordinal))
}

/// The target's rows of those named, by the hash of their key.
async fn stored_rows(
    client: &Client,
    differing: &Differing,
    verdict: &TableVerdict,
) -> Result<HashMap<u128, Vec<u8>>, Error> {
    let named: Vec<u128> =
        verdict.added.first.iter().chain(&verdict.changed.first).map(|row| row.hash).collect();
    let (mut rows, mut scratch) = (HashMap::new(), Vec::new());
    if !named.is_empty() {
        read_back(client, &differing.table, |row| {
            let key = differing.shape.key_hash(row, xxh3_128(row), &mut scratch);
            if named.contains(&key) {
                rows.insert(key, row.to_vec());
            }
        })
        .await?;
    }
    Ok(rows)
}

/// The source's cells of the rows in `places`.
async fn source_cells(
    source: Source,
    differing: &Arc<Differing>,
    places: Vec<Place>,
) -> Result<(Source, Vec<(Place, Vec<String>)>), Error> {
    let table = Arc::clone(&differing.table);
    on_thread(source, move |source, wanted| {
        let mut rows = Vec::new();
        if !places.is_empty() {
            source_rows(source, &table, wanted, |row| {
                let place = row.cells.place()?;
                if places.contains(&place) {
                    let cells = (0..table.columns.len()).map(|index| Ok(literal(row.cells.value(index)?)));
                    rows.push((place, cells.collect::<rusqlite::Result<_>>()?));
                }
                Ok(())
            })?;
        }
        Ok(rows)
    })
    .await
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
            let start: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
            format!("x'{start}{}'", more(bytes.len() > SHOWN))
        }
    }
}

/// The cells `columns` of a stored row, as the server writes them.
async fn texts(
    client: &Client,
    differing: &Differing,
    row: &[u8],
    columns: &[usize],
) -> Result<Vec<String>, Error> {
    let cells: Vec<&[u8]> = cells(row).collect();
    let raw: Vec<Raw<'_>> = columns.iter().map(|index| Raw(cells[*index])).collect();
    let shown: Vec<String> = columns
        .iter()
        .zip(1..)
        .map(|(index, number)| {
            let name = &differing.table.columns[*index].target.type_name;
            format!("left(${number}::{name}::text, {})", SHOWN + 1)
        })
        .collect();
    let query = format!("SELECT ARRAY[{}]::text[]", shown.join(", "));
    let parameters: Vec<&(dyn ToSql + Sync)> = raw.iter().map(|raw| raw as &(dyn ToSql + Sync)).collect();
    let found = client
        .query_one(&query, &parameters)
        .await
        .map_err(Error::database(format!("writing values of table {}", differing.table.target.name)))?;
    let texts: Vec<Option<String>> = found.get(0);
    Ok(texts.into_iter().map(|text| text.map_or_else(|| "NULL".to_owned(), shortened)).collect())
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
