//! Why backfill refuses a call, and what the caller can do.

use lake_core::LedgerRange;

use super::{run::MAX_WORKERS, store::StoreError};
use crate::{lake::LakeError, source::SourceError};

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// No such network is configured.
    #[error("network {name} is not configured: configured are {known}")]
    UnknownNetwork {
        /// The name.
        name: String,
        /// The configured ones.
        known: String,
    },
    /// No such job.
    #[error("there is no job {id}: see `lakectl backfill list`")]
    UnknownJob {
        /// Its number.
        id: u32,
    },
    /// Another job wants the same ledgers.
    #[error(
        "job {job} of network {network} wants ledgers {range} already: cancel it first, or choose others"
    )]
    Taken {
        /// The other job.
        job: u32,
        /// Network.
        network: String,
        /// Ledgers that both want.
        range: LedgerRange,
    },
    /// A network cannot go while a job works on it.
    #[error("job {job} of network {network} is not over: cancel it first")]
    Open {
        /// The job.
        job: u32,
        /// Network.
        network: String,
    },
    /// The job is in a state that does not allow it.
    #[error("job {id} is {state}: {hint}")]
    State {
        /// The job.
        id: u32,
        /// Its state.
        state: &'static str,
        /// What can be done.
        hint: &'static str,
    },
    /// Nothing to do.
    #[error("network {network} lacks none of these ledgers: nothing to do")]
    NothingMissing {
        /// Network.
        network: String,
    },
    /// The disk cannot hold the result.
    #[error(
        "about {needed} bytes are needed below {path}, {free} are free: free some, want fewer ledgers, or force it"
    )]
    DiskTooSmall {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// The lake.
        path: String,
    },
    /// A number of workers that cannot be.
    #[error("{0} workers cannot be: use 1 to {MAX_WORKERS}, or auto")]
    Workers(u32),
    /// A target that names no ledger.
    #[error("{0}")]
    Target(String),
    /// The source cannot be asked.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The lake cannot be asked.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The job's record cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}
