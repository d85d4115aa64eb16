//! Who is in a story, and the transactions and operations that stories are made of.

use stellar_xdr::{
    AccountId, Asset, ChangeTrustOp, CreateAccountOp, LedgerUpgrade, Operation, OperationBody, PaymentOp,
    Price, SetOptionsOp,
};

use super::{KINDS, Kind, Story, Turn};
use crate::{
    entries::{self, ONE},
    soroban::{call::Prepared, footprint},
    tx::{self, Plan},
    workload::{Planner, setup::prepared},
};

/// A story in the hands of the planner.
pub(super) struct Cast<'a, 'b> {
    pub(super) planner: &'a mut Planner<'b>,
    pub(super) story: &'a mut Story,
    /// Upgrades of the ledger.
    pub(super) upgrades: Vec<LedgerUpgrade>,
}

/// An operation and, where it is not the transaction's, its source.
pub(super) type Step<'a> = (Option<&'a AccountId>, OperationBody);

impl<'a, 'b> Cast<'a, 'b> {
    pub(super) fn new(planner: &'a mut Planner<'b>, story: &'a mut Story) -> Self {
        Self { planner, story, upgrades: Vec::new() }
    }

    /// The story's next step.
    pub(super) fn turn(&mut self) -> Turn {
        match self.story.kind {
            Kind::Issuing => self.issuing(),
            Kind::Sponsoring => self.sponsoring(),
            Kind::Claiming => self.claiming(),
            Kind::Pooling => self.pooling(),
            Kind::Refusing => self.refusing(),
            Kind::Signing => self.signing(),
            Kind::Trading => self.trading(),
            Kind::Noting => self.noting(),
            Kind::Wrapping => self.wrapping(),
            Kind::Governing => self.governing(),
        }
    }

    /// Somebody who is in no other story.
    pub(super) fn person(&self, role: u8) -> AccountId {
        let (seed, run) = (self.planner.world.seed.to_be_bytes(), self.story.run.to_be_bytes());
        entries::account_id(tx::keyed(&[&seed, b"story", &run, &[role]]))
    }

    /// The user who pays for the beginning and inherits at the end.
    pub(super) fn funder(&mut self) -> AccountId {
        let users = &self.planner.world.users;
        let at = usize::try_from(self.story.run).unwrap_or(0) * 7 % users.len().max(1);
        let user = users.get(at).unwrap_or(&self.planner.world.root).clone();
        self.planner.used.insert(user.clone());
        user
    }

    /// The beginning of most stories: accounts with so many XLM for the first roles.
    pub(super) fn create(&mut self, lumens: &[i64]) -> Turn {
        let funder = self.funder();
        let created = lumens.iter().zip(0..).map(|(lumens, role)| {
            let destination = self.person(role);
            let starting_balance = lumens * ONE;
            (None, OperationBody::CreateAccount(CreateAccountOp { destination, starting_balance }))
        });
        let created = created.collect();
        Turn::Go(vec![self.tx(&funder, created)])
    }

    /// The end of most stories: these accounts merge into the funder.
    pub(super) fn merge(&mut self, roles: &[u8]) -> Turn {
        let funder = self.funder();
        let merge = |role: &u8| {
            let account = self.person(*role);
            self.tx(&account, vec![(None, OperationBody::AccountMerge(entries::muxed(&funder, 7)))])
        };
        Turn::Go(roles.iter().map(merge).collect())
    }

    /// A transaction, signed by everybody whose operations are in it.
    pub(super) fn tx(&self, source: &AccountId, steps: Vec<Step<'_>>) -> Plan {
        let mut cosigners = Vec::new();
        for (by, _) in &steps {
            if let Some(by) = by.filter(|by| *by != source) {
                let key = entries::key_bytes(by);
                if !cosigners.contains(&key) {
                    cosigners.push(key);
                }
            }
        }
        let operations = steps
            .into_iter()
            .map(|(by, body)| Operation { source_account: by.map(entries::plain), body })
            .collect();
        Plan { cosigners, ..Plan::new(entries::plain(source), operations) }
    }

    /// A Soroban transaction with what is archived declared, in a cluster of the story's own.
    pub(super) fn call(&self, source: &AccountId, (operation, mut data): Prepared) -> Plan {
        footprint::declare_archived(self.planner.state, &mut data);
        self.bare_call(source, (operation, data))
    }

    /// A Soroban transaction as it is.
    pub(super) fn bare_call(&self, source: &AccountId, call: Prepared) -> Plan {
        // Tokens have the clusters before these.
        let cluster = 2 + KINDS.iter().position(|kind| *kind == self.story.kind).unwrap_or(0);
        Plan { cluster, ..prepared(source, call) }
    }

    /// Sequence number that the account's next transaction has if it is its first in the ledger.
    pub(super) fn next_seq(&self, account: &AccountId) -> i64 {
        self.planner.state.account(account).map_or(0, |account| account.seq_num.0 + 1)
    }

    /// What an account holds of a credit asset.
    pub(super) fn holds(&self, account: &AccountId, asset: &Asset) -> i64 {
        self.planner.state.trustline(account, &entries::line_of(asset)).map_or(0, |line| line.balance)
    }

    /// Gives all of an asset back to its issuer and closes the line.
    pub(super) fn give_back(&self, holder: &AccountId, asset: &Asset) -> Plan {
        let held = self.holds(holder, asset);
        let mut steps = Vec::new();
        if held > 0
            && let Some((_, issuer)) = entries::code_and_issuer(asset)
        {
            steps.push((None, pay(issuer, asset, held)));
        }
        steps.push((None, trust(asset, 0)));
        self.tx(holder, steps)
    }
}

/// A payment to a plain account.
pub(super) fn pay(to: &AccountId, asset: &Asset, amount: i64) -> OperationBody {
    let destination = entries::plain(to);
    OperationBody::Payment(PaymentOp { destination, asset: asset.clone(), amount })
}

/// A trustline with this limit.
pub(super) fn trust(asset: &Asset, limit: i64) -> OperationBody {
    OperationBody::ChangeTrust(ChangeTrustOp { line: entries::change_of(asset), limit })
}

/// Account flags to set and to clear.
pub(super) fn flags(set: u32, clear: u32) -> OperationBody {
    let some = |flags: u32| (flags != 0).then_some(flags);
    OperationBody::SetOptions(SetOptionsOp {
        set_flags: some(set),
        clear_flags: some(clear),
        ..Default::default()
    })
}

/// A price.
pub(super) fn price(n: i32, d: i32) -> Price {
    Price { n, d }
}
