//! Liquidity pools: deposits, withdrawals and trades (CAP-38).

use stellar_xdr::{
    AccountId, Asset, ClaimAtom, ClaimLiquidityAtom, ClaimableBalanceId, HashIdPreimage,
    HashIdPreimageRevokeId, LiquidityPoolConstantProductParameters, LiquidityPoolDepositOp,
    LiquidityPoolDepositResult, LiquidityPoolEntryConstantProduct, LiquidityPoolParameters,
    LiquidityPoolWithdrawOp, LiquidityPoolWithdrawResult, OperationResultTr, PoolId, Price, ScAddress,
    SequenceNumber, TrustLineAsset,
};

use super::{
    Applied, Cx,
    balance::{self, Refusal},
    cross::{Crossed, Limits},
};
use crate::{encode, entries, state};

/// Fee of every pool, in basis points: the protocol allows no other.
const FEE: i32 = 30;
/// Basis points in the whole.
const WHOLE: i128 = 10_000;

/// Parameters and id of the pool of two assets, given in order.
pub(crate) fn of(asset_a: &Asset, asset_b: &Asset) -> (LiquidityPoolParameters, PoolId) {
    let params = LiquidityPoolConstantProductParameters {
        asset_a: asset_a.clone(),
        asset_b: asset_b.clone(),
        fee: FEE,
    };
    let params = LiquidityPoolParameters::LiquidityPoolConstantProduct(params);
    let id = id_of(&params);
    (params, id)
}

/// Id of a pool: the hash of its parameters.
pub(super) fn id_of(params: &LiquidityPoolParameters) -> PoolId {
    PoolId(stellar_xdr::Hash(lake_core::Hash32::sha256(&[&encode::xdr(params)]).0))
}

