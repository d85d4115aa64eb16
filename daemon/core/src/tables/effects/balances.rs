//! Effects on claimable balances.

use stellar_xdr as xdr;

use super::{
    emit::{Cells, Effects},
    kind::Kind,
};
use crate::{
    changes::{entry::claimable_balance_flags, pairs},
    text::{AssetParts, BalanceId, Json, details, predicate},
};

/// The claimable balance that an entry is.
pub(super) fn balance(entry: Option<&xdr::LedgerEntry>) -> Option<&xdr::ClaimableBalanceEntry> {
    if let xdr::LedgerEntryData::ClaimableBalance(balance) = &entry?.data { Some(balance) } else { None }
}

/// The claimants are the operation's own: the entry holds their relative times as absolute ones.
pub(super) fn create(e: &mut Effects<'_>, op: &xdr::CreateClaimableBalanceOp) -> Result<(), String> {
    let created = pairs(e.op.changes).find_map(|pair| balance(pair.after));
    if let Some(balance) = e.op.found(created, || "the claimable balance".to_owned())? {
        push_created(e, balance, &op.claimants);
    }
    e.push_amount(Kind::AccountDebited, &e.op.source, op.amount, (&op.asset).into());
    Ok(())
}

/// Appends a new balance and each of those who may claim it.
pub(super) fn push_created(
    e: &mut Effects<'_>,
    balance: &xdr::ClaimableBalanceEntry,
    claimants: &[xdr::Claimant],
) {
    e.push_source(Kind::ClaimableBalanceCreated, cells(balance), |j| {
        fields(j, balance);
        clawback_flag(j, balance);
    });
    for claimant in claimants {
        let xdr::Claimant::ClaimantTypeV0(claimant) = claimant;
        e.push(Kind::ClaimableBalanceClaimantCreated, &claimant.destination, cells(balance), |j| {
            fields(j, balance);
            j.key("predicate");
            predicate(j, &claimant.predicate);
        });
    }
}

pub(super) fn claim(e: &mut Effects<'_>, op: &xdr::ClaimClaimableBalanceOp) -> Result<(), String> {
    let Some(balance) = removed(e, &op.balance_id)? else { return Ok(()) };
    e.push_source(Kind::ClaimableBalanceClaimed, cells(balance), |j| {
        fields(j, balance);
        clawback_flag(j, balance);
    });
    e.push_amount(Kind::AccountCredited, &e.op.source, balance.amount, (&balance.asset).into());
    Ok(())
}

/// The issuer is credited although what it takes back ceases to exist.
pub(super) fn clawback(e: &mut Effects<'_>, op: &xdr::ClawbackClaimableBalanceOp) -> Result<(), String> {
    e.push_source(Kind::ClaimableBalanceClawedBack, Cells::default(), |j| {
        j.key("balance_id").plain(BalanceId(&op.balance_id));
    });
    if let Some(balance) = removed(e, &op.balance_id)? {
        e.push_amount(Kind::AccountCredited, &e.op.source, balance.amount, (&balance.asset).into());
    }
    Ok(())
}

/// The balance of that id, which the operation removed.
fn removed<'e>(
    e: &Effects<'e>,
    id: &xdr::ClaimableBalanceId,
) -> Result<Option<&'e xdr::ClaimableBalanceEntry>, String> {
    let removed = pairs(e.op.changes)
        .filter(|pair| pair.after.is_none())
        .filter_map(|pair| balance(pair.before))
        .find(|balance| balance.balance_id == *id);
    e.op.found(removed, || format!("claimable balance {}", BalanceId(id)))
}

fn cells(balance: &xdr::ClaimableBalanceEntry) -> Cells<'_> {
    Cells { amount: Some(balance.amount), asset: Some((&balance.asset).into()), ..Cells::default() }
}

fn fields(j: &mut Json, balance: &xdr::ClaimableBalanceEntry) {
    j.key("balance_id").plain(BalanceId(&balance.balance_id));
    details::amount(j, "amount", balance.amount);
    j.key("asset").text(AssetParts::from(&balance.asset));
}

fn clawback_flag(j: &mut Json, balance: &xdr::ClaimableBalanceEntry) {
    if claimable_balance_flags(balance) & 1 != 0 {
        j.key("claimable_balance_clawback_enabled_flag").bare(true);
    }
}
