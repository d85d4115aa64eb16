//! The configuration of a running daemon: read again by call and by signal, shown with the origin of each value.

#![allow(clippy::indexing_slicing, reason = "a test that panics fails")]

use std::{fs, process::Output, time::Duration};

use lake_sim::Density;
use lake_testkit::{Network, Settings, Sut, Until, text_of, until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

fn network(name: &str, seed: u64) -> Network {
    Network::simulated(name, Density::Sparse, seed, Some(10.0))
}

fn started(settings: &Settings) -> Sut {
    let mut sut = Sut::new(settings);
    sut.start();
    sut
}

fn ctl(sut: &Sut, line: &str) -> Output {
    sut.ctl(line.split_whitespace())
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", text_of(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Key and effect of each change that a call tells, sorted.
fn changes(output: &Output) -> Vec<(String, String)> {
    let told: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text_of(output)));
    let told = told["changes"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut changes: Vec<_> = told.map(|change| (text(&change["key"]), text(&change["effect"]))).collect();
    changes.sort();
    changes
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, effect)| ((*key).to_owned(), (*effect).to_owned())).collect()
}

fn names(sut: &Sut) -> Vec<String> {
    sut.status().networks.into_iter().map(|network| network.name).collect()
}

fn wait_last(sut: &mut Sut, name: &str, at_least: u32) {
    sut.wait_status(&format!("{name} reaches {at_least}"), PATIENCE, |status| {
        let found = status.networks.iter().find(|network| network.name == name);
        found.and_then(|found| found.last_ledger).is_some_and(|last| last >= at_least)
    });
}

/// Every ledger from the first to the last is there once.
fn whole(sut: &Sut, name: &str) {
    let sql = format!(
        "SELECT count(*) = max(sequence) - 1, count(DISTINCT sequence) = max(sequence) - 1 FROM {name}.ledgers_row_v2"
    );
    let rows = said(&sut.ctl(["query", "--format", "csv", &sql]));
    assert_eq!(rows.lines().last(), Some("true,true"), "{name}: {rows}");
}

#[test]
fn a_reload_puts_in_force_what_it_can_and_names_what_waits_for_a_restart() {
    let both = Settings::of([network("alpha", 1), network("beta", 2)]);
    let mut sut = started(&both);
    wait_last(&mut sut, "beta", 5);
    assert_eq!(said(&ctl(&sut, "reload")), "reloaded: nothing differs\n");
    assert_eq!(said(&ctl(&sut, "config diff")), "nothing differs\n");

    let other = Settings::of([network("alpha", 1), network("gamma", 3)]);
    sut.configure(&other.with("query: { timeout: 5s, threads: 2 }").with("batch: { max_ledgers: 100 }"));
    let expected = pairs(&[
        ("batch.max_ledgers", "restart"),
        ("networks.beta", "live"),
        ("networks.gamma", "live"),
        ("query.threads", "restart"),
        ("query.timeout", "live"),
    ]);
    let diff = ctl(&sut, "config diff --output json");
    assert_eq!((diff.status.code(), changes(&diff)), (Some(1), expected.clone()));
    assert_eq!(names(&sut), ["alpha", "beta"], "a diff changes nothing");

    let before = sut.status().network("alpha").written.ledgers;
    let reloaded = ctl(&sut, "reload --output json");
    assert_eq!((reloaded.status.code(), changes(&reloaded)), (Some(0), expected));
    assert_eq!(names(&sut), ["alpha", "gamma"]);
    wait_last(&mut sut, "gamma", 5);
    sut.wait_status("alpha goes on", PATIENCE, |s| s.network("alpha").written.ledgers > before);
    for name in ["alpha", "beta", "gamma"] {
        whole(&sut, name);
    }
    assert!(said(&ctl(&sut, "config show query.timeout")).starts_with("query.timeout: 5s  # /"));
    assert_eq!(said(&ctl(&sut, "config show query.threads")), "query.threads: 1  # default\n");
    let waits = pairs(&[("batch.max_ledgers", "restart"), ("query.threads", "restart")]);
    assert_eq!(changes(&ctl(&sut, "config diff --output json")), waits);
    assert_eq!(changes(&ctl(&sut, "reload --output json")), waits, "told again");

    assert!(sut.terminate().success());
    sut.start();
    assert!(ctl(&sut, "config diff").status.success(), "a restart puts all of it in force");
    wait_last(&mut sut, "gamma", 10);
    for name in ["alpha", "gamma"] {
        whole(&sut, name);
    }
    assert!(sut.terminate().success());
}

