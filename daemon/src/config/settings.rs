//! What is true after all layers: validated, without options that mean "default".

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    error::ConfigError,
    file::{
        BackfillFile, ConfigFile, LakeFile, LogFile, MaintenanceFile, MetricsFile, NetworkFile, QueryFile,
        SourceFile, StampsFile, TelemetryFile,
    },
    layers::Layers,
    level::log_filter,
    metrics::{self, MetricsSection},
    value::{DurationText, StartText},
};

/// The whole configuration, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The lake on disk.
    pub lake: LakeSection,
    /// Networks to ingest, in file order; names are unique.
    pub networks: Vec<NetworkSettings>,
    /// When a batch is sealed.
    pub batch: BatchSettings,
    /// Worker threads of the pipelines.
    pub workers: usize,
    /// Bytes of XDR in flight over all networks.
    pub memory_bytes: u64,
    /// Backfill jobs.
    pub backfill: BackfillSection,
    /// Sealed batches that may wait, per lane.
    pub queue_capacity: usize,
    /// The maintenance timer.
    pub maintenance: MaintenanceSection,
    /// The control socket.
    pub socket: PathBuf,
    /// Limits of queries.
    pub query: QuerySection,
    /// Metrics.
    pub metrics: MetricsSection,
    /// Logging.
    pub log: LogSettings,
    /// Deadline of an orderly stop.
    pub shutdown_timeout: Duration,
}

/// The lake on disk.
#[derive(Clone, Debug)]
pub struct LakeSection {
    /// Its folder.
    pub path: PathBuf,
    /// Folder with DuckDB's extensions; `None`: beside the libduckdb.so in use.
    pub extension_dir: Option<PathBuf>,
    /// zstd level of Parquet files.
    pub compression_level: i32,
    /// Whether the columns of raw XDR are filled.
    pub raw_xdr: bool,
    /// Run stamp; `None` is NULL.
    pub era_id: Option<String>,
    /// Run stamp.
    pub version_label: String,
}

/// Backfill jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackfillSection {
    /// Bytes that all workers of all jobs hold together.
    pub memory_bytes: u64,
    /// Bytes of XDR that a chunk aims at.
    pub chunk_bytes: u64,
    /// Dollars for a thousand requests to an object store.
    pub per_thousand_requests: f64,
    /// Dollars for a gigabyte that leaves it.
    pub per_gigabyte: f64,
}

/// One network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSettings {
    /// Schema name in the lake.
    pub name: String,
    /// Passphrase.
    pub passphrase: String,
    /// Where its ledgers come from.
    pub source: SourceSettings,
    /// Where backfill jobs read; the source itself unless set.
    pub history: SourceSettings,
    /// Whether its ledgers are followed; otherwise only jobs fill it.
    pub live: bool,
    /// Where to begin when the lake has no ledger of it.
    pub start: StartText,
    /// Last ledger, inclusive; `None` follows the tip.
    pub end: Option<u32>,
}

/// Longest wait for an object.
const MAX_LATENCY: Duration = Duration::from_secs(60);

/// Bytes per second that a line may be limited to.
const BANDWIDTHS: RangeInclusive<u64> = 1 << 16..=1 << 34;

/// Where ledgers come from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceSettings {
    /// A SEP-54 directory.
    Filesystem {
        /// The folder that holds `.config.json`.
        path: PathBuf,
        /// Time after which a read that brings nothing is given up, to be tried again.
        timeout: Duration,
        /// Waited before each object, for measuring; zero: not at all.
        latency: Duration,
        /// Bytes of objects per second over all streams; `None`: no limit.
        bandwidth: Option<u64>,
    },
    /// The network built into the program.
    Simulated {
        /// Mix of ledgers.
        density: lake_sim::Density,
        /// Which of all simulated networks.
        seed: u64,
        /// First ledger.
        first_ledger: u32,
        /// `None`: flat out.
        ledgers_per_second: Option<f64>,
    },
    /// A SEP-54 directory, repeated endlessly with new sequences and hashes.
    Replay {
        /// The folder that holds `.config.json`.
        path: PathBuf,
        /// `None`: flat out.
        ledgers_per_second: Option<f64>,
    },
}

