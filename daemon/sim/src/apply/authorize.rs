//! AllowTrust, SetTrustLineFlags and Clawback: what issuers may do to those who hold their assets.

use stellar_xdr::{
    AccountId, AllowTrustOp, AllowTrustResult, Asset, AssetCode, ClawbackOp, ClawbackResult,
    OperationResultTr, ScAddress, SetTrustLineFlagsOp, SetTrustLineFlagsResult,
};

use super::{Applied, Cx, cross, revoke_shares};
use crate::entries::{self, AUTHORIZED, CLAWBACK, MAINTAINS};

/// Account flag of issuers who may take an authorization back.
const REVOCABLE: u32 = 2;

/// Why an authorization could not change: the failures that both operations share.
enum Failure {
    NoLine,
    CantRevoke,
    BothFlags,
    LowReserve,
}

/// Authorizes a holder fully (1), for its offers only (2), or not at all (0).
pub(super) fn allow_trust(cx: &mut Cx<'_>, op: &AllowTrustOp) -> Applied {
    let asset = match &op.asset {
        AssetCode::CreditAlphanum4(code) => Asset::CreditAlphanum4(stellar_xdr::AlphaNum4 {
            asset_code: code.clone(),
            issuer: cx.source.clone(),
        }),
        AssetCode::CreditAlphanum12(code) => Asset::CreditAlphanum12(stellar_xdr::AlphaNum12 {
            asset_code: code.clone(),
            issuer: cx.source.clone(),
        }),
    };
    let both = AUTHORIZED | MAINTAINS;
    let result = if op.trustor == cx.source {
        AllowTrustResult::SelfNotAllowed
    } else if op.authorize > MAINTAINS {
        AllowTrustResult::Malformed
    } else {
        match change(cx, (&op.trustor, &asset), op.authorize, both & !op.authorize) {
            Ok(()) => AllowTrustResult::Success,
            Err(Failure::NoLine) => AllowTrustResult::NoTrustLine,
            Err(Failure::CantRevoke) => AllowTrustResult::CantRevoke,
            Err(Failure::BothFlags) => AllowTrustResult::Malformed,
            Err(Failure::LowReserve) => AllowTrustResult::LowReserve,
        }
    };
    let ok = result == AllowTrustResult::Success;
    (OperationResultTr::AllowTrust(result), ok)
}

/// Sets and clears flags of a trustline.
pub(super) fn set_flags(cx: &mut Cx<'_>, op: &SetTrustLineFlagsOp) -> Applied {
    let malformed = !entries::issues(&cx.source, &op.asset)
        || op.trustor == cx.source
        || op.set_flags & op.clear_flags != 0
        || op.set_flags & CLAWBACK != 0;
    let result = if malformed {
        SetTrustLineFlagsResult::Malformed
    } else {
        match change(cx, (&op.trustor, &op.asset), op.set_flags, op.clear_flags) {
            Ok(()) => SetTrustLineFlagsResult::Success,
            Err(Failure::NoLine) => SetTrustLineFlagsResult::NoTrustLine,
            Err(Failure::CantRevoke) => SetTrustLineFlagsResult::CantRevoke,
            Err(Failure::BothFlags) => SetTrustLineFlagsResult::InvalidState,
            Err(Failure::LowReserve) => SetTrustLineFlagsResult::LowReserve,
        }
    };
    let ok = result == SetTrustLineFlagsResult::Success;
    (OperationResultTr::SetTrustLineFlags(result), ok)
}

fn change(
    cx: &mut Cx<'_>,
    (trustor, asset): (&AccountId, &Asset),
    set: u32,
    clear: u32,
) -> Result<(), Failure> {
    let both = AUTHORIZED | MAINTAINS;
    let line_asset = entries::line_of(asset);
    let old = cx.state.trustline(trustor, &line_asset).map(|line| line.flags).ok_or(Failure::NoLine)?;
    let new = (old & !clear) | set;
    if new & both == both {
        return Err(Failure::BothFlags);
    }
    let revocable = cx.state.account(&cx.source).is_some_and(|issuer| issuer.flags & REVOCABLE != 0);
    let lowered = old & AUTHORIZED != 0 && new & AUTHORIZED == 0 || old & both != 0 && new & both == 0;
    if lowered && !revocable {
        return Err(Failure::CantRevoke);
    }
    if old & both != 0 && new & both == 0 {
        remove_offers(cx, trustor, asset);
        revoke_shares::revoke(cx, trustor, asset).map_err(|_| Failure::LowReserve)?;
    }
    if let Some(line) = cx.state.trustline_mut(trustor, &line_asset) {
        line.flags = new;
    }
    if (old ^ new) & AUTHORIZED != 0 {
        let holder = ScAddress::Account(trustor.clone());
        let event = cx.assets.set_authorized(asset, holder, new & AUTHORIZED != 0);
        cx.emit(&event);
    }
    Ok(())
}

/// Takes back all offers of `trustor` in which the asset is.
fn remove_offers(cx: &mut Cx<'_>, trustor: &AccountId, asset: &Asset) {
    let offers = cx.state.offers_of(trustor);
    let with = offers.into_iter().filter(|offer| offer.selling == *asset || offer.buying == *asset);
    for offer in with.cloned().collect::<Vec<_>>() {
        cross::commit(cx, &offer, -1);
        cross::erase(cx, &offer);
    }
}

/// An issuer takes its asset back from a holder.
pub(super) fn claw_back(cx: &mut Cx<'_>, op: &ClawbackOp) -> Applied {
    let result = run_claw_back(cx, op);
    let ok = result == ClawbackResult::Success;
    (OperationResultTr::Clawback(result), ok)
}

fn run_claw_back(cx: &mut Cx<'_>, op: &ClawbackOp) -> ClawbackResult {
    let from = entries::unmuxed(&op.from);
    if !entries::issues(&cx.source, &op.asset) || from == cx.source {
        return ClawbackResult::Malformed;
    }
    let line_asset = entries::line_of(&op.asset);
    let Some(line) = cx.state.trustline(&from, &line_asset) else { return ClawbackResult::NoTrust };
    if line.flags & CLAWBACK == 0 {
        return ClawbackResult::NotClawbackEnabled;
    }
    if line.balance - entries::line_liabilities(line).selling < op.amount {
        return ClawbackResult::Underfunded;
    }
    if let Some(line) = cx.state.trustline_mut(&from, &line_asset) {
        line.balance -= op.amount;
    }
    let event = cx.assets.clawed_back(&op.asset, ScAddress::Account(from), op.amount);
    cx.emit(&event);
    ClawbackResult::Success
}
