//! What the goldens do not show: every stage in one ledger, events of rolled-back calls, every kind of topic. The D
//! numbers are those of the mistakes that the tables must not repeat.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use stellar_xdr::{
    self as xdr, ContractEventType as Type, Limits, ScVal, TransactionEventStage as Stage, WriteXdr,
};

use super::{Columns, extract};
use crate::{
    Transaction,
    tables::{
        ExtractError, Input,
        testing::{account, assert_has, ledger, rows, stamps, transaction},
    },
};

const FIRST: u64 = 20_001 << 32;

fn extracted(transactions: Vec<Transaction>) -> Result<Vec<Value>, ExtractError> {
    let (ledger, stamps) = (ledger(transactions), stamps());
    let mut columns = Columns::default();
    extract(&Input::new(&ledger, &stamps)?, &mut columns)?;
    columns.stamp(ledger.seq, &stamps);
    Ok(rows(&columns.finish()))
}

fn event(type_: Type, topics: Vec<ScVal>, data: ScVal) -> xdr::ContractEvent {
    let body = xdr::ContractEventV0 { topics: topics.try_into().unwrap(), data };
    xdr::ContractEvent {
        ext: xdr::ExtensionPoint::V0,
        contract_id: (type_ != Type::Diagnostic).then_some(xdr::ContractId(xdr::Hash([3; 32]))),
        type_,
        body: xdr::ContractEventBody::V0(body),
    }
}

fn numbered(type_: Type, n: u32) -> xdr::ContractEvent {
    event(type_, vec![ScVal::U32(n)], ScVal::Void)
}

fn of_stage(stage: Stage, n: u32) -> xdr::TransactionEvent {
    xdr::TransactionEvent { stage, event: numbered(Type::Contract, n) }
}

fn diagnostic(in_successful_contract_call: bool, event: xdr::ContractEvent) -> xdr::DiagnosticEvent {
    xdr::DiagnosticEvent { in_successful_contract_call, event }
}

fn result(is_success: bool) -> xdr::TransactionResultResult {
    if is_success {
        xdr::TransactionResultResult::TxSuccess(xdr::VecM::default())
    } else {
        xdr::TransactionResultResult::TxFailed(xdr::VecM::default())
    }
}

fn v4(
    order: u8,
    is_success: bool,
    events: Vec<xdr::TransactionEvent>,
    operations: Vec<Vec<xdr::ContractEvent>>,
    diagnostics: Vec<xdr::DiagnosticEvent>,
) -> Transaction {
    let operations: Vec<_> = operations
        .into_iter()
        .map(|events| xdr::OperationMetaV2 { events: events.try_into().unwrap(), ..Default::default() })
        .collect();
    let meta = xdr::TransactionMetaV4 {
        events: events.try_into().unwrap(),
        operations: operations.try_into().unwrap(),
        diagnostic_events: diagnostics.try_into().unwrap(),
        ..Default::default()
    };
    transaction(order, Vec::new(), result(is_success), xdr::TransactionMeta::V4(meta))
}

fn column<'r>(rows: &'r [Value], name: &str) -> Vec<&'r str> {
    rows.iter().map(|row| row[name].as_str().unwrap_or("NULL")).collect()
}

#[test]
fn d27_every_event_has_one_id_that_sorts_it_into_the_order_of_the_ledger() {
    let all = |n| {
        vec![
            of_stage(Stage::AfterAllTxs, n),
            of_stage(Stage::BeforeAllTxs, n + 1),
            of_stage(Stage::AfterTx, n + 2),
            of_stage(Stage::AfterTx, n + 3),
        ]
    };
    let called = || numbered(Type::Contract, 9);
    let noted = || diagnostic(true, numbered(Type::Diagnostic, 8));
    let rows = extracted(vec![
        v4(1, true, all(10), vec![vec![called(), called()], vec![called()]], vec![noted(), noted()]),
        v4(2, false, all(20), Vec::new(), Vec::new()),
    ])
    .unwrap();
    let id = |tx: u64, operation: u64, n: &str| format!("{:019}-{n}", FIRST | (tx << 12) | operation);
    assert_eq!(
        column(&rows, "event_id"),
        [
            id(0, 0, "0000000000"),
            id(1, 0, "0000000000"),
            id(1, 0, "0000000001"),
            id(1, 1, "0000000000"),
            id(0xf_ffff, 0, "0000000000"),
            id(1, 0xfff, "0000000000"),
            id(1, 0xfff, "0000000001"),
            id(1, 0, "d000000000"),
            id(1, 0, "d000000001"),
            id(0, 0, "0000000001"),
            id(0xf_ffff, 0, "0000000001"),
            id(2, 0xfff, "0000000000"),
            id(2, 0xfff, "0000000001"),
        ]
    );
    assert_eq!(
        column(&rows, "stage"),
        [
            "before",
            "operation",
            "operation",
            "operation",
            "after_all",
            "after",
            "after",
            "NULL",
            "NULL",
            "before",
            "after_all",
            "after",
            "after",
        ]
    );
    let indexes: Vec<_> = rows.iter().map(|row| row["event_index"].as_i64().unwrap()).collect();
    assert_eq!(indexes, [1, 0, 1, 0, 0, 2, 3, 0, 1, 1, 0, 2, 3], "positions in their own lists");
    let operation_ids: Vec<_> = rows.iter().map(|row| row["operation_id"].as_u64()).collect();
    let of = |operation: u64| Some(FIRST | (1 << 12) | (operation + 1));
    assert_eq!(operation_ids[..5], [None, of(0), of(0), of(1), None]);
    assert!(operation_ids[5..].iter().all(Option::is_none));
    assert!(rows.iter().all(|row| row["operation_id"].is_null() == row["operation_index"].is_null()));
    // the second transaction failed: what it says of fees is true, but no call of it was kept
    assert!(rows.iter().all(|row| row["in_successful_contract_call"] == row["successful"]));
    assert_has(&rows[12], &json!({ "successful": false, "transaction_hash": "02".repeat(32) }));
}

