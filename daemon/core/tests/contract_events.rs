//! What the comparer of the goldens leaves out of contract events: diagnostics, which our rules thin out, and topics as
//! text, which have no form there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail where it stands and says what it compared"
)]

mod support;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
};

use arrow_array::{Array, RecordBatch, cast::AsArray, types};
use base64::{Engine, engine::general_purpose::STANDARD};
use lake_core::{decode::decode, tables::TableSet};
use serde_json::Value;
use support::{shared, stamps, suite};

/// Chain and id of an event.
type Key = (String, String);

#[test]
fn diagnostics_equal_the_goldens_by_our_rules_and_topics_are_their_text() {
    let Some(shared) = shared() else { return };
    for (name, least) in [("pubnet", 14_000), ("testnet", 100), ("core", 17_000)] {
        let mut expected = expected(&shared.join("goldens").join(name));
        let all = expected.len();
        for chain in suite(&shared, name) {
            let mut set = TableSet::new(stamps());
            for raw in &chain.ledgers {
                set.extract(&decode(raw, &chain.network).unwrap()).unwrap();
            }
            let batch = set.contract_events.finish();
            for row in 0..batch.num_rows() {
                let id = text(&batch, "event_id", row).unwrap();
                let key = (chain.name.clone().unwrap_or_default(), id);
                let golden = expected.remove(&key).unwrap_or_else(|| panic!("{key:?} is not expected"));
                compare_topics(&batch, row, &golden);
                if key.1.contains("-d") {
                    compare_diagnostic(&batch, row, &golden);
                }
            }
        }
        assert!(expected.is_empty(), "{name} lacks {:?}", expected.keys().next());
        assert!(all > least, "{name} has {all} events");
        println!("{name}: {all} events equal");
    }
}

/// The events of the goldens that ours must have.
fn expected(folder: &Path) -> BTreeMap<Key, Value> {
    let file = std::fs::File::open(folder.join("contract_events.jsonl.zst")).unwrap();
    let lines = BufReader::new(zstd::Decoder::new(file).unwrap()).lines();
    let rows = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut all = BTreeMap::new();
    for row in rows {
        let chain = row["_chain"].as_str().unwrap_or_default().to_owned();
        let id = if row["_group"] == "diagnostic" {
            let is_kept = row["in_successful_contract_call"] == true && row["successful"] == true;
            if row["type_string"] != "ContractEventTypeDiagnostic" && is_kept {
                continue; // a copy of an event of an operation
            }
            format!("{:019}-d{:09}", row["transaction_id"].as_u64().unwrap(), row["_index"].as_u64().unwrap())
        } else {
            row["_event_id"].as_str().unwrap().to_owned()
        };
        let before = all.insert((chain, id), row);
        assert!(before.is_none(), "{before:?} has the id of another event");
    }
    all
}

fn compare_diagnostic(batch: &RecordBatch, row: usize, golden: &Value) {
    let shown = |column: &str| text(batch, column, row);
    let long =
        |column: &str| batch.column_by_name(column).unwrap().as_primitive::<types::Int64Type>().value(row);
    let int =
        |column: &str| batch.column_by_name(column).unwrap().as_primitive::<types::Int32Type>().value(row);
    let flag = |column: &str| batch.column_by_name(column).unwrap().as_boolean().value(row);
    let same_json = |column: &str, golden: &Value| {
        let ours: Value = serde_json::from_str(&shown(column).unwrap()).unwrap();
        assert_eq!(&ours, golden, "{column}");
    };
    for column in ["operation_index", "operation_id", "stage"] {
        assert!(batch.column_by_name(column).unwrap().is_null(row), "{column}");
    }
    let is_diagnostic = golden["type_string"] == "ContractEventTypeDiagnostic";
    let is_kept = golden["in_successful_contract_call"] == true;
    let successful = golden["successful"] == true;
    let ty = golden["type_string"].as_str().unwrap().trim_start_matches("ContractEventType").to_lowercase();
    assert_eq!(shown("event_type").unwrap(), ty);
    assert_eq!(flag("in_successful_contract_call"), is_kept && (is_diagnostic || successful));
    assert_eq!(flag("successful"), successful);
    let contract = golden["contract_id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
    assert_eq!(shown("contract_id"), contract);
    assert_eq!(shown("transaction_hash").as_deref(), golden["transaction_hash"].as_str());
    assert_eq!(Some(long("ledger_sequence")), golden["ledger_sequence"].as_i64());
    assert_eq!(Some(long("transaction_id")), golden["transaction_id"].as_i64());
    assert_eq!(Some(i64::from(int("event_index"))), golden["_index"].as_i64());
    assert_eq!(int("topic_count"), i32::try_from(golden["topics"].as_array().unwrap().len()).unwrap());
    same_json("topics_json", &golden["topics"]);
    same_json("topics_decoded", &golden["topics_decoded"]);
    same_json("data_decoded", &golden["data_decoded"]);
    assert_eq!(shown("data_xdr").as_deref(), golden["data"].as_str());
    // theirs is wrapped in a DiagnosticEvent, which begins with its flag
    let wrapped = STANDARD.decode(golden["contract_event_xdr"].as_str().unwrap()).unwrap();
    assert_eq!(STANDARD.decode(shown("event_xdr").unwrap()).unwrap(), wrapped[4..]);
}

fn compare_topics(batch: &RecordBatch, row: usize, golden: &Value) {
    for n in 0..4 {
        let topic = &golden["topics_decoded"][n];
        let ours = text(batch, &format!("topic{n}"), row);
        if topic.is_null() {
            assert_eq!(ours, None);
            continue;
        }
        let ours = ours.unwrap();
        let kind = topic.as_object().and_then(|object| object.keys().next()).map_or("", String::as_str);
        match (kind, &topic[kind]) {
            ("vec" | "map" | "error", _) | ("", _) => {
                assert_eq!(&serde_json::from_str::<Value>(&ours).unwrap(), topic);
            }
            (_, Value::String(text)) => assert_eq!(&ours, text, "{topic}"),
            (_, value) => assert_eq!(ours, value.to_string(), "{topic}"),
        }
    }
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    (!column.is_null(row)).then(|| column.value(row).to_owned())
}
