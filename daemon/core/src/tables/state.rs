//! What the state tables share: a row per entry that a ledger changed, holding the entry after its last change.

use stellar_xdr as xdr;

use super::{ExtractError, Input, fit};
use crate::{
    changes::{EntryChange, EntryKey, entry},
    ledger::Hash32,
    schema::TableSpec,
    text::key_of,
};

/// What every state row says of its change.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<'l> {
    /// Sequence number of the ledger.
    pub(super) ledger_sequence: i64,
    /// Close time, microseconds since the Unix epoch.
    pub(super) closed_at: i64,
    /// Whether the entry is gone.
    pub(super) deleted: bool,
    /// 0 created, 1 updated, 2 removed, 4 restored.
    pub(super) ledger_entry_change: i32,
    /// `lastModifiedLedgerSeq` of the image; `None` without one.
    pub(super) last_modified_ledger: Option<i32>,
    /// Key of the account that pays the entry's reserve.
    pub(super) sponsor: Option<[u8; 32]>,
    /// Whether the entry left by eviction.
    pub(super) evicted: bool,
    /// The entry after its last change; of a removed one its last image. `None` where the meta has only the key.
    pub(super) entry: Option<&'l xdr::LedgerEntry>,
}

impl<'l> State<'l> {
    pub(super) fn of(
        input: &Input<'l>,
        spec: &TableSpec,
        change: &EntryChange<'l>,
    ) -> Result<Self, ExtractError> {
        let ledger = input.ledger;
        let modified = change.image.map(|image| image.last_modified_ledger_seq);
        Ok(Self {
            ledger_sequence: i64::from(ledger.seq.get()),
            closed_at: ledger.closed_at_micros(),
            deleted: change.deleted(),
            ledger_entry_change: change.kind.number(),
            last_modified_ledger: modified
                .map(|seq| fit::<u32, i32>(ledger.seq, spec.name, "last_modified_ledger", seq))
                .transpose()?,
            sponsor: change.image.and_then(entry::sponsor).map(key_of),
            evicted: change.evicted,
            entry: change.image,
        })
    }

    /// `last_modified_ledger` where the row must have an image, as those of classic entries have.
    pub(super) fn modified(&self, input: &Input<'_>, spec: &TableSpec) -> Result<i32, ExtractError> {
        self.last_modified_ledger.ok_or_else(|| ExtractError {
            seq: input.ledger.seq,
            table: spec.name,
            reason: "a changed entry of which the ledger shows no image".to_owned(),
        })
    }
}

/// The changes whose image is of one type of entry, with that entry.
macro_rules! of_type {
    ($input:expr, $variant:ident) => {
        $input.changes.iter().filter_map(|change| match change.image.map(|image| &image.data) {
            Some(stellar_xdr::LedgerEntryData::$variant(entry)) => Some((change, entry)),
            _ => None,
        })
    };
}
pub(super) use of_type;

/// An unsigned number that must fit its signed column.
pub(super) fn int(
    input: &Input<'_>,
    spec: &TableSpec,
    column: &'static str,
    value: u32,
) -> Result<i32, ExtractError> {
    fit::<u32, i32>(input.ledger.seq, spec.name, column, value)
}

/// SHA-256 of the key of an entry.
pub(super) fn key_hash(
    input: &Input<'_>,
    spec: &TableSpec,
    key: EntryKey<'_>,
) -> Result<Hash32, ExtractError> {
    key.hash().map_err(|error| ExtractError {
        seq: input.ledger.seq,
        table: spec.name,
        reason: format!("the key {key:?}: {error}"),
    })
}
