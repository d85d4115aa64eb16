//! What the goldens do not show: muxed addresses, rare operation types, empty metas, forged events.

use serde_json::{Value, json};
use stellar_xdr::{
    self as xdr, LedgerEntryChange as Change, OperationBody as Body, OperationResult as Outer,
    OperationResultTr as Tr,
};

use super::{Columns, extract};
use crate::{
    Hash32, Ledger, Network, Transaction,
    tables::{
        ExtractError, Input,
        testing::{account, assert_has, key, ledger, muxed, plain, rows, stamps, transaction},
    },
    text::stellar_asset_contract,
};

mod accounts;
mod payments;
mod pools;
mod soroban;

const PASSPHRASE: &str = "a network of this test";
const CLOSED_AT: i64 = 1_700_000_000;

/// One transaction of account 1, as it came out.
#[derive(Default)]
struct Given {
    operations: Vec<xdr::Operation>,
    failed: bool,
    results: Option<Vec<Outer>>,
    changes: Vec<Change>,
    events: Vec<xdr::ContractEvent>,
}

impl Given {
    fn one(body: Body) -> Self {
        Self { operations: vec![op(body)], ..Self::default() }
    }

    fn result(self, tr: Tr) -> Self {
        Self { results: Some(vec![Outer::OpInner(tr)]), ..self }
    }

    fn changes(self, changes: Vec<Change>) -> Self {
        Self { changes, ..self }
    }

    fn events(self, events: Vec<xdr::ContractEvent>) -> Self {
        Self { events, ..self }
    }

    fn failed(self) -> Self {
        Self { failed: true, ..self }
    }

    fn extract(self) -> Result<Vec<Value>, ExtractError> {
        let results = self.results.map(|results| xdr::VecM::try_from(results).unwrap());
        let result = match (self.failed, results) {
            (false, results) => xdr::TransactionResultResult::TxSuccess(results.unwrap_or_default()),
            (true, Some(results)) => xdr::TransactionResultResult::TxFailed(results),
            (true, None) => xdr::TransactionResultResult::TxBadSeq,
        };
        let operation = xdr::OperationMetaV2 {
            changes: xdr::LedgerEntryChanges(self.changes.try_into().unwrap()),
            events: self.events.try_into().unwrap(),
            ..xdr::OperationMetaV2::default()
        };
        let meta = xdr::TransactionMetaV4 {
            operations: vec![operation].try_into().unwrap(),
            ..xdr::TransactionMetaV4::default()
        };
        let transaction = Transaction {
            hash: Hash32([9; 32]),
            ..transaction(3, self.operations, result, xdr::TransactionMeta::V4(meta))
        };
        let ledger = Ledger { network_id: Network::new(PASSPHRASE).id(), ..ledger(vec![transaction]) };
        let stamps = stamps();
        let mut columns = Columns::default();
        extract(&Input::new(&ledger, &stamps)?, &mut columns)?;
        columns.stamp(ledger.seq, &stamps);
        Ok(rows(&columns.finish()))
    }

    fn row(self) -> Value {
        self.extract().unwrap().remove(0)
    }

    fn details(self) -> Value {
        details(&self.row())
    }
}

fn details(row: &Value) -> Value {
    serde_json::from_str(row["details_json"].as_str().unwrap()).unwrap()
}

fn op(body: Body) -> xdr::Operation {
    xdr::Operation { source_account: None, body }
}

/// The address of account `n`.
fn g(n: u8) -> String {
    account(n).to_string()
}

fn usd() -> xdr::Asset {
    xdr::Asset::CreditAlphanum4(xdr::AlphaNum4 { asset_code: xdr::AssetCode4(*b"USD\0"), issuer: account(2) })
}

fn balance(n: u8) -> xdr::ClaimableBalanceId {
    xdr::ClaimableBalanceId::ClaimableBalanceIdTypeV0(xdr::Hash([n; 32]))
}

