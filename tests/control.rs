//! The control plane of a real daemon, by `lakectl`: who may do what, and what can be changed while it runs.

#![allow(clippy::indexing_slicing, reason = "a test that panics fails")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use lake_sim::Density;
use lake_testkit::{Bin, Network, Settings, Sut, is_root, skip};

const PATIENCE: Duration = Duration::from_secs(60);

const ADMIN: u32 = 61_001;
const READER: u32 = 61_002;
const STRANGER: u32 = 61_003;
/// Members, as their login sessions have them not: the kernel tells only the first group of a process.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nann:x:61001:61001::/:/bin/sh\nron:x:61002:61002::/:/bin/sh\neve:x:61003:61003::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nlake-admin:x:61100:ann\nlake-read:x:61200:ron\n";

fn network() -> Network {
    Network::simulated("alpha", Density::Sparse, 7, Some(5.0))
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the mode of an own file can be set");
}

/// lakectl where every user may run it.
struct Users {
    lakectl: PathBuf,
    socket: PathBuf,
}

impl Users {
    fn of(sut: &Sut) -> Self {
        let lakectl = sut.dir().join("lakectl");
        // By a process of its own: a file that is open for writing here, or in a child born meanwhile, cannot be run.
        let copied = Command::new("cp").arg(Bin::Lakectl.path()).arg(&lakectl).status();
        assert!(copied.is_ok_and(|status| status.success()), "a file can be copied");
        open_to_all(sut.dir());
        open_to_all(&lakectl);
        Self { lakectl, socket: sut.socket().to_owned() }
    }

    /// Runs lakectl as this user, with the first group of that user alone.
    fn ctl(&self, uid: u32, line: &str) -> Output {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}")).args(["--clear-groups", "--"]);
        command.arg(&self.lakectl).arg("--socket").arg(&self.socket).args(line.split_whitespace());
        command.current_dir("/").output().expect("setpriv is executable")
    }
}

/// Exit code, and what it said on standard error.
fn end(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A daemon that sees a user database of the test's own. `None`, loudly, where that cannot be had.
fn with_users() -> Option<Sut> {
    let able =
        || Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !is_root() || !able() {
        skip("the rights of users", "only root can give a program a user database of its own");
        return None;
    }
    let mut sut = Sut::new(&Settings::of([network()]));
    let (passwd, group) = (sut.dir().join("passwd"), sut.dir().join("group"));
    fs::write(&passwd, PASSWD).expect("a file can be written");
    fs::write(&group, GROUP).expect("a file can be written");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]);
    command
        .arg("mount --bind \"$1\" /etc/passwd && mount --bind \"$2\" /etc/group && shift 2 && exec \"$@\"");
    command.arg("sh").arg(passwd).arg(group).arg(Bin::StellarLake.path()).arg("--config").arg(sut.config());
    command.current_dir(sut.dir());
    sut.spawn_as(command);
    sut.wait_ready();
    Some(sut)
}

#[test]
fn rights_follow_the_groups_of_the_user_database() {
    let Some(mut sut) = with_users() else { return };
    let users = Users::of(&sut);
    for uid in [0, ADMIN, READER] {
        assert_eq!(end(&users.ctl(uid, "status")).0, Some(0), "{uid} may look");
        assert_eq!(end(&users.ctl(uid, "query VALUES(1)")).0, Some(0), "{uid} may query");
    }
    let (code, said) = end(&users.ctl(STRANGER, "status"));
    assert_eq!(code, Some(77), "{said}");
    assert!(said.contains("user eve (uid 61003)") && said.contains("lake-read or lake-admin"), "{said}");
    assert!(said.contains("what to do: "), "{said}");

    let (code, said) = end(&users.ctl(READER, "backfill pause 9"));
    assert_eq!(code, Some(77), "{said}");
    assert!(
        said.contains("user ron (uid 61002) may not change anything: not a member of lake-admin"),
        "{said}"
    );
    // Let through, and then there is no such job.
    for uid in [0, ADMIN] {
        assert_eq!(end(&users.ctl(uid, "backfill pause 9")).0, Some(66), "{uid} may change things");
    }
    let log = sut.log();
    assert!(log.contains("a changing call") && log.contains("uid=61001"), "{log}");
    assert!(log.contains("PauseBackfillRequest { id: 9 }"), "{log}");
    assert!(!log.contains("uid=61002"), "what was refused is not told as a call: {log}");
    assert!(sut.terminate().success());
}

