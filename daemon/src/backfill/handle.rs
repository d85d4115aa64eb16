//! A job in memory: its record, what it is doing now, and how fast.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use lake_core::{LedgerRange, LedgerSeq};
use tokio::sync::watch;

use super::{
    job::{Record, Workers},
    plan,
    store::{JobStore, StoreError},
    view::JobFigures,
};
use crate::{lake::RangeSet, pipeline::Chunk};

/// Time over which the rate is taken.
const WINDOW: Duration = Duration::from_secs(30);

/// A job. Every change of its record is durable before it returns, or logged.
#[derive(Debug)]
pub(super) struct Job {
    id: u32,
    record: Mutex<Record>,
    now: Mutex<Now>,
    workers: watch::Sender<Workers>,
    store: JobStore,
}

/// A chunk in work.
#[derive(Debug)]
struct AtWork {
    range: LedgerRange,
    done: Arc<AtomicU64>,
    starved: Arc<AtomicBool>,
    /// Why it waits before it tries again; empty when it does not.
    retrying: String,
}

/// What a job is doing, in this process.
#[derive(Debug, Default)]
struct Now {
    active: BTreeMap<LedgerSeq, AtWork>,
    workers: u32,
    waits_for: String,
    limited_by: &'static str,
    bytes: u64,
    stored: u64,
    retries: u64,
    failed_checks: u64,
    /// Chunks that are done with, and all that were planned.
    chunks: (u64, u64),
    /// Ledgers worked at some moments, for the rate.
    marks: VecDeque<(Instant, u64)>,
}

/// What a job is doing, to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// Workers at work.
    pub workers: u32,
    /// Chunks being worked: their ledgers, how many are done, and why one waits before it tries again.
    pub active: Vec<(LedgerRange, u64, String)>,
    /// What the job waits for; empty when for nothing.
    pub waits_for: String,
    /// `cpu`, `source` or `memory` for automatic workers; empty until known.
    pub limited_by: &'static str,
    /// Ledgers per second over the last half minute.
    pub ledgers_per_second: f64,
    /// Bytes of files committed in this process.
    pub bytes_written: u64,
}

/// A chunk being worked; forgotten when dropped.
#[derive(Debug)]
pub(super) struct Active<'j> {
    job: &'j Job,
    start: LedgerSeq,
}

impl Job {
    pub(super) fn new(record: Record, store: JobStore) -> Self {
        let (workers, _) = watch::channel(record.workers);
        Self { id: record.id, record: Mutex::new(record), now: Mutex::default(), workers, store }
    }

    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn record(&self) -> Record {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the record once the change is durable; otherwise nothing is changed.
    pub(super) fn change(&self, change: impl FnOnce(&mut Record)) -> Result<(), StoreError> {
        let mut record = self.lock();
        let mut changed = record.clone();
        change(&mut changed);
        self.store.save(&changed)?;
        *record = changed;
        self.workers.send_if_modified(|workers| std::mem::replace(workers, record.workers) != record.workers);
        Ok(())
    }

    /// The same for what happened anyway: a disk that cannot take it is logged. What is stored is the lake's coverage, and
    /// the next change writes the whole record again.
    pub(super) fn note(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.lock();
        change(&mut record);
        if let Err(error) = self.store.save(&record) {
            tracing::error!(job = self.id, error = %error, "the job's record is not durable");
        }
    }

    /// The wanted ledgers that are neither stored nor parked.
    pub(super) fn missing(&self, covered: &RangeSet) -> Vec<LedgerRange> {
        let record = self.lock();
        let mut done = covered.clone();
        record.parked().ranges().for_each(|range| done.insert(range));
        plan::missing(&record.wanted(), &done)
    }

    pub(super) fn workers(&self) -> watch::Receiver<Workers> {
        self.workers.subscribe()
    }

    /// Workers to begin with.
    pub(super) fn asked_workers(&self, cpus: usize) -> u32 {
        match *self.workers.borrow() {
            Workers::Fixed(count) => count,
            Workers::Auto => u32::try_from(cpus).unwrap_or(1),
        }
    }

    pub(super) fn begins(&self, chunk: &Chunk) -> Active<'_> {
        let start = chunk.range.start();
        let at_work = AtWork {
            range: chunk.range,
            done: Arc::clone(&chunk.done),
            starved: Arc::clone(&chunk.starved),
            retrying: String::new(),
        };
        self.now().active.insert(start, at_work);
        Active { job: self, start }
    }

