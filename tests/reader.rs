//! Readers in other processes while the daemon writes flat out: Python's DuckDB with the same extensions, as the same
//! user and as one without write permission; busy, idle, and with the daemon stopped.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lake_sim::Density;
use lake_testkit::{
    Model, Network, OtherUser, Settings, StatusFigures, Sut, Until, compare_counts, extension_dir, skip,
    until,
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Report {
    rounds: u64,
    errors: u64,
    torn: u64,
    messages: Vec<String>,
    uid: u32,
    ledgers: BTreeMap<String, u64>,
}

/// Python with DuckDB in a folder of its own.
struct Python {
    program: PathBuf,
    packages: tempfile::TempDir,
    script: PathBuf,
}

impl Python {
    fn install() -> Self {
        let packages =
            tempfile::Builder::new().prefix("sl-py-").tempdir().expect("a temporary folder can be made");
        fs::set_permissions(packages.path(), fs::Permissions::from_mode(0o755)).expect("a mode can be set");
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
        let requirements = here.join("reader-requirements.txt");
        let script = packages.path().join("reader.py");
        fs::copy(here.join("reader.py"), &script).expect("the script can be copied");
        let mut failures = Vec::new();
        for program in ["/usr/bin/python3", "python3"] {
            let mut pip = Command::new(program);
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            pip.args(["--only-binary=:all:", "--require-hashes", "--target"])
                .arg(packages.path().join("site"));
            pip.arg("-r").arg(&requirements);
            match pip.output() {
                Ok(output) if output.status.success() => {
                    return Self { program: program.into(), packages, script };
                }
                Ok(output) => {
                    failures.push(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)))
                }
                Err(error) => failures.push(format!("{program}: {error}")),
            }
        }
        panic!(
            "duckdb 1.5.5 for Python cannot be installed: python3 with pip is needed\n{}",
            failures.join("\n")
        );
    }

    /// A reader of these networks; without `rounds` it reads until its standard input ends.
    fn reader(&self, user: Option<&OtherUser>, lake: &Path, networks: &str, rounds: Option<u32>) -> Child {
        let mut command = match user {
            Some(user) => user.command(&self.program),
            None => Command::new(&self.program),
        };
        let extensions = user.map_or_else(extension_dir, |user| user.dir().to_owned());
        command.env_remove("LD_LIBRARY_PATH").env("PYTHONPATH", self.packages.path().join("site"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(&self.script).arg(lake).arg(extensions).arg(networks);
        command.args(rounds.map(|rounds| rounds.to_string()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("python is executable")
    }

    /// Whether that user can run this Python at all.
    fn serves(&self, user: &OtherUser) -> bool {
        let mut command = user.command(&self.program);
        command.env_remove("LD_LIBRARY_PATH").env("PYTHONPATH", self.packages.path().join("site"));
        command.args(["-c", "import duckdb"]).output().is_ok_and(|output| output.status.success())
    }
}

/// Closes the reader's standard input and takes its report.
fn report(reader: Child, when: &str) -> Report {
    let output = reader.wait_with_output().expect("a reader can be waited for");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{when}: {}: {stderr}", output.status);
    let report: Report =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{when}: {error}: {stdout}"));
    println!(
        "{when}: uid {}, {} snapshots, {} errors, {} torn",
        report.uid, report.rounds, report.errors, report.torn
    );
    assert_eq!((report.errors, report.torn), (0, 0), "{when}: {:#?}", report.messages);
    assert!(report.rounds > 0, "{when}: nothing was read");
    report
}

fn written(status: &StatusFigures) -> u64 {
    status.networks.iter().map(|n| n.written.ledgers).sum()
}

/// Lets the daemon write for this long and gives ledgers per second.
fn rate(sut: &mut Sut, time: Duration) -> f64 {
    let (begun, before) = (Instant::now(), written(&sut.status()));
    until("the time of measuring passes", time + Duration::from_secs(1), || {
        if let Some(status) = sut.ended() {
            panic!("the daemon ended with {status}");
        }
        if begun.elapsed() >= time { Until::Done(()) } else { Until::NotYet(String::new()) }
    });
    (written(&sut.status()) - before) as f64 / begun.elapsed().as_secs_f64()
}

#[test]
#[ignore = "slow and needs pip: run by `make reader-test`"]
fn readers_in_other_processes_see_whole_batches_and_do_not_disturb_the_writer() {
    let seconds = env::var("READER_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    let time = Duration::from_secs(seconds);
    let python = Python::install();
    let other = OtherUser::new().map_err(|why| skip("readers without write permission", why)).ok();
    let other = other.filter(|user| {
        let serves = python.serves(user);
        if !serves {
            skip("readers without write permission", "no python3 that other users may run");
        }
        serves
    });

    let networks = [
        Network::simulated("dense", Density::Dense, 21, None),
        Network::simulated("sparse", Density::Sparse, 22, None),
    ];
    let names = "dense,sparse";
    let settings = |networks: &[Network]| {
        Settings::of(networks.to_vec()).with(
            "batch: { max_age: 200ms, max_ledgers: 200 }\nmaintenance: { interval: 2s, merge_after_files: 16, \
             wal_checkpoint_interval: 3s }",
        )
    };
    let mut sut = Sut::new(&settings(&networks));
    fs::set_permissions(sut.dir(), fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    sut.start();
    sut.wait_status("both networks are written", Duration::from_secs(60), |status| {
        status.networks.iter().all(|n| n.written.ledgers > 0)
    });
    let alone = rate(&mut sut, time / 4);
    let same_user = python.reader(None, sut.lake(), names, None);
    let other_user = other.as_ref().map(|user| python.reader(Some(user), sut.lake(), names, None));
    let busy = rate(&mut sut, time);
    report(same_user, "same user, busy");
    if let Some(reader) = other_user {
        report(reader, "without write permission, busy");
    }
    let status = sut.status();
    println!("writer: {alone:.0} ledgers/s alone, {busy:.0} with readers on the same cores");
    assert_eq!(
        (status.write_queue.failed, status.write_queue.duplicates),
        (0, 0),
        "{:?}",
        status.write_queue
    );
    assert!(busy > alone / 5.0, "the writer stands still beside readers: {busy:.0} of {alone:.0} ledgers/s");
    assert!(sut.terminate().success(), "SIGTERM ends the daemon well");

    // Idle: the same lake, nothing more to write.
    let ended: Vec<Network> = networks.iter().cloned().map(|network| network.until(2)).collect();
    sut.configure(&settings(&ended));
    sut.start();
    sut.wait_status("nothing is left to write", Duration::from_secs(60), |status| {
        status.networks.iter().all(|n| n.state == "finished")
    });
    if let Some(user) = &other {
        report(python.reader(Some(user), sut.lake(), names, Some(5)), "without write permission, idle");
    }
    report(python.reader(None, sut.lake(), names, Some(5)), "same user, idle");
    assert!(sut.terminate().success(), "SIGTERM ends the daemon well");

    if let Some(user) = &other {
        report(
            python.reader(Some(user), sut.lake(), names, Some(5)),
            "without write permission, daemon stopped",
        );
    }
    let last = report(python.reader(None, sut.lake(), names, Some(5)), "same user, daemon stopped");
    if let Some(user) = &other {
        report(
            python.reader(Some(user), sut.lake(), names, Some(2)),
            "without write permission, after a reader that may write",
        );
    }
    let lake = sut.reader();
    for network in &networks {
        let (end, differences) = compare_counts(&lake, &network.name, &mut Model::of(network));
        differences.assert_none(&network.name);
        assert_eq!(last.ledgers.get(&network.name), Some(&u64::from(end - 1)), "{}", network.name);
    }
}
