//! How long a live ledger takes to be visible, alone and beside a backfill at full speed, by a clock of this suite's own.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use lake_core::LedgerSeq;
use lake_testkit::{LakeReader, Network, Sep54, Settings, Source as From, Sut, shared, skip};
use stellar_lake::source::{Replay, Source};

/// The ten consecutive ledgers of today, 1 MB each.
const FOLDER: &str = "FC3E15FF--63040000-63103999";
const FIRST: u32 = 63_092_982;
const PASSPHRASE: &str = "Public Global Stellar Network ; September 2015";
const LIVE: [&str; 2] = ["live_a", "live_b"];
/// Longest time at the 99th percentile from a ledger's coming to its being read, in seconds; LAG_BOUND sets another one for
/// machines that have more to do.
const BOUND: f64 = 0.5;
/// How long is looked for ledgers that came last.
const AFTER: Duration = Duration::from_secs(10);
/// How long live ledgers come alone.
const ALONE: Duration = Duration::from_secs(20);
/// How often the lake is asked.
const PAUSE: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(1_200);

fn number<T: std::str::FromStr>(name: &str, usual: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The real ledgers alone, for `replay`.
fn recent(shared: &Path, folder: &Path) -> PathBuf {
    let (pubnet, recent) = (shared.join("ledgers/pubnet"), folder.join("recent"));
    fs::create_dir(&recent).expect("a folder can be made");
    symlink(pubnet.join(FOLDER), recent.join(FOLDER)).expect("a link can be made");
    fs::copy(pubnet.join(".config.json"), recent.join(".config.json")).expect("a file can be copied");
    recent
}

/// Writes `count` ledgers, the real ones repeated, into a directory that nobody reads.
fn stage(recent: &Path, folder: &Path, count: u32) -> Sep54 {
    let staged = Sep54::create(folder, PASSPHRASE);
    let replay = Replay::new(recent, lake_core::Network::new(PASSPHRASE), None);
    let ledgers = replay.ledgers(LedgerSeq::new(FIRST), Some(LedgerSeq::new(FIRST + count - 1)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime
        .block_on(ledgers.try_for_each(|ledger| {
            staged.add(&ledger);
            futures::future::ready(Ok(()))
        }))
        .expect("the ledgers can be repeated");
    staged
}

/// A network that is followed, and when its ledgers came, from the first on.
struct Live {
    name: &'static str,
    folder: Sep54,
    came: Mutex<Vec<Instant>>,
}

impl Live {
    fn come(&self, staged: &Sep54) {
        let mut came = self.came.lock().expect("nobody panics with it");
        let seq = FIRST + u32::try_from(came.len()).expect("few ledgers");
        let path = self.folder.object(seq);
        fs::create_dir_all(path.parent().expect("objects lie in partitions")).expect("a folder can be made");
        fs::hard_link(staged.object(seq), path)
            .unwrap_or_else(|error| panic!("live ledger {seq}: {error}; set LAG_LIVE to more of them"));
        came.push(Instant::now());
    }
}

/// What was seen of one network.
#[derive(Default)]
struct Seen {
    ledgers: usize,
    lags: Vec<(Instant, Duration)>,
}

impl Seen {
    /// Asks the lake and notes how long the ledgers took that were not there before.
    fn look(&mut self, lake: &LakeReader, live: &Live) {
        let sql =
            format!("SELECT coalesce(max(sequence), 0)::UINTEGER FROM lake.{}.ledgers_row_v2", live.name);
        let last: u32 = lake.value(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let now = Instant::now();
        let there = usize::try_from((last + 1).saturating_sub(FIRST)).expect("few ledgers");
        let came = live.came.lock().expect("nobody panics with it");
        for at in came.iter().take(there).skip(self.ledgers) {
            self.lags.push((*at, now.saturating_duration_since(*at)));
        }
        self.ledgers = self.ledgers.max(there);
    }
}

/// Prints how long ledgers took that came in this time; gives the 99th percentile.
fn print(what: &str, seen: &[Seen; 2], from: Instant, until: Instant) -> Duration {
    let of_time = seen.iter().flat_map(|seen| &seen.lags).filter(|(at, _)| (from..until).contains(at));
    let mut lags: Vec<Duration> = of_time.map(|(_, lag)| *lag).collect();
    lags.sort_unstable();
    assert!(!lags.is_empty(), "{what}: no ledger came");
    let at =
        |percent: usize| *lags.get((lags.len() * percent).div_ceil(100) - 1).expect("it is below the length");
    let seconds = |lag: Duration| format!("{:.2}", lag.as_secs_f64());
    println!(
        "| {what} | {} | {} | {} | {} |",
        lags.len(),
        seconds(at(50)),
        seconds(at(99)),
        seconds(at(100))
    );
    at(99)
}

fn is_running(sut: &Sut) -> bool {
    let output = sut.ctl(["backfill", "list", "--output", "json"]);
    let jobs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("lakectl prints JSON");
    let state = jobs.pointer("/jobs/0/state").and_then(serde_json::Value::as_str).unwrap_or_default();
    assert!(["running", "finished"].contains(&state), "{jobs}");
    state == "running"
}

/// A daemon with two networks that are followed, whose first ledgers are stored, and one that jobs fill; and the ledgers
/// that are to come.
fn start(shared: &Path, folder: &Path, count: u32) -> (Sut, [Live; 2], Sep54) {
    let recent = recent(shared, folder);
    let staged = stage(&recent, &folder.join("staged"), count);
    let lives = LIVE.map(|name| Live {
        name,
        folder: Sep54::create(&folder.join(name), PASSPHRASE),
        came: Mutex::default(),
    });
    let history = Network {
        source: From::Replay(recent),
        ..Network::filesystem("history", PASSPHRASE, folder).history_only()
    };
    let followed = |live: &Live| Network::filesystem(live.name, PASSPHRASE, live.folder.path());
    let networks = lives.iter().map(followed).chain([history]);
    let mut sut = Sut::new(&Settings::of(networks));
    lives.iter().for_each(|live| live.come(&staged));
    sut.start();
    sut.wait_status("the first live ledgers are stored", Duration::from_secs(60), |status| {
        LIVE.iter().all(|name| status.network(name).last_ledger.is_some())
    });
    (sut, lives, staged)
}

#[test]
#[ignore = "slow: run by `make lag-test`"]
fn live_ledgers_are_visible_in_time_beside_a_backfill() {
    let Some(shared) = shared() else {
        return skip("real ledgers", "../shared/ledgers is not there; set LAKE_SHARED to its folder");
    };
    let wanted: u32 = number("LAG_LEDGERS", 1_000);
    let rate: f64 = number("LAG_RATE", 0.5);
    let folder = tempfile::Builder::new().prefix("sl-").tempdir().expect("a temporary folder can be made");
    let (mut sut, lives, staged) = start(&shared, folder.path(), number("LAG_LIVE", 100 + wanted / 2));
    let is_over = AtomicBool::new(false);
    let mut seen = [Seen::default(), Seen::default()];
    let (begun, started, ended) = thread::scope(|scope| {
        scope.spawn(|| {
            let period = Duration::from_secs_f64(1.0 / rate);
            let mut due = Instant::now();
            while !is_over.load(Ordering::Relaxed) {
                // Not at the same moment: two networks close their ledgers when they like.
                for live in &lives {
                    live.come(&staged);
                    due += period / 2;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }
        });
        let lake = sut.reader();
        let mut look = |until: &mut dyn FnMut() -> bool| {
            let end = Instant::now() + DEADLINE;
            while !until() {
                assert!(Instant::now() < end, "not over in time\n{}", sut.log());
                seen.iter_mut().zip(&lives).for_each(|(seen, live)| seen.look(&lake, live));
                thread::sleep(PAUSE);
            }
        };
        let begun = Instant::now();
        look(&mut || begun.elapsed() >= ALONE);
        let last = FIRST + wanted - 1;
        let job = format!("backfill start --network history --from {FIRST} --to {last} --workers 10 --force");
        let output = sut.ctl(job.split(' '));
        assert!(output.status.success(), "{output:?}");
        let started = Instant::now();
        let mut asked = started;
        look(&mut || {
            let is_due = asked.elapsed() >= Duration::from_secs(1);
            if is_due {
                asked = Instant::now();
            }
            is_due && !is_running(&sut)
        });
        let ended = Instant::now();
        is_over.store(true, Ordering::Relaxed);
        // Those that came last count as well.
        look(&mut || ended.elapsed() > AFTER);
        (begun, started, ended)
    });
    for (seen, live) in seen.iter().zip(&lives) {
        let came = live.came.lock().expect("nobody panics with it");
        let unseen = came.iter().skip(seen.ledgers).filter(|at| **at < ended).count();
        assert_eq!(unseen, 0, "{}: ledgers that are not visible {:?} after the backfill", live.name, AFTER);
    }
    let status = sut.ctl(["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("lakectl prints JSON");
    println!("write queue: {}", status.get("write_queue").unwrap_or(&serde_json::Value::Null));
    let took = ended.duration_since(started).as_secs_f64();
    println!(
        "two live networks at {rate} dense ledgers/s each; seconds from a ledger's file to its row, seen by a reader every {} ms\n",
        PAUSE.as_millis()
    );
    println!("| live ledgers | count | p50 | p99 | max |\n|---|--:|--:|--:|--:|");
    print("alone", &seen, begun, started);
    let what = format!(
        "beside a backfill of {wanted} dense ledgers, 10 workers, {:.0} ledgers/s",
        f64::from(wanted) / took
    );
    let worst = print(&what, &seen, started, ended);
    let lake = sut.reader();
    let stored: i64 = lake
        .value("SELECT count(DISTINCT sequence) FROM lake.history.ledgers_row_v2")
        .expect("the lake can be read");
    assert_eq!(stored, i64::from(wanted));
    let bound: f64 = number("LAG_BOUND", BOUND);
    assert!(
        worst.as_secs_f64() <= bound,
        "a backfill holds live ledgers up: {worst:?} at the 99th percentile, the bound is {bound} s"
    );
    assert!(sut.terminate().success());
}
