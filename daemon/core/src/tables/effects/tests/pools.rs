//! Liquidity pools.

use super::*;

const POOL: xdr::PoolId = xdr::PoolId(xdr::Hash([7; 32]));

/// Horizon's view of pool 7.
fn shown(reserves: [&str; 2], shares: &str) -> Value {
    json!({
        "id": "07".repeat(32), "fee_bp": 30, "type": "constant_product", "total_trustlines": "4",
        "total_shares": shares,
        "reserves": [{"asset": "native", "amount": reserves[0]}, {"asset": usd_text(), "amount": reserves[1]}],
    })
}

#[test]
fn a_deposit_tells_the_pool_after_it_and_what_it_moved() {
    let deposit = || {
        Given::of(Body::LiquidityPoolDeposit(xdr::LiquidityPoolDepositOp {
            liquidity_pool_id: POOL,
            max_amount_a: 1000,
            max_amount_b: 1000,
            min_price: xdr::Price { n: 1, d: 1 },
            max_price: xdr::Price { n: 1, d: 1 },
        }))
    };
    let other = updated(pool(6, [1, 1], 1), pool(6, [2, 2], 2));
    let own = updated(pool(7, [10, 20], 30), pool(7, [110, 220], 330));
    let expected = json!([[90, "liquidity_pool_deposited", g(1), {
        "liquidity_pool": shown(["0.0000110", "0.0000220"], "0.0000330"),
        "reserves_deposited": [{"asset": "native", "amount": "0.0000100"},
                               {"asset": usd_text(), "amount": "0.0000200"}],
        "shares_received": "0.0000300",
    }]]);
    assert_eq!(deposit().changes(other.into_iter().chain(own)).effects(), expected);
    assert_eq!(deposit().effects(), json!([]), "history rebuilt without changes");
    let error = deposit().changes(updated(pool(6, [1, 1], 1), pool(6, [2, 2], 2))).error();
    assert!(error.contains("the changes lack liquidity pool 0707"), "{error}");
}

#[test]
fn a_withdrawal_tells_what_it_received_for_its_shares() {
    let op = xdr::LiquidityPoolWithdrawOp {
        liquidity_pool_id: POOL,
        amount: 30,
        min_amount_a: 0,
        min_amount_b: 0,
    };
    let changes = updated(pool(7, [110, 220], 330), pool(7, [100, 200], 300));
    let expected = json!([[91, "liquidity_pool_withdrew", g(1), {
        "liquidity_pool": shown(["0.0000100", "0.0000200"], "0.0000300"),
        "reserves_received": [{"asset": "native", "amount": "0.0000010"},
                              {"asset": usd_text(), "amount": "0.0000020"}],
        "shares_redeemed": "0.0000030",
    }]]);
    assert_eq!(Given::of(Body::LiquidityPoolWithdraw(op)).changes(changes).effects(), expected);
}

#[test]
fn a_fill_by_a_pool_is_one_effect_of_the_one_who_trades() {
    let fill = |amount_sold, amount_bought| {
        xdr::ClaimAtom::LiquidityPool(xdr::ClaimLiquidityAtom {
            liquidity_pool_id: POOL,
            asset_sold: usd(),
            amount_sold,
            asset_bought: xdr::Asset::Native,
            amount_bought,
        })
    };
    let trade = || {
        let success = xdr::ManageOfferSuccessResult {
            offers_claimed: vec![fill(0, 0), fill(20, 10)].try_into().unwrap(),
            offer: xdr::ManageOfferSuccessResultOffer::Deleted,
        };
        Given::of(Body::ManageBuyOffer(xdr::ManageBuyOfferOp {
            selling: xdr::Asset::Native,
            buying: usd(),
            buy_amount: 20,
            price: xdr::Price { n: 1, d: 1 },
            offer_id: 0,
        }))
        .result(Tr::ManageBuyOffer(xdr::ManageBuyOfferResult::Success(success)))
    };
    let changes = updated(pool(7, [100, 220], 30), pool(7, [110, 200], 30));
    let rows = trade().changes(changes).rows();
    let expected = json!([[92, "liquidity_pool_trade", g(1), {
        "liquidity_pool": shown(["0.0000110", "0.0000200"], "0.0000030"),
        "sold": {"asset": usd_text(), "amount": "0.0000020"},
        "bought": {"asset": "native", "amount": "0.0000010"},
    }]]);
    assert_eq!(brief(&rows), expected);
    assert_has(&rows[0], &json!({"amount": null, "asset_type": null, "offer_id": null}));
    assert_eq!(trade().effects(), json!([]), "rebuilt history does not show the pool");
}

