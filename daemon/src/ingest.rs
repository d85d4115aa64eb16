//! The one-shot command: one range into one lake through the same pipeline, without a daemon.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use lake_core::{LedgerRange, LedgerSeq, Network, tables::SPECS};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{self, AppError},
    backfill::{self, ChunkRules},
    budget::MemoryBudget,
    class::Class,
    cli::{Exit, IngestArgs},
    config::{Settings, SourceSettings, known_passphrase, validate_network_name},
    lake::{Lake, LakeError, Lane, NetworkName, NetworkSpec, OnlyTables, RangeSet},
    pipeline::{ChunkLimits, NetworkTask, PipelineError, Progress, RangeEnd, Shared, run_chunks, run_range},
    service,
    source::{self, Filesystem, RecordStream, Source, SourceError},
};

/// What was done, in figures.
#[derive(Debug, Serialize)]
struct Summary {
    network: String,
    first_ledger: Option<u32>,
    last_ledger: Option<u32>,
    ledgers: u64,
    transactions: u64,
    operations: u64,
    /// Of all tables.
    rows: u64,
    batches: u64,
    average_write_ms: f64,
    ledgers_per_second: f64,
    stored_ledgers: u64,
    /// Ledgers that were stored by an older table set and got the tables that it lacked.
    completed_ledgers: u64,
    /// Stored ledgers that still lack tables.
    lacking_ledgers: u64,
    gaps: u64,
    took_ms: u64,
    cpu_seconds: StageSeconds,
}

/// CPU time by stage, of all batches together.
#[derive(Debug, Serialize)]
struct StageSeconds {
    decode_verify: f64,
    extract: f64,
    encode: f64,
    commit: f64,
}

/// Ingests what the arguments say.
///
/// # Errors
/// What kept the range from being in, with the exit code that says which kind it is. What was committed stays.
pub async fn run(args: IngestArgs, mut settings: Settings) -> Result<(), AppError> {
    validate_network_name(&args.network).map_err(|message| AppError::new(Exit::Usage, message))?;
    if let (Some(from), Some(to)) = (args.from, args.to)
        && to < from
    {
        return Err(AppError::new(Exit::Usage, format!("--to {to} is before --from {from}")));
    }
    let passphrase = args.passphrase.clone().or_else(|| known_passphrase(&args.network).map(str::to_owned));
    let Some(passphrase) = passphrase else {
        return Err(AppError::new(
            Exit::Usage,
            format!(
                "network `{}` needs --passphrase: only those of mainnet, testnet and futurenet are known",
                args.network
            ),
        ));
    };
    let network = Network::new(&passphrase);
    let source = open_source(&args, &network)?;

    settings.lake.path.clone_from(&args.lake);
    let name = NetworkName::new(&args.network)?;
    let spec = NetworkSpec { name: name.clone(), passphrase, network_id: network.id() };
    let opening = app::lake_settings(&settings);
    let lake = tokio::task::spawn_blocking(move || {
        let lake = Lake::open(opening, SPECS)?;
        lake.add_network(&spec)?;
        Ok::<_, LakeError>(lake)
    })
    .await
    .map_err(|error| AppError::new(Exit::Internal, error))??;
    let lake = Arc::new(lake);
    let cancel = CancellationToken::new();
    let shared = app::shared(&settings, lake.clone(), cancel.clone());
    let task = NetworkTask {
        name: name.clone(),
        network,
        source,
        lane: Lane::Backfill,
        only: None,
        progress: Progress::default(),
    };
    let lacked = lacking_ledgers(&lake, &name)?;

    let stopper = tokio::spawn(async move {
        match service::stop_signal().await {
            Ok(_) => cancel.cancel(),
            Err(error) => {
                tracing::warn!(error = %error, "signals are not handled: Ctrl-C loses what is in flight")
            }
        }
    });
    let begun = Instant::now();
    let result = ingest(&settings, &shared, &task, &args).await;
    stopper.abort();
    let summary = summary(&lake, &task, lacked, begun.elapsed());
    let closed = tokio::task::spawn_blocking(move || lake.close(app::CLOSE_DEADLINE)).await;
    let end = result?;
    closed.map_err(|error| AppError::new(Exit::Internal, error))??;
    report(&args, &summary?)?;
    if end == RangeEnd::Cancelled {
        return Err(AppError::new(
            Exit::Interrupted,
            "stopped before the end; run the same command again to go on",
        ));
    }
    Ok(())
}

