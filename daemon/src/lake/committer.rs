//! The committer: one named thread with the only read-write connection. Takes one sealed batch at a time,
//! refuses what overlaps or does not link, registers its files in one transaction, checks it, acknowledges.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

use lake_core::{Hash32, LedgerRange, LedgerSeq};
use tokio::sync::watch;

use crate::{cpu::thread_cpu, event};

use super::{
    batch::{Commit, NetworkName, SealedBatch},
    catalog::{Catalog, Change, Failure, REPLACE, Removal, Snapshot},
    coverage::RangeSet,
    damage::{DamageLog, Proven},
    encode::Encoder,
    error::LakeError,
    lacking::Lacking,
    queue::{Job, Next, WriteQueue},
    replace::Stored,
};

/// How long the committer sleeps at most without showing life.
const PATIENCE: Duration = Duration::from_secs(1);
/// First and largest pause before a locked catalog is tried again.
const LOCK_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// How far a network is stored.
#[derive(Clone, Debug, Default)]
pub struct Watermark {
    /// All stored ledgers.
    pub coverage: Arc<RangeSet>,
    /// Stored ledgers without rows in tables that were added after they were stored.
    pub lacking: Arc<Vec<Lacking>>,
    /// Ledgers that are not stored although files of some tables hold rows of them: deleted through SQL.
    pub leftovers: Arc<RangeSet>,
    /// The newest stored ledger.
    pub head: Option<LedgerSeq>,
    /// Snapshot of the newest commit of this run; `None` before it.
    pub snapshot_id: Option<i64>,
}

/// The networks of a lake and how far each is; read by everyone, written by the committer.
pub(crate) type Networks = Arc<RwLock<BTreeMap<NetworkName, watch::Sender<Watermark>>>>;

/// The committer's state.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) catalog: Catalog,
    pub(super) encoder: Encoder,
    networks: Networks,
    damage: Arc<DamageLog>,
    queue: WriteQueue,
    lock_retry: Duration,
    recycle_commits: u64,
    commits: u64,
    edges: HashMap<NetworkName, Edges>,
}

/// Hashes at the ends of the stored ranges, as far as they are known without asking the lake.
#[derive(Debug, Default)]
struct Edges {
    /// First ledger of a stored range to the hash that it names as the one before it.
    previous_of: HashMap<LedgerSeq, Hash32>,
    /// Last ledger of a stored range to its hash.
    hash_of: HashMap<LedgerSeq, Hash32>,
    /// Coverage must be read from the catalog again before the next commit.
    doubtful: bool,
}

