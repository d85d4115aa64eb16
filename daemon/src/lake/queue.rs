//! The write queue: bounded in batches and bytes, two lanes, the live one first, the other one never starved. Waiting for
//! space in it is the back-pressure that all pipelines feel.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    batch::{Commit, Lane, SealedBatch},
    committer::Committer,
    error::LakeError,
    settings::QueueSettings,
    timing::Timing,
};

/// After this time a batch of the backfill lane goes before live ones, at most one in that time: live batches that never
/// end do not hold up history for ever, and one commit in five seconds does not hold up live ledgers.
const FAIRNESS: Duration = Duration::from_secs(5);
/// Bytes per permit of the byte bound.
const UNIT: u64 = 4096;

/// A handle to the queue of a lake. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WriteQueue {
    pub(crate) shared: Arc<QueueShared>,
}

/// Where the queue stands. Counts since the lake was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Batches that are queued or being committed.
    pub depth: usize,
    /// Batches that fit.
    pub capacity: usize,
    /// Bytes of the files of those batches.
    pub bytes: u64,
    /// Bytes that fit.
    pub capacity_bytes: u64,
    /// Batches accepted.
    pub submitted: u64,
    /// Batches committed.
    pub written: u64,
    /// Batches that were not stored, duplicates included.
    pub failed: u64,
    /// Batches refused because some of their ledgers were stored already.
    pub duplicates: u64,
    /// Rows committed.
    pub rows: u64,
    /// Bytes committed.
    pub bytes_written: u64,
    /// Time from submission to the start of the transaction.
    pub wait: Timing,
    /// Time of the transaction with its checks.
    pub write: Timing,
    /// Since when another process keeps the catalog locked; `None` when none does.
    pub locked_since: Option<Instant>,
}

/// Work for the committer other than batches: short, and never many at once.
pub(crate) type Task = Box<dyn FnOnce(&mut Committer) + Send>;

/// A batch in the queue with the space it takes and who waits for it.
pub(crate) struct Job {
    pub(crate) batch: SealedBatch,
    pub(crate) submitted: Instant,
    pub(crate) reply: oneshot::Sender<Result<Commit, LakeError>>,
    _space: Vec<OwnedSemaphorePermit>,
}

/// Is told of each finished batch how long it waited and, if it was committed, how long that took. It must not wait.
pub type Observer = Box<dyn Fn(Duration, Option<Duration>) + Send + Sync>;

/// What the committer does next.
pub(crate) enum Next {
    Batch(Box<Job>),
    Task(Task),
    Idle,
    Done,
}

#[derive(Default)]
struct State {
    live: VecDeque<Box<Job>>,
    backfill: VecDeque<Box<Job>>,
    /// When a batch of the backfill lane was last taken.
    backfill_taken: Option<Instant>,
    tasks: VecDeque<Task>,
    stats: QueueStats,
    /// No new batches.
    closed: bool,
    /// Queued batches are failed instead of committed.
    aborted: bool,
    /// No new tasks either: the committer is gone.
    gone: bool,
}

impl State {
    /// The batch that is committed next.
    fn take(&mut self, now: Instant) -> Option<Box<Job>> {
        let is_long = |since: Instant| now.saturating_duration_since(since) >= FAIRNESS;
        let is_overdue = self.backfill.front().is_some_and(|job| is_long(job.submitted))
            && self.backfill_taken.is_none_or(is_long);
        if let Some(job) = self.live.pop_front_if(|_| !is_overdue) {
            return Some(job);
        }
        let job = self.backfill.pop_front()?;
        self.backfill_taken = Some(now);
        Some(job)
    }
}

pub(crate) struct QueueShared {
    state: Mutex<State>,
    wake: Condvar,
    observer: OnceLock<Observer>,
    space: Arc<Semaphore>,
    backfill_space: Arc<Semaphore>,
    byte_space: Arc<Semaphore>,
    byte_permits: u32,
    /// When the queue was made. Not the wall clock: that one jumps.
    origin: Instant,
    /// Milliseconds after `origin` at which the committer last showed life.
    heartbeat: AtomicU64,
}

impl std::fmt::Debug for QueueShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteQueue").field("stats", &self.lock().stats).finish_non_exhaustive()
    }
}

