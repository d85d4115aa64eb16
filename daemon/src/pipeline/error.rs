//! What ends the run of a pipeline.

use lake_core::{DecodeError, LedgerSeq, RawLedger, tables::ExtractError};

use crate::{class::Class, lake::LakeError, source::SourceError};

/// Why a ledger was refused.
#[derive(Debug, thiserror::Error)]
pub enum RefusedBy {
    /// It does not decode, verify or link.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A row cannot be made from it.
    #[error(transparent)]
    Extract(#[from] ExtractError),
}

/// The end of a pipeline's run. Everything before it is committed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A ledger was refused; it is never written.
    #[error("{reason}")]
    Refused {
        /// The check that failed.
        reason: RefusedBy,
        /// The ledger: evidence.
        ledger: Box<RawLedger>,
    },
    /// The lake could not take a batch.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A worker ended early: a fault of the program.
    #[error("a worker ended early: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

impl PipelineError {
    /// The ledger at fault, where that is known.
    pub fn ledger(&self) -> Option<LedgerSeq> {
        match self {
            Self::Refused { ledger, .. } => Some(ledger.seq),
            Self::Source(SourceError::Corrupt { seq, .. } | SourceError::Missing { seq, .. }) => Some(*seq),
            Self::Source(
                SourceError::Io { .. }
                | SourceError::Empty { .. }
                | SourceError::Decode(_)
                | SourceError::Mismatch { .. },
            )
            | Self::Lake(_)
            | Self::Worker(_) => None,
        }
    }

    /// Whether the ledger is one of another network. Those beside it are then in doubt too: a ledger without transactions
    /// does not show whose it is.
    pub fn is_other_network(&self) -> bool {
        matches!(self, Self::Refused { reason: RefusedBy::Decode(DecodeError::Passphrase { .. }), .. })
    }

    /// Whether the whole object is at fault that holds the ledger.
    pub fn is_of_object(&self) -> bool {
        matches!(self, Self::Source(SourceError::Corrupt { .. }))
    }

    /// How to act on it.
    pub fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Refused { .. } => Class::Corrupt,
            Self::Lake(error) => error.class(),
            Self::Worker(_) => Class::Stop,
        }
    }
}
