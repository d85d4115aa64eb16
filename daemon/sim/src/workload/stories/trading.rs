//! Offers from their beginning to their end: passive, partly and wholly taken, changed, taken back, and an issuer's own.

use stellar_xdr::{
    AccountId, Asset, CreatePassiveSellOfferOp, ManageBuyOfferOp, ManageSellOfferOp, OperationBody,
    PathPaymentStrictReceiveOp, PathPaymentStrictSendOp, Price, VecM,
};

use super::{
    Turn,
    cast::{Cast, Step, pay, price, trust},
};
use crate::entries::{self, ONE};

fn sell(selling: &Asset, buying: &Asset, amount: i64, price: Price, offer_id: i64) -> OperationBody {
    let (selling, buying) = (selling.clone(), buying.clone());
    OperationBody::ManageSellOffer(ManageSellOfferOp { selling, buying, amount, price, offer_id })
}

fn buy(buying: &Asset, selling: &Asset, buy_amount: i64, price: Price) -> OperationBody {
    let (selling, buying) = (selling.clone(), buying.clone());
    OperationBody::ManageBuyOffer(ManageBuyOfferOp { selling, buying, buy_amount, price, offer_id: 0 })
}

fn passive(selling: &Asset, buying: &Asset, amount: i64, price: Price) -> OperationBody {
    let (selling, buying) = (selling.clone(), buying.clone());
    OperationBody::CreatePassiveSellOffer(CreatePassiveSellOfferOp { selling, buying, amount, price })
}

impl Cast<'_, '_> {
    pub(super) fn trading(&mut self) -> Turn {
        let (issuer, maker, taker) = (self.person(0), self.person(1), self.person(2));
        let deal = entries::credit("DEAL", &issuer);
        let lumen = Asset::Native;
        Turn::Go(match self.story.step {
            0 => return self.create(&[100, 300, 500]),
            1 => vec![
                self.tx(&maker, vec![(None, trust(&deal, i64::MAX))]),
                self.tx(&taker, vec![(None, trust(&deal, i64::MAX))]),
            ],
            2 => vec![self.tx(
                &issuer,
                vec![(None, pay(&maker, &deal, 1_000 * ONE)), (None, pay(&taker, &deal, 500 * ONE))],
            )],
            3 => vec![
                self.tx(
                    &maker,
                    vec![
                        (None, sell(&deal, &lumen, 100 * ONE, price(1, 3), 0)),
                        (None, sell(&deal, &lumen, 30 * ONE, price(1, 2), 0)),
                        (None, passive(&deal, &lumen, 20 * ONE, price(2, 1))),
                        (None, passive(&lumen, &deal, 10 * ONE, price(4, 1))),
                        (None, sell(&deal, &lumen, 5 * ONE, price(9, 1), 0)),
                    ],
                ),
                self.tx(&maker, vec![(None, passive(&deal, &lumen, 100_000 * ONE, price(2, 1)))]),
            ],
            4 => vec![
                self.tx(&taker, vec![(None, buy(&deal, &lumen, 31 * ONE + 1, price(1, 2)))]),
                self.tx(&maker, vec![(None, buy(&deal, &lumen, 100 * ONE, price(10, 1)))]),
                self.tx(&taker, vec![(None, sell(&deal, &lumen, ONE, price(1, 1), i64::MAX))]),
            ],
            5 => vec![
                self.tx(&taker, vec![(None, self.strict_receive(&taker, &deal, 75 * ONE))]),
                self.tx(&taker, vec![(None, self.strict_send(&taker, &deal, 7 * ONE))]),
            ],
            // More than the best offers have: some is left and stands in the book.
            6 => vec![self.tx(&taker, vec![(None, sell(&lumen, &deal, 90 * ONE, price(1, 2), 0))])],
            7 => {
                let offers = self.planner.state.offers_of(&maker);
                let steps: Vec<Step<'_>> = offers
                    .into_iter()
                    .zip(0..)
                    .map(|(offer, n)| {
                        let amount = if n == 0 { offer.amount + ONE } else { 0 };
                        (
                            None,
                            sell(&offer.selling, &offer.buying, amount, offer.price.clone(), offer.offer_id),
                        )
                    })
                    .collect();
                vec![if steps.is_empty() {
                    self.tx(&maker, vec![(None, trust(&deal, 0))])
                } else {
                    self.tx(&maker, steps)
                }]
            }
            8 => vec![
                self.tx(&issuer, vec![(None, sell(&deal, &lumen, 50 * ONE, price(1, 5), 0))]),
                self.tx(&taker, vec![(None, buy(&deal, &lumen, 40 * ONE, price(1, 4)))]),
            ],
            9 => [&issuer, &maker, &taker].into_iter().filter_map(|who| self.take_back(who)).collect(),
            10 => vec![self.give_back(&maker, &deal), self.give_back(&taker, &deal)],
            11 => return self.merge(&[1, 2, 0]),
            _ => return Turn::End,
        })
    }

    fn strict_receive(&self, to: &AccountId, asset: &Asset, amount: i64) -> OperationBody {
        OperationBody::PathPaymentStrictReceive(PathPaymentStrictReceiveOp {
            send_asset: Asset::Native,
            send_max: 400 * ONE,
            destination: entries::plain(to),
            dest_asset: asset.clone(),
            dest_amount: amount,
            path: VecM::default(),
        })
    }

    fn strict_send(&self, to: &AccountId, asset: &Asset, amount: i64) -> OperationBody {
        OperationBody::PathPaymentStrictSend(PathPaymentStrictSendOp {
            send_asset: Asset::Native,
            send_amount: amount,
            destination: entries::muxed(to, 1),
            dest_asset: asset.clone(),
            dest_min: 1,
            path: VecM::default(),
        })
    }

    /// Takes all offers of somebody back; `None` when there are none.
    fn take_back(&self, who: &AccountId) -> Option<crate::tx::Plan> {
        let offers = self.planner.state.offers_of(who);
        let steps: Vec<Step<'_>> = offers
            .into_iter()
            .map(|offer| (None, sell(&offer.selling, &offer.buying, 0, offer.price.clone(), offer.offer_id)))
            .collect();
        (!steps.is_empty()).then(|| self.tx(who, steps))
    }
}