#[test]
fn d27_events_that_diagnostics_repeat_stand_once_and_those_of_undone_calls_are_kept() {
    let called = |n| numbered(Type::Contract, n);
    let list = || {
        vec![
            diagnostic(true, called(1)),
            diagnostic(false, called(2)),
            diagnostic(true, numbered(Type::System, 3)),
            diagnostic(false, numbered(Type::Diagnostic, 4)),
            diagnostic(true, numbered(Type::Diagnostic, 5)),
        ]
    };
    // history that was encoded anew changed the event, but not its copy: equality would miss it
    let kept = extracted(vec![v4(1, true, Vec::new(), vec![vec![called(100)]], list())]).unwrap();
    let told = |rows: &[Value]| {
        let of = |row: &Value| {
            let (text, ty) = (row["topic0"].as_str().unwrap(), row["event_type"].as_str().unwrap());
            format!("{text} {ty} {}", row["in_successful_contract_call"])
        };
        rows.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&kept),
        ["100 contract true", "2 contract false", "4 diagnostic false", "5 diagnostic true"]
    );
    assert_has(
        &kept[1],
        &json!({ "event_index": 1, "stage": null, "operation_index": null, "successful": true }),
    );
    let undone = extracted(vec![v4(1, false, Vec::new(), Vec::new(), list())]).unwrap();
    assert_eq!(
        told(&undone),
        ["1 contract false", "2 contract false", "3 system false", "4 diagnostic false", "5 diagnostic true"]
    );
}

#[test]
fn d27_before_transaction_meta_v4_events_have_no_stage_but_an_operation() {
    let operations = vec![xdr::Operation { source_account: None, body: xdr::OperationBody::Inflation }];
    let soroban = xdr::SorobanTransactionMeta {
        ext: xdr::SorobanTransactionMetaExt::V0,
        events: vec![numbered(Type::Contract, 1), numbered(Type::System, 2)].try_into().unwrap(),
        return_value: ScVal::Void,
        diagnostic_events: vec![diagnostic(true, numbered(Type::Contract, 1))].try_into().unwrap(),
    };
    let meta = xdr::TransactionMetaV3 { soroban_meta: Some(soroban), ..Default::default() };
    let tx = transaction(1, operations, result(true), xdr::TransactionMeta::V3(meta));
    let rows = extracted(vec![tx]).unwrap();
    assert_eq!(column(&rows, "event_type"), ["contract", "system"]);
    let row =
        json!({ "stage": null, "operation_index": 0, "in_successful_contract_call": true, "event_index": 1 });
    assert_has(&rows[1], &row);
}

