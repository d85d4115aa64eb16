//! The metrics of a real daemon: scraped, checked by Prometheus's own tool, received by an OTLP receiver that shares no code
//! with it, and sent to one that never answers.

#![allow(clippy::indexing_slicing, reason = "a test that panics fails")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lake_sim::Density;
use lake_testkit::{Network, Settings, Sut, Until, until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);
const LAST: u32 = 121;

/// A port that nobody has now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .expect("a port can be had")
        .local_addr()
        .expect("it has an address")
        .port()
}

fn settings(more: &str) -> Settings {
    Settings::of([Network::simulated("alpha", Density::Mixed, 1, None).until(LAST)]).with(more)
}

fn wait_all_stored(sut: &mut Sut) {
    sut.wait_status("all is stored", PATIENCE, |status| {
        status.networks.first().and_then(|network| network.last_ledger) == Some(LAST)
    });
}

fn scrape(port: u16) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("metrics are shown");
    connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request can be sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer comes");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

/// The values by name with labels.
fn values(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(value).collect()
}

/// What Prometheus's own tool finds wrong; `None` where it is not installed.
fn promtool(text: &str) -> Option<String> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("promtool: {error}"),
    };
    child.stdin.take().expect("it reads").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let found = [output.stdout, output.stderr].concat();
    let found = String::from_utf8_lossy(&found).into_owned();
    assert!(output.status.success() || !found.is_empty(), "promtool failed without a word");
    Some(found)
}

#[test]
fn what_is_scraped_is_what_the_status_and_the_lake_say() {
    let port = free_port();
    let mut sut = Sut::new(&settings(&format!("metrics: {{ listen: \"127.0.0.1:{port}\" }}")));
    sut.start();
    wait_all_stored(&mut sut);
    let text = scrape(port);
    let values = values(&text);
    let status = sut.status();
    let of = |name: &str| values[&format!("{name}{{network=\"alpha\"}}")];
    assert_eq!(of("lake_network_head_ledger"), f64::from(LAST));
    assert_eq!(of("lake_network_stored_ledgers"), f64::from(LAST - 1));
    assert_eq!(of("lake_network_ledgers_total"), f64::from(LAST - 1));
    assert_eq!(of("lake_network_gaps"), 0.0);
    assert_eq!(values["lake_network_state{network=\"alpha\",state=\"finished\"}"], 1.0);
    assert_eq!(values["lake_queue_written_batches_total"], values["lake_commit_seconds_count"]);
    assert_eq!(status.networks[0].last_ledger, Some(LAST));
    assert!(values["lake_disk_free_bytes"] > 0.0 && values["process_cpu_seconds_total"] > 0.0);
    // The lake itself is asked, by another DuckDB.
    for table in ["ledgers_row_v2", "transactions_row_v2", "operations_row_v2"] {
        let sql = format!("SELECT count(*) FROM alpha.{table}");
        let counted = sut.ctl(["query", "--format", "csv", &sql]);
        let counted = String::from_utf8_lossy(&counted.stdout).lines().last().map(str::to_owned);
        let shown = values[&format!("lake_table_rows_total{{network=\"alpha\",table=\"{table}\"}}")];
        assert_eq!(counted, Some(shown.to_string()), "{table}");
    }
    match promtool(&text) {
        Some(found) => assert_eq!(found, "", "promtool check metrics"),
        None => eprintln!(
            "SKIPPED: promtool is not installed (Debian: prometheus): the text was not checked by it"
        ),
    }
    assert!(sut.terminate().success());
}

/// Installs the receiver's packages; `None` where that cannot be done.
fn receiver(folder: &Path) -> Result<Child, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--require-hashes", "--target"]).arg(folder);
    let output =
        pip.arg("-r").arg(here.join("otlp-requirements.txt")).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut python = Command::new("python3");
    python.env_remove("LD_LIBRARY_PATH").env("PYTHONPATH", folder).arg(here.join("otlp.py"));
    python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())
}

