//! What others see of a running daemon: events, maintenance, the standard gRPC services, and what memory pressure does.

#![allow(clippy::indexing_slicing, reason = "a test that panics fails")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lake_sim::Density;
use lake_testkit::{Bin, Network, Settings, Sut, Until, text_of, until};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

fn network(name: &str) -> Network {
    Network::simulated(name, Density::Sparse, 1, Some(20.0))
}

fn started() -> Sut {
    let mut sut = Sut::new(&Settings::of([network("alpha")]));
    sut.start();
    sut
}

fn wait_last(sut: &mut Sut, at_least: u32) {
    sut.wait_status(&format!("ledger {at_least} is stored"), PATIENCE, |status| {
        status.networks[0].last_ledger.is_some_and(|last| last >= at_least)
    });
}

/// A running `lakectl events`; killed when dropped.
struct Events {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Events {
    fn of(sut: &Sut, args: &[&str]) -> Self {
        let mut command = Bin::Lakectl.command();
        command.arg("--socket").arg(sut.socket()).args(["events", "--output", "json"]).args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("lakectl is executable");
        let lines = BufReader::new(child.stdout.take().expect("it writes")).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("the stream goes on").expect("a text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next();
            if wanted(&event) {
                return event;
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.child.kill().expect("an own child can be killed");
        self.child.wait().expect("an own child can be waited for");
    }
}

#[test]
fn events_tell_every_ledger_once_and_are_resumed_where_they_were_cut_off() {
    let mut sut = started();
    wait_last(&mut sut, 20);
    let mut events = Events::of(&sut, &["--since", "0"]);
    let ledgers = |event: &Value| event["kind"] == "ledgers";
    let mut newest = events.find(ledgers);
    for _ in 0..3 {
        let next = events.find(ledgers);
        assert_eq!(next["first_ledger"].as_u64(), newest["last_ledger"].as_u64().map(|last| last + 1));
        assert!(next["sequence"].as_u64() > newest["sequence"].as_u64());
        newest = next;
    }
    drop(events);
    let at = newest["sequence"].to_string();
    // What happens while nobody reads is told later.
    wait_last(&mut sut, 60);
    let reload = sut.ctl(["reload"]);
    assert!(reload.status.success(), "{}", text_of(&reload));
    let mut resumed = Events::of(&sut, &["--since", &at]);
    let next = resumed.find(ledgers);
    assert_eq!(next["first_ledger"].as_u64(), newest["last_ledger"].as_u64().map(|last| last + 1));
    // Ledgers are noticed a moment after they are stored, so the reload may be told before them.
    let mut again = Events::of(&sut, &["--since", &at]);
    let reloaded = again.find(|event| event["kind"] == "reload");
    drop(again);
    assert!(reloaded["text"].as_str().is_some_and(|text| text.contains("read again")), "{reloaded}");

    let adding =
        ["networks", "add", "beta", "--source", "simulated:sparse:4", "--rate", "10", "--passphrase", "p"];
    let added = sut.ctl(adding);
    assert!(added.status.success(), "{}", text_of(&added));
    let event = resumed.find(|event| event["kind"] == "network" && event["network"] == "beta");
    assert_eq!(event["text"], "beta was added");
    // A number of another daemon, or of long ago.
    let gone = sut.ctl(["events", "--since", "7"]);
    assert_eq!(gone.status.code(), Some(64), "{}", text_of(&gone));
    assert!(text_of(&gone).contains("not kept any more"), "{}", text_of(&gone));
    drop(resumed);
    assert!(sut.terminate().success());
}

#[test]
fn numbers_of_events_go_on_after_a_restart() {
    let mut sut = started();
    let before = Events::of(&sut, &["--since", "0"]).next()["sequence"].as_u64();
    assert!(sut.terminate().success());
    sut.start();
    let after = Events::of(&sut, &["--since", "0"]).next()["sequence"].as_u64();
    assert!(before.is_some() && after > before, "{before:?} {after:?}");
    assert!(sut.terminate().success());
}

#[test]
fn maintenance_is_done_when_asked() {
    let settings = Settings::of([network("alpha")])
        .with("maintenance: { enabled: false }")
        .with("batch: { max_age: 100ms }");
    let mut sut = Sut::new(&settings);
    sut.start();
    wait_last(&mut sut, 150);
    let files = |sut: &Sut| {
        let told = sut.ctl(["maintenance", "status", "--output", "json"]);
        assert!(told.status.success(), "{}", text_of(&told));
        serde_json::from_slice::<Value>(&told.stdout).expect("JSON")
    };
    assert_eq!(files(&sut)["work"]["merged_files"], 0, "the timer is off");
    let run = sut.ctl(["maintenance", "run", "--output", "json"]);
    assert!(run.status.success(), "{}", text_of(&run));
    let done: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert!(done["merged_files"].as_u64() > done["created_files"].as_u64(), "{done}");
    assert!(done["wal_checkpoints"].as_u64() > Some(0), "{done}");
    let told = files(&sut);
    assert_eq!(told["last_error"], Value::Null);
    assert!(told["work"]["merged_files"].as_u64() >= done["merged_files"].as_u64(), "{told}");
    let rows = sut.ctl([
        "query",
        "--format",
        "csv",
        "SELECT count(*) = max(sequence) - 1 FROM alpha.ledgers_row_v2",
    ]);
    assert_eq!(String::from_utf8_lossy(&rows.stdout).lines().last(), Some("true"), "{}", text_of(&rows));
    assert!(sut.terminate().success());
}

#[test]
fn pythons_grpc_calls_health_and_reflection() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--require-hashes", "--target"]).arg(folder.path());
    let installed = pip.arg("-r").arg(here.join("otlp-requirements.txt")).output().expect("python3 is there");
    if !installed.status.success() {
        assert!(env::var_os("CI").is_none(), "grpcio cannot be installed: {}", text_of(&installed));
        eprintln!("SKIPPED: grpcio cannot be installed, nothing was called: {}", text_of(&installed));
        return;
    }
    let mut sut = started();
    wait_last(&mut sut, 3);
    let mut python = Command::new("python3");
    python.env_remove("LD_LIBRARY_PATH").env("PYTHONPATH", folder.path());
    let output =
        python.arg(here.join("grpc_client.py")).arg(sut.socket()).output().expect("python3 is there");
    assert!(output.status.success(), "{}", text_of(&output));
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(seen["health"][""], "SERVING");
    assert_eq!(seen["health"]["alpha"], "SERVING");
    assert_eq!(seen["health"]["nobody"], "NOT_FOUND");
    assert_eq!(seen["watched"], "SERVING");
    assert_eq!(seen["v1"], true);
    let services: Vec<&str> =
        seen["services"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for service in
        ["grpc.health.v1.Health", "lake.v1.ControlService", "lake.v1.EventService", "lake.v1.QueryService"]
    {
        assert!(services.contains(&service), "{service}: {services:?}");
    }
    assert_eq!(seen["methods"], serde_json::json!(["GetHealth", "GetStatus", "WatchStatus"]));
    assert!(sut.terminate().success());
}

#[test]
fn under_memory_pressure_caches_shrink_and_all_goes_on() {
    let mut sut = Sut::new(&Settings::of([network("alpha")]));
    let path = sut.dir().join("pressure");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe can be made");
    let mut pressure = File::options().read(true).write(true).open(&path).expect("a pipe can be opened");
    let mut command = sut.command();
    command.env("MEMORY_PRESSURE_WATCH", &path).env_remove("MEMORY_PRESSURE_WRITE");
    sut.spawn_as(command);
    sut.wait_ready();
    let count =
        |sut: &Sut| sut.ctl(["query", "--format", "csv", "SELECT count(*) > 0 FROM alpha.ledgers_row_v2"]);
    wait_last(&mut sut, 5);
    assert!(count(&sut).status.success());
    assert!(!sut.log().contains("memory is short"));
    pressure.write_all(b"x").expect("a pipe can be written");
    until("the pressure is noticed", PATIENCE, || {
        match sut.log().contains("memory is short: caches shrink") {
            true => Until::Done(()),
            false => Until::NotYet(sut.log()),
        }
    });
    let last = sut.status().networks[0].last_ledger.expect("there are ledgers");
    let counted = count(&sut);
    assert!(counted.status.success(), "{}", text_of(&counted));
    wait_last(&mut sut, last + 20);
    assert!(sut.terminate().success());
    assert!(!sut.log().contains("was not renewed"), "{}", sut.log());
}
