//! The ledger's entries, with an undo log for failed operations and a recorder of the changes that metadata shows.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use stellar_xdr::{
    AccountEntry, AccountId, Asset, LedgerEntry, LedgerEntryData, LedgerEntryExt, LedgerKey,
    LedgerKeyAccount, LedgerKeyOffer, LedgerKeyTrustLine, OfferEntry, Price, TrustLineAsset, TrustLineEntry,
};

use crate::encode::{self, Seq};

const CREATED: u32 = 0;
const UPDATED: u32 = 1;
const REMOVED: u32 = 2;
const STATE: u32 = 3;

/// An entry and its XDR. The XDR is right whenever no scope is open on the entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The entry itself.
    pub(crate) value: LedgerEntry,
    image: Vec<u8>,
}

/// Price in the order of the book: cheapest first.
#[derive(Clone, Debug)]
struct BookPrice(Price);

impl PartialEq for BookPrice {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for BookPrice {}

impl Ord for BookPrice {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let left = i64::from(self.0.n) * i64::from(other.0.d);
        let right = i64::from(other.0.n) * i64::from(self.0.d);
        left.cmp(&right)
    }
}

impl PartialOrd for BookPrice {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Offers of one pair, best first: price, then age.
type Side = BTreeSet<(BookPrice, i64, AccountId)>;
type Log = Vec<(LedgerKey, Option<Arc<Entry>>)>;

/// All entries of the ledger.
///
/// Work happens in scopes: the first touch of a key in a scope keeps its old image. [`State::seal`] ends a scope and
/// emits one change (or pair) per touched key; [`State::rollback_op`] ends it and forgets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    ledger: u32,
    entries: HashMap<LedgerKey, Arc<Entry>>,
    book: HashMap<(Asset, Asset), Side>,
    offers: HashMap<AccountId, BTreeSet<i64>>,
    scope: Log,
    transaction: Log,
    soroban_bytes: u64,
    committed_soroban_bytes: u64,
}

impl State {
    /// Entries changed from here on were last modified in `ledger`.
    pub(crate) fn begin_ledger(&mut self, ledger: u32) {
        self.ledger = ledger;
    }

    /// The ledger that is being closed.
    pub(crate) fn ledger(&self) -> u32 {
        self.ledger
    }

    /// Bytes of contract data, code and TTL entries.
    pub(crate) fn soroban_bytes(&self) -> u64 {
        self.soroban_bytes
    }

    /// The entry under `key`.
    pub(crate) fn get(&self, key: &LedgerKey) -> Option<&LedgerEntryData> {
        self.entries.get(key).map(|entry| &entry.value.data)
    }

