//! The maintenance timer: merges small files, expires snapshots, deletes replaced files, checkpoints the WAL.
//! A thread of its own that gives the committer only short tasks.

use std::{
    fmt::Write,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::event;

use super::{
    catalog::{Catalog, meta},
    ddl::literal,
    error::LakeError,
    merge::MergeReport,
    open::Lake,
    timing::Timing,
};

/// How often the timer looks whether something is due.
const TICK: Duration = Duration::from_millis(500);
/// How often the keeper is asked whether it lives.
const PING: Duration = Duration::from_secs(5);
/// Replaced files that are deleted in one step of the committer.
const CLEAN_STEP: usize = 100;

/// What maintenance did since the lake was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaintenanceStats {
    /// Runs of any kind.
    pub runs: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// When the last one ended.
    pub last_run_at: Option<Instant>,
    /// Swaps of small files for a larger one per table.
    pub merges: u64,
    /// Files that were replaced.
    pub merged_files: u64,
    /// Files that replaced them.
    pub created_files: u64,
    /// Bytes that were rewritten.
    pub rewritten_bytes: u64,
    /// How long each run's longest swap kept the committer.
    pub swap: Timing,
    /// Snapshots that were expired.
    pub expired_snapshots: u64,
    /// Replaced files that were deleted.
    pub deleted_files: u64,
    /// How long each step of expiring or cleaning kept the committer.
    pub step: Timing,
    /// Checkpoints of the catalog's WAL.
    pub wal_checkpoints: u64,
    /// When the last one ended.
    pub last_wal_checkpoint_at: Option<Instant>,
    /// Times that it was asked for.
    pub asked: u64,
    /// Those of them that are done with.
    pub answered: u64,
    /// The last failure and when it was.
    pub last_error: Option<(Instant, String)>,
}

/// The running timer. Dropping it ends it after the step in hand.
#[derive(Debug)]
pub struct Maintenance {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if self.thread.take().is_some_and(|t| t.join().is_err()) {
            tracing::error!("maintenance ended by a panic");
        }
    }
}

impl Lake {
    /// Starts the maintenance timer; it runs until the returned value is dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_maintenance(self: &Arc<Self>) -> Result<Maintenance, LakeError> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (lake, stopped) = (Arc::clone(self), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("lake-maintain".to_owned())
            .spawn(move || run(&lake, &stopped))
            .map_err(|e| LakeError::io("start maintenance of", self.path(), e))?;
        Ok(Maintenance { stop, thread: Some(thread) })
    }

    /// What maintenance did so far.
    pub fn maintenance_stats(&self) -> MaintenanceStats {
        self.maintenance.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the timer to do all of it now. It is done once [`MaintenanceStats::answered`] is the returned number.
    pub fn ask_maintenance(&self) -> u64 {
        let mut stats = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        stats.asked = stats.asked.saturating_add(1);
        stats.asked
    }

    /// Expires old snapshots and deletes files that no snapshot needs any more, in small steps. Blocks.
    ///
    /// # Errors
    /// What the catalog says.
    pub fn expire_and_clean(&self, stop: &dyn Fn() -> bool) -> Result<(), LakeError> {
        let settings = self.settings.maintenance.clone();
        let Some(age) = settings.snapshot_age else { return Ok(()) };
        while !stop() {
            let step = settings.expire_step.max(1);
            let (expired, took) = self.ask(move |c| timed(|| expire(&mut c.catalog, age, step)))?;
            self.note(|stats| {
                stats.step.add(took);
                stats.expired_snapshots = stats.expired_snapshots.saturating_add(expired);
            });
            if expired == 0 {
                break;
            }
        }
        while !stop() {
            let age = settings.cleanup_age;
            let (deleted, took) = self.ask(move |c| timed(|| clean(&mut c.catalog, age)))?;
            self.note(|stats| {
                stats.step.add(took);
                stats.deleted_files = stats.deleted_files.saturating_add(deleted);
            });
            if deleted == 0 {
                break;
            }
        }
        Ok(())
    }

    fn note(&self, change: impl FnOnce(&mut MaintenanceStats)) {
        change(&mut self.maintenance.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn note_merge(&self, report: &MergeReport) {
        self.note(|stats| {
            stats.merges = stats.merges.saturating_add(report.merges);
            stats.merged_files = stats.merged_files.saturating_add(report.files_in);
            stats.created_files = stats.created_files.saturating_add(report.files_out);
            stats.rewritten_bytes = stats.rewritten_bytes.saturating_add(report.bytes_out);
            if report.merges > 0 {
                stats.swap.add(report.longest_swap);
            }
        });
    }

    /// Counts a run, and says once in the log what failed in it.
    fn note_run(&self, what: &'static str, result: Result<(), LakeError>) {
        let now = Instant::now();
        if let Err(error) = &result {
            tracing::warn!(target: event::MAINTENANCE_FAILED, what, error = %error, "maintenance ({what}) failed, it is tried again: {error}");
        }
        self.note(|stats| {
            stats.runs = stats.runs.saturating_add(1);
            stats.last_run_at = Some(now);
            if let Err(error) = result {
                stats.failures = stats.failures.saturating_add(1);
                stats.last_error = Some((now, format!("{what}: {error}")));
            }
        });
    }
}

/// When each kind of work was last done.
struct Timers {
    merged_at: Instant,
    merged_commits: u64,
    small_files: u64,
    expired_at: Instant,
    wal_at: Instant,
    pinged_at: Instant,
}

fn run(lake: &Lake, stop: &(Mutex<bool>, Condvar)) {
    let now = Instant::now();
    let mut timers = Timers {
        merged_at: now,
        merged_commits: 0,
        small_files: 0,
        expired_at: now,
        wal_at: now,
        pinged_at: now,
    };
    let stopped = || *stop.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let guard = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) =
            stop.1.wait_timeout_while(guard, TICK, |stop| !*stop).unwrap_or_else(PoisonError::into_inner);
        if *guard {
            return;
        }
        drop(guard);
        tick(lake, &mut timers, &stopped);
    }
}

