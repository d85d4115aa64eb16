//! What a worker does with a batch: decode, verify, link, extract and encode, all on one core while the data are in
//! its cache. Rows go to their files in chunks of a few megabytes, never as a whole batch.

use std::mem;

use lake_core::{
    Hash32, LedgerRange, LedgerSeq, RawLedger, decode,
    tables::{TableRoom, TableSet},
};

use super::{
    NetworkTask, RowSettings, Shared,
    batcher::RawBatch,
    error::{PipelineError, RefusedBy},
    progress::StageTimes,
};
use crate::{
    cpu::CpuLaps,
    lake::{BatchEncoder, BatchFacts, LakeError, OnlyTables, SealedBatch},
};

/// Rows that are built before they are handed to the encoder, in bytes. Each of the 380 columns has an encoder with hash
/// tables of its own, which leave the core's cache between two chunks: at 1 MB encoding took 1.4 times as long. At 100 MB the
/// allocator fetched fresh pages for each batch.
pub const CHUNK_BYTES: usize = 16 << 20;

/// Rows per table.
pub(super) type TableRows = Vec<(&'static str, u64)>;

/// A worked batch.
#[derive(Debug)]
pub(super) struct Worked {
    /// The ledgers that passed, encoded; `None` when not even the first did.
    pub(super) sealed: Option<Sealed>,
    /// What ended the batch early.
    pub(super) failure: Option<PipelineError>,
}

/// Encoded ledgers and what is needed to link and account for them.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) batch: SealedBatch,
    pub(super) first: RawLedger,
    pub(super) first_previous_hash: Hash32,
    pub(super) last_hash: Hash32,
    pub(super) ledgers: u64,
    pub(super) rows: TableRows,
    pub(super) closed_at: i64,
    pub(super) cpu: StageTimes,
}

/// Works a batch. Ledgers before a bad one are kept: only what fails a check is not written.
pub(super) fn work(shared: &Shared, task: &NetworkTask, raw: RawBatch) -> Worked {
    match attempt(shared, task, &raw.ledgers) {
        Ok(worked) => worked,
        // Half a ledger is in the columns: the ledgers before it are worked again without it.
        Err(Half { index, refusal }) => {
            let before = raw.ledgers.get(..index).unwrap_or_default();
            match attempt(shared, task, before) {
                Ok(Worked { sealed, failure }) => Worked { sealed, failure: failure.or(Some(refusal)) },
                Err(Half { refusal, .. }) => Worked { sealed: None, failure: Some(refusal) },
            }
        }
    }
}

/// A ledger whose rows could not all be made.
struct Half {
    index: usize,
    refusal: PipelineError,
}

/// What has passed so far.
struct Passed {
    last: LedgerSeq,
    first_previous_hash: Hash32,
    last_hash: Hash32,
    closed_at: i64,
}

fn attempt(shared: &Shared, task: &NetworkTask, ledgers: &[RawLedger]) -> Result<Worked, Half> {
    let mut failure = None;
    let mut passed: Option<Passed> = None;
    let (Some(first), Some(planned)) = (ledgers.first(), planned(ledgers)) else {
        return Ok(Worked { sealed: None, failure });
    };
    let encoder = match &task.only {
        Some(only) => shared.lake.encoder().begin_adding(&task.name, planned, only.clone()),
        None => shared.lake.encoder().begin(&task.name, planned),
    };
    let mut chunks = Chunks::new(&shared.rows, encoder, first.seq, task.only.clone());
    for (index, raw) in ledgers.iter().enumerate() {
        match chunks.add(task, raw, passed.as_ref().map(|p| p.last_hash)) {
            Ok((previous_hash, hash, closed_at)) => {
                let first_previous_hash = passed.map_or(previous_hash, |p| p.first_previous_hash);
                passed = Some(Passed { last: raw.seq, first_previous_hash, last_hash: hash, closed_at });
                if let Err(error) = chunks.flush_when(CHUNK_BYTES) {
                    return Ok(Worked { sealed: None, failure: Some(error.into()) });
                }
            }
            Err(reason @ RefusedBy::Extract(_)) => {
                return Err(Half { index, refusal: refused(reason, raw.clone()) });
            }
            Err(reason) => {
                failure = Some(refused(reason, raw.clone()));
                break;
            }
        }
    }
    let Some((passed, range)) =
        passed.and_then(|p| LedgerRange::new(first.seq, p.last).map(|range| (p, range)))
    else {
        return Ok(Worked { sealed: None, failure });
    };
    let facts = BatchFacts {
        range,
        lane: task.lane,
        first_previous_hash: passed.first_previous_hash,
        last_hash: passed.last_hash,
        source: task.source.describe(),
        job: None,
    };
    Ok(match chunks.finish(&facts) {
        Ok((batch, rows, cpu)) => {
            let sealed = Sealed {
                batch,
                first: first.clone(),
                first_previous_hash: passed.first_previous_hash,
                last_hash: passed.last_hash,
                ledgers: range.count(),
                rows,
                closed_at: passed.closed_at,
                cpu,
            };
            Worked { sealed: Some(sealed), failure }
        }
        Err(error) => Worked { sealed: None, failure: Some(error.into()) },
    })
}

