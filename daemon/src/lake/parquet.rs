//! Encoding: record batches to finished Parquet files. Runs on the workers, in parallel; never touches DuckDB.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};

use arrow_array::{RecordBatch, StringArray, cast::AsArray};
use arrow_schema::SchemaRef;
use lake_core::{Hash32, schema::TableSpec};
use parquet::{
    arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions},
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties, WriterVersion},
    schema::types::ColumnPath,
};
use sha2::{Digest, Sha256};

use crate::fail_point::Point;

use super::{
    batch::SealedFile,
    dirs::{FileName, LakeDirs, create_durable, sync_dir},
    error::LakeError,
    settings::EncodingSettings,
};

/// Bytes of a page. Each column of each open file collects a page before it compresses it: with the usual 1 MiB that was
/// 100 MB for each chunk of a backfill.
const PAGE_BYTES: usize = 256 << 10;

/// Bytes that go to a file at once; Parquet itself writes in 8 KiB.
const WRITE_BYTES: usize = 64 << 10;

/// Bytes of a page of text that has no dictionary: what repeats in XDR and JSON is seldom nearer. A tenth smaller and faster.
const WIDE_PAGE_BYTES: usize = 1 << 20;

/// Rows of a column that are looked at to choose its encoding.
const SAMPLE_ROWS: usize = 512;

/// Values that tell something about those that follow.
const SAMPLE_LEAST: usize = 16;

/// One Parquet file being written under its temporary name. Dropping it deletes the file.
pub(crate) struct FileEncoder {
    table: &'static str,
    schema: SchemaRef,
    dir: PathBuf,
    temp: PathBuf,
    path: PathBuf,
    writer: Option<ArrowWriter<BufWriter<HashingFile>>>,
    rows: u64,
}

impl FileEncoder {
    /// Creates the file. `sample` are rows of it by which encodings are chosen.
    pub(crate) fn create(
        dirs: &LakeDirs,
        schema_name: &str,
        spec: &'static TableSpec,
        name: FileName,
        encoding: &EncodingSettings,
        sample: &RecordBatch,
    ) -> Result<Self, LakeError> {
        let dir = dirs.table(schema_name, spec.name);
        create_durable(dirs.root(), &dir)?;
        let path = dir.join(name.to_string());
        let temp = dir.join(FileName { temporary: true, ..name }.to_string());
        let file = File::create_new(&temp).map_err(|e| LakeError::io("create", &temp, e))?;
        let schema = spec.arrow_schema();
        let options = ArrowWriterOptions::new()
            .with_properties(properties(spec, encoding, sample).map_err(|e| parquet_error(&temp, e))?)
            .with_skip_arrow_metadata(true);
        let sink =
            BufWriter::with_capacity(WRITE_BYTES, HashingFile { file, hasher: Sha256::new(), bytes: 0 });
        let mut this = Self { table: spec.name, schema, dir, temp, path, writer: None, rows: 0 };
        let writer = ArrowWriter::try_new_with_options(sink, Arc::clone(&this.schema), options)
            .map_err(|e| parquet_error(&this.temp, e))?;
        this.writer = Some(writer);
        Ok(this)
    }

    /// The table it belongs to.
    pub(crate) const fn table(&self) -> &'static str {
        self.table
    }

    /// Gives it another final name.
    pub(crate) fn named(mut self, name: FileName) -> Self {
        self.path = self.dir.join(name.to_string());
        self
    }

    /// Appends rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        if batch.schema_ref().fields() != self.schema.fields() {
            let reason = format!("rows do not have the columns and types of table {}", self.table);
            return Err(LakeError::Parquet { path: self.path.clone(), reason });
        }
        let writer = self.writer.as_mut().ok_or(LakeError::Closed)?;
        writer.write(batch).map_err(|e| parquet_error(&self.temp, e))?;
        self.rows = self.rows.saturating_add(u64::try_from(batch.num_rows()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Bytes of rows that are not in the file yet.
    pub(crate) fn held(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| u64::try_from(writer.memory_size()).unwrap_or(u64::MAX))
    }

    /// Ends the row group in hand.
    pub(crate) fn shed(&mut self) -> Result<(), LakeError> {
        let writer = self.writer.as_mut().ok_or(LakeError::Closed)?;
        writer.flush().map_err(|e| parquet_error(&self.temp, e))
    }

    /// Writes the footer, makes the file durable and gives it its name.
    pub(crate) fn finish(mut self) -> Result<SealedFile, LakeError> {
        let writer = self.writer.take().ok_or(LakeError::Closed)?;
        let sink = writer.into_inner().map_err(|e| parquet_error(&self.temp, e))?;
        let sink = sink.into_inner().map_err(|e| LakeError::io("write", &self.temp, e.into_error()))?;
        sink.file.sync_all().map_err(|e| LakeError::io("sync", &self.temp, e))?;
        Point::BeforeRename.pass();
        fs::rename(&self.temp, &self.path).map_err(|e| LakeError::io("rename", &self.temp, e))?;
        // From here on dropping must delete the final name.
        self.temp.clone_from(&self.path);
        sync_dir(&self.dir)?;
        let sealed = SealedFile {
            table: self.table,
            path: std::mem::take(&mut self.path),
            rows: self.rows,
            bytes: sink.bytes,
            sha256: Hash32(sink.hasher.finalize().into()),
        };
        self.temp = PathBuf::new();
        Ok(sealed)
    }
}

