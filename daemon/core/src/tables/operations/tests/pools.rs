//! Liquidity pools.

use super::*;

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
