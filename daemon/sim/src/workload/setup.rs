//! How a network comes to life: accounts, trustlines, money, contracts and offers, step by step.

use std::collections::VecDeque;

use stellar_xdr::{
    AccountId, Asset, ChangeTrustOp, CreateAccountOp, OperationBody, PaymentOp, SetOptionsOp, Signer,
    SignerKey, Uint256,
};

use super::{Planner, operation, world::World};
use crate::{
    config::Density,
    encode, entries,
    entries::ONE,
    soroban::call::{self, Prepared},
    tx::{self, Plan},
};

/// One transaction of the beginning.
#[derive(Clone, Debug)]
enum Step {
    /// The root account creates these.
    Create(Vec<AccountId>),
    /// A user opens trustlines and adds this many signers.
    Open(AccountId, u64),
    /// An issuer names its home.
    Home(AccountId),
    /// The issuer of an asset pays these.
    Issue(Asset, AccountId, Vec<AccountId>),
    /// The root account uploads the token's code.
    Upload,
    /// The root account creates a token.
    Token(u8),
    /// A user mints some of a token for itself.
    Mint(usize, AccountId),
    /// A maker's first offers.
    Offers(AccountId),
}

/// Steps in phases: a phase begins in the ledger after the last step of the one before.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    phases: VecDeque<VecDeque<Step>>,
}

impl Setup {
    /// All steps.
    pub(super) fn new(world: &World, density: Density) -> Self {
        let chunk = if density.is_small() { 20 } else { 100 };
        let everybody: Vec<AccountId> =
            world.issuers.iter().chain(&world.payers).chain(&world.users).cloned().collect();
        let create = everybody.chunks(chunk).map(|some| Step::Create(some.to_vec())).collect();
        let mut open: VecDeque<Step> = world.issuers.iter().cloned().map(Step::Home).collect();
        open.push_back(Step::Upload);
        let signers = |number: usize| match number % 12 {
            0 => 1,
            4 => 3,
            8 if number.is_multiple_of(5) => 12,
            _ => 0,
        };
        open.extend(world.users.iter().enumerate().map(|(n, user)| Step::Open(user.clone(), signers(n))));
        let mut issue: VecDeque<Step> = VecDeque::from([Step::Token(0), Step::Token(1)]);
        for ((asset, _), issuer) in world.assets.iter().zip(&world.issuers) {
            issue.extend(
                world
                    .users
                    .chunks(chunk)
                    .map(|some| Step::Issue(asset.clone(), issuer.clone(), some.to_vec())),
            );
        }
        let holders = world.users.iter().step_by(if density.is_small() { 3 } else { 6 });
        let mut start: VecDeque<Step> = world.makers.iter().cloned().map(Step::Offers).collect();
        start.extend(holders.enumerate().map(|(n, user)| Step::Mint(n % 2, user.clone())));
        Self { phases: VecDeque::from([create, open, issue, start]) }
    }

    /// Whether life can begin.
    pub(super) fn done(&self) -> bool {
        self.phases.is_empty()
    }

    /// The next steps: as many as a ledger of this density takes.
    pub(super) fn plan(&mut self, planner: &mut Planner<'_>, dense: bool) -> Vec<Plan> {
        let (most_operations, most_plans) = if dense { (700, 280) } else { (60, 3) };
        let Some(phase) = self.phases.front_mut() else { return Vec::new() };
        let (mut plans, mut operations) = (Vec::new(), 0);
        while plans.len() < most_plans && operations < most_operations {
            let Some(step) = phase.pop_front() else { break };
            let plan = planner.step(step);
            operations += plan.operations.len();
            plans.push(plan);
        }
        if phase.is_empty() {
            self.phases.pop_front();
        }
        plans
    }
}

impl Planner<'_> {
    fn step(&mut self, step: Step) -> Plan {
        let world = self.world;
        let root = &world.root;
        match step {
            Step::Create(accounts) => {
                let create = |destination| {
                    let starting_balance = 1_000_000 * ONE;
                    operation(OperationBody::CreateAccount(CreateAccountOp { destination, starting_balance }))
                };
                Plan::new(entries::plain(root), accounts.into_iter().map(create).collect())
            }
            Step::Open(user, signers) => {
                let trust = |(asset, _): &(Asset, i32)| {
                    let op = ChangeTrustOp { line: entries::change_of(asset), limit: i64::MAX };
                    operation(OperationBody::ChangeTrust(op))
                };
                let mut operations: Vec<_> = world.assets.iter().map(trust).collect();
                operations.extend((0..signers).map(|number| operation(add_signer(&user, number, 1))));
                Plan::new(entries::plain(&user), operations)
            }
            Step::Home(issuer) => {
                let op = SetOptionsOp { home_domain: Some(home("issuer.example")), ..Default::default() };
                Plan::new(entries::plain(&issuer), vec![operation(OperationBody::SetOptions(op))])
            }
            Step::Issue(asset, issuer, users) => {
                let pay = |user: AccountId| {
                    let amount = 1_000_000 * ONE;
                    let op = PaymentOp { destination: entries::plain(&user), asset: asset.clone(), amount };
                    operation(OperationBody::Payment(op))
                };
                Plan::new(entries::plain(&issuer), users.into_iter().map(pay).collect())
            }
            Step::Upload => prepared(root, call::upload()),
            Step::Token(salt) => {
                let names = if salt == 0 { ("Simulated Gold", "SGLD") } else { ("Simulated Silver", "SSLV") };
                prepared(root, call::create(world.network_id, root, salt, names))
            }
            Step::Mint(token, user) => match world.tokens.get(token) {
                Some(contract) => {
                    let args = vec![entries::address(&user), entries::i128_val(1_000_000 * ONE)];
                    let mut plan = prepared(&user, call::call(contract, "mint", args, &[&user]));
                    plan.cluster = token;
                    plan
                }
                None => Plan::new(entries::plain(&user), Vec::new()),
            },
            Step::Offers(maker) => {
                let operations = (0..6).filter_map(|_| self.fresh_offer()).collect();
                Plan::new(entries::plain(&maker), operations)
            }
        }
    }
}

/// A Soroban transaction.
pub(super) fn prepared(source: &AccountId, (operation, data): Prepared) -> Plan {
    Plan { soroban: Some(data), ..Plan::new(entries::plain(source), vec![operation]) }
}

/// Adds (or, with weight 0, removes) the signer `number` of an account.
pub(super) fn add_signer(user: &AccountId, number: u64, weight: u32) -> OperationBody {
    let key = tx::keyed(&[&entries::key_bytes(user), b"signer", &number.to_be_bytes()]);
    let signer = Signer { key: SignerKey::Ed25519(Uint256(key)), weight };
    OperationBody::SetOptions(SetOptionsOp { signer: Some(signer), ..Default::default() })
}

/// A home domain.
pub(super) fn home(domain: &str) -> stellar_xdr::String32 {
    let bytes = domain.as_bytes().to_vec();
    stellar_xdr::String32(bytes.try_into().expect("a domain of the network has at most 32 bytes"))
}

/// A bounded list from an iterator.
pub(super) fn list<T, const MAX: u32>(items: impl IntoIterator<Item = T>) -> stellar_xdr::VecM<T, MAX> {
    encode::vecm(items.into_iter().collect())
}
