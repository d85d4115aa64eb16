//! Small tables, small batches and an independent reader.

use std::{path::Path, sync::Arc, time::Duration};

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, TimeUnit};
use duckdb::{Config, Connection};
use lake_core::{
    Hash32, LedgerRange, LedgerSeq,
    schema::{ColumnSpec, StateSpec, TableSpec},
};
use stellar_lake::lake::{
    Commit, Lake, LakeError, LakeSettings, Lane, NetworkName, NetworkSpec, WriteBatch, extension_files,
};

const fn column(
    name: &'static str,
    sql: &'static str,
    data_type: fn() -> DataType,
    nullable: bool,
    bloom: bool,
) -> ColumnSpec {
    ColumnSpec { name, sql, data_type, nullable, bloom, doc: "A column's text." }
}

fn micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

pub(crate) static LEDGERS: TableSpec = TableSpec {
    name: "ledgers_row_v2",
    doc: "One row per ledger, it's said.",
    key: &["sequence"],
    ledger_column: "sequence",
    columns: &[
        column("sequence", "BIGINT", || DataType::Int64, false, false),
        column("ledger_hash", "VARCHAR", || DataType::Utf8, false, true),
        column("previous_ledger_hash", "VARCHAR", || DataType::Utf8, false, false),
        column("closed_at", "TIMESTAMP", micros, false, false),
    ],
    state: None,
};

pub(crate) static TRANSACTIONS: TableSpec = TableSpec {
    name: "transactions_row_v2",
    doc: "One row per transaction.",
    key: &["transaction_hash"],
    ledger_column: "ledger_sequence",
    columns: &[
        column("ledger_sequence", "BIGINT", || DataType::Int64, false, false),
        column("transaction_hash", "VARCHAR", || DataType::Utf8, false, true),
        column("memo", "VARCHAR", || DataType::Utf8, true, false),
    ],
    state: None,
};

pub(crate) static EMPTY: TableSpec = TableSpec {
    name: "events_row_v1",
    doc: "Mostly empty.",
    key: &["ledger_sequence"],
    ledger_column: "ledger_sequence",
    columns: &[column("ledger_sequence", "BIGINT", || DataType::Int64, false, false)],
    state: None,
};

/// A stream of changes whose key has a column that may be NULL.
pub(crate) const LINES: TableSpec = TableSpec {
    name: "lines_v1",
    doc: "Lines, it's said.",
    key: &["account", "pool", "ledger_sequence"],
    ledger_column: "ledger_sequence",
    columns: &[
        column("account", "BIGINT", || DataType::Int64, false, true),
        column("pool", "VARCHAR", || DataType::Utf8, true, false),
        column("ledger_sequence", "BIGINT", || DataType::Int64, false, false),
        column("deleted", "BOOLEAN", || DataType::Boolean, false, false),
        column("balance", "BIGINT", || DataType::Int64, false, false),
    ],
    state: Some(StateSpec { name: "lines", ttl: None, note: "" }),
};

pub(crate) static SPECS: &[&TableSpec] = &[&LEDGERS, &TRANSACTIONS, &EMPTY];

