//! The control plane of a real daemon, by `lakectl`: who may do what, and what can be changed while it runs.

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
