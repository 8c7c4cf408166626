//! Rows for which a rule of the target cannot be computed: a CHECK that divides by zero, an index on a cast, a function
//! that raises. After a query for a rule has failed, the rule is asked row by row, by a function that catches the
//! error.

use super::misfits::NAMED_ROWS;
use super::refused;
use super::shadow::Shadows;
use crate::error::Error;
use crate::postgres::rule::{Broken, Rule};
use tokio_postgres::Client;

/// Rows that break a rule, or, with an SQLSTATE, rows for which it cannot be computed.
pub(super) struct Asked {
    pub code: Option<String>,
    pub rows: i64,
    /// The numbers of the first, one more than will be named.
    pub first: Vec<u64>,
}

/// Asks `rule` row by row; nothing if it cannot be asked this way.
pub(super) async fn rows(client: &Client, shadows: &Shadows, rule: &Rule) -> Result<Vec<Asked>, Error> {
    let doing = || Error::database(format!("looking up the rows for which {} cannot be computed", rule.name));
    let (Some((shadow, alias)), Some(body)) = (shadows.copy_of(rule.table), body(shadows, rule)) else {
        return Ok(Vec::new());
    };
    let signature = format!("pg_temp.outgrow_ask({shadow}) RETURNS text");
    let query = format!(
        "SELECT code, count(*), (array_agg(n ORDER BY n))[1:{most}] \
         FROM (SELECT {number} AS n, pg_temp.outgrow_ask({alias}) AS code FROM {shadow} AS {alias} WHERE NOT {unfit}) AS asked \
         WHERE code IS NOT NULL GROUP BY code ORDER BY code",
        most = NAMED_ROWS + 1,
        number = shadows.number,
        unfit = shadows.unfit,
    );
    client.batch_execute(&refused::function(&signature, &body)).await.map_err(doing())?;
    let found = client.query(&query, &[]).await.map_err(doing())?;
    client.batch_execute(&format!("DROP FUNCTION pg_temp.outgrow_ask({shadow})")).await.map_err(doing())?;
    let asked = found.iter().map(|row| {
        let first: Vec<i64> = row.get(2);
        Asked {
            code: Some(row.get(0)).filter(|code: &String| code != BROKEN),
            rows: row.get(1),
            first: first.into_iter().map(i64::unsigned_abs).collect(),
        }
    });
    Ok(asked.collect())
}

/// Stands for an SQLSTATE where the rule was computed, and is broken.
const BROKEN: &str = "broken";

/// What the function does with the row `$1`.
fn body(shadows: &Shadows, rule: &Rule) -> Option<String> {
    let (_, alias) = shadows.copy_of(rule.table)?;
    let row = format!("(SELECT ($1).*) AS {alias}");
    let own = rule.filter.as_deref().unwrap_or("true");
    let computed = |keys: &[String], predicate: &Option<String>| {
        let predicate = predicate.as_deref().unwrap_or("true");
        format!("PERFORM {} FROM {row} WHERE ({own}) AND ({predicate})", keys.join(", "))
    };
    let broken = |from: &str, condition: &str| {
        format!("IF EXISTS (SELECT FROM {from} WHERE {condition}) THEN RETURN '{BROKEN}'; END IF")
    };
    let ask = match &rule.broken {
        Broken::Same { keys, predicate, .. }
        | Broken::Excluded { keys, predicate, .. }
        | Broken::Raises { keys, predicate } => computed(keys, predicate),
        Broken::True(condition) => broken(&row, &format!("({own}) AND ({condition})")),
        Broken::TrueOfValue { column, condition } => {
            broken(&format!("(SELECT {column} AS value FROM {row}) AS one"), condition)
        }
        Broken::Orphan { .. } => return None,
    };
    Some(format!("BEGIN {ask}; RETURN NULL; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END"))
}
