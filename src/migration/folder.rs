//! The files of a folder, and what is found in each.

use super::{Version, problem, read_one};
use crate::error::Problem;
use std::fs::DirEntry;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Fewer files than this are read sooner than a thread for them is started.
const WORTH_A_THREAD: usize = 64;

/// How many files a thread takes at a time.
const AT_A_TIME: usize = 32;

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
pub(super) fn read_all(files: impl Iterator<Item = PathBuf>, problems: &mut Vec<Problem>) -> Vec<Version> {
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
