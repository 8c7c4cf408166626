//! Reads a migration file as PostgreSQL's own scanner would, with squawk's lexer: where each statement starts, so that
//! an error without a position can still be placed, and what must not run at all: commands of psql, and statements that
//! would end the transaction the version is applied in. Acceptance checks are read with it, too.

use super::line_and_column;
use super::statement::Statement;
use crate::error::Problem;
use squawk_lexer::{LiteralKind, TokenKind, tokenize};
use std::ops::Range;
use std::path::Path;

/// The first line of a version that is not run in a transaction.
pub const NO_TRANSACTION: &str = "-- outgrow: no-transaction";

/// What a file consists of.
#[derive(Debug, Default)]
pub struct Script {
    /// The statements, in order; empty ones are left out, as the server leaves them out.
    pub statements: Vec<Statement>,
    /// Where each comment that begins with `--` stands.
    pub comments: Vec<Range<usize>>,
    /// Byte offset and name of each psql command.
    psql: Vec<(usize, String)>,
}

/// Splits `text` into statements.
#[must_use]
pub fn read(text: &str) -> Script {
    let mut script = Script::default();
    let mut open = Open::default();
    let mut tokens = tokenize(text);
    let mut offset = 0;
    while let Some(token) = tokens.next() {
        let start = offset;
        offset += token.len as usize;
        let word = &text[start..offset];
        match token.kind {
            TokenKind::Whitespace | TokenKind::BlockComment { .. } => {}
            TokenKind::LineComment => script.comments.push(start..offset),
            TokenKind::Eof => break,
            // the rest of the line is psql's, and so are a quote or a comment that seem to begin there
            TokenKind::Unknown if word == "\\" => {
                offset = line_end(text, start);
                tokens = tokenize(&text[offset..]);
                let name = text[start..offset].split_whitespace().next().unwrap_or("\\");
                script.psql.push((start, name.to_owned()));
            }
            TokenKind::Semi if open.at_top() => {
                if let Some(statement) = open.close() {
                    if statement.copies_from_stdin() {
                        offset = end_of_inline_data(text, offset);
                        tokens = tokenize(&text[offset..]);
                    }
                    script.statements.push(statement);
                }
            }
            kind => open.token(start, kind, word),
        }
    }
    script.statements.extend(open.close());
    script
}

/// What must not run, each with its line.
#[must_use]
pub fn refused(file: &Path, text: &str, script: &Script) -> Vec<Problem> {
    let is_directive = |comment: &&Range<usize>| text[(*comment).clone()].starts_with("-- outgrow:");
    let is_known =
        |comment: &Range<usize>| comment.start == 0 && text[comment.clone()].trim_end() == NO_TRANSACTION;
    let directives = script.comments.iter().filter(is_directive);
    let wrong = directives.filter(|comment| !is_known(comment)).map(|comment| {
        let said = text[comment.clone()].trim_end();
        (comment.start, format!("\"{said}\" means nothing here: the first line may be \"{NO_TRANSACTION}\""))
    });
    let alone = script.comments.first().is_some_and(is_known);
    let refusal = |statement: &Statement| match alone {
        false => statement.refusal(),
        true => statement.refusal_alone(text).or_else(|| statement.refusal()),
    };
    let statements = script.statements.iter();
    let statements = statements.filter_map(|statement| Some((statement.start, refusal(statement)?)));
    let all = script.psql_commands().chain(statements).chain(wrong).chain(script.way_down(text));
    located(file, text, all.collect())
}

/// How the files of goose, sql-migrate, dbmate and node-pg-migrate begin the half that undoes the other, in lower case.
const DOWN: [&str; 4] = ["+goose down", "+migrate down", "migrate:down", "down migration"];

/// Faults at byte offsets of a file's text, in its order.
#[must_use]
pub fn located(file: &Path, text: &str, mut faults: Vec<(usize, String)>) -> Vec<Problem> {
    faults.sort_by_key(|(offset, _)| *offset);
    let problem = |(offset, message)| Problem {
        file: file.to_owned(),
        at: Some(line_and_column(text, offset)),
        message,
    };
    faults.into_iter().map(problem).collect()
}

