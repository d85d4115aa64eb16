//! Signers of all kinds, options, preconditions, memos and named values.

use stellar_xdr::{
    AccountId, Asset, BumpSequenceOp, DataValue, Duration, LedgerBounds, ManageDataOp, Memo, OperationBody,
    Preconditions, PreconditionsV2, SequenceNumber, SetOptionsOp, Signer, SignerKey,
    SignerKeyEd25519SignedPayload, String64, TimeBounds, TimePoint, Uint256,
};

use super::{
    Turn,
    cast::{Cast, pay},
};
use crate::{
    entries::{self, ONE},
    header, one_time,
    tx::{self, Plan},
    workload::setup::{home, list},
};

/// A signer of each kind.
fn keys(account: &AccountId, friend: &AccountId) -> [SignerKey; 4] {
    let own = entries::key_bytes(account);
    let named = |name: &[u8]| Uint256(tx::keyed(&[name, &own]));
    [
        SignerKey::Ed25519(Uint256(entries::key_bytes(friend))),
        SignerKey::PreAuthTx(named(b"pre-authorized transaction")),
        SignerKey::HashX(named(b"hash of x")),
        SignerKey::Ed25519SignedPayload(SignerKeyEd25519SignedPayload {
            ed25519: named(b"payload signer"),
            payload: b"a payload of 29 bytes, signed".to_vec().try_into().expect("the payload is short"),
        }),
    ]
}

fn options(options: SetOptionsOp) -> OperationBody {
    OperationBody::SetOptions(options)
}

fn signer(key: SignerKey, weight: u32) -> OperationBody {
    options(SetOptionsOp { signer: Some(Signer { key, weight }), ..Default::default() })
}

fn master(weight: u32) -> OperationBody {
    options(SetOptionsOp { master_weight: Some(weight), ..Default::default() })
}

fn data(name: &str, value: Option<&[u8]>) -> OperationBody {
    OperationBody::ManageData(ManageDataOp {
        data_name: String64(name.as_bytes().to_vec().try_into().expect("a name has at most 64 bytes")),
        data_value: value.map(|value| DataValue(value.to_vec().try_into().expect("the value is short"))),
    })
}

impl Cast<'_, '_> {
    pub(super) fn signing(&mut self) -> Turn {
        let (account, friend) = (self.person(0), self.person(1));
        let [ed25519, pre_auth, hash_x, payload] = keys(&account, &friend);
        let long = "n".repeat(64);
        let cosigned = |mut plan: Plan| {
            plan.cosigners.push(entries::key_bytes(&friend));
            plan
        };
        Turn::Go(match self.story.step {
            0 => return self.create(&[100, 100]),
            1 => {
                let all = options(SetOptionsOp {
                    inflation_dest: Some(friend.clone()),
                    set_flags: Some(1),
                    master_weight: Some(10),
                    low_threshold: Some(1),
                    med_threshold: Some(2),
                    high_threshold: Some(3),
                    home_domain: Some(home("signers.example")),
                    signer: Some(Signer { key: ed25519, weight: 5 }),
                    ..Default::default()
                });
                let others = [pre_auth, hash_x, payload].into_iter().map(|key| (None, signer(key, 1)));
                vec![self.tx(&account, std::iter::once((None, all)).chain(others).collect())]
            }
            2 => {
                let plain = options(SetOptionsOp {
                    clear_flags: Some(1),
                    low_threshold: Some(0),
                    home_domain: Some(home("")),
                    ..Default::default()
                });
                let nobody = SetOptionsOp { inflation_dest: Some(self.person(9)), ..Default::default() };
                vec![
                    self.tx(
                        &account,
                        vec![(None, signer(hash_x, 9)), (None, signer(pre_auth, 0)), (None, plain)],
                    ),
                    self.tx(&account, vec![(None, options(nobody))]),
                ]
            }
            3 => vec![cosigned(self.bounded(&account, [ed25519, payload]))],
            4 => self.memos(&account),
            5 => vec![self.tx(&account, vec![(None, master(0))])],
            6 => vec![cosigned(self.tx(&account, vec![(None, master(1))]))],
            7 => vec![
                self.tx(
                    &account,
                    vec![(None, data(&long, Some(&[0, 0xff, 7]))), (None, data("brief", Some(b"1")))],
                ),
                self.tx(&account, vec![(None, data("unknown", None))]),
            ],
            8 => {
                // The next step's transaction is authorized now.
                let next = self.parting(&account, self.next_seq(&account) + 1);
                vec![
                    self.tx(
                        &account,
                        vec![(None, data(&long, Some(b"now another"))), (None, signer(next.1, 1))],
                    ),
                ]
            }
            9 => vec![self.parting(&account, self.next_seq(&account)).0],
            10 => {
                // The account goes with one signer left.
                let removed = [hash_x, payload].into_iter().map(|key| (None, signer(key, 0)));
                vec![self.tx(&account, removed.collect())]
            }
            11 => return self.merge(&[0, 1]),
            _ => return Turn::End,
        })
    }

