//! Prints how fast each density is made: ledgers per second, bytes, transactions and operations per ledger.
#![allow(clippy::print_stdout, reason = "printing is what this example is for")]

use std::time::Instant;

use lake_core::LedgerSeq;
use lake_sim::{Density, Model, SimConfig, SimNetwork};

fn main() {
    for (density, skip, count) in
        [(Density::Sparse, 100, 20_000), (Density::Mixed, 400, 4_000), (Density::Dense, 30, 600)]
    {
        let mut network = SimNetwork::new(SimConfig { passphrase: "sim rate".into(), seed: 1, density });
        network.skip_to(LedgerSeq::new(skip));
        let mut model = Model::default();
        let start = Instant::now();
        for _ in 0..count {
            model.add(&network.close_ledger().truth);
        }
        let seconds = start.elapsed().as_secs_f64();
        let per = |sum: u64| sum / model.ledgers.max(1);
        let t = &model.totals;
        println!(
            "{density}: {} ledgers, {:.0} ledgers/s, per ledger {} bytes, {} transactions ({} failed, {} fee bumps, \
             {} soroban), {} operations, {} operation events",
            model.ledgers,
            f64::from(count) / seconds,
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
