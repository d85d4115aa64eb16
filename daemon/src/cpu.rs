//! CPU time, for the figures of each stage.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread since it began; zero where the kernel does not count it.
pub(crate) fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// CPU time of the whole process since it began; zero where the kernel does not count it.
pub(crate) fn process_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Laps of the calling thread's CPU time.
#[derive(Debug)]
pub(crate) struct CpuLaps(Duration);

impl CpuLaps {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self(thread_cpu())
    }

    /// CPU time since the start or the lap before.
    pub(crate) fn lap(&mut self) -> Duration {
        let now = thread_cpu();
        now.saturating_sub(std::mem::replace(&mut self.0, now))
    }
}
