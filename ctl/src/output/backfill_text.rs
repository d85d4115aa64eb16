//! Jobs, plans and gaps for people.

use std::time::Duration;

use lake_proto::v1::{
    ActiveChunk, BackfillJob, BackfillPlan, BackfillState, JobEvent, LedgerRange, NetworkGaps, ParkedChunk,
    workers::Count,
};

use super::{
    Style,
    human::{self, Row, Table, count, moment, one_line, size, span},
};

const JOBS: Table<10> = Table {
    header: [
        "JOB",
        "NETWORK",
        "STATE",
        "LEDGERS WANTED",
        "STORED",
        "DONE",
        "PARKED",
        "LEDGERS/S",
        "LEFT",
        "WORKERS",
    ],
    left: 4,
    coloured: 2,
};

/// Width of labels.
const LABEL: usize = 11;

/// Ranges of a plan that are listed one by one.
const PLAN_RANGES: usize = 20;

/// Several jobs, one per line.
pub(crate) fn jobs(jobs: &[BackfillJob], style: Style, width: Option<u16>) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let rows: Vec<_> = jobs.iter().map(row).collect();
    let mut lines = JOBS.lines(&rows, style);
    let reasons = jobs.iter().filter(|job| !job.reason.is_empty());
    lines.extend(reasons.map(|job| format!("job {}: {}", job.id, one_line(&job.reason))));
    human::text(lines, width)
}

/// One job on one line, for logs.
pub(crate) fn line(job: &BackfillJob) -> String {
    let reason = if job.reason.is_empty() { String::new() } else { format!("  {}", one_line(&job.reason)) };
    format!(
        "job {}  {}  {}  {}  {}  left {}  workers {}  parked {}{reason}",
        job.id,
        job.network,
        state_word(job.state()),
        progress(job),
        rate(job),
        left(job),
        workers(job),
        count(job.ledgers_parked),
    )
}

/// One job with all that is known about it.
pub(crate) fn job(job: &BackfillJob, width: Option<u16>) -> String {
    let mut lines = vec![format!("job {}  {}  {}", job.id, job.network, state_word(job.state()))];
    if !job.reason.is_empty() {
        lines.push(labelled("reason", one_line(&job.reason)));
    }
    lines.push(labelled("wanted", job.wanted.iter().map(range).collect::<Vec<_>>().join(", ")));
    lines.push(labelled("progress", progress(job)));
    lines.push(labelled("rate", format!("{}  left {}", rate(job), left(job))));
    lines.push(labelled("workers", workers(job)));
    lines.push(labelled("written", size(job.bytes_written)));
    lines.push(labelled("started", moment(job.created_at.as_ref())));
    if job.ended_at.is_some() {
        lines.push(labelled("ended", moment(job.ended_at.as_ref())));
    }
    if !job.parked.is_empty() {
        lines.push(format!("parked, {} ledgers:", count(job.ledgers_parked)));
        lines.extend(job.parked.iter().map(|chunk| format!("  {}", parked(chunk))));
    }
    if !job.active.is_empty() {
        lines.push("at work:".to_owned());
        lines.extend(job.active.iter().map(|chunk| format!("  {}", active(chunk))));
    }
    if !job.history.is_empty() {
        lines.push("history:".to_owned());
        lines.extend(job.history.iter().map(|entry| format!("  {}", event(entry))));
    }
    human::text(lines, width)
}

