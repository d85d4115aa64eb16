//! A contract and its entries: made, changed, extended, expired, restored by hand and by a call, and evicted.

use stellar_xdr::{
    AccountId, ContractDataDurability, ContractId, Hash, LedgerKey, LedgerKeyContractCode, ScVal,
};

use super::{Turn, cast::Cast};
use crate::{
    entries,
    soroban::{
        call::{self, By, Prepared},
        instance_key, notes,
    },
    tx::Plan,
};

const KEPT: ContractDataDurability = ContractDataDurability::Persistent;
const BRIEF: ContractDataDurability = ContractDataDurability::Temporary;
/// Ledgers that the extended entries are to live.
const EXTENDED: u32 = 30;

/// Comes after all clusters of other stories.
const LATER_CLUSTER: usize = 100;

/// The contract of a story and its entries.
struct Notebook {
    owner: AccountId,
    code: Hash,
    id: ContractId,
    /// Keys of a kept note that is extended, one that is not, and two brief ones.
    keys: [LedgerKey; 4],
    names: [ScVal; 4],
}

impl Notebook {
    /// What a call of the contract reads.
    fn read(&self) -> Vec<LedgerKey> {
        vec![
            instance_key(&self.id),
            LedgerKey::ContractCode(LedgerKeyContractCode { hash: self.code.clone() }),
        ]
    }

    fn note(&self, n: usize) -> Option<(LedgerKey, ScVal)> {
        self.keys.get(n).cloned().zip(self.names.get(n).cloned())
    }

    fn put(&self, n: usize, value: ScVal, by: By) -> Option<Prepared> {
        let (key, name) = self.note(n)?;
        let kept = ScVal::Bool(n < 2);
        Some(call::call_with(&self.id, ("put", vec![name, value, kept]), (self.read(), vec![key]), by))
    }

    /// A call that names a note: `del` of a brief one, `attempt` or `fail`.
    fn name(&self, function: &str, n: usize) -> Option<Prepared> {
        let (key, name) = self.note(n)?;
        let args = vec![name, ScVal::Bool(n < 2)];
        Some(call::call_with(&self.id, (function, args), (self.read(), vec![key]), By::Nobody))
    }
}

/// Offers nothing beyond what cannot be refunded, so that rent cannot be paid.
fn miserly((operation, mut data): Prepared) -> Prepared {
    data.resource_fee = crate::soroban::fees::non_refundable(&data.resources);
    (operation, data)
}

impl Cast<'_, '_> {
    fn notebook(&self) -> Notebook {
        let owner = self.person(0);
        let run = self.story.run.to_be_bytes();
        let seed = [b"notebook".as_slice(), &run, &entries::key_bytes(&owner)].concat();
        let (_, code) = call::upload_notes(&seed);
        let salt = crate::tx::keyed(&[&seed]);
        let (_, id) = call::create_notes(self.planner.world.network_id, &owner, salt, &code);
        let first = self.story.run / 10 * 3;
        let names = [0, 7, 13, 16].map(|step| notes::value(first + step));
        let durabilities = [KEPT, KEPT, BRIEF, BRIEF];
        let mut durabilities = durabilities.into_iter();
        let keys = names.clone().map(|name| notes::key(&id, name, durabilities.next().unwrap_or(KEPT)));
        Notebook { owner, code, id, keys, names }
    }

    pub(super) fn noting(&mut self) -> Turn {
        let book = self.notebook();
        let (state, seq) = (self.planner.state, self.planner.seq);
        let [first, second, brief, _] = &book.keys;
        let over = |key: &LedgerKey| state.live_until(key).is_none_or(|end| end < seq);
        let calls: Vec<Option<Prepared>> = match self.story.step {
            0 => return self.create(&[1_000, 50]),
            1 => {
                let seed =
                    [b"notebook".as_slice(), &self.story.run.to_be_bytes(), &entries::key_bytes(&book.owner)];
                vec![Some(call::upload_notes(&seed.concat()).0)]
            }
            2 => {
                let run = self.story.run.to_be_bytes();
                let seed = [b"notebook".as_slice(), &run, &entries::key_bytes(&book.owner)].concat();
                let salt = crate::tx::keyed(&[&seed]);
                vec![Some(call::create_notes(self.planner.world.network_id, &book.owner, salt, &book.code).0)]
            }
            3 => self.first_notes(&book),
            4 => vec![book.put(0, ScVal::U32(self.story.run), By::Nobody), book.name("del", 3)],
            5 => return self.extended(&book),
            // A temporary entry is written anew after its end, before it is evicted.
            6 if !over(brief) => return Turn::Wait,
            6 => vec![book.put(2, ScVal::Void, By::Nobody)],
            7 if !over(second) => return Turn::Wait,
            7 => return self.bring_back(&book),
            8 if state.has(first) => return Turn::Wait,
            8 => vec![book.put(0, notes::value(8), By::Nobody)],
            9 => return self.merge(&[0, 1]),
            _ => return Turn::End,
        };
        Turn::Go(calls.into_iter().flatten().map(|prepared| self.call(&book.owner, prepared)).collect())
    }

    /// Notes of both kinds, one of them authorized by another account, and calls that fail within and as a whole.
    fn first_notes(&self, book: &Notebook) -> Vec<Option<Prepared>> {
        let nonce = i64::from(self.story.run) << 20 | 77;
        let by = By::Address(self.person(1), nonce, self.planner.seq + 12);
        vec![
            book.put(0, notes::value(self.story.run), By::Source),
            book.put(1, notes::value(self.story.run + 4), by),
            book.put(2, notes::value(17), By::Nobody),
            book.put(3, notes::value(5), By::Nobody),
            book.name("attempt", 0),
            book.name("fail", 0),
        ]
    }

    /// With too little money, then by two at once: the first one's extension is the longer one, and stands.
    fn extended(&self, book: &Notebook) -> Turn {
        let [first, second, ..] = &book.keys;
        let mut keys = book.read();
        keys.push(first.clone());
        let own = |ledgers| call::extend(keys.clone(), ledgers);
        let poor = self.call(&book.owner, miserly(call::extend(vec![second.clone()], 200)));
        let mut other = self.call(&self.person(1), own(EXTENDED - 4));
        other.cluster += LATER_CLUSTER;
        Turn::Go(vec![poor, self.call(&book.owner, own(EXTENDED)), other])
    }

    /// Without restoring, with too little money, and then really.
    fn bring_back(&self, book: &Notebook) -> Turn {
        let [_, second, ..] = &book.keys;
        let bare = book.put(1, ScVal::Void, By::Nobody);
        let restore = call::restore(vec![second.clone()]);
        let plans: Vec<Plan> = bare
            .into_iter()
            .chain([miserly(restore.clone()), restore])
            .map(|prepared| self.bare_call(&book.owner, prepared))
            .collect();
        Turn::Go(plans)
    }
}