/// A value of each kind and the text that it is as a topic.
fn values() -> Vec<(ScVal, String)> {
    let nested = ScVal::Vec(Some(xdr::ScVec(vec![ScVal::U32(1)].try_into().unwrap())));
    let entry = xdr::ScMapEntry { key: ScVal::Bool(true), val: ScVal::Void };
    let address = xdr::ScAddress::Account(account(5));
    let g = account(5).to_string();
    [
        (ScVal::Bool(true), "true"),
        (ScVal::Void, "\"void\""),
        (ScVal::Error(xdr::ScError::Contract(4)), r#"{"error":{"contract":4}}"#),
        (ScVal::U32(u32::MAX), "4294967295"),
        (ScVal::I32(-1), "-1"),
        (ScVal::U64(u64::MAX), "18446744073709551615"),
        (ScVal::I64(i64::MIN), "-9223372036854775808"),
        (ScVal::Timepoint(xdr::TimePoint(5)), "5"),
        (ScVal::Duration(xdr::Duration(6)), "6"),
        (ScVal::U128(xdr::UInt128Parts { hi: 1, lo: 0 }), "18446744073709551616"),
        (ScVal::I128(xdr::Int128Parts { hi: -1, lo: u64::MAX }), "-1"),
        (ScVal::U256(xdr::UInt256Parts { hi_hi: 0, hi_lo: 0, lo_hi: 1, lo_lo: 1 }), "18446744073709551617"),
        (
            ScVal::I256(xdr::Int256Parts { hi_hi: -1, hi_lo: u64::MAX, lo_hi: u64::MAX, lo_lo: u64::MAX }),
            "-1",
        ),
        (ScVal::Bytes(xdr::ScBytes(vec![0, 0xff].try_into().unwrap())), "00ff"),
        (ScVal::String(xdr::ScString(b"a\xffb\"".to_vec().try_into().unwrap())), "a\u{fffd}b\""),
        (ScVal::Symbol("transfer".try_into().unwrap()), "transfer"),
        (nested, r#"{"vec":[{"u32":1}]}"#),
        (ScVal::Vec(None), r#"{"vec":null}"#),
        (
            ScVal::Map(Some(xdr::ScMap(vec![entry].try_into().unwrap()))),
            r#"{"map":[{"key":{"bool":true},"val":"void"}]}"#,
        ),
        (ScVal::Address(address), g.as_str()),
        (ScVal::ExecutableTag(xdr::ScString("x".try_into().unwrap())), r#"{"executable_tag":"x"}"#),
        (ScVal::LedgerKeyContractInstance, "\"ledger_key_contract_instance\""),
        (ScVal::LedgerKeyNonce(xdr::ScNonceKey { nonce: -3 }), r#"{"ledger_key_nonce":{"nonce":"-3"}}"#),
    ]
    .map(|(value, text)| (value, text.to_owned()))
    .into()
}

#[test]
fn topics_and_values_are_original_bytes_sep_51_and_text() {
    let base64 = |value: &dyn Fn() -> Vec<u8>| STANDARD.encode(value());
    for (value, text) in values() {
        let made = event(Type::Contract, vec![ScVal::Bool(false), value.clone(), ScVal::Void], value.clone());
        let rows = extracted(vec![v4(1, true, Vec::new(), vec![vec![made.clone()]], Vec::new())]).unwrap();
        let row = &rows[0];
        let bytes = |value: &ScVal| base64(&|| value.to_xdr(Limits::none()).unwrap());
        assert_has(
            row,
            &json!({ "topic0": "false", "topic1": text, "topic2": "\"void\"", "topic3": null, "topic_count": 3,
                "data_xdr": bytes(&value), "event_xdr": base64(&|| made.to_xdr(Limits::none()).unwrap()),
                "contract_id": format!("{}", stellar_strkey::Contract([3; 32])) }),
        );
        let parsed = |name: &str| serde_json::from_str::<Value>(row[name].as_str().unwrap()).unwrap();
        assert_eq!(
            parsed("topics_json"),
            json!([bytes(&ScVal::Bool(false)), bytes(&value), bytes(&ScVal::Void)])
        );
        assert_eq!(parsed("data_decoded"), serde_json::to_value(&value).unwrap());
        assert_eq!(parsed("topics_decoded")[1], parsed("data_decoded"));
    }
}

#[test]
fn d21_an_event_of_the_host_has_no_contract_and_may_have_no_topics() {
    let host = event(Type::Diagnostic, Vec::new(), ScVal::U32(1));
    let list = vec![diagnostic(false, host)];
    let rows = extracted(vec![v4(1, true, Vec::new(), Vec::new(), list)]).unwrap();
    assert_has(
        &rows[0],
        &json!({ "contract_id": null, "topics_json": "[]", "topics_decoded": "[]", "topic_count": 0,
            "topic0": null, "data_decoded": "{\"u32\":1}", "data_xdr": "AAAAAwAAAAE=" }),
    );
}

#[test]
fn an_operation_beyond_those_that_ids_can_number_fails_the_ledger() {
    let mut operations = vec![Vec::new(); 4095];
    operations.push(vec![numbered(Type::Contract, 1)]);
    let error = extracted(vec![v4(1, true, Vec::new(), operations, Vec::new())]).unwrap_err().to_string();
    let place = format!("ledger 20001: table contract_events_stream_v1: transaction {}", "01".repeat(32));
    assert_eq!(error, format!("{place} operation 4095 has no number"));
}
