//! Transactions: one row per transaction, failed ones included, in apply order.
//!
//! Columns about "the transaction" are about the inner one of a fee bump; hash, fees, results and signatures of the
//! outer one are named so.

use std::io;

use stellar_xdr::{self as xdr, Limited, Limits, WriteXdr};

use super::{ExtractError, Input, fit};
use crate::{
    decode::{Fees, Ledger, Transaction, account_key},
    schema::{Account, Base64, Contract, Hex32, Json, Muxed, Timestamp, Word, table, text_cell},
    text::{Hex, Lossy},
    words,
};

text_cell!(
    /// A memo's content: text, decimal id or hex hash.
    MemoText, &'l xdr::Memo, |memo, to| match memo {
        xdr::Memo::None => {}
        xdr::Memo::Text(text) => to.put(Lossy(text.as_slice())),
        xdr::Memo::Id(id) => to.put(id),
        xdr::Memo::Hash(hash) | xdr::Memo::Return(hash) => to.put(Hex(&hash.0)),
    }
);

text_cell!(
    /// Signatures as a JSON array of base64.
    Signatures, &'l [xdr::DecoratedSignature], |signatures, to| {
        to.push("[");
        for (n, signature) in signatures.iter().enumerate() {
            to.push(if n == 0 { "\"" } else { ",\"" });
            to.push_base64(signature.signature.0.as_slice());
            to.push("\"");
        }
        to.push("]");
    }
);

