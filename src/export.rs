//! `outgrow export FILE`: the target's tables as an SQLite file that the old application opens as its own.
//!
//! Everything is read in one snapshot, and written to a temporary file beside the destination, that nobody else may
//! read. Only when SQLite finds nothing wrong with it, and its rows are proven, it takes the destination's name.

use crate::cli::ExportArgs;
use crate::config::{self, Config};
use crate::copy;
use crate::copy::back::{self, Written};
use crate::copy::progress::{Progress, Took};
use crate::error::{Error, ExitCode};
use crate::migration;
use crate::plan::{self, History, Plan, State};
use crate::postgres::{self, interrupt::Interrupt, reading};
use crate::sqlite::{self, Fingerprint};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::{NamedTempFile, TempPath};

/// A policy that hides rows would leave them out: with `row_security` off the server refuses instead. Rows come in the
/// order in which they lie. Not READ ONLY, for values that the server must read are put into a temporary table to name
/// the rows that differ; all of it is rolled back.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL row_security = off; \
                     SET LOCAL synchronize_seqscans = off; SET LOCAL jit = off";

/// What `outgrow export` answers.
#[derive(Debug, Serialize)]
pub struct Exported {
    /// The database, without its password.
    pub database: String,
    /// The file.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// What is in it.
    #[serde(flatten)]
    pub written: Written,
    /// What took how long.
    pub phases: Vec<Took>,
    /// All of it.
    pub seconds: f64,
}

impl Exported {
    /// 0.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Done
    }
}

