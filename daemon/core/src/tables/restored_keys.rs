//! Keys of contract data and code that a ledger restored (CAP-62, CAP-66).

use super::{
    ExtractError, Input,
    archive::{ArchiveKey, OwnerText},
    state::key_hash,
};
use crate::schema::{Hex32, ScVal, Timestamp, Word, table};

table! {
    /// One row per entry of contract data or code that a ledger restored, by its own operation or with the call of a
    /// contract; their TTLs have none. Metas before protocol 23 do not tell.
    restored_keys_state_v1 { key: [key_hash, ledger_sequence], ledger: ledger_sequence }
    columns {
        /// SHA-256 of the LedgerKey, 64 hex digits; joins `ledger_key_hash`.
        key_hash: Hex32 [bloom],
        /// Ledger that restored it.
        ledger_sequence: i64,
        /// Owner of the data, C... or G...; of code its hash, 64 hex digits.
        contract_id: OwnerText [bloom],
        /// Type of the key's value, e.g. vec or symbol; contract_code for code.
        key_type: Word,
        /// Durability of the entry: persistent.
        durability: Word,
        /// Ledger of its eviction; NULL: the ledger does not tell.
        restored_from_ledger: Option<i64>,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
    }
    ledger_range;
    columns {
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    era_id; version_label;
    columns {
        /// Key of the data, SEP-51 JSON; NULL for code.
        key: Option<ScVal>,
        /// Ledger that last changed the entry before it was archived; with protocol 23 also the one that restored it.
        last_modified_ledger: i64,
    }
}

/// Appends a row per entry that the ledger restored.
///
/// # Errors
/// A key that cannot be hashed.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let ledger = input.ledger;
    for (key, entry) in input.changes.restored() {
        let Some(restored) = ArchiveKey::of(*key) else { continue };
        out.push(Row {
            key_hash: key_hash(input, &SPEC, *key)?,
            ledger_sequence: ledger.seq.get().into(),
            contract_id: restored.owner,
            key_type: restored.key_type,
            durability: restored.durability,
            restored_from_ledger: None,
            closed_at: ledger.closed_at_micros(),
            created_at: ledger.closed_at_micros(),
            key: restored.key,
            last_modified_ledger: entry.last_modified_ledger_seq.into(),
        });
    }
    Ok(())
}
