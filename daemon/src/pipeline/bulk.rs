//! A known range at once: its chunks are worked in parallel and committed in order, so that what is stored has no hole
//! when a ledger is refused.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use lake_core::{DecodeError, Hash32, LedgerRange, LedgerSeq};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    Chunk, ChunkLimits, NetworkTask, PipelineError, RangeEnd, Shared,
    chunk::{SealedChunk, seal_chunk},
    error::RefusedBy,
    progress::{Committed, NetworkState, StageTimes},
    work::refused,
};

/// Stores `chunks`, which are ascending and not stored yet, from a source that seeks.
///
/// # Errors
/// The first [`PipelineError`] in ledger order. All ledgers before it are committed, none after it.
pub async fn run_chunks(
    shared: &Shared,
    limits: &ChunkLimits,
    task: &NetworkTask,
    chunks: Vec<LedgerRange>,
) -> Result<RangeEnd, PipelineError> {
    let mut bulk = Bulk {
        shared: shared.clone(),
        limits: limits.clone(),
        task: task.clone(),
        working: VecDeque::new(),
        last: None,
    };
    let mut waiting = chunks.into_iter();
    // One more than there are threads: it reads while another waits for its commit.
    while bulk.working.len() <= limits.cpus && bulk.begin(waiting.next()) {}
    while let Some(working) = bulk.working.pop_front() {
        let Working { chunk, sealed } = working;
        let failed = match sealed.await? {
            Ok(sealed) => bulk.commit(&chunk, sealed).await.err(),
            Err(error) => Some(bulk.keep_what_passed(&chunk, error).await),
        };
        if shared.cancel.is_cancelled() {
            bulk.give_up().await;
            return Ok(RangeEnd::Cancelled);
        }
        if let Some(error) = failed {
            bulk.give_up().await;
            return Err(error);
        }
        bulk.begin(waiting.next());
    }
    Ok(RangeEnd::Complete)
}

/// A chunk at work.
struct Working {
    chunk: Chunk,
    sealed: JoinHandle<Result<SealedChunk, PipelineError>>,
}

struct Bulk {
    shared: Shared,
    limits: ChunkLimits,
    task: NetworkTask,
    working: VecDeque<Working>,
    /// The last ledger of the chunk committed last, and its hash.
    last: Option<(LedgerSeq, Hash32)>,
}

impl Bulk {
    /// Begins the work on a chunk; says whether there was one.
    fn begin(&mut self, range: Option<LedgerRange>) -> bool {
        let Some(range) = range else { return false };
        let cancel = self.shared.cancel.child_token();
        self.working.push_back(self.work(range, cancel));
        true
    }

    fn work(&self, range: LedgerRange, cancel: CancellationToken) -> Working {
        let chunk = Chunk {
            range,
            replaces: false,
            job: None,
            done: Arc::default(),
            starved: Arc::default(),
            cancel,
        };
        let (shared, limits, task, working) =
            (self.shared.clone(), self.limits.clone(), self.task.clone(), chunk.clone());
        let sealed = tokio::spawn(async move { seal_chunk(&shared, &limits, &task, &working).await });
        Working { chunk, sealed }
    }

    async fn commit(&mut self, chunk: &Chunk, sealed: SealedChunk) -> Result<(), PipelineError> {
        let range = chunk.range;
        if let Some(expected) = self.parent(range.start()).await?
            && expected != sealed.first_previous_hash
        {
            let found = sealed.first_previous_hash;
            let link = DecodeError::Link { seq: range.start(), expected, found };
            return Err(refused(RefusedBy::Decode(link), sealed.first));
        }
        let commit = self.shared.queue.submit(sealed.batch).await?;
        self.last = Some((range.end(), sealed.last_hash));
        self.task.progress.committed(Committed {
            last: range.end(),
            ledgers: range.count(),
            rows: sealed.rows,
            bytes: commit.bytes,
            closed_at: sealed.closed_at,
            took: commit.took,
            cpu: StageTimes { commit: commit.cpu, ..sealed.cpu },
        });
        self.task.progress.set_state(NetworkState::CatchingUp);
        Ok(())
    }

    /// The hash of the ledger before `seq`, if it is stored.
    async fn parent(&self, seq: LedgerSeq) -> Result<Option<Hash32>, PipelineError> {
        let Some(before) = seq.previous() else { return Ok(None) };
        match self.last {
            Some((last, hash)) if last == before => Ok(Some(hash)),
            Some(_) | None => Ok(self.shared.lake.stored_hash(&self.task.name, before).await?),
        }
    }

    /// Stores the ledgers of a failed chunk that came before the failure; gives what is to be told.
    async fn keep_what_passed(&mut self, chunk: &Chunk, error: PipelineError) -> PipelineError {
        let passed = u32::try_from(chunk.done.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let start = chunk.range.start();
        let last = passed.checked_sub(1).map(|more| LedgerSeq::new(start.get().saturating_add(more)));
        let Some(range) = last.and_then(|last| LedgerRange::new(start, last)) else { return error };
        let Working { chunk, sealed } = self.work(range, self.shared.cancel.child_token());
        match sealed.await {
            Ok(Ok(sealed)) => match self.commit(&chunk, sealed).await {
                Ok(()) => error,
                Err(earlier) => earlier,
            },
            Ok(Err(earlier)) => earlier,
            Err(panicked) => panicked.into(),
        }
    }

    /// Gives up what is at work, and waits until its files are deleted.
    async fn give_up(&mut self) {
        for working in &self.working {
            working.chunk.cancel.cancel();
        }
        for Working { sealed, .. } in self.working.drain(..) {
            // Given up on purpose: how it ended does not matter.
            drop(sealed.await);
        }
    }
}
