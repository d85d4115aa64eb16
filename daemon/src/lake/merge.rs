//! Merging: rewrites the small files of adjacent batches as one file per table with our own encoder, outside of
//! the committer, which then only swaps names.

use std::{
    collections::HashMap,
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use arrow_array::RecordBatch;
use lake_core::{Hash32, LedgerRange, schema::TableSpec};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use sha2::{Digest, Sha256};

use crate::fail_point::Point;

use super::{
    batch::{NetworkName, SealedFile, SealedFiles},
    catalog::{Change, Failure, Removal},
    damage::{Damage, Proven},
    dirs::FileName,
    encode::{Encoder, now_micros},
    error::LakeError,
    history::read_lineage,
    inventory::RegisteredFile,
    lineage::{LINEAGE, LineageRow},
    open::Lake,
    parquet::{FileEncoder, parquet_error},
    plan::{MergeGroup, plan},
};

/// Rows that are read at once.
const READ_ROWS: usize = 4096;

/// What merging did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeReport {
    /// Swaps that were committed.
    pub merges: u64,
    /// Files that were replaced.
    pub files_in: u64,
    /// Files that replaced them.
    pub files_out: u64,
    /// Bytes of the replaced files.
    pub bytes_in: u64,
    /// Bytes of the new files.
    pub bytes_out: u64,
    /// Longest time that one swap kept the committer.
    pub longest_swap: Duration,
    /// Time of rewriting.
    pub rewriting: Duration,
    /// Files of ledgers that are smaller than a whole range, before merging.
    pub small_files: u64,
}

impl Lake {
    /// Merges what the settings call for in all networks. Blocks on CPU and disk, not on the committer but for
    /// the swaps. Ends early when `stop` says so.
    ///
    /// Files that are not what was written are noted as damage and left alone with all that would join them.
    ///
    /// # Errors
    /// The first failure; what was swapped stays swapped, all else is as it was.
    pub fn merge(&self, stop: &dyn Fn() -> bool) -> Result<MergeReport, LakeError> {
        let mut report = MergeReport::default();
        let mut damaged = None;
        for network in self.network_names() {
            let name = network.to_string();
            let files = self.ask(move |c| c.catalog.files(&name))?;
            let (groups, small) = plan(files, &self.settings.maintenance);
            report.small_files = report.small_files.saturating_add(small);
            for group in groups {
                if stop() {
                    return Ok(report);
                }
                if self.damage.ranges(&network).overlap(group.range).is_some() {
                    continue;
                }
                match self.merge_group(&network, group, &mut report, stop) {
                    // Given up half-way: nothing of this group was swapped, its new files are gone.
                    Err(LakeError::Closed) if stop() => return Ok(report),
                    Err(LakeError::DamagedFile { path, problem }) => {
                        self.note_damaged(&network, &path, &problem)?;
                        damaged.get_or_insert(LakeError::DamagedFile { path, problem });
                    }
                    done => done?,
                }
            }
        }
        damaged.map_or(Ok(report), Err)
    }

    /// Notes a file of our naming as damaged.
    fn note_damaged(&self, network: &NetworkName, path: &Path, problem: &str) -> Result<(), LakeError> {
        let name = path.file_name().and_then(|name| FileName::parse(name.to_str()?));
        let table = path.parent().and_then(|folder| folder.file_name()?.to_str());
        let damage = name.zip(table).map(|(name, table)| Damage::new(name.range, table, Some(path), problem));
        self.note_damage(network, Proven::Nothing, damage.into_iter().collect())
    }

    fn merge_group(
        &self,
        network: &NetworkName,
        group: MergeGroup,
        report: &mut MergeReport,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), LakeError> {
        let started = Instant::now();
        let swaps = rewrite(&self.encoder, network, &group, stop)?;
        report.rewriting = report.rewriting.saturating_add(started.elapsed());
        Point::MergeBeforeSwaps.pass();
        for (index, Swap { file, remove }) in swaps.into_iter().enumerate() {
            if index > 0 {
                Point::MergeBetweenSwaps.pass();
            }
            let bytes_out = file.list.first().map_or(0, |f| f.bytes);
            let files_in = u64::try_from(remove.paths.len()).unwrap_or(u64::MAX);
            let took = self.swap(network, file, remove)?;
            report.files_in = report.files_in.saturating_add(files_in);
            report.files_out = report.files_out.saturating_add(1);
            report.bytes_out = report.bytes_out.saturating_add(bytes_out);
            report.longest_swap = report.longest_swap.max(took);
        }
        for file in group.tables.values().filter(|files| files.len() > 1).flatten() {
            report.bytes_in = report.bytes_in.saturating_add(file.bytes);
        }
        report.merges = report.merges.saturating_add(1);
        Ok(())
    }

