//! The words of the write path: what comes in, what lies on disk, what was committed.

use std::{fmt, fs, path::PathBuf, sync::Arc, time::Duration};

use arrow_array::RecordBatch;
use lake_core::{Hash32, LedgerRange, schema::TableSpec};

use super::error::LakeError;

/// Which queue lane a batch takes: the live lane is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Follows the tip.
    Live,
    /// Fills gaps on purpose.
    Backfill,
}

impl Lane {
    /// The lane's name in lineage, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfill => "backfill",
        }
    }
}

/// Name of a network in the lake: the schema of its tables. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkName(Arc<str>);

impl NetworkName {
    /// Checks the name: a lower-case letter, then up to 62 of `a-z`, `0-9` and `_`; not a word of the lake's own.
    ///
    /// # Errors
    /// [`LakeError::BadName`].
    pub fn new(name: &str) -> Result<Self, LakeError> {
        let bad = |reason| Err(LakeError::BadName { name: name.to_owned(), reason });
        let mut bytes = name.bytes();
        if !bytes.next().is_some_and(|b| b.is_ascii_lowercase()) {
            return bad("it must begin with a letter a-z");
        }
        if !bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return bad("only a-z, 0-9 and _ may follow the first letter");
        }
        if name.len() > 63 {
            return bad("it is longer than 63 characters");
        }
        if ["main", "lake", "temp", "system", "information_schema", "pg_catalog", "memory"].contains(&name) {
            return bad("the name is taken by the database itself");
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A network to be stored.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// Its name in the lake.
    pub name: NetworkName,
    /// Its passphrase.
    pub passphrase: String,
    /// SHA-256 of the passphrase.
    pub network_id: Hash32,
}

/// Rows of a range of ledgers, of all tables: one transaction.
#[derive(Debug)]
pub struct WriteBatch {
    /// Network they belong to.
    pub network: NetworkName,
    /// The ledgers; within one 10,000-ledger range.
    pub range: LedgerRange,
    /// Queue lane.
    pub lane: Lane,
    /// Hash that the first ledger names as the one before it.
    pub first_previous_hash: Hash32,
    /// Hash of the last ledger.
    pub last_hash: Hash32,
    /// Rows per table; empty tables may be left out.
    pub tables: Vec<(&'static TableSpec, RecordBatch)>,
    /// Where the ledgers were read from, for lineage.
    pub source: String,
    /// Backfill job, for lineage.
    pub job: Option<String>,
}

/// A finished Parquet file.
#[derive(Clone, Debug)]
pub struct SealedFile {
    /// Table it belongs to.
    pub table: &'static str,
    /// Full canonical path.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Hash32,
}

/// Names of the tables that a batch adds to ledgers which an older table set stored.
pub type OnlyTables = Arc<[&'static str]>;

/// A batch whose files are on disk and not yet registered. Dropping it deletes the files.
#[derive(Debug)]
pub struct SealedBatch {
    pub(crate) network: NetworkName,
    pub(crate) range: LedgerRange,
    pub(crate) lane: Lane,
    pub(crate) first_previous_hash: Hash32,
    pub(crate) last_hash: Hash32,
    /// Set when the ledgers are stored already and only rows of these tables are added to them.
    pub(crate) only: Option<OnlyTables>,
    /// Set when it takes the place of all that the tables hold of its ledgers.
    pub(crate) replaces: bool,
    pub(crate) files: SealedFiles,
}

impl SealedBatch {
    /// The ledgers in it.
    pub fn range(&self) -> LedgerRange {
        self.range
    }

    /// Network they belong to.
    pub fn network(&self) -> &NetworkName {
        &self.network
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.list.iter().map(|f| f.bytes).sum()
    }

    /// Rows of all tables, the lineage row left out.
    pub fn rows(&self) -> u64 {
        self.files.list.iter().filter(|f| f.table != super::lineage::LINEAGE_TABLE).map(|f| f.rows).sum()
    }

    /// Its files; the last one is the lineage row.
    pub fn files(&self) -> &[SealedFile] {
        &self.files.list
    }
}

/// Files that are deleted when dropped, unless they were kept.
#[derive(Debug, Default)]
pub(crate) struct SealedFiles {
    pub(crate) list: Vec<SealedFile>,
}

impl SealedFiles {
    /// The files belong to the catalog from now on, or may: they are not deleted.
    pub(crate) fn keep(mut self) -> Vec<SealedFile> {
        std::mem::take(&mut self.list)
    }
}

impl Drop for SealedFiles {
    fn drop(&mut self) {
        for file in &self.list {
            if let Err(error) = fs::remove_file(&file.path) {
                // The sweep of the next run finds it.
                tracing::warn!(path = %file.path.display(), error = %error, "file of a refused batch was not deleted");
            }
        }
    }
}

/// What a committed batch was.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Network it belongs to.
    pub network: NetworkName,
    /// The ledgers that are stored now.
    pub range: LedgerRange,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Files registered, the lineage file included.
    pub files: usize,
    /// Snapshot of the catalog that holds them.
    pub snapshot_id: i64,
    /// Time in the queue, waiting for space included.
    pub waited: Duration,
    /// Time of the transaction with its checks.
    pub took: Duration,
    /// CPU time of the committer for it.
    pub cpu: Duration,
}
