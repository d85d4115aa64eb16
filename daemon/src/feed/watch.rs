//! Looks at the daemon again and again and tells what happened. Nothing that ingests knows of it, so it can slow nothing down;
//! what happens between two looks is told together.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Feed, Happening, Kind,
    differences::{NetworkView, View, differences},
};
use crate::{
    backfill::Backfill,
    lake::Lake,
    networks::Networks,
    pipeline::{NetworkState, NetworkTask},
};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Stored ledgers.
    pub lake: Arc<Lake>,
    /// States and errors.
    pub networks: Arc<Networks>,
    /// Jobs.
    pub backfill: Arc<Backfill>,
}

/// Tells what happens until `stop`.
pub async fn watch(feed: Arc<Feed>, watched: Watched, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut before, mut failed) = (watched.look(), watched.lake.queue().stats().failed);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = watched.look();
        differences(&before, &now).into_iter().for_each(|what| feed.tell(what));
        before = now;
        let failing = watched.lake.queue().stats().failed;
        if failing > failed {
            let text = format!("{} batches were not committed: the log says why", failing - failed);
            feed.tell(Happening::new(Kind::Error, text));
        }
        failed = failing;
    }
}

impl Watched {
    fn look(&self) -> View {
        let network = |task: NetworkTask| {
            let progress = task.progress.get();
            // A network without coverage has just been added or removed.
            let stored = self.lake.coverage(&task.name).unwrap_or_default();
            let view = NetworkView { stored, state: word(&progress.state), error: progress.last_error };
            (task.name.to_string(), view)
        };
        View {
            networks: self.networks.tasks().into_iter().map(network).collect(),
            jobs: self.backfill.records().into_iter().map(|record| (record.id, record)).collect(),
        }
    }
}

const fn word(state: &NetworkState) -> &'static str {
    match state {
        NetworkState::Starting => "starting",
        NetworkState::CatchingUp => "catching up",
        NetworkState::Following => "following",
        NetworkState::Finished => "finished",
        NetworkState::Waiting(_) => "waiting",
        NetworkState::Retrying(_) => "retrying",
        NetworkState::Stopped(_) => "stopped",
    }
}
