//! The contract of an asset: held by accounts and by contracts, minted, burned, taken back and blocked.

use stellar_xdr::{AccountId, Asset, ContractId, LedgerKey, MuxedEd25519Account, ScAddress, ScVal, Uint256};

use super::{
    Turn,
    cast::{Cast, flags, pay, trust},
};
use crate::{
    entries::{self, ONE},
    soroban::{
        call::{self, By, Prepared},
        instance_key, sac,
    },
    state,
};

/// An asset with its contract, and a contract that holds some.
struct Wrap {
    asset: Asset,
    id: ContractId,
    vault: ScAddress,
}

impl Wrap {
    fn key(&self, holder: &ScAddress) -> LedgerKey {
        match holder {
            ScAddress::Account(id) if self.asset == Asset::Native => state::account_key(id),
            ScAddress::Account(id) => state::trustline_key(id, &entries::line_of(&self.asset)),
            ScAddress::MuxedAccount(muxed) => {
                let id = entries::account_id(muxed.ed25519.0);
                state::trustline_key(&id, &entries::line_of(&self.asset))
            }
            ScAddress::Contract(_)
            | ScAddress::ClaimableBalance(_)
            | ScAddress::LiquidityPool(_)
            | ScAddress::MuxedContract(_) => sac::balance_key(&self.id, holder),
        }
    }

    /// A call about these holders, with the last argument given.
    fn call(&self, function: &str, holders: &[&ScAddress], last: ScVal) -> Prepared {
        let mut args: Vec<ScVal> = holders.iter().map(|holder| ScVal::Address((*holder).clone())).collect();
        args.push(last);
        let mut keys: Vec<LedgerKey> = holders.iter().map(|holder| self.key(holder)).collect();
        keys.dedup();
        call::call_with(&self.id, (function, args), (vec![instance_key(&self.id)], keys), By::Source)
    }

    fn amount(&self, function: &str, holders: &[&ScAddress], amount: i64) -> Prepared {
        self.call(function, holders, entries::i128_val(amount * ONE))
    }
}

impl Cast<'_, '_> {
    fn wrap(&self, asset: Asset) -> Wrap {
        let (_, id) = call::create_asset(self.planner.world.network_id, &asset);
        let vault = self.planner.world.tokens.first().cloned().unwrap_or_else(|| id.clone());
        Wrap { asset, id, vault: ScAddress::Contract(vault) }
    }

    pub(super) fn wrapping(&mut self) -> Turn {
        let (issuer, holder) = (self.person(0), self.person(1));
        let credit = self.wrap(entries::credit("WRAP", &issuer));
        let lumen = self.wrap(Asset::Native);
        let (own, vault) = (ScAddress::Account(holder.clone()), credit.vault.clone());
        let aliased = ScAddress::MuxedAccount(MuxedEd25519Account {
            id: 42,
            ed25519: Uint256(entries::key_bytes(&holder)),
        });
        let (by_issuer, by_holder): (Vec<Prepared>, Vec<Prepared>) = match self.story.step {
            0 => return self.create(&[300, 300]),
            1 => {
                return Turn::Go(vec![
                    self.tx(&issuer, vec![(None, flags(2 | 8, 0))]),
                    self.tx(&holder, vec![(None, trust(&credit.asset, i64::MAX))]),
                ]);
            }
            2 => {
                let mut plans =
                    vec![self.tx(&issuer, vec![(None, pay(&holder, &credit.asset, 1_000 * ONE))])];
                for wrap in [&credit, &lumen] {
                    let (create, id) = call::create_asset(self.planner.world.network_id, &wrap.asset);
                    if !self.planner.state.has(&instance_key(&id)) {
                        plans.push(self.call(&issuer, create));
                    }
                }
                return Turn::Go(plans);
            }
            3 => (
                vec![credit.amount("mint", &[&own], 50)],
                vec![
                    credit.amount("transfer", &[&own, &vault], 30),
                    credit.amount("burn", &[&own], 5),
                    lumen.amount("transfer", &[&own, &vault], 3),
                ],
            ),
            4 => (
                vec![
                    credit.amount("clawback", &[&vault], 2),
                    credit.call("set_authorized", &[&vault], ScVal::Bool(false)),
                    credit.call("set_authorized", &[&own], ScVal::Bool(false)),
                ],
                vec![credit.amount("transfer", &[&own, &vault], 1)],
            ),
            5 => (
                vec![
                    credit.call("set_authorized", &[&vault], ScVal::Bool(true)),
                    credit.call("set_authorized", &[&own], ScVal::Bool(true)),
                ],
                vec![
                    credit.amount("transfer", &[&vault, &aliased], 28),
                    lumen.amount("transfer", &[&vault, &own], 2),
                    credit.amount("transfer", &[&own, &vault], 1_000_000),
                ],
            ),
            6 => (
                vec![credit.amount("clawback", &[&own], 3)],
                vec![lumen.amount("transfer", &[&vault, &own], 1)],
            ),
            7 => return Turn::Go(vec![self.give_back(&holder, &credit.asset)]),
            8 => return self.merge(&[1, 0]),
            _ => return Turn::End,
        };
        let called = |by: &AccountId, calls: Vec<Prepared>| {
            calls.into_iter().map(|prepared| self.call(by, prepared)).collect::<Vec<_>>()
        };
        let mut plans = called(&issuer, by_issuer);
        plans.extend(called(&holder, by_holder));
        Turn::Go(plans)
    }
}
