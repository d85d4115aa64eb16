//! Runs one job: plans its chunks, lets workers take the next free one, retries, parks, and says when all is in.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use lake_core::{LedgerRange, LedgerSeq};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    auto::Tuner,
    handle::Job,
    job::{JobState, Parked, Workers, now},
    plan::{self, ChunkRules, Density},
    sample,
};
use crate::{
    class::Class,
    event,
    lake::{LakeError, RangeSet},
    pipeline::{Chunk, ChunkLimits, NetworkTask, PipelineError, Shared, delays, keep_evidence, run_chunk},
    source::SourceError,
};

/// Most workers of a job.
pub const MAX_WORKERS: u32 = 64;

/// Tries of a ledger that the source does not have although it has later ones.
const MISSING_TRIES: u32 = 5;

/// Ledgers that are parked one by one; after so many whole chunks are, so that a source that is all bad comes to an end.
const MAX_PARKED: usize = 100;

/// How often automatic workers are reconsidered.
const TUNE: Duration = Duration::from_secs(2);

/// What a run needs of the daemon.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) shared: Shared,
    pub(super) limits: ChunkLimits,
    pub(super) rules: ChunkRules,
}

impl Engine {
    /// How the chunks of this source are cut for so many workers.
    pub(super) fn rules(&self, task: &NetworkTask, workers: u32) -> ChunkRules {
        let align = task.source.ledgers_per_object().unwrap_or(1);
        // Two for each that can be at work, so that the last ones are not left to one worker.
        let min_chunks = workers.min(self.limits.chunks_at_once) * 2;
        ChunkRules { align, min_chunks, ..self.rules }
    }
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// All that could be stored is stored.
    Complete,
    /// It was told to stop.
    Interrupted,
    /// An operator must act.
    Stopped(String),
}

/// Runs `job` until it is over or `stop` says so, and writes down how it ended.
pub(super) async fn run(engine: Engine, task: NetworkTask, job: Arc<Job>, stop: CancellationToken) {
    let end = match rounds(&engine, &task, &job, &stop).await {
        Ok(end) => end,
        Err(error) => End::Stopped(error.to_string()),
    };
    job.idle();
    match end {
        End::Interrupted => {}
        End::Complete => {
            let parked = job.record().parked.len();
            let what = match parked {
                0 => "finished: every wanted ledger is stored".to_owned(),
                1 => "finished with 1 chunk parked".to_owned(),
                n => format!("finished with {n} chunks parked"),
            };
            tracing::info!(target: event::BACKFILL_FINISHED, network = %task.name, job = job.id(), "backfill job {}: {what}", job.id());
            job.note(|record| {
                // Cancelled or paused in the last moment: that stands.
                if record.state == JobState::Running {
                    record.become_(JobState::Finished, what);
                }
            });
        }
        End::Stopped(reason) => {
            tracing::error!(target: event::BACKFILL_STOPPED, network = %task.name, job = job.id(), error = reason, "backfill job {} stopped: {reason}", job.id());
            job.note(|record| {
                if record.state == JobState::Running {
                    record.become_(JobState::Stopped, format!("stopped: {reason}"));
                    record.reason = reason;
                }
            });
        }
    }
}

/// Plans and works until nothing is missing that is not parked. One round is enough, unless others stored some of the
/// ledgers meanwhile.
async fn rounds(
    engine: &Engine,
    task: &NetworkTask,
    job: &Arc<Job>,
    stop: &CancellationToken,
) -> Result<End, PipelineError> {
    let mut density: Option<Density> = None;
    loop {
        // Others may have deleted rows since.
        let lake = &engine.shared.lake;
        lake.refresh(&task.name).await?;
        let missing = job.missing(&lake.sound(&task.name)?);
        if missing.is_empty() {
            return Ok(End::Complete);
        }
        let density = match &density {
            Some(density) => density,
            None => match sampled(task, &missing, job, stop).await? {
                Some(sampled) => density.insert(sampled),
                None => return Ok(End::Interrupted),
            },
        };
        let workers = match *job.workers().borrow() {
            Workers::Fixed(count) => count,
            Workers::Auto => MAX_WORKERS,
        };
        let rules = engine.rules(task, workers);
        let anew = plan::anew(&missing, &lake.unsound(&task.name)?);
        let anew = lake.closures(&task.name, anew).await?;
        let closed: RangeSet = anew.iter().copied().collect();
        let rest: Vec<LedgerRange> = missing.iter().flat_map(|range| closed.missing(*range)).collect();
        // Mending goes before filling.
        let mut chunks: Vec<Work> = anew.iter().map(|range| Work { range: *range, replaces: true }).collect();
        let plain = plan::chunks(&rest, density, rules);
        chunks.extend(plain.into_iter().map(|range| Work { range, replaces: false }));
        tracing::info!(network = %task.name, job = job.id(), chunks = chunks.len(), replacing = anew.len(), "backfill job {} planned", job.id());
        match round(engine, task, job, chunks, stop).await {
            End::Complete => {}
            end @ (End::Interrupted | End::Stopped(_)) => return Ok(end),
        }
    }
}

