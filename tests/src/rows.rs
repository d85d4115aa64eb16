//! Rows as the truth has them and as the lake shows them, both as texts, so that any difference can be printed.

use lake_sim::{LedgerTruth, OpTruth, TxTruth};

/// A row: its key for messages and its cells.
pub(crate) type Cells = Vec<Option<String>>;

/// How one table is compared: column names, and a SQL expression for each.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) table: &'static str,
    pub(crate) ledger: &'static str,
    pub(crate) order: &'static str,
    pub(crate) columns: &'static [(&'static str, &'static str)],
}

pub(crate) const LEDGERS: Comparison = Comparison {
    table: "ledgers_row_v2",
    ledger: "sequence",
    order: "sequence",
    columns: &[
        ("sequence", "sequence"),
        ("ledger_hash", "ledger_hash"),
        ("previous_ledger_hash", "previous_ledger_hash"),
        ("closed_at", "epoch_us(closed_at) // 1000000"),
        ("protocol_version", "protocol_version"),
        ("tx_set_hash", "tx_set_hash"),
        ("tx_set_result_hash", "tx_set_result_hash"),
        ("successful_tx_count", "successful_tx_count"),
        ("failed_tx_count", "failed_tx_count"),
        ("transaction_count", "transaction_count"),
        ("operation_count", "operation_count"),
        ("tx_set_operation_count", "tx_set_operation_count"),
        ("soroban_op_count", "soroban_op_count"),
        ("contract_events_count", "contract_events_count"),
        ("total_fee_charged", "total_fee_charged"),
        ("fee_pool", "fee_pool"),
        ("total_coins", "total_coins"),
    ],
};

pub(crate) fn ledger(truth: &LedgerTruth) -> Cells {
    let totals = &truth.totals;
    vec![
        text(truth.seq),
        text(truth.hash),
        text(truth.previous_hash),
        text(truth.closed_at),
        text(truth.protocol),
        text(truth.tx_set_hash),
        text(truth.tx_set_result_hash),
        text(totals.successful),
        text(totals.failed),
        text(totals.successful + totals.failed),
        text(totals.operations),
        text(totals.envelope_operations),
        text(totals.soroban_operations),
        text(totals.operation_events + totals.transaction_events),
        text(totals.fee_charged),
        text(totals.fee_pool),
        text(totals.total_coins),
    ]
}

pub(crate) const TRANSACTIONS: Comparison = Comparison {
    table: "transactions_row_v2",
    ledger: "ledger_sequence",
    order: "transaction_id",
    columns: &[
        ("ledger_sequence", "ledger_sequence"),
        ("application_order", "application_order"),
        ("transaction_hash", "transaction_hash"),
        ("inner_transaction_hash", "inner_transaction_hash"),
        ("source_account", "source_account"),
        ("source_account_muxed", "source_account_muxed"),
        ("fee_account", "fee_account"),
        ("account_sequence", "account_sequence"),
        ("successful", "successful"),
        ("fee_charged", "fee_charged"),
        ("max_fee", "max_fee"),
        ("operation_count", "operation_count"),
        ("is soroban", "soroban_resources_instructions IS NOT NULL"),
        ("transaction_result_code", "transaction_result_code"),
    ],
};

pub(crate) fn transaction(ledger: u32, order: usize, truth: &TxTruth) -> Cells {
    vec![
        text(ledger),
        text(order),
        text(truth.hash),
        truth.inner_hash.map(|hash| hash.to_string()),
        text(&truth.source),
        truth.source_muxed.clone(),
        truth.fee_account.clone(),
        text(truth.account_sequence),
        text(truth.successful),
        text(truth.fee_charged),
        text(truth.max_fee),
        text(truth.operation_count),
        text(truth.soroban),
        text(truth.result),
    ]
}

pub(crate) const OPERATIONS: Comparison = Comparison {
    table: "operations_row_v2",
    ledger: "ledger_sequence",
    order: "ledger_sequence, application_order, operation_index",
    columns: &[
        ("ledger_sequence", "ledger_sequence"),
        ("transaction_hash", "transaction_hash"),
        ("operation_index", "operation_index"),
        ("type", "type"),
        ("source_account", "source_account"),
        ("transaction_successful", "transaction_successful"),
        ("op_success", "coalesce(operation_trace_code = 'op_success', false)"),
        (
            "amount",
            "CASE WHEN type IN (1, 2, 3, 4, 12, 14, 19) THEN amount WHEN type = 0 THEN starting_balance \
             WHEN type = 13 THEN source_amount END",
        ),
        (
            "asset",
            "CASE WHEN type IN (1, 2, 14, 19) THEN asset WHEN type IN (3, 4) THEN selling_asset \
             WHEN type = 12 THEN buying_asset WHEN type = 13 THEN source_asset END",
        ),
        ("destination", "CASE WHEN type IN (0, 1, 2, 8, 13) THEN destination END"),
    ],
};

pub(crate) fn operation(ledger: u32, truth: &OpTruth) -> Cells {
    vec![
        text(ledger),
        text(truth.transaction),
        text(truth.index),
        text(truth.kind),
        text(&truth.source),
        text(truth.successful),
        text(truth.applied),
        truth.amount.map(|amount| amount.to_string()),
        truth.asset.clone(),
        truth.destination.clone(),
    ]
}

#[allow(clippy::unnecessary_wraps, reason = "cells are nullable")]
fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}
