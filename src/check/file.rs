//! What is in `checks/`. In goes the folder; out comes every check that was asked for, or all faults of all their files
//! at once. The format is described in docs/checks.md.

use super::directive::{self, Directive};
use crate::error::{Error, Problem};
use crate::migration::folder::collect;
use crate::migration::sql::{self, Script};
use crate::migration::statement::Statement;
use crate::migration::text_of;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wildmatch::WildMatch;

/// One file.
#[derive(Debug)]
pub(super) struct Check {
    /// Its path in the folder without `.sql`.
    pub id: String,
    pub file: PathBuf,
    /// With Unix line endings and without a byte-order mark.
    pub text: String,
    pub name: String,
    pub question: String,
    /// For all statements together.
    pub budget: Option<Duration>,
    pub connect_budget: Option<Duration>,
    pub statements: Vec<Assertion>,
}

/// One statement, and what is asked of it.
#[derive(Debug)]
pub(super) struct Assertion {
    /// Where it stands in the text, without its semicolon.
    pub range: Range<usize>,
    /// The SQLSTATE with which it must be refused.
    pub expect_error: Option<String>,
    pub budget: Option<Duration>,
}

/// Reads the checks under `folder` whose path `only` names, or all of them.
///
/// # Errors
/// [`Error::Checks`] with every fault of every file, [`Error::Config`] if a pattern matches nothing.
pub(super) fn load(folder: &Path, only: &[String]) -> Result<Vec<Check>, Error> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    collect(folder, "checks", &mut files, &mut problems);
    files.sort_unstable();
    let (named, others): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|file| file.extension().is_some_and(|extension| extension == "sql"));
    let other = "is no check: expected the name to end in .sql (a name that begins with a dot is left alone)";
    problems.extend(others.iter().map(|file| problem(file, other)));
    if named.is_empty() && problems.is_empty() {
        problems.push(problem(folder, "holds no checks: expected files whose names end in .sql"));
    }
    let named: Vec<(String, PathBuf)> = named.into_iter().map(|file| (id(folder, &file), file)).collect();
    if problems.is_empty() {
        require_matches(&named, only)?;
    }
    let (mut checks, mut buffer) = (Vec::new(), Vec::new());
    for (id, file) in named {
        if only.is_empty() || only.iter().any(|pattern| matches(pattern, &id)) {
            match text_of(&file, &mut buffer) {
                Ok(text) => read(id, &file, text.into_owned())
                    .map_or_else(|found| problems.extend(found), |check| checks.push(check)),
                Err(message) => problems.push(problem(&file, &message)),
            }
        }
    }
    if problems.is_empty() { Ok(checks) } else { Err(Error::Checks(problems)) }
}

