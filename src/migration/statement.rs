//! One statement of a migration file: what it is, by its words, and why it must not run, if so.

use super::sql::NO_TRANSACTION;

/// One statement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Byte offset of its first word.
    pub start: usize,
    /// Byte offset after its last word or sign; a semicolon and comments after that are not part of it.
    pub end: usize,
    /// Its words (keywords and unquoted identifiers) in upper case, outside parentheses.
    pub(super) words: Vec<String>,
}

impl Statement {
    /// It sets a password, which is not for a log.
    #[must_use]
    pub fn sets_password(&self) -> bool {
        self.words.iter().any(|word| word == "PASSWORD" || word == "IDENTIFIED")
    }

    /// Its keywords and unquoted names outside parentheses, in upper case, with `""` for quoted names and texts
    /// anywhere.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    pub(super) fn is(&self, words: &[&str]) -> bool {
        self.words.iter().map(String::as_str).take(words.len()).eq(words.iter().copied())
    }

    pub(super) fn copies_from_stdin(&self) -> bool {
        self.is(&["COPY"]) && self.words.windows(2).any(|pair| pair[0] == "FROM" && pair[1] == "STDIN")
    }

    pub(super) fn makes_index_concurrently(&self) -> bool {
        self.is(&["CREATE", "INDEX", "CONCURRENTLY"])
            || self.is(&["CREATE", "UNIQUE", "INDEX", "CONCURRENTLY"])
    }

    /// All that it does is to set something of the session, which another session has to be told again. (PostgreSQL:
    /// SET, and "Configuration Settings Functions".)
    #[must_use]
    pub fn is_of_the_session(&self) -> bool {
        match self.words().as_slice() {
            ["SET", "LOCAL" | "CONSTRAINTS" | "TRANSACTION", ..] | ["PREPARE", "TRANSACTION", ..] => false,
            ["SET" | "RESET" | "PREPARE" | "DEALLOCATE" | "DISCARD" | "LOAD", ..] => true,
            // its texts are empty words
            ["SELECT", "SET_CONFIG", rest @ ..] | ["SELECT", "PG_CATALOG", "SET_CONFIG", rest @ ..] => {
                rest.iter().all(|word| word.is_empty())
            }
            _ => false,
        }
    }

    /// It makes or changes a table or an index that is not temporary, by itself and not from a query: nothing that it does
    /// belongs to the session.
    pub(super) fn is_plain(&self) -> bool {
        let words = self.words();
        let is_of_tables = matches!(
            words.as_slice(),
            ["CREATE" | "ALTER" | "DROP", "TABLE", ..]
                | ["CREATE" | "DROP", "INDEX", ..]
                | ["CREATE", "UNIQUE", "INDEX", ..]
                | ["COMMENT", "ON", ..]
        );
        is_of_tables
            && !words.iter().any(|word| matches!(*word, "AS" | "EXECUTE" | "PG_TEMP" | "CONCURRENTLY"))
    }

    fn makes_temporary(&self) -> bool {
        let temporary = |word: &&str| matches!(*word, "TEMP" | "TEMPORARY");
        match self.words().as_slice() {
            ["CREATE", "OR", "REPLACE", word, ..]
            | ["CREATE", "GLOBAL" | "LOCAL", word, ..]
            | ["CREATE", word, ..] => temporary(word),
            words => words.windows(2).any(|pair| pair[0] == "INTO" && temporary(&pair[1])),
        }
    }

    /// Why this statement must not run in a version without a transaction, if so.
    pub(super) fn refusal_alone(&self, text: &str) -> Option<String> {
        let words = self.words();
        match words.as_slice() {
            ["BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE", second, ..]
                if *second == "PREPARED" =>
            {
                None
            }
            ["BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE", ..] => Some(format!(
                "{}: here each statement stands alone; what belongs in one transaction is a version without \
                 \"{NO_TRANSACTION}\"",
                words[0]
            )),
            _ if self.makes_temporary() => Some(
                "what is temporary is gone with the session, and the version may be gone on with in another: make it an \
                 ordinary one, and drop it in the end"
                    .into(),
            ),
            _ if self.makes_index_concurrently() && self.concurrent_index(text).is_none() => Some(
                "the index has no name: only by its name is one found again that was interrupted while it was made"
                    .into(),
            ),
            _ => None,
        }
    }

    /// Why this statement must not run inside a version's transaction, if so.
    pub(super) fn refusal(&self) -> Option<String> {
        let words = self.words();
        match words.as_slice() {
            // ROLLBACK [WORK | TRANSACTION] TO a savepoint ends nothing
            ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => None,
            ["COMMIT" | "END" | "ROLLBACK" | "ABORT", ..] | ["PREPARE", "TRANSACTION", ..] => Some(format!(
                "{} would end the transaction that the version is applied in: delete it and its BEGIN, \
                 outgrow opens and commits the transaction itself",
                words[0]
            )),
            ["COPY", ..] if self.copies_from_stdin() => Some(
                "COPY … FROM STDIN has its rows inline, which only psql reads: write INSERT statements (pg_dump --inserts), \
                 or bring the rows from the SQLite file with a data step"
                    .into(),
            ),
            ["COPY", ..] if words.windows(2).any(|pair| pair == ["TO", "STDOUT"]) => {
                Some("COPY … TO STDOUT has nobody to read it: delete it".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::migration::sql::read;

    #[test]
    fn what_leaves_nothing_in_the_session() {
        let is = |text: &str| read(text).statements[0].is_plain();
        for text in [
            "CREATE TABLE t (id int, at timestamp DEFAULT now())",
            "ALTER TABLE t ADD COLUMN c text",
            "CREATE UNIQUE INDEX ON t (lower(c))",
            "COMMENT ON TABLE t IS 'as it is'",
            "DROP TABLE t",
        ] {
            assert!(is(text), "{text}");
        }
        for text in [
            "create unlogged table t (id int)",
            "CREATE TEMP TABLE t (id int)",
            "CREATE TABLE pg_temp.t (id int)",
            "CREATE TABLE t AS SELECT set_config('search_path', '', false)",
            "CREATE INDEX CONCURRENTLY i ON t (id)",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1",
            "SET search_path = app",
            "SELECT 1",
            "INSERT INTO t VALUES (f())",
            "DO $$ BEGIN END $$",
        ] {
            assert!(!is(text), "{text}");
        }
    }

    #[test]
    fn what_only_sets_something_of_the_session() {
        let is = |text: &str| read(text).statements[0].is_of_the_session();
        for text in [
            "SET search_path = app",
            "set session authorization ana",
            "SET ROLE owner",
            "RESET ALL",
            "PREPARE q AS SELECT 1",
            "DISCARD ALL",
            "SELECT pg_catalog.set_config('search_path', '', false)",
        ] {
            assert!(is(text), "{text}");
        }
        for text in [
            "SET LOCAL search_path = app",
            "SET CONSTRAINTS ALL IMMEDIATE",
            "PREPARE TRANSACTION 'x'",
            "SELECT set_config('a.b', 'c', false) FROM t",
            "INSERT INTO t SELECT 1",
            "UPDATE t SET a = 1",
        ] {
            assert!(!is(text), "{text}");
        }
    }
}
