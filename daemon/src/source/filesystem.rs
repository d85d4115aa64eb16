//! A SEP-54 directory on a local disk, as Galexie writes it. Objects are read ahead in parallel within a bound on their
//! bytes; without an end the directory is followed as it grows.

mod reader;

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{future::BoxFuture, stream, stream::BoxStream};
use lake_core::{LedgerSeq, Network, RawLedger, decode};

use super::{
    Source, SourceError, Traffic,
    line::Line,
    reads::{Meter, Reads},
    sep54::{Layout, Manifest, first_of_name, is_object},
};
use crate::{budget::MemoryBudget, config::READ_TIMEOUT};
use reader::{READ_AHEAD, Reader};

/// An object larger than this when decompressed is refused: the largest real ledgers are a few MB.
const MAX_OBJECT_BYTES: u64 = 1 << 30;
/// Bytes of XDR for a byte of an object, in 64ths, until objects were seen: 10.
const FIRST_RATIO: u64 = 640;

/// A SEP-54 directory. Clones share their bounds.
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
    line: Line,
    read_ahead: MemoryBudget,
    /// Bytes of XDR for a byte of an object, in 64ths: a mean in which newer objects count more. Objects do not tell their
    /// size before they are read.
    ratio: AtomicU64,
}

/// How a directory is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Time after which a read that brings nothing is given up, to be tried again.
    pub timeout: Duration,
    /// Waited before each object.
    pub latency: Duration,
    /// Bytes of objects per second over all streams; `None`: no limit.
    pub bandwidth: Option<u64>,
    /// Bounds the decompressed objects that all streams hold. Streams wait for each other's room, so each needs a consumer
    /// of its own.
    pub read_ahead: MemoryBudget,
}

impl Default for ReadOptions {
    fn default() -> Self {
        let read_ahead = MemoryBudget::default();
        Self { timeout: READ_TIMEOUT, latency: Duration::ZERO, bandwidth: None, read_ahead }
    }
}

impl Filesystem {
    /// The directory at `path`, which must say that it belongs to `network`.
    pub fn new(path: &Path, network: Network) -> Self {
        Self::with_options(path, network, ReadOptions::default())
    }

    /// The same, read in another way.
    pub fn with_options(path: &Path, network: Network, options: ReadOptions) -> Self {
        let inner = Inner {
            path: path.to_owned(),
            network,
            layout: OnceLock::new(),
            reads: Reads::new(options.timeout),
            line: Line::new(options.latency, options.bandwidth),
            read_ahead: options.read_ahead,
            ratio: AtomicU64::new(FIRST_RATIO),
        };
        Self { inner: Arc::new(inner) }
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
        let reader = Reader::new(self.inner.clone(), from, until);
        Box::pin(stream::unfold(reader, |mut reader| async move {
            let item = reader.next().await?;
            Some((item, reader))
        }))
    }

    fn oldest(&self) -> BoxFuture<'_, Result<LedgerSeq, SourceError>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let (seq, path, size) = inner.clone().run(Inner::oldest_object).await?;
            inner.line.pass(size).await;
            let (of, from) = (inner.clone(), path.clone());
            let object = inner.reads.run(&path, move |meter| of.read(&from, seq, meter)).await?;
            // The name of the first object may begin before the first ledger: the batch inside tells.
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

    fn reads_at_once(&self) -> u32 {
        READ_AHEAD
    }

    fn seeks(&self) -> bool {
        true
    }

    fn bandwidth(&self) -> Option<u64> {
        self.inner.line.bandwidth()
    }

    fn traffic(&self) -> Traffic {
        self.inner.reads.traffic()
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

    /// The oldest object: its first ledger by name, path and size.
    fn oldest_object(&self, meter: &Meter) -> Result<(LedgerSeq, PathBuf, u64), SourceError> {
        let (first, layout) = self.end_object(Side::Oldest, meter)?;
        let seq = LedgerSeq::new(first);
        let (path, size) = self.find(seq, layout)?.ok_or_else(|| self.empty())?;
        Ok((seq, path, size))
    }

    /// Bytes that an object of `size` bytes will have when decompressed, as far as can be told.
    fn unpacked(&self, size: u64) -> usize {
        let bytes = size.saturating_mul(self.ratio.load(Ordering::Relaxed)) / 64;
        usize::try_from(bytes.min(MAX_OBJECT_BYTES)).unwrap_or(usize::MAX)
    }

    /// Reads and decompresses a whole object.
    fn read(&self, path: &Path, seq: LedgerSeq, meter: &Meter) -> Result<Object, SourceError> {
        let origin: Arc<str> = path.display().to_string().into();
        let packed = meter.file(path).map_err(|error| SourceError::Io {
            path: path.to_owned(),
            doing: "read",
            error,
        })?;
        let size = packed.len() as u64;
        match unpack(&packed, self.unpacked(size)) {
            Ok(bytes) => {
                let (seen, mean) =
                    (bytes.len() as u64 * 64 / size.max(1), self.ratio.load(Ordering::Relaxed));
                self.ratio.store((mean * 7 + seen).div_ceil(8), Ordering::Relaxed);
                Ok(Object { bytes, origin })
            }
            Err(reason) => Err(SourceError::Corrupt { origin, seq, reason, evidence: packed.into() }),
        }
    }

    /// The wanted ledgers of one object, each checked to be the one that the name promises.
    fn ledgers_of(
        &self,
        path: &Path,
        (from, until): (LedgerSeq, Option<LedgerSeq>),
        layout: Layout,
        meter: &Meter,
    ) -> Result<Vec<RawLedger>, SourceError> {
        let object = self.read(path, from, meter)?;
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
        let all = ledgers.len();
        let mut out = Vec::with_capacity(all);
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
        if out.len() < all {
            // A few ledgers must not keep their whole object in memory.
            out.iter_mut().for_each(|ledger| ledger.xdr = Bytes::copy_from_slice(&ledger.xdr));
        }
        Ok(out)
    }
}

/// Decompresses zstd: one frame with a known size in one go, anything else as a stream of about `expected` bytes.
fn unpack(packed: &[u8], expected: usize) -> Result<Bytes, String> {
    let describe = |e: std::io::Error| format!("not whole zstd data: {e}");
    match zstd::zstd_safe::get_frame_content_size(packed) {
        Ok(Some(size)) if size > MAX_OBJECT_BYTES => {
            Err(format!("decompresses to {size} bytes, more than 1 GiB"))
        }
        Ok(Some(size)) => {
            let size = usize::try_from(size).map_err(|e| e.to_string())?;
            zstd::bulk::decompress(packed, size).map(Bytes::from).map_err(describe)
        }
        Ok(None) | Err(_) => {
            // With room to spare: a buffer that has to grow leaves its smaller copies behind.
            let mut out = Vec::with_capacity(expected + expected / 4);
            let decoder = zstd::stream::read::Decoder::new(packed).map_err(describe)?;
            let mut limited = std::io::Read::take(decoder, MAX_OBJECT_BYTES);
            std::io::Read::read_to_end(&mut limited, &mut out).map_err(describe)?;
            // The spare room was written to as well, and shrinking in place would not give it back.
            Ok(Bytes::copy_from_slice(&out))
        }
    }
}
