//! Upgrades: header fields, and config settings that a contract published.

use lake_core::Hash32;
use stellar_xdr::{
    ConfigSettingEntry, ConfigUpgradeSet, ConfigUpgradeSetKey, ContractDataDurability, EncodedLedgerKey,
    FreezeBypassTxsDelta, FrozenLedgerKeysDelta, Hash, LedgerEntryData, LedgerKey, LedgerKeyContractCode,
    LedgerUpgrade, ScBytes, ScVal,
};

use super::{Turn, cast::Cast};
use crate::{
    encode, entries, settings,
    soroban::{
        call::{self, By},
        instance_key, notes,
    },
    state, tx,
};

fn bytes(bytes: Vec<u8>) -> ScVal {
    ScVal::Bytes(ScBytes(bytes.try_into().expect("a set of settings is short")))
}

impl Cast<'_, '_> {
    /// Freezes one key and lets one transaction through, in place of those before (CAP-77).
    fn freezes(&self) -> [ConfigSettingEntry; 2] {
        let now = |empty: ConfigSettingEntry| match self.planner.state.get(&settings::key(&empty)) {
            Some(LedgerEntryData::ConfigSetting(setting)) => setting.clone(),
            Some(_) | None => empty,
        };
        let mut frozen = FrozenLedgerKeysDelta::default();
        if let ConfigSettingEntry::FrozenLedgerKeys(now) = now(settings::frozen_keys()) {
            frozen.keys_to_unfreeze = now.keys;
        }
        let key = encode::xdr(&state::account_key(&self.person(1)));
        let key = EncodedLedgerKey(key.try_into().expect("a key is short"));
        frozen.keys_to_freeze = encode::vecm(vec![key]);
        let mut bypass = FreezeBypassTxsDelta::default();
        if let ConfigSettingEntry::FreezeBypassTxs(now) = now(settings::bypass_transactions()) {
            bypass.remove_txs = now.tx_hashes;
        }
        let hash = Hash(entries::key_bytes(&self.person(2)));
        bypass.add_txs = encode::vecm(vec![hash]);
        [ConfigSettingEntry::FrozenLedgerKeysDelta(frozen), ConfigSettingEntry::FreezeBypassTxsDelta(bypass)]
    }

    pub(super) fn governing(&mut self) -> Turn {
        let owner = self.person(0);
        let network_id = self.planner.world.network_id;
        let run = self.story.run;
        let (upload, code) = call::upload_notes(b"settings");
        let salt = tx::keyed(&[b"settings", &run.to_be_bytes()]);
        let (create, id) = call::create_notes(network_id, &owner, salt, &code);
        let mut updated_entry = settings::all(self.planner.state.lifetimes(), 1 + run % 1_000);
        updated_entry.extend(self.freezes());
        let set = encode::xdr(&ConfigUpgradeSet { updated_entry: encode::vecm(updated_entry) });
        let content_hash = Hash(Hash32::sha256(&[&set]).0);
        let upgrade = |upgrades: &mut Vec<LedgerUpgrade>, upgrade| upgrades.push(upgrade);
        Turn::Go(match self.story.step {
            0 => return self.create(&[100]),
            1 => {
                upgrade(&mut self.upgrades, LedgerUpgrade::BaseFee(150));
                vec![self.call(&owner, upload)]
            }
            2 => {
                upgrade(&mut self.upgrades, LedgerUpgrade::MaxTxSetSize(1_000 + run % 7));
                upgrade(&mut self.upgrades, LedgerUpgrade::BaseReserve(4_500_000));
                vec![self.call(&owner, create)]
            }
            3 => {
                upgrade(&mut self.upgrades, LedgerUpgrade::MaxSorobanTxSetSize(110 + run % 100));
                let name = bytes(content_hash.0.to_vec());
                let key = notes::key(&id, name.clone(), ContractDataDurability::Temporary);
                let code = LedgerKey::ContractCode(LedgerKeyContractCode { hash: code });
                let put = ("put", vec![name, bytes(set), ScVal::Bool(false)]);
                let read = vec![instance_key(&id), code];
                vec![self.call(&owner, call::call_with(&id, put, (read, vec![key]), By::Nobody))]
            }
            4 => {
                let key = ConfigUpgradeSetKey { contract_id: id.clone(), content_hash };
                upgrade(&mut self.upgrades, LedgerUpgrade::Config(key));
                // The contract has done its part and lives on with other code.
                let (upload, other) = call::upload_notes(b"other settings");
                let codes =
                    [code, other.clone()].map(|hash| LedgerKey::ContractCode(LedgerKeyContractCode { hash }));
                let update = ("update", vec![bytes(other.0.to_vec())]);
                let keys = (codes.to_vec(), vec![instance_key(&id)]);
                vec![
                    self.call(&owner, upload),
                    self.call(&owner, call::call_with(&id, update, keys, By::Nobody)),
                ]
            }
            5 => {
                upgrade(&mut self.upgrades, LedgerUpgrade::BaseFee(100));
                upgrade(&mut self.upgrades, LedgerUpgrade::BaseReserve(5_000_000));
                return self.merge(&[0]);
            }
            _ => return Turn::End,
        })
    }
}
