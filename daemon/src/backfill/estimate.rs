//! What a job would take: ledgers, bytes, rows, disk, time and money, measured on a sample of its source.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use lake_core::{LedgerRange, RawLedger, decode};

use super::{
    BackfillError,
    plan::{self, Density},
    run::Engine,
    sample,
};
use crate::{
    cpu::thread_cpu,
    lake::{LakeError, RangeSet},
    pipeline::{ChunkLimits, NetworkTask, RowSettings},
};

/// Workers for which the time is told.
const WORKERS: [u32; 4] = [1, 10, 20, 30];

/// Share of the free disk that a job may take, in percent.
const DISK_PERCENT: u64 = 90;

/// What objects cost, in dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// For a thousand requests.
    pub per_thousand_requests: f64,
    /// For a gigabyte (10^9 bytes) that leaves the store.
    pub per_gigabyte: f64,
}

/// What a job would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Network.
    pub network: String,
    /// Wanted ledgers that are missing, ascending.
    pub missing: Vec<LedgerRange>,
    /// Their number.
    pub ledgers: u64,
    /// Wanted ledgers that are stored.
    pub stored: u64,
    /// Chunks of work.
    pub chunks: u64,
    /// Objects to fetch; `None` where the source has none.
    pub objects: Option<u64>,
    /// Bytes to fetch; `None` where the source cannot tell.
    pub fetch_bytes: Option<u64>,
    /// Bytes of XDR.
    pub xdr_bytes: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of Parquet.
    pub disk_bytes: u64,
    /// Bytes that are free below the lake.
    pub disk_free_bytes: u64,
    /// Time by number of workers.
    pub times: Vec<(u32, Duration)>,
    /// Dollars for requests and egress; `None` without prices or objects.
    pub cost: Option<f64>,
    /// Ledgers that were measured.
    pub sampled: u32,
}

impl Plan {
    /// Refuses a plan whose result the disk cannot hold.
    pub(super) fn fits(&self, lake: &Path) -> Result<(), BackfillError> {
        if self.disk_bytes <= scaled(self.disk_free_bytes, DISK_PERCENT, 100) {
            return Ok(());
        }
        let path = lake.display().to_string();
        Err(BackfillError::DiskTooSmall { needed: self.disk_bytes, free: self.disk_free_bytes, path })
    }
}

/// What the ledgers of the sample cost here.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    places: u64,
    ledgers: u64,
    xdr: u64,
    rows: u64,
    table_bytes: u64,
    /// CPU time from bytes to rows.
    work: Duration,
    /// Time to read all places, one after the other.
    fetch: Duration,
}

/// Bytes of Parquet for a thousand bytes of rows in memory. Measured: 135 on the ten ledgers 63092982..63092991 of mainnet
/// (80 when they are repeated, since values then repeat too), 167 on 30822015..30822020, about 105 on testnet 2..10047.
const PARQUET_PER_THOUSAND: u64 = 130;

/// Bytes of footers, bloom filters and first pages of a chunk's files, whatever it holds: chunks of one nearly empty
/// ledger of testnet take 65 to 96 KB.
const FILES_OF_CHUNK: u64 = 70_000;

/// Bytes of an object for a thousand bytes of XDR, by the bytes of a ledger: the larger it is, the more of it repeats.
/// Measured: 131 on today's mainnet (1 MB per ledger), 127 to 204 on older ledgers of it (40 to 950 KB), on testnet (3 KB)
/// 253 with 64 ledgers per object and 339 with one.
const fn fetched_per_thousand(ledger: u64) -> u64 {
    match ledger {
        0..16_000 => 290,
        16_000..500_000 => 180,
        _ => 135,
    }
}

/// CPU time of encoding and of unpacking objects for a second of decoding, verifying and extracting. Measured: 0.82 on dense
/// mainnet and 1.2 on testnet 2..10047 for encoding, 0.05 to 0.1 for unpacking.
const ENCODING: f64 = 1.0;

/// CPU time of the commit of a chunk's twenty tables, in seconds; one commit after the other. Measured: 0.10 to 0.14.
const COMMIT: f64 = 0.15;

/// `value * by / of`.
fn scaled(value: u64, by: u64, of: u64) -> u64 {
    let all = u128::from(value) * u128::from(by) / u128::from(of.max(1));
    u64::try_from(all).unwrap_or(u64::MAX)
}

