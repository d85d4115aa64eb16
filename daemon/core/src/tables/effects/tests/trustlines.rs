//! Trustlines that are made, changed, authorized.

use super::*;

fn change_trust(line: xdr::ChangeTrustAsset, limit: i64) -> Given {
    Given::of(Body::ChangeTrust(xdr::ChangeTrustOp { line, limit })).source(plain(4))
}

fn usd_trust() -> xdr::ChangeTrustAsset {
    let xdr::Asset::CreditAlphanum4(usd) = usd() else { unreachable!() };
    xdr::ChangeTrustAsset::CreditAlphanum4(usd)
}

#[test]
fn a_trustline_is_made_changed_and_removed() {
    let usd = |limit: &str| json!({"limit": limit, "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2)});
    let line = || entry(usd_line(4), None);
    let rows = change_trust(usd_trust(), 25).changes([Change::Created(line())]).rows();
    assert_eq!(brief(&rows), json!([[20, "trustline_created", g(4), usd("0.0000025")]]));
    let part = json!({"trustline_limit": 25, "amount": null, "asset_code": "USD", "asset_issuer": g(2)});
    assert_has(&rows[0], &part);
    assert_eq!(
        change_trust(usd_trust(), i64::MAX).changes(updated(line(), line())).effects(),
        json!([[22, "trustline_updated", g(4), usd("922337203685.4775807")]])
    );
    assert_eq!(
        change_trust(usd_trust(), 0).changes(removed(line())).effects(),
        json!([[21, "trustline_removed", g(4), usd("0.0000000")]])
    );
    assert_eq!(change_trust(usd_trust(), 25).effects(), json!([]), "trust in oneself changes nothing");
}

#[test]
fn a_trustline_of_pool_shares_makes_its_pool() {
    let params =
        xdr::LiquidityPoolConstantProductParameters { asset_a: xdr::Asset::Native, asset_b: usd(), fee: 30 };
    let shares =
        xdr::ChangeTrustAsset::PoolShare(xdr::LiquidityPoolParameters::LiquidityPoolConstantProduct(params));
    let share_line =
        || entry(trustline(4, xdr::TrustLineAsset::PoolShare(xdr::PoolId(xdr::Hash([7; 32])))), None);
    let line = || entry(usd_line(4), None);
    let [state, line_after] = updated(line(), line());
    let made = [state, line_after, Change::Created(pool(7, [0, 0], 0)), Change::Created(share_line())];
    let rows = change_trust(shares.clone(), 50).changes(made).rows();
    let id = "07".repeat(32);
    let expected = json!([
        [20, "trustline_created", g(4),
            {"limit": "0.0000050", "asset_type": "liquidity_pool_shares", "liquidity_pool_id": id}],
        [93, "liquidity_pool_created", g(4), {"liquidity_pool": {
            "id": id, "fee_bp": 30, "type": "constant_product", "total_trustlines": "4",
            "total_shares": "0.0000000",
            "reserves": [{"asset": "native", "amount": "0.0000000"},
                         {"asset": usd_text(), "amount": "0.0000000"}],
        }}],
    ]);
    assert_eq!(brief(&rows), expected);
    assert_has(&rows[0], &json!({"asset_type": "liquidity_pool_shares", "asset_code": null}));
    let gone = removed(share_line()).into_iter().chain(removed(pool(7, [0, 0], 0)));
    let expected = json!([
        [21, "trustline_removed", g(4),
            {"limit": "0.0000000", "asset_type": "liquidity_pool_shares", "liquidity_pool_id": id}],
        [94, "liquidity_pool_removed", g(4), {"liquidity_pool_id": id}],
    ]);
    assert_eq!(change_trust(shares, 0).changes(gone).effects(), expected);
}

#[test]
fn allowed_trust_has_its_old_effect_and_then_the_flags() {
    let allow = |authorize| {
        let asset = xdr::AssetCode::CreditAlphanum4(xdr::AssetCode4(*b"USD\0"));
        let op = xdr::AllowTrustOp { trustor: account(4), asset, authorize };
        Given::of(Body::AllowTrust(op)).source(plain(2)).rows()
    };
    let with = |flags: Value| {
        let mut details = json!({"trustor": g(4), "asset_type": "credit_alphanum4", "asset_code": "USD",
                                 "asset_issuer": g(2)});
        details.as_object_mut().unwrap().extend(flags.as_object().unwrap().clone());
        details
    };
    let expected = |ty: i32, word: &str, flags: Value| {
        json!([[ty, word, g(2), with(json!({}))], [26, "trustline_flags_updated", g(2), with(flags)]])
    };
    let authorized = allow(1);
    assert_eq!(brief(&authorized), expected(23, "trustline_authorized", json!({"authorized_flag": true})));
    assert_has(&authorized[0], &json!({"authorize_flag": null, "asset_code": "USD"}));
    assert_has(&authorized[1], &json!({"authorize_flag": true, "clawback_flag": null}));
    let maintained = allow(2);
    let flags = json!({"authorized_to_maintain_liabilites": true});
    let word = "trustline_authorized_to_maintain_liabilities";
    assert_eq!(brief(&maintained), expected(25, word, flags));
    assert_eq!(maintained[1]["authorize_flag"], Value::Null);
    let revoked = allow(0);
    let flags = json!({"authorized_flag": false, "authorized_to_maintain_liabilites": false});
    assert_eq!(brief(&revoked), expected(24, "trustline_deauthorized", flags));
    assert_eq!(revoked[1]["authorize_flag"], false);
}

#[test]
fn flags_of_a_trustline_are_told_as_they_change() {
    let flags = |set_flags, clear_flags| {
        let op = xdr::SetTrustLineFlagsOp { trustor: account(4), asset: usd(), clear_flags, set_flags };
        Given::of(Body::SetTrustLineFlags(op)).source(plain(2)).rows()
    };
    let told = |rows: Vec<Value>| {
        let [_, _, _, details] = brief(&rows)[0].as_array().unwrap().clone().try_into().unwrap();
        let flag = |name: &str| details.get(name).cloned();
        let flags =
            ["authorized_flag", "authorized_to_maintain_liabilites", "clawback_enabled_flag"].map(flag);
        (flags, rows[0]["authorize_flag"].clone(), rows[0]["clawback_flag"].clone())
    };
    assert_eq!(told(flags(1, 4)), ([Some(json!(true)), None, Some(json!(false))], json!(true), json!(false)));
    assert_eq!(told(flags(2, 1)), ([Some(json!(false)), Some(json!(true)), None], json!(false), Value::Null));
    assert_eq!(told(flags(0, 0)), ([None, None, None], Value::Null, Value::Null));
}
