//! One chunk of a backfill: many ledgers become one commit without ever being held together.
//!
//! Ledgers flow one by one from the source through a bounded channel to a worker that decodes, verifies, extracts and
//! hands rows to the encoder. Unlike a live batch a chunk is as long as its files want to be; what it holds in memory is
//! bounded for all chunks together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use lake_core::{Hash32, LedgerRange, RawLedger};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;

use super::{
    NetworkTask, Shared,
    error::PipelineError,
    progress::StageTimes,
    work::{CHUNK_BYTES as CHUNK_ROWS, Chunks, TableRows, refused},
};
use crate::{
    budget::Share,
    lake::{BatchFacts, Commit, LakeError, SealedBatch},
    source::SourceError,
};

/// Ledgers that wait between the source and the worker of a chunk, beside the bound in bytes.
const WAITING: usize = 64;

/// Longest time that a chunk keeps a core while others wait for one.
const TURN: Duration = Duration::from_millis(100);

/// Rows that are handed to the encoder at the end of a turn, in bytes: what waits longer leaves the core's cache.
const TURN_BYTES: usize = 1 << 20;

/// A source that gives no ledger for so long is waited for, and the job says so.
const SLOW: Duration = Duration::from_secs(1);

/// Chunks at work at once, however much memory there is.
const MOST_CHUNKS: u64 = 128;

/// Bytes of the bound for each chunk at work. The open files of twenty tables hold 24 MiB after one ledger, 80 MiB after 50
/// dense ones; with less than this row groups would get so short that they cost more than the ledgers.
const CHUNK_BYTES: u64 = 48 << 20;

/// What all chunks of the process share.
#[derive(Clone, Debug)]
pub struct ChunkLimits {
    /// Where chunks are worked.
    cores: Arc<Cores>,
    /// Threads that work.
    pub cpus: usize,
    /// Chunks at work at once, of all jobs: as many as the bound has room for, but one for each core.
    pub places: Arc<Semaphore>,
    /// How many those are.
    pub chunks_at_once: u32,
    /// Bytes that encoders hold, all together.
    pub held: Arc<AtomicU64>,
    /// Bound on them.
    pub held_bound: u64,
    /// Time spent working, in nanoseconds, all together.
    pub busy: Arc<AtomicU64>,
}

/// A runtime for what keeps a core busy, with one thread for each core. A thread keeps the memory that it worked with, about
/// 100 MB on dense ledgers, so a thread for each chunk would be one of the largest parts of a backfill's memory.
#[derive(Debug)]
struct Cores {
    handle: Handle,
    /// Taken when dropped.
    runtime: Option<Runtime>,
}

impl Cores {
    fn new(count: usize) -> std::io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(count.max(1)).thread_name("chunks").build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Another runtime's thread must not wait here.
            runtime.shutdown_background();
        }
    }
}

impl ChunkLimits {
    /// Limits for `cpus` cores and encoders that hold at most `held_bound` bytes.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn new(cpus: usize, held_bound: u64) -> std::io::Result<Self> {
        let places = usize::try_from((held_bound / CHUNK_BYTES).min(MOST_CHUNKS)).unwrap_or(1).max(cpus);
        Ok(Self {
            cores: Arc::new(Cores::new(cpus)?),
            cpus,
            places: Arc::new(Semaphore::new(places)),
            chunks_at_once: u32::try_from(places).unwrap_or(u32::MAX),
            held: Arc::default(),
            held_bound,
            busy: Arc::default(),
        })
    }
}

/// A chunk to be stored.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Its ledgers; within one 10,000-ledger range.
    pub range: LedgerRange,
    /// Whether it takes the place of all that the tables hold of these ledgers.
    pub replaces: bool,
    /// Job, for lineage; `None` where there is none.
    pub job: Option<String>,
    /// Ledgers worked so far.
    pub done: Arc<AtomicU64>,
    /// Whether it waits for the source.
    pub starved: Arc<AtomicBool>,
    /// Gives the chunk up, within a ledger's time.
    pub cancel: CancellationToken,
}