impl SourceSettings {
    /// The same source without the rate at which made-up ledgers come. What a directory's line can take stays.
    fn without_rate(self) -> Self {
        match self {
            source @ Self::Filesystem { .. } => source,
            Self::Simulated { density, seed, first_ledger, .. } => {
                Self::Simulated { density, seed, first_ledger, ledgers_per_second: None }
            }
            Self::Replay { path, .. } => Self::Replay { path, ledgers_per_second: None },
        }
    }
}

/// Limits of a batch: it is sealed at the first one met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// Ledgers.
    pub max_ledgers: u32,
    /// Bytes of XDR.
    pub max_bytes: u64,
    /// Time since the batch before; a ledger that comes later is committed at once.
    pub max_age: Duration,
}

/// The maintenance timer.
#[derive(Clone, Copy, Debug)]
pub struct MaintenanceSection {
    /// Whether it runs at all.
    pub enabled: bool,
    /// How often it looks.
    pub interval: Duration,
    /// Small live files of a table before they are merged.
    pub merge_after_files: usize,
    /// Commits before a merge; 0 is off.
    pub merge_after_commits: u64,
    /// Files of this size are left alone.
    pub target_file_bytes: u64,
    /// Bound on live files of a table.
    pub max_live_files: usize,
    /// How often the catalog's WAL is copied back.
    pub wal_checkpoint_interval: Duration,
    /// Age of snapshots that are dropped.
    pub expire_snapshots_older_than: Duration,
    /// Age of replaced files that are deleted.
    pub cleanup_files_older_than: Duration,
}

/// Limits of queries.
#[derive(Clone, Copy, Debug)]
pub struct QuerySection {
    /// Memory of the query instance.
    pub memory_bytes: u64,
    /// Threads of the query instance.
    pub threads: u32,
    /// Time of one query.
    pub timeout: Duration,
    /// Rows of one result.
    pub max_rows: u64,
    /// Queries at once.
    pub max_concurrent: usize,
}

/// Logging.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Level or env-filter text.
    pub level: String,
    /// Where and how.
    pub format: LogFormat,
}

/// Where and how logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// journald when started by systemd, else text.
    Auto,
    /// systemd's journal.
    Journald,
    /// Lines for people on stderr.
    Text,
    /// JSON lines on stderr.
    Json,
}

/// Time without a byte after which a read of a source is given up, unless a setting says otherwise.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The passphrase of a public network by its customary name.
pub fn known_passphrase(name: &str) -> Option<&'static str> {
    match name {
        "mainnet" | "pubnet" => Some("Public Global Stellar Network ; September 2015"),
        "testnet" => Some("Test SDF Network ; September 2015"),
        "futurenet" => Some("Test SDF Future Network ; October 2022"),
        _ => None,
    }
}

/// A network's name is the name of its schema in SQL.
///
/// # Errors
/// What is wrong with the name, and what a name may be.
pub fn validate_network_name(name: &str) -> Result<(), String> {
    let reserved = ["main", "lake", "temp", "system", "information_schema", "pg_catalog"];
    let valid = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !valid {
        return Err(format!(
            "`{name}` cannot be a schema name: use a-z, 0-9 and _, begin with a letter, at most 63 characters"
        ));
    }
    if reserved.contains(&name) {
        return Err(format!("`{name}` is a name that DuckDB keeps for itself: choose another"));
    }
    Ok(())
}

impl Settings {
    /// Validates merged layers.
    ///
    /// # Errors
    /// The first value that cannot be meant, with the file that set it.
    pub fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let file = layers.merged()?;
        let invalid = |key: &str, message: String| ConfigError::Invalid {
            key: key.to_owned(),
            message,
            origin: layers.origin(key).to_string(),
        };
        let get = Required { layers };
        let ConfigFile {
            lake,
            networks,
            stamps,
            batch,
            pipeline,
            backfill,
            queue,
            maintenance,
            control,
            query,
            metrics,
            telemetry,
            log,
            shutdown_timeout,
        } = file;
        let (batch, pipeline, queue) =
            (batch.unwrap_or_default(), pipeline.unwrap_or_default(), queue.unwrap_or_default());
        let control = control.unwrap_or_default();

