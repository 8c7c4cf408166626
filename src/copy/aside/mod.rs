//! What is set aside while a step loads, and put back exactly as it was, in the step's transaction and with the owner's
//! rights alone: triggers that would run for rows that are no news to the application; foreign keys, so that neither
//! the order of the tables nor circles among them matter and each key is checked once, for all rows; and indexes, the
//! primary key's included, because one sort of all rows is cheaper than finding a place for each.
//!
//! Keys and indexes are made again from their own definitions. That this gives the same is tried on the empty table
//! first: one that comes back different in any column of the catalog, or cannot be dropped or made (a view depends on
//! it, a key of a table outside the step), stays where it is. What was put back is compared with what was there once
//! more before the commit ([`facts`]).

mod facts;
mod part;
mod trigger;

pub(super) use part::Kept;

use super::columns::BoundTable;
use super::order;
use super::progress::{Phase, Progress};
use crate::error::{Error, is_circumstance, server_message};
use facts::Facts;
use part::{ForeignKey, Part};
use std::collections::{BTreeSet, HashSet};
use tokio_postgres::Client;
use trigger::Trigger;

/// How much is set aside.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent<'a> {
    /// Triggers, and of these tables the foreign keys and indexes; the keys of the others if no order of the tables
    /// satisfies all of them.
    Of(&'a HashSet<u32>),
    /// Triggers and foreign keys.
    Rules,
}

/// What was set aside.
pub(super) struct Aside {
    tables: Vec<u32>,
    /// The catalog as it was; not read if nothing is set aside.
    before: Option<Facts>,
    keys: Vec<ForeignKey>,
    indexes: Vec<Part>,
    triggers: Vec<Trigger>,
    /// The foreign keys that stayed: the tables must be loaded in their order.
    pub kept: Vec<Kept>,
}

impl Aside {
    /// Sets triggers, foreign keys and indexes of `tables`, which must be locked and empty, aside.
    pub(super) async fn set(
        client: &Client,
        tables: &[BoundTable],
        extent: Extent<'_>,
    ) -> Result<Aside, Error> {
        let tables: Vec<u32> = tables.iter().map(|table| table.target.oid).collect();
        let triggers = trigger::read(client, &tables).await?;
        let keys = part::foreign_keys(client, &tables).await?;
        let (movable, kept) = divided(&tables, keys, extent);
        let indexed: Vec<u32> = match extent {
            Extent::Of(these) => tables.iter().filter(|table| these.contains(table)).copied().collect(),
            Extent::Rules => Vec::new(),
        };
        if movable.is_empty() && triggers.is_empty() && indexed.is_empty() {
            let kept = kept.iter().map(|key| key.kept).collect();
            return Ok(Aside { tables, before: None, keys: movable, indexes: Vec::new(), triggers, kept });
        }
        let before = facts::read(client, &tables).await?;
        let (keys, refused) = try_out(client, &tables, &before, movable).await?;
        let outside: BTreeSet<&str> = keys.iter().filter_map(|key| key.outside.as_deref()).collect();
        for table in outside {
            log::info!(target: crate::NOTICES,
                "table {table} is locked until the step ends as well: foreign keys of the step's tables refer to it");
        }
        drop_all(client, keys.iter().map(|key| &key.part)).await?;
        let indexes = if indexed.is_empty() {
            Vec::new()
        } else {
            // a primary key can go only after the foreign keys that refer to it
            let without_keys =
                if keys.is_empty() { before.clone() } else { facts::read(client, &tables).await? };
            let indexes = part::indexes(client, &indexed).await?;
            try_out(client, &tables, &without_keys, indexes).await?.0
        };
        drop_all(client, &indexes).await?;
        let disable: Vec<&str> = triggers.iter().map(|trigger| trigger.disable.as_str()).collect();
        client.batch_execute(&disable.join("; ")).await.map_err(Error::database("disabling triggers"))?;
        for statement in disable {
            log::info!("set aside: {statement}");
        }
        let kept = kept.iter().chain(&refused).map(|key| key.kept).collect();
        Ok(Aside { tables, before: Some(before), keys, indexes, triggers, kept })
    }

