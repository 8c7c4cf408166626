//! Quoting of identifiers, the same rule in SQLite and PostgreSQL.

/// `name` as a quoted identifier: nothing in it is interpreted, whatever a file calls its tables.
/// (PostgreSQL: SQL Syntax, "Identifiers and Key Words"; SQLite: "SQLite Keywords".)
#[must_use]
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `names` quoted and separated by commas.
pub fn quote_all<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_is_doubled() {
        assert_eq!(quote("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(quote_all(["user", "Order"]), "\"user\", \"Order\"");
    }
}
