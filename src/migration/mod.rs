//! What is in `migrations/`. In goes the folder; out comes every version in order, each with its text, its kind (SQL or
//! data step) and its checksum, or all faults of all files at once.
//!
//! Names and checksums are refinery's (its `Migration::unapplied`), so that its own tools read the same history. They
//! are told here nevertheless: refinery reads each name by a regular expression, which with thousands of files is a good
//! part of what is done at head. What refinery would skip with a warning is an error here.

pub mod failure;
pub mod folder;
mod name;
pub mod objects;
pub mod sql;
pub mod statement;
pub mod step;

use crate::error::{Error, Problem};
use folder::{collect, read_all};
use name::{Extension, named, number_of};
use objects::Rename;
use refinery_core::Migration;
use siphasher::sip::SipHasher13;
use statement::Statement;
use std::borrow::Cow;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use step::Step;

/// One version: a file of the folder.
#[derive(Debug, Clone)]
pub struct Version {
    /// The number in the file's name.
    pub number: i32,
    /// Prefix, number and name, such as `V1__create_user`: what messages call it.
    pub label: String,
    /// The file.
    pub file: PathBuf,
    /// What kind of version it is.
    pub kind: Kind,
    /// refinery's checksum of name, number and text.
    pub checksum: u64,
    text: String,
}

/// What a version consists of.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `.sql`: statements.
    Sql,
    /// `.toml`: rows to bring from the source.
    Step(Box<Step>),
}

impl Version {
    /// The name, without prefix and number.
    #[must_use]
    pub fn name(&self) -> &str {
        self.label.split_once("__").map_or("", |(_, name)| name)
    }

    /// Its text with Unix line endings and without a byte-order mark: what is run and what the checksum covers.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// refinery's own record of it, for its runner.
    ///
    /// # Errors
    /// [`Error::Files`] if refinery does not take the name for one.
    pub fn migration(&self) -> Result<Migration, Error> {
        let refused =
            |error: refinery_core::Error| Error::Files(vec![problem(&self.file, &error.to_string())]);
        Migration::unapplied(&self.label, &self.text).map_err(refused)
    }

    /// Whether it is what the history records: the rule is refinery's.
    #[must_use]
    pub fn is(&self, recorded: &Migration) -> bool {
        self.number == recorded.version()
            && self.checksum == recorded.checksum()
            && self.name() == recorded.name()
    }

    /// Its first line is [`sql::NO_TRANSACTION`].
    #[must_use]
    pub fn is_without_transaction(&self) -> bool {
        matches!(self.kind, Kind::Sql)
            && self.text().lines().next().map(str::trim_end) == Some(sql::NO_TRANSACTION)
    }

    /// It only makes and changes tables and indexes, so that nothing of it stays in the session.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Sql) && sql::read(&self.text).statements.iter().all(Statement::is_plain)
    }

    /// refinery's checksum, if the version's text ended at the byte `end`.
    #[must_use]
    pub fn checksum_up_to(&self, end: usize) -> u64 {
        checksum(self.name(), self.number, &self.text[..end])
    }

    /// The tables and columns that its statements rename, in their order.
    #[must_use]
    pub fn renames(&self) -> Vec<Rename> {
        let text = if matches!(self.kind, Kind::Sql) { self.text() } else { "" };
        sql::read(text).statements.iter().filter_map(|statement| statement.rename(text)).collect()
    }

    /// What must not run in it, each with its line.
    #[must_use]
    pub fn refusals(&self) -> Vec<Problem> {
        match &self.kind {
            Kind::Sql => sql::refused(&self.file, self.text(), &sql::read(self.text())),
            Kind::Step(_) => Vec::new(),
        }
    }

    /// The data step, if this version is one.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        match &self.kind {
            Kind::Step(step) => Some(step),
            Kind::Sql => None,
        }
    }
}

