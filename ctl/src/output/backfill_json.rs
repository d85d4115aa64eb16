//! The JSON of jobs, plans and gaps. Field names are stable: programs read them. Unknown values are null, texts
//! that have nothing to say are empty, times are ISO 8601 in UTC, units are in the names, ranges are inclusive.

use std::time::Duration;

use lake_proto::v1;
use prost_types::Timestamp;
use serde::Serialize;

use super::backfill_text::{missing_ledgers, state_word};

/// Several jobs: `list` and `repair`.
#[derive(Debug, Serialize)]
pub(crate) struct JobsJson<'a> {
    jobs: Vec<JobJson<'a>>,
}

/// One job: `start`, `show`, `watch`, `pause`, `resume`, `cancel` and `set`.
#[derive(Debug, Serialize)]
pub(crate) struct JobJson<'a> {
    id: u32,
    network: &'a str,
    /// `running`, `paused`, `finished`, `cancelled`, `stopped` or `unknown`.
    state: &'static str,
    reason: &'a str,
    wanted: Vec<RangeJson>,
    ledgers_wanted: u64,
    ledgers_stored: u64,
    ledgers_parked: u64,
    ledgers_per_second: f64,
    remaining_seconds: Option<u64>,
    bytes_written: u64,
    workers: WorkersJson<'a>,
    parked: Vec<ParkedJson<'a>>,
    active: Vec<ActiveJson<'a>>,
    created_at: Option<String>,
    ended_at: Option<String>,
    history: Vec<EventJson<'a>>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct RangeJson {
    first: u32,
    last: u32,
}

#[derive(Debug, Serialize)]
struct WorkersJson<'a> {
    /// Found by measuring.
    auto: bool,
    /// Null when automatic.
    asked: Option<u32>,
    active: u32,
    limited_by: &'a str,
}

#[derive(Debug, Serialize)]
struct ParkedJson<'a> {
    #[serde(flatten)]
    range: RangeJson,
    reason: &'a str,
    evidence: &'a str,
    at: Option<String>,
}

#[derive(Debug, Serialize)]
struct ActiveJson<'a> {
    #[serde(flatten)]
    range: RangeJson,
    ledgers_done: u64,
    retrying: &'a str,
}

#[derive(Debug, Serialize)]
struct EventJson<'a> {
    at: Option<String>,
    what: &'a str,
}

/// What a job would do: `start --dry-run`.
#[derive(Debug, Serialize)]
pub(crate) struct PlanJson<'a> {
    network: &'a str,
    missing: Vec<RangeJson>,
    ledgers: u64,
    ledgers_stored: u64,
    chunks: u64,
    objects: Option<u64>,
    fetch_bytes: Option<u64>,
    xdr_bytes: u64,
    rows: u64,
    disk_bytes: u64,
    disk_free_bytes: u64,
    times: Vec<TimeJson>,
    cost_usd: Option<f64>,
    sampled_ledgers: u32,
}

#[derive(Debug, Serialize)]
struct TimeJson {
    workers: u32,
    seconds: Option<u64>,
}

/// What is missing: `gaps`.
#[derive(Debug, Serialize)]
pub(crate) struct GapsJson<'a> {
    /// Whether nothing is.
    complete: bool,
    networks: Vec<NetworkGapsJson<'a>>,
}

#[derive(Debug, Serialize)]
struct NetworkGapsJson<'a> {
    name: &'a str,
    first_ledger: Option<u32>,
    last_ledger: Option<u32>,
    missing_ledgers: u64,
    gaps: Vec<GapJson<'a>>,
}

#[derive(Debug, Serialize)]
struct GapJson<'a> {
    #[serde(flatten)]
    range: RangeJson,
    reason: &'a str,
    /// They are stored, and damaged.
    damaged: bool,
}

impl<'a> From<&'a [v1::BackfillJob]> for JobsJson<'a> {
    fn from(jobs: &'a [v1::BackfillJob]) -> Self {
        Self { jobs: jobs.iter().map(JobJson::from).collect() }
    }
}