impl WriteQueue {
    pub(crate) fn new(settings: &QueueSettings) -> Self {
        let batches = settings.batches.clamp(2, 100_000);
        let units = settings.bytes.div_ceil(UNIT).clamp(1, 1 << 29);
        let byte_permits = u32::try_from(units).unwrap_or(1 << 29);
        let stats = QueueStats { capacity: batches, capacity_bytes: settings.bytes, ..QueueStats::default() };
        let reserved = (batches / 4).max(1);
        let shared = QueueShared {
            state: Mutex::new(State { stats, ..State::default() }),
            wake: Condvar::new(),
            observer: OnceLock::new(),
            space: Arc::new(Semaphore::new(batches)),
            backfill_space: Arc::new(Semaphore::new(batches - reserved)),
            byte_space: Arc::new(Semaphore::new(usize::try_from(byte_permits).unwrap_or(1))),
            byte_permits,
            origin: Instant::now(),
            heartbeat: AtomicU64::new(0),
        };
        shared.beat();
        Self { shared: Arc::new(shared) }
    }

    /// Hands a batch over and waits until it is committed. Waits for space first: back-pressure.
    ///
    /// A future that is dropped while it waits for space takes its batch along; later the batch is committed.
    ///
    /// # Errors
    /// Whatever refused the batch; its files are deleted then, except for [`LakeError::Ambiguous`].
    pub async fn submit(&self, batch: SealedBatch) -> Result<Commit, LakeError> {
        let submitted = Instant::now();
        let space = self.shared.reserve(batch.lane, batch.bytes()).await?;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Job { batch, submitted, reply, _space: space });
        self.shared.push(job)?;
        answer.await.unwrap_or(Err(LakeError::Closed))
    }

    /// Where the queue stands.
    pub fn stats(&self) -> QueueStats {
        self.shared.lock().stats.clone()
    }

    /// Tells `observer` of every batch from now on; only the first one counts.
    pub fn observe(&self, observer: Observer) {
        if self.shared.observer.set(observer).is_err() {
            tracing::error!("the write queue has an observer already");
        }
    }

    /// Time since the committer last showed life. It does so at least every second when it is well.
    pub fn heartbeat_age(&self) -> Duration {
        let then = Duration::from_millis(self.shared.heartbeat.load(Ordering::Relaxed));
        self.shared.origin.elapsed().saturating_sub(then)
    }

    /// Takes no more batches; those in it are still committed, or failed when `abort`.
    pub(crate) fn close(&self, abort: bool) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.aborted |= abort;
        drop(state);
        self.shared.space.close();
        self.shared.backfill_space.close();
        self.shared.byte_space.close();
        self.shared.wake.notify_all();
    }

    /// Gives the committer a task.
    pub(crate) fn task(&self, task: Task) -> Result<(), LakeError> {
        let mut state = self.shared.lock();
        if state.gone {
            return Err(LakeError::Closed);
        }
        state.tasks.push_back(task);
        drop(state);
        self.shared.wake.notify_all();
        Ok(())
    }
}

