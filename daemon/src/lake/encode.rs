//! A write batch to a sealed batch: checks that the rows are what the range says, then one file per table.

use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::{Array, Int64Array, RecordBatch, cast::AsArray, types::Int64Type};
use arrow_schema::DataType;
use lake_core::{
    Hash32, LedgerRange,
    schema::{TableSpec, fingerprint_of},
};

use crate::fail_point::Point;

use super::{
    LEDGERS_TABLE,
    batch::{Lane, NetworkName, OnlyTables, SealedBatch, SealedFile, SealedFiles, WriteBatch},
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
    /// An encoder of files of a lake's directories; `specs` are the tables of every network.
    pub fn new(dirs: LakeDirs, settings: EncodingSettings, specs: &'static [&'static TableSpec]) -> Self {
        Self { dirs, settings, specs, fingerprint: fingerprint_of(specs) }
    }

    /// Writes one durable Parquet file per non-empty table and the lineage file. Blocks on CPU and disk.
    ///
    /// # Errors
    /// [`LakeError::BadBatch`] when the rows are not those of the range, else what the disk says; no file stays.
    pub fn encode(&self, batch: WriteBatch) -> Result<SealedBatch, LakeError> {
        let mut open = self.begin(&batch.network, batch.range);
        open.write(batch.range, &batch.tables)?;
        open.finish(&BatchFacts {
            range: batch.range,
            lane: batch.lane,
            first_previous_hash: batch.first_previous_hash,
            last_hash: batch.last_hash,
            source: batch.source,
            job: batch.job,
        })
    }

    /// Begins a batch that is written chunk by chunk; `planned` is what it will hold if all goes well.
    pub fn begin(&self, network: &NetworkName, planned: LedgerRange) -> BatchEncoder {
        BatchEncoder {
            encoder: self.clone(),
            network: network.clone(),
            name: self.dirs.new_name(planned),
            only: None,
            replaces: false,
            files: Vec::new(),
            written: None,
        }
    }

    /// Begins a batch that adds rows of some tables to ledgers that are stored already.
    pub fn begin_adding(
        &self,
        network: &NetworkName,
        planned: LedgerRange,
        only: OnlyTables,
    ) -> BatchEncoder {
        BatchEncoder { only: Some(only), ..self.begin(network, planned) }
    }

    /// Begins a batch that takes the place of all that the tables hold of its ledgers.
    pub fn begin_replacing(&self, network: &NetworkName, planned: LedgerRange) -> BatchEncoder {
        BatchEncoder { replaces: true, ..self.begin(network, planned) }
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

/// A batch being encoded, chunk by chunk: a worker never holds the rows of a whole batch. Dropping it deletes its files.
pub struct BatchEncoder {
    encoder: Encoder,
    network: NetworkName,
    name: FileName,
    only: Option<OnlyTables>,
    replaces: bool,
    files: Vec<FileEncoder>,
    written: Option<LedgerRange>,
}

impl std::fmt::Debug for BatchEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEncoder")
            .field("network", &self.network)
            .field("written", &self.written)
            .finish()
    }
}

/// What is known about a batch once all its rows are written.
#[derive(Clone, Debug)]
pub struct BatchFacts {
    /// The ledgers in it.
    pub range: LedgerRange,
    /// Queue lane.
    pub lane: Lane,
    /// Hash that the first ledger names as the one before it.
    pub first_previous_hash: Hash32,
    /// Hash of the last ledger.
    pub last_hash: Hash32,
    /// Where the ledgers were read from, for lineage.
    pub source: String,
    /// Backfill job, for lineage.
    pub job: Option<String>,
}

