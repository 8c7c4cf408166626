//! The DEFAULT of a column that never came from SQLite. In goes the expression as PostgreSQL words it; out comes what
//! SQLite gives a row that does not name the column, if that is the same: a constant, or the current time.
//! (PostgreSQL: System Information Functions, `pg_get_expr`. SQLite: CREATE TABLE, "The DEFAULT clause".)

use crate::postgres::catalog;
use tokio_postgres::types::Type;

/// A literal, its casts left out.
#[derive(Debug, PartialEq)]
enum Literal {
    /// In quotes.
    Quoted(String),
    /// A number, `true` or `false`.
    Bare(String),
}

/// The clause's value in SQLite; none if it has no such form.
pub(super) fn of(expression: &str, column: &catalog::Column) -> Option<String> {
    let of_type = Type::from_oid(column.type_oid)?;
    if expression.starts_with("NULL::") {
        return Some("NULL".to_owned());
    }
    match of_type {
        Type::TIMESTAMP | Type::TIMESTAMPTZ => is_now(expression).then(|| "CURRENT_TIMESTAMP".to_owned()),
        Type::DATE => (expression == "CURRENT_DATE").then(|| "CURRENT_DATE".to_owned()),
        _ => written(&literal(expression)?, &of_type),
    }
}

/// The start of the transaction or of the statement, whatever its fraction and clock: SQLite has one such moment.
fn is_now(expression: &str) -> bool {
    let inner = ["timezone('utc'::text, ", "timezone('UTC'::text, "];
    let inner = inner.iter().find_map(|zone| expression.strip_prefix(zone)?.strip_suffix(')'));
    let inner = inner.or_else(|| {
        let at = expression.strip_prefix('(')?;
        at.strip_suffix(" AT TIME ZONE 'utc'::text)")
            .or_else(|| at.strip_suffix(" AT TIME ZONE 'UTC'::text)"))
    });
    let moment = inner.unwrap_or(expression);
    let (name, rest) = moment.split_at(moment.find('(').unwrap_or(moment.len()));
    let precise = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let is_precision =
        rest.is_empty() || precise.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let names = [
        "now",
        "CURRENT_TIMESTAMP",
        "LOCALTIMESTAMP",
        "transaction_timestamp",
        "statement_timestamp",
        "clock_timestamp",
    ];
    is_precision && names.contains(&name)
}

/// The literal, if the expression is nothing else.
fn literal(expression: &str) -> Option<Literal> {
    let (literal, casts) = match expression.strip_prefix('\'') {
        Some(mut rest) => {
            let mut text = String::new();
            loop {
                let (part, behind) = rest.split_once('\'')?;
                text.push_str(part);
                let Some(more) = behind.strip_prefix('\'') else { break (Literal::Quoted(text), behind) };
                text.push('\'');
                rest = more;
            }
        }
        None => {
            let (bare, casts) = expression.split_at(expression.find("::").unwrap_or(expression.len()));
            let inner = bare.strip_prefix('(').and_then(|bare| bare.strip_suffix(')')).unwrap_or(bare);
            let is_number = inner.parse::<f64>().is_ok_and(f64::is_finite);
            (
                Literal::Bare((is_number || inner == "true" || inner == "false").then(|| inner.to_owned())?),
                casts,
            )
        }
    };
    let is_of_type = |letter: char| letter.is_alphanumeric() || " _:(),\"[].".contains(letter);
    (casts.is_empty() || casts.starts_with("::") && casts.chars().all(is_of_type)).then_some(literal)
}

/// The literal as SQLite stores what the export stores of such a value.
fn written(literal: &Literal, of_type: &Type) -> Option<String> {
    let (Literal::Quoted(text) | Literal::Bare(text)) = literal;
    match (of_type, literal) {
        (&Type::BOOL, _) => match text.as_str() {
            "true" => Some("1".to_owned()),
            "false" => Some("0".to_owned()),
            _ => None,
        },
        (&Type::INT2 | &Type::INT4 | &Type::INT8 | &Type::FLOAT4 | &Type::FLOAT8 | &Type::NUMERIC, _) => {
            text.parse::<f64>().is_ok_and(f64::is_finite).then(|| text.clone())
        }
        (&Type::TEXT | &Type::VARCHAR | &Type::JSON | &Type::JSONB, Literal::Quoted(_)) => {
            Some(format!("'{}'", text.replace('\'', "''")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_alone() {
        let quoted = |text: &str| Some(Literal::Quoted(text.to_owned()));
        let bare = |text: &str| Some(Literal::Bare(text.to_owned()));
        for (expression, found) in [
            ("'draft'::character varying", quoted("draft")),
            ("'it''s'::text", quoted("it's")),
            ("'x'::character varying(3)", quoted("x")),
            ("''::text", quoted("")),
            ("'-1'::integer", quoted("-1")),
            ("(-5)", bare("-5")),
            ("'1'::numeric(8,2)", quoted("1")),
            ("1.50", bare("1.50")),
            ("true", bare("true")),
            ("lower('A'::text)", None),
            ("('a'::text || 'b'::text)", None),
            ("'a'::text || 'b'::text", None),
            ("E'\\\\x'::text", None),
            ("CURRENT_USER", None),
            ("", None),
        ] {
            assert_eq!(literal(expression), found, "{expression}");
        }
    }

    #[test]
    fn the_current_time() {
        for expression in [
            "now()",
            "CURRENT_TIMESTAMP",
            "CURRENT_TIMESTAMP(3)",
            "timezone('utc'::text, now())",
            "(now() AT TIME ZONE 'utc'::text)",
        ] {
            assert!(is_now(expression), "{expression}");
        }
        for expression in
            ["(now() + '1 day'::interval)", "timezone('Europe/Madrid'::text, now())", "CURRENT_DATE", ""]
        {
            assert!(!is_now(expression), "{expression}");
        }
    }
}
