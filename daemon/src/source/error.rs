//! What can go wrong with a source.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use lake_core::{DecodeError, LedgerSeq};

use crate::class::Class;

/// A source could not serve a ledger.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The operating system refused.
    #[error("{path}: {doing}: {error}{}", hint(error))]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// The ledger is not there although it should be.
    #[error("ledger {seq} is missing in {origin}: {detail}")]
    Missing {
        /// The ledger.
        seq: LedgerSeq,
        /// The source.
        origin: String,
        /// Why it should be there, and what to do.
        detail: String,
    },
    /// There is no ledger at all yet.
    #[error("{origin} holds no ledgers: {detail}")]
    Empty {
        /// The source.
        origin: String,
        /// What was looked for.
        detail: String,
    },
    /// The object is not what it says it is.
    #[error("{origin}: {reason}")]
    Corrupt {
        /// File or stream.
        origin: Arc<str>,
        /// The ledger that was wanted.
        seq: LedgerSeq,
        /// What is wrong with it.
        reason: String,
        /// The object as it was read: evidence.
        evidence: Bytes,
    },
    /// XDR that cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The source belongs to another network or has another layout than the configuration says.
    #[error("{origin}: {message}")]
    Mismatch {
        /// File that says so.
        origin: String,
        /// What differs, and what to do.
        message: String,
    },
}

/// What to do about an error of the operating system, where that is known.
fn hint(error: &std::io::Error) -> &'static str {
    let kind = error.kind();
    if kind == std::io::ErrorKind::NotFound {
        ": correct the path of the source, or make the directory"
    } else if kind == std::io::ErrorKind::PermissionDenied {
        ": let the user of this process read it"
    } else {
        ""
    }
}

impl SourceError {
    /// A ledger before the first one that a source can have.
    pub(super) fn before(seq: LedgerSeq, first: LedgerSeq, origin: String) -> Self {
        Self::Missing {
            seq,
            origin,
            detail: format!("it begins with ledger {first}: ask for no earlier one"),
        }
    }

    /// How to act on it.
    pub const fn class(&self) -> Class {
        match self {
            Self::Io { .. } | Self::Missing { .. } | Self::Empty { .. } => Class::Retry,
            Self::Corrupt { .. } | Self::Decode(_) => Class::Corrupt,
            Self::Mismatch { .. } => Class::Stop,
        }
    }
}