impl Script {
    /// The byte offset of every command of psql, and what to write instead.
    pub fn psql_commands(&self) -> impl Iterator<Item = (usize, String)> {
        self.psql.iter().map(|(offset, name)| {
            let next = match name.as_str() {
                "\\restrict" | "\\unrestrict" => {
                    "pg_dump writes it for psql; delete its lines: sed -i.bak '/^.\\(un\\)\\{0,1\\}restrict /d' FILE && rm FILE.bak"
                }
                "\\connect" | "\\c" => "outgrow works on the database of DATABASE_URL: delete the line",
                _ => "outgrow sends the file to the server, not to psql: delete the line or say it in SQL",
            };
            (*offset, format!("{name} is a command of psql, not SQL: {next}"))
        })
    }

    /// Where another tool's file begins to undo what it did: to the server that is one more statement.
    fn way_down(&self, text: &str) -> Option<(usize, String)> {
        let begins = |comment: &&Range<usize>| {
            let said = text[(*comment).clone()].trim_start_matches('-').trim().to_ascii_lowercase();
            DOWN.iter().any(|down| said.starts_with(down))
        };
        let comment = self.comments.iter().find(begins)?;
        let undoes = self.statements.iter().any(|statement| statement.start > comment.start);
        let said = text[comment.clone()].trim_end();
        undoes.then(|| {
            let next = "outgrow runs a file as a whole, and what follows would undo it: delete this line and all after it";
            (comment.start, format!("\"{said}\": {next}"))
        })
    }

    /// The statement that holds the byte at `offset`, and its text.
    #[must_use]
    pub fn at<'a>(&self, text: &'a str, offset: usize) -> Option<(&Statement, &'a str)> {
        let after = self.statements.partition_point(|statement| statement.start <= offset);
        let statement = self.statements.get(after.checked_sub(1)?)?;
        let end = self.statements.get(after).map_or(text.len(), |next| next.start);
        Some((statement, &text[statement.start..end]))
    }
}

/// The string literals of a statement, quotes included.
pub fn literals(statement: &str) -> impl Iterator<Item = &str> {
    let mut offset = 0;
    tokenize(statement).filter_map(move |token| {
        let start = offset;
        offset += token.len as usize;
        matches!(token.kind, TokenKind::Literal { .. }).then(|| &statement[start..offset])
    })
}

/// The names and keywords in a text, each with its byte offset; quoted ones without their quotes.
pub fn names(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    tokenize(text).filter_map(move |token| {
        let start = offset;
        offset += token.len as usize;
        let name = matches!(token.kind, TokenKind::Ident | TokenKind::QuotedIdent { .. });
        name.then(|| (start, text[start..offset].trim_matches('"')))
    })
}

/// The statement under way.
#[derive(Default)]
struct Open {
    statement: Option<Statement>,
    /// Open parentheses: a rule may hold statements in them.
    parentheses: u32,
    /// Open BEGIN ATOMIC … END and CASE … END of a function body written in SQL (PostgreSQL 14): what psql counts, too.
    blocks: u32,
}

