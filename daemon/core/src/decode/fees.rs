//! What a transaction paid and what of it came back.

use stellar_xdr as xdr;

use super::Transaction;

/// Fees of one transaction, stroops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// Fee charged in the end.
    pub charged: i64,
    /// Inclusion fee charged to a Soroban transaction; `None` for classic ones and where the meta has no changes.
    pub inclusion: Option<i64>,
    /// Part of a Soroban transaction's declared resource fee that came back; `None` as above.
    pub refund: Option<i64>,
}

impl Transaction {
    /// Fees, from the result and the changes of the fee account.
    pub fn fees(&self) -> Fees {
        let in_result = self.result.fee_charged;
        let Some(data) = self.soroban_data() else {
            return Fees { charged: in_result, ..Fees::default() };
        };
        let payer = account_key(&self.fee_source());
        let taken = balance_change(&self.fee_changes.0, &payer);
        let refund = taken.and_then(|_| {
            let after = balance_change(self.changes_after(), &payer).unwrap_or_default();
            let post_apply = self.post_apply_fee_changes.as_ref();
            let post_apply = post_apply.and_then(|c| balance_change(&c.0, &payer)).unwrap_or_default();
            after.checked_add(post_apply)
        });
        // Before protocol 21 core forgot the refund in the result of Soroban fee bumps.
        let forgotten = if self.fee_bump().is_some() && self.protocol < 21 { refund } else { None };
        Fees {
            charged: in_result.saturating_sub(forgotten.unwrap_or_default()),
            inclusion: taken.and_then(|change| change.checked_neg()?.checked_sub(data.resource_fee)),
            refund,
        }
    }
}

/// The ed25519 key of an account, without its muxed id.
pub(crate) fn account_key(account: &xdr::MuxedAccount) -> [u8; 32] {
    match account {
        xdr::MuxedAccount::Ed25519(key) => key.0,
        xdr::MuxedAccount::MuxedEd25519(muxed) => muxed.ed25519.0,
    }
}

/// By how much the changes moved the native balance of an account, from its first image to its last; `None` when
/// they do not speak of it.
fn balance_change(changes: &[xdr::LedgerEntryChange], account: &[u8; 32]) -> Option<i64> {
    let mut balances = changes.iter().filter_map(|change| {
        let entry = match change {
            xdr::LedgerEntryChange::Created(entry)
            | xdr::LedgerEntryChange::Updated(entry)
            | xdr::LedgerEntryChange::State(entry)
            | xdr::LedgerEntryChange::Restored(entry) => entry,
            xdr::LedgerEntryChange::Removed(_) => return None,
        };
        let xdr::LedgerEntryData::Account(entry) = &entry.data else { return None };
        let xdr::PublicKey::PublicKeyTypeEd25519(key) = &entry.account_id.0;
        (key.0 == *account).then_some(entry.balance)
    });
    let first = balances.next()?;
    balances.next_back().unwrap_or(first).checked_sub(first)
}
