//! Effects of contract calls and of operations on the time to live of contract state.

use stellar_xdr as xdr;

use super::{
    emit::{Cells, Effects, Who},
    kind::Kind,
    trustlines,
};
use crate::{
    balance_change::BalanceChange,
    changes::{EntryKey, Pair},
    text::{AssetParts, Base64, Decimal7, details, key_of},
};

/// Appends what the contracts of assets tell in their events, then what CAP-73 made without an event.
///
/// # Errors
/// What the XDR encoder says of an asset or a key.
pub(super) fn invoke(e: &mut Effects<'_>) -> Result<(), String> {
    for event in e.op.tx.operation_events(e.op.index) {
        let change =
            BalanceChange::of(event, e.op.network).map_err(|e| format!("the asset of an event: {e}"))?;
        if let Some(change) = change {
            if let Some(from) = change.from {
                moved(e, [Kind::AccountDebited, Kind::ContractDebited], from, None, &change);
            }
            if let Some(to) = change.to {
                moved(e, [Kind::AccountCredited, Kind::ContractCredited], to, change.to_muxed_id, &change);
            }
        }
    }
    trustlines::made_by_contract(e)?;
    accounts_made_by_contract(e)
}

/// One side of a balance change. Horizon books that of a contract on the operation's source.
fn moved(
    e: &mut Effects<'_>,
    [of_account, of_contract]: [Kind; 2],
    whose: &xdr::ScAddress,
    muxed_id: Option<u64>,
    change: &BalanceChange<'_>,
) {
    let asset = AssetParts::from(&change.asset);
    let cells = Cells {
        amount: i64::try_from(change.amount).ok(),
        amount_i128: Some(change.amount),
        asset: Some(asset),
        ..Cells::default()
    };
    let amount = |j: &mut crate::text::Json| {
        j.key("amount").plain(Decimal7(change.amount));
        details::asset(j, "", asset);
    };
    if let xdr::ScAddress::Account(account) = whose {
        e.push(of_account, Who { key: key_of(account), muxed_id }, cells, amount);
    } else {
        e.push_source(of_contract, cells, |j| {
            amount(j);
            j.key("contract").plain(whose);
        });
    }
}

/// Appends the accounts that a transfer of the native asset made (CAP-73).
fn accounts_made_by_contract(e: &mut Effects<'_>) -> Result<(), String> {
    let is_new = |pair: &Pair<'_>| pair.before.is_none() && matches!(pair.key, EntryKey::Account(_));
    for pair in e.op.changes_by_key(is_new)? {
        if let Some(xdr::LedgerEntryData::Account(account)) = pair.after.map(|entry| &entry.data) {
            e.push_account_created(&account.account_id, account.balance);
            e.push_master_key(&account.account_id);
        }
    }
    Ok(())
}

pub(super) fn extend(e: &mut Effects<'_>, op: &xdr::ExtendFootprintTtlOp) -> Result<(), String> {
    footprint(e, Kind::ExtendFootprintTtl, Some(op.extend_to))
}

pub(super) fn restore(e: &mut Effects<'_>) -> Result<(), String> {
    footprint(e, Kind::RestoreFootprint, None)
}

/// Names the TTL entries that were changed, by their keys; there may be none. Where the meta does not speak of the
/// operation, nothing is known.
fn footprint(e: &mut Effects<'_>, kind: Kind, extend_to: Option<u32>) -> Result<(), String> {
    if e.op.tx.meta_operations() <= e.op.index {
        return Ok(());
    }
    let is_ttl = |pair: &Pair<'_>| pair.after.is_some() && matches!(pair.key, EntryKey::Ttl(_));
    let changed = e.op.changes_by_key(is_ttl)?;
    let keys: Result<Vec<_>, _> = changed.iter().map(|pair| pair.key.to_xdr()).collect();
    let keys = keys.map_err(|e| format!("the key of a TTL: {e}"))?;
    e.push_source(kind, Cells::default(), |j| {
        j.key("entries").array(&keys, |j, key| j.plain(Base64(key)));
        if let Some(extend_to) = extend_to {
            j.key("extend_to").bare(extend_to);
        }
    });
    Ok(())
}
