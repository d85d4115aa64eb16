//! An issuer authorizes holders, takes that back, and takes back what they hold.

use stellar_xdr::{
    AccountId, AllowTrustOp, Asset, AssetCode, ClaimPredicate, ClaimableBalanceId, Claimant, ClaimantV0,
    ClawbackClaimableBalanceOp, ClawbackOp, CreateClaimableBalanceOp, CreatePassiveSellOfferOp,
    OperationBody, SetOptionsOp, SetTrustLineFlagsOp,
};

use super::{
    Turn,
    cast::{Cast, flags, pay, price, trust},
};
use crate::{
    apply,
    entries::{self, AUTHORIZED, CLAWBACK, MAINTAINS, ONE},
    workload::setup::{home, list},
};

/// Flags of a line to set and to clear.
pub(super) fn line_flags(trustor: &AccountId, asset: &Asset, set: u32, clear: u32) -> OperationBody {
    OperationBody::SetTrustLineFlags(SetTrustLineFlagsOp {
        trustor: trustor.clone(),
        asset: asset.clone(),
        clear_flags: clear,
        set_flags: set,
    })
}

fn allow(trustor: &AccountId, asset: &Asset, authorize: u32) -> OperationBody {
    let asset = match asset {
        Asset::CreditAlphanum12(asset) => AssetCode::CreditAlphanum12(asset.asset_code.clone()),
        Asset::CreditAlphanum4(asset) => AssetCode::CreditAlphanum4(asset.asset_code.clone()),
        Asset::Native => AssetCode::CreditAlphanum4(Default::default()),
    };
    OperationBody::AllowTrust(AllowTrustOp { trustor: trustor.clone(), asset, authorize })
}

fn claw_back(asset: &Asset, from: &AccountId, amount: i64) -> OperationBody {
    let from = entries::muxed(from, 12);
    OperationBody::Clawback(ClawbackOp { asset: asset.clone(), from, amount })
}

fn claw_back_balance(balance_id: ClaimableBalanceId) -> OperationBody {
    OperationBody::ClawbackClaimableBalance(ClawbackClaimableBalanceOp { balance_id })
}

impl Cast<'_, '_> {
    pub(super) fn issuing(&mut self) -> Turn {
        let (issuer, holder, other) = (self.person(0), self.person(1), self.person(2));
        let short = entries::credit("AUTH", &issuer);
        let long = entries::credit("AUTHORIZED12", &issuer);
        let none = self.funder();
        let unknown = apply::balance_id(&none, 1, 0);
        Turn::Go(match self.story.step {
            0 => return self.create(&[100, 200, 100]),
            1 => {
                let options = SetOptionsOp {
                    set_flags: Some(1 | 2 | 8),
                    home_domain: Some(home("bank.example")),
                    inflation_dest: Some(holder),
                    ..Default::default()
                };
                vec![self.tx(&issuer, vec![(None, OperationBody::SetOptions(options))])]
            }
            2 => vec![
                self.tx(&holder, vec![(None, trust(&short, i64::MAX)), (None, trust(&long, 9_000 * ONE))]),
                self.tx(&other, vec![(None, trust(&short, 5_000 * ONE))]),
            ],
            3 => vec![
                self.tx(
                    &issuer,
                    vec![
                        (None, line_flags(&holder, &short, AUTHORIZED, 0)),
                        (None, allow(&holder, &long, 1)),
                        (None, line_flags(&other, &short, AUTHORIZED, 0)),
                        (None, pay(&holder, &short, 1_000 * ONE)),
                        (None, pay(&holder, &long, 500 * ONE)),
                    ],
                ),
                self.tx(&issuer, vec![(None, allow(&none, &short, 1))]),
            ],
            4 => {
                let mut plans = self.hold(&holder, &other, &short);
                plans.push(self.tx(&holder, vec![(None, trust(&long, 8_000 * ONE))]));
                plans
            }
            5 => {
                let made = self.story.balances.first().cloned().unwrap_or_else(|| unknown.clone());
                vec![
                    self.tx(
                        &issuer,
                        vec![(None, claw_back(&short, &holder, 100 * ONE)), (None, claw_back_balance(made))],
                    ),
                    self.tx(&issuer, vec![(None, claw_back_balance(unknown))]),
                ]
            }
            6 => vec![
                self.tx(&issuer, vec![(None, allow(&holder, &short, MAINTAINS))]),
                self.tx(&holder, vec![(None, pay(&other, &short, ONE))]),
            ],
            7 => vec![
                self.tx(&issuer, vec![(None, allow(&holder, &short, 0))]),
                self.tx(&issuer, vec![(None, line_flags(&other, &short, MAINTAINS, 0))]),
            ],
            8 => vec![self.tx(
                &issuer,
                vec![
                    (None, allow(&holder, &short, 1)),
                    (None, line_flags(&holder, &short, 0, CLAWBACK)),
                    (None, line_flags(&holder, &long, MAINTAINS, AUTHORIZED)),
                    (None, line_flags(&holder, &long, AUTHORIZED, MAINTAINS)),
                ],
            )],
            9 => vec![
                self.tx(&issuer, vec![(None, claw_back(&short, &holder, ONE))]),
                self.tx(&issuer, vec![(None, flags(0, 1 | 8))]),
            ],
            10 => vec![
                self.give_back(&holder, &short),
                self.give_back(&holder, &long),
                self.give_back(&other, &short),
            ],
            11 => return self.merge(&[1, 2, 0]),
            _ => return Turn::End,
        })
    }

    /// The holder offers, puts aside and pays.
    fn hold(&mut self, holder: &AccountId, other: &AccountId, asset: &Asset) -> Vec<crate::tx::Plan> {
        let offer = CreatePassiveSellOfferOp {
            selling: asset.clone(),
            buying: Asset::Native,
            amount: 10 * ONE,
            price: price(3, 2),
        };
        let claimant = ClaimantV0 { destination: other.clone(), predicate: ClaimPredicate::Unconditional };
        let aside = CreateClaimableBalanceOp {
            asset: asset.clone(),
            amount: 50 * ONE,
            claimants: list([Claimant::ClaimantTypeV0(claimant)]),
        };
        self.story.balances.push(apply::balance_id(holder, self.next_seq(holder), 1));
        vec![self.tx(
            holder,
            vec![
                (None, OperationBody::CreatePassiveSellOffer(offer)),
                (None, OperationBody::CreateClaimableBalance(aside)),
                (None, pay(other, asset, 20 * ONE)),
            ],
        )]
    }
}
