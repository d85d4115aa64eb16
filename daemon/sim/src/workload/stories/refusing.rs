//! Transactions that were fine when they were chosen and are not when their turn comes.

use stellar_xdr::{
    AccountId, Asset, BeginSponsoringFutureReservesOp, BumpSequenceOp, CreateAccountOp, DataValue, Duration,
    ManageDataOp, OperationBody, Preconditions, PreconditionsV2, SequenceNumber, SetOptionsOp, Signer,
    SignerKey, String64, Uint256, VecM,
};

use super::{
    Turn,
    cast::{Cast, flags, pay},
};
use crate::{
    entries::{self, ONE},
    tx::Plan,
};

fn master(weight: u32, signer: Option<Signer>) -> OperationBody {
    OperationBody::SetOptions(SetOptionsOp { master_weight: Some(weight), signer, ..Default::default() })
}

fn data(value: Option<DataValue>) -> OperationBody {
    let data_name = String64(b"in the way".to_vec().try_into().expect("the name is short"));
    OperationBody::ManageData(ManageDataOp { data_name, data_value: value })
}

impl Cast<'_, '_> {
    pub(super) fn refusing(&mut self) -> Turn {
        let (one, two, gone, locked) = (self.person(0), self.person(1), self.person(2), self.person(3));
        let immutable = self.person(4);
        let funder = self.funder();
        let small = |to: &AccountId| pay(to, &Asset::Native, ONE);
        let signed_by_one = |mut plan: Plan| {
            plan.cosigners.push(entries::key_bytes(&one));
            plan
        };
        let signer = |weight| {
            let key = SignerKey::Ed25519(Uint256(entries::key_bytes(&one)));
            Some(Signer { key, weight })
        };
        Turn::Go(match self.story.step {
            0 => return self.create(&[100, 100, 100, 100, 2]),
            1 => {
                let bump_to = SequenceNumber(self.next_seq(&two) + 10);
                let bump = OperationBody::BumpSequence(BumpSequenceOp { bump_to });
                vec![self.tx(&one, vec![(Some(&two), bump)]), self.tx(&two, vec![(None, small(&one))])]
            }
            2 => {
                let merge = OperationBody::AccountMerge(entries::plain(&one));
                let mut late = self.tx(&gone, vec![(None, small(&one))]);
                late.payer = Some(entries::muxed(&funder, 99));
                vec![self.tx(&one, vec![(Some(&gone), merge)]), late]
            }
            3 => vec![
                self.tx(&one, vec![(Some(&locked), master(0, signer(1)))]),
                self.tx(&locked, vec![(None, small(&one))]),
            ],
            4 => {
                let begin = OperationBody::BeginSponsoringFutureReserves(BeginSponsoringFutureReservesOp {
                    sponsored_id: one.clone(),
                });
                let mut bumped = self.tx(&two, vec![(None, begin.clone()), (None, small(&one))]);
                bumped.payer = Some(entries::plain(&funder));
                vec![signed_by_one(self.tx(&locked, vec![(None, begin)])), bumped]
            }
            5 => {
                let young = |age, gap| {
                    Preconditions::V2(PreconditionsV2 {
                        time_bounds: None,
                        ledger_bounds: None,
                        min_seq_num: None,
                        min_seq_age: Duration(age),
                        min_seq_ledger_gap: gap,
                        extra_signers: VecM::default(),
                    })
                };
                let mut late = self.tx(&two, vec![(None, small(&one))]);
                late.cond = young(0, 5);
                let mut later = self.tx(&one, vec![(None, small(&two))]);
                later.cond = young(3_600, 0);
                vec![
                    self.tx(&two, vec![(None, small(&one))]),
                    late,
                    self.tx(&one, vec![(None, small(&two))]),
                    later,
                ]
            }
            6 => vec![
                self.tx(&one, vec![(None, OperationBody::Inflation)]),
                self.tx(&one, vec![(Some(&gone), small(&one))]),
                self.tx(
                    &one,
                    vec![(
                        None,
                        OperationBody::CreateAccount(CreateAccountOp {
                            destination: two.clone(),
                            starting_balance: ONE,
                        }),
                    )],
                ),
                self.tx(&two, vec![(None, data(Some(DataValue::default())))]),
            ],
            7 => vec![
                signed_by_one(self.tx(&locked, vec![(None, master(1, signer(0)))])),
                self.tx(&two, vec![(None, OperationBody::AccountMerge(entries::plain(&one)))]),
            ],
            8 => vec![
                self.tx(&two, vec![(None, data(None))]),
                // It stays for ever.
                self.tx(&immutable, vec![(None, flags(4, 0))]),
                self.tx(&immutable, vec![(None, OperationBody::AccountMerge(entries::plain(&one)))]),
            ],
            9 => return self.merge(&[0, 1, 3]),
            _ => return Turn::End,
        })
    }
}
