//! The grammar of a data step, `V<n>__<name>.toml`. In goes the file's text; out comes a [`Step`], or every fault with
//! its line and column. `docs/steps.md` explains every rule with an example.

use super::line_and_column;
use crate::error::Problem;
use crate::value::{Read, Zone};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// Which tables a data step brings, and how.
#[derive(Debug, Clone)]
pub struct Step {
    /// The tables in the order written; which come first is decided by the target's foreign keys.
    pub tables: Vec<StepTable>,
    /// Source tables that are left behind on purpose.
    pub skip: Vec<String>,
    /// Those among them in which the application keeps which of its migrations ran: an export has their rows again.
    pub bookkeeping: Vec<String>,
}

/// One table of a step.
#[derive(Debug, Clone)]
pub struct StepTable {
    /// Its name in the source.
    pub name: String,
    /// It may be absent from the source, and is then recorded as absent.
    pub optional: bool,
    /// What is special about it.
    pub rules: TableRules,
}

impl StepTable {
    /// Its name in the target.
    #[must_use]
    pub fn target_name(&self) -> &str {
        self.rules.target.as_ref().unwrap_or(&self.name)
    }
}

/// `[table.NAME]`: rules for one table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableRules {
    /// Its name in the target, if it is another.
    pub target: Option<String>,
    /// What happens to rows with a value that does not fit, unless the column says otherwise.
    pub misfit: Option<Policy>,
    /// The rule of that name, for every column that takes it and has none of its own.
    pub zone: Option<String>,
    /// The same.
    pub round: bool,
    /// `zone` is the step's, for all tables, and this one need not have such a column.
    #[serde(skip)]
    pub zone_of_step: bool,
    /// `[table.NAME.column.COLUMN]`, by the column's name in the source.
    pub column: BTreeMap<String, ColumnRules>,
    /// `[table.NAME.constant]`: target columns that the source does not have, and their value in every row.
    pub constant: BTreeMap<String, toml::Value>,
}

impl TableRules {
    /// What the step calls the column `name` of the source, whose rule it may write in another case; `name` itself, if it
    /// has none.
    #[must_use]
    pub fn key_of(&self, name: &str) -> String {
        let exact = self.column.contains_key(name);
        let key = self.column.keys().find(|key| !exact && key.eq_ignore_ascii_case(name));
        key.map_or(name, String::as_str).to_owned()
    }
}

/// `[table.NAME.column.COLUMN]`: rules for one column.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnRules {
    /// Its name in the target, if it is another.
    pub target: Option<String>,
    /// It is left behind.
    pub skip: bool,
    /// How a time is read: `text`, `unix_s`, `unix_ms`, `unix_us`, `julian`.
    pub read: Option<String>,
    /// The zone of times that say none: `UTC`, `+02:00`, `Europe/Madrid`.
    pub zone: Option<String>,
    /// More digits after the second than the column keeps are rounded away.
    pub round: bool,
    /// What becomes of empty text.
    pub empty: Option<Empty>,
    /// What happens to a value that does not fit.
    pub misfit: Option<Policy>,
    /// What becomes of NUL characters in text.
    pub nul: Option<Mend>,
    /// What becomes of bytes in text that are not UTF-8.
    pub utf8: Option<Mend>,
}

/// What happens to a value that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The step is refused.
    Fail,
    /// NULL is stored in its place, and counted.
    Null,
    /// The whole row goes to `outgrow_quarantine` instead, and is counted.
    Quarantine,
}

/// What becomes of empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Empty {
    /// NULL, counted.
    Null,
}

