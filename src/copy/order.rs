//! The order in which tables are loaded: a table after those that its foreign keys refer to, as far as those keys stay
//! in place during the load (see [`super::aside`]). A reference to itself is checked at the end of the COPY and needs
//! no order.

use super::aside::Kept;
use super::columns::BoundTable;
use crate::error::Error;
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Client;

/// Sorts `tables` by the foreign keys that stay; where they say nothing the step's own order stays. Where they form a
/// circle, those that can be deferred are. (PostgreSQL: SET CONSTRAINTS.)
///
/// # Errors
/// [`Error::Target`] if keys that cannot be deferred form a circle.
pub(super) async fn by_foreign_keys(
    client: &Client,
    tables: Vec<BoundTable>,
    keys: &[Kept],
) -> Result<Vec<BoundTable>, Error> {
    let oids: Vec<u32> = tables.iter().map(|table| table.target.oid).collect();
    let order = match sorted(&oids, keys) {
        Ok(order) => order,
        Err(_) => {
            let fixed: Vec<Kept> = keys.iter().filter(|key| !key.deferrable).copied().collect();
            let order = sorted(&oids, &fixed).map_err(|circle| refused(&tables, &circle))?;
            client
                .batch_execute("SET CONSTRAINTS ALL DEFERRED")
                .await
                .map_err(Error::database("deferring the target's foreign keys"))?;
            order
        }
    };
    let mut tables: Vec<Option<BoundTable>> = tables.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|index| tables[index].take()).collect())
}

/// Whether `tables` can be loaded in an order in which each row finds what it refers to by `keys`.
pub(super) fn satisfies(tables: &[u32], keys: &[Kept]) -> bool {
    sorted(tables, keys).is_ok()
}

fn refused(tables: &[BoundTable], circle: &[u32]) -> Error {
    let names = tables.iter().filter(|table| circle.contains(&table.target.oid));
    let names: Vec<&str> = names.map(|table| table.target.name.as_str()).collect();
    Error::Target(vec![format!(
        "tables {}: their foreign keys form a circle, and cannot be set aside (keys of partitioned tables, or of tables \
         that this role does not own); make one of the keys DEFERRABLE, or add it in a version after the step",
        names.join(", ")
    )])
}

/// Indexes of `tables` in order, or the tables that are part of a circle or behind one. Of those that nothing keeps
/// waiting, the first in the list is next.
fn sorted(tables: &[u32], keys: &[Kept]) -> Result<Vec<usize>, Vec<u32>> {
    let index: HashMap<u32, usize> =
        tables.iter().enumerate().map(|(index, table)| (*table, index)).collect();
    let (mut waits, mut waiting) = (vec![0_usize; tables.len()], vec![Vec::new(); tables.len()]);
    for key in keys.iter().filter(|key| key.from != key.to) {
        if let (Some(from), Some(to)) = (index.get(&key.from), index.get(&key.to)) {
            waits[*from] += 1;
            waiting[*to].push(*from);
        }
    }
    let mut free: BTreeSet<usize> = (0..tables.len()).filter(|index| waits[*index] == 0).collect();
    let mut order: Vec<usize> = Vec::with_capacity(tables.len());
    while let Some(next) = free.pop_first() {
        order.push(next);
        for from in &waiting[next] {
            waits[*from] -= 1;
            if waits[*from] == 0 {
                free.insert(*from);
            }
        }
    }
    if order.len() == tables.len() {
        return Ok(order);
    }
    let left = (0..tables.len()).filter(|index| waits[*index] > 0);
    Err(left.map(|index| tables[index]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(from: u32, to: u32) -> Kept {
        Kept { from, to, deferrable: false }
    }

    #[test]
    fn referred_tables_come_first_and_the_rest_stays_put() {
        assert_eq!(sorted(&[1, 2, 3], &[key(1, 3), key(3, 3)]), Ok(vec![1, 2, 0]));
        assert_eq!(sorted(&[1, 2], &[key(1, 2), key(2, 1)]), Err(vec![1, 2]));
        assert_eq!(sorted(&[1], &[key(1, 9)]), Ok(vec![0]), "9 is not loaded");
        assert_eq!(sorted(&[], &[]), Ok(vec![]));
    }

    #[test]
    fn a_long_chain_takes_no_longer_for_each_table() {
        let tables: Vec<u32> = (0..20_000).collect();
        let keys: Vec<Kept> = tables.windows(2).map(|pair| key(pair[0], pair[1])).collect();
        assert_eq!(sorted(&tables, &keys), Ok((0..20_000).rev().collect()));
        assert_eq!(sorted(&tables, &[keys, vec![key(19_999, 0)]].concat()), Err(tables));
    }
}