impl Committer {
    pub(crate) fn new(
        catalog: Catalog,
        encoder: Encoder,
        shared: (Networks, Arc<DamageLog>),
        queue: WriteQueue,
        lock_retry: Duration,
        recycle_commits: u64,
    ) -> Self {
        let (networks, damage) = shared;
        Self {
            catalog,
            encoder,
            networks,
            damage,
            queue,
            lock_retry,
            recycle_commits,
            commits: 0,
            edges: HashMap::new(),
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let _end = EndOfCommitter(self.queue.clone());
        loop {
            self.queue.shared.beat();
            match self.queue.shared.next(PATIENCE) {
                Next::Batch(job) => self.job(*job),
                Next::Task(task) => task(&mut self),
                Next::Idle => {}
                Next::Done => return,
            }
        }
    }

    fn job(&mut self, job: Job) {
        let waited = job.submitted.elapsed();
        let (bytes, network, range) = (job.batch.bytes(), job.batch.network.clone(), job.batch.range);
        let result = if self.queue.shared.aborted() {
            Err(LakeError::Closed)
        } else {
            self.commit(job.batch).map(|commit| Commit { waited, ..commit })
        };
        if let Err(error) = &result {
            tracing::warn!(target: event::NOT_COMMITTED, %network, ledgers = %range, error = %error, "ledgers {range} of {network} were not committed: {error}");
        }
        self.queue.shared.finished(bytes, waited, &result);
        // Who does not wait any more reads the watermark.
        drop(job.reply.send(result));
        self.commits = self.commits.saturating_add(1);
        if self.recycle_commits > 0 && self.commits.is_multiple_of(self.recycle_commits) {
            self.catalog.recycle();
        }
    }

    /// Protocol 2 to 4 for one batch.
    fn commit(&mut self, batch: SealedBatch) -> Result<Commit, LakeError> {
        let started = Instant::now();
        let network = batch.network.clone();
        let cpu = thread_cpu();
        let remove = self.check(&batch)?;
        let (only, replaces) = (batch.only.clone(), batch.replaces);
        let (range, rows, bytes) = (batch.range, batch.rows(), batch.bytes());
        let (first_previous_hash, last_hash) = (batch.first_previous_hash, batch.last_hash);
        let change =
            Change { schema: network.as_str(), statements: &[], remove: &remove, add: &batch.files.list };
        let applied =
            if replaces { self.apply_replacing(&network, range, &change) } else { self.apply(&change) };
        let files = batch.files.list.len();
        match applied {
            Ok(snapshot) => {
                batch.files.keep();
                match only {
                    Some(only) => self.completed(&network, range, &only, snapshot),
                    None if replaces => self.replaced(&network, range, snapshot),
                    None => self.stored(&network, range, (first_previous_hash, last_hash), snapshot),
                }
                let took = started.elapsed();
                Ok(Commit {
                    network,
                    range,
                    rows,
                    bytes,
                    files,
                    snapshot_id: snapshot.id,
                    waited: Duration::ZERO,
                    took,
                    cpu: thread_cpu().saturating_sub(cpu),
                })
            }
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Unknown(error)) => {
                // Perhaps they are registered: the files stay, coverage is read again before the next commit.
                batch.files.keep();
                self.edges.entry(network.clone()).or_default().doubtful = true;
                if matches!(error, LakeError::Untrue { .. }) {
                    return Err(error);
                }
                Err(LakeError::Ambiguous { network: network.to_string(), range, reason: error.to_string() })
            }
        }
    }

    /// Whether a batch may be stored, and which files leave their tables for it.
    fn check(&mut self, batch: &SealedBatch) -> Result<Vec<Removal>, LakeError> {
        let coverage = self.settled_coverage(&batch.network)?;
        if let Some(only) = &batch.only {
            self.check_lacking(batch, only)?;
            return Ok(Vec::new());
        }
        if batch.replaces {
            self.check_links(batch, &coverage.without_all(&self.damage.ranges(&batch.network)))?;
            return self.removals(&batch.network, batch.range);
        }
        let network = batch.network.to_string();
        if let Some(stored) = coverage.overlap(batch.range) {
            return Err(LakeError::Overlap { network, range: batch.range, stored });
        }
        if let Some(reaches) = self.leftovers(&batch.network).overlap(batch.range) {
            return Err(LakeError::NotClosed { network, range: batch.range, reaches });
        }
        self.check_links(batch, &coverage)?;
        Ok(Vec::new())
    }

    fn leftovers(&self, network: &NetworkName) -> Arc<RangeSet> {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks.get(network).map(|mark| Arc::clone(&mark.borrow().leftovers)).unwrap_or_default()
    }

    /// Applies a change that takes out files which may be damaged.
    fn apply_replacing(
        &mut self,
        network: &NetworkName,
        range: LedgerRange,
        change: &Change<'_>,
    ) -> Result<Snapshot, Failure> {
        // Files that are known to be damaged are not given to DuckDB at all.
        if self.damage.ranges(network).overlap(range).is_none() {
            match self.apply(change) {
                Err(Failure::Refused(LakeError::Catalog { action: REPLACE, reason, .. })) => {
                    tracing::warn!(%network, ledgers = %range, reason, "replaced by stand-ins");
                }
                other => return other,
            }
        }
        self.unlocked(|catalog| catalog.apply_shadowed(change))
    }