fn tick(lake: &Lake, timers: &mut Timers, stopped: &dyn Fn() -> bool) {
    let settings = &lake.settings.maintenance;
    let written = lake.queue().stats().written;
    let fresh = written.saturating_sub(timers.merged_commits);
    let due = |interval: Option<Duration>, since: Instant| interval.is_some_and(|i| since.elapsed() >= i);
    let small = timers.small_files.saturating_add(fresh);
    let stats = lake.maintenance_stats();
    let asked = stats.asked > stats.answered;
    let is_wanted = settings.merge
        && fresh > 0
        && (settings.merge_every_commits.is_some_and(|n| fresh >= n)
            || settings.merge_small_files.is_some_and(|n| small >= n && fresh >= n.div_ceil(10))
            || due(settings.merge_interval, timers.merged_at));
    if asked || is_wanted {
        timers.merged_commits = written;
        timers.merged_at = Instant::now();
        let merged = lake.merge(stopped).map(|report| {
            timers.small_files = report.small_files;
            lake.note_merge(&report);
        });
        lake.note_run("merge", merged);
    }
    if asked || due(Some(settings.expire_interval), timers.expired_at) {
        timers.expired_at = Instant::now();
        lake.note_run("expire and clean", lake.expire_and_clean(stopped));
    }
    if asked || due(Some(settings.wal_interval), timers.wal_at) {
        timers.wal_at = Instant::now();
        let done = lake.keeper().checkpoint(false).map(|_| {
            lake.note(|stats| {
                stats.wal_checkpoints = stats.wal_checkpoints.saturating_add(1);
                stats.last_wal_checkpoint_at = Some(Instant::now());
            });
        });
        lake.note_run("wal checkpoint", done);
    } else if due(Some(PING), timers.pinged_at) {
        timers.pinged_at = Instant::now();
        if let Err(error) = lake.keeper().ping() {
            lake.note_run("keeper", Err(error));
        }
    }
    if asked {
        lake.note(|now| now.answered = stats.asked);
    }
}

fn timed<T>(work: impl FnOnce() -> Result<T, LakeError>) -> Result<(T, Duration), LakeError> {
    let started = Instant::now();
    work().map(|value| (value, started.elapsed()))
}

/// `TIMESTAMPTZ` text of the moment `age` ago.
fn moment(catalog: &Catalog, age: Duration) -> String {
    let micros = catalog.now_for_ages().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    format!("make_timestamptz({micros}::BIGINT)")
}

/// Expires up to `step` snapshots that are older than `age`, never the newest. Returns how many.
fn expire(catalog: &mut Catalog, age: Duration, step: usize) -> Result<u64, LakeError> {
    let snapshots = meta("ducklake_snapshot");
    let sql = format!(
        "SELECT snapshot_id::BIGINT FROM {snapshots} WHERE snapshot_time::TIMESTAMPTZ < {} \
         AND snapshot_id < (SELECT max(snapshot_id) FROM {snapshots}) ORDER BY 1 LIMIT {step}",
        moment(catalog, age)
    );
    let old: Vec<i64> = catalog.rows("list old snapshots", &sql, |r| r.get(0))?;
    if old.is_empty() {
        return Ok(0);
    }
    let mut versions = String::new();
    for id in &old {
        let separator = if versions.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        write!(versions, "{separator}{id}").unwrap_or_default();
    }
    catalog.execute(
        "expire snapshots",
        &format!("CALL ducklake_expire_snapshots('lake', versions => [{versions}])"),
    )?;
    Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
}

/// Deletes some of the files that were scheduled for deletion more than `age` ago. Returns how many.
fn clean(catalog: &mut Catalog, age: Duration) -> Result<u64, LakeError> {
    let sql = format!(
        "SELECT max(t)::VARCHAR, count(*)::UBIGINT FROM (SELECT schedule_start::TIMESTAMPTZ AS t FROM {} \
         WHERE schedule_start::TIMESTAMPTZ < {} ORDER BY t LIMIT {CLEAN_STEP})",
        meta("ducklake_files_scheduled_for_deletion"),
        moment(catalog, age)
    );
    let found = catalog.rows("list files to be deleted", &sql, |r| {
        Ok((r.get::<_, Option<String>>(0)?, r.get::<_, u64>(1)?))
    })?;
    let Some((Some(until), count)) = found.into_iter().next() else { return Ok(0) };
    let sql = format!(
        "CALL ducklake_cleanup_old_files('lake', older_than => {}::TIMESTAMPTZ + INTERVAL 1 MICROSECOND)",
        literal(&until)
    );
    catalog.execute("delete replaced files", &sql)?;
    Ok(count)
}
