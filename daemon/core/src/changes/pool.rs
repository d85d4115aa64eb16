//! How a change moved a liquidity pool.

use stellar_xdr as xdr;

use super::{Pair, pairs};

/// A change of a liquidity pool (CAP-38).
#[derive(Clone, Copy, Debug)]
pub struct PoolChange<'l> {
    /// Id of the pool.
    pub id: &'l xdr::PoolId,
    /// The pool after the change; before it where the pool is gone.
    pub pool: &'l xdr::LiquidityPoolEntryConstantProduct,
    /// Change of the reserves of asset A and asset B, stroops.
    pub reserves: [i64; 2],
    /// Change of the shares in existence, stroops.
    pub shares: i64,
}

impl<'l> PoolChange<'l> {
    /// What an operation's changes did to the pool `id`; `None` where they show nothing of it.
    pub fn find(id: &xdr::PoolId, changes: &'l [xdr::LedgerEntryChange]) -> Option<Self> {
        pairs(changes).filter_map(|pair| Self::of(&pair)).find(|change| change.id == id)
    }

    /// What `pair` did to a pool; `None` for other entries and where the meta has no image of it.
    pub fn of(pair: &Pair<'l>) -> Option<Self> {
        let (before, after) = (pair.before.and_then(pool_of), pair.after.and_then(pool_of));
        let (id, pool) = after.or(before)?;
        let change = |field: fn(&xdr::LiquidityPoolEntryConstantProduct) -> i64| {
            let value = |side: Option<(_, &xdr::LiquidityPoolEntryConstantProduct)>| {
                side.map_or(0, |(_, pool)| field(pool))
            };
            value(after).saturating_sub(value(before))
        };
        Some(Self {
            id,
            pool,
            reserves: [change(|p| p.reserve_a), change(|p| p.reserve_b)],
            shares: change(|p| p.total_pool_shares),
        })
    }
}

/// Id and parameters of a pool entry.
fn pool_of(entry: &xdr::LedgerEntry) -> Option<(&xdr::PoolId, &xdr::LiquidityPoolEntryConstantProduct)> {
    let xdr::LedgerEntryData::LiquidityPool(pool) = &entry.data else { return None };
    let xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
    Some((&pool.liquidity_pool_id, body))
}
