//! A table with columns whose types only the server can read (arrays, ranges, composite types, those of extensions) is
//! loaded in two stages: COPY into a temporary table in which such columns are text, then one INSERT that casts them.
//!
//! The cast names the type without its modifier, since an explicit cast to `bit(3)` cuts in silence; the assignment to
//! the column then refuses what is too long. What an assignment would change all the same (an array of `numeric(4,2)`
//! is rounded) is found by [`super::fits`]. The proof follows: what was sent is what is staged, and what is staged is,
//! as the server spells it, what is stored.

use super::columns::{BoundColumn, BoundTable};
use super::fits;
use super::load::Failure;
use super::proof::{self, Tally};
use super::reader::Count;
use super::refused::Refusal;
use super::shadow;
use crate::error::{Error, is_circumstance};
use crate::identifier::quote;
use crate::postgres::catalog;
use std::slice;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// The temporary table of one table. It outlives the reading, and so has the names it needs for itself.
pub(super) struct Stage {
    /// Position of the table among the step's.
    pub index: usize,
    /// The target's table, and the source's name for it.
    pub of: catalog::Table,
    source: String,
    /// What COPY writes, in order: the table's columns, then its constants.
    pub columns: Vec<Staged>,
    /// The temporary table's name.
    pub name: String,
    /// The column with the row's number, from 1, in the order of the load; quoted.
    pub number: String,
    /// The mark of a row that holds a misfit, quoted; only where such are looked up.
    pub unfit: Option<String>,
    /// A column more, where each row is to be stored by itself.
    one_by_one: String,
}

/// A column of a stage.
pub(super) struct Staged {
    /// The target's column.
    pub of: catalog::Column,
    /// Its name, quoted.
    pub name: String,
    source: String,
    form: Form,
}

/// What COPY writes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The binary form of its own type.
    Own,
    /// Text that the type's input function reads.
    Text,
    /// The same, as bytes in UTF-8.
    Bytes,
    /// The same behind one byte (`jsonb_recv`).
    Versioned,
}

/// How a step is loaded to find what the server refuses.
pub(super) struct LookingUp {
    /// What is sent as text is staged as bytes, so that each value can be asked for.
    pub as_bytes: bool,
    /// The column for the mark of a row that holds a misfit.
    pub unfit: String,
}

impl Form {
    fn of(column: &BoundColumn, as_bytes: bool) -> Form {
        let is_text = column.target.labels.is_some() || column.codec.by_input;
        match Type::from_oid(column.target.type_oid) {
            Some(Type::JSONB) if as_bytes => Form::Versioned,
            Some(Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON) if as_bytes => {
                Form::Bytes
            }
            // citext has no fixed number
            None if as_bytes => Form::Bytes,
            _ if as_bytes && is_text => Form::Bytes,
            _ if column.codec.by_input => Form::Text,
            _ => Form::Own,
        }
    }
}

impl Staged {
    fn of(column: &catalog::Column, source: &str, form: Form) -> Staged {
        Staged { of: column.clone(), name: quote(&column.name), source: source.to_owned(), form }
    }

    /// The column's type in the stage.
    pub(super) fn of_type(&self) -> &str {
        match self.form {
            Form::Own => &self.of.base,
            Form::Text => "pg_catalog.text",
            Form::Bytes | Form::Versioned => "pg_catalog.bytea",
        }
    }

    /// Whether the server rounds the column's values without a modifier that says so.
    pub(super) fn is_money(&self) -> bool {
        self.of.type_oid == Type::MONEY.oid()
    }

    /// The staged `value` as the text that was sent.
    pub(super) fn text(&self, value: &str) -> String {
        match self.form {
            Form::Own | Form::Text => value.to_owned(),
            Form::Bytes => format!("pg_catalog.convert_from({value}, 'UTF8')"),
            Form::Versioned => format!("pg_catalog.convert_from(pg_catalog.substr({value}, 2), 'UTF8')"),
        }
    }

    /// The staged `value` as the column's type, without its modifier.
    pub(super) fn cast(&self, value: &str) -> String {
        format!("{}::{}", self.text(value), self.of.base)
    }

    /// The staged text as the server spells it once it is stored.
    pub(super) fn spelt(&self) -> String {
        format!("{}::{}::pg_catalog.text", self.cast(&self.name), self.of.declared)
    }

    /// The first bytes of the staged text.
    pub(super) fn beginning(&self) -> String {
        let name = &self.name;
        match self.form {
            Form::Own | Form::Text => {
                format!("pg_catalog.convert_to(pg_catalog.left({name}, 100), 'UTF8')")
            }
            Form::Bytes => format!("pg_catalog.substr({name}, 1, 400)"),
            Form::Versioned => format!("pg_catalog.substr({name}, 2, 400)"),
        }
    }
}

