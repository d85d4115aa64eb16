//! Real ledgers and their goldens, which live beside the project and are never copied into it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "each suite uses its part, and a test may fail where it stands"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt32Type},
};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use lake_core::{LedgerSeq, Network, RawLedger, decode::split_batch, tables::Stamps};
use serde_json::{Map, Value, json};

/// The folder of real ledgers and goldens; `None`, said loudly, where it is missing.
pub fn shared() -> Option<PathBuf> {
    let found = std::env::var_os("LAKE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    if found.join("ledgers").is_dir() {
        return Some(found);
    }
    eprintln!("SKIPPED: no real ledgers at {} (set LAKE_SHARED)", found.display());
    None
}

/// Ledgers of one network from one folder, or of one of the many little networks of stellar-core's tests.
pub struct Chain {
    /// `Suite/file` for ledgers of stellar-core's tests.
    pub name: Option<String>,
    pub network: Network,
    /// Ascending; not always without gaps.
    pub ledgers: Vec<RawLedger>,
}

/// All chains of a suite.
pub fn suite(shared: &Path, name: &str) -> Vec<Chain> {
    let folder = shared.join("ledgers").join(name);
    if name == "core" {
        return core_chains(&folder);
    }
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join(".config.json")).unwrap()).unwrap();
    let network = Network::new(config["networkPassphrase"].as_str().unwrap());
    let mut ledgers: Vec<RawLedger> = files(&folder)
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "zst"))
        .flat_map(|f| batch(f))
        .collect();
    ledgers.sort_by_key(|ledger| ledger.seq);
    vec![Chain { name: None, network, ledgers }]
}

/// The ledgers of one SEP-54 file.
pub fn batch(path: &Path) -> Vec<RawLedger> {
    let origin: Arc<str> = path.to_string_lossy().into();
    split_batch(&unpack(path), &origin).unwrap().2
}

fn core_chains(folder: &Path) -> Vec<Chain> {
    let network = Network::new("(V) (;,,;) (V)");
    let mut chains: Vec<Chain> = files(folder)
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(".xdr.zst"))
        .map(|path| Chain {
            name: Some(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned()),
            network: network.clone(),
            ledgers: records(unpack(&path), &path.to_string_lossy()),
        })
        .collect();
    chains.sort_by(|a, b| a.name.cmp(&b.name));
    chains
}

/// Cuts a stream of record-marked ledgers.
fn records(mut rest: Bytes, origin: &str) -> Vec<RawLedger> {
    let origin: Arc<str> = origin.into();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let mark = u32::from_be_bytes(rest.split_to(4)[..].try_into().unwrap());
        assert_ne!(mark & 0x8000_0000, 0, "a record has one fragment");
        let xdr = rest.split_to((mark & 0x7fff_ffff) as usize);
        let seq = lake_core::decode::peek(&xdr, &origin).unwrap().seq;
        all.push(RawLedger { seq, xdr, origin: origin.clone() });
    }
    all
}

pub fn unpack(path: &Path) -> Bytes {
    zstd::decode_all(fs::File::open(path).unwrap()).unwrap().into()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

pub fn stamps() -> Stamps {
    Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 0 }
}

/// Ledgers `2..=639` of the long chain have goldens.
pub const CHAIN_GOLDENS_END: LedgerSeq = LedgerSeq::new(639);

/// A row as a JSON object, one field per column.
pub fn object(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    names.zip(batch.columns().iter().map(|column| value(column, row))).collect()
}

fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::UInt32 => json!(column.as_primitive::<UInt32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>();
            let time = micros.value_as_datetime(row).unwrap();
            json!(time.format("%Y-%m-%d %H:%M:%S").to_string())
        }
        other => panic!("no table has a column of type {other}"),
    }
}
