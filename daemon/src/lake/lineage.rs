//! The lake's own tables: `_lineage`, one row per batch for audit, and `main._networks`, one row per network.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use lake_core::{
    Hash32, LedgerRange,
    schema::{ColumnSpec, TableSpec},
};
use serde::Serialize;

use super::{
    batch::{NetworkSpec, SealedFile},
    dirs::RunId,
};

/// Name of the lineage table in every network's schema.
pub const LINEAGE_TABLE: &str = "_lineage";

const fn column(
    name: &'static str,
    sql: &'static str,
    data_type: fn() -> DataType,
    doc: &'static str,
) -> ColumnSpec {
    ColumnSpec { name, sql, data_type, nullable: false, bloom: false, doc }
}

const fn nullable(column: ColumnSpec) -> ColumnSpec {
    ColumnSpec { nullable: true, ..column }
}

fn int() -> DataType {
    DataType::Int64
}

fn text() -> DataType {
    DataType::Utf8
}

fn micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// One row per committed batch, new or in place of what was stored, and per merge.
pub static LINEAGE: TableSpec = TableSpec {
    name: LINEAGE_TABLE,
    doc: "One row per batch that was committed, and one per merge of files, for audit. Registered in the same transaction as the rows it describes.",
    key: &["run_id", "batch_number"],
    ledger_column: "range_start",
    columns: &[
        column("range_start", "BIGINT", int, "First ledger of the batch."),
        column("range_end", "BIGINT", int, "Last ledger of the batch, inclusive."),
        column(
            "kind",
            "VARCHAR",
            text,
            "`ingest` for a batch of new ledgers, `complete` for rows of tables that an older table set lacked, `replace` for ledgers that were stored anew in place of what was held of them, `merge` for files that were rewritten.",
        ),
        column("lane", "VARCHAR", text, "`live` or `backfill`; `maintenance` for a merge."),
        nullable(column("job", "VARCHAR", text, "Backfill job; NULL outside of one.")),
        column(
            "source",
            "VARCHAR",
            text,
            "Where the ledgers were read from; for a merge the number of files.",
        ),
        column("rows", "BIGINT", int, "Rows in all tables."),
        column("bytes", "BIGINT", int, "Bytes of all files."),
        column("files", "VARCHAR", text, "JSON: table to file name, rows, bytes and SHA-256 of the file."),
        column(
            "first_previous_hash",
            "VARCHAR",
            text,
            "Hash of the ledger before the first one, hex; empty for a merge.",
        ),
        column("last_hash", "VARCHAR", text, "Hash of the last ledger, hex; empty for a merge."),
        column(
            "verification",
            "VARCHAR",
            text,
            "JSON: ledgers and rows that were checked, and which checks.",
        ),
        column(
            "table_set",
            "VARCHAR",
            text,
            "JSON: names of all tables that the batch was written to, empty ones included; of a merge those of the version that wrote.",
        ),
        column(
            "fingerprint",
            "VARCHAR",
            text,
            "Fingerprint of the table set of the version that wrote, hex.",
        ),
        column("extractor_version", "VARCHAR", text, "Version of the program."),
        column("run_id", "VARCHAR", text, "Run of the program that wrote and committed it."),
        column("batch_number", "BIGINT", int, "Count within the run."),
        column("sealed_at", "TIMESTAMP", micros, "When its files were written, UTC."),
    ],
    state: None,
};

/// What a lineage row says.
#[derive(Debug)]
pub(crate) struct LineageRow<'a> {
    pub(crate) range: LedgerRange,
    pub(crate) kind: &'static str,
    pub(crate) lane: &'static str,
    pub(crate) job: Option<&'a str>,
    pub(crate) source: &'a str,
    pub(crate) files: &'a [SealedFile],
    pub(crate) hashes: Option<(Hash32, Hash32)>,
    pub(crate) checks: &'static [&'static str],
    pub(crate) table_set: &'a [&'static str],
    pub(crate) fingerprint: &'a str,
    pub(crate) run: RunId,
    pub(crate) number: u64,
    pub(crate) now_micros: i64,
}

#[derive(Serialize)]
struct FileJson<'a> {
    file: &'a str,
    rows: u64,
    bytes: u64,
    sha256: String,
}

#[derive(Serialize)]
struct VerificationJson {
    ledgers: u64,
    passed: u64,
    checks: &'static [&'static str],
}

impl LineageRow<'_> {
    /// The row as a record batch of [`LINEAGE`].
    pub(crate) fn record_batch(&self) -> Result<RecordBatch, ArrowError> {
        let files: BTreeMap<&str, FileJson<'_>> = self
            .files
            .iter()
            .map(|f| {
                let file = f.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                (f.table, FileJson { file, rows: f.rows, bytes: f.bytes, sha256: f.sha256.to_string() })
            })
            .collect();
        let verification =
            VerificationJson { ledgers: self.range.count(), passed: self.range.count(), checks: self.checks };
        let json =
            |value: serde_json::Result<String>| value.map_err(|e| ArrowError::JsonError(e.to_string()));
        let (first, last) =
            self.hashes.map_or_else(Default::default, |(first, last)| (first.to_string(), last.to_string()));
        let number = |n: u64| int_column(i64::try_from(n).unwrap_or(i64::MAX));
        let columns: Vec<ArrayRef> = vec![
            int_column(i64::from(self.range.start().get())),
            int_column(i64::from(self.range.end().get())),
            text_column(self.kind),
            text_column(self.lane),
            Arc::new(StringArray::from(vec![self.job])),
            text_column(self.source),
            number(self.files.iter().map(|f| f.rows).sum()),
            number(self.files.iter().map(|f| f.bytes).sum()),
            text_column(&json(serde_json::to_string(&files))?),
            text_column(&first),
            text_column(&last),
            text_column(&json(serde_json::to_string(&verification))?),
            text_column(&json(serde_json::to_string(self.table_set))?),
            text_column(self.fingerprint),
            text_column(env!("CARGO_PKG_VERSION")),
            text_column(&self.run.to_string()),
            number(self.number),
            Arc::new(TimestampMicrosecondArray::from(vec![self.now_micros])),
        ];
        RecordBatch::try_new(LINEAGE.arrow_schema(), columns)
    }
}

/// One row per network of the lake, in the schema `main`.
pub(crate) static NETWORKS: TableSpec = TableSpec {
    name: "_networks",
    doc: "One row per network of this lake.",
    key: &["name"],
    ledger_column: "name",
    columns: &[
        column("name", "VARCHAR", text, "Name of the network: the schema of its tables."),
        column("passphrase", "VARCHAR", text, "Passphrase of the network."),
        column("network_id", "VARCHAR", text, "SHA-256 of the passphrase, hex."),
        column("fingerprint", "VARCHAR", text, "Fingerprint of the tables, hex."),
        column("created_by", "VARCHAR", text, "Version of the program that added it."),
    ],
    state: None,
};

/// A row of [`NETWORKS`].
pub(crate) fn network_row(
    network: &NetworkSpec,
    fingerprint: &str,
    created_by: &str,
) -> Result<RecordBatch, ArrowError> {
    let columns = vec![
        text_column(network.name.as_str()),
        text_column(&network.passphrase),
        text_column(&network.network_id.to_string()),
        text_column(fingerprint),
        text_column(created_by),
    ];
    RecordBatch::try_new(NETWORKS.arrow_schema(), columns)
}

fn int_column(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn text_column(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}
