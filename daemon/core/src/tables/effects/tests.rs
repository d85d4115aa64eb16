//! Effects of hand-made operations. Expected rows are written by hand from the rules of Horizon's effects processor:
//! `goldens.rs` compares what real ledgers hold, these are the types and corners that they do not.

mod accounts;
mod balances;
mod payments;
mod pools;
mod soroban;
mod sponsorships;
mod trustlines;

use serde_json::{Value, json};
use stellar_xdr::{
    self as xdr, LedgerEntryChange as Change, LedgerEntryData as Data, OperationBody as Body,
    OperationResult as Outer, OperationResultTr as Tr,
};

use super::{Columns, extract};
use crate::{
    decode::Ledger,
    tables::{
        ExtractError, Input,
        testing::{account, assert_has, key, ledger, muxed, plain, rows, stamps, transaction},
    },
};

/// One operation of account 1 in a successful transaction, the third of ledger 20,001.
struct Given {
    operation: xdr::Operation,
    result: Option<Tr>,
    changes: Vec<Change>,
    events: Vec<xdr::ContractEvent>,
}

impl Given {
    fn of(body: Body) -> Self {
        let operation = xdr::Operation { source_account: None, body };
        Self { operation, result: None, changes: Vec::new(), events: Vec::new() }
    }

    fn source(mut self, source: xdr::MuxedAccount) -> Self {
        self.operation.source_account = Some(source);
        self
    }

    fn result(self, tr: Tr) -> Self {
        Self { result: Some(tr), ..self }
    }

    fn changes(self, changes: impl IntoIterator<Item = Change>) -> Self {
        Self { changes: changes.into_iter().collect(), ..self }
    }

    fn events(self, events: Vec<xdr::ContractEvent>) -> Self {
        Self { events, ..self }
    }

    /// TransactionMeta V4, which holds the events of each operation.
    fn ledger(self) -> Ledger {
        let operation = xdr::OperationMetaV2 {
            changes: xdr::LedgerEntryChanges(self.changes.try_into().unwrap()),
            events: self.events.try_into().unwrap(),
            ..xdr::OperationMetaV2::default()
        };
        let meta = xdr::TransactionMetaV4 {
            operations: vec![operation].try_into().unwrap(),
            ..xdr::TransactionMetaV4::default()
        };
        one(self.operation, self.result, xdr::TransactionMeta::V4(meta))
    }

    /// TransactionMeta V3, which holds the events of the only operation of a Soroban transaction.
    fn ledger_with_meta_v3(self) -> Ledger {
        let operation =
            xdr::OperationMeta { changes: xdr::LedgerEntryChanges(self.changes.try_into().unwrap()) };
        let soroban = xdr::SorobanTransactionMeta {
            events: self.events.try_into().unwrap(),
            ..xdr::SorobanTransactionMeta::default()
        };
        let meta = xdr::TransactionMetaV3 {
            operations: vec![operation].try_into().unwrap(),
            soroban_meta: Some(soroban),
            ..xdr::TransactionMetaV3::default()
        };
        one(self.operation, self.result, xdr::TransactionMeta::V3(meta))
    }

    fn rows(self) -> Vec<Value> {
        extracted(&self.ledger()).unwrap()
    }

    fn effects(self) -> Value {
        brief(&self.rows())
    }

    fn error(self) -> String {
        extracted(&self.ledger()).unwrap_err().to_string()
    }
}

/// A ledger with one successful transaction of one operation.
fn one(operation: xdr::Operation, result: Option<Tr>, meta: xdr::TransactionMeta) -> Ledger {
    let results: Vec<Outer> = result.into_iter().map(Outer::OpInner).collect();
    let result = xdr::TransactionResultResult::TxSuccess(results.try_into().unwrap());
    ledger(vec![transaction(3, vec![operation], result, meta)])
}

fn extracted(ledger: &Ledger) -> Result<Vec<Value>, ExtractError> {
    let stamps = stamps();
    let mut columns = Columns::default();
    extract(&Input::new(ledger, &stamps)?, &mut columns)?;
    columns.stamp(ledger.seq, &stamps);
    Ok(rows(&columns.finish()))
}

/// Number, name, account and details of each effect; checks that they are numbered from 0.
fn brief(rows: &[Value]) -> Value {
    let brief = rows.iter().enumerate().map(|(index, row)| {
        assert_eq!(row["effect_index"], index);
        let details: Value = serde_json::from_str(row["details_json"].as_str().unwrap()).unwrap();
        json!([row["effect_type"], row["effect_type_string"], row["account_id"], details])
    });
    brief.collect()
}

/// The address of account `n`.
fn g(n: u8) -> String {
    account(n).to_string()
}

fn usd() -> xdr::Asset {
    xdr::Asset::CreditAlphanum4(xdr::AlphaNum4 { asset_code: xdr::AssetCode4(*b"USD\0"), issuer: account(2) })
}

/// `USD` of account 2.
fn usd_text() -> String {
    format!("USD:{}", g(2))
}

