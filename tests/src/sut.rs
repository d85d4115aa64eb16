//! The system under test: the real daemon as a child process, with a folder, a configuration and a log of its own.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    bins::Bin,
    config::Settings,
    lake::LakeReader,
    status::StatusFigures,
    wait::{Until, until},
};

/// How long a start may take. Restarts of simulated networks make their ledgers again from the first.
const START: Duration = Duration::from_secs(90);
/// How long a stop may take: more than the daemon's own deadline.
const STOP: Duration = Duration::from_secs(45);
/// Lines of the log that a failure shows.
const LOG_LINES: usize = 40;

/// A daemon, its lake and its folder. The child is killed and the folder removed when this is dropped.
#[derive(Debug)]
pub struct Sut {
    dir: TempDir,
    config: PathBuf,
    lake: PathBuf,
    socket: PathBuf,
    child: Option<Child>,
    notify: Option<UnixDatagram>,
    /// What the daemon told the service manager since the last start.
    told: Vec<String>,
}

impl Sut {
    /// A system with these settings, not started yet.
    ///
    /// # Panics
    /// When its folder cannot be made.
    pub fn new(settings: &Settings) -> Self {
        let dir = folder();
        let lake =
            if settings.lake.is_empty() { dir.path().join("lake") } else { dir.path().join(&settings.lake) };
        let socket =
            if settings.socket.is_empty() { dir.path().join("s") } else { dir.path().join(&settings.socket) };
        let written =
            if settings.lake.is_empty() { lake.display().to_string() } else { settings.lake.clone() };
        let config = dir.path().join("config.yaml");
        fs::write(&config, settings.yaml(&written, &socket.display().to_string()))
            .expect("a file can be written");
        Self { dir, config, lake, socket, child: None, notify: None, told: Vec::new() }
    }

    /// A system with a configuration file as it stands, whose lake and socket are below the working folder.
    ///
    /// # Panics
    /// When its folder cannot be made.
    pub fn from_file(config: &Path, lake: &str, socket: &str) -> Self {
        let dir = folder();
        let config = config.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", config.display()));
        let (lake, socket) = (dir.path().join(lake), dir.path().join(socket));
        Self { dir, config, lake, socket, child: None, notify: None, told: Vec::new() }
    }

