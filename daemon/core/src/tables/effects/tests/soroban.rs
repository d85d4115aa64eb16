//! Contract calls and the time to live of contract state.

use super::*;
use crate::text::stellar_asset_contract;

fn symbol(text: &str) -> xdr::ScVal {
    xdr::ScVal::Symbol(xdr::ScSymbol(text.try_into().unwrap()))
}

fn person(n: u8) -> xdr::ScVal {
    xdr::ScVal::Address(xdr::ScAddress::Account(account(n)))
}

fn contract(n: u8) -> xdr::ScVal {
    xdr::ScVal::Address(contract_address(n))
}

fn contract_address(n: u8) -> xdr::ScAddress {
    xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash([n; 32])))
}

fn integer(n: i128) -> xdr::ScVal {
    let [hi, lo] = [n >> 64, n & i128::from(u64::MAX)];
    xdr::ScVal::I128(xdr::Int128Parts { hi: hi.try_into().unwrap(), lo: lo.try_into().unwrap() })
}

/// The amount with the multiplexing id of its receiver (CAP-67).
fn with_id(amount: i128, id: u64) -> xdr::ScVal {
    let entries = vec![
        xdr::ScMapEntry { key: symbol("amount"), val: integer(amount) },
        xdr::ScMapEntry { key: symbol("to_muxed_id"), val: xdr::ScVal::U64(id) },
    ];
    xdr::ScVal::Map(Some(xdr::ScMap(entries.try_into().unwrap())))
}

/// An event of the contract of USD.
fn event(name: &str, who: Vec<xdr::ScVal>, data: xdr::ScVal) -> xdr::ContractEvent {
    let network = ledger(Vec::new()).network_id;
    let asset = xdr::ScVal::String(xdr::ScString(usd_text().as_str().try_into().unwrap()));
    let topics: Vec<_> = std::iter::once(symbol(name)).chain(who).chain([asset]).collect();
    xdr::ContractEvent {
        ext: xdr::ExtensionPoint::V0,
        contract_id: Some(stellar_asset_contract(network, usd()).unwrap()),
        type_: xdr::ContractEventType::Contract,
        body: xdr::ContractEventBody::V0(xdr::ContractEventV0 { topics: topics.try_into().unwrap(), data }),
    }
}

fn call() -> Given {
    let host_function = xdr::HostFunction::InvokeContract(xdr::InvokeContractArgs {
        contract_address: contract_address(9),
        function_name: xdr::ScSymbol("go".try_into().unwrap()),
        args: xdr::VecM::default(),
    });
    let op = xdr::InvokeHostFunctionOp { host_function, auth: xdr::VecM::default() };
    Given::of(Body::InvokeHostFunction(op)).source(muxed(3, 7))
}

