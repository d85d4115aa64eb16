//! Contracts.

use super::*;

fn symbol(text: &str) -> xdr::ScVal {
    xdr::ScVal::Symbol(xdr::ScSymbol(text.try_into().unwrap()))
}

fn address(n: u8) -> xdr::ScVal {
    xdr::ScVal::Address(xdr::ScAddress::Account(account(n)))
}

fn i128_val(n: i128) -> xdr::ScVal {
    let hi = i64::try_from(n >> 64).unwrap();
    let lo = u64::try_from(n & i128::from(u64::MAX)).unwrap();
    xdr::ScVal::I128(xdr::Int128Parts { hi, lo })
}

/// An event of the contract of `USD`, or of another contract that claims to be it.
fn event(genuine: bool, topics: &[xdr::ScVal], data: xdr::ScVal) -> xdr::ContractEvent {
    let contract = stellar_asset_contract(Network::new(PASSPHRASE).id(), usd()).unwrap();
    let asset = xdr::ScVal::String(xdr::ScString(format!("USD:{}", g(2)).as_str().try_into().unwrap()));
    let topics: Vec<_> = topics.iter().cloned().chain([asset]).collect();
    xdr::ContractEvent {
        ext: xdr::ExtensionPoint::V0,
        contract_id: Some(if genuine { contract } else { xdr::ContractId(xdr::Hash([1; 32])) }),
        type_: xdr::ContractEventType::Contract,
        body: xdr::ContractEventBody::V0(xdr::ContractEventV0 { topics: topics.try_into().unwrap(), data }),
    }
}

fn call(args: Vec<xdr::ScVal>) -> Given {
    Given::one(Body::InvokeHostFunction(xdr::InvokeHostFunctionOp {
        host_function: xdr::HostFunction::InvokeContract(xdr::InvokeContractArgs {
            contract_address: xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash([5; 32]))),
            function_name: xdr::ScSymbol("swap".try_into().unwrap()),
            args: args.try_into().unwrap(),
        }),
        auth: xdr::VecM::default(),
    }))
}

/// Mistake D19 of the reference.
#[test]
fn a_call_tells_its_function_and_arguments() {
    let contract = xdr::ContractId(xdr::Hash([5; 32])).to_string();
    let row = call(vec![xdr::ScVal::U64(u64::MAX), xdr::ScVal::Void]).row();
    assert_has(
        &row,
        &json!({
            "soroban_operation": "invoke", "soroban_function": "swap", "function_name": "swap",
            "soroban_contract_id": contract, "soroban_auth_required": false,
            "arguments": r#"[{"u64":"18446744073709551615"},"void"]"#,
        }),
    );
    let details = details(&row);
    assert_has(&details, &json!({"function": "invoke_contract", "asset_balance_changes": null}));
    assert_eq!(details["parameters"][1], json!({"type": "Sym", "value": "AAAADwAAAARzd2Fw"}));
    assert_eq!(details["parameters"][2], json!({"type": "U64", "value": "AAAABf//////////"}));
    assert_eq!(details["parameters"][3], json!({"type": "", "value": "AAAAAQ=="}));
    assert_eq!(call(Vec::new()).row()["arguments"], "[]");
}

#[test]
fn only_an_assets_own_contract_is_believed_about_balances() {
    let topics = [symbol("transfer"), address(3), address(4)];
    let changes = |events| call(Vec::new()).events(events).details()["asset_balance_changes"].clone();
    assert_eq!(changes(vec![event(false, &topics, i128_val(5))]), Value::Null);
    assert_eq!(changes(vec![event(true, &topics, xdr::ScVal::U64(5))]), Value::Null);
    assert_eq!(changes(vec![event(true, &topics[..2], i128_val(5))]), Value::Null);
    assert_eq!(
        changes(vec![event(false, &topics, i128_val(5)), event(true, &topics, i128_val(-(1 << 70)))]),
        json!([{
            "type": "transfer", "from": g(3), "to": g(4), "amount": "-118059162071741.1303424",
            "asset_type": "credit_alphanum4", "asset_code": "USD", "asset_issuer": g(2),
        }])
    );
}

#[test]
fn mints_and_clawbacks_are_known_with_and_without_their_administrator() {
    let change = |topics: &[xdr::ScVal], data| {
        let change =
            call(Vec::new()).events(vec![event(true, topics, data)]).details()["asset_balance_changes"][0]
                .clone();
        (change["from"].clone(), change["to"].clone(), change["destination_muxed_id"].clone())
    };
    let none = Value::Null;
    let amount = || i128_val(1);
    assert_eq!(
        change(&[symbol("mint"), address(2), address(4)], amount()),
        (none.clone(), json!(g(4)), none.clone())
    );
    assert_eq!(change(&[symbol("mint"), address(4)], amount()), (none.clone(), json!(g(4)), none.clone()));
    assert_eq!(
        change(&[symbol("clawback"), address(2), address(4)], amount()),
        (json!(g(4)), none.clone(), none.clone())
    );
    assert_eq!(
        change(&[symbol("clawback"), address(4)], amount()),
        (json!(g(4)), none.clone(), none.clone())
    );
    assert_eq!(change(&[symbol("burn"), address(4)], amount()), (json!(g(4)), none.clone(), none.clone()));
    let entry = |key: &str, val| xdr::ScMapEntry { key: symbol(key), val };
    let map = vec![entry("amount", amount()), entry("to_muxed_id", xdr::ScVal::U64(9))];
    let data = xdr::ScVal::Map(Some(xdr::ScMap(map.try_into().unwrap())));
    assert_eq!(change(&[symbol("mint"), address(4)], data), (none, json!(g(4)), json!("9")));
}

#[test]
fn a_contract_made_for_an_asset_is_the_assets_own() {
    let create = xdr::CreateContractArgs {
        contract_id_preimage: xdr::ContractIdPreimage::Asset(usd()),
        executable: xdr::ContractExecutable::StellarAsset,
    };
    let row = Given::one(Body::InvokeHostFunction(xdr::InvokeHostFunctionOp {
        host_function: xdr::HostFunction::CreateContract(create),
        auth: xdr::VecM::default(),
    }))
    .row();
    let id = stellar_asset_contract(Network::new(PASSPHRASE).id(), usd()).unwrap().to_string();
    let usd = format!("USD:{}", g(2));
    assert_has(
        &row,
        &json!({"soroban_contract_id": id, "asset": usd, "function_name": null, "arguments": null}),
    );
    assert_eq!(details(&row), json!({"function": "create_contract", "from": "asset", "asset": usd}));
}

#[test]
fn footprint_operations_are_told_apart() {
    let extend = xdr::ExtendFootprintTtlOp { extend_to: u32::MAX, ..xdr::ExtendFootprintTtlOp::default() };
    let row = Given::one(Body::ExtendFootprintTtl(extend)).row();
    assert_eq!(row["soroban_operation"], "extend_footprint_ttl");
    assert_eq!(details(&row), json!({"extend_to": u32::MAX}));
    let row = Given::one(Body::RestoreFootprint(xdr::RestoreFootprintOp::default())).row();
    assert_has(&row, &json!({"soroban_operation": "restore_footprint", "details_json": "{}"}));
}
