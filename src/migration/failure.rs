//! Where a statement of a migration file failed: the server's error becomes file, line and column. Row content that
//! PostgreSQL puts into its details stays out.

use super::{Version, line_and_column, sql};
use crate::error::{Problem, SqlFailure};
use tokio_postgres::error::{DbError, ErrorPosition};

/// What `said` of `version`'s text, of which `completed` statements ran before: file, line, column, the line itself,
/// the server's detail and hint.
#[must_use]
pub fn located(version: &Version, said: &DbError, completed: usize) -> SqlFailure {
    let text = version.text.as_str();
    let offset = match said.position() {
        // counted in characters, from 1 (PostgreSQL: Error and Notice Message Fields)
        Some(ErrorPosition::Original(position)) => {
            let skipped = usize::try_from(position.saturating_sub(1)).unwrap_or_default();
            Some(text.char_indices().nth(skipped).map_or(text.len(), |(offset, _)| offset))
        }
        _ => sql::read(text).statements.get(completed).map(|statement| statement.start),
    };
    let at = offset.map(|offset| line_and_column(text, offset));
    let line = at.and_then(|(line, _)| text.lines().nth(line - 1)).map(str::to_owned);
    let note = |name: &str, text: Option<&str>| text.map(|text| format!("{name}: {text}"));
    let outside = said.code().code() == "25001";
    SqlFailure {
        problem: Problem {
            file: version.file.clone(),
            at,
            message: format!("{} [SQLSTATE {}]", said.message(), said.code().code()),
        },
        // a statement that sets a password is not for a log
        line: line.filter(|line| !line.to_lowercase().contains("password")),
        notes: [
            note("detail", said.detail().map(without_row).as_deref()),
            note("hint", said.hint()),
            note("where", said.where_().and_then(|context| context.lines().next())),
            note("next", outside.then_some("every version runs in a transaction; this statement cannot")),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
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
    use super::without_row;

    #[test]
    fn details_name_the_key_and_not_its_value() {
        assert_eq!(without_row("Key (email)=(a)b@c) already exists."), "Key (email)=(…) already exists.");
        assert_eq!(without_row("Failing row contains (1, $2b$12$x, null)."), "Failing row contains (…)");
        assert_eq!(without_row("There are 2 candidates."), "There are 2 candidates.");
    }
}
