//! A wall clock that jumps: a day ahead, then an hour behind the truth.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use lake_testkit::{Settings, Sut, Until, text_of, until};
use serde_json::Value;

use crate::support::{bad, directory, ends_well, folder, good, good_goes_on, seconds_of};

const LAST: u32 = 301;
const WATCHDOG: Duration = Duration::from_secs(6);
const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// The file of the offset and the library that obeys it.
fn shim(dir: &Path) -> [std::path::PathBuf; 2] {
    let (source, library) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/faults/clock.c"), dir.join("clock.so"));
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(source);
    let built = command.output().expect("a C compiler is there");
    assert!(built.status.success(), "{}", text_of(&built));
    let offset = dir.join("offset");
    jump(&offset, 0);
    [offset, library]
}

/// Sets the clock so many seconds ahead of the truth.
fn jump(offset: &Path, seconds: i64) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::options().write(true).create(true).truncate(false).open(offset);
    file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0)).expect("the offset can be written");
}

/// The service manager hears of the daemon at least twice more.
fn lives_on(sut: &mut Sut) {
    let count = |sut: &mut Sut| sut.told().iter().filter(|line| *line == "WATCHDOG=1").count();
    let before = count(sut);
    until("the service manager is told", WATCHDOG * 2, || match count(sut) {
        now if now >= before + 2 => Until::Done(()),
        now => Until::NotYet(format!("{now} signs of life")),
    });
}

/// Seconds between two moments of `lakectl status`.
fn seconds(from: &Value, to: &Value) -> i64 {
    let moment = |value: &Value| {
        let text = value.as_str().unwrap_or_else(|| panic!("{value} is no moment"));
        text.parse::<prost_types::Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}")).seconds
    };
    moment(to) - moment(from)
}

/// No age in the status knows of the jump.
fn ages_are_right(sut: &Sut, begun: Instant) {
    let output = sut.ctl(["status", "--output", "json"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let field = |path: &str| status.pointer(path).unwrap_or_else(|| panic!("no {path} in {status}"));
    let up = seconds(field("/daemon/started_at"), field("/taken_at"));
    let most = i64::try_from(begun.elapsed().as_secs()).expect("it is short") + 2;
    assert!((0..=most).contains(&up), "up for {up} s: {status}");
}

fn jumps(time_at_each: Duration) {
    let dir = folder();
    let [offset, library] = shim(dir.path());
    let source = directory(&dir.path().join("source"), LAST);
    let settings = Settings::of([bad(source.path()).history_only(), good()]);
    let mut sut = Sut::new(&settings.with("batch: { max_age: 200ms }"));
    let mut command = sut.command();
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    command.env("LD_PRELOAD", library).env("CLOCK_OFFSET", &offset);
    let begun = Instant::now();
    sut.spawn_as(command);
    sut.wait_ready();
    good_goes_on(&mut sut);
    let of = "FROM __ducklake_metadata_lake.ducklake_snapshot";
    let last: i64 =
        sut.reader().value(&format!("SELECT max(snapshot_id) {of}")).expect("the catalog can be read");
    let snapshots = format!("SELECT count(*) {of} WHERE snapshot_id <= {last}");
    let kept: i64 = sut.reader().value(&snapshots).expect("the catalog can be read");
    for (ahead, first) in [(DAY, 2), (-HOUR, 102), (0, 202)] {
        jump(&offset, ahead);
        let job = sut.backfill(&format!("start --network bad --from {first} --to {} --force", first + 99));
        lives_on(&mut sut);
        good_goes_on(&mut sut);
        ages_are_right(&sut, begun);
        sut.wait_job(job.id, "the job ends", |job| job.state == "finished" && job.ledgers_stored == 100);
        let jumped = Instant::now();
        until("maintenance had its turn", time_at_each * 2 + WATCHDOG, || {
            match jumped.elapsed() >= time_at_each {
                true => Until::Done(()),
                false => Until::NotYet(format!("{:?}", jumped.elapsed())),
            }
        });
        let now: i64 = sut.reader().value(&snapshots).expect("the catalog can be read");
        assert_eq!(now, kept, "no snapshot is older than an hour");
    }
    assert_eq!(sut.ctl(["health"]).status.code(), Some(0));
    let lake = sut.reader();
    // Stamps follow the clock; it shows that the clock did jump.
    let newest: i64 = lake
        .value("SELECT epoch(max(ingestion_timestamp))::BIGINT FROM good.ledgers_row_v2")
        .expect("there are ledgers");
    let truth = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970").as_secs();
    assert!(newest > i64::try_from(truth).expect("it fits") + DAY / 2, "{newest}");
    ends_well(sut, LAST);
}

#[test]
fn a_clock_that_jumps_changes_nothing_but_stamps() {
    jumps(Duration::ZERO);
}

/// `CLOCK_SECONDS` after each jump, 70 unless it is set: maintenance looks at ages once a minute.
#[test]
#[ignore = "takes three times CLOCK_SECONDS: `make fault-test`"]
fn a_clock_that_jumps_makes_nothing_old() {
    jumps(Duration::from_secs(seconds_of("CLOCK_SECONDS", 70)));
}
