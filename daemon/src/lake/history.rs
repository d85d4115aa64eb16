//! Reading the lineage back, file by file: what each batch wrote, and the hashes of its files.

use std::{collections::BTreeMap, fs::File, path::Path};

use arrow_array::{Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, cast::AsArray};
use lake_core::{Hash32, LedgerRange, LedgerSeq};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde::Deserialize;

use super::lineage::LINEAGE;

/// A row of the lineage.
#[derive(Clone, Debug)]
pub struct Told {
    /// Ledgers of the batch.
    pub range: LedgerRange,
    /// Whether it wrote ledgers, and did not only merge files.
    pub is_batch: bool,
    /// Its files, by table.
    pub files: BTreeMap<String, ToldFile>,
    /// Tables that it wrote, empty ones included.
    pub tables: Vec<String>,
    /// When its files were written, microseconds since the Unix epoch.
    pub sealed_at: i64,
}

/// A file, as the lineage tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldFile {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Hash32,
}

#[derive(Deserialize)]
struct FileJson {
    file: String,
    rows: u64,
    bytes: u64,
    sha256: String,
}

/// All rows of a file of the lineage.
///
/// # Errors
/// What cannot be read of it, in words.
pub fn read_lineage(path: &Path) -> Result<Vec<Told>, String> {
    let file = File::open(path).map_err(|e| format!("cannot be opened ({e})"))?;
    let options = ArrowReaderOptions::new().with_schema(LINEAGE.arrow_schema());
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .and_then(|builder| builder.build())
        .map_err(|e| format!("cannot be read ({e})"))?;
    let mut told = Vec::new();
    for rows in reader {
        let rows = rows.map_err(|e| format!("cannot be read ({e})"))?;
        for row in 0..rows.num_rows() {
            told.push(told_by(&rows, row).ok_or_else(|| format!("its row {row} makes no sense"))?);
        }
    }
    Ok(told)
}

fn told_by(rows: &RecordBatch, row: usize) -> Option<Told> {
    let text = |name: &str| -> Option<&str> {
        let column: &StringArray = rows.column_by_name(name)?.as_string_opt()?;
        column.is_valid(row).then(|| column.value(row))
    };
    let seq = |name: &str| -> Option<LedgerSeq> {
        let column = rows.column_by_name(name)?.as_any().downcast_ref::<Int64Array>()?;
        u32::try_from(column.value(row)).ok().map(LedgerSeq::new)
    };
    let sealed_at = rows.column_by_name("sealed_at")?.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    let files: BTreeMap<String, FileJson> = serde_json::from_str(text("files")?).ok()?;
    let files = files.into_iter().map(|(table, file)| {
        let FileJson { file: name, rows, bytes, sha256 } = file;
        Some((table, ToldFile { name, rows, bytes, sha256: sha256.parse().ok()? }))
    });
    let is_batch = match text("kind")? {
        "ingest" | "complete" | "replace" => true,
        "merge" => false,
        _ => return None,
    };
    Some(Told {
        range: LedgerRange::new(seq("range_start")?, seq("range_end")?)?,
        is_batch,
        files: files.collect::<Option<_>>()?,
        tables: serde_json::from_str(text("table_set")?).ok()?,
        sealed_at: sealed_at.value(row),
    })
}
