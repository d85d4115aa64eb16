//! Reading files: their hash, and some of their columns.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use arrow_array::{Array, Int64Array, RecordBatch, StringArray, cast::AsArray, types::Int64Type};
use arrow_schema::DataType;
use lake_core::{Hash32, schema::TableSpec};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};
use sha2::{Digest, Sha256};

/// Rows that are read at once.
const READ_ROWS: usize = 4096;

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 18;

/// SHA-256 and size of a file's content. `None` when told to stop.
pub(super) fn hash(path: &Path, stop: &dyn Fn() -> bool) -> io::Result<Option<(Hash32, u64)>> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer, mut bytes) = (Sha256::new(), vec![0; READ_BYTES], 0_u64);
    loop {
        if stop() {
            return Ok(None);
        }
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Some((Hash32(hasher.finalize().into()), bytes)));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

/// Batches of rows of a file with these columns of its table; all of them for `None`.
pub(super) fn reader(
    spec: &TableSpec,
    path: &Path,
    columns: Option<&[&str]>,
) -> Result<ParquetRecordBatchReader, String> {
    let file = File::open(path).map_err(|e| format!("cannot be opened ({e})"))?;
    let options = ArrowReaderOptions::new().with_schema(spec.arrow_schema());
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|e| format!("cannot be read ({e})"))?;
    let builder = match columns {
        Some(columns) => {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder.with_projection(mask)
        }
        None => builder,
    };
    builder.with_batch_size(READ_ROWS).build().map_err(|e| format!("cannot be read ({e})"))
}

/// An integer column, wide.
pub(super) fn numbers(rows: &RecordBatch, name: &str) -> Option<Int64Array> {
    let wide = arrow_cast::cast(rows.column_by_name(name)?, &DataType::Int64).ok()?;
    wide.as_primitive_opt::<Int64Type>().cloned()
}

/// A text column.
pub(super) fn texts<'r>(rows: &'r RecordBatch, name: &str) -> Option<&'r StringArray> {
    rows.column_by_name(name)?.as_string_opt()
}

/// The value of a row; `None` for NULL.
pub(super) fn number(column: Option<&Int64Array>, row: usize) -> Option<i64> {
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

/// The text of a row; `None` for NULL.
pub(super) fn text(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}
