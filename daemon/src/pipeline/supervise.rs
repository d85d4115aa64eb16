//! Keeps one network going: finds out where to begin, retries what may pass, stops at what may not.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use lake_core::LedgerSeq;

use super::{
    NetworkTask, Shared,
    error::PipelineError,
    progress::NetworkState,
    quarantine,
    range::{RangeEnd, run_range},
};
use crate::{class::Class, config::StartText, event, source::SourceError};

/// Where a network begins and ends.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Where to begin when the lake has no ledger of it.
    pub start: StartText,
    /// Last ledger, inclusive; `None` follows the tip.
    pub end: Option<LedgerSeq>,
}

/// How often the tip of the source is asked for.
const TIP_INTERVAL: Duration = Duration::from_secs(2);

/// A network that was tried again is well after so long without an error, even when no ledger came.
const SETTLED: Duration = Duration::from_secs(60);

/// Runs a network until it is finished, stopped or cancelled.
pub async fn supervise(shared: Shared, task: NetworkTask, start: Start) {
    let done = shared.cancel.child_token();
    let watcher = tokio::spawn(watch_tip(task.clone(), done.clone()));
    let mut backoff = delays();
    loop {
        let before = task.progress.get().ledgers;
        let error = match run(&shared, &task, start).await {
            Ok(RangeEnd::Complete) => {
                tracing::info!(network = %task.name, "everything up to the configured end is in");
                task.progress.set_state(NetworkState::Finished);
                break;
            }
            Ok(RangeEnd::Cancelled) => break,
            Err(error) => error,
        };
        if shared.cancel.is_cancelled() {
            break;
        }
        if error.class() != Class::Retry {
            stop(&shared, &task, &error);
            break;
        }
        if task.progress.get().ledgers > before {
            backoff = delays();
        }
        let delay = backoff.next().unwrap_or(MAX_DELAY);
        tracing::warn!(target: event::NETWORK_RETRYING, network = %task.name, retry_in_ms = delay.as_millis(), error = %error, "network {} will try again: {error}", task.name);
        task.progress.set_state(NetworkState::Retrying(error.to_string()));
        tokio::select! {
            () = shared.cancel.cancelled() => break,
            () = tokio::time::sleep(delay) => {}
        }
    }
    done.cancel();
    if let Err(error) = watcher.await {
        tracing::error!(network = %task.name, error = %error, "the task that watches the tip ended early");
    }
}

const MAX_DELAY: Duration = Duration::from_secs(30);

/// Growing delays with jitter, without end.
pub(crate) fn delays() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(MAX_DELAY)
        .with_jitter()
        .without_max_times()
        .build()
}

fn stop(shared: &Shared, task: &NetworkTask, error: &PipelineError) {
    let mut message = error.to_string();
    match quarantine::keep(shared.lake.path(), task.name.as_str(), error) {
        Ok(Some(path)) => message.push_str(&format!("; its bytes are kept in {}", path.display())),
        Ok(None) => {}
        Err(failed) => tracing::error!(network = %task.name, error = failed, "no evidence kept"),
    }
    tracing::error!(
        target: event::NETWORK_STOPPED,
        network = %task.name,
        ledger = error.ledger().map(LedgerSeq::get),
        error = message,
        "network {} stopped, the others go on: {message}",
        task.name
    );
    if error.class() == Class::Corrupt {
        task.progress.failed_check();
    }
    task.progress.set_state(NetworkState::Stopped(message));
}

async fn run(shared: &Shared, task: &NetworkTask, start: Start) -> Result<RangeEnd, PipelineError> {
    // What failed counts as failing until something is committed again, or nothing went wrong for a while.
    let is_retry = matches!(task.progress.get().state, NetworkState::Retrying(_));
    if !is_retry {
        task.progress.set_state(NetworkState::Starting);
    }
    let Some(from) = shared.cancel.run_until_cancelled(first_ledger(shared, task, start.start)).await else {
        return Ok(RangeEnd::Cancelled);
    };
    let from = from?;
    if start.end.is_some_and(|end| from > end) {
        return Ok(RangeEnd::Complete);
    }
    tracing::info!(network = %task.name, from = %from, source = task.source.describe(), "ingesting {} from ledger {from} on", task.name);
    let run = run_range(shared, task, from, start.end);
    tokio::pin!(run);
    if is_retry && let Ok(end) = tokio::time::timeout(SETTLED, &mut run).await {
        return end;
    }
    if !matches!(task.progress.get().state, NetworkState::Following) {
        task.progress.set_state(NetworkState::CatchingUp);
    }
    run.await
}

/// The ledger after the last stored one; for an empty lake, or when the settings name a later one, what they say.
///
/// # Errors
/// When the source must be asked and cannot answer.
pub async fn first_ledger(
    shared: &Shared,
    task: &NetworkTask,
    start: StartText,
) -> Result<LedgerSeq, PipelineError> {
    let stored = shared.lake.coverage(&task.name)?.last().and_then(LedgerSeq::next);
    match (stored, start) {
        (Some(next), StartText::Ledger(wanted)) => Ok(next.max(LedgerSeq::new(wanted))),
        (Some(next), StartText::Oldest | StartText::Latest) => Ok(next),
        (None, StartText::Ledger(wanted)) => Ok(LedgerSeq::new(wanted)),
        (None, StartText::Oldest) => Ok(task.source.oldest().await?),
        (None, StartText::Latest) => match task.source.tip().await? {
            Some(tip) => Ok(tip),
            None => Ok(task.source.oldest().await?),
        },
    }
}

/// Asks the source for its tip, for the lag in status. A source that cannot answer is the pipeline's affair.
async fn watch_tip(task: NetworkTask, done: tokio_util::sync::CancellationToken) {
    let mut ticks = tokio::time::interval(TIP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let tip = async {
            ticks.tick().await;
            task.source.tip().await
        };
        let Some(tip) = done.run_until_cancelled(tip).await else { return };
        task.progress.tried();
        match tip {
            Ok(Some(tip)) => task.progress.saw_tip(tip),
            Ok(None) => {}
            Err(error @ SourceError::Empty { .. }) => {
                tracing::debug!(network = %task.name, error = %error, "no tip")
            }
            Err(error) => tracing::debug!(network = %task.name, error = %error, "the tip is not known"),
        }
    }
}
