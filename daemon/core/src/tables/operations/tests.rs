//! What the goldens do not show: muxed addresses, rare operation types, empty metas, forged events.

use arrow_array::{Array, RecordBatch, cast::AsArray, types};
use arrow_schema::DataType;
use bytes::Bytes;
use serde_json::{Value, json};
use stellar_xdr::{
    self as xdr, LedgerEntryChange as Change, OperationBody as Body, OperationResult as Outer,
    OperationResultTr as Tr,
};

use super::{Columns, SPEC, extract};
use crate::{
    Hash32, Ledger, LedgerSeq, Network, Transaction,
    tables::{ExtractError, Input, Stamps},
    text::stellar_asset_contract,
};

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
        let envelope = xdr::TransactionV1Envelope {
            tx: xdr::Transaction {
                source_account: plain(1),
                operations: self.operations.try_into().unwrap(),
                ..xdr::Transaction::default()
            },
            ..xdr::TransactionV1Envelope::default()
        };
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
            application_order: 3,
            inner_hash: None,
            protocol: 25,
            envelope: xdr::TransactionEnvelope::Tx(envelope),
            envelope_xdr: Bytes::new(),
            result: xdr::TransactionResult { result, ..xdr::TransactionResult::default() },
            result_xdr: Bytes::new(),
            fee_changes: xdr::LedgerEntryChanges::default(),
            fee_changes_xdr: Bytes::new(),
            meta: xdr::TransactionMeta::V4(meta),
            meta_xdr: Bytes::new(),
            post_apply_fee_changes: None,
            place: None,
        };
        let ledger = Ledger {
            seq: LedgerSeq::new(20_001),
            network_id: Network::new(PASSPHRASE).id(),
            hash: Hash32([0; 32]),
            previous_hash: Hash32([0; 32]),
            closed_at: CLOSED_AT,
            header: xdr::LedgerHeader::default(),
            header_xdr: Bytes::new(),
            close_meta_version: 2,
            applied_protocol: 25,
            transactions: vec![transaction],
            soroban_fee_write_1kb: None,
            live_soroban_state_size: None,
            evicted_keys: None,
            upgrades: Vec::new(),
        };
        let stamps = Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 0 };
        let mut columns = Columns::default();
        extract(&Input::new(&ledger, &stamps)?, &mut columns)?;
        columns.stamp(ledger.seq, &stamps);
        let batch = columns.finish();
        Ok((0..batch.num_rows()).map(|row| object(&batch, row)).collect())
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

/// The values of a row that are not NULL.
#[allow(clippy::wildcard_enum_match_arm, reason = "the table has no column of another type")]
fn object(batch: &RecordBatch, row: usize) -> Value {
    let value = |column: &arrow_array::ArrayRef| match column.data_type() {
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int32 => json!(column.as_primitive::<types::Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<types::Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<types::Float64Type>().value(row)),
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        _ => json!(column.as_primitive::<types::TimestampMicrosecondType>().value(row)),
    };
    let cells = SPEC.columns.iter().zip(batch.columns()).filter(|(_, column)| !column.is_null(row));
    Value::Object(cells.map(|(spec, column)| (spec.name.to_owned(), value(column))).collect())
}

/// Every named field of `part` has that value in `whole`; NULL where `part` says null.
#[track_caller]
fn assert_has(whole: &Value, part: &Value) {
    for (name, value) in part.as_object().unwrap() {
        assert_eq!(&whole[name], value, "{name}");
    }
}

fn op(body: Body) -> xdr::Operation {
    xdr::Operation { source_account: None, body }
}

fn key(n: u8) -> xdr::Uint256 {
    xdr::Uint256([n; 32])
}

fn account(n: u8) -> xdr::AccountId {
    xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(key(n)))
}

/// The address of account `n`.
fn g(n: u8) -> String {
    account(n).to_string()
}

fn plain(n: u8) -> xdr::MuxedAccount {
    xdr::MuxedAccount::Ed25519(key(n))
}

