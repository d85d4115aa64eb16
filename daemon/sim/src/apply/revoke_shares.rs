//! What becomes of pool shares when one of the pool's assets is no longer authorized: claimable balances (CAP-38).

use stellar_xdr::{
    AccountId, Asset, ClaimPredicate, Claimant, ClaimantV0, LedgerEntryData, PoolId, ScAddress,
    TrustLineAsset,
};

use super::{Cx, claimable, pool, reserve, reserve::LowReserve};
use crate::{entries, state};

/// Redeems all pool shares of `trustor` in pools of `asset`.
pub(super) fn revoke(cx: &mut Cx<'_>, trustor: &AccountId, asset: &Asset) -> Result<(), LowReserve> {
    for id in cx.state.pools_of(trustor) {
        let has_asset = cx
            .state
            .pool(&id)
            .is_some_and(|pool| pool.params.asset_a == *asset || pool.params.asset_b == *asset);
        if has_asset {
            revoke_one(cx, trustor, &id)?;
        }
    }
    Ok(())
}

fn revoke_one(cx: &mut Cx<'_>, trustor: &AccountId, id: &PoolId) -> Result<(), LowReserve> {
    let share = TrustLineAsset::PoolShare(id.clone());
    let key = state::trustline_key(trustor, &share);
    let shares = cx.state.trustline(trustor, &share).map_or(0, |line| line.balance);
    // Who paid for the line pays for the claimable balances.
    let backer = cx.state.sponsor(&key).unwrap_or_else(|| trustor.clone());
    reserve::remove(cx, key, trustor);
    let Some(body) = cx.state.pool(id).cloned() else { return Ok(()) };
    let (a, b) = (&body.params.asset_a, &body.params.asset_b);
    if shares > 0 {
        let amount_a = pool::share_of(shares, body.reserve_a, body.total_pool_shares);
        let amount_b = pool::share_of(shares, body.reserve_b, body.total_pool_shares);
        redeem(cx, (trustor, &backer), id, (a, amount_a))?;
        redeem(cx, (trustor, &backer), id, (b, amount_b))?;
        if let Some(pool) = cx.state.pool_mut(id) {
            pool.total_pool_shares -= shares;
            pool.reserve_a -= amount_a;
            pool.reserve_b -= amount_b;
        }
    }
    pool::leave(cx, trustor, id, [a, b]);
    Ok(())
}

fn redeem(
    cx: &mut Cx<'_>,
    (trustor, backer): (&AccountId, &AccountId),
    pool_id: &PoolId,
    (asset, amount): (&Asset, i64),
) -> Result<(), LowReserve> {
    let from = ScAddress::LiquidityPool(pool_id.clone());
    if amount == 0 {
        return Ok(());
    }
    if entries::issues(trustor, asset) {
        let to = ScAddress::Account(trustor.clone());
        let event = cx.assets.moved_for(asset, (from, to), amount, None);
        cx.emit(&event);
        return Ok(());
    }
    let (source, seq) = &cx.transaction;
    let id = pool::revoke_id((source, *seq, cx.index), pool_id, asset);
    let claimant = ClaimantV0 { destination: trustor.clone(), predicate: ClaimPredicate::Unconditional };
    let clawback = claimable::clawback_enabled(cx, trustor, asset);
    let entry =
        claimable::entry(id.clone(), vec![Claimant::ClaimantTypeV0(claimant)], (asset, amount), clawback);
    let data = LedgerEntryData::ClaimableBalance(entry);
    reserve::create(cx, state::claimable_key(&id), data, backer)?;
    let event = cx.assets.moved_for(asset, (from, ScAddress::ClaimableBalance(id)), amount, None);
    cx.emit(&event);
    Ok(())
}
