//! ChangeTrust: lines for credit assets.

use stellar_xdr::{
    Asset, ChangeTrustAsset, ChangeTrustOp, ChangeTrustResult, LedgerEntryData, OperationResultTr,
};

use super::{Applied, Cx};
use crate::{entries, state};

/// Makes, changes or removes a trustline.
pub(super) fn change(cx: &mut Cx<'_>, op: &ChangeTrustOp) -> Applied {
    let result = run(cx, op);
    let ok = result == ChangeTrustResult::Success;
    (OperationResultTr::ChangeTrust(result), ok)
}

fn run(cx: &mut Cx<'_>, op: &ChangeTrustOp) -> ChangeTrustResult {
    let asset = match op.line.clone() {
        ChangeTrustAsset::CreditAlphanum4(asset) => Asset::CreditAlphanum4(asset),
        ChangeTrustAsset::CreditAlphanum12(asset) => Asset::CreditAlphanum12(asset),
        ChangeTrustAsset::Native | ChangeTrustAsset::PoolShare(_) => return ChangeTrustResult::Malformed,
    };
    let source = cx.source.clone();
    if entries::issues(&source, &asset) {
        return ChangeTrustResult::Malformed;
    }
    let line_asset = entries::line_of(&asset);
    let existing = cx.state.trustline(&source, &line_asset).map(|line| {
        let liabilities = entries::line_liabilities(line);
        (line.balance, liabilities.buying, liabilities.selling)
    });
    match existing {
        Some((balance, buying, selling)) if op.limit == 0 => {
            if balance != 0 || buying != 0 || selling != 0 {
                return ChangeTrustResult::CannotDelete;
            }
            cx.state.remove(state::trustline_key(&source, &line_asset));
            if let Some(account) = cx.state.account_mut(&source) {
                account.num_sub_entries -= 1;
            }
        }
        Some((balance, buying, _)) => {
            if op.limit < balance.saturating_add(buying) {
                return ChangeTrustResult::InvalidLimit;
            }
            if let Some(line) = cx.state.trustline_mut(&source, &line_asset) {
                line.limit = op.limit;
            }
        }
        None if op.limit == 0 => return ChangeTrustResult::InvalidLimit,
        None => {
            let issuer = entries::code_and_issuer(&asset).map(|(_, issuer)| issuer.clone());
            if issuer.is_none_or(|issuer| cx.state.account(&issuer).is_none()) {
                return ChangeTrustResult::NoIssuer;
            }
            let Some(account) = cx.state.account_mut(&source) else { return ChangeTrustResult::LowReserve };
            let selling = entries::account_liabilities(account).selling;
            if account.balance - selling < entries::minimum_balance(account, 1) {
                return ChangeTrustResult::LowReserve;
            }
            account.num_sub_entries += 1;
            let line = entries::new_trustline(source.clone(), line_asset.clone(), op.limit);
            cx.state.put(state::trustline_key(&source, &line_asset), LedgerEntryData::Trustline(line));
        }
    }
    ChangeTrustResult::Success
}
