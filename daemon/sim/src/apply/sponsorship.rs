//! Begin, End and RevokeSponsorship: paying the reserves of others (CAP-33).

use stellar_xdr::{
    AccountId, BeginSponsoringFutureReservesOp, BeginSponsoringFutureReservesResult,
    EndSponsoringFutureReservesResult, LedgerKey, OperationResultTr, RevokeSponsorshipOp,
    RevokeSponsorshipOpSigner, RevokeSponsorshipResult,
};

use super::{Applied, Cx, reserve};
use crate::entries;

/// Begins to pay for what the sponsored account will create.
pub(super) fn begin(cx: &mut Cx<'_>, op: &BeginSponsoringFutureReservesOp) -> Applied {
    let (sponsor, sponsored) = (cx.source.clone(), op.sponsored_id.clone());
    let result = if sponsor == sponsored {
        BeginSponsoringFutureReservesResult::Malformed
    } else if cx.sponsor_of(&sponsored).is_some() {
        BeginSponsoringFutureReservesResult::AlreadySponsored
    } else if cx.sponsor_of(&sponsor).is_some() || cx.sponsorships.iter().any(|(_, by)| *by == sponsored) {
        BeginSponsoringFutureReservesResult::Recursive
    } else {
        cx.sponsorships.push((sponsored, sponsor));
        BeginSponsoringFutureReservesResult::Success
    };
    let ok = result == BeginSponsoringFutureReservesResult::Success;
    (OperationResultTr::BeginSponsoringFutureReserves(result), ok)
}

/// Ends what [`begin`] began; the sponsored account does it.
pub(super) fn end(cx: &mut Cx<'_>) -> Applied {
    let before = cx.sponsorships.len();
    let source = cx.source.clone();
    cx.sponsorships.retain(|(sponsored, _)| *sponsored != source);
    let ok = cx.sponsorships.len() < before;
    let result = if ok {
        EndSponsoringFutureReservesResult::Success
    } else {
        EndSponsoringFutureReservesResult::NotSponsored
    };
    (OperationResultTr::EndSponsoringFutureReserves(result), ok)
}

/// Hands the reserve of an entry or a signer back to its owner, or on to whoever sponsors the source just now.
pub(super) fn revoke(cx: &mut Cx<'_>, op: &RevokeSponsorshipOp) -> Applied {
    let outcome = match op {
        RevokeSponsorshipOp::LedgerEntry(key) => revoke_entry(cx, key),
        RevokeSponsorshipOp::Signer(signer) => revoke_signer(cx, signer),
    };
    let ok = outcome.is_ok();
    let result = outcome.err().unwrap_or(RevokeSponsorshipResult::Success);
    (OperationResultTr::RevokeSponsorship(result), ok)
}

/// Account to which the reserve of an entry falls; claimable balances have none.
fn owner(key: &LedgerKey) -> Option<&AccountId> {
    match key {
        LedgerKey::Account(key) => Some(&key.account_id),
        LedgerKey::Trustline(key) => Some(&key.account_id),
        LedgerKey::Offer(key) => Some(&key.seller_id),
        LedgerKey::Data(key) => Some(&key.account_id),
        LedgerKey::ClaimableBalance(_)
        | LedgerKey::LiquidityPool(_)
        | LedgerKey::ContractData(_)
        | LedgerKey::ContractCode(_)
        | LedgerKey::ConfigSetting(_)
        | LedgerKey::Ttl(_) => None,
    }
}

fn revoke_entry(cx: &mut Cx<'_>, key: &LedgerKey) -> Result<(), RevokeSponsorshipResult> {
    let count = cx.state.get(key).map(reserve::cost).ok_or(RevokeSponsorshipResult::DoesNotExist)?;
    let owner = owner(key).cloned();
    let old = cx.state.sponsor(key);
    let new = next(cx, old.as_ref(), owner.as_ref())?;
    if owner.is_none() && new.is_none() {
        return Err(RevokeSponsorshipResult::OnlyTransferable);
    }
    shift(cx, (old.as_ref(), new.as_ref()), owner.as_ref(), count)?;
    if old != new {
        cx.state.set_sponsor(key, new.as_ref());
    }
    Ok(())
}

fn revoke_signer(cx: &mut Cx<'_>, op: &RevokeSponsorshipOpSigner) -> Result<(), RevokeSponsorshipResult> {
    let none = RevokeSponsorshipResult::DoesNotExist;
    let signers = cx.state.account(&op.account_id).map(entries::signers);
    let mut signers = signers.ok_or_else(|| none.clone())?;
    let (_, sponsor) = signers.iter_mut().find(|(signer, _)| signer.key == op.signer_key).ok_or(none)?;
    let old = sponsor.clone();
    let new = next(cx, old.as_ref(), Some(&op.account_id))?;
    sponsor.clone_from(&new);
    shift(cx, (old.as_ref(), new.as_ref()), Some(&op.account_id), 1)?;
    if old != new
        && let Some(account) = cx.state.account_mut(&op.account_id)
    {
        entries::set_signers(account, signers);
    }
    Ok(())
}

/// Who pays from now on. Only who pays now may change it.
fn next(
    cx: &Cx<'_>,
    old: Option<&AccountId>,
    owner: Option<&AccountId>,
) -> Result<Option<AccountId>, RevokeSponsorshipResult> {
    if old.or(owner) != Some(&cx.source) {
        return Err(RevokeSponsorshipResult::NotSponsor);
    }
    Ok(cx.sponsor_of(&cx.source).filter(|sponsor| Some(sponsor) != owner))
}

/// Moves the counts from the old sponsor to the new one.
fn shift(
    cx: &mut Cx<'_>,
    (old, new): (Option<&AccountId>, Option<&AccountId>),
    owner: Option<&AccountId>,
    count: i32,
) -> Result<(), RevokeSponsorshipResult> {
    if old == new {
        return Ok(());
    }
    if let Some(payer) = new.or(owner)
        && !reserve::affords(cx, payer, count)
    {
        return Err(RevokeSponsorshipResult::LowReserve);
    }
    if let Some(old) = old {
        reserve::add_sponsoring(cx, old, -count);
    }
    if let Some(new) = new {
        reserve::add_sponsoring(cx, new, count);
    }
    if let Some(owner) = owner {
        match (old, new) {
            (Some(_), None) => reserve::add_sponsored(cx, owner, -count),
            (None, Some(_)) => reserve::add_sponsored(cx, owner, count),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    Ok(())
}
