//! The daemon's figures in one value, put together from lake, queue and pipelines when somebody asks.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lake_core::LedgerSeq;

use crate::{
    backfill::Backfill,
    lake::{Damage, Lacking, Lake, RangeSet},
    metrics::{Figures, FiguresSource, NetworkFigures, ProcessFigures},
    networks::Networks,
    pipeline::{NetworkProgress, NetworkState as PipelineState, NetworkTask},
    status::{
        DaemonStatus, LackingTables, LastError, MaintenanceStatus, NetworkState, NetworkStatus, QueueStatus,
        Status, StatusSource, StoredCounts, TimeStatistics, WrittenCounts, rss_bytes,
    },
};

/// Where the status comes from.
#[derive(Debug)]
pub struct AppStatus {
    lake: Arc<Lake>,
    networks: Arc<Networks>,
    backfill: Arc<Backfill>,
    started: Instant,
}

impl AppStatus {
    /// The status of these networks in this lake.
    pub fn new(lake: Arc<Lake>, networks: Arc<Networks>, backfill: Arc<Backfill>) -> Self {
        Self { lake, networks, backfill, started: Instant::now() }
    }

    /// One line for the service manager.
    pub fn line(&self) -> String {
        let mut parts: Vec<String> = self
            .networks
            .tasks()
            .iter()
            .map(|task| {
                let network = self.network(task, Instant::now());
                words(&network)
            })
            .collect();
        if parts.is_empty() {
            parts.push("no networks are configured".to_owned());
        }
        let (done, planned) = self.backfill.chunks();
        if planned > 0 {
            parts.push(format!("backfill {done} of {planned} chunks"));
        }
        parts.join("; ")
    }

    fn network(&self, task: &NetworkTask, now: Instant) -> NetworkStatus {
        let progress = task.progress.get();
        // An unknown network has no coverage: it is added before its pipeline begins.
        let coverage = self.lake.coverage(&task.name).unwrap_or_default();
        let attention = self.backfill.attention(&task.name);
        let gaps: RangeSet = coverage.gaps().into_iter().collect();
        let damaged: RangeSet = self.lake.damage(&task.name).iter().filter_map(Damage::range).collect();
        let rows = |table: &str| progress.rows.get(table).copied().unwrap_or_default();
        NetworkStatus {
            name: task.name.to_string(),
            source: task.source.describe(),
            first_ledger: coverage.first().map(LedgerSeq::get),
            last_ledger: coverage.last().map(LedgerSeq::get),
            tip: progress.tip.map(LedgerSeq::get),
            written: WrittenCounts {
                ledgers: progress.ledgers,
                transactions: rows("transactions_row_v2"),
                operations: rows("operations_row_v2"),
                rows: progress.rows.values().sum(),
                bytes: progress.bytes,
            },
            stored: StoredCounts { ledgers: Some(coverage.count()), ..StoredCounts::default() },
            verified_ledgers: progress.ledgers,
            failed_ledgers: progress.failed_checks + self.backfill.figures(task.name.as_str()).failed_checks,
            ledgers_per_second: progress.recent_rate(now),
            gaps: gaps.ranges().count() as u64,
            unattended_gaps: gaps.without_all(&attention.filling).ranges().count() as u64,
            damaged: damaged.without_all(&attention.filling).ranges().count() as u64,
            stopped_job: attention.stopped,
            lacking: self.lake.lacking(&task.name).unwrap_or_default().iter().map(lacking).collect(),
            duplicates: 0,
            batches: progress.batches,
            average_write: average(progress.write_time, progress.batches),
            last_error: progress
                .last_error
                .as_ref()
                .map(|(at, message)| LastError { message: message.clone(), at: wall(*at) }),
            last_close_time: progress
                .closed_at
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
            state: self.state(&progress),
        }
    }

    /// A network that could go on but for a lock on the catalog says so.
    fn state(&self, progress: &NetworkProgress) -> NetworkState {
        let locked = self.lake.locked();
        match (&progress.state, locked) {
            (PipelineState::CatchingUp | PipelineState::Following, Some(error)) => {
                NetworkState::Retrying { reason: error.to_string() }
            }
            (_, _) => state(progress),
        }
    }
}

/// A network in a few words: `mainnet 60000123 lag 1`, `testnet 2 behind`.
fn words(network: &NetworkStatus) -> String {
    let NetworkStatus { name, state, last_ledger, .. } = network;
    let last = last_ledger.map_or_else(|| "empty".to_owned(), |last| last.to_string());
    match (state, network.lag()) {
        (NetworkState::Stopped { .. }, _) => format!("{name} stopped at {last}"),
        (NetworkState::Retrying { .. }, _) => format!("{name} retrying at {last}"),
        (NetworkState::Waiting { .. }, _) => format!("{name} {last} not followed"),
        (NetworkState::Finished, _) => format!("{name} {last} finished"),
        (NetworkState::CatchingUp, Some(lag)) => format!("{name} {lag} behind"),
        (NetworkState::Following, Some(lag)) => format!("{name} {last} lag {lag}"),
        (NetworkState::Starting | NetworkState::CatchingUp | NetworkState::Following, _) => {
            format!("{name} {last} starting")
        }
    }
}

