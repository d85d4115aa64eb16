//! Backfill jobs as `lakectl backfill` prints them.

use std::{process::Output, time::Duration};

use serde::Deserialize;

use crate::{
    sut::Sut,
    wait::{Until, until},
};

/// How long a job may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// A job, as far as tests look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: u32,
    /// `running`, `paused`, `finished`, `cancelled` or `stopped`.
    pub state: String,
    /// Why it is stopped, or what it waits for.
    pub reason: String,
    /// Ledgers that it wants.
    pub ledgers_wanted: u64,
    /// Those of them that are stored.
    pub ledgers_stored: u64,
    /// Those of them that are parked.
    pub ledgers_parked: u64,
    /// What could not be stored.
    pub parked: Vec<Parked>,
    /// Chunks in work.
    pub active: Vec<ActiveChunk>,
    /// What happened to it, oldest first.
    pub history: Vec<Event>,
}

/// Ledgers that could not be stored.
#[derive(Clone, Debug, Deserialize)]
pub struct Parked {
    /// First.
    pub first: u32,
    /// Last.
    pub last: u32,
    /// Why.
    pub reason: String,
    /// File with the bytes that failed; empty where there are none.
    pub evidence: String,
}

/// A chunk in work.
#[derive(Clone, Debug, Deserialize)]
pub struct ActiveChunk {
    /// First ledger.
    pub first: u32,
    /// Last ledger.
    pub last: u32,
    /// Why it waits before it tries again; empty when it does not.
    pub retrying: String,
}

/// Something that happened to a job.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// What.
    pub what: String,
}

/// All that a program said.
pub fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Sut {
    /// Runs `lakectl backfill` with further arguments and reads the job that it prints.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn backfill(&self, args: &str) -> Job {
        let output = self.ctl("backfill".split(' ').chain(args.split(' ')).chain(["--output", "json"]));
        assert!(output.status.success(), "lakectl backfill {args}: {}", text_of(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text_of(&output)))
    }

    /// Waits until a job is as wanted.
    ///
    /// # Panics
    /// When the deadline passes.
    pub fn wait_job(&self, id: u32, what: &str, mut wanted: impl FnMut(&Job) -> bool) -> Job {
        until(what, DEADLINE, || match self.backfill(&format!("show {id}")) {
            job if wanted(&job) => Until::Done(job),
            job => Until::NotYet(format!("{job:#?}")),
        })
    }
}
