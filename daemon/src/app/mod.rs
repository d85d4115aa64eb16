//! Builds everything from the settings, runs it, and drains it in flow order: sources, workers, queue, committer,
//! keeper.

mod manager;
mod status;

use std::{
    error::Error,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lake_core::tables::SPECS;
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    backfill::{Backfill, BackfillSettings, ChunkRules, HistoryTask, Prices},
    budget::MemoryBudget,
    cli::Exit,
    config::{ConfigError, Configuration, RunTime, Settings},
    control::{self, ControlError, ControlSocket, InheritedSocket, Served},
    event,
    feed::{self, Feed},
    lake::{
        EncodingSettings, Lake, LakeError, LakeSettings, Maintenance, MaintenanceSettings, QueueSettings,
        extension_files,
    },
    limits::Limits,
    metrics::{self, Exporter, ListenError, OtlpError},
    networks::{self, Networks, ReadAhead},
    pipeline::{AtWork, RowSettings, Shared},
    pressure::{self, Caches},
    query::{Prepared, QueryExecutor, QuerySettings},
    reload::{self, Changeable, Reloader},
    service,
    telemetry::LogLevel,
    verify::Verifier,
};

pub use status::AppStatus;

/// What ends the daemon, with the exit code that says which kind it is.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AppError {
    /// Exit code.
    pub exit: Exit,
    /// What, where, what to do.
    pub message: String,
}