    /// Writes another configuration for the next start, over the same lake and socket.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, settings: &Settings) {
        let (lake, socket) = (self.lake.display().to_string(), self.socket.display().to_string());
        fs::write(&self.config, settings.yaml(&lake, &socket)).expect("a file can be written");
    }

    /// The system's folder; also the daemon's working folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The lake's folder.
    pub fn lake(&self) -> &Path {
        &self.lake
    }

    /// The control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Process id of the running daemon.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// A command that would start the daemon with this configuration.
    pub fn command(&self) -> Command {
        let mut command = Bin::StellarLake.command();
        command.arg("--config").arg(&self.config).current_dir(self.dir());
        command
    }

    /// Starts the daemon and does not wait.
    ///
    /// # Panics
    /// When it runs already or cannot be started.
    pub fn spawn(&mut self) {
        self.spawn_as(self.command());
    }

    /// Starts this command as the daemon and does not wait.
    ///
    /// # Panics
    /// When it runs already or cannot be started.
    pub fn spawn_as(&mut self, mut command: Command) {
        command.stdin(Stdio::null());
        self.spawn_with_stdin(command);
    }

    /// The same for a command that has its own standard input.
    ///
    /// # Panics
    /// When it runs already or cannot be started.
    pub fn spawn_with_stdin(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "the daemon runs already");
        let address = self.dir.path().join("n");
        if let Err(error) = fs::remove_file(&address) {
            assert!(error.kind() == ErrorKind::NotFound, "{}: {error}", address.display());
        }
        let notify = UnixDatagram::bind(&address).expect("a datagram socket can be bound");
        notify.set_nonblocking(true).expect("a socket can be made non-blocking");
        self.notify = Some(notify);
        self.told.clear();
        let log =
            File::options().create(true).append(true).open(self.log_path()).expect("a log can be opened");
        let error_log = log.try_clone().expect("a file can be cloned");
        command.env("NOTIFY_SOCKET", &address).stdout(log).stderr(error_log);
        self.child = Some(command.spawn().expect("the daemon is executable"));
    }

    /// Starts the daemon and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends or says nothing in time.
    pub fn start(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Waits until the daemon has told the service manager that it is ready.
    ///
    /// # Panics
    /// When it ends or says nothing in time.
    pub fn wait_ready(&mut self) {
        until("the daemon says READY", START, || {
            if self.is_ready() {
                return Until::Done(());
            }
            if let Some(status) = self.ended() {
                panic!("the daemon ended with {status} before it was ready\n{}", self.log_tail());
            }
            Until::NotYet(self.log_tail())
        });
    }

    /// Whether the daemon has said that it is ready.
    pub fn is_ready(&mut self) -> bool {
        self.listen();
        self.told.iter().any(|line| line == "READY=1")
    }

    /// What the daemon told the service manager since its start, line by line.
    pub fn told(&mut self) -> &[String] {
        self.listen();
        &self.told
    }

    fn listen(&mut self) {
        let Some(notify) = &self.notify else { return };
        let mut buffer = [0; 4096];
        while let Ok(length) = notify.recv(&mut buffer) {
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            self.told.extend(text.lines().map(str::to_owned));
        }
    }

    /// The exit status of a daemon that ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let status = child.try_wait().expect("an own child can be waited for");
        if status.is_some() {
            self.child = None;
        }
        status
    }

    /// Waits until the daemon ends by itself.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_ended(&mut self) -> ExitStatus {
        until("the daemon ends", STOP, || match self.ended() {
            Some(status) => Until::Done(status),
            None => Until::NotYet(self.log_tail()),
        })
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it does not run or does not end in time.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_ended()
    }

    /// Kills the daemon with SIGKILL. Its keeper sees that and ends by itself.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the daemon runs");
        child.kill().expect("an own child can be killed");
        child.wait().expect("an own child can be waited for");
    }

    /// Sends SIGHUP: the configuration is read again.
    ///
    /// # Panics
    /// When it does not run.
    pub fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("process ids fit");
        kill(Pid::from_raw(pid), signal).expect("an own child can be signalled");
    }

    /// Process ids of the daemon's children: its keeper.
    pub fn children(&self) -> Vec<u32> {
        let Some(child) = &self.child else { return Vec::new() };
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", child.id())) else { return Vec::new() };
        let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists
            .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
            .collect()
    }

    /// Runs lakectl against this daemon.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn ctl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let mut command = Bin::Lakectl.command();
        command.arg("--socket").arg(&self.socket).args(args).current_dir(self.dir());
        command.output().expect("lakectl is executable")
    }

    /// The daemon's status; `None` when it does not answer.
    ///
    /// # Panics
    /// When the answer is not what is expected of it.
    pub fn try_status(&self) -> Option<StatusFigures> {
        let output = self.ctl(["status", "--output", "json"]);
        if !output.status.success() {
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("lakectl status: {error}: {text}")))
    }

    /// The daemon's status.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn status(&self) -> StatusFigures {
        self.try_status().unwrap_or_else(|| panic!("lakectl status failed\n{}", self.log_tail()))
    }

    /// Waits until the status is as wanted.
    ///
    /// # Panics
    /// When the daemon ends or the deadline passes.
    pub fn wait_status(
        &mut self,
        what: &str,
        deadline: Duration,
        mut wanted: impl FnMut(&StatusFigures) -> bool,
    ) -> StatusFigures {
        until(what, deadline, || {
            if let Some(status) = self.ended() {
                panic!("{what}: the daemon ended with {status}\n{}", self.log_tail());
            }
            match self.try_status() {
                Some(status) if wanted(&status) => Until::Done(status),
                seen => Until::NotYet(format!("{seen:#?}\n{}", self.log_tail())),
            }
        })
    }

    /// The lake, opened for reading by this process.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn reader(&self) -> LakeReader {
        LakeReader::open(&self.lake)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.lake.display(), self.log_tail()))
    }

    /// The lake, opened after a kill. `None` when the first process died while it made the catalog: no lake yet.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn reader_after_kill(&self) -> Option<LakeReader> {
        if !self.lake.join("catalog.sqlite").is_file() {
            return None;
        }
        until("the lake can be opened after a kill", Duration::from_secs(20), || {
            match LakeReader::open(&self.lake) {
                Ok(lake) => Until::Done(Some(lake)),
                Err(error) => {
                    let text = error.to_string();
                    let is_unmade = text.contains("does not exist") || text.contains("no such table");
                    // Else the killed daemon's keeper holds the catalog for its last checkpoint.
                    if is_unmade { Until::Done(None) } else { Until::NotYet(text) }
                }
            }
        })
    }

    /// All that the daemon logged, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
        format!("--- end of the daemon's log\n{}\n---", tail.join("\n"))
    }
}

impl Drop for Sut {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

fn folder() -> TempDir {
    // Short: the path of a Unix socket has at most 107 bytes.
    tempfile::Builder::new().prefix("sl-").tempdir().expect("a temporary folder can be made")
}

/// Runs `stellar-lake ingest --json` into `lake` with further arguments and gives what it printed.
///
/// # Panics
/// When it cannot be run.
pub fn ingest<A: AsRef<OsStr>>(lake: &Path, args: impl IntoIterator<Item = A>) -> Output {
    let mut command = Bin::StellarLake.command();
    command.arg("ingest").arg("--json").arg("--lake").arg(lake).args(args).stdin(Stdio::null());
    command.output().expect("the program is executable")
}