/// Account 2 takes from account 4 the right to hold USD.
fn revoke() -> Given {
    Given::of(Body::SetTrustLineFlags(xdr::SetTrustLineFlagsOp {
        trustor: account(4),
        asset: usd(),
        clear_flags: 1,
        set_flags: 0,
    }))
    .source(plain(2))
}

fn types(given: Given) -> Vec<i64> {
    given.rows().iter().map(|row| row["effect_type"].as_i64().unwrap()).collect()
}

#[test]
fn revoked_shares_become_claimable_balances() {
    let unconditional = || vec![claimant(4, xdr::ClaimPredicate::Unconditional)];
    let native = balance(9, xdr::Asset::Native, 10, unconditional(), false);
    let dollars = balance(8, usd(), 20, unconditional(), false);
    // core writes changes in any order; Horizon reads them by key: here the balance of USD first
    let changes = [Change::Created(entry(native, None)), Change::Created(entry(dollars, Some(4)))]
        .into_iter()
        .chain(updated(pool(7, [110, 220], 330), pool(7, [100, 200], 300)));
    let rows = revoke().changes(changes).rows();
    let usd_fields = json!({"balance_id": balance_text(8), "amount": "0.0000020", "asset": usd_text()});
    let usd_claimant = json!({"balance_id": balance_text(8), "amount": "0.0000020", "asset": usd_text(),
                              "predicate": {"unconditional": true}});
    let native_fields = json!({"balance_id": balance_text(9), "amount": "0.0000010", "asset": "native"});
    let native_claimant = json!({"balance_id": balance_text(9), "amount": "0.0000010", "asset": "native",
                                 "predicate": {"unconditional": true}});
    let expected = json!([
        [26, "trustline_flags_updated", g(2), {
            "trustor": g(4), "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2),
            "authorized_flag": false,
        }],
        [50, "claimable_balance_created", g(2), usd_fields],
        [51, "claimable_balance_claimant_created", g(4), usd_claimant],
        [50, "claimable_balance_created", g(2), native_fields],
        [51, "claimable_balance_claimant_created", g(4), native_claimant],
        [95, "liquidity_pool_revoked", g(2), {
            "liquidity_pool": shown(["0.0000100", "0.0000200"], "0.0000300"),
            "reserves_revoked": [
                {"asset": "native", "amount": "0.0000010", "claimable_balance_id": balance_text(9)},
                {"asset": usd_text(), "amount": "0.0000020", "claimable_balance_id": balance_text(8)},
            ],
            "shares_revoked": "0.0000030",
        }],
        [69, "claimable_balance_sponsorship_created", g(2),
            {"sponsor": g(4), "balance_id": balance_text(8)}],
    ]);
    assert_eq!(brief(&rows), expected);
}

#[test]
fn revoked_shares_of_the_last_holder_remove_their_pool() {
    let native = entry(balance(9, xdr::Asset::Native, 10, Vec::new(), false), None);
    let allow = xdr::AllowTrustOp {
        trustor: account(4),
        asset: xdr::AssetCode::CreditAlphanum4(xdr::AssetCode4(*b"USD\0")),
        authorize: 0,
    };
    let given = Given::of(Body::AllowTrust(allow)).source(plain(2));
    let changes = [Change::Created(native)].into_iter().chain(removed(pool(7, [10, 0], 10)));
    let rows = given.changes(changes).rows();
    let told: Vec<_> = rows.iter().map(|row| row["effect_type"].as_i64().unwrap()).collect();
    assert_eq!(told, [24, 26, 50, 95, 94]);
    let expected = json!({
        "liquidity_pool": shown(["0.0000010", "0.0000000"], "0.0000010"),
        "reserves_revoked": [
            {"asset": "native", "amount": "0.0000010", "claimable_balance_id": balance_text(9)},
        ],
        "shares_revoked": "0.0000010",
    });
    assert_eq!(brief(&rows)[3][3], expected);
}

#[test]
fn nothing_is_revoked_without_a_pool_or_without_balances() {
    let created = || Change::Created(entry(balance(9, usd(), 10, Vec::new(), false), None));
    assert_eq!(types(revoke().changes([created()])), [26]);
    assert_eq!(types(revoke().changes(updated(pool(7, [0, 0], 0), pool(7, [0, 0], 0)))), [26]);
    assert_eq!(types(revoke()), [26]);
}