    /// Applies a change, again while another process holds the catalog's lock.
    pub(crate) fn apply(&mut self, change: &Change<'_>) -> Result<Snapshot, Failure> {
        self.unlocked(|catalog| catalog.apply(change))
    }

    fn unlocked(
        &mut self,
        mut apply: impl FnMut(&mut Catalog) -> Result<Snapshot, Failure>,
    ) -> Result<Snapshot, Failure> {
        let started = Instant::now();
        let mut pause = LOCK_PAUSE.0;
        loop {
            self.queue.shared.beat();
            match apply(&mut self.catalog) {
                Err(Failure::Refused(error)) if error.is_locked() => {
                    self.queue.shared.locked(Some(started));
                    if started.elapsed() >= self.lock_retry || self.queue.shared.aborted() {
                        let path = self.catalog.dirs().catalog();
                        return Err(Failure::Refused(LakeError::CatalogLocked {
                            path,
                            waited: started.elapsed(),
                        }));
                    }
                    thread::sleep(pause);
                    pause = pause.saturating_mul(2).min(LOCK_PAUSE.1);
                }
                other => {
                    self.queue.shared.locked(None);
                    return other;
                }
            }
        }
    }

    /// What is stored of a network, read from the catalog again where that was in doubt.
    fn settled_coverage(&mut self, network: &NetworkName) -> Result<Arc<RangeSet>, LakeError> {
        let unknown = || LakeError::UnknownNetwork { network: network.to_string() };
        if self.edges.get(network).is_some_and(|e| e.doubtful) {
            self.catalog.recycle();
            self.refresh(network)?;
        }
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks.get(network).map(|mark| Arc::clone(&mark.borrow().coverage)).ok_or_else(unknown)
    }

    /// Forgets what is remembered of a network.
    pub(super) fn forget(&mut self, network: &NetworkName) {
        self.edges.remove(network);
    }

    /// Remembers what was read from the catalog.
    pub(super) fn refreshed(&mut self, network: &NetworkName, stored: Stored, lacking: Vec<Lacking>) {
        self.publish(network, |mark| {
            mark.coverage = Arc::new(stored.coverage);
            mark.leftovers = Arc::new(stored.leftovers);
            mark.lacking = Arc::new(lacking);
        });
        self.edges.remove(network);
    }

    /// The batch must follow the stored ledger before it, and be followed by the one after it.
    fn check_links(&mut self, batch: &SealedBatch, coverage: &RangeSet) -> Result<(), LakeError> {
        let network = &batch.network;
        let broken = |after: LedgerSeq, found, expected| {
            Err(LakeError::BrokenLink { network: network.to_string(), after: after.get(), found, expected })
        };
        if let Some(before) = batch.range.start().previous().filter(|s| coverage.contains(*s)) {
            let known = self.edges.get(network).and_then(|e| e.hash_of.get(&before).copied());
            let found = match known {
                Some(hash) => hash,
                None => self.link(network, before)?.hash,
            };
            if found != batch.first_previous_hash {
                return broken(before, found, batch.first_previous_hash);
            }
        }
        if let Some(after) = batch.range.end().next().filter(|s| coverage.contains(*s)) {
            let known = self.edges.get(network).and_then(|e| e.previous_of.get(&after).copied());
            let expected = match known {
                Some(hash) => hash,
                None => self.link(network, after)?.previous_hash,
            };
            if expected != batch.last_hash {
                return broken(batch.range.end(), batch.last_hash, expected);
            }
        }
        Ok(())
    }