fn muxed(n: u8, id: u64) -> xdr::MuxedAccount {
    xdr::MuxedAccount::MuxedEd25519(xdr::MuxedAccountMed25519 { id, ed25519: key(n) })
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
fn a_path_that_returns_to_its_first_asset_sends_only_the_first_hop() {
    let native = xdr::Asset::Native;
    let row = strict_receive(vec![
        fill(native.clone(), 30),
        fill(native.clone(), 12),
        fill(usd(), 5),
        fill(native, 8),
    ])
    .row();
    assert_has(
        &row,
        &json!({
            "sent_amount": 42, "source_amount": 42, "source_max": 99, "amount": 50, "result_amount": 50,
            "operation_result_code": "op_inner", "operation_trace_code": "op_success",
        }),
    );
    assert_eq!(details(&row)["source_amount"], "0.0000042");
    let path: Value = serde_json::from_str(row["path"].as_str().unwrap()).unwrap();
    assert_eq!(path, details(&row)["path"]);
    assert_eq!(path[1], json!({"asset_type": "native"}));
}

#[test]
fn a_path_without_fills_sends_what_arrives() {
    assert_eq!(strict_receive(Vec::new()).row()["sent_amount"], 50);
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

#[test]
fn a_passive_offer_has_its_result_in_either_arm() {
    let success = xdr::ManageSellOfferResult::Success(xdr::ManageOfferSuccessResult {
        offers_claimed: xdr::VecM::default(),
        offer: xdr::ManageOfferSuccessResultOffer::Created(xdr::OfferEntry {
            offer_id: 77,
            ..xdr::OfferEntry::default()
        }),
    });
    for tr in [Tr::ManageSellOffer(success.clone()), Tr::CreatePassiveSellOffer(success)] {
        let price = xdr::Price { n: 1, d: 3 };
        let body =
            xdr::CreatePassiveSellOfferOp { selling: usd(), buying: xdr::Asset::Native, amount: 9, price };
        let row = Given::one(Body::CreatePassiveSellOffer(body)).result(tr).row();
        assert_has(
            &row,
            &json!({
                "result_offer_id": 77, "offer_id": null, "amount": 9, "price": 1.0 / 3.0, "price_r": "1/3",
                "price_n": 1, "price_d": 3, "buying_asset": "native", "selling_asset_code": "USD",
                "operation_trace_code": "op_success",
            }),
        );
        assert_eq!(details(&row)["price"], "0.3333333");
    }
}

#[test]
fn an_offer_that_left_nothing_in_the_book_has_no_resulting_offer() {
    let success = xdr::ManageOfferSuccessResult {
        offer: xdr::ManageOfferSuccessResultOffer::Deleted,
        ..xdr::ManageOfferSuccessResult::default()
    };
    let body = xdr::ManageBuyOfferOp {
        offer_id: 5,
        price: xdr::Price { n: 1, d: 0 },
        ..xdr::ManageBuyOfferOp::default()
    };
    let row = Given::one(Body::ManageBuyOffer(body))
        .result(Tr::ManageBuyOffer(xdr::ManageBuyOfferResult::Success(success)))
        .row();
    assert_has(&row, &json!({"offer_id": 5, "result_offer_id": null, "price": null, "price_r": "1/0"}));
    assert_eq!(details(&row)["price"], Value::Null);
}

/// Mistake D18 of the reference.
#[test]
fn merges_and_inflation_say_what_they_delivered() {
    let merge = Given::one(Body::AccountMerge(muxed(4, 1)))
        .result(Tr::AccountMerge(xdr::AccountMergeResult::Success(123)))
        .row();
    assert_has(
        &merge,
        &json!({"merged_amount": 123, "result_amount": 123, "sent_amount": null, "destination": g(4)}),
    );
    assert_eq!(details(&merge)["into_muxed_id"], 1);
    let payout = |amount| xdr::InflationPayout { destination: account(5), amount };
    let payouts = vec![payout(3), payout(4)].try_into().unwrap();
    let inflation =
        Given::one(Body::Inflation).result(Tr::Inflation(xdr::InflationResult::Success(payouts))).row();
    assert_has(&inflation, &json!({"result_amount": 7, "merged_amount": null, "details_json": "{}"}));
}

#[test]
fn a_created_balance_has_the_id_of_the_result() {
    use xdr::ClaimPredicate as P;
    let within = P::And(
        vec![P::BeforeAbsoluteTime(0), P::Not(Some(Box::new(P::BeforeRelativeTime(60))))].try_into().unwrap(),
    );
    let predicate = P::Or(vec![within, P::Unconditional].try_into().unwrap());
    let claimant = xdr::Claimant::ClaimantTypeV0(xdr::ClaimantV0 { destination: account(4), predicate });
    let body = xdr::CreateClaimableBalanceOp {
        asset: xdr::Asset::Native,
        amount: 10,
        claimants: vec![claimant].try_into().unwrap(),
    };
    let row = Given::one(Body::CreateClaimableBalance(body))
        .result(Tr::CreateClaimableBalance(xdr::CreateClaimableBalanceResult::Success(balance(0xcd))))
        .row();
    let id = format!("00000000{}", "cd".repeat(32));
    assert_has(
        &row,
        &json!({"balance_id": id, "result_balance_id": id, "claimants_count": 1, "asset": "native"}),
    );
    assert_eq!(
        details(&row)["claimants"],
        json!([{"destination": g(4), "predicate": {"or": [
            {"and": [
                {"abs_before": "1970-01-01T00:00:00Z", "abs_before_epoch": "0"},
                {"not": {"rel_before": "60"}},
            ]},
            {"unconditional": true},
        ]}}])
    );
}

/// Mistake D18 of the reference.
#[test]
fn each_kind_of_revoked_sponsorship_is_named() {
    use xdr::LedgerKey as K;
    let of = |key| Given::one(Body::RevokeSponsorship(xdr::RevokeSponsorshipOp::LedgerEntry(key)));
    let line = |asset| K::Trustline(xdr::LedgerKeyTrustLine { account_id: account(4), asset });
    let pool = xdr::PoolId(xdr::Hash([0xee; 32]));
    let credit = xdr::TrustLineAsset::CreditAlphanum4(xdr::AlphaNum4 {
        asset_code: xdr::AssetCode4(*b"USD\0"),
        issuer: account(2),
    });
    let data_name = xdr::String64(b"a\"\xff".to_vec().try_into().unwrap());
    let cases = [
        (of(K::Account(xdr::LedgerKeyAccount { account_id: account(4) })), json!({"account_id": g(4)})),
        (
            of(K::ClaimableBalance(xdr::LedgerKeyClaimableBalance { balance_id: balance(1) })),
            json!({"claimable_balance_id": format!("00000000{}", "01".repeat(32))}),
        ),
        (
            of(K::Data(xdr::LedgerKeyData { account_id: account(4), data_name })),
            json!({"data_account_id": g(4), "data_name": "a\"\u{fffd}"}),
        ),
        (of(K::Offer(xdr::LedgerKeyOffer { seller_id: account(4), offer_id: 8 })), json!({"offer_id": "8"})),
        (of(line(credit)), json!({"trustline_account_id": g(4), "trustline_asset": format!("USD:{}", g(2))})),
        (
            of(line(xdr::TrustLineAsset::PoolShare(pool.clone()))),
            json!({"trustline_account_id": g(4), "trustline_liquidity_pool_id": "ee".repeat(32)}),
        ),
        (
            of(K::LiquidityPool(xdr::LedgerKeyLiquidityPool { liquidity_pool_id: pool })),
            json!({"liquidity_pool_id": "ee".repeat(32)}),
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(given.details(), expected);
    }
    let signer_key = xdr::SignerKey::HashX(key(6));
    let signer = xdr::RevokeSponsorshipOpSigner { account_id: account(4), signer_key: signer_key.clone() };
    let row = Given::one(Body::RevokeSponsorship(xdr::RevokeSponsorshipOp::Signer(signer))).row();
    assert_eq!(row["signer_key"], signer_key.to_string());
    assert_eq!(details(&row), json!({"signer_account_id": g(4), "signer_key": signer_key.to_string()}));
}

#[test]
fn clawbacks_name_what_they_take() {
    let body = xdr::ClawbackOp { asset: usd(), from: muxed(4, 3), amount: 7 };
    let row = Given::one(Body::Clawback(body)).row();
    assert_has(&row, &json!({"amount": 7, "asset_code": "USD", "asset_issuer": g(2), "destination": null}));
    assert_has(&details(&row), &json!({"from": g(4), "from_muxed_id": 3, "amount": "0.0000007"}));
    let body = xdr::ClawbackClaimableBalanceOp { balance_id: balance(2) };
    let row = Given::one(Body::ClawbackClaimableBalance(body)).row();
    let id = format!("00000000{}", "02".repeat(32));
    assert_eq!((&row["balance_id"], details(&row)), (&json!(id), json!({"balance_id": id})));
}

const POOL: [u8; 32] = [0xaa; 32];

fn pool_state(a: i64, b: i64, shares: i64) -> xdr::LedgerEntry {
    let body = xdr::LiquidityPoolEntryConstantProduct {
        params: xdr::LiquidityPoolConstantProductParameters {
            asset_a: xdr::Asset::Native,
            asset_b: usd(),
            fee: 30,
        },
        reserve_a: a,
        reserve_b: b,
        total_pool_shares: shares,
        pool_shares_trust_line_count: 1,
    };
    let pool = xdr::LiquidityPoolEntry {
        liquidity_pool_id: xdr::PoolId(xdr::Hash(POOL)),
        body: xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body),
    };
    entry(xdr::LedgerEntryData::LiquidityPool(pool), None)
}

fn deposit() -> Given {
    Given::one(Body::LiquidityPoolDeposit(xdr::LiquidityPoolDepositOp {
        liquidity_pool_id: xdr::PoolId(xdr::Hash(POOL)),
        max_amount_a: 100,
        max_amount_b: 200,
        min_price: xdr::Price { n: 1, d: 2 },
        max_price: xdr::Price { n: 2, d: 1 },
    }))
}

#[test]
fn a_pool_deposit_tells_what_the_pool_took_and_gave() {
    let usd = format!("USD:{}", g(2));
    let row = deposit()
        .changes(vec![
            Change::State(pool_state(1_000, 2_000, 500)),
            Change::Updated(pool_state(1_090, 2_180, 545)),
        ])
        .row();
    assert_eq!(row["liquidity_pool_id"], "aa".repeat(32));
    assert_eq!(
        details(&row),
        json!({
            "liquidity_pool_id": "aa".repeat(32),
            "reserves_max": [{"asset": "native", "amount": "0.0000100"}, {"asset": usd, "amount": "0.0000200"}],
            "min_price": "0.5000000", "min_price_r": {"n": 1, "d": 2},
            "max_price": "2.0000000", "max_price_r": {"n": 2, "d": 1},
            "reserves_deposited": [{"asset": "native", "amount": "0.0000090"}, {"asset": usd, "amount": "0.0000180"}],
            "shares_received": "0.0000045",
        })
    );
}

#[test]
fn a_failed_pool_deposit_has_empty_assets_and_an_empty_meta_none() {
    let failed = deposit().failed().details();
    assert_eq!(failed["reserves_max"][0], json!({"asset": "", "amount": "0.0000100"}));
    assert_eq!(failed["reserves_deposited"][1], json!({"asset": "", "amount": "0.0000000"}));
    assert_eq!(failed["shares_received"], "0.0000000");
    let unknown = deposit().details();
    assert_eq!(unknown["reserves_max"], json!([{"amount": "0.0000100"}, {"amount": "0.0000200"}]));
    assert_has(&unknown, &json!({"reserves_deposited": null, "shares_received": null}));
}

#[test]
fn a_withdrawal_that_empties_its_pool_tells_what_it_received() {
    let key = xdr::LedgerKey::LiquidityPool(xdr::LedgerKeyLiquidityPool {
        liquidity_pool_id: xdr::PoolId(xdr::Hash(POOL)),
    });
    let body = Body::LiquidityPoolWithdraw(xdr::LiquidityPoolWithdrawOp {
        liquidity_pool_id: xdr::PoolId(xdr::Hash(POOL)),
        amount: 50,
        min_amount_a: 1,
        min_amount_b: 2,
    });
    let details =
        Given::one(body).changes(vec![Change::State(pool_state(30, 60, 50)), Change::Removed(key)]).details();
    assert_has(&details, &json!({"shares": "0.0000050"}));
    assert_eq!(details["reserves_min"][1], json!({"asset": format!("USD:{}", g(2)), "amount": "0.0000002"}));
    assert_eq!(details["reserves_received"][0], json!({"asset": "native", "amount": "0.0000030"}));
}

#[test]
fn a_trustline_of_pool_shares_has_the_id_of_a_real_pool() {
    let velo: xdr::AccountId = "GDM4RQUQQUVSKQA7S6EM7XBZP3FCGH4Q7CL6TABQ7B2BEJ5ERARM2M5M".parse().unwrap();
    let asset_b =
        xdr::Asset::CreditAlphanum4(xdr::AlphaNum4 { asset_code: xdr::AssetCode4(*b"VELO"), issuer: velo });
    let parameters = xdr::LiquidityPoolParameters::LiquidityPoolConstantProduct(
        xdr::LiquidityPoolConstantProductParameters { asset_a: xdr::Asset::Native, asset_b, fee: 30 },
    );
    let line = xdr::ChangeTrustAsset::PoolShare(parameters);
    let row = Given::one(Body::ChangeTrust(xdr::ChangeTrustOp { line, limit: 4 })).row();
    let id = "3fdb3afae74f0db26bd1b8cbf292743df687dde6d037cbf4790cba37dc63a110";
    assert_has(
        &row,
        &json!({"liquidity_pool_id": id, "asset_type": "liquidity_pool_shares", "asset": null, "trustline_limit": 4}),
    );
    assert_eq!(
        details(&row),
        json!({"asset_type": "liquidity_pool_shares", "liquidity_pool_id": id, "trustor": g(1), "limit": "0.0000004"})
    );
}

/// Mistake D20 of the reference.
#[test]
fn trustline_flags_that_are_left_alone_are_null() {
    let of = |set_flags, clear_flags| {
        let body = xdr::SetTrustLineFlagsOp { trustor: account(4), asset: usd(), clear_flags, set_flags };
        Given::one(Body::SetTrustLineFlags(body)).row()
    };
    let authorized =
        |row: Value| (row["authorize"].clone(), row["authorize_to_maintain_liabilities"].clone());
    assert_eq!(authorized(of(1, 0)), (json!(true), Value::Null));
    assert_eq!(authorized(of(2, 1)), (json!(false), json!(true)));
    assert_eq!(authorized(of(0, 2)), (Value::Null, json!(false)));
    let clawback = of(0, 4);
    assert_has(&clawback, &json!({"trust_line_flags": 0, "clear_trust_line_flags": 4, "trustor": g(4)}));
    assert_has(
        &details(&clawback),
        &json!({"clear_flags": [4], "clear_flags_s": ["clawback_enabled"], "set_flags": null}),
    );
    for (authorize, expected) in [(0, (false, false)), (1, (true, false)), (2, (false, true))] {
        let asset = xdr::AssetCode::CreditAlphanum12(xdr::AssetCode12(*b"LONGCODE\0\0\0\0"));
        let row =
            Given::one(Body::AllowTrust(xdr::AllowTrustOp { trustor: account(4), asset, authorize })).row();
        assert_eq!(authorized(row.clone()), (json!(expected.0), json!(expected.1)));
        assert_eq!(row["asset"], format!("LONGCODE:{}", g(1)));
    }
}

#[test]
fn odd_options_are_kept_as_far_as_columns_go() {
    let body = xdr::SetOptionsOp {
        set_flags: Some(3),
        clear_flags: Some(0),
        master_weight: Some(u32::MAX),
        home_domain: Some(xdr::String32(b"x\xff".to_vec().try_into().unwrap())),
        inflation_dest: Some(account(5)),
        ..xdr::SetOptionsOp::default()
    };
    let row = Given::one(Body::SetOptions(body)).row();
    assert_has(
        &row,
        &json!({
            "set_flags": 3, "clear_flags": 0, "master_weight": i32::MAX, "low_threshold": null,
            "home_domain": "x\u{fffd}", "home_domain_bytes": "eP8=", "inflation_dest": g(5),
        }),
    );
    assert_eq!(
        details(&row),
        json!({
            "set_flags": [1, 2], "set_flags_s": ["auth_required", "auth_revocable"], "master_key_weight": u32::MAX,
            "home_domain": "x\u{fffd}", "inflation_dest": g(5),
        })
    );
}

#[test]
fn data_names_that_are_not_text_keep_their_bytes() {
    let of = |name: &[u8], data_value| {
        let data_name = xdr::String64(name.to_vec().try_into().unwrap());
        Given::one(Body::ManageData(xdr::ManageDataOp { data_name, data_value })).row()
    };
    let odd = of(b"\xfe", Some(xdr::DataValue(vec![0, 1].try_into().unwrap())));
    assert_has(&odd, &json!({"data_name": "\u{fffd}", "data_name_bytes": "/g==", "data_value": "AAE="}));
    let deleted = of(b"name", None);
    assert_has(&deleted, &json!({"data_name": "name", "data_name_bytes": null, "data_value": null}));
    assert_eq!(details(&deleted), json!({"name": "name", "value": null}));
}

/// An account with one signer, sponsored by `sponsor`.
fn account_state(signer: &xdr::SignerKey, sponsor: Option<u8>) -> xdr::LedgerEntry {
    let v2 = xdr::AccountEntryExtensionV2 {
        signer_sponsoring_i_ds: vec![xdr::SponsorshipDescriptor(sponsor.map(account))].try_into().unwrap(),
        ..xdr::AccountEntryExtensionV2::default()
    };
    let v1 = xdr::AccountEntryExtensionV1 {
        ext: xdr::AccountEntryExtensionV1Ext::V2(v2),
        ..xdr::AccountEntryExtensionV1::default()
    };
    let state = xdr::AccountEntry {
        account_id: account(1),
        signers: vec![xdr::Signer { key: signer.clone(), weight: 1 }].try_into().unwrap(),
        ext: xdr::AccountEntryExt::V1(v1),
        ..xdr::AccountEntry::default()
    };
    entry(xdr::LedgerEntryData::Account(state), Some(8))
}

#[test]
fn a_sponsor_is_told_for_new_entries_and_newly_sponsored_signers_only() {
    let signer = xdr::SignerKey::PreAuthTx(key(6));
    let set = |before: Option<u8>, after: Option<u8>| {
        let body = xdr::SetOptionsOp {
            signer: Some(xdr::Signer { key: signer.clone(), weight: 2 }),
            ..xdr::SetOptionsOp::default()
        };
        Given::one(Body::SetOptions(body))
            .changes(vec![
                Change::State(account_state(&signer, before)),
                Change::Updated(account_state(&signer, after)),
            ])
            .row()
    };
    let new = set(None, Some(7));
    assert_has(&new, &json!({"signer_key": signer.to_string(), "signer_weight": 2}));
    assert_eq!(details(&new)["sponsor"], g(7));
    assert_eq!(details(&set(Some(5), Some(7)))["sponsor"], g(7));
    assert_eq!(details(&set(Some(7), Some(7)))["sponsor"], Value::Null);
    assert_eq!(details(&set(Some(7), None))["sponsor"], Value::Null);
    let created = Given::one(Body::CreateAccount(xdr::CreateAccountOp::default()))
        .changes(vec![Change::Created(account_state(&signer, None))]);
    assert_eq!(created.details()["sponsor"], g(8));
}

#[test]
fn the_end_of_a_sponsorship_names_who_began_it() {
    let begin = |source, sponsored| xdr::Operation {
        source_account: Some(source),
        body: Body::BeginSponsoringFutureReserves(xdr::BeginSponsoringFutureReservesOp {
            sponsored_id: account(sponsored),
        }),
    };
    let end = xdr::Operation { source_account: Some(plain(4)), body: Body::EndSponsoringFutureReserves };
    let operations = vec![begin(plain(2), 4), begin(muxed(3, 6), 4), begin(plain(7), 5), end];
    let given = || Given { operations: operations.clone(), ..Given::default() };
    let rows = given().extract().unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[1]["sponsored_id"], g(4));
    assert_has(&details(&rows[3]), &json!({"begin_sponsor": g(3), "begin_sponsor_muxed_id": 6}));
    let failed = given().failed().extract().unwrap();
    assert_eq!(details(&failed[3]), json!({}));
}

fn symbol(text: &str) -> xdr::ScVal {
    xdr::ScVal::Symbol(xdr::ScSymbol(text.try_into().unwrap()))
}

fn address(n: u8) -> xdr::ScVal {
    xdr::ScVal::Address(xdr::ScAddress::Account(account(n)))
}

fn i128_val(n: i128) -> xdr::ScVal {
    let hi = i64::try_from(n >> 64).unwrap();
    let lo = u64::try_from(n & i128::from(u64::MAX)).unwrap();
    xdr::ScVal::I128(xdr::Int128Parts { hi, lo })
}

/// An event of the contract of `USD`, or of another contract that claims to be it.
fn event(genuine: bool, topics: &[xdr::ScVal], data: xdr::ScVal) -> xdr::ContractEvent {
    let contract = stellar_asset_contract(Network::new(PASSPHRASE).id(), usd()).unwrap();
    let asset = xdr::ScVal::String(xdr::ScString(format!("USD:{}", g(2)).as_str().try_into().unwrap()));
    let topics: Vec<_> = topics.iter().cloned().chain([asset]).collect();
    xdr::ContractEvent {
        ext: xdr::ExtensionPoint::V0,
        contract_id: Some(if genuine { contract } else { xdr::ContractId(xdr::Hash([1; 32])) }),
        type_: xdr::ContractEventType::Contract,
        body: xdr::ContractEventBody::V0(xdr::ContractEventV0 { topics: topics.try_into().unwrap(), data }),
    }
}

fn call(args: Vec<xdr::ScVal>) -> Given {
    Given::one(Body::InvokeHostFunction(xdr::InvokeHostFunctionOp {
        host_function: xdr::HostFunction::InvokeContract(xdr::InvokeContractArgs {
            contract_address: xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash([5; 32]))),
            function_name: xdr::ScSymbol("swap".try_into().unwrap()),
            args: args.try_into().unwrap(),
        }),
        auth: xdr::VecM::default(),
    }))
}

