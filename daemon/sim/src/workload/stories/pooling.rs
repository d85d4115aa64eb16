//! A liquidity pool from its first share line to its last, and the same pool when an issuer revokes.

use stellar_xdr::{
    AccountId, Asset, ChangeTrustAsset, ChangeTrustOp, ClaimClaimableBalanceOp, LiquidityPoolDepositOp,
    LiquidityPoolParameters, LiquidityPoolWithdrawOp, OperationBody, PathPaymentStrictReceiveOp,
    PathPaymentStrictSendOp, PoolId, TrustLineAsset, VecM,
};

use super::{
    Turn,
    cast::{Cast, flags, pay, price, trust},
    issuing::line_flags,
};
use crate::{
    apply::pool,
    entries::{self, AUTHORIZED, ONE},
    tx::Plan,
};

fn share(params: &LiquidityPoolParameters, limit: i64) -> OperationBody {
    let line = ChangeTrustAsset::PoolShare(params.clone());
    OperationBody::ChangeTrust(ChangeTrustOp { line, limit })
}

fn deposit(id: &PoolId, a: i64, b: i64, most: i32) -> OperationBody {
    OperationBody::LiquidityPoolDeposit(LiquidityPoolDepositOp {
        liquidity_pool_id: id.clone(),
        max_amount_a: a,
        max_amount_b: b,
        min_price: price(1, 1_000),
        max_price: price(most, 100),
    })
}

fn withdraw(id: &PoolId, amount: i64, least: i64) -> OperationBody {
    OperationBody::LiquidityPoolWithdraw(LiquidityPoolWithdrawOp {
        liquidity_pool_id: id.clone(),
        amount,
        min_amount_a: least,
        min_amount_b: 1,
    })
}

fn send(to: &AccountId, from: &Asset, asset: &Asset, amount: i64) -> OperationBody {
    OperationBody::PathPaymentStrictSend(PathPaymentStrictSendOp {
        send_asset: from.clone(),
        send_amount: amount,
        destination: entries::plain(to),
        dest_asset: asset.clone(),
        dest_min: 1,
        path: VecM::default(),
    })
}

fn receive(to: &AccountId, from: &Asset, asset: &Asset, amount: i64) -> OperationBody {
    OperationBody::PathPaymentStrictReceive(PathPaymentStrictReceiveOp {
        send_asset: from.clone(),
        send_max: 100_000 * ONE,
        destination: entries::muxed(to, 3),
        dest_asset: asset.clone(),
        dest_amount: amount,
        path: VecM::default(),
    })
}

impl Cast<'_, '_> {
    pub(super) fn pooling(&mut self) -> Turn {
        let (issuer, one, two) = (self.person(0), self.person(1), self.person(2));
        let asset = entries::credit("POOLED", &issuer);
        let (params, id) = pool::of(&Asset::Native, &asset);
        let shares = self.shares(&two, &id);
        let other = entries::credit("POOL", &issuer);
        let (other_params, other_id) = pool::of(&other, &asset);
        Turn::Go(match self.story.step {
            0 => return self.create(&[100, 400, 300]),
            1 => vec![self.tx(&issuer, vec![(None, flags(2 | 8, 0))])],
            2 => vec![
                self.tx(&one, vec![(None, trust(&asset, i64::MAX))]),
                self.tx(&two, vec![(None, trust(&asset, i64::MAX))]),
                self.tx(&two, vec![(None, share(&params, 0))]),
            ],
            3 => {
                let steps = [(&one, 10_000), (&two, 1_000)];
                let steps = steps.map(|(to, amount)| (None, pay(to, &asset, amount * ONE)));
                vec![self.tx(&issuer, steps.to_vec())]
            }
            4 => vec![
                self.tx(
                    &one,
                    vec![(None, share(&params, i64::MAX)), (None, deposit(&id, 100 * ONE, 1_000 * ONE, 20))],
                ),
                self.tx(&two, vec![(None, share(&params, 10_000 * ONE))]),
                self.tx(&one, vec![(None, trust(&asset, 0))]),
            ],
            5 => vec![
                self.tx(&two, vec![(None, deposit(&id, 10 * ONE, 200 * ONE, 20))]),
                self.tx(&one, vec![(None, deposit(&id, ONE, 10 * ONE, 1))]),
            ],
            6 => vec![
                self.tx(&two, vec![(None, send(&two, &Asset::Native, &asset, ONE))]),
                self.tx(&one, vec![(None, receive(&two, &asset, &Asset::Native, 2 * ONE))]),
                self.tx(&two, vec![(None, withdraw(&id, 1_000, i64::MAX))]),
            ],
            7 => vec![self.tx(&two, vec![(None, withdraw(&id, shares / 2, 1))])],
            8 => vec![self.tx(&two, vec![(None, withdraw(&id, shares, 1)), (None, share(&params, 0))])],
            9 => self.revoke(&issuer, &one, (&asset, &id)),
            10 => vec![self.tx(&issuer, vec![(None, line_flags(&one, &asset, AUTHORIZED, 0))])],
            11 => {
                let claims = std::mem::take(&mut self.story.balances).into_iter().map(|balance_id| {
                    (None, OperationBody::ClaimClaimableBalance(ClaimClaimableBalanceOp { balance_id }))
                });
                let claims = claims.collect();
                vec![self.tx(&one, claims)]
            }
            // A pool of two credit assets, and one that does not outlive its transaction.
            12 => vec![
                self.tx(&one, vec![(None, trust(&other, i64::MAX))]),
                self.tx(&issuer, vec![(None, pay(&one, &other, 500 * ONE))]),
                self.tx(
                    &one,
                    vec![
                        (None, share(&other_params, i64::MAX)),
                        (None, deposit(&other_id, 50 * ONE, 100 * ONE, 60)),
                    ],
                ),
            ],
            13 => {
                let all = self.shares(&one, &other_id);
                let steps = vec![
                    (None, withdraw(&other_id, all, 1)),
                    (None, share(&other_params, 0)),
                    (None, share(&params, ONE)),
                    (None, share(&params, 0)),
                ];
                vec![self.tx(&one, steps)]
            }
            14 => {
                vec![self.give_back(&one, &asset), self.give_back(&one, &other), self.give_back(&two, &asset)]
            }
            15 => return self.merge(&[1, 2, 0]),
            _ => return Turn::End,
        })
    }

    fn shares(&self, holder: &AccountId, id: &PoolId) -> i64 {
        let line = TrustLineAsset::PoolShare(id.clone());
        self.planner.state.trustline(holder, &line).map_or(0, |line| line.balance)
    }

    fn revoke(
        &mut self,
        issuer: &AccountId,
        holder: &AccountId,
        (asset, id): (&Asset, &PoolId),
    ) -> Vec<Plan> {
        let seq = self.next_seq(issuer);
        let made = [&Asset::Native, asset].map(|asset| pool::revoke_id((issuer, seq, 0), id, asset));
        self.story.balances = made.to_vec();
        vec![self.tx(issuer, vec![(None, line_flags(holder, asset, 0, AUTHORIZED))])]
    }
}
