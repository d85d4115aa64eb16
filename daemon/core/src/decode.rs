//! XDR bytes to a verified [`Ledger`], with depth and length limits.
//!
//! Nothing is ever encoded again: hashes and base64 are made from slices of the original bytes.

mod batch;
mod error;
mod fees;
mod head;
#[cfg(test)]
mod tests;
mod txset;
mod verify;
mod view;
mod walk;

use bytes::Bytes;
use stellar_xdr as xdr;

pub use batch::split_batch;
pub use error::DecodeError;
pub use fees::Fees;
pub(crate) use fees::account_key;
pub use head::{Head, peek};
pub use verify::verify_link;

use crate::ledger::{Hash32, LedgerSeq, Network, RawLedger};
use head::Front;
use txset::TxSet;
use walk::{Stop, Walk};

/// A decoded ledger that passed every check that needs no other ledger: its sequence, header hash, transaction-set
/// hash, result-set hash and the hash of each transaction against the network id.
#[derive(Debug)]
pub struct Ledger {
    /// `header.ledgerSeq`.
    pub seq: LedgerSeq,
    /// Network that the transactions were signed for.
    pub network_id: Hash32,
    /// SHA-256 of the header.
    pub hash: Hash32,
    /// `header.previousLedgerHash`: the hash that the ledger before this one must have.
    pub previous_hash: Hash32,
    /// Close time, seconds since the Unix epoch.
    pub closed_at: i64,
    /// The ledger header.
    pub header: xdr::LedgerHeader,
    /// The header's bytes, as they stand in the close meta.
    pub header_xdr: Bytes,
    /// Arm of the `LedgerCloseMeta` union: 0, 1 or 2.
    pub close_meta_version: i32,
    /// Protocol version that the transactions ran under (the header shows the version after the ledger's upgrades).
    pub applied_protocol: u32,
    /// Transactions in apply order, failed ones included.
    pub transactions: Vec<Transaction>,
    /// `LedgerCloseMetaExtV1.sorobanFeeWrite1KB`, where the node wrote the extension.
    pub soroban_fee_write_1kb: Option<i64>,
    /// `totalByteSizeOfLiveSorobanState`; `None` for V0.
    pub live_soroban_state_size: Option<u64>,
    /// Evicted keys; `None` for V0.
    pub evicted_keys: Option<Vec<xdr::LedgerKey>>,
    /// Upgrades with their changes, in order.
    pub upgrades: Vec<xdr::UpgradeEntryMeta>,
}

/// One transaction of a ledger, with all that the close meta says about it and the bytes it says it in.
#[derive(Debug)]
pub struct Transaction {
    /// Hash of the outer transaction.
    pub hash: Hash32,
    /// Position in apply order, from 1.
    pub application_order: u32,
    /// Hash of the inner transaction of a fee bump; `None` for the others.
    pub inner_hash: Option<Hash32>,
    /// Protocol version that the transaction ran under ([`Ledger::applied_protocol`]).
    pub protocol: u32,
    /// The envelope.
    pub envelope: xdr::TransactionEnvelope,
    /// Bytes of the envelope.
    pub envelope_xdr: Bytes,
    /// `TransactionResult` (not the pair).
    pub result: xdr::TransactionResult,
    /// Bytes of `result`.
    pub result_xdr: Bytes,
    /// `feeProcessing`.
    pub fee_changes: xdr::LedgerEntryChanges,
    /// Bytes of `fee_changes`.
    pub fee_changes_xdr: Bytes,
    /// `txApplyProcessing`.
    pub meta: xdr::TransactionMeta,
    /// Bytes of `meta`.
    pub meta_xdr: Bytes,
    /// `postTxApplyFeeProcessing`; `None` before LedgerCloseMeta V2.
    pub post_apply_fee_changes: Option<xdr::LedgerEntryChanges>,
    /// Where the transaction stands in a generalized transaction set; `None` for older sets.
    pub place: Option<TxSetPlace>,
}

/// Place of a transaction in a generalized transaction set (CAP-42, CAP-63). All from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxSetPlace {
    /// Phase: 0 classic, 1 Soroban.
    pub phase: u32,
    /// Stage of a parallel phase.
    pub stage: Option<u32>,
    /// Cluster within the stage.
    pub cluster: Option<u32>,
}

/// Decodes and verifies one ledger.
///
/// # Errors
/// A [`DecodeError`] that names the ledger, its origin and the check that failed.
pub fn decode(raw: &RawLedger, network: &Network) -> Result<Ledger, DecodeError> {
    let mut walk = Walk::new(&raw.xdr);
    let front = Front::read(&mut walk).map_err(|stop| stop.in_ledger(raw))?;
    // What the bytes claim to be comes first: a wrong file is told apart from a broken one.
    let closed_at = verify::head(&front, raw)?;
    let body = Body::read(&mut walk, front.version).map_err(|stop| stop.in_ledger(raw))?;
    if walk.remaining() > 0 {
        let count = walk.remaining().try_into().unwrap_or(u64::MAX);
        return Err(DecodeError::TrailingBytes { seq: raw.seq, origin: raw.origin.clone(), count });
    }
    verify::tx_set(&front.header, &body.tx_set, raw)?;
    verify::results(&front.header, &body.results, raw)?;
    let applied_protocol = applied_protocol(&front.header);
    let transactions = verify::pair_up(body.tx_set, body.results, applied_protocol, network, raw)?;
    Ok(Ledger {
        seq: raw.seq,
        network_id: network.id(),
        hash: front.hash,
        previous_hash: Hash32(front.header.previous_ledger_hash.0),
        closed_at,
        header: front.header,
        header_xdr: front.header_bytes,
        close_meta_version: front.version,
        applied_protocol,
        transactions,
        soroban_fee_write_1kb: front.soroban_fee_write_1kb,
        live_soroban_state_size: body.live_soroban_state_size,
        evicted_keys: body.evicted_keys,
        upgrades: body.upgrades,
    })
}

