//! The way to a source's objects, as slow as settings make it: a wait before each object, and bytes per second over all
//! streams.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

/// Bytes that are counted at once.
const UNIT: u64 = 1024;

/// Shares of a second that a quiet line may make up for: what it lets through at once.
const BURSTS_PER_SECOND: u32 = 16;

/// The runtime's clock, which stands still in tests.
#[derive(Clone, Debug)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Nanos>>;

/// A way to objects. Shared by all streams of a source.
#[derive(Debug, Default)]
pub(super) struct Line {
    latency: Duration,
    rate: Option<Rate>,
}

#[derive(Debug)]
struct Rate {
    bytes_per_second: u64,
    limiter: Limiter,
    clock: RuntimeClock,
    burst: NonZeroU32,
    /// Objects pass one after the other, in the order in which they were asked for.
    turn: Mutex<()>,
}

impl Line {
    /// A line that waits for `latency` before each object and lets `bandwidth` bytes per second through.
    pub(super) fn new(latency: Duration, bandwidth: Option<u64>) -> Self {
        let units = |bytes: u64| NonZeroU32::new(u32::try_from(bytes / UNIT).unwrap_or(u32::MAX));
        let rate = bandwidth.map(|bytes| {
            let per_second = units(bytes).unwrap_or(NonZeroU32::MIN);
            let burst = NonZeroU32::new(per_second.get() / BURSTS_PER_SECOND).unwrap_or(NonZeroU32::MIN);
            let clock = RuntimeClock(Instant::now());
            let quota = Quota::per_second(per_second).allow_burst(burst);
            let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
            Rate { bytes_per_second: bytes, limiter, clock, burst, turn: Mutex::default() }
        });
        Self { latency, rate }
    }

    /// Bytes per second.
    pub(super) fn bandwidth(&self) -> Option<u64> {
        self.rate.as_ref().map(|rate| rate.bytes_per_second)
    }

    /// Waits as long as an object of so many bytes takes.
    pub(super) async fn pass(&self, bytes: u64) {
        if !self.latency.is_zero() {
            sleep(self.latency).await;
        }
        if let Some(rate) = &self.rate {
            rate.pass(bytes).await;
        }
    }
}

impl Rate {
    async fn pass(&self, bytes: u64) {
        let _turn = self.turn.lock().await;
        let mut left = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        while let Some(piece) = NonZeroU32::new(left.min(self.burst.get())) {
            // A piece is never larger than the burst, so there is always a time at which it passes.
            while let Ok(Err(early)) = self.limiter.check_n(piece) {
                sleep(early.wait_time_from(self.clock.now())).await;
            }
            left -= piece.get();
        }
    }
}
