//! Why a ledger is refused. Each reason is final for the bytes at hand: trying again cannot help.

use std::sync::Arc;

use crate::ledger::{Hash32, LedgerSeq};

/// Why a ledger was refused. Each is final for these bytes: trying again cannot help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not one whole `LedgerCloseMeta`.
    #[error("ledger {seq} from {origin}: not a LedgerCloseMeta: {reason} at byte {offset}")]
    Xdr {
        /// Sequence that was expected.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// What the XDR decoder said.
        reason: String,
        /// Offset of the failure.
        offset: u64,
    },
    /// Bytes follow the `LedgerCloseMeta`.
    #[error("ledger {seq} from {origin}: {count} bytes follow the LedgerCloseMeta")]
    TrailingBytes {
        /// Sequence that was expected.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Number of bytes after the end.
        count: u64,
    },
    /// The header names another ledger.
    #[error("ledger {expected} from {origin}: the bytes hold ledger {found}")]
    Sequence {
        /// Sequence that the source promised.
        expected: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Sequence in the header.
        found: LedgerSeq,
    },
    /// The close time cannot be shown as a date.
    #[error("ledger {seq} from {origin}: close time {found} is out of range")]
    CloseTime {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Close time, seconds since the Unix epoch.
        found: u64,
    },
    /// SHA-256 of the header is not the hash beside it.
    #[error("ledger {seq} from {origin}: header hashes to {found}, the close meta says {expected}")]
    HeaderHash {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Hash in the close meta.
        expected: Hash32,
        /// Hash of the header's bytes.
        found: Hash32,
    },
    /// The transaction set builds on another ledger than the header.
    #[error(
        "ledger {seq} from {origin}: transaction set follows ledger hash {found}, the header follows {expected}"
    )]
    TxSetLink {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// `previousLedgerHash` of the header.
        expected: Hash32,
        /// `previousLedgerHash` of the set.
        found: Hash32,
    },
    /// The transaction set is not the one that the header commits to.
    #[error("ledger {seq} from {origin}: transaction set hashes to {found}, the header says {expected}")]
    TxSetHash {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// `scpValue.txSetHash`.
        expected: Hash32,
        /// Hash of the set.
        found: Hash32,
    },
    /// A ledger that agreed on an empty set (CAP-83) has transactions or a set hash.
    #[error(
        "ledger {seq} from {origin}: the header says that the set is empty, but it has {transactions} transactions \
         and set hash {found}"
    )]
    EmptyTxSet {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Transactions in the set.
        transactions: u64,
        /// `scpValue.txSetHash`, which must be zero.
        found: Hash32,
    },
    /// The results are not those that the header commits to.
    #[error("ledger {seq} from {origin}: transaction results hash to {found}, the header says {expected}")]
    ResultSetHash {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// `txSetResultHash`.
        expected: Hash32,
        /// Hash of the results.
        found: Hash32,
    },
    /// The set and the results differ in number.
    #[error("ledger {seq} from {origin}: {expected} transactions in the set, {found} results")]
    TransactionCount {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Transactions in the set.
        expected: u64,
        /// Results.
        found: u64,
    },
    /// More transactions than a SEP-35 id can number.
    #[error("ledger {seq} from {origin}: {found} transactions are more than ids can number")]
    TooManyTransactions {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Transactions in the set.
        found: u64,
    },
    /// No transaction hash of the results is that of a transaction in the set: another network's passphrase.
    #[error(
        "ledger {seq} from {origin}: none of {count} transaction hashes fits network id {network_id} of passphrase \
         {passphrase:?}; the passphrase looks wrong for this source"
    )]
    Passphrase {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Transactions compared.
        count: u64,
        /// Network id that was used.
        network_id: Hash32,
        /// Passphrase that it was made from.
        passphrase: Arc<str>,
    },
    /// A result names a transaction that is not in the set, or names it twice.
    #[error(
        "ledger {seq} from {origin}: result {index} names transaction {found}, which the set does not hold once"
    )]
    TransactionHash {
        /// The ledger.
        seq: LedgerSeq,
        /// Where the bytes came from.
        origin: Arc<str>,
        /// Position in apply order, from 1.
        index: u32,
        /// Hash in the result.
        found: Hash32,
    },
    /// The ledger does not follow the one before it.
    #[error(
        "ledger {seq} does not follow the ledger before it: it names hash {found}, that ledger has {expected}"
    )]
    Link {
        /// The ledger.
        seq: LedgerSeq,
        /// Hash of the ledger before.
        expected: Hash32,
        /// `previousLedgerHash`.
        found: Hash32,
    },
    /// The bytes do not begin with the header of a `LedgerCloseMeta`.
    #[error("no LedgerCloseMeta from {origin}: {reason} at byte {offset}")]
    Head {
        /// Where the bytes came from.
        origin: Arc<str>,
        /// What the XDR decoder said.
        reason: String,
        /// Offset of the failure.
        offset: u64,
    },
    /// The bytes are not one whole `LedgerCloseMetaBatch`.
    #[error("batch from {origin}: {reason} at byte {offset}")]
    Batch {
        /// Where the bytes came from.
        origin: Arc<str>,
        /// What is wrong.
        reason: String,
        /// Offset of the failure.
        offset: u64,
    },
}
