//! The networks of the process: starts, pauses, adds and removes their pipelines while everything else goes on.

mod error;
mod known;
mod reload;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lake_core::LedgerSeq;
use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    backfill::{Backfill, HistoryTask},
    budget::MemoryBudget,
    config::{ConfigValue, NetworkDefinition, NetworkSettings, RunTime},
    lake::{LakeError, Lane, NetworkName, NetworkSpec},
    pipeline::{self, NetworkState, NetworkTask, Progress, Shared, Start},
    source,
    verify::Verifier,
};

pub use error::NetworkError;
pub(crate) use known::known;
pub use reload::{NetworkChange, NetworkStep};

/// What the sources of all networks hold in objects that were read ahead.
#[derive(Clone, Debug)]
pub struct ReadAhead {
    /// Of live ledgers.
    pub live: MemoryBudget,
    /// Of history.
    pub history: MemoryBudget,
}

/// A network and its source.
///
/// # Errors
/// [`LakeError::BadName`].
pub fn open(settings: &NetworkSettings, read_ahead: &MemoryBudget) -> Result<NetworkTask, LakeError> {
    let identity = lake_core::Network::new(&settings.passphrase);
    Ok(NetworkTask {
        name: NetworkName::new(&settings.name)?,
        source: source::open(&settings.source, &identity, read_ahead),
        network: identity,
        lane: Lane::Live,
        only: None,
        progress: Progress::default(),
    })
}

/// A network and the source of its history.
///
/// # Errors
/// [`LakeError::BadName`].
pub fn open_history(settings: &NetworkSettings, read_ahead: &MemoryBudget) -> Result<HistoryTask, LakeError> {
    let task = open(settings, read_ahead)?;
    let source = source::open(&settings.history, &task.network, read_ahead);
    Ok(HistoryTask { task: NetworkTask { source, lane: Lane::Backfill, ..task }, live: settings.live })
}

/// What the lake knows a network by.
///
/// # Errors
/// [`LakeError::BadName`].
pub fn spec(settings: &NetworkSettings) -> Result<NetworkSpec, LakeError> {
    Ok(NetworkSpec {
        name: NetworkName::new(&settings.name)?,
        passphrase: settings.passphrase.clone(),
        network_id: lake_core::Network::new(&settings.passphrase).id(),
    })
}

/// A network as it is defined.
#[derive(Clone, Debug)]
pub struct NetworkView {
    /// Its settings.
    pub settings: NetworkSettings,
    /// Its source in words.
    pub source: String,
    /// The source of its history in words.
    pub history: String,
    /// It was added while the daemon ran.
    pub added: bool,
    /// It is paused on request.
    pub paused: bool,
}

#[derive(Debug)]
struct Entry {
    settings: NetworkSettings,
    task: NetworkTask,
    history: String,
    added: bool,
    paused: bool,
    run: Option<Run>,
}

/// A pipeline at work.
#[derive(Debug)]
struct Run {
    stop: CancellationToken,
    done: AbortOnDropHandle<()>,
}

impl Run {
    /// Ends it after what is in flight is committed.
    async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.done.await {
            tracing::error!(error = %error, "a pipeline ended early");
        }
    }
}

/// All networks of the process.
#[derive(Debug)]
pub struct Networks {
    shared: Shared,
    backfill: Arc<Backfill>,
    verifier: Arc<Verifier>,
    read_ahead: ReadAhead,
    entries: RwLock<Vec<Entry>>,
    /// Locked while anything changes: one at a time.
    kept: Mutex<RunTime>,
}

impl Networks {
    /// Nothing runs yet: [`Networks::begin`] adds the networks of the start.
    pub fn new(
        shared: Shared,
        backfill: Arc<Backfill>,
        verifier: Arc<Verifier>,
        read_ahead: ReadAhead,
        kept: RunTime,
    ) -> Self {
        Self { shared, backfill, verifier, read_ahead, entries: RwLock::default(), kept: Mutex::new(kept) }
    }

    /// Takes over a network that the lake, the jobs and the checks know already, and starts it unless it is paused.
    ///
    /// # Errors
    /// [`LakeError::BadName`].
    pub async fn begin(&self, settings: NetworkSettings, task: NetworkTask) -> Result<(), LakeError> {
        let kept = self.kept.lock().await;
        let (added, paused) = (kept.is_added(&settings.name), kept.is_paused(&settings.name));
        let history = open_history(&settings, &self.read_ahead.history)?.task.source.describe();
        let run = if paused { None } else { self.spawn(&settings, &task) };
        if paused {
            tell_paused(&task);
        }
        self.write().push(Entry { settings, task, history, added, paused, run });
        Ok(())
    }

