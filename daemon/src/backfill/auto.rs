//! Finds the number of workers that saturates the narrowest of CPU, source and memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::run::MAX_WORKERS;
use crate::pipeline::ChunkLimits;

/// Share of the CPU from which on more workers cannot help.
const SATURATED: f64 = 0.9;

/// Gain below which more workers did not help.
const GAIN: f64 = 1.05;

/// Looks at what the workers achieve and says how many there should be.
#[derive(Debug)]
pub(super) struct Tuner {
    busy: Arc<AtomicU64>,
    cpus: f64,
    seen: (Instant, u64, u64),
    /// Ledgers per second, and workers, before some were added.
    before: Option<(f64, u32)>,
    limited_by: &'static str,
    /// Most workers that have a place to work.
    most: u32,
    /// New workers open streams and files first: the time until now tells nothing of what they bring.
    is_settling: bool,
}

impl Tuner {
    pub(super) fn new(limits: &ChunkLimits, ledgers: u64) -> Self {
        let busy = Arc::clone(&limits.busy);
        let seen = (Instant::now(), busy.load(Ordering::Relaxed), ledgers);
        Self {
            busy,
            cpus: f64::from(u32::try_from(limits.cpus).unwrap_or(1).max(1)),
            seen,
            before: None,
            limited_by: "",
            most: limits.chunks_at_once.min(MAX_WORKERS),
            is_settling: true,
        }
    }

    /// `cpu`, `source` or `memory`; empty until known.
    pub(super) const fn limited_by(&self) -> &'static str {
        self.limited_by
    }

    /// How many workers there should be, when `workers` have worked `ledgers` so far.
    pub(super) fn reconsider(&mut self, workers: u32, ledgers: u64) -> u32 {
        let busy = self.busy.load(Ordering::Relaxed);
        let (since, busy_then, ledgers_then) =
            std::mem::replace(&mut self.seen, (Instant::now(), busy, ledgers));
        let seconds = since.elapsed().as_secs_f64();
        if seconds < 1.0 || std::mem::take(&mut self.is_settling) {
            return workers;
        }
        let rate = ledgers.saturating_sub(ledgers_then) as f64 / seconds;
        let cpu = Duration::from_nanos(busy.saturating_sub(busy_then)).as_secs_f64() / (seconds * self.cpus);
        self.decide(workers, rate, cpu)
    }

    fn decide(&mut self, workers: u32, rate: f64, cpu: f64) -> u32 {
        if !self.limited_by.is_empty() {
            // Found: the narrow place seldom moves while a job runs.
            return workers;
        }
        if cpu >= SATURATED {
            self.limited_by = "cpu";
            return workers;
        }
        match self.before.replace((rate, workers)) {
            // More workers brought nothing: the source gives no more. Fewer do as well.
            Some((before, fewer)) if rate < before * GAIN => {
                self.limited_by = "source";
                fewer
            }
            _ if workers >= self.most => {
                self.limited_by = "memory";
                workers
            }
            _ => {
                self.is_settling = true;
                (workers + workers.div_ceil(2)).min(self.most)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuner() -> Tuner {
        // Memory for 100 chunks.
        Tuner::new(&ChunkLimits::new(2, 100 * (48 << 20)).unwrap(), 0)
    }

    #[test]
    fn workers_are_added_until_the_cpu_is_busy() {
        let mut tuner = tuner();
        let more = tuner.decide(2, 100.0, 0.4);
        assert_eq!(more, 3);
        assert_eq!(tuner.decide(more, 150.0, 0.95), 3);
        assert_eq!(tuner.limited_by(), "cpu");
    }

    #[test]
    fn workers_are_added_until_the_source_gives_no_more() {
        let mut tuner = tuner();
        let more = tuner.decide(4, 100.0, 0.2);
        assert_eq!(more, 6);
        assert_eq!(tuner.decide(more, 101.0, 0.2), 4);
        assert_eq!(tuner.limited_by(), "source");
    }

    #[test]
    fn there_is_a_most() {
        let mut tuner = tuner();
        assert_eq!(tuner.decide(MAX_WORKERS, 1.0, 0.0), MAX_WORKERS);
        assert_eq!(tuner.limited_by(), "memory");
        let mut tuner = Tuner::new(&ChunkLimits::new(2, 4 * (48 << 20)).unwrap(), 0);
        assert_eq!(tuner.decide(3, 1.0, 0.0), 4, "a place for each");
    }
}
