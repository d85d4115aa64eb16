//! Random moments that a seed repeats.

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

/// A small deterministic generator (splitmix64).
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// The generator of this seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// The generator of the seed in `SEED`, else of one by the clock; says which on standard error.
    pub fn from_env(suite: &str) -> Self {
        let seed = env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| u64::from(now.subsec_nanos()))
        });
        eprintln!("{suite}: SEED={seed} repeats the moments of this run");
        Self::new(seed)
    }

    /// What repeats it.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// A number from 0 on, below `limit`, which is at least 1.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }

    /// One of several.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        let index = self.below(u64::try_from(from.len()).expect("a length fits"));
        from.get(usize::try_from(index).expect("an index fits")).expect("it is below the length")
    }

    /// Changes the order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            let other = self.below(u64::try_from(end + 1).expect("a length fits"));
            all.swap(end, usize::try_from(other).expect("an index fits"));
        }
    }
}
