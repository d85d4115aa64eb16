//! Edits the ledger entry changes of a meta, whatever its version.

use stellar_xdr::{LedgerEntryChange, LedgerEntryChanges, TransactionMeta, VecM};

/// Takes invented removals away: what is removed must have been seen, which an invented entry never was.
pub fn without_removals(changes: &mut LedgerEntryChanges) {
    let mut all = std::mem::take(&mut changes.0).into_vec();
    all.retain(|change| !matches!(change, LedgerEntryChange::Removed(_)));
    changes.0 = all.try_into().unwrap_or_default();
}

/// Edits every list of changes: those of at least `least` operations, each with its index, and those around them.
pub fn edit(
    meta: &mut TransactionMeta,
    least: usize,
    mut with: impl FnMut(Option<usize>, &mut LedgerEntryChanges),
) {
    fn of_each<T: Clone + Default, const MAX: u32>(
        list: &mut VecM<T, MAX>,
        least: usize,
        changes: fn(&mut T) -> &mut LedgerEntryChanges,
        with: &mut dyn FnMut(Option<usize>, &mut LedgerEntryChanges),
    ) {
        let mut all = std::mem::take(list).into_vec();
        all.resize_with(all.len().max(least), T::default);
        all.iter_mut().enumerate().for_each(|(n, one)| with(Some(n), changes(one)));
        *list = all.try_into().unwrap_or_default();
    }
    match meta {
        TransactionMeta::V0(operations) => of_each(operations, least, |one| &mut one.changes, &mut with),
        TransactionMeta::V1(m) => {
            with(None, &mut m.tx_changes);
            of_each(&mut m.operations, least, |one| &mut one.changes, &mut with);
        }
        TransactionMeta::V2(m) => {
            with(None, &mut m.tx_changes_before);
            with(None, &mut m.tx_changes_after);
            of_each(&mut m.operations, least, |one| &mut one.changes, &mut with);
        }
        TransactionMeta::V3(m) => {
            with(None, &mut m.tx_changes_before);
            with(None, &mut m.tx_changes_after);
            of_each(&mut m.operations, least, |one| &mut one.changes, &mut with);
        }
        TransactionMeta::V4(m) => {
            with(None, &mut m.tx_changes_before);
            with(None, &mut m.tx_changes_after);
            of_each(&mut m.operations, least, |one| &mut one.changes, &mut with);
        }
    }
}
