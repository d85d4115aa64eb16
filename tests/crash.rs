//! SIGKILL at random moments: nothing acknowledged is lost, nothing doubled, no batch torn.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use lake_sim::Density;
use lake_testkit::{Model, Network, Random, Settings, Sut, Until, compare, until};

fn networks(dense: f64, sparse: f64) -> [Network; 2] {
    [
        Network::simulated("dense", Density::Dense, 11, Some(dense)),
        Network::simulated("sparse", Density::Sparse, 12, Some(sparse)),
    ]
}

/// Parquet files below a folder, finished or not.
fn parquet_files(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            parquet_files(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// What the lake showed before a kill: last ledger and rows of each network. All of it was committed.
fn acknowledged(sut: &Sut, seen: &mut BTreeMap<String, u32>) {
    for network in sut.try_status().map(|status| status.networks).unwrap_or_default() {
        let last = network.last_ledger.unwrap_or_default();
        let known = seen.entry(network.name).or_default();
        *known = last.max(*known);
    }
}

/// Kills the daemon `kills` times and compares the lake with the model after each.
fn kill_and_compare(kills: u64, networks: &[Network; 2], longest: Duration) {
    let mut random = Random::from_env("crash");
    let seed = random.seed();
    let settings = Settings::of(networks.clone()).with(
        "batch: { max_age: 100ms, max_ledgers: 40 }\nmaintenance: { interval: 300ms, merge_after_files: 8, \
         wal_checkpoint_interval: 500ms, expire_snapshots_older_than: 0s, cleanup_files_older_than: 1h }",
    );
    let mut sut = Sut::new(&settings);
    let mut models: Vec<Model> = networks.iter().map(Model::of).collect();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let (mut before_ready, mut with_growth) = (0, 0);
    for kill in 1..=kills {
        let moment = random.below(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
        // One in five dies while it starts; the others some time after they are ready.
        let early = random.below(5) == 0;
        sut.spawn();
        if !early {
            sut.wait_ready();
        }
        let end = Instant::now() + Duration::from_millis(if early { moment / 4 } else { moment });
        while Instant::now() < end {
            if sut.is_ready() {
                acknowledged(&sut, &mut seen);
            }
            let left = end.saturating_duration_since(Instant::now());
            // The random moment itself, not a wait for something.
            thread::sleep(left.min(Duration::from_millis(50)));
            if let Some(status) = sut.ended() {
                panic!("kill {kill} (SEED={seed}): the daemon ended by itself with {status}:\n{}", sut.log());
            }
        }
        before_ready += u64::from(!sut.is_ready());
        sut.kill();

        let Some(lake) = sut.reader_after_kill() else {
            assert!(seen.values().all(|last| *last == 0), "the catalog is gone");
            continue;
        };
        for (network, model) in networks.iter().zip(&mut models) {
            let (last, differences) = compare(&lake, &network.name, model);
            differences
                .assert_none(&format!("kill {kill} (SEED={seed}), {} up to ledger {last}", network.name));
            let known = seen.entry(network.name.clone()).or_default();
            assert!(
                last >= *known,
                "kill {kill} (SEED={seed}): ledger {known} was there before, now the last is {last}"
            );
            with_growth += u64::from(last > *known);
            *known = last;
        }
    }

    // One more start: it goes on, sweeps what the killed ones left, and ends well.
    let before = seen.clone();
    sut.start();
    sut.wait_status("both networks grow after the last kill", Duration::from_secs(60), |status| {
        before.iter().all(|(name, last)| status.network(name).last_ledger > Some(*last))
    });
    let status = sut.status();
    assert_eq!(
        (status.write_queue.failed, status.write_queue.duplicates),
        (0, 0),
        "{:?}",
        status.write_queue
    );
    let end = sut.terminate();
    assert!(end.success(), "SIGTERM ends the daemon well: {end}\n{}", sut.log());
    let lake = sut.reader();
    let mut registered = 0;
    for (network, model) in networks.iter().zip(&mut models) {
        let (last, differences) = compare(&lake, &network.name, model);
        differences.assert_none(&format!("the end (SEED={seed}), {} up to ledger {last}", network.name));
        // All cells once more, also of rows that merges have rewritten since they were compared.
        let (_, differences) = compare(&lake, &network.name, &mut Model::of(network));
        differences.assert_none(&format!("the whole lake (SEED={seed}), {}", network.name));
        let counts = model.counts(last);
        registered += lake.live_files(&network.name).expect("the catalog can be read").len();
        println!(
            "{}: {} ledgers, {} transactions, {} operations after {kills} kills: none lost, doubled or torn",
            network.name, counts.ledgers, counts.transactions, counts.operations
        );
    }
    let mut files = Vec::new();
    parquet_files(&sut.lake().join("data"), &mut files);
    let unfinished: Vec<_> =
        files.iter().filter(|path| path.extension().is_some_and(|e| e == "tmp")).collect();
    assert!(unfinished.is_empty(), "left over by killed processes: {unfinished:?}");
    let orphans = files.iter().filter(|path| path.starts_with(sut.lake().join("data"))).count() - registered;
    println!(
        "{before_ready} of {kills} kills came before READY, {with_growth} times a network had grown unseen; \
         {registered} files in use, {orphans} others (replaced by merges or of the network list)"
    );
}

#[test]
fn three_kills_lose_double_and_tear_nothing() {
    kill_and_compare(3, &networks(30.0, 400.0), Duration::from_millis(1500));
}

#[test]
#[ignore = "slow: run by `make crash-test`"]
fn many_kills_lose_double_and_tear_nothing() {
    // The other kills are those of tests/crash_jobs.rs.
    let kills: u64 = env::var("KILLS").ok().and_then(|k| k.parse().ok()).unwrap_or(50);
    kill_and_compare(kills / 5, &networks(25.0, 300.0), Duration::from_millis(2500));
}

#[test]
fn a_keeper_whose_daemon_was_killed_ends_by_itself() {
    let mut sut = Sut::new(&Settings::of(networks(5.0, 50.0)));
    sut.start();
    let children = sut.children();
    assert!(!children.is_empty(), "the daemon has a keeper");
    sut.kill();
    until("the keeper ends", Duration::from_secs(30), || {
        // A zombie has an empty command line: it has ended, whoever reaps it.
        let alive = |pid: &&u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        match children.iter().find(alive) {
            None => Until::Done(()),
            Some(pid) => Until::NotYet(format!("process {pid} lives")),
        }
    });
}

/// Mistake D6 of the reference.
#[test]
fn sigterm_commits_what_is_in_flight_and_the_next_start_goes_on() {
    let networks = networks(20.0, 200.0);
    // Batches only by age: what arrived just before the signal waits for its batch.
    let mut sut = Sut::new(&Settings::of(networks.clone()).with("batch: { max_age: 10s }"));
    sut.start();
    sut.wait_status("both networks run", Duration::from_secs(30), |status| {
        status.networks.iter().all(|n| n.state == "catching_up" || n.state == "following")
    });
    let end = sut.terminate();
    assert!(end.success(), "{end}\n{}", sut.log());
    let told = sut.told().to_vec();
    assert!(told.iter().any(|line| line == "STOPPING=1"), "{told:?}");
    sut.start();
    sut.wait_status("the next start goes on", Duration::from_secs(60), |status| {
        status.networks.iter().all(|n| n.written.ledgers > 0)
    });
    assert!(sut.terminate().success());
    let lake = sut.reader();
    for network in &networks {
        let (last, differences) = compare(&lake, &network.name, &mut Model::of(network));
        differences.assert_none(&network.name);
        assert!(last > 2, "{}: {last}", network.name);
    }
}
