//! The objects that a statement names: indexes, tables and their columns, foreign keys. In goes the statement with its
//! file's text; out come names as the server stores them.

use super::statement::Statement;
use squawk_lexer::{TokenKind, tokenize};
use std::iter::Peekable;

/// A table, or a column of it, that gets another name: each as the server stores it, without its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The table, by the name that it has so far.
    pub table: String,
    /// The column, unless it is the table that is renamed.
    pub column: Option<String>,
    /// The new name.
    pub to: String,
}

/// A foreign key that a table gets: names as the server stores them, without schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table that refers.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
}

impl Statement {
    /// Name and table of the index, if this is CREATE INDEX CONCURRENTLY with a name: the name as the server stores it,
    /// the table as written. `text` is the file's.
    #[must_use]
    pub fn concurrent_index(&self, text: &str) -> Option<(String, String)> {
        if !self.makes_index_concurrently() {
            return None;
        }
        let words = self.signs(text);
        let on = words.iter().position(|word| is(word, "ON"))?;
        let name =
            words.get(on.checked_sub(1)?).filter(|word| !is(word, "CONCURRENTLY") && !is(word, "EXISTS"))?;
        let mut table = words[on + 1..].iter().skip_while(|word| is(word, "ONLY"));
        let mut written = table.next()?.to_string();
        while let Some(part) = table.next().filter(|sign| **sign == ".").and_then(|_| table.next()) {
            written = format!("{written}.{part}");
        }
        Some((stored(name), written))
    }

    /// What is renamed, if this is ALTER TABLE … RENAME of a table or a column. `text` is the file's. (PostgreSQL:
    /// ALTER TABLE.)
    pub(super) fn rename(&self, text: &str) -> Option<Rename> {
        if !self.is(&["ALTER", "TABLE"]) {
            return None;
        }
        let signs = self.signs(text);
        let mut rest = signs[2..].iter().copied().peekable();
        let table = altered(&mut rest)?;
        rest.next_if(|word| is(word, "RENAME"))?;
        let column = match rest.next_if(|word| is(word, "TO")) {
            Some(_) => None,
            None => {
                rest.next_if(|word| is(word, "COLUMN"));
                let column = rest.next().filter(|word| !is(word, "CONSTRAINT"))?;
                rest.next_if(|word| is(word, "TO"))?;
                Some(stored(column))
            }
        };
        Some(Rename { table: stored(table), column, to: stored(rest.next()?) })
    }

    /// The foreign keys that this adds as constraints of the table, if it is ALTER TABLE. `text` is the file's.
    /// (PostgreSQL: ALTER TABLE.)
    #[must_use]
    pub fn foreign_keys(&self, text: &str) -> Vec<ForeignKey> {
        if !self.is(&["ALTER", "TABLE"]) {
            return Vec::new();
        }
        let signs = self.signs(text);
        let mut rest = signs[2..].iter().copied().peekable();
        let Some(table) = altered(&mut rest) else { return Vec::new() };
        let rest: Vec<&str> = rest.collect();
        let keys = rest.array_windows().enumerate().filter(|(_, [foreign, key, parenthesis])| {
            is(foreign, "FOREIGN") && is(key, "KEY") && *parenthesis == "("
        });
        let columns = |at| rest[at..].iter().take_while(|sign| **sign != ")").filter(|sign| **sign != ",");
        keys.map(|(at, _)| ForeignKey {
            table: stored(table),
            columns: columns(at + 3).map(|column| stored(column)).collect(),
        })
        .collect()
    }

    /// Schema, if one is written, and name of the table that this makes: as the server stores them. None if it may be
    /// there, or is temporary. `text` is the file's. (PostgreSQL: CREATE TABLE.)
    #[must_use]
    pub fn table_made(&self, text: &str) -> Option<(Option<String>, String)> {
        if !self.is(&["CREATE", "TABLE"]) && !self.is(&["CREATE", "UNLOGGED", "TABLE"]) {
            return None;
        }
        let signs = self.signs(text);
        let mut rest = signs.iter().skip_while(|sign| !sign.eq_ignore_ascii_case("TABLE")).skip(1).peekable();
        let (mut schema, mut name) = (None, *rest.next().filter(|word| !word.eq_ignore_ascii_case("IF"))?);
        while rest.next_if_eq(&&".").is_some() {
            (schema, name) = (Some(name), *rest.next()?);
        }
        Some((schema.map(stored), stored(name)))
    }

