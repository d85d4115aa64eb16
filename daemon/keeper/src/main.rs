//! Keeps the catalog of a lake open, so that readers without write permission find `-wal` and `-shm`.
//!
//! A process of its own, because a second copy of SQLite inside the daemon would break POSIX locks. Takes one
//! command per line on stdin (`ping`, `checkpoint passive`, `checkpoint truncate`, `backup PATH`) and answers
//! each with one line of JSON on stdout. End of file on stdin means that the daemon closed or died: the keeper
//! then checkpoints and exits without closing its connection, and the two files stay.

use std::{
    error::Error,
    fs::{self, File},
    io::{BufRead, Write, stdin, stdout},
    path::{Path, PathBuf},
    process::exit,
    thread,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};
use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};
use serde::Serialize;

type AnyError = Box<dyn Error>;

/// One answer line. Absent fields do not apply to the command.
#[derive(Serialize)]
struct Reply {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether a reader or writer kept the checkpoint from finishing.
    #[serde(skip_serializing_if = "Option::is_none")]
    busy: Option<bool>,
    /// Pages in the WAL after the checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    wal_pages: Option<i64>,
    /// Pages of the WAL that are in the database file.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpointed_pages: Option<i64>,
    /// Bytes of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

const DONE: Reply =
    Reply { ok: true, error: None, busy: None, wal_pages: None, checkpointed_pages: None, bytes: None };

fn main() {
    // systemd signals the whole control group; the keeper must outlive the daemon's last commit.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    let blocked = signals.thread_block().map_err(AnyError::from);
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        answer(&failed("usage: stellar-lake-keeper CATALOG"));
        exit(64);
    };
    let path = PathBuf::from(path);
    let connection = match blocked.and_then(|()| open(&path)) {
        Ok(connection) => connection,
        Err(error) => {
            answer(&failed(error.to_string()));
            exit(74);
        }
    };
    answer(&DONE);
    for line in stdin().lock().lines() {
        let Ok(line) = line else { break };
        answer(&command(&connection, line.trim()).unwrap_or_else(|error| failed(error.to_string())));
    }
    let code = if checkpoint(&connection, "TRUNCATE").is_ok() { 0 } else { 74 };
    // Ends without closing the connection: closing the last one would remove -wal and -shm.
    exit(code);
}

fn failed(error: impl Into<String>) -> Reply {
    Reply { ok: false, error: Some(error.into()), ..DONE }
}

fn answer(reply: &Reply) {
    let written = serde_json::to_string(reply).map_err(AnyError::from).and_then(|line| {
        let mut out = stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
        Ok(())
    });
    // Nobody reads any more: end of file on stdin follows.
    drop(written);
}

/// Opens the catalog in WAL mode and reads once, so that `-wal` and `-shm` exist and are held.
fn open(path: &Path) -> Result<Connection, AnyError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(format!("{}: journal mode is {mode}, not wal", path.display()).into());
    }
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

fn command(connection: &Connection, line: &str) -> Result<Reply, AnyError> {
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    match (verb, argument.trim()) {
        ("ping", "") => Ok(DONE),
        ("checkpoint", "passive") => checkpoint(connection, "PASSIVE"),
        ("checkpoint", "truncate") => checkpoint(connection, "TRUNCATE"),
        ("backup", path) if !path.is_empty() => backup(connection, Path::new(path)),
        _ => Err(format!(
            "unknown command {line:?}: one of ping, checkpoint passive, checkpoint truncate, backup PATH"
        )
        .into()),
    }
}

fn checkpoint(connection: &Connection, mode: &str) -> Result<Reply, AnyError> {
    let (busy, wal, done) = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    Ok(Reply { busy: Some(busy != 0), wal_pages: Some(wal), checkpointed_pages: Some(done), ..DONE })
}

/// Copies the catalog, consistent, while others write. The name appears when the copy is complete and durable.
fn backup(connection: &Connection, path: &Path) -> Result<Reply, AnyError> {
    let mut temp = path.as_os_str().to_owned();
    temp.push(".tmp");
    let temp = PathBuf::from(temp);
    let copied = copy(connection, &temp, path);
    if copied.is_err() && temp.exists() {
        fs::remove_file(&temp)?;
    }
    Ok(Reply { bytes: Some(copied?), ..DONE })
}

fn copy(connection: &Connection, temp: &Path, path: &Path) -> Result<u64, AnyError> {
    let mut target = Connection::open(temp)?;
    {
        let backup = Backup::new(connection, &mut target)?;
        // All pages in one step: a copy in small steps starts over at every commit.
        while !matches!(backup.step(-1)?, StepResult::Done) {
            thread::sleep(Duration::from_millis(10));
        }
    }
    target.close().map_err(|(_, error)| error)?;
    let file = File::open(temp)?;
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    fs::rename(temp, path)?;
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        File::open(dir)?.sync_all()?;
    }
    Ok(bytes)
}
