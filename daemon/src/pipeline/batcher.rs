//! Groups a stream of ledgers into batches: sealed by count, bytes or time, at the end of a 10,000-ledger range, and
//! when memory is short. A ledger that comes after a quiet time is not held back: it waits for others only while the batch
//! before is younger than the limit.

use std::{mem, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use lake_core::RawLedger;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    budget::{MemoryBudget, Share},
    config::BatchSettings,
    source::SourceError,
};

/// Ledgers that come at once come together.
const MOMENT: Duration = Duration::from_millis(10);

/// Consecutive undecoded ledgers that become one commit, with their share of the memory bound.
#[derive(Debug, Default)]
pub(super) struct RawBatch {
    pub(super) ledgers: Vec<RawLedger>,
    pub(super) bytes: u64,
    pub(super) share: Share,
}

pub(super) struct Batcher {
    stream: BoxStream<'static, Result<RawLedger, SourceError>>,
    limits: BatchSettings,
    budget: MemoryBudget,
    cancel: CancellationToken,
    open: RawBatch,
    seal_at: Option<Instant>,
    sealed_at: Option<Instant>,
    /// Read from the stream, but there was no room in the open batch or in memory.
    held: Option<RawLedger>,
    end: Option<Result<(), SourceError>>,
}

impl Batcher {
    pub(super) fn new(
        stream: BoxStream<'static, Result<RawLedger, SourceError>>,
        limits: BatchSettings,
        budget: MemoryBudget,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            stream,
            limits,
            budget,
            cancel,
            open: RawBatch::default(),
            seal_at: None,
            sealed_at: None,
            held: None,
            end: None,
        }
    }

    /// The next batch; `None` at the end of the stream or when cancelled. What was read before an error comes first.
    /// Cancel-safe: nothing that was read is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Result<RawBatch, SourceError>> {
        loop {
            if let Some(ledger) = self.held.take() {
                if self.starts_a_range(&ledger) {
                    self.held = Some(ledger);
                    return Some(Ok(self.seal()));
                }
                match self.budget.try_take(ledger.xdr.len()) {
                    Some(share) => {
                        self.add(ledger, share);
                        if self.is_full() {
                            return Some(Ok(self.seal()));
                        }
                    }
                    None if self.open.ledgers.is_empty() => {
                        let bytes = ledger.xdr.len();
                        self.held = Some(ledger);
                        let share = self.budget.take(bytes).await;
                        if let Some(ledger) = self.held.take() {
                            self.add(ledger, share);
                        }
                    }
                    // Waiting while holding a share could wait for itself: give the batch away first.
                    None => {
                        self.held = Some(ledger);
                        return Some(Ok(self.seal()));
                    }
                }
                continue;
            }
            if let Some(end) = self.end.take() {
                if !self.open.ledgers.is_empty() {
                    self.end = Some(end);
                    return Some(Ok(self.seal()));
                }
                return end.err().map(Err);
            }
            let due = self.seal_at;
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => self.end = Some(Ok(())),
                () = async { match due { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                    return Some(Ok(self.seal()));
                }
                item = self.stream.next() => match item {
                    Some(Ok(ledger)) => self.held = Some(ledger),
                    Some(Err(error)) => self.end = Some(Err(error)),
                    None => self.end = Some(Ok(())),
                },
            }
        }
    }

    fn add(&mut self, ledger: RawLedger, share: Share) {
        if self.open.ledgers.is_empty() {
            let due = self.sealed_at.map(|before| before + self.limits.max_age);
            self.seal_at = due.max(Some(Instant::now() + MOMENT));
        }
        self.open.bytes += ledger.xdr.len() as u64;
        self.open.share.add(share);
        self.open.ledgers.push(ledger);
    }

    fn is_full(&self) -> bool {
        self.open.ledgers.len() as u64 >= u64::from(self.limits.max_ledgers)
            || self.open.bytes >= self.limits.max_bytes
    }

    /// No file holds ledgers of two 10,000-ledger ranges.
    fn starts_a_range(&self, ledger: &RawLedger) -> bool {
        self.open.ledgers.last().is_some_and(|last| last.seq.range_start() != ledger.seq.range_start())
    }

    fn seal(&mut self) -> RawBatch {
        self.seal_at = None;
        self.sealed_at = Some(Instant::now());
        mem::take(&mut self.open)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use futures::stream;
    use lake_core::LedgerSeq;

    use super::*;

    fn ledger(seq: u32, bytes: usize) -> RawLedger {
        RawLedger { seq: LedgerSeq::new(seq), xdr: Bytes::from(vec![0; bytes]), origin: "test".into() }
    }

    fn batcher(
        ledgers: impl IntoIterator<Item = RawLedger, IntoIter: Send + 'static>,
        limits: BatchSettings,
        budget: u64,
    ) -> Batcher {
        let stream = stream::iter(ledgers.into_iter().map(Ok)).chain(stream::pending()).boxed();
        Batcher::new(stream, limits, MemoryBudget::new(budget), CancellationToken::new())
    }

    const LIMITS: BatchSettings =
        BatchSettings { max_ledgers: 100, max_bytes: 1 << 20, max_age: Duration::from_secs(1) };

    async fn lengths(batcher: &mut Batcher, count: usize) -> Vec<usize> {
        let mut out = Vec::new();
        for _ in 0..count {
            out.push(batcher.next().await.unwrap().unwrap().ledgers.len());
        }
        out
    }

    /// Mistake D45 of the reference.
    #[tokio::test(start_paused = true)]
    async fn a_batch_is_sealed_by_time_without_another_ledger() {
        let come = [(0, 2), (300, 3), (600, 4), (5_000, 5)];
        let begun = Instant::now();
        let ledgers = stream::iter(come).then(move |(at, seq)| async move {
            sleep_until(begun + Duration::from_millis(at)).await;
            Ok(ledger(seq, 10))
        });
        let stream = ledgers.chain(stream::pending()).boxed();
        let mut batcher = Batcher::new(stream, LIMITS, MemoryBudget::new(1 << 30), CancellationToken::new());
        // The first at once, those that follow soon together, one after a quiet time at once again.
        for (length, at) in [(1, MOMENT), (2, LIMITS.max_age + MOMENT), (1, Duration::from_secs(5) + MOMENT)]
        {
            assert_eq!(lengths(&mut batcher, 1).await, [length]);
            assert!(begun.elapsed() >= at && begun.elapsed() < at + MOMENT, "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_sealed_by_count_by_bytes_and_at_the_end_of_a_range() {
        let by_count = BatchSettings { max_ledgers: 3, ..LIMITS };
        assert_eq!(
            lengths(&mut batcher((2..10).map(|s| ledger(s, 1)), by_count, 1 << 30), 3).await,
            [3, 3, 2]
        );
        let by_bytes = BatchSettings { max_bytes: 4096, ..LIMITS };
        assert_eq!(
            lengths(&mut batcher((2..6).map(|s| ledger(s, 2048)), by_bytes, 1 << 30), 2).await,
            [2, 2]
        );
        let across = (9_998..10_003).map(|s| ledger(s, 1));
        assert_eq!(lengths(&mut batcher(across, LIMITS, 1 << 30), 2).await, [2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn short_memory_seals_instead_of_waiting_for_itself() {
        let mut batcher = batcher((2..6).map(|s| ledger(s, 4000)), LIMITS, 8192);
        let first = batcher.next().await.unwrap().unwrap();
        assert_eq!(first.ledgers.len(), 2);
        drop(first);
        assert_eq!(batcher.next().await.unwrap().unwrap().ledgers.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_larger_than_the_bound_passes_alone() {
        let mut batcher = batcher([ledger(2, 100_000), ledger(3, 1)], LIMITS, 8192);
        let first = batcher.next().await.unwrap().unwrap();
        assert_eq!(first.ledgers.len(), 1);
        drop(first);
        assert_eq!(batcher.next().await.unwrap().unwrap().ledgers.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_an_error_or_a_stop_comes_first() {
        let missing =
            SourceError::Missing { seq: LedgerSeq::new(3), origin: "test".into(), detail: String::new() };
        let stream = stream::iter([Ok(ledger(2, 1)), Err(missing)]).boxed();
        let mut failing = Batcher::new(stream, LIMITS, MemoryBudget::new(8192), CancellationToken::new());
        assert_eq!(failing.next().await.unwrap().unwrap().ledgers.len(), 1);
        assert!(matches!(failing.next().await, Some(Err(SourceError::Missing { .. }))));

        let mut stopped = batcher([ledger(2, 1)], LIMITS, 8192);
        let cancel = stopped.cancel.clone();
        // The first poll takes the ledger in; then the stop comes.
        assert!(futures::poll!(Box::pin(stopped.next())).is_pending());
        cancel.cancel();
        assert_eq!(stopped.next().await.unwrap().unwrap().ledgers.len(), 1);
        assert!(stopped.next().await.is_none());
    }
}