impl QueueShared {
    async fn reserve(&self, lane: Lane, bytes: u64) -> Result<Vec<OwnedSemaphorePermit>, LakeError> {
        let closed = |_| LakeError::Closed;
        let mut permits = Vec::with_capacity(3);
        if lane == Lane::Backfill {
            permits.push(Arc::clone(&self.backfill_space).acquire_owned().await.map_err(closed)?);
        }
        permits.push(Arc::clone(&self.space).acquire_owned().await.map_err(closed)?);
        // A batch larger than the whole bound goes alone.
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.byte_permits);
        permits.push(Arc::clone(&self.byte_space).acquire_many_owned(units).await.map_err(closed)?);
        Ok(permits)
    }

    fn push(&self, job: Box<Job>) -> Result<(), LakeError> {
        let mut state = self.lock();
        if state.closed {
            return Err(LakeError::Closed);
        }
        state.stats.submitted = state.stats.submitted.saturating_add(1);
        state.stats.depth = state.stats.depth.saturating_add(1);
        state.stats.bytes = state.stats.bytes.saturating_add(job.batch.bytes());
        match job.batch.lane {
            Lane::Live => state.live.push_back(job),
            Lane::Backfill => state.backfill.push_back(job),
        }
        drop(state);
        self.wake.notify_all();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece of work; waits for it at most `patience`.
    pub(crate) fn next(&self, patience: Duration) -> Next {
        let mut state = self.lock();
        for waited in [false, true] {
            if let Some(task) = state.tasks.pop_front() {
                return Next::Task(task);
            }
            if let Some(job) = state.take(Instant::now()) {
                return Next::Batch(job);
            }
            if state.closed {
                state.gone = true;
                return Next::Done;
            }
            if !waited {
                state = self.wake.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        Next::Idle
    }

    /// Whether queued batches are to be failed.
    pub(crate) fn aborted(&self) -> bool {
        self.lock().aborted
    }

    /// Another process keeps the catalog locked since `then`, or does no more.
    pub(crate) fn locked(&self, then: Option<Instant>) {
        let mut state = self.lock();
        let since = &mut state.stats.locked_since;
        *since = then.map(|then| since.map_or(then, |before| before.min(then)));
    }

    /// Counts a finished job.
    pub(crate) fn finished(&self, bytes: u64, waited: Duration, result: &Result<Commit, LakeError>) {
        if let Some(observer) = self.observer.get() {
            observer(waited, result.as_ref().ok().map(|commit| commit.took));
        }
        let mut state = self.lock();
        let stats = &mut state.stats;
        stats.depth = stats.depth.saturating_sub(1);
        stats.bytes = stats.bytes.saturating_sub(bytes);
        stats.wait.add(waited);
        match result {
            Ok(commit) => {
                stats.written = stats.written.saturating_add(1);
                stats.rows = stats.rows.saturating_add(commit.rows);
                stats.bytes_written = stats.bytes_written.saturating_add(commit.bytes);
                stats.write.add(commit.took);
            }
            Err(error) => {
                stats.failed = stats.failed.saturating_add(1);
                let duplicate = matches!(error, LakeError::Overlap { .. });
                stats.duplicates = stats.duplicates.saturating_add(u64::from(duplicate));
            }
        }
    }

    /// The committer lives.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heartbeat.store(now, Ordering::Relaxed);
    }

    /// The committer ended, for whatever reason: nobody waits for it any longer.
    pub(crate) fn committer_gone(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.gone = true;
        let rest = (
            std::mem::take(&mut state.live),
            std::mem::take(&mut state.backfill),
            std::mem::take(&mut state.tasks),
        );
        drop(state);
        // Dropping a job tells its submitter, and deletes its files.
        drop(rest);
        self.space.close();
        self.backfill_space.close();
        self.byte_space.close();
    }
}

#[cfg(test)]
mod tests {
    use lake_core::{Hash32, LedgerRange, LedgerSeq};

    use super::{super::batch::NetworkName, *};

    fn job(lane: Lane, seq: u32, submitted: Instant) -> Box<Job> {
        let batch = SealedBatch {
            network: NetworkName::new("alpha").unwrap(),
            range: LedgerRange::new(LedgerSeq::new(seq), LedgerSeq::new(seq)).unwrap(),
            lane,
            first_previous_hash: Hash32::sha256(&[]),
            last_hash: Hash32::sha256(&[]),
            only: None,
            replaces: false,
            files: Default::default(),
        };
        Box::new(Job { batch, submitted, reply: oneshot::channel().0, _space: Vec::new() })
    }

    /// Live batches come without end, a commit takes a second, ten batches of history came at once.
    #[test]
    fn a_live_lane_that_is_never_empty_lets_one_batch_of_history_pass_in_five_seconds() {
        let begun = Instant::now();
        let mut state = State::default();
        state.backfill.extend((0..10).map(|seq| job(Lane::Backfill, seq, begun)));
        let mut passed = Vec::new();
        for second in 0..21 {
            let now = begun + Duration::from_secs(second);
            state.live.push_back(job(Lane::Live, 1_000, now));
            if state.take(now).unwrap().batch.lane == Lane::Backfill {
                passed.push(second);
            }
        }
        assert_eq!(passed, [5, 10, 15, 20]);
        // Four live ones wait; then history goes on as fast as it can.
        let now = begun + Duration::from_secs(21);
        let lanes: Vec<Lane> = std::iter::from_fn(|| state.take(now)).map(|job| job.batch.lane).collect();
        assert_eq!(lanes, [[Lane::Live; 4].as_slice(), &[Lane::Backfill; 6]].concat());
    }

    #[test]
    fn history_that_came_just_now_waits_for_live_batches() {
        let begun = Instant::now();
        let mut state = State::default();
        state.backfill.push_back(job(Lane::Backfill, 1, begun));
        state.live.push_back(job(Lane::Live, 2, begun));
        let lanes = std::iter::from_fn(|| state.take(begun)).map(|job| job.batch.lane);
        assert_eq!(lanes.collect::<Vec<_>>(), [Lane::Live, Lane::Backfill]);
        assert!(state.take(begun).is_none());
    }
}
