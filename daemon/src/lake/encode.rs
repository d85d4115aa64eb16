//! A write batch to a sealed batch: checks that the rows are what the range says, then one file per table.

use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::{Array, Int64Array, RecordBatch, cast::AsArray, types::Int64Type};
use arrow_schema::DataType;
use lake_core::schema::TableSpec;

use super::{
    LEDGERS_TABLE,
    batch::{SealedBatch, SealedFile, SealedFiles, WriteBatch},
    dirs::{FileName, LakeDirs},
    error::LakeError,
    lineage::{LINEAGE, LineageRow},
    parquet::FileEncoder,
    settings::EncodingSettings,
};

/// Checks that every ledger of a batch passed before it came here.
const CHECKS: &[&str] =
    &["sequence", "header_hash", "previous_hash", "tx_set_hash", "result_set_hash", "transaction_hashes"];

/// Encodes batches for one lake. Cheap to clone, safe to use from many workers.
#[derive(Clone, Debug)]
pub struct Encoder {
    pub(crate) dirs: LakeDirs,
    pub(crate) settings: EncodingSettings,
    pub(crate) specs: &'static [&'static TableSpec],
    pub(crate) fingerprint: String,
}

impl Encoder {
    /// Writes one durable Parquet file per non-empty table and the lineage file. Blocks on CPU and disk.
    ///
    /// # Errors
    /// [`LakeError::BadBatch`] when the rows are not those of the range, else what the disk says; no file stays.
    pub fn encode(&self, batch: WriteBatch) -> Result<SealedBatch, LakeError> {
        check(&batch)?;
        let name = self.dirs.new_name(batch.range);
        let mut files = SealedFiles::default();
        for (spec, rows) in &batch.tables {
            if rows.num_rows() > 0 {
                files.list.push(self.file(batch.network.as_str(), spec, name, rows)?);
            }
        }
        let lineage = LineageRow {
            range: batch.range,
            kind: "ingest",
            lane: batch.lane.as_str(),
            job: batch.job.as_deref(),
            source: &batch.source,
            files: &files.list,
            hashes: Some((batch.first_previous_hash, batch.last_hash)),
            checks: CHECKS,
            table_set: self.specs,
            fingerprint: &self.fingerprint,
            run: self.dirs.run(),
            number: name.number,
            now_micros: now_micros(),
        };
        let rows = lineage.record_batch().map_err(|e| bad(&batch, LINEAGE.name, e.to_string()))?;
        files.list.push(self.file(batch.network.as_str(), &LINEAGE, name, &rows)?);
        Ok(SealedBatch {
            network: batch.network,
            range: batch.range,
            lane: batch.lane,
            first_previous_hash: batch.first_previous_hash,
            last_hash: batch.last_hash,
            files,
        })
    }

    /// One file of one record batch.
    pub(crate) fn file(
        &self,
        schema: &str,
        spec: &'static TableSpec,
        name: FileName,
        rows: &RecordBatch,
    ) -> Result<SealedFile, LakeError> {
        let mut encoder = FileEncoder::create(&self.dirs, schema, spec, name, &self.settings, rows)?;
        encoder.write(rows)?;
        encoder.finish()
    }
}

/// Microseconds since the Unix epoch.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn bad(batch: &WriteBatch, table: &str, reason: String) -> LakeError {
    LakeError::BadBatch {
        network: batch.network.to_string(),
        range: batch.range,
        table: table.to_owned(),
        reason,
    }
}

/// The ledgers table holds exactly the range, and no other table a row outside of it.
fn check(batch: &WriteBatch) -> Result<(), LakeError> {
    let range = batch.range;
    if range.start().range_start() != range.end().range_start() {
        return Err(bad(batch, "all", "a file must not hold ledgers of two 10,000-ledger ranges".to_owned()));
    }
    let mut ledgers = 0_u64;
    for (spec, rows) in &batch.tables {
        if rows.num_rows() == 0 {
            continue;
        }
        let sequences = ledger_column(spec, rows).ok_or_else(|| {
            bad(batch, spec.name, format!("no integer column {} without NULLs", spec.ledger_column))
        })?;
        let (start, end) = (i64::from(range.start().get()), i64::from(range.end().get()));
        if let Some(outside) = sequences.values().iter().find(|s| **s < start || **s > end) {
            return Err(bad(batch, spec.name, format!("a row of ledger {outside} is outside of the range")));
        }
        if spec.name == LEDGERS_TABLE {
            let expected = start..=end;
            if !sequences.values().iter().copied().eq(expected) {
                let reason = format!("{} rows are not one row per ledger in order", sequences.len());
                return Err(bad(batch, spec.name, reason));
            }
            ledgers = range.count();
        }
    }
    if ledgers == 0 {
        return Err(bad(batch, LEDGERS_TABLE, "the batch has no ledgers".to_owned()));
    }
    Ok(())
}

/// The ledger sequences of the rows.
fn ledger_column(spec: &TableSpec, rows: &RecordBatch) -> Option<Int64Array> {
    let column = rows.column_by_name(spec.ledger_column)?;
    if column.null_count() > 0 || !column.data_type().is_integer() {
        return None;
    }
    let wide = arrow_cast::cast(column, &DataType::Int64).ok()?;
    wide.as_primitive_opt::<Int64Type>().cloned()
}