    /// A batch that adds tables to stored ledgers: all of them must lack all of these, and be the same ledgers.
    fn check_lacking(&mut self, batch: &SealedBatch, only: &[&'static str]) -> Result<(), LakeError> {
        let (network, range) = (&batch.network, batch.range);
        let lacking = {
            let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
            networks.get(network).map(|mark| Arc::clone(&mark.borrow().lacking)).unwrap_or_default()
        };
        for table in only {
            if !lacking.iter().any(|l| l.tables.contains(table) && l.ledgers.covers(range)) {
                let reason = "not all of these ledgers are stored without it".to_owned();
                let (network, table) = (network.to_string(), (*table).to_owned());
                return Err(LakeError::BadBatch { network, range, table, reason });
            }
        }
        let first = self.link(network, range.start())?;
        let last = self.link(network, range.end())?;
        for (after, found, expected) in [
            (range.start(), batch.first_previous_hash, first.previous_hash),
            (range.end(), batch.last_hash, last.hash),
        ] {
            if found != expected {
                let network = network.to_string();
                return Err(LakeError::BrokenLink { network, after: after.get(), found, expected });
            }
        }
        Ok(())
    }

    /// Remembers that ledgers lack these tables no more.
    fn completed(&mut self, network: &NetworkName, range: LedgerRange, only: &[&'static str], at: Snapshot) {
        self.publish(network, |mark| {
            mark.lacking = Arc::new(Lacking::without(&mark.lacking, range, only));
            mark.snapshot_id = Some(at.id);
        });
    }

    /// Remembers that ledgers are stored anew, in all tables.
    fn replaced(&mut self, network: &NetworkName, range: LedgerRange, at: Snapshot) {
        let tables: Vec<&'static str> = self.encoder.specs.iter().map(|spec| spec.name).collect();
        self.publish(network, |mark| {
            Arc::make_mut(&mut mark.coverage).insert(range);
            mark.leftovers = Arc::new(mark.leftovers.without(range));
            mark.lacking = Arc::new(Lacking::without(&mark.lacking, range, &tables));
            mark.snapshot_id = Some(at.id);
        });
        self.edges.remove(network);
        if let Err(error) = self.damage.replace(network, Proven::Whole(range), Vec::new()) {
            // The ledgers are stored; at worst they are stored anew once more.
            tracing::error!(%network, ledgers = %range, error = %error, "healed damage is still on the list");
        }
    }

    /// Hashes of a ledger that coverage says is stored.
    fn link(&mut self, network: &NetworkName, seq: LedgerSeq) -> Result<super::StoredLink, LakeError> {
        self.catalog.stored_link(network.as_str(), seq)?.ok_or_else(|| LakeError::Untrue {
            path: self.catalog.dirs().catalog(),
            problem: format!("network {network}: ledger {seq} is covered but has no row"),
        })
    }

    /// Remembers a commit and tells everyone.
    fn stored(&mut self, network: &NetworkName, range: LedgerRange, hashes: (Hash32, Hash32), at: Snapshot) {
        let (mut follows, mut precedes) = (false, false);
        self.publish(network, |mark| {
            let coverage = Arc::make_mut(&mut mark.coverage);
            follows = range.start().previous().is_some_and(|s| coverage.contains(s));
            precedes = range.end().next().is_some_and(|s| coverage.contains(s));
            coverage.insert(range);
            mark.snapshot_id = Some(at.id);
        });
        // Only the ends of stored ranges are kept: as many as there are ranges.
        let edges = self.edges.entry(network.clone()).or_default();
        match range.start().previous().filter(|_| follows) {
            Some(before) => drop(edges.hash_of.remove(&before)),
            None => drop(edges.previous_of.insert(range.start(), hashes.0)),
        }
        match range.end().next().filter(|_| precedes) {
            Some(after) => drop(edges.previous_of.remove(&after)),
            None => drop(edges.hash_of.insert(range.end(), hashes.1)),
        }
    }

    fn publish(&self, network: &NetworkName, change: impl FnOnce(&mut Watermark)) {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(mark) = networks.get(network) {
            mark.send_modify(|mark| {
                change(mark);
                mark.head = mark.coverage.last();
            });
        }
    }
}

/// Tells everyone who waits, also when the thread ends by a panic.
struct EndOfCommitter(WriteQueue);

impl Drop for EndOfCommitter {
    fn drop(&mut self) {
        self.0.shared.committer_gone();
    }
}
