//! A bound in bytes that many share: XDR between source and encoded file over all pipelines, objects in reading over all
//! streams.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT: u64 = 1024;

/// The bound. Taken in units of 1 KiB.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    units: Arc<Semaphore>,
    total: u32,
    /// Not given out, as long as memory is short.
    withheld: Arc<AtomicU32>,
}

/// What is not given out of a bound; given back when dropped.
#[derive(Debug)]
pub(crate) struct Withheld {
    budget: MemoryBudget,
    units: Option<OwnedSemaphorePermit>,
}

impl Withheld {
    /// Withholds what has become free since, up to three quarters of the bound.
    pub(crate) fn grow(&mut self) {
        let held = self.units.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let most = usize::try_from(self.budget.total / 4 * 3).unwrap_or(0);
        let free = self.budget.units.available_permits();
        let more = u32::try_from(free.min(most.saturating_sub(held))).unwrap_or(0);
        // Another may have been faster: the next time then.
        let Ok(taken) = self.budget.units.clone().try_acquire_many_owned(more) else { return };
        self.budget.withheld.fetch_add(more, Ordering::Relaxed);
        match &mut self.units {
            Some(units) => units.merge(taken),
            None => self.units = Some(taken),
        }
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        let held = self.units.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        self.budget.withheld.fetch_sub(u32::try_from(held).unwrap_or(0), Ordering::Relaxed);
    }
}

/// A share of the bound; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl MemoryBudget {
    /// A bound of `bytes`.
    pub fn new(bytes: u64) -> Self {
        let total = u32::try_from((bytes / UNIT).max(1)).unwrap_or(u32::MAX >> 4).min(u32::MAX >> 4);
        let units = Arc::new(Semaphore::new(usize::try_from(total).unwrap_or(usize::MAX >> 4)));
        Self { units, total, withheld: Arc::default() }
    }

    /// Gives out less from now on: what is free now, up to three quarters of the bound, is withheld.
    pub(crate) fn withhold(&self) -> Withheld {
        let mut withheld = Withheld { budget: self.clone(), units: None };
        withheld.grow();
        withheld
    }

    /// Bytes that are free.
    #[cfg(test)]
    pub(crate) fn room(&self) -> u64 {
        self.units.available_permits() as u64 * UNIT
    }

    /// What is larger than the whole bound counts as the whole bound: it passes, alone.
    fn units(&self, bytes: usize) -> u32 {
        let most = self.total.saturating_sub(self.withheld.load(Ordering::Relaxed)).max(1);
        u32::try_from(bytes as u64 / UNIT + 1).unwrap_or(most).min(most)
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
