//! The list of all metrics: what is not in it is not shown anywhere.
//!
//! Names follow Prometheus: `lake_<area>_<what>_<unit>`, base units, `_total` for what only grows. Nothing is a rate: who
//! wants one takes it over the time that matters to them. Labels are bounded: networks are configured, the rest are fixed.

use std::time::{Duration, UNIX_EPOCH};

use super::figures::{Figures, NetworkFigures};
use crate::{
    backfill::JobState,
    lake::Timing,
    status::{NetworkState, NetworkStatus},
};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations, counted in the classes of [`crate::lake::BOUNDS`].
    Histogram,
}

impl Kind {
    /// Its name in the Prometheus text format.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One value with the values of its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// In the order of [`Metric::labels`].
    pub labels: Vec<String>,
    /// The value.
    pub value: Value,
}

/// What a sample says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram.
    Times(Timing),
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name, as Prometheus has it.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Unit as UCUM has it; what is in braces is counted.
    pub unit: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub help: &'static str,
    read: fn(&Figures, &mut Samples),
}

impl Metric {
    /// Its samples.
    pub fn samples(&self, figures: &Figures) -> Vec<Sample> {
        let mut samples = Samples(Vec::new());
        (self.read)(figures, &mut samples);
        samples.0
    }

    /// Its name as OpenTelemetry has it: the kind says what only grows.
    pub fn otel_name(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }
}

/// Samples of one metric. What is not known is left out.
struct Samples(Vec<Sample>);

impl Samples {
    fn put(&mut self, labels: &[&str], value: impl Into<Option<f64>>) {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.0.extend(value.into().map(|value| Sample { labels, value: Value::Number(value) }));
    }

    fn count(&mut self, labels: &[&str], value: u64) {
        self.put(labels, value as f64);
    }

    fn times(&mut self, timing: Timing) {
        self.0.push(Sample { labels: Vec::new(), value: Value::Times(timing) });
    }
}

/// One sample for each network.
fn each(figures: &Figures, out: &mut Samples, value: fn(&NetworkStatus) -> Option<f64>) {
    figures.status.networks.iter().for_each(|network| out.put(&[&network.name], value(network)));
}

/// The same with what the status does not show.
fn more(figures: &Figures, mut put: impl FnMut(&str, &NetworkFigures)) {
    let networks = figures.status.networks.iter().zip(&figures.networks);
    networks.for_each(|(network, more)| put(&network.name, more));
}

/// Seconds since the close of the newest stored ledger that was followed.
fn lag_seconds(figures: &Figures, network: &NetworkStatus) -> Option<f64> {
    let closed = network.last_close_time?;
    Some(figures.status.taken_at.duration_since(closed).unwrap_or(Duration::ZERO).as_secs_f64())
}

/// Names of the states, in one word.
const STATES: [&str; 7] =
    ["starting", "catching_up", "following", "finished", "waiting", "retrying", "stopped"];

fn state(state: &NetworkState) -> &'static str {
    match state {
        NetworkState::Starting => "starting",
        NetworkState::CatchingUp => "catching_up",
        NetworkState::Following => "following",
        NetworkState::Finished => "finished",
        NetworkState::Waiting { .. } => "waiting",
        NetworkState::Retrying { .. } => "retrying",
        NetworkState::Stopped { .. } => "stopped",
    }
}

macro_rules! metrics {
    ($($kind:ident $name:literal [$unit:literal] ($($label:literal),*) $help:literal => $read:expr;)+) => {
        /// All metrics, in the order in which they are shown.
        pub const LIST: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
            read: $read,
        }),+];
    };
}