impl BatchEncoder {
    /// Appends the rows of the ledgers that follow those written before.
    ///
    /// # Errors
    /// [`LakeError::BadBatch`] when the rows are not those of the range, else what the disk says.
    pub fn write(
        &mut self,
        range: LedgerRange,
        tables: &[(&'static TableSpec, RecordBatch)],
    ) -> Result<(), LakeError> {
        let network = self.network.as_str();
        if self.written.is_some_and(|before| before.end().next() != Some(range.start())) {
            return Err(bad(network, range, "all", "the rows do not follow those before".to_owned()));
        }
        check(network, range, tables)?;
        Point::BeforeEncode.pass();
        for (spec, rows) in tables {
            if rows.num_rows() == 0 || self.only.as_ref().is_some_and(|only| !only.contains(&spec.name)) {
                continue;
            }
            let open = self.files.iter_mut().find(|file| file.table() == spec.name);
            match open {
                Some(file) => file.write(rows)?,
                None => {
                    let (dirs, settings) = (&self.encoder.dirs, &self.encoder.settings);
                    let mut file = FileEncoder::create(dirs, network, spec, self.name, settings, rows)?;
                    file.write(rows)?;
                    self.files.push(file);
                }
            }
        }
        let start = self.written.map_or(range.start(), LedgerRange::start);
        self.written = LedgerRange::new(start, range.end());
        Ok(())
    }

    /// Bytes of rows that are encoded or buffered, but not in a file yet.
    pub fn held(&self) -> u64 {
        self.files.iter().map(FileEncoder::held).fold(0, u64::saturating_add)
    }

    /// Writes out what is held, as shorter row groups than the file would have without memory pressure.
    ///
    /// # Errors
    /// What the disk says.
    pub fn shed(&mut self) -> Result<(), LakeError> {
        let most = self.files.iter().map(FileEncoder::held).max().unwrap_or_default();
        // Small ones would give tiny row groups and free little.
        self.files.iter_mut().filter(|file| file.held() > most / 4).try_for_each(FileEncoder::shed)
    }

    /// Makes all files durable and adds the lineage row.
    ///
    /// # Errors
    /// As [`BatchEncoder::write`]; no file stays.
    pub fn finish(self, facts: &BatchFacts) -> Result<SealedBatch, LakeError> {
        let network = self.network.as_str();
        if self.written != Some(facts.range) {
            return Err(bad(network, facts.range, LEDGERS_TABLE, "not all rows were written".to_owned()));
        }
        // Fewer ledgers than planned when one was refused: the names say what the files hold.
        let name = FileName { range: facts.range, ..self.name };
        let mut files = SealedFiles::default();
        for file in self.files {
            files.list.push(file.named(name).finish()?);
            Point::BetweenFiles.pass();
        }
        let names: Vec<&str> = match &self.only {
            Some(only) => only.to_vec(),
            None => self.encoder.specs.iter().map(|spec| spec.name).collect(),
        };
        let lineage = LineageRow {
            range: facts.range,
            kind: match (&self.only, self.replaces) {
                (Some(_), _) => "complete",
                (None, true) => "replace",
                (None, false) => "ingest",
            },
            lane: facts.lane.as_str(),
            job: facts.job.as_deref(),
            source: &facts.source,
            files: &files.list,
            hashes: Some((facts.first_previous_hash, facts.last_hash)),
            checks: CHECKS,
            table_set: &names,
            fingerprint: &self.encoder.fingerprint,
            run: self.encoder.dirs.run(),
            number: name.number,
            now_micros: now_micros(),
        };
        let rows =
            lineage.record_batch().map_err(|e| bad(network, facts.range, LINEAGE.name, e.to_string()))?;
        files.list.push(self.encoder.file(network, &LINEAGE, name, &rows)?);
        Ok(SealedBatch {
            network: self.network,
            range: facts.range,
            lane: facts.lane,
            first_previous_hash: facts.first_previous_hash,
            last_hash: facts.last_hash,
            only: self.only,
            replaces: self.replaces,
            files,
        })
    }
}

/// Microseconds since the Unix epoch.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn bad(network: &str, range: LedgerRange, table: &str, reason: String) -> LakeError {
    LakeError::BadBatch { network: network.to_owned(), range, table: table.to_owned(), reason }
}

/// The ledgers table holds exactly the range, and no other table a row outside of it.
fn check(
    network: &str,
    range: LedgerRange,
    tables: &[(&'static TableSpec, RecordBatch)],
) -> Result<(), LakeError> {
    let bad = |table: &str, reason: String| bad(network, range, table, reason);
    if range.start().range_start() != range.end().range_start() {
        return Err(bad("all", "a file must not hold ledgers of two 10,000-ledger ranges".to_owned()));
    }
    let mut ledgers = 0_u64;
    for (spec, rows) in tables {
        if rows.num_rows() == 0 {
            continue;
        }
        let sequences = ledger_column(spec, rows).ok_or_else(|| {
            bad(spec.name, format!("no integer column {} without NULLs", spec.ledger_column))
        })?;
        let (start, end) = (i64::from(range.start().get()), i64::from(range.end().get()));
        if let Some(outside) = sequences.values().iter().find(|s| **s < start || **s > end) {
            return Err(bad(spec.name, format!("a row of ledger {outside} is outside of the range")));
        }
        if spec.name == LEDGERS_TABLE {
            let expected = start..=end;
            if !sequences.values().iter().copied().eq(expected) {
                let reason = format!("{} rows are not one row per ledger in order", sequences.len());
                return Err(bad(spec.name, reason));
            }
            ledgers = range.count();
        }
    }
    if ledgers == 0 {
        return Err(bad(LEDGERS_TABLE, "the batch has no ledgers".to_owned()));
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
