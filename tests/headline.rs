//! The headline: two networks of 500 ledgers each, at once, through one queue.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use lake_sim::Density;
use lake_testkit::{Model, Sut, compare};

const DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn two_networks_of_500_ledgers_go_through_one_queue_at_once() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/two-networks-500.yaml");
    let mut sut = Sut::from_file(&config, "target/two-networks/lake", "target/two-networks/control.sock");
    sut.start();
    let begun = Instant::now();
    // When each network was first seen finished: its speed beside the other one.
    let mut finished: Vec<(String, Duration)> = Vec::new();
    let status = sut.wait_status("both networks are finished", DEADLINE, |status| {
        for network in status.networks.iter().filter(|n| n.state == "finished") {
            if !finished.iter().any(|(name, _)| *name == network.name) {
                finished.push((network.name.clone(), begun.elapsed()));
            }
        }
        finished.len() == 2
    });

    println!("network        ledgers  transactions  operations  batches  avg write ms  ledgers/s");
    for network in &status.networks {
        let took = finished
            .iter()
            .find(|(name, _)| *name == network.name)
            .map_or(begun.elapsed(), |(_, took)| *took);
        println!(
            "{:<14} {:>7}  {:>12}  {:>10}  {:>7}  {:>12.1}  {:>9.0}",
            network.name,
            network.written.ledgers,
            network.written.transactions,
            network.written.operations,
            network.batches,
            network.average_write_micros as f64 / 1e3,
            network.written.ledgers as f64 / took.as_secs_f64()
        );
    }
    let queue = status.write_queue;
    println!(
        "queue          depth {} of {}, submitted {}, written {}, failed {}",
        queue.depth, queue.capacity, queue.submitted, queue.written, queue.failed
    );

    assert!(queue.written >= 20, "20 or more batches: {queue:?}");
    assert_eq!(
        (queue.depth, queue.submitted, queue.failed, queue.duplicates),
        (0, queue.written, 0, 0),
        "{queue:?}"
    );
    for network in &status.networks {
        let figures = (network.written.ledgers, network.verified_ledgers, network.failed_ledgers);
        assert_eq!(figures, (500, 500, 0), "{}: written, verified and failed ledgers", network.name);
        assert_eq!((network.gaps, network.duplicates), (0, 0), "{}", network.name);
        assert_eq!((network.first_ledger, network.last_ledger), (Some(2), Some(501)), "{}", network.name);
    }
    let batches: u64 = status.networks.iter().map(|n| n.batches).sum();
    assert_eq!(batches, queue.written, "every batch belongs to a network");
    assert!(sut.ctl(["health"]).status.success(), "finished networks are healthy");

    let end = sut.terminate();
    assert!(end.success(), "SIGTERM ends the daemon well: {end}");
    let lake = sut.reader();
    let dense = Model::new("Simulated Dense Network ; 2026", Density::Dense, 1);
    let sparse = Model::new("Simulated Sparse Network ; 2026", Density::Sparse, 2);
    for (name, mut model) in [("mainnet_sim", dense), ("testnet_sim", sparse)] {
        let (last, differences) = compare(&lake, name, &mut model);
        assert_eq!(last, 501, "{name}");
        differences.assert_none(name);
        let counts = model.counts(501);
        let written = status.network(name).written;
        assert_eq!(
            (written.transactions, written.operations),
            (counts.transactions, counts.operations),
            "{name}"
        );
    }
}
