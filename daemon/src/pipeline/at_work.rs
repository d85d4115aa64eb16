//! What workers are at, and since when: one that never ends is a hang of the pipeline, unlike a source that is silent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The turns of all workers of the process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AtWork(Arc<Mutex<Turns>>);

#[derive(Debug, Default)]
struct Turns {
    next: u64,
    begun: BTreeMap<u64, Instant>,
}

/// One turn; ended when dropped.
#[derive(Debug)]
pub struct Working {
    all: AtWork,
    id: u64,
}

impl AtWork {
    /// Begins a turn.
    pub fn begin(&self) -> Working {
        let mut turns = self.lock();
        let id = turns.next;
        turns.next += 1;
        turns.begun.insert(id, Instant::now());
        drop(turns);
        Working { all: self.clone(), id }
    }

    /// Age of the oldest turn; zero when nobody works.
    pub fn longest(&self) -> Duration {
        self.lock().begun.values().next().map(Instant::elapsed).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.all.lock().begun.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_turn_counts_until_it_ends() {
        let at_work = AtWork::default();
        assert_eq!(at_work.longest(), Duration::ZERO);
        let first = at_work.begin();
        let second = at_work.begin();
        let since_first = at_work.longest();
        assert!(since_first > Duration::ZERO);
        drop(second);
        assert!(at_work.longest() >= since_first);
        drop(first);
        assert_eq!(at_work.longest(), Duration::ZERO);
    }
}
