//! Ledgers made by hand for the tests of single tables, and their rows as JSON.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, cast::AsArray, types};
use arrow_schema::DataType;
use bytes::Bytes;
use serde_json::{Value, json};
use stellar_xdr as xdr;

use super::Stamps;
use crate::{Hash32, Ledger, LedgerSeq, Transaction};

pub(super) fn stamps() -> Stamps {
    Stamps { era_id: None, version_label: Arc::from("v1"), ingested_at_micros: 0 }
}

pub(super) fn key(n: u8) -> xdr::Uint256 {
    xdr::Uint256([n; 32])
}

pub(super) fn account(n: u8) -> xdr::AccountId {
    xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(key(n)))
}

pub(super) fn plain(n: u8) -> xdr::MuxedAccount {
    xdr::MuxedAccount::Ed25519(key(n))
}

pub(super) fn muxed(n: u8, id: u64) -> xdr::MuxedAccount {
    xdr::MuxedAccount::MuxedEd25519(xdr::MuxedAccountMed25519 { id, ed25519: key(n) })
}

/// A transaction of account 1, its hash 32 times `order`.
pub(crate) fn transaction(
    order: u8,
    operations: Vec<xdr::Operation>,
    result: xdr::TransactionResultResult,
    meta: xdr::TransactionMeta,
) -> Transaction {
    let envelope = xdr::TransactionV1Envelope {
        tx: xdr::Transaction {
            source_account: plain(1),
            operations: operations.try_into().unwrap(),
            ..xdr::Transaction::default()
        },
        ..xdr::TransactionV1Envelope::default()
    };
    Transaction {
        hash: Hash32([order; 32]),
        application_order: order.into(),
        inner_hash: None,
        protocol: 25,
        envelope: xdr::TransactionEnvelope::Tx(envelope),
        envelope_xdr: Bytes::new(),
        result: xdr::TransactionResult { result, ..xdr::TransactionResult::default() },
        result_xdr: Bytes::new(),
        fee_changes: xdr::LedgerEntryChanges::default(),
        fee_changes_xdr: Bytes::new(),
        meta,
        meta_xdr: Bytes::new(),
        post_apply_fee_changes: None,
        place: None,
    }
}

/// Ledger 20,001 of protocol 25.
pub(crate) fn ledger(transactions: Vec<Transaction>) -> Ledger {
    Ledger {
        seq: LedgerSeq::new(20_001),
        network_id: Hash32([0; 32]),
        hash: Hash32([0; 32]),
        previous_hash: Hash32([0; 32]),
        closed_at: 1_700_000_000,
        header: xdr::LedgerHeader::default(),
        header_xdr: Bytes::new(),
        close_meta_version: 2,
        applied_protocol: 25,
        transactions,
        soroban_fee_write_1kb: None,
        live_soroban_state_size: None,
        evicted_keys: None,
        upgrades: Vec::new(),
    }
}

/// The rows of a batch with their NULLs.
pub(super) fn rows(batch: &RecordBatch) -> Vec<Value> {
    let schema = batch.schema();
    let row = |n| {
        let cells = schema.fields().iter().zip(batch.columns());
        Value::Object(cells.map(|(field, column)| (field.name().clone(), value(column, n))).collect())
    };
    (0..batch.num_rows()).map(row).collect()
}

#[allow(clippy::wildcard_enum_match_arm, reason = "no table has a column of another type")]
fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int32 => json!(column.as_primitive::<types::Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<types::Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<types::Float64Type>().value(row)),
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        _ => json!(column.as_primitive::<types::TimestampMicrosecondType>().value(row)),
    }
}

/// Every named field of `part` has that value in `whole`.
#[track_caller]
pub(super) fn assert_has(whole: &Value, part: &Value) {
    for (name, value) in part.as_object().unwrap() {
        assert_eq!(&whole[name], value, "{name}");
    }
}
