//! What a pipeline tells about itself: one value behind a `watch`, changed by the pipeline, read by status.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use lake_core::LedgerSeq;
use tokio::sync::watch;

/// What a network is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkState {
    /// Finding out where to begin.
    Starting,
    /// Behind the tip of its source, or filling a range.
    CatchingUp,
    /// At the tip, taking ledgers as they close.
    Following,
    /// Everything up to the configured end is in.
    Finished,
    /// Its source is not followed: what it waits for.
    Waiting(String),
    /// A transient error: tried again after a while.
    Retrying(String),
    /// An error that does not pass by itself: an operator must act.
    Stopped(String),
}

/// CPU time of batches by what it was spent on; reading ledgers is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// XDR to values, and all checks.
    pub decode: Duration,
    /// Values to rows of all tables.
    pub extract: Duration,
    /// Rows to Parquet files.
    pub encode: Duration,
    /// The committer's work.
    pub commit: Duration,
}

impl StageTimes {
    fn add(&mut self, other: Self) {
        self.decode += other.decode;
        self.extract += other.extract;
        self.encode += other.encode;
        self.commit += other.commit;
    }
}

/// Figures of one network since the start of the process.
#[derive(Clone, Debug)]
pub struct NetworkProgress {
    /// What it is doing.
    pub state: NetworkState,
    /// Whether the source answered, well or not, since the start.
    pub tried: bool,
    /// Newest ledger that the source is known to have.
    pub tip: Option<LedgerSeq>,
    /// Ledgers committed; each was verified before.
    pub ledgers: u64,
    /// Batches committed.
    pub batches: u64,
    /// Rows committed per table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Bytes of the files committed.
    pub bytes: u64,
    /// Close time of the newest committed ledger, seconds since the Unix epoch.
    pub closed_at: Option<i64>,
    /// Time of all commits together, in the queue excluded.
    pub write_time: Duration,
    /// CPU time of all committed batches by stage.
    pub cpu: StageTimes,
    /// Times that it was tried again after an error.
    pub retries: u64,
    /// Ledgers that failed a check: each stops the network.
    pub failed_checks: u64,
    /// Last error and when.
    pub last_error: Option<(Instant, String)>,
    /// When the network started and when its last commit was.
    pub started: Instant,
    /// Last commit.
    pub last_commit: Option<Instant>,
    recent: VecDeque<(Instant, u64)>,
}

/// The pipeline's side and, cloned, everyone else's.
#[derive(Clone, Debug)]
pub struct Progress(watch::Sender<NetworkProgress>);

const RECENT: Duration = Duration::from_secs(10);

impl Default for Progress {
    fn default() -> Self {
        Self(watch::Sender::new(NetworkProgress {
            state: NetworkState::Starting,
            tried: false,
            tip: None,
            ledgers: 0,
            batches: 0,
            rows: BTreeMap::new(),
            bytes: 0,
            closed_at: None,
            write_time: Duration::ZERO,
            cpu: StageTimes::default(),
            retries: 0,
            failed_checks: 0,
            last_error: None,
            started: Instant::now(),
            last_commit: None,
            recent: VecDeque::new(),
        }))
    }
}

/// One commit, as the pipeline accounts for it.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) last: LedgerSeq,
    pub(super) ledgers: u64,
    pub(super) rows: Vec<(&'static str, u64)>,
    pub(super) bytes: u64,
    pub(super) closed_at: i64,
    pub(super) took: Duration,
    pub(super) cpu: StageTimes,
}

impl Progress {
    /// The figures now.
    pub fn get(&self) -> NetworkProgress {
        self.0.borrow().clone()
    }

    /// A receiver that sees every change of state.
    pub fn subscribe(&self) -> watch::Receiver<NetworkProgress> {
        self.0.subscribe()
    }

    pub(crate) fn set_state(&self, state: NetworkState) {
        self.0.send_if_modified(|p| {
            let changed = p.state != state;
            if let NetworkState::Retrying(message) | NetworkState::Stopped(message) = &state {
                p.last_error = Some((Instant::now(), message.clone()));
            }
            p.retries += u64::from(matches!(state, NetworkState::Retrying(_)));
            p.state = state;
            changed
        });
    }

    /// A ledger failed a check.
    pub(super) fn failed_check(&self) {
        self.0.send_modify(|p| p.failed_checks += 1);
    }

    /// The source answered, well or not.
    pub(super) fn tried(&self) {
        self.0.send_if_modified(|p| !std::mem::replace(&mut p.tried, true));
    }

    pub(super) fn saw_tip(&self, tip: LedgerSeq) {
        self.0.send_modify(|p| p.tip = p.tip.max(Some(tip)));
    }

    pub(super) fn committed(&self, commit: Committed) {
        let now = Instant::now();
        self.0.send_modify(|p| {
            p.ledgers += commit.ledgers;
            p.batches += 1;
            p.bytes += commit.bytes;
            p.closed_at = Some(commit.closed_at);
            p.write_time += commit.took;
            p.cpu.add(commit.cpu);
            p.last_commit = Some(now);
            p.tip = p.tip.max(Some(commit.last));
            for (table, rows) in commit.rows {
                *p.rows.entry(table).or_default() += rows;
            }
            p.recent.push_back((now, commit.ledgers));
            while p.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > RECENT) {
                p.recent.pop_front();
            }
        });
    }
}

impl NetworkProgress {
    /// Ledgers per second over the last ten seconds, or since the start when that is shorter.
    pub fn recent_rate(&self, now: Instant) -> f64 {
        let window = now.duration_since(self.started).min(RECENT).as_secs_f64().max(0.001);
        let ledgers: u64 =
            self.recent.iter().filter(|(at, _)| now.duration_since(*at) <= RECENT).map(|(_, n)| n).sum();
        ledgers as f64 / window
    }
}
