//! Options, signers, data entries and sequence numbers.

use super::*;

fn signer(n: u8, weight: u32) -> xdr::Signer {
    xdr::Signer { key: xdr::SignerKey::Ed25519(key(n)), weight }
}

/// Account 1 with a weight of its own key and other signers.
fn account_one(master: u8, signers: Vec<xdr::Signer>) -> xdr::LedgerEntry {
    let account = xdr::AccountEntry {
        account_id: account(1),
        thresholds: xdr::Thresholds([master, 0, 0, 0]),
        signers: signers.try_into().unwrap(),
        ..xdr::AccountEntry::default()
    };
    entry(Data::Account(account), None)
}

#[test]
fn options_have_one_effect_per_kind_in_horizons_order() {
    let op = xdr::SetOptionsOp {
        inflation_dest: Some(account(8)),
        clear_flags: Some(2),
        set_flags: Some(1 | 8),
        master_weight: Some(3),
        low_threshold: Some(0),
        med_threshold: None,
        high_threshold: Some(9),
        home_domain: Some(xdr::String32(b"a\xffb".to_vec().try_into().unwrap())),
        signer: None,
    };
    let changes = updated(account_one(1, Vec::new()), account_one(3, Vec::new()));
    let rows = Given::of(Body::SetOptions(op)).source(muxed(1, 5)).changes(changes).rows();
    let flags = json!({"auth_required_flag": true, "auth_revocable_flag": false,
                       "auth_clawback_enabled_flag": true});
    let expected = json!([
        [5, "account_home_domain_updated", g(1), {"home_domain": "a\u{fffd}b"}],
        [4, "account_thresholds_updated", g(1), {"low_threshold": 0, "high_threshold": 9}],
        [6, "account_flags_updated", g(1), flags],
        [7, "account_inflation_destination_updated", g(1), {"inflation_destination": g(8)}],
        [12, "signer_updated", g(1), {"public_key": g(1), "weight": 3}],
    ]);
    assert_eq!(brief(&rows), expected);
    assert_has(&rows[2], &json!({"clawback_flag": true, "authorize_flag": null}));
    assert_has(&rows[4], &json!({"signer_account": g(1), "signer_weight": 3}));
    assert!(rows.iter().all(|row| row["account_muxed"] == muxed(1, 5).to_string()));
}

#[test]
fn options_that_change_nothing_have_no_effect() {
    let same = || account_one(1, vec![signer(4, 1)]);
    let op = xdr::SetOptionsOp { set_flags: Some(16), clear_flags: Some(0), ..xdr::SetOptionsOp::default() };
    assert_eq!(Given::of(Body::SetOptions(op)).changes(updated(same(), same())).effects(), json!([]));
}

#[test]
fn signers_are_told_by_their_text_first_those_that_were_there() {
    let hash = xdr::Signer { key: xdr::SignerKey::HashX(key(9)), weight: 7 };
    let before = account_one(1, vec![signer(4, 1), signer(5, 2), signer(6, 3)]);
    // an own key of weight 0 counts as gone
    let after = account_one(0, vec![hash.clone(), signer(7, 5), signer(6, 4), signer(5, 2)]);
    let given = Given::of(Body::SetOptions(xdr::SetOptionsOp::default())).changes(updated(before, after));
    let rows = given.rows();
    let mut first = vec![
        json!([11, "signer_removed", g(1), {"public_key": g(1)}]),
        json!([11, "signer_removed", g(1), {"public_key": g(4)}]),
        json!([12, "signer_updated", g(1), {"public_key": g(6), "weight": 4}]),
    ];
    first.sort_by_key(|effect| effect[3]["public_key"].to_string());
    let last = [
        json!([10, "signer_created", g(1), {"public_key": g(7), "weight": 5}]),
        json!([10, "signer_created", g(1), {"public_key": hash.key.to_string(), "weight": 7}]),
    ];
    assert!(hash.key.to_string().starts_with('X'));
    first.extend(last);
    assert_eq!(brief(&rows), json!(first));
    let gone = rows.iter().find(|row| row["effect_type"] == 11).unwrap();
    assert_eq!(gone["signer_weight"], Value::Null);
}

fn data(value: &[u8]) -> xdr::LedgerEntry {
    entry(
        Data::Data(xdr::DataEntry {
            account_id: account(1),
            data_name: name(),
            data_value: xdr::DataValue(value.to_vec().try_into().unwrap()),
            ext: xdr::DataEntryExt::V0,
        }),
        None,
    )
}

fn name() -> xdr::String64 {
    xdr::String64(b"k\"\xfe".to_vec().try_into().unwrap())
}

#[test]
fn data_entries_are_created_updated_and_removed() {
    let given = || {
        let op = xdr::ManageDataOp { data_name: name(), data_value: None };
        Given::of(Body::ManageData(op))
    };
    let named = |value: Option<&str>| match value {
        Some(value) => json!({"name": "k\"\u{fffd}", "value": value}),
        None => json!({"name": "k\"\u{fffd}"}),
    };
    assert_eq!(
        given().changes([Change::Created(data(b"one"))]).effects(),
        json!([[40, "data_created", g(1), named(Some("b25l"))]])
    );
    assert_eq!(
        given().changes(updated(data(b"one"), data(b"\0"))).effects(),
        json!([[42, "data_updated", g(1), named(Some("AA=="))]])
    );
    assert_eq!(
        given().changes(removed(data(b"one"))).effects(),
        json!([[41, "data_removed", g(1), named(None)]])
    );
    // rebuilt history does not tell which of them it was
    assert_eq!(given().effects(), json!([]));
}

#[test]
fn a_sequence_number_is_bumped_only_where_it_moves() {
    let at = |seq| {
        let account =
            xdr::AccountEntry { account_id: account(1), seq_num: seq, ..xdr::AccountEntry::default() };
        entry(Data::Account(account), None)
    };
    let bump = |from, to| {
        let op = xdr::BumpSequenceOp { bump_to: xdr::SequenceNumber(5) };
        let changes = updated(at(xdr::SequenceNumber(from)), at(xdr::SequenceNumber(to)));
        Given::of(Body::BumpSequence(op)).changes(changes).effects()
    };
    assert_eq!(
        bump(4, i64::MAX),
        json!([[43, "sequence_bumped", g(1), {"new_seq": 9_223_372_036_854_775_807_i64}]])
    );
    assert_eq!(bump(6, 6), json!([]));
}