/// Mistake D19 of the reference.
#[test]
fn a_call_tells_its_function_and_arguments() {
    let contract = xdr::ContractId(xdr::Hash([5; 32])).to_string();
    let row = call(vec![xdr::ScVal::U64(u64::MAX), xdr::ScVal::Void]).row();
    assert_has(
        &row,
        &json!({
            "soroban_operation": "invoke", "soroban_function": "swap", "function_name": "swap",
            "soroban_contract_id": contract, "soroban_auth_required": false,
            "arguments": r#"[{"u64":"18446744073709551615"},"void"]"#,
        }),
    );
    let details = details(&row);
    assert_has(&details, &json!({"function": "invoke_contract", "asset_balance_changes": null}));
    assert_eq!(details["parameters"][1], json!({"type": "Sym", "value": "AAAADwAAAARzd2Fw"}));
    assert_eq!(details["parameters"][2], json!({"type": "U64", "value": "AAAABf//////////"}));
    assert_eq!(details["parameters"][3], json!({"type": "", "value": "AAAAAQ=="}));
    assert_eq!(call(Vec::new()).row()["arguments"], "[]");
}

#[test]
fn only_an_assets_own_contract_is_believed_about_balances() {
    let topics = [symbol("transfer"), address(3), address(4)];
    let changes = |events| call(Vec::new()).events(events).details()["asset_balance_changes"].clone();
    assert_eq!(changes(vec![event(false, &topics, i128_val(5))]), Value::Null);
    assert_eq!(changes(vec![event(true, &topics, xdr::ScVal::U64(5))]), Value::Null);
    assert_eq!(changes(vec![event(true, &topics[..2], i128_val(5))]), Value::Null);
    assert_eq!(
        changes(vec![event(false, &topics, i128_val(5)), event(true, &topics, i128_val(-(1 << 70)))]),
        json!([{
            "type": "transfer", "from": g(3), "to": g(4), "amount": "-118059162071741.1303424",
            "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2),
        }])
    );
}

