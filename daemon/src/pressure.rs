//! Memory pressure, as the service manager hands it over (systemd, "Memory Pressure Handling"): `$MEMORY_PRESSURE_WATCH` names
//! what to watch, `$MEMORY_PRESSURE_WRITE` what to write into it first. Under pressure caches shrink, before the kernel kills.

use std::{
    env, fs, io,
    io::{Read, Write},
    os::{
        fd::AsFd,
        unix::{
            fs::{FileTypeExt, OpenOptionsExt},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytesize::ByteSize;
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    budget::{MemoryBudget, Withheld},
    event,
    query::QueryExecutor,
    status::rss_bytes,
};

/// How long caches stay small after the last word of pressure.
const HOLD: Duration = Duration::from_secs(30);
/// How often what has become free meanwhile is withheld too.
const GROW: Duration = Duration::from_secs(1);

/// What shrinks.
#[derive(Clone, Debug)]
pub struct Caches {
    /// Begins with an empty instance, and runs one query at a time.
    pub query: Option<QueryExecutor>,
    /// Three quarters of each are not given out.
    pub budgets: Vec<MemoryBudget>,
}

/// What is watched.
enum Told {
    /// A file of the kernel: priority data, nothing to read.
    Kernel(AsyncFd<fs::File>),
    /// A pipe, whose bytes mean nothing.
    Pipe(AsyncFd<fs::File>),
    /// A socket, likewise.
    Socket(AsyncFd<UnixStream>),
}

/// What the environment names; `None` where nothing is to be watched.
pub fn named() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("MEMORY_PRESSURE_WATCH").filter(|path| !path.is_empty())?);
    // The manager's way to say that it is off.
    (path != Path::new("/dev/null")).then_some(path)
}

/// Watches for pressure until `stop`, and shrinks the caches while there is some.
pub async fn watch(path: PathBuf, caches: Caches, stop: CancellationToken) {
    let write = env::var("MEMORY_PRESSURE_WRITE").ok().filter(|text| !text.is_empty());
    let told = match open(&path, write.as_deref()) {
        Ok(told) => told,
        Err(error) => {
            tracing::warn!(path = %path.display(), error = %error, "memory pressure is not told: {error}");
            return;
        }
    };
    let watched = async {
        loop {
            if let Err(error) = told.next().await {
                tracing::warn!(path = %path.display(), error = %error, "memory pressure is told no more: {error}");
                return;
            }
            shrink(&told, &caches).await;
        }
    };
    stop.run_until_cancelled(watched).await;
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe code, and what is registered here is owned by it and stays open"
)]
fn open(path: &Path, write: Option<&str>) -> io::Result<Told> {
    let write = write.map(|text| BASE64_STANDARD.decode(text).map_err(io::Error::other)).transpose()?;
    let kind = fs::metadata(path)?.file_type();
    if kind.is_socket() {
        let mut socket = UnixStream::connect(path)?;
        socket.write_all(&write.unwrap_or_default())?;
        socket.set_nonblocking(true)?;
        return Ok(Told::Socket(AsyncFd::with_interest(socket, Interest::READABLE)?));
    }
    // A pipe is opened for writing too: with no writer it would be at its end again and again.
    let is_pipe = kind.is_fifo();
    let mut options = fs::OpenOptions::new();
    options.read(true).write(is_pipe || write.is_some()).custom_flags(nix::libc::O_NONBLOCK);
    let mut file = options.open(path)?;
    match is_pipe {
        true => Ok(Told::Pipe(AsyncFd::with_interest(file, Interest::READABLE)?)),
        false => {
            file.write_all(&write.unwrap_or_default())?;
            Ok(Told::Kernel(AsyncFd::with_interest(file, Interest::PRIORITY)?))
        }
    }
}

impl Told {
    /// Waits until pressure is told.
    async fn next(&self) -> io::Result<()> {
        match self {
            Self::Kernel(file) => {
                file.ready(Interest::PRIORITY).await?.clear_ready();
                Ok(())
            }
            Self::Pipe(file) => drain(file, |file, buffer| (&*file).read(buffer)).await,
            Self::Socket(socket) => drain(socket, |socket, buffer| (&*socket).read(buffer)).await,
        }
    }
}

