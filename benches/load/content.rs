//! What a load left in the database, to be compared with what another left.

use crate::case::Case;
use crate::server::Server;
use std::error::Error;

/// Per table: rows, and the sum of their hashes.
pub type Content = Vec<(i64, String)>;

pub fn content(server: &Server, case: &Case) -> Result<Content, Box<dyn Error>> {
    let mut client = server.connect()?;
    let tables = case.tables.iter().map(|table| {
        let query = format!(
            "SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text, 0)), 0)::text FROM {}",
            table.names(),
            table.name
        );
        let row = client.query_one(&query, &[])?;
        Ok((row.get(0), row.get(1)))
    });
    tables.collect()
}

pub fn require_content(
    server: &Server,
    case: &Case,
    who: &str,
    expected: &Content,
) -> Result<(), Box<dyn Error>> {
    let found = content(server, case)?;
    if found == *expected {
        Ok(())
    } else {
        Err(format!("{who}, {}: {found:?} instead of {expected:?}", case.name).into())
    }
}
