//! The configuration of a running daemon: what is in force and why, and reading it again.

mod diff;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{ConfigError, ConfigValue, Configuration, Inputs, Origin, Settings},
    doctor::Finding,
    event,
    feed::{Feed, Happening, Kind},
    networks::{NetworkError, Networks},
    query::{QueryExecutor, QueryLimits},
    service,
    telemetry::LogLevel,
};

pub use diff::{Change, Effect};

/// Why the configuration was not read again. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It is wrong.
    #[error("the configuration is not valid, nothing was changed: {0}")]
    Invalid(#[from] ConfigError),
    /// A network in it cannot be.
    #[error("a network of the configuration cannot be, nothing was changed: {0}")]
    Network(#[from] NetworkError),
    /// Reading it ended early.
    #[error("the configuration could not be read: {0}")]
    Ended(String),
}

/// What can be changed while the daemon runs.
#[derive(Debug)]
pub struct Changeable {
    /// The networks.
    pub networks: Arc<Networks>,
    /// Queries.
    pub query: QueryExecutor,
    /// The log.
    pub level: LogLevel,
    /// Where it is told what was read.
    pub feed: Arc<Feed>,
}

/// What is in force.
#[derive(Debug)]
struct InForce {
    /// As configured, but for what needs a restart to change.
    values: Vec<ConfigValue>,
    /// Values that are lower than configured, because the process has lower limits.
    limited: Vec<ConfigValue>,
    /// The level that is configured, and the one that a call set.
    configured_level: String,
    level: Option<String>,
    shutdown_timeout: Duration,
}

/// The configuration of a running daemon.
#[derive(Debug)]
pub struct Reloader {
    inputs: Inputs,
    parts: Changeable,
    in_force: RwLock<InForce>,
    /// Held by what changes: one at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Reloader {
    /// For a daemon that was started with what was read, and works with `fitted`.
    pub fn new(read: &Configuration, fitted: &Settings, parts: Changeable) -> Self {
        let values = read.layers.values();
        let in_force = InForce {
            limited: diff::limited(&values, &read.settings, fitted),
            values,
            configured_level: read.settings.log.level.clone(),
            level: None,
            shutdown_timeout: read.settings.shutdown_timeout,
        };
        Self {
            inputs: read.inputs.clone(),
            parts,
            in_force: RwLock::new(in_force),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// All values that are in force, each with where it was set.
    pub async fn values(&self) -> Vec<ConfigValue> {
        let kept = self.parts.networks.kept().await;
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        let level = in_force.level.iter().map(|level| ConfigValue {
            key: diff::LEVEL.to_owned(),
            value: level.clone(),
            origin: Origin::RunTime(None),
        });
        let over: Vec<ConfigValue> = in_force.limited.iter().cloned().chain(level).chain(kept).collect();
        diff::laid_over(&in_force.values, over)
    }

    /// How long a stop may take.
    pub fn shutdown_timeout(&self) -> Duration {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).shutdown_timeout
    }

    /// Where the configuration comes from.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// What differs from what is in force, as a finding. Nothing when the configuration is not valid: that is one already.
    pub async fn waiting(&self) -> Option<Finding> {
        let changes = self.diff().await.ok().filter(|changes| !changes.is_empty())?;
        let keys: Vec<String> = changes.into_iter().map(|change| change.key).collect();
        let message = format!("configured, but not in force: {}", keys.join(", "));
        Some(Finding::warning(
            "config",
            message,
            "lakectl config diff tells what is what; then lakectl reload, or restart",
        ))
    }

    /// What [`Reloader::reload`] would change now.
    ///
    /// # Errors
    /// [`ReloadError`].
    pub async fn diff(&self) -> Result<Vec<Change>, ReloadError> {
        let read = self.read().await?;
        let networks = self.parts.networks.changes(&read.settings.networks).await?;
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        Ok(diff::changes(&in_force.values, &read.layers.values(), &networks))
    }

    /// Reads the configuration again and puts in force what needs no restart.
    ///
    /// # Errors
    /// [`ReloadError`].
    pub async fn reload(&self) -> Result<Vec<Change>, ReloadError> {
        let _changing = self.changing.lock().await;
        service::reloading();
        let reloaded = self.apply().await;
        service::reloaded();
        match &reloaded {
            Ok(changes) => {
                let count = |effect| changes.iter().filter(|change| change.effect == effect).count();
                let (live, restart) = (count(Effect::Live), count(Effect::Restart));
                let failed = count(Effect::Failed);
                tracing::info!(
                    target: event::RELOADED, live, restart, failed,
                    "configuration read again: {live} changes in force, {restart} need a restart, {failed} failed"
                );
                let text = format!(
                    "configuration read again: {live} changes in force, {restart} need a restart, {failed} failed"
                );
                self.parts.feed.tell(Happening::new(Kind::Reload, text));
            }
            Err(error) => {
                tracing::error!(target: event::NOT_RELOADED, error = %error, "configuration not read again: {error}");
                self.parts
                    .feed
                    .tell(Happening::new(Kind::Error, format!("configuration not read again: {error}")));
            }
        }
        reloaded
    }

    async fn read(&self) -> Result<Configuration, ReloadError> {
        let inputs = self.inputs.clone();
        let read = tokio::task::spawn_blocking(move || inputs.load());
        Ok(read.await.map_err(|error| ReloadError::Ended(error.to_string()))??)
    }

    async fn apply(&self) -> Result<Vec<Change>, ReloadError> {
        let read = self.read().await?;
        let networks = self.parts.networks.reconfigure(&read.settings.networks).await?;
        let wanted = read.layers.values();
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let mut changes = diff::changes(&in_force.values, &wanted, &networks);
        let settings = &read.settings;
        self.parts
            .query
            .set_limits(QueryLimits { timeout: settings.query.timeout, max_rows: settings.query.max_rows });
        in_force.shutdown_timeout = settings.shutdown_timeout;
        if let Some(change) = changes.iter_mut().find(|change| change.key == diff::LEVEL) {
            match self.parts.level.set(&settings.log.level) {
                Ok(()) => {
                    in_force.level = None;
                    in_force.configured_level = settings.log.level.clone();
                }
                Err(error) => change.fail(error),
            }
        }
        in_force.values = diff::applied(&in_force.values, wanted, &changes);
        Ok(changes)
    }

    /// Logs at this level until the next start, or until the configured level changes; `None`: as configured again. Gives
    /// the level in force.
    ///
    /// # Errors
    /// What is wrong with the level.
    pub async fn set_level(&self, level: Option<String>) -> Result<String, String> {
        let _changing = self.changing.lock().await;
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let text = level.clone().unwrap_or_else(|| in_force.configured_level.clone());
        self.parts.level.set(&text)?;
        in_force.level = level;
        tracing::info!(level = text, "log level set");
        Ok(text)
    }
}

/// Reads the configuration again at each SIGHUP, until the daemon stops.
pub async fn on_signal(reloader: Arc<Reloader>, mut hangups: Signal, stopping: CancellationToken) {
    while stopping.run_until_cancelled(hangups.recv()).await.is_some_and(|came| came.is_some()) {
        // What went wrong is logged, and there is nobody else to tell.
        reloader.reload().await.ok();
    }
}
