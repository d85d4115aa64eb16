//! Every mapped column of every table equals what an independent implementation made of the same real ledgers.
//!
//! A table that is added to the list of tables is compared without a word here.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail where it stands and says what it compared"
)]

mod support;

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
};

use base64::Engine;
use lake_core::{
    decode::decode,
    tables::{SPECS, TableSet},
};
use serde_json::{Map, Value, json};
use support::{CHAIN_GOLDENS_END, Chain, object, shared, stamps, suite};

#[test]
fn mainnet_rows_equal_the_goldens() {
    compare("pubnet");
}

#[test]
fn testnet_rows_equal_the_goldens() {
    compare("testnet");
}

#[test]
fn rows_of_the_networks_of_core_equal_the_goldens() {
    compare("core");
}

#[test]
fn rows_of_rebuilt_history_equal_the_goldens() {
    compare("testnet-chain");
}

fn compare(name: &str) {
    let Some(shared) = shared() else { return };
    let ours = Path::new(env!("CARGO_TARGET_TMPDIR")).join("goldens").join(name);
    fs::create_dir_all(&ours).unwrap();
    let goldens = shared.join("goldens");
    write_rows(&suite(&shared, name), &ours, name);
    let mut different = Vec::new();
    for spec in SPECS {
        let only_classic = ["ledgers_row_v2", "transactions_row_v2", "operations_row_v2"];
        if name == "testnet-chain" && !only_classic.contains(&spec.name) {
            continue;
        }
        let output = Command::new("python3")
            .arg(goldens.join("compare.py"))
            .args(["--table", spec.name])
            .args([&goldens, Path::new(name), &ours])
            .output()
            .expect("python3 runs compare.py");
        println!("{name}: {}", String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            different.push(spec.name);
        }
    }
    assert!(different.is_empty(), "{name}: these tables differ from the goldens: {different:?}");
}

/// Writes our rows of all tables as JSON lines into `to`.
fn write_rows(chains: &[Chain], to: &Path, suite: &str) {
    let mut files: Vec<_> = SPECS
        .iter()
        .map(|spec| BufWriter::new(fs::File::create(to.join(format!("{}.jsonl", spec.name))).unwrap()))
        .collect();
    for chain in chains {
        let mut set = TableSet::new(stamps());
        for raw in &chain.ledgers {
            if suite == "testnet-chain" && raw.seq > CHAIN_GOLDENS_END {
                break;
            }
            set.extract(&decode(raw, &chain.network).unwrap()).unwrap();
        }
        for ((spec, batch), file) in set.finish().into_iter().zip(&mut files) {
            for row in 0..batch.num_rows() {
                let mut object = object(&batch, row);
                if let Some(name) = &chain.name {
                    object.insert("_chain".into(), json!(name));
                }
                where_the_goldens_follow_another_rule(spec.name, suite, &mut object);
                serde_json::to_writer(&mut *file, &object).unwrap();
                file.write_all(b"\n").unwrap();
            }
        }
    }
    for mut file in files {
        file.flush().unwrap();
    }
}

/// Columns that our schema settled otherwise than the goldens: checks our rule and shows the goldens' value.
fn where_the_goldens_follow_another_rule(table: &str, suite: &str, row: &mut Map<String, Value>) {
    match table {
        // One XDR field: the bucket list before protocol 23, the Soroban state since. The goldens show it as both.
        "ledgers_row_v2" => {
            let (bucket_list, soroban) =
                (row["bucket_list_size"].clone(), row["live_soroban_state_size"].clone());
            let other = if row["protocol_version"].as_i64().unwrap() >= 23 { &bucket_list } else { &soroban };
            assert!(other.is_null(), "{row:?}");
            let size = if bucket_list.is_null() { soroban } else { bucket_list };
            row.insert("bucket_list_size".into(), size.clone());
            row.insert("live_soroban_state_size".into(), size);
            // The goldens cannot tell no list from an empty one.
            assert_eq!(row["evicted_keys_count"].is_null(), row["close_meta_version"] == 0, "{row:?}");
            if row["evicted_keys_count"].is_null() {
                row.insert("evicted_keys_count".into(), json!(0));
            }
        }
        // We keep bytes only where the text does not say them; the goldens have the bytes of every text.
        "transactions_row_v2"
            if row["memo_type"] == "text" && row["memo_bytes"].is_null() && row["memo"] != "" =>
        {
            let bytes = row["memo"].as_str().unwrap().as_bytes();
            let bytes = base64::engine::general_purpose::STANDARD.encode(bytes);
            row.insert("memo_bytes".into(), json!(bytes));
        }
        "operations_row_v2" => {
            // The comparison takes the account that is merged for the destination of the merge.
            if row["type_string"] == "account_merge" {
                let details: Value = serde_json::from_str(row["details_json"].as_str().unwrap()).unwrap();
                assert_eq!(row["destination"], details["into"], "{row:?}");
                row.insert("destination".into(), details["account"].clone());
            }
            // Horizon's details are empty there; tests/operations.rs compares those of stellar-etl.
            if suite == "testnet-chain" {
                row.retain(|column, _| NOT_FROM_DETAILS.contains(&column.as_str()));
            }
        }
        "contract_events_stream_v1" if !row["event_id"].as_str().unwrap().contains("-d") => {
            // The goldens say true also for the fee events of failed transactions, and a stage where there is none.
            assert_eq!(row["in_successful_contract_call"], row["successful"], "{row:?}");
            row.insert("in_successful_contract_call".into(), json!(true));
            if row["stage"].is_null() {
                assert!(!row["operation_index"].is_null(), "{row:?}");
                row.insert("stage".into(), json!("operation"));
            }
        }
        _ => {}
    }
}

/// Columns of operations that the goldens have also where they have no details.
const NOT_FROM_DETAILS: [&str; 19] = [
    "transaction_hash",
    "operation_index",
    "ledger_sequence",
    "source_account",
    "source_account_muxed",
    "type",
    "type_string",
    "created_at",
    "transaction_successful",
    "operation_result_code",
    "operation_trace_code",
    "soroban_operation",
    "soroban_function",
    "soroban_contract_id",
    "function_name",
    "arguments",
    "transaction_id",
    "operation_id",
    "application_order",
];