/// An entry whose reserve account `sponsor` pays.
fn entry(data: Data, sponsor: Option<u8>) -> xdr::LedgerEntry {
    let sponsoring_id = xdr::SponsorshipDescriptor(sponsor.map(account));
    let ext = xdr::LedgerEntryExtensionV1 { sponsoring_id, ext: xdr::LedgerEntryExtensionV1Ext::V0 };
    xdr::LedgerEntry { last_modified_ledger_seq: 1, data, ext: xdr::LedgerEntryExt::V1(ext) }
}

fn updated(before: xdr::LedgerEntry, after: xdr::LedgerEntry) -> [Change; 2] {
    [Change::State(before), Change::Updated(after)]
}

fn removed(before: xdr::LedgerEntry) -> [Change; 2] {
    let key = before.to_key();
    [Change::State(before), Change::Removed(key)]
}

fn trustline(n: u8, asset: xdr::TrustLineAsset) -> Data {
    Data::Trustline(xdr::TrustLineEntry {
        account_id: account(n),
        asset,
        balance: 0,
        limit: 70_000_000,
        flags: 1,
        ext: xdr::TrustLineEntryExt::V0,
    })
}

fn usd_line(n: u8) -> Data {
    let xdr::Asset::CreditAlphanum4(usd) = usd() else { unreachable!() };
    trustline(n, xdr::TrustLineAsset::CreditAlphanum4(usd))
}

fn balance_id(n: u8) -> xdr::ClaimableBalanceId {
    xdr::ClaimableBalanceId::ClaimableBalanceIdTypeV0(xdr::Hash([n; 32]))
}

/// Text of the id of balance `n`.
fn balance_text(n: u8) -> String {
    format!("00000000{}", format!("{n:02x}").repeat(32))
}

fn claimant(n: u8, predicate: xdr::ClaimPredicate) -> xdr::Claimant {
    xdr::Claimant::ClaimantTypeV0(xdr::ClaimantV0 { destination: account(n), predicate })
}

fn balance(n: u8, asset: xdr::Asset, amount: i64, claimants: Vec<xdr::Claimant>, clawback: bool) -> Data {
    let ext = xdr::ClaimableBalanceEntryExtensionV1 {
        ext: xdr::ClaimableBalanceEntryExtensionV1Ext::V0,
        flags: u32::from(clawback),
    };
    Data::ClaimableBalance(xdr::ClaimableBalanceEntry {
        balance_id: balance_id(n),
        claimants: claimants.try_into().unwrap(),
        asset,
        amount,
        ext: xdr::ClaimableBalanceEntryExt::V1(ext),
    })
}

/// Pool `n` of the native asset and USD.
fn pool(n: u8, reserves: [i64; 2], shares: i64) -> xdr::LedgerEntry {
    let params =
        xdr::LiquidityPoolConstantProductParameters { asset_a: xdr::Asset::Native, asset_b: usd(), fee: 30 };
    let body =
        xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(xdr::LiquidityPoolEntryConstantProduct {
            params,
            reserve_a: reserves[0],
            reserve_b: reserves[1],
            total_pool_shares: shares,
            pool_shares_trust_line_count: 4,
        });
    let liquidity_pool_id = xdr::PoolId(xdr::Hash([n; 32]));
    entry(Data::LiquidityPool(xdr::LiquidityPoolEntry { liquidity_pool_id, body }), None)
}

#[test]
fn every_row_says_where_and_when_by_the_chain_alone() {
    // D1: each effect of each operation has its row; D36: times are those of the ledger
    let payment =
        |amount| Body::Payment(xdr::PaymentOp { destination: plain(4), asset: xdr::Asset::Native, amount });
    let operations =
        [1, 2].map(|amount| xdr::Operation { source_account: None, body: payment(amount) }).to_vec();
    let success = || xdr::TransactionResultResult::TxSuccess(xdr::VecM::default());
    let failed = xdr::TransactionResultResult::TxFailed(xdr::VecM::default());
    let meta = || xdr::TransactionMeta::V2(xdr::TransactionMetaV2::default());
    let ledger = ledger(vec![
        transaction(1, operations.clone(), success(), meta()),
        transaction(2, operations.clone(), failed, meta()),
        transaction(3, operations, success(), meta()),
    ]);
    let rows = extracted(&ledger).unwrap();
    let places: Vec<_> = rows
        .iter()
        .map(|row| json!([row["operation_id"], row["operation_index"], row["effect_index"], row["amount"]]))
        .collect();
    let first = (20_001_i64 << 32) | (1 << 12);
    let third = (20_001_i64 << 32) | (3 << 12);
    let expected = json!([
        [first + 1, 0, 0, 1],
        [first + 1, 0, 1, 1],
        [first + 2, 1, 0, 2],
        [first + 2, 1, 1, 2],
        [third + 1, 0, 0, 1],
        [third + 1, 0, 1, 1],
        [third + 2, 1, 0, 2],
        [third + 2, 1, 1, 2],
    ]);
    assert_eq!(json!(places), expected);
    assert_has(
        &rows[4],
        &json!({
            "ledger_sequence": 20_001,
            "transaction_hash": "03".repeat(32),
            "created_at": 1_700_000_000_000_000_i64,
            "ledger_range": 20_000,
            "era_id": null,
            "version_label": "v1",
        }),
    );
    assert_eq!(rows, extracted(&ledger).unwrap());
}
