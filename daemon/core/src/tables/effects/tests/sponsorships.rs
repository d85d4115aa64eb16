//! Who pays the reserve of entries and signers.

use super::*;

/// An operation that has no effect but what its changes tell.
fn revoke() -> Given {
    let key = xdr::LedgerKey::Account(xdr::LedgerKeyAccount { account_id: account(4) });
    Given::of(Body::RevokeSponsorship(xdr::RevokeSponsorshipOp::LedgerEntry(key))).source(muxed(1, 2))
}

/// What begins, moves and ends the sponsorship of an entry, in that order: account 5, then 6.
fn fates(data: &Data) -> [Vec<Value>; 3] {
    let state = |sponsor| entry(data.clone(), sponsor);
    [
        revoke().changes(updated(state(None), state(Some(5)))).rows(),
        revoke().changes(updated(state(Some(5)), state(Some(6)))).rows(),
        revoke().changes(updated(state(Some(6)), state(None))).rows(),
    ]
}

/// Expected effects: numbers from `first` on, words about `what`.
fn expected(first: i32, what: &str, who: u8, more: &Value) -> [Value; 3] {
    let fates = [
        ("created", json!({"sponsor": g(5)})),
        ("updated", json!({"former_sponsor": g(5), "new_sponsor": g(6)})),
        ("removed", json!({"former_sponsor": g(6)})),
    ];
    let mut number = first - 1;
    fates.map(|(fate, mut details)| {
        number += 1;
        details.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([[number, format!("{what}_sponsorship_{fate}"), g(who), details]])
    })
}

fn account_four() -> xdr::AccountEntry {
    xdr::AccountEntry { account_id: account(4), ..xdr::AccountEntry::default() }
}

#[test]
fn the_sponsor_of_an_account_is_told_to_the_account() {
    let rows = fates(&Data::Account(account_four()));
    assert_eq!(rows.each_ref().map(|rows| brief(rows)), expected(60, "account", 4, &json!({})));
    assert_eq!(rows[0][0]["account_muxed"], Value::Null);
}

