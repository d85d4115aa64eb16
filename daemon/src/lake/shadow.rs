//! Taking files out of a table that cannot be opened any more.
//!
//! DuckLake drops a file when a DELETE matches all its rows, and opens the file for it: a footer of the length that the
//! catalog names, at the end of a file of the size that it names. Where a file is damaged or gone the same transaction
//! runs with the lake's data path set to a folder of stand-ins: files of the same name, size, footer length and number
//! of rows, beside hard links to the new files. Readers never see that folder, and paths are stored relative to the
//! data path, so what is committed is what it would be without it.

use std::{fs, io::Write, ops::Range, path::Path, sync::Arc};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use parquet::{
    arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions},
    basic::{Compression, Encoding, ZstdLevel},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
    },
};

use super::{
    batch::SealedFile,
    catalog::{Catalog, Change, Failure, Removal, Snapshot, sqlite},
    ddl::literal,
    dirs::create_durable,
    error::LakeError,
};

/// Rows that are made at once.
const CHUNK_ROWS: i64 = 1 << 16;

/// Column of a delete file: positions of deleted rows.
const POSITIONS: &str = "pos";

/// Bytes after the footer: its length and the magic number.
const TAIL: usize = 8;

/// A file to stand in for.
#[derive(Debug)]
struct Original {
    table: String,
    name: String,
    shape: Shape,
    /// Name and shape of the file that says which of its rows are deleted.
    deletes: Option<(String, Shape)>,
}

/// What the catalog says of a file, and DuckLake relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    bytes: usize,
    footer: usize,
    rows: i64,
}

impl Catalog {
    /// As [`Catalog::apply`], whatever state the files are in that leave their tables.
    pub(crate) fn apply_shadowed(&mut self, change: &Change<'_>) -> Result<Snapshot, Failure> {
        let shadow = self.dirs().shadow();
        let result = match self.lay_out(change, &shadow) {
            Ok((remove, add)) => {
                self.use_data(Some(shadow.clone()));
                let result = self.apply(&Change { remove: &remove, add: &add, ..*change });
                self.use_data(None);
                result
            }
            Err(error) => Err(Failure::Refused(error)),
        };
        if let Err(error) = remove_shadow(&shadow) {
            tracing::warn!(error = %error, "the next start removes it");
        }
        result
    }

    /// Fills the folder of stand-ins; gives the change as it reads there.
    fn lay_out(
        &mut self,
        change: &Change<'_>,
        shadow: &Path,
    ) -> Result<(Vec<Removal>, Vec<SealedFile>), LakeError> {
        remove_shadow(shadow)?;
        let (root, data) = (self.dirs().root().to_path_buf(), self.dirs().data());
        let moved = |path: &Path| match path.strip_prefix(&data) {
            Ok(relative) => shadow.join(relative),
            // Stored with its full path: the data path does not matter to it.
            Err(_) => path.to_path_buf(),
        };
        let mut add = Vec::with_capacity(change.add.len());
        for file in change.add {
            let link = moved(&file.path);
            create_durable(&root, link.parent().unwrap_or(shadow))?;
            fs::hard_link(&file.path, &link).map_err(|e| LakeError::io("link", &link, e))?;
            add.push(SealedFile { path: link, ..file.clone() });
        }
        let originals = self.originals(change.schema)?;
        let mut remove = Vec::with_capacity(change.remove.len());
        for removal in change.remove {
            let folder = moved(&self.dirs().table(change.schema, removal.table));
            create_durable(&root, &folder)?;
            for path in &removal.paths {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let of_path = |o: &&Original| o.table == removal.table && o.name == name;
                let Some(original) = originals.iter().find(of_path) else { continue };
                let first = removal.ledgers.map_or(0, |(_, range)| i64::from(range.start().get()));
                let column = removal.ledgers.map_or("none", |(column, _)| column);
                let rows = |of: Range<i64>| -> ArrayRef {
                    Arc::new(Int64Array::from_iter_values(of.map(|_| first)))
                };
                stand_in(&folder.join(&original.name), original.shape, &[(column, &rows)])?;
                if let Some((name, shape)) = &original.deletes {
                    stand_in(&folder.join(name), *shape, &[("file_path", &empty), (POSITIONS, &ascending)])?;
                }
            }
            let paths = removal.paths.iter().map(|path| moved(path)).collect();
            remove.push(Removal { paths, ..*removal });
        }
        Ok((remove, add))
    }

