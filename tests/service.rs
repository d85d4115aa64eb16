//! The daemon as a service manager sees it, without a service manager: what it tells on NOTIFY_SOCKET, a control socket that
//! was handed over, and log lines for a journal that is not there. `make systemd-test` has the real one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use lake_sim::Density;
use lake_testkit::{Bin, Network, Settings, Sut, Until, text_of, until};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

fn quick(name: &str) -> Network {
    Network::simulated(name, Density::Sparse, 3, Some(2.0))
}

fn place(told: &[String], wanted: impl Fn(&str) -> bool, what: &str) -> usize {
    told.iter().position(|line| wanted(line)).unwrap_or_else(|| panic!("{what} was not told: {told:#?}"))
}

#[test]
fn the_manager_hears_how_the_start_goes_then_ready_then_words_then_the_stop() {
    let missing = Network::filesystem("missing", "A network that is not there", "/nonexistent/ledgers");
    let settings = Settings::of([quick("first"), quick("old").history_only(), missing]);
    let mut sut = Sut::new(&settings.with("shutdown_timeout: 7s"));
    let mut command = sut.command();
    command.env("WATCHDOG_USEC", "3000000");
    sut.spawn_as(command);
    sut.wait_ready();
    // The control socket answers as soon as the manager is told.
    assert!(sut.ctl(["status"]).status.success());
    let follows = |line: &String| {
        let words: Vec<&str> = line.strip_prefix("STATUS=").unwrap_or_default().split("; ").collect();
        let first = words.first().map(|first| first.split(' ').collect::<Vec<_>>()).unwrap_or_default();
        let is_number = |at: usize| first.get(at).is_some_and(|word| word.parse::<u32>().is_ok());
        (matches!(first[..], ["first", _, "lag", _]) && is_number(1) && is_number(3))
            && words[1..] == ["old empty not followed", "missing retrying at empty"]
    };
    until("the networks are told in words", LIMIT, || match sut.told() {
        told if told.iter().any(follows) => Until::Done(()),
        told => Until::NotYet(format!("{told:#?}")),
    });
    until("the watchdog is fed", LIMIT, || match sut.told() {
        told if told.iter().filter(|line| *line == "WATCHDOG=1").count() >= 2 => Until::Done(()),
        told => Until::NotYet(format!("{told:#?}")),
    });
    assert!(sut.terminate().success());
    let told = sut.told();
    let order = [
        place(told, |line| line == "STATUS=opening the lake", "the opening"),
        place(told, |line| line == "EXTEND_TIMEOUT_USEC=60000000", "the time for it"),
        place(told, |line| line == "STATUS=trying the sources", "the trying"),
        place(told, |line| line == "READY=1", "READY"),
        place(told, |line| line == "WATCHDOG=1", "a sign of life"),
        place(told, |line| line == "STOPPING=1", "the stop"),
        place(told, |line| line == "EXTEND_TIMEOUT_USEC=32000000", "the time for the stop"),
    ];
    assert!(order.is_sorted(), "{order:?} {told:#?}");
    assert_eq!(told.iter().filter(|line| *line == "READY=1").count(), 1);
}

/// The daemon with a listener as descriptor 3, as a service manager would start it.
fn with_socket(sut: &Sut, listener: &UnixListener, name: &str) -> Command {
    let daemon = sut.command();
    let mut command = Command::new("sh");
    let script = format!(
        "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec \"$0\" --config \"$1\""
    );
    command.args(["-c", &script]).arg(daemon.get_program()).arg(sut.config()).current_dir(sut.dir());
    command.stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
    command
}

#[test]
fn calls_on_a_socket_of_the_manager_wait_for_the_daemon_and_survive_its_restarts() {
    let mut sut = Sut::new(&Settings::of([quick("first")]).with("batch: { max_age: 100ms }"));
    let listener = UnixListener::bind(sut.socket()).unwrap();
    let (socket, done) = (sut.socket().to_owned(), AtomicBool::new(false));
    let call = |socket: &Path| {
        let mut command = Bin::Lakectl.command();
        command.arg("--socket").arg(socket).arg("status").output().unwrap()
    };
    thread::scope(|threads| {
        let calls = threads.spawn(|| {
            let mut answered = 0;
            while !done.load(Ordering::Relaxed) {
                let output = call(&socket);
                if !output.status.success() {
                    return Err(format!("call {answered}: {}", text_of(&output)));
                }
                answered += 1;
            }
            Ok(answered)
        });
        for _ in 0..4 {
            sut.spawn_with_stdin(with_socket(&sut, &listener, "control"));
            sut.wait_ready();
            sut.wait_status("ledgers come in", LIMIT, |s| s.network("first").written.ledgers > 3);
            assert!(sut.terminate().success(), "{}", sut.log());
            assert!(socket.exists(), "the socket's file is the manager's");
        }
        // The last call waits for somebody.
        sut.spawn_with_stdin(with_socket(&sut, &listener, "control"));
        sut.wait_ready();
        done.store(true, Ordering::Relaxed);
        let answered = calls.join().unwrap().unwrap();
        assert!(answered > 4, "{answered} calls were answered");
    });
    assert!(sut.terminate().success());
}

#[test]
fn a_socket_under_another_name_is_refused() {
    let mut sut = Sut::new(&Settings::of([]));
    let listener = UnixListener::bind(sut.socket()).unwrap();
    sut.spawn_with_stdin(with_socket(&sut, &listener, "metrics"));
    let end = sut.wait_ended();
    assert_eq!(end.code(), Some(74), "{}", sut.log());
    assert!(sut.log().contains("stellar-lake.socket"), "{}", sut.log());
}

#[test]
fn without_a_journal_lines_for_systemd_carry_their_priorities() {
    if Path::new("/run/systemd/journal/socket").exists() {
        eprintln!("SKIPPED: there is a journal on this machine: `make systemd-test` looks into one");
        return;
    }
    let missing = Network::filesystem("missing", "A network that is not there", "/nonexistent/ledgers");
    let mut sut = Sut::new(&Settings::of([missing]).logging("auto"));
    let mut command = sut.command();
    command.env("JOURNAL_STREAM", "8:1");
    sut.spawn_as(command);
    sut.wait_ready();
    sut.wait_status("the missing source is told", LIMIT, |s| s.network("missing").state == "retrying");
    assert!(sut.terminate().success());
    let log = sut.log();
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{log}"));
    assert!(line("will try again").starts_with("<4>"), "{log}");
    assert!(line("ready").starts_with("<6>"), "{log}");
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
}