fn entry(data: xdr::LedgerEntryData, sponsor: Option<u8>) -> xdr::LedgerEntry {
    let sponsoring_id = xdr::SponsorshipDescriptor(sponsor.map(account));
    let ext = xdr::LedgerEntryExtensionV1 { sponsoring_id, ext: xdr::LedgerEntryExtensionV1Ext::V0 };
    xdr::LedgerEntry { last_modified_ledger_seq: 1, data, ext: xdr::LedgerEntryExt::V1(ext) }
}

fn fill(bought: xdr::Asset, amount_bought: i64) -> xdr::ClaimAtom {
    xdr::ClaimAtom::OrderBook(xdr::ClaimOfferAtom {
        asset_bought: bought,
        amount_bought,
        asset_sold: usd(),
        amount_sold: 1,
        ..xdr::ClaimOfferAtom::default()
    })
}

fn strict_receive(fills: Vec<xdr::ClaimAtom>) -> Given {
    let body = Body::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveOp {
        send_asset: xdr::Asset::Native,
        send_max: 99,
        destination: plain(4),
        dest_asset: usd(),
        dest_amount: 50,
        path: vec![usd(), xdr::Asset::Native].try_into().unwrap(),
    });
    let last = xdr::SimplePaymentResult { destination: account(4), asset: usd(), amount: 50 };
    let success = xdr::PathPaymentStrictReceiveResultSuccess { offers: fills.try_into().unwrap(), last };
    Given::one(body)
        .result(Tr::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveResult::Success(success)))
}

#[test]
fn muxed_addresses_stand_beside_their_accounts() {
    let payment = xdr::PaymentOp { destination: muxed(4, u64::MAX), asset: usd(), amount: 15 };
    let operation = xdr::Operation { source_account: Some(muxed(3, 7)), body: Body::Payment(payment) };
    let row = Given { operations: vec![operation], ..Given::default() }.row();
    let (from, to) = (muxed(3, 7).to_string(), muxed(4, u64::MAX).to_string());
    assert_has(
        &row,
        &json!({
            "source_account": g(3), "source_account_muxed": from, "destination": g(4), "destination_muxed": to,
            "asset": format!("USD:{}", g(2)), "amount": 15, "type": 1, "type_string": "payment",
            "ledger_range": 20_000, "created_at": CLOSED_AT * 1_000_000, "application_order": 3,
            "transaction_id": (20_001_i64 << 32) | (3 << 12), "operation_id": (20_001_i64 << 32) | (3 << 12) | 1,
        }),
    );
    assert_eq!(
        details(&row),
        json!({
            "from": g(3), "from_muxed": from, "from_muxed_id": 7,
            "to": g(4), "to_muxed": to, "to_muxed_id": u64::MAX,
            "amount": "0.0000015", "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2),
        })
    );
}

#[test]
fn a_failed_transaction_moved_nothing_whatever_its_results_say() {
    let row = strict_receive(vec![fill(xdr::Asset::Native, 30)]).failed().row();
    assert_has(
        &row,
        &json!({
            "transaction_successful": false, "operation_trace_code": "op_success", "amount": 50,
            "source_amount": null, "sent_amount": null, "result_amount": null,
        }),
    );
    assert_eq!(details(&row)["source_amount"], "0.0000000");
}

#[test]
fn amounts_beyond_64_bits_fail_the_ledger_and_name_the_operation() {
    let native = xdr::Asset::Native;
    let error = strict_receive(vec![fill(native.clone(), i64::MAX), fill(native, 1)]).extract().unwrap_err();
    assert!(
        error.to_string().starts_with("ledger 20001: table operations_row_v2: transaction 0909"),
        "{error}"
    );
    assert!(error.reason.contains("operation 0: the amounts of its result"), "{error}");
}

/// Mistake D19 of the reference.
#[test]
fn an_operation_that_was_not_applied_has_no_trace() {
    let mut given = Given::one(Body::Inflation).failed();
    given.results = Some(vec![Outer::OpBadAuth]);
    assert_has(&given.row(), &json!({"operation_result_code": "op_bad_auth", "operation_trace_code": null}));
    let without_results = Given::one(Body::Inflation).failed().row();
    assert_has(&without_results, &json!({"operation_result_code": null, "operation_trace_code": null}));
}
