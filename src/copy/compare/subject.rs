//! What is compared: the rows that a step brought into one table, or those of it that went to the quarantine. Both
//! sides are read row by row as COPY-binary tuples, the target through the server's COPY, the source on a thread of its
//! own that ends early when nobody waits for it any more.

use super::shape::{Field, Shape, UNFIT};
use super::spelling::{Pass, Spelling};
use crate::copy::canonical::Forms;
use crate::copy::cell::{self, Fate};
use crate::copy::columns::BoundTable;
use crate::copy::progress::{Phase, Progress};
use crate::copy::proof::{self, Tally};
use crate::copy::quarantine;
use crate::error::Error;
use crate::identifier::quote;
use crate::migration::step::Policy;
use crate::sqlite::Source;
use crate::sqlite::scan::{Cells, Place, unreadable};
use crate::value::Misfit;
use tokio::sync::oneshot;
use tokio_postgres::Client;

/// The scan looks this often, in rows, whether it is still wanted.
const LOOK_UP: u64 = 1024;

/// Rows of one table with their two ends.
pub(super) struct Subject {
    /// The table that brought them.
    pub table: BoundTable,
    /// Their columns, and which of these tell them apart.
    pub shape: Shape,
    /// The target's table.
    pub name: String,
    part: Part,
    /// What the server makes of the columns that it reads itself, once it was asked ([`super::spelling`]).
    pub spelling: Option<Spelling>,
    /// What the server is asked for: see [`proof::rows`].
    copied: String,
    /// Number of columns, as each tuple begins with it.
    width: [u8; 2],
    /// The constants, as each tuple ends with them.
    constants: Vec<u8>,
    /// The columns of which both sides are brought to one form first.
    forms: Forms,
    /// Where it is shown how far the reading of the source is.
    progress: Progress,
}

/// Which rows of the source are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Those in the table itself.
    Stored,
    /// Those that a rule sent to the quarantine instead, by the step of this version.
    Quarantined(i32),
}

/// One row of the source under the cursor.
pub(super) struct SourceRow<'a> {
    /// The cells as SQLite has them.
    pub cells: &'a Cells<'a>,
    /// The row as PostgreSQL would store it, in the form in which it is compared; a cell that does not fit has the
    /// length [`UNFIT`].
    pub bytes: &'a [u8],
    /// The columns that do not fit.
    pub misfits: &'a [(usize, Misfit)],
}

impl SourceRow<'_> {
    /// Where the row is.
    pub(super) fn place(&self) -> Place {
        self.cells.place()
    }
}

/// Runs `work` on a thread that may block, and hands the source back with its result. The second argument of `work`
/// says whether it is still wanted.
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

/// What a thread says that nobody waits for.
pub(super) fn given_up() -> Error {
    Error::Io(std::io::Error::other("the comparison was given up"))
}

impl Subject {
    /// The rows in the table, whose primary key has the columns `key`.
    pub(super) fn stored(table: BoundTable, key: Option<&Vec<String>>) -> Subject {
        let constants = table.constants.iter().map(|constant| (&constant.target, false));
        let columns = table.columns.iter().map(|column| (&column.target, column.codec.by_input));
        let (mut fields, mut selected, mut as_it_is) = (Vec::new(), Vec::new(), true);
        for (column, by_input) in columns.chain(constants) {
            fields.push(if by_input { Field::text(&column.name) } else { Field::of(column) });
            selected.push(quote(&column.name) + if by_input { "::pg_catalog.text" } else { "" });
            as_it_is &= !by_input;
        }
        let key = key.map(|key| key.iter().map(String::as_str).collect()).unwrap_or_default();
        let copied = if as_it_is {
            table.copied()
        } else {
            format!("(SELECT {} FROM {})", selected.join(", "), table.target.own_rows())
        };
        Subject {
            // PostgreSQL has at most 1600 columns in a table
            width: i16::try_from(fields.len()).unwrap_or(i16::MAX).to_be_bytes(),
            constants: table.constants.iter().flat_map(|constant| constant.field.clone()).collect(),
            shape: Shape::of(fields, key),
            name: table.target.name.clone(),
            part: Part::Stored,
            spelling: None,
            copied,
            forms: table.forms(),
            table,
            progress: Progress::default(),
        }
    }

    /// The same rows, with `progress` to show how far they are read.
    pub(super) fn shown(self, progress: &Progress) -> Subject {
        Subject { progress: progress.clone(), ..self }
    }