#[test]
fn without_the_groups_only_owners_may() {
    if !is_root() {
        return skip("the rights of a stranger", "only root can become another user");
    }
    let mut sut = Sut::new(&Settings::of([network()]));
    sut.start();
    let users = Users::of(&sut);
    let (code, said) = end(&users.ctl(STRANGER, "health"));
    assert_eq!(code, Some(77), "{said}");
    assert!(said.contains("there is no group lake-read or lake-admin on this machine"), "{said}");
    assert!(said.contains("only root and uid 0 may"), "{said}");
    sut.wait_status("the owner sees ledgers", PATIENCE, |status| {
        status.networks.iter().any(|network| network.last_ledger.is_some())
    });
    assert!(sut.terminate().success());
}

/// The one line of standard output of a call that must go well.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn head(sut: &Sut, network: &str) -> Option<u32> {
    let status = sut.status();
    status.networks.iter().find(|found| found.name == network).and_then(|found| found.last_ledger)
}

fn wait_head(sut: &mut Sut, network: &str, at_least: u32) {
    sut.wait_status(&format!("{network} reaches {at_least}"), PATIENCE, |status| {
        let found = status.networks.iter().find(|found| found.name == network);
        found.and_then(|found| found.last_ledger).is_some_and(|last| last >= at_least)
    });
}

/// Ledgers of a network in the lake, and the highest: equal ones but for the first mean that none is missing or twice.
fn stored(sut: &Sut, network: &str) -> String {
    let sql = format!(
        "SELECT count(*), count(DISTINCT sequence), min(sequence), max(sequence) FROM {network}.ledgers_row_v2"
    );
    said(&sut.ctl(["query", "--format", "csv", &sql])).lines().last().unwrap_or_default().to_owned()
}

fn whole(sut: &Sut, network: &str) {
    let row = stored(sut, network);
    let figures: Vec<u32> = row.split(',').map(|figure| figure.parse().expect("a number")).collect();
    let [count, distinct, first, last] = figures[..] else { panic!("{row}") };
    assert_eq!((count, distinct, first), (last - 1, last - 1, 2), "{network}: {row}");
}

