//! What no shared ledger shows: old claim atoms, zero fills, pools that overflow, rebuilt history, fee bumps. The D
//! numbers are those of the mistakes that the tables must not repeat.

use serde_json::{Value, json};
use stellar_strkey::{LiquidityPool, ed25519};
use stellar_xdr::{self as xdr, OperationResultTr as Tr};

use super::{Columns, extract};
use crate::{
    Transaction,
    tables::{
        ExtractError, Input,
        testing::{account, assert_has, key, ledger, muxed, plain, rows, stamps, transaction},
    },
};

const MAKER: u8 = 7;
const POOL: u8 = 9;
/// SEP-35 id of the only operation.
const OPERATION_ID: i64 = (20_001 << 32) | (1 << 12) | 1;

/// An operation of a transaction, as it came out.
struct Given {
    source: Option<xdr::MuxedAccount>,
    result: Tr,
    changes: Vec<xdr::LedgerEntryChange>,
}

impl Given {
    fn new(result: Tr) -> Self {
        Self { source: None, result, changes: vec![state(offer(5, 3, 2)), state(pool(30))] }
    }

    fn tx(self) -> Transaction {
        // the result decides, so any body will do
        let body = xdr::OperationBody::Inflation;
        let operations = vec![xdr::Operation { source_account: self.source, body }];
        let results = vec![xdr::OperationResult::OpInner(self.result)].try_into().unwrap();
        let meta = xdr::OperationMetaV2 {
            changes: xdr::LedgerEntryChanges(self.changes.try_into().unwrap()),
            ..Default::default()
        };
        let meta =
            xdr::TransactionMetaV4 { operations: vec![meta].try_into().unwrap(), ..Default::default() };
        let result = xdr::TransactionResultResult::TxSuccess(results);
        transaction(1, operations, result, xdr::TransactionMeta::V4(meta))
    }

    fn rows(self) -> Vec<Value> {
        extracted(self.tx()).unwrap()
    }

    fn error(self) -> String {
        extracted(self.tx()).unwrap_err().to_string()
    }
}

fn extracted(tx: Transaction) -> Result<Vec<Value>, ExtractError> {
    let (ledger, stamps) = (ledger(vec![tx]), stamps());
    let mut columns = Columns::default();
    extract(&Input::new(&ledger, &stamps)?, &mut columns)?;
    columns.stamp(ledger.seq, &stamps);
    Ok(rows(&columns.finish()))
}

fn g(n: u8) -> String {
    format!("{}", ed25519::PublicKey([n; 32]))
}

fn usd() -> xdr::Asset {
    xdr::Asset::CreditAlphanum4(xdr::AlphaNum4 { asset_code: xdr::AssetCode4(*b"USD\0"), issuer: account(2) })
}

/// The maker sells native for USD.
fn offer(id: i64, n: i32, d: i32) -> xdr::LedgerEntryData {
    let price = xdr::Price { n, d };
    xdr::LedgerEntryData::Offer(xdr::OfferEntry {
        seller_id: account(MAKER),
        offer_id: id,
        price,
        buying: usd(),
        ..Default::default()
    })
}

/// 200 native and 300 USD.
fn pool(fee: i32) -> xdr::LedgerEntryData {
    let params =
        xdr::LiquidityPoolConstantProductParameters { asset_a: xdr::Asset::Native, asset_b: usd(), fee };
    let body = xdr::LiquidityPoolEntryConstantProduct {
        params,
        reserve_a: 200,
        reserve_b: 300,
        total_pool_shares: 1,
        pool_shares_trust_line_count: 1,
    };
    xdr::LedgerEntryData::LiquidityPool(xdr::LiquidityPoolEntry {
        liquidity_pool_id: xdr::PoolId(xdr::Hash([POOL; 32])),
        body: xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body),
    })
}

fn state(data: xdr::LedgerEntryData) -> xdr::LedgerEntryChange {
    xdr::LedgerEntryChange::State(xdr::LedgerEntry { data, ..Default::default() })
}

