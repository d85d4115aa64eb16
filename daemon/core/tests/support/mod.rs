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
use lake_core::{
    Ledger, LedgerSeq, Network, RawLedger,
    decode::{decode, split_batch},
    tables::{Stamps, TableSet},
};
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

/// The rows of all tables of one ledger.
pub struct Rows {
    seq: LedgerSeq,
    rows: Vec<(&'static str, Map<String, Value>)>,
}

impl Rows {
    /// Rows of ledger `seq` of a suite, of the chain of that name in `core`. `None` without the shared ledgers.
    pub fn of(name: &str, chain: Option<&str>, seq: u32) -> Option<Self> {
        let chains = suite(&shared()?, name);
        let chain = chains.iter().find(|c| c.name.as_deref() == chain).unwrap();
        let raw = chain.ledgers.iter().find(|raw| raw.seq.get() == seq).unwrap();
        Some(Self::of_ledger(&decode(raw, &chain.network).unwrap()))
    }

    pub fn of_ledger(ledger: &Ledger) -> Self {
        let mut set = TableSet::new(stamps());
        set.extract(ledger).unwrap();
        Self { seq: ledger.seq, rows: rows(set) }
    }

    /// The rows of a table that hold these values.
    pub fn with(&self, table: &str, values: &Value) -> Vec<&Map<String, Value>> {
        let values = values.as_object().unwrap();
        let of_table = self.rows.iter().filter(|(name, _)| *name == table).map(|(_, row)| row);
        of_table.filter(|row| values.iter().all(|(column, value)| row[column] == *value)).collect()
    }

    /// The only row of a table that holds these values.
    #[track_caller]
    pub fn one(&self, table: &str, values: &Value) -> &Map<String, Value> {
        let found = self.with(table, values);
        assert_eq!(found.len(), 1, "ledger {}: {table} has {} rows with {values}", self.seq, found.len());
        found[0]
    }
}

/// All rows with the names of their tables.
pub fn rows(set: TableSet) -> Vec<(&'static str, Map<String, Value>)> {
    let tables = set.finish().into_iter();
    tables
        .flat_map(|(spec, batch)| (0..batch.num_rows()).map(move |row| (spec.name, object(&batch, row))))
        .collect()
}