impl Stage {
    /// The stage of the table at `index` of the step's; none if it needs none.
    pub(super) fn of(index: usize, table: &BoundTable, looking_up: Option<&LookingUp>) -> Option<Stage> {
        let as_bytes = looking_up.is_some_and(|looking_up| looking_up.as_bytes);
        let columns = table.columns.iter();
        let columns = columns
            .map(|column| Staged::of(&column.target, &column.source.name, Form::of(column, as_bytes)))
            .collect::<Vec<_>>();
        if columns.iter().all(|column| column.form == Form::Own) {
            return None;
        }
        let constants =
            table.constants.iter().map(|column| Staged::of(&column.target, &column.target.name, Form::Own));
        let unfit = looking_up.map(|looking_up| {
            let of = catalog::Column {
                name: looking_up.unfit.clone(),
                base: "pg_catalog.bool".to_owned(),
                ..catalog::Column::default()
            };
            Staged::of(&of, &of.name, Form::Own)
        });
        Some(Stage {
            index,
            of: table.target.clone(),
            source: table.source.name.clone(),
            unfit: unfit.as_ref().map(|unfit| unfit.name.clone()),
            columns: columns.into_iter().chain(constants).chain(unfit).collect(),
            name: format!("pg_temp.outgrow_stage_{index}"),
            number: shadow::number(slice::from_ref(table)),
            one_by_one: if as_bytes { shadow::one_by_one(slice::from_ref(table)) } else { String::new() },
        })
    }

    /// The stage of those columns of `table` alone that the server reads, each as bytes: for what is compared and not
    /// loaded.
    pub(super) fn of_input(table: &BoundTable) -> Option<Stage> {
        let columns = table.columns.iter().filter(|column| column.codec.by_input);
        let columns: Vec<Staged> = columns
            .map(|column| Staged::of(&column.target, &column.source.name, Form::of(column, true)))
            .collect();
        (!columns.is_empty()).then(|| Stage {
            index: 0,
            of: table.target.clone(),
            source: table.source.name.clone(),
            unfit: None,
            columns,
            name: "pg_temp.outgrow_spelling".to_owned(),
            number: shadow::number(slice::from_ref(table)),
            one_by_one: String::new(),
        })
    }