    /// All live files of a network's tables with a path relative to their table.
    fn originals(&mut self, schema: &str) -> Result<Vec<Original>, LakeError> {
        let inner = format!(
            "SELECT t.table_name AS tn, f.path AS fp, f.file_size_bytes AS fb, f.footer_size AS ff, f.record_count AS n, \
             d.path AS dp, coalesce(d.file_size_bytes, 0) AS db, coalesce(d.footer_size, 0) AS df, \
             coalesce(d.delete_count, 0) AS dn FROM ducklake_schema s JOIN ducklake_table t ON t.schema_id = s.schema_id \
             JOIN ducklake_data_file f ON f.table_id = t.table_id LEFT JOIN ducklake_delete_file d \
             ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL AND d.path_is_relative = 1 \
             WHERE s.schema_name = {} AND s.end_snapshot IS NULL AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL \
             AND f.path_is_relative = 1",
            literal(schema)
        );
        let columns = "tn, fp, fb::BIGINT, ff::BIGINT, n::BIGINT, dp, db::BIGINT, df::BIGINT, dn::BIGINT";
        let length = |n: i64| usize::try_from(n).unwrap_or_default();
        self.rows("read the shapes of files", &sqlite(&inner, columns), |r| {
            let shape = |at: usize| -> duckdb::Result<Shape> {
                let (bytes, footer) = (length(r.get(at)?), length(r.get(at + 1)?));
                Ok(Shape { bytes, footer, rows: r.get(at + 2)? })
            };
            let deletes = r.get::<_, Option<String>>(5)?.map(|path| shape(6).map(|shape| (path, shape)));
            Ok(Original {
                table: r.get(0)?,
                name: r.get(1)?,
                shape: shape(2)?,
                deletes: deletes.transpose()?,
            })
        })
    }
}

/// Removes the folder of stand-ins, if it is there.
pub(crate) fn remove_shadow(shadow: &Path) -> Result<(), LakeError> {
    match fs::remove_dir_all(shadow) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LakeError::io("remove", shadow, error)),
    }
}

/// Columns of a stand-in: name, and the values of some rows.
type Columns<'c> = [(&'c str, &'c dyn Fn(Range<i64>) -> ArrayRef)];

fn empty(rows: Range<i64>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.map(|_| "")))
}

fn ascending(rows: Range<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows))
}

/// Writes a file of this shape.
fn stand_in(path: &Path, shape: Shape, columns: &Columns<'_>) -> Result<(), LakeError> {
    let failed = |reason: String| LakeError::Parquet { path: path.to_path_buf(), reason };
    // A text of n bytes takes n and the bytes of n itself: some lengths need two texts to be met.
    for second in 0..4 {
        let shortest = encode(path, shape.rows, columns, (0, second))?;
        let mut first = shape.footer.saturating_sub(footer_of(&shortest));
        loop {
            let bytes = encode(path, shape.rows, columns, (first, second))?;
            let footer = footer_of(&bytes);
            if footer == shape.footer && bytes.len() <= shape.bytes {
                return write(path, &bytes, footer, shape.bytes);
            }
            if footer <= shape.footer || first == 0 {
                break;
            }
            first -= 1;
        }
    }
    Err(failed(format!("no stand-in has {} bytes and a footer of {}", shape.bytes, shape.footer)))
}

