//! Reads that may hang: a disk behind a network that does not answer, a pipe that nobody writes. Each runs on a thread of
//! its source's own, with a deadline on its progress: what comes slowly is waited for, what does not come is an error.
//!
//! A read that hangs cannot be ended, only left behind. It keeps its thread, so what hangs is asked again ever more seldom,
//! and the threads of one source are bounded: another one never waits for them.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};

use super::{SourceError, Traffic};

/// Threads of one source.
const THREADS: usize = 256;

/// Reads left behind before a source is not asked at all: there must be threads left for those that end.
const MOST_HANGING: usize = 128;

/// Longest time before something is read again whose earlier reads hang.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Reads of one source.
#[derive(Debug)]
pub(super) struct Reads {
    timeout: Duration,
    /// Only its threads are used; `None` once dropped or when it could not be made.
    runtime: Option<Runtime>,
    /// Of all reads together: one that waits for a thread is waiting for the others.
    all: Arc<Clock>,
    hanging: Arc<Mutex<Vec<Hanging>>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Hanging {
    path: PathBuf,
    read: Arc<Clock>,
}

/// When something last moved.
#[derive(Debug)]
struct Clock {
    origin: Instant,
    /// Milliseconds after `origin`.
    moved: AtomicU64,
    started: AtomicBool,
    ended: AtomicBool,
}

impl Clock {
    fn new() -> Arc<Self> {
        let never = AtomicBool::new(false);
        Arc::new(Self {
            origin: Instant::now(),
            moved: AtomicU64::new(0),
            started: never,
            ended: AtomicBool::new(false),
        })
    }

    fn moves(&self) {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        self.origin.elapsed().saturating_sub(moved)
    }
}

/// What a read tells of its progress.
#[derive(Debug)]
pub(super) struct Meter {
    own: Arc<Clock>,
    all: Arc<Clock>,
    hanging: Arc<Mutex<Vec<Hanging>>>,
    counts: Arc<Counts>,
}

impl Meter {
    /// Something came.
    pub(super) fn moves(&self) {
        self.own.moves();
        self.all.moves();
    }

    /// A whole file.
    pub(super) fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        self.moves();
        let size = file.metadata().map_or(0, |data| data.len());
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(MOST_RESERVED));
        Metered { file, meter: self }.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Memory that is reserved on the word of a file's size.
const MOST_RESERVED: usize = 64 << 20;

impl Drop for Meter {
    fn drop(&mut self) {
        let mut hanging = lock(&self.hanging);
        self.own.ended.store(true, Ordering::Relaxed);
        hanging.retain(|other| !Arc::ptr_eq(&other.read, &self.own));
    }
}

struct Metered<'m> {
    file: File,
    meter: &'m Meter,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        self.meter.moves();
        self.meter.counts.bytes.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

fn lock(hanging: &Mutex<Vec<Hanging>>) -> MutexGuard<'_, Vec<Hanging>> {
    hanging.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reads {
    pub(super) fn new(timeout: Duration) -> Self {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(THREADS)
            .thread_name("source-read")
            .build()
            .inspect_err(|error| tracing::error!(error = %error, "a source has no threads to read with"));
        Self {
            timeout,
            runtime: runtime.ok(),
            all: Clock::new(),
            hanging: Arc::default(),
            counts: Arc::default(),
        }
    }

    /// What was read.
    pub(super) fn traffic(&self) -> Traffic {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { requests, failures, bytes } = &*self.counts;
        Traffic { requests: of(requests), failures: of(failures), bytes: of(bytes) }
    }

    /// Runs `work` on a thread and waits for it for as long as it moves.
    ///
    /// # Errors
    /// What `work` gives; [`SourceError::Io`] of the kind `TimedOut`, which names `path`, when nothing came for too long.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&Meter) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        self.watched(path, work).await.inspect_err(|_| {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
        })
    }

    async fn watched<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&Meter) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        self.refuse_what_hangs(path)?;
        let failed = |error| SourceError::Io { path: path.to_owned(), doing: "read", error };
        let own = Clock::new();
        let meter = Meter {
            own: Arc::clone(&own),
            all: Arc::clone(&self.all),
            hanging: Arc::clone(&self.hanging),
            counts: Arc::clone(&self.counts),
        };
        let runtime = self.runtime.as_ref().ok_or_else(|| failed(io::Error::other("no threads")))?;
        let mut task = runtime.spawn_blocking(move || {
            meter.own.started.store(true, Ordering::Relaxed);
            meter.moves();
            let result = work(&meter);
            meter.all.moves();
            result
        });
        loop {
            let idle = match own.started.load(Ordering::Relaxed) {
                true => own.idle(),
                false => own.idle().min(self.all.idle()),
            };
            let left = self.timeout.saturating_sub(idle);
            if left.is_zero() {
                task.abort();
                self.leave_behind(path, &own);
                return Err(self.timed_out(path, "no byte came for"));
            }
            match tokio::time::timeout(left, &mut task).await {
                Ok(Ok(result)) => return result,
                Ok(Err(error)) => return Err(failed(io::Error::other(error))),
                // It may have moved since.
                Err(_) => {}
            }
        }
    }

    fn leave_behind(&self, path: &Path, read: &Arc<Clock>) {
        let mut hanging = lock(&self.hanging);
        if !read.ended.load(Ordering::Relaxed) {
            hanging.push(Hanging { path: path.to_owned(), read: Arc::clone(read) });
        }
    }

    /// Another file may be under the path by now, so it is asked again, but ever more seldom.
    fn refuse_what_hangs(&self, path: &Path) -> Result<(), SourceError> {
        let hanging = lock(&self.hanging);
        let mut of_path = hanging.iter().filter(|hanging| hanging.path == path);
        if let Some(last) = of_path.next_back() {
            let earlier = u32::try_from(of_path.count()).unwrap_or(u32::MAX);
            let pause = self.timeout.saturating_mul(2_u32.saturating_pow(earlier + 1)).min(LONGEST_PAUSE);
            if last.read.idle() < pause {
                return Err(self.timed_out(path, "an earlier read of it hangs still: no byte came for"));
            }
        }
        match hanging.last().filter(|_| hanging.len() >= MOST_HANGING) {
            Some(last) => Err(self.timed_out(&last.path, "it hangs as many others do: no byte came for")),
            None => Ok(()),
        }
    }

    fn timed_out(&self, path: &Path, what: &str) -> SourceError {
        let words = format!("{what} {:?}: mend the disk or the mount; it is tried again", self.timeout);
        let error = io::Error::new(ErrorKind::TimedOut, words);
        SourceError::Io { path: path.to_owned(), doing: "read", error }
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        // Waiting for a read that hangs would be for ever.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
