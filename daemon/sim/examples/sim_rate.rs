//! Prints how fast each density (or the one named) is made: ledgers per second, and what is in a ledger.
#![allow(clippy::print_stdout, reason = "printing is what this example is for")]

use std::time::Instant;

use lake_core::LedgerSeq;
use lake_sim::{Density, Model, SimConfig, SimNetwork};

fn main() {
    for (density, skip, count) in
        [(Density::Sparse, 100, 20_000), (Density::Mixed, 400, 4_000), (Density::Dense, 30, 600)]
    {
        let only = std::env::args().nth(1);
        if only.is_some_and(|only| only != density.to_string()) {
            continue;
        }
        let mut network = SimNetwork::new(SimConfig { passphrase: "sim rate".into(), seed: 1, density });
        network.skip_to(LedgerSeq::new(skip));
        let mut model = Model::default();
        let start = Instant::now();
        // On a busy machine the quickest stretch says more than the average.
        let stretch = 5;
        let mut quickest = f64::INFINITY;
        for _ in 0..count / stretch {
            let start = Instant::now();
            for _ in 0..stretch {
                model.add(&network.close_ledger().truth);
            }
            quickest = quickest.min(start.elapsed().as_secs_f64());
        }
        let seconds = start.elapsed().as_secs_f64();
        let per = |sum: u64| sum / model.ledgers.max(1);
        let t = &model.totals;
        println!(
            "{density}: {} ledgers, {:.0} ledgers/s (quickest {stretch}: {:.0}), per ledger {} bytes, {} transactions ({} failed, {} fee bumps, \
             {} soroban), {} operations, {} operation events",
            model.ledgers,
            f64::from(count) / seconds,
            f64::from(stretch) / quickest,
            per(t.xdr_bytes),
            per(model.transactions),
            per(t.failed),
            per(t.fee_bumps),
            per(t.soroban_transactions),
            per(model.operations),
            per(t.operation_events),
        );
    }
}