/// What becomes of characters that PostgreSQL's text cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mend {
    /// They are left out.
    Strip,
    /// U+FFFD stands in their place.
    Replace,
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
    #[serde(default)]
    bookkeeping: Vec<Spanned<String>>,
    zone: Option<Spanned<String>>,
    #[serde(default)]
    table: BTreeMap<Spanned<String>, TableRules>,
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
    let mut file: File = toml::from_str(text).map_err(|error| {
        let message = format!(
            "{}; a data step reads: source = \"sqlite\", tables = [\"…\"], and as needed \
             optional = [\"…\"], skip = [\"…\"], bookkeeping = [\"…\"], zone = \"…\", [table.NAME], [table.NAME.column.COLUMN]",
            match error.message() {
                "duplicate key" =>
                    "it is there twice; all rules of a table or column stand under one heading".to_owned(),
                other => other.replace("a sequence", "a list"),
            }
        );
        vec![problem(error.span().map(|span| span.start), message)]
    })?;
    let problems = faults(&file);
    if !problems.is_empty() {
        return Err(problems.into_iter().map(|(offset, message)| problem(Some(offset), message)).collect());
    }
    let mut rules: BTreeMap<String, TableRules> =
        std::mem::take(&mut file.table).into_iter().map(|(name, rules)| (name.into_inner(), rules)).collect();
    let zone = file.zone.map(Spanned::into_inner);
    let mut table = |name: &Spanned<String>, optional| {
        let mut rules = rules.remove(name.get_ref()).unwrap_or_default();
        if rules.zone.is_none() {
            (rules.zone, rules.zone_of_step) = (zone.clone(), zone.is_some());
        }
        StepTable { name: name.get_ref().clone(), optional, rules }
    };
    let required = file.tables.get_ref().iter().map(|name| table(name, false)).collect::<Vec<_>>();
    let optional = file.optional.iter().map(|name| table(name, true)).collect::<Vec<_>>();
    let bookkeeping: Vec<String> = file.bookkeeping.into_iter().map(Spanned::into_inner).collect();
    let skip = file.skip.into_iter().map(Spanned::into_inner);
    Ok(Step {
        tables: required.into_iter().chain(optional).collect(),
        skip: skip.chain(bookkeeping.iter().cloned()).collect(),
        bookkeeping,
    })
}