#[test]
fn a_network_comes_pauses_survives_restarts_and_goes_while_another_goes_on() {
    let mut sut = Sut::new(&Settings::of([network()]));
    sut.start();
    let add = [
        "networks",
        "add",
        "beta",
        "--source",
        "simulated:sparse:9",
        "--rate",
        "20",
        "--passphrase",
        "Beta ; tests",
    ];
    assert_eq!(said(&sut.ctl(add)), "beta: added\n");
    wait_head(&mut sut, "beta", 10);
    let alpha = head(&sut, "alpha");

    let (code, error) = end(&sut.ctl(add));
    assert_eq!(code, Some(73), "{error}");
    assert!(error.contains("there is a network beta already"), "{error}");

    // Paused: what is stored stays as it is, over a kill too, while the other goes on.
    assert_eq!(said(&sut.ctl(["networks", "pause", "beta"])), "beta: paused\n");
    let paused_at = head(&sut, "beta");
    sut.kill();
    sut.start();
    wait_head(&mut sut, "alpha", alpha.unwrap_or_default() + 10);
    assert_eq!(head(&sut, "beta"), paused_at, "a paused network stays paused over a restart");
    let listed: serde_json::Value =
        serde_json::from_str(&said(&sut.ctl(["networks", "list", "--output", "json"]))).expect("JSON");
    let beta = &listed["networks"][1];
    assert_eq!((beta["name"].as_str(), beta["origin"].as_str()), (Some("beta"), Some("added")));
    assert_eq!((beta["paused"].as_bool(), beta["passphrase"].as_str()), (Some(true), Some("Beta ; tests")));
    assert_eq!(listed["networks"][0]["origin"], "configured");
    let shown = said(&sut.ctl(["networks", "show", "beta", "--output", "yaml"]));
    assert!(shown.contains("\norigin: added\n") && shown.contains("\npaused: true\n"), "{shown}");

    // Resumed: it goes on where it was, with nothing missing or twice.
    said(&sut.ctl(["networks", "resume", "beta"]));
    wait_head(&mut sut, "beta", paused_at.unwrap_or_default() + 10);
    assert_eq!(end(&sut.ctl(["networks", "resume", "beta"])).0, Some(73), "it is not paused");
    whole(&sut, "beta");
    let resumed_at = head(&sut, "beta");
    sut.kill();
    sut.start();
    wait_head(&mut sut, "beta", resumed_at.unwrap_or_default() + 5);
    whole(&sut, "beta");

    // Removed: its tables stay, and it goes on when it comes again.
    assert_eq!(end(&sut.ctl(["networks", "remove", "beta"])).0, Some(64), "nobody can be asked");
    assert_eq!(
        said(&sut.ctl(["networks", "remove", "beta", "--yes"])),
        "beta: removed; its tables stay in the lake\n"
    );
    assert!(sut.status().networks.iter().all(|network| network.name != "beta"));
    whole(&sut, "beta");
    let (code, error) = end(&sut.ctl(["networks", "pause", "beta"]));
    assert_eq!(code, Some(66), "{error}");
    assert!(error.contains("there is no network beta: there are alpha"), "{error}");
    let file = sut.dir().join("beta.yaml");
    fs::write(
        &file,
        "name: beta\npassphrase: Beta ; tests\nsource: { simulated: { seed: 9, ledgers_per_second: 20 } }\n",
    )
    .expect("a file can be written");
    let before = stored(&sut, "beta");
    said(&sut.ctl(["networks", "add", "--file", "beta.yaml"]));
    let last = before.rsplit(',').next().and_then(|last| last.parse().ok()).unwrap_or(0);
    wait_head(&mut sut, "beta", last + 5);
    whole(&sut, "beta");

    // Purged: nothing of it is left, and the name is free for another network.
    said(&sut.ctl(["networks", "remove", "beta", "--purge", "--yes"]));
    let (code, error) = end(&sut.ctl(["query", "FROM beta.ledgers_row_v2"]));
    assert_eq!(code, Some(64), "{error}");
    let other = [
        "networks",
        "add",
        "beta",
        "--source",
        "simulated:sparse:4",
        "--passphrase",
        "Other ; tests",
        "--end",
        "40",
    ];
    said(&sut.ctl(other));
    wait_head(&mut sut, "beta", 40);
    whole(&sut, "beta");
    assert!(sut.terminate().success());
    sut.start();
    whole(&sut, "beta");
    whole(&sut, "alpha");
    assert!(sut.terminate().success());
}

#[test]
fn what_cannot_be_added_or_removed_is_refused_and_changes_nothing() {
    let mut sut = Sut::new(&Settings::of([network()]));
    sut.start();
    let refused = |args: &[&str], code: i32, says: &str| {
        let (got, error) = end(&sut.ctl(args));
        assert_eq!(got, Some(code), "{args:?}: {error}");
        assert!(error.contains(says) && error.contains("what to do: "), "{args:?}: {error}");
    };
    refused(
        &["networks", "add", "Beta", "--source", "/l", "--passphrase", "p"],
        64,
        "cannot be a schema name",
    );
    refused(&["networks", "add", "beta", "--source", "/l"], 64, "needs a `passphrase`");
    refused(&["networks", "remove", "alpha", "--yes"], 73, "network alpha is configured");
    refused(&["networks", "remove", "gamma", "--purge", "--yes"], 66, "there is no network gamma");
    refused(&["networks", "pause", "alpah"], 66, "did you mean alpha?");
    refused(&["networks", "resume", "alpha"], 73, "network alpha is not paused");
    fs::write(sut.dir().join("bad.yaml"), "name: beta\nsuorce: {}\n").expect("a file can be written");
    refused(&["networks", "add", "--file", "bad.yaml"], 64, "did you mean `source`?");
    assert!(!sut.lake().join("networks.yaml").exists(), "nothing was kept");
    assert_eq!(sut.status().networks.len(), 1);
    assert!(sut.terminate().success());
}
