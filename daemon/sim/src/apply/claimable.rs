//! Claimable balances: creating, claiming and taking them back.

use stellar_xdr::{
    AccountId, Asset, ClaimClaimableBalanceResult, ClaimPredicate, ClaimableBalanceEntry,
    ClaimableBalanceEntryExt, ClaimableBalanceEntryExtensionV1, ClaimableBalanceEntryExtensionV1Ext,
    ClaimableBalanceId, Claimant, ClaimantV0, ClawbackClaimableBalanceResult, CreateClaimableBalanceOp,
    CreateClaimableBalanceResult, LedgerEntryData, MuxedAccount, OperationResultTr, ScAddress,
};

use super::{
    Applied, Cx,
    balance::{self, Refusal},
    reserve,
};
use crate::{encode, entries, events, state};

/// Flag of a claimable balance that the issuer can take back.
const CLAWBACK_ENABLED: u32 = 1;
/// Account flag of issuers whose assets can be taken back.
const ISSUER_CLAWBACK: u32 = 8;

/// Puts money aside for the claimants.
pub(super) fn create(cx: &mut Cx<'_>, op: &CreateClaimableBalanceOp) -> Applied {
    let result = run_create(cx, op);
    let ok = matches!(result, CreateClaimableBalanceResult::Success(_));
    (OperationResultTr::CreateClaimableBalance(result), ok)
}

fn run_create(cx: &mut Cx<'_>, op: &CreateClaimableBalanceOp) -> CreateClaimableBalanceResult {
    let source = cx.source.clone();
    let id = cx.balance_id();
    if let Err(refusal) = balance::take(cx.state, &source, &op.asset, op.amount) {
        return match refusal {
            Refusal::NoLine => CreateClaimableBalanceResult::NoTrust,
            Refusal::NotAuthorized => CreateClaimableBalanceResult::NotAuthorized,
            Refusal::Short | Refusal::Full => CreateClaimableBalanceResult::Underfunded,
        };
    }
    let time = i64::try_from(cx.time).unwrap_or(i64::MAX);
    let claimants = op.claimants.iter().map(|claimant| {
        let Claimant::ClaimantTypeV0(claimant) = claimant;
        let predicate = absolute(&claimant.predicate, time);
        Claimant::ClaimantTypeV0(ClaimantV0 { destination: claimant.destination.clone(), predicate })
    });
    let claimants = claimants.collect();
    let entry =
        entry(id.clone(), claimants, (&op.asset, op.amount), clawback_enabled(cx, &source, &op.asset));
    let key = state::claimable_key(&id);
    if reserve::create(cx, key, LedgerEntryData::ClaimableBalance(entry), &source).is_err() {
        return CreateClaimableBalanceResult::LowReserve;
    }
    let parties = (ScAddress::Account(source), ScAddress::ClaimableBalance(id.clone()));
    let event = cx.assets.moved_for(&op.asset, parties, op.amount, None);
    cx.emit(&event);
    CreateClaimableBalanceResult::Success(id)
}

/// A claimable balance.
pub(super) fn entry(
    balance_id: ClaimableBalanceId,
    claimants: Vec<Claimant>,
    (asset, amount): (&Asset, i64),
    clawback: bool,
) -> ClaimableBalanceEntry {
    let ext = if clawback {
        ClaimableBalanceEntryExt::V1(ClaimableBalanceEntryExtensionV1 {
            ext: ClaimableBalanceEntryExtensionV1Ext::V0,
            flags: CLAWBACK_ENABLED,
        })
    } else {
        ClaimableBalanceEntryExt::V0
    };
    ClaimableBalanceEntry {
        balance_id,
        claimants: encode::vecm(claimants),
        asset: asset.clone(),
        amount,
        ext,
    }
}

/// Whether what `id` holds of `asset` can be taken back.
pub(super) fn clawback_enabled(cx: &Cx<'_>, id: &AccountId, asset: &Asset) -> bool {
    if entries::issues(id, asset) {
        return cx.state.account(id).is_some_and(|issuer| issuer.flags & ISSUER_CLAWBACK != 0);
    }
    let line = cx.state.trustline(id, &entries::line_of(asset));
    line.is_some_and(|line| line.flags & entries::CLAWBACK != 0)
}

