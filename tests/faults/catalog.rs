//! A catalog that another process keeps locked.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lake_testkit::{Settings, Sut, Until, skip, text_of, until};

use crate::support::{LIMIT, bad, directory, ends_well, folder, good, good_goes_on, seconds_of};

const LAST: u32 = 300;

/// How often the service manager wants a sign of life.
const WATCHDOG: Duration = Duration::from_secs(12);

/// Another program with a write transaction on the catalog; dropped, it ends.
struct Holder(Child);

impl Holder {
    fn begin(catalog: &Path) -> Result<Self, String> {
        let program = "import sqlite3, sys\n\
             c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n\
             c.execute('BEGIN EXCLUSIVE')\n\
             print('locked', flush=True)\n\
             sys.stdin.read()\n\
             c.execute('ROLLBACK')\n";
        let mut command = Command::new("python3");
        command.args(["-c", program]).arg(catalog).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("python3 cannot be run: {error}"))?;
        let mut said = String::new();
        let stdout = child.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut said).map_err(|error| error.to_string())?;
        if said.trim() != "locked" {
            return Err(format!("python3 could not lock the catalog: {said:?}"));
        }
        Ok(Self(child))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("an own child can be waited for");
    }
}

fn signs_of_life(sut: &mut Sut) -> usize {
    sut.told().iter().filter(|line| *line == "WATCHDOG=1").count()
}

fn locked_for(time: Duration) {
    let dir = folder();
    let source = directory(dir.path(), LAST);
    let settings = Settings::of([bad(source.path()).history_only(), good()]);
    let mut sut = Sut::new(&settings.with("batch: { max_age: 200ms }"));
    let mut command = sut.command();
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    sut.spawn_as(command);
    sut.wait_ready();
    sut.backfill("start --network bad --from 2 --to 20 --force");
    sut.wait_job(1, "the first ledgers are stored", |job| job.state == "finished");
    let holder = match Holder::begin(&sut.lake().join("catalog.sqlite")) {
        Ok(holder) => holder,
        Err(why) => return skip("a locked catalog", &why),
    };
    let begun = Instant::now();
    let job = sut.backfill(&format!("start --network bad --from 21 --to {LAST} --force"));
    let locked = sut.wait_status("it says what is up", LIMIT, |s| s.network("good").state == "retrying");
    let reason = locked.network("good").state_reason.clone().unwrap_or_default();
    assert!(reason.contains("catalog.sqlite: locked by another process for"), "{reason}");
    let health = sut.ctl(["health"]);
    assert_eq!(health.status.code(), Some(1));
    assert!(text_of(&health).contains("locked by another process"), "{}", text_of(&health));
    let told = sut.wait_job(job.id, "the job says so too", |job| {
        job.state == "running" && job.reason.contains("locked by another process")
    });
    let query = sut.ctl(["query", "--format", "csv", "SELECT count(*) FROM bad.ledgers_row_v2"]);
    assert!(query.status.success(), "what is stored can be read: {}", text_of(&query));

    let alive = signs_of_life(&mut sut);
    until("the lock was held for long enough", time + LIMIT, || {
        let signs = signs_of_life(&mut sut);
        match begun.elapsed() >= time && signs > alive {
            true => Until::Done(()),
            false => Until::NotYet(format!("{signs} signs of life after {:?}", begun.elapsed())),
        }
    });
    let still = sut.backfill(&format!("show {}", job.id));
    assert_eq!(still.ledgers_stored, told.ledgers_stored, "nothing can be stored");
    drop(holder);
    good_goes_on(&mut sut);
    let job = sut.wait_job(job.id, "the job ends", |job| job.state == "finished");
    assert_eq!((job.ledgers_stored, job.ledgers_parked), (u64::from(LAST) - 20, 0), "{job:#?}");
    assert_eq!(sut.ctl(["health"]).status.code(), Some(0));
    ends_well(sut, LAST);
}

#[test]
fn a_catalog_locked_for_a_while_is_waited_for_and_nothing_is_lost_or_doubled() {
    locked_for(Duration::from_secs(7));
}

/// `LOCK_SECONDS`, 30 unless it is set: longer than the committer tries one batch.
#[test]
#[ignore = "takes LOCK_SECONDS: `make fault-test`"]
fn a_catalog_locked_for_long_is_waited_for_and_nothing_is_lost_or_doubled() {
    locked_for(Duration::from_secs(seconds_of("LOCK_SECONDS", 30)));
}