    /// Whether there is an entry under `key`.
    pub(crate) fn has(&self, key: &LedgerKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Changes the entry under `key` in place; `None` where there is none.
    pub(crate) fn get_mut(&mut self, key: &LedgerKey) -> Option<&mut LedgerEntryData> {
        let entry = self.entries.get_mut(key)?;
        if !self.scope.iter().any(|(touched, _)| touched == key) {
            self.scope.push((key.clone(), Some(entry.clone())));
        }
        Some(&mut Arc::make_mut(entry).value.data)
    }

    /// Creates or replaces the entry under `key`.
    pub(crate) fn put(&mut self, key: LedgerKey, data: LedgerEntryData) {
        let value = LedgerEntry { last_modified_ledger_seq: self.ledger, data, ext: LedgerEntryExt::V0 };
        let old = self.set(&key, Some(Arc::new(Entry { value, image: Vec::new() })));
        self.log(key, old);
    }

    /// Removes the entry under `key`.
    pub(crate) fn remove(&mut self, key: LedgerKey) {
        let old = self.set(&key, None);
        self.log(key, old);
    }

    fn log(&mut self, key: LedgerKey, old: Option<Arc<Entry>>) {
        if !self.scope.iter().any(|(touched, _)| *touched == key) {
            self.scope.push((key, old));
        }
    }

    /// The one place that writes the map: the order book follows it.
    fn set(&mut self, key: &LedgerKey, new: Option<Arc<Entry>>) -> Option<Arc<Entry>> {
        if let (LedgerKey::Offer(_), Some(entry)) = (key, new.as_ref())
            && let LedgerEntryData::Offer(offer) = &entry.value.data
        {
            let side = self.book.entry((offer.selling.clone(), offer.buying.clone())).or_default();
            // Replaced below when the old one stood elsewhere in the book.
            side.insert(place(offer));
            self.offers.entry(offer.seller_id.clone()).or_default().insert(offer.offer_id);
        }
        let old = match new.clone() {
            Some(entry) => self.entries.insert(key.clone(), entry),
            None => self.entries.remove(key),
        };
        if let Some(entry) = old.as_ref()
            && let LedgerEntryData::Offer(was) = &entry.value.data
        {
            let stays = new.as_ref().is_some_and(|entry| {
                matches!(&entry.value.data, LedgerEntryData::Offer(is)
                    if place(is) == place(was) && is.selling == was.selling && is.buying == was.buying)
            });
            if !stays && let Some(side) = self.book.get_mut(&(was.selling.clone(), was.buying.clone())) {
                side.remove(&place(was));
            }
            if new.is_none()
                && let Some(ids) = self.offers.get_mut(&was.seller_id)
            {
                ids.remove(&was.offer_id);
            }
        }
        old
    }

    /// The best offer that sells `selling` for `buying`.
    pub(crate) fn best_offer(&self, selling: &Asset, buying: &Asset) -> Option<&OfferEntry> {
        let (_, id, seller) = self.book.get(&(selling.clone(), buying.clone()))?.first()?;
        self.offer(seller, *id)
    }

    /// The open offers of an account, oldest first.
    pub(crate) fn offers_of(&self, seller: &AccountId) -> Vec<&OfferEntry> {
        let ids = self.offers.get(seller);
        ids.into_iter().flatten().filter_map(|id| self.offer(seller, *id)).collect()
    }

    /// Ends the scope: its changes go to `out`. With `undoable` a later [`State::rollback_transaction`] takes them back.
    pub(crate) fn seal(&mut self, out: &mut Seq, undoable: bool) {
        let scope = std::mem::take(&mut self.scope);
        for (key, before) in &scope {
            let after = self.entries.get_mut(key);
            if let Some(before) = before {
                out.push_arm(STATE, &before.image);
            }
            let soroban =
                matches!(key, LedgerKey::ContractData(_) | LedgerKey::ContractCode(_) | LedgerKey::Ttl(_));
            let old_size = before.as_ref().map_or(0, |entry| entry.image.len());
            let mut new_size = 0;
            match (before, after) {
                (before, Some(after)) => {
                    let after = Arc::make_mut(after);
                    after.value.last_modified_ledger_seq = self.ledger;
                    after.image.clear();
                    encode::put(&mut after.image, &after.value);
                    out.push_arm(if before.is_some() { UPDATED } else { CREATED }, &after.image);
                    new_size = after.image.len();
                }
                (Some(_), None) => out.push_arm(REMOVED, &encode::xdr(key)),
                (None, None) => {}
            }
            if soroban {
                let (old, new) = (u64::from(encode::count(old_size)), u64::from(encode::count(new_size)));
                self.soroban_bytes = (self.soroban_bytes + new).saturating_sub(old);
            }
        }
        if undoable {
            self.transaction.extend(scope);
        }
    }

    /// Ends the scope as if nothing had happened in it.
    pub(crate) fn rollback_op(&mut self) {
        for (key, old) in std::mem::take(&mut self.scope).into_iter().rev() {
            self.set(&key, old);
        }
    }

    /// Takes back all that was sealed as undoable since the last commit or rollback.
    pub(crate) fn rollback_transaction(&mut self) {
        for (key, old) in std::mem::take(&mut self.transaction).into_iter().rev() {
            self.set(&key, old);
        }
        self.soroban_bytes = self.committed_soroban_bytes;
    }

    /// Makes what was sealed final.
    pub(crate) fn commit_transaction(&mut self) {
        self.transaction.clear();
        self.committed_soroban_bytes = self.soroban_bytes;
    }

    /// An account.
    pub(crate) fn account(&self, id: &AccountId) -> Option<&AccountEntry> {
        let LedgerEntryData::Account(account) = self.get(&account_key(id))? else { return None };
        Some(account)
    }

    /// An account, to change.
    pub(crate) fn account_mut(&mut self, id: &AccountId) -> Option<&mut AccountEntry> {
        let LedgerEntryData::Account(account) = self.get_mut(&account_key(id))? else { return None };
        Some(account)
    }

    /// Loads an account and writes it back as it was.
    pub(crate) fn touch_account(&mut self, id: &AccountId) {
        // The old image in the log is what makes it a change.
        let _: Option<&mut AccountEntry> = self.account_mut(id);
    }

    /// A trustline.
    pub(crate) fn trustline(&self, id: &AccountId, asset: &TrustLineAsset) -> Option<&TrustLineEntry> {
        let LedgerEntryData::Trustline(line) = self.get(&trustline_key(id, asset))? else { return None };
        Some(line)
    }

    /// A trustline, to change.
    pub(crate) fn trustline_mut(
        &mut self,
        id: &AccountId,
        asset: &TrustLineAsset,
    ) -> Option<&mut TrustLineEntry> {
        let LedgerEntryData::Trustline(line) = self.get_mut(&trustline_key(id, asset))? else { return None };
        Some(line)
    }

    /// An offer.
    pub(crate) fn offer(&self, seller: &AccountId, id: i64) -> Option<&OfferEntry> {
        let LedgerEntryData::Offer(offer) = self.get(&offer_key(seller, id))? else { return None };
        Some(offer)
    }
}

fn place(offer: &OfferEntry) -> (BookPrice, i64, AccountId) {
    (BookPrice(offer.price.clone()), offer.offer_id, offer.seller_id.clone())
}

/// Key of an account.
pub(crate) fn account_key(id: &AccountId) -> LedgerKey {
    LedgerKey::Account(LedgerKeyAccount { account_id: id.clone() })
}

/// Key of a trustline.
pub(crate) fn trustline_key(id: &AccountId, asset: &TrustLineAsset) -> LedgerKey {
    LedgerKey::Trustline(LedgerKeyTrustLine { account_id: id.clone(), asset: asset.clone() })
}

/// Key of an offer.
pub(crate) fn offer_key(seller: &AccountId, id: i64) -> LedgerKey {
    LedgerKey::Offer(LedgerKeyOffer { seller_id: seller.clone(), offer_id: id })
}
