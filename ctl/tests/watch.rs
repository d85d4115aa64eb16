//! `lakectl backfill watch` as a program: lines, JSON, and the full screen on a pseudo-terminal.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests may fail")]

mod stub;

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZero,
    os::fd::OwnedFd,
    process::{Child, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use lake_proto::v1::{BackfillJob, BackfillState};
use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};
use serde_json::Value;
use stub::{Books, PATIENCE, Stub, ended, job};

fn watched(looks: Vec<BackfillJob>) -> Books {
    Books { jobs: vec![job()], looks, ..Books::default() }
}

#[test]
fn lines_until_the_job_is_over_and_how_it_ended_in_the_exit_code() {
    for (state, parked, code) in [
        (BackfillState::Finished, 0, 0),
        (BackfillState::Finished, 64, 1),
        (BackfillState::Stopped, 0, 1),
        (BackfillState::Cancelled, 0, 1),
    ] {
        // The service would go on: the client knows the end when it sees it.
        let stub = Stub::serve(Books { held: true, ..watched(vec![job(), ended(state, parked)]) });
        let ran = stub.ctl("backfill watch 3 --interval 0.25");
        assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{}", ran.stdout);
        assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
        assert!(ran.stdout.starts_with("job 3  mainnet  running  45,000 of 60,000 ledgers  75.0%"));
        assert!(!ran.stdout.contains('\x1b'));
        assert_eq!(stub.books().calls, ["watch 3 every 0 s 250000000 ns"]);
    }
}

#[test]
fn json_is_one_object_per_look_and_the_newest_job_is_the_default() {
    let stub = Stub::serve(watched(vec![job(), ended(BackfillState::Finished, 0)]));
    let out = stub.ctl("backfill watch --output json").done();
    let looks: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        looks.iter().map(|look| look["state"].as_str().unwrap()).collect::<Vec<_>>(),
        ["running", "finished"]
    );
    assert_eq!(looks[1]["remaining_seconds"], Value::Null);
    assert_eq!(stub.books().calls, ["watch 0 every 1 s 0 ns"]);
}

#[test]
fn a_daemon_that_stops_is_no_end_of_the_job() {
    let stub = Stub::serve(watched(vec![job()]));
    let ran = stub.ctl("backfill watch 3");
    assert_eq!(ran.code, 69);
    assert!(ran.stderr.contains("before the job was over"), "{}", ran.stderr);
    assert!(stub.ctl("backfill watch 9").failed(66).contains("no job 9"));
}

/// lakectl on a terminal of its own.
struct OnTerminal {
    child: Child,
    master: File,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    reader: thread::JoinHandle<()>,
}

/// What a terminal shows.
struct Seen {
    terminal: vt100::Parser,
    /// Whether the program is gone.
    closed: bool,
}

impl Seen {
    fn text(&self) -> String {
        self.terminal.screen().contents()
    }
}

/// How lakectl left its terminal.
struct Left {
    code: Option<i32>,
    text: String,
}

