//! What is in `migrations/`. In goes the folder; out comes every version in order, each with its text, its kind (SQL or
//! data step) and its checksum, or all faults of all files at once.
//!
//! Names and checksums are refinery's (its `Migration::unapplied`), so that its own tools read the same history. They
//! are told here nevertheless: refinery reads each name by a regular expression, which with a long history takes as long
//! as a fifth of everything else at head. What refinery would skip with a warning is an error here.

pub mod failure;
pub mod sql;
pub mod statement;
pub mod step;

use crate::error::{Error, Problem};
use refinery_core::Migration;
use siphasher::sip::SipHasher13;
use statement::Rename;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{DirEntry, File};
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use step::Step;

/// Fewer files than this are read sooner than a thread for them is started.
const WORTH_A_THREAD: usize = 64;

/// How many files a thread takes at a time.
const AT_A_TIME: usize = 32;

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

/// All files under `folder`, in no order, without those whose names begin with a dot. `what` the folder is for is also
/// the name of its option.
pub fn collect(folder: &Path, what: &str, files: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let next = format!("run outgrow where the folder is, or name it with --{what}");
            problems
                .push(problem(folder, &format!("cannot be read as a folder of {what} ({error}): {next}")));
            return;
        }
    };
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match found(&entry) {
            (path, true) => collect(&path, what, files, problems),
            (path, false) => files.push(path),
        }
    }
}

/// What an entry of a folder is called, and whether it is one itself: the listing says so of most, but not where a link
/// leads.
fn found(entry: &DirEntry) -> (PathBuf, bool) {
    let path = entry.path();
    let is_folder = match entry.file_type() {
        Ok(of) if !of.is_symlink() => of.is_dir(),
        _ => path.is_dir(),
    };
    (path, is_folder)
}

/// What is found in each file, in the order of `files`, on every processor: opening thousands of files takes longer than
/// everything else that is done at head. A thread takes a few at a time, for one of the processors is the server's
/// meanwhile.
fn read_all(files: impl Iterator<Item = PathBuf>, problems: &mut Vec<Problem>) -> Vec<Version> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut places: Vec<Place> = files.map(Place::Unread).collect();
    let threads = processors.min(places.len() / WORTH_A_THREAD).max(1);
    let left = Mutex::new(places.chunks_mut(AT_A_TIME));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut buffer = Vec::with_capacity(4096);
        while let Some(places) = next() {
            places.iter_mut().for_each(|place| place.read(&mut buffer));
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let without_faults = |place| match place {
        Place::Read(version) => Some(version),
        Place::Faulty(found) => {
            problems.extend(found);
            None
        }
        Place::Unread(_) => None,
    };
    places.into_iter().filter_map(without_faults).collect()
}

/// A file, before it is read and after.
enum Place {
    Unread(PathBuf),
    Read(Version),
    Faulty(Vec<Problem>),
}

impl Place {
    fn read(&mut self, buffer: &mut Vec<u8>) {
        if let Place::Unread(file) = self {
            *self = read_one(std::mem::take(file), buffer).map_or_else(Place::Faulty, Place::Read);
        }
    }
}

/// The number in a well-named file's name.
fn number_of(file: &Path) -> Option<u32> {
    file.file_name()?.to_str()?.get(1..)?.split_once("__")?.0.parse().ok()
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

/// What a well-named file's name says.
struct Named<'a> {
    /// `V` or `U`.
    prefix: &'a str,
    number: i32,
    title: &'a str,
    extension: Extension,
}

enum Extension {
    Sql,
    Toml,
}

/// What a file's name says, or what is wrong with it. Stricter than refinery's regular expression in one point: the whole
/// stem must match, since refinery would record `V1__a-b` under the name `a`.
fn named(file: &Path) -> Result<Named<'_>, String> {
    let expected = "expected V<number>__<name>.sql, V<number>__<name>.toml or U<number>__<name>.sql, \
                    with letters, digits and _ in the name";
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let wrong = |what: &str| Err(format!("{what}: {expected}"));
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return wrong("is no migration");
    };
    let extension = match extension {
        "sql" => Extension::Sql,
        "toml" => Extension::Toml,
        _ => return wrong("is no migration"),
    };
    let Some((prefixed, title)) = stem.split_once("__") else {
        return wrong("is misnamed");
    };
    let (prefix, number) = match (prefixed.split_at_checked(1), &extension) {
        (Some(("V", number)), _) | (Some(("U", number)), Extension::Sql) => (&prefixed[..1], number),
        (Some(("U", _)), Extension::Toml) => {
            return Err(
                "is misnamed: a data step cannot arrive out of order, name it V<number>__<name>.toml".into(),
            );
        }
        _ => return wrong("is misnamed"),
    };
    // of the characters that refinery takes (`\w`) those that Rust tells as well
    let word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_alphabetic() || c.is_ascii_digit() || c == '_')
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) || !word(title) {
        return wrong("is misnamed");
    }
    let Ok(number) = number.parse() else {
        return Err(format!(
            "version {number} is too large: refinery's history holds numbers up to {}; number such files V1, V2, V3, … in \
             their order",
            i32::MAX
        ));
    };
    // refinery's column is varchar(255)
    if title.chars().count() > 255 {
        return Err("the name is longer than the 255 characters that the history holds".into());
    }
    Ok(Named { prefix, number, title, extension })
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
    fn names() {
        for good in ["V1__a.sql", "V007__A_b.toml", "U3__é.sql"] {
            assert!(named(Path::new(good)).is_ok(), "{good}");
        }
        for bad in [
            "V1_a.sql",
            "v1__a.sql",
            "V1__.sql",
            "V__a.sql",
            "V1__a.SQL",
            "V1__a",
            "V1.1__a.sql",
            "V1__a-b.sql",
            "V1__a.sql.orig",
            "U1__a.toml",
            "V99999999999__a.sql",
            "README.md",
            "é1__a.sql",
            "V1__a².sql",
        ] {
            assert!(named(Path::new(bad)).is_err(), "{bad}");
        }
    }

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
