//! Accounts, trustlines, data and sponsorships.

use super::*;

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