    /// Swaps the files of one table in one transaction: rows and values are the same before and after, so that
    /// tables can be swapped one by one and no swap is long. Returns how long it kept the committer.
    fn swap(&self, network: &NetworkName, file: SealedFiles, remove: Removal) -> Result<Duration, LakeError> {
        let schema = network.to_string();
        self.ask(move |committer| {
            let started = Instant::now();
            let change = Change { schema: &schema, statements: &[], remove: &[remove], add: &file.list };
            match committer.apply(&change) {
                Ok(_) => {
                    drop(file.keep());
                    Ok(started.elapsed())
                }
                Err(Failure::Refused(error)) => Err(error),
                Err(Failure::Unknown(error)) => {
                    drop(file.keep());
                    Err(error)
                }
            }
        })
    }
}

/// One table's new file and the files that it replaces.
struct Swap {
    file: SealedFiles,
    remove: Removal,
}

/// Writes the new files of a group, the lineage last: its old rows and one about this merge.
fn rewrite(
    encoder: &Encoder,
    network: &NetworkName,
    group: &MergeGroup,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Swap>, LakeError> {
    let name = encoder.dirs.new_name(group.range);
    let written = written(group.tables.get(LINEAGE.name).map(Vec::as_slice).unwrap_or_default())?;
    let merge = Merge { encoder, network, name, written, stop };
    let mut swaps = Vec::new();
    let mut files = Vec::new();
    let known = encoder.specs.iter().filter(|s| group.tables.contains_key(s.name)).count() + 1;
    if known != group.tables.len() {
        let tables: Vec<&str> = group.tables.keys().map(String::as_str).collect();
        let reason = format!("the lake has tables that this version does not know: {}", tables.join(", "));
        return Err(bad(network, group.range, "all", reason));
    }
    for spec in encoder.specs {
        let Some(inputs) = group.tables.get(spec.name) else { continue };
        if let [only] = inputs.as_slice() {
            // Nothing to join, or swapped before a crash: the lineage names it all the same.
            let file = described(spec, only)?;
            merge.check(only, file.sha256)?;
            files.push(file);
            continue;
        }
        let joined = join(&merge, spec, inputs, None)?;
        files.push(joined.clone());
        swaps.push(Swap {
            file: SealedFiles { list: vec![joined] },
            remove: removal(spec, group.range, inputs),
        });
    }
    let names: Vec<&str> = encoder.specs.iter().map(|spec| spec.name).collect();
    let lineage = LineageRow {
        range: group.range,
        kind: "merge",
        lane: "maintenance",
        job: None,
        source: &format!("{} batches", group.batches),
        files: &files,
        hashes: None,
        checks: &["rows"],
        table_set: &names,
        fingerprint: &encoder.fingerprint,
        run: encoder.dirs.run(),
        number: name.number,
        now_micros: now_micros(),
    };
    let row = lineage.record_batch().map_err(|e| bad(network, group.range, LINEAGE.name, e.to_string()))?;
    let inputs = group.tables.get(LINEAGE.name).map(Vec::as_slice).unwrap_or_default();
    let joined = join(&merge, &LINEAGE, inputs, Some(&row))?;
    swaps.push(Swap {
        file: SealedFiles { list: vec![joined] },
        remove: removal(&LINEAGE, group.range, inputs),
    });
    Ok(swaps)
}

/// A file that stays as it is, with the hash of its content.
fn described(spec: &'static TableSpec, file: &RegisteredFile) -> Result<SealedFile, LakeError> {
    let (path, sha256) = (file.path.clone(), hash_of(file)?);
    Ok(SealedFile { table: spec.name, path, rows: file.rows, bytes: file.bytes, sha256 })
}

fn hash_of(file: &RegisteredFile) -> Result<Hash32, LakeError> {
    let mut hasher = Sha256::new();
    let read = File::open(&file.path).and_then(|mut f| std::io::copy(&mut f, &mut hasher));
    read.map_err(|e| LakeError::DamagedFile {
        path: file.path.clone(),
        problem: format!("cannot be read ({e})"),
    })?;
    Ok(Hash32(hasher.finalize().into()))
}

/// Hashes that the lineage of a group tells, by table and name of the file.
type Written = HashMap<(String, String), Hash32>;

fn written(lineage: &[RegisteredFile]) -> Result<Written, LakeError> {
    let mut written = Written::new();
    for file in lineage {
        let path = || file.path.clone();
        let told =
            read_lineage(&file.path).map_err(|problem| LakeError::DamagedFile { path: path(), problem })?;
        let files = told.into_iter().flat_map(|told| told.files);
        written.extend(files.map(|(table, file)| ((table, file.name), file.sha256)));
    }
    Ok(written)
}

fn bad(network: &NetworkName, range: LedgerRange, table: &str, reason: String) -> LakeError {
    LakeError::BadBatch { network: network.to_string(), range, table: table.to_owned(), reason }
}

fn removal(spec: &'static TableSpec, range: LedgerRange, inputs: &[RegisteredFile]) -> Removal {
    Removal {
        table: spec.name,
        paths: inputs.iter().map(|f| f.path.clone()).collect(),
        ledgers: Some((spec.ledger_column, range)),
        rows: inputs.iter().map(|f| f.rows).sum(),
    }
}

/// What all files of one merge share.
struct Merge<'m> {
    encoder: &'m Encoder,
    network: &'m NetworkName,
    name: FileName,
    written: Written,
    stop: &'m dyn Fn() -> bool,
}