    /// Its words and signs as written, without comments. `text` is the file's.
    fn signs<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let text = &text[self.start..self.end];
        let mut offset = 0;
        let tokens = tokenize(text).map(|token| {
            let start = offset;
            offset += token.len as usize;
            (token.kind, &text[start..offset])
        });
        let skipped = |kind: &TokenKind| {
            matches!(kind, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. })
        };
        tokens.filter(|(kind, _)| !skipped(kind)).map(|(_, word)| word).collect()
    }
}

/// A name as the server stores it, which in UTF-8 leaves letters beyond ASCII as they are. (PostgreSQL: SQL Syntax,
/// "Identifiers and Key Words".)
fn stored(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_ascii_lowercase(),
    }
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// The table that ALTER TABLE names: what comes after these two words is read up to the action.
fn altered<'a>(rest: &mut Peekable<impl Iterator<Item = &'a str>>) -> Option<&'a str> {
    for optional in ["IF", "EXISTS", "ONLY"] {
        rest.next_if(|word| is(word, optional));
    }
    let mut table = rest.next()?;
    while rest.next_if_eq(&".").is_some() {
        table = rest.next()?;
    }
    rest.next_if_eq(&"*");
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::Rename;
    use crate::migration::sql::read;

    #[test]
    fn what_is_renamed() {
        let renamed = |text: &str| read(text).statements[0].rename(text);
        let rename = |table: &str, column: Option<&str>, to: &str| {
            Some(Rename { table: table.into(), column: column.map(Into::into), to: to.into() })
        };
        assert_eq!(renamed("ALTER TABLE Bots RENAME TO robots"), rename("bots", None, "robots"));
        assert_eq!(
            renamed("alter table if exists only app.\"A.\"\"b\" * rename /* x */ column \"to\" TO Z"),
            rename("A.\"b", Some("to"), "z")
        );
        assert_eq!(renamed("ALTER TABLE t RENAME n TO m"), rename("t", Some("n"), "m"));
        assert_eq!(renamed("ALTER TABLE T RENAME AÑO TO Über"), rename("t", Some("aÑo"), "Über"));
        for text in [
            "ALTER TABLE t RENAME CONSTRAINT a TO b",
            "ALTER TABLE t ADD rename int",
            "ALTER INDEX t RENAME TO b",
            "ALTER TABLE t RENAME",
            "ALTER TABLE",
        ] {
            assert_eq!(renamed(text), None, "{text}");
        }
    }

    #[test]
    fn what_foreign_keys_are_added() {
        let added = |text: &str| {
            let keys = read(text).statements[0].foreign_keys(text);
            keys.into_iter().map(|key| (key.table, key.columns.join(" "))).collect::<Vec<_>>()
        };
        let key = |table: &str, columns: &str| (table.to_owned(), columns.to_owned());
        assert_eq!(
            added("alter table only App.Trade add foreign key (Bot_id, \"Of\") references bot"),
            [key("trade", "bot_id Of")]
        );
        assert_eq!(
            added(
                "ALTER TABLE t ADD CONSTRAINT a FOREIGN KEY (a) REFERENCES b (c), ADD FOREIGN KEY(d) REFERENCES e"
            ),
            [key("t", "a"), key("t", "d")]
        );
        for text in [
            "ALTER TABLE t ADD PRIMARY KEY (a)",
            "CREATE TABLE t (FOREIGN KEY (a) REFERENCES b)",
            "ALTER TABLE",
        ] {
            assert_eq!(added(text), [], "{text}");
        }
    }

    #[test]
    fn what_table_is_made() {
        let made = |text: &str| read(text).statements[0].table_made(text);
        assert_eq!(made("CREATE TABLE \"User\" (a int)"), Some((None, "User".into())));
        assert_eq!(
            made("create /* x */ unlogged table App.Bots (a int)"),
            Some((Some("app".into()), "bots".into()))
        );
        for text in [
            "CREATE TABLE IF NOT EXISTS t (a int)",
            "CREATE TEMP TABLE t (a int)",
            "CREATE VIEW t AS SELECT 1",
            "CREATE TABLE",
        ] {
            assert_eq!(made(text), None, "{text}");
        }
    }
}