/// A fill of the maker's offer 5: `sold` native for `bought` USD.
fn filled(sold: i64, bought: i64) -> xdr::ClaimAtom {
    xdr::ClaimAtom::OrderBook(xdr::ClaimOfferAtom {
        seller_id: account(MAKER),
        offer_id: 5,
        asset_sold: xdr::Asset::Native,
        amount_sold: sold,
        asset_bought: usd(),
        amount_bought: bought,
    })
}

/// The pool gives `sold` USD for `bought` native.
fn pooled(sold: i64, bought: i64) -> xdr::ClaimAtom {
    xdr::ClaimAtom::LiquidityPool(xdr::ClaimLiquidityAtom {
        liquidity_pool_id: xdr::PoolId(xdr::Hash([POOL; 32])),
        asset_sold: usd(),
        amount_sold: sold,
        asset_bought: xdr::Asset::Native,
        amount_bought: bought,
    })
}

fn success(atoms: Vec<xdr::ClaimAtom>, left: Option<i64>) -> xdr::ManageSellOfferResult {
    let offer = left.map_or(xdr::ManageOfferSuccessResultOffer::Deleted, |offer_id| {
        xdr::ManageOfferSuccessResultOffer::Updated(xdr::OfferEntry { offer_id, ..Default::default() })
    });
    xdr::ManageSellOfferResult::Success(xdr::ManageOfferSuccessResult {
        offers_claimed: atoms.try_into().unwrap(),
        offer,
    })
}

fn sell(atoms: Vec<xdr::ClaimAtom>) -> Tr {
    Tr::ManageSellOffer(success(atoms, None))
}

fn send(atoms: Vec<xdr::ClaimAtom>) -> Tr {
    Tr::PathPaymentStrictSend(xdr::PathPaymentStrictSendResult::Success(
        xdr::PathPaymentStrictSendResultSuccess { offers: atoms.try_into().unwrap(), ..Default::default() },
    ))
}

fn receive(atoms: Vec<xdr::ClaimAtom>) -> Tr {
    Tr::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveResult::Success(
        xdr::PathPaymentStrictReceiveResultSuccess {
            offers: atoms.try_into().unwrap(),
            ..Default::default()
        },
    ))
}

#[test]
fn d10_seller_is_the_maker_and_buyer_the_source_in_both_kinds_of_trade() {
    let rows =
        Given { source: Some(muxed(4, 77)), ..Given::new(send(vec![filled(20, 30), pooled(1, 1)])) }.rows();
    let buyer = json!({ "buyer_account": g(4), "buyer_account_muxed": muxed(4, 77).to_string(),
        "operation_id": OPERATION_ID, "operation_index": 0, "ledger_sequence": 20_001, "ledger_range": 20_000,
        "transaction_hash": "01".repeat(32), "seller_is_exact": false, "seller_account_muxed": null });
    assert_has(&rows[0], &buyer);
    assert_has(
        &rows[0],
        &json!({ "seller_account": g(MAKER), "trade_type": "orderbook", "trade_index": 0,
            "selling_asset_type": "native", "selling_asset_code": null, "selling_amount": 20,
            "buying_asset_type": "credit_alphanum4", "buying_asset_code": "USD", "buying_asset_issuer": g(2),
            "buying_amount": 30, "selling_offer_id": 5, "buying_offer_id": OPERATION_ID + (1 << 62),
            "liquidity_pool_id": null, "liquidity_pool_fee": null, "rounding_slippage": null }),
    );
    assert_has(&rows[1], &buyer);
    assert_has(
        &rows[1],
        &json!({ "seller_account": format!("{}", LiquidityPool([POOL; 32])), "trade_type": "liquidity_pool",
            "trade_index": 1, "selling_asset_code": "USD", "buying_asset_type": "native",
            "selling_offer_id": null, "buying_offer_id": OPERATION_ID + (1 << 62),
            "liquidity_pool_id": "09".repeat(32), "liquidity_pool_fee": 30 }),
    );
}

