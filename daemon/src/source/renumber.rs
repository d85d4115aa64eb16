//! A real ledger under another sequence: the few places of a `LedgerCloseMeta` that depend on it are found once and
//! overwritten in each copy, then the hashes over them are made anew.

use std::{io::Cursor, sync::Arc};

use lake_core::{Hash32, LedgerSeq, RawLedger};
use sha2::{Digest, Sha256};
use stellar_xdr::{
    GeneralizedTransactionSet, LedgerCloseMetaExt, LedgerHeaderHistoryEntry, Limited, Limits, ReadXdr,
    TransactionEnvelope, TransactionSet,
};

use super::SourceError;

/// A ledger that can be repeated.
#[derive(Debug)]
pub(super) struct Template {
    raw: RawLedger,
    /// Offset of the `LedgerHeaderHistoryEntry`: its hash stands first, the header after it.
    entry: usize,
    /// Offset just after the header.
    header_end: usize,
    set: Set,
    seq: LedgerSeq,
    previous: Hash32,
    close_time: u64,
    /// Offset of `ledgerSeq` in the bytes.
    seq_at: usize,
}

/// Where the transaction set lies, and how it is hashed.
#[derive(Debug)]
enum Set {
    /// `TransactionSet`: the hash runs over the previous hash and every envelope.
    Legacy { previous_at: usize, envelopes_at: usize, end: usize },
    /// `GeneralizedTransactionSet`: the hash runs over all of its bytes.
    Generalized { start: usize, previous_at: usize, end: usize },
}

impl Template {
    /// Finds the places in a ledger.
    pub(super) fn new(raw: &RawLedger) -> Result<Self, SourceError> {
        Self::find(raw).map_err(|reason| SourceError::Corrupt {
            origin: raw.origin.clone(),
            seq: raw.seq,
            reason,
            evidence: raw.xdr.clone(),
        })
    }

    fn find(raw: &RawLedger) -> Result<Self, String> {
        let bytes = raw.xdr.as_ref();
        let mut r = Limited::new(Cursor::new(bytes), Limits { depth: 500, len: bytes.len() });
        let at = |r: &Limited<Cursor<&[u8]>>| usize::try_from(r.inner.position()).unwrap_or(usize::MAX);
        let xdr = |e: stellar_xdr::Error| format!("not a LedgerCloseMeta: {e}");
        let version = i32::read_xdr(&mut r).map_err(xdr)?;
        if version > 0 {
            LedgerCloseMetaExt::read_xdr(&mut r).map_err(xdr)?;
        }
        let entry = at(&r);
        let header = LedgerHeaderHistoryEntry::read_xdr(&mut r).map_err(xdr)?;
        // Behind the header stands the entry's own ext, 4 bytes.
        let header_end = at(&r) - 4;
        let start = at(&r);
        let set = if version == 0 {
            let set = TransactionSet::read_xdr(&mut r).map_err(xdr)?;
            let _: &[TransactionEnvelope] = &set.txs;
            Set::Legacy { previous_at: start, envelopes_at: start + 36, end: at(&r) }
        } else {
            GeneralizedTransactionSet::read_xdr(&mut r).map_err(xdr)?;
            Set::Generalized { start, previous_at: start + 4, end: at(&r) }
        };
        // ledgerSeq stands before totalCoins, feePool, inflationSeq, idPool, baseFee, baseReserve, maxTxSetSize,
        // skipList and ext; only ext has a size of its own.
        let ext = stellar_xdr::WriteXdr::to_xdr(&header.header.ext, Limits::none()).map_err(xdr)?;
        let seq_at = header_end - ext.len() - 4 * 32 - 3 * 4 - 8 - 4 - 8 - 8 - 4;
        Ok(Self {
            raw: raw.clone(),
            entry,
            header_end,
            set,
            seq: LedgerSeq::new(header.header.ledger_seq),
            previous: Hash32(header.header.previous_ledger_hash.0),
            close_time: header.header.scp_value.close_time.0,
            seq_at,
        })
    }

    pub(super) const fn seq(&self) -> LedgerSeq {
        self.seq
    }

    pub(super) const fn previous_hash(&self) -> Hash32 {
        self.previous
    }

    pub(super) const fn close_time(&self) -> u64 {
        self.close_time
    }

    /// A copy under another sequence, after a ledger with the hash `previous`; and its own hash.
    pub(super) fn renumbered(
        &self,
        seq: LedgerSeq,
        previous: Hash32,
        close_time: u64,
    ) -> (RawLedger, Hash32) {
        let mut bytes = self.raw.xdr.to_vec();
        let header = self.header(seq, previous, close_time);
        let hash = sha256(&[&header]);
        put(&mut bytes, self.entry, &hash);
        put(&mut bytes, self.entry + 32, &header);
        let (Set::Legacy { previous_at, .. } | Set::Generalized { previous_at, .. }) = self.set;
        put(&mut bytes, previous_at, &previous.0);
        let origin: Arc<str> = self.raw.origin.clone();
        (RawLedger { seq, xdr: bytes.into(), origin }, Hash32(hash))
    }

    /// The hash alone of what [`Template::renumbered`] would make.
    pub(super) fn renumbered_hash(&self, seq: LedgerSeq, previous: Hash32, close_time: u64) -> Hash32 {
        Hash32(sha256(&[&self.header(seq, previous, close_time)]))
    }

    /// The bytes of the header under another sequence.
    fn header(&self, seq: LedgerSeq, previous: Hash32, close_time: u64) -> Vec<u8> {
        let bytes = self.raw.xdr.as_ref();
        let set_hash = match self.set {
            Set::Legacy { envelopes_at, end, .. } => sha256(&[&previous.0, part(bytes, envelopes_at, end)]),
            Set::Generalized { start, previous_at, end } => {
                sha256(&[part(bytes, start, previous_at), &previous.0, part(bytes, previous_at + 32, end)])
            }
        };
        let begin = self.entry + 32;
        let mut header = part(bytes, begin, self.header_end).to_vec();
        put(&mut header, 4, &previous.0);
        put(&mut header, 4 + 32, &set_hash);
        put(&mut header, 4 + 32 + 32, &close_time.to_be_bytes());
        put(&mut header, self.seq_at - begin, &seq.get().to_be_bytes());
        header
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Overwrites bytes; the offsets were found in these very bytes, so they lie inside.
fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn part(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.get(from..to).unwrap_or_default()
}
