//! A transaction seen through its wrappers: fee bumps, V0 and V1 envelopes, TransactionMeta V0 to V4.
//!
//! "The transaction" is always the inner one of a fee bump; what belongs to the outer one says so in its name.

use stellar_xdr as xdr;

use super::Transaction;
use crate::ledger::{Hash32, LedgerSeq};

/// The transaction that carries the operations.
#[derive(Clone, Copy)]
enum Body<'t> {
    V0(&'t xdr::TransactionV0),
    V1(&'t xdr::Transaction),
}

impl Transaction {
    fn body(&self) -> Body<'_> {
        match &self.envelope {
            xdr::TransactionEnvelope::TxV0(e) => Body::V0(&e.tx),
            xdr::TransactionEnvelope::Tx(e) => Body::V1(&e.tx),
            xdr::TransactionEnvelope::TxFeeBump(e) => match &e.tx.inner_tx {
                xdr::FeeBumpTransactionInnerTx::Tx(inner) => Body::V1(&inner.tx),
            },
        }
    }

    /// Source account, of the inner transaction for fee bumps.
    pub fn source(&self) -> xdr::MuxedAccount {
        match self.body() {
            Body::V0(tx) => xdr::MuxedAccount::Ed25519(tx.source_account_ed25519.clone()),
            Body::V1(tx) => tx.source_account.clone(),
        }
    }

    /// Account that pays the fee: the fee source of a fee bump, else the source.
    pub fn fee_source(&self) -> xdr::MuxedAccount {
        self.fee_bump().map_or_else(|| self.source(), |bump| bump.fee_source.clone())
    }

    /// Source account of an operation: its own, else the transaction's.
    pub fn operation_source(&self, operation: &xdr::Operation) -> xdr::MuxedAccount {
        operation.source_account.clone().unwrap_or_else(|| self.source())
    }

    /// Operations, of the inner transaction for fee bumps.
    pub fn operations(&self) -> &[xdr::Operation] {
        match self.body() {
            Body::V0(tx) => &tx.operations,
            Body::V1(tx) => &tx.operations,
        }
    }

    /// Fee bid of the transaction itself, stroops (of the inner one for fee bumps).
    pub fn inner_fee_bid(&self) -> u32 {
        match self.body() {
            Body::V0(tx) => tx.fee,
            Body::V1(tx) => tx.fee,
        }
    }

    /// Highest fee that its payer agreed to, stroops: the fee bump's bid where there is one.
    pub fn fee_bid(&self) -> i64 {
        self.fee_bump().map_or_else(|| i64::from(self.inner_fee_bid()), |bump| bump.fee)
    }

    /// Sequence number.
    pub fn sequence_number(&self) -> i64 {
        match self.body() {
            Body::V0(tx) => tx.seq_num.0,
            Body::V1(tx) => tx.seq_num.0,
        }
    }

    /// Memo.
    pub fn memo(&self) -> &xdr::Memo {
        match self.body() {
            Body::V0(tx) => &tx.memo,
            Body::V1(tx) => &tx.memo,
        }
    }

    /// Time bounds, from whichever form of preconditions has them.
    pub fn time_bounds(&self) -> Option<&xdr::TimeBounds> {
        match self.body() {
            Body::V0(tx) => tx.time_bounds.as_ref(),
            Body::V1(tx) => match &tx.cond {
                xdr::Preconditions::None => None,
                xdr::Preconditions::Time(bounds) => Some(bounds),
                xdr::Preconditions::V2(v2) => v2.time_bounds.as_ref(),
            },
        }
    }

    /// Preconditions of CAP-21; `None` where the transaction uses an older form.
    pub fn preconditions(&self) -> Option<&xdr::PreconditionsV2> {
        match self.body() {
            Body::V0(_) => None,
            Body::V1(tx) => match &tx.cond {
                xdr::Preconditions::None | xdr::Preconditions::Time(_) => None,
                xdr::Preconditions::V2(v2) => Some(v2),
            },
        }
    }

    /// Resources and resource fee of a Soroban transaction; `None` for classic ones.
    pub fn soroban_data(&self) -> Option<&xdr::SorobanTransactionData> {
        match self.body() {
            Body::V0(_) => None,
            Body::V1(tx) => match &tx.ext {
                xdr::TransactionExt::V0 => None,
                xdr::TransactionExt::V1(data) => Some(data),
            },
        }
    }

    /// Whether any operation is a Soroban one. True also for a malformed one without [`Self::soroban_data`].
    pub fn is_soroban(&self) -> bool {
        self.soroban_data().is_some()
            || self.operations().iter().any(|op| {
                matches!(
                    op.body,
                    xdr::OperationBody::InvokeHostFunction(_)
                        | xdr::OperationBody::ExtendFootprintTtl(_)
                        | xdr::OperationBody::RestoreFootprint(_)
                )
            })
    }

    /// The wrapper, if the transaction came in one.
    pub fn fee_bump(&self) -> Option<&xdr::FeeBumpTransaction> {
        match &self.envelope {
            xdr::TransactionEnvelope::TxV0(_) | xdr::TransactionEnvelope::Tx(_) => None,
            xdr::TransactionEnvelope::TxFeeBump(e) => Some(&e.tx),
        }
    }

    /// Signatures of the outer envelope.
    pub fn outer_signatures(&self) -> &[xdr::DecoratedSignature] {
        match &self.envelope {
            xdr::TransactionEnvelope::TxV0(e) => &e.signatures,
            xdr::TransactionEnvelope::Tx(e) => &e.signatures,
            xdr::TransactionEnvelope::TxFeeBump(e) => &e.signatures,
        }
    }

    /// Signatures of the inner envelope; `None` when the transaction is no fee bump.
    pub fn inner_signatures(&self) -> Option<&[xdr::DecoratedSignature]> {
        self.fee_bump().map(|bump| match &bump.inner_tx {
            xdr::FeeBumpTransactionInnerTx::Tx(inner) => &inner.signatures[..],
        })
    }

    /// Result code of the outer transaction.
    pub const fn result_code(&self) -> xdr::TransactionResultCode {
        self.result.result.discriminant()
    }

    /// Result code of the inner transaction, where the result of a fee bump has one.
    pub fn inner_result_code(&self) -> Option<xdr::TransactionResultCode> {
        self.inner_result().map(|pair| pair.result.result.discriminant())
    }

    /// Hash and result of the inner transaction, where the result of a fee bump has them.
    pub fn inner_result(&self) -> Option<&xdr::InnerTransactionResultPair> {
        inner_result(&self.result)
    }

    /// Whether the transaction was applied and kept: `txSUCCESS` or `txFEE_BUMP_INNER_SUCCESS`.
    pub const fn successful(&self) -> bool {
        matches!(
            self.result.result,
            xdr::TransactionResultResult::TxSuccess(_)
                | xdr::TransactionResultResult::TxFeeBumpInnerSuccess(_)
        )
    }

    /// Results of the operations, followed into the inner result of a fee bump; `None` where the transaction failed
    /// before it had any.
    pub fn operation_results(&self) -> Option<&[xdr::OperationResult]> {
        use xdr::InnerTransactionResultResult as I;
        use xdr::TransactionResultResult as R;
        match &self.result.result {
            R::TxSuccess(results) | R::TxFailed(results) => Some(results),
            R::TxFeeBumpInnerSuccess(pair) | R::TxFeeBumpInnerFailed(pair) => match &pair.result.result {
                I::TxSuccess(results) | I::TxFailed(results) => Some(results),
                I::TxTooEarly
                | I::TxTooLate
                | I::TxMissingOperation
                | I::TxBadSeq
                | I::TxBadAuth
                | I::TxInsufficientBalance
                | I::TxNoAccount
                | I::TxInsufficientFee
                | I::TxBadAuthExtra
                | I::TxInternalError
                | I::TxNotSupported
                | I::TxBadSponsorship
                | I::TxBadMinSeqAgeOrGap
                | I::TxMalformed
                | I::TxSorobanInvalid
                | I::TxFrozenKeyAccessed => None,
            },
            R::TxTooEarly
            | R::TxTooLate
            | R::TxMissingOperation
            | R::TxBadSeq
            | R::TxBadAuth
            | R::TxInsufficientBalance
            | R::TxNoAccount
            | R::TxInsufficientFee
            | R::TxBadAuthExtra
            | R::TxInternalError
            | R::TxNotSupported
            | R::TxBadSponsorship
            | R::TxBadMinSeqAgeOrGap
            | R::TxMalformed
            | R::TxSorobanInvalid
            | R::TxFrozenKeyAccessed => None,
        }
    }

    /// Whether the meta's operation changes and `txChangesAfter` must be ignored: before protocol 13 core wrote
    /// them for `txINTERNAL_ERROR` although it had rolled them back.
    fn changes_were_rolled_back(&self) -> bool {
        self.protocol <= 12 && matches!(self.result_code(), xdr::TransactionResultCode::TxInternalError)
    }

    /// Changes of the transaction itself before its operations (sequence numbers, used-up signers).
    pub fn changes_before(&self) -> &[xdr::LedgerEntryChange] {
        match &self.meta {
            xdr::TransactionMeta::V0(_) => &[],
            xdr::TransactionMeta::V1(m) => &m.tx_changes.0,
            xdr::TransactionMeta::V2(m) => &m.tx_changes_before.0,
            xdr::TransactionMeta::V3(m) => &m.tx_changes_before.0,
            xdr::TransactionMeta::V4(m) => &m.tx_changes_before.0,
        }
    }

    /// Changes of operation `index` (from 0); empty where the meta has none.
    pub fn operation_changes(&self, index: usize) -> &[xdr::LedgerEntryChange] {
        if self.changes_were_rolled_back() {
            return &[];
        }
        match &self.meta {
            xdr::TransactionMeta::V0(ops) => ops.get(index).map(|op| &op.changes),
            xdr::TransactionMeta::V1(m) => m.operations.get(index).map(|op| &op.changes),
            xdr::TransactionMeta::V2(m) => m.operations.get(index).map(|op| &op.changes),
            xdr::TransactionMeta::V3(m) => m.operations.get(index).map(|op| &op.changes),
            xdr::TransactionMeta::V4(m) => m.operations.get(index).map(|op| &op.changes),
        }
        .map_or(&[], |changes| &changes.0)
    }

    /// Changes of the transaction itself after its operations (Soroban refunds of protocols 20 to 22).
    pub fn changes_after(&self) -> &[xdr::LedgerEntryChange] {
        if self.changes_were_rolled_back() {
            return &[];
        }
        match &self.meta {
            xdr::TransactionMeta::V0(_) | xdr::TransactionMeta::V1(_) => &[],
            xdr::TransactionMeta::V2(m) => &m.tx_changes_after.0,
            xdr::TransactionMeta::V3(m) => &m.tx_changes_after.0,
            xdr::TransactionMeta::V4(m) => &m.tx_changes_after.0,
        }
    }

    /// Contract events of operation `index` (from 0), diagnostics left out. In TransactionMeta V3 the events of
    /// the only operation stand in the Soroban meta.
    pub fn operation_events(&self, index: usize) -> &[xdr::ContractEvent] {
        match &self.meta {
            xdr::TransactionMeta::V0(_) | xdr::TransactionMeta::V1(_) | xdr::TransactionMeta::V2(_) => &[],
            xdr::TransactionMeta::V3(m) => match (&m.soroban_meta, index) {
                (Some(soroban), 0) => &soroban.events,
                _ => &[],
            },
            xdr::TransactionMeta::V4(m) => m.operations.get(index).map_or(&[], |op| &op.events[..]),
        }
    }

    /// Contract events of the transaction itself (fees); TransactionMeta V4 only.
    pub fn transaction_events(&self) -> &[xdr::TransactionEvent] {
        match &self.meta {
            xdr::TransactionMeta::V0(_)
            | xdr::TransactionMeta::V1(_)
            | xdr::TransactionMeta::V2(_)
            | xdr::TransactionMeta::V3(_) => &[],
            xdr::TransactionMeta::V4(m) => &m.events,
        }
    }

    /// Events for those who look for faults, in the node's own order: also the copies that it keeps there of other
    /// events. Only nodes that are asked to write them.
    pub fn diagnostic_events(&self) -> &[xdr::DiagnosticEvent] {
        match &self.meta {
            xdr::TransactionMeta::V0(_) | xdr::TransactionMeta::V1(_) | xdr::TransactionMeta::V2(_) => &[],
            xdr::TransactionMeta::V3(m) => m.soroban_meta.as_ref().map_or(&[], |s| &s.diagnostic_events[..]),
            xdr::TransactionMeta::V4(m) => &m.diagnostic_events,
        }
    }

    /// Number of operations that the meta speaks of; 0 in the empty meta of rebuilt history.
    pub fn meta_operations(&self) -> usize {
        match &self.meta {
            xdr::TransactionMeta::V0(ops) => ops.len(),
            xdr::TransactionMeta::V1(m) => m.operations.len(),
            xdr::TransactionMeta::V2(m) => m.operations.len(),
            xdr::TransactionMeta::V3(m) => m.operations.len(),
            xdr::TransactionMeta::V4(m) => m.operations.len(),
        }
    }

    /// Parts of the resource fee that were charged, where the node wrote them.
    pub fn soroban_fees(&self) -> Option<&xdr::SorobanTransactionMetaExtV1> {
        let ext = match &self.meta {
            xdr::TransactionMeta::V0(_) | xdr::TransactionMeta::V1(_) | xdr::TransactionMeta::V2(_) => None,
            xdr::TransactionMeta::V3(m) => m.soroban_meta.as_ref().map(|s| &s.ext),
            xdr::TransactionMeta::V4(m) => m.soroban_meta.as_ref().map(|s| &s.ext),
        }?;
        match ext {
            xdr::SorobanTransactionMetaExt::V0 => None,
            xdr::SorobanTransactionMetaExt::V1(fees) => Some(fees),
        }
    }

    /// Value that the invoked contract function returned; `None` where the meta has none.
    pub fn soroban_return_value(&self) -> Option<&xdr::ScVal> {
        match &self.meta {
            xdr::TransactionMeta::V0(_) | xdr::TransactionMeta::V1(_) | xdr::TransactionMeta::V2(_) => None,
            xdr::TransactionMeta::V3(m) => m.soroban_meta.as_ref().map(|s| &s.return_value),
            xdr::TransactionMeta::V4(m) => m.soroban_meta.as_ref().and_then(|s| s.return_value.as_ref()),
        }
    }

    /// SEP-35 id of this transaction in ledger `seq`: `seq << 32 | application_order << 12`.
    pub fn toid(&self, seq: LedgerSeq) -> i64 {
        // 20 bits for the order: a ledger with a million transactions is refused while decoding.
        let order = u64::from(self.application_order & 0xf_ffff);
        let id = (u64::from(seq.get()) << 32) | (order << 12);
        // Ledger numbers above 2^31 would turn negative, as they do in every 64-bit signed TOID.
        i64::from_ne_bytes(id.to_ne_bytes())
    }

    /// SEP-35 id of operation `index` (from 0): the transaction's id plus `index + 1`.
    pub fn operation_toid(&self, seq: LedgerSeq, index: usize) -> i64 {
        // At most 100 operations fit a transaction, so the 12 bits never overflow.
        self.toid(seq) | i64::try_from(index.saturating_add(1) & 0xfff).unwrap_or_default()
    }

    /// Hash of the inner transaction of a fee bump; `None` for the others.
    pub const fn inner_transaction_hash(&self) -> Option<Hash32> {
        self.inner_hash
    }
}

/// Hash and result of the inner transaction, where the result is that of a fee bump which has them.
pub(super) fn inner_result(result: &xdr::TransactionResult) -> Option<&xdr::InnerTransactionResultPair> {
    use xdr::TransactionResultResult as R;
    match &result.result {
        R::TxFeeBumpInnerSuccess(pair) | R::TxFeeBumpInnerFailed(pair) => Some(pair),
        R::TxSuccess(_)
        | R::TxFailed(_)
        | R::TxTooEarly
        | R::TxTooLate
        | R::TxMissingOperation
        | R::TxBadSeq
        | R::TxBadAuth
        | R::TxInsufficientBalance
        | R::TxNoAccount
        | R::TxInsufficientFee
        | R::TxBadAuthExtra
        | R::TxInternalError
        | R::TxNotSupported
        | R::TxBadSponsorship
        | R::TxBadMinSeqAgeOrGap
        | R::TxMalformed
        | R::TxSorobanInvalid
        | R::TxFrozenKeyAccessed => None,
    }
}
