//! Amounts that move between accounts, and trades.

use super::*;

fn fill(offer_id: i64, sold: (xdr::Asset, i64), bought: (xdr::Asset, i64)) -> xdr::ClaimAtom {
    xdr::ClaimAtom::OrderBook(xdr::ClaimOfferAtom {
        seller_id: account(5),
        offer_id,
        asset_sold: sold.0,
        amount_sold: sold.1,
        asset_bought: bought.0,
        amount_bought: bought.1,
    })
}

fn sold_at_once(fills: Vec<xdr::ClaimAtom>) -> xdr::ManageSellOfferResult {
    xdr::ManageSellOfferResult::Success(xdr::ManageOfferSuccessResult {
        offers_claimed: fills.try_into().unwrap(),
        offer: xdr::ManageOfferSuccessResultOffer::Deleted,
    })
}

#[test]
fn muxed_addresses_stand_beside_their_accounts() {
    let payment = xdr::PaymentOp { destination: muxed(4, u64::MAX), asset: usd(), amount: 15 };
    let rows = Given::of(Body::Payment(payment)).source(muxed(3, 7)).rows();
    let details = json!({"amount": "0.0000015", "asset_type": "credit_alphanum4", "asset_code": "USD",
                         "asset_issuer": g(2)});
    assert_eq!(
        brief(&rows),
        json!([[2, "account_credited", g(4), details], [3, "account_debited", g(3), details]])
    );
    // D21: stroops and the parts of an asset, as in every table
    let part = json!({"amount": 15, "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2),
                      "amount_i128": null});
    assert_has(&rows[0], &part);
    assert_eq!(rows[0]["account_muxed"], muxed(4, u64::MAX).to_string());
    assert_eq!(rows[1]["account_muxed"], muxed(3, 7).to_string());
}

#[test]
fn a_new_account_is_paid_for_and_has_its_own_key() {
    let op = xdr::CreateAccountOp { destination: account(4), starting_balance: 25_000_000 };
    let rows = Given::of(Body::CreateAccount(op)).rows();
    let expected = json!([
        [0, "account_created", g(4), {"starting_balance": "2.5000000"}],
        [3, "account_debited", g(1), {"amount": "2.5000000", "asset_type": "native"}],
        [10, "signer_created", g(4), {"public_key": g(4), "weight": 1}],
    ]);
    assert_eq!(brief(&rows), expected);
    assert_has(&rows[0], &json!({"amount": 25_000_000, "asset_type": null}));
    assert_has(&rows[2], &json!({"signer_account": g(4), "signer_weight": 1, "amount": null}));
}

#[test]
fn a_merge_moves_the_balance_of_its_result_and_removes_the_account() {
    let result = Tr::AccountMerge(xdr::AccountMergeResult::Success(12));
    let rows = Given::of(Body::AccountMerge(muxed(4, 9))).result(result).rows();
    let amount = json!({"amount": "0.0000012", "asset_type": "native"});
    let expected = json!([
        [3, "account_debited", g(1), amount],
        [2, "account_credited", g(4), amount],
        [1, "account_removed", g(1), {}],
    ]);
    assert_eq!(brief(&rows), expected);
    assert_eq!(rows[1]["account_muxed"], muxed(4, 9).to_string());
}

#[test]
fn inflation_credits_each_winner() {
    let payouts =
        [(4, 10), (5, 20)].map(|(n, amount)| xdr::InflationPayout { destination: account(n), amount });
    let result = Tr::Inflation(xdr::InflationResult::Success(payouts.to_vec().try_into().unwrap()));
    let expected = json!([
        [2, "account_credited", g(4), {"amount": "0.0000010", "asset_type": "native"}],
        [2, "account_credited", g(5), {"amount": "0.0000020", "asset_type": "native"}],
    ]);
    assert_eq!(Given::of(Body::Inflation).result(result).effects(), expected);
}

#[test]
fn a_clawback_credits_the_issuer() {
    let op = xdr::ClawbackOp { asset: usd(), from: muxed(4, 6), amount: 30 };
    let rows = Given::of(Body::Clawback(op)).source(plain(2)).rows();
    let details = json!({"amount": "0.0000030", "asset_type": "credit_alphanum4", "asset_code": "USD",
                         "asset_issuer": g(2)});
    let expected = json!([[2, "account_credited", g(2), details], [3, "account_debited", g(4), details]]);
    assert_eq!(brief(&rows), expected);
    assert_eq!(rows[1]["account_muxed"], muxed(4, 6).to_string());
}