    /// Names of the triggers of a table, and of its partitions, that do not run.
    pub(super) fn triggers_of(&self, table: u32) -> Vec<String> {
        let mut names: Vec<String> = self
            .triggers
            .iter()
            .filter(|trigger| trigger.table == table)
            .map(|trigger| trigger.name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Makes the indexes again.
    ///
    /// # Errors
    /// The driver's, with SQLSTATE class 23, if rows violate one that is unique.
    pub(super) async fn put_indexes_back(
        &self,
        client: &Client,
        progress: &Progress,
    ) -> Result<(), tokio_postgres::Error> {
        // no table can be altered that still has checks waiting
        client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await?;
        for index in &self.indexes {
            progress.begin(Phase::Indexes, &index.shown, None);
            log::info!("making {}", index.shown);
            client.batch_execute(&statements(index.make())).await?;
        }
        Ok(())
    }

    /// Puts foreign keys and triggers back. The server checks all rows by each key here, and what was deferred.
    ///
    /// It joins the two tables on one processor, and would rather hash one of them than go through two indexes side by
    /// side, since it takes the pages of an index for scattered. They are not: they were just made, and in tables with
    /// `frozen` rows the index alone answers. That takes a quarter of the time, and sorting what has no index half of
    /// it. (PostgreSQL: Index-Only Scans; `enable_hashjoin`.)
    ///
    /// # Errors
    /// The driver's, with SQLSTATE class 23, if a row violates a constraint.
    pub(super) async fn put_keys_back(
        &self,
        client: &Client,
        frozen: &[u32],
        progress: &Progress,
    ) -> Result<(), tokio_postgres::Error> {
        for key in &self.keys {
            progress.begin(Phase::Keys, &key.part.shown, None);
            log::info!("checking {}", key.part.shown);
            let merges = key.sorts_well && frozen.contains(&key.kept.from) && frozen.contains(&key.kept.to);
            let join = format!("SET LOCAL enable_hashjoin TO {}", if merges { "off" } else { "DEFAULT" });
            let mut batch = vec![join.as_str()];
            if !key.validated {
                // NOT VALID says nothing of new rows, and these are new: checked once, and dropped again
                let valid = key.part.add.strip_suffix(" NOT VALID").unwrap_or(&key.part.add);
                batch.extend([valid, &key.part.drop]);
            }
            batch.extend(key.part.make());
            client.batch_execute(&statements(batch)).await?;
        }
        if self.keys.is_empty() && self.triggers.is_empty() {
            return Ok(());
        }
        let enable = self.triggers.iter().map(|trigger| trigger.enable.as_str());
        let as_it_was = std::iter::once("SET LOCAL enable_hashjoin TO DEFAULT");
        client.batch_execute(&statements(as_it_was.chain(enable))).await
    }

    /// Compares the catalog with what it was.
    ///
    /// # Errors
    /// [`Error::Proof`] with what is different.
    pub(super) async fn compare(&self, client: &Client) -> Result<(), Error> {
        let Some(before) = &self.before else { return Ok(()) };
        let differences = facts::differences(before, &facts::read(client, &self.tables).await?);
        if differences.is_empty() {
            return Ok(());
        }
        let lines = differences.into_iter().map(|name| {
            format!(
                "{name}: it is not what it was before the step; does an event trigger change the catalog?"
            )
        });
        Err(Error::Proof(lines.collect()))
    }
}

/// The foreign keys that may be set aside, and those that stay.
fn divided(tables: &[u32], keys: Vec<ForeignKey>, extent: Extent<'_>) -> (Vec<ForeignKey>, Vec<ForeignKey>) {
    let stays = |key: &ForeignKey| match extent {
        Extent::Of(these) => !these.contains(&key.kept.from) && !these.contains(&key.kept.to),
        Extent::Rules => false,
    };
    let kept: Vec<Kept> = keys.iter().filter(|key| !key.movable || stays(key)).map(|key| key.kept).collect();
    let in_order = order::satisfies(tables, &kept);
    keys.into_iter().partition(|key| key.movable && !(in_order && stays(key)))
}

/// Drops and makes `parts` on the empty tables: those that come back as they were, and those that do not. Nothing stays
/// changed. Reading the catalog costs more than the rest, so the parts that cannot go at all are told first.
async fn try_out<T: AsRef<Part>>(
    client: &Client,
    tables: &[u32],
    before: &Facts,
    parts: Vec<T>,
) -> Result<(Vec<T>, Vec<T>), Error> {
    if parts.is_empty() || come_back(client, &parts, Some((tables, before))).await? {
        return Ok((parts, Vec::new()));
    }
    let (movable, mut refused) = sorted_out(client, parts, None).await?;
    let (right, others) = if come_back(client, &movable, Some((tables, before))).await? {
        (movable, Vec::new())
    } else {
        sorted_out(client, movable, Some((tables, before))).await?
    };
    refused.extend(others);
    for part in &refused {
        log::info!("{} stays in place: it cannot be put back exactly by this role", part.as_ref().shown);
    }
    Ok((right, refused))
}

/// `parts` one by one: those that come back, and those that do not.
async fn sorted_out<T: AsRef<Part>>(
    client: &Client,
    parts: Vec<T>,
    same: Option<(&[u32], &Facts)>,
) -> Result<(Vec<T>, Vec<T>), Error> {
    let (mut right, mut refused) = (Vec::new(), Vec::new());
    for part in parts {
        let comes_back = come_back(client, &[part.as_ref()], same).await?;
        if comes_back { right.push(part) } else { refused.push(part) }
    }
    Ok((right, refused))
}

/// Whether `parts` can be dropped and made; with tables and what the catalog said of them, whether it says the same
/// again.
async fn come_back<T: AsRef<Part>>(
    client: &Client,
    parts: &[T],
    same: Option<(&[u32], &Facts)>,
) -> Result<bool, Error> {
    let doing = || Error::database("trying to set keys and indexes aside");
    let drop = parts.iter().map(|part| part.as_ref().drop.as_str());
    let there_and_back = drop.chain(parts.iter().flat_map(|part| part.as_ref().make()));
    let attempt = format!("SAVEPOINT outgrow_rehearsal; {}", statements(there_and_back));
    let back = match client.batch_execute(&attempt).await {
        Ok(()) => match same {
            Some((tables, before)) => {
                facts::differences(before, &facts::read(client, tables).await?).is_empty()
            }
            None => true,
        },
        Err(error) => match error.code() {
            // insufficient privilege, dependent objects, whatever an event trigger raises
            Some(code) if !is_circumstance(code) => {
                log::debug!("{}", server_message(&error));
                false
            }
            _ => return Err(doing()(error)),
        },
    };
    client
        .batch_execute("ROLLBACK TO SAVEPOINT outgrow_rehearsal; RELEASE SAVEPOINT outgrow_rehearsal")
        .await
        .map_err(doing())?;
    Ok(back)
}

async fn drop_all(client: &Client, parts: impl IntoIterator<Item = &Part>) -> Result<(), Error> {
    let parts: Vec<&Part> = parts.into_iter().collect();
    client
        .batch_execute(&statements(parts.iter().map(|part| part.drop.as_str())))
        .await
        .map_err(Error::database("setting keys and indexes aside"))?;
    for part in parts {
        log::info!("set aside: {}", part.shown);
    }
    Ok(())
}

fn statements<'a>(statements: impl IntoIterator<Item = &'a str>) -> String {
    statements.into_iter().collect::<Vec<_>>().join("; ")
}
