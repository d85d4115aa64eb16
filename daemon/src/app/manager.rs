//! What the service manager hears of the daemon: how the start goes, that it is ready, one line of status, and that it lives.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::AppStatus;
use crate::{
    cpu::process_cpu,
    event,
    lake::Lake,
    pipeline::{AtWork, Progress},
    service,
};

/// How long the sources have to answer before the daemon is ready without them.
const TRY: Duration = Duration::from_secs(5);
/// How often the line of status is looked at.
const STATUS: Duration = Duration::from_secs(5);
/// How often a recovery is looked at, and how much longer it may take when it moved.
const RECOVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// CPU time between two looks that counts as movement: looking itself takes less.
const MOVEMENT: Duration = Duration::from_millis(2);

/// Whose progress feeds the watchdog.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) lake: Arc<Lake>,
    pub(super) at_work: AtWork,
}

impl Watched {
    /// Whether the committer showed life within `limit`, and no worker is at the same turn for longer. A source that is
    /// silent is no reason: what waits for it has no turn.
    fn lives(&self, limit: Duration) -> bool {
        self.lake.heartbeat_age() < limit && self.at_work.longest() < limit
    }
}

/// Asks for more time while the lake is opened and recovered, for as long as that moves.
pub(super) async fn recovering() {
    service::status("opening the lake");
    service::extend(RECOVERY.1);
    let mut ticks = tokio::time::interval(RECOVERY.0);
    let mut before = process_cpu();
    loop {
        ticks.tick().await;
        let now = process_cpu();
        if now.saturating_sub(before) >= MOVEMENT {
            service::extend(RECOVERY.1);
        }
        before = now;
    }
}

/// Says READY when the sources were tried, then keeps the manager informed until the second of `ends`. After the first the
/// daemon is stopping.
pub(super) async fn tell(
    status: Arc<AppStatus>,
    watched: Watched,
    sources: Vec<Progress>,
    ends: [CancellationToken; 2],
) {
    let [stopping, end] = ends;
    let mut before = String::new();
    service::status("trying the sources");
    if stopping.run_until_cancelled(tried(&sources)).await.is_some() {
        before = status.line();
        service::status(&before);
        service::ready();
        tracing::info!(target: event::READY, lake = %watched.lake.path().display(), "ready");
    }
    let watchdog = service::watchdog_limit();
    let mut ticks = tokio::time::interval(watchdog.map_or(STATUS, |limit| limit / 3).min(STATUS));
    while end.run_until_cancelled(ticks.tick()).await.is_some() {
        let stop = if stopping.is_cancelled() { "stopping, committing what is in flight; " } else { "" };
        let line = format!("{stop}{}", status.line());
        if line != before {
            service::status(&line);
            before = line;
        }
        if watchdog.is_some_and(|limit| watched.lives(limit)) {
            service::alive();
        }
    }
}

/// Waits until every source has answered, well or not, but not for long.
async fn tried(sources: &[Progress]) {
    let answers = sources.iter().map(|progress| async {
        let mut progress = progress.subscribe();
        // Its sender lives as long as the daemon.
        drop(progress.wait_for(|progress| progress.tried).await);
    });
    if tokio::time::timeout(TRY, join_all(answers)).await.is_err() {
        let silent = sources.iter().filter(|progress| !progress.get().tried).count();
        tracing::warn!(target: event::SOURCES_SILENT, silent, "sources do not answer yet: ready without them");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_that_never_answers_is_given_up_after_five_seconds() {
        let begun = Instant::now();
        tried(&[Progress::default()]).await;
        assert_eq!(begun.elapsed(), TRY);
        tried(&[]).await;
        assert_eq!(begun.elapsed(), TRY);
    }
}
