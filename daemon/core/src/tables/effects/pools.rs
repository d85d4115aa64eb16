//! Effects on liquidity pools (CAP-38).

use stellar_xdr as xdr;

use super::{
    emit::{Cells, Effects},
    kind::Kind,
};
use crate::{
    changes::{Pair, PoolChange},
    text::{AssetParts, BalanceId, Json, details, pool_id},
};

/// The change of pool `id`. `None` where the meta shows no changes at all.
fn change<'e>(e: &Effects<'e>, id: &xdr::PoolId) -> Result<Option<PoolChange<'e>>, String> {
    e.op.found(PoolChange::find(id, e.op.changes), || format!("liquidity pool {}", pool_id(id)))
}

pub(super) fn deposit(e: &mut Effects<'_>, op: &xdr::LiquidityPoolDepositOp) -> Result<(), String> {
    let Some(change) = change(e, &op.liquidity_pool_id)? else { return Ok(()) };
    e.push_source(Kind::LiquidityPoolDeposited, Cells::default(), |j| {
        pool(j, &change);
        j.key("reserves_deposited");
        sides(j, &change, change.reserves);
        details::amount(j, "shares_received", change.shares);
    });
    Ok(())
}

pub(super) fn withdraw(e: &mut Effects<'_>, op: &xdr::LiquidityPoolWithdrawOp) -> Result<(), String> {
    let Some(change) = change(e, &op.liquidity_pool_id)? else { return Ok(()) };
    e.push_source(Kind::LiquidityPoolWithdrew, Cells::default(), |j| {
        pool(j, &change);
        j.key("reserves_received");
        sides(j, &change, change.reserves.map(i64::saturating_neg));
        details::amount(j, "shares_redeemed", change.shares.saturating_neg());
    });
    Ok(())
}

/// Appends a fill by a pool; sold and bought by the pool.
pub(super) fn trade(e: &mut Effects<'_>, fill: &xdr::ClaimLiquidityAtom) -> Result<(), String> {
    let Some(change) = change(e, &fill.liquidity_pool_id)? else { return Ok(()) };
    e.push_source(Kind::LiquidityPoolTrade, Cells::default(), |j| {
        pool(j, &change);
        j.key("sold");
        side(j, &fill.asset_sold, fill.amount_sold);
        j.key("bought");
        side(j, &fill.asset_bought, fill.amount_bought);
    });
    Ok(())
}

/// Appends the revocation of shares of a pool, for which these claimable balances were made.
pub(super) fn revoked(e: &mut Effects<'_>, change: &PoolChange<'_>, created: &[&xdr::ClaimableBalanceEntry]) {
    let params = &change.pool.params;
    let reserves = [&params.asset_a, &params.asset_b].into_iter().zip(change.reserves);
    e.push_source(Kind::LiquidityPoolRevoked, Cells::default(), |j| {
        pool(j, change);
        j.key("reserves_revoked").array(reserves, |j, (asset, stroops)| {
            // no balance is made for an amount of 0, nor for an asset of the account itself
            let Some(balance) = created.iter().rev().find(|balance| balance.asset == *asset) else { return };
            j.object(|j| {
                side_fields(j, asset, stroops.saturating_neg());
                j.key("claimable_balance_id").plain(BalanceId(&balance.balance_id));
            });
        });
        details::amount(j, "shares_revoked", change.shares.saturating_neg());
    });
}

/// Appends the pools that came into being with their first trustline or went with their last.
///
/// # Errors
/// What the XDR encoder says of a key.
pub(super) fn created_and_removed(e: &mut Effects<'_>) -> Result<(), String> {
    let came_or_went =
        |pair: &Pair<'_>| pair.before.is_some() != pair.after.is_some() && PoolChange::of(pair).is_some();
    for pair in e.op.changes_by_key(came_or_went)? {
        let Some(change) = PoolChange::of(&pair) else { continue };
        if pair.after.is_some() {
            e.push_source(Kind::LiquidityPoolCreated, Cells::default(), |j| pool(j, &change));
        } else {
            e.push_source(Kind::LiquidityPoolRemoved, Cells::default(), |j| {
                j.key("liquidity_pool_id").plain(pool_id(change.id));
            });
        }
    }
    Ok(())
}

fn pool(j: &mut Json, change: &PoolChange<'_>) {
    let pool = change.pool;
    j.key("liquidity_pool").object(|j| {
        j.key("id").plain(pool_id(change.id));
        j.key("fee_bp").bare(pool.params.fee);
        j.key("type").plain("constant_product");
        j.key("total_trustlines").plain(pool.pool_shares_trust_line_count);
        details::amount(j, "total_shares", pool.total_pool_shares);
        j.key("reserves");
        sides(j, change, [pool.reserve_a, pool.reserve_b]);
    });
}

/// Amounts of the two assets of a pool.
fn sides(j: &mut Json, change: &PoolChange<'_>, stroops: [i64; 2]) {
    let params = &change.pool.params;
    let sides = [&params.asset_a, &params.asset_b].into_iter().zip(stroops);
    j.array(sides, |j, (asset, stroops)| side(j, asset, stroops));
}

fn side(j: &mut Json, asset: &xdr::Asset, stroops: i64) {
    j.object(|j| side_fields(j, asset, stroops));
}

fn side_fields(j: &mut Json, asset: &xdr::Asset, stroops: i64) {
    j.key("asset").text(AssetParts::from(asset));
    details::amount(j, "amount", stroops);
}
