//! Sources that hang, and sources that answer slowly: an object is a pipe that nobody fills, or somebody slowly.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use lake_testkit::{ActiveChunk, Job, Network, Settings, Sut};

use crate::support::{
    HANGING, LAST, LIMIT, PROMPT, STOP, bad, directory, ends_well, folder, good, good_goes_on, pipe, started,
    unhealthy,
};

fn in_time<T>(what: &str, limit: Duration, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    println!("{what} while a read hangs: {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < limit, "{what} took {:?}", begun.elapsed());
    result
}

#[test]
fn a_job_whose_source_hangs_says_so_stops_when_told_and_goes_on_when_it_is_mended() {
    let dir = folder();
    let source = directory(dir.path(), LAST);
    let packed = pipe(&source, HANGING);
    let network = bad(dir.path()).history_only();
    let mut sut = started([network.clone().timeout(Duration::from_secs(1)), good()]);
    let job = sut.backfill(&format!("start --network bad --from 2 --to {LAST} --workers 3 --force"));
    let job = sut.wait_job(job.id, "the rest is stored, and it is told what hangs", |job| {
        let is_told = |chunk: &ActiveChunk| {
            chunk.retrying.contains("--2000.xdr.zst") && chunk.retrying.contains("no byte came for 1s")
        };
        job.ledgers_stored >= 1_300 && job.active.len() == 1 && job.active.iter().any(is_told)
    });
    assert_eq!((job.state.as_str(), job.ledgers_parked), ("running", 0), "{job:#?}");
    good_goes_on(&mut sut);
    in_time("a pause", PROMPT, || sut.backfill(&format!("pause {}", job.id)));
    sut.backfill(&format!("resume {}", job.id));

    // As long as a read hangs, with the usual deadline: nothing waits for it.
    assert!(in_time("a stop", STOP, || sut.terminate()).success());
    sut.configure(&Settings::of([network.clone(), good()]));
    sut.start();
    let waits = |job: &Job| job.active.len() == 1 && job.reason.contains("waits for the source");
    sut.wait_job(job.id, "the last chunk waits", waits);
    in_time("a pause", PROMPT, || sut.backfill(&format!("pause {}", job.id)));
    sut.backfill(&format!("resume {}", job.id));
    sut.wait_job(job.id, "the last chunk waits", waits);
    in_time("a cancellation", PROMPT, || sut.backfill(&format!("cancel {}", job.id)));
    let job = sut.backfill(&format!("start --network bad --from 2 --to {LAST} --workers 3 --force"));
    sut.wait_job(job.id, "the last chunk waits", waits);
    assert!(in_time("a stop", STOP, || sut.terminate()).success());

    sut.configure(&Settings::of([network.timeout(Duration::from_secs(1)), good()]));
    sut.start();
    sut.wait_job(job.id, "it is told what hangs", |job| job.active.iter().any(|c| !c.retrying.is_empty()));
    source.put_packed(HANGING, &packed);
    let job = sut.wait_job(job.id, "all is stored", |job| job.state == "finished");
    assert_eq!((job.ledgers_stored, job.ledgers_parked), (u64::from(LAST) - 1, 0), "{job:#?}");
    ends_well(sut, LAST);
}

#[test]
fn a_followed_network_whose_source_hangs_says_so_and_goes_on_when_it_is_mended() {
    let dir = folder();
    let source = directory(dir.path(), 60);
    // The first object is asked for its ledgers before any is taken in.
    let (first, packed) = (pipe(&source, 2), pipe(&source, 40));
    let mut sut = started([bad(dir.path()), good()]);
    good_goes_on(&mut sut);
    assert!(in_time("a stop before the first ledger", STOP, || sut.terminate()).success());
    let mut settings = Settings::of([bad(dir.path()).timeout(Duration::from_secs(1)), good()]);
    settings = settings.with("batch: { max_age: 200ms }");
    sut.configure(&settings);
    sut.start();
    sut.wait_status("it is told what hangs", LIMIT, |s| s.network("bad").state == "retrying");
    unhealthy(&sut, "--2.xdr.zst: read: ");
    source.put_packed(2, &first);
    let status = sut.wait_status("it hangs at the next one", LIMIT, |s| {
        s.network("bad").state == "retrying" && s.network("bad").last_ledger == Some(39)
    });
    let reason = status.network("bad").state_reason.clone().unwrap_or_default();
    assert!(reason.contains("--40.xdr.zst") && reason.contains("no byte came for 1s"), "{reason}");
    good_goes_on(&mut sut);
    assert!(in_time("a stop", STOP, || sut.terminate()).success());
    sut.start();
    sut.wait_status("it hangs again", LIMIT, |s| s.network("bad").state == "retrying");
    source.put_packed(40, &packed);
    sut.wait_status("all is stored", LIMIT, |s| s.network("bad").last_ledger == Some(60));
    ends_well(sut, 60);
}

/// Fills a pipe piece by piece, each well before the deadline and all of it well after. Waits for the reader first.
fn feed_slowly(path: PathBuf, bytes: Vec<u8>) {
    thread::spawn(move || {
        let (_never, pace) = sync_channel::<()>(1);
        let mut pipe = File::options().write(true).open(path).expect("the pipe is there");
        for piece in bytes.chunks(bytes.len().div_ceil(PIECES)) {
            pipe.write_all(piece).expect("it is read to its end");
            // Nothing ever comes: this only takes its time.
            pace.recv_timeout(TIMEOUT / 3).expect_err("nobody sends");
        }
    });
}

const TIMEOUT: Duration = Duration::from_secs(1);
const PIECES: usize = 16;

/// Resident memory of the daemon in KiB.
fn memory(sut: &Sut) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", sut.pid())).expect("the daemon runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel tells it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("it is a number")
}

#[test]
fn a_slow_source_is_waited_for_and_nothing_that_moves_is_given_up() {
    let dir = folder();
    let (jobs, live) = (dir.path().join("jobs"), dir.path().join("live"));
    let (source, followed) = (directory(&jobs, LAST), directory(&live, 60));
    // Too far apart to be read ahead together: the job waits for one after the other, and is seen to.
    let slow: Vec<(u32, Vec<u8>)> =
        [HANGING, HANGING + 100, HANGING + 200].map(|seq| (seq, pipe(&source, seq))).to_vec();
    let packed = pipe(&followed, 40);
    let networks = [
        Network { name: "live".to_owned(), ..bad(&live) }.timeout(TIMEOUT),
        bad(&jobs).history_only().timeout(TIMEOUT),
        good(),
    ];
    slow.into_iter().for_each(|(seq, packed)| feed_slowly(source.object(seq), packed));
    feed_slowly(followed.object(40), packed);
    let mut sut = started(networks);
    let job = sut.backfill(&format!("start --network bad --from 2 --to {LAST} --workers 3 --force"));
    sut.wait_job(job.id, "it waits for the source", |job| job.reason.contains("waits for the source"));
    let before = memory(&sut);
    good_goes_on(&mut sut);
    let job = sut.wait_job(job.id, "all is stored", |job| job.state == "finished");
    assert_eq!((job.ledgers_stored, job.ledgers_parked), (u64::from(LAST) - 1, 0), "{job:#?}");
    assert!(memory(&sut) < before + (256 << 10), "{before} KiB grew to {} KiB", memory(&sut));
    sut.wait_status("the followed network has all", LIMIT, |s| s.network("live").last_ledger == Some(60));
    assert!(!sut.log().contains("no byte came"), "{}", sut.log());
    ends_well(sut, LAST);
}
