//! Queries for the rows of a failed load that break a rule of the target, asked of the tables without rules
//! ([`super::shadow`]) that hold them.

use super::misfits::NAMED_ROWS;
use super::shadow::Shadows;
use crate::postgres::rule::{Broken, Parent, Rule};

/// A query for the number of rows that break `rule` and for the first groups of them: one more than will be named.
pub(super) fn query(shadows: &Shadows, rule: &Rule) -> Option<String> {
    let limit = NAMED_ROWS + 1;
    let (from, number, unfit) = (shadows.from(rule.table)?, &shadows.number, &shadows.unfit);
    let own = all_or(&rule.filter);
    let single = match &rule.broken {
        Broken::Same { keys, predicate, nulls_equal } => {
            // NULL may stand for a misfit
            let fit = if *nulls_equal { format!("NOT {unfit}") } else { "true".to_owned() };
            let known = |n| if *nulls_equal { "true".to_owned() } else { format!("k{n} IS NOT NULL") };
            return Some(format!(
                "SELECT (sum(rows) OVER ())::bigint, first FROM (\
                   SELECT count(*) AS rows, (array_agg(n ORDER BY n))[1:{limit}] AS first \
                   FROM ({} AND {fit}) AS keyed WHERE {} GROUP BY {} HAVING count(*) > 1) AS same \
                 ORDER BY first LIMIT {limit}",
                keyed(shadows, rule, keys, predicate)?,
                each(keys, &known, " AND "),
                each(keys, &|n| format!("k{n}"), ", ")
            ));
        }
        Broken::Excluded { keys, operators, predicate } => format!(
            "WITH keyed AS ({}) SELECT a.n FROM keyed AS a \
             WHERE EXISTS (SELECT 1 FROM keyed AS b WHERE a.n <> b.n AND {})",
            keyed(shadows, rule, keys, predicate)?,
            each(keys, &|n| format!("a.k{n} {} b.k{n}", operators[n]), " AND ")
        ),
        // an index on columns
        Broken::Raises { predicate: None, .. } if !rule.columns.is_empty() && !rule.is_generated() => {
            return None;
        }
        // nothing is found, and everything computed
        Broken::Raises { keys, predicate } => {
            let counts = each(keys, &|n| format!("count(k{n})"), ", ");
            return Some(format!(
                "SELECT 0::bigint, ARRAY[]::bigint[] FROM ({} AND NOT {unfit}) AS keyed HAVING least({counts}) < 0",
                keyed(shadows, rule, keys, predicate)?
            ));
        }
        Broken::True(condition) => {
            format!("SELECT {number} AS n FROM {from} WHERE NOT {unfit} AND ({own}) AND ({condition})")
        }
        Broken::TrueOfValue { column, condition } => {
            format!(
                "SELECT n FROM (SELECT {number} AS n, {column} AS value FROM {from} WHERE NOT {unfit}) AS one \
                 WHERE {condition}"
            )
        }
        Broken::Orphan { parent, child, comparisons, full } => {
            orphans(shadows, rule, parent, (child, comparisons), *full)?
        }
    };
    Some(format!("SELECT count(*) OVER (), ARRAY[n] FROM ({single}) AS single ORDER BY n LIMIT {limit}"))
}

fn all_or(filter: &Option<String>) -> &str {
    filter.as_deref().unwrap_or("true")
}

/// A query for the numbers of the rule's rows, `n`, and their keys, `k0` and so on.
fn keyed(shadows: &Shadows, rule: &Rule, keys: &[String], predicate: &Option<String>) -> Option<String> {
    let keys = keys.iter().enumerate().map(|(n, key)| format!(", {key} AS k{n}"));
    Some(format!(
        "SELECT {} AS n{} FROM {} WHERE ({}) AND ({})",
        shadows.number,
        keys.collect::<String>(),
        shadows.from(rule.table)?,
        all_or(predicate),
        all_or(&rule.filter)
    ))
}

/// `text` for the number of each key.
fn each(keys: &[String], text: &dyn Fn(usize) -> String, between: &str) -> String {
    (0..keys.len()).map(text).collect::<Vec<_>>().join(between)
}

/// A query for the numbers of the rows without their row of `parent`, and if `full` those that are NULL in a part of
/// the columns.
fn orphans(
    shadows: &Shadows,
    rule: &Rule,
    parent: &Parent,
    (child, comparisons): (&[String], &[String]),
    full: bool,
) -> Option<String> {
    let (from, number, unfit) = (shadows.from(rule.table)?, &shadows.number, &shadows.unfit);
    let own = all_or(&rule.filter);
    let parent = match parent {
        Parent::Among { table, filter } => {
            format!("(SELECT * FROM {} WHERE {})", shadows.from(*table)?, all_or(filter))
        }
        Parent::Elsewhere(parent) => parent.clone(),
    };
    let known: Vec<String> = child.iter().map(|c| format!("c.{c} IS NOT NULL")).collect();
    let rows = format!("SELECT c.{number} AS n FROM (SELECT * FROM {from} WHERE {own}) AS c");
    let orphans = format!(
        "{rows} WHERE {} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {})",
        known.join(" AND "),
        comparisons.join(" AND ")
    );
    let mixed =
        format!("{rows} WHERE NOT c.{unfit} AND ({}) AND NOT ({})", known.join(" OR "), known.join(" AND "));
    Some(if full { format!("{orphans} UNION ALL {mixed}") } else { orphans })
}