impl Open {
    fn at_top(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn token(&mut self, start: usize, kind: TokenKind, text: &str) {
        let end = start + text.len();
        let statement = self.statement.get_or_insert_with(|| Statement { start, end, words: Vec::new() });
        statement.end = end;
        match kind {
            TokenKind::OpenParen => self.parentheses += 1,
            TokenKind::CloseParen => self.parentheses = self.parentheses.saturating_sub(1),
            TokenKind::Ident => {
                let word = text.to_uppercase();
                let in_routine = statement.words.first().is_some_and(|first| first == "CREATE")
                    && statement.words.iter().any(|word| word == "FUNCTION" || word == "PROCEDURE");
                match word.as_str() {
                    "ATOMIC" if in_routine && statement.words.last().is_some_and(|last| last == "BEGIN") => {
                        self.blocks += 1;
                    }
                    "CASE" if self.blocks > 0 => self.blocks += 1,
                    "END" if self.blocks > 0 => self.blocks -= 1,
                    _ => {}
                }
                if self.parentheses == 0 {
                    statement.words.push(word);
                }
            }
            // keeps FROM and STDIN apart from a table called "from"
            TokenKind::QuotedIdent { .. } | TokenKind::Literal { kind: LiteralKind::Str { .. } } => {
                statement.words.push(String::new());
            }
            _ => {}
        }
    }

    fn close(&mut self) -> Option<Statement> {
        std::mem::take(self).statement
    }
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at)
}

/// The end of the line `\.` that closes inline COPY data, or of the file.
fn end_of_inline_data(text: &str, from: usize) -> usize {
    let mut line = line_end(text, from);
    while line < text.len() {
        let end = line_end(text, line + 1);
        if text[line + 1..end].trim_end() == "\\." {
            return end;
        }
        line = end;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn lines_refused(text: &str) -> Vec<usize> {
        let problems = refused(Path::new("V1__a.sql"), text, &read(text));
        problems.iter().filter_map(|problem| problem.at).map(|(line, _)| line).collect()
    }

    fn starts(text: &str) -> Vec<&str> {
        let script = read(text);
        script
            .statements
            .iter()
            .map(|statement| text[statement.start..].split(' ').next().unwrap_or(""))
            .collect()
    }

    #[test]
    fn statements_are_split_as_the_server_splits_them() {
        assert_eq!(
            starts("-- c\n SELECT 1;; /* ; */ INSERT ';' ;\nVALUES (1)"),
            ["SELECT", "INSERT", "VALUES"]
        );
        assert_eq!(starts("DO $x$ BEGIN; COMMIT; END $x$; SELECT 1"), ["DO", "SELECT"]);
        assert_eq!(
            starts("CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b); SELECT 1"),
            ["CREATE", "SELECT"]
        );
        let atomic = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3";
        assert_eq!(starts(atomic), ["CREATE", "SELECT"]);
        assert_eq!(lines_refused(atomic), NONE);
        assert_eq!(starts(""), [""; 0]);
    }

    #[test]
    fn what_ends_the_transaction_is_refused() {
        assert_eq!(lines_refused("BEGIN;\nSELECT 1;\ncommit;\n"), [3]);
        assert_eq!(
            lines_refused("/* a */ Rollback;\nEND;\nABORT;\nPREPARE TRANSACTION 'x';\nCOMMIT PREPARED 'x'"),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(
            lines_refused("SAVEPOINT a;\nROLLBACK TO a;\nROLLBACK WORK TO SAVEPOINT a;\nRELEASE a;"),
            NONE
        );
        assert_eq!(
            lines_refused("SELECT 'COMMIT;'; -- COMMIT;\nDO $$BEGIN COMMIT; END$$;\nPREPARE q AS SELECT 1;"),
            NONE
        );
        assert_eq!(lines_refused("INSERT INTO t VALUES (E'\\';\nCOMMIT; --');"), NONE);
    }

    #[test]
    fn what_only_psql_understands_is_refused() {
        assert_eq!(lines_refused("\\restrict abc'def\nSELECT 1;\n\\connect app\n"), [1, 3]);
        let copy = "COPY public.\"user\" (id, name) FROM stdin;\n1\tO'Brien; COMMIT\n\\.\nSELECT 1;\n\\unrestrict x\n";
        assert_eq!(lines_refused(copy), [1, 5]);
        assert_eq!(lines_refused("COPY t TO STDOUT;\nCOPY t FROM '/tmp/x';\nSELECT '\\d';"), [1]);
        assert_eq!(lines_refused("COPY (SELECT 1 FROM stdin) TO '/tmp/x'"), NONE);
    }
}