/// A chunk whose files are written and wait for their commit. Dropping it deletes them.
#[derive(Debug)]
pub(super) struct SealedChunk {
    pub(super) batch: SealedBatch,
    pub(super) rows: TableRows,
    pub(super) cpu: StageTimes,
    pub(super) first: RawLedger,
    pub(super) first_previous_hash: Hash32,
    pub(super) last_hash: Hash32,
    pub(super) closed_at: i64,
}

/// Stores one chunk: all of it, or nothing.
///
/// # Errors
/// The first [`PipelineError`]; [`LakeError::Closed`] when it was given up.
pub async fn run_chunk(
    shared: &Shared,
    limits: &ChunkLimits,
    task: &NetworkTask,
    chunk: &Chunk,
) -> Result<Commit, PipelineError> {
    let sealed = seal_chunk(shared, limits, task, chunk).await?;
    Ok(shared.queue.submit(sealed.batch).await?)
}

/// Writes the files of one chunk: of all of it, or none.
///
/// # Errors
/// As [`run_chunk`].
pub(super) async fn seal_chunk(
    shared: &Shared,
    limits: &ChunkLimits,
    task: &NetworkTask,
    chunk: &Chunk,
) -> Result<SealedChunk, PipelineError> {
    chunk.done.store(0, Ordering::Relaxed);
    // Never closed: an error cannot come.
    let _place = limits.places.acquire().await;
    let (ledgers, waiting) = mpsc::channel(WAITING);
    let worker = Worker {
        shared: shared.clone(),
        limits: limits.clone(),
        task: task.clone(),
        chunk: chunk.clone(),
        held: 0,
    };
    let working = limits.cores.handle.spawn(worker.run(waiting));
    let fed = tokio::select! {
        biased;
        () = chunk.cancel.cancelled() => Err(PipelineError::Lake(LakeError::Closed)),
        fed = feed(shared, task, chunk, ledgers) => fed,
    };
    chunk.starved.store(false, Ordering::Relaxed);
    // The channel is closed now: the worker ends with what it has. Its own error is the earlier one.
    let sealed = working.await??;
    fed?;
    Ok(sealed.ok_or(LakeError::Closed)?)
}

/// Reads the chunk's ledgers from the source.
async fn feed(
    shared: &Shared,
    task: &NetworkTask,
    chunk: &Chunk,
    ledgers: mpsc::Sender<(RawLedger, Share)>,
) -> Result<(), PipelineError> {
    let range = chunk.range;
    let mut stream = task.source.ledgers(range.start(), Some(range.end()));
    let mut next = Some(range.start());
    while let Some(expected) = next.filter(|seq| *seq <= range.end()) {
        let ledger = match tokio::time::timeout(SLOW, stream.next()).await {
            Ok(ledger) => ledger,
            Err(_) => {
                chunk.starved.store(true, Ordering::Relaxed);
                stream.next().await
            }
        };
        chunk.starved.store(false, Ordering::Relaxed);
        let ledger = match ledger {
            Some(ledger) => ledger?,
            None => {
                let detail = "the source ended before it; check that it reaches so far".to_owned();
                let origin = task.source.describe();
                return Err(SourceError::Missing { seq: expected, origin, detail }.into());
            }
        };
        let share = shared.budget.take(ledger.xdr.len()).await;
        next = ledger.seq.next();
        if ledgers.send((ledger, share)).await.is_err() {
            // The worker refused a ledger; it says why.
            return Ok(());
        }
    }
    Ok(())
}

/// What makes files of a chunk's ledgers.
struct Worker {
    shared: Shared,
    limits: ChunkLimits,
    task: NetworkTask,
    chunk: Chunk,
    /// Bytes that this chunk's encoder is known to hold.
    held: u64,
}