#[test]
fn the_manager_hears_of_a_reload_by_signal_and_a_new_network_comes() {
    let mut sut = started(&Settings::of([network("alpha", 1)]));
    sut.configure(&Settings::of([network("alpha", 1), network("beta", 2)]));
    sut.hang_up();
    wait_last(&mut sut, "beta", 5);
    let told = until("the manager is told", PATIENCE, || {
        let told = sut.told().to_vec();
        let count = told.iter().filter(|line| *line == "READY=1").count();
        if count == 2 { Until::Done(told) } else { Until::NotYet(format!("{told:#?}")) }
    });
    let place = |wanted: &str| told.iter().position(|line| line.starts_with(wanted)).expect("it is told");
    let last = told.iter().rposition(|line| line == "READY=1").expect("it is told");
    let order = [place("READY=1"), place("RELOADING=1"), place("MONOTONIC_USEC="), last];
    assert!(order.is_sorted(), "{order:?} {told:#?}");
    assert!(sut.log().contains("configuration read again: 1 changes in force"), "{}", sut.log());
    assert!(sut.terminate().success());
}

#[test]
fn a_configuration_that_is_not_valid_changes_nothing() {
    let mut sut = started(&Settings::of([network("alpha", 1)]));
    wait_last(&mut sut, "alpha", 3);
    let refused = |sut: &Sut, says: &str| {
        for call in ["reload", "config diff"] {
            let output = ctl(sut, call);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(78), "{call}: {error}");
            assert!(error.contains(says) && error.contains("what to do: "), "{call}: {error}");
        }
        assert_eq!(names(sut), ["alpha"]);
        assert!(said(&ctl(sut, "config show query.timeout")).contains("default"));
    };
    let more = || Settings::of([network("alpha", 1), network("beta", 2)]).with("query: { timeout: 5s }");
    sut.configure(&more().with("mantenance: {}"));
    refused(&sut, "did you mean `maintenance`?");
    sut.configure(&more().with("queue: { capacity: 0 }"));
    refused(&sut, "queue.capacity: 0 is out of range");
    // Valid as a text, but the lake holds another network of that name.
    let mut other = network("alpha", 1);
    other.passphrase = "Another network".to_owned();
    sut.configure(&Settings::of([other, network("beta", 2)]).with("query: { timeout: 5s }"));
    refused(&sut, "Another network");
    sut.hang_up();
    until("the log tells of all that was refused", PATIENCE, || {
        let count = sut.log().matches("configuration not read again").count();
        if count == 4 { Until::Done(()) } else { Until::NotYet(sut.log()) }
    });
    let last = sut.status().network("alpha").last_ledger.unwrap_or_default();
    wait_last(&mut sut, "alpha", last + 5);
    whole(&sut, "alpha");
    assert!(sut.terminate().success());
}

