//! Columns of operations that the goldens of operations do not show, against other goldens of the same real ledgers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail where it stands")]

mod support;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
};

use arrow_array::{Array, RecordBatch, cast::AsArray, types::Int64Type};
use lake_core::{decode::decode, tables::TableSet};
use serde_json::{Map, Value};
use support::{CHAIN_GOLDENS_END, Chain, shared, stamps, suite};

/// The operations of one chain.
struct Operations(RecordBatch);

impl Operations {
    fn of(chain: &Chain, suite: &str) -> Self {
        let mut set = TableSet::new(stamps());
        for raw in &chain.ledgers {
            if suite == "testnet-chain" && raw.seq > CHAIN_GOLDENS_END {
                break;
            }
            set.extract(&decode(raw, &chain.network).unwrap()).unwrap();
        }
        Self(set.operations.finish())
    }

    fn text(&self, column: &str, row: usize) -> Option<&str> {
        let column = self.0.column_by_name(column).unwrap().as_string::<i32>();
        (!column.is_null(row)).then(|| column.value(row))
    }

    fn number(&self, column: &str, row: usize) -> Option<i64> {
        let column = self.0.column_by_name(column).unwrap().as_primitive::<Int64Type>();
        (!column.is_null(row)).then(|| column.value(row))
    }

    fn successful(&self, row: usize) -> bool {
        self.0.column_by_name("transaction_successful").unwrap().as_boolean().value(row)
    }
}

/// A table of goldens, grouped by chain and operation.
fn goldens(shared: &Path, suite: &str, table: &str, id: &str) -> HashMap<(Option<String>, i64), Vec<Value>> {
    let path = shared.join("goldens").join(suite).join(format!("{table}.jsonl.zst"));
    let lines = BufReader::new(zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap()).lines();
    let mut all: HashMap<_, Vec<Value>> = HashMap::new();
    for line in lines {
        let row: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let key = (row["_chain"].as_str().map(str::to_owned), row[id].as_i64().unwrap());
        all.entry(key).or_default().push(row);
    }
    all
}

fn stroops(decimal: &Value) -> i64 {
    let text = decimal.as_str().unwrap();
    let (_, places) = text.split_once('.').unwrap();
    assert_eq!(places.len(), 7, "{text}");
    text.replace('.', "").parse().unwrap()
}

/// Amounts and balance ids of the results equal those of the effects, which come from the ledger entry changes.
#[test]
fn results_say_what_the_effects_of_the_same_operation_say() {
    let Some(shared) = shared() else { return };
    let mut compared = 0;
    for name in ["pubnet", "testnet", "core"] {
        let effects = goldens(&shared, name, "effects_horizon", "operation_id");
        for chain in suite(&shared, name) {
            let ours = Operations::of(&chain, name);
            for row in 0..ours.0.num_rows() {
                let id = ours.number("operation_id", row).unwrap();
                let amounts = ["result_amount", "sent_amount", "merged_amount", "result_offer_id"];
                if !ours.successful(row) {
                    assert!(amounts.iter().all(|column| ours.number(column, row).is_none()), "{id}");
                    assert_eq!(ours.text("result_balance_id", row), None, "{id}");
                    continue;
                }
                let none = Vec::new();
                let effects = effects.get(&(chain.name.clone(), id)).unwrap_or(&none);
                let first = |ty: i64| effects.iter().find(|e| e["type"] == ty).map(|e| &e["details"]);
                let amount = |ty| first(ty).map(|details| stroops(&details["amount"]));
                let (credited, debited) = (amount(2), amount(3));
                let [result, sent, merged, _] = amounts.map(|column| ours.number(column, row));
                match ours.text("type_string", row).unwrap() {
                    "path_payment_strict_receive" | "path_payment_strict_send" => {
                        assert_eq!((result, sent, merged), (credited, debited, None), "{id}");
                    }
                    "account_merge" => assert_eq!((result, sent, merged), (debited, None, debited), "{id}"),
                    "create_claimable_balance" => {
                        let created = first(50).unwrap()["balance_id"].as_str();
                        assert_eq!(ours.text("result_balance_id", row), created, "{id}");
                        assert_eq!(ours.text("balance_id", row), created, "{id}");
                    }
                    _ => {
                        assert_eq!((result, sent, merged), (None, None, None), "{id}");
                        continue;
                    }
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} operations were compared");
}

/// Contracts that are called or made have the addresses that stellar-etl finds in the footprint.
#[test]
fn contracts_equal_those_of_the_goldens_for_calls_and_creations() {
    let Some(shared) = shared() else { return };
    let mut compared = 0;
    for name in ["pubnet", "testnet", "core", "testnet-chain"] {
        let goldens = goldens(&shared, name, "operations", "id");
        for chain in suite(&shared, name) {
            let ours = Operations::of(&chain, name);
            for row in
                (0..ours.0.num_rows()).filter(|row| ours.text("soroban_operation", *row) == Some("invoke"))
            {
                let id = ours.number("operation_id", row).unwrap();
                let golden = &goldens[&(chain.name.clone(), id)][0]["details"];
                let contract = ours.text("soroban_contract_id", row);
                if golden["type"] == "upload_wasm" {
                    assert_eq!(contract, None, "{id}");
                } else {
                    assert_eq!(contract, golden["contract_id"].as_str(), "{id}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 900, "only {compared} operations were compared");
}

/// In rebuilt history the goldens have no details in Horizon's form: only stellar-etl's, whose amounts are floats.
#[test]
fn details_of_rebuilt_history_equal_the_floats_of_the_goldens() {
    let Some(shared) = shared() else { return };
    let goldens = goldens(&shared, "testnet-chain", "operations", "id");
    for chain in suite(&shared, "testnet-chain") {
        let ours = Operations::of(&chain, "testnet-chain");
        assert_eq!(ours.0.num_rows(), goldens.len());
        for row in 0..ours.0.num_rows() {
            let id = ours.number("operation_id", row).unwrap();
            let ours: Map<String, Value> =
                serde_json::from_str(ours.text("details_json", row).unwrap()).unwrap();
            let golden = &goldens[&(None, id)][0]["details"];
            for (name, value) in &ours {
                match name.as_str() {
                    "function" => assert!(value.as_str().is_some_and(|f| f.contains('_')), "{id}: {value}"),
                    // An empty list there, where Horizon writes null.
                    "asset_balance_changes" => assert!(value.is_null(), "{id}: {value}"),
                    _ => assert!(alike(&golden[name], value), "{id}: {name}: {} and {value}", golden[name]),
                }
            }
            let horizons = golden.as_object().unwrap().keys().filter(|name| !is_of_stellar_etl(name));
            for name in horizons {
                assert!(ours.contains_key(name), "{id}: no {name}");
            }
        }
    }
}

/// Fields of stellar-etl that Horizon has not.
fn is_of_stellar_etl(name: &str) -> bool {
    name.ends_with("asset_id")
        || ["type", "contract_id", "contract_code_hash", "ledger_key_hash"].contains(&name)
        || (name.starts_with("parameters_"))
}

fn alike(golden: &Value, ours: &Value) -> bool {
    match (golden, ours) {
        (Value::Number(float), Value::String(decimal)) => {
            let (float, decimal) = (float.as_f64().unwrap(), decimal.parse::<f64>().unwrap());
            (float - decimal).abs() <= 1e-9 * float.abs().max(1.0)
        }
        (Value::Array(golden), Value::Array(ours)) => {
            golden.len() == ours.len() && golden.iter().zip(ours).all(|(golden, ours)| alike(golden, ours))
        }
        _ => golden == ours,
    }
}
