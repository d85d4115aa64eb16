//! SIGKILL at random moments and at every named fail point, while jobs with several workers fill one network, another is
//! followed, small files are merged and damage is repaired: always exactly the wanted ledgers, once, and no file left.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use lake_sim::Density;
use lake_testkit::{
    Bin, Model, Network, Random, Sep54, Settings, Sut, Until, compare, compare_stretches, until,
};
use serde::Deserialize;

const DEADLINE: Duration = Duration::from_secs(60);
/// How often jobs are looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// Ledgers of a job; a chunk has about twelve of them.
const JOB: u32 = 100;
/// Ledgers of the network that is damaged and repaired.
const MENDED: u32 = 150;
/// Kills of one lake. Then a new one: an older one takes ever longer to compare.
const KILLS_OF_A_LAKE: usize = 40;

/// The fail points of the program, and the most passes that are waited for.
const POINTS: [(&str, u64); 12] = [
    ("before-encode", 10),
    ("between-files", 80),
    ("before-rename", 80),
    ("before-begin", 8),
    ("between-registrations", 80),
    ("before-commit", 8),
    ("after-commit", 8),
    (REPLACE_BEFORE_COMMIT, 1),
    (REPLACE_AFTER_COMMIT, 1),
    ("merge-before-swaps", 1),
    ("merge-between-swaps", 12),
    ("job-before-rename", 2),
];
const REPLACE_BEFORE_COMMIT: &str = "replace-before-commit";
const REPLACE_AFTER_COMMIT: &str = "replace-after-commit";

/// A job as `lakectl backfill list` prints it.
#[derive(Debug, Deserialize)]
struct Job {
    network: String,
    state: String,
    reason: String,
    wanted: Vec<Span>,
    ledgers_stored: u64,
    ledgers_parked: u64,
}

#[derive(Debug, Deserialize)]
struct Jobs {
    jobs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
struct Span {
    last: u32,
}

/// How a round ends.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// So long after the start.
    Starting(Duration),
    /// So long after READY.
    AfterReady(Duration),
    /// So long after READY and after the leftovers of the killed process were seen to be gone.
    AfterSweep(Duration),
    /// By itself, at this point, at its nth pass.
    At(&'static str, u64),
    /// When what was damaged is stored anew.
    WhenMended,
}

/// One lake with its networks and what is known of it.
struct Bed {
    sut: Sut,
    archive: Sep54,
    maker: Model,
    live: (Network, Model, u32),
    mend: (Network, Model),
    fill: Network,
    fill_model: Model,
    /// Ledgers of the filled network that the lake was seen to hold, and how many were said to be stored.
    fill_stored: Vec<(u32, u32)>,
    fill_acknowledged: u64,
    /// Last ledgers in the archive, and wanted by jobs.
    made: u32,
    wanted: u32,
    figures: Figures,
}

/// What happened to all lakes.
#[derive(Debug, Default)]
struct Figures {
    before_ready: u64,
    at_points: BTreeMap<&'static str, u64>,
    sweeps: u64,
    swept: u64,
    grown: u64,
}

fn settings(networks: [&Network; 3], maintenance: bool) -> Settings {
    Settings::of(networks.map(Network::clone)).with(&format!(
        "batch: {{ max_age: 400ms, max_ledgers: 40 }}\nbackfill: {{ chunk_size: 64KiB }}\nmaintenance: {{ enabled: {maintenance}, \
         interval: 1s, merge_after_files: 1000, wal_checkpoint_interval: 500ms, expire_snapshots_older_than: 0s, \
         cleanup_files_older_than: 1h }}"
    ))
}

fn fill_model(network: &Network) -> Model {
    Model::new(&network.passphrase, Density::Sparse, 21)
}

impl Bed {
    /// A new lake, whose network to be damaged is filled.
    fn new(archive: &Path, figures: Figures) -> Self {
        let fill = Network::filesystem("fill", "a network of files ; 2026", archive).history_only();
        let live = Network::simulated("live", Density::Mixed, 22, Some(4.0));
        let mend = Network::simulated("mend", Density::Sparse, 23, None).history_only();
        let mut bed = Self {
            sut: Sut::new(&settings([&fill, &live, &mend], true)),
            archive: Sep54::create(archive, &fill.passphrase),
            maker: fill_model(&fill),
            fill_model: fill_model(&fill),
            live: (live.clone(), Model::of(&live), 0),
            mend: (mend.clone(), Model::of(&mend)),
            fill,
            fill_stored: Vec::new(),
            fill_acknowledged: 0,
            made: 1,
            wanted: 1,
            figures,
        };
        bed.sut.start();
        bed.ctl(&format!("backfill start --network mend --from 2 --to {MENDED} --workers 4 --force"));
        bed.wait_jobs(&["mend"]);
        assert!(bed.sut.terminate().success());
        bed
    }