/// What has passed so far.
#[derive(Default)]
struct Passed {
    first: Option<(RawLedger, Hash32)>,
    last: Option<Hash32>,
    count: u64,
    closed_at: i64,
}

impl Worker {
    /// Works the ledgers as they come. `None` when not all came.
    async fn run(
        mut self,
        mut waiting: mpsc::Receiver<(RawLedger, Share)>,
    ) -> Result<Option<SealedChunk>, PipelineError> {
        let shared = self.shared.clone();
        let encoder = shared.lake.encoder();
        let encoder = match self.chunk.replaces {
            true => encoder.begin_replacing(&self.task.name, self.chunk.range),
            false => encoder.begin(&self.task.name, self.chunk.range),
        };
        let mut rows = Chunks::new(&shared.rows, encoder, self.chunk.range.start(), None);
        let mut passed = Passed::default();
        while let Some(first) = waiting.recv().await {
            let begun = Instant::now();
            let working = self.shared.at_work.begin();
            rows.resume();
            let mut next = Some(first);
            while let Some((raw, share)) = next {
                if self.chunk.cancel.is_cancelled() {
                    return Ok(None);
                }
                self.work(&raw, &mut passed, &mut rows)?;
                drop(share);
                next = if begun.elapsed() < TURN { waiting.try_recv().ok() } else { None };
            }
            // Another chunk works with this thread's caches now.
            self.flush(&mut rows, TURN_BYTES)?;
            self.limits.busy.fetch_add(nanos(begun.elapsed()), Ordering::Relaxed);
            drop(working);
            tokio::task::yield_now().await;
        }
        let (Some((first, first_previous_hash)), Some(last_hash)) = (passed.first, passed.last) else {
            return Ok(None);
        };
        if passed.count < self.chunk.range.count() || self.chunk.cancel.is_cancelled() {
            return Ok(None);
        }
        let facts = BatchFacts {
            range: self.chunk.range,
            lane: self.task.lane,
            first_previous_hash,
            last_hash,
            source: self.task.source.describe(),
            job: self.chunk.job.clone(),
        };
        let begun = Instant::now();
        let _working = self.shared.at_work.begin();
        rows.resume();
        let (batch, rows, cpu) = rows.finish(&facts)?;
        self.limits.busy.fetch_add(nanos(begun.elapsed()), Ordering::Relaxed);
        let closed_at = passed.closed_at;
        Ok(Some(SealedChunk { batch, rows, cpu, first, first_previous_hash, last_hash, closed_at }))
    }

    fn work(
        &mut self,
        raw: &RawLedger,
        passed: &mut Passed,
        rows: &mut Chunks<'_>,
    ) -> Result<(), PipelineError> {
        let (previous, hash, closed_at) =
            rows.add(&self.task, raw, passed.last).map_err(|reason| refused(reason, raw.clone()))?;
        passed.first.get_or_insert_with(|| (raw.clone(), previous));
        passed.last = Some(hash);
        passed.closed_at = closed_at;
        passed.count += 1;
        self.chunk.done.store(passed.count, Ordering::Relaxed);
        self.flush(rows, CHUNK_ROWS)
    }

    /// Hands over the rows when they take so many bytes, and sheds when all chunks hold too much.
    fn flush(&mut self, rows: &mut Chunks<'_>, bytes: usize) -> Result<(), PipelineError> {
        if rows.flush_when(bytes)? {
            self.account(rows.held());
            if self.limits.held.load(Ordering::Relaxed) > self.limits.held_bound {
                rows.shed()?;
                self.account(rows.held());
            }
        }
        Ok(())
    }

    /// Tells all chunks what this one's encoder holds.
    fn account(&mut self, held: u64) {
        let counter = &self.limits.held;
        if held > self.held {
            counter.fetch_add(held - self.held, Ordering::Relaxed);
        } else {
            counter.fetch_sub(self.held - held, Ordering::Relaxed);
        }
        self.held = held;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.account(0);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
