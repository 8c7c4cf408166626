//! Rows that the server refuses for what no rule of the catalog says: too wide for a page or an index, an expression or
//! a function that raises. Each table is filled from its shadow in one statement; where that fails, row by row, by a
//! function that catches the error. Content is kept out of what is said: SQLSTATE, constraint and function, no message.

use super::aside::{Aside, Extent};
use super::columns::BoundTable;
use super::misfits::NAMED_ROWS;
use super::shadow::Shadows;
use crate::error::{Error, is_circumstance, server_message};
use crate::identifier::quote_all;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Row};

/// So many rows of a table are tried one by one at most: about 20 s of the server's time.
const ROWS_TRIED: u64 = 1_000_000;

/// What the server said of one row.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// SQLSTATE.
    pub code: String,
    /// The target's table.
    pub table: String,
    /// What is wrong, without the row's content.
    pub line: String,
    /// The row's number among those sent, from 1, where COPY says it exactly.
    pub row: Option<u64>,
}

impl Refusal {
    /// By the server's answer to the load of `table`.
    pub(super) fn of(said: &DbError, table: &str) -> Refusal {
        let code = said.code().code();
        // the server's own words of a constraint hold no content but in the detail; those of a function (RAISE) may
        let raised = said.routine() == Some("exec_stmt_raise");
        let what = if code.starts_with("23") && !raised {
            format!("{} [SQLSTATE {code}]", said.message())
        } else {
            format!("the server refuses a row: {}", in_words(code, said.constraint()))
        };
        let row = said.where_().and_then(|context| copied_row(context, table));
        // rows are stored many at once, and what does not fit a page is noticed then; one by one where it is looked for
        let exact = said.constraint().is_some() || !["54", "XX"].iter().any(|class| code.starts_with(class));
        let row = row.filter(|_| exact || said.where_().is_some_and(|context| context.contains(OWN)));
        Refusal { code: code.to_owned(), table: table.to_owned(), line: format!("{table}: {what}"), row }
    }
}

/// How the names of temporary tables begin.
const OWN: &str = "outgrow_s";