    fn ctl(&self, args: &str) -> Option<String> {
        let output = self.sut.ctl(args.split(' '));
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The jobs; `None` when the daemon does not answer. None of them may be in trouble.
    fn jobs(&mut self) -> Option<Vec<Job>> {
        let text = self.ctl("backfill list --output json")?;
        let Jobs { jobs } = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        for job in &jobs {
            let is_well = ["running", "finished"].contains(&job.state.as_str()) && job.ledgers_parked == 0;
            assert!(is_well && job.reason.is_empty(), "{job:?}\n{}", self.sut.log());
        }
        let of_fill = || jobs.iter().filter(|job| job.network == "fill");
        // A job whose start nobody lived to see counts as well.
        let last = of_fill().flat_map(|job| job.wanted.iter().map(|span| span.last)).max();
        self.wanted = self.wanted.max(last.unwrap_or_default());
        let stored = of_fill().map(|job| job.ledgers_stored).sum();
        self.fill_acknowledged = self.fill_acknowledged.max(stored);
        Some(jobs)
    }

    /// Waits until all jobs of these networks are finished; each has some.
    fn wait_jobs(&mut self, networks: &[&str]) {
        until(&format!("the jobs of {networks:?} end"), DEADLINE, || {
            let jobs = self.jobs();
            let is_done = |network: &&str| {
                let mut of_it = jobs.iter().flatten().filter(|job| job.network == *network).peekable();
                of_it.peek().is_some() && of_it.all(|job| job.state == "finished")
            };
            match networks.iter().all(is_done) {
                true => Until::Done(()),
                false => Until::NotYet(format!("{jobs:?}\n{}", self.sut.log())),
            }
        });
    }

    /// Lets the next job want further ledgers when there is none at work.
    fn keep_busy(&mut self) {
        let Some(jobs) = self.jobs() else { return };
        if jobs.iter().any(|job| job.network == "fill" && job.state == "running") {
            return;
        }
        let (from, to) = (self.wanted + 1, self.wanted + JOB);
        while self.made < to {
            self.archive.add(&self.maker.close().raw);
            self.made += 1;
        }
        // When it is not answered, the next look at the jobs tells whether there is one.
        self.ctl(&format!("backfill start --network fill --from {from} --to {to} --workers 4 --force"));
    }

    /// Starts the daemon and lets it be killed.
    fn round(&mut self, kill: Kill, what: &str) {
        let left = self.files();
        let mut command = self.sut.command();
        if let Kill::At(point, nth) = kill {
            command.env("STELLAR_LAKE_FAIL_POINT", format!("{point}:{nth}"));
        }
        self.sut.spawn_as(command);
        match kill {
            Kill::Starting(after) => thread::sleep(after),
            Kill::AfterReady(after) => {
                self.sut.wait_ready();
                self.work(after);
            }
            Kill::AfterSweep(after) => {
                self.sut.wait_ready();
                self.nothing_left(&left);
                self.work(after);
            }
            Kill::WhenMended => {
                self.sut.wait_ready();
                self.wait_jobs(&["mend"]);
                self.nothing_left(&left);
            }
            Kill::At(point, _) => {
                self.die_at(point, what);
                *self.figures.at_points.entry(point).or_default() += 1;
                return;
            }
        }
        self.figures.before_ready += u64::from(!self.sut.is_ready());
        if let Some(status) = self.sut.ended() {
            panic!("{what}: the daemon ended by itself with {status}\n{}", self.sut.log());
        }
        self.sut.kill();
    }

    /// Keeps jobs at work for this time: the random moment itself, not a wait for something.
    fn work(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.keep_busy();
            thread::sleep(end.saturating_duration_since(Instant::now()).min(PAUSE));
        }
    }