/// The footer's length, as a file's end tells it.
fn footer_of(bytes: &[u8]) -> usize {
    let length = bytes.len().checked_sub(TAIL).and_then(|at| bytes.get(at..at + 4));
    length.and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes).try_into().unwrap_or_default()
}

/// The file's bytes with zeros before the footer, where nothing looks.
fn write(path: &Path, bytes: &[u8], footer: usize, size: usize) -> Result<(), LakeError> {
    let (body, end) = bytes.split_at(bytes.len().saturating_sub(footer + TAIL));
    let written = fs::File::create_new(path).and_then(|mut file| {
        file.write_all(body)?;
        file.write_all(&vec![0; size - bytes.len()])?;
        file.write_all(end)
    });
    written.map_err(|e| LakeError::io("write", path, e))
}

/// A Parquet file of `rows` rows whose footer holds texts of these lengths.
fn encode(
    path: &Path,
    rows: i64,
    columns: &Columns<'_>,
    (first, second): (usize, usize),
) -> Result<Vec<u8>, LakeError> {
    let failed = |reason: String| LakeError::Parquet { path: path.to_path_buf(), reason };
    let properties = WriterProperties::builder()
        .set_created_by("-".repeat(first))
        .set_key_value_metadata(Some(vec![KeyValue::new("-".to_owned(), "-".repeat(second))]))
        .set_statistics_enabled(EnabledStatistics::None)
        // Small, whatever the number of rows: positions differ by one, all else is the same.
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_dictionary_enabled(POSITIONS.into(), false)
        .set_column_encoding(POSITIONS.into(), Encoding::DELTA_BINARY_PACKED)
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(usize::MAX)
        .set_offset_index_disabled(true)
        .build();
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, values)| Field::new(*name, values(0..0).data_type().clone(), false))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)
        .map_err(|e| failed(e.to_string()))?;
    let mut next = 0;
    while next < rows {
        let of = next..rows.min(next + CHUNK_ROWS);
        next = of.end;
        let values: Vec<ArrayRef> = columns.iter().map(|(_, values)| values(of.clone())).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), values).map_err(|e| failed(e.to_string()))?;
        writer.write(&batch).map_err(|e| failed(e.to_string()))?;
    }
    writer.into_inner().map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn sevens(rows: Range<i64>) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.map(|_| 7)))
    }

    #[test]
    fn stand_ins_are_small_however_many_rows_they_have() {
        let dir = tempfile::tempdir().unwrap();
        for rows in [1, 21, 300, 1_000_000] {
            let shape = Shape { bytes: 1_300, footer: 700, rows };
            stand_in(&dir.path().join(format!("{rows}")), shape, &[("sequence", &sevens)]).unwrap();
            let columns: &Columns<'_> = &[("file_path", &empty), (POSITIONS, &ascending)];
            let bytes = if rows > 1_000 { 20_000 } else { 1_000 };
            stand_in(&dir.path().join(format!("{rows}-delete")), Shape { bytes, ..shape }, columns).unwrap();
        }
    }

    #[test]
    fn a_stand_in_has_exactly_the_shape_of_the_original() {
        let dir = tempfile::tempdir().unwrap();
        // All lengths around those where a text's own length takes a byte more.
        for (n, footer) in (220..600).chain([16_500, 16_501, 16_502, 16_650, 16_651]).enumerate() {
            let path = dir.path().join(n.to_string());
            let shape = Shape { bytes: 20_000 + n, footer, rows: 1_000 + i64::try_from(n).unwrap() };
            stand_in(&path, shape, &[("sequence", &sevens)]).unwrap();
            let bytes = fs::read(&path).unwrap();
            assert_eq!((bytes.len(), footer_of(&bytes)), (shape.bytes, shape.footer));
            let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
            let read: usize = reader.build().unwrap().map(|rows| rows.unwrap().num_rows()).sum();
            assert_eq!(i64::try_from(read).unwrap(), shape.rows);
        }
    }
}