fn id(folder: &Path, file: &Path) -> String {
    let path = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// `*` and `?` stand for other characters and then the whole path must match; else a part of it is enough.
fn matches(pattern: &str, id: &str) -> bool {
    if pattern.contains(['*', '?']) { WildMatch::new(pattern).matches(id) } else { id.contains(pattern) }
}

fn require_matches(files: &[(String, PathBuf)], only: &[String]) -> Result<(), Error> {
    let lost = only.iter().find(|pattern| !files.iter().any(|(id, _)| matches(pattern, id)));
    lost.map_or(Ok(()), |pattern| {
        let ids: Vec<&str> = files.iter().map(|(id, _)| id.as_str()).collect();
        Err(Error::Config(format!(
            "--only {pattern}: no check has such a name; there are {}",
            ids.join(", ")
        )))
    })
}

fn problem(file: &Path, message: &str) -> Problem {
    Problem { file: file.to_owned(), at: None, message: message.to_owned() }
}

/// The check that `text` is.
fn read(id: String, file: &Path, text: String) -> Result<Check, Vec<Problem>> {
    let script = sql::read(&text);
    let mut faults: Vec<(usize, String)> = script.psql_commands().collect();
    faults.extend(
        script.statements.iter().filter_map(|statement| Some((statement.start, refusal(statement)?))),
    );
    faults.extend(sql::names(&text).filter(|(_, name)| name.eq_ignore_ascii_case("setval")).map(
        |(offset, _)| {
            (offset, "setval is not rolled back: compare the sequence's last_value instead".to_owned())
        },
    ));
    if let Some(offset) = text.find('\0') {
        faults.push((offset, "a NUL character, which SQL cannot hold: delete it".to_owned()));
    }
    let (header, lines) = leading_comment(&text);
    let prose: Vec<&str> =
        lines.into_iter().filter(|line| !line.is_empty() && directive::parse(line) == Ok(None)).collect();
    let (name, question) =
        prose.split_first().map_or(("", String::new()), |(name, rest)| (*name, rest.join(" ")));
    if name.is_empty() {
        faults.push((
            0,
            "the name is missing: expected the first line to be a comment, -- Name of the check".to_owned(),
        ));
    }
    let statements = script.statements.iter().map(|statement| Assertion {
        range: statement.start..statement.end,
        expect_error: None,
        budget: None,
    });
    let mut check = Check {
        id,
        file: file.to_owned(),
        name: name.to_owned(),
        question,
        budget: None,
        connect_budget: None,
        statements: statements.collect(),
        text: String::new(),
    };
    let given = directives(&text, &script, &mut faults);
    for (offset, directive) in given {
        if let Err(message) = check.take(offset, offset < header, directive) {
            faults.push((offset, message));
        }
    }
    faults.extend(check.contradictions());
    if !faults.is_empty() {
        return Err(sql::located(file, &text, faults));
    }
    check.text = text;
    Ok(check)
}

/// Where the leading comment ends, and its lines without their dashes.
fn leading_comment(text: &str) -> (usize, Vec<&str>) {
    let (mut end, mut lines) = (0, Vec::new());
    for line in text.split_inclusive('\n') {
        match line.trim().strip_prefix("--") {
            Some(comment) => lines.push(comment.trim()),
            None if lines.is_empty() && line.trim().is_empty() => {}
            None => break,
        }
        end += line.len();
    }
    (end, lines)
}

/// Every directive and where it stands; those that are none or stand where they mean nothing become faults.
fn directives(text: &str, script: &Script, faults: &mut Vec<(usize, String)>) -> Vec<(usize, Directive)> {
    let mut found = Vec::new();
    for comment in &script.comments {
        let inside = script
            .statements
            .iter()
            .any(|statement| (statement.start..statement.end).contains(&comment.start));
        let line_start = text[..comment.start].rfind('\n').map_or(0, |at| at + 1);
        let alone = text[line_start..comment.start].trim().is_empty();
        match directive::parse(text[comment.clone()].trim_start_matches('-')) {
            Ok(None) => {}
            Ok(Some(_)) if inside || !alone => faults.push((
                comment.start,
                "a directive stands on a line of its own, before the statement that it is for".to_owned(),
            )),
            Ok(Some(directive)) => found.push((comment.start, directive)),
            // behind or inside a statement a word with a colon is prose
            Err(_) if inside || !alone => {}
            Err(message) => faults.push((comment.start, message)),
        }
    }
    found
}

impl Check {
    /// Takes a directive that stands at `offset`.
    fn take(&mut self, offset: usize, in_header: bool, directive: Directive) -> Result<(), String> {
        let next = self.statements.iter_mut().find(|statement| statement.range.start > offset);
        let place = match (&directive, next) {
            (Directive::ConnectBudget(time), _) if in_header => return once(&mut self.connect_budget, *time),
            (Directive::ConnectBudget(_), _) => {
                return Err("connect-budget belongs into the leading comment".to_owned());
            }
            (Directive::Budget(time), _) if in_header => return once(&mut self.budget, *time),
            (_, None) => return Err("no statement follows that this could be for".to_owned()),
            (_, Some(next)) => next,
        };
        match directive {
            Directive::Budget(time) => once(&mut place.budget, time),
            Directive::ExpectError(code) => once(&mut place.expect_error, code),
            Directive::ConnectBudget(_) => Ok(()),
        }
    }

    /// What each directive by itself does not show.
    fn contradictions(&self) -> Vec<(usize, String)> {
        let timed = self.statements.iter().any(|statement| statement.expect_error.is_none());
        let mut faults = Vec::new();
        if self.statements.is_empty() && self.connect_budget.is_none() {
            faults.push((
                0,
                "holds no statement: expected a query whose rows are the counterexamples".to_owned(),
            ));
        } else if self.budget.is_some() && !timed {
            faults.push((0, "budget: there is no statement to time".to_owned()));
        }
        let both = self.statements.iter().filter(|s| s.expect_error.is_some() && s.budget.is_some());
        let message = "a statement that must be refused is not timed: delete its budget";
        faults.extend(both.map(|statement| (statement.range.start, message.to_owned())));
        faults
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), String> {
    if place.replace(value).is_some() { Err("given twice".to_owned()) } else { Ok(()) }
}

/// Why a statement must not be in a check.
fn refusal(statement: &Statement) -> Option<String> {
    let words = statement.words();
    let first = *words.first()?;
    let second = words.get(1).copied().unwrap_or_default();
    match (first, second) {
        ("BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE", _)
        | ("PREPARE", "TRANSACTION") => Some(format!(
            "{first}: a check runs in one transaction, which outgrow opens and always rolls back: delete it \
             (-- expect-error: has a savepoint of its own)"
        )),
        ("VACUUM" | "DISCARD", _)
        | ("CREATE" | "DROP" | "ALTER", "DATABASE" | "TABLESPACE" | "SYSTEM" | "SUBSCRIPTION") => {
            Some(format!(
                "{} could not be rolled back, and everything in a check is: delete it",
                format!("{first} {second}").trim_end()
            ))
        }
        _ if words.contains(&"CONCURRENTLY") => Some(
            "CONCURRENTLY could not be rolled back, and everything in a check is: leave it out".to_owned(),
        ),
        ("COPY", _) => Some(
            "COPY reads and writes what a rollback does not undo: write INSERT or SELECT instead".to_owned(),
        ),
        _ => None,
    }
}