#[test]
fn d10_a_price_is_the_offers_own_or_a_pools_amounts_never_inverted_or_rounded() {
    let rows = Given::new(receive(vec![filled(20, 31), pooled(7, 20_968_500_000_000_000)])).rows();
    assert_has(&rows[0], &json!({ "price": 1.5, "price_n": 3, "price_d": 2 }));
    let pool = json!({ "price": 20_968_500_000_000_000.0 / 7.0, "price_n": 20_968_500_000_000_000_i64, "price_d": 7 });
    assert_has(&rows[1], &pool);
}

#[test]
fn d11_trades_inside_a_fee_bump_are_found_under_the_outer_hash() {
    let mut tx = Given::new(sell(vec![filled(20, 30)])).tx();
    let xdr::TransactionEnvelope::Tx(inner) = tx.envelope.clone() else { unreachable!() };
    let xdr::TransactionResultResult::TxSuccess(results) = tx.result.result.clone() else { unreachable!() };
    tx.envelope = xdr::TransactionEnvelope::TxFeeBump(xdr::FeeBumpTransactionEnvelope {
        tx: xdr::FeeBumpTransaction {
            fee_source: plain(8),
            fee: 400,
            inner_tx: xdr::FeeBumpTransactionInnerTx::Tx(inner),
            ext: xdr::FeeBumpTransactionExt::V0,
        },
        signatures: xdr::VecM::default(),
    });
    let result = xdr::InnerTransactionResult {
        result: xdr::InnerTransactionResultResult::TxSuccess(results),
        ..Default::default()
    };
    let pair = xdr::InnerTransactionResultPair { transaction_hash: xdr::Hash([6; 32]), result };
    tx.result.result = xdr::TransactionResultResult::TxFeeBumpInnerSuccess(pair);
    let rows = extracted(tx).unwrap();
    let row =
        json!({ "buyer_account": g(1), "seller_account": g(MAKER), "transaction_hash": "01".repeat(32) });
    assert_has(&rows[0], &row);
}

#[test]
fn d21_amounts_are_stroops_and_assets_have_horizons_words() {
    let rows = Given::new(sell(vec![filled(i64::MAX, 1)])).rows();
    assert_has(&rows[0], &json!({ "selling_amount": i64::MAX, "buying_amount": 1 }));
    assert_has(&rows[0], &json!({ "selling_asset_type": "native", "buying_asset_type": "credit_alphanum4" }));
}

#[test]
fn old_claim_atoms_name_their_maker_by_address_too() {
    let atom = xdr::ClaimAtom::V0(xdr::ClaimOfferAtomV0 {
        seller_ed25519: key(MAKER),
        offer_id: 5,
        asset_sold: xdr::Asset::Native,
        amount_sold: 20,
        asset_bought: usd(),
        amount_bought: 30,
    });
    let old = Given::new(sell(vec![atom])).rows();
    assert_eq!(old, Given::new(sell(vec![filled(20, 30)])).rows());
    assert_has(&old[0], &json!({ "seller_account": g(MAKER), "price": 1.5, "seller_is_exact": null }));
}

#[test]
fn a_passive_offer_trades_whichever_arm_its_result_has() {
    let left = || success(vec![filled(20, 30)], Some(44));
    let own = Given::new(Tr::CreatePassiveSellOffer(left())).rows();
    assert_eq!(own, Given::new(Tr::ManageSellOffer(left())).rows());
    assert_has(&own[0], &json!({ "buying_offer_id": 44 }));
}

#[test]
fn a_fill_of_nothing_leaves_a_hole_but_one_side_may_be_zero() {
    let rows = Given::new(sell(vec![filled(0, 0), filled(0, 1), filled(0, 0), filled(1, 0)])).rows();
    let indexes: Vec<_> = rows.iter().map(|row| row["trade_index"].as_i64().unwrap()).collect();
    assert_eq!(indexes, [1, 3]);
}

