//! Columns that sum or pick over other tables equal what the goldens of those tables give.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail where it stands")]

mod support;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Int32Type, Int64Type},
};
use lake_core::{decode::decode, tables::TableSet};
use serde_json::Value;
use support::{shared, stamps, suite};

/// Chain and ledger.
type Key = (Option<String>, i64);

/// Chain and transaction hash.
type TransactionKey = (Option<String>, String);

#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    soroban_operations: i64,
    fees: i64,
    events: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Picks {
    new_account: bool,
    function: Option<String>,
    contract: Option<String>,
}

#[test]
fn sums_of_mainnet_ledgers_equal_the_goldens() {
    compare("pubnet");
}

#[test]
fn sums_of_testnet_ledgers_equal_the_goldens() {
    compare("testnet");
}

#[test]
fn sums_of_the_ledgers_of_core_equal_the_goldens() {
    compare("core");
}

fn compare(name: &str) {
    let Some(shared) = shared() else { return };
    let (mut sums, picks) = expected(&shared.join("goldens").join(name));
    let mut transactions = 0;
    for chain in suite(&shared, name) {
        let mut set = TableSet::new(stamps());
        for raw in &chain.ledgers {
            set.extract(&decode(raw, &chain.network).unwrap()).unwrap();
        }
        let (ledgers, rows) = (set.ledgers.finish(), set.transactions.finish());
        for row in 0..ledgers.num_rows() {
            let ours = Sums {
                soroban_operations: int(&ledgers, "soroban_op_count", row).into(),
                fees: long(&ledgers, "total_fee_charged", row),
                events: int(&ledgers, "contract_events_count", row).into(),
            };
            let key = (chain.name.clone(), long(&ledgers, "sequence", row));
            assert_eq!(ours, sums.remove(&key).unwrap_or_default(), "{key:?}");
        }
        for row in 0..rows.num_rows() {
            let hash = text(&rows, "transaction_hash", row).unwrap();
            let golden = picks.get(&(chain.name.clone(), hash.clone())).cloned().unwrap_or_default();
            let ours = Picks {
                new_account: rows.column_by_name("new_account").unwrap().as_boolean().value(row),
                function: text(&rows, "soroban_host_function_type", row),
                contract: text(&rows, "soroban_contract_id", row),
            };
            assert_eq!(ours, golden, "{:?} {hash}", chain.name);
            transactions += 1;
        }
    }
    assert!(sums.is_empty(), "{sums:?}");
    assert!(transactions > 40, "{transactions}");
}

fn expected(goldens: &Path) -> (BTreeMap<Key, Sums>, HashMap<TransactionKey, Picks>) {
    let mut sums: BTreeMap<Key, Sums> = BTreeMap::new();
    let mut picks: HashMap<_, Picks> = HashMap::new();
    let chain = |row: &Value| row["_chain"].as_str().map(String::from);
    let key = |row: &Value| (chain(row), row["ledger_sequence"].as_i64().unwrap());
    for row in lines(&goldens.join("operations.jsonl.zst")) {
        let kind = row["type"].as_i64().unwrap();
        sums.entry(key(&row)).or_default().soroban_operations += i64::from((24..=26).contains(&kind));
        let hash = row["_transaction_hash"].as_str().unwrap().to_owned();
        let pick = picks.entry((chain(&row), hash)).or_default();
        pick.new_account |= kind == 0 && row["_transaction_successful"] == true;
        if kind == 24 {
            let details = &row["details"];
            pick.function = details["type"].as_str().map(String::from);
            // For other functions the goldens guess a contract from the footprint.
            if details["type"] == "invoke_contract" {
                pick.contract = details["contract_id"].as_str().map(String::from);
            }
        }
    }
    for row in lines(&goldens.join("transactions.jsonl.zst")) {
        sums.entry(key(&row)).or_default().fees += row["fee_charged"].as_i64().unwrap();
    }
    for row in lines(&goldens.join("contract_events.jsonl.zst")) {
        let counts = row["_group"] == "transaction" || row["_group"] == "operation";
        sums.entry(key(&row)).or_default().events += i64::from(counts);
    }
    (sums, picks)
}

fn lines(path: &Path) -> impl Iterator<Item = Value> {
    let lines = BufReader::new(zstd::Decoder::new(File::open(path).unwrap()).unwrap()).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn int(batch: &RecordBatch, column: &str, row: usize) -> i32 {
    batch.column_by_name(column).unwrap().as_primitive::<Int32Type>().value(row)
}

fn long(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().value(row)
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    (!column.is_null(row)).then(|| column.value(row).to_owned())
}