#[test]
fn mints_and_clawbacks_are_known_with_and_without_their_administrator() {
    let change = |topics: &[xdr::ScVal], data| {
        let change =
            call(Vec::new()).events(vec![event(true, topics, data)]).details()["asset_balance_changes"][0]
                .clone();
        (change["from"].clone(), change["to"].clone(), change["destination_muxed_id"].clone())
    };
    let none = Value::Null;
    let amount = || i128_val(1);
    assert_eq!(
        change(&[symbol("mint"), address(2), address(4)], amount()),
        (none.clone(), json!(g(4)), none.clone())
    );
    assert_eq!(change(&[symbol("mint"), address(4)], amount()), (none.clone(), json!(g(4)), none.clone()));
    assert_eq!(
        change(&[symbol("clawback"), address(2), address(4)], amount()),
        (json!(g(4)), none.clone(), none.clone())
    );
    assert_eq!(
        change(&[symbol("clawback"), address(4)], amount()),
        (json!(g(4)), none.clone(), none.clone())
    );
    assert_eq!(change(&[symbol("burn"), address(4)], amount()), (json!(g(4)), none.clone(), none.clone()));
    let entry = |key: &str, val| xdr::ScMapEntry { key: symbol(key), val };
    let map = vec![entry("amount", amount()), entry("to_muxed_id", xdr::ScVal::U64(9))];
    let data = xdr::ScVal::Map(Some(xdr::ScMap(map.try_into().unwrap())));
    assert_eq!(change(&[symbol("mint"), address(4)], data), (none, json!(g(4)), json!("9")));
}