        let mut settings = Self {
            lake: lake_section(&get, lake.unwrap_or_default(), stamps.unwrap_or_default())?,
            networks: Vec::new(),
            batch: BatchSettings {
                max_ledgers: get.in_range("batch.max_ledgers", batch.max_ledgers, 1, 10_000)?,
                max_bytes: get.in_range("batch.max_bytes", batch.max_bytes.map(|s| s.0), 1 << 16, 1 << 30)?,
                max_age: get.positive("batch.max_age", batch.max_age.map(|d| d.0))?,
            },
            workers: match get.in_range("pipeline.workers", pipeline.workers, 0, 1024)? {
                0 => std::thread::available_parallelism().map_or(2, usize::from),
                n => n,
            },
            memory_bytes: get.in_range("pipeline.memory", pipeline.memory.map(|s| s.0), 8 << 20, 1 << 40)?,
            backfill: backfill_section(&get, &backfill.unwrap_or_default())?,
            queue_capacity: get.in_range("queue.capacity", queue.capacity, 1, 10_000)?,
            maintenance: maintenance_section(&get, &maintenance.unwrap_or_default())?,
            socket: get.text("control.socket", control.socket)?.into(),
            query: query_section(&get, &query.unwrap_or_default())?,
            metrics: metrics_section(&get, metrics.unwrap_or_default(), telemetry.unwrap_or_default())?,
            log: log_settings(&get, log.unwrap_or_default())?,
            shutdown_timeout: get.positive("shutdown_timeout", shutdown_timeout.map(|d| d.0))?,
        };

        for (index, network) in networks.unwrap_or_default().into_iter().enumerate() {
            let network = network_settings(&format!("networks[{index}]"), network, &invalid)?;
            if settings.networks.iter().any(|n| n.name == network.name) {
                return Err(invalid(
                    &format!("networks[{index}]"),
                    format!("the name `{}` is used twice", network.name),
                ));
            }
            settings.networks.push(network);
        }
        Ok(settings)
    }
}

/// Reads values that the built-in layer always sets.
struct Required<'l> {
    layers: &'l Layers,
}

impl Required<'_> {
    fn invalid(&self, key: &str, message: String) -> ConfigError {
        ConfigError::Invalid { key: key.to_owned(), message, origin: self.layers.origin(key).to_string() }
    }

    fn value<T>(&self, key: &str, value: Option<T>) -> Result<T, ConfigError> {
        value.ok_or_else(|| self.invalid(key, "is not set".to_owned()))
    }

    fn text(&self, key: &str, value: Option<String>) -> Result<String, ConfigError> {
        let text = self.value(key, value)?;
        if text.is_empty() {
            return Err(self.invalid(key, "must not be empty".to_owned()));
        }
        Ok(text)
    }

    fn in_range<T: PartialOrd + std::fmt::Display + Copy>(
        &self,
        key: &str,
        value: Option<T>,
        low: T,
        high: T,
    ) -> Result<T, ConfigError> {
        let value = self.value(key, value)?;
        if value < low || value > high {
            return Err(self.invalid(key, format!("{value} is out of range: use {low} to {high}")));
        }
        Ok(value)
    }

    fn positive(&self, key: &str, value: Option<Duration>) -> Result<Duration, ConfigError> {
        let value = self.value(key, value)?;
        if value.is_zero() {
            return Err(self.invalid(key, "must be longer than 0".to_owned()));
        }
        Ok(value)
    }
}

fn lake_section(get: &Required<'_>, lake: LakeFile, stamps: StampsFile) -> Result<LakeSection, ConfigError> {
    Ok(LakeSection {
        path: get.text("lake.path", lake.path)?.into(),
        extension_dir: lake.extension_dir.filter(|d| !d.is_empty()).map(PathBuf::from),
        compression_level: get.in_range("lake.compression_level", lake.compression_level, 1, 22)?,
        raw_xdr: get.value("lake.raw_xdr", lake.raw_xdr)?,
        era_id: stamps.era_id.filter(|e| !e.is_empty()),
        version_label: get.text("stamps.version_label", stamps.version_label)?,
    })
}

