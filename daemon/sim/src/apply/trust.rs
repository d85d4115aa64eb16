//! ChangeTrust: lines for credit assets and for pool shares.

use stellar_xdr::{
    Asset, ChangeTrustAsset, ChangeTrustOp, ChangeTrustResult, LedgerEntryData, LiquidityPoolEntry,
    LiquidityPoolEntryBody, LiquidityPoolEntryConstantProduct, LiquidityPoolParameters, OperationResultTr,
    TrustLineAsset,
};

use super::{Applied, Cx, pool, reserve};
use crate::{
    entries::{self, AUTHORIZED, CLAWBACK, MAINTAINS},
    state,
};

/// Account flag of issuers who authorize each holder.
const AUTH_REQUIRED: u32 = 1;
/// Account flag of issuers whose assets can be taken back.
const AUTH_CLAWBACK: u32 = 8;

/// Makes, changes or removes a trustline.
pub(super) fn change(cx: &mut Cx<'_>, op: &ChangeTrustOp) -> Applied {
    let outcome = match op.line.clone() {
        ChangeTrustAsset::CreditAlphanum4(asset) => credit(cx, &Asset::CreditAlphanum4(asset), op.limit),
        ChangeTrustAsset::CreditAlphanum12(asset) => credit(cx, &Asset::CreditAlphanum12(asset), op.limit),
        ChangeTrustAsset::PoolShare(params) => shares(cx, &params, op.limit),
        ChangeTrustAsset::Native => Err(ChangeTrustResult::Malformed),
    };
    let result = outcome.err().unwrap_or(ChangeTrustResult::Success);
    let ok = result == ChangeTrustResult::Success;
    (OperationResultTr::ChangeTrust(result), ok)
}

fn credit(cx: &mut Cx<'_>, asset: &Asset, limit: i64) -> Result<(), ChangeTrustResult> {
    if entries::issues(&cx.source, asset) {
        return Err(ChangeTrustResult::Malformed);
    }
    let line = entries::line_of(asset);
    if cx.state.trustline(&cx.source, &line).is_some() {
        set_limit(cx, &line, limit)?;
        return Ok(());
    }
    let issuer = entries::code_and_issuer(asset).and_then(|(_, issuer)| cx.state.account(issuer));
    let issuer_flags = issuer.map(|issuer| issuer.flags).ok_or(ChangeTrustResult::NoIssuer)?;
    let mut flags = if issuer_flags & AUTH_REQUIRED == 0 { AUTHORIZED } else { 0 };
    if issuer_flags & AUTH_CLAWBACK != 0 {
        flags |= CLAWBACK;
    }
    open(cx, line, limit, flags)
}

/// Changes the limit of a line that is there, or removes it with a limit of 0: then the answer is true.
fn set_limit(cx: &mut Cx<'_>, line_asset: &TrustLineAsset, limit: i64) -> Result<bool, ChangeTrustResult> {
    let source = cx.source.clone();
    let Some(line) = cx.state.trustline(&source, line_asset) else { return Ok(false) };
    let liabilities = entries::line_liabilities(line);
    if limit == 0 {
        let empty = line.balance == 0 && liabilities.buying == 0 && liabilities.selling == 0;
        if !empty || entries::pool_use(line) > 0 {
            return Err(ChangeTrustResult::CannotDelete);
        }
        reserve::remove(cx, state::trustline_key(&source, line_asset), &source);
        return Ok(true);
    }
    if limit < line.balance.saturating_add(liabilities.buying) {
        return Err(ChangeTrustResult::InvalidLimit);
    }
    if let Some(line) = cx.state.trustline_mut(&source, line_asset) {
        line.limit = limit;
    }
    Ok(false)
}

fn open(cx: &mut Cx<'_>, asset: TrustLineAsset, limit: i64, flags: u32) -> Result<(), ChangeTrustResult> {
    if limit == 0 {
        return Err(ChangeTrustResult::InvalidLimit);
    }
    let source = cx.source.clone();
    let key = state::trustline_key(&source, &asset);
    let line = entries::new_trustline(source.clone(), asset, limit, flags);
    let made = reserve::create(cx, key, LedgerEntryData::Trustline(line), &source);
    made.map_err(|_| ChangeTrustResult::LowReserve)
}

fn shares(cx: &mut Cx<'_>, params: &LiquidityPoolParameters, limit: i64) -> Result<(), ChangeTrustResult> {
    let source = cx.source.clone();
    let LiquidityPoolParameters::LiquidityPoolConstantProduct(pool_params) = params;
    let assets = [&pool_params.asset_a, &pool_params.asset_b];
    let id = pool::id_of(params);
    let line = TrustLineAsset::PoolShare(id.clone());
    if cx.state.trustline(&source, &line).is_some() {
        if set_limit(cx, &line, limit)? {
            pool::leave(cx, &source, &id, assets);
        }
        return Ok(());
    }
    for asset in assets {
        if *asset == Asset::Native || entries::issues(&source, asset) {
            continue;
        }
        match cx.state.trustline(&source, &entries::line_of(asset)) {
            None => return Err(ChangeTrustResult::TrustLineMissing),
            Some(line) if line.flags & (AUTHORIZED | MAINTAINS) == 0 => {
                return Err(ChangeTrustResult::NotAuthMaintainLiabilities);
            }
            Some(_) => {}
        }
    }
    open(cx, line, limit, 0)?;
    for asset in assets {
        if let Some(line) = cx.state.trustline_mut(&source, &entries::line_of(asset)) {
            entries::add_pool_use(line, 1);
        }
    }
    if let Some(pool) = cx.state.pool_mut(&id) {
        pool.pool_shares_trust_line_count += 1;
    } else {
        let body = LiquidityPoolEntryBody::LiquidityPoolConstantProduct(LiquidityPoolEntryConstantProduct {
            params: pool_params.clone(),
            reserve_a: 0,
            reserve_b: 0,
            total_pool_shares: 0,
            pool_shares_trust_line_count: 1,
        });
        let entry = LiquidityPoolEntry { liquidity_pool_id: id.clone(), body };
        cx.state.put(state::pool_key(&id), LedgerEntryData::LiquidityPool(entry));
    }
    Ok(())
}