/// The number in `COPY table, line 7, column …`, whatever the language: in binary format, too, a line is a row.
fn copied_row(context: &str, table: &str) -> Option<u64> {
    let line = context.lines().rfind(|line| line.contains("COPY"))?;
    let (_, after) = match line.split_once(OWN) {
        Some((_, own)) => own.split_once(',')?,
        None => line.split_once(table)?,
    };
    let digits: String =
        after.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Whether an SQLSTATE may speak of the rows that were sent: anything but a circumstance, and but what is wrong with
/// the session, the role or the statement. What a function raises may have any code of its own.
/// (PostgreSQL: Error Codes.)
pub(super) fn is_of_rows(code: &SqlState) -> bool {
    let others = ["0", "2B", "2D", "24", "25", "26", "28", "34", "3", "42", "F0", "XX001", "XX002"];
    let other = others.iter().any(|class| code.code().starts_with(class));
    !is_circumstance(code) && (!other || code.code().starts_with("38") || code.code().starts_with("39"))
}

/// An SQLSTATE as a reason, since the server's message may quote the value. `constraint` is what it names, if anything.
pub(super) fn in_words(code: &str, constraint: Option<&str>) -> String {
    let what = match (code, constraint) {
        ("22012", _) => "a division by zero",
        ("22003", _) => "a number out of range",
        ("22P02" | "22007" | "22008" | "22018", _) => {
            "a text or a date that is no value of the type it is cast to"
        }
        ("22001", _) => "a text that is too long",
        ("22P05" | "22021", _) => "a character that the target database's encoding does not have",
        ("54001", _) => "a value nested deeper than the server's max_stack_depth allows",
        (_, Some(_)) if code.starts_with("54") => "a value that is too long for an index",
        (_, None) if code.starts_with("54") => "more than the server holds in a row or an index",
        (_, _) if code.starts_with("22") => "a value that an expression of the target cannot take",
        (_, _) if code.starts_with("23") => "a constraint",
        _ => "an exception that a function of the target raises",
    };
    format!("{what} [SQLSTATE {code}]")
}

/// The statement that makes a plpgsql function.
pub(super) fn function(signature: &str, body: &str) -> String {
    let mut quotes = "$outgrow$".to_owned();
    while body.contains(&quotes) {
        quotes.insert(1, '_');
    }
    format!("CREATE OR REPLACE FUNCTION {signature} LANGUAGE plpgsql AS {quotes} {body} {quotes}")
}

/// Rows of one table that are refused for one reason.
pub(super) struct RefusedRows {
    /// The table's identifier.
    pub table: u32,
    /// SQLSTATE.
    pub code: String,
    /// The constraint or index that the server names.
    pub constraint: Option<String>,
    /// The function that raised, and where in it.
    pub function: Option<String>,
    /// Of a limit for which the server names nothing: the table's indexes with their columns.
    pub indexes: Option<String>,
    /// The first message, which may hold content.
    pub message: String,
    /// It holds none: it is of the server itself, and about a limit.
    pub harmless: bool,
    pub rows: i64,
    /// Not all rows were tried.
    pub at_least: bool,
    /// The numbers of the first, one more than will be named.
    pub first: Vec<u64>,
}

/// Fills the tables from `shadows`, and finds the rows that cannot be stored. `known` says of a code, a table and a
/// constraint's name that such rows have been found already; with `fill`, a table of such rows gets its others all the
/// same, since a function may read them. Triggers and foreign keys are set aside for it.
pub(super) async fn look_up(
    client: &Client,
    shadows: &Shadows,
    tables: &[BoundTable],
    fill: bool,
    known: impl Fn(&str, u32, Option<&str>) -> bool,
) -> Result<Vec<RefusedRows>, Error> {
    let doing = || Error::database("trying to store each row");
    Aside::set(client, tables, Extent::Rules).await?;
    let mut refused = Vec::new();
    for table in tables {
        client.batch_execute("SAVEPOINT outgrow_store").await.map_err(doing())?;
        let Some(insert) = Insert::of(shadows, table) else { continue };
        match client.batch_execute(&insert.all()).await {
            Ok(()) => continue,
            Err(error) => match error.as_db_error() {
                Some(said) if is_of_rows(said.code()) => {
                    client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_store").await.map_err(doing())?;
                    // rows that break a rule are many at times, and then not worth the search for others
                    let code = said.code().code();
                    if !fill && code.starts_with("23") && known(code, table.target.oid, said.constraint()) {
                        continue;
                    }
                }
                Some(_) => {
                    log::debug!("{}: {}", table.target.name, server_message(&error));
                    client.batch_execute("ROLLBACK TO SAVEPOINT outgrow_store").await.map_err(doing())?;
                    continue;
                }
                None => return Err(doing()(error)),
            },
        }
        client.batch_execute(&insert.one_by_one()).await.map_err(doing())?;
        let rows = client.query(&summary(), &[]).await.map_err(doing())?;
        let counted = client.query_one(&insert.count(), &[]).await.map_err(doing())?;
        let at_least = counted.get::<_, i64>(0).unsigned_abs() > ROWS_TRIED;
        let indexes: Option<String> =
            client.query_one(INDEXES, &[&table.target.oid]).await.map_err(doing())?.get(0);
        let found = rows.iter().map(|row| RefusedRows {
            indexes: indexes.clone().filter(|_| row.get::<_, &str>("code").starts_with("54")),
            ..RefusedRows::from(row, table.target.oid, at_least)
        });
        refused.extend(found.filter(|found| !known(&found.code, found.table, found.constraint.as_deref())));
    }
    Ok(refused)
}

impl RefusedRows {
    fn from(row: &Row, table: u32, at_least: bool) -> RefusedRows {
        let first: Vec<i64> = row.get("first");
        RefusedRows {
            table,
            code: row.get("code"),
            constraint: row.get("name"),
            function: row.get("function"),
            indexes: None,
            message: row.get("message"),
            harmless: row.get("harmless"),
            rows: row.get("rows"),
            at_least,
            first: first.into_iter().map(i64::unsigned_abs).collect(),
        }
    }
}

/// Indexes and their columns, in words.
const INDEXES: &str = "\
SELECT 'one of the indexes ' || string_agg(format('%s (%s)', c.relname,
         (SELECT string_agg(coalesce(a.attname, 'an expression'), ', ')
          FROM unnest(i.indkey::int2[]) AS n LEFT JOIN pg_catalog.pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = n AND n > 0)), ', ' ORDER BY c.relname)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1";

