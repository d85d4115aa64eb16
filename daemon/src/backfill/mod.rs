//! Backfill: jobs that fill the lake with history, with many workers, over restarts.
//!
//! A job is what it wants; what is stored is the lake's coverage alone. Workers take the next free chunk, so nobody idles
//! and none holds the rest up.

mod auto;
mod error;
mod estimate;
mod gaps;
mod handle;
mod job;
mod plan;
mod run;
mod sample;
mod store;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use lake_core::{LedgerRange, LedgerSeq};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    lake::{NetworkName, RangeSet},
    pipeline::{ChunkLimits, NetworkTask, Shared},
    source::{Source, SourceError},
};
use handle::Job;
use run::Engine;
use store::JobStore;

pub use error::BackfillError;
pub use estimate::{Plan, Prices};
pub use handle::Activity;
pub use job::{Event, JobState, Parked, Record, Span, Workers};
pub use plan::{ChunkRules, Density};
pub use run::MAX_WORKERS;
pub use store::StoreError;
pub use view::{Attention, Gap, GapView, JobFigures, JobView};

/// Which ledgers a job wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// These.
    Range(LedgerRange),
    /// What is missing between the first and the last stored one, and what is damaged.
    Gaps,
    /// So many up to the newest of the source.
    Last(u32),
}

/// A network whose history can be filled.
#[derive(Clone, Debug)]
pub struct HistoryTask {
    /// The network, with the source of its history.
    pub task: NetworkTask,
    /// Whether another pipeline follows its newest ledgers.
    pub live: bool,
}

/// All jobs of the process.
#[derive(Debug)]
pub struct Backfill {
    engine: Engine,
    networks: RwLock<Vec<HistoryTask>>,
    prices: Prices,
    store: JobStore,
    jobs: Mutex<BTreeMap<u32, Entry>>,
    /// Held while a job starts or changes its state: one at a time.
    changing: tokio::sync::Mutex<()>,
    /// Ends all runs; the jobs go on at the next start.
    stop: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    job: Arc<Job>,
    run: Option<Run>,
}

#[derive(Debug)]
struct Run {
    stop: CancellationToken,
    done: JoinHandle<()>,
}

/// What backfill needs to know.
#[derive(Clone, Copy, Debug)]
pub struct BackfillSettings {
    /// Bytes that encoders may hold, all workers together.
    pub memory_bytes: u64,
    /// How chunks are cut.
    pub rules: ChunkRules,
    /// What objects cost.
    pub prices: Prices,
}

/// Cuts ledgers that are missing into chunks, by a sample of their source.
///
/// # Errors
/// The source cannot be read anywhere.
pub(crate) async fn cut(
    source: &dyn Source,
    missing: &[LedgerRange],
    rules: ChunkRules,
) -> Result<Vec<LedgerRange>, SourceError> {
    let samples = sample::ledgers(source, missing).await?;
    let align = source.ledgers_per_object().unwrap_or(1);
    Ok(plan::chunks(missing, &Density::of(&samples), ChunkRules { align, ..rules }))
}

impl Backfill {
    /// Jobs of `networks`. `shared.budget` is backfill's own: history must not take the memory of live ledgers.
    ///
    /// # Errors
    /// The threads for them cannot be started.
    pub fn new(
        shared: Shared,
        networks: Vec<HistoryTask>,
        settings: BackfillSettings,
    ) -> std::io::Result<Self> {
        let limits = ChunkLimits::new(shared.worker_count, settings.memory_bytes)?;
        let store = JobStore::new(shared.lake.path());
        let stop = shared.cancel.child_token();
        let engine = Engine { shared, limits, rules: settings.rules };
        Ok(Self {
            engine,
            networks: RwLock::new(networks),
            prices: settings.prices,
            store,
            jobs: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            stop,
        })
    }