fn open_source(args: &IngestArgs, network: &Network) -> Result<Arc<dyn Source>, AppError> {
    let endless = |settings: &SourceSettings| {
        if args.to.is_none() {
            return Err(AppError::new(
                Exit::Usage,
                format!("--source {} has no end: give --to", args.source),
            ));
        }
        Ok(source::open(settings, network, &MemoryBudget::default()))
    };
    if let Some(rest) = args.source.strip_prefix("simulated:") {
        let (density, seed) = rest.split_once(':').unwrap_or((rest, "1"));
        let wrong = || {
            AppError::new(
                Exit::Usage,
                format!(
                    "--source {}: use simulated:DENSITY[:SEED] with sparse, mixed, dense or everything",
                    args.source
                ),
            )
        };
        return endless(&SourceSettings::Simulated {
            density: density.parse().map_err(|_| wrong())?,
            seed: seed.parse().map_err(|_| wrong())?,
            first_ledger: 2,
            ledgers_per_second: None,
        });
    }
    if let Some(path) = args.source.strip_prefix("replay:") {
        return endless(&SourceSettings::Replay { path: path.into(), ledgers_per_second: None });
    }
    let path = Path::new(&args.source);
    if path.is_dir() {
        return Ok(Arc::new(Filesystem::new(path, network.clone())));
    }
    Ok(Arc::new(RecordStream::open(path).map_err(source_error)?))
}

/// The first and the last ledger that are asked for; without a last one, all that come.
async fn ends(task: &NetworkTask, args: &IngestArgs) -> Result<(LedgerSeq, Option<LedgerSeq>), AppError> {
    let first = match args.from {
        Some(from) => LedgerSeq::new(from),
        None => task.source.oldest().await.map_err(source_error)?,
    };
    let last = match args.to {
        Some(to) => Some(LedgerSeq::new(to)),
        None => task.source.tip().await.map_err(source_error)?,
    };
    Ok((first, last))
}

/// Runs over all that is wanted and not in the lake.
async fn ingest(
    settings: &Settings,
    shared: &Shared,
    task: &NetworkTask,
    args: &IngestArgs,
) -> Result<RangeEnd, AppError> {
    let Some(ends) = shared.cancel.run_until_cancelled(ends(task, args)).await else {
        return Ok(RangeEnd::Cancelled);
    };
    let (first, last) = ends?;
    if last.is_some_and(|last| last < first) {
        return Err(AppError::new(
            Exit::Usage,
            format!("--from {first} is after the newest ledger of {}", task.source.describe()),
        ));
    }
    let wanted = wanted(shared, task, first, last).await?;
    let bar = progress_bar(task, &wanted, last);
    let mut end = RangeEnd::Complete;
    for wanted in wanted {
        end = match wanted.as_history(task.source.as_ref()) {
            Some(range) => in_chunks(settings, shared, task, range).await?,
            None => {
                let task = NetworkTask { only: wanted.only, ..task.clone() };
                run_range(shared, &task, wanted.from, wanted.until)
                    .await
                    .map_err(|error| pipeline_error(shared, &task, &error))?
            }
        };
        if end == RangeEnd::Cancelled {
            break;
        }
    }
    if let Some(bar) = bar {
        bar.abort();
    }
    Ok(end)
}

/// Chunks for each thread, at least: the fewer there are, the longer the last one keeps one core alone.
const CHUNKS_PER_THREAD: usize = 2;

/// Stores a range as a backfill would: each thread works ledgers into files of its own until these are large.
async fn in_chunks(
    settings: &Settings,
    shared: &Shared,
    task: &NetworkTask,
    range: LedgerRange,
) -> Result<RangeEnd, AppError> {
    let backfill = app::backfill_settings(settings);
    let limits = ChunkLimits::new(shared.worker_count, backfill.memory_bytes)
        .map_err(|error| AppError::new(Exit::Io, format!("the threads cannot be started: {error}")))?;
    let min_chunks = u32::try_from(limits.cpus * CHUNKS_PER_THREAD).unwrap_or(u32::MAX);
    let rules = ChunkRules { min_chunks, ..backfill.rules };
    let missing = [range];
    let cut = backfill::cut(task.source.as_ref(), &missing, rules);
    let Some(chunks) = shared.cancel.run_until_cancelled(cut).await else {
        return Ok(RangeEnd::Cancelled);
    };
    let shared = app::backfill_shared(settings, shared);
    run_chunks(&shared, &limits, task, chunks.map_err(source_error)?)
        .await
        .map_err(|error| pipeline_error(&shared, task, &error))
}