#[test]
fn an_independent_receiver_gets_the_metrics() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut receiver = match receiver(folder.path()) {
        Ok(receiver) => receiver,
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "the OTLP receiver cannot be installed: {why}");
            eprintln!("SKIPPED: the OTLP receiver cannot be installed, nothing was received: {why}");
            return;
        }
    };
    let mut lines = BufReader::new(receiver.stdout.take().expect("it writes")).lines();
    let port = lines.next().expect("a line").expect("a text");
    let mut sut = Sut::new(&settings(&format!("telemetry: {{ otlp: \"http://127.0.0.1:{port}\" }}")));
    let mut command = sut.command();
    command.env("OTEL_METRIC_EXPORT_INTERVAL", "200").env("OTEL_RESOURCE_ATTRIBUTES", "deployment=test");
    sut.spawn_as(command);
    sut.wait_ready();
    wait_all_stored(&mut sut);
    let is_last = |metric: &Value| {
        metric["name"] == "lake_network_head_ledger" && metric["points"][0]["value"] == f64::from(LAST)
    };
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    let begun = Instant::now();
    for line in &mut lines {
        assert!(begun.elapsed() < PATIENCE, "the newest ledger is never told");
        let metric: Value = serde_json::from_str(&line.expect("a text")).expect("JSON");
        let (is_last, name) = (is_last(&metric), metric["name"].as_str().unwrap_or_default().to_owned());
        let complete = is_last && seen.contains_key("lake_commit_seconds");
        seen.insert(name, metric);
        if complete {
            break;
        }
    }
    let head = &seen["lake_network_head_ledger"];
    assert_eq!(head["points"][0]["attributes"]["network"], "alpha");
    assert_eq!(
        (&head["resource"]["service.name"], &head["resource"]["deployment"]),
        (&"stellar-lake".into(), &"test".into())
    );
    let ledgers = &seen["lake_network_ledgers"];
    assert_eq!((ledgers["kind"].as_str(), ledgers["monotonic"].as_bool()), (Some("sum"), Some(true)));
    let commits = &seen["lake_commit_seconds"];
    assert_eq!((commits["kind"].as_str(), commits["unit"].as_str()), (Some("histogram"), Some("s")));
    let value = &commits["points"][0]["value"];
    assert!(value["count"].as_u64() > Some(0) && value["sum"].as_f64() > Some(0.0), "{commits}");
    assert!(sut.terminate().success());
    drop(receiver.stdin.take());
    // Whatever the last export brings is read, so that it can end.
    lines.for_each(drop);
    receiver.wait().expect("it ends");
}

/// Time from the start until all is stored and the daemon has ended in good order.
fn took(more: &str) -> Duration {
    let mut sut = Sut::new(&settings(more));
    let mut command = sut.command();
    command.env("OTEL_METRIC_EXPORT_INTERVAL", "100").env("OTEL_EXPORTER_OTLP_TIMEOUT", "60000");
    let begun = Instant::now();
    sut.spawn_as(command);
    sut.wait_ready();
    wait_all_stored(&mut sut);
    let took = begun.elapsed();
    let ending = Instant::now();
    assert!(sut.terminate().success());
    assert!(
        ending.elapsed() < Duration::from_secs(25),
        "the collector held the stop up: {:?}",
        ending.elapsed()
    );
    took
}

#[test]
fn a_collector_that_never_answers_or_is_gone_slows_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let port = silent.local_addr().expect("it has an address").port();
    silent.set_nonblocking(true).expect("a socket can be made non-blocking");
    let alone = took("");
    let beside = took(&format!("telemetry: {{ otlp: \"http://127.0.0.1:{port}\" }}"));
    let connected = until("the daemon has spoken to the collector", PATIENCE, || match silent.accept() {
        Ok((connection, _)) => Until::Done(connection),
        Err(error) => Until::NotYet(error.to_string()),
    });
    drop(connected);
    let gone = took(&format!("telemetry: {{ otlp: \"http://127.0.0.1:{}\" }}", free_port()));
    // Other work on the machine may double a run; waiting for the collector once would take a minute.
    let bound = alone * 3 + Duration::from_secs(5);
    assert!(beside < bound && gone < bound, "alone {alone:?}, never answered {beside:?}, gone {gone:?}");
}
