//! A SEP-54 directory on a local disk, as Galexie writes it. Objects are read ahead in parallel within a byte bound;
//! without an end the directory is followed as it grows.

use std::{
    collections::VecDeque,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use futures::{future::BoxFuture, stream, stream::BoxStream};
use lake_core::{LedgerSeq, Network, RawLedger, decode};
use tokio::task::JoinHandle;

use super::{
    Source, SourceError,
    reads::{Meter, Reads},
    sep54::{Layout, Manifest, first_of_name, is_object},
};
use crate::config::READ_TIMEOUT;

/// How often the next object of a followed directory is looked for.
const POLL: Duration = Duration::from_millis(100);
/// Objects read at once.
const READ_AHEAD: usize = 4;
/// Bytes of objects on disk that may be in reading; at least one object always is.
const READ_AHEAD_BYTES: u64 = 8 << 20;
/// An object larger than this when decompressed is refused: the largest real ledgers are a few MB.
const MAX_OBJECT_BYTES: u64 = 1 << 30;

/// A SEP-54 directory.
#[derive(Clone, Debug)]
pub struct Filesystem {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    network: Network,
    layout: OnceLock<Layout>,
    reads: Reads,
}

impl Filesystem {
    /// The directory at `path`, which must say that it belongs to `network`.
    pub fn new(path: &Path, network: Network) -> Self {
        Self::with_timeout(path, network, READ_TIMEOUT)
    }

    /// The same, where a read that brings nothing for `timeout` is given up.
    pub fn with_timeout(path: &Path, network: Network, timeout: Duration) -> Self {
        let (path, layout, reads) = (path.to_owned(), OnceLock::new(), Reads::new(timeout));
        Self { inner: Arc::new(Inner { path, network, layout, reads }) }
    }

    /// Whether the object of this ledger exists; errors count as no.
    pub fn has(&self, seq: LedgerSeq) -> bool {
        self.inner.layout().and_then(|layout| self.inner.find(seq, layout)).is_ok_and(|found| found.is_some())
    }
}

impl Source for Filesystem {
    fn ledgers(
        &self,
        from: LedgerSeq,
        until: Option<LedgerSeq>,
    ) -> BoxStream<'static, Result<RawLedger, SourceError>> {
        let reader = Reader {
            inner: self.inner.clone(),
            next_read: Some(from),
            next_out: from,
            until,
            reads: VecDeque::new(),
            read_bytes: 0,
            ready: VecDeque::new(),
            failed: false,
        };
        Box::pin(stream::unfold(reader, |mut reader| async move {
            if reader.failed {
                return None;
            }
            let item = reader.next().await?;
            reader.failed = item.is_err();
            Some((item, reader))
        }))
    }

    fn oldest(&self) -> BoxFuture<'_, Result<LedgerSeq, SourceError>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let first = inner.clone().run(|inner: &Inner, meter: &Meter| {
                let (first, layout) = inner.end_object(Side::Oldest, meter)?;
                let first = LedgerSeq::new(first);
                let (path, _) = inner.find(first, layout)?.ok_or_else(|| inner.empty())?;
                Ok((first, path))
            });
            let (first, path) = first.await?;
            // The name of the first object may begin before the first ledger: the batch inside tells.
            let of = path.clone();
            let object = inner.reads.run(&path, move |meter| read(&of, first, meter)).await?;
            let (_, _, ledgers) = decode::split_batch(&object.bytes, &object.origin)?;
            ledgers.first().map(|l| l.seq).ok_or_else(|| inner.empty())
        })
    }

    fn tip(&self) -> BoxFuture<'_, Result<Option<LedgerSeq>, SourceError>> {
        let newest = |inner: &Inner, meter: &Meter| {
            let (first, layout) = inner.end_object(Side::Newest, meter)?;
            Ok(Some(LedgerSeq::new(layout.object_range(LedgerSeq::new(first)).1)))
        };
        Box::pin(self.inner.clone().run(newest))
    }

    fn ledgers_per_object(&self) -> Option<u32> {
        // As far as it is known: looking it up could hang here.
        self.inner.layout.get().map(|layout| layout.ledgers_per_batch)
    }

    fn describe(&self) -> String {
        format!("filesystem {}", self.inner.path.display())
    }
}