/// What is wrong with a file that parses, by byte offset.
fn faults(file: &File) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let source = file.source.get_ref();
    if source != "sqlite" {
        let message = format!("source is \"{source}\", and \"sqlite\" is the only one there is");
        faults.push((file.source.span().start, message));
    }
    let required = file.tables.get_ref();
    if required.is_empty() && file.optional.is_empty() {
        let message = "no table is named: list those to bring in tables or optional".to_owned();
        faults.push((file.tables.span().start, message));
    }
    let zone = file.zone.iter();
    faults.extend(zone.filter_map(|zone| Some((zone.span().start, Zone::parse(zone.get_ref()).err()?))));
    let mut seen: Vec<String> = Vec::new();
    for name in required.iter().chain(&file.optional).chain(&file.skip).chain(&file.bookkeeping) {
        let lower = name.get_ref().to_ascii_lowercase();
        if seen.contains(&lower) {
            faults.push((name.span().start, format!("table \"{}\" is named twice", name.get_ref())));
        }
        seen.push(lower);
    }
    for (name, rules) in &file.table {
        let (at, table) = (name.span().start, name.get_ref());
        if !required.iter().chain(&file.optional).any(|listed| listed.get_ref() == table) {
            faults
                .push((at, format!("table \"{table}\" has rules and is neither in tables nor in optional")));
        }
        faults.extend(rules.zone.iter().filter_map(|zone| Some((at, Zone::parse(zone).err()?))));
        for (column, rules) in &rules.column {
            let place = |fault: String| (at, format!("column \"{table}\".\"{column}\": {fault}"));
            faults.extend(rules.read.iter().filter_map(|read| Some(place(Read::parse(read).err()?))));
            faults.extend(rules.zone.iter().filter_map(|zone| Some(place(Zone::parse(zone).err()?))));
            if *rules == ColumnRules::default() {
                faults.push((at, format!("column \"{table}\".\"{column}\" has no rule")));
            }
            if rules.skip && (ColumnRules { skip: false, ..rules.clone() }) != ColumnRules::default() {
                faults.push((at, format!("column \"{table}\".\"{column}\" is skipped and has other rules")));
            }
        }
    }
    faults
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
        assert_eq!((step.tables[0].name.as_str(), step.tables[0].optional), ("user", false));
    }

    #[test]
    fn rules_reach_their_table() {
        let text = "source = \"sqlite\"\ntables = [\"a\"]\noptional = [\"b\"]\n\
            [table.b]\ntarget = \"c\"\nmisfit = \"quarantine\"\n[table.b.column.at]\nread = \"unix_ms\"\n\
            [table.b.constant]\nregion = \"eu\"\n";
        let step = parse(Path::new("V6__x.toml"), text).expect("parses");
        let rules = &step.tables[1].rules;
        assert_eq!((rules.target.as_deref(), rules.misfit), (Some("c"), Some(Policy::Quarantine)));
        assert_eq!(rules.column["at"].read.as_deref(), Some("unix_ms"));
        assert_eq!(rules.constant["region"].as_str(), Some("eu"));
    }

    #[test]
    fn faults_are_located() {
        let unknown = faults("source = \"sqlite\"\ntables = [\"a\"]\nfoo = 1\n");
        assert!(unknown[0].starts_with("V6__x.toml:3:1: unknown field `foo`"), "{unknown:?}");
        let torn = faults("source = \"sqlite\"\ntables = [\"a\"\n");
        assert!(torn[0].starts_with("V6__x.toml:"), "{torn:?}");
        let several = faults("source = \"mysql\"\ntables = [\"a\", \"A\"]\n");
        assert_eq!(several.len(), 2, "{several:?}");
        assert!(several[1].starts_with("V6__x.toml:2:16: table \"A\" is named twice"), "{several:?}");
        assert!(faults("source = \"sqlite\"\ntables = []\n")[0].contains(":2:10: no table"));
        assert!(faults("source = \"sqlite\"\n")[0].contains("missing field `tables`"));
        let twice = "[table.a.column.c]\nnul = \"strip\"\n";
        let twice = faults(&format!("source = \"sqlite\"\ntables = [\"a\"]\n{twice}{twice}"));
        assert!(twice[0].contains(":5:17: it is there twice; all rules of a table or column"), "{twice:?}");
    }

    #[test]
    fn rules_that_match_nothing_are_faults() {
        let head = "source = \"sqlite\"\ntables = [\"a\"]\n";
        assert!(
            faults(&format!("{head}[table.b]\n"))[0].contains(":3:8: table \"b\" has rules and is neither")
        );
        assert!(faults(&format!("{head}[table.a.column.c]\n"))[0].contains("\"a\".\"c\" has no rule"));
        assert!(
            faults(&format!("{head}[table.a.column.c]\nskip = true\nround = true\n"))[0]
                .contains("is skipped")
        );
        assert!(
            faults(&format!("{head}[table.a.column.c]\nmisfit = \"drop\"\n"))[0]
                .contains(":4:10: unknown variant")
        );
        assert!(
            faults(&format!("{head}[table.a.column.c]\nreed = \"x\"\n"))[0].contains("unknown field `reed`")
        );
    }

    proptest::proptest! {
        /// Whatever a file holds, it is a step or a list of located faults, never a panic.
        #[test]
        fn any_text_is_a_step_or_faults(text in "(source|tables|optional|skip|table|misfit|\\[|\\]|=|\"|\\.|\n|é|x| ){0,40}") {
            let _ = parse(Path::new("V6__x.toml"), &text);
        }

        #[test]
        fn any_name_can_be_a_table(name in "\\PC{1,12}", rule in "\\PC{0,12}") {
            let key = toml::Value::from(name.as_str()).to_string();
            let value = toml::Value::from(rule.as_str()).to_string();
            let text = format!("source = \"sqlite\"\ntables = [{key}]\n[table.{key}.column.{key}]\ntarget = {value}\n");
            if let Err(faults) = parse(Path::new("V6__x.toml"), &text) {
                proptest::prop_assert!(faults.iter().all(|fault| fault.at.is_some()), "{faults:?}");
            }
        }
    }
}
