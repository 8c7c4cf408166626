//! Reading the two sides row by row: the target through [`read_back`](crate::copy::proof::read_back), the source here,
//! on a thread of its own that ends early when nobody waits for it any more.

use super::shape::UNFIT;
use crate::copy::cell::{self, Fate};
use crate::copy::columns::BoundTable;
use crate::error::Error;
use crate::sqlite::Source;
use crate::sqlite::scan::Cells;
use crate::value::Misfit;
use tokio::sync::oneshot;

/// The scan looks this often, in rows, whether it is still wanted.
const LOOK_UP: u64 = 1024;

/// One row of the source under the cursor.
pub(super) struct SourceRow<'a> {
    /// The cells as SQLite has them.
    pub cells: &'a Cells<'a>,
    /// The row as PostgreSQL would store it; a cell that does not fit has the length [`UNFIT`].
    pub bytes: &'a [u8],
    /// The columns that do not fit.
    pub misfits: &'a [(usize, Misfit)],
}

/// Runs `work` on a thread that may block, and hands the source back with its result. The second argument of `work` says
/// whether it is still wanted.
pub(super) async fn on_thread<T: Send + 'static>(
    source: Source,
    work: impl FnOnce(&Source, &dyn Fn() -> bool) -> Result<T, Error> + Send + 'static,
) -> Result<(Source, T), Error> {
    let (sender, receiver) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let result = work(&source, &|| !sender.is_closed());
        // fails only if nobody waits
        let _ = sender.send(result.map(|done| (source, done)));
    });
    receiver.await.map_err(std::io::Error::other)?
}

/// Calls `each` with every row of the source's table.
pub(super) fn source_rows(
    source: &Source,
    table: &BoundTable,
    wanted: &dyn Fn() -> bool,
    mut each: impl FnMut(&SourceRow<'_>) -> rusqlite::Result<()>,
) -> Result<(), Error> {
    let unreadable = |reason: String| Error::Source {
        file: source.file.clone(),
        reason: format!("table {}: {reason}", table.source.name),
    };
    let columns: Vec<&str> = table.columns.iter().map(|column| column.source.name.as_str()).collect();
    let (mut bytes, mut misfits, mut number) = (Vec::new(), Vec::new(), 0_u64);
    source.scan(&table.source, &columns, |cells| {
        number += 1;
        if number.is_multiple_of(LOOK_UP) && !wanted() {
            return Err(unreadable("the comparison was given up".to_owned()));
        }
        misfits.clear();
        let compared = encode(table, cells, &mut bytes, &mut misfits);
        compared
            .and_then(|compared| match compared {
                true => each(&SourceRow { cells, bytes: &bytes, misfits: &misfits }),
                false => Ok(()),
            })
            .map_err(|error| unreadable(error.to_string()))
    })
}

/// The row as a COPY-binary tuple; false if a rule sends it to the quarantine, so that the target is right to lack it.
fn encode(
    table: &BoundTable,
    cells: &Cells<'_>,
    bytes: &mut Vec<u8>,
    misfits: &mut Vec<(usize, Misfit)>,
) -> rusqlite::Result<bool> {
    bytes.clear();
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "at most 1600 columns")]
    let width = table.columns.len() as i16;
    bytes.extend_from_slice(&width.to_be_bytes());
    let mut compared = true;
    for (index, column) in table.columns.iter().enumerate() {
        let at = bytes.len();
        match cell::convert(column, cells.value(index)?, bytes) {
            Fate::Fits(_) | Fate::Nulled => {}
            Fate::Quarantined(_) => compared = false,
            Fate::Refused(misfit) => {
                bytes.truncate(at);
                bytes.extend_from_slice(&UNFIT);
                misfits.push((index, misfit));
            }
        }
    }
    Ok(compared)
}