#[derive(Clone, Copy)]
enum Side {
    Oldest,
    Newest,
}

/// A whole object, decompressed.
struct Object {
    bytes: Bytes,
    origin: Arc<str>,
}

type Read = JoinHandle<Result<Vec<RawLedger>, SourceError>>;

struct Reader {
    inner: Arc<Inner>,
    /// First ledger of the next object to read; `None` when all wanted ones are in reading.
    next_read: Option<LedgerSeq>,
    next_out: LedgerSeq,
    until: Option<LedgerSeq>,
    reads: VecDeque<(u64, Read)>,
    read_bytes: u64,
    ready: VecDeque<RawLedger>,
    failed: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<RawLedger, SourceError>> {
        loop {
            if let Some(ledger) = self.ready.pop_front() {
                self.next_out = ledger.seq.next()?;
                return Some(Ok(ledger));
            }
            if self.until.is_some_and(|until| self.next_out > until) {
                return None;
            }
            if let Err(error) = self.read_ahead().await {
                return Some(Err(error));
            }
            let Some((size, read)) = self.reads.pop_front() else {
                // Following, and the next object is not there yet.
                tokio::time::sleep(POLL).await;
                continue;
            };
            self.read_bytes -= size;
            match read.await {
                Ok(Ok(ledgers)) => self.ready = ledgers.into(),
                Ok(Err(error)) => return Some(Err(error)),
                Err(error) => {
                    return Some(Err(SourceError::Io {
                        path: self.inner.path.clone(),
                        doing: "a reading task ended early",
                        error: std::io::Error::other(error),
                    }));
                }
            }
        }
    }

    /// Starts reads until a bound is met or the next object does not exist.
    async fn read_ahead(&mut self) -> Result<(), SourceError> {
        while self.reads.len() < READ_AHEAD
            && (self.reads.is_empty() || self.read_bytes < READ_AHEAD_BYTES)
            && let Some(seq) = self.next_read
        {
            let found = self.inner.clone().run(move |inner: &Inner, _: &Meter| {
                let layout = inner.layout()?;
                Ok((layout, inner.find(seq, layout)?))
            });
            let (layout, found) = found.await?;
            let Some((path, size)) = found else {
                if !self.reads.is_empty() {
                    return Ok(());
                }
                return self.missing(seq).await;
            };
            let (from, until, inner) = (seq, self.until, self.inner.clone());
            let read = tokio::spawn(async move {
                let (of, object) = (inner.clone(), path.clone());
                let read = move |meter: &Meter| of.ledgers_of(&object, (from, until), layout, meter);
                inner.reads.run(&path, read).await
            });
            self.reads.push_back((size, read));
            self.read_bytes += size;
            let last = layout.object_range(seq).1;
            self.next_read = LedgerSeq::new(last).next().filter(|next| self.until.is_none_or(|u| *next <= u));
        }
        Ok(())
    }

    /// The next object is not there: an error when it should be, else a reason to wait.
    async fn missing(&self, seq: LedgerSeq) -> Result<(), SourceError> {
        let (until, origin) = (self.until, self.inner.path.display().to_string());
        let missing = move |inner: &Inner, meter: &Meter| {
            let layout = inner.layout()?;
            let newest = match inner.end_object(Side::Newest, meter) {
                Ok((first, _)) => Some(layout.object_range(LedgerSeq::new(first)).1),
                Err(SourceError::Empty { .. }) => None,
                Err(error) => return Err(error),
            };
            // Looked up again: it may have come in between.
            if inner.find(seq, layout)?.is_some() {
                return Ok(());
            }
            match newest {
                Some(newest) if newest > seq.get() => Err(SourceError::Missing {
                    seq,
                    origin,
                    detail: format!(
                        "no file {}.xdr.zst, though there are later ledgers, up to {newest}: fetch the missing file",
                        layout.key(seq)
                    ),
                }),
                _ if until.is_some() => Err(SourceError::Missing {
                    seq,
                    origin,
                    detail: match newest {
                        Some(newest) => format!("the newest ledger there is {newest}"),
                        None => "there are no ledgers yet".to_owned(),
                    },
                }),
                _ => Ok(()),
            }
        };
        self.inner.clone().run(missing).await
    }
}

