//! The grammar of a data step, `V<n>__<name>.toml`. In goes the file's text; out comes a [`Step`], or every fault with
//! its line and column.

use super::line_and_column;
use crate::error::Problem;
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

/// Which tables a data step brings.
#[derive(Debug, Clone)]
pub struct Step {
    /// The tables in the order written; which come first is decided by the target's foreign keys.
    pub tables: Vec<StepTable>,
    /// Source tables that are left behind on purpose.
    pub skip: Vec<String>,
}

/// One table of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTable {
    /// Its name in the source.
    pub name: String,
    /// It may be absent from the source, and is then recorded as absent.
    pub optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: Spanned<String>,
    tables: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    optional: Vec<Spanned<String>>,
    #[serde(default)]
    skip: Vec<Spanned<String>>,
}

/// Parses the text of `path`.
///
/// # Errors
/// Every fault, located.
pub fn parse(path: &Path, text: &str) -> Result<Step, Vec<Problem>> {
    let problem = |offset: Option<usize>, message: String| Problem {
        file: path.to_owned(),
        at: offset.map(|offset| line_and_column(text, offset)),
        message,
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let message = format!(
            "{}; a data step reads: source = \"sqlite\", tables = [\"…\"], and as needed \
                               optional = [\"…\"], skip = [\"…\"]",
            error.message().replace("a sequence", "a list")
        );
        vec![problem(error.span().map(|span| span.start), message)]
    })?;
    let mut problems = Vec::new();
    if file.source.get_ref() != "sqlite" {
        let found = file.source.get_ref();
        let message = format!("source is \"{found}\", and \"sqlite\" is the only one there is");
        problems.push(problem(Some(file.source.span().start), message));
    }
    if file.tables.get_ref().is_empty() && file.optional.is_empty() {
        problems.push(problem(
            Some(file.tables.span().start),
            "no table is named: list those to bring in tables or optional".into(),
        ));
    }
    let required = file.tables.get_ref();
    let mut seen: Vec<String> = Vec::new();
    for name in required.iter().chain(&file.optional).chain(&file.skip) {
        let lower = name.get_ref().to_lowercase();
        if seen.contains(&lower) {
            let message = format!("table \"{}\" is named twice", name.get_ref());
            problems.push(problem(Some(name.span().start), message));
        }
        seen.push(lower);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let table = |optional| move |name: &Spanned<String>| StepTable { name: name.get_ref().clone(), optional };
    Ok(Step {
        tables: required.iter().map(table(false)).chain(file.optional.iter().map(table(true))).collect(),
        skip: file.skip.into_iter().map(Spanned::into_inner).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let found = parse(Path::new("V6__x.toml"), text).expect_err(text);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_minimal_form() {
        let step =
            parse(Path::new("V6__x.toml"), "source = \"sqlite\"\ntables = [\"user\"]\n").expect("parses");
        assert_eq!(step.tables, [StepTable { name: "user".into(), optional: false }]);
    }

    #[test]
    fn faults_are_located() {
        let unknown = faults("source = \"sqlite\"\ntables = [\"a\"]\ntable = 1\n");
        assert!(unknown[0].starts_with("V6__x.toml:3:1: unknown field `table`"), "{unknown:?}");
        let torn = faults("source = \"sqlite\"\ntables = [\"a\"\n");
        assert!(torn[0].starts_with("V6__x.toml:"), "{torn:?}");
        let several = faults("source = \"mysql\"\ntables = [\"a\", \"A\"]\n");
        assert_eq!(several.len(), 2, "{several:?}");
        assert!(several[1].starts_with("V6__x.toml:2:16: table \"A\" is named twice"), "{several:?}");
        assert!(faults("source = \"sqlite\"\ntables = []\n")[0].contains(":2:10: no table"));
        assert!(faults("source = \"sqlite\"\n")[0].contains("missing field `tables`"));
    }
}