    pub(super) fn stored(&self, ledgers: u64, bytes: u64) {
        let mut now = self.now();
        now.stored += ledgers;
        now.bytes += bytes;
    }

    /// Ledgers stored or in work, in this process.
    pub(super) fn ledgers_done(&self) -> u64 {
        let now = self.now();
        now.stored + now.active.values().map(|chunk| chunk.done.load(Ordering::Relaxed)).sum::<u64>()
    }

    /// So many chunks more are to be worked.
    pub(super) fn plans(&self, chunks: usize) {
        self.now().chunks.1 += chunks as u64;
    }

    /// A chunk is done with.
    pub(super) fn done_with_chunk(&self) {
        self.now().chunks.0 += 1;
    }

    /// Chunks that are done with, and all that were planned since the job began or went on.
    pub(super) fn chunks(&self) -> (u64, u64) {
        self.now().chunks
    }

    pub(super) fn waits_for(&self, what: String) {
        self.now().waits_for = what;
    }

    pub(super) fn has_workers(&self, count: u32) {
        self.now().workers = count;
    }

    pub(super) fn limited_by(&self, what: &'static str) {
        self.now().limited_by = what;
    }

    /// Nothing is being done any more.
    pub(super) fn idle(&self) {
        let mut now = self.now();
        now.workers = 0;
        now.chunks = (0, 0);
        now.waits_for.clear();
        now.marks.clear();
    }

    /// Ledgers failed a check.
    pub(super) fn failed_check(&self) {
        self.now().failed_checks += 1;
    }

    /// Adds what it did in this process.
    pub(super) fn count(&self, figures: &mut JobFigures) {
        let now = self.now();
        figures.chunks_done += now.chunks.0;
        figures.chunks_planned += now.chunks.1;
        figures.workers += u64::from(now.workers);
        figures.ledgers += now.stored;
        figures.bytes += now.bytes;
        figures.retries += now.retries;
        figures.failed_checks += now.failed_checks;
    }

    /// What it is doing now.
    pub(super) fn activity(&self) -> Activity {
        let done = self.ledgers_done();
        let mut now = self.now();
        let at = Instant::now();
        now.marks.push_back((at, done));
        while now.marks.len() > 2
            && now.marks.front().is_some_and(|(then, _)| at.duration_since(*then) > WINDOW)
        {
            now.marks.pop_front();
        }
        let rate = now.marks.front().map_or(0.0, |(then, before)| {
            let seconds = at.duration_since(*then).as_secs_f64();
            if seconds > 0.0 { done.saturating_sub(*before) as f64 / seconds } else { 0.0 }
        });
        Activity {
            workers: now.workers,
            active: now
                .active
                .values()
                .map(|chunk| (chunk.range, chunk.done.load(Ordering::Relaxed), chunk.retrying.clone()))
                .collect(),
            waits_for: now.waits_for(),
            limited_by: now.limited_by,
            ledgers_per_second: rate,
            bytes_written: now.bytes,
        }
    }
}

impl Now {
    /// What all of it waits for; empty when some of it does not wait.
    fn waits_for(&self) -> String {
        let starved = |chunk: &AtWork| chunk.starved.load(Ordering::Relaxed);
        if self.waits_for.is_empty() && !self.active.is_empty() && self.active.values().all(starved) {
            return "waits for the source: no worker has a ledger".to_owned();
        }
        self.waits_for.clone()
    }
}

impl Active<'_> {
    /// Says why the chunk waits before it tries again; nothing when it tries.
    pub(super) fn retries(&self, why: String) {
        let mut now = self.job.now();
        now.retries += u64::from(!why.is_empty());
        if let Some(chunk) = now.active.get_mut(&self.start) {
            chunk.retrying = why;
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.job.now().active.remove(&self.start);
    }
}