impl Inner {
    /// Runs `work` on the directory where it may hang.
    async fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self, &Meter) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let of = self.clone();
        self.reads.run(&self.path, move |meter| work(&of, meter)).await
    }

    fn empty(&self) -> SourceError {
        SourceError::Empty {
            origin: self.path.display().to_string(),
            detail: "no file such as FFFFFFFD--2.xdr.zst in it".to_owned(),
        }
    }

    /// Layout of the directory, from its `.config.json`, checked against the network once.
    fn layout(&self) -> Result<Layout, SourceError> {
        if let Some(layout) = self.layout.get() {
            return Ok(*layout);
        }
        let path = self.path.join(".config.json");
        let mismatch =
            |message: String| SourceError::Mismatch { origin: path.display().to_string(), message };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && self.path.is_dir() => {
                return Err(mismatch(
                    "there is no .config.json (SEP-54), which says how the files are named: write one with \
                     networkPassphrase, compression, ledgersPerBatch and batchesPerPartition"
                        .to_owned(),
                ));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(SourceError::Io { path: self.path.clone(), doing: "open the directory", error });
            }
            Err(error) => return Err(SourceError::Io { path, doing: "read", error }),
        };
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|e| mismatch(format!("not a SEP-54 .config.json: {e}")))?;
        if manifest.network_passphrase != self.network.passphrase() {
            return Err(mismatch(format!(
                "these ledgers belong to the network `{}`, not to `{}`: correct the passphrase or the path",
                manifest.network_passphrase,
                self.network.passphrase()
            )));
        }
        if !matches!(manifest.compression.as_str(), "zstd" | "zst") {
            return Err(mismatch(format!(
                "compression `{}` is not known: only zstd is",
                manifest.compression
            )));
        }
        if manifest.ledgers_per_batch == 0 || manifest.batches_per_partition == 0 {
            return Err(mismatch("ledgersPerBatch and batchesPerPartition must be at least 1".to_owned()));
        }
        let layout = Layout {
            ledgers_per_batch: manifest.ledgers_per_batch,
            batches_per_partition: manifest.batches_per_partition,
        };
        Ok(*self.layout.get_or_init(|| layout))
    }

    /// Path and size of the object that holds `seq`, under either suffix. Lakes that were copied together without
    /// their partition folders are served too.
    fn find(&self, seq: LedgerSeq, layout: Layout) -> Result<Option<(PathBuf, u64)>, SourceError> {
        let key = layout.key(seq);
        let flat = key.rsplit('/').next().unwrap_or(&key);
        let names =
            [(key.as_str(), "xdr.zst"), (flat, "xdr.zst"), (key.as_str(), "xdr.zstd"), (flat, "xdr.zstd")];
        for (key, suffix) in names {
            let path = self.path.join(format!("{key}.{suffix}"));
            match fs::metadata(&path) {
                Ok(data) => return Ok(Some((path, data.len()))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(SourceError::Io { path, doing: "look up", error }),
            }
        }
        Ok(None)
    }

    /// First ledger, by name, of the oldest or newest object.
    fn end_object(&self, side: Side, meter: &Meter) -> Result<(u32, Layout), SourceError> {
        let layout = self.layout()?;
        let pick =
            |directory: &Path, want: &dyn Fn(&str) -> bool| -> Result<Option<(u32, PathBuf)>, SourceError> {
                let io = |error| SourceError::Io { path: directory.to_owned(), doing: "list", error };
                let mut best: Option<(u32, PathBuf)> = None;
                for entry in fs::read_dir(directory).map_err(io)? {
                    let entry = entry.map_err(io)?;
                    meter.moves();
                    let name = entry.file_name();
                    let Some(name) = name.to_str().filter(|n| want(n)) else { continue };
                    let Some(first) = first_of_name(name) else { continue };
                    let better = best.as_ref().is_none_or(|(b, _)| match side {
                        Side::Oldest => first < *b,
                        Side::Newest => first > *b,
                    });
                    if better {
                        best = Some((first, entry.path()));
                    }
                }
                Ok(best)
            };
        let is_partition = |name: &str| first_of_name(name).is_some() && !name.contains('.');
        let directory = match pick(&self.path, &is_partition)? {
            Some((_, partition)) if layout.batches_per_partition > 1 => partition,
            Some(_) | None => self.path.clone(),
        };
        let (first, _) = pick(&directory, &is_object)?.ok_or_else(|| self.empty())?;
        Ok((first, layout))
    }

    /// The wanted ledgers of one object, each checked to be the one that the name promises.
    fn ledgers_of(
        &self,
        path: &Path,
        (from, until): (LedgerSeq, Option<LedgerSeq>),
        layout: Layout,
        meter: &Meter,
    ) -> Result<Vec<RawLedger>, SourceError> {
        let object = read(path, from, meter)?;
        let corrupt = |reason: String| SourceError::Corrupt {
            origin: object.origin.clone(),
            seq: from,
            reason,
            evidence: object.bytes.clone(),
        };
        let (_, _, ledgers) =
            decode::split_batch(&object.bytes, &object.origin).map_err(|e| corrupt(e.to_string()))?;
        let (low, high) = layout.object_range(from);
        let mut wanted = from;
        let mut out = Vec::with_capacity(ledgers.len());
        for ledger in ledgers {
            if ledger.seq.get() < low || ledger.seq.get() > high {
                return Err(corrupt(format!(
                    "holds ledger {}, but its name says {low} to {high}: the wrong file under this name",
                    ledger.seq
                )));
            }
            if ledger.seq < from || until.is_some_and(|u| ledger.seq > u) {
                continue;
            }
            if ledger.seq != wanted {
                return Err(corrupt(format!(
                    "holds ledger {} where ledger {wanted} should stand",
                    ledger.seq
                )));
            }
            wanted = wanted.next().unwrap_or(wanted);
            out.push(ledger);
        }
        let last = until.map_or(high, |u| u.get().min(high));
        if wanted.get() <= last {
            return Err(corrupt(format!(
                "ledger {wanted} is missing in the file: it should hold {low} to {high}"
            )));
        }
        Ok(out)
    }
}

