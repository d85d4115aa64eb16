//! Where the lake's files are and how they are called. One canonical spelling, made once at open: only then
//! does DuckLake store paths relative to the lake.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use lake_core::ledger::{LedgerRange, LedgerSeq};

use super::error::LakeError;

/// Ending of a finished file.
const SUFFIX: &str = ".parquet";
/// Ending of a file that is still being written.
const TEMP_SUFFIX: &str = ".parquet.tmp";

/// One run of the program on a lake: part of every file name, so that a later run tells leftovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(u64);

impl RunId {
    /// An id that no earlier run had: the clock's nanoseconds mixed with the process id.
    fn fresh() -> Self {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(d.subsec_nanos())));
        Self(nanos ^ (u64::from(std::process::id()) << 40))
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The parts of a file name of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileName {
    /// Ledgers of the batch; the file's own rows may begin later and end earlier.
    pub range: LedgerRange,
    /// Run that wrote it.
    pub run: RunId,
    /// Count within the run: the same for all tables of a batch.
    pub number: u64,
    /// Whether it is not finished.
    pub temporary: bool,
}

impl FileName {
    /// Reads a name; `None` when it is not of our pattern.
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, temporary) = match name.strip_suffix(TEMP_SUFFIX) {
            Some(stem) => (stem, true),
            None => (name.strip_suffix(SUFFIX)?, false),
        };
        let mut parts = stem.split('-');
        let start = sequence(parts.next()?)?;
        let end = sequence(parts.next()?)?;
        let run = parts.next()?;
        let number = parts.next()?;
        if parts.next().is_some() || run.len() != 16 || number.len() < 6 {
            return None;
        }
        let run = RunId(u64::from_str_radix(run, 16).ok()?);
        let number = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())??;
        Some(Self { range: LedgerRange::new(start, end)?, run, number, temporary })
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:010}-{:010}-{}-{:06}{}",
            self.range.start().get(),
            self.range.end().get(),
            self.run,
            self.number,
            if self.temporary { TEMP_SUFFIX } else { SUFFIX }
        )
    }
}

/// A sequence in a file name: exactly ten digits.
fn sequence(text: &str) -> Option<LedgerSeq> {
    let digits = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The lake's directories, canonical. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LakeDirs {
    root: Arc<Path>,
    run: RunId,
    next: Arc<AtomicU64>,
}

impl LakeDirs {
    /// Creates what is missing and settles the one spelling of the path.
    ///
    /// # Errors
    /// [`LakeError::Io`] when the directory cannot be created, or is not a directory.
    pub fn open(path: &Path) -> Result<Self, LakeError> {
        fs::create_dir_all(path).map_err(|e| LakeError::io("create lake directory", path, e))?;
        let root = fs::canonicalize(path).map_err(|e| LakeError::io("resolve lake directory", path, e))?;
        if root.to_str().is_none() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8");
            return Err(LakeError::io("use lake directory", root, error));
        }
        Ok(Self { root: root.into(), run: RunId::fresh(), next: Arc::new(AtomicU64::new(0)) })
    }

    /// The lake directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The DuckLake catalog. Only DuckDB and the keeper open it.
    pub fn catalog(&self) -> PathBuf {
        self.root.join("catalog.sqlite")
    }

    /// The lock file of the one writer.
    pub fn lock(&self) -> PathBuf {
        self.root.join("stellar-lake.lock")
    }

    /// Root of the Parquet files.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Folder of stand-ins, while files are replaced that cannot be opened.
    pub(crate) fn shadow(&self) -> PathBuf {
        self.root.join("replacing")
    }

    /// Folder of the records of jobs and of damage.
    pub(crate) fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Folder of a table's files.
    pub fn table(&self, network: &str, table: &str) -> PathBuf {
        self.root.join("data").join(network).join(table)
    }

    /// The id of this run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// A new name for files of `range`, unused by this run.
    pub(crate) fn new_name(&self, range: LedgerRange) -> FileName {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        FileName { range, run: self.run, number, temporary: false }
    }
}

/// Makes names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LakeError> {
    let file = fs::File::open(dir).map_err(|e| LakeError::io("open directory", dir, e))?;
    file.sync_all().map_err(|e| LakeError::io("sync directory", dir, e))
}

/// Creates `dir` below the existing `base` and makes every new level durable.
pub(crate) fn create_durable(base: &Path, dir: &Path) -> Result<(), LakeError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|p| p.starts_with(base)) {
        create_durable(base, parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(LakeError::io("create directory", dir, e)),
    }
    dir.parent().map_or(Ok(()), sync_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_pattern_are_ours() {
        let range = LedgerRange::new(LedgerSeq::new(7), LedgerSeq::new(4_000_000_000)).unwrap();
        for temporary in [false, true] {
            let name = FileName { range, run: RunId::fresh(), number: 12, temporary };
            assert_eq!(FileName::parse(&name.to_string()), Some(name));
        }
        for other in [
            "ducklake-01a20793-c59a-78bf-8cd1-001c201da7f2.parquet",
            "0000000007-0000000009-0123456789abcdef-000001.parquet.bak",
            "0000000009-0000000007-0123456789abcdef-000001.parquet",
            "7-9-0123456789abcdef-000001.parquet",
            "0000000007-0000000009-0123456789abcdef-000001-2.parquet",
            "0000000007-0000000009-0123456789abcdeg-000001.parquet",
            "+000000007-0000000009-0123456789abcdef-000001.parquet",
            "notes.parquet",
            "",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