/// Writes the target's tables to the file.
///
/// # Errors
/// [`Error::Config`] if the file is in the way of another, or its folder is none; [`Error::Diverged`] if the file of an
/// applied step was edited; [`Error::Back`] with everything that does not go back; those of [`postgres::connect`].
pub async fn export(
    config: &Config,
    args: &ExportArgs,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Exported, Error> {
    let started = Instant::now();
    let versions = migration::load(&config.migrations)?;
    let url = config.database()?;
    let destination = Destination::of(&args.file, args.force, config.source.as_deref())?;
    let client = postgres::connect(url, interrupt).await?;
    reading::begin(&client, BEGIN, config.lock_timeout).await?;
    reading::require(&client, &[], true).await?;
    let sources = copy::sources(&client).await;
    let sources = reading::explained(&client, sources).await?;
    destination.require_no_source(&sources)?;
    let plan = if reading::has_table(&client, plan::HISTORY).await? {
        Plan::read(&client, &versions, config.lock_timeout).await?
    } else {
        Plan::of(&versions, History::default())
    };
    let edited = plan.in_state(State::Divergent).filter(|version| version.step().is_some()).map(|version| {
        format!(
            "{} was edited or renamed after it was applied: put the old file back to export",
            version.label
        )
    });
    let missing = plan.lines().filter(|line| line.state == State::Missing).filter_map(|line| line.recorded);
    let missing = missing
        .filter(|recorded| sources.contains_key(&recorded.version()))
        .map(|recorded| format!("{recorded} brought rows, and its file is missing: put it back to export"));
    let edited: Vec<String> = edited.chain(missing).collect();
    if !edited.is_empty() {
        return Err(Error::Diverged(edited));
    }
    for version in plan.in_state(State::Pending).filter(|version| version.step().is_some()) {
        log::warn!("{} is pending: what it brings is not in the target, and not in the file", version.label);
    }
    let applied = plan.applied();
    let temporary = destination.temporary()?;
    let written = back::write(&client, &applied, &temporary, config.lock_timeout, interrupt, progress).await;
    let written = reading::explained(&client, written).await.map_err(|error| destination.named(error))?;
    reading::end(&client).await?;
    let bytes = destination.take(temporary)?;
    Ok(Exported {
        database: url.to_string(),
        file: args.file.display().to_string(),
        bytes,
        written,
        phases: progress.finish(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Where the file goes.
struct Destination {
    file: PathBuf,
    folder: PathBuf,
    force: bool,
}

impl Destination {
    /// Refuses what must not be replaced: a file without `force`, and the source in any case.
    fn of(file: &Path, force: bool, source: Option<&Path>) -> Result<Destination, Error> {
        config::path(file, "FILE", "a file")?;
        let refused = |what: &str| Err(Error::Config(format!("{}: {what}", file.display())));
        let folder = match file.parent() {
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
            None => return refused("it is no name of a file"),
        };
        if file.file_name().is_none() || file.is_dir() {
            return refused("it is a folder; name the file to write");
        }
        if !folder.is_dir() {
            return refused("there is no such folder to write it in");
        }
        let same = |source: &Path| match (source.canonicalize(), file.canonicalize()) {
            (Ok(source), Ok(file)) => source == file,
            _ => false,
        };
        let name = file.to_string_lossy();
        if ["-wal", "-shm", "-journal"].iter().any(|suffix| name.ends_with(suffix)) {
            return refused(
                "SQLite takes a file of that name for a part of another database; name another file",
            );
        }
        if source.is_some_and(same) {
            return refused("it is the source, which is never written to; name another file");
        }
        if file.metadata().is_ok_and(|found| !found.is_file()) {
            return refused(
                "it is no ordinary file (a device, a pipe), and is not replaced; name another file",
            );
        }
        if !force && file.symlink_metadata().is_ok() {
            return refused("it is there already; name another file, or replace it with --force");
        }
        for suffix in ["-wal", "-journal"] {
            let mut beside = OsString::from(file);
            beside.push(suffix);
            if Path::new(&beside).symlink_metadata().is_ok() {
                return refused(&format!(
                    "beside it is {}, which SQLite would take for a part of the new file: it belongs to a database that an \
                     application has open, or that was moved away; name another file, or remove it",
                    Path::new(&beside).display()
                ));
            }
        }
        Ok(Destination { file: file.to_owned(), folder, force })
    }

    /// A file that is replaced must not be one that a step was copied from. An export of what nobody has changed since
    /// may be the very same file, so that the name counts, too.
    fn require_no_source(&self, sources: &BTreeMap<i32, Fingerprint>) -> Result<(), Error> {
        if !self.force || !self.file.is_file() {
            return Ok(());
        }
        let Ok(known) = sqlite::fingerprint(&self.file) else { return Ok(()) };
        if sources.values().any(|source| (&source.sha256, &source.name) == (&known.sha256, &known.name)) {
            return Err(Error::Config(format!(
                "{}: it is the source that a step was copied from, and is not replaced; name another file",
                self.file.display()
            )));
        }
        Ok(())
    }

    /// An empty file beside the destination that only its owner may read; gone when dropped.
    fn temporary(&self) -> Result<TempPath, Error> {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".outgrow")
            .tempfile_in(&self.folder)
            // the library's error names the temporary file
            .map_err(|error| {
                let (file, folder, kind) = (self.file.display(), self.folder.display(), error.kind());
                Error::Config(format!("{file}: no file can be made in {folder} ({kind}); name another place"))
            })?;
        Ok(NamedTempFile::into_temp_path(temporary))
    }

    /// The error, about the destination instead of the temporary file.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Back { problems, .. } => Error::Back { file: self.file.clone(), problems },
            other => other,
        }
    }

    /// Gives the finished file its name, durably; returns its size. Whoever made a file of that name in the meantime
    /// keeps it, unless it was to be replaced.
    fn take(&self, temporary: TempPath) -> Result<u64, Error> {
        let finished = File::open(&temporary)?;
        finished.sync_all()?;
        let bytes = finished.metadata()?.len();
        let taken =
            if self.force { temporary.persist(&self.file) } else { temporary.persist_noclobber(&self.file) };
        taken.map_err(|error| Error::Config(format!("{}: {}", self.file.display(), error.error)))?;
        sync_folder(&self.folder)?;
        Ok(bytes)
    }
}

/// A name is durable when its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), Error> {
    Ok(File::open(folder)?.sync_all()?)
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), Error> {
    Ok(())
}
