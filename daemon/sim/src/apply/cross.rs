//! Crossing the order book: makers' offers, their balances and liabilities.

use stellar_xdr::{
    AccountId, Asset, ClaimAtom, ClaimOfferAtom, LedgerEntryData, OfferEntry, Price, ScAddress,
};

use super::{Cx, balance, reserve};
use crate::{entries, state};

/// How far a taker goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// At most this much is given.
    pub(crate) give: i64,
    /// At most this much is taken.
    pub(crate) get: i64,
}

/// What a taker gave and got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crossed {
    /// Given to the makers.
    pub(crate) given: i64,
    /// Got from the makers.
    pub(crate) got: i64,
    /// One atom per maker.
    pub(crate) atoms: Vec<ClaimAtom>,
}

/// A taker met an offer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnOffer;

/// `amount * n / d`, rounded down.
pub(crate) fn mul_div_floor(amount: i64, n: i32, d: i32) -> i64 {
    let product = i128::from(amount) * i128::from(n);
    i64::try_from(product.div_euclid(i128::from(d.max(1)))).unwrap_or(i64::MAX)
}

/// `amount * n / d`, rounded up.
pub(crate) fn mul_div_ceil(amount: i64, n: i32, d: i32) -> i64 {
    let d = i128::from(d.max(1));
    let product = i128::from(amount) * i128::from(n);
    i64::try_from((product + d - 1).div_euclid(d)).unwrap_or(i64::MAX)
}

/// Takes the best offers that sell `get` for `give` while `price` (of the maker, `give` per `get`) is acceptable.
///
/// Makers are settled here; the taker is settled by the caller.
pub(crate) fn cross(
    cx: &mut Cx<'_>,
    taker: &AccountId,
    (give, get): (&Asset, &Asset),
    limits: Limits,
    acceptable: impl Fn(&Price) -> bool,
) -> Result<Crossed, OwnOffer> {
    let mut done = Crossed::default();
    while done.given < limits.give && done.got < limits.get {
        let Some(offer) = cx.state.best_offer(get, give).cloned() else { break };
        if !acceptable(&offer.price) {
            break;
        }
        if offer.seller_id == *taker {
            return Err(OwnOffer);
        }
        let (n, d) = (offer.price.n, offer.price.d);
        let mut got = offer.amount.min(limits.get - done.got);
        let mut cost = mul_div_ceil(got, n, d);
        if cost > limits.give - done.given {
            got = mul_div_floor(limits.give - done.given, d, n).min(got);
            cost = mul_div_ceil(got, n, d);
        }
        if got == 0 || cost > limits.give - done.given {
            break;
        }
        settle(cx, &offer, got, cost);
        done.given += cost;
        done.got += got;
        done.atoms.push(ClaimAtom::OrderBook(ClaimOfferAtom {
            seller_id: offer.seller_id.clone(),
            offer_id: offer.offer_id,
            asset_sold: get.clone(),
            amount_sold: got,
            asset_bought: give.clone(),
            amount_bought: cost,
        }));
    }
    Ok(done)
}

fn settle(cx: &mut Cx<'_>, offer: &OfferEntry, sold: i64, bought: i64) {
    let seller = &offer.seller_id;
    commit(cx, offer, -1);
    balance::add(cx.state, seller, &offer.selling, -sold);
    balance::add(cx.state, seller, &offer.buying, bought);
    let left = OfferEntry { amount: offer.amount - sold, ..offer.clone() };
    if left.amount == 0 {
        erase(cx, offer);
    } else {
        commit(cx, &left, 1);
        let key = state::offer_key(seller, offer.offer_id);
        if let Some(LedgerEntryData::Offer(entry)) = cx.state.get_mut(&key) {
            entry.amount = left.amount;
        }
    }
}

/// Adds (1) or releases (-1) the liabilities of an offer.
pub(super) fn commit(cx: &mut Cx<'_>, offer: &OfferEntry, sign: i64) {
    let selling = offer.amount * sign;
    let buying = mul_div_ceil(offer.amount, offer.price.n, offer.price.d) * sign;
    add_liabilities(cx, &offer.seller_id, &offer.selling, (0, selling));
    add_liabilities(cx, &offer.seller_id, &offer.buying, (buying, 0));
}

fn add_liabilities(cx: &mut Cx<'_>, id: &AccountId, asset: &Asset, (buying, selling): (i64, i64)) {
    let liabilities = if *asset == Asset::Native {
        let Some(account) = cx.state.account_mut(id) else { return };
        entries::account_liabilities_mut(account)
    } else if entries::issues(id, asset) {
        return;
    } else {
        let Some(line) = cx.state.trustline_mut(id, &entries::line_of(asset)) else { return };
        entries::line_liabilities_mut(line)
    };
    liabilities.buying += buying;
    liabilities.selling += selling;
}

/// Removes an offer whose liabilities are released.
pub(crate) fn erase(cx: &mut Cx<'_>, offer: &OfferEntry) {
    reserve::remove(cx, state::offer_key(&offer.seller_id, offer.offer_id), &offer.seller_id);
}

/// The two transfers of every claimed offer: what was bought goes to the seller, what was sold to the taker.
pub(crate) fn emit_trades(cx: &mut Cx<'_>, taker: &AccountId, atoms: &[ClaimAtom]) {
    for atom in atoms {
        let (maker, bought, sold) = match atom {
            ClaimAtom::V0(_) => continue,
            ClaimAtom::OrderBook(atom) => (
                ScAddress::Account(atom.seller_id.clone()),
                (&atom.asset_bought, atom.amount_bought),
                (&atom.asset_sold, atom.amount_sold),
            ),
            ClaimAtom::LiquidityPool(atom) => (
                ScAddress::LiquidityPool(atom.liquidity_pool_id.clone()),
                (&atom.asset_bought, atom.amount_bought),
                (&atom.asset_sold, atom.amount_sold),
            ),
        };
        let taker = ScAddress::Account(taker.clone());
        let event = cx.assets.moved_for(bought.0, (taker.clone(), maker.clone()), bought.1, None);
        cx.emit(&event);
        let event = cx.assets.moved_for(sold.0, (maker, taker), sold.1, None);
        cx.emit(&event);
    }
}