/// Reads and decompresses a whole object.
fn read(path: &Path, seq: LedgerSeq, meter: &Meter) -> Result<Object, SourceError> {
    let origin: Arc<str> = path.display().to_string().into();
    let packed =
        meter.file(path).map_err(|error| SourceError::Io { path: path.to_owned(), doing: "read", error })?;
    match unpack(&packed) {
        Ok(bytes) => Ok(Object { bytes: bytes.into(), origin }),
        Err(reason) => Err(SourceError::Corrupt { origin, seq, reason, evidence: packed.into() }),
    }
}

/// Decompresses zstd: one frame with a known size in one go, anything else as a stream.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let describe = |e: std::io::Error| format!("not whole zstd data: {e}");
    match zstd::zstd_safe::get_frame_content_size(packed) {
        Ok(Some(size)) if size > MAX_OBJECT_BYTES => {
            Err(format!("decompresses to {size} bytes, more than 1 GiB"))
        }
        Ok(Some(size)) => {
            let size = usize::try_from(size).map_err(|e| e.to_string())?;
            zstd::bulk::decompress(packed, size).map_err(describe)
        }
        Ok(None) | Err(_) => {
            let mut out = Vec::new();
            let decoder = zstd::stream::read::Decoder::new(packed).map_err(describe)?;
            let mut limited = std::io::Read::take(decoder, MAX_OBJECT_BYTES);
            std::io::Read::read_to_end(&mut limited, &mut out).map_err(describe)?;
            Ok(out)
        }
    }
}