fn lacking(lacking: &Lacking) -> LackingTables {
    let ledgers = lacking.ledgers.ranges().map(|range| (range.start().get(), range.end().get()));
    let tables = lacking.tables.iter().map(|table| (*table).to_owned());
    LackingTables { ledgers: ledgers.collect(), tables: tables.collect() }
}

/// When something was, by the wall clock as it is now: what is shown is its age, which no jump of the clock changes.
fn wall(then: Instant) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(then.elapsed()).unwrap_or(now)
}

fn state(progress: &NetworkProgress) -> NetworkState {
    match &progress.state {
        PipelineState::Starting => NetworkState::Starting,
        PipelineState::CatchingUp => NetworkState::CatchingUp,
        PipelineState::Following => NetworkState::Following,
        PipelineState::Finished => NetworkState::Finished,
        PipelineState::Waiting(reason) => NetworkState::Waiting { reason: reason.clone() },
        PipelineState::Retrying(reason) => NetworkState::Retrying { reason: reason.clone() },
        PipelineState::Stopped(reason) => NetworkState::Stopped { reason: reason.clone() },
    }
}

fn average(total: Duration, count: u64) -> Duration {
    u32::try_from(count).ok().and_then(|n| total.checked_div(n)).unwrap_or_default()
}

impl StatusSource for AppStatus {
    fn status(&self) -> Status {
        let now = Instant::now();
        let queue = self.lake.queue().stats();
        let maintenance = self.lake.maintenance_stats();

        Status {
            daemon: DaemonStatus {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started_at: wall(self.started),
                lake_path: self.lake.path().display().to_string(),
                rss_bytes: rss_bytes(),
            },
            networks: self.networks.tasks().iter().map(|task| self.network(task, now)).collect(),
            queue: QueueStatus {
                depth: queue.depth as u64,
                capacity: queue.capacity as u64,
                bytes: queue.bytes,
                submitted: queue.submitted,
                written: queue.written,
                failed: queue.failed,
                duplicates: queue.duplicates,
                wait: TimeStatistics { average: queue.wait.average(), max: queue.wait.max },
                write: TimeStatistics { average: queue.write.average(), max: queue.write.max },
            },
            maintenance: MaintenanceStatus {
                last_run_at: maintenance.last_run_at.map(wall),
                runs: maintenance.runs,
                merged_files: maintenance.merged_files,
                created_files: maintenance.created_files,
                wal_checkpoints: maintenance.wal_checkpoints,
                last_wal_checkpoint_at: maintenance.last_wal_checkpoint_at.map(wall),
                wal_bytes: self.lake.wal_bytes(),
                last_error: maintenance.last_error.map(|(at, message)| LastError { message, at: wall(at) }),
            },
            taken_at: SystemTime::now(),
        }
    }
}

impl FiguresSource for AppStatus {
    fn figures(&self) -> Figures {
        let queue = self.lake.queue().stats();
        let (tasks, now) = (self.networks.tasks(), Instant::now());
        let more = |task: &NetworkTask| {
            let progress = task.progress.get();
            NetworkFigures {
                rows: progress.rows,
                traffic: task.source.traffic(),
                retries: progress.retries,
                failed_checks: progress.failed_checks,
                jobs: self.backfill.figures(task.name.as_str()),
            }
        };
        Figures {
            status: Status {
                networks: tasks.iter().map(|task| self.network(task, now)).collect(),
                ..self.status()
            },
            networks: tasks.iter().map(more).collect(),
            wait: queue.wait,
            commit: queue.write,
            maintenance: self.lake.maintenance_stats(),
            process: ProcessFigures::read(self.lake.path()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_told_in_a_few_words() {
        let reason = || "why".to_owned();
        let told = |state, last_ledger, tip| {
            words(&NetworkStatus {
                name: "main".to_owned(),
                state,
                last_ledger,
                tip,
                ..NetworkStatus::default()
            })
        };
        assert_eq!(told(NetworkState::Following, Some(60_000_123), Some(60_000_124)), "main 60000123 lag 1");
        assert_eq!(told(NetworkState::CatchingUp, Some(7), Some(9)), "main 2 behind");
        assert_eq!(told(NetworkState::CatchingUp, None, Some(9)), "main empty starting");
        assert_eq!(told(NetworkState::Starting, Some(7), Some(9)), "main 7 starting");
        assert_eq!(told(NetworkState::Finished, Some(7), Some(7)), "main 7 finished");
        assert_eq!(told(NetworkState::Waiting { reason: reason() }, Some(7), None), "main 7 not followed");
        assert_eq!(told(NetworkState::Retrying { reason: reason() }, Some(7), None), "main retrying at 7");
        assert_eq!(told(NetworkState::Stopped { reason: reason() }, None, None), "main stopped at empty");
    }
}
