//! Virtual tables on the way back: what their modules make by themselves, and what they cannot be given.

use super::fed::Fed;
use crate::sqlite::draft::Draft;
use crate::sqlite::full_text::FullText;
use rusqlite::Result;

/// What the modules of the file's virtual tables keep.
pub(super) struct Modules {
    /// Full-text indexes over other tables' text.
    external: Vec<String>,
    /// Full-text indexes over text of their own.
    own: Vec<String>,
    /// The tables in which they keep what they have.
    shadows: Vec<String>,
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl Modules {
    pub(super) fn of(draft: &Draft) -> Result<Modules> {
        let (external, own): (Vec<_>, Vec<_>) =
            draft.full_text()?.into_iter().partition(|index| index.external);
        let names = |indexes: Vec<FullText>| indexes.into_iter().map(|index| index.table).collect();
        let (external, own, mut shadows): (Vec<String>, _, _) =
            (names(external), names(own), draft.shadows()?);
        // SQLite goes by names, and an index over another table's text has no such table: it is the application's
        shadows.retain(|shadow| {
            !external.iter().any(|index| format!("{index}_content").eq_ignore_ascii_case(shadow))
        });
        Ok(Modules { external, own, shadows })
    }

    /// The table comes into the file whatever a step left behind.
    pub(super) fn make(&self, table: &str) -> bool {
        has(&self.external, table) || has(&self.shadows, table)
    }

    /// Takes the tables out of `fed` whose rows are another table's: writing them would index them twice, under other
    /// rowids.
    pub(super) fn take_external(&self, fed: &mut Vec<Fed<'_>>, notes: &mut Vec<String>) {
        fed.retain(|fed| {
            let external = has(&self.external, fed.name());
            if external {
                notes.push(format!(
                    "{}: its full-text index is built anew over the text that its content table has in the file, and the rows of the \
                     target's table {} are not read",
                    fed.name(),
                    fed.target.name
                ));
            }
            !external
        });
    }

    /// The note of a full-text index whose rows get other rowids.
    pub(super) fn rowids(&self, table: &str) -> Option<String> {
        has(&self.own, table).then(|| {
            format!(
                "{table}: its rowids are made anew, because no column of it has them: what refers to rows of it by rowid is to be \
                 set again"
            )
        })
    }
}