fn maintenance_section(
    get: &Required<'_>,
    maintenance: &MaintenanceFile,
) -> Result<MaintenanceSection, ConfigError> {
    Ok(MaintenanceSection {
        enabled: get.value("maintenance.enabled", maintenance.enabled)?,
        interval: get.positive("maintenance.interval", maintenance.interval.map(|d| d.0))?,
        merge_after_files: get.in_range(
            "maintenance.merge_after_files",
            maintenance.merge_after_files,
            2,
            100_000,
        )?,
        merge_after_commits: get.value("maintenance.merge_after_commits", maintenance.merge_after_commits)?,
        target_file_bytes: get.in_range(
            "maintenance.target_file_size",
            maintenance.target_file_size.map(|s| s.0),
            1 << 16,
            1 << 32,
        )?,
        max_live_files: get.in_range(
            "maintenance.max_live_files",
            maintenance.max_live_files,
            2,
            1_000_000,
        )?,
        wal_checkpoint_interval: get.positive(
            "maintenance.wal_checkpoint_interval",
            maintenance.wal_checkpoint_interval.map(|d| d.0),
        )?,
        expire_snapshots_older_than: get.value(
            "maintenance.expire_snapshots_older_than",
            maintenance.expire_snapshots_older_than.map(|d| d.0),
        )?,
        cleanup_files_older_than: get.value(
            "maintenance.cleanup_files_older_than",
            maintenance.cleanup_files_older_than.map(|d| d.0),
        )?,
    })
}

fn backfill_section(get: &Required<'_>, backfill: &BackfillFile) -> Result<BackfillSection, ConfigError> {
    let prices = backfill.prices.clone().unwrap_or_default();
    Ok(BackfillSection {
        memory_bytes: get.in_range("backfill.memory", backfill.memory.map(|s| s.0), 64 << 20, 1 << 42)?,
        chunk_bytes: get.in_range(
            "backfill.chunk_size",
            backfill.chunk_size.map(|s| s.0),
            1 << 16,
            1 << 36,
        )?,
        per_thousand_requests: get.in_range(
            "backfill.prices.per_thousand_requests",
            prices.per_thousand_requests,
            0.0,
            1e6,
        )?,
        per_gigabyte: get.in_range("backfill.prices.per_gigabyte", prices.per_gigabyte, 0.0, 1e6)?,
    })
}

fn query_section(get: &Required<'_>, query: &QueryFile) -> Result<QuerySection, ConfigError> {
    Ok(QuerySection {
        memory_bytes: get.in_range(
            "query.memory_limit",
            query.memory_limit.map(|s| s.0),
            32 << 20,
            1 << 42,
        )?,
        threads: get.in_range("query.threads", query.threads, 1, 1024)?,
        timeout: get.positive("query.timeout", query.timeout.map(|d| d.0))?,
        max_rows: get.in_range("query.max_rows", query.max_rows, 1, u64::MAX)?,
        max_concurrent: get.in_range("query.max_concurrent", query.max_concurrent, 1, 1024)?,
    })
}

fn metrics_section(
    get: &Required<'_>,
    metrics: MetricsFile,
    telemetry: TelemetryFile,
) -> Result<MetricsSection, ConfigError> {
    let (listen, otlp) = ("metrics.listen", "telemetry.otlp");
    let wrong = |key: &'static str| move |message| get.invalid(key, message);
    Ok(MetricsSection {
        listen: metrics::address(&get.value(listen, metrics.listen)?).map_err(wrong(listen))?,
        otlp: metrics::collector(&get.value(otlp, telemetry.otlp)?).map_err(wrong(otlp))?,
    })
}

fn log_settings(get: &Required<'_>, log: LogFile) -> Result<LogSettings, ConfigError> {
    Ok(LogSettings {
        level: {
            let level = get.text("log.level", log.level)?;
            log_filter(&level).map_err(|message| get.invalid("log.level", message))?;
            level
        },
        format: match get.text("log.format", log.format)?.as_str() {
            "auto" => LogFormat::Auto,
            "journald" => LogFormat::Journald,
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            other => {
                return Err(get.invalid(
                    "log.format",
                    format!("`{other}` is not a format: use auto, journald, text or json"),
                ));
            }
        },
    })
}

