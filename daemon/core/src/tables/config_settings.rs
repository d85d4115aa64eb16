//! Settings of the network: what upgrades wrote (CAP-46-7 and later).

use stellar_xdr as xdr;

use super::{ExtractError, Input, state::State};
use crate::{
    changes::EntryKey,
    schema::{Json, Timestamp, XdrBase64, table},
};

table! {
    /// One row per setting that an upgrade wrote. A column is NULL in the rows of other settings. The settings 12 (sizes
    /// of the state) and 13 (place of the eviction scan) also change without an upgrade, which no ledger tells.
    config_settings_snapshot_v1 {
        key: [config_setting_id, ledger_sequence], ledger: ledger_sequence,
        state: config_settings,
        note: "The settings 12 (sizes of the state) and 13 (place of the eviction scan) also change without an upgrade, \
               which no ledger tells: theirs are stale."
    }
    columns {
        /// Number of the setting: `ConfigSettingID`.
        config_setting_id: i32,
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Ledger that last changed the entry.
        last_modified_ledger: i32,
        /// Whether the setting is gone.
        deleted: bool,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Most instructions of a ledger. Setting 1.
        ledger_max_instructions: Option<i64>,
        /// Most instructions of a transaction. Setting 1.
        tx_max_instructions: Option<i64>,
        /// Fee for 10,000 instructions, stroops. Setting 1.
        fee_rate_per_instructions_increment: Option<i64>,
        /// Most memory of a transaction, bytes. Setting 1.
        tx_memory_limit: Option<u32>,
        /// Most entries that a ledger reads; from protocol 23 on from disk. Setting 2.
        ledger_max_read_ledger_entries: Option<u32>,
        /// Most bytes that a ledger reads; from protocol 23 on from disk. Setting 2.
        ledger_max_read_bytes: Option<u32>,
        /// Most entries that a ledger writes. Setting 2.
        ledger_max_write_ledger_entries: Option<u32>,
        /// Most bytes that a ledger writes. Setting 2.
        ledger_max_write_bytes: Option<u32>,
        /// Most entries that a transaction reads; from protocol 23 on from disk. Setting 2.
        tx_max_read_ledger_entries: Option<u32>,
        /// Most bytes that a transaction reads; from protocol 23 on from disk. Setting 2.
        tx_max_read_bytes: Option<u32>,
        /// Most entries that a transaction writes. Setting 2.
        tx_max_write_ledger_entries: Option<u32>,
        /// Most bytes that a transaction writes. Setting 2.
        tx_max_write_bytes: Option<u32>,
        /// Most bytes of a contract's code. Setting 0.
        contract_max_size_bytes: Option<u32>,
        /// Base64 XDR of the ConfigSettingEntry.
        config_setting_xdr: XdrBase64<xdr::ConfigSettingEntry>,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Net change in the ledger: 0 created, 1 updated, 2 removed.
        ledger_entry_change: i32,
        /// The whole setting, SEP-51 JSON.
        config_setting: Json<xdr::ConfigSettingEntry>,
        /// Fee for an entry that is read (from disk, since protocol 23), stroops. Setting 2.
        fee_read_ledger_entry: Option<i64>,
        /// Fee for an entry that is written, stroops. Setting 2.
        fee_write_ledger_entry: Option<i64>,
        /// Fee for 1 KB that is read (from disk, since protocol 23), stroops. Setting 2.
        fee_read_1kb: Option<i64>,
        /// Size of the state up to which rent grows slowly, bytes; before protocol 23 of the bucket list. Setting 2.
        soroban_state_target_size_bytes: Option<i64>,
        /// Rent for 1 KB when the state is empty, stroops; before protocol 23 the write fee for an empty bucket list. Setting 2.
        rent_fee_1kb_soroban_state_size_low: Option<i64>,
        /// Rent for 1 KB when the state has its target size, stroops; before protocol 23 the write fee. Setting 2.
        rent_fee_1kb_soroban_state_size_high: Option<i64>,
        /// How much steeper rent grows beyond the target size. Setting 2.
        soroban_state_rent_fee_growth_factor: Option<u32>,
        /// Fee for 1 KB that goes to the history archives, stroops. Setting 3.
        fee_historical_1kb: Option<i64>,
        /// Most bytes of events of a transaction. Setting 4.
        tx_max_contract_events_size_bytes: Option<u32>,
        /// Fee for 1 KB of events, stroops. Setting 4.
        fee_contract_events_1kb: Option<i64>,
        /// Most bytes of Soroban transactions of a ledger. Setting 5.
        ledger_max_txs_size_bytes: Option<u32>,
        /// Most bytes of a Soroban transaction. Setting 5.
        tx_max_size_bytes: Option<u32>,
        /// Fee for 1 KB of a transaction, stroops. Setting 5.
        fee_tx_size_1kb: Option<i64>,
        /// Cost of each kind of work in instructions: JSON array of constant and linear terms. Setting 6.
        contract_cost_params_cpu_insns: Option<Json<xdr::ContractCostParams>>,
        /// Cost of each kind of work in bytes of memory: JSON array as above. Setting 7.
        contract_cost_params_mem_bytes: Option<Json<xdr::ContractCostParams>>,
        /// Most bytes of a key of contract data. Setting 8.
        contract_data_key_size_bytes: Option<u32>,
        /// Most bytes of an entry of contract data. Setting 9.
        contract_data_entry_size_bytes: Option<u32>,
        /// Longest time to live, ledgers. Setting 10.
        max_entry_ttl: Option<u32>,
        /// Time to live of a new temporary entry, ledgers. Setting 10.
        min_temporary_ttl: Option<u32>,
        /// Time to live of a new persistent entry, ledgers. Setting 10.
        min_persistent_ttl: Option<u32>,
        /// Denominator of the rent of persistent entries. Setting 10.
        persistent_rent_rate_denominator: Option<i64>,
        /// Denominator of the rent of temporary entries. Setting 10.
        temp_rent_rate_denominator: Option<i64>,
        /// Most entries that a ledger evicts. Setting 10.
        max_entries_to_archive: Option<u32>,
        /// Samples of the state's size that its average is made of. Setting 10.
        live_soroban_state_size_window_sample_size: Option<u32>,
        /// Ledgers between two of those samples. Setting 10.
        live_soroban_state_size_window_sample_period: Option<u32>,
        /// Bytes that a ledger scans for entries to evict. Setting 10.
        eviction_scan_size: Option<u32>,
        /// Level of the bucket list that the scan begins at. Setting 10.
        starting_eviction_scan_level: Option<u32>,
        /// Most Soroban transactions of a ledger. Setting 11.
        ledger_max_tx_count: Option<u32>,
        /// Sizes of the state that its average is made of, bytes: JSON array. Setting 12.
        live_soroban_state_size_window: Option<Json<xdr::VecM<u64>>>,
        /// Where the eviction scan stands, SEP-51 JSON. Setting 13.
        eviction_iterator: Option<Json<xdr::EvictionIterator>>,
        /// Most clusters of a stage of the parallel phase. Setting 14.
        ledger_max_dependent_tx_clusters: Option<u32>,
        /// Most entries of a transaction's footprint. Setting 15.
        tx_max_footprint_entries: Option<u32>,
        /// Fee for 1 KB that is written, stroops. Setting 15.
        fee_write_1kb: Option<i64>,
        /// Time between two ledgers that the network aims at, milliseconds. Setting 16.
        ledger_target_close_time_milliseconds: Option<u32>,
        /// First timeout of nomination, milliseconds. Setting 16.
        nomination_timeout_initial_milliseconds: Option<u32>,
        /// By how much the timeout of nomination grows, milliseconds. Setting 16.
        nomination_timeout_increment_milliseconds: Option<u32>,
        /// First timeout of a ballot, milliseconds. Setting 16.
        ballot_timeout_initial_milliseconds: Option<u32>,
        /// By how much the timeout of a ballot grows, milliseconds. Setting 16.
        ballot_timeout_increment_milliseconds: Option<u32>,
        /// Keys that are frozen: JSON array. Setting 17.
        frozen_ledger_keys: Option<Json<xdr::FrozenLedgerKeys>>,
        /// Transactions that may use frozen keys: JSON array of hashes. Setting 19.
        freeze_bypass_txs: Option<Json<xdr::FreezeBypassTxs>>,
    }
}