impl AppError {
    /// An error with its exit code.
    pub fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl From<LakeError> for AppError {
    fn from(error: LakeError) -> Self {
        Self::new(error.exit(), error)
    }
}

impl From<ControlError> for AppError {
    fn from(error: ControlError) -> Self {
        let exit = match &error {
            ControlError::PathTooLong { .. } | ControlError::BadPath { .. } => Exit::Config,
            ControlError::InUse { .. } | ControlError::NotASocket { .. } => Exit::Unavailable,
            ControlError::Bind { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            ControlError::Describe { .. } => Exit::Internal,
            ControlError::Bind { .. } | ControlError::Inherited { .. } | ControlError::Serve { .. } => {
                Exit::Io
            }
        };
        Self::new(exit, chain(&error))
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Settings of the lake as the storage wants them.
pub fn lake_settings(settings: &Settings) -> LakeSettings {
    let maintenance = &settings.maintenance;
    LakeSettings {
        extension_dir: settings.lake.extension_dir.clone(),
        encoding: EncodingSettings {
            zstd_level: settings.lake.compression_level,
            ..EncodingSettings::default()
        },
        queue: QueueSettings { batches: settings.queue_capacity, ..QueueSettings::default() },
        maintenance: MaintenanceSettings {
            merge: maintenance.enabled,
            merge_interval: Some(maintenance.interval),
            merge_small_files: Some(maintenance.merge_after_files as u64),
            merge_every_commits: Some(maintenance.merge_after_commits).filter(|n| *n > 0),
            target_file_bytes: maintenance.target_file_bytes,
            max_live_files: maintenance.max_live_files as u64,
            wal_interval: maintenance.wal_checkpoint_interval,
            snapshot_age: Some(maintenance.expire_snapshots_older_than),
            cleanup_age: maintenance.cleanup_files_older_than,
            ..MaintenanceSettings::default()
        },
        ..LakeSettings::new(&settings.lake.path)
    }
}

/// What the pipelines of a process share.
pub fn shared(settings: &Settings, lake: Arc<Lake>, cancel: CancellationToken) -> Shared {
    Shared {
        queue: lake.queue(),
        lake,
        budget: MemoryBudget::new(settings.memory_bytes),
        workers: Arc::new(Semaphore::new(settings.workers)),
        worker_count: settings.workers,
        at_work: AtWork::default(),
        batch: settings.batch,
        rows: RowSettings {
            era_id: settings.lake.era_id.as_deref().map(Into::into),
            version_label: settings.lake.version_label.as_str().into(),
            raw_xdr: settings.lake.raw_xdr,
        },
        cancel,
    }
}

/// Time for the committer to finish what is in the queue, after the pipelines ended.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

fn query_settings(settings: &Settings, lake: &Path, extensions: &[PathBuf]) -> QuerySettings {
    let extension_dir = extensions.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    QuerySettings {
        memory_limit_bytes: settings.query.memory_bytes,
        threads: settings.query.threads,
        timeout: settings.query.timeout,
        max_rows: settings.query.max_rows,
        max_concurrent: settings.query.max_concurrent,
        ..QuerySettings::for_lake(lake, extension_dir)
    }
}

/// Opens the lake and adds the configured networks; blocking.
fn open_lake(settings: &Settings) -> Result<Lake, LakeError> {
    let lake = Lake::open(lake_settings(settings), SPECS)?;
    for network in &settings.networks {
        lake.add_network(&networks::spec(network)?)?;
    }
    Ok(lake)
}

/// What queries need and does not wait for the lake; blocking.
fn prepare_queries(settings: &Settings) -> Result<Prepared, AppError> {
    let extensions = extension_files(settings.lake.extension_dir.as_deref())?;
    QueryExecutor::prepare(&query_settings(settings, &settings.lake.path, &extensions))
        .map_err(|error| AppError::new(Exit::Internal, chain(&error)))
}

/// Longest time from the end of the drain to the end of the process: open calls, the queue, the keeper.
const CLOSING: Duration = Duration::from_secs(25);

/// Runs the daemon until a signal stops it. Calls come in on `inherited` when the service manager holds the socket.
///
/// # Errors
/// What kept it from starting, or what went wrong while it stopped.
pub async fn run(
    read: Configuration,
    level: LogLevel,
    inherited: Option<InheritedSocket>,
) -> Result<(), AppError> {
    let internal = |error: std::io::Error| AppError::new(Exit::Internal, error);
    let hangups = service::hangups().map_err(internal)?;
    let recovering = tokio::spawn(manager::recovering());
    let configuration = |error: ConfigError| AppError::new(Exit::Config, error);
    let mut kept = RunTime::load(&read.settings.lake.path).map_err(configuration)?;
    let settings = kept.extend(read.settings.clone()).map_err(configuration)?;
    let settings = Limits::read().fit(settings);
    let (opening, querying) = (settings.clone(), settings.clone());
    // Each instance of DuckDB checks the extensions' signatures: both at once.
    let queries = tokio::task::spawn_blocking(move || prepare_queries(&querying));
    let lake = tokio::task::spawn_blocking(move || open_lake(&opening))
        .await
        .map_err(|error| AppError::new(Exit::Internal, error))??;
    recovering.abort();
    let lake = Arc::new(lake);
    let intake = CancellationToken::new();
    let serving = CancellationToken::new();
    let shared = shared(&settings, lake.clone(), intake.clone());
    let read_ahead = ReadAhead {
        live: MemoryBudget::new(settings.memory_bytes / 8),
        history: MemoryBudget::new(settings.backfill.memory_bytes / 16),
    };
    let budgets = vec![read_ahead.live.clone(), read_ahead.history.clone()];
    let tasks = settings
        .networks
        .iter()
        .map(|network| networks::open(network, &read_ahead.live).map(|task| (task, network)))
        .collect::<Result<Vec<_>, LakeError>>()?;

    let open_history = |network| networks::open_history(network, &read_ahead.history);
    let histories = settings.networks.iter().map(open_history).collect::<Result<Vec<_>, LakeError>>()?;
    let backfill = backfill(&settings, &shared, histories.clone()).map_err(internal)?;
    let backfill = Arc::new(backfill);
    let verifier =
        Arc::new(Verifier::new(shared.clone(), histories.into_iter().map(|history| history.task).collect()));
    backfill.load();
    let networks = Networks::new(shared.clone(), backfill.clone(), verifier.clone(), read_ahead, kept);
    let networks = Arc::new(networks);
    let status = Arc::new(AppStatus::new(lake.clone(), networks.clone(), backfill.clone()));
    let prepared = queries.await.map_err(|error| AppError::new(Exit::Internal, error))??;
    let query = QueryExecutor::attach(prepared, query_settings(&settings, lake.path(), lake.extensions()))
        .map_err(|error| AppError::new(Exit::Internal, chain(&error)))?;
    let feed = Arc::new(Feed::default());
    let parts = Changeable { networks: networks.clone(), query: query.clone(), level, feed: feed.clone() };
    let reloader = Arc::new(Reloader::new(&read, &settings, parts));
    let socket = match inherited {
        Some(inherited) => inherited.listen()?,
        None => bind(&settings.socket).await?,
    };
    // Before the first call: a reload compares with what is there.
    for (task, network) in tasks {
        networks.begin(network.clone(), task).await?;
    }
    let server = tokio::spawn(control::serve_on(
        socket,
        status.clone(),
        Some(query.clone()),
        Served {
            backfill: Some(backfill.clone()),
            verifier: Some(verifier),
            networks: Some(networks.clone()),
            reloader: Some(reloader.clone()),
            feed: Some(feed.clone()),
            lake: Some(lake.clone()),
        },
        serving.clone(),
    ));

    let exporter = show_metrics(&settings, &status, &lake, &serving).await?;
    let happening =
        feed::Watched { lake: lake.clone(), networks: networks.clone(), backfill: backfill.clone() };
    if let Some(path) = pressure::named() {
        let caches = Caches { query: Some(query), budgets };
        tokio::spawn(pressure::watch(path, caches, serving.clone()));
    }
    tokio::spawn(feed::watch(feed, happening, serving.clone()));
    let maintenance = lake.start_maintenance()?;
    let sweeping = lake.clone();
    let sweep = tokio::task::spawn_blocking(move || tidy(&sweeping));
    let watched = manager::Watched { lake: lake.clone(), at_work: shared.at_work.clone() };
    let followed = networks.followed();
    let told =
        tokio::spawn(manager::tell(status.clone(), watched, followed, [intake.clone(), serving.clone()]));

    let reloads = tokio::spawn(reload::on_signal(reloader.clone(), hangups, intake.clone()));

    let signal = service::stop_signal().await.map_err(internal)?;
    tracing::info!(target: event::STOPPING, signal, "stopping by {signal}: committing what is in flight");
    let patience = reloader.shutdown_timeout();
    service::stopping(patience + CLOSING);
    intake.cancel();
    let drained = drain(patience, reloads, &backfill, &networks).await;
    serving.cancel();
    ended(server, told, sweep).await;
    let closed = tokio::task::spawn_blocking(move || close(&lake, maintenance, exporter));
    closed.await.map_err(|error| AppError::new(Exit::Internal, error))??;
    tracing::info!(target: event::STOPPED, "stopped");
    if !drained {
        return Err(AppError::new(
            Exit::Internal,
            "the deadline of the stop passed; nothing acknowledged is lost",
        ));
    }
    Ok(())
}

/// Ends what only blocking calls end.
fn close(lake: &Lake, maintenance: Maintenance, exporter: Option<Exporter>) -> Result<(), LakeError> {
    drop(maintenance);
    if let Some(exporter) = exporter {
        exporter.stop();
    }
    lake.close(CLOSE_DEADLINE)
}

/// Commits what is in flight, for at most so long. Says whether that was all.
async fn drain(
    patience: Duration,
    reloads: JoinHandle<()>,
    backfill: &Backfill,
    networks: &Networks,
) -> bool {
    let drained = tokio::time::timeout(patience, async {
        // A reload may have begun networks.
        if let Err(error) = reloads.await {
            tracing::error!(error = %error, "the task that reloads ended early");
        }
        backfill.shut_down().await;
        networks.shut_down().await;
    });
    let drained = drained.await.is_ok();
    if !drained {
        // Nothing acknowledged is lost: what was not committed is read again at the next start.
        tracing::warn!(target: event::NOT_DRAINED, after = ?patience, "not all in flight was committed in time");
    }
    drained
}

impl From<ListenError> for AppError {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Unix(error) => {
                let Self { exit, message } = Self::from(error);
                Self { exit, message: format!("metrics.listen: {message}") }
            }
            ListenError::Tcp { .. } => Self::new(Exit::Io, error),
        }
    }
}

/// Shows and sends metrics where the settings say so.
async fn show_metrics(
    settings: &Settings,
    status: &Arc<AppStatus>,
    lake: &Lake,
    serving: &CancellationToken,
) -> Result<Option<Exporter>, AppError> {
    if let Some(address) = &settings.metrics.listen {
        let listener = metrics::Listener::bind(address).await?;
        tracing::info!("metrics are shown at {}", listener.place());
        tokio::spawn(listener.serve(status.clone(), serving.clone()));
    }
    Exporter::start(settings.metrics.otlp.as_deref(), status.clone(), &lake.queue())
        .map_err(|error: OtlpError| AppError::new(Exit::Config, error))
}

/// Waits for what ends by itself once nothing is served any more, and says what of it went wrong.
async fn ended(
    server: JoinHandle<Result<(), ControlError>>,
    told: JoinHandle<()>,
    sweep: JoinHandle<Result<(), LakeError>>,
) {
    match server.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(error = chain(&error), "the control socket failed"),
        Err(error) => tracing::error!(error = %error, "the control server ended early"),
    }
    if let Err(error) = told.await {
        tracing::error!(error = %error, "the task that tells the service manager ended early");
    }
    match sweep.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "the files of the lake were not checked and swept"),
        Err(error) => tracing::error!(error = %error, "the sweep ended early"),
    }
}