/// Samples the source, as often as it takes. `None` when told to stop.
async fn sampled(
    task: &NetworkTask,
    missing: &[LedgerRange],
    job: &Job,
    stop: &CancellationToken,
) -> Result<Option<Density>, PipelineError> {
    let mut waits = delays();
    loop {
        let sample = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            sample = sample::ledgers(task.source.as_ref(), missing) => sample,
        };
        let error = match sample {
            Ok(samples) => {
                job.waits_for(String::new());
                return Ok(Some(Density::of(&samples)));
            }
            Err(error) => error,
        };
        if error.class() == Class::Stop {
            return Err(error.into());
        }
        tracing::warn!(network = %task.name, job = job.id(), error = %error, "the source cannot be sampled yet");
        job.waits_for(error.to_string());
        if !pause(waits.next(), stop).await {
            return Ok(None);
        }
    }
}

/// Waits; false when told to stop meanwhile.
async fn pause(time: Option<Duration>, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time.unwrap_or(Duration::from_secs(30))) => true,
    }
}

/// A chunk to be worked.
#[derive(Clone, Copy, Debug)]
struct Work {
    range: LedgerRange,
    /// In place of what the tables hold of it.
    replaces: bool,
}

/// What the workers of a round share.
struct Round {
    engine: Engine,
    task: NetworkTask,
    job: Arc<Job>,
    queue: Mutex<VecDeque<Work>>,
    stop: CancellationToken,
    /// Set once by a worker that met what only an operator can mend.
    fatal: Mutex<Option<String>>,
}

impl Round {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ledgers of a chunk that can be stored without the rest of it.
    fn give_back(&self, ranges: [Option<LedgerRange>; 2]) {
        let work = |range| Work { range, replaces: false };
        let ranges: Vec<LedgerRange> = ranges.into_iter().flatten().collect();
        self.job.plans(ranges.len());
        self.queue().extend(ranges.into_iter().map(work));
    }

    fn give_up(&self, reason: String) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.stop.cancel();
    }
}

async fn round(
    engine: &Engine,
    task: &NetworkTask,
    job: &Arc<Job>,
    chunks: Vec<Work>,
    stop: &CancellationToken,
) -> End {
    job.plans(chunks.len());
    let round = Arc::new(Round {
        engine: engine.clone(),
        task: task.clone(),
        job: job.clone(),
        queue: Mutex::new(chunks.into()),
        stop: stop.child_token(),
        fatal: Mutex::new(None),
    });
    let (wanted, places) = watch::channel(job.asked_workers(engine.limits.cpus));
    let mut asked = job.workers();
    let mut tuner = Tuner::new(&engine.limits, job.ledgers_done());
    let mut workers = JoinSet::new();
    // Places that are taken: a worker too many keeps its own until its chunk is done.
    let mut taken = BTreeSet::new();
    let mut ticks = tokio::time::interval(TUNE);
    loop {
        let free = (0..*wanted.borrow()).filter(|place| !taken.contains(place)).collect::<Vec<_>>();
        for place in free.into_iter().take(round.queue().len()).filter(|_| !round.stop.is_cancelled()) {
            workers.spawn(worker(round.clone(), place, places.clone()));
            taken.insert(place);
        }
        job.has_workers(u32::try_from(workers.len()).unwrap_or(u32::MAX));
        tokio::select! {
            ended = workers.join_next() => match ended {
                Some(Ok(place)) => drop(taken.remove(&place)),
                Some(Err(error)) => round.give_up(format!("a worker ended early: {error}")),
                None => break,
            },
            changed = asked.changed() => {
                if changed.is_ok() {
                    wanted.send_replace(job.asked_workers(engine.limits.cpus));
                }
            }
            _ = ticks.tick() => {
                // With no chunk left there is nothing that more workers could do.
                if *asked.borrow() == Workers::Auto && !round.queue().is_empty() {
                    let now = tuner.reconsider(*wanted.borrow(), job.ledgers_done());
                    job.limited_by(tuner.limited_by());
                    wanted.send_if_modified(|workers| std::mem::replace(workers, now) != now);
                }
            }
        }
    }
    let fatal = round.fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
    match fatal {
        Some(reason) => End::Stopped(reason),
        None if stop.is_cancelled() => End::Interrupted,
        None => End::Complete,
    }
}

/// Takes chunks until there are none or it is one worker too many. Returns its place.
async fn worker(round: Arc<Round>, place: u32, places: watch::Receiver<u32>) -> u32 {
    while !round.stop.is_cancelled() && place < *places.borrow() {
        let Some(work) = round.queue().pop_front() else { break };
        store(&round, work).await;
        round.job.done_with_chunk();
    }
    place
}