/// A setting seen as each of its arms: one is there.
#[derive(Default)]
struct Arms<'l> {
    max_size: Option<u32>,
    compute: Option<&'l xdr::ConfigSettingContractComputeV0>,
    cost: Option<&'l xdr::ConfigSettingContractLedgerCostV0>,
    history: Option<&'l xdr::ConfigSettingContractHistoricalDataV0>,
    events: Option<&'l xdr::ConfigSettingContractEventsV0>,
    bandwidth: Option<&'l xdr::ConfigSettingContractBandwidthV0>,
    cpu: Option<&'l xdr::ContractCostParams>,
    memory: Option<&'l xdr::ContractCostParams>,
    key_size: Option<u32>,
    entry_size: Option<u32>,
    archival: Option<&'l xdr::StateArchivalSettings>,
    lanes: Option<&'l xdr::ConfigSettingContractExecutionLanesV0>,
    window: Option<&'l xdr::VecM<u64>>,
    eviction: Option<&'l xdr::EvictionIterator>,
    parallel: Option<&'l xdr::ConfigSettingContractParallelComputeV0>,
    cost_ext: Option<&'l xdr::ConfigSettingContractLedgerCostExtV0>,
    timing: Option<&'l xdr::ConfigSettingScpTiming>,
    frozen: Option<&'l xdr::FrozenLedgerKeys>,
    bypass: Option<&'l xdr::FreezeBypassTxs>,
}

