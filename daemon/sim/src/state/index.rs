//! What is found by something else than its key: the order book, an account's offers and its shares in pools.

use std::collections::BTreeSet;

use stellar_xdr::{AccountId, Asset, LedgerEntryData, LedgerKey, OfferEntry, PoolId, Price, TrustLineAsset};

use super::State;
use crate::hasher::Map;

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

/// Everything that follows the entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    book: Map<(Asset, Asset), Side>,
    offers: Map<AccountId, BTreeSet<i64>>,
    shares: Map<AccountId, BTreeSet<PoolId>>,
}

impl Index {
    /// Follows a change of the entry under `key`.
    pub(super) fn follow(
        &mut self,
        key: &LedgerKey,
        was: Option<&LedgerEntryData>,
        is: Option<&LedgerEntryData>,
    ) {
        if let LedgerKey::Offer(_) = key {
            self.follow_offer(offer(was), offer(is));
        } else if let LedgerKey::Trustline(line) = key
            && let TrustLineAsset::PoolShare(pool) = &line.asset
        {
            let shares = self.shares.entry(line.account_id.clone()).or_default();
            if is.is_some() {
                shares.insert(pool.clone())
            } else {
                shares.remove(pool)
            };
        }
    }

    fn follow_offer(&mut self, was: Option<&OfferEntry>, is: Option<&OfferEntry>) {
        if let Some(was) = was {
            if let Some(side) = self.book.get_mut(&(was.selling.clone(), was.buying.clone())) {
                side.remove(&place(was));
            }
            if is.is_none()
                && let Some(ids) = self.offers.get_mut(&was.seller_id)
            {
                ids.remove(&was.offer_id);
            }
        }
        if let Some(is) = is {
            self.book.entry((is.selling.clone(), is.buying.clone())).or_default().insert(place(is));
            self.offers.entry(is.seller_id.clone()).or_default().insert(is.offer_id);
        }
    }
}

fn offer(data: Option<&LedgerEntryData>) -> Option<&OfferEntry> {
    let Some(LedgerEntryData::Offer(offer)) = data else { return None };
    Some(offer)
}

fn place(offer: &OfferEntry) -> (BookPrice, i64, AccountId) {
    (BookPrice(offer.price.clone()), offer.offer_id, offer.seller_id.clone())
}

impl State {
    /// The best offer that sells `selling` for `buying`.
    pub(crate) fn best_offer(&self, selling: &Asset, buying: &Asset) -> Option<&OfferEntry> {
        let (_, id, seller) = self.index.book.get(&(selling.clone(), buying.clone()))?.first()?;
        self.offer(seller, *id)
    }

    /// The open offers of an account, oldest first.
    pub(crate) fn offers_of(&self, seller: &AccountId) -> Vec<&OfferEntry> {
        let ids = self.index.offers.get(seller);
        ids.into_iter().flatten().filter_map(|id| self.offer(seller, *id)).collect()
    }

    /// The pools that an account holds shares of, or could.
    pub(crate) fn pools_of(&self, id: &AccountId) -> Vec<PoolId> {
        self.index.shares.get(id).into_iter().flatten().cloned().collect()
    }
}