table! {
    /// One row per transaction of a ledger, failed ones included, in apply order.
    transactions_row_v2 { key: [transaction_id], ledger: ledger_sequence }
    columns {
        /// Ledger of the transaction.
        ledger_sequence: i64,
        /// Hash of the (outer) transaction, lower-case hex.
        transaction_hash: Hex32 [bloom],
        /// Source account, G...; of the inner transaction for fee bumps.
        source_account: Account [bloom],
        /// Fee charged, stroops. Soroban fee bumps before protocol 21: the result's number less the refund.
        fee_charged: i64,
        /// Highest fee that the payer agreed to, stroops; for fee bumps the fee bump's bid.
        max_fee: i64,
        /// Whether the transaction was applied and kept.
        successful: bool,
        /// Horizon's word for the outer result, e.g. `tx_success`, `tx_failed`, `tx_fee_bump_inner_failed`.
        transaction_result_code: Word,
        /// Operations in the envelope; of the inner transaction for fee bumps.
        operation_count: i32,
        /// `none`, `text`, `id`, `hash` or `return`.
        memo_type: Option<Word>,
        /// Text, decimal id or hex hash; NULL when the type is `none`. Bytes that are not UTF-8 become U+FFFD.
        memo: Option<MemoText>,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
        /// Sequence number of the transaction.
        account_sequence: Option<i64>,
    }
    ledger_range;
    columns {
        /// Source account as M..., where the envelope has it so.
        source_account_muxed: Option<Muxed> [bloom],
        /// Fee account of a fee bump as M..., where the envelope has it so.
        fee_account_muxed: Option<Muxed>,
        /// Hash of the inner transaction; NULL when it is no fee bump.
        inner_transaction_hash: Option<Hex32> [bloom],
        /// Fee that a fee bump bids, stroops.
        fee_bump_fee: Option<i64>,
        /// Same as fee_bump_fee.
        max_fee_bid: Option<i64>,
        /// Source account of the inner transaction; NULL when it is no fee bump.
        inner_source_account: Option<Account>,
        /// Earliest close time, Unix seconds; 9223372036854775807 stands for anything above.
        timebounds_min_time: Option<i64>,
        /// Latest close time, Unix seconds; 0 is no limit; 9223372036854775807 stands for anything above.
        timebounds_max_time: Option<i64>,
        /// First ledger the transaction is valid in.
        ledgerbounds_min: Option<i64>,
        /// First ledger the transaction is no longer valid in; 0 is no limit.
        ledgerbounds_max: Option<i64>,
        /// Lowest sequence number that the source account may have.
        min_sequence_number: Option<i64>,
        /// Least age of the source account's sequence number, seconds; NULL when none is asked for.
        min_sequence_age: Option<i64>,
        /// Declared CPU instructions; NULL, as all soroban columns, for other transactions.
        soroban_resources_instructions: Option<i64>,
        /// Declared bytes read from disk (before protocol 23: all bytes read).
        soroban_resources_read_bytes: Option<i64>,
        /// Declared bytes written.
        soroban_resources_write_bytes: Option<i64>,
        /// Length of the SorobanTransactionData, bytes of XDR.
        soroban_data_size_bytes: Option<i32>,
        /// Declared resources with the footprint, SEP-51 JSON of SorobanResources.
        soroban_data_resources: Option<Json<xdr::SorobanResources>>,
        /// Inclusion fee charged, stroops; NULL where the meta has no fee changes.
        soroban_fee_base: Option<i64>,
        /// Declared resource fee, stroops.
        soroban_fee_resources: Option<i64>,
        /// Part of the declared resource fee that came back, stroops; NULL where the meta has no fee changes.
        soroban_fee_refund: Option<i64>,
        /// Resource fee charged in the end: declared less refund, stroops.
        soroban_fee_charged: Option<i64>,
        /// Bid that was not charged: max_fee less fee_charged, stroops; NULL where the refund that fee_charged needs is
        /// not known.
        soroban_fee_wasted: Option<i64>,
        /// `invoke_contract`, `create_contract`, `create_contract_v2` or `upload_wasm`.
        soroban_host_function_type: Option<Word>,
        /// Contract that is invoked, C...; NULL for other host functions.
        soroban_contract_id: Option<Contract> [bloom],
        /// Contract events of the operation, diagnostics not counted.
        soroban_contract_events_count: Option<i32>,
        /// Signatures of the envelope; of the inner one for fee bumps.
        signatures_count: i32,
        /// Whether the transaction was kept and has a create_account operation.
        new_account: bool,
        /// Base64 XDR of the TransactionEnvelope. This and the three after it are NULL where the lake was told to leave
        /// raw XDR out (`lake.raw_xdr`).
        tx_envelope: Option<Base64>,
        /// Base64 XDR of the TransactionResult.
        tx_result: Option<Base64>,
        /// Base64 XDR of the TransactionMeta.
        tx_meta: Option<Base64>,
        /// Base64 XDR of the LedgerEntryChanges of fee processing.
        tx_fee_meta: Option<Base64>,
        /// Signatures of the outer envelope, JSON array of base64.
        tx_signers: Option<Signatures>,
        /// Signers that the preconditions ask for, JSON array of strkeys; NULL when none.
        extra_signers: Option<Json<xdr::VecM<xdr::SignerKey, 2>>>,
    }
    era_id; version_label;
    columns {
        /// SEP-35 id: ledger << 32 | application order << 12.
        transaction_id: i64,
        /// Position in apply order, from 1.
        application_order: i32,
        /// Account that pays a fee bump, G...; NULL when it is none (the source account pays).
        fee_account: Option<Account> [bloom],
        /// Fee that the inner transaction of a fee bump bids, stroops.
        inner_fee_bid: Option<i64>,
        /// Horizon's word for the result of the inner transaction; NULL when it is no fee bump or never ran.
        inner_result_code: Option<Word>,
        /// Least number of ledgers since the source account's last sequence number; NULL when none is asked for.
        min_sequence_ledger_gap: Option<i64>,
        /// Base64 of a text memo that is not UTF-8; NULL when `memo` says it all.
        memo_bytes: Option<Base64>,
        /// Refundable resource fee charged, stroops; NULL where the node did not write it.
        refundable_fee_charged: Option<i64>,
        /// Non-refundable resource fee charged, stroops; NULL where the node did not write it.
        non_refundable_fee_charged: Option<i64>,
        /// Rent charged, stroops, part of the refundable fee; NULL where the node did not write it.
        rent_fee_charged: Option<i64>,
        /// Declared resource fee, stroops.
        resource_fee: Option<i64>,
        /// Phase of the transaction set: 0 classic, 1 Soroban; NULL in sets without phases.
        tx_set_phase: Option<i32>,
        /// Stage of a parallel phase, from 0.
        tx_set_stage: Option<i32>,
        /// Cluster within the stage, from 0.
        tx_set_cluster: Option<i32>,
        /// Signatures of the inner envelope, JSON array of base64; NULL when it is no fee bump.
        inner_signatures: Option<Signatures>,
    }
}

/// Columns that repeat the ledger's XDR as it came, which a lake may leave out.
pub const RAW_XDR: [&str; 4] = ["tx_envelope", "tx_result", "tx_meta", "tx_fee_meta"];

/// Appends the ledger's transactions to `out`, in apply order.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for tx in &input.ledger.transactions {
        push(input, tx, out)?;
    }
    Ok(())
}

