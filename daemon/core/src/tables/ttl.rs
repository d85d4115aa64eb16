//! Times to live: how long contract data and code may be used (CAP-46-12).

use stellar_xdr as xdr;

use super::{ExtractError, Input, state::State};
use crate::{
    changes::EntryKey,
    ledger::Hash32,
    schema::{Hex32, Timestamp, table},
};

table! {
    /// One row per time to live that a ledger changed. Of several extensions in one ledger the longest counts (CAP-63).
    ttl_snapshot_v1 {
        key: [key_hash, ledger_sequence], ledger: ledger_sequence,
        state: ttl
    }
    columns {
        /// SHA-256 of the key of the data or code that it is the TTL of, 64 hex digits; joins `ledger_key_hash`.
        key_hash: Hex32 [bloom],
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Last ledger in which the entry is live; NULL for evictions.
        live_until_ledger_seq: Option<i64>,
        /// Ledgers from this one to that; negative when it has passed; NULL for evictions.
        ttl_remaining: Option<i64>,
        /// Whether that ledger has passed; NULL for evictions. The entry is still live in that ledger itself.
        expired: Option<bool>,
        /// Ledger that last changed the entry; NULL for evictions.
        last_modified_ledger: Option<i32>,
        /// Whether the entry is gone.
        deleted: bool,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Net change in the ledger: 0 created, 1 updated, 2 removed, 4 restored from the archive.
        ledger_entry_change: i32,
        /// Whether the entry left by eviction.
        evicted: bool,
    }
}

/// Appends a row per TTL that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for change in input.changes.iter() {
        let EntryKey::Ttl(xdr::Hash(key_hash)) = change.key else { continue };
        let state = State::of(input, &SPEC, change)?;
        let live_until = state.entry.and_then(|entry| {
            let xdr::LedgerEntryData::Ttl(ttl) = &entry.data else { return None };
            Some(i64::from(ttl.live_until_ledger_seq))
        });
        out.push(Row {
            key_hash: Hash32(*key_hash),
            ledger_sequence: state.ledger_sequence,
            live_until_ledger_seq: live_until,
            ttl_remaining: live_until.map(|until| until - state.ledger_sequence),
            expired: live_until.map(|until| until < state.ledger_sequence),
            last_modified_ledger: state.last_modified_ledger,
            deleted: state.deleted,
            closed_at: state.closed_at,
            created_at: state.closed_at,
            ledger_entry_change: state.ledger_entry_change,
            evicted: state.evicted,
        });
    }
    Ok(())
}