/// Waits for bytes and forgets all that are there.
async fn drain<T: AsFd + std::os::fd::AsRawFd>(
    from: &AsyncFd<T>,
    read: impl Fn(&T, &mut [u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut buffer = [0; 512];
    let mut ready = from.ready(Interest::READABLE).await?;
    loop {
        match ready.try_io(|from| read(from.get_ref(), &mut buffer)) {
            Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            // No more for now.
            Err(_would_block) => return Ok(()),
        }
    }
}

/// Keeps the caches small until nothing was told for a while.
async fn shrink(told: &Told, caches: &Caches) {
    let before = rss_bytes();
    tracing::warn!(
        target: event::MEMORY_PRESSURE,
        resident = %ByteSize(before),
        "memory is short: caches shrink"
    );
    let _fewer_queries = caches.query.as_ref().map(QueryExecutor::one_at_a_time);
    if let Some(query) = caches.query.clone() {
        match tokio::task::spawn_blocking(move || query.renew()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %error, "the query instance was not renewed"),
            Err(error) => tracing::error!(error = %error, "renewing the query instance ended early"),
        }
    }
    let mut withheld: Vec<Withheld> = caches.budgets.iter().map(MemoryBudget::withhold).collect();
    let mut until = Instant::now() + HOLD;
    while Instant::now() < until {
        withheld.iter_mut().for_each(Withheld::grow);
        match tokio::time::timeout(GROW, told.next()).await {
            Ok(Ok(())) => until = Instant::now() + HOLD,
            // It is found out again, and told, where it is waited for.
            Ok(Err(_)) | Err(_) => {
                if until.saturating_duration_since(Instant::now()) > GROW {
                    tokio::time::sleep_until((Instant::now() + GROW).min(until)).await;
                }
            }
        }
    }
    tracing::info!(resident = %ByteSize(rss_bytes()), "memory is not short any more: caches may grow");
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    const BYTES: u64 = 1 << 20;

    fn pipe(folder: &Path) -> (PathBuf, fs::File) {
        let path = folder.join("pressure");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let writer = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        (path, writer)
    }

    async fn room(budget: &MemoryBudget, wanted: impl Fn(u64) -> bool) {
        while !wanted(budget.room()) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn budgets_shrink_under_pressure_and_large_takers_still_pass() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut writer) = pipe(folder.path());
        let budget = MemoryBudget::new(BYTES);
        let stop = CancellationToken::new();
        let caches = Caches { query: None, budgets: vec![budget.clone()] };
        let watching = tokio::spawn(watch(path, caches, stop.clone()));
        writer.write_all(b"x").unwrap();
        room(&budget, |room| room == BYTES / 4).await;
        // What is larger than what is left counts as all of it, and does not wait for the end of the pressure.
        let share = tokio::time::timeout(Duration::from_secs(10), budget.take(2 << 20)).await.unwrap();
        assert_eq!(budget.room(), 0);
        drop(share);
        stop.cancel();
        watching.await.unwrap();
        assert_eq!(budget.room(), BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn they_grow_again_when_nothing_is_told_for_a_while() {
        let budget = MemoryBudget::new(BYTES);
        let folder = tempfile::tempdir().unwrap();
        let (path, mut writer) = pipe(folder.path());
        let told = open(&path, None).unwrap();
        writer.write_all(b"x").unwrap();
        told.next().await.unwrap();
        let begun = Instant::now();
        let held = budget.try_take(1 << 19).unwrap();
        let caches = Caches { query: None, budgets: vec![budget.clone()] };
        let shrinking = shrink(&told, &caches);
        tokio::pin!(shrinking);
        assert!(tokio::time::timeout(GROW / 2, &mut shrinking).await.is_err());
        assert_eq!(budget.room(), 0, "half is in use, and the rest is withheld");
        drop(held);
        assert!(tokio::time::timeout(GROW * 4, &mut shrinking).await.is_err());
        assert_eq!(budget.room(), BYTES / 4, "what came back is withheld too");
        shrinking.await;
        assert!(begun.elapsed() >= HOLD);
        assert_eq!(budget.room(), BYTES);
    }

    #[tokio::test]
    async fn a_socket_gets_what_is_to_be_written_and_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let told = open(&path, Some("aGVsbG8=")).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut written = [0; 5];
        peer.read_exact(&mut written).unwrap();
        assert_eq!(&written, b"hello");
        peer.write_all(b"x").unwrap();
        told.next().await.unwrap();
        drop(peer);
        assert!(told.next().await.is_err(), "an end is no pressure");
        assert!(open(&path, Some("not base64")).is_err());
        assert!(open(&folder.path().join("none"), None).is_err());
    }
}