#[test]
fn the_sponsor_of_a_trustline_is_told_with_the_asset() {
    let rows = fates(&usd_line(4));
    assert_eq!(
        rows.each_ref().map(|rows| brief(rows)),
        expected(63, "trustline", 4, &json!({"asset": usd_text()}))
    );
    let part =
        json!({"asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2), "amount": null});
    rows.iter().for_each(|rows| assert_has(&rows[0], &part));
}

#[test]
fn the_sponsor_of_pool_shares_is_told_with_the_pool() {
    let rows = fates(&trustline(4, xdr::TrustLineAsset::PoolShare(xdr::PoolId(xdr::Hash([7; 32])))));
    // Horizon's details have a word of their own here; D21: the column has that of every table
    let more = json!({"asset_type": "liquidity_pool", "liquidity_pool_id": "07".repeat(32)});
    assert_eq!(rows.each_ref().map(|rows| brief(rows)), expected(63, "trustline", 4, &more));
    let part = json!({"asset_type": "liquidity_pool_shares", "asset_code": null});
    rows.iter().for_each(|rows| assert_has(&rows[0], &part));
}

#[test]
fn the_sponsor_of_data_is_told_to_the_operations_source() {
    let data = Data::Data(xdr::DataEntry {
        account_id: account(4),
        data_name: xdr::String64(b"name".to_vec().try_into().unwrap()),
        data_value: xdr::DataValue::default(),
        ext: xdr::DataEntryExt::V0,
    });
    let rows = fates(&data);
    let more = json!({"data_name": "name"});
    assert_eq!(rows.each_ref().map(|rows| brief(rows)), expected(66, "data", 1, &more));
    assert_eq!(rows[0][0]["account_muxed"], muxed(1, 2).to_string());
}

#[test]
fn the_sponsor_of_a_balance_is_told_to_the_operations_source() {
    let rows = fates(&balance(6, usd(), 90, Vec::new(), false));
    let more = json!({"balance_id": balance_text(6)});
    assert_eq!(rows.each_ref().map(|rows| brief(rows)), expected(69, "claimable_balance", 1, &more));
    assert_eq!(rows[0][0]["amount"], Value::Null);
}

#[test]
fn a_sponsored_entry_that_goes_ends_its_sponsorship_and_one_that_comes_begins_it() {
    let account = || entry(Data::Account(account_four()), Some(5));
    assert_eq!(
        revoke().changes(removed(account())).effects(),
        json!([[62, "account_sponsorship_removed", g(4), {"former_sponsor": g(5)}]])
    );
    assert_eq!(
        revoke().changes([Change::Created(account())]).effects(),
        json!([[60, "account_sponsorship_created", g(4), {"sponsor": g(5)}]])
    );
    assert_eq!(revoke().changes(updated(account(), account())).effects(), json!([]));
}

#[test]
fn the_sponsor_of_an_offer_has_no_effect() {
    let offer =
        || Data::Offer(xdr::OfferEntry { seller_id: account(4), offer_id: 3, ..xdr::OfferEntry::default() });
    assert_eq!(revoke().changes([Change::Created(entry(offer(), Some(5)))]).effects(), json!([]));
}

/// Account 4 with signers, each with its sponsor.
fn signed(signers: &[(u8, Option<u8>)], sponsor: Option<u8>) -> xdr::LedgerEntry {
    let list: Vec<_> = signers
        .iter()
        .map(|(n, _)| xdr::Signer { key: xdr::SignerKey::Ed25519(key(*n)), weight: 1 })
        .collect();
    let sponsors: Vec<_> =
        signers.iter().map(|(_, sponsor)| xdr::SponsorshipDescriptor(sponsor.map(account))).collect();
    let v2 = xdr::AccountEntryExtensionV2 {
        signer_sponsoring_i_ds: sponsors.try_into().unwrap(),
        ..xdr::AccountEntryExtensionV2::default()
    };
    let v1 = xdr::AccountEntryExtensionV1 {
        ext: xdr::AccountEntryExtensionV1Ext::V2(v2),
        ..xdr::AccountEntryExtensionV1::default()
    };
    let account = xdr::AccountEntry {
        signers: list.try_into().unwrap(),
        ext: xdr::AccountEntryExt::V1(v1),
        ..account_four()
    };
    entry(Data::Account(account), sponsor)
}

#[test]
fn sponsors_of_signers_are_told_by_the_signers_text() {
    let before = signed(&[(10, Some(5)), (11, Some(5)), (12, None), (13, Some(5))], None);
    let after = signed(&[(11, Some(6)), (12, Some(6)), (13, Some(5)), (14, None)], Some(7));
    let rows = revoke().changes(updated(before, after)).rows();
    let mut signers = vec![
        json!([74, "signer_sponsorship_removed", g(4), {"former_sponsor": g(5), "signer": g(10)}]),
        json!([73, "signer_sponsorship_updated", g(4),
            {"former_sponsor": g(5), "new_sponsor": g(6), "signer": g(11)}]),
        json!([72, "signer_sponsorship_created", g(4), {"sponsor": g(6), "signer": g(12)}]),
    ];
    signers.sort_by_key(|effect| effect[3]["signer"].to_string());
    // the account's own sponsor comes first
    signers.insert(0, json!([60, "account_sponsorship_created", g(4), {"sponsor": g(7)}]));
    assert_eq!(brief(&rows), json!(signers));
    let signer = rows.iter().find(|row| row["effect_type"] == 74).unwrap();
    assert_has(signer, &json!({"signer_account": g(10), "signer_weight": null}));
}

#[test]
fn sponsorships_are_read_by_the_keys_of_their_entries() {
    // accounts come before trustlines, and lower keys first, however core wrote them
    let line = entry(usd_line(4), Some(5));
    let high = entry(
        Data::Account(xdr::AccountEntry { account_id: account(9), ..xdr::AccountEntry::default() }),
        Some(5),
    );
    let low = entry(Data::Account(account_four()), Some(5));
    let rows = revoke().changes([line, high, low].map(Change::Created)).rows();
    let told: Vec<_> = rows.iter().map(|row| (&row["effect_type"], &row["account_id"])).collect();
    let expected = [(60, 4), (60, 9), (63, 4)].map(|(ty, n)| (json!(ty), json!(g(n))));
    assert_eq!(told, expected.each_ref().map(|(ty, who)| (ty, who)));
}