    fn spawn(&self, settings: &NetworkSettings, task: &NetworkTask) -> Option<Run> {
        if !settings.live {
            let reason = "live is off: backfill jobs fill it".to_owned();
            task.progress.set_state(NetworkState::Waiting(reason));
            return None;
        }
        let stop = self.shared.cancel.child_token();
        let shared = Shared { cancel: stop.clone(), ..self.shared.clone() };
        let start = Start { start: settings.start, end: settings.end.map(LedgerSeq::new) };
        let done = tokio::spawn(pipeline::supervise(shared, task.clone(), start));
        Some(Run { stop, done: AbortOnDropHandle::new(done) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The networks with what is told about them, in their order.
    pub fn tasks(&self) -> Vec<NetworkTask> {
        self.read().iter().map(|entry| entry.task.clone()).collect()
    }

    /// How far the networks are that a pipeline follows.
    pub fn followed(&self) -> Vec<Progress> {
        let followed = |entry: &Entry| entry.run.is_some().then(|| entry.task.progress.clone());
        self.read().iter().filter_map(followed).collect()
    }

    /// All networks as they are defined, in their order.
    pub fn list(&self) -> Vec<NetworkView> {
        self.read().iter().map(view).collect()
    }

    /// One network.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn get(&self, name: &str) -> Result<NetworkView, NetworkError> {
        self.read()
            .iter()
            .find(|entry| entry.settings.name == name)
            .map(view)
            .ok_or_else(|| self.unknown(name))
    }

    /// What is kept of calls that changed the networks, value by value.
    pub async fn kept(&self) -> Vec<ConfigValue> {
        self.kept.lock().await.values()
    }

    fn unknown(&self, name: &str) -> NetworkError {
        let known: Vec<String> = self.read().iter().map(|entry| entry.settings.name.clone()).collect();
        NetworkError::Unknown { name: name.to_owned(), known: self::known::known(name, &known) }
    }

    /// Changes an entry; the networks do not change meanwhile.
    fn with<T>(&self, name: &str, change: impl FnOnce(&mut Entry) -> T) -> Result<T, NetworkError> {
        let changed = self.write().iter_mut().find(|entry| entry.settings.name == name).map(change);
        changed.ok_or_else(|| self.unknown(name))
    }

    /// Adds a network, keeps it and starts it.
    ///
    /// # Errors
    /// [`NetworkError`]; the network is not there then.
    pub async fn add(&self, definition: NetworkDefinition) -> Result<NetworkView, NetworkError> {
        let mut kept = self.kept.lock().await;
        let settings = definition.settings.clone();
        if self.get(&settings.name).is_ok() {
            return Err(NetworkError::Exists { name: settings.name });
        }
        // Only one that the lake takes is kept: a start fails over one that it does not.
        self.check([&settings].into_iter()).await?;
        keep(&mut kept, |kept| kept.add(definition))?;
        let launched = self.launch(settings.clone(), true, false).await;
        if launched.is_err() {
            keep(&mut kept, |kept| kept.remove(&settings.name))?;
        }
        launched
    }

    /// Stops a network that was added and forgets it. Says whether its tables were dropped, which is done on request.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn remove(&self, name: &str, purge: bool) -> Result<bool, NetworkError> {
        let mut kept = self.kept.lock().await;
        match self.get(name) {
            Ok(network) if !network.added => {
                return Err(NetworkError::Configured { name: name.to_owned() });
            }
            Ok(_) => self.forget(&mut kept, name).await?,
            // Its tables may have stayed when it was removed.
            Err(unknown) => {
                if !purge || !self.is_stored(name).await? {
                    return Err(unknown);
                }
            }
        }
        if purge {
            self.shared.lake.drop_network(&NetworkName::new(name)?).await?;
            tracing::info!(network = name, "the network's tables were dropped");
        }
        Ok(purge)
    }

    async fn is_stored(&self, name: &str) -> Result<bool, NetworkError> {
        let lake = self.shared.lake.clone();
        let stored = tokio::task::spawn_blocking(move || lake.stored_networks())
            .await
            .map_err(|error| NetworkError::Ended(error.to_string()))??;
        Ok(stored.iter().any(|network| network.name == name))
    }

    /// Stops following a network once what is in flight is committed. Pausing twice is no error.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn pause(&self, name: &str) -> Result<NetworkView, NetworkError> {
        let mut kept = self.kept.lock().await;
        self.get(name)?;
        // Durable before it takes effect: a crash in between must not start it again.
        keep(&mut kept, |kept| kept.set_paused(name, true))?;
        let run = self.with(name, |entry| {
            entry.paused = true;
            entry.run.take()
        })?;
        if let Some(run) = run {
            run.end().await;
        }
        self.with(name, |entry| {
            tell_paused(&entry.task);
            view(entry)
        })
    }

    /// Follows a network again that was paused, or that an error stopped.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn resume(&self, name: &str) -> Result<NetworkView, NetworkError> {
        let mut kept = self.kept.lock().await;
        let stands = self.with(name, |entry| {
            entry.paused || matches!(entry.task.progress.get().state, NetworkState::Stopped(_))
        })?;
        if !stands {
            return Err(NetworkError::NotPaused { name: name.to_owned() });
        }
        keep(&mut kept, |kept| kept.set_paused(name, false))?;
        self.with(name, |entry| {
            entry.paused = false;
            entry.run = self.spawn(&entry.settings, &entry.task);
            view(entry)
        })
    }

    /// Waits for all pipelines, which were told to stop by the token that they share. What does not end is given up with
    /// the future.
    pub async fn shut_down(&self) {
        let runs: Vec<Run> = self.write().iter_mut().filter_map(|entry| entry.run.take()).collect();
        for run in runs {
            run.end().await;
        }
    }
}

fn tell_paused(task: &NetworkTask) {
    let reason = format!("paused: lakectl networks resume {}", task.name);
    task.progress.set_state(NetworkState::Waiting(reason));
}

fn keep(
    kept: &mut RunTime,
    change: impl FnOnce(&mut RunTime) -> std::io::Result<()>,
) -> Result<(), NetworkError> {
    change(kept).map_err(|error| NetworkError::Store { path: kept.path().display().to_string(), error })
}

fn view(entry: &Entry) -> NetworkView {
    NetworkView {
        settings: entry.settings.clone(),
        source: entry.task.source.describe(),
        history: entry.history.clone(),
        added: entry.added,
        paused: entry.paused,
    }
}
