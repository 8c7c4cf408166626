//! What a file of `migrations/` is called. In goes its path; out comes what the name says, or the sentence that says what
//! is wrong with it.

use std::ffi::OsStr;
use std::path::Path;

/// What a well-named file's name says.
pub(super) struct Named<'a> {
    /// `V` or `U`.
    pub prefix: &'a str,
    pub number: i32,
    pub title: &'a str,
    pub extension: Extension,
}

pub(super) enum Extension {
    Sql,
    Toml,
}

/// What a file's name says, or what is wrong with it. Stricter than refinery's regular expression in one point: the whole
/// stem must match, since refinery would record `V1__a-b` under the name `a`.
pub(super) fn named(file: &Path) -> Result<Named<'_>, String> {
    let expected = "expected V<number>__<name>.sql, V<number>__<name>.toml or U<number>__<name>.sql, \
                    with letters, digits and _ in the name";
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let wrong = |what: &str| Err(format!("{what}: {expected}"));
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return wrong("is no migration");
    };
    let extension = match extension {
        "sql" => Extension::Sql,
        "toml" => Extension::Toml,
        _ => return wrong("is no migration"),
    };
    let Some((prefixed, title)) = stem.split_once("__") else {
        return wrong("is misnamed");
    };
    let (prefix, number) = match (prefixed.split_at_checked(1), &extension) {
        (Some(("V", number)), _) | (Some(("U", number)), Extension::Sql) => (&prefixed[..1], number),
        (Some(("U", _)), Extension::Toml) => {
            return Err(
                "is misnamed: a data step cannot arrive out of order, name it V<number>__<name>.toml".into(),
            );
        }
        _ => return wrong("is misnamed"),
    };
    // of the characters that refinery takes (`\w`) those that Rust tells as well
    let word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_alphabetic() || c.is_ascii_digit() || c == '_')
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) || !word(title) {
        return wrong("is misnamed");
    }
    let Ok(number) = number.parse() else {
        return Err(format!(
            "version {number} is too large: refinery's history holds numbers up to {}; number such files V1, V2, V3, … in \
             their order",
            i32::MAX
        ));
    };
    // refinery's column is varchar(255)
    if title.chars().count() > 255 {
        return Err("the name is longer than the 255 characters that the history holds".into());
    }
    Ok(Named { prefix, number, title, extension })
}

/// The number in a well-named file's name.
pub(super) fn number_of(file: &Path) -> Option<u32> {
    file.file_name()?.to_str()?.get(1..)?.split_once("__")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["V1__a.sql", "V007__A_b.toml", "U3__é.sql"] {
            assert!(named(Path::new(good)).is_ok(), "{good}");
        }
        for bad in [
            "V1_a.sql",
            "v1__a.sql",
            "V1__.sql",
            "V__a.sql",
            "V1__a.SQL",
            "V1__a",
            "V1.1__a.sql",
            "V1__a-b.sql",
            "V1__a.sql.orig",
            "U1__a.toml",
            "V99999999999__a.sql",
            "README.md",
            "é1__a.sql",
            "V1__a².sql",
        ] {
            assert!(named(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