impl Merge<'_> {
    /// A file that changed since it was written must not be written again with a hash of its own.
    fn check(&self, file: &RegisteredFile, found: Hash32) -> Result<(), LakeError> {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match self.written.get(&(file.table.clone(), name)) {
            Some(written) if *written != found => {
                let problem = format!("has SHA-256 {found}, written was {written}");
                Err(LakeError::DamagedFile { path: file.path.clone(), problem })
            }
            // No hash of the lineage's own files is kept.
            Some(_) | None => Ok(()),
        }
    }
}

/// One file with the rows of `inputs` in their order, then `last`. Holds one row group in memory at most. Gives up with
/// [`LakeError::Closed`] when told to stop: a large merge must not hold up the end of the process.
fn join(
    merge: &Merge<'_>,
    spec: &'static TableSpec,
    inputs: &[RegisteredFile],
    last: Option<&RecordBatch>,
) -> Result<SealedFile, LakeError> {
    let Merge { encoder, network, name, stop, .. } = *merge;
    let mut output: Option<FileEncoder> = None;
    let mut append = |rows: &RecordBatch| match &mut output {
        Some(output) => output.write(rows),
        None => {
            let schema = network.as_str();
            let created = FileEncoder::create(&encoder.dirs, schema, spec, name, &encoder.settings, rows)?;
            output.insert(created).write(rows)
        }
    };
    for input in inputs {
        merge.check(input, hash_of(input)?)?;
        let mut count = 0_u64;
        for rows in reader(spec, input)? {
            if stop() {
                return Err(LakeError::Closed);
            }
            let rows =
                rows.map_err(|e| LakeError::Parquet { path: input.path.clone(), reason: e.to_string() })?;
            count = count.saturating_add(u64::try_from(rows.num_rows()).unwrap_or(u64::MAX));
            append(&rows)?;
        }
        if count != input.rows {
            let problem = format!("has {count} rows instead of {}", input.rows);
            return Err(LakeError::DamagedFile { path: input.path.clone(), problem });
        }
    }
    if let Some(rows) = last {
        append(rows)?;
    }
    let empty = || LakeError::Parquet {
        path: encoder.dirs.table(network.as_str(), spec.name),
        reason: "nothing to merge".to_owned(),
    };
    output.ok_or_else(empty)?.finish()
}

fn reader(spec: &TableSpec, input: &RegisteredFile) -> Result<ParquetRecordBatchReader, LakeError> {
    let file = File::open(&input.path).map_err(|e| LakeError::DamagedFile {
        path: input.path.clone(),
        problem: format!("cannot be opened ({e})"),
    })?;
    let options = ArrowReaderOptions::new().with_schema(spec.arrow_schema());
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .and_then(|builder| builder.with_batch_size(READ_ROWS).build())
        .map_err(|e| parquet_error(&input.path, e))
}
