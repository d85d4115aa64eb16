//! Who does what in the next ledger: a function of seed, sequence and state.

mod contracts;
mod misc;
mod offers;
mod payments;
mod setup;
mod stories;
mod world;

use std::collections::HashSet;

use stellar_xdr::{
    AccountId, LedgerHeader, LedgerUpgrade, Memo, MuxedAccount, Operation, Preconditions, TimeBounds,
    TimePoint,
};

use crate::{
    config::Density,
    entries, header,
    rng::Rng,
    state::{Lifetimes, State},
    tx::{self, Plan},
};
use setup::Setup;
use stories::Stories;
use world::World;

/// In a mixed network every ledger with this remainder is dense.
const DENSE_EVERY: u32 = 20;

/// So many sparse ledgers in 100 have a step of a story in them.
const STORY_PERCENT: u64 = 12;

/// The source of all transactions.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    seed: u64,
    density: Density,
    world: World,
    setup: Setup,
    stories: Stories,
}

/// What planning a transaction may use.
#[derive(Debug)]
struct Planner<'a> {
    world: &'a World,
    state: &'a State,
    rng: Rng,
    seq: u32,
    /// Fee per operation, in stroops.
    base_fee: u32,
    /// Accounts that are the source of a transaction of this ledger already.
    used: HashSet<AccountId>,
}

impl Workload {
    /// The people of a network.
    pub(crate) fn new(network_id: [u8; 32], seed: u64, density: Density) -> Self {
        let world = World::new(network_id, seed, density);
        let setup = Setup::new(&world, density);
        Self { seed, density, world, setup, stories: Stories::default() }
    }

    /// The account that holds all money at first.
    pub(crate) fn root(&self) -> &AccountId {
        &self.world.root
    }

    /// How long contract entries live that nobody extends.
    pub(crate) fn lifetimes(&self) -> Lifetimes {
        let persistent = if self.density == Density::Everything { 24 } else { 4_096 };
        Lifetimes { temporary: 16, persistent }
    }

    /// Transactions and upgrades for the next ledger, in the order in which they are to be applied.
    pub(crate) fn plan(&mut self, state: &State, header: &LedgerHeader) -> (Vec<Plan>, Vec<LedgerUpgrade>) {
        let seq = header.ledger_seq + 1;
        let dense = match self.density {
            Density::Dense => true,
            Density::Sparse | Density::Everything => false,
            Density::Mixed => seq % DENSE_EVERY == 2,
        };
        let mut planner = Planner {
            world: &self.world,
            state,
            rng: Rng::new(&[self.seed, u64::from(seq)]),
            seq,
            base_fee: header.base_fee,
            used: HashSet::new(),
        };
        if !self.setup.done() {
            // A sparse ledger of a mixed network leaves the setting up to the dense ones.
            let big = !self.density.is_small();
            let plans = if big && !dense { Vec::new() } else { self.setup.plan(&mut planner, dense) };
            return (plans, Vec::new());
        }
        let everything = self.density == Density::Everything;
        let (mut plans, upgrades) = if everything || dense || planner.rng.percent(STORY_PERCENT) {
            self.stories.plan(&mut planner, everything)
        } else {
            (Vec::new(), Vec::new())
        };
        plans.extend(if dense { planner.dense() } else { planner.sparse() });
        (plans, upgrades)
    }
}