impl Drop for FileEncoder {
    fn drop(&mut self) {
        if self.temp.as_os_str().is_empty() {
            return;
        }
        // What cannot be deleted now is found by the sweep of the next run.
        if let Err(error) = fs::remove_file(&self.temp) {
            tracing::warn!(path = %self.temp.display(), error = %error, "unfinished file was not deleted");
        }
    }
}

/// How the columns of `spec` are written.
fn properties(
    spec: &TableSpec,
    encoding: &EncodingSettings,
    sample: &RecordBatch,
) -> Result<WriterProperties, ParquetError> {
    let row_group_rows = encoding.row_group_rows.max(1);
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("stellar-lake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(encoding.zstd_level)?))
        .set_max_row_group_row_count(Some(row_group_rows))
        .set_data_page_size_limit(PAGE_BYTES)
        // Values are compressed where they are; pages of version 1 are put together with their levels first.
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_encoding(Encoding::PLAIN)
        // Page statistics and their index help no reader of the lake; the row group's do.
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for (index, column) in spec.columns.iter().enumerate() {
        let path = ColumnPath::from(column.name);
        if column.bloom {
            // Sized for a full row group of distinct values; the writer folds it to what was there.
            let distinct = u64::try_from(row_group_rows).unwrap_or(u64::MAX);
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), encoding.bloom_false_positives)
                .set_column_bloom_filter_ndv(path.clone(), distinct);
        }
        let Some(values) = sample.columns().get(index) else { continue };
        if let Some(texts) = values.as_string_opt::<i32>() {
            // What is in no order spans nearly everything in every file: its least and greatest value rule nothing out.
            if sampled(texts).count() >= SAMPLE_LEAST && !is_ascending(texts) {
                builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
            }
            if all_equal(texts) {
                builder = builder.set_column_dictionary_enabled(path.clone(), false);
            }
            if all_different(texts) {
                builder = builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_data_page_size_limit(path, WIDE_PAGE_BYTES);
            }
        } else {
            // Plain numbers are as small after zstd, and are not looked up in a hash table each.
            builder = builder.set_column_dictionary_enabled(path, false);
        }
    }
    Ok(builder.build())
}

/// The values of a sample that are not NULL.
fn sampled(texts: &StringArray) -> impl Iterator<Item = &str> {
    texts.iter().flatten().take(SAMPLE_ROWS)
}

/// Whether a text column repeats so little that a dictionary would only cost.
fn all_different(texts: &StringArray) -> bool {
    let distinct: HashSet<&str> = sampled(texts).collect();
    let count = sampled(texts).count();
    count >= SAMPLE_LEAST && distinct.len().saturating_mul(10) > count.saturating_mul(9)
}

/// Whether a text column holds one value, as far as one can see: a hash table would find it again for each row.
fn all_equal(texts: &StringArray) -> bool {
    let mut values = sampled(texts);
    let first = values.next();
    first.is_some() && values.all(|value| Some(value) == first)
}

/// Whether a text column grows with the ledgers.
fn is_ascending(texts: &StringArray) -> bool {
    sampled(texts).is_sorted()
}

/// A Parquet failure; a full disk beneath it keeps its own kind.
pub(crate) fn parquet_error(path: &std::path::Path, error: ParquetError) -> LakeError {
    if let ParquetError::External(inner) = error {
        return match inner.downcast::<io::Error>() {
            Ok(io) => LakeError::io("write", path, *io),
            Err(other) => LakeError::Parquet { path: path.to_path_buf(), reason: other.to_string() },
        };
    }
    let reason = error.to_string();
    if reason.contains("No space left on device") || reason.contains("StorageFull") {
        return LakeError::DiskFull { path: path.to_path_buf() };
    }
    LakeError::Parquet { path: path.to_path_buf(), reason }
}

/// A file that is hashed while it is written.
struct HashingFile {
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buf)?;
        self.hasher.update(buf.get(..written).unwrap_or_default());
        self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