/// The predicate with times that count from now made absolute.
fn absolute(predicate: &ClaimPredicate, now: i64) -> ClaimPredicate {
    let all = |list: &[ClaimPredicate]| encode::vecm(list.iter().map(|one| absolute(one, now)).collect());
    match predicate {
        ClaimPredicate::Unconditional => ClaimPredicate::Unconditional,
        ClaimPredicate::And(list) => ClaimPredicate::And(all(list)),
        ClaimPredicate::Or(list) => ClaimPredicate::Or(all(list)),
        ClaimPredicate::Not(inner) => {
            ClaimPredicate::Not(inner.as_ref().map(|inner| Box::new(absolute(inner, now))))
        }
        ClaimPredicate::BeforeAbsoluteTime(time) => ClaimPredicate::BeforeAbsoluteTime(*time),
        ClaimPredicate::BeforeRelativeTime(seconds) => {
            ClaimPredicate::BeforeAbsoluteTime(now.saturating_add(*seconds))
        }
    }
}

fn holds(predicate: &ClaimPredicate, now: i64) -> bool {
    match predicate {
        ClaimPredicate::Unconditional => true,
        ClaimPredicate::And(list) => list.iter().all(|one| holds(one, now)),
        ClaimPredicate::Or(list) => list.iter().any(|one| holds(one, now)),
        ClaimPredicate::Not(inner) => inner.as_ref().is_none_or(|inner| !holds(inner, now)),
        ClaimPredicate::BeforeAbsoluteTime(time) => now < *time,
        ClaimPredicate::BeforeRelativeTime(_) => false,
    }
}

/// Gives a claimable balance to one of its claimants.
pub(super) fn claim(cx: &mut Cx<'_>, id: &ClaimableBalanceId) -> Applied {
    let result = run_claim(cx, id);
    let ok = result == ClaimClaimableBalanceResult::Success;
    (OperationResultTr::ClaimClaimableBalance(result), ok)
}

fn run_claim(cx: &mut Cx<'_>, id: &ClaimableBalanceId) -> ClaimClaimableBalanceResult {
    let source = cx.source.clone();
    let now = i64::try_from(cx.time).unwrap_or(i64::MAX);
    let Some(entry) = cx.state.claimable(id).cloned() else {
        return ClaimClaimableBalanceResult::DoesNotExist;
    };
    let may = entry.claimants.iter().any(|claimant| {
        let Claimant::ClaimantTypeV0(claimant) = claimant;
        claimant.destination == source && holds(&claimant.predicate, now)
    });
    if !may {
        return ClaimClaimableBalanceResult::CannotClaim;
    }
    if let Err(refusal) = balance::give(cx.state, &source, &entry.asset, entry.amount) {
        return match refusal {
            Refusal::NoLine => ClaimClaimableBalanceResult::NoTrust,
            Refusal::NotAuthorized => ClaimClaimableBalanceResult::NotAuthorized,
            Refusal::Short | Refusal::Full => ClaimClaimableBalanceResult::LineFull,
        };
    }
    reserve::remove(cx, state::claimable_key(id), &source);
    let to = MuxedAccount::Ed25519(stellar_xdr::Uint256(entries::key_bytes(&source)));
    let recipient = events::recipient(&to, cx.memo);
    let parties = (ScAddress::ClaimableBalance(id.clone()), ScAddress::Account(source));
    let event = cx.assets.moved_for(&entry.asset, parties, entry.amount, recipient);
    cx.emit(&event);
    ClaimClaimableBalanceResult::Success
}

/// Takes a claimable balance back, if its asset's issuer asks for it and reserved the right.
pub(super) fn claw_back(cx: &mut Cx<'_>, id: &ClaimableBalanceId) -> Applied {
    let source = cx.source.clone();
    let result = match cx.state.claimable(id).cloned() {
        None => ClawbackClaimableBalanceResult::DoesNotExist,
        Some(entry) if !entries::issues(&source, &entry.asset) => ClawbackClaimableBalanceResult::NotIssuer,
        Some(entry) if entry.ext == ClaimableBalanceEntryExt::V0 => {
            ClawbackClaimableBalanceResult::NotClawbackEnabled
        }
        Some(entry) => {
            reserve::remove(cx, state::claimable_key(id), &source);
            let from = ScAddress::ClaimableBalance(id.clone());
            let event = cx.assets.clawed_back(&entry.asset, from, entry.amount);
            cx.emit(&event);
            ClawbackClaimableBalanceResult::Success
        }
    };
    let ok = result == ClawbackClaimableBalanceResult::Success;
    (OperationResultTr::ClawbackClaimableBalance(result), ok)
}