impl Planner<'_> {
    fn dense(&mut self) -> Vec<Plan> {
        let count = self.rng.between(200, 330);
        let mut plans: Vec<Plan> = (0..count).filter_map(|_| self.dense_one()).collect();
        for _ in 0..2 {
            let at = self.rng.index(plans.len());
            let size = self.rng.between(80, 100);
            if let Some(plan) = self.airdrop(size) {
                plans.insert(at, plan);
            }
        }
        plans
    }

    fn dense_one(&mut self) -> Option<Plan> {
        let plan = match self.rng.below(1000) {
            0..430 => self.failing_path(),
            430..460 => self.failing_payments(),
            460..490 => self.failing_offer(),
            490..585 => self.token_call(48),
            585..720 => self.payments(4),
            720..870 => self.making(6),
            870..920 => self.taking(),
            920..980 => self.path(),
            _ => self.misc(),
        }?;
        Some(self.dress(plan, 13))
    }

    fn sparse(&mut self) -> Vec<Plan> {
        let count = match self.rng.below(100) {
            0..34 => 0,
            34..72 => 1,
            72..90 => 2,
            90..97 => 3,
            _ => 6,
        };
        (0..count).filter_map(|_| self.sparse_one()).collect()
    }

    fn sparse_one(&mut self) -> Option<Plan> {
        let plan = match self.rng.below(100) {
            0..36 => self.payments(2),
            36..52 => self.token_call(12),
            52..64 => self.making(2),
            64..70 => self.taking(),
            70..78 => self.path(),
            78..84 => self.failing_payments(),
            84..88 => self.failing_path(),
            _ => self.misc(),
        }?;
        Some(self.dress(plan, 8))
    }

    /// An account that is no source yet.
    fn source(&mut self) -> Option<AccountId> {
        let users = &self.world.users;
        (0..8).find_map(|_| {
            let user = self.rng.pick(users)?;
            self.used.insert(user.clone()).then(|| user.clone())
        })
    }

    /// Any user.
    fn user(&mut self) -> Option<AccountId> {
        self.rng.pick(&self.world.users).cloned()
    }

    /// The account as a destination, now and then with an id built in.
    fn address_of(&mut self, id: &AccountId) -> MuxedAccount {
        if self.rng.percent(4) { entries::muxed(id, self.rng.below(1 << 40)) } else { entries::plain(id) }
    }

    /// A transaction from `source`, now and then from a muxed form of it.
    fn from(&mut self, source: &AccountId, operations: Vec<Operation>) -> Plan {
        let source = if self.rng.percent(3) {
            entries::muxed(source, self.rng.below(1 << 20))
        } else {
            entries::plain(source)
        };
        Plan::new(source, operations)
    }

    /// Adds what varies between transactions whatever they do: memo, time bounds, bid, payer, cosigners.
    fn dress(&mut self, mut plan: Plan, bump_percent: u64) -> Plan {
        let soroban = plan.soroban.is_some();
        if !soroban {
            plan.memo = self.memo();
        }
        if self.rng.percent(70) {
            let late = header::close_time(self.seq) + 30 + self.rng.below(300);
            plan.cond = Preconditions::Time(TimeBounds { min_time: TimePoint(0), max_time: TimePoint(late) });
        }
        plan.tip = if self.rng.percent(60) { 0 } else { u32::try_from(self.rng.below(20_000)).unwrap_or(0) };
        // Nearly half of the Soroban transactions are fee bumps: relays send them.
        let share = if soroban { 45 } else { bump_percent };
        if self.rng.percent(share)
            && let Some(payer) = self.rng.pick(&self.world.payers).cloned()
        {
            plan.payer = Some(entries::plain(&payer));
        }
        if self.rng.percent(30) {
            let source = entries::key_bytes(&entries::unmuxed(&plan.source));
            let number = 1 + self.rng.below(2);
            plan.cosigners =
                (0..number).map(|n| tx::keyed(&[&source, b"signer", &n.to_be_bytes()])).collect();
        }
        plan
    }

    fn memo(&mut self) -> Memo {
        match self.rng.below(100) {
            0..78 => Memo::None,
            78..92 => {
                let text = format!("order {}", self.rng.below(1_000_000_000));
                Memo::Text(text.as_bytes().to_vec().try_into().expect("the text has fewer than 28 bytes"))
            }
            92..97 => Memo::Id(self.rng.next()),
            97 | 98 => Memo::Hash(stellar_xdr::Hash(self.rng.bytes32())),
            _ => Memo::Return(stellar_xdr::Hash(self.rng.bytes32())),
        }
    }
}

/// An operation without a source of its own.
fn operation(body: stellar_xdr::OperationBody) -> Operation {
    Operation { source_account: None, body }
}