#[test]
fn slippage_is_of_the_side_that_was_computed() {
    // 300 * 1 * 0.997 / (200 + 0.997) = 1.488 rounded down to 1
    let sent = Given::new(send(vec![pooled(1, 1)])).rows();
    assert_has(&sent[0], &json!({ "rounding_slippage": 32, "liquidity_pool_fee": 30 }));
    // 200 * 3 / ((300 - 3) * 0.997) = 2.0263 rounded up to 3
    let received = Given::new(receive(vec![pooled(3, 3)])).rows();
    assert_has(&received[0], &json!({ "rounding_slippage": 48, "seller_is_exact": true }));
}

#[test]
fn a_trade_that_the_shown_reserves_could_not_make_has_the_highest_slippage() {
    let most = json!({ "rounding_slippage": i64::MAX });
    assert_has(&Given::new(send(vec![pooled(299, i64::MAX)])).rows()[0], &most);
    assert_has(&Given::new(receive(vec![pooled(300, 5)])).rows()[0], &most);
    let greedy = Given { changes: vec![state(pool(10_000))], ..Given::new(send(vec![pooled(1, 1)])) };
    assert_has(&greedy.rows()[0], &most);
}

#[test]
fn rebuilt_history_without_changes_keeps_its_trades() {
    let rows = Given { changes: Vec::new(), ..Given::new(send(vec![filled(20, 30), pooled(1, 2)])) }.rows();
    assert_has(&rows[0], &json!({ "selling_amount": 20, "price": null, "price_n": null, "price_d": null }));
    let pool = json!({ "price": 2.0, "price_n": 2, "price_d": 1, "liquidity_pool_fee": null,
        "rounding_slippage": null });
    assert_has(&rows[1], &pool);
}

#[test]
fn a_price_without_denominator_is_null_but_its_parts_stand() {
    let given = Given { changes: vec![state(offer(5, 3, 0))], ..Given::new(sell(vec![filled(1, 1)])) };
    assert_has(&given.rows()[0], &json!({ "price": null, "price_n": 3, "price_d": 0 }));
}

#[test]
fn changes_that_do_not_show_what_was_traded_with_fail_the_ledger() {
    let given = Given { changes: vec![state(offer(6, 3, 2))], ..Given::new(sell(vec![filled(1, 1)])) };
    let place = format!("ledger 20001: table trades_row_v1: transaction {} operation 0", "01".repeat(32));
    assert_eq!(given.error(), format!("{place} claim atom 0: no change shows offer 5"));
    let given = Given { changes: vec![state(offer(5, 3, 2))], ..Given::new(send(vec![pooled(1, 1)])) };
    assert_eq!(given.error(), format!("{place} claim atom 0: no change shows pool {}", "09".repeat(32)));
}

#[test]
fn malformed_amounts_and_results_fail_the_ledger() {
    let error = Given::new(sell(vec![filled(1, 1), filled(-1, 1)])).error();
    assert!(error.ends_with("operation 0 claim atom 1: selling_amount is -1"), "{error}");
    let mut broke = pool(30);
    if let xdr::LedgerEntryData::LiquidityPool(pool) = &mut broke {
        let xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &mut pool.body;
        body.reserve_b = -4;
    }
    let error = Given { changes: vec![state(broke)], ..Given::new(send(vec![pooled(1, 1)])) }.error();
    assert!(error.ends_with("claim atom 0: a reserve is -4"), "{error}");
    let mut tx = Given::new(sell(Vec::new())).tx();
    tx.result.result = xdr::TransactionResultResult::TxSuccess(xdr::VecM::default());
    let error = extracted(tx).unwrap_err().to_string();
    assert!(error.ends_with("has 1 operations and 0 results"), "{error}");
}

#[test]
fn a_failed_transaction_trades_nothing() {
    let mut tx = Given::new(sell(vec![filled(20, 30)])).tx();
    let xdr::TransactionResultResult::TxSuccess(results) = tx.result.result.clone() else { unreachable!() };
    tx.result.result = xdr::TransactionResultResult::TxFailed(results);
    assert!(extracted(tx).unwrap().is_empty());
}
