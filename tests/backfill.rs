//! Backfill as a user drives it: `lakectl backfill` against a running daemon, over pauses, kills and bad ledgers.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]

use std::{
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use lake_sim::Density;
use lake_testkit::{LakeReader, Model, Network, Sep54, Settings, Sut, Until, compare, shared, skip, until};
use serde::Deserialize;

const DEADLINE: Duration = Duration::from_secs(300);

/// A job as `lakectl backfill` prints it.
#[derive(Debug, Deserialize)]
struct Job {
    id: u32,
    state: String,
    reason: String,
    ledgers_wanted: u64,
    ledgers_stored: u64,
    ledgers_parked: u64,
    parked: Vec<Parked>,
}

#[derive(Debug, Deserialize)]
struct Parked {
    first: u32,
    last: u32,
    evidence: String,
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs `lakectl backfill` with further arguments and reads the job that it prints.
#[track_caller]
fn backfill(sut: &Sut, args: &str) -> Job {
    let output = sut.ctl("backfill".split(' ').chain(args.split(' ')).chain(["--output", "json"]));
    assert!(output.status.success(), "lakectl backfill {args}: {}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)))
}

fn wait(sut: &Sut, id: u32, what: &str, mut is_done: impl FnMut(&Job) -> bool) -> Job {
    until(what, DEADLINE, || match backfill(sut, &format!("show {id}")) {
        job if is_done(&job) => Until::Done(job),
        job => Until::NotYet(format!("{job:#?}")),
    })
}

fn number(lake: &LakeReader, sql: &str) -> i64 {
    lake.value(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// A simulated network that only jobs fill.
fn simulated(name: &str, density: Density) -> Network {
    Network::simulated(name, density, 5, None).history_only()
}

/// The lake holds exactly the network's ledgers up to `last`, as the simulated network knows them.
fn equals_the_model(sut: &Sut, network: &Network, last: u32) {
    let (reached, differences) = compare(&sut.reader(), &network.name, &mut Model::of(network));
    differences.assert_none("after the backfill");
    assert_eq!(reached, last);
}

#[test]
fn ten_workers_store_the_testnet_chain_once() {
    let Some(shared) = shared() else {
        return skip("real ledgers", "../shared/ledgers is not there; set LAKE_SHARED to its folder");
    };
    for workers in [10, 30] {
        let source = shared.join("ledgers/testnet-chain");
        let network =
            Network::filesystem("testnet", "Test SDF Network ; September 2015", source).history_only();
        let mut sut = Sut::new(&Settings::of([network]));
        sut.start();
        let begun = Instant::now();
        let job = backfill(&sut, &format!("start --network testnet --from 2 --to 10047 --workers {workers}"));
        let job = wait(&sut, job.id, "the chain is stored", |job| job.state == "finished");
        let took = begun.elapsed();
        assert_eq!(
            (job.ledgers_wanted, job.ledgers_stored, job.ledgers_parked),
            (10_046, 10_046, 0),
            "{job:?}"
        );
        let lake = sut.reader();
        let table = "testnet.ledgers_row_v2";
        assert_eq!(number(&lake, &format!("SELECT count(*) FROM {table}")), 10_046);
        assert_eq!(number(&lake, &format!("SELECT count(DISTINCT sequence) FROM {table}")), 10_046);
        assert_eq!(number(&lake, "SELECT count(*) FROM testnet.transactions_row_v2"), 11_303);
        let files = number(&lake, "SELECT count(*) FROM testnet._lineage");
        println!(
            "testnet-chain: {workers} workers, {files} commits, {:.0} ledgers/s",
            10_046.0 / took.as_secs_f64()
        );
        assert!(sut.terminate().success());
    }
}

#[test]
fn a_job_goes_on_after_a_kill_stays_paused_over_a_restart_and_ends_complete() {
    let network = simulated("net", Density::Mixed);
    let mut sut = Sut::new(&Settings::of([network.clone()]).with("backfill: { chunk_size: 32MiB }"));
    sut.start();
    let last = 12_500;
    let job = backfill(&sut, &format!("start --network net --from 2 --to {last} --workers 3 --force"));
    wait(&sut, job.id, "some chunks are stored", |job| job.ledgers_stored > 0);
    sut.kill();
    sut.start();
    // Nobody told it to: a running job goes on by itself.
    let running = backfill(&sut, &format!("show {}", job.id));
    assert_eq!(running.state, "running", "{running:?}");
    let paused = backfill(&sut, &format!("pause {}", job.id));
    assert_eq!(paused.state, "paused");
    assert!(sut.terminate().success());
    sut.start();
    let still = backfill(&sut, &format!("show {}", job.id));
    assert_eq!((still.state.as_str(), still.ledgers_stored), ("paused", paused.ledgers_stored));
    backfill(&sut, &format!("set {} --workers 5", job.id));
    backfill(&sut, &format!("resume {}", job.id));
    let done = wait(&sut, job.id, "the job is finished", |job| job.state == "finished");
    assert_eq!(done.ledgers_stored, u64::from(last) - 1);
    equals_the_model(&sut, &network, last);
}

#[test]
fn a_cancelled_job_ends_within_five_seconds_and_keeps_what_is_stored() {
    let network = simulated("net", Density::Dense);
    let mut sut = Sut::new(&Settings::of([network]).with("backfill: { chunk_size: 32MiB }"));
    sut.start();
    let job = backfill(&sut, "start --network net --from 2 --to 9999 --workers 4 --force");
    wait(&sut, job.id, "a chunk is stored", |job| job.ledgers_stored > 0);
    let begun = Instant::now();
    let cancelled = backfill(&sut, &format!("cancel {}", job.id));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(cancelled.state, "cancelled");
    let stored = number(&sut.reader(), "SELECT count(*) FROM net.ledgers_row_v2");
    assert_eq!(u64::try_from(stored), Ok(cancelled.ledgers_stored));
    let again = sut.ctl(["backfill", "resume", &job.id.to_string()]);
    assert!(!again.status.success() && text(&again).contains("cancelled"), "{}", text(&again));
}

#[test]
fn a_corrupt_object_parks_its_chunk_and_is_taken_in_when_it_is_mended() {
    let dir = tempfile::Builder::new().prefix("sl-").tempdir().expect("a temporary folder can be made");
    let passphrase = "a network of files ; 2026";
    let mut model = Model::new(passphrase, Density::Sparse, 3);
    let archive = Sep54::create(dir.path(), passphrase);
    (0..6_000).for_each(|_| archive.add(&model.close().raw));
    let bad = 3_002;
    let good = archive.packed(bad);
    archive.put_packed(bad, good.get(..good.len() / 2).expect("half of it"));

    let network = Network::filesystem("net", passphrase, dir.path()).history_only();
    let mut sut = Sut::new(&Settings::of([network]));
    sut.start();
    let job = backfill(&sut, "start --network net --from 2 --to 6001 --workers 2");
    let job = wait(&sut, job.id, "the rest is stored", |job| job.state == "finished");
    assert_eq!(job.parked.len(), 1, "{job:?}");
    let parked = job.parked.first().expect("one is parked");
    assert!((parked.first..=parked.last).contains(&bad), "{job:?}");
    assert!(Path::new(&parked.evidence).is_file(), "{job:?}");
    assert_eq!(job.ledgers_stored + job.ledgers_parked, 6_000);
    let gaps = sut.ctl(["gaps"]);
    assert_eq!(gaps.status.code(), Some(1), "{}", text(&gaps));
    assert!(text(&gaps).contains("parked"), "{}", text(&gaps));

    archive.put_packed(bad, &good);
    backfill(&sut, &format!("resume {}", job.id));
    let job = wait(&sut, job.id, "all is stored", |job| job.state == "finished");
    assert_eq!((job.ledgers_stored, job.parked.len()), (6_000, 0), "{job:?}");
    assert!(sut.ctl(["gaps"]).status.success());
}

#[test]
fn a_plan_tells_what_a_job_takes_and_wrong_wishes_are_refused() {
    let network = simulated("net", Density::Sparse);
    let mut sut = Sut::new(&Settings::of([network]));
    sut.start();
    let plan = sut.ctl(["backfill", "start", "--network", "net", "--from", "2", "--to", "5001", "--dry-run"]);
    assert!(plan.status.success() && text(&plan).contains("5,000"), "{}", text(&plan));
    for (args, code, words) in [
        ("start --network nowhere --from 2 --to 3", 66, "not configured"),
        ("start --network net --from 9 --to 3", 64, "before"),
        ("start --network net --from 2 --to 9 --workers 999", 64, "workers"),
        ("show 77", 66, "no job 77"),
    ] {
        let output = sut.ctl("backfill".split(' ').chain(args.split(' ')));
        let said = text(&output);
        assert!(
            output.status.code() == Some(code) && said.contains(words),
            "{args}: {:?} {said}",
            output.status
        );
    }
    let job = backfill(&sut, "start --network net --from 2 --to 3000 --workers 1");
    let done = wait(&sut, job.id, "it is finished", |job| job.state == "finished");
    assert_eq!((done.ledgers_stored, done.reason.as_str()), (2_999, ""));
    let nothing = sut.ctl(["backfill", "start", "--network", "net", "--from", "2", "--to", "3000"]);
    assert!(!nothing.status.success() && text(&nothing).contains("nothing to do"), "{}", text(&nothing));
}
