//! What the footprint of a Soroban transaction makes possible: restoring and extending what it names.

use stellar_xdr::{LedgerKey, SorobanResourcesExtV0, SorobanTransactionData, SorobanTransactionDataExt};

use crate::{
    apply::Cx,
    encode,
    state::{State, is_persistent},
};

/// Whether what was declared pays for what was used.
pub(crate) fn affordable(cx: &Cx<'_>) -> bool {
    let declared = cx.resources.map_or(0, |data| data.resource_fee);
    cx.soroban.non_refundable + cx.soroban.refundable <= declared
}

/// Extends the life of all read-only keys to `extend_to` ledgers from now, where that is longer.
pub(crate) fn extend(cx: &mut Cx<'_>, extend_to: u32) {
    let Some(data) = cx.resources else { return };
    let until = cx.state.ledger() + extend_to;
    for key in data.resources.footprint.read_only.iter() {
        let gained = cx.state.extend_apart(key, until, cx.cluster);
        if gained > 0 {
            cx.soroban.charge_rent(100 + i64::from(gained / 64));
        }
    }
}

/// Restores all archived read-write keys.
pub(crate) fn restore(cx: &mut Cx<'_>) {
    let Some(data) = cx.resources else { return };
    for key in data.resources.footprint.read_write.iter() {
        restore_one(cx, key);
    }
}

/// Restores the keys that a call says are archived (CAP-66).
pub(super) fn restore_declared(cx: &mut Cx<'_>) {
    let Some(data) = cx.resources else { return };
    let SorobanTransactionDataExt::V1(ext) = &data.ext else { return };
    for index in ext.archived_soroban_entries.iter() {
        let key = usize::try_from(*index).ok().and_then(|i| data.resources.footprint.read_write.get(i));
        if let Some(key) = key {
            restore_one(cx, key);
        }
    }
}

fn restore_one(cx: &mut Cx<'_>, key: &LedgerKey) {
    if !cx.state.archived(key, cx.state.ledger()) {
        return;
    }
    let until = cx.state.ledger() + cx.state.lifetimes().persistent - 1;
    cx.state.restore(key, until);
    let size = cx.state.entry(key).map_or(0, |entry| encode::xdr(entry).len());
    cx.soroban.charge_rent(700 + 4 * i64::from(encode::count(size)));
}

/// Whether the footprint names something that is archived.
pub(super) fn has_archived(cx: &Cx<'_>) -> bool {
    let Some(data) = cx.resources else { return false };
    let footprint = &data.resources.footprint;
    footprint
        .read_only
        .iter()
        .chain(footprint.read_write.iter())
        .any(|key| cx.state.archived(key, cx.state.ledger()))
}

/// Declares the archived keys of a call, as the simulation of a call before it is sent does.
pub(crate) fn declare_archived(state: &State, data: &mut SorobanTransactionData) {
    // The state is that of the ledger before.
    let archived = |key: &LedgerKey| state.archived(key, state.ledger() + 1);
    let footprint = &mut data.resources.footprint;
    if !footprint.read_only.iter().chain(footprint.read_write.iter()).any(&archived) {
        return;
    }
    // What is to be restored is written.
    let (gone, read_only): (Vec<LedgerKey>, Vec<LedgerKey>) =
        footprint.read_only.iter().cloned().partition(|key| archived(key));
    let mut read_write = footprint.read_write.to_vec();
    read_write.extend(gone);
    let indexes: Vec<u32> =
        read_write.iter().zip(0..).filter(|(key, _)| archived(key)).map(|(_, index)| index).collect();
    footprint.read_only = encode::vecm(read_only);
    footprint.read_write = encode::vecm(read_write);
    data.resource_fee += 100_000;
    data.ext = SorobanTransactionDataExt::V1(SorobanResourcesExtV0 {
        archived_soroban_entries: encode::vecm(indexes),
    });
}

/// The last ledger of a new entry that nobody extends.
pub(super) fn first_end(state: &State, key: &LedgerKey) -> u32 {
    let lifetimes = state.lifetimes();
    let ledgers = if is_persistent(key) { lifetimes.persistent } else { lifetimes.temporary };
    state.ledger() + ledgers - 1
}