impl<'l> Arms<'l> {
    fn of(setting: &'l xdr::ConfigSettingEntry) -> Self {
        use xdr::ConfigSettingEntry as E;
        let none = Self::default();
        match setting {
            E::ContractMaxSizeBytes(bytes) => Self { max_size: Some(*bytes), ..none },
            E::ContractComputeV0(s) => Self { compute: Some(s), ..none },
            E::ContractLedgerCostV0(s) => Self { cost: Some(s), ..none },
            E::ContractHistoricalDataV0(s) => Self { history: Some(s), ..none },
            E::ContractEventsV0(s) => Self { events: Some(s), ..none },
            E::ContractBandwidthV0(s) => Self { bandwidth: Some(s), ..none },
            E::ContractCostParamsCpuInstructions(s) => Self { cpu: Some(s), ..none },
            E::ContractCostParamsMemoryBytes(s) => Self { memory: Some(s), ..none },
            E::ContractDataKeySizeBytes(bytes) => Self { key_size: Some(*bytes), ..none },
            E::ContractDataEntrySizeBytes(bytes) => Self { entry_size: Some(*bytes), ..none },
            E::StateArchival(s) => Self { archival: Some(s), ..none },
            E::ContractExecutionLanes(s) => Self { lanes: Some(s), ..none },
            E::LiveSorobanStateSizeWindow(s) => Self { window: Some(s), ..none },
            E::EvictionIterator(s) => Self { eviction: Some(s), ..none },
            E::ContractParallelComputeV0(s) => Self { parallel: Some(s), ..none },
            E::ContractLedgerCostExtV0(s) => Self { cost_ext: Some(s), ..none },
            E::ScpTiming(s) => Self { timing: Some(s), ..none },
            E::FrozenLedgerKeys(s) => Self { frozen: Some(s), ..none },
            E::FreezeBypassTxs(s) => Self { bypass: Some(s), ..none },
            // Only ever in an upgrade's set, never an entry; the whole setting is in its JSON all the same.
            E::FrozenLedgerKeysDelta(_) | E::FreezeBypassTxsDelta(_) => none,
        }
    }
}

/// Appends a row per setting that the ledger changed.
///
/// # Errors
/// A number that does not fit its column; a setting of which the ledger shows no image.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for change in input.changes.iter() {
        let EntryKey::ConfigSetting(id) = change.key else { continue };
        let state = State::of(input, &SPEC, change)?;
        let Some(xdr::LedgerEntryData::ConfigSetting(setting)) = state.entry.map(|entry| &entry.data) else {
            let reason = format!("setting {}: the ledger shows no image of it", id.name());
            return Err(ExtractError { seq: input.ledger.seq, table: SPEC.name, reason });
        };
        out.push(row(&state, state.modified(input, &SPEC)?, id, setting));
    }
    Ok(())
}