fn push(input: &Input<'_>, tx: &Transaction, out: &mut Columns) -> Result<(), ExtractError> {
    let ledger = input.ledger;
    let place = |column, value: Option<u32>| {
        value.map(|v| fit::<u32, i32>(ledger.seq, SPEC.name, column, v)).transpose()
    };
    let count = |column, value: usize| fit::<usize, i32>(ledger.seq, SPEC.name, column, value);

    let source = tx.source();
    let bump = tx.fee_bump();
    let memo = tx.memo();
    let bounds = tx.time_bounds();
    let conditions = tx.preconditions();
    let ledger_bounds = conditions.and_then(|c| c.ledger_bounds.as_ref());
    let extra_signers = conditions.map(|c| &c.extra_signers).filter(|signers| !signers.is_empty());
    let signatures = tx.inner_signatures().unwrap_or_else(|| tx.outer_signatures());
    let fees = tx.fees();
    let soroban = Soroban::of(ledger, tx, fees)?;
    let charged = tx.soroban_fees();
    let raw = input.raw_xdr.then_some(tx);

    out.push(Row {
        ledger_sequence: i64::from(ledger.seq.get()),
        transaction_hash: tx.hash,
        source_account: account_key(&source),
        fee_charged: fees.charged,
        max_fee: tx.fee_bid(),
        successful: tx.successful(),
        transaction_result_code: words::transaction_result_code(tx.result_code()),
        operation_count: count("operation_count", tx.operations().len())?,
        memo_type: Some(words::memo_type(memo.discriminant())),
        memo: (!matches!(memo, xdr::Memo::None)).then_some(memo),
        created_at: ledger.closed_at_micros(),
        account_sequence: Some(tx.sequence_number()),
        source_account_muxed: muxed(&source),
        fee_account_muxed: bump.and_then(|bump| muxed(&bump.fee_source)),
        inner_transaction_hash: tx.inner_transaction_hash(),
        fee_bump_fee: bump.map(|bump| bump.fee),
        max_fee_bid: bump.map(|bump| bump.fee),
        inner_source_account: bump.map(|_| account_key(&source)),
        timebounds_min_time: bounds.map(|b| capped(b.min_time.0)),
        timebounds_max_time: bounds.map(|b| capped(b.max_time.0)),
        ledgerbounds_min: ledger_bounds.map(|b| i64::from(b.min_ledger)),
        ledgerbounds_max: ledger_bounds.map(|b| i64::from(b.max_ledger)),
        min_sequence_number: conditions.and_then(|c| c.min_seq_num.as_ref()).map(|number| number.0),
        min_sequence_age: conditions.map(|c| capped(c.min_seq_age.0)).filter(|age| *age != 0),
        soroban_resources_instructions: soroban.resources(|r| r.instructions),
        soroban_resources_read_bytes: soroban.resources(|r| r.disk_read_bytes),
        soroban_resources_write_bytes: soroban.resources(|r| r.write_bytes),
        soroban_data_size_bytes: soroban.data_bytes,
        soroban_data_resources: soroban.data.map(|data| &data.resources),
        soroban_fee_base: fees.inclusion,
        soroban_fee_resources: soroban.data.map(|data| data.resource_fee),
        soroban_fee_refund: fees.refund,
        soroban_fee_charged: soroban.fee_charged,
        soroban_fee_wasted: soroban.fee_wasted,
        soroban_host_function_type: soroban.function.map(host_function),
        soroban_contract_id: soroban.contract(),
        soroban_contract_events_count: soroban.events,
        signatures_count: count("signatures_count", signatures.len())?,
        new_account: tx.successful()
            && tx.operations().iter().any(|op| matches!(op.body, xdr::OperationBody::CreateAccount(_))),
        tx_envelope: raw.map(|tx| tx.envelope_xdr.as_ref()),
        tx_result: raw.map(|tx| tx.result_xdr.as_ref()),
        tx_meta: raw.map(|tx| tx.meta_xdr.as_ref()),
        tx_fee_meta: raw.map(|tx| tx.fee_changes_xdr.as_ref()),
        tx_signers: Some(tx.outer_signatures()),
        extra_signers,
        transaction_id: tx.toid(ledger.seq),
        application_order: fit(ledger.seq, SPEC.name, "application_order", tx.application_order)?,
        fee_account: bump.map(|bump| account_key(&bump.fee_source)),
        inner_fee_bid: bump.map(|_| i64::from(tx.inner_fee_bid())),
        inner_result_code: tx.inner_result_code().map(words::transaction_result_code),
        min_sequence_ledger_gap: conditions.map(|c| i64::from(c.min_seq_ledger_gap)).filter(|gap| *gap != 0),
        memo_bytes: odd_memo(memo),
        refundable_fee_charged: charged.map(|c| c.total_refundable_resource_fee_charged),
        non_refundable_fee_charged: charged.map(|c| c.total_non_refundable_resource_fee_charged),
        rent_fee_charged: charged.map(|c| c.rent_fee_charged),
        resource_fee: soroban.data.map(|data| data.resource_fee),
        tx_set_phase: place("tx_set_phase", tx.place.map(|p| p.phase))?,
        tx_set_stage: place("tx_set_stage", tx.place.and_then(|p| p.stage))?,
        tx_set_cluster: place("tx_set_cluster", tx.place.and_then(|p| p.cluster))?,
        inner_signatures: tx.inner_signatures(),
    });
    Ok(())
}

