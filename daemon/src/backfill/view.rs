//! What backfill shows: jobs with what they are doing, gaps, and what jobs mean for a network's health.

use lake_core::{LedgerRange, LedgerSeq};

use super::{
    handle::Activity,
    job::{JobState, Record},
};
use crate::{lake::RangeSet, source::Traffic};

/// A job with what it is doing.
#[derive(Clone, Debug)]
pub struct JobView {
    /// What survives of it.
    pub record: Record,
    /// What it is doing now.
    pub activity: Activity,
    /// Wanted ledgers that are stored.
    pub stored: u64,
}

/// What a network lacks.
#[derive(Clone, Debug)]
pub struct GapView {
    /// Network.
    pub network: String,
    /// First and last stored ledger.
    pub ends: Option<(LedgerSeq, LedgerSeq)>,
    /// What is missing between them or damaged, and why if that is known.
    pub gaps: Vec<Gap>,
}

/// Ledgers that are missing, or stored and damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The ledgers.
    pub range: LedgerRange,
    /// Why.
    pub reason: String,
    /// They are stored, and damaged.
    pub damaged: bool,
}

/// What the jobs of a network mean for its health.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// Ledgers that running jobs want and have not parked.
    pub filling: RangeSet,
    /// The first job that only an operator can let go on, and why.
    pub stopped: Option<String>,
}

/// What the jobs of a network did in this process, and where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobFigures {
    /// Jobs by their state, in the order of [`JobState::ALL`].
    pub jobs: [u64; JobState::ALL.len()],
    /// Chunks that running jobs are done with.
    pub chunks_done: u64,
    /// Chunks that running jobs planned.
    pub chunks_planned: u64,
    /// Workers at work.
    pub workers: u64,
    /// Ledgers stored.
    pub ledgers: u64,
    /// Bytes of files committed.
    pub bytes: u64,
    /// Chunks that were tried again.
    pub retries: u64,
    /// Chunks that failed a check.
    pub failed_checks: u64,
    /// What the source of the history was asked for.
    pub traffic: Traffic,
}