/// Id of the claimable balance that an operation makes of a pool's asset when shares are revoked.
pub(crate) fn revoke_id(
    (source, seq, index): (&AccountId, i64, u32),
    pool: &PoolId,
    asset: &Asset,
) -> ClaimableBalanceId {
    super::balance_id_of(&HashIdPreimage::PoolRevokeOpId(HashIdPreimageRevokeId {
        source_account: source.clone(),
        seq_num: SequenceNumber(seq),
        op_num: index,
        liquidity_pool_id: pool.clone(),
        asset: asset.clone(),
    }))
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What `shares` of `total` are worth of a reserve, rounded down.
pub(super) fn share_of(shares: i64, reserve: i64, total: i64) -> i64 {
    narrow(i128::from(shares) * i128::from(reserve) / i128::from(total.max(1)))
}

/// An account no longer has a share line: the uses of the assets and of the pool go down.
pub(super) fn leave(cx: &mut Cx<'_>, id: &AccountId, pool_id: &PoolId, assets: [&Asset; 2]) {
    for asset in assets {
        if let Some(line) = cx.state.trustline_mut(id, &entries::line_of(asset)) {
            entries::add_pool_use(line, -1);
        }
    }
    let Some(pool) = cx.state.pool_mut(pool_id) else { return };
    pool.pool_shares_trust_line_count -= 1;
    if pool.pool_shares_trust_line_count == 0 {
        cx.state.remove(state::pool_key(pool_id));
    }
}

/// Puts two assets into a pool for shares.
pub(super) fn deposit(cx: &mut Cx<'_>, op: &LiquidityPoolDepositOp) -> Applied {
    let result = run_deposit(cx, op).err().unwrap_or(LiquidityPoolDepositResult::Success);
    let ok = result == LiquidityPoolDepositResult::Success;
    (OperationResultTr::LiquidityPoolDeposit(result), ok)
}

fn run_deposit(cx: &mut Cx<'_>, op: &LiquidityPoolDepositOp) -> Result<(), LiquidityPoolDepositResult> {
    let source = cx.source.clone();
    let share = TrustLineAsset::PoolShare(op.liquidity_pool_id.clone());
    let room = cx.state.trustline(&source, &share).map(|line| line.limit - line.balance);
    let room = room.ok_or(LiquidityPoolDepositResult::NoTrust)?;
    let pool = cx.state.pool(&op.liquidity_pool_id).cloned();
    let pool = pool.ok_or(LiquidityPoolDepositResult::NoTrust)?;
    let assets = [pool.params.asset_a.clone(), pool.params.asset_b.clone()];
    for asset in &assets {
        if let Err(refusal) = balance::may_hold(cx.state, &source, asset) {
            return Err(match refusal {
                Refusal::NotAuthorized => LiquidityPoolDepositResult::NotAuthorized,
                Refusal::NoLine | Refusal::Short | Refusal::Full => LiquidityPoolDepositResult::NoTrust,
            });
        }
    }
    let (a, b, shares) = deposited(&pool, op).ok_or(LiquidityPoolDepositResult::BadPrice)?;
    for (asset, amount) in assets.iter().zip([a, b]) {
        if balance::spendable(cx.state, &source, asset).unwrap_or(0) < amount {
            return Err(LiquidityPoolDepositResult::Underfunded);
        }
    }
    if room < shares {
        return Err(LiquidityPoolDepositResult::LineFull);
    }
    for (asset, amount) in assets.iter().zip([a, b]) {
        balance::add(cx.state, &source, asset, -amount);
        let to = ScAddress::LiquidityPool(op.liquidity_pool_id.clone());
        let event = cx.assets.moved_for(asset, (ScAddress::Account(source.clone()), to), amount, None);
        cx.emit(&event);
    }
    if let Some(line) = cx.state.trustline_mut(&source, &share) {
        line.balance += shares;
    }
    if let Some(pool) = cx.state.pool_mut(&op.liquidity_pool_id) {
        pool.reserve_a += a;
        pool.reserve_b += b;
        pool.total_pool_shares += shares;
    }
    Ok(())
}

/// Amounts and shares of a deposit; `None` when the price is outside of the bounds given.
fn deposited(
    pool: &LiquidityPoolEntryConstantProduct,
    op: &LiquidityPoolDepositOp,
) -> Option<(i64, i64, i64)> {
    let (a, b, shares) = if pool.total_pool_shares == 0 {
        let product = i128::from(op.max_amount_a) * i128::from(op.max_amount_b);
        (op.max_amount_a, op.max_amount_b, narrow(product.isqrt()))
    } else {
        let total = i128::from(pool.total_pool_shares);
        let by = |most: i64, reserve: i64| i128::from(most) * total / i128::from(reserve.max(1));
        let shares = by(op.max_amount_a, pool.reserve_a).min(by(op.max_amount_b, pool.reserve_b));
        let cost = |reserve: i64| narrow((shares * i128::from(reserve) + total - 1) / total);
        (cost(pool.reserve_a), cost(pool.reserve_b), narrow(shares))
    };
    let at_least = |price: &Price| i128::from(a) * i128::from(price.d) >= i128::from(b) * i128::from(price.n);
    let at_most = |price: &Price| i128::from(a) * i128::from(price.d) <= i128::from(b) * i128::from(price.n);
    (a > 0 && b > 0 && at_least(&op.min_price) && at_most(&op.max_price)).then_some((a, b, shares))
}

/// Gives shares back for what they are worth.
pub(super) fn withdraw(cx: &mut Cx<'_>, op: &LiquidityPoolWithdrawOp) -> Applied {
    let result = run_withdraw(cx, op).err().unwrap_or(LiquidityPoolWithdrawResult::Success);
    let ok = result == LiquidityPoolWithdrawResult::Success;
    (OperationResultTr::LiquidityPoolWithdraw(result), ok)
}

fn run_withdraw(cx: &mut Cx<'_>, op: &LiquidityPoolWithdrawOp) -> Result<(), LiquidityPoolWithdrawResult> {
    let source = cx.source.clone();
    let share = TrustLineAsset::PoolShare(op.liquidity_pool_id.clone());
    let held = cx.state.trustline(&source, &share).map(|line| line.balance);
    if held.ok_or(LiquidityPoolWithdrawResult::NoTrust)? < op.amount {
        return Err(LiquidityPoolWithdrawResult::Underfunded);
    }
    let pool = cx.state.pool(&op.liquidity_pool_id).cloned();
    let pool = pool.ok_or(LiquidityPoolWithdrawResult::NoTrust)?;
    let a = share_of(op.amount, pool.reserve_a, pool.total_pool_shares);
    let b = share_of(op.amount, pool.reserve_b, pool.total_pool_shares);
    if a < op.min_amount_a || b < op.min_amount_b {
        return Err(LiquidityPoolWithdrawResult::UnderMinimum);
    }
    for (asset, amount) in [(&pool.params.asset_a, a), (&pool.params.asset_b, b)] {
        if balance::room(cx.state, &source, asset).unwrap_or(0) < amount {
            return Err(LiquidityPoolWithdrawResult::LineFull);
        }
        balance::add(cx.state, &source, asset, amount);
        let from = ScAddress::LiquidityPool(op.liquidity_pool_id.clone());
        let event = cx.assets.moved_for(asset, (from, ScAddress::Account(source.clone())), amount, None);
        cx.emit(&event);
    }
    if let Some(line) = cx.state.trustline_mut(&source, &share) {
        line.balance -= op.amount;
    }
    if let Some(pool) = cx.state.pool_mut(&op.liquidity_pool_id) {
        pool.reserve_a -= a;
        pool.reserve_b -= b;
        pool.total_pool_shares -= op.amount;
    }
    Ok(())
}

/// What a pool gives for `given`, rounded down.
fn payout(given: i64, reserve_in: i64, reserve_out: i64) -> i64 {
    let net = i128::from(given) * (WHOLE - i128::from(FEE));
    narrow(net * i128::from(reserve_out) / (WHOLE * i128::from(reserve_in) + net))
}

/// What a pool asks for `got`, rounded up; `None` when it has no more than that.
fn ask(got: i64, reserve_in: i64, reserve_out: i64) -> Option<i64> {
    let left = i128::from(reserve_out) - i128::from(got);
    let divisor = left * (WHOLE - i128::from(FEE));
    (left > 0).then(|| narrow((WHOLE * i128::from(reserve_in) * i128::from(got) + divisor - 1) / divisor))
}

/// Trades the whole hop with the pool of the pair, if there is one that does not do worse than the best offer.
pub(super) fn trade(cx: &mut Cx<'_>, (give, get): (&Asset, &Asset), limits: Limits) -> Option<Crossed> {
    let (a, b) = if give < get { (give, get) } else { (get, give) };
    let (_, id) = of(a, b);
    let pool = cx.state.pool(&id).filter(|pool| pool.total_pool_shares > 0)?;
    let forward = give < get;
    let (reserve_in, reserve_out) =
        if forward { (pool.reserve_a, pool.reserve_b) } else { (pool.reserve_b, pool.reserve_a) };
    let (given, got) = if limits.get == i64::MAX {
        (limits.give, payout(limits.give, reserve_in, reserve_out))
    } else {
        (ask(limits.get, reserve_in, reserve_out)?, limits.get)
    };
    if got == 0 || given > limits.give {
        return None;
    }
    // The book cannot do better than its best price.
    if let Some(best) = cx.state.best_offer(get, give) {
        let (book, own) =
            (i128::from(best.price.n) * i128::from(got), i128::from(best.price.d) * i128::from(given));
        if book < own {
            return None;
        }
    }
    let pool = cx.state.pool_mut(&id)?;
    if forward {
        pool.reserve_a += given;
        pool.reserve_b -= got;
    } else {
        pool.reserve_b += given;
        pool.reserve_a -= got;
    }
    let atom = ClaimAtom::LiquidityPool(ClaimLiquidityAtom {
        liquidity_pool_id: id,
        asset_sold: get.clone(),
        amount_sold: got,
        asset_bought: give.clone(),
        amount_bought: given,
    });
    Some(Crossed { given, got, atoms: vec![atom] })
}
