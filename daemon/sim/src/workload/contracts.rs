//! Calls of the token contracts, good and bad.

use super::{Planner, setup::prepared};
use crate::{
    entries,
    entries::ONE,
    soroban::{call, footprint, token},
    tx::Plan,
};

impl Planner<'_> {
    /// A call of a token; `bad_percent` of them ask for more than there is.
    pub(super) fn token_call(&mut self, bad_percent: u64) -> Option<Plan> {
        let source = self.source()?;
        let to = self.user()?;
        let cluster = self.rng.index(self.world.tokens.len());
        let contract = self.world.tokens.get(cluster)?;
        let has = token::balance(self.state, contract, &source).unwrap_or(0);
        let small = self.rng.between(1, 500 * ONE);
        // A holder of less than a few calls' worth gets some first.
        let poor = has < 2_000 * ONE;
        let bad = self.rng.percent(bad_percent);
        let from = entries::address(&source);
        let mut ready = if bad || (!poor && to == source) {
            let args = vec![from, entries::i128_val(i64::MAX / 4)];
            call::call(contract, "burn", args, &[&source])
        } else if poor {
            let args = vec![from, entries::i128_val(5_000 * ONE)];
            call::call(contract, "mint", args, &[&source])
        } else if self.rng.percent(10) {
            let args = vec![from, entries::i128_val(small)];
            call::call(contract, "burn", args, &[&source])
        } else {
            let args = vec![from, entries::address(&to), entries::i128_val(small)];
            call::call(contract, "transfer", args, &[&source, &to])
        };
        footprint::declare_archived(self.state, &mut ready.1);
        let mut plan = prepared(&source, ready);
        plan.cluster = cluster;
        Some(plan)
    }
}
