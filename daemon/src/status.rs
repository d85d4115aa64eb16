//! What the daemon knows about itself, as plain values: the one shape that status, health and later the
//! metrics are made from.
//!
//! Nothing here knows gRPC or the lake: the application fills it, `control` translates it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// Gives the status of this moment. Called for every status request: it must be quick and must not block on
/// the committer.
pub trait StatusSource: Send + Sync {
    /// The status now.
    fn status(&self) -> Status;
}

/// Everything an operator wants to see on one screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The process itself.
    pub daemon: DaemonStatus,
    /// One entry per configured network, in the order of the configuration.
    pub networks: Vec<NetworkStatus>,
    /// The write queue that all networks share.
    pub queue: QueueStatus,
    /// Merging, expiring and the checkpoint of the catalog's write-ahead log.
    pub maintenance: MaintenanceStatus,
    /// When this status was taken.
    pub taken_at: SystemTime,
}

/// The daemon's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonStatus {
    /// Version of the daemon.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When the process started.
    pub started_at: SystemTime,
    /// Directory of the lake, canonical.
    pub lake_path: String,
    /// Resident memory in bytes; 0 when it cannot be read. See [`rss_bytes`].
    pub rss_bytes: u64,
}

/// What a network's pipeline is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NetworkState {
    /// The source is being opened; nothing has been written since the start.
    #[default]
    Starting,
    /// Behind the tip and reading as fast as it can.
    CatchingUp,
    /// At the tip, waiting for each new ledger.
    Following,
    /// The configured end is stored.
    Finished,
    /// Nothing is wrong, but something must happen first.
    Waiting {
        /// What it waits for.
        reason: String,
    },
    /// A transient error; the pipeline tries again by itself.
    Retrying {
        /// What went wrong.
        reason: String,
    },
    /// Stopped for good: an operator must act.
    Stopped {
        /// What went wrong and what to do.
        reason: String,
    },
}

/// One network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NetworkStatus {
    /// Name in the configuration, and the schema in the lake.
    pub name: String,
    /// What its pipeline is doing.
    pub state: NetworkState,
    /// Where its ledgers come from, in words.
    pub source: String,
    /// Lowest ledger in the lake; `None` before the first.
    pub first_ledger: Option<u32>,
    /// Highest ledger in the lake; `None` before the first.
    pub last_ledger: Option<u32>,
    /// Newest ledger that the source knows of; `None` before it was asked.
    pub tip: Option<u32>,
    /// Rows written since the daemon started.
    pub written: WrittenCounts,
    /// Rows in the lake, where counting is cheap.
    pub stored: StoredCounts,
    /// Ledgers that passed every check since the start.
    pub verified_ledgers: u64,
    /// Ledgers that failed a check since the start.
    pub failed_ledgers: u64,
    /// Recent speed, over the last seconds.
    pub ledgers_per_second: f64,
    /// Missing ranges between the first and the last ledger in the lake.
    pub gaps: u64,
    /// Of those, the ones that no running job fills.
    pub unattended_gaps: u64,
    /// Damaged ranges of ledgers, as far as they were looked at.
    pub damaged: u64,
    /// Why a job of the network waits for an operator.
    pub stopped_job: Option<String>,
    /// Stored ledgers without rows in tables that were added after they were stored.
    pub lacking: Vec<LackingTables>,
    /// Ledgers refused because they were in the lake already.
    pub duplicates: u64,
    /// Batches committed since the start.
    pub batches: u64,
    /// Average time of a commit.
    pub average_write: Duration,
    /// The last thing that went wrong, also when it went well afterwards.
    pub last_error: Option<LastError>,
    /// Close time of the last ledger in the lake.
    pub last_close_time: Option<SystemTime>,
}

/// Ledgers that were stored by an older version, and the tables that it did not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LackingTables {
    /// First and last ledger of each range, ascending.
    pub ledgers: Vec<(u32, u32)>,
    /// Names of the tables.
    pub tables: Vec<String>,
}

impl fmt::Display for LackingTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledgers: Vec<String> = self.ledgers.iter().map(|(from, to)| format!("{from}..{to}")).collect();
        write!(
            f,
            "ledgers {} were stored by an older table set and lack {}: stop the daemon and run `stellar-lake \
             ingest` over them, it adds the missing rows",
            ledgers.join(", "),
            self.tables.join(", ")
        )
    }
}

/// Counters since the daemon started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WrittenCounts {
    /// Ledgers committed.
    pub ledgers: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Operations in them.
    pub operations: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of the Parquet files.
    pub bytes: u64,
}

/// What the lake holds; `None` where counting is not cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredCounts {
    /// Ledgers stored.
    pub ledgers: Option<u64>,
    /// Transactions stored.
    pub transactions: Option<u64>,
    /// Operations stored.
    pub operations: Option<u64>,
    /// Rows of all tables.
    pub rows: Option<u64>,
}

/// An error and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// One line: what, where, what to do.
    pub message: String,
    /// When it happened.
    pub at: SystemTime,
}

/// The bounded queue between the pipelines and the committer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStatus {
    /// Batches waiting now.
    pub depth: u64,
    /// Most batches that may wait.
    pub capacity: u64,
    /// Bytes of the waiting batches.
    pub bytes: u64,
    /// Batches put in since the start.
    pub submitted: u64,
    /// Batches committed since the start.
    pub written: u64,
    /// Batches that could not be committed.
    pub failed: u64,
    /// Batches refused because their ledgers were in the lake already.
    pub duplicates: u64,
    /// Time that a batch waits before its commit begins.
    pub wait: TimeStatistics,
    /// Time that a commit takes.
    pub write: TimeStatistics,
}