/// Reads every version under `folder`, subfolders included as refinery does, sorted by number. Files whose names begin
/// with a dot belong to editors and tools and are left alone.
///
/// # Errors
/// [`Error::Files`] with every fault of every file.
pub fn load(folder: &Path) -> Result<Vec<Version>, Error> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    collect(folder, "migrations", &mut files, &mut problems);
    if files.is_empty() && problems.is_empty() {
        problems.push(problem(
            folder,
            "holds no migrations: expected files named V1__create_user.sql, V2__….sql, and so on",
        ));
    }
    let mut files: Vec<_> = files.into_iter().map(|file| (number_of(&file), file)).collect();
    // of two files with one number, the first by name has it
    files.sort_unstable();
    let versions = read_all(files.into_iter().map(|(_, file)| file), &mut problems);
    for [first, second] in versions.array_windows() {
        if first.number == second.number {
            let (number, file) = (first.number, first.file.display());
            let message = format!("version {number} is taken by {file}: give one of the two another number");
            problems.push(problem(&second.file, &message));
        }
    }
    if problems.is_empty() { Ok(versions) } else { Err(Error::Files(problems)) }
}

fn read_one(file: PathBuf, buffer: &mut Vec<u8>) -> Result<Version, Vec<Problem>> {
    let one = |message: String| vec![problem(&file, &message)];
    let named = named(&file).map_err(one)?;
    let text = text_of(&file, buffer).map_err(one)?;
    let kind = match named.extension {
        Extension::Sql => Kind::Sql,
        Extension::Toml => Kind::Step(Box::new(step::parse(&file, &text)?)),
    };
    Ok(Version {
        number: named.number,
        label: format!("{}{}__{}", named.prefix, named.number, named.title),
        checksum: checksum(named.title, named.number, &text),
        kind,
        text: text.into_owned(),
        file,
    })
}

/// refinery's checksum: SipHash-1-3 without a key, of name, number and text. (refinery-core's `runner.rs`.)
fn checksum(name: &str, number: i32, text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    name.hash(&mut hasher);
    number.hash(&mut hasher);
    text.hash(&mut hasher);
    hasher.finish()
}

/// The text of a file as it is run, read into `buffer`, or what keeps it from being read.
///
/// # Errors
/// The sentence for the file: it cannot be read, or is not UTF-8.
pub fn text_of<'a>(file: &Path, buffer: &'a mut Vec<u8>) -> Result<Cow<'a, str>, String> {
    buffer.clear();
    // its size is not asked for first, as it is for a `File` itself: most are small
    let read = File::open(file).and_then(|file| file.take(u64::MAX).read_to_end(buffer));
    read.map_err(|error| format!("cannot be read ({error})"))?;
    let text = std::str::from_utf8(buffer)
        .map_err(|error| format!("is not UTF-8 from byte {} on", error.valid_up_to()))?;
    Ok(normalised(text))
}

/// Without a byte-order mark and with Unix line endings: the same file checked out on another system is the same
/// version.
fn normalised(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

fn problem(file: &Path, message: &str) -> Problem {
    Problem { file: file.to_owned(), at: None, message: message.to_owned() }
}

/// Line and column, both from 1, of a byte offset in `text`; columns count characters.
#[must_use]
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_checksums_are_those_of_refinery() {
        for (stem, text) in [("V1__a", ""), ("V007__A_b2", "SELECT 1;\n"), ("U3__é_ß_名", "\u{1f600}")] {
            let path = PathBuf::from(format!("{stem}.sql"));
            let named = named(&path).expect("a name");
            let theirs = Migration::unapplied(stem, text).expect("a name to refinery");
            assert_eq!(named.title, theirs.name());
            assert_eq!(format!("{}{}__{}", named.prefix, named.number, named.title), theirs.to_string());
            assert_eq!(checksum(named.title, named.number, text), theirs.checksum());
        }
    }

    #[test]
    fn line_endings_and_byte_order_mark_are_not_content() {
        assert_eq!(normalised("\u{feff}a\r\nb\r\n"), "a\nb\n");
    }

    #[test]
    fn places_count_characters() {
        assert_eq!(line_and_column("é1\nñ2;x", 7), (2, 3));
        assert_eq!(line_and_column("", 0), (1, 1));
    }
}
