//! Claimable balances.

use super::*;

fn native(n: u8, amount: i64, clawback: bool) -> xdr::LedgerEntry {
    entry(balance(n, xdr::Asset::Native, amount, Vec::new(), clawback), Some(1))
}

fn op(claimants: Vec<xdr::Claimant>) -> Given {
    Given::of(Body::CreateClaimableBalance(xdr::CreateClaimableBalanceOp {
        asset: usd(),
        amount: 90,
        claimants: claimants.try_into().unwrap(),
    }))
}

#[test]
fn a_new_balance_names_its_claimants_with_the_operations_own_terms() {
    let relative = xdr::ClaimPredicate::Not(Some(Box::new(xdr::ClaimPredicate::BeforeRelativeTime(60))));
    let absolute =
        xdr::ClaimPredicate::Not(Some(Box::new(xdr::ClaimPredicate::BeforeAbsoluteTime(1_700_000_060))));
    let unconditional = || claimant(4, xdr::ClaimPredicate::Unconditional);
    let created = balance(6, usd(), 90, vec![unconditional(), claimant(5, absolute)], true);
    let given = op(vec![unconditional(), claimant(5, relative)]);
    let rows = given.changes([Change::Created(entry(created, Some(1)))]).rows();
    let of = |more: Value| {
        let mut details = json!({"balance_id": balance_text(6), "amount": "0.0000090", "asset": usd_text()});
        details.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        details
    };
    let expected = json!([
        [50, "claimable_balance_created", g(1), of(json!({"claimable_balance_clawback_enabled_flag": true}))],
        [51, "claimable_balance_claimant_created", g(4), of(json!({"predicate": {"unconditional": true}}))],
        [51, "claimable_balance_claimant_created", g(5), of(json!({"predicate": {"not": {"rel_before": "60"}}}))],
        [3, "account_debited", g(1), {"amount": "0.0000090", "asset_type": "credit_alphanum4",
                                      "asset_code": "USD", "asset_issuer": g(2)}],
        [69, "claimable_balance_sponsorship_created", g(1),
            {"sponsor": g(1), "balance_id": balance_text(6)}],
    ]);
    assert_eq!(brief(&rows), expected);
    // D12: type 51 is each claimant's own, and 50 stands on the account, not on the balance
    // D21: the asset of a balance is text in the details, parts in the columns
    let part =
        json!({"amount": 90, "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2)});
    rows[..3].iter().for_each(|row| assert_has(row, &part));
}

#[test]
fn rebuilt_history_tells_the_debit_of_a_new_balance_only() {
    let rows = op(Vec::new()).rows();
    assert_eq!(rows.len(), 1);
    assert_has(&rows[0], &json!({"effect_type": 3, "amount": 90, "account_id": g(1)}));
}

#[test]
fn a_claim_takes_the_balance_of_its_own_id() {
    let claim = || {
        let op = xdr::ClaimClaimableBalanceOp { balance_id: balance_id(6) };
        Given::of(Body::ClaimClaimableBalance(op)).source(muxed(4, 3))
    };
    let changes = removed(native(5, 1, false)).into_iter().chain(removed(native(6, 90, false)));
    let rows = claim().changes(changes).rows();
    // D12: a claim is type 52
    let expected = json!([
        [52, "claimable_balance_claimed", g(4),
            {"balance_id": balance_text(6), "amount": "0.0000090", "asset": "native"}],
        [2, "account_credited", g(4), {"amount": "0.0000090", "asset_type": "native"}],
        [71, "claimable_balance_sponsorship_removed", g(4),
            {"former_sponsor": g(1), "balance_id": balance_text(5)}],
        [71, "claimable_balance_sponsorship_removed", g(4),
            {"former_sponsor": g(1), "balance_id": balance_text(6)}],
    ]);
    assert_eq!(brief(&rows), expected);
    assert!(rows.iter().all(|row| row["account_muxed"] == muxed(4, 3).to_string()));
    assert_has(&rows[0], &json!({"asset_type": "native", "asset_code": null}));
    assert_eq!(claim().effects(), json!([]), "the amount stands in the changes only");
}

#[test]
fn a_balance_that_is_clawed_back_credits_the_issuer() {
    let clawback = || {
        let op = xdr::ClawbackClaimableBalanceOp { balance_id: balance_id(6) };
        Given::of(Body::ClawbackClaimableBalance(op)).source(plain(2))
    };
    let gone = entry(balance(6, usd(), 90, Vec::new(), true), None);
    let clawed = json!([80, "claimable_balance_clawed_back", g(2), {"balance_id": balance_text(6)}]);
    let credited = json!([2, "account_credited", g(2), {
        "amount": "0.0000090", "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2),
    }]);
    assert_eq!(clawback().changes(removed(gone)).effects(), json!([clawed, credited]));
    assert_eq!(clawback().effects(), json!([clawed]));
}