metrics! {
    Gauge "lake_build_info" ["1"] ("version") "Always 1; the label is the version of the daemon."
        => |f, out| out.count(&[&f.status.daemon.version], 1);

    Gauge "lake_network_state" ["1"] ("network", "state") "1 for the state that the network is in, 0 for the others."
        => |f, out| f.status.networks.iter().for_each(|network| {
            STATES.iter().for_each(|word| out.count(&[&network.name, word], u64::from(state(&network.state) == *word)));
        });
    Gauge "lake_network_tip_ledger" ["1"] ("network") "Newest ledger that the source of the network knows of."
        => |f, out| each(f, out, |network| network.tip.map(f64::from));
    Gauge "lake_network_head_ledger" ["1"] ("network") "Newest ledger in the lake."
        => |f, out| each(f, out, |network| network.last_ledger.map(f64::from));
    Gauge "lake_network_lag_ledgers" ["{ledger}"] ("network") "Ledgers between the tip of the source and the newest ledger in the lake."
        => |f, out| each(f, out, |network| network.lag().map(f64::from));
    Gauge "lake_network_lag_seconds" ["s"] ("network") "Time since the close of the newest followed ledger in the lake."
        => |f, out| f.status.networks.iter().for_each(|network| out.put(&[&network.name], lag_seconds(f, network)));
    Gauge "lake_network_stored_ledgers" ["{ledger}"] ("network") "Ledgers in the lake."
        => |f, out| each(f, out, |network| network.stored.ledgers.map(|ledgers| ledgers as f64));
    Gauge "lake_network_gaps" ["{gap}"] ("network") "Missing ranges between the first and the newest ledger in the lake."
        => |f, out| each(f, out, |network| Some(network.gaps as f64));
    Gauge "lake_network_unattended_gaps" ["{gap}"] ("network") "Those of the gaps that no running job fills."
        => |f, out| each(f, out, |network| Some(network.unattended_gaps as f64));
    Gauge "lake_network_damaged_ranges" ["{range}"] ("network") "Ranges of ledgers whose files are known to be damaged."
        => |f, out| each(f, out, |network| Some(network.damaged as f64));
    Counter "lake_network_ledgers_total" ["{ledger}"] ("network") "Followed ledgers that were committed, each checked before."
        => |f, out| each(f, out, |network| Some(network.written.ledgers as f64));
    Counter "lake_network_written_bytes_total" ["By"] ("network") "Bytes of the Parquet files of followed ledgers."
        => |f, out| each(f, out, |network| Some(network.written.bytes as f64));
    Counter "lake_network_verification_failures_total" ["{failure}"] ("network") "Ledgers and chunks that failed a check and were not stored."
        => |f, out| more(f, |name, more| out.count(&[name], more.failed_checks + more.jobs.failed_checks));
    Counter "lake_table_rows_total" ["{row}"] ("network", "table") "Rows of followed ledgers that were committed, by table."
        => |f, out| more(f, |name, more| more.rows.iter().for_each(|(table, rows)| out.count(&[name, table], *rows)));

    Counter "lake_source_requests_total" ["{request}"] ("network", "use") "Reads of objects and directories; the use is live or history."
        => |f, out| more(f, |name, more| {
            out.count(&[name, "live"], more.traffic.requests);
            out.count(&[name, "history"], more.jobs.traffic.requests);
        });
    Counter "lake_source_failures_total" ["{request}"] ("network", "use") "Those of the reads that brought an error."
        => |f, out| more(f, |name, more| {
            out.count(&[name, "live"], more.traffic.failures);
            out.count(&[name, "history"], more.jobs.traffic.failures);
        });
    Counter "lake_source_retries_total" ["{retry}"] ("network", "use") "Times that a pipeline or a chunk was tried again after an error."
        => |f, out| more(f, |name, more| {
            out.count(&[name, "live"], more.retries);
            out.count(&[name, "history"], more.jobs.retries);
        });
    Counter "lake_source_read_bytes_total" ["By"] ("network", "use") "Bytes of objects as they are stored."
        => |f, out| more(f, |name, more| {
            out.count(&[name, "live"], more.traffic.bytes);
            out.count(&[name, "history"], more.jobs.traffic.bytes);
        });

    Gauge "lake_queue_batches" ["{batch}"] () "Batches that wait for their commit or are in it."
        => |f, out| out.count(&[], f.status.queue.depth);
    Gauge "lake_queue_capacity_batches" ["{batch}"] () "Batches that may wait."
        => |f, out| out.count(&[], f.status.queue.capacity);
    Gauge "lake_queue_bytes" ["By"] () "Bytes of the files of those batches."
        => |f, out| out.count(&[], f.status.queue.bytes);
    Counter "lake_queue_submitted_batches_total" ["{batch}"] () "Batches that were put in."
        => |f, out| out.count(&[], f.status.queue.submitted);
    Counter "lake_queue_written_batches_total" ["{batch}"] () "Batches that were committed."
        => |f, out| out.count(&[], f.status.queue.written);
    Counter "lake_queue_failed_batches_total" ["{batch}"] () "Batches that could not be committed, duplicates included."
        => |f, out| out.count(&[], f.status.queue.failed);
    Counter "lake_queue_duplicate_batches_total" ["{batch}"] () "Batches that were refused because their ledgers were in the lake already."
        => |f, out| out.count(&[], f.status.queue.duplicates);
    Histogram "lake_queue_wait_seconds" ["s"] () "Time that a batch waits before its commit begins."
        => |f, out| out.times(f.wait);
    Histogram "lake_commit_seconds" ["s"] () "Time that a commit takes."
        => |f, out| out.times(f.commit);

    Gauge "lake_backfill_jobs" ["{job}"] ("network", "state") "Backfill jobs by their state."
        => |f, out| more(f, |name, more| {
            JobState::ALL.iter().zip(more.jobs.jobs).for_each(|(state, jobs)| out.count(&[name, state.word()], jobs));
        });
    Gauge "lake_backfill_workers" ["{worker}"] ("network") "Workers that are at work."
        => |f, out| more(f, |name, more| out.count(&[name], more.jobs.workers));
    Gauge "lake_backfill_planned_chunks" ["{chunk}"] ("network") "Chunks that running jobs planned since each began or went on."
        => |f, out| more(f, |name, more| out.count(&[name], more.jobs.chunks_planned));
    Gauge "lake_backfill_done_chunks" ["{chunk}"] ("network") "Those of the planned chunks that are done with."
        => |f, out| more(f, |name, more| out.count(&[name], more.jobs.chunks_done));
    Counter "lake_backfill_ledgers_total" ["{ledger}"] ("network") "Ledgers that jobs stored; its rate is theirs."
        => |f, out| more(f, |name, more| out.count(&[name], more.jobs.ledgers));
    Counter "lake_backfill_written_bytes_total" ["By"] ("network") "Bytes of the Parquet files that jobs stored."
        => |f, out| more(f, |name, more| out.count(&[name], more.jobs.bytes));

    Counter "lake_maintenance_runs_total" ["{run}"] () "Runs of maintenance of any kind."
        => |f, out| out.count(&[], f.maintenance.runs);
    Counter "lake_maintenance_failures_total" ["{run}"] () "Those of the runs that failed."
        => |f, out| out.count(&[], f.maintenance.failures);
    Counter "lake_maintenance_merges_total" ["{merge}"] () "Swaps of small files for a larger one."
        => |f, out| out.count(&[], f.maintenance.merges);
    Counter "lake_maintenance_merged_files_total" ["{file}"] () "Small files that were replaced."
        => |f, out| out.count(&[], f.maintenance.merged_files);
    Counter "lake_maintenance_created_files_total" ["{file}"] () "Files that replaced them."
        => |f, out| out.count(&[], f.maintenance.created_files);
    Counter "lake_maintenance_rewritten_bytes_total" ["By"] () "Bytes of the files that replaced others."
        => |f, out| out.count(&[], f.maintenance.rewritten_bytes);
    Counter "lake_maintenance_expired_snapshots_total" ["{snapshot}"] () "Snapshots that were expired."
        => |f, out| out.count(&[], f.maintenance.expired_snapshots);
    Counter "lake_maintenance_deleted_files_total" ["{file}"] () "Replaced files that were deleted."
        => |f, out| out.count(&[], f.maintenance.deleted_files);
    Counter "lake_maintenance_wal_checkpoints_total" ["{checkpoint}"] () "Checkpoints of the catalog's write-ahead log."
        => |f, out| out.count(&[], f.maintenance.wal_checkpoints);
    Gauge "lake_catalog_wal_bytes" ["By"] () "Size of the catalog's write-ahead log."
        => |f, out| out.put(&[], f.status.maintenance.wal_bytes.map(|bytes| bytes as f64));

    Gauge "lake_disk_free_bytes" ["By"] () "Bytes that the file system of the lake has left for the daemon."
        => |f, out| out.put(&[], f.process.disk_free.map(|bytes| bytes as f64));
    Gauge "lake_disk_size_bytes" ["By"] () "Bytes of the file system of the lake."
        => |f, out| out.put(&[], f.process.disk_size.map(|bytes| bytes as f64));
    Gauge "process_resident_memory_bytes" ["By"] () "Resident memory of the daemon."
        => |f, out| out.put(&[], Some(f.status.daemon.rss_bytes as f64).filter(|bytes| *bytes > 0.0));
    Counter "process_cpu_seconds_total" ["s"] () "CPU time of all threads of the daemon."
        => |f, out| out.put(&[], f.process.cpu.map(|time| time.as_secs_f64()));
    Gauge "process_open_fds" ["{file}"] () "Files that the daemon has open."
        => |f, out| out.put(&[], f.process.open_files.map(|files| files as f64));
    Gauge "process_start_time_seconds" ["s"] () "When the daemon started, since the Unix epoch."
        => |f, out| out.put(&[], f.status.daemon.started_at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64()));
}