/// What a job would do.
pub(crate) fn plan(plan: &BackfillPlan, width: Option<u16>) -> String {
    let stored = format!("{} stored already", count(plan.stored));
    if plan.ledgers == 0 {
        return human::text(vec![format!("{}: nothing to do, {stored}", plan.network)], width);
    }
    let mut lines = vec![format!("plan for {}; nothing was started", plan.network)];
    lines.push(labelled("ledgers", format!("{} to fetch, {stored}", count(plan.ledgers))));
    lines.extend(plan.missing.iter().take(PLAN_RANGES).map(|missing| labelled("", range(missing))));
    if let Some(more) = plan.missing.len().checked_sub(PLAN_RANGES + 1) {
        lines.push(labelled("", format!("and {} more ranges", more + 1)));
    }
    let objects = plan.objects.map_or("unknown".to_owned(), count);
    let bytes = plan.fetch_bytes.map_or("unknown".to_owned(), size);
    lines.push(labelled("chunks", count(plan.chunks)));
    lines.push(labelled("objects", objects));
    lines.push(labelled("fetch", format!("{bytes} compressed, {} of XDR", size(plan.xdr_bytes))));
    lines.push(labelled("rows", count(plan.rows)));
    let disk = format!("{} needed, {} free", size(plan.disk_bytes), size(plan.disk_free_bytes));
    lines.push(labelled("disk", disk));
    if plan.disk_bytes > plan.disk_free_bytes {
        lines.push(labelled("", "NOT ENOUGH: make room, or start with --force".to_owned()));
    }
    for (index, time) in plan.times.iter().enumerate() {
        let label = if index == 0 { "time" } else { "" };
        let text = duration(time.time.as_ref());
        let plural = if time.workers == 1 { "" } else { "s" };
        lines.push(labelled(label, format!("{text} with {} worker{plural}", time.workers)));
    }
    let cost =
        plan.cost_usd.map_or("unknown: no prices are configured".to_owned(), |usd| format!("{usd:.2} USD"));
    lines.push(labelled("cost", cost));
    lines.push(labelled("measured", format!("on {} ledgers", count(plan.sampled_ledgers))));
    human::text(lines, width)
}

/// What is missing.
pub(crate) fn gaps(networks: &[NetworkGaps], width: Option<u16>) -> String {
    let mut lines = Vec::new();
    for network in networks {
        let covered = match (network.first, network.last) {
            (Some(first), Some(last)) => range(&LedgerRange { first, last }),
            (_, _) => "nothing is stored".to_owned(),
        };
        let missing = match missing_ledgers(network) {
            0 => "no gaps".to_owned(),
            ledgers => {
                let gaps = network.gaps.iter().filter(|gap| !gap.damaged).count();
                format!("{} missing in {gaps} gaps", count(ledgers))
            }
        };
        let damaged = match network.gaps.iter().filter(|gap| gap.damaged).count() {
            0 => String::new(),
            ranges => format!(", {ranges} stored but damaged"),
        };
        lines.push(format!("{}: {covered}: {missing}{damaged}", network.network));
        for gap in &network.gaps {
            let reason =
                if gap.reason.is_empty() { String::new() } else { format!("  {}", one_line(&gap.reason)) };
            lines.push(format!("  {}{reason}", range(&gap.range.unwrap_or_default())));
        }
    }
    if networks.is_empty() {
        lines.push("no networks are configured".to_owned());
    }
    human::text(lines, width)
}

/// The word for a job's state, in JSON and for people.
pub(crate) fn state_word(state: BackfillState) -> &'static str {
    match state {
        BackfillState::Unspecified => "unknown",
        BackfillState::Running => "running",
        BackfillState::Paused => "paused",
        BackfillState::Finished => "finished",
        BackfillState::Cancelled => "cancelled",
        BackfillState::Stopped => "stopped",
    }
}

/// Ledgers that a network lacks.
pub(crate) fn missing_ledgers(network: &NetworkGaps) -> u64 {
    let ranges = network.gaps.iter().filter(|gap| !gap.damaged).filter_map(|gap| gap.range);
    ranges.map(|range| u64::from(range.last.saturating_sub(range.first)) + 1).sum()
}

/// Stored out of wanted ledgers.
pub(crate) fn progress(job: &BackfillJob) -> String {
    let (stored, wanted) = (count(job.ledgers_stored), count(job.ledgers_wanted));
    format!("{stored} of {wanted} ledgers  {}", percent(job))
}

/// Rounded down: rounding up would say 100.0% of a job that lacks a ledger.
fn percent(job: &BackfillJob) -> String {
    format!("{:.1}%", (share(job) * 1_000.0).floor() / 10.0)
}

