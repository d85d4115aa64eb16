//! Effects on trustlines: made, changed, authorized, revoked.

use stellar_xdr as xdr;

use super::{
    accounts::becomes,
    balances,
    emit::{Cells, Effects},
    kind::Kind,
    pools,
};
use crate::{
    changes::{Pair, PoolChange, pairs},
    text::{AssetParts, account_of, details, pool_id, strkey_of},
};

/// Trustline that a change is about.
fn line<'l>(pair: &Pair<'l>) -> Option<&'l xdr::TrustLineEntry> {
    if let xdr::LedgerEntryData::Trustline(line) = &pair.image()?.data { Some(line) } else { None }
}

/// Making a trustline of pool shares changes those of the pool's assets too, which have no effect. Nor has an issuer's
/// trust in itself, which changes nothing.
pub(super) fn change_trust(e: &mut Effects<'_>, op: &xdr::ChangeTrustOp) {
    let asset = AssetParts::from(&op.line);
    let change = pairs(e.op.changes).find_map(|pair| {
        let line = line(&pair)?;
        (AssetParts::from(&line.asset).ty == asset.ty).then_some((pair, line))
    });
    let Some((pair, line)) = change else { return };
    let kind = match (pair.before, pair.after) {
        (None, _) => Kind::TrustlineCreated,
        (Some(_), None) => Kind::TrustlineRemoved,
        (Some(_), Some(_)) => Kind::TrustlineUpdated,
    };
    let cells = Cells { asset: Some(asset), trustline_limit: Some(op.limit), ..Cells::default() };
    e.push_source(kind, cells, |j| {
        details::amount(j, "limit", op.limit);
        details::asset(j, "", asset);
        if let xdr::TrustLineAsset::PoolShare(pool) = &line.asset {
            j.key("liquidity_pool_id").plain(pool_id(pool));
        }
    });
}

/// Appends the trustlines that a contract call made (CAP-73), of which no event tells.
///
/// # Errors
/// What the XDR encoder says of a key.
pub(super) fn made_by_contract(e: &mut Effects<'_>) -> Result<(), String> {
    let is_new = |pair: &Pair<'_>| pair.before.is_none() && pair.after.is_some() && line(pair).is_some();
    for line in e.op.changes_by_key(is_new)?.iter().filter_map(line) {
        let asset = AssetParts::from(&line.asset);
        let cells = Cells { asset: Some(asset), trustline_limit: Some(line.limit), ..Cells::default() };
        e.push(Kind::TrustlineCreated, &line.account_id, cells, |j| {
            details::amount(j, "limit", line.limit);
            details::asset(j, "", asset);
        });
    }
    Ok(())
}

pub(super) fn allow_trust(e: &mut Effects<'_>, op: &xdr::AllowTrustOp) -> Result<(), String> {
    let issuer = account_of(&e.op.source);
    let asset = AssetParts::of_code(&op.asset, &issuer);
    let (kind, set, clear) = if op.authorize & 1 != 0 {
        (Kind::TrustlineAuthorized, 1, 0)
    } else if op.authorize & 2 != 0 {
        (Kind::TrustlineAuthorizedToMaintainLiabilities, 2, 0)
    } else {
        (Kind::TrustlineDeauthorized, 0, 3)
    };
    e.push_source(kind, Cells { asset: Some(asset), ..Cells::default() }, |j| {
        j.key("trustor").plain(strkey_of(&op.trustor));
        details::asset(j, "", asset);
    });
    flags(e, &op.trustor, asset, set, clear);
    revocation(e)
}

pub(super) fn set_flags(e: &mut Effects<'_>, op: &xdr::SetTrustLineFlagsOp) -> Result<(), String> {
    flags(e, &op.trustor, (&op.asset).into(), op.set_flags, op.clear_flags);
    revocation(e)
}

fn flags(e: &mut Effects<'_>, trustor: &xdr::AccountId, asset: AssetParts<'_>, set: u32, clear: u32) {
    let flags = [
        (1, "authorized_flag"),
        // it is Horizon that misspells this
        (2, "authorized_to_maintain_liabilites"),
        (4, "clawback_enabled_flag"),
    ];
    let becomes = |bit| becomes(set, clear, bit);
    let cells = Cells { asset: Some(asset), authorize: becomes(1), clawback: becomes(4), ..Cells::default() };
    e.push_source(Kind::TrustlineFlagsUpdated, cells, |j| {
        j.key("trustor").plain(strkey_of(trustor));
        details::asset(j, "", asset);
        for (bit, name) in flags {
            if let Some(value) = becomes(bit) {
                j.key(name).bare(value);
            }
        }
    });
}

/// Who loses the authorization to hold an asset loses their shares of its pools, and gets claimable balances of what
/// these were worth (CAP-38). Of several pools Horizon shows the first alone.
fn revocation(e: &mut Effects<'_>) -> Result<(), String> {
    let pools = e.op.changes_by_key(|pair| PoolChange::of(pair).is_some())?;
    let Some(pool) = pools.first().and_then(PoolChange::of) else { return Ok(()) };
    let is_new = |pair: &Pair<'_>| pair.before.is_none() && balances::balance(pair.after).is_some();
    let created = e.op.changes_by_key(is_new)?;
    let created: Vec<_> = created.iter().filter_map(|pair| balances::balance(pair.after)).collect();
    for balance in &created {
        balances::push_created(e, balance, &balance.claimants);
    }
    if !created.is_empty() {
        pools::revoked(e, &pool, &created);
    }
    Ok(())
}
