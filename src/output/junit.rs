//! What `outgrow check` found, as the XML file that continuous integration reads: JUnit's elements as far as all
//! readers agree on them (`testsuites`, `testsuite`, `testcase`, `failure`, `skipped`).

use super::checked::reason;
use crate::check::{Checked, State, Verdict};
use crate::error::Error;
use quick_xml::Writer;
use quick_xml::events::BytesText;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A report to be written: begun before the checks run, so that a file that cannot be written is known then, and that
/// no report of an earlier run is taken for this one's.
pub struct Junit {
    file: PathBuf,
    /// Beside it, and renamed at the end; `None` where the path is a pipe or a device.
    draft: Option<NamedTempFile>,
}

impl Junit {
    /// Begins the report at `file`. The file is the owner's alone.
    ///
    /// # Errors
    /// [`Error::Config`] if it cannot be written.
    pub fn create(file: &Path) -> Result<Junit, Error> {
        let wrong = unwritable(file);
        let draft = match std::fs::metadata(file) {
            Ok(found) if found.is_dir() => {
                return Err(Error::Config(format!("--junit {}: this is a folder", file.display())));
            }
            Ok(found) if !found.is_file() => None,
            found => {
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
                let draft = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(&wrong)?;
                if found.is_ok() {
                    std::fs::remove_file(file).map_err(&wrong)?;
                }
                Some(draft)
            }
        };
        Ok(Junit { file: file.to_owned(), draft })
    }

    /// Writes the report.
    ///
    /// # Errors
    /// [`Error::Config`] if it cannot be written.
    pub fn write(self, checked: &Checked) -> Result<(), Error> {
        let wrong = unwritable(&self.file);
        let text = xml(checked).map_err(&wrong)?;
        let Some(mut draft) = self.draft else {
            return File::options()
                .write(true)
                .open(&self.file)
                .and_then(|mut file| file.write_all(&text))
                .map_err(wrong);
        };
        draft.write_all(&text).map_err(&wrong)?;
        draft.persist(&self.file).map_err(|error| wrong(error.error))?;
        Ok(())
    }
}

fn unwritable(file: &Path) -> impl Fn(std::io::Error) -> Error {
    let file = file.display().to_string();
    move |error| Error::Config(format!("--junit {file}: cannot be written ({error})"))
}

fn xml(checked: &Checked) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.get_mut().extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let count = |state| checked.count(state).to_string();
    let (tests, failures, skipped) =
        (checked.checks.len().to_string(), count(State::Failed), count(State::NotRun));
    let time = seconds(checked.seconds);
    let totals = [
        ("name", "outgrow check"),
        ("tests", &tests),
        ("failures", &failures),
        ("errors", "0"),
        ("skipped", &skipped),
        ("time", &time),
    ];
    writer.create_element("testsuites").with_attributes(totals).write_inner_content(|writer| {
        writer.create_element("testsuite").with_attributes(totals).write_inner_content(|writer| {
            checked.checks.iter().try_for_each(|verdict| case(writer, verdict))
        })?;
        Ok(())
    })?;
    writer.get_mut().push(b'\n');
    Ok(writer.into_inner())
}

fn case(writer: &mut Writer<Vec<u8>>, verdict: &Verdict) -> std::io::Result<()> {
    let (name, time) = (allowed(&verdict.name), seconds(verdict.seconds));
    let (check, file) = (allowed(&verdict.check), allowed(&verdict.file));
    let attributes = [("name", &*name), ("classname", &*check), ("file", &*file), ("time", &*time)];
    let element = writer.create_element("testcase").with_attributes(attributes);
    match (&verdict.failure, verdict.state) {
        (Some(failure), _) => {
            let message = allowed(&failure.message);
            let text = allowed(&reason(failure));
            element.write_inner_content(|writer| {
                let failure = writer.create_element("failure").with_attribute(("message", &*message));
                failure.write_text_content(BytesText::new(&text))?;
                Ok(())
            })?;
        }
        (None, State::NotRun) => {
            element
                .write_inner_content(|writer| writer.create_element("skipped").write_empty().map(|_| ()))?;
        }
        (None, _) => {
            element.write_empty()?;
        }
    }
    Ok(())
}

/// XML 1.0 has no form for most control characters, not even escaped ones.
fn allowed(text: &str) -> String {
    let written = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        '\u{fffe}' | '\u{ffff}' => c.escape_unicode().to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(written).collect()
}

fn seconds(time: f64) -> String {
    format!("{time:.3}")
}
