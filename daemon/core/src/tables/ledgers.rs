//! Ledgers: one row per closed ledger, from the header and sums over its transactions.

use stellar_xdr::{self as xdr, Limits, ReadXdr};

use super::{ExtractError, Input, fit};
use crate::{
    decode::Ledger,
    ledger::Hash32,
    schema::{Account, Base64, Hex32, Json, Timestamp, table},
};

table! {
    /// One row per closed ledger.
    ledgers_row_v2 { key: [sequence], ledger: sequence }
    columns {
        /// Sequence number of the ledger.
        sequence: i64,
        /// SHA-256 of the ledger header, lower-case hex.
        ledger_hash: Hex32 [bloom],
        /// Hash of the ledger before this one.
        previous_ledger_hash: Hex32 [bloom],
        /// Close time on the chain, UTC.
        closed_at: Timestamp,
        /// Protocol version after the upgrades of this ledger; its transactions ran under the version before them.
        protocol_version: i32,
        /// Stroops in existence.
        total_coins: i64,
        /// Fees collected since the last inflation, stroops.
        fee_pool: i64,
        /// Base fee per operation, stroops.
        base_fee: i32,
        /// Reserve per ledger entry of an account, stroops.
        base_reserve: i32,
        /// Most classic operations in a transaction set.
        max_tx_set_size: i32,
        /// Transactions that were applied and kept.
        successful_tx_count: i32,
        /// Transactions that failed.
        failed_tx_count: i32,
        /// When the row was made, UTC: the only wall clock in the lake.
        ingestion_timestamp: Option<Timestamp>,
    }
    ledger_range;
    columns {
        /// All transactions, failed ones included.
        transaction_count: Option<i32>,
        /// Operations of successful transactions, counted from their results.
        operation_count: Option<i32>,
        /// Operations of all transactions, counted from their envelopes.
        tx_set_operation_count: Option<i32>,
        /// Core's rent fee per KB of the Soroban state, stroops; NULL where the node did not write it.
        soroban_fee_write1kb: Option<i64>,
        /// Node that proposed the ledger's value, G...; NULL where the value is not signed.
        node_id: Option<Account>,
        /// That node's signature of the value, base64.
        signature: Option<Base64>,
        /// Base64 XDR of the LedgerHeader.
        ledger_header: Option<Base64>,
        /// Bytes of the bucket list; NULL from protocol 23 on and where the close meta has no such field.
        bucket_list_size: Option<i64>,
        /// Bytes of the live Soroban state, as the sliding-window average that fees use; NULL before protocol 23.
        live_soroban_state_size: Option<i64>,
        /// Keys evicted in this ledger, TTL keys included; NULL where the close meta has no such field.
        evicted_keys_count: Option<i32>,
    }
    era_id; version_label;
    columns {
        /// Hash of the transaction set that the network agreed on; all zero for an empty set by CAP-83.
        tx_set_hash: Hex32,
        /// Hash of the transaction results.
        tx_set_result_hash: Hex32,
        /// Hash of the ledger's state.
        bucket_list_hash: Hex32,
        /// Soroban operations of all transactions, failed ones included.
        soroban_op_count: i32,
        /// Sum of transactions_row_v2.fee_charged, stroops.
        total_fee_charged: i64,
        /// Contract events of transactions and operations; diagnostic events do not count.
        contract_events_count: i32,
        /// Upgrades that the network agreed on, SEP-51 JSON array of LedgerUpgrade; NULL when there are none.
        upgrades: Option<Json<Vec<xdr::LedgerUpgrade>>>,
        /// Arm of the LedgerCloseMeta that the ledger was read from: 0, 1 or 2.
        close_meta_version: i32,
    }
}

/// Sums over a ledger's transactions.
#[derive(Default)]
struct Sums {
    failed: usize,
    kept_operations: usize,
    operations: usize,
    soroban_operations: usize,
    events: usize,
    fees: i64,
}