/// How the rows of one shadow go into their table.
struct Insert<'a> {
    shadows: &'a Shadows,
    shadow: String,
    into: String,
    columns: Vec<&'a str>,
}

impl Insert<'_> {
    fn of<'a>(shadows: &'a Shadows, table: &'a BoundTable) -> Option<Insert<'a>> {
        let (shadow, _) = shadows.copy_of(table.target.oid)?;
        let columns: Vec<&str> = table.target_columns().collect();
        let into = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE",
            table.target.quoted(),
            quote_all(columns.iter().copied())
        );
        Some(Insert { shadows, shadow, into, columns })
    }

    fn all(&self) -> String {
        let columns = quote_all(self.columns.iter().copied());
        format!("{} SELECT {columns} FROM {} AS s WHERE NOT s.{}", self.into, self.shadow, self.shadows.unfit)
    }

    fn count(&self) -> String {
        format!("SELECT count(*) FROM {} AS s WHERE NOT s.{}", self.shadow, self.shadows.unfit)
    }

    /// A function that stores each row by itself, and returns those that cannot be.
    fn one_by_one(&self) -> String {
        let (number, unfit) = (&self.shadows.number, &self.shadows.unfit);
        let values = self.columns.iter().map(|column| format!("outgrow_one.{}", quote_all([*column])));
        let body = format!(
            "DECLARE outgrow_one record; BEGIN \
               FOR outgrow_one IN SELECT s.* FROM {shadow} AS s WHERE NOT s.{unfit} ORDER BY s.{number} LIMIT {ROWS_TRIED} LOOP \
                 BEGIN {into} VALUES ({values}); \
                 EXCEPTION WHEN OTHERS THEN \
                   GET STACKED DIAGNOSTICS outgrow_code = RETURNED_SQLSTATE, outgrow_name = CONSTRAINT_NAME, \
                     outgrow_context = PG_EXCEPTION_CONTEXT, outgrow_message = MESSAGE_TEXT; \
                   outgrow_n = outgrow_one.{number}; \
                   RETURN NEXT; \
                 END; \
               END LOOP; END",
            shadow = self.shadow,
            into = self.into,
            values = values.collect::<Vec<_>>().join(", "),
        );
        let signature = "pg_temp.outgrow_store() RETURNS TABLE (outgrow_n bigint, outgrow_code text, \
             outgrow_name text, outgrow_context text, outgrow_message text)";
        function(signature, &body)
    }
}

/// What the function found. A context names the functions from the innermost on, the last of them ours. What exceeds a
/// limit is told apart by the server's words, but for the numbers in them.
fn summary() -> String {
    format!(
        "SELECT code, name, function, kind IS NOT NULL AS harmless, count(*) AS rows, (array_agg(n ORDER BY n))[1:{most}] AS first, \
                (array_agg(message ORDER BY n))[1] AS message \
         FROM (SELECT found.*, CASE WHEN code LIKE '54%' AND name IS NULL AND function IS NULL \
                                    THEN regexp_replace(message, '[0-9]+', '', 'g') END AS kind \
               FROM (SELECT outgrow_n AS n, outgrow_code AS code, nullif(outgrow_name, '') AS name, outgrow_message AS message, \
                            substring(outgrow_context FROM '(?n)^(?:PL/pgSQL|SQL) function (?!pg_temp).*$') AS function \
                     FROM pg_temp.outgrow_store()) AS found) AS kinds \
         GROUP BY code, name, function, kind ORDER BY first",
        most = NAMED_ROWS + 1
    )
}