    /// Keeps the daemon at work until it has killed itself.
    fn die_at(&mut self, point: &str, what: &str) {
        let is_replacing = point.starts_with("replace");
        let status = until(&format!("{what}: it is reached"), DEADLINE, || {
            if let Some(status) = self.sut.ended() {
                return Until::Done(status);
            }
            if self.sut.is_ready() {
                match is_replacing {
                    // Until the damage is found there is nothing to repair.
                    true => drop(self.ctl("repair --network mend")),
                    false => self.keep_busy(),
                }
            }
            thread::sleep(PAUSE);
            Until::NotYet(self.sut.log())
        });
        assert_eq!(status.signal(), Some(9), "{what}: {status}\n{}", self.sut.log());
    }

    /// Files of the lake, but for the catalog, the lock and the records of jobs.
    fn files(&self) -> BTreeSet<PathBuf> {
        fn below(folder: &Path, out: &mut BTreeSet<PathBuf>) {
            for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    below(&path, out);
                } else {
                    out.insert(path);
                }
            }
        }
        let mut files = BTreeSet::new();
        below(&self.sut.lake().canonicalize().expect("the lake is there"), &mut files);
        files.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_record = path.parent().is_some_and(|folder| folder.ends_with("jobs"))
                && path.extension().is_some_and(|extension| extension == "json");
            !(is_record || name.starts_with("catalog.sqlite") || name == "stellar-lake.lock")
        });
        files
    }

    /// Waits until those files are gone that an earlier process left and the catalog does not know.
    fn nothing_left(&mut self, left: &BTreeSet<PathBuf>) {
        let lake = self.sut.reader();
        let swept = until("what a killed process left is swept", DEADLINE, || {
            // Files first, catalog second: what is deleted in between is missing in both.
            let there: Vec<&PathBuf> = left.iter().filter(|path| path.exists()).collect();
            let known = lake.known_files().expect("the catalog can be read");
            match there.iter().find(|path| !known.contains(**path)) {
                None => Until::Done(left.len() - there.len()),
                Some(path) => Until::NotYet(format!("{}\n{}", path.display(), self.sut.log())),
            }
        });
        self.figures.sweeps += 1;
        self.figures.swept += u64::try_from(swept).expect("a count fits");
    }

    /// The lake holds what it held and what was said to be stored, exactly once and nothing else.
    fn compare(&mut self, with_mended: bool, what: &str) {
        let lake = self.sut.reader_after_kill().expect("the lake was made");
        let (live, model, seen) = &mut self.live;
        let (last, differences) = compare(&lake, &live.name, model);
        differences.assert_none(&format!("{what}: live up to {last}"));
        assert!(last >= *seen, "{what}: live: ledger {seen} was there before, now the last is {last}");
        *seen = last;
        if with_mended {
            let (last, differences) = compare(&lake, &self.mend.0.name, &mut self.mend.1);
            differences.assert_none(&format!("{what}: mend"));
            assert_eq!(last, MENDED, "{what}: mend");
        }
        let (stored, differences) = compare_stretches(&lake, &self.fill.name, &mut self.fill_model);
        differences.assert_none(&format!("{what}: fill, {stored:?}"));
        for (first, last) in &self.fill_stored {
            let is_there = stored.iter().any(|(from, to)| from <= first && last <= to);
            assert!(is_there, "{what}: fill: {first} to {last} were there before, now there are {stored:?}");
        }
        let count: u64 = stored.iter().map(|(first, last)| u64::from(last - first) + 1).sum();
        let acknowledged = self.fill_acknowledged;
        assert!(count >= acknowledged, "{what}: fill: {acknowledged} were acknowledged, {count} are there");
        // The last start of a job may not have been answered.
        let end = stored.last().map_or(1, |(_, last)| *last);
        assert!(end <= self.made, "{what}: fill: {end} was never wanted");
        self.figures.grown += u64::from(stored != self.fill_stored);
        self.fill_stored = stored;
    }

    /// Damages the network for it, in a way that a repair must replace files for.
    fn damage(&self, random: &mut Random) {
        if random.below(2) == 0 {
            let first = 2 + random.below(u64::from(MENDED) - 10);
            let lake =
                lake_testkit::LakeReader::open_writing(self.sut.lake()).expect("the lake can be opened");
            let sql = format!(
                "DELETE FROM lake.mend.ledgers_row_v2 WHERE sequence BETWEEN {first} AND {}",
                first + 3
            );
            lake.run(&sql).expect("rows can be deleted");
            return;
        }
        let files = self.sut.reader().live_files("mend").expect("the catalog can be read");
        let of_tables: Vec<PathBuf> = files
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| !path.parent().is_some_and(|folder| folder.ends_with("_lineage")))
            .collect();
        let path = random.pick(&of_tables);
        match random.below(2) {
            0 => fs::remove_file(path),
            _ => fs::File::options().write(true).open(path).and_then(|file| file.set_len(100)),
        }
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// A kill in the midst of a repair, and one after it went on.
    fn damage_and_repair(&mut self, point: &'static str, what: &str, random: &mut Random) {
        self.damage(random);
        let networks = [&self.fill, &self.live.0, &self.mend.0];
        let (merging, plain) = (settings(networks, true), settings(networks, false));
        // Merges take files out of their tables as well: none may reach the point first.
        self.sut.configure(&plain);
        self.round(Kill::At(point, 1), what);
        self.compare(point == REPLACE_AFTER_COMMIT, what);
        self.sut.configure(&merging);
        self.round(Kill::WhenMended, what);
        self.compare(true, &format!("{what}, mended"));
    }

    /// All jobs end, and the daemon; the lake is what was wanted and nothing else is in its folder.
    fn end(mut self) -> Figures {
        let left = self.files();
        self.sut.start();
        self.keep_busy();
        self.wait_jobs(&["fill", "mend"]);
        let gaps = self.sut.ctl(["gaps"]);
        assert!(gaps.status.success(), "{}", String::from_utf8_lossy(&gaps.stdout));
        self.nothing_left(&left);
        let end = self.sut.terminate();
        assert!(end.success(), "SIGTERM ends the daemon well: {end}\n{}", self.sut.log());
        let lake = self.sut.reader();
        let known = lake.known_files().expect("the catalog can be read");
        let files = self.files();
        let orphans: Vec<_> = files.difference(&known.into_iter().collect()).cloned().collect();
        assert!(orphans.is_empty(), "after an orderly stop no file is left over: {orphans:?}");
        assert!(!self.sut.lake().join("replacing").exists(), "stand-ins are left over");
        // All cells once more, also of rows that merges have rewritten since they were compared.
        for (network, mut model, wanted) in [
            (&self.fill, fill_model(&self.fill), Some(self.wanted)),
            (&self.live.0, Model::of(&self.live.0), None),
            (&self.mend.0, Model::of(&self.mend.0), Some(MENDED)),
        ] {
            let (last, differences) = compare(&lake, &network.name, &mut model);
            differences.assert_none(&format!("the end: {}", network.name));
            assert!(wanted.is_none_or(|wanted| wanted == last), "{}: {last} of {wanted:?}", network.name);
            let counts = model.counts(last);
            println!(
                "{}: {} ledgers, {} transactions, {} operations: all that is wanted, once",
                network.name, counts.ledgers, counts.transactions, counts.operations
            );
        }
        self.figures
    }
}