impl Sums {
    fn of(ledger: &Ledger) -> Option<Self> {
        let mut sums = Self::default();
        for tx in &ledger.transactions {
            if tx.successful() {
                sums.kept_operations += tx.operation_results().map_or(0, <[_]>::len);
            } else {
                sums.failed += 1;
            }
            sums.operations += tx.operations().len();
            sums.soroban_operations += tx.operations().iter().filter(|op| is_soroban(op)).count();
            sums.events += tx.transaction_events().len();
            sums.events +=
                (0..tx.operations().len()).map(|index| tx.operation_events(index).len()).sum::<usize>();
            sums.fees = sums.fees.checked_add(tx.fees().charged)?;
        }
        Some(sums)
    }
}

fn is_soroban(operation: &xdr::Operation) -> bool {
    matches!(
        operation.body,
        xdr::OperationBody::InvokeHostFunction(_)
            | xdr::OperationBody::ExtendFootprintTtl(_)
            | xdr::OperationBody::RestoreFootprint(_)
    )
}

/// Appends the ledger's row to `out`.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let ledger = input.ledger;
    let fail = |reason: String| ExtractError { seq: ledger.seq, table: SPEC.name, reason };
    let int = |column, value: u32| fit::<u32, i32>(ledger.seq, SPEC.name, column, value);
    let count = |column, value: usize| fit::<usize, i32>(ledger.seq, SPEC.name, column, value);

    let header = &ledger.header;
    let sums = Sums::of(ledger).ok_or_else(|| fail("total_fee_charged does not fit its column".into()))?;
    let upgrades = header
        .scp_value
        .upgrades
        .iter()
        .map(|upgrade| xdr::LedgerUpgrade::from_xdr(upgrade.0.as_slice(), Limits::len(upgrade.0.len())))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fail(format!("an upgrade is no LedgerUpgrade: {error}")))?;
    let state_size = ledger
        .live_soroban_state_size
        .map(|size| fit::<u64, i64>(ledger.seq, SPEC.name, "live_soroban_state_size", size))
        .transpose()?;
    // Differs from the reference: one XDR field, two meanings, told apart by the protocol.
    let state_is_soroban = header.ledger_version >= 23;
    let signature = ledger.close_signature();

    out.push(Row {
        sequence: i64::from(ledger.seq.get()),
        ledger_hash: ledger.hash,
        previous_ledger_hash: ledger.previous_hash,
        closed_at: ledger.closed_at_micros(),
        protocol_version: int("protocol_version", header.ledger_version)?,
        total_coins: header.total_coins,
        fee_pool: header.fee_pool,
        base_fee: int("base_fee", header.base_fee)?,
        base_reserve: int("base_reserve", header.base_reserve)?,
        max_tx_set_size: int("max_tx_set_size", header.max_tx_set_size)?,
        successful_tx_count: count("successful_tx_count", ledger.transactions.len() - sums.failed)?,
        failed_tx_count: count("failed_tx_count", sums.failed)?,
        ingestion_timestamp: Some(input.stamps.ingested_at_micros),
        transaction_count: Some(count("transaction_count", ledger.transactions.len())?),
        operation_count: Some(count("operation_count", sums.kept_operations)?),
        tx_set_operation_count: Some(count("tx_set_operation_count", sums.operations)?),
        soroban_fee_write1kb: ledger.soroban_fee_write_1kb,
        node_id: signature.map(|s| {
            let xdr::PublicKey::PublicKeyTypeEd25519(key) = &s.node_id.0;
            key.0
        }),
        signature: signature.map(|s| s.signature.0.as_slice()),
        ledger_header: Some(&ledger.header_xdr),
        bucket_list_size: state_size.filter(|_| !state_is_soroban),
        live_soroban_state_size: state_size.filter(|_| state_is_soroban),
        evicted_keys_count: ledger
            .evicted_keys
            .as_ref()
            .map(|keys| count("evicted_keys_count", keys.len()))
            .transpose()?,
        tx_set_hash: Hash32(header.scp_value.tx_set_hash.0),
        tx_set_result_hash: Hash32(header.tx_set_result_hash.0),
        bucket_list_hash: Hash32(header.bucket_list_hash.0),
        soroban_op_count: count("soroban_op_count", sums.soroban_operations)?,
        total_fee_charged: sums.fees,
        contract_events_count: count("contract_events_count", sums.events)?,
        upgrades: (!upgrades.is_empty()).then_some(&upgrades),
        close_meta_version: ledger.close_meta_version,
    });
    Ok(())
}
