//! The daemon's side of the catalog keeper: starts it, asks it, starts it again when it dies. The daemon itself
//! never opens the catalog's file: closing any descriptor of it would drop the process's POSIX locks.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::error::LakeError;

/// How long an answer may take: a checkpoint of a large WAL is the longest.
const ANSWER: Duration = Duration::from_secs(60);
/// File name of the keeper's program.
const PROGRAM: &str = "stellar-lake-keeper";

/// An answer of the keeper.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct KeeperReply {
    /// Whether the command succeeded.
    pub ok: bool,
    /// Why it did not.
    pub error: Option<String>,
    /// Whether a reader or writer kept a checkpoint from finishing.
    pub busy: Option<bool>,
    /// Pages in the WAL after a checkpoint.
    pub wal_pages: Option<i64>,
    /// Pages of the WAL that are in the database file.
    pub checkpointed_pages: Option<i64>,
    /// Bytes of a backup.
    pub bytes: Option<u64>,
}

/// The keeper process of one catalog.
#[derive(Debug)]
pub struct Keeper {
    program: PathBuf,
    catalog: PathBuf,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    reader: JoinHandle<()>,
}

impl Keeper {
    /// Starts the keeper of `catalog`, which it creates if it is missing, and waits until it holds it open.
    ///
    /// # Errors
    /// [`LakeError::Keeper`] when the program is missing or cannot open the catalog.
    pub fn start(program: Option<&Path>, catalog: &Path) -> Result<Self, LakeError> {
        let program = match program {
            Some(program) => program.to_path_buf(),
            None => default_program()?,
        };
        let keeper = Self { program, catalog: catalog.to_path_buf(), running: Mutex::new(None) };
        let started = keeper.spawn()?;
        *keeper.lock() = Some(started);
        Ok(keeper)
    }

    /// Process id, `None` when it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(|r| r.child.id())
    }

    /// Asks whether it lives; starts it again when it does not. To be called on a timer.
    ///
    /// # Errors
    /// [`LakeError::Keeper`].
    pub fn ping(&self) -> Result<(), LakeError> {
        self.ask("ping").map(drop)
    }

    /// Moves the WAL into the database file, as far as readers allow; `truncate` waits for them and empties it.
    ///
    /// # Errors
    /// [`LakeError::Keeper`].
    pub fn checkpoint(&self, truncate: bool) -> Result<KeeperReply, LakeError> {
        self.ask(if truncate { "checkpoint truncate" } else { "checkpoint passive" })
    }

    /// Copies the catalog to `path`, consistent, while commits go on.
    ///
    /// # Errors
    /// [`LakeError::Keeper`].
    pub fn backup(&self, path: &Path) -> Result<KeeperReply, LakeError> {
        let text = path
            .to_str()
            .filter(|p| !p.contains('\n'))
            .ok_or_else(|| self.error(format!("backup path {} is not one line of UTF-8", path.display())))?;
        self.ask(&format!("backup {text}"))
    }

    /// Ends the keeper after everything else is closed; `-wal` and `-shm` stay for readers.
    pub fn stop(&self, deadline: Duration) {
        let Some(mut running) = self.lock().take() else { return };
        drop(running.stdin);
        let until = Instant::now() + deadline;
        // Its stdout ends when it exits; the reader thread sees that.
        while running.answers.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        match running.child.try_wait() {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => match thread_wait(&mut running.child, until) {
                true => {}
                false => tracing::warn!(
                    pid = running.child.id(),
                    "keeper is still checkpointing, left to end by itself"
                ),
            },
        }
        drop(running.reader);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, reason: String) -> LakeError {
        LakeError::Keeper { path: self.catalog.clone(), reason }
    }

    /// One command, one answer. A dead keeper is started again and asked once more.
    fn ask(&self, command: &str) -> Result<KeeperReply, LakeError> {
        let mut guard = self.lock();
        let mut last = String::from("it is not running");
        for _ in 0..2 {
            let running = match guard.take() {
                Some(running) => running,
                None => {
                    tracing::warn!(reason = %last, "starting the catalog keeper again");
                    self.spawn()?
                }
            };
            let running = guard.insert(running);
            match exchange(running, command) {
                Ok(line) => return self.parse(&line),
                Err(reason) => last = reason,
            }
            if let Some(mut dead) = guard.take() {
                // It answers no more: end it for good, so that only one holds the catalog.
                if let Err(error) = dead.child.kill().and_then(|()| dead.child.wait()) {
                    tracing::warn!(error = %error, "keeper could not be ended");
                }
            }
        }
        Err(self.error(last))
    }

    fn parse(&self, line: &str) -> Result<KeeperReply, LakeError> {
        let reply: KeeperReply =
            serde_json::from_str(line).map_err(|e| self.error(format!("answer {line:?}: {e}")))?;
        match (reply.ok, &reply.error) {
            (true, _) => Ok(reply),
            (false, error) => Err(self.error(error.clone().unwrap_or_else(|| "refused".to_owned()))),
        }
    }

    fn spawn(&self) -> Result<Running, LakeError> {
        let failed = |reason: String| LakeError::Keeper { path: self.program.clone(), reason };
        let mut child = Command::new(&self.program)
            .arg(&self.catalog)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| failed(format!("cannot be started: {e}")))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("has no pipes".to_owned()));
        };
        // One question at a time, so one answer at a time.
        let (sender, answers) = sync_channel(1);
        let reader = thread::Builder::new()
            .name("lake-keeper".to_owned())
            .spawn(move || read_answers(stdout, &sender))
            .map_err(|e| failed(format!("reader thread: {e}")))?;
        let running = Running { child, stdin, answers, reader };
        let first = answer(&running).map_err(failed)?;
        self.parse(&first)?;
        Ok(running)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(5));
    }
}

fn read_answers(stdout: std::process::ChildStdout, sender: &SyncSender<String>) {
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { return };
        if sender.send(line).is_err() {
            return;
        }
    }
}

fn exchange(running: &mut Running, command: &str) -> Result<String, String> {
    writeln!(running.stdin, "{command}")
        .and_then(|()| running.stdin.flush())
        .map_err(|e| format!("command {command:?}: {e}"))?;
    answer(running)
}

fn answer(running: &Running) -> Result<String, String> {
    running.answers.recv_timeout(ANSWER).map_err(|e| match e {
        RecvTimeoutError::Timeout => format!("no answer within {} s", ANSWER.as_secs()),
        RecvTimeoutError::Disconnected => "it died".to_owned(),
    })
}

/// Waits for the exit of a child whose stdout ended already.
fn thread_wait(child: &mut Child, until: Instant) -> bool {
    while Instant::now() < until {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return true;
        }
        thread::sleep(Duration::from_millis(2));
    }
    false
}

/// Beside this program, or one folder up (where cargo puts programs, seen from its tests).
fn default_program() -> Result<PathBuf, LakeError> {
    let own = std::env::current_exe().map_err(|e| LakeError::io("find", "this program", e))?;
    let found = own.ancestors().skip(1).take(2).map(|dir| dir.join(PROGRAM)).find(|p| p.is_file());
    found.ok_or_else(|| LakeError::Keeper {
        path: own.with_file_name(PROGRAM),
        reason: "the program is missing: install it beside the daemon, or set the lake's keeper_program"
            .to_owned(),
    })
}
