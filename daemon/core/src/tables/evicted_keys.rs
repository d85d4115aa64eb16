//! Keys of contract data and code that a ledger evicted from the live state (CAP-46-12, CAP-62).

use super::{
    ExtractError, Input,
    archive::{ArchiveKey, OwnerText},
    state::key_hash,
};
use crate::{
    changes::EntryKey,
    schema::{Hex32, ScVal, Timestamp, Word, table},
};

table! {
    /// One row per entry of contract data or code that a ledger evicted; their TTLs have none.
    evicted_keys_state_v1 { key: [key_hash, ledger_sequence], ledger: ledger_sequence }
    columns {
        /// SHA-256 of the LedgerKey, 64 hex digits; joins `ledger_key_hash`.
        key_hash: Hex32 [bloom],
        /// Ledger that evicted it.
        ledger_sequence: i64,
        /// Owner of the data, C... or G...; of code its hash, 64 hex digits.
        contract_id: OwnerText [bloom],
        /// Type of the key's value, e.g. vec or symbol; contract_code for code.
        key_type: Word,
        /// persistent: the entry lies in the archive and can be restored; temporary: it is gone for good.
        durability: Word,
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
    }
}

/// Appends a row per entry that the ledger evicted.
///
/// # Errors
/// A key that cannot be hashed.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let ledger = input.ledger;
    for key in ledger.evicted_keys.iter().flatten().map(EntryKey::from) {
        let Some(evicted) = ArchiveKey::of(key) else { continue };
        out.push(Row {
            key_hash: key_hash(input, &SPEC, key)?,
            ledger_sequence: ledger.seq.get().into(),
            contract_id: evicted.owner,
            key_type: evicted.key_type,
            durability: evicted.durability,
            closed_at: ledger.closed_at_micros(),
            created_at: ledger.closed_at_micros(),
            key: evicted.key,
        });
    }
    Ok(())
}