/// Average and maximum of a time since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeStatistics {
    /// Average.
    pub average: Duration,
    /// Maximum.
    pub max: Duration,
}

/// The maintenance timer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MaintenanceStatus {
    /// When the last run ended; `None` before the first.
    pub last_run_at: Option<SystemTime>,
    /// Runs since the start.
    pub runs: u64,
    /// Small files merged into larger ones since the start.
    pub merged_files: u64,
    /// Files those became.
    pub created_files: u64,
    /// Checkpoints of the catalog's write-ahead log since the start.
    pub wal_checkpoints: u64,
    /// When the last of them ended.
    pub last_wal_checkpoint_at: Option<SystemTime>,
    /// Size of the write-ahead log now, in bytes.
    pub wal_bytes: Option<u64>,
    /// The last thing that went wrong.
    pub last_error: Option<LastError>,
}

impl NetworkState {
    /// Why, for the states that have a reason; empty otherwise.
    pub fn reason(&self) -> &str {
        match self {
            NetworkState::Starting
            | NetworkState::CatchingUp
            | NetworkState::Following
            | NetworkState::Finished => "",
            NetworkState::Waiting { reason }
            | NetworkState::Retrying { reason }
            | NetworkState::Stopped { reason } => reason,
        }
    }
}

impl NetworkStatus {
    /// Tip minus last ledger; `None` while either is not known, 0 when the lake is ahead of the source's word.
    pub fn lag(&self) -> Option<u32> {
        Some(self.tip?.saturating_sub(self.last_ledger?))
    }

    /// Why this network is not healthy, or `None` when it is.
    pub fn trouble(&self) -> Option<String> {
        match &self.state {
            NetworkState::Starting => return Some("starting: nothing has been read yet".to_owned()),
            NetworkState::Retrying { reason } => return Some(format!("retrying: {reason}")),
            NetworkState::Stopped { reason } => return Some(format!("stopped: {reason}")),
            NetworkState::CatchingUp
            | NetworkState::Following
            | NetworkState::Finished
            | NetworkState::Waiting { .. } => {}
        }
        if let Some(stopped) = &self.stopped_job {
            return Some(stopped.clone());
        }
        let ranges = |count: u64| if count == 1 { "1 range".to_owned() } else { format!("{count} ranges") };
        if self.unattended_gaps > 0 {
            let missing = ranges(self.unattended_gaps);
            return Some(format!(
                "{missing} of ledgers missing and no job fills it: `lakectl gaps` says why"
            ));
        }
        if self.damaged > 0 {
            return Some(format!("{} of ledgers damaged: see `lakectl gaps`", ranges(self.damaged)));
        }
        self.lacking.first().map(ToString::to_string)
    }
}

/// Resident memory of this process in bytes, 0 when the kernel does not say.
pub fn rss_bytes() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|text| parse_rss(&text)).unwrap_or(0)
}

/// Reads `VmRSS` of `/proc/<pid>/status`, which the kernel gives in kB.
fn parse_rss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_unknown_until_both_ends_are_known() {
        let mut network = NetworkStatus { tip: Some(10), ..NetworkStatus::default() };
        assert_eq!(network.lag(), None);
        network.last_ledger = Some(7);
        assert_eq!(network.lag(), Some(3));
        network.last_ledger = Some(12);
        assert_eq!(network.lag(), Some(0));
    }

    #[test]
    fn a_gap_or_a_stop_is_trouble_and_waiting_is_not() {
        let mut network = NetworkStatus { state: NetworkState::Following, ..NetworkStatus::default() };
        assert_eq!(network.trouble(), None);
        network.gaps = 2;
        assert_eq!(network.trouble(), None, "a job fills them");
        network.unattended_gaps = 2;
        assert!(network.trouble().unwrap().contains("2 ranges of ledgers missing"));
        network.unattended_gaps = 0;
        network.damaged = 1;
        assert!(network.trouble().unwrap().contains("1 range of ledgers damaged"));
        network.damaged = 0;
        network.stopped_job = Some("backfill job 1 is stopped: the disk is full".to_owned());
        assert_eq!(network.trouble(), network.stopped_job);
        network.stopped_job = None;
        network.lacking = vec![LackingTables {
            ledgers: vec![(2, 9), (12, 12)],
            tables: vec!["a".to_owned(), "b".to_owned()],
        }];
        let trouble = network.trouble().unwrap();
        assert!(
            trouble.starts_with("ledgers 2..9, 12..12 were stored by an older table set and lack a, b: ")
        );
        network.lacking.clear();
        network.state = NetworkState::Waiting { reason: "the next ledger".to_owned() };
        assert_eq!(network.trouble(), None);
        network.state = NetworkState::Stopped { reason: "bad hash".to_owned() };
        assert_eq!(network.trouble().unwrap(), "stopped: bad hash");
    }

    #[test]
    fn resident_memory_is_read_from_the_kernel() {
        assert_eq!(parse_rss("VmPeak:\t 9 kB\nVmRSS:\t   12 kB\n"), Some(12 * 1024));
        assert_eq!(parse_rss("VmRSS: many\n"), None);
        assert!(rss_bytes() > 0);
    }
}
