//! kill -9 at any moment: whole batches, everything acknowledged, nothing twice.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use stellar_lake::lake::{Lane, NetworkName};

use crate::support::{Reader, TRANSACTIONS_PER_LEDGER, batch, network, open, runtime, write};

const CHILD: &str = "LAKE_TEST_CHILD";
const NETWORKS: [&str; 2] = ["alpha", "beta"];

/// Not a test of its own: the process that is killed. Writes without end and says what was acknowledged.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let lake = open(Path::new(&path));
    for name in NETWORKS {
        lake.add_network(&network(name)).unwrap();
    }
    lake.sweep_orphans().unwrap();
    let mut next: BTreeMap<&str, u32> = BTreeMap::new();
    for name in NETWORKS {
        let coverage = lake.coverage(&NetworkName::new(name).unwrap()).unwrap();
        next.insert(name, coverage.last().map_or(2, |l| l.get() + 1));
    }
    let encoder = lake.encoder();
    loop {
        // Both networks are in the queue at once.
        let batches: Vec<_> = next
            .iter_mut()
            .map(|(name, next)| {
                let start = *next;
                let end = (start + start % 7).min((start / 10_000 + 1) * 10_000 - 1);
                *next = end + 1;
                encoder.encode(batch(name, start, end, Lane::Live)).unwrap()
            })
            .collect();
        let queue = lake.queue();
        runtime().block_on(async {
            let mut waiting = Vec::new();
            for sealed in batches {
                let queue = queue.clone();
                waiting.push(tokio::spawn(async move { queue.submit(sealed).await.unwrap() }));
            }
            for commit in waiting {
                let commit = commit.await.unwrap();
                println!("\nACK {} {}", commit.network, commit.range.end());
                std::io::stdout().flush().unwrap();
            }
        });
    }
}

#[test]
fn a_killed_commit_leaves_no_partial_batch_and_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut stored: BTreeMap<&str, u32> = BTreeMap::new();
    for round in 0..6_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = stored.clone();
        for _ in 0..4 + round {
            let line = loop {
                let line = lines.next().expect("the child writes until it is killed").unwrap();
                if let Some(ack) = line.strip_prefix("ACK ") {
                    break ack.to_owned();
                }
            };
            let (name, end) = line.split_once(' ').unwrap();
            let name = NETWORKS.into_iter().find(|n| *n == name).unwrap();
            acknowledged.insert(name, end.parse().unwrap());
        }
        // A moment somewhere in the next commits.
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        let until = Instant::now() + Duration::from_micros(u64::from(nanos % 150_000));
        while Instant::now() < until {}
        child.kill().unwrap();
        child.wait().unwrap();
        let lake = open(dir.path());
        for name in NETWORKS {
            lake.add_network(&network(name)).unwrap();
            let coverage = lake.coverage(&NetworkName::new(name).unwrap()).unwrap();
            let last = coverage.last().unwrap().get();
            assert_eq!(coverage.to_string(), format!("2..{last}"));
            assert!(last >= acknowledged.get(name).copied().unwrap_or(0), "an acknowledged batch is lost");
            let reader = Reader::open(dir.path());
            let count = |table: &str| reader.number(&format!("SELECT count(*) FROM {name}.{table}"));
            assert_eq!(count("ledgers_row_v2"), i64::from(last) - 1);
            assert_eq!(
                count("transactions_row_v2"),
                (i64::from(last) - 1) * i64::from(TRANSACTIONS_PER_LEDGER)
            );
            let distinct = reader
                .number(&format!("SELECT count(DISTINCT transaction_hash) FROM {name}.transactions_row_v2"));
            assert_eq!(distinct, (i64::from(last) - 1) * i64::from(TRANSACTIONS_PER_LEDGER));
            let described = reader
                .number(&format!("SELECT sum(range_end - range_start + 1)::BIGINT FROM {name}._lineage"));
            assert_eq!(described, i64::from(last) - 1);
            stored.insert(name, last);
        }
        let swept = lake.sweep_orphans().unwrap();
        assert!(lake.check_files().unwrap().damaged.is_empty());
        println!("round {round}: {stored:?}, {} orphans swept", swept.removed.len());
    }
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    write(&lake, batch("alpha", stored["alpha"] + 1, stored["alpha"] + 1, Lane::Live)).unwrap();
}
