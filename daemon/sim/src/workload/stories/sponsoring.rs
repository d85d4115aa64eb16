//! Somebody pays the reserves of a newcomer, hands that on, and gives it up.

use stellar_xdr::{
    AccountId, Asset, BeginSponsoringFutureReservesOp, ClaimClaimableBalanceOp, ClaimPredicate, Claimant,
    ClaimantV0, CreateAccountOp, CreateClaimableBalanceOp, DataValue, LedgerKey, ManageDataOp,
    ManageSellOfferOp, OperationBody, RevokeSponsorshipOp, RevokeSponsorshipOpSigner, SetOptionsOp, Signer,
    SignerKey, String64, Uint256,
};

use super::{
    Turn,
    cast::{Cast, Step, pay, price, trust},
};
use crate::{
    apply,
    entries::{self, ONE},
    state,
    tx::Plan,
    workload::setup::list,
};

fn begin(sponsored: &AccountId) -> OperationBody {
    OperationBody::BeginSponsoringFutureReserves(BeginSponsoringFutureReservesOp {
        sponsored_id: sponsored.clone(),
    })
}

fn revoke(key: LedgerKey) -> OperationBody {
    OperationBody::RevokeSponsorship(RevokeSponsorshipOp::LedgerEntry(key))
}

fn signer_key(account: &AccountId) -> SignerKey {
    SignerKey::Ed25519(Uint256(crate::tx::keyed(&[b"sponsored signer", &entries::key_bytes(account)])))
}

fn revoke_signer(account: &AccountId) -> OperationBody {
    OperationBody::RevokeSponsorship(RevokeSponsorshipOp::Signer(RevokeSponsorshipOpSigner {
        account_id: account.clone(),
        signer_key: signer_key(account),
    }))
}

fn signer(account: &AccountId, weight: u32) -> OperationBody {
    let signer = Some(Signer { key: signer_key(account), weight });
    OperationBody::SetOptions(SetOptionsOp { signer, ..Default::default() })
}

fn name() -> String64 {
    String64(b"sponsored".to_vec().try_into().expect("the name is short"))
}

fn data(value: Option<&[u8]>) -> OperationBody {
    let data_value = value.map(|value| DataValue(value.to_vec().try_into().expect("the value is short")));
    OperationBody::ManageData(ManageDataOp { data_name: name(), data_value })
}

fn sell(asset: &Asset, amount: i64, offer_id: i64) -> OperationBody {
    OperationBody::ManageSellOffer(ManageSellOfferOp {
        selling: Asset::Native,
        buying: asset.clone(),
        amount,
        price: price(100_000, 1),
        offer_id,
    })
}

/// Begins, does something else, and ends.
fn within<'a>(sponsored: &'a AccountId, steps: Vec<Step<'a>>) -> Vec<Step<'a>> {
    let mut all = vec![(None, begin(sponsored))];
    all.extend(steps);
    all.push((Some(sponsored), OperationBody::EndSponsoringFutureReserves));
    all
}

impl Cast<'_, '_> {
    pub(super) fn sponsoring(&mut self) -> Turn {
        let (sponsor, newcomer, third) = (self.person(0), self.person(1), self.person(2));
        let Some((asset, _)) = self.planner.world.assets.first().cloned() else { return Turn::End };
        let line = state::trustline_key(&newcomer, &entries::line_of(&asset));
        let note = state::data_name_key(&newcomer, &name());
        let balance = self.story.balances.first().cloned();
        let aside = balance.as_ref().map_or_else(|| note.clone(), state::claimable_key);
        Turn::Go(match self.story.step {
            0 => {
                // The newcomer comes in the next step, and for nothing.
                let Turn::Go(mut plans) = self.create(&[500, 0, 500]) else { return Turn::End };
                for plan in &mut plans {
                    plan.operations.retain(|operation| {
                        !matches!(&operation.body, OperationBody::CreateAccount(op) if op.starting_balance == 0)
                    });
                }
                plans
            }
            1 => {
                let create = CreateAccountOp { destination: newcomer.clone(), starting_balance: 0 };
                let create = OperationBody::CreateAccount(create);
                vec![self.tx(&sponsor, within(&newcomer, vec![(None, create)]))]
            }
            2 => self.sponsored_entries(&sponsor, &newcomer, &third, &asset),
            3 => vec![
                self.tx(&sponsor, vec![(None, revoke(line))]),
                self.tx(&sponsor, vec![(None, revoke(aside))]),
                self.tx(&newcomer, vec![(None, OperationBody::EndSponsoringFutureReserves)]),
            ],
            4 => {
                let account = state::account_key(&newcomer);
                let by = Some(&sponsor);
                let handed = [revoke(note), revoke(aside), revoke(account), revoke_signer(&newcomer)];
                let handed = handed.into_iter().map(|body| (by, body)).collect();
                vec![self.tx(&third, within(&sponsor, handed))]
            }
            5 => vec![
                self.tx(&third, vec![(None, revoke(note)), (None, revoke_signer(&newcomer))]),
                self.tx(&sponsor, vec![(None, revoke(aside))]),
                self.tx(&sponsor, vec![(None, begin(&newcomer)), (Some(&third), begin(&newcomer))]),
            ],
            6 => vec![self.tx(&third, within(&newcomer, vec![(Some(&newcomer), revoke(line))]))],
            7 => {
                let handed = within(&third, vec![(Some(&third), revoke(line))]);
                let mut plans = vec![self.tx(&sponsor, handed), self.clean_up(&newcomer, &asset)];
                if let Some(balance_id) = balance {
                    let claim = ClaimClaimableBalanceOp { balance_id };
                    plans.push(self.tx(&third, vec![(None, OperationBody::ClaimClaimableBalance(claim))]));
                }
                plans
            }
            8 => return self.merge(&[1, 0, 2]),
            _ => return Turn::End,
        })
    }

    /// One of each kind of entry that can be sponsored.
    fn sponsored_entries(
        &mut self,
        sponsor: &AccountId,
        newcomer: &AccountId,
        third: &AccountId,
        asset: &Asset,
    ) -> Vec<Plan> {
        let claimant = |id: &AccountId| {
            Claimant::ClaimantTypeV0(ClaimantV0 {
                destination: id.clone(),
                predicate: ClaimPredicate::Unconditional,
            })
        };
        let aside = CreateClaimableBalanceOp {
            asset: Asset::Native,
            amount: ONE,
            claimants: list([claimant(sponsor), claimant(third)]),
        };
        let by = Some(newcomer);
        let mut steps: Vec<Step<'_>> = vec![(None, pay(newcomer, &Asset::Native, 20 * ONE))];
        steps.extend(within(
            newcomer,
            vec![
                (by, OperationBody::CreateClaimableBalance(aside)),
                (by, trust(asset, i64::MAX)),
                (by, data(Some(b"paid by a friend"))),
                (by, signer(newcomer, 1)),
                (by, sell(asset, ONE, 0)),
            ],
        ));
        // The third operation makes it.
        self.story.balances.push(apply::balance_id(sponsor, self.next_seq(sponsor), 2));
        vec![self.tx(sponsor, steps)]
    }

    fn clean_up(&self, newcomer: &AccountId, asset: &Asset) -> Plan {
        let offers = self.planner.state.offers_of(newcomer);
        let mut steps: Vec<Step<'_>> =
            offers.into_iter().map(|offer| (None, sell(asset, 0, offer.offer_id))).collect();
        steps.extend([(None, data(None)), (None, signer(newcomer, 0)), (None, trust(asset, 0))]);
        self.tx(newcomer, steps)
    }
}
