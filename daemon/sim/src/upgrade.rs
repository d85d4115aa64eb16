//! Upgrades that validators agreed on: header fields and config settings (CAP-46-10), with the changes they make.

use stellar_xdr::{
    ConfigSettingContractExecutionLanesV0, ConfigSettingEntry, ConfigUpgradeSet, ConfigUpgradeSetKey,
    LedgerEntryData, LedgerHeaderExt, LedgerHeaderExtensionV1, LedgerHeaderExtensionV1Ext, LedgerKey,
    LedgerUpgrade, Limits, ReadXdr, ScBytes, ScVal, UpgradeType, VecM,
};

use crate::{
    encode::{self, Seq},
    network::SimNetwork,
    settings,
    soroban::notes,
};

/// What upgrades leave in the ledger.
#[derive(Debug, Default)]
pub(crate) struct Upgraded {
    /// For the header's value.
    pub(crate) types: VecM<UpgradeType, 6>,
    /// `upgradesProcessing`.
    pub(crate) processing: Seq,
}

/// Applies the upgrades.
pub(crate) fn apply(network: &mut SimNetwork, upgrades: Vec<LedgerUpgrade>) -> Upgraded {
    let mut types = Vec::new();
    let mut processing = Seq::default();
    for upgrade in upgrades {
        apply_one(network, &upgrade);
        let mut changes = Seq::default();
        network.state.seal(&mut changes, false);
        let bytes = encode::xdr(&upgrade);
        let mut meta = bytes.clone();
        changes.write(&mut meta);
        processing.push_raw(&[&meta]);
        types.push(UpgradeType(bytes.try_into().expect("an upgrade is short")));
    }
    Upgraded { types: encode::vecm(types), processing }
}

fn apply_one(network: &mut SimNetwork, upgrade: &LedgerUpgrade) {
    let header = &mut network.header;
    match upgrade {
        LedgerUpgrade::Version(version) => header.ledger_version = *version,
        LedgerUpgrade::BaseFee(stroops) => header.base_fee = *stroops,
        LedgerUpgrade::MaxTxSetSize(operations) => header.max_tx_set_size = *operations,
        LedgerUpgrade::BaseReserve(stroops) => {
            header.base_reserve = *stroops;
            network.state.set_base_reserve(i64::from(*stroops));
        }
        LedgerUpgrade::Flags(flags) => {
            header.ext = LedgerHeaderExt::V1(LedgerHeaderExtensionV1 {
                flags: *flags,
                ext: LedgerHeaderExtensionV1Ext::V0,
            });
        }
        LedgerUpgrade::MaxSorobanTxSetSize(count) => {
            let lanes = ConfigSettingContractExecutionLanesV0 { ledger_max_tx_count: *count };
            set(network, ConfigSettingEntry::ContractExecutionLanes(lanes));
        }
        LedgerUpgrade::Config(key) => {
            for entry in published(network, key).into_iter().flat_map(|set| set.updated_entry.to_vec()) {
                set(network, entry);
            }
        }
    }
}

fn set(network: &mut SimNetwork, entry: ConfigSettingEntry) {
    let now = |key: &LedgerKey| match network.state.get(key) {
        Some(LedgerEntryData::ConfigSetting(setting)) => Some(setting),
        Some(_) | None => None,
    };
    let entry = settings::upgraded(entry, now);
    let key = settings::key(&entry);
    if let ConfigSettingEntry::StateArchival(archival) = &entry {
        network.state.set_lifetimes(settings::lifetimes(archival));
    }
    network.state.put(key, LedgerEntryData::ConfigSetting(entry));
}

/// The settings that a contract holds under their hash.
fn published(network: &SimNetwork, key: &ConfigUpgradeSetKey) -> Option<ConfigUpgradeSet> {
    let name = ScVal::Bytes(ScBytes(key.content_hash.0.to_vec().try_into().expect("a hash is short")));
    let key = notes::key(&key.contract_id, name, stellar_xdr::ContractDataDurability::Temporary);
    let LedgerEntryData::ContractData(entry) = network.state.get(&key)? else { return None };
    let ScVal::Bytes(bytes) = &entry.val else { return None };
    ConfigUpgradeSet::from_xdr(bytes.0.as_slice(), Limits::none()).ok()
}