#[test]
fn a_trade_is_told_from_both_sides() {
    // account 5 sells 40 USD for 80 native; the buyer was addressed as a muxed account
    let fills = vec![fill(77, (usd(), 40), (xdr::Asset::Native, 80)), fill(78, (usd(), 0), (usd(), 0))];
    for tr in [Tr::CreatePassiveSellOffer, Tr::ManageSellOffer] {
        let op = xdr::CreatePassiveSellOfferOp {
            selling: xdr::Asset::Native,
            buying: usd(),
            amount: 80,
            price: xdr::Price { n: 1, d: 2 },
        };
        let given = Given::of(Body::CreatePassiveSellOffer(op)).source(muxed(3, 7));
        let rows = given.result(tr(sold_at_once(fills.clone()))).rows();
        let expected = json!([
            [33, "trade", g(3), {
                "offer_id": 77, "seller": g(5),
                "bought_amount": "0.0000040", "bought_asset_type": "credit_alphanum4",
                "bought_asset_code": "USD", "bought_asset_issuer": g(2),
                "sold_amount": "0.0000080", "sold_asset_type": "native",
            }],
            [33, "trade", g(5), {
                "offer_id": 77, "seller": g(3), "seller_muxed": muxed(3, 7).to_string(), "seller_muxed_id": 7,
                "bought_amount": "0.0000080", "bought_asset_type": "native",
                "sold_amount": "0.0000040", "sold_asset_type": "credit_alphanum4",
                "sold_asset_code": "USD", "sold_asset_issuer": g(2),
            }],
        ]);
        assert_eq!(brief(&rows), expected);
        assert_has(
            &rows[0],
            &json!({"offer_id": 77, "seller_account": g(5), "amount": null, "asset_type": null}),
        );
        assert_has(&rows[1], &json!({"offer_id": 77, "seller_account": g(3), "account_muxed": null}));
    }
}

#[test]
fn a_payment_along_a_path_comes_before_its_trades() {
    // of two hops only the first takes what is sent; its fills are of the oldest form
    let first = |amount_bought| {
        xdr::ClaimAtom::V0(xdr::ClaimOfferAtomV0 {
            seller_ed25519: key(6),
            offer_id: 4,
            asset_sold: usd(),
            amount_sold: 1,
            asset_bought: xdr::Asset::Native,
            amount_bought,
        })
    };
    let fills = vec![first(10), first(20), fill(9, (xdr::Asset::Native, 2), (usd(), 2))];
    let last = xdr::SimplePaymentResult { destination: account(4), asset: xdr::Asset::Native, amount: 2 };
    let success = xdr::PathPaymentStrictReceiveResultSuccess { offers: fills.try_into().unwrap(), last };
    let op = xdr::PathPaymentStrictReceiveOp {
        send_asset: xdr::Asset::Native,
        send_max: 100,
        destination: plain(4),
        dest_asset: xdr::Asset::Native,
        dest_amount: 2,
        path: vec![usd()].try_into().unwrap(),
    };
    let result = Tr::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveResult::Success(success));
    let rows = Given::of(Body::PathPaymentStrictReceive(op)).result(result).rows();
    let told: Vec<_> = rows.iter().map(|row| (&row["effect_type"], &row["account_id"])).collect();
    let expected = [(2, 4), (3, 1), (33, 1), (33, 6), (33, 1), (33, 6), (33, 1), (33, 5)];
    assert_eq!(told, expected.map(|(ty, n)| (json!(ty), json!(g(n)))).each_ref().map(|(a, b)| (a, b)));
    assert_eq!(rows[0]["amount"], 2);
    assert_eq!(rows[1]["amount"], 30);
}

#[test]
fn a_strict_send_credits_what_arrived() {
    let last = xdr::SimplePaymentResult { destination: account(4), asset: usd(), amount: 41 };
    let success = xdr::PathPaymentStrictSendResultSuccess { offers: xdr::VecM::default(), last };
    let op = xdr::PathPaymentStrictSendOp {
        send_asset: usd(),
        send_amount: 41,
        destination: plain(4),
        dest_asset: usd(),
        dest_min: 1,
        path: xdr::VecM::default(),
    };
    let result = Tr::PathPaymentStrictSend(xdr::PathPaymentStrictSendResult::Success(success));
    let rows = Given::of(Body::PathPaymentStrictSend(op)).result(result).rows();
    assert_eq!(rows.len(), 2);
    assert_has(&rows[0], &json!({"effect_type": 2, "account_id": g(4), "amount": 41}));
    assert_has(&rows[1], &json!({"effect_type": 3, "account_id": g(1), "amount": 41}));
}

#[test]
fn a_result_that_success_cannot_have_fails_the_ledger() {
    let named = format!("ledger 20001: table effects_row_v1: transaction {} operation 0: ", "03".repeat(32));
    let missing = Given::of(Body::Inflation).error();
    assert!(missing.starts_with(&named) && missing.ends_with("its result is None"), "{missing}");
    let other = Given::of(Body::Inflation).result(Tr::AccountMerge(xdr::AccountMergeResult::Success(1)));
    let other = other.error();
    assert!(other.starts_with(&named) && other.contains("AccountMerge"), "{other}");
}
