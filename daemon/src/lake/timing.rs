//! Measured durations: how many, how long, and how they are spread.

use std::time::Duration;

/// Upper bounds of the classes of durations, in seconds, inclusive; longer ones have a class of their own.
pub const BOUNDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// A measured duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Measurements.
    pub count: u64,
    /// Sum of all.
    pub total: Duration,
    /// Largest.
    pub max: Duration,
    /// Newest.
    pub last: Duration,
    /// Measurements in each class of [`BOUNDS`]; those that are longer are the rest of `count`.
    pub classes: [u64; BOUNDS.len()],
}

impl Timing {
    /// The mean; zero without measurements.
    pub fn average(&self) -> Duration {
        u32::try_from(self.count).ok().and_then(|n| self.total.checked_div(n)).unwrap_or_default()
    }

    pub(crate) fn add(&mut self, took: Duration) {
        self.count = self.count.saturating_add(1);
        self.total = self.total.saturating_add(took);
        self.max = self.max.max(took);
        self.last = took;
        let seconds = took.as_secs_f64();
        let class = self.classes.iter_mut().zip(BOUNDS).find(|(_, bound)| seconds <= *bound);
        if let Some((measurements, _)) = class {
            *measurements = measurements.saturating_add(1);
        }
    }
}
