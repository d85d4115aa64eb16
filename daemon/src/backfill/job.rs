//! A job: what it wants, where it stands, and what happened to it.

use std::time::{SystemTime, UNIX_EPOCH};

use lake_core::{LedgerRange, LedgerSeq};
use serde::{Deserialize, Serialize};

use crate::lake::RangeSet;

/// How many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Workers {
    /// So many.
    Fixed(u32),
    /// As many as saturate the narrower of CPU and source.
    Auto,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Planning or working; goes on by itself after a restart.
    Running,
    /// Paused on request.
    Paused,
    /// All that could be stored is stored; what could not is parked.
    Finished,
    /// Ended on request.
    Cancelled,
    /// Cannot go on until an operator acts.
    Stopped,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Running, Self::Paused, Self::Finished, Self::Cancelled, Self::Stopped];

    /// Its name, as it is shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the job still wants its ledgers.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Stopped => true,
            Self::Finished | Self::Cancelled => false,
        }
    }
}

/// Ledgers from one to another, both inclusive, as a job's file has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First.
    pub first: u32,
    /// Last.
    pub last: u32,
}

impl From<LedgerRange> for Span {
    fn from(range: LedgerRange) -> Self {
        Self { first: range.start().get(), last: range.end().get() }
    }
}

impl Span {
    /// The range; `None` when it ends before it begins.
    pub fn range(self) -> Option<LedgerRange> {
        LedgerRange::new(LedgerSeq::new(self.first), LedgerSeq::new(self.last))
    }
}

/// A chunk that could not be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Its ledgers.
    pub range: Span,
    /// Why.
    pub reason: String,
    /// File with the bytes that failed; `None` where there are none.
    pub evidence: Option<String>,
    /// When, seconds since the Unix epoch.
    pub at: i64,
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, seconds since the Unix epoch.
    pub at: i64,
    /// What.
    pub what: String,
}

/// What survives of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1.
    pub id: u32,
    /// Network.
    pub network: String,
    /// Ledgers that it wants, ascending and apart.
    pub wanted: Vec<Span>,
    /// Workers asked for.
    pub workers: Workers,
    /// Where it stands.
    pub state: JobState,
    /// Why it is stopped; empty otherwise.
    pub reason: String,
    /// Chunks that could not be stored.
    pub parked: Vec<Parked>,
    /// When it was started, seconds since the Unix epoch.
    pub created_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// What happened to it, oldest first; the newest [`Record::EVENTS`] of it.
    pub history: Vec<Event>,
}

impl Record {
    /// Events that are kept.
    pub const EVENTS: usize = 200;

    /// The wanted ledgers.
    pub fn wanted(&self) -> RangeSet {
        set(self.wanted.iter().copied())
    }

    /// The parked ledgers.
    pub fn parked(&self) -> RangeSet {
        set(self.parked.iter().map(|parked| parked.range))
    }

    /// Adds an event.
    pub(super) fn tell(&mut self, what: impl Into<String>) {
        self.history.push(Event { at: now(), what: what.into() });
        if self.history.len() > Self::EVENTS {
            self.history.remove(0);
        }
    }

    /// Changes its state and says so.
    pub(super) fn become_(&mut self, state: JobState, what: impl Into<String>) {
        self.state = state;
        self.reason.clear();
        self.ended_at = (!state.is_open()).then(now);
        self.tell(what);
    }
}

fn set(spans: impl Iterator<Item = Span>) -> RangeSet {
    let mut set = RangeSet::new();
    spans.filter_map(Span::range).for_each(|range| set.insert(range));
    set
}

/// Seconds since the Unix epoch.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