impl<'a> From<&'a v1::BackfillJob> for JobJson<'a> {
    fn from(job: &'a v1::BackfillJob) -> Self {
        Self {
            id: job.id,
            network: &job.network,
            state: state_word(job.state()),
            reason: &job.reason,
            wanted: job.wanted.iter().map(RangeJson::from).collect(),
            ledgers_wanted: job.ledgers_wanted,
            ledgers_stored: job.ledgers_stored,
            ledgers_parked: job.ledgers_parked,
            ledgers_per_second: job.ledgers_per_second,
            remaining_seconds: job.remaining.and_then(seconds),
            bytes_written: job.bytes_written,
            workers: workers(job),
            parked: job.parked.iter().map(parked).collect(),
            active: job.active.iter().map(active).collect(),
            created_at: time(job.created_at.as_ref()),
            ended_at: time(job.ended_at.as_ref()),
            history: job.history.iter().map(event).collect(),
        }
    }
}

impl<'a> From<&'a v1::BackfillPlan> for PlanJson<'a> {
    fn from(plan: &'a v1::BackfillPlan) -> Self {
        let times = plan
            .times
            .iter()
            .map(|time| TimeJson { workers: time.workers, seconds: time.time.and_then(seconds) });
        Self {
            network: &plan.network,
            missing: plan.missing.iter().map(RangeJson::from).collect(),
            ledgers: plan.ledgers,
            ledgers_stored: plan.stored,
            chunks: plan.chunks,
            objects: plan.objects,
            fetch_bytes: plan.fetch_bytes,
            xdr_bytes: plan.xdr_bytes,
            rows: plan.rows,
            disk_bytes: plan.disk_bytes,
            disk_free_bytes: plan.disk_free_bytes,
            times: times.collect(),
            cost_usd: plan.cost_usd,
            sampled_ledgers: plan.sampled_ledgers,
        }
    }
}

impl<'a> From<&'a [v1::NetworkGaps]> for GapsJson<'a> {
    fn from(networks: &'a [v1::NetworkGaps]) -> Self {
        Self {
            complete: networks.iter().all(|network| network.gaps.is_empty()),
            networks: networks.iter().map(network_gaps).collect(),
        }
    }
}

impl From<&v1::LedgerRange> for RangeJson {
    fn from(range: &v1::LedgerRange) -> Self {
        Self { first: range.first, last: range.last }
    }
}

fn workers(job: &v1::BackfillJob) -> WorkersJson<'_> {
    let count = job.workers.and_then(|workers| workers.count);
    let (auto, asked) = match count {
        Some(v1::workers::Count::Fixed(number)) => (false, Some(number)),
        Some(v1::workers::Count::Auto(_)) => (true, None),
        None => (false, None),
    };
    WorkersJson { auto, asked, active: job.active_workers, limited_by: &job.limited_by }
}

fn parked(chunk: &v1::ParkedChunk) -> ParkedJson<'_> {
    ParkedJson {
        range: range(chunk.range),
        reason: &chunk.reason,
        evidence: &chunk.evidence,
        at: time(chunk.at.as_ref()),
    }
}

fn active(chunk: &v1::ActiveChunk) -> ActiveJson<'_> {
    ActiveJson { range: range(chunk.range), ledgers_done: chunk.done, retrying: &chunk.retrying }
}

fn event(event: &v1::JobEvent) -> EventJson<'_> {
    EventJson { at: time(event.at.as_ref()), what: &event.what }
}

fn network_gaps(network: &v1::NetworkGaps) -> NetworkGapsJson<'_> {
    let gaps = network.gaps.iter().map(|gap| GapJson {
        range: range(gap.range),
        reason: &gap.reason,
        damaged: gap.damaged,
    });
    NetworkGapsJson {
        name: &network.network,
        first_ledger: network.first,
        last_ledger: network.last,
        missing_ledgers: missing_ledgers(network),
        gaps: gaps.collect(),
    }
}

fn range(range: Option<v1::LedgerRange>) -> RangeJson {
    RangeJson::from(&range.unwrap_or_default())
}

/// Whole seconds.
fn seconds(time: prost_types::Duration) -> Option<u64> {
    Duration::try_from(time).ok().map(|time| time.as_secs())
}

/// ISO 8601 in UTC.
fn time(time: Option<&Timestamp>) -> Option<String> {
    time.map(ToString::to_string)
}
