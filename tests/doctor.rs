//! `lakectl doctor` and `lakectl version`, with a running daemon and without one.

#![allow(clippy::indexing_slicing, reason = "a test that panics fails")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

use lake_sim::Density;
use lake_testkit::{Network, Settings, Sut, text_of};
use serde_json::Value;

fn network() -> Network {
    Network::simulated("alpha", Density::Sparse, 7, Some(5.0))
}

fn told(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text_of(output)))
}

/// The findings of each check: severity, message and what to do.
fn findings(told: &Value) -> BTreeMap<&str, Vec<[&str; 3]>> {
    let mut findings: BTreeMap<&str, Vec<[&str; 3]>> = BTreeMap::new();
    for finding in told["findings"].as_array().expect("a list") {
        let text = |field: &str| finding[field].as_str().expect("a text");
        let found = [text("severity"), text("message"), text("what_to_do")];
        assert_eq!(
            found[0] == "fine",
            found[2].is_empty(),
            "what is wrong, and only that, can be mended: {finding}"
        );
        findings.entry(text("check")).or_default().push(found);
    }
    findings
}

fn doctor(sut: &Sut) -> Output {
    let config = sut.config().display().to_string();
    sut.ctl(["doctor", "--output", "json", "--config", config.as_str()])
}

#[test]
fn a_running_daemon_looks_at_what_it_needs() {
    let missing = Network::filesystem("missing", "A network that is not there", "/nonexistent/ledgers");
    let mut sut = Sut::new(&Settings::of([network()]));
    // Few open files, for this process alone.
    let daemon = sut.command();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 2000 && exec \"$0\" \"$@\""]);
    command.arg(daemon.get_program()).args(daemon.get_args()).current_dir(sut.dir());
    sut.spawn_as(command);
    sut.wait_ready();

    let output = doctor(&sut);
    let value = told(&output);
    let found = findings(&value);
    assert_eq!((output.status.code(), value["daemon"].as_bool()), (Some(1), Some(true)), "{value:#}");
    let checks: Vec<&str> = found.keys().copied().collect();
    let all = ["config", "disk", "extensions", "limits", "permissions", "socket", "sources", "version"];
    assert_eq!(checks, all, "{value:#}");
    for check in all.iter().filter(|check| !["limits", "disk"].contains(check)) {
        assert!(found[check].iter().all(|finding| finding[0] == "fine"), "{value:#}");
    }
    assert!(found["limits"][0][1].contains("only 2000 files"), "the daemon's limits, not ours: {value:#}");

    // What is configured by now is looked at, and what is not in force is named.
    sut.configure(&Settings::of([network(), missing]));
    fs::set_permissions(sut.config(), fs::Permissions::from_mode(0o666))
        .expect("the mode of an own file can be set");
    let value = told(&doctor(&sut));
    let found = findings(&value);
    let config = found["config"].last().expect("a finding");
    assert!(config[1].contains("not in force: networks.missing") && config[0] == "warning", "{value:#}");
    let source = found["sources"].iter().find(|finding| finding[0] == "error").expect("a finding");
    assert!(
        source[1].contains("source of missing") && source[1].contains("/nonexistent/ledgers"),
        "{value:#}"
    );
    assert!(found["permissions"][0][2].starts_with("chmod o-w "), "{value:#}");
    let text = text_of(&sut.ctl(["doctor"]));
    assert!(text.contains("\nERROR    sources ") && text.contains("what to do: chmod o-w"), "{text}");
    assert!(sut.terminate().success());
}

#[test]
fn without_a_daemon_the_program_looks_itself() {
    let sut = Sut::new(&Settings::of([network()]));
    let output = doctor(&sut);
    let value = told(&output);
    let found = findings(&value);
    assert_eq!((output.status.code(), value["daemon"].as_bool()), (Some(1), Some(false)), "{value:#}");
    assert!(found["socket"][0][1].contains("cannot reach the daemon at"), "{value:#}");
    assert!(found["extensions"][0][0] == "fine" && found["sources"][0][0] == "fine", "{value:#}");
    assert!(!sut.lake().exists(), "a look makes no lake");

    fs::write(sut.config(), "lake: { pth: /x }\n").expect("a file can be written");
    let value = told(&doctor(&sut));
    assert!(findings(&value)["config"][0][1].contains("did you mean `path`?"), "{value:#}");
}

#[test]
fn versions_are_told_with_a_daemon_and_without() {
    let mut sut = Sut::new(&Settings::of([network()]));
    let version = |sut: &Sut| told(&sut.ctl(["version", "--output", "json"]));
    let alone = version(&sut);
    assert!(alone["lakectl"].is_string() && alone["daemon"].is_null(), "{alone}");
    sut.start();
    let both = version(&sut);
    assert!(
        both["daemon"]
            .as_str()
            .is_some_and(|daemon| daemon.starts_with(both["lakectl"].as_str().unwrap_or("?")))
    );
    assert!(sut.terminate().success());
}