fn dollars(amount: &str) -> Value {
    json!({"amount": amount, "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2)})
}

fn of_contract(amount: &str, n: u8) -> Value {
    let mut details = dollars(amount);
    details["contract"] = json!(contract_address(n).to_string());
    details
}

#[test]
fn contracts_are_booked_on_the_source_of_the_call() {
    let events = vec![
        event("transfer", vec![person(4), person(5)], integer(10)),
        event("transfer", vec![contract(6), person(5)], integer(20)),
        event("transfer", vec![person(4), contract(6)], with_id(30, 1)),
        event("burn", vec![contract(6)], integer(40)),
        event("burn", vec![person(4)], integer(50)),
    ];
    let rows = call().events(events).rows();
    let expected = json!([
        [3, "account_debited", g(4), dollars("0.0000010")],
        [2, "account_credited", g(5), dollars("0.0000010")],
        [97, "contract_debited", g(3), of_contract("0.0000020", 6)],
        [2, "account_credited", g(5), dollars("0.0000020")],
        [3, "account_debited", g(4), dollars("0.0000030")],
        [96, "contract_credited", g(3), of_contract("0.0000030", 6)],
        [97, "contract_debited", g(3), of_contract("0.0000040", 6)],
        [3, "account_debited", g(4), dollars("0.0000050")],
    ]);
    assert_eq!(brief(&rows), expected);
    assert_has(
        &rows[1],
        &json!({"amount": 10, "amount_i128": "10", "asset_code": "USD", "account_muxed": null}),
    );
    for contract in [&rows[2], &rows[5], &rows[6]] {
        assert_eq!(contract["account_muxed"], muxed(3, 7).to_string());
    }
}

#[test]
fn mints_and_clawbacks_are_known_with_and_without_their_administrator() {
    // the administrator stood in the events until protocol 23, that is in TransactionMeta V3
    let without = vec![
        event("mint", vec![person(4)], integer(1)),
        event("mint", vec![contract(6)], integer(2)),
        event("clawback", vec![person(4)], integer(3)),
        event("clawback", vec![contract(6)], integer(4)),
    ];
    let with = vec![
        event("mint", vec![person(2), person(4)], integer(1)),
        event("mint", vec![person(2), contract(6)], integer(2)),
        event("clawback", vec![person(2), person(4)], integer(3)),
        event("clawback", vec![person(2), contract(6)], integer(4)),
    ];
    let expected = json!([
        [2, "account_credited", g(4), dollars("0.0000001")],
        [96, "contract_credited", g(3), of_contract("0.0000002", 6)],
        [3, "account_debited", g(4), dollars("0.0000003")],
        [97, "contract_debited", g(3), of_contract("0.0000004", 6)],
    ]);
    assert_eq!(call().events(without).effects(), expected);
    assert_eq!(brief(&extracted(&call().events(with).ledger_with_meta_v3()).unwrap()), expected);
}

#[test]
fn the_receiver_of_a_transfer_or_mint_may_be_muxed() {
    let events = vec![
        event("transfer", vec![person(4), person(5)], with_id(1, u64::MAX)),
        event("mint", vec![person(5)], with_id(2, 0)),
    ];
    let rows = call().events(events).rows();
    let muxes: Vec<_> = rows.iter().map(|row| row["account_muxed"].clone()).collect();
    assert_eq!(muxes, [Value::Null, json!(muxed(5, u64::MAX).to_string()), json!(muxed(5, 0).to_string())]);
}

#[test]
fn an_amount_beyond_64_bits_is_exact_as_text() {
    let rows = call().events(vec![event("mint", vec![contract(6)], integer(i128::MAX))]).rows();
    let amount = "17014118346046923173168730371588.4105727";
    assert_eq!(brief(&rows), json!([[96, "contract_credited", g(3), of_contract(amount, 6)]]));
    assert_has(&rows[0], &json!({"amount": null, "amount_i128": "170141183460469231731687303715884105727"}));
}

#[test]
fn only_the_contract_of_the_asset_itself_is_believed() {
    let genuine = || event("mint", vec![person(4)], integer(1));
    let forged = xdr::ContractEvent { contract_id: Some(xdr::ContractId(xdr::Hash([6; 32]))), ..genuine() };
    let anonymous = xdr::ContractEvent { contract_id: None, ..genuine() };
    let system = xdr::ContractEvent { type_: xdr::ContractEventType::System, ..genuine() };
    let other = event("approve", vec![person(4), person(5)], integer(1));
    assert_eq!(call().events(vec![forged, anonymous, system, other]).effects(), json!([]));
}

#[test]
fn a_call_may_make_trustlines_and_accounts() {
    // CAP-73: the transfer that makes an account has an event, the account and the trustline have none
    let made = xdr::AccountEntry { account_id: account(5), balance: 10, ..xdr::AccountEntry::default() };
    let changes = [
        Change::Created(entry(Data::Account(made), None)),
        Change::Created(entry(usd_line(9), None)),
        Change::Created(entry(usd_line(4), None)),
    ];
    let there = updated(entry(usd_line(8), None), entry(usd_line(8), None));
    let transfer = event("transfer", vec![person(4), person(5)], integer(10));
    let rows = call().events(vec![transfer]).changes(changes.into_iter().chain(there)).rows();
    let line = json!({"limit": "7.0000000", "asset_type": "credit_alphanum4", "asset_code": "USD",
                      "asset_issuer": g(2)});
    let expected = json!([
        [3, "account_debited", g(4), dollars("0.0000010")],
        [2, "account_credited", g(5), dollars("0.0000010")],
        [20, "trustline_created", g(4), line],
        [20, "trustline_created", g(9), line],
        [0, "account_created", g(5), {"starting_balance": "0.0000010"}],
        [10, "signer_created", g(5), {"public_key": g(5), "weight": 1}],
    ]);
    assert_eq!(brief(&rows), expected);
    assert_has(&rows[2], &json!({"trustline_limit": 70_000_000, "account_muxed": null}));
    assert_has(&rows[4], &json!({"amount": 10, "amount_i128": null}));
}

fn ttl(n: u8, live_until_ledger_seq: u32) -> xdr::LedgerEntry {
    entry(Data::Ttl(xdr::TtlEntry { key_hash: xdr::Hash([n; 32]), live_until_ledger_seq }), None)
}

/// Base64 of the key of TTL 0 and TTL 255: type 9 and the hash.
const TTL_KEYS: [&str; 2] =
    ["AAAACQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAACf//////////////////////////////////////////"];

#[test]
fn an_extension_names_the_entries_that_live_longer() {
    let extend = || {
        let op = xdr::ExtendFootprintTtlOp { ext: xdr::ExtensionPoint::V0, extend_to: 500 };
        Given::of(Body::ExtendFootprintTtl(op))
    };
    let payer = || entry(Data::Account(xdr::AccountEntry::default()), None);
    let changes = updated(ttl(255, 1), ttl(255, 2))
        .into_iter()
        .chain(updated(ttl(0, 1), ttl(0, 2)))
        .chain(updated(payer(), payer()));
    assert_eq!(
        extend().changes(changes).effects(),
        json!([[98, "extend_footprint_ttl", g(1), {"entries": TTL_KEYS, "extend_to": 500}]])
    );
    assert_eq!(
        extend().effects(),
        json!([[98, "extend_footprint_ttl", g(1), {"entries": [], "extend_to": 500}]])
    );
    let empty_meta = xdr::TransactionMeta::V4(xdr::TransactionMetaV4::default());
    assert!(extracted(&one(extend().operation, None, empty_meta)).unwrap().is_empty());
}

#[test]
fn a_restoration_names_the_entries_that_came_back() {
    let op = xdr::RestoreFootprintOp { ext: xdr::ExtensionPoint::V0 };
    let changes = [Change::Restored(ttl(255, 9)), Change::Created(ttl(0, 9))];
    assert_eq!(
        Given::of(Body::RestoreFootprint(op)).changes(changes).effects(),
        json!([[99, "restore_footprint", g(1), {"entries": TTL_KEYS}]])
    );
}
