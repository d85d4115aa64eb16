//! A long backfill of a simulated network as it is at ledger 60,000,000, its rows counted against the network's books.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]

use std::{env, fs, thread, time::Duration, time::Instant};

use lake_core::LedgerSeq;
use lake_sim::{Density, SimConfig, SimNetwork};
use lake_testkit::{Network, Settings, Sut};

const FIRST: u32 = 60_000_000;
const SEED: u64 = 7;

/// A number of the environment.
fn variable(name: &str, usual: u32) -> u32 {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

/// Rows of each table that the network knows of, over so many ledgers from its first.
fn books(network: &Network, count: u32) -> Vec<(&'static str, u64)> {
    let config = SimConfig { passphrase: network.passphrase.clone(), seed: SEED, density: Density::Mixed };
    let mut network = SimNetwork::with_first(config, LedgerSeq::new(FIRST));
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for _ in 0..count {
        let rows = network.close_ledger().truth.rows.by_table();
        sums.resize(rows.len(), ("", 0));
        sums.iter_mut().zip(rows).for_each(|(sum, (name, rows))| *sum = (name, sum.1 + rows));
    }
    sums
}

/// A figure of `/proc/<pid>/status`, MiB.
fn peak_memory(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells the peak");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number of kB") / 1024
}

#[test]
#[ignore = "slow: run by `make long-test`"]
fn a_long_backfill_by_two_workers_is_complete() {
    let (count, workers) = (variable("LEDGERS", 200_000), variable("WORKERS", 2));
    let network = Network::simulated("net", Density::Mixed, SEED, None).beginning(FIRST).history_only();
    let mut sut = Sut::new(&Settings::of([network.clone()]).without_raw_xdr());
    sut.start();
    let last = FIRST + count - 1;
    let begun = Instant::now();
    let range = ["--from".to_owned(), FIRST.to_string(), "--to".to_owned(), last.to_string()];
    let workers = ["--workers".to_owned(), workers.to_string()];
    let started = ["backfill", "start", "--network", "net", "--force"].map(str::to_owned);
    let output = sut.ctl(started.iter().chain(&range).chain(&workers));
    assert!(output.status.success(), "{output:?}");
    // The books are kept meanwhile, in this process.
    let books = thread::spawn(move || books(&network, count));
    let watched = sut.ctl(["backfill", "watch", "1", "--interval", "5"]);
    let took = begun.elapsed();
    assert!(watched.status.success(), "{watched:?}\n{}", sut.log());
    let peak = peak_memory(sut.pid());
    let queue = sut.status().write_queue;
    assert_eq!((queue.failed, queue.duplicates), (0, 0), "{queue:?}");
    let verified = sut.ctl(["verify"]);
    assert!(verified.status.success(), "{verified:?}");
    assert!(sut.terminate().success(), "{}", sut.log());

    let lake = sut.reader();
    let number = |sql: &str| lake.value::<i64>(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut rows = 0;
    for (table, expected) in books.join().expect("the books are kept") {
        let found = number(&format!("SELECT count(*) FROM net.{table}"));
        assert_eq!(u64::try_from(found).expect("a count"), expected, "rows of {table}");
        rows += expected;
    }
    let of_ledgers = |what: &str| number(&format!("SELECT {what} FROM net.ledgers_row_v2"));
    assert_eq!(of_ledgers("count(DISTINCT sequence)"), i64::from(count));
    assert_eq!((of_ledgers("min(sequence)"), of_ledgers("max(sequence)")), (FIRST.into(), last.into()));
    assert_eq!(number("SELECT count(tx_meta) FROM net.transactions_row_v2"), 0);
    let bytes = number("SELECT sum(bytes)::BIGINT FROM net._lineage");
    let seconds = took.max(Duration::from_millis(1)).as_secs_f64();
    println!(
        "{count} ledgers in {seconds:.0} s: {:.0} ledgers/s, {:.0} rows/s (effects not counted), {} commits, {} MiB of files, \
         peak memory {peak} MiB; the books were kept beside it",
        f64::from(count) / seconds,
        rows as f64 / seconds,
        queue.written,
        bytes / (1 << 20),
    );
}
