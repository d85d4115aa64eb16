//! Payments, offers and claimable balances.

use super::*;

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