/// The control socket, and its folder where that is missing.
async fn bind(path: &Path) -> Result<ControlSocket, AppError> {
    if let Some(directory) = path.parent() {
        tokio::fs::create_dir_all(directory).await.map_err(|error| {
            AppError::new(Exit::Io, format!("cannot make {} for the socket: {error}", directory.display()))
        })?;
    }
    Ok(ControlSocket::bind(path).await?)
}

/// Backfill with its own memory and its own sources: history must not slow live ledgers down.
fn backfill(settings: &Settings, shared: &Shared, networks: Vec<HistoryTask>) -> std::io::Result<Backfill> {
    Backfill::new(backfill_shared(settings, shared), networks, backfill_settings(settings))
}

/// What chunks share with the rest of the process, and what is their own.
pub(crate) fn backfill_shared(settings: &Settings, shared: &Shared) -> Shared {
    Shared { budget: MemoryBudget::new(settings.backfill.memory_bytes / 16), ..shared.clone() }
}

/// How history is worked.
///
/// Counted are objects that are read ahead, ledgers that wait for a worker (a sixteenth each) and rows in open files (three
/// sixteenths). The rest is for what cannot be counted: zstd's contexts, one for each column, which take half of what the
/// rows take; what the threads work with, 120 MB each; and the process itself.
pub(crate) fn backfill_settings(settings: &Settings) -> BackfillSettings {
    let section = settings.backfill;
    BackfillSettings {
        memory_bytes: section.memory_bytes / 16 * 3,
        rules: ChunkRules {
            bytes: section.chunk_bytes,
            min_ledgers: MIN_CHUNK_LEDGERS,
            // Who asks for smaller chunks means it.
            min_bytes: MIN_CHUNK_BYTES.min(section.chunk_bytes),
            align: 1,
            min_chunks: 1,
        },
        prices: Prices {
            per_thousand_requests: section.per_thousand_requests,
            per_gigabyte: section.per_gigabyte,
        },
    }
}

/// Ledgers of the shortest chunk: below this, sparse history would spend its time in commits.
const MIN_CHUNK_LEDGERS: u32 = 2_500;

/// Bytes of XDR that are worth a commit, however few the ledgers.
const MIN_CHUNK_BYTES: u64 = 32 << 20;

/// After READY: names registered files that are missing or damaged (a count would be answered from the catalog and
/// not notice), then deletes what an earlier process left and no catalog row names.
fn tidy(lake: &Lake) -> Result<(), LakeError> {
    let check = lake.check_files()?;
    for damage in &check.damaged {
        tracing::error!(target: event::FILE_DAMAGED, error = %damage, "a file of the lake is damaged: {damage}");
    }
    tracing::info!(files = check.live, bytes = check.bytes, damaged = check.damaged.len(), "files checked");
    lake.sweep_orphans().map(|_| ())
}
