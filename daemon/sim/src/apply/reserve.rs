//! Reserves: who pays for an entry or a signer, its owner or a sponsor (CAP-33).

use stellar_xdr::{AccountId, LedgerEntryData, LedgerKey, TrustLineAsset};

use super::Cx;
use crate::entries;

/// Somebody has too little for the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LowReserve;

/// Reserves that an entry costs.
pub(super) fn cost(data: &LedgerEntryData) -> i32 {
    match data {
        LedgerEntryData::Account(_) => 2,
        LedgerEntryData::Trustline(line) if matches!(line.asset, TrustLineAsset::PoolShare(_)) => 2,
        LedgerEntryData::ClaimableBalance(balance) => i32::try_from(balance.claimants.len()).unwrap_or(0),
        LedgerEntryData::Trustline(_) | LedgerEntryData::Offer(_) | LedgerEntryData::Data(_) => 1,
        LedgerEntryData::LiquidityPool(_)
        | LedgerEntryData::ContractData(_)
        | LedgerEntryData::ContractCode(_)
        | LedgerEntryData::ConfigSetting(_)
        | LedgerEntryData::Ttl(_) => 0,
    }
}

/// Whether an entry counts among its owner's subentries.
pub(super) fn is_subentry(data: &LedgerEntryData) -> bool {
    matches!(data, LedgerEntryData::Trustline(_) | LedgerEntryData::Offer(_) | LedgerEntryData::Data(_))
}

/// Whether `id` can pay so many reserves more.
pub(super) fn affords(cx: &Cx<'_>, id: &AccountId, count: i32) -> bool {
    let reserve = cx.state.base_reserve();
    let count = u32::try_from(count).unwrap_or(0);
    cx.state.account(id).is_some_and(|account| entries::has_reserve(account, count, reserve))
}

/// Adds to the reserves that `sponsor` pays for others.
pub(super) fn add_sponsoring(cx: &mut Cx<'_>, sponsor: &AccountId, count: i32) {
    if let Some(account) = cx.state.account_mut(sponsor) {
        entries::add_sponsoring(account, count);
    }
}

/// Adds to the reserves that others pay for `owner`.
pub(super) fn add_sponsored(cx: &mut Cx<'_>, owner: &AccountId, count: i32) {
    if let Some(account) = cx.state.account_mut(owner) {
        entries::add_sponsored(account, count);
    }
}

/// Adds to the subentries of `owner`.
pub(super) fn add_subentries(cx: &mut Cx<'_>, owner: &AccountId, count: i32) {
    if let Some(account) = cx.state.account_mut(owner) {
        account.num_sub_entries = account.num_sub_entries.saturating_add_signed(count);
    }
}

/// Creates an entry of `owner`, at the cost of whoever sponsors the owner's reserves just now, or else of the owner.
pub(super) fn create(
    cx: &mut Cx<'_>,
    key: LedgerKey,
    mut data: LedgerEntryData,
    owner: &AccountId,
) -> Result<(), LowReserve> {
    let (count, subentry) = (cost(&data), is_subentry(&data));
    let claimable = matches!(data, LedgerEntryData::ClaimableBalance(_));
    // A claimable balance belongs to nobody: its creator is its sponsor.
    let sponsor = cx.sponsor_of(owner).or_else(|| claimable.then(|| owner.clone()));
    let Some(sponsor) = sponsor else {
        if let LedgerEntryData::Account(account) = &data {
            if account.balance < entries::minimum_balance(account, 0, cx.state.base_reserve()) {
                return Err(LowReserve);
            }
        } else if !affords(cx, owner, count) {
            return Err(LowReserve);
        }
        if subentry {
            add_subentries(cx, owner, count);
        }
        cx.state.put(key, data);
        return Ok(());
    };
    if !affords(cx, &sponsor, count) {
        return Err(LowReserve);
    }
    add_sponsoring(cx, &sponsor, count);
    if let LedgerEntryData::Account(account) = &mut data {
        entries::add_sponsored(account, count);
    } else if subentry {
        add_sponsored(cx, owner, count);
        add_subentries(cx, owner, count);
    }
    cx.state.put_sponsored(key, data, &sponsor);
    Ok(())
}

/// Removes an entry of `owner` and releases what was paid for it.
pub(super) fn remove(cx: &mut Cx<'_>, key: LedgerKey, owner: &AccountId) {
    let Some(data) = cx.state.get(&key) else { return };
    let (count, subentry) = (cost(data), is_subentry(data));
    if let Some(sponsor) = cx.state.sponsor(&key) {
        add_sponsoring(cx, &sponsor, -count);
        if subentry {
            add_sponsored(cx, owner, -count);
        }
    }
    if subentry {
        add_subentries(cx, owner, -count);
    }
    cx.state.remove(key);
}
