//! One run over one range of ledgers: batches are worked in parallel, linked and committed in order.

use std::{collections::VecDeque, future::Future, pin::Pin};

use futures::FutureExt;
use lake_core::{DecodeError, Hash32, LedgerSeq};
use tokio::task::JoinHandle;

use super::{
    NetworkTask, Shared,
    batcher::{Batcher, RawBatch},
    error::{PipelineError, RefusedBy},
    progress::{Committed, NetworkState, StageTimes},
    work::{Sealed, Worked, refused, work},
};
use crate::lake::{Commit, LakeError};

/// How a run over a range ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeEnd {
    /// The range, or the source, is at its end.
    Complete,
    /// The process stops; what was taken in is committed.
    Cancelled,
}

type Committing = Pin<Box<dyn Future<Output = (Result<Commit, LakeError>, Accounts)> + Send>>;

/// What is known about a batch once its files are handed to the queue.
struct Accounts {
    last: LedgerSeq,
    ledgers: u64,
    rows: Vec<(&'static str, u64)>,
    closed_at: i64,
    cpu: StageTimes,
}

/// Ingests `from..=until`; without `until` for as long as the source goes on. Ledgers that are in the lake already must
/// not be asked for.
///
/// # Errors
/// The first [`PipelineError`] in ledger order. All ledgers before it are committed, none after it.
pub async fn run_range(
    shared: &Shared,
    task: &NetworkTask,
    from: LedgerSeq,
    until: Option<LedgerSeq>,
) -> Result<RangeEnd, PipelineError> {
    // A stored neighbour below must be the parent of the first ledger.
    let mut parent = match from.previous() {
        Some(before) => shared.lake.stored_hash(&task.name, before).await?,
        None => None,
    };
    let mut batcher = Batcher::new(
        task.source.ledgers(from, until),
        shared.batch,
        shared.budget.clone(),
        shared.cancel.clone(),
    );
    let mut working: VecDeque<JoinHandle<Worked>> = VecDeque::new();
    let mut committing: Option<Committing> = None;
    let mut open = true;
    let mut failure: Option<PipelineError> = None;
    let ahead = shared.worker_count + 1;

    loop {
        if let Some(error) = failure.take_if(|_| committing.is_none()) {
            for task in working {
                task.abort();
            }
            return Err(error);
        }
        if !open && working.is_empty() && committing.is_none() {
            break;
        }
        tokio::select! {
            biased;
            (result, accounts) = next_commit(&mut committing), if committing.is_some() => {
                committing = None;
                match result {
                    Ok(commit) => account(task, &commit, accounts),
                    // What was worked after a batch that is not in must not be committed: it would leave a hole.
                    Err(error) => failure = Some(error.into()),
                }
            }
            worked = next_worked(&mut working), if failure.is_none() && committing.is_none() && !working.is_empty() => {
                let worked = worked?;
                if let Some(sealed) = worked.sealed {
                    match link(parent, &sealed) {
                        Ok(()) => {
                            parent = Some(sealed.last_hash);
                            committing = Some(submit(shared, sealed));
                        }
                        Err(error) => {
                            failure = Some(error);
                            open = false;
                            continue;
                        }
                    }
                }
                if let Some(error) = worked.failure {
                    failure = Some(error);
                    open = false;
                }
            }
            batch = batcher.next(), if open && failure.is_none() && working.len() < ahead => match batch {
                Some(Ok(batch)) => {
                    if let Some(last) = batch.ledgers.last() {
                        task.progress.saw_tip(last.seq);
                    }
                    working.push_back(spawn(shared, task, batch));
                }
                Some(Err(error)) => {
                    // What was read before it is committed first.
                    open = false;
                    working.push_back(failed(error.into()));
                }
                None => open = false,
            },
        }
    }
    Ok(if shared.cancel.is_cancelled() { RangeEnd::Cancelled } else { RangeEnd::Complete })
}

async fn next_commit(committing: &mut Option<Committing>) -> (Result<Commit, LakeError>, Accounts) {
    match committing {
        Some(commit) => commit.await,
        None => std::future::pending().await,
    }
}

/// The oldest batch in work; it stays in the queue until it is done, so dropping this future loses nothing.
async fn next_worked(working: &mut VecDeque<JoinHandle<Worked>>) -> Result<Worked, tokio::task::JoinError> {
    let Some(first) = working.front_mut() else { return std::future::pending().await };
    let worked = first.await;
    working.pop_front();
    worked
}

fn spawn(shared: &Shared, task: &NetworkTask, batch: RawBatch) -> JoinHandle<Worked> {
    let (shared, task) = (shared.clone(), task.clone());
    tokio::spawn(async move {
        // Never closed: an error cannot come.
        let _slot = shared.workers.clone().acquire_owned().await;
        let worked = tokio::task::spawn_blocking(move || {
            let _working = shared.at_work.begin();
            work(&shared, &task, batch)
        });
        let worked = worked.await;
        worked.unwrap_or_else(|error| Worked { sealed: None, failure: Some(error.into()) })
    })
}

fn failed(error: PipelineError) -> JoinHandle<Worked> {
    tokio::spawn(async { Worked { sealed: None, failure: Some(error) } })
}

fn submit(shared: &Shared, sealed: Sealed) -> Committing {
    let queue = shared.queue.clone();
    let accounts = Accounts {
        last: sealed.batch.range().end(),
        ledgers: sealed.ledgers,
        rows: sealed.rows,
        closed_at: sealed.closed_at,
        cpu: sealed.cpu,
    };
    async move { (queue.submit(sealed.batch).await, accounts) }.boxed()
}

fn account(task: &NetworkTask, commit: &Commit, accounts: Accounts) {
    let behind = task.progress.get().tip.is_some_and(|tip| tip > accounts.last);
    task.progress.committed(Committed {
        last: accounts.last,
        ledgers: accounts.ledgers,
        rows: accounts.rows,
        bytes: commit.bytes,
        closed_at: accounts.closed_at,
        took: commit.took,
        cpu: StageTimes { commit: commit.cpu, ..accounts.cpu },
    });
    task.progress.set_state(if behind { NetworkState::CatchingUp } else { NetworkState::Following });
    tracing::debug!(
        network = %task.name,
        range = %commit.range,
        rows = commit.rows,
        bytes = commit.bytes,
        took_ms = commit.took.as_millis(),
        "batch committed"
    );
}

/// The first ledger of a batch must name the one before it: from the batch before, or as it is stored.
fn link(parent: Option<Hash32>, sealed: &Sealed) -> Result<(), PipelineError> {
    match parent {
        Some(hash) if hash != sealed.first_previous_hash => Err(refused(
            RefusedBy::Decode(DecodeError::Link {
                seq: sealed.first.seq,
                expected: hash,
                found: sealed.first_previous_hash,
            }),
            sealed.first.clone(),
        )),
        Some(_) | None => Ok(()),
    }
}