/// Stores one chunk, however often it takes. A ledger that cannot be stored is parked alone: the ledgers around it become
/// chunks of their own, unless the chunk takes the place of what is there: that is all or nothing.
async fn store(round: &Round, work: Work) {
    let Work { range, replaces } = work;
    let Round { engine, task, job, .. } = round;
    let (done, starved, cancel) = (Arc::default(), Arc::default(), round.stop.clone());
    let chunk = Chunk { range, replaces, job: Some(job.id().to_string()), done, starved, cancel };
    let active = job.begins(&chunk);
    let mut waits = delays();
    let mut tries_of_missing = 0;
    loop {
        let begun = Instant::now();
        let error = match run_chunk(&engine.shared, &engine.limits, task, &chunk).await {
            Ok(commit) => {
                job.stored(range.count(), commit.bytes);
                tracing::debug!(
                    network = %task.name, job = job.id(), range = %range, rows = commit.rows, bytes = commit.bytes,
                    took_ms = begun.elapsed().as_millis(), "chunk stored"
                );
                return;
            }
            Err(_) if round.stop.is_cancelled() => return,
            Err(error) => error,
        };
        chunk.done.store(0, Ordering::Relaxed);
        if let PipelineError::Lake(LakeError::Overlap { .. } | LakeError::NotClosed { .. }) = &error {
            // Others stored some of it, or merged files: the next round plans what is left.
            return;
        }
        let mut class = error.class();
        if let PipelineError::Source(SourceError::Missing { seq, .. }) = &error {
            if let Some(before) = until_before(range, *seq).filter(|_| !replaces) {
                // What is there must not wait for what is not.
                round.give_back([Some(before), from_on(range, *seq)]);
                return;
            }
            tries_of_missing += 1;
            if tries_of_missing >= MISSING_TRIES {
                match round.stop.run_until_cancelled(is_behind(task, *seq)).await {
                    Some(true) => class = Class::Corrupt,
                    Some(false) => {}
                    None => return,
                }
            }
        }
        match class {
            Class::Retry => {
                tracing::warn!(network = %task.name, job = job.id(), range = %range, error = %error, "will try again");
                active.retries(error.to_string());
                if !pause(waits.next(), &round.stop).await {
                    return;
                }
                active.retries(String::new());
            }
            Class::Corrupt => {
                job.failed_check();
                return park(round, work, &error);
            }
            Class::Stop => return round.give_up(error.to_string()),
        }
    }
}

/// The ledgers of `range` before `seq`.
fn until_before(range: LedgerRange, seq: LedgerSeq) -> Option<LedgerRange> {
    LedgerRange::new(range.start(), seq.previous()?.min(range.end()))
}

/// The ledgers of `range` from `seq` on.
fn from_on(range: LedgerRange, seq: LedgerSeq) -> Option<LedgerRange> {
    LedgerRange::new(seq.max(range.start()), range.end())
}

/// Whether the source has later ledgers than `seq`.
async fn is_behind(task: &NetworkTask, seq: LedgerSeq) -> bool {
    task.source.tip().await.is_ok_and(|tip| tip.is_some_and(|tip| tip > seq))
}

/// The ledger, or all of the object that holds it where that is not what it should be.
fn at_fault(
    task: &NetworkTask,
    error: &PipelineError,
    seq: LedgerSeq,
    range: LedgerRange,
) -> Option<LedgerRange> {
    let each = task.source.ledgers_per_object().filter(|_| error.is_of_object()).unwrap_or(1).max(1);
    let last = (seq.get() - seq.get() % each).saturating_add(each - 1);
    LedgerRange::new(seq, LedgerSeq::new(last).min(range.end()))
}

/// Parks the ledger at fault, or the whole chunk where that is not known, and gives what is around it back to the queue.
fn park(round: &Round, Work { range, replaces }: Work, error: &PipelineError) {
    let Round { engine, task, job, .. } = round;
    let evidence = match keep_evidence(engine.shared.lake.path(), task.name.as_str(), error) {
        Ok(path) => path.map(|path| path.display().to_string()),
        Err(failed) => {
            tracing::error!(network = %task.name, job = job.id(), error = failed, "no evidence kept");
            None
        }
    };
    let is_few = job.record().parked.len() < MAX_PARKED;
    let is_known = is_few && !replaces && !error.is_other_network();
    let fault = error.ledger().filter(|seq| range.contains(*seq) && is_known);
    let parked = fault.and_then(|seq| at_fault(task, error, seq, range)).unwrap_or(range);
    let reason = error.to_string();
    tracing::error!(
        target: event::LEDGERS_PARKED,
        network = %task.name,
        job = job.id(),
        ledger = fault.map(LedgerSeq::get),
        range = %parked,
        error = reason,
        "ledgers {parked} of {} parked: {reason}",
        task.name
    );
    job.note(|record| {
        record.tell(format!("parked ledgers {parked}: {reason}"));
        record.parked.push(Parked { range: parked.into(), reason, evidence, at: now() });
    });
    let after = parked.end().next().and_then(|next| from_on(range, next));
    round.give_back([until_before(range, parked.start()), after]);
}
