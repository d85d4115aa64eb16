//! Money put aside under all kinds of conditions, and claimed.

use stellar_xdr::{
    AccountId, Asset, ClaimClaimableBalanceOp, ClaimPredicate, ClaimableBalanceId, Claimant, ClaimantV0,
    CreateClaimableBalanceOp, Memo, OperationBody,
};

use super::{
    Turn,
    cast::{Cast, pay, trust},
};
use crate::{
    apply,
    entries::{self, ONE},
    header,
    workload::setup::list,
};

fn aside(asset: &Asset, amount: i64, claimants: Vec<(&AccountId, ClaimPredicate)>) -> OperationBody {
    let claimants = claimants
        .into_iter()
        .map(|(id, predicate)| Claimant::ClaimantTypeV0(ClaimantV0 { destination: id.clone(), predicate }));
    OperationBody::CreateClaimableBalance(CreateClaimableBalanceOp {
        asset: asset.clone(),
        amount,
        claimants: list(claimants),
    })
}

fn claim(balance_id: ClaimableBalanceId) -> OperationBody {
    OperationBody::ClaimClaimableBalance(ClaimClaimableBalanceOp { balance_id })
}

impl Cast<'_, '_> {
    pub(super) fn claiming(&mut self) -> Turn {
        let (giver, taker) = (self.person(0), self.person(1));
        let Some((asset, _)) = self.planner.world.assets.first().cloned() else { return Turn::End };
        let Some((_, issuer)) = entries::code_and_issuer(&asset) else { return Turn::End };
        let nth = |n: usize| self.story.balances.get(n).cloned();
        let [Some(first), Some(second), Some(third), Some(fourth)] = [nth(0), nth(1), nth(2), nth(3)] else {
            return match self.story.step {
                0 => self.create(&[100, 100]),
                1 => Turn::Go(vec![
                    self.tx(&giver, vec![(None, trust(&asset, i64::MAX))]),
                    self.tx(&taker, vec![(None, trust(&asset, i64::MAX))]),
                    self.tx(issuer, vec![(None, pay(&giver, &asset, 100 * ONE))]),
                ]),
                2 => self.put_aside(&giver, &taker, &asset),
                _ => Turn::End,
            };
        };
        let unknown = apply::balance_id(&taker, 1, 0);
        Turn::Go(match self.story.step {
            3 => {
                let mut plan = self.tx(&taker, vec![(None, claim(first)), (None, claim(second))]);
                plan.memo = Memo::Text(b"mine".to_vec().try_into().expect("the text is short"));
                let too_much = aside(&asset, 900 * ONE, vec![(&taker, ClaimPredicate::Unconditional)]);
                vec![
                    plan,
                    self.tx(&taker, vec![(None, claim(fourth))]),
                    self.tx(&taker, vec![(None, claim(unknown))]),
                    self.tx(&giver, vec![(None, too_much)]),
                ]
            }
            4 => vec![self.tx(&giver, vec![(None, claim(third)), (None, claim(fourth))])],
            5 => vec![self.give_back(&giver, &asset), self.give_back(&taker, &asset)],
            6 => return self.merge(&[0, 1]),
            _ => return Turn::End,
        })
    }

    fn put_aside(&mut self, giver: &AccountId, taker: &AccountId, asset: &Asset) -> Turn {
        use ClaimPredicate as If;
        let now = i64::try_from(header::close_time(self.planner.seq)).unwrap_or(0);
        let (past, day) = (If::BeforeAbsoluteTime(now - 100), If::BeforeRelativeTime(86_400));
        let both = If::And(list([If::Not(Some(Box::new(past.clone()))), day.clone()]));
        let either = If::Or(list([past.clone(), day]));
        let steps = vec![
            (None, aside(&Asset::Native, 3 * ONE, vec![(taker, If::Unconditional)])),
            (None, aside(asset, 20 * ONE, vec![(taker, both), (giver, past.clone())])),
            (None, aside(asset, 7, vec![(taker, past.clone()), (giver, either)])),
            (None, aside(&Asset::Native, ONE, vec![(taker, past), (giver, If::Unconditional)])),
        ];
        let seq = self.next_seq(giver);
        self.story.balances = (0..4).map(|index| apply::balance_id(giver, seq, index)).collect();
        Turn::Go(vec![self.tx(giver, steps)])
    }
}