pub(super) async fn estimate(
    engine: &Engine,
    task: &NetworkTask,
    wanted: &RangeSet,
    prices: Prices,
    asked: Option<u32>,
) -> Result<Plan, BackfillError> {
    let missing = plan::missing(wanted, &engine.shared.lake.sound(&task.name)?);
    let ledgers: u64 = missing.iter().map(|range| range.count()).sum();
    let begun = Instant::now();
    let samples = sample::ledgers(task.source.as_ref(), &missing).await?;
    let fetch = begun.elapsed();
    let density = Density::of(&samples);
    let (measuring, rows) = (task.clone(), engine.shared.rows.clone());
    let measured = tokio::task::spawn_blocking(move || {
        let mut total = Measured { fetch, places: samples.len() as u64, ..Measured::default() };
        // The first ones of a process take longer than all that follow.
        let first = samples.first().into_iter().flat_map(|(_, ledgers)| ledgers);
        first.for_each(|raw| measure(&measuring, &rows, raw, &mut Measured::default()));
        samples
            .iter()
            .flat_map(|(_, ledgers)| ledgers)
            .for_each(|raw| measure(&measuring, &rows, raw, &mut total));
        total
    })
    .await
    .map_err(|error| BackfillError::Target(format!("the sample could not be measured: {error}")))?;

    let xdr_bytes = density.total(&missing);
    let objects = task.source.ledgers_per_object().map(|each| objects(&missing, each));
    let fetched = fetched_per_thousand(xdr_bytes / ledgers.max(1));
    let fetch_bytes = objects.map(|_| scaled(xdr_bytes, fetched, 1_000));
    let cost = objects.zip(fetch_bytes).filter(|_| prices != Prices::default()).map(|(objects, bytes)| {
        objects as f64 / 1e3 * prices.per_thousand_requests + bytes as f64 / 1e9 * prices.per_gigabyte
    });
    // By bytes, not by ledgers: a dense ledger has more of everything.
    let whole = |of_sample: u64| scaled(of_sample, xdr_bytes, measured.xdr);
    let chunks = |workers| plan::chunks(&missing, &density, engine.rules(task, workers)).len() as u64;
    let job = Work {
        fetch: measured.fetch_of(task, objects, ledgers),
        line: task
            .source
            .bandwidth()
            .zip(fetch_bytes)
            .map_or(0.0, |(line, bytes)| bytes as f64 / line as f64),
        cpu: measured.work.as_secs_f64() * (1.0 + ENCODING) * xdr_bytes as f64
            / (measured.xdr as f64).max(1.0),
    };
    let mut numbers = WORKERS.to_vec();
    numbers.extend(asked.filter(|asked| !WORKERS.contains(asked)));
    numbers.sort_unstable();
    let time = |workers: u32| job.time(workers, chunks(workers), &engine.limits);
    let times = numbers.into_iter().map(|workers| (workers, time(workers))).collect();
    let chunks = chunks(asked.unwrap_or(1));
    Ok(Plan {
        network: task.name.to_string(),
        ledgers,
        stored: wanted.count() - ledgers,
        chunks,
        objects,
        fetch_bytes,
        xdr_bytes,
        rows: whole(measured.rows),
        disk_bytes: scaled(whole(measured.table_bytes), PARQUET_PER_THOUSAND, 1_000)
            + chunks * FILES_OF_CHUNK,
        disk_free_bytes: free(engine.shared.lake.path())?,
        times,
        cost,
        sampled: u32::try_from(measured.ledgers).unwrap_or(u32::MAX),
        missing,
    })
}

impl Measured {
    /// Seconds that one worker would wait for its source, if it did nothing else. The objects of a place of the sample were
    /// read at once, as those of a stream are.
    fn fetch_of(&self, task: &NetworkTask, objects: Option<u64>, ledgers: u64) -> f64 {
        let fetch = self.fetch.as_secs_f64();
        match objects {
            Some(objects) => {
                let at_once = f64::from(task.source.reads_at_once().max(1));
                fetch / (self.places as f64).max(1.0) * objects as f64 / at_once
            }
            None => fetch * ledgers as f64 / (self.ledgers as f64).max(1.0),
        }
    }
}

/// What a job has to do, in seconds.
struct Work {
    /// Waiting of one worker for the source.
    fetch: f64,
    /// Transfer at the bandwidth that all share.
    line: f64,
    /// CPU but for commits.
    cpu: f64,
}

impl Work {
    /// Time that so many workers take: as long as the slowest of the source, its line, the cores and the committer.
    fn time(&self, workers: u32, chunks: u64, limits: &ChunkLimits) -> Duration {
        let commits = chunks as f64 * COMMIT;
        let each = f64::from(workers.min(limits.chunks_at_once));
        let cpu = (self.cpu + commits) / each.min(limits.cpus as f64);
        let time = (self.fetch / each).max(self.line).max(cpu).max(commits);
        Duration::try_from_secs_f64(time).unwrap_or(Duration::MAX)
    }
}

/// Works one ledger as a worker would, up to its rows. One that fails counts by its size alone: the job will tell.
fn measure(task: &NetworkTask, rows: &RowSettings, raw: &RawLedger, total: &mut Measured) {
    total.ledgers += 1;
    total.xdr += raw.xdr.len() as u64;
    let begun = thread_cpu();
    let mut tables = rows.tables();
    if let Ok(ledger) = decode::decode(raw, &task.network)
        && tables.extract(&ledger).is_ok()
    {
        total.work += thread_cpu().saturating_sub(begun);
        total.table_bytes += tables.bytes() as u64;
        total.rows += tables.rows().iter().map(|(_, rows)| *rows as u64).sum::<u64>();
    }
}

/// Objects of `each` ledgers that hold `ranges`.
fn objects(ranges: &[LedgerRange], each: u32) -> u64 {
    let object = |seq: u32| u64::from(seq / each.max(1));
    ranges.iter().map(|range| object(range.end().get()) - object(range.start().get()) + 1).sum()
}

/// Bytes that are free for us on the disk of `path`.
fn free(path: &Path) -> Result<u64, LakeError> {
    let stat = nix::sys::statvfs::statvfs(path)
        .map_err(|error| LakeError::io("measure the disk of", path, error.into()))?;
    Ok(stat.blocks_available() * stat.fragment_size())
}