#[test]
fn a_network_that_changed_goes_on_where_it_was_unless_a_job_works_with_it() {
    let with_end = |end| Settings::of([network("alpha", 1).until(end), network("old", 2).history_only()]);
    let mut sut = started(&with_end(10));
    wait_last(&mut sut, "alpha", 10);
    let add = "networks add extra --source simulated:sparse:4 --rate 10 --passphrase Extra";
    said(&ctl(&sut, add));
    said(&ctl(&sut, "networks pause extra"));
    let extra = said(&ctl(&sut, "config show networks.extra"));
    assert!(
        extra.contains("networks.extra.paused: true  # run-time") && extra.contains("networks.yaml"),
        "{extra}"
    );

    // The end moves; what was added is configured now, and stays paused.
    let mut settings = with_end(30);
    let mut configured = network("extra", 4);
    configured.passphrase = "Extra".to_owned();
    settings.networks.push(configured);
    sut.configure(&settings);
    let told = changes(&ctl(&sut, "reload --output json"));
    assert!(told.contains(&("networks.alpha.end".to_owned(), "live".to_owned())), "{told:?}");
    wait_last(&mut sut, "alpha", 30);
    whole(&sut, "alpha");
    assert_eq!(sut.status().network("alpha").written.ledgers, 29, "its counters go on");
    let listed: Value = serde_json::from_str(&said(&ctl(&sut, "networks list --output json"))).expect("JSON");
    let extra = &listed["networks"][2];
    assert_eq!((extra["origin"].as_str(), extra["paused"].as_bool()), (Some("configured"), Some(true)));

    // A job holds its network; the others change all the same.
    said(&ctl(&sut, "backfill start --network old --from 2 --to 900000 --workers 1 --force"));
    let mut without = with_end(40);
    without.networks.remove(1);
    sut.configure(&without);
    let reloaded = ctl(&sut, "reload --output json");
    let told = changes(&reloaded);
    assert!(told.contains(&("networks.old".to_owned(), "restart".to_owned())), "{told:?}");
    assert!(text_of(&reloaded).contains("backfill job 1 works with it as it is"), "{}", text_of(&reloaded));
    wait_last(&mut sut, "alpha", 40);
    assert_eq!(names(&sut), ["alpha", "old"]);
    said(&ctl(&sut, "backfill cancel 1"));
    said(&ctl(&sut, "reload"));
    assert_eq!(names(&sut), ["alpha"]);
    assert!(sut.terminate().success());
}

#[test]
fn the_level_of_the_log_changes_and_each_value_names_its_origin() {
    let mut sut = Sut::new(&Settings::of([network("alpha", 1)]));
    let mut command = sut.command();
    command.args(["--set", "query.max_rows=500"]).env("STELLAR_LAKE__QUERY__THREADS", "2");
    sut.spawn_as(command);
    sut.wait_ready();
    let shown = said(&ctl(&sut, "config show --changed"));
    let file = sut.config().display().to_string();
    for line in [
        "query.threads: 2  # environment STELLAR_LAKE__QUERY__THREADS".to_owned(),
        "query.max_rows: 500  # command-line".to_owned(),
        format!("networks.alpha.source.simulated.seed: 1  # {file}"),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert!(!shown.contains("batch.max_ledgers"), "{shown}");
    let unknown = ctl(&sut, "config show query.timout");
    assert_eq!(unknown.status.code(), Some(66));
    assert!(text_of(&unknown).contains("did you mean `query.timeout`?"), "{}", text_of(&unknown));

    assert_eq!(said(&ctl(&sut, "log-level")), "info\n");
    assert!(!sut.log().contains("DEBUG"), "{}", sut.log());
    assert_eq!(said(&ctl(&sut, "log-level debug")), "debug\n");
    assert_eq!(said(&ctl(&sut, "config show log.level")), "log.level: debug  # run-time\n");
    until("lines of level debug come", PATIENCE, || {
        if sut.log().contains("DEBUG") { Until::Done(()) } else { Until::NotYet(sut.log()) }
    });
    assert!(said(&ctl(&sut, "reload")).contains("nothing differs"), "a level of run time is no difference");
    assert_eq!(said(&ctl(&sut, "log-level")), "debug\n");
    let wrong = ctl(&sut, "log-level inof");
    assert_eq!(wrong.status.code(), Some(64));
    assert!(text_of(&wrong).contains("did you mean `info`?"), "{}", text_of(&wrong));
    assert_eq!(said(&ctl(&sut, "log-level --reset")), "info\n");

    // The file's level counts again once it changes.
    said(&ctl(&sut, "log-level trace"));
    let text = fs::read_to_string(sut.config()).expect("a file can be read");
    fs::write(sut.config(), text.replace("level: info", "level: warn")).expect("a file can be written");
    assert!(said(&ctl(&sut, "reload")).contains("log.level: info -> warn"));
    assert_eq!(said(&ctl(&sut, "log-level")), "warn\n");
    assert!(sut.terminate().success());
}