/// Account, pool, ledger, whether it was removed, balance.
pub(crate) type Line = (i64, Option<&'static str>, i64, bool, i64);

/// Rows of [`LINES`].
pub(crate) fn lines(rows: &[Line]) -> RecordBatch {
    let numbers =
        |of: fn(&Line) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    let columns: Vec<ArrayRef> = vec![
        numbers(|r| r.0),
        texts(rows.iter().map(|r| r.1)),
        numbers(|r| r.2),
        Arc::new(BooleanArray::from(rows.iter().map(|r| r.3).collect::<Vec<_>>())),
        numbers(|r| r.4),
    ];
    RecordBatch::try_new(LINES.arrow_schema(), columns).unwrap()
}

/// Transactions per ledger in every batch made here.
pub(crate) const TRANSACTIONS_PER_LEDGER: u32 = 3;

pub(crate) fn range(start: u32, end: u32) -> LedgerRange {
    LedgerRange::new(LedgerSeq::new(start), LedgerSeq::new(end)).unwrap()
}

pub(crate) fn network(name: &str) -> NetworkSpec {
    let passphrase = format!("{name} ; test");
    let network_id = Hash32::sha256(&[passphrase.as_bytes()]);
    NetworkSpec { name: NetworkName::new(name).unwrap(), passphrase, network_id }
}

pub(crate) fn hash(network: &str, seq: u32) -> Hash32 {
    Hash32::sha256(&[network.as_bytes(), &seq.to_be_bytes()])
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// A batch whose every value follows from network and sequence.
pub(crate) fn batch(network: &str, start: u32, end: u32, lane: Lane) -> WriteBatch {
    let sequences: Vec<u32> = (start..=end).collect();
    let own: Vec<String> = sequences.iter().map(|s| hash(network, *s).to_string()).collect();
    let previous: Vec<String> = sequences.iter().map(|s| hash(network, s - 1).to_string()).collect();
    let ledgers: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(sequences.iter().map(|s| i64::from(*s)))),
        texts(own.iter().map(|s| Some(s.as_str()))),
        texts(previous.iter().map(|s| Some(s.as_str()))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(
            sequences.iter().map(|s| i64::from(*s) * 5_000_000),
        )),
    ];
    let of_transactions: Vec<(u32, u32)> =
        sequences.iter().flat_map(|s| (0..TRANSACTIONS_PER_LEDGER).map(|t| (*s, t))).collect();
    let hashes: Vec<String> = of_transactions
        .iter()
        .map(|(s, t)| Hash32::sha256(&[network.as_bytes(), &s.to_be_bytes(), &t.to_be_bytes()]).to_string())
        .collect();
    let transactions: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(of_transactions.iter().map(|(s, _)| i64::from(*s)))),
        texts(hashes.iter().map(|h| Some(h.as_str()))),
        texts(of_transactions.iter().map(|(_, t)| (*t == 0).then_some("memo"))),
    ];
    let empty: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values([]))];
    let rows = |spec: &TableSpec, columns| RecordBatch::try_new(spec.arrow_schema(), columns).unwrap();
    WriteBatch {
        network: NetworkName::new(network).unwrap(),
        range: range(start, end),
        lane,
        first_previous_hash: hash(network, start - 1),
        last_hash: hash(network, end),
        tables: vec![
            (&LEDGERS, rows(&LEDGERS, ledgers)),
            (&TRANSACTIONS, rows(&TRANSACTIONS, transactions)),
            (&EMPTY, rows(&EMPTY, empty)),
        ],
        source: "made by a test".to_owned(),
        job: None,
    }
}

pub(crate) fn open(path: &Path) -> Lake {
    open_with(LakeSettings::new(path))
}

pub(crate) fn open_with(settings: LakeSettings) -> Lake {
    Lake::open(settings, SPECS).unwrap()
}

/// Encodes and commits one batch, blocking.
pub(crate) fn write(lake: &Lake, batch: WriteBatch) -> Result<Commit, LakeError> {
    let sealed = lake.encoder().encode(batch)?;
    runtime().block_on(lake.queue().submit(sealed))
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn close(lake: &Lake) {
    lake.close(Duration::from_secs(30)).expect("the queue drains in time");
}

/// An independent DuckDB instance that reads the lake.
pub(crate) struct Reader(pub(crate) Connection);

impl Reader {
    pub(crate) fn open(lake: &Path) -> Self {
        Self::attach(lake, "READ_ONLY")
    }

    fn attach(lake: &Path, options: &str) -> Self {
        let config = Config::default().with("threads", "1").unwrap();
        let connection = Connection::open_in_memory_with_flags(config).unwrap();
        for file in extension_files(None).unwrap() {
            connection.execute_batch(&format!("LOAD '{}'", file.display())).unwrap();
        }
        let catalog = lake.join("catalog.sqlite");
        connection
            .execute_batch(&format!(
                "ATTACH 'ducklake:sqlite:{}' AS lake ({options}); USE lake",
                catalog.display()
            ))
            .unwrap();
        Self(connection)
    }

    /// A client that writes, with DuckLake's defaults: what a user's own DuckDB is.
    pub(crate) fn writing(lake: &Path) -> Self {
        Self::attach(lake, "META_BUSY_TIMEOUT 10000")
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |r| r.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    pub(crate) fn text(&self, sql: &str) -> String {
        self.0.query_row(sql, [], |r| r.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Every value of a network in one text: equal exactly when the content is.
    pub(crate) fn content(&self, network: &str) -> String {
        let ledgers = self.text(&format!(
            "SELECT count(*) || md5(string_agg(l::VARCHAR, '|' ORDER BY sequence)) FROM {network}.ledgers_row_v2 l"
        ));
        let transactions = self.text(&format!(
            "SELECT count(*) || md5(string_agg(t::VARCHAR, '|' ORDER BY ledger_sequence, transaction_hash)) \
             FROM {network}.transactions_row_v2 t"
        ));
        format!("{ledgers} {transactions}")
    }
}
