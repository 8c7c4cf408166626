//! Where a statement of a file failed: the server's error becomes file, line and column, with the server's own
//! message, detail and hint. Row content that PostgreSQL puts into them stays out, and so does a password in the file.

use super::{line_and_column, sql};
use crate::error::{Problem, SqlFailure, TOOK_TOO_LONG};
use std::path::Path;
use tokio_postgres::error::{DbError, ErrorPosition};

/// Which part of a file the server was sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    /// How many characters of ours stood before it in the message.
    pub behind: usize,
    /// The byte of the file that it begins at.
    pub from: usize,
}

/// What `said` of `text`, which `file` holds and of which `completed` statements ran before.
#[must_use]
pub fn located(file: &Path, text: &str, said: &DbError, sent: Sent, completed: usize) -> SqlFailure {
    let script = sql::read(text);
    let offset = match said.position() {
        // counted in characters, from 1 (PostgreSQL: Error and Notice Message Fields)
        Some(ErrorPosition::Original(position)) => {
            let skipped = usize::try_from(*position).unwrap_or_default().saturating_sub(sent.behind + 1);
            let mut characters = text[sent.from..].char_indices();
            Some(characters.nth(skipped).map_or(text.len(), |(offset, _)| sent.from + offset))
        }
        _ => script.statements.get(completed).map(|statement| statement.start),
    };
    let at = offset.map(|offset| line_and_column(text, offset));
    let statement = offset.and_then(|offset| script.at(text, offset));
    let secrets: Vec<&str> = match statement {
        Some((statement, text)) if statement.sets_password() => sql::literals(text).collect(),
        _ => Vec::new(),
    };
    let code = said.code().code();
    // the message quotes the value, which may come from a row: class 22, and where text is read as a name, a query or a
    // list
    let reads_names = ["42601", "42704", "42883", "42P01"].contains(&code);
    let quotes_values = code.starts_with("22") || reads_names && !all_quoted_stand_in(said.message(), text);
    let shown = |said: &str| {
        let said = if quotes_values { without_values(said, text) } else { said.to_owned() };
        cut(secrets.iter().fold(said, |said, secret| said.replace(secret, "'…'")))
    };
    let note = |name: &str, said: Option<String>| said.map(|said| format!("{name}: {}", shown(&said)));
    let next = match code {
        "25001" => Some(format!(
            "outgrow runs a file in a transaction and this statement cannot be in one: give it a version of its own whose \
             first line is \"{}\"",
            sql::NO_TRANSACTION
        )),
        "42P07" | "42710" | "42P06" => Some(ALREADY_THERE.to_owned()),
        "57014" => Some(TOOK_TOO_LONG.to_owned()),
        _ => None,
    };
    SqlFailure {
        problem: Problem {
            file: file.to_owned(),
            at,
            message: format!("{} [SQLSTATE {code}]", shown(said.message())),
        },
        line: at
            .and_then(|(line, _)| text.lines().nth(line - 1))
            .filter(|_| secrets.iter().all(|secret| !secret.contains('\n')))
            .map(|line| secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret, "'…'"))),
        notes: [
            // that of XML holds the document
            note("detail", said.detail().filter(|_| !code.starts_with("2200")).map(without_row)),
            note("hint", said.hint().map(str::to_owned)),
            note("where", said.where_().and_then(function_line)),
            note("next", next),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

/// What to do about a table, a type or a schema that a version makes and that is there.
pub const ALREADY_THERE: &str = "if an application makes its own tables when it starts (create_all, AutoMigrate, …), stop it, and \
     drop what it made or begin with an empty database: the versions make them";

/// As many characters of what the server says are shown at most: it quotes the rest of the file after a quote that does
/// not end.
const SHOWN_CHARACTERS: usize = 1000;

fn cut(mut said: String) -> String {
    if let Some((end, _)) = said.char_indices().nth(SHOWN_CHARACTERS) {
        said.truncate(end);
        said.push('…');
    }
    said
}

/// Whether each quoted part of `message` stands in the file: the names of its own statements do, folded to lower case.
fn all_quoted_stand_in(message: &str, file: &str) -> bool {
    let (parts, file) = (message.split('"').collect::<Vec<_>>(), file.to_lowercase());
    parts.len() % 2 == 1 && parts.iter().skip(1).step_by(2).all(|part| file.contains(&part.to_lowercase()))
}

/// `message` without its quoted parts, but for those that stand in the file itself.
fn without_values(message: &str, file: &str) -> String {
    let Some((before, rest)) = message.split_once('"') else { return message.to_owned() };
    // a value may hold quotes of its own: from the first to the last
    let Some((value, after)) = rest.rsplit_once('"') else { return format!("{before}\"…") };
    if file.contains(value) { message.to_owned() } else { format!("{before}\"…\"{after}") }
}

/// The line of the context that says where in a function it was; other lines quote statements and values.
fn function_line(context: &str) -> Option<String> {
    let line = context
        .lines()
        .find(|line| line.starts_with("PL/pgSQL function") || line.starts_with("SQL function"));
    line.map(str::to_owned)
}

/// PostgreSQL's DETAIL without the content of rows: `Failing row contains (…)`, `Key (email)=(…)`.
fn without_row(detail: &str) -> String {
    if let Some((before, _)) = detail.split_once("row contains (") {
        return format!("{before}row contains (…)");
    }
    match (detail.split_once(")=("), detail.rfind(')')) {
        (Some((before, _)), Some(end)) => format!("{before})=(…){}", &detail[end + 1..]),
        _ => detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_name_the_key_and_not_its_value() {
        assert_eq!(without_row("Key (email)=(a)b@c) already exists."), "Key (email)=(…) already exists.");
        assert_eq!(without_row("Failing row contains (1, $2b$12$x, null)."), "Failing row contains (…)");
        assert_eq!(without_row("There are 2 candidates."), "There are 2 candidates.");
    }

    #[test]
    fn a_value_is_shown_only_if_the_file_holds_it() {
        let message = "invalid input syntax for type integer: \"a\"b\"";
        assert_eq!(without_values(message, ""), "invalid input syntax for type integer: \"…\"");
        assert_eq!(without_values(message, "SELECT 'a\"b'::int"), message);
    }
}
