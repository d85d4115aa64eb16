//! A bound in bytes that many share: XDR between source and encoded file over all pipelines, objects in reading over all
//! streams.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT: u64 = 1024;

/// The bound. Taken in units of 1 KiB.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    units: Arc<Semaphore>,
    total: u32,
}

/// A share of the bound; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl MemoryBudget {
    /// A bound of `bytes`.
    pub fn new(bytes: u64) -> Self {
        let total = u32::try_from((bytes / UNIT).max(1)).unwrap_or(u32::MAX >> 4).min(u32::MAX >> 4);
        Self { units: Arc::new(Semaphore::new(usize::try_from(total).unwrap_or(usize::MAX >> 4))), total }
    }

    /// What is larger than the whole bound counts as the whole bound: it passes, alone.
    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes as u64 / UNIT + 1).unwrap_or(self.total).min(self.total)
    }

    /// A share for `bytes` if there is room now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Share> {
        self.units.clone().try_acquire_many_owned(self.units(bytes)).ok().map(|p| Share(Some(p)))
    }

    /// Waits for a share. The caller must not hold another one: that could wait for itself.
    pub(crate) async fn take(&self, bytes: usize) -> Share {
        // The semaphore is never closed.
        Share(self.units.clone().acquire_many_owned(self.units(bytes)).await.ok())
    }
}

impl Default for MemoryBudget {
    /// For a single stream: a few large objects, or many small ones.
    fn default() -> Self {
        Self::new(32 << 20)
    }
}

impl Share {
    pub(crate) fn add(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Some(mine), Some(other)) => mine.merge(other),
            (mine @ None, other) => *mine = other,
            (Some(_), None) => {}
        }
    }
}