pub(super) fn network_settings(
    key: &str,
    file: NetworkFile,
    invalid: &impl Fn(&str, String) -> ConfigError,
) -> Result<NetworkSettings, ConfigError> {
    let NetworkFile { name, passphrase, source, history, live, start, end } = file;
    let name = name.ok_or_else(|| invalid(key, "a network needs a `name`".to_owned()))?;
    validate_network_name(&name).map_err(|message| invalid(&format!("{key}.name"), message))?;
    let passphrase = match passphrase.or_else(|| known_passphrase(&name).map(str::to_owned)) {
        Some(passphrase) if !passphrase.is_empty() => passphrase,
        _ => {
            return Err(invalid(
                key,
                format!(
                    "network `{name}` needs a `passphrase`: only those of mainnet, testnet and futurenet are known"
                ),
            ));
        }
    };
    let source = source.ok_or_else(|| invalid(key, format!("network `{name}` needs a `source`")))?;
    let source = source_settings(&format!("{key}.source"), source, invalid)?;
    let history = match history {
        Some(history) => source_settings(&format!("{key}.history"), history, invalid)?,
        None => source.clone().without_rate(),
    };
    let start = start.unwrap_or(StartText::Oldest);
    if let (StartText::Ledger(first), Some(last)) = (start, end)
        && last < first
    {
        return Err(invalid(key, format!("network `{name}`: `end` {last} is before `start` {first}")));
    }
    Ok(NetworkSettings { name, passphrase, source, history, live: live.unwrap_or(true), start, end })
}

fn source_settings(
    key: &str,
    file: SourceFile,
    invalid: &impl Fn(&str, String) -> ConfigError,
) -> Result<SourceSettings, ConfigError> {
    let path = |path: Option<String>| match path {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(invalid(key, "needs a `path`".to_owned())),
    };
    let rate = |rate: Option<f64>| match rate {
        Some(rate) if !(rate.is_finite() && rate > 0.0 && rate <= 1e6) => Err(invalid(
            key,
            format!("ledgers_per_second {rate} is out of range: use more than 0, or leave it out"),
        )),
        rate => Ok(rate),
    };
    let latency = |latency: Duration| match latency {
        latency if latency > MAX_LATENCY => {
            let most = humantime::format_duration(MAX_LATENCY);
            Err(invalid(key, format!("`latency` is out of range: use at most {most}")))
        }
        latency => Ok(latency),
    };
    let bandwidth = |bytes: u64| match bytes {
        bytes if BANDWIDTHS.contains(&bytes) => Ok(bytes),
        bytes => Err(invalid(
            key,
            format!("`bandwidth` {bytes} is out of range: use 64KiB to 16GiB, or leave it out"),
        )),
    };
    match (file.filesystem, file.simulated, file.replay) {
        (Some(fs), None, None) => Ok(SourceSettings::Filesystem {
            timeout: match fs.timeout {
                Some(DurationText(Duration::ZERO)) => {
                    return Err(invalid(key, "`timeout` must be longer than 0".to_owned()));
                }
                Some(DurationText(timeout)) => timeout,
                None => READ_TIMEOUT,
            },
            latency: latency(fs.latency.map_or(Duration::ZERO, |latency| latency.0))?,
            bandwidth: fs.bandwidth.map(|bytes| bandwidth(bytes.0)).transpose()?,
            path: path(fs.path)?,
        }),
        (None, Some(sim), None) => Ok(SourceSettings::Simulated {
            density: sim.density.as_deref().unwrap_or("sparse").parse().map_err(|_| {
                invalid(key, "`density` is one of sparse, mixed, dense, everything".to_owned())
            })?,
            seed: sim.seed.unwrap_or(1),
            first_ledger: sim.first_ledger.unwrap_or(2).max(2),
            ledgers_per_second: rate(sim.ledgers_per_second)?,
        }),
        (None, None, Some(replay)) => Ok(SourceSettings::Replay {
            path: path(replay.path)?,
            ledgers_per_second: rate(replay.ledgers_per_second)?,
        }),
        _ => Err(invalid(key, "must name exactly one kind: filesystem, simulated or replay".to_owned())),
    }
}