fn row<'l>(
    state: &State<'l>,
    modified: i32,
    id: xdr::ConfigSettingId,
    setting: &'l xdr::ConfigSettingEntry,
) -> Row<'l> {
    let arms = Arms::of(setting);
    Row {
        config_setting_id: id.into(),
        ledger_sequence: state.ledger_sequence,
        last_modified_ledger: modified,
        deleted: state.deleted,
        closed_at: state.closed_at,
        ledger_max_instructions: arms.compute.map(|s| s.ledger_max_instructions),
        tx_max_instructions: arms.compute.map(|s| s.tx_max_instructions),
        fee_rate_per_instructions_increment: arms.compute.map(|s| s.fee_rate_per_instructions_increment),
        tx_memory_limit: arms.compute.map(|s| s.tx_memory_limit),
        ledger_max_read_ledger_entries: arms.cost.map(|s| s.ledger_max_disk_read_entries),
        ledger_max_read_bytes: arms.cost.map(|s| s.ledger_max_disk_read_bytes),
        ledger_max_write_ledger_entries: arms.cost.map(|s| s.ledger_max_write_ledger_entries),
        ledger_max_write_bytes: arms.cost.map(|s| s.ledger_max_write_bytes),
        tx_max_read_ledger_entries: arms.cost.map(|s| s.tx_max_disk_read_entries),
        tx_max_read_bytes: arms.cost.map(|s| s.tx_max_disk_read_bytes),
        tx_max_write_ledger_entries: arms.cost.map(|s| s.tx_max_write_ledger_entries),
        tx_max_write_bytes: arms.cost.map(|s| s.tx_max_write_bytes),
        contract_max_size_bytes: arms.max_size,
        config_setting_xdr: setting,
        created_at: state.closed_at,
        ledger_entry_change: state.ledger_entry_change,
        config_setting: setting,
        fee_read_ledger_entry: arms.cost.map(|s| s.fee_disk_read_ledger_entry),
        fee_write_ledger_entry: arms.cost.map(|s| s.fee_write_ledger_entry),
        fee_read_1kb: arms.cost.map(|s| s.fee_disk_read1_kb),
        soroban_state_target_size_bytes: arms.cost.map(|s| s.soroban_state_target_size_bytes),
        rent_fee_1kb_soroban_state_size_low: arms.cost.map(|s| s.rent_fee1_kb_soroban_state_size_low),
        rent_fee_1kb_soroban_state_size_high: arms.cost.map(|s| s.rent_fee1_kb_soroban_state_size_high),
        soroban_state_rent_fee_growth_factor: arms.cost.map(|s| s.soroban_state_rent_fee_growth_factor),
        fee_historical_1kb: arms.history.map(|s| s.fee_historical1_kb),
        tx_max_contract_events_size_bytes: arms.events.map(|s| s.tx_max_contract_events_size_bytes),
        fee_contract_events_1kb: arms.events.map(|s| s.fee_contract_events1_kb),
        ledger_max_txs_size_bytes: arms.bandwidth.map(|s| s.ledger_max_txs_size_bytes),
        tx_max_size_bytes: arms.bandwidth.map(|s| s.tx_max_size_bytes),
        fee_tx_size_1kb: arms.bandwidth.map(|s| s.fee_tx_size1_kb),
        contract_cost_params_cpu_insns: arms.cpu,
        contract_cost_params_mem_bytes: arms.memory,
        contract_data_key_size_bytes: arms.key_size,
        contract_data_entry_size_bytes: arms.entry_size,
        max_entry_ttl: arms.archival.map(|s| s.max_entry_ttl),
        min_temporary_ttl: arms.archival.map(|s| s.min_temporary_ttl),
        min_persistent_ttl: arms.archival.map(|s| s.min_persistent_ttl),
        persistent_rent_rate_denominator: arms.archival.map(|s| s.persistent_rent_rate_denominator),
        temp_rent_rate_denominator: arms.archival.map(|s| s.temp_rent_rate_denominator),
        max_entries_to_archive: arms.archival.map(|s| s.max_entries_to_archive),
        live_soroban_state_size_window_sample_size: arms
            .archival
            .map(|s| s.live_soroban_state_size_window_sample_size),
        live_soroban_state_size_window_sample_period: arms
            .archival
            .map(|s| s.live_soroban_state_size_window_sample_period),
        eviction_scan_size: arms.archival.map(|s| s.eviction_scan_size),
        starting_eviction_scan_level: arms.archival.map(|s| s.starting_eviction_scan_level),
        ledger_max_tx_count: arms.lanes.map(|s| s.ledger_max_tx_count),
        live_soroban_state_size_window: arms.window,
        eviction_iterator: arms.eviction,
        ledger_max_dependent_tx_clusters: arms.parallel.map(|s| s.ledger_max_dependent_tx_clusters),
        tx_max_footprint_entries: arms.cost_ext.map(|s| s.tx_max_footprint_entries),
        fee_write_1kb: arms.cost_ext.map(|s| s.fee_write1_kb),
        ledger_target_close_time_milliseconds: arms.timing.map(|s| s.ledger_target_close_time_milliseconds),
        nomination_timeout_initial_milliseconds: arms
            .timing
            .map(|s| s.nomination_timeout_initial_milliseconds),
        nomination_timeout_increment_milliseconds: arms
            .timing
            .map(|s| s.nomination_timeout_increment_milliseconds),
        ballot_timeout_initial_milliseconds: arms.timing.map(|s| s.ballot_timeout_initial_milliseconds),
        ballot_timeout_increment_milliseconds: arms.timing.map(|s| s.ballot_timeout_increment_milliseconds),
        frozen_ledger_keys: arms.frozen,
        freeze_bypass_txs: arms.bypass,
    }
}
