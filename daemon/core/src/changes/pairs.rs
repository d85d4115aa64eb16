//! What one group of changes says of each entry: its images before and after.

use stellar_xdr as xdr;

use super::EntryKey;

/// One change of an entry. Both images are `None` only for a removal that no image of the entry precedes.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'l> {
    /// Key of the entry.
    pub key: EntryKey<'l>,
    /// Image before the change; `None` for an entry that was created or restored, and where the meta shows none.
    pub before: Option<&'l xdr::LedgerEntry>,
    /// Image after the change; `None` for an entry that is gone.
    pub after: Option<&'l xdr::LedgerEntry>,
}

impl<'l> Pair<'l> {
    /// The latest image.
    pub fn image(&self) -> Option<&'l xdr::LedgerEntry> {
        self.after.or(self.before)
    }
}

/// Joins each update and removal with the image that stands right before it, which is a STATE or, for an entry that
/// the same group brought back from the archive, a RESTORED (`Stellar-ledger.x`, CAP-62).
pub fn pairs(changes: &[xdr::LedgerEntryChange]) -> impl Iterator<Item = Pair<'_>> {
    let mut last: Option<&xdr::LedgerEntry> = None;
    changes.iter().filter_map(move |change| {
        let image = last.take();
        let before = |key| image.filter(|entry| EntryKey::of(entry) == key);
        match change {
            xdr::LedgerEntryChange::State(entry) => {
                last = Some(entry);
                None
            }
            xdr::LedgerEntryChange::Created(entry) => {
                Some(Pair { key: EntryKey::of(entry), before: None, after: Some(entry) })
            }
            xdr::LedgerEntryChange::Restored(entry) => {
                last = Some(entry);
                Some(Pair { key: EntryKey::of(entry), before: None, after: Some(entry) })
            }
            xdr::LedgerEntryChange::Updated(entry) => {
                let key = EntryKey::of(entry);
                Some(Pair { key, before: before(key), after: Some(entry) })
            }
            xdr::LedgerEntryChange::Removed(key) => {
                let key = EntryKey::from(key);
                Some(Pair { key, before: before(key), after: None })
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use xdr::LedgerEntryChange as Change;

    use super::*;

    fn account(n: u8, balance: i64) -> xdr::LedgerEntry {
        let account_id = xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(xdr::Uint256([n; 32])));
        let account = xdr::AccountEntry { account_id, balance, ..xdr::AccountEntry::default() };
        xdr::LedgerEntry { data: xdr::LedgerEntryData::Account(account), ..xdr::LedgerEntry::default() }
    }

    /// Balances before and after.
    fn balances(changes: &[Change]) -> Vec<(Option<i64>, Option<i64>)> {
        let balance = |entry: &xdr::LedgerEntry| {
            if let xdr::LedgerEntryData::Account(account) = &entry.data {
                Some(account.balance)
            } else {
                None
            }
        };
        pairs(changes).map(|pair| (pair.before.and_then(balance), pair.after.and_then(balance))).collect()
    }

    #[test]
    fn an_update_and_a_removal_have_the_image_before_them() {
        let changes = [
            Change::State(account(1, 10)),
            Change::Updated(account(1, 11)),
            Change::Created(account(2, 20)),
            Change::State(account(3, 30)),
            Change::Removed(account(3, 30).to_key()),
        ];
        assert_eq!(balances(&changes), [(Some(10), Some(11)), (None, Some(20)), (Some(30), None)]);
    }

    #[test]
    fn a_restored_entry_is_the_image_of_its_update() {
        let changes = [Change::Restored(account(1, 10)), Change::Updated(account(1, 11))];
        assert_eq!(balances(&changes), [(None, Some(10)), (Some(10), Some(11))]);
    }

    #[test]
    fn the_image_of_another_entry_is_not_taken_for_ones_own() {
        let changes = [
            Change::State(account(1, 10)),
            Change::Updated(account(2, 21)),
            Change::Removed(account(1, 10).to_key()),
        ];
        assert_eq!(balances(&changes), [(None, Some(21)), (None, None)]);
    }
}
