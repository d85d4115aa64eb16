//! Offers: makers keep the book, takers cross it.

use stellar_xdr::{Asset, ManageBuyOfferOp, ManageSellOfferOp, OfferEntry, Operation, OperationBody, Price};

use super::{Planner, operation};
use crate::{entries::ONE, tx::Plan};

/// Denominator of all prices.
const UNIT: i32 = 10_000;
/// Offers that a maker keeps.
const MAKER_OFFERS: usize = 8;

fn sell(selling: Asset, buying: Asset, amount: i64, price: Price, offer_id: i64) -> Operation {
    let op = ManageSellOfferOp { selling, buying, amount, price, offer_id };
    operation(OperationBody::ManageSellOffer(op))
}

impl Planner<'_> {
    /// What a maker asks for an asset (or bids for it) around its middle price.
    fn maker_price(&mut self, middle: i32, ask: bool) -> Price {
        let spread = i32::try_from(self.rng.between(1, i64::from(middle / 25).max(2))).unwrap_or(1);
        if ask { Price { n: middle + spread, d: UNIT } } else { Price { n: UNIT, d: middle - spread } }
    }

    fn maker_amount(&mut self) -> i64 {
        self.rng.between(20, 900) * ONE / 10
    }

    /// A new offer as makers make them.
    pub(super) fn fresh_offer(&mut self) -> Option<Operation> {
        let (asset, middle) = self.rng.pick(&self.world.assets).cloned()?;
        let ask = self.rng.percent(50);
        let price = self.maker_price(middle, ask);
        let amount = self.maker_amount();
        let (selling, buying) = if ask { (asset, Asset::Native) } else { (Asset::Native, asset) };
        Some(sell(selling, buying, amount, price, 0))
    }

    /// A maker keeps its offers: new ones, other prices, some taken back.
    pub(super) fn making(&mut self, most: i64) -> Option<Plan> {
        let maker = self.rng.pick(&self.world.makers).cloned()?;
        if !self.used.insert(maker.clone()) {
            // The maker was busy in this ledger already: somebody pays somebody instead.
            return self.payments(most);
        }
        let mut offers: Vec<OfferEntry> = self.state.offers_of(&maker).into_iter().cloned().collect();
        let mut operations = Vec::new();
        for _ in 0..self.rng.between(1, most) + self.rng.between(0, most) {
            let at = self.rng.index(offers.len());
            if offers.len() < MAKER_OFFERS || offers.is_empty() {
                operations.extend(self.fresh_offer());
                continue;
            }
            let offer = offers.swap_remove(at);
            let ask = offer.buying == Asset::Native;
            let credit = if ask { &offer.selling } else { &offer.buying };
            let middle =
                self.world.assets.iter().find(|(asset, _)| asset == credit).map(|(_, middle)| *middle);
            let (amount, price) = match middle {
                Some(middle) if self.rng.percent(92) => (self.maker_amount(), self.maker_price(middle, ask)),
                Some(_) | None => (0, offer.price.clone()),
            };
            operations.push(sell(offer.selling, offer.buying, amount, price, offer.offer_id));
        }
        Some(self.from(&maker, operations))
    }

    /// Somebody takes what the makers offer, or takes back an offer that found nobody.
    pub(super) fn taking(&mut self) -> Option<Plan> {
        let source = self.source()?;
        let open: Vec<OfferEntry> = self.state.offers_of(&source).into_iter().cloned().collect();
        if open.len() > 1
            && let Some(offer) = open.into_iter().next()
        {
            let gone = sell(offer.selling, offer.buying, 0, offer.price, offer.offer_id);
            return Some(self.from(&source, vec![gone]));
        }
        let (asset, middle) = self.rng.pick(&self.world.assets).cloned()?;
        let amount = self.rng.between(10, 1200) * ONE / 10;
        let operation = match self.rng.below(3) {
            0 => sell(asset, Asset::Native, amount, Price { n: middle - middle / 10, d: UNIT }, 0),
            1 => sell(Asset::Native, asset, amount, Price { n: UNIT, d: middle + middle / 10 }, 0),
            _ => operation(OperationBody::ManageBuyOffer(ManageBuyOfferOp {
                selling: Asset::Native,
                buying: asset,
                buy_amount: amount,
                price: Price { n: middle + middle / 10, d: UNIT },
                offer_id: 0,
            })),
        };
        Some(self.from(&source, vec![operation]))
    }

    /// An offer that cannot be: unknown, or of more than there is.
    pub(super) fn failing_offer(&mut self) -> Option<Plan> {
        let source = self.source()?;
        let (asset, middle) = self.rng.pick(&self.world.assets).cloned()?;
        let price = Price { n: middle, d: UNIT };
        let operation = if self.rng.percent(50) {
            sell(asset, Asset::Native, ONE, price, i64::MAX - self.rng.between(0, 1_000_000))
        } else {
            sell(asset, Asset::Native, 900_000_000 * ONE, price, 0)
        };
        Some(self.from(&source, vec![operation]))
    }
}