    /// A pass over both sides begins.
    pub(super) fn begin(&self, source: &Source) {
        let expected = source.at_most(&self.table.source);
        self.progress.begin(Phase::Comparing, &self.table.source.name, expected);
    }

    /// The same rows, byte by byte, as a step proves them and as its receipt has them.
    pub(super) fn bytewise(self) -> Subject {
        Subject { forms: Forms::default(), ..self }
    }

    /// The rows of the table that the step `version` put into the quarantine; `None` if no rule does so.
    pub(super) fn quarantined(table: BoundTable, version: i32) -> Option<Subject> {
        if table.columns.iter().all(|column| column.misfit != Policy::Quarantine) {
            return None;
        }
        Some(Subject {
            shape: Shape::of(quarantine::columns().map(Field::text).collect(), vec!["place"]),
            name: quarantine::TABLE.to_owned(),
            part: Part::Quarantined(version),
            spelling: None,
            copied: format!("({})", quarantine::query(version, Some(&table.source.name))),
            width: [0; 2],
            constants: Vec::new(),
            table,
            forms: Forms::default(),
            progress: Progress::default(),
        })
    }

    /// The rows are in the quarantine.
    pub(super) fn is_quarantined(&self) -> bool {
        self.part != Part::Stored
    }

    /// Calls `each` with every row that the server has, in the form in which it is compared. What the rows add up to as
    /// the server sent them, if that is another one.
    pub(super) async fn of_target(
        &self,
        client: &Client,
        mut each: impl FnMut(&[u8]),
    ) -> Result<Option<Tally>, Error> {
        if self.forms.none() {
            proof::rows(client, &self.name, &self.copied, each).await?;
            return Ok(None);
        }
        let (mut sent, mut unified) = (Tally::default(), Vec::new());
        let unify = |row: &[u8]| {
            sent.add(row);
            unified.clear();
            unified.extend_from_slice(row);
            self.forms.unify(&mut unified);
            each(&unified);
        };
        proof::rows(client, &self.name, &self.copied, unify).await?;
        Ok(Some(sent))
    }

    /// Calls `each` with every row of the source.
    pub(super) fn of_source(
        &self,
        source: &Source,
        wanted: &dyn Fn() -> bool,
        mut each: impl FnMut(&SourceRow<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let columns = self.table.source_columns();
        let mut spelt = self.spelling.as_ref().map(Spelling::open);
        let mut pass = spelt.as_mut().map(|spelt| Pass::over(spelt)).transpose()?;
        let (mut bytes, mut misfits, mut number) = (Vec::new(), Vec::new(), 0_u64);
        source.scan(&self.table.source, &columns, |cells| {
            number += 1;
            if number.is_multiple_of(LOOK_UP) {
                self.progress.rows(number);
                if !wanted() {
                    return Err(given_up());
                }
            }
            misfits.clear();
            let quarantined = self.encode(cells, &mut bytes, &mut misfits)?;
            if let (Part::Quarantined(version), Some((index, misfit))) = (self.part, quarantined) {
                let table = &self.table.source.name;
                bytes = quarantine::tuple(version, table, columns[index], misfit.0, &columns, cells)?;
                misfits.clear();
            }
            if self.is_quarantined() == quarantined.is_some() {
                if let Some(pass) = &mut pass {
                    pass.put(&self.table, &mut bytes, &mut misfits)?;
                }
                self.forms.unify(&mut bytes);
                each(&SourceRow { cells, bytes: &bytes, misfits: &misfits })?;
            }
            Ok(())
        })
    }

    /// The row as a COPY-binary tuple; the first column and its misfit if a rule sends it to the quarantine.
    fn encode(
        &self,
        cells: &Cells<'_>,
        bytes: &mut Vec<u8>,
        misfits: &mut Vec<(usize, Misfit)>,
    ) -> Result<Option<(usize, Misfit)>, Error> {
        bytes.clear();
        bytes.extend_from_slice(&self.width);
        let mut quarantined = None;
        for (index, column) in self.table.columns.iter().enumerate() {
            let read = cells.value(index);
            let Ok(value) = &read else { return read.map(|_| None).map_err(unreadable) };
            let at = bytes.len();
            match cell::convert(column, value, bytes) {
                Fate::Fits(_) | Fate::Nulled => {}
                Fate::Quarantined(misfit) => quarantined = quarantined.or(Some((index, misfit))),
                Fate::Refused(misfit) => {
                    bytes.truncate(at);
                    bytes.extend_from_slice(&UNFIT);
                    misfits.push((index, misfit));
                }
            }
        }
        bytes.extend_from_slice(&self.constants);
        Ok(quarantined)
    }
}
