//! What a ledger did to the entries of its network's state: one stream of changes, folded to one net change per entry.
//!
//! All state tables are made from it. Order and rules: CAP-62 to CAP-66 and `Stellar-ledger.x`, `LedgerEntryChange`.

pub mod entry;
mod key;
mod net;
mod pairs;
mod pool;
#[cfg(test)]
mod tests;

use stellar_xdr as xdr;

use crate::decode::{Ledger, Transaction};

pub use key::EntryKey;
pub use net::{ChangeError, ChangeKind, Changes, EntryChange};
pub use pairs::{Pair, pairs};
pub use pool::PoolChange;

/// Where in a ledger a group of changes stands.
#[derive(Clone, Copy, Debug)]
pub enum Place<'l> {
    /// Fee of a transaction, taken before any is applied.
    Fee(&'l Transaction),
    /// Of a transaction, before its operations.
    Before(&'l Transaction),
    /// Of an operation of a transaction, from 0.
    Operation(&'l Transaction, usize),
    /// Of a transaction, after its operations.
    After(&'l Transaction),
    /// Refund of a transaction's fee, given after all were applied (protocol 23).
    PostApplyFee(&'l Transaction),
    /// Of an upgrade, from 0.
    Upgrade(usize),
}

/// The groups of changes of a ledger, in the order in which core applied them.
///
/// In a ledger with a parallel Soroban phase (LedgerCloseMeta V2, CAP-63) all classic transactions come first, then
/// `txChangesBefore` of all Soroban transactions, then their operations.
pub fn in_order(ledger: &Ledger) -> Vec<(Place<'_>, &[xdr::LedgerEntryChange])> {
    let mut groups = Vec::with_capacity(ledger.transactions.len().saturating_mul(4));
    groups.extend(ledger.transactions.iter().map(|tx| (Place::Fee(tx), &tx.fee_changes.0[..])));
    let is_parallel = |tx: &&Transaction| ledger.close_meta_version == 2 && tx.is_soroban();
    for tx in ledger.transactions.iter().filter(|tx| !is_parallel(tx)) {
        groups.push((Place::Before(tx), tx.changes_before()));
        push_applied(tx, &mut groups);
    }
    let parallel = || ledger.transactions.iter().filter(is_parallel);
    groups.extend(parallel().map(|tx| (Place::Before(tx), tx.changes_before())));
    parallel().for_each(|tx| push_applied(tx, &mut groups));
    groups.extend(ledger.transactions.iter().filter_map(|tx| {
        tx.post_apply_fee_changes.as_ref().map(|changes| (Place::PostApplyFee(tx), &changes.0[..]))
    }));
    groups.extend(ledger.upgrades.iter().enumerate().map(|(n, up)| (Place::Upgrade(n), &up.changes.0[..])));
    groups
}

fn push_applied<'l>(tx: &'l Transaction, groups: &mut Vec<(Place<'l>, &'l [xdr::LedgerEntryChange])>) {
    let operations = tx.meta_operations().max(tx.operations().len());
    groups.extend((0..operations).map(|index| (Place::Operation(tx, index), tx.operation_changes(index))));
    groups.push((Place::After(tx), tx.changes_after()));
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fee(tx) => write!(f, "transaction {}: fee", tx.hash),
            Self::Before(tx) => write!(f, "transaction {}: before its operations", tx.hash),
            Self::Operation(tx, index) => write!(f, "transaction {} operation {index}", tx.hash),
            Self::After(tx) => write!(f, "transaction {}: after its operations", tx.hash),
            Self::PostApplyFee(tx) => write!(f, "transaction {}: refund", tx.hash),
            Self::Upgrade(index) => write!(f, "upgrade {index}"),
        }
    }
}