/// A kill at a random moment.
fn at_random(random: &mut Random) -> Kill {
    let moment = |random: &mut Random, limit| Duration::from_millis(random.below(limit));
    match random.below(5) {
        0 => Kill::Starting(moment(random, 700)),
        1 => Kill::AfterReady(moment(random, 500)),
        _ => Kill::AfterSweep(moment(random, 1_200)),
    }
}

/// Kills at every fail point and as often at random moments, in random order.
fn rounds(kills: usize, random: &mut Random) -> Vec<Kill> {
    // A repair has a second kill, when it is done.
    let points = POINTS.iter().cycle().take(POINTS.len().max(kills / 24 * POINTS.len()));
    let mut all: Vec<Kill> = points.map(|(point, most)| Kill::At(point, 1 + random.below(*most))).collect();
    let repairs = all.iter().filter_map(|kill| repair_of(*kill)).count();
    while all.len() + repairs < kills {
        all.push(at_random(random));
    }
    random.shuffle(&mut all);
    all
}

/// The point of a kill in the midst of a repair.
fn repair_of(kill: Kill) -> Option<&'static str> {
    match kill {
        Kill::At(point @ (REPLACE_BEFORE_COMMIT | REPLACE_AFTER_COMMIT), _) => Some(point),
        Kill::At(..) | Kill::Starting(_) | Kill::AfterReady(_) | Kill::AfterSweep(_) | Kill::WhenMended => {
            None
        }
    }
}