    /// Reads the jobs of earlier processes and goes on with those that were running.
    pub fn load(&self) {
        let (records, errors) = self.store.load();
        for error in errors {
            tracing::error!(error = %error, "a job was not read");
        }
        let mut jobs = self.jobs();
        for record in records {
            let job = Arc::new(Job::new(record, self.store.clone()));
            let id = job.id();
            let is_running = job.record().state == JobState::Running;
            let entry = jobs.entry(id).or_insert(Entry { job, run: None });
            if !is_running {
                continue;
            }
            match self.network(&entry.job.record().network) {
                Ok(task) => {
                    entry.job.note(|record| record.tell("went on after a restart of the daemon"));
                    entry.run = Some(self.spawn(&task, &entry.job));
                }
                Err(error) => entry.job.note(|record| {
                    record.become_(JobState::Stopped, format!("stopped: {error}"));
                    record.reason = error.to_string();
                }),
            }
        }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<u32, Entry>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn networks(&self) -> RwLockReadGuard<'_, Vec<HistoryTask>> {
        self.networks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn network(&self, name: &str) -> Result<NetworkTask, BackfillError> {
        self.history(name).map(|history| history.task)
    }

    fn history(&self, name: &str) -> Result<HistoryTask, BackfillError> {
        let networks = self.networks();
        networks.iter().find(|history| history.task.name.as_str() == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = networks.iter().map(|history| history.task.name.as_str()).collect();
            BackfillError::UnknownNetwork { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// Takes jobs of another network from now on.
    pub fn add_network(&self, network: HistoryTask) {
        self.networks.write().unwrap_or_else(PoisonError::into_inner).push(network);
    }

    /// A job of this network that is not over.
    pub fn open_job(&self, network: &str) -> Option<u32> {
        let jobs = self.jobs();
        let mut records = jobs.values().map(|entry| entry.job.record());
        records.find(|record| record.network == network && record.state.is_open()).map(|record| record.id)
    }

    /// Takes no more jobs of a network. Its jobs that are over stay in the list.
    ///
    /// # Errors
    /// [`BackfillError::Open`] while a job of it is not over.
    pub async fn remove_network(&self, name: &str) -> Result<(), BackfillError> {
        let _changing = self.changing.lock().await;
        if let Some(job) = self.open_job(name) {
            return Err(BackfillError::Open { job, network: name.to_owned() });
        }
        let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        networks.retain(|history| history.task.name.as_str() != name);
        Ok(())
    }

    fn spawn(&self, task: &NetworkTask, job: &Arc<Job>) -> Run {
        let stop = self.stop.child_token();
        let done = tokio::spawn(run::run(self.engine.clone(), task.clone(), Arc::clone(job), stop.clone()));
        Run { stop, done }
    }

    /// The ledgers that a target means now. Of a network that is followed only those below its newest stored one: a live
    /// pipeline goes on after the newest, so what a job stored above would be a gap for ever.
    async fn wanted(&self, history: &HistoryTask, target: Target) -> Result<RangeSet, BackfillError> {
        let task = &history.task;
        let wanted = self.asked(task, target).await?;
        if !history.live {
            return Ok(wanted);
        }
        // What is damaged or half there is mended wherever it is: the live pipeline cannot.
        let unsound = self.engine.shared.lake.unsound(&task.name)?;
        let mut below: RangeSet =
            plan::anew(&wanted.ranges().collect::<Vec<_>>(), &unsound).into_iter().collect();
        let head = self.engine.shared.lake.coverage(&task.name)?.last();
        below.extend(head.into_iter().flat_map(|head| {
            let below = |range: LedgerRange| LedgerRange::new(range.start(), range.end().min(head));
            wanted.ranges().filter_map(below).collect::<Vec<_>>()
        }));
        if !below.is_empty() || wanted.is_empty() {
            return Ok(below);
        }
        let why = match head {
            Some(head) => format!(
                "network {} is followed: ledgers above {head} come in live; want others, or set `live: false`",
                task.name
            ),
            None => format!(
                "network {} is followed and has no ledger yet: wait for its first one, or set `live: false`",
                task.name
            ),
        };
        Err(BackfillError::Target(why))
    }

    async fn asked(&self, task: &NetworkTask, target: Target) -> Result<RangeSet, BackfillError> {
        let lake = &self.engine.shared.lake;
        // Others may have deleted rows.
        lake.refresh(&task.name).await?;
        let mut wanted = RangeSet::new();
        match target {
            Target::Range(range) => wanted.insert(range),
            Target::Gaps => {
                wanted.extend(lake.coverage(&task.name)?.gaps());
                wanted.extend(lake.unsound(&task.name)?.ranges());
            }
            Target::Last(count) => {
                let Some(tip) = task.source.tip().await? else {
                    let why =
                        format!("{} cannot tell its newest ledger: give a range", task.source.describe());
                    return Err(BackfillError::Target(why));
                };
                let first = tip.get().saturating_sub(count.saturating_sub(1)).max(2);
                wanted.extend(LedgerRange::new(LedgerSeq::new(first), tip).filter(|_| count > 0));
            }
        }
        Ok(wanted)
    }

    /// What a job would do, measured on a sample; its time also for this number of workers.
    ///
    /// # Errors
    /// [`BackfillError`].
    pub async fn plan(
        &self,
        network: &str,
        target: Target,
        workers: Option<Workers>,
    ) -> Result<Plan, BackfillError> {
        workers.map_or(Ok(()), check_workers)?;
        let history = self.history(network)?;
        let wanted = self.wanted(&history, target).await?;
        let task = &history.task;
        let asked = workers.and_then(|workers| match workers {
            Workers::Fixed(count) => Some(count),
            Workers::Auto => None,
        });
        estimate::estimate(&self.engine, task, &wanted, self.prices, asked).await
    }

    /// Starts a job.
    ///
    /// # Errors
    /// [`BackfillError`]; nothing is started then.
    pub async fn start(
        &self,
        network: &str,
        target: Target,
        workers: Workers,
        force: bool,
    ) -> Result<JobView, BackfillError> {
        check_workers(workers)?;
        let history = self.history(network)?;
        let wanted = self.wanted(&history, target).await?;
        let task = &history.task;
        if plan::missing(&wanted, &self.engine.shared.lake.sound(&task.name)?).is_empty() {
            return Err(BackfillError::NothingMissing { network: network.to_owned() });
        }
        if !force {
            let plan = estimate::estimate(&self.engine, task, &wanted, self.prices, None).await?;
            plan.fits(self.engine.shared.lake.path())?;
        }
        // Only now: a slow source may take minutes to be sampled.
        let _changing = self.changing.lock().await;
        // It may be gone by now.
        self.network(network)?;
        self.check_free(network, &wanted)?;
        let last = self.jobs().keys().next_back().copied().unwrap_or(0);
        let id = last.max(self.store.highest()) + 1;
        let mut record = Record {
            id,
            network: network.to_owned(),
            wanted: wanted.ranges().map(Span::from).collect(),
            workers,
            state: JobState::Running,
            reason: String::new(),
            parked: Vec::new(),
            created_at: job::now(),
            ended_at: None,
            history: Vec::new(),
        };
        record.tell("started");
        self.store.save(&record)?;
        let job = Arc::new(Job::new(record, self.store.clone()));
        let run = self.spawn(task, &job);
        self.jobs().insert(id, Entry { job: Arc::clone(&job), run: Some(run) });
        self.view(&job)
    }

    /// Refuses ledgers that another open job wants.
    fn check_free(&self, network: &str, wanted: &RangeSet) -> Result<(), BackfillError> {
        for entry in self.jobs().values() {
            let record = entry.job.record();
            if record.network != network || !record.state.is_open() {
                continue;
            }
            let theirs = record.wanted();
            if let Some(range) = wanted.ranges().find_map(|range| theirs.overlap(range)) {
                return Err(BackfillError::Taken { job: record.id, network: network.to_owned(), range });
            }
        }
        Ok(())
    }

    fn view(&self, job: &Job) -> Result<JobView, BackfillError> {
        let record = job.record();
        let coverage =
            self.network(&record.network).ok().map(|task| self.engine.shared.lake.sound(&task.name));
        let stored = match coverage.transpose()? {
            Some(coverage) => {
                let missing: u64 =
                    plan::missing(&record.wanted(), &coverage).iter().map(|range| range.count()).sum();
                record.wanted().count() - missing
            }
            None => 0,
        };
        let mut activity = job.activity();
        if record.state == JobState::Running
            && let Some(locked) = self.engine.shared.lake.locked()
        {
            activity.waits_for = locked.to_string();
        }
        Ok(JobView { activity, record, stored })
    }

    fn job(&self, id: u32) -> Result<Arc<Job>, BackfillError> {
        let known = self.jobs().get(&id).map(|entry| Arc::clone(&entry.job));
        match known {
            Some(job) => Ok(job),
            // One whose file could not be read at start is not unknown.
            None => {
                Err(self.store.trouble(id).map_or(BackfillError::UnknownJob { id }, BackfillError::Store))
            }
        }
    }

    /// All jobs, newest first.
    ///
    /// # Errors
    /// What reading the lake gives.
    pub fn list(&self) -> Result<Vec<JobView>, BackfillError> {
        let jobs: Vec<_> = self.jobs().values().rev().map(|entry| Arc::clone(&entry.job)).collect();
        jobs.iter().map(|job| self.view(job)).collect()
    }

    /// One job; 0 is the newest.
    ///
    /// # Errors
    /// [`BackfillError::UnknownJob`].
    pub fn get(&self, id: u32) -> Result<JobView, BackfillError> {
        let id = match id {
            0 => self.jobs().keys().next_back().copied().unwrap_or(0),
            id => id,
        };
        self.view(&*self.job(id)?)
    }

    /// Stops taking chunks. What was in flight and not committed is worked again later.
    ///
    /// # Errors
    /// [`BackfillError::State`] for a job that does not run.
    pub async fn pause(&self, id: u32) -> Result<JobView, BackfillError> {
        self.end(id, JobState::Paused, "paused", &[JobState::Running]).await
    }

    /// Ends a job for good; what is committed stays.
    ///
    /// # Errors
    /// [`BackfillError::State`] for a job that is over.
    pub async fn cancel(&self, id: u32) -> Result<JobView, BackfillError> {
        let open = [JobState::Running, JobState::Paused, JobState::Stopped];
        self.end(id, JobState::Cancelled, "cancelled", &open).await
    }

    async fn end(
        &self,
        id: u32,
        state: JobState,
        what: &'static str,
        from: &[JobState],
    ) -> Result<JobView, BackfillError> {
        let _changing = self.changing.lock().await;
        let job = self.job(id)?;
        let is = job.record().state;
        if !from.contains(&is) {
            return Err(BackfillError::State { id, state: is.word(), hint: hint(is) });
        }
        // Durable before it takes effect: a crash in between must not bring the job back to life.
        job.change(|record| record.become_(state, what))?;
        let run = self.jobs().get_mut(&id).and_then(|entry| entry.run.take());
        if let Some(run) = run {
            run.stop.cancel();
            if let Err(error) = run.done.await {
                tracing::error!(job = id, error = %error, "a run ended early");
            }
        }
        self.view(&job)
    }

    /// Goes on with a job; parked chunks are tried again.
    ///
    /// # Errors
    /// [`BackfillError::State`] for a job that runs or was cancelled, or has nothing left to do.
    pub async fn resume(&self, id: u32) -> Result<JobView, BackfillError> {
        let _changing = self.changing.lock().await;
        let job = self.job(id)?;
        let record = job.record();
        let is_over = record.state == JobState::Finished && record.parked.is_empty();
        if matches!(record.state, JobState::Running | JobState::Cancelled) || is_over {
            return Err(BackfillError::State { id, state: record.state.word(), hint: hint(record.state) });
        }
        let task = self.network(&record.network)?;
        if !record.state.is_open() {
            // Others may have begun to want its ledgers since it was over.
            self.check_free(&record.network, &record.wanted())?;
        }
        job.change(|record| {
            record.parked.clear();
            record.become_(JobState::Running, "resumed");
        })?;
        let run = self.spawn(&task, &job);
        if let Some(entry) = self.jobs().get_mut(&id) {
            entry.run = Some(run);
        }
        self.view(&job)
    }

    /// Changes the number of workers of a job, at once.
    ///
    /// # Errors
    /// [`BackfillError::Workers`].
    pub fn set_workers(&self, id: u32, workers: Workers) -> Result<JobView, BackfillError> {
        check_workers(workers)?;
        let job = self.job(id)?;
        job.change(|record| {
            record.workers = workers;
            record.tell(match workers {
                Workers::Fixed(count) => format!("set to {count} workers"),
                Workers::Auto => "set to automatic workers".to_owned(),
            });
        })?;
        self.view(&job)
    }

    /// Chunks that running jobs are done with, and all that they planned, since each began or went on.
    pub fn chunks(&self) -> (u64, u64) {
        let jobs = self.jobs();
        let of_jobs = jobs.values().map(|entry| entry.job.chunks());
        of_jobs.fold((0, 0), |(done, all), (of_job, planned)| (done + of_job, all + planned))
    }

    /// The records of all jobs, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.jobs().values().map(|entry| entry.job.record()).collect()
    }

    /// What the jobs of a network did in this process.
    pub fn figures(&self, network: &str) -> JobFigures {
        let mut figures = JobFigures::default();
        let history = self.networks().iter().find(|history| history.task.name.as_str() == network).cloned();
        figures.traffic = history.map(|history| history.task.source.traffic()).unwrap_or_default();
        for entry in self.jobs().values() {
            let record = entry.job.record();
            if record.network == network {
                let states = JobState::ALL.iter().zip(&mut figures.jobs);
                states.filter(|(state, _)| **state == record.state).for_each(|(_, jobs)| *jobs += 1);
                entry.job.count(&mut figures);
            }
        }
        figures
    }

    /// What the jobs of a network mean for its health.
    pub fn attention(&self, network: &NetworkName) -> Attention {
        let mut attention = Attention::default();
        for entry in self.jobs().values() {
            let record = entry.job.record();
            if record.network != network.as_str() {
                continue;
            }
            match record.state {
                JobState::Running => {
                    attention.filling.extend(record.wanted().without_all(&record.parked()).ranges())
                }
                JobState::Stopped => {
                    let what = format!("backfill job {} is stopped: {}", record.id, record.reason);
                    attention.stopped.get_or_insert(what);
                }
                JobState::Paused | JobState::Finished | JobState::Cancelled => {}
            }
        }
        attention
    }

    /// What every network lacks between its first and its last ledger, and what is damaged.
    ///
    /// # Errors
    /// [`BackfillError::UnknownNetwork`], or what reading the lake gives.
    pub async fn gaps(&self, network: Option<&str>) -> Result<Vec<GapView>, BackfillError> {
        let tasks: Vec<NetworkTask> = match network {
            Some(name) => vec![self.network(name)?],
            None => self.networks().iter().map(|history| history.task.clone()).collect(),
        };
        let records: Vec<Record> = self.jobs().values().map(|entry| entry.job.record()).collect();
        let mut views = Vec::with_capacity(tasks.len());
        for task in tasks {
            let of_network: Vec<&Record> =
                records.iter().filter(|record| record.network == task.name.as_str()).collect();
            views.push(gaps::view(&self.engine.shared.lake, &task.name, &of_network).await?);
        }
        Ok(views)
    }

    /// Ends all runs and waits for them. The jobs go on at the next start.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        let runs: Vec<Run> = self.jobs().values_mut().filter_map(|entry| entry.run.take()).collect();
        for run in runs {
            if let Err(error) = run.done.await {
                tracing::error!(error = %error, "a run ended early");
            }
        }
    }
}

fn check_workers(workers: Workers) -> Result<(), BackfillError> {
    match workers {
        Workers::Fixed(count) if !(1..=MAX_WORKERS).contains(&count) => Err(BackfillError::Workers(count)),
        Workers::Fixed(_) | Workers::Auto => Ok(()),
    }
}

const fn hint(state: JobState) -> &'static str {
    match state {
        JobState::Running => "it can be paused, cancelled or given other workers",
        JobState::Paused | JobState::Stopped => "it can be resumed or cancelled",
        JobState::Finished => "it has nothing left to do; start another one",
        JobState::Cancelled => "it is over; start another one",
    }
}
