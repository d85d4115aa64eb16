//! What can be set about the lake, with the defaults that were measured to be sound.

use std::{path::PathBuf, time::Duration};

/// Settings of one lake.
#[derive(Clone, Debug)]
pub struct LakeSettings {
    /// Directory of the lake: catalog and data. May be relative or a symbolic link.
    pub path: PathBuf,
    /// Directory with `ducklake.duckdb_extension` and `sqlite_scanner.duckdb_extension`; `None`: beside the
    /// `libduckdb.so` that this process uses.
    pub extension_dir: Option<PathBuf>,
    /// Program of the catalog keeper; `None`: `stellar-lake-keeper` beside this program.
    pub keeper_program: Option<PathBuf>,
    /// How files are encoded.
    pub encoding: EncodingSettings,
    /// Memory limit of the committer's DuckDB instance, in bytes.
    pub committer_memory_bytes: u64,
    /// Bound of the write queue.
    pub queue: QueueSettings,
    /// How long a catalog locked by another process is tried again.
    pub lock_retry: Duration,
    /// Opens a fresh committer instance after this many commits; 0: never.
    pub recycle_commits: u64,
    /// Merging, expiring, cleaning, WAL checkpoint.
    pub maintenance: MaintenanceSettings,
}

impl LakeSettings {
    /// The defaults for a lake at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            extension_dir: None,
            keeper_program: None,
            encoding: EncodingSettings::default(),
            committer_memory_bytes: 128 * 1024 * 1024,
            queue: QueueSettings::default(),
            lock_retry: Duration::from_secs(30),
            recycle_commits: 0,
            maintenance: MaintenanceSettings::default(),
        }
    }
}

/// How Parquet files are encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodingSettings {
    /// zstd level, 1 to 22.
    pub zstd_level: i32,
    /// Rows per row group at most: what one bloom filter and one min/max speak for.
    pub row_group_rows: usize,
    /// False positives of the bloom filters, as a fraction.
    pub bloom_false_positives: f64,
}

impl Default for EncodingSettings {
    fn default() -> Self {
        Self { zstd_level: 1, row_group_rows: 65_536, bloom_false_positives: 0.01 }
    }
}

/// Bound of the write queue. A full queue makes submitters wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Batches at most, 2 or more; a quarter of them is kept for the live lane.
    pub batches: usize,
    /// Bytes of encoded files at most that wait on disk for their commit.
    pub bytes: u64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { batches: 64, bytes: 1024 * 1024 * 1024 }
    }
}

/// When and how the lake is tidied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceSettings {
    /// Whether small files are merged.
    pub merge: bool,
    /// Merge after this many commits; `None`: not counted.
    pub merge_every_commits: Option<u64>,
    /// Merge at this interval; `None`: not timed.
    pub merge_interval: Option<Duration>,
    /// Merge as soon as one table has this many files smaller than the target; `None`: not counted.
    pub merge_small_files: Option<u64>,
    /// Adjacent files of one size class that are merged into one, 2 or more.
    pub merge_fan_in: usize,
    /// Files that one swap replaces at most, 2 or more: it bounds how long a swap keeps the committer.
    pub merge_swap_files: usize,
    /// A merged file of the largest table is about this large, in bytes.
    pub target_file_bytes: u64,
    /// Above this many live files in a table, everything below the target size is merged.
    pub max_live_files: u64,
    /// Snapshots older than this are expired; `None`: kept for ever (the catalog grows 39 KB per commit).
    pub snapshot_age: Option<Duration>,
    /// Replaced files are deleted this long after their snapshot expired. At least an hour is wise: a reader of
    /// an older snapshot may still need them.
    pub cleanup_age: Duration,
    /// Interval of expiring and cleaning.
    pub expire_interval: Duration,
    /// Snapshots expired in one step of the committer.
    pub expire_step: usize,
    /// Interval of the catalog's WAL checkpoint.
    pub wal_interval: Duration,
}

impl Default for MaintenanceSettings {
    fn default() -> Self {
        Self {
            merge: true,
            merge_every_commits: Some(100),
            merge_interval: Some(Duration::from_secs(300)),
            merge_small_files: Some(1_000),
            merge_fan_in: 10,
            merge_swap_files: 50,
            target_file_bytes: 128 * 1024 * 1024,
            max_live_files: 2_500,
            snapshot_age: Some(Duration::from_secs(3_600)),
            cleanup_age: Duration::from_secs(3_600),
            expire_interval: Duration::from_secs(60),
            expire_step: 20,
            wal_interval: Duration::from_secs(60),
        }
    }
}
