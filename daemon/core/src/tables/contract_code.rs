//! Contract code: every module that a ledger uploaded, touched or evicted.

mod module;

use stellar_xdr as xdr;

use super::{
    ExtractError, Input, fit,
    state::{State, key_hash},
};
use crate::{
    changes::EntryKey,
    ledger::Hash32,
    schema::{Hex32, Timestamp, table},
};

table! {
    /// One row per module of contract code that a ledger changed. Its counts are those that the network charges by
    /// (CAP-54), from the entry where it has them, else counted from the module; NULL for evictions, and where the code
    /// is no module that can be read.
    contract_code_snapshot_v1 {
        key: [ledger_key_hash, ledger_sequence], ledger: ledger_sequence,
        state: contract_code, ttl: ledger_key_hash
    }
    columns {
        /// SHA-256 of the code, 64 hex digits.
        contract_code_hash: Hex32 [bloom],
        /// SHA-256 of the entry's LedgerKey, 64 hex digits; joins `ttl_snapshot_v1.key_hash`.
        ledger_key_hash: Hex32 [bloom],
        /// Version of the entry: 1 where it has its own counts; NULL for evictions.
        contract_code_ext_v: Option<i32>,
        /// Ledger that last changed the entry; NULL for evictions.
        last_modified_ledger: Option<i32>,
        /// Net change in the ledger: 0 created, 1 updated, 2 removed, 4 restored from the archive.
        ledger_entry_change: i32,
        /// Whether the entry is gone; the row then repeats the state that the ledger found it in, where the ledger
        /// tells it.
        deleted: bool,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Instructions.
        n_instructions: Option<i64>,
        /// Functions.
        n_functions: Option<i64>,
        /// Globals.
        n_globals: Option<i64>,
        /// Entries of its tables.
        n_table_entries: Option<i64>,
        /// Types.
        n_types: Option<i64>,
        /// Data segments.
        n_data_segments: Option<i64>,
        /// Element segments.
        n_elem_segments: Option<i64>,
        /// Imports.
        n_imports: Option<i64>,
        /// Exports.
        n_exports: Option<i64>,
        /// Bytes of the data segments.
        n_data_segment_bytes: Option<i64>,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Bytes of the module; NULL for evictions.
        wasm_size: Option<i64>,
        /// Whether the entry left by eviction, into the archive.
        evicted: bool,
    }
}

/// Appends a row per module that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for change in input.changes.iter() {
        let EntryKey::ContractCode(hash) = change.key else { continue };
        let state = State::of(input, &SPEC, change)?;
        let code = state.entry.and_then(|entry| {
            let xdr::LedgerEntryData::ContractCode(code) = &entry.data else { return None };
            Some(code)
        });
        let counts = code.and_then(|code| match &code.ext {
            xdr::ContractCodeEntryExt::V0 => module::count(&code.code),
            xdr::ContractCodeEntryExt::V1(v1) => Some(v1.cost_inputs.clone()),
        });
        let count = |of: fn(&xdr::ContractCodeCostInputs) -> u32| counts.as_ref().map(|c| i64::from(of(c)));
        let size = code
            .map(|code| fit::<usize, i64>(input.ledger.seq, SPEC.name, "wasm_size", code.code.len()))
            .transpose()?;
        out.push(Row {
            contract_code_hash: Hash32(hash.0),
            ledger_key_hash: key_hash(input, &SPEC, change.key)?,
            contract_code_ext_v: code.map(|code| code.ext.discriminant()),
            last_modified_ledger: state.last_modified_ledger,
            ledger_entry_change: state.ledger_entry_change,
            deleted: state.deleted,
            closed_at: state.closed_at,
            ledger_sequence: state.ledger_sequence,
            n_instructions: count(|c| c.n_instructions),
            n_functions: count(|c| c.n_functions),
            n_globals: count(|c| c.n_globals),
            n_table_entries: count(|c| c.n_table_entries),
            n_types: count(|c| c.n_types),
            n_data_segments: count(|c| c.n_data_segments),
            n_elem_segments: count(|c| c.n_elem_segments),
            n_imports: count(|c| c.n_imports),
            n_exports: count(|c| c.n_exports),
            n_data_segment_bytes: count(|c| c.n_data_segment_bytes),
            created_at: state.closed_at,
            wasm_size: size,
            evicted: state.evicted,
        });
    }
    Ok(())
}
