//! Config settings: those of genesis, and what upgrades make of them.

use stellar_xdr::{
    ConfigSettingContractBandwidthV0, ConfigSettingContractComputeV0, ConfigSettingContractEventsV0,
    ConfigSettingContractExecutionLanesV0, ConfigSettingContractHistoricalDataV0,
    ConfigSettingContractLedgerCostExtV0, ConfigSettingContractLedgerCostV0,
    ConfigSettingContractParallelComputeV0, ConfigSettingEntry, ConfigSettingScpTiming,
    ContractCostParamEntry, ContractCostParams, EvictionIterator, ExtensionPoint, FreezeBypassTxs,
    FrozenLedgerKeys, LedgerKey, LedgerKeyConfigSetting, StateArchivalSettings, VecM,
};

use crate::{encode, soroban::fees, state::Lifetimes};

/// Key of a setting.
pub(crate) fn key(entry: &ConfigSettingEntry) -> LedgerKey {
    LedgerKey::ConfigSetting(LedgerKeyConfigSetting { config_setting_id: entry.discriminant() })
}

/// Ledgers that entries live with these settings.
pub(crate) fn lifetimes(archival: &StateArchivalSettings) -> Lifetimes {
    Lifetimes { temporary: archival.min_temporary_ttl, persistent: archival.min_persistent_ttl }
}

/// State archival settings with these lifetimes.
pub(crate) fn archival(lifetimes: Lifetimes) -> StateArchivalSettings {
    StateArchivalSettings {
        max_entry_ttl: 3_110_400,
        min_temporary_ttl: lifetimes.temporary,
        min_persistent_ttl: lifetimes.persistent,
        persistent_rent_rate_denominator: 1_215,
        temp_rent_rate_denominator: 2_430,
        max_entries_to_archive: 1_000,
        live_soroban_state_size_window_sample_size: 30,
        live_soroban_state_size_window_sample_period: 64,
        eviction_scan_size: 500_000,
        starting_eviction_scan_level: 7,
    }
}

/// Compute limits, the larger the higher the `step`.
pub(crate) fn compute(step: u32) -> ConfigSettingEntry {
    let million = 1_000_000 + i64::from(step);
    ConfigSettingEntry::ContractComputeV0(ConfigSettingContractComputeV0 {
        ledger_max_instructions: 500 * million,
        tx_max_instructions: 100 * million,
        fee_rate_per_instructions_increment: 25,
        tx_memory_limit: 41_943_040,
    })
}

/// Cost model parameters.
fn costs(step: u32) -> ContractCostParams {
    let entry = |n: i64| ContractCostParamEntry {
        ext: ExtensionPoint::V0,
        const_term: 4 + n + i64::from(step),
        linear_term: 16 * n,
    };
    ContractCostParams(encode::vecm((0..8).map(entry).collect()))
}