/// What is to be read.
struct Wanted {
    from: LedgerSeq,
    /// `None`: as long as the source goes on.
    until: Option<LedgerSeq>,
    /// The tables that the stored ledgers lack; `None` for ledgers that are not stored.
    only: Option<OnlyTables>,
}

impl Wanted {
    /// The range, where it is known and whole, and the source can be read at several places.
    fn as_history(&self, source: &dyn Source) -> Option<LedgerRange> {
        let until = self.until.filter(|_| self.only.is_none() && source.seeks())?;
        LedgerRange::new(self.from, until)
    }
}

/// What of `first..=last` is not in the lake, or not in all its tables, ascending.
async fn wanted(
    shared: &Shared,
    task: &NetworkTask,
    first: LedgerSeq,
    last: Option<LedgerSeq>,
) -> Result<Vec<Wanted>, AppError> {
    let covered = shared.lake.coverage(&task.name)?;
    let mut wanted: Vec<Wanted> = missing(&covered, first, last)
        .into_iter()
        .map(|(from, until)| Wanted { from, until, only: None })
        .collect();
    let (lake, name) = (shared.lake.clone(), task.name.clone());
    let incomplete = tokio::task::spawn_blocking(move || lake.incomplete(&name))
        .await
        .map_err(|error| AppError::new(Exit::Internal, error))??;
    if let Some(asked) = LedgerRange::new(first, last.unwrap_or(LedgerSeq::new(u32::MAX))) {
        wanted.extend(incomplete.into_iter().filter_map(|(range, only)| {
            let range = range.intersection(asked)?;
            Some(Wanted { from: range.start(), until: Some(range.end()), only: Some(only) })
        }));
    }
    wanted.sort_by_key(|wanted| wanted.from);
    Ok(wanted)
}

/// Stored ledgers that lack rows in some table.
fn lacking_ledgers(lake: &Lake, network: &NetworkName) -> Result<u64, LakeError> {
    let lacking = lake.lacking(network)?;
    let ledgers: RangeSet = lacking.iter().flat_map(|lacking| lacking.ledgers.ranges()).collect();
    Ok(ledgers.count())
}

/// The ranges of `first..=last` that are not in the lake, ascending; the last one is open when `last` is.
fn missing(
    covered: &RangeSet,
    first: LedgerSeq,
    last: Option<LedgerSeq>,
) -> Vec<(LedgerSeq, Option<LedgerSeq>)> {
    let all = LedgerSeq::new(u32::MAX);
    let Some(wanted) = LedgerRange::new(first, last.unwrap_or(all)) else { return Vec::new() };
    covered
        .missing(wanted)
        .into_iter()
        .map(|range| (range.start(), Some(range.end()).filter(|end| last.is_some() || *end != all)))
        .collect()
}

fn progress_bar(
    task: &NetworkTask,
    wanted: &[Wanted],
    last: Option<LedgerSeq>,
) -> Option<tokio::task::JoinHandle<()>> {
    if !std::io::stderr().is_terminal() || wanted.is_empty() {
        return None;
    }
    let bar = match last {
        Some(_) => ProgressBar::new(
            wanted
                .iter()
                .filter_map(|wanted| LedgerRange::new(wanted.from, wanted.until?))
                .map(LedgerRange::count)
                .sum(),
        )
        .with_style(style("{bar:40} {pos}/{len} ledgers, {per_sec}, {eta} left")),
        None => ProgressBar::new_spinner().with_style(style("{spinner} {pos} ledgers, {per_sec}")),
    };
    let mut changes = task.progress.subscribe();
    Some(tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            bar.set_position(changes.borrow_and_update().ledgers);
        }
    }))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn summary(lake: &Lake, task: &NetworkTask, lacked: u64, took: Duration) -> Result<Summary, AppError> {
    let lacking = lacking_ledgers(lake, &task.name)?;
    let progress = task.progress.get();
    let coverage = lake.coverage(&task.name)?;
    let rows = |table: &str| progress.rows.get(table).copied().unwrap_or_default();
    Ok(Summary {
        network: task.name.to_string(),
        first_ledger: coverage.first().map(LedgerSeq::get),
        last_ledger: coverage.last().map(LedgerSeq::get),
        ledgers: progress.ledgers,
        transactions: rows("transactions_row_v2"),
        operations: rows("operations_row_v2"),
        rows: progress.rows.values().sum(),
        batches: progress.batches,
        average_write_ms: progress.write_time.as_secs_f64() * 1e3 / progress.batches.max(1) as f64,
        ledgers_per_second: progress.ledgers as f64 / took.as_secs_f64().max(1e-3),
        stored_ledgers: coverage.count(),
        completed_ledgers: lacked.saturating_sub(lacking),
        lacking_ledgers: lacking,
        gaps: coverage.gaps().len() as u64,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        cpu_seconds: StageSeconds {
            decode_verify: progress.cpu.decode.as_secs_f64(),
            extract: progress.cpu.extract.as_secs_f64(),
            encode: progress.cpu.encode.as_secs_f64(),
            commit: progress.cpu.commit.as_secs_f64(),
        },
    })
}