    /// Removes the named values and leaves sequence numbers out; with the signer that stands for the transaction.
    fn parting(&self, account: &AccountId, seq: i64) -> (Plan, SignerKey) {
        let bump_to = SequenceNumber(seq + 1_000);
        let bump = OperationBody::BumpSequence(BumpSequenceOp { bump_to });
        let long = "n".repeat(64);
        let plan =
            self.tx(account, vec![(None, data(&long, None)), (None, data("brief", None)), (None, bump)]);
        let network_id = &self.planner.world.network_id;
        let built = tx::build(network_id, plan.clone(), seq, self.planner.base_fee);
        let key = one_time::key(&built);
        (plan, key)
    }

    /// A transaction with all preconditions; it leaves four sequence numbers out.
    fn bounded(&self, account: &AccountId, extra: [SignerKey; 2]) -> Plan {
        let next = self.next_seq(account);
        let mut plan = self.tx(account, vec![(None, pay(&self.person(1), &Asset::Native, 5))]);
        let now = header::close_time(self.planner.seq);
        plan.seq = Some(next + 4);
        plan.cond = Preconditions::V2(PreconditionsV2 {
            time_bounds: Some(TimeBounds { min_time: TimePoint(now - 60), max_time: TimePoint(now + 600) }),
            ledger_bounds: Some(LedgerBounds {
                min_ledger: self.planner.seq - 1,
                max_ledger: self.planner.seq + 1_000,
            }),
            min_seq_num: Some(SequenceNumber(next - 1)),
            min_seq_age: Duration(2),
            min_seq_ledger_gap: 1,
            extra_signers: list(extra),
        });
        plan
    }

    /// A payment with every kind of memo, text that is no UTF-8 included, the last as a fee bump.
    fn memos(&mut self, account: &AccountId) -> Vec<Plan> {
        let funder = self.funder();
        let to = self.person(1);
        let hash = || stellar_xdr::Hash(tx::keyed(&[b"memo", &entries::key_bytes(account)]));
        let text = |bytes: &[u8]| Memo::Text(bytes.to_vec().try_into().expect("a memo has at most 28 bytes"));
        let memos = [
            text("caf\u{e9} \u{2603}".as_bytes()),
            text(&[b'c', b'a', b'f', 0xe9, 0xff]),
            text(b""),
            Memo::Id(u64::MAX),
            Memo::Hash(hash()),
            Memo::Return(hash()),
        ];
        let mut plans: Vec<Plan> = memos
            .into_iter()
            .map(|memo| {
                let mut plan = self.tx(account, vec![(None, pay(&to, &Asset::Native, ONE / 100))]);
                plan.memo = memo;
                plan
            })
            .collect();
        if let Some(last) = plans.last_mut() {
            last.payer = Some(entries::muxed(&funder, 1_234));
            last.source = entries::muxed(account, u64::MAX);
        }
        plans
    }
}