/// All settings, the limits raised a little with each `step`.
pub(crate) fn all(lifetimes: Lifetimes, step: u32) -> Vec<ConfigSettingEntry> {
    use ConfigSettingEntry as Entry;
    vec![
        Entry::ContractMaxSizeBytes(131_072 + step),
        compute(step),
        Entry::ContractLedgerCostV0(ConfigSettingContractLedgerCostV0 {
            ledger_max_disk_read_entries: 1_000 + step,
            ledger_max_disk_read_bytes: 3_500_000,
            ledger_max_write_ledger_entries: 500,
            ledger_max_write_bytes: 143_360,
            tx_max_disk_read_entries: 100,
            tx_max_disk_read_bytes: 200_000,
            tx_max_write_ledger_entries: 50,
            tx_max_write_bytes: 132_096,
            fee_disk_read_ledger_entry: 6_250,
            fee_write_ledger_entry: 10_000,
            fee_disk_read1_kb: 1_786,
            soroban_state_target_size_bytes: 3_000_000_000,
            rent_fee1_kb_soroban_state_size_low: -17_000,
            rent_fee1_kb_soroban_state_size_high: 10_000,
            soroban_state_rent_fee_growth_factor: 5_000,
        }),
        Entry::ContractHistoricalDataV0(ConfigSettingContractHistoricalDataV0 {
            fee_historical1_kb: 16_235 + i64::from(step),
        }),
        Entry::ContractEventsV0(ConfigSettingContractEventsV0 {
            tx_max_contract_events_size_bytes: 16_384 + step,
            fee_contract_events1_kb: 10_000,
        }),
        Entry::ContractBandwidthV0(ConfigSettingContractBandwidthV0 {
            ledger_max_txs_size_bytes: 133_120 + step,
            tx_max_size_bytes: 132_096,
            fee_tx_size1_kb: 1_624,
        }),
        Entry::ContractCostParamsCpuInstructions(costs(step)),
        Entry::ContractCostParamsMemoryBytes(costs(step + 1)),
        Entry::ContractDataKeySizeBytes(250 + step),
        Entry::ContractDataEntrySizeBytes(65_536 + step),
        Entry::StateArchival(archival(lifetimes)),
        Entry::ContractExecutionLanes(ConfigSettingContractExecutionLanesV0 {
            ledger_max_tx_count: 100 + step,
        }),
        Entry::ContractParallelComputeV0(ConfigSettingContractParallelComputeV0 {
            ledger_max_dependent_tx_clusters: 2 + step,
        }),
        Entry::ContractLedgerCostExtV0(ConfigSettingContractLedgerCostExtV0 {
            tx_max_footprint_entries: 100 + step,
            fee_write1_kb: fees::WRITE_1KB,
        }),
        Entry::ScpTiming(ConfigSettingScpTiming {
            ledger_target_close_time_milliseconds: 5_000 - step % 1_000,
            nomination_timeout_initial_milliseconds: 1_000,
            nomination_timeout_increment_milliseconds: 1_000,
            ballot_timeout_initial_milliseconds: 1_000,
            ballot_timeout_increment_milliseconds: 1_000,
        }),
    ]
}

/// The settings of genesis: those above, and two that change outside of the metadata.
pub(crate) fn genesis(lifetimes: Lifetimes) -> Vec<ConfigSettingEntry> {
    let mut entries = all(lifetimes, 0);
    let window: VecM<u64> = encode::vecm(vec![0; 30]);
    entries.push(ConfigSettingEntry::LiveSorobanStateSizeWindow(window));
    entries.push(ConfigSettingEntry::EvictionIterator(EvictionIterator {
        bucket_list_level: 7,
        is_curr_bucket: true,
        bucket_file_offset: 0,
    }));
    entries.push(frozen_keys());
    entries.push(bypass_transactions());
    entries
}

/// The setting that an upgrade leaves: changes of frozen keys (CAP-77) are applied to what is `now` there.
pub(crate) fn upgraded<'a>(
    wanted: ConfigSettingEntry,
    now: impl Fn(&LedgerKey) -> Option<&'a ConfigSettingEntry>,
) -> ConfigSettingEntry {
    if let ConfigSettingEntry::FrozenLedgerKeysDelta(delta) = &wanted
        && let Some(ConfigSettingEntry::FrozenLedgerKeys(frozen)) = now(&key(&frozen_keys()))
    {
        let kept = frozen.keys.iter().filter(|key| !delta.keys_to_unfreeze.contains(key));
        let keys = kept.chain(delta.keys_to_freeze.iter()).cloned().collect();
        return ConfigSettingEntry::FrozenLedgerKeys(FrozenLedgerKeys { keys: encode::vecm(keys) });
    }
    if let ConfigSettingEntry::FreezeBypassTxsDelta(delta) = &wanted
        && let Some(ConfigSettingEntry::FreezeBypassTxs(bypass)) = now(&key(&bypass_transactions()))
    {
        let kept = bypass.tx_hashes.iter().filter(|hash| !delta.remove_txs.contains(hash));
        let hashes = kept.chain(delta.add_txs.iter()).cloned().collect();
        return ConfigSettingEntry::FreezeBypassTxs(FreezeBypassTxs { tx_hashes: encode::vecm(hashes) });
    }
    wanted
}

/// No frozen keys.
pub(crate) fn frozen_keys() -> ConfigSettingEntry {
    ConfigSettingEntry::FrozenLedgerKeys(FrozenLedgerKeys::default())
}

/// No transactions that frozen keys do not stop.
pub(crate) fn bypass_transactions() -> ConfigSettingEntry {
    ConfigSettingEntry::FreezeBypassTxs(FreezeBypassTxs::default())
}