fn report(args: &IngestArgs, summary: &Summary) -> Result<(), AppError> {
    let text = if args.json {
        serde_json::to_string(summary).map_err(|error| AppError::new(Exit::Internal, error))?
    } else if summary.ledgers == 0 {
        format!(
            "{}: nothing to do: all wanted ledgers are in the lake already ({} ledgers, {} to {})",
            summary.network,
            summary.stored_ledgers,
            summary.first_ledger.unwrap_or_default(),
            summary.last_ledger.unwrap_or_default()
        )
    } else {
        format!(
            "{}: {} ledgers, all verified, {} transactions, {} operations in {} batches; {:.0} ledgers/s, \
             {:.0} ms per write; the lake holds {} ledgers, {} to {}, {} gaps",
            summary.network,
            summary.ledgers,
            summary.transactions,
            summary.operations,
            summary.batches,
            summary.ledgers_per_second,
            summary.average_write_ms,
            summary.stored_ledgers,
            summary.first_ledger.unwrap_or_default(),
            summary.last_ledger.unwrap_or_default(),
            summary.gaps
        )
    };
    let text = match (args.json, summary.completed_ledgers, summary.lacking_ledgers) {
        (true, _, _) | (false, 0, 0) => text,
        (false, completed, lacking) => format!(
            "{text}; {completed} of them were stored by an older table set and got the tables that it lacked, \
             {lacking} still lack some"
        ),
    };
    writeln!(std::io::stdout(), "{text}").map_err(|error| AppError::new(Exit::Io, error))
}

fn source_error(error: SourceError) -> AppError {
    let exit = match &error {
        SourceError::Io { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::Permission
        }
        SourceError::Io { .. } | SourceError::Missing { .. } | SourceError::Empty { .. } => Exit::Unavailable,
        SourceError::Corrupt { .. } | SourceError::Decode(_) => Exit::Io,
        SourceError::Mismatch { .. } => Exit::Config,
    };
    AppError::new(exit, error)
}

fn pipeline_error(shared: &Shared, task: &NetworkTask, error: &PipelineError) -> AppError {
    let mut message = error.to_string();
    if error.class() == Class::Corrupt {
        match crate::pipeline::keep_evidence(shared.lake.path(), task.name.as_str(), error) {
            Ok(Some(path)) => message.push_str(&format!("; its bytes are kept in {}", path.display())),
            Ok(None) => {}
            Err(failed) => message.push_str(&format!("; {failed}")),
        }
    }
    let exit = match error {
        PipelineError::Source(SourceError::Io { error, .. })
            if error.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Exit::Permission
        }
        PipelineError::Source(SourceError::Mismatch { .. }) => Exit::Config,
        PipelineError::Source(
            SourceError::Io { .. } | SourceError::Missing { .. } | SourceError::Empty { .. },
        ) => Exit::Unavailable,
        PipelineError::Source(SourceError::Corrupt { .. } | SourceError::Decode(_))
        | PipelineError::Refused { .. } => Exit::Io,
        PipelineError::Lake(error) => return AppError::from(error.clone()),
        PipelineError::Worker(_) => Exit::Internal,
    };
    AppError::new(exit, message)
}