#[test]
fn a_contract_made_for_an_asset_is_the_assets_own() {
    let create = xdr::CreateContractArgs {
        contract_id_preimage: xdr::ContractIdPreimage::Asset(usd()),
        executable: xdr::ContractExecutable::StellarAsset,
    };
    let row = Given::one(Body::InvokeHostFunction(xdr::InvokeHostFunctionOp {
        host_function: xdr::HostFunction::CreateContract(create),
        auth: xdr::VecM::default(),
    }))
    .row();
    let id = stellar_asset_contract(Network::new(PASSPHRASE).id(), usd()).unwrap().to_string();
    let usd = format!("USD:{}", g(2));
    assert_has(
        &row,
        &json!({"soroban_contract_id": id, "asset": usd, "function_name": null, "arguments": null}),
    );
    assert_eq!(details(&row), json!({"function": "create_contract", "from": "asset", "asset": usd}));
}

#[test]
fn footprint_operations_are_told_apart() {
    let extend = xdr::ExtendFootprintTtlOp { extend_to: u32::MAX, ..xdr::ExtendFootprintTtlOp::default() };
    let row = Given::one(Body::ExtendFootprintTtl(extend)).row();
    assert_eq!(row["soroban_operation"], "extend_footprint_ttl");
    assert_eq!(details(&row), json!({"extend_to": u32::MAX}));
    let row = Given::one(Body::RestoreFootprint(xdr::RestoreFootprintOp::default())).row();
    assert_has(&row, &json!({"soroban_operation": "restore_footprint", "details_json": "{}"}));
}