/// Stored share of the wanted ledgers, 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "ledger numbers are below 2^32, which f64 holds exactly")]
pub(crate) fn share(job: &BackfillJob) -> f64 {
    if job.ledgers_wanted == 0 {
        return 1.0;
    }
    (job.ledgers_stored as f64 / job.ledgers_wanted as f64).clamp(0.0, 1.0)
}

/// Ledgers per second.
pub(crate) fn rate(job: &BackfillJob) -> String {
    format!("{:.1} ledgers/s", job.ledgers_per_second)
}

/// Time to the end; `-` when unknown.
pub(crate) fn left(job: &BackfillJob) -> String {
    duration(job.remaining.as_ref())
}

/// Workers at work, asked for, and what limits them.
pub(crate) fn workers(job: &BackfillJob) -> String {
    let asked = match job.workers.and_then(|workers| workers.count) {
        Some(Count::Fixed(number)) => number.to_string(),
        Some(Count::Auto(_)) => "auto".to_owned(),
        None => "-".to_owned(),
    };
    let limit =
        if job.limited_by.is_empty() { String::new() } else { format!(", limited by {}", job.limited_by) };
    format!("{} of {asked}{limit}", job.active_workers)
}

/// First and last.
pub(crate) fn range(range: &LedgerRange) -> String {
    format!("{}..{}", count(range.first), count(range.last))
}

/// A parked chunk.
pub(crate) fn parked(chunk: &ParkedChunk) -> String {
    let ledgers = range(&chunk.range.unwrap_or_default());
    let evidence = if chunk.evidence.is_empty() {
        String::new()
    } else {
        format!("  see {}", one_line(&chunk.evidence))
    };
    format!("{}  {ledgers}  {}{evidence}", moment(chunk.at.as_ref()), one_line(&chunk.reason))
}

/// A chunk at work.
pub(crate) fn active(chunk: &ActiveChunk) -> String {
    let ledgers = chunk.range.unwrap_or_default();
    let all = u64::from(ledgers.last.saturating_sub(ledgers.first)) + 1;
    let retrying = if chunk.retrying.is_empty() {
        String::new()
    } else {
        format!("  retrying: {}", one_line(&chunk.retrying))
    };
    format!("{}  {} of {}{retrying}", range(&ledgers), count(chunk.done), count(all))
}

/// Something that happened.
pub(crate) fn event(event: &JobEvent) -> String {
    format!("{}  {}", moment(event.at.as_ref()), one_line(&event.what))
}

/// SGR code: green works or is done, yellow waits or lacks something, red needs somebody.
fn colour(job: &BackfillJob) -> u8 {
    match job.state() {
        BackfillState::Finished if job.ledgers_parked > 0 => 33,
        BackfillState::Running | BackfillState::Finished => 32,
        BackfillState::Unspecified | BackfillState::Paused | BackfillState::Cancelled => 33,
        BackfillState::Stopped => 31,
    }
}

fn row(job: &BackfillJob) -> Row<10> {
    let wanted = match (job.wanted.first(), job.wanted.last()) {
        (Some(first), Some(last)) => range(&LedgerRange { first: first.first, last: last.last }),
        (_, _) => "none".to_owned(),
    };
    let cells = [
        job.id.to_string(),
        job.network.clone(),
        state_word(job.state()).to_owned(),
        wanted,
        format!("{} of {}", count(job.ledgers_stored), count(job.ledgers_wanted)),
        percent(job),
        count(job.ledgers_parked),
        format!("{:.1}", job.ledgers_per_second),
        left(job),
        workers(job),
    ];
    Row { cells, colour: colour(job) }
}

fn labelled(label: &str, text: String) -> String {
    format!("{label:LABEL$}{text}")
}

fn duration(time: Option<&prost_types::Duration>) -> String {
    time.and_then(|time| Duration::try_from(*time).ok()).map_or("-".to_owned(), span)
}
