//! The JSON of `lakectl status --output json`. Field names are stable: programs read them. Unknown values are
//! null, times are ISO 8601 in UTC, units are in the names.

use lake_proto::v1;
use prost_types::Timestamp;
use serde::Serialize;

/// The whole status.
#[derive(Debug, Serialize)]
pub(crate) struct StatusJson {
    /// When it was taken.
    taken_at: Option<String>,
    /// The process.
    daemon: DaemonJson,
    /// One entry per network.
    networks: Vec<NetworkJson>,
    /// The write queue.
    write_queue: QueueJson,
    /// The maintenance timer.
    maintenance: MaintenanceJson,
}

#[derive(Debug, Serialize)]
struct DaemonJson {
    version: String,
    pid: u32,
    started_at: Option<String>,
    lake_path: String,
    rss_bytes: u64,
}

#[derive(Debug, Serialize)]
struct NetworkJson {
    name: String,
    /// `starting`, `catching_up`, `following`, `finished`, `waiting`, `retrying`, `stopped` or `unknown`.
    state: &'static str,
    /// Why, for waiting, retrying and stopped; else empty.
    state_reason: String,
    source: String,
    first_ledger: Option<u32>,
    last_ledger: Option<u32>,
    tip: Option<u32>,
    lag_ledgers: Option<u32>,
    last_close_time: Option<String>,
    /// Since the daemon started.
    written: WrittenJson,
    /// In the lake.
    stored: StoredJson,
    verified_ledgers: u64,
    failed_ledgers: u64,
    ledgers_per_second: f64,
    gaps: u64,
    /// Stored ledgers without rows in tables that were added after they were stored.
    lacking: Vec<LackingJson>,
    duplicates: u64,
    batches: u64,
    average_write_micros: u64,
    last_error: Option<ErrorJson>,
}

#[derive(Debug, Serialize)]
struct LackingJson {
    ledgers: Vec<RangeJson>,
    tables: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RangeJson {
    first: u32,
    last: u32,
}

#[derive(Debug, Serialize)]
struct WrittenJson {
    ledgers: u64,
    transactions: u64,
    operations: u64,
    rows: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct StoredJson {
    ledgers: Option<u64>,
    transactions: Option<u64>,
    operations: Option<u64>,
    rows: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ErrorJson {
    message: String,
    at: Option<String>,
}

#[derive(Debug, Serialize)]
struct QueueJson {
    depth: u64,
    capacity: u64,
    bytes: u64,
    submitted: u64,
    written: u64,
    failed: u64,
    duplicates: u64,
    wait: TimesJson,
    write: TimesJson,
}

#[derive(Debug, Serialize)]
struct TimesJson {
    average_micros: u64,
    max_micros: u64,
}

#[derive(Debug, Serialize)]
struct MaintenanceJson {
    last_run_at: Option<String>,
    runs: u64,
    merged_files: u64,
    created_files: u64,
    wal_checkpoints: u64,
    last_wal_checkpoint_at: Option<String>,
    wal_bytes: Option<u64>,
    last_error: Option<ErrorJson>,
}

impl From<&v1::Status> for StatusJson {
    fn from(status: &v1::Status) -> Self {
        Self {
            taken_at: time(status.taken_at.as_ref()),
            daemon: daemon(status.daemon.clone().unwrap_or_default()),
            networks: status.networks.iter().map(network).collect(),
            write_queue: queue(status.write_queue.unwrap_or_default()),
            maintenance: maintenance(status.maintenance.clone().unwrap_or_default()),
        }
    }
}

/// The word for a network's state, in JSON and on the screen.
pub(crate) fn state_word(state: v1::NetworkState) -> &'static str {
    match state {
        v1::NetworkState::Unspecified => "unknown",
        v1::NetworkState::Starting => "starting",
        v1::NetworkState::CatchingUp => "catching_up",
        v1::NetworkState::Following => "following",
        v1::NetworkState::Finished => "finished",
        v1::NetworkState::Waiting => "waiting",
        v1::NetworkState::Retrying => "retrying",
        v1::NetworkState::Stopped => "stopped",
    }
}

fn daemon(daemon: v1::DaemonStatus) -> DaemonJson {
    DaemonJson {
        version: daemon.version,
        pid: daemon.pid,
        started_at: time(daemon.started_at.as_ref()),
        lake_path: daemon.lake_path,
        rss_bytes: daemon.rss_bytes,
    }
}

fn network(network: &v1::NetworkStatus) -> NetworkJson {
    let written = network.written.unwrap_or_default();
    let stored = network.stored.unwrap_or_default();
    NetworkJson {
        name: network.name.clone(),
        state: state_word(network.state()),
        state_reason: network.state_reason.clone(),
        source: network.source.clone(),
        first_ledger: network.first_ledger,
        last_ledger: network.last_ledger,
        tip: network.tip,
        lag_ledgers: network.lag_ledgers,
        last_close_time: time(network.last_close_time.as_ref()),
        written: WrittenJson {
            ledgers: written.ledgers,
            transactions: written.transactions,
            operations: written.operations,
            rows: written.rows,
            bytes: written.bytes,
        },
        stored: StoredJson {
            ledgers: stored.ledgers,
            transactions: stored.transactions,
            operations: stored.operations,
            rows: stored.rows,
        },
        verified_ledgers: network.verified_ledgers,
        failed_ledgers: network.failed_ledgers,
        ledgers_per_second: network.ledgers_per_second,
        gaps: network.gaps,
        lacking: network.lacking.iter().map(lacking).collect(),
        duplicates: network.duplicates,
        batches: network.batches,
        average_write_micros: network.average_write_micros,
        last_error: error(network.last_error.as_ref()),
    }
}

fn lacking(lacking: &v1::LackingTables) -> LackingJson {
    let ledgers = lacking.ledgers.iter().map(|range| RangeJson { first: range.first, last: range.last });
    LackingJson { ledgers: ledgers.collect(), tables: lacking.tables.clone() }
}

fn queue(queue: v1::WriteQueueStatus) -> QueueJson {
    QueueJson {
        depth: queue.depth,
        capacity: queue.capacity,
        bytes: queue.bytes,
        submitted: queue.submitted,
        written: queue.written,
        failed: queue.failed,
        duplicates: queue.duplicates,
        wait: times(queue.wait),
        write: times(queue.write),
    }
}

fn maintenance(maintenance: v1::MaintenanceStatus) -> MaintenanceJson {
    MaintenanceJson {
        last_run_at: time(maintenance.last_run_at.as_ref()),
        runs: maintenance.runs,
        merged_files: maintenance.merged_files,
        created_files: maintenance.created_files,
        wal_checkpoints: maintenance.wal_checkpoints,
        last_wal_checkpoint_at: time(maintenance.last_wal_checkpoint_at.as_ref()),
        wal_bytes: maintenance.wal_bytes,
        last_error: error(maintenance.last_error.as_ref()),
    }
}

fn times(times: Option<v1::TimeStatistics>) -> TimesJson {
    let times = times.unwrap_or_default();
    TimesJson { average_micros: times.average_micros, max_micros: times.max_micros }
}

fn error(error: Option<&v1::LastError>) -> Option<ErrorJson> {
    error.map(|error| ErrorJson { message: error.message.clone(), at: time(error.at.as_ref()) })
}

/// ISO 8601 in UTC.
fn time(time: Option<&Timestamp>) -> Option<String> {
    time.map(ToString::to_string)
}
