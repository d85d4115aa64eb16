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
    lake::{LakeError, RangeSet},
    pipeline::{NetworkTask, RowSettings},
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

/// What one ledger costs here.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    ledgers: u64,
    xdr: u64,
    rows: u64,
    table_bytes: u64,
    work: Duration,
    fetch: Duration,
}

/// Bytes of Parquet for a thousand bytes of rows in memory: of dense mainnet ledgers it is 130 to 200.
const PARQUET_PER_THOUSAND: u64 = 200;

/// Bytes of an object for a thousand bytes of XDR: zstd on ledgers of mainnet.
const FETCHED_PER_THOUSAND: u64 = 200;

/// Time of encoding for a second of decoding, verifying and extracting: measured on dense mainnet ledgers.
const ENCODING: f64 = 1.0;

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
) -> Result<Plan, BackfillError> {
    let missing = plan::missing(wanted, &engine.shared.lake.sound(&task.name)?);
    let ledgers: u64 = missing.iter().map(|range| range.count()).sum();
    let begun = Instant::now();
    let samples = sample::ledgers(task.source.as_ref(), &missing).await?;
    let fetch = begun.elapsed();
    let density = Density::of(&samples);
    let (measuring, rows) = (task.clone(), engine.shared.rows.clone());
    let measured = tokio::task::spawn_blocking(move || {
        let mut total = Measured { fetch, ..Measured::default() };
        samples
            .iter()
            .flat_map(|(_, ledgers)| ledgers)
            .for_each(|raw| measure(&measuring, &rows, raw, &mut total));
        total
    })
    .await
    .map_err(|error| BackfillError::Target(format!("the sample could not be measured: {error}")))?;

    let chunks = plan::chunks(&missing, &density, engine.rules(task, 1)).len() as u64;
    let xdr_bytes = density.total(&missing);
    // By bytes, not by ledgers: a dense ledger has more of everything.
    let whole = |of_sample: u64| scaled(of_sample, xdr_bytes, measured.xdr);
    let scale = xdr_bytes as f64 / (measured.xdr as f64).max(1.0);
    let work = measured.work.as_secs_f64() * (1.0 + ENCODING) * scale;
    let fetch = measured.fetch.as_secs_f64() * ledgers as f64 / (measured.ledgers as f64).max(1.0);
    let cpus = engine.limits.cpus as f64;
    let times = WORKERS.map(|workers| {
        let each = f64::from(workers);
        let time = (fetch / each).max(work / each.min(cpus));
        (workers, Duration::try_from_secs_f64(time).unwrap_or(Duration::MAX))
    });
    let objects = task.source.ledgers_per_object().map(|each| objects(&missing, each));
    let fetch_bytes = objects.map(|_| scaled(xdr_bytes, FETCHED_PER_THOUSAND, 1_000));
    let cost = objects.zip(fetch_bytes).filter(|_| prices != Prices::default()).map(|(objects, bytes)| {
        objects as f64 / 1e3 * prices.per_thousand_requests + bytes as f64 / 1e9 * prices.per_gigabyte
    });
    Ok(Plan {
        network: task.name.to_string(),
        ledgers,
        stored: wanted.count() - ledgers,
        chunks,
        objects,
        fetch_bytes,
        xdr_bytes,
        rows: whole(measured.rows),
        disk_bytes: scaled(whole(measured.table_bytes), PARQUET_PER_THOUSAND, 1_000),
        disk_free_bytes: free(engine.shared.lake.path())?,
        times: times.to_vec(),
        cost,
        sampled: u32::try_from(measured.ledgers).unwrap_or(u32::MAX),
        missing,
    })
}

/// Works one ledger as a worker would, up to its rows. One that fails counts by its size alone: the job will tell.
fn measure(task: &NetworkTask, rows: &RowSettings, raw: &RawLedger, total: &mut Measured) {
    total.ledgers += 1;
    total.xdr += raw.xdr.len() as u64;
    let begun = Instant::now();
    let mut tables = rows.tables();
    if let Ok(ledger) = decode::decode(raw, &task.network)
        && tables.extract(&ledger).is_ok()
    {
        total.work += begun.elapsed();
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