fn planned(ledgers: &[RawLedger]) -> Option<LedgerRange> {
    LedgerRange::new(ledgers.first()?.seq, ledgers.last()?.seq)
}

/// Rows on their way to the encoder.
pub(super) struct Chunks<'s> {
    settings: &'s RowSettings,
    encoder: BatchEncoder,
    pub(super) tables: TableSet,
    /// What the rows took that were handed over last, until the next ones come.
    room: Option<TableRoom>,
    start: LedgerSeq,
    last: Option<LedgerSeq>,
    rows: TableRows,
    only: Option<OnlyTables>,
    laps: CpuLaps,
    cpu: StageTimes,
}

impl<'s> Chunks<'s> {
    pub(super) fn new(
        settings: &'s RowSettings,
        encoder: BatchEncoder,
        start: LedgerSeq,
        only: Option<OnlyTables>,
    ) -> Self {
        let (tables, laps) = (settings.tables(), CpuLaps::start());
        Self {
            settings,
            encoder,
            tables,
            room: None,
            start,
            last: None,
            rows: Vec::new(),
            only,
            laps,
            cpu: StageTimes::default(),
        }
    }

    /// Adds the rows of one ledger: its parent's hash, its hash and its close time.
    pub(super) fn add(
        &mut self,
        task: &NetworkTask,
        raw: &RawLedger,
        previous: Option<Hash32>,
    ) -> Result<(Hash32, Hash32, i64), RefusedBy> {
        let ledger = decode::decode(raw, &task.network)?;
        if let Some(previous) = previous {
            decode::verify_link(previous, &ledger)?;
        }
        self.cpu.decode += self.laps.lap();
        // Only now: they take the memory that the rows before gave back, and a chunk that waits holds none.
        if let Some(room) = self.room.take() {
            self.tables = self.settings.tables().with_room(&room);
        }
        self.tables.extract(&ledger)?;
        self.cpu.extract += self.laps.lap();
        self.last = Some(raw.seq);
        Ok((ledger.previous_hash, ledger.hash, ledger.closed_at))
    }

    /// Hands over the rows when they take at least so many bytes; says whether it did.
    pub(super) fn flush_when(&mut self, bytes: usize) -> Result<bool, LakeError> {
        let Some(last) = self.last.filter(|_| self.tables.bytes() >= bytes) else { return Ok(false) };
        let room = self.tables.room();
        self.flush(last)?;
        // Only now: the next rows take the memory that these gave back.
        self.tables = self.settings.tables().with_room(&room);
        Ok(true)
    }

    /// Counts CPU time from now on: the work goes on on another thread, perhaps.
    pub(super) fn resume(&mut self) {
        self.laps = CpuLaps::start();
    }

    /// Bytes that the encoder holds in memory.
    pub(super) fn held(&self) -> u64 {
        self.encoder.held()
    }

    /// Lets the encoder write out what it holds.
    pub(super) fn shed(&mut self) -> Result<(), LakeError> {
        self.encoder.shed()
    }

    /// Hands over the rows of the ledgers up to `last`.
    fn flush(&mut self, last: LedgerSeq) -> Result<(), LakeError> {
        let Some(range) = LedgerRange::new(self.start, last) else { return Ok(()) };
        self.room = Some(self.tables.room());
        let tables = mem::replace(&mut self.tables, self.settings.tables()).finish();
        for (spec, rows) in &tables {
            if self.only.as_ref().is_some_and(|only| !only.contains(&spec.name)) {
                continue;
            }
            let count = rows.num_rows() as u64;
            match self.rows.iter_mut().find(|(table, _)| *table == spec.name) {
                Some((_, sum)) => *sum += count,
                None => self.rows.push((spec.name, count)),
            }
        }
        self.encoder.write(range, &tables)?;
        self.start = last.next().unwrap_or(last);
        self.cpu.encode += self.laps.lap();
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        facts: &BatchFacts,
    ) -> Result<(SealedBatch, TableRows, StageTimes), LakeError> {
        if self.start <= facts.range.end() {
            self.flush(facts.range.end())?;
        }
        let batch = self.encoder.finish(facts)?;
        self.cpu.encode += self.laps.lap();
        Ok((batch, self.rows, self.cpu))
    }
}

pub(super) fn refused(reason: RefusedBy, ledger: RawLedger) -> PipelineError {
    PipelineError::Refused { reason, ledger: Box::new(ledger) }
}
