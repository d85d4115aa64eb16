//! Transaction sets, legacy and generalized: every envelope with its bytes, hash and place, and the hash of the set.

use bytes::Bytes;
use stellar_xdr as xdr;

use super::{
    TxSetPlace,
    walk::{Stop, Walk},
};
use crate::ledger::Hash32;

/// A transaction set, read once.
pub(super) struct TxSet {
    pub(super) previous_hash: Hash32,
    /// The hash that a header commits to.
    pub(super) hash: Hash32,
    pub(super) entries: Vec<Entry>,
}

/// One envelope of a set.
pub(super) struct Entry {
    pub(super) envelope: xdr::TransactionEnvelope,
    pub(super) bytes: Bytes,
    pub(super) place: Option<TxSetPlace>,
}

impl TxSet {
    /// Reads a legacy `TransactionSet`, whose hash leaves out the length of the list.
    pub(super) fn read_legacy(walk: &mut Walk<'_>) -> Result<Self, Stop> {
        let xdr::Hash(previous_hash) = walk.read()?;
        let start = walk.position();
        let entries = walk.list(|walk, _| Entry::read(walk, None))?;
        let list = walk.since(start);
        let hash = Hash32::sha256(&[&previous_hash, list.get(4..).unwrap_or_default()]);
        Ok(Self { previous_hash: Hash32(previous_hash), hash, entries })
    }

    /// Reads a `GeneralizedTransactionSet`, whose hash is that of all its bytes.
    pub(super) fn read_generalized(walk: &mut Walk<'_>) -> Result<Self, Stop> {
        let start = walk.position();
        let version: i32 = walk.read()?;
        if version != 1 {
            return Err(walk.stop(format!("unknown GeneralizedTransactionSet version {version}")));
        }
        let xdr::Hash(previous_hash) = walk.read()?;
        let mut entries = Vec::new();
        walk.list(|walk, phase| read_phase(walk, phase, &mut entries))?;
        let hash = Hash32::sha256(&[&walk.since(start)]);
        Ok(Self { previous_hash: Hash32(previous_hash), hash, entries })
    }
}

fn read_phase(walk: &mut Walk<'_>, phase: u32, entries: &mut Vec<Entry>) -> Result<(), Stop> {
    match walk.read::<i32>()? {
        0 => {
            walk.list(|walk, _| {
                match walk.read::<xdr::TxSetComponentType>()? {
                    xdr::TxSetComponentType::TxsetCompTxsMaybeDiscountedFee => {}
                }
                let _base_fee: Option<i64> = walk.read()?;
                let place = TxSetPlace { phase, stage: None, cluster: None };
                read_envelopes(walk, place, entries)
            })?;
        }
        1 => {
            let _base_fee: Option<i64> = walk.read()?;
            walk.list(|walk, stage| {
                walk.list(|walk, cluster| {
                    let place = TxSetPlace { phase, stage: Some(stage), cluster: Some(cluster) };
                    read_envelopes(walk, place, entries)
                })
            })?;
        }
        version => return Err(walk.stop(format!("unknown TransactionPhase version {version}"))),
    }
    Ok(())
}

fn read_envelopes(walk: &mut Walk<'_>, place: TxSetPlace, entries: &mut Vec<Entry>) -> Result<(), Stop> {
    walk.list(|walk, _| Entry::read(walk, Some(place)).map(|entry| entries.push(entry)))?;
    Ok(())
}

impl Entry {
    fn read(walk: &mut Walk<'_>, place: Option<TxSetPlace>) -> Result<Self, Stop> {
        let (envelope, bytes) = walk.read_with_bytes()?;
        Ok(Self { envelope, bytes, place })
    }

    /// Hash of the (outer) transaction on the network of that id: what its signatures sign.
    pub(super) fn hash(&self, network_id: Hash32) -> Hash32 {
        /// ENVELOPE_TYPE_TX, then KEY_TYPE_ED25519: a V0 transaction signs what the same V1 transaction would.
        const V1_PREFIX: [u8; 8] = [0, 0, 0, 2, 0, 0, 0, 0];
        let (signatures, version_0) = match &self.envelope {
            xdr::TransactionEnvelope::TxV0(e) => (&e.signatures, true),
            xdr::TransactionEnvelope::Tx(e) => (&e.signatures, false),
            xdr::TransactionEnvelope::TxFeeBump(e) => (&e.signatures, false),
        };
        let end = self.bytes.len().saturating_sub(encoded_len(signatures));
        if version_0 {
            // An absent or present time bound is encoded as PRECOND_NONE or PRECOND_TIME is.
            let body = self.bytes.get(4..end).unwrap_or_default();
            Hash32::sha256(&[&network_id.0, &V1_PREFIX, body])
        } else {
            // The union's discriminant is the envelope type that the payload begins with.
            Hash32::sha256(&[&network_id.0, self.bytes.get(..end).unwrap_or_default()])
        }
    }

    /// Hash of the transaction inside a fee bump.
    pub(super) fn inner_hash(&self, network_id: Hash32) -> Option<Hash32> {
        let xdr::TransactionEnvelope::TxFeeBump(outer) = &self.envelope else { return None };
        let xdr::FeeBumpTransactionInnerTx::Tx(inner) = &outer.tx.inner_tx;
        // Discriminant, fee source and fee stand before it; the extension and both lists of signatures after it.
        let before = 4
            + 8
            + match outer.tx.fee_source {
                xdr::MuxedAccount::Ed25519(_) => 36,
                xdr::MuxedAccount::MuxedEd25519(_) => 44,
            };
        let after = encoded_len(&inner.signatures) + 4 + encoded_len(&outer.signatures);
        let end = self.bytes.len().saturating_sub(after);
        Some(Hash32::sha256(&[&network_id.0, self.bytes.get(before..end).unwrap_or_default()]))
    }
}

/// Bytes that a list of signatures takes in XDR: a length, then hint, length and padded signature of each.
fn encoded_len(signatures: &[xdr::DecoratedSignature]) -> usize {
    4 + signatures.iter().map(|s| 8 + s.signature.0.len().next_multiple_of(4)).sum::<usize>()
}