impl OnTerminal {
    fn run(stub: &Stub, line: &str) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let mut command = stub.command(line);
        command.stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave)).env("TERM", "xterm");
        let child = command.spawn().unwrap();
        // Only the child holds its side now: the reader sees the end when the child ends.
        drop(command);
        drop(pty.slave);

        let cells = |count| NonZero::new(count).unwrap();
        let terminal = vt100::Parser::new(cells(size.ws_row), cells(size.ws_col), 0);
        let seen = Arc::new((Mutex::new(Seen { terminal, closed: false }), Condvar::new()));
        let mut output = File::from(pty.master.try_clone().unwrap());
        let reader = thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let mut buffer = [0; 4096];
                // Linux ends a terminal without a program with an error.
                while let Ok(read @ 1..) = output.read(&mut buffer) {
                    seen.0.lock().unwrap().terminal.process(&buffer[..read]);
                    seen.1.notify_all();
                }
                seen.0.lock().unwrap().closed = true;
                seen.1.notify_all();
            }
        });
        Self { child, master: File::from(pty.master), seen, reader }
    }

    /// Waits until the terminal shows this and is a full screen.
    fn wait_for(&self, text: &str) {
        self.wait(text, |seen| seen.terminal.screen().alternate_screen() && seen.text().contains(text));
    }

    fn wait(&self, what: &str, mut reached: impl FnMut(&mut Seen) -> bool) {
        let (seen, changed) = &*self.seen;
        let guard = seen.lock().unwrap();
        let (seen, waited) = changed.wait_timeout_while(guard, PATIENCE, |seen| !reached(seen)).unwrap();
        let (timed_out, text) = (waited.timed_out(), seen.text());
        drop(seen);
        assert!(!timed_out, "no {what:?} in\n{text}");
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end: the terminal must be as it was before.
    fn end(mut self) -> Left {
        self.wait("end", |seen| seen.closed);
        let code = self.child.wait().unwrap().code();
        self.reader.join().unwrap();
        let modes = tcgetattr(&self.master).unwrap().local_flags;
        let seen = self.seen.0.lock().unwrap();
        let screen = seen.terminal.screen();
        assert!(modes.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "{modes:?}");
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", seen.text());
        Left { code, text: seen.text() }
    }
}

#[test]
fn keys_on_the_full_screen_steer_the_job() {
    let stub = Stub::serve(Books { held: true, ..watched(vec![job()]) });
    let mut terminal = OnTerminal::run(&stub, "backfill watch 3");
    terminal.wait_for("45,000 of 60,000 ledgers  75.0%");
    terminal.wait_for("retrying: 503 slow down");
    terminal.wait_for("q leave");
    terminal.press("+");
    stub.wait_for_call("set 3 Some(Fixed(11))");
    terminal.wait_for("workers 8 of 11, limited by source");
    terminal.press("p");
    stub.wait_for_call("pause 3");
    terminal.wait_for("job 3  mainnet  paused");
    terminal.press("r");
    stub.wait_for_call("resume 3");
    terminal.wait_for("job 3  mainnet  running");
    terminal.press("q");
    let left = terminal.end();
    assert_eq!(left.code, Some(1), "{}", left.text);
    assert!(left.text.contains("wanted     1..60,000"), "{}", left.text);
}

#[test]
fn a_refused_key_says_why_and_changes_nothing() {
    let cancelled = Books { jobs: vec![ended(BackfillState::Cancelled, 0)], ..watched(vec![job()]) };
    let stub = Stub::serve(Books { held: true, ..cancelled });
    let mut terminal = OnTerminal::run(&stub, "backfill watch 3");
    terminal.wait_for("q leave");
    terminal.press("p");
    terminal.wait_for("job 3 is cancelled");
    terminal.wait_for("job 3  mainnet  running");
    terminal.press("\x03");
    let left = terminal.end();
    assert_eq!(left.code, Some(130), "{}", left.text);
}

#[test]
fn the_full_screen_ends_with_the_job() {
    let stub = Stub::serve(watched(vec![job(), ended(BackfillState::Finished, 64)]));
    let left = OnTerminal::run(&stub, "backfill watch").end();
    assert_eq!(left.code, Some(1), "{}", left.text);
    assert!(left.text.contains("job 3  mainnet  finished"), "{}", left.text);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let stub = Stub::serve(Books { held: true, ..watched(vec![job()]) });
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let terminal = OnTerminal::run(&stub, "backfill watch 3");
        terminal.wait_for("q leave");
        kill(Pid::from_raw(i32::try_from(terminal.child.id()).unwrap()), signal).unwrap();
        let left = terminal.end();
        assert_eq!(left.code, Some(130), "{signal}: {}", left.text);
    }
}

#[test]
fn a_lost_daemon_gives_the_terminal_back() {
    let stub = Stub::serve(Books { held: true, ..watched(vec![job()]) });
    let terminal = OnTerminal::run(&stub, "backfill watch 3");
    terminal.wait_for("q leave");
    drop(stub);
    let left = terminal.end();
    assert_eq!(left.code, Some(69), "{}", left.text);
    assert!(left.text.contains("lakectl: "), "{}", left.text);
}