    /// The columns that the server reads, with their positions.
    pub(super) fn by_input(&self) -> impl Iterator<Item = (usize, &Staged)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.form != Form::Own)
    }

    /// The statement that fills it.
    pub(super) fn copy(&self) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        format!("COPY {} ({}) FROM STDIN (FORMAT binary)", self.name, columns.join(", "))
    }

    /// Makes it. The role needs TEMPORARY on the database, which everybody has unless it was revoked.
    pub(super) async fn create(&self, client: &Client) -> Result<(), Error> {
        let columns = self.columns.iter().map(|column| format!("{} {}, ", column.name, column.of_type()));
        let statement = format!(
            "CREATE TEMPORARY TABLE {} ({}{} bigint GENERATED ALWAYS AS IDENTITY{}) ON COMMIT DROP",
            self.name,
            columns.collect::<String>(),
            self.number,
            self.one_by_one
        );
        let doing = format!(
            "making a temporary table for the columns of {} that the server itself reads",
            self.of.name
        );
        client.batch_execute(&statement).await.map_err(Error::database(doing))
    }

    /// Refuses a table whose INSERT a rule rewrites: COPY, which loads all others, knows no rules.
    pub(super) async fn require_no_rule(&self, client: &Client) -> Result<(), Error> {
        let name = &self.of.name;
        let doing = Error::database(format!("looking for rules of table {name}"));
        let rules = client.query(RULES, &[&self.of.oid]).await.map_err(doing)?;
        match rules.first() {
            None => Ok(()),
            Some(rule) => Err(Error::Target(vec![format!(
                "table {name}: its rule {} rewrites INSERT, by which {} must be loaded; \
                 disable it in a version before the step (ALTER TABLE … DISABLE RULE)",
                rule.get::<_, &str>(0),
                self.named()
            )])),
        }
    }

    /// Fills the table `target` from the stage; `count` is what was sent, and learns what came in another spelling.
    pub(super) async fn insert(
        &self,
        client: &Client,
        target: &str,
        count: &mut Count,
    ) -> Result<u64, Failure> {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let values = self.values(|column| column.cast(&column.name));
        let insert = format!(
            "INSERT INTO {target} ({}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {} ORDER BY {}",
            columns.join(", "),
            self.name,
            self.number
        );
        let stored = client.execute(&insert, &[]).await.map_err(|error| self.refused(error))?;
        if self.unfit.is_some() {
            return Ok(stored);
        }
        let normalised = self.by_input().map(|(_, column)| {
            format!("count(*) FILTER (WHERE {} IS DISTINCT FROM {})", column.spelt(), column.name)
        });
        let normalised: Vec<String> = normalised.collect();
        let query = format!("SELECT {} FROM {}", normalised.join(", "), self.name);
        let row = client.query_one(&query, &[]).await.map_err(|error| self.refused(error))?;
        for (at, (_, column)) in self.by_input().enumerate() {
            let other = row.get::<_, i64>(at).unsigned_abs();
            if other > 0 {
                // a number is another storage class, whether or not the server spells it as its digits
                let known = count.normalised.entry(column.of.name.clone()).or_default();
                *known = other.max(*known);
            }
        }
        Ok(stored)
    }

    /// Calls `each` with every row of which the server spells a value otherwise than it was sent: the row as it was
    /// sent, and, for each column that the server reads, in order, its own spelling.
    pub(super) async fn respelt(&self, client: &Client, each: impl FnMut(&[u8])) -> Result<(), Error> {
        let sent = self.values(|column| column.name.clone());
        let stored: Vec<String> = self.by_input().map(|(_, column)| column.spelt()).collect();
        let other = self.by_input().map(|(_, column)| format!("{} <> {}", column.spelt(), column.name));
        let other: Vec<String> = other.collect();
        let query =
            format!("(SELECT {sent}, {} FROM {} WHERE {})", stored.join(", "), self.name, other.join(" OR "));
        proof::rows(client, &self.of.name, &query, each).await
    }

    /// Refuses values that the column's type would change without an error.
    pub(super) async fn require_kept(&self, client: &Client) -> Result<(), Failure> {
        let changes = |column: &Staged| column.of.modifier >= 0 || column.is_money();
        for (index, column) in self.by_input().filter(|(_, column)| changes(column)) {
            if !fits::unfit(client, self, index).await.map_err(Failure::Other)?.is_empty() {
                let code = SqlState::DATA_EXCEPTION.code().to_owned();
                let line =
                    format!("{}.{}: {} would change values", self.source, column.source, column.of.type_name);
                return Err(Failure::Refused(Refusal { code, line, table: self.of.name.clone(), row: None }));
            }
        }
        Ok(())
    }

    /// What is no value of the type is the source's fault, whatever its class.
    fn refused(&self, error: tokio_postgres::Error) -> Failure {
        let name = &self.of.name;
        match error
            .as_db_error()
            .filter(|said| !is_circumstance(said.code()) && *said.code() != SqlState::INSUFFICIENT_PRIVILEGE)
        {
            Some(said) => Failure::Refused(Refusal::of(said, name)),
            None => Failure::Other(Error::Database { doing: format!("storing table {name}"), source: error }),
        }
    }

    /// The columns that the server reads, with their types.
    fn named(&self) -> String {
        let named =
            self.by_input().map(|(_, column)| format!("{} ({})", column.of.name, column.of.type_name));
        named.collect::<Vec<_>>().join(", ")
    }

    /// The columns in order, `by_input` in place of those that the server reads.
    fn values(&self, by_input: impl Fn(&Staged) -> String) -> String {
        let each = |column: &Staged| match column.form {
            Form::Own => column.name.clone(),
            _ => by_input(column),
        };
        self.columns.iter().map(each).collect::<Vec<_>>().join(", ")
    }

    /// Holds the stage against what was `sent`, and the target against the stage; says how they differ.
    pub(super) async fn compare(&self, client: &Client, sent: Tally) -> Result<Option<String>, Error> {
        let name = &self.of.name;
        let staged = self.tally(client, &self.values(|column| column.name.clone()), &self.name).await?;
        if let Some(difference) = proof::difference(name, sent, staged) {
            return Ok(Some(difference));
        }
        let staged = self.tally(client, &self.values(Staged::spelt), &self.name).await?;
        let text = self.values(|column| format!("{}::pg_catalog.text", column.name));
        let stored = self.tally(client, &text, &self.of.own_rows()).await?;
        Ok(proof::difference(name, staged, stored))
    }

    async fn tally(&self, client: &Client, values: &str, from: &str) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let query = format!("(SELECT {values} FROM {from})");
        proof::rows(client, &self.of.name, &query, |row| tally.add(row)).await?;
        Ok(tally)
    }
}

/// (PostgreSQL: System Catalogs, `pg_rewrite`: event 3 is INSERT, `O` and `A` are those that apply to a session.)
const RULES: &str = "\
SELECT rulename::text FROM pg_catalog.pg_rewrite
WHERE ev_class = $1 AND ev_type = '3' AND ev_enabled IN ('O', 'A') ORDER BY rulename";