fn kill_and_compare(rounds: &[Kill], random: &mut Random) {
    let seed = random.seed();
    let mut figures = Figures::default();
    let mut number = 0;
    for of_a_lake in rounds.chunks(KILLS_OF_A_LAKE) {
        let folder =
            tempfile::Builder::new().prefix("sl-").tempdir().expect("a temporary folder can be made");
        let mut bed = Bed::new(folder.path(), figures);
        for kill in of_a_lake {
            number += 1;
            let what = format!("kill {number} (SEED={seed}), {kill:?}");
            let begun = Instant::now();
            match repair_of(*kill) {
                Some(point) => {
                    bed.damage_and_repair(point, &what, random);
                    number += 1;
                }
                None => {
                    bed.round(*kill, &what);
                    bed.compare(false, &what);
                }
            }
            eprintln!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
        }
        figures = bed.end();
    }
    let Figures { before_ready, at_points, sweeps, swept, grown } = &figures;
    println!(
        "{number} kills, {before_ready} of them before READY, {} at fail points: {at_points:?}; after {grown} of them more \
         ledgers were stored; {sweeps} sweeps removed {swept} files of killed processes, none was left",
        at_points.values().sum::<u64>()
    );
    assert!(*grown > 0, "no job stored anything");
}

#[test]
fn kills_of_a_job_lose_double_and_leave_nothing() {
    let mut random = Random::from_env("crash_jobs");
    let after = |millis| Duration::from_millis(millis);
    let kills = [Kill::AfterReady(after(700)), Kill::Starting(after(150)), Kill::AfterSweep(after(500))];
    kill_and_compare(&kills, &mut random);
}

#[test]
#[ignore = "slow, and takes a program with fail points: run by `make crash-test`"]
fn many_kills_of_jobs_lose_double_and_leave_nothing() {
    let version = Bin::StellarLake.command().arg("--version").output().expect("the program is executable");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(version.contains("+fail-points"), "{version}: run `make crash-test`");
    // An unknown point is refused, and the answer names all there are.
    let mut sut = Sut::new(&Settings::default());
    let mut command = sut.command();
    command.env("STELLAR_LAKE_FAIL_POINT", "nowhere");
    sut.spawn_as(command);
    assert_eq!(sut.wait_ended().code(), Some(64));
    let names: Vec<&str> = POINTS.iter().map(|(name, _)| *name).collect();
    let log = sut.log();
    let known = log.lines().find_map(|line| line.split_once("there are ")).map(|(_, known)| known);
    let mut known: Vec<&str> = known.unwrap_or_else(|| panic!("{log}")).split(", ").collect();
    known.sort_unstable_by_key(|name| names.iter().position(|n| n == name));
    assert_eq!(known, names, "the points of the program are those that this suite goes over");

    let kills: usize = env::var("KILLS").ok().and_then(|k| k.parse().ok()).unwrap_or(200);
    let mut random = Random::from_env("crash_jobs");
    // The other kills are those of tests/crash.rs.
    let rounds = rounds(kills - kills / 5, &mut random);
    kill_and_compare(&rounds, &mut random);
}