/// What only Soroban transactions have.
struct Soroban<'t> {
    data: Option<&'t xdr::SorobanTransactionData>,
    data_bytes: Option<i32>,
    function: Option<&'t xdr::HostFunction>,
    events: Option<i32>,
    fee_charged: Option<i64>,
    fee_wasted: Option<i64>,
}

impl<'t> Soroban<'t> {
    fn of(ledger: &Ledger, tx: &'t Transaction, fees: Fees) -> Result<Self, ExtractError> {
        let function = match tx.operations().first().map(|op| &op.body) {
            Some(xdr::OperationBody::InvokeHostFunction(op)) => Some(&op.host_function),
            _ => None,
        };
        let Some(data) = tx.soroban_data() else {
            return Ok(Self {
                data: None,
                data_bytes: None,
                function,
                events: None,
                fee_charged: None,
                fee_wasted: None,
            });
        };
        let fail = |reason| ExtractError {
            seq: ledger.seq,
            table: SPEC.name,
            reason: format!("{}: {reason}", tx.hash),
        };
        let less = |from: i64, what: i64, column| {
            from.checked_sub(what).ok_or_else(|| fail(format!("{column} does not fit its column")))
        };
        let bytes = encoded_len(data).map_err(|error| fail(format!("soroban_data_size_bytes: {error}")))?;
        let events = tx.operation_events(0).len();
        Ok(Self {
            data: Some(data),
            data_bytes: Some(fit(ledger.seq, SPEC.name, "soroban_data_size_bytes", bytes)?),
            function,
            events: Some(fit(ledger.seq, SPEC.name, "soroban_contract_events_count", events)?),
            fee_charged: fees
                .refund
                .map(|refund| less(data.resource_fee, refund, "soroban_fee_charged"))
                .transpose()?,
            fee_wasted: fees
                .is_exact
                .then(|| less(tx.fee_bid(), fees.charged, "soroban_fee_wasted"))
                .transpose()?,
        })
    }

    fn resources(&self, which: fn(&xdr::SorobanResources) -> u32) -> Option<i64> {
        self.data.map(|data| i64::from(which(&data.resources)))
    }

    fn contract(&self) -> Option<[u8; 32]> {
        let Some(xdr::HostFunction::InvokeContract(args)) = self.function else { return None };
        let xdr::ScAddress::Contract(xdr::ContractId(id)) = &args.contract_address else { return None };
        Some(id.0)
    }
}

/// The words of Stellar's public data set; `upload_wasm` is `upload_contract_wasm` in SEP-51.
fn host_function(function: &xdr::HostFunction) -> &'static str {
    match function {
        xdr::HostFunction::UploadContractWasm(_) => "upload_wasm",
        xdr::HostFunction::InvokeContract(_)
        | xdr::HostFunction::CreateContract(_)
        | xdr::HostFunction::CreateContractV2(_) => words::host_function_type(function.discriminant()),
    }
}

fn muxed(account: &xdr::MuxedAccount) -> Option<(u64, [u8; 32])> {
    match account {
        xdr::MuxedAccount::Ed25519(_) => None,
        xdr::MuxedAccount::MuxedEd25519(muxed) => Some((muxed.id, muxed.ed25519.0)),
    }
}

/// An unsigned time as BIGINT, cut as Horizon cuts it.
fn capped(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// Bytes of a text memo that its column cannot show.
fn odd_memo(memo: &xdr::Memo) -> Option<&[u8]> {
    match memo {
        xdr::Memo::Text(text) => Some(text.as_slice()).filter(|bytes| std::str::from_utf8(bytes).is_err()),
        xdr::Memo::None | xdr::Memo::Id(_) | xdr::Memo::Hash(_) | xdr::Memo::Return(_) => None,
    }
}

/// Length of a value in XDR; nothing is kept of the encoding.
fn encoded_len(value: &impl WriteXdr) -> Result<usize, xdr::Error> {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(buf.len());
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut to = Limited::new(Counter(0), Limits::none());
    value.write_xdr(&mut to)?;
    Ok(to.inner.0)
}
