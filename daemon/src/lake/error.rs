//! What can go wrong in the lake, and what the caller should do about it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lake_core::ledger::{Hash32, LedgerRange};

use crate::{class::Class, cli::Exit};

/// A failure of the lake. Nothing of a failed batch is stored, except where the variant says so.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LakeError {
    /// A file or directory of the lake could not be used.
    #[error("{action} {}: {error}{}", path.display(), hint(error))]
    Io {
        /// What was being done.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's words; kept shared so that the error can be cloned.
        error: Arc<std::io::Error>,
    },
    /// No space is left below the lake.
    #[error("no space left for {}: free some or enlarge the volume; nothing committed is lost and writing goes on afterwards", path.display())]
    DiskFull {
        /// File or directory that could not grow.
        path: PathBuf,
    },
    /// Another process writes this lake.
    #[error("lake {} is in use by process {holder}: stop it first, one process writes a lake", path.display())]
    Locked {
        /// The lake.
        path: PathBuf,
        /// Process id of the holder, or `unknown`.
        holder: String,
    },
    /// The DuckDB extensions were not found.
    #[error("no {file} in {}: run `make deps`, or set the lake's extension_dir", dir.display())]
    ExtensionMissing {
        /// File name of the extension.
        file: &'static str,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// The network's name cannot be a schema.
    #[error("network name {name:?}: {reason}")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The lake holds this network under another passphrase.
    #[error(
        "network {network}: the lake holds it with passphrase {stored:?}, not {given:?}: use another name or another lake"
    )]
    OtherPassphrase {
        /// The network.
        network: String,
        /// What the lake says.
        stored: String,
        /// What was asked for.
        given: String,
    },
    /// The tables in the lake are not those of this program.
    #[error(
        "network {network}: schema fingerprint {stored} of the lake is not known to this version (its own is {own}): use the version that wrote it, or a new lake"
    )]
    UnknownFingerprint {
        /// The network.
        network: String,
        /// Fingerprint in the lake.
        stored: String,
        /// Fingerprint of this program's tables.
        own: String,
    },
    /// The network was not added to this lake.
    #[error("network {network} was not added to the lake")]
    UnknownNetwork {
        /// The network.
        network: String,
    },
    /// Some ledgers of the batch are stored already.
    #[error(
        "network {network}: ledgers {range} overlap {stored}, which is stored already; the batch is refused"
    )]
    Overlap {
        /// The network.
        network: String,
        /// The batch.
        range: LedgerRange,
        /// The stored ledgers that it repeats.
        stored: LedgerRange,
    },
    /// Files of some tables hold rows of the batch's ledgers, and of others.
    #[error(
        "network {network}: tables still hold rows of ledgers {reaches}, which storing {range} would double: `lakectl repair` stores them anew"
    )]
    NotClosed {
        /// The network.
        network: String,
        /// The batch.
        range: LedgerRange,
        /// Ledgers of a file that is in its way.
        reaches: LedgerRange,
    },
    /// The batch does not link to its stored neighbour.
    #[error("network {network}: ledger {after} is stored as {found} but its neighbour expects {expected}")]
    BrokenLink {
        /// The network.
        network: String,
        /// The ledger whose hash is in question.
        after: u32,
        /// Hash of that ledger.
        found: Hash32,
        /// Hash that the following ledger names.
        expected: Hash32,
    },
    /// The batch is not what its range says.
    #[error("network {network}: batch {range}: table {table}: {reason}")]
    BadBatch {
        /// The network.
        network: String,
        /// The batch.
        range: LedgerRange,
        /// Table at fault.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// A Parquet file could not be encoded or read.
    #[error("parquet file {}: {reason}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The library's words.
        reason: String,
    },
    /// A file that the catalog names is missing or has another size.
    #[error("{} is registered in the catalog but {problem}: restore it from a backup or ingest its ledgers again", path.display())]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// DuckDB refused a statement.
    #[error("catalog {}: {action}: {reason}", path.display())]
    Catalog {
        /// The catalog file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// DuckDB's words.
        reason: String,
    },
    /// The catalog stayed locked by another process.
    #[error("catalog {}: locked by another process for {} s: end the program that holds a write transaction on it; nothing committed is lost and writing goes on afterwards", path.display(), waited.as_secs())]
    CatalogLocked {
        /// The catalog file.
        path: PathBuf,
        /// How long it was tried.
        waited: Duration,
    },
    /// COMMIT failed and the catalog could not be read afterwards: stored or not, coverage will tell.
    #[error("network {network}: COMMIT of {range} failed and its outcome is unknown yet: {reason}")]
    Ambiguous {
        /// The network.
        network: String,
        /// The batch.
        range: LedgerRange,
        /// DuckDB's words.
        reason: String,
    },
    /// A statement said that it succeeded, but the catalog does not show it.
    #[error("catalog {}: after COMMIT {problem}: the catalog cannot be trusted, restore it from a backup", path.display())]
    Untrue {
        /// The catalog file.
        path: PathBuf,
        /// What does not agree.
        problem: String,
    },
    /// The keeper process did not answer.
    #[error("keeper of {}: {reason}", path.display())]
    Keeper {
        /// The catalog file, or the keeper's program.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// The lake was closed before its queue was empty.
    #[error("not all batches were committed within {} s; the rest is read again at the next start", waited.as_secs())]
    NotDrained {
        /// The deadline.
        waited: Duration,
    },
    /// The lake is being closed.
    #[error("the lake is closed: the batch was not stored")]
    Closed,
}