/// What follows the header in a `LedgerCloseMeta`.
struct Body {
    tx_set: TxSet,
    results: Vec<ResultMeta>,
    upgrades: Vec<xdr::UpgradeEntryMeta>,
    live_soroban_state_size: Option<u64>,
    evicted_keys: Option<Vec<xdr::LedgerKey>>,
}

/// A `TransactionResultMeta` or `TransactionResultMetaV1` with its bytes.
struct ResultMeta {
    hash: Hash32,
    pair_bytes: Bytes,
    result: xdr::TransactionResult,
    result_bytes: Bytes,
    fee_changes: xdr::LedgerEntryChanges,
    fee_changes_bytes: Bytes,
    meta: xdr::TransactionMeta,
    meta_bytes: Bytes,
    post_apply_fee_changes: Option<xdr::LedgerEntryChanges>,
}

impl Body {
    fn read(walk: &mut Walk<'_>, version: i32) -> Result<Self, Stop> {
        let tx_set = if version == 0 { TxSet::read_legacy(walk)? } else { TxSet::read_generalized(walk)? };
        let results = walk.list(|walk, _| ResultMeta::read(walk, version))?;
        let upgrades = walk.list(|walk, _| walk.read())?;
        let _scp_info: xdr::VecM<xdr::ScpHistoryEntry> = walk.read()?;
        let (live_soroban_state_size, evicted_keys) = if version == 0 {
            (None, None)
        } else {
            (Some(walk.read()?), Some(walk.list(|walk, _| walk.read())?))
        };
        if version == 1 {
            let _unused: xdr::VecM<xdr::LedgerEntry> = walk.read()?;
        }
        Ok(Self { tx_set, results, upgrades, live_soroban_state_size, evicted_keys })
    }
}

impl ResultMeta {
    fn read(walk: &mut Walk<'_>, version: i32) -> Result<Self, Stop> {
        if version == 2 {
            match walk.read()? {
                xdr::ExtensionPoint::V0 => {}
            }
        }
        let start = walk.position();
        let xdr::Hash(hash) = walk.read()?;
        let (result, result_bytes) = walk.read_with_bytes()?;
        let pair_bytes = walk.since(start);
        let (fee_changes, fee_changes_bytes) = walk.read_with_bytes()?;
        let (meta, meta_bytes) = walk.read_with_bytes()?;
        let post_apply_fee_changes = if version == 2 { Some(walk.read()?) } else { None };
        Ok(Self {
            hash: Hash32(hash),
            pair_bytes,
            result,
            result_bytes,
            fee_changes,
            fee_changes_bytes,
            meta,
            meta_bytes,
            post_apply_fee_changes,
        })
    }
}

/// Version that a ledger's transactions ran under. A ledger that raises the version ran under the one before, which
/// its header no longer names; protocols are raised one by one, so that is the number before.
fn applied_protocol(header: &xdr::LedgerHeader) -> u32 {
    let raised = header.scp_value.upgrades.iter().any(|upgrade| {
        let bytes = upgrade.0.as_slice();
        let decoded = <xdr::LedgerUpgrade as xdr::ReadXdr>::from_xdr(bytes, xdr::Limits::len(bytes.len()));
        matches!(decoded, Ok(xdr::LedgerUpgrade::Version(version)) if version == header.ledger_version)
    });
    header.ledger_version.saturating_sub(u32::from(raised))
}

impl Ledger {
    /// Close time in microseconds since the Unix epoch.
    pub const fn closed_at_micros(&self) -> i64 {
        // Decoding refused times for which this overflows.
        self.closed_at.saturating_mul(MICROS_PER_SECOND)
    }

    /// The signature of the value that the network agreed on; `None` where it is not signed.
    pub const fn close_signature(&self) -> Option<&xdr::LedgerCloseValueSignature> {
        match &self.header.scp_value.ext {
            xdr::StellarValueExt::Basic => None,
            xdr::StellarValueExt::Signed(signature) => Some(signature),
            xdr::StellarValueExt::EmptyTxSet(value) => Some(&value.lc_value_signature),
            xdr::StellarValueExt::SignedMs(value) => Some(&value.lc_value_signature),
            xdr::StellarValueExt::EmptyTxSetMs(value) => Some(&value.lc_value_signature),
        }
    }
}

const MICROS_PER_SECOND: i64 = 1_000_000;
