//! The comments of a check that are more than a comment: `-- expect-error: 23505`, `-- budget: 50 ms` and
//! `-- connect-budget: 100 ms`. What looks like one of them and is none is an error, never prose.

use std::time::Duration;

/// A directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Directive {
    /// The next statement must be refused with this SQLSTATE.
    ExpectError(String),
    /// What the server may take: all statements together in the leading comment, else the next one.
    Budget(Duration),
    /// What opening a session may take.
    ConnectBudget(Duration),
}

const NAMES: [&str; 3] = ["expect-error", "budget", "connect-budget"];

/// What a comment says, given without its dashes; `None` if it is prose.
///
/// # Errors
/// What is wrong with a directive: its name, or what stands after the colon.
pub(super) fn parse(comment: &str) -> Result<Option<Directive>, String> {
    let comment = comment.trim();
    let (word, value) = match comment.split_once(':') {
        Some((word, value)) => (word.trim_end(), Some(value)),
        None => (comment.split_whitespace().next().unwrap_or_default(), None),
    };
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !is_word {
        return Ok(None);
    }
    let plain = word.to_ascii_lowercase().replace('_', "-");
    let known = NAMES.iter().find(|name| **name == plain);
    match (known, value) {
        (Some(name), Some(value)) if *name == word => directive(name, value.trim()).map(Some),
        (Some(name), Some(_)) => Err(format!("{word} is not a directive: write -- {name}: …")),
        (Some(name), None) => {
            // "budget" is a word like others, unless a time follows
            let rest = comment[word.len()..].trim();
            let prose = *name == "budget" && time(rest).is_none();
            if prose { Ok(None) } else { Err(format!("a colon is missing: write -- {name}: …")) }
        }
        // "https://…" and "Note: …" are prose
        (None, Some(value)) if word == plain && (value.is_empty() || value.starts_with([' ', '\t'])) => {
            Err(format!(
                "{word} is not a directive; those that there are: {}. If it is prose, begin the line with another word",
                NAMES.join(", ")
            ))
        }
        (None, _) => Ok(None),
    }
}

fn directive(name: &str, value: &str) -> Result<Directive, String> {
    let duration = || {
        time(value)
            .ok_or_else(|| format!("{name}: {value:?} is not a time above 0, such as 50 ms, 2s or 1500us"))
    };
    match name {
        "budget" => duration().map(Directive::Budget),
        "connect-budget" => duration().map(Directive::ConnectBudget),
        _ => {
            let code = value.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            // classes 00, 01 and 02 are no errors (PostgreSQL: Error Codes)
            let error = !["00", "01", "02"].iter().any(|class| value.starts_with(class));
            if value.len() == 5 && code && error {
                return Ok(Directive::ExpectError(value.to_owned()));
            }
            Err(format!(
                "{name}: {value:?} is not the SQLSTATE of an error: expected five digits and capital letters, such as 23505"
            ))
        }
    }
}

fn time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives() {
        let ms = Duration::from_millis;
        assert_eq!(parse(" expect-error: 23505 "), Ok(Some(Directive::ExpectError("23505".into()))));
        assert_eq!(parse(" expect-error:22P02"), Ok(Some(Directive::ExpectError("22P02".into()))));
        assert_eq!(parse(" budget: 50 ms"), Ok(Some(Directive::Budget(ms(50)))));
        assert_eq!(parse("budget:2s"), Ok(Some(Directive::Budget(ms(2000)))));
        assert_eq!(parse(" connect-budget: 100ms"), Ok(Some(Directive::ConnectBudget(ms(100)))));
    }

    #[test]
    fn prose() {
        for text in [
            "",
            " Which users cannot log in?",
            " Note: the application compares exactly",
            " see https://example.com",
            " https://example.com",
            " the e-mail: as it is",
            " budget of a user is not looked at",
            "---------------------",
            " SELECT 1::int",
        ] {
            assert_eq!(parse(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_directive_and_is_none() {
        for text in [
            "expect_error: 23505",
            "Expect-Error: 23505",
            "expect-error 23505",
            "expected-error: 23505",
            "expect-error:",
            "expect-error: unique_violation",
            "expect-error: 235",
            "expect-error: 00000",
            "budget: fast",
            "budget: 50",
            "budget: 0 ms",
            "budget 50 ms",
            "BUDGET: 50 ms",
            "connect_budget: 100 ms",
            "timeout: 5 s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
