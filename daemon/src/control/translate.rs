//! From the daemon's own words (`status`) to those of the proto. No decisions are made here.

use std::time::{Duration, SystemTime};

use lake_proto::v1;
use prost_types::Timestamp;

use crate::status;

/// A time of any length; protobuf's own limit is ten thousand years.
pub(super) fn duration(time: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(time).ok()
}

/// The whole status.
pub(super) fn status(status: &status::Status) -> v1::Status {
    let daemon = &status.daemon;
    v1::Status {
        daemon: Some(v1::DaemonStatus {
            version: daemon.version.clone(),
            pid: daemon.pid,
            started_at: Some(Timestamp::from(daemon.started_at)),
            lake_path: daemon.lake_path.clone(),
            rss_bytes: daemon.rss_bytes,
        }),
        networks: status.networks.iter().map(network).collect(),
        write_queue: Some(queue(&status.queue)),
        maintenance: Some(maintenance(&status.maintenance)),
        taken_at: Some(Timestamp::from(status.taken_at)),
    }
}

/// Health of one network.
pub(super) fn health(network: &status::NetworkStatus) -> v1::NetworkHealth {
    let trouble = network.trouble();
    v1::NetworkHealth {
        name: network.name.clone(),
        state: health_state(trouble.is_none()).into(),
        reason: trouble.unwrap_or_default(),
    }
}

/// Serving or not.
pub(super) fn health_state(healthy: bool) -> v1::HealthState {
    if healthy { v1::HealthState::Serving } else { v1::HealthState::NotServing }
}

fn network(network: &status::NetworkStatus) -> v1::NetworkStatus {
    let (written, stored) = (network.written, network.stored);
    v1::NetworkStatus {
        name: network.name.clone(),
        state: state(&network.state).into(),
        state_reason: network.state.reason().to_owned(),
        source: network.source.clone(),
        first_ledger: network.first_ledger,
        last_ledger: network.last_ledger,
        tip: network.tip,
        lag_ledgers: network.lag(),
        written: Some(v1::WrittenCounts {
            ledgers: written.ledgers,
            transactions: written.transactions,
            operations: written.operations,
            rows: written.rows,
            bytes: written.bytes,
        }),
        stored: Some(v1::StoredCounts {
            ledgers: stored.ledgers,
            transactions: stored.transactions,
            operations: stored.operations,
            rows: stored.rows,
        }),
        verified_ledgers: network.verified_ledgers,
        failed_ledgers: network.failed_ledgers,
        ledgers_per_second: network.ledgers_per_second,
        gaps: network.gaps,
        lacking: network.lacking.iter().map(lacking).collect(),
        duplicates: network.duplicates,
        batches: network.batches,
        average_write_micros: micros(network.average_write),
        last_error: network.last_error.as_ref().map(last_error),
        last_close_time: timestamp(network.last_close_time),
    }
}

fn lacking(lacking: &status::LackingTables) -> v1::LackingTables {
    let ledgers = lacking.ledgers.iter().map(|&(first, last)| v1::LedgerRange { first, last });
    v1::LackingTables { ledgers: ledgers.collect(), tables: lacking.tables.clone() }
}

fn state(state: &status::NetworkState) -> v1::NetworkState {
    match state {
        status::NetworkState::Starting => v1::NetworkState::Starting,
        status::NetworkState::CatchingUp => v1::NetworkState::CatchingUp,
        status::NetworkState::Following => v1::NetworkState::Following,
        status::NetworkState::Finished => v1::NetworkState::Finished,
        status::NetworkState::Waiting { .. } => v1::NetworkState::Waiting,
        status::NetworkState::Retrying { .. } => v1::NetworkState::Retrying,
        status::NetworkState::Stopped { .. } => v1::NetworkState::Stopped,
    }
}

fn queue(queue: &status::QueueStatus) -> v1::WriteQueueStatus {
    v1::WriteQueueStatus {
        depth: queue.depth,
        capacity: queue.capacity,
        bytes: queue.bytes,
        submitted: queue.submitted,
        written: queue.written,
        failed: queue.failed,
        duplicates: queue.duplicates,
        wait: Some(times(queue.wait)),
        write: Some(times(queue.write)),
    }
}

fn maintenance(maintenance: &status::MaintenanceStatus) -> v1::MaintenanceStatus {
    v1::MaintenanceStatus {
        last_run_at: timestamp(maintenance.last_run_at),
        runs: maintenance.runs,
        merged_files: maintenance.merged_files,
        created_files: maintenance.created_files,
        wal_checkpoints: maintenance.wal_checkpoints,
        last_wal_checkpoint_at: timestamp(maintenance.last_wal_checkpoint_at),
        wal_bytes: maintenance.wal_bytes,
        last_error: maintenance.last_error.as_ref().map(last_error),
    }
}

fn last_error(error: &status::LastError) -> v1::LastError {
    v1::LastError { message: error.message.clone(), at: Some(Timestamp::from(error.at)) }
}

fn times(times: status::TimeStatistics) -> v1::TimeStatistics {
    v1::TimeStatistics { average_micros: micros(times.average), max_micros: micros(times.max) }
}

fn timestamp(time: Option<SystemTime>) -> Option<Timestamp> {
    time.map(Timestamp::from)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