impl LakeError {
    /// What the caller should do.
    pub fn class(&self) -> Class {
        match self {
            Self::DiskFull { .. }
            | Self::CatalogLocked { .. }
            | Self::Ambiguous { .. }
            | Self::Keeper { .. }
            | Self::Catalog { .. }
            | Self::Overlap { .. }
            | Self::NotClosed { .. } => Class::Retry,
            Self::Io { error, .. } => {
                use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
                let stop = matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | NotFound);
                if stop { Class::Stop } else { Class::Retry }
            }
            Self::BrokenLink { .. } | Self::BadBatch { .. } | Self::Parquet { .. } => Class::Corrupt,
            Self::Locked { .. }
            | Self::ExtensionMissing { .. }
            | Self::BadName { .. }
            | Self::OtherPassphrase { .. }
            | Self::UnknownFingerprint { .. }
            | Self::UnknownNetwork { .. }
            | Self::DamagedFile { .. }
            | Self::Untrue { .. }
            | Self::NotDrained { .. }
            | Self::Closed => Class::Stop,
        }
    }

    /// The exit code of a program that ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Io { error, .. }
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Exit::Permission
            }
            Self::Io { .. }
            | Self::DiskFull { .. }
            | Self::BrokenLink { .. }
            | Self::BadBatch { .. }
            | Self::NotClosed { .. }
            | Self::Parquet { .. }
            | Self::DamagedFile { .. }
            | Self::Untrue { .. } => Exit::Io,
            Self::Locked { .. } | Self::CatalogLocked { .. } | Self::ExtensionMissing { .. } => {
                Exit::Unavailable
            }
            Self::BadName { .. } | Self::OtherPassphrase { .. } | Self::UnknownFingerprint { .. } => {
                Exit::Config
            }
            Self::UnknownNetwork { .. }
            | Self::Overlap { .. }
            | Self::Catalog { .. }
            | Self::Ambiguous { .. }
            | Self::Keeper { .. }
            | Self::NotDrained { .. }
            | Self::Closed => Exit::Internal,
        }
    }

    /// An I/O failure; a full disk becomes [`LakeError::DiskFull`].
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        let path = path.into();
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded) {
            return Self::DiskFull { path };
        }
        Self::Io { action, path, error: Arc::new(error) }
    }

    /// A DuckDB failure; a full disk and a locked catalog are told apart by DuckDB's words.
    pub(crate) fn catalog(
        action: &'static str,
        path: impl Into<PathBuf>,
        error: impl std::fmt::Display,
    ) -> Self {
        let path = path.into();
        let reason = error.to_string();
        if is_disk_full(&reason) {
            return Self::DiskFull { path };
        }
        Self::Catalog { path, action, reason }
    }

    /// Whether another writer's lock is the cause, so that trying again helps.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self, Self::Catalog { reason, .. } if is_locked(reason))
    }
}

/// SQLite's words for a lock held by another connection, as DuckDB hands them on.
fn is_locked(reason: &str) -> bool {
    reason.contains("database is locked") || reason.contains("database table is locked")
}

/// SQLite's and the system's words for a full disk.
fn is_disk_full(reason: &str) -> bool {
    ["database or disk is full", "No space left on device", "Disk quota exceeded"]
        .iter()
        .any(|words| reason.contains(words))
}

/// What to do about the common ones.
fn hint(error: &std::io::Error) -> &'static str {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        ": the lake must be owned by, or writable for, the user of the daemon"
    } else if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem {
        ": the lake lies on a read-only file system, mount it writable or set lake.path elsewhere"
    } else {
        ""
    }
}
