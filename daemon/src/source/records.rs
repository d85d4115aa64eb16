//! A stream of record-marked `LedgerCloseMeta` from a file or standard input, as stellar-core writes it to its
//! metadata stream: a 4-byte big-endian length with the high bit set, then the XDR. Plain or zstd. Read once, forward.

use std::{
    fs::File,
    io::{BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use lake_core::{LedgerSeq, RawLedger, decode};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Source, SourceError};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Records that wait between reader and pipeline.
const AHEAD: usize = 8;
/// A record longer than this is refused: the largest real ledgers are a few MB.
const MAX_RECORD_BYTES: u32 = 256 << 20;

/// A file, or `-` for standard input.
#[derive(Debug)]
pub struct RecordStream {
    state: Arc<Mutex<Option<Records>>>,
    origin: Arc<str>,
    path: PathBuf,
}

struct Records {
    input: Box<dyn Read + Send>,
    origin: Arc<str>,
    path: PathBuf,
    /// The first ledger, read to learn where the stream begins.
    pending: Option<RawLedger>,
    last: Option<LedgerSeq>,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("origin", &self.origin)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl RecordStream {
    /// Opens the stream and tells plain from zstd.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let io = |doing| move |error| SourceError::Io { path: path.to_owned(), doing, error };
        let (origin, input): (Arc<str>, Box<dyn Read + Send>) = if path == Path::new("-") {
            ("standard input".into(), Box::new(std::io::stdin()))
        } else {
            (path.display().to_string().into(), Box::new(File::open(path).map_err(io("open"))?))
        };
        let mut input = BufReader::with_capacity(1 << 20, input);
        let mut magic = [0; 4];
        let got = read_up_to(&mut input, &mut magic).map_err(io("read"))?;
        let start = std::io::Cursor::new(magic.into_iter().take(got).collect::<Vec<u8>>());
        let whole = start.chain(input);
        let input: Box<dyn Read + Send> = if magic == ZSTD_MAGIC {
            Box::new(BufReader::new(zstd::stream::read::Decoder::new(whole).map_err(io("decompress"))?))
        } else {
            Box::new(whole)
        };
        let records =
            Records { input, origin: origin.clone(), path: path.to_owned(), pending: None, last: None };
        Ok(Self { state: Arc::new(Mutex::new(Some(records))), origin, path: path.to_owned() })
    }
}

impl Records {
    /// The next ledger; `None` at the end of the input.
    fn next(&mut self) -> Result<Option<RawLedger>, SourceError> {
        if let Some(ledger) = self.pending.take() {
            return Ok(Some(ledger));
        }
        let wanted = self.last.and_then(LedgerSeq::next);
        let corrupt = |origin: &Arc<str>, reason: String, evidence: Vec<u8>| SourceError::Corrupt {
            origin: origin.clone(),
            seq: wanted.unwrap_or(LedgerSeq::new(0)),
            reason,
            evidence: evidence.into(),
        };
        let after = match self.last {
            Some(last) => format!("after ledger {last}"),
            None => "at the start".to_owned(),
        };
        let mut mark = [0; 4];
        let got = read_up_to(&mut self.input, &mut mark).map_err(|e| self.failed(e, &after))?;
        if got == 0 {
            return Ok(None);
        }
        let mark = u32::from_be_bytes(mark);
        if got < 4 || mark & 0x8000_0000 == 0 {
            return Err(corrupt(
                &self.origin,
                format!("{after}: no record mark: not a stream of record-marked LedgerCloseMeta"),
                mark.to_be_bytes().to_vec(),
            ));
        }
        let length = mark & 0x7FFF_FFFF;
        if length > MAX_RECORD_BYTES {
            return Err(corrupt(
                &self.origin,
                format!("{after}: a record of {length} bytes, more than {MAX_RECORD_BYTES}"),
                mark.to_be_bytes().to_vec(),
            ));
        }
        let mut record = Vec::new();
        let read = (&mut self.input).take(u64::from(length)).read_to_end(&mut record);
        let read = read.map_err(|e| self.failed(e, &after))?;
        if u32::try_from(read) != Ok(length) {
            let reason = format!("{after}: the stream ends {read} bytes into a record of {length}");
            return Err(corrupt(&self.origin, reason, record));
        }
        let xdr = Bytes::from(record);
        let seq = decode::peek(&xdr, &self.origin)?.seq;
        if let Some(wanted) = wanted
            && seq != wanted
        {
            return Err(SourceError::Missing {
                seq: wanted,
                origin: self.origin.to_string(),
                detail: format!("ledger {seq} comes {after}"),
            });
        }
        self.last = Some(seq);
        Ok(Some(RawLedger { seq, xdr, origin: self.origin.clone() }))
    }

    /// The next ledger of `from..=until`; `None` after the last one.
    fn within(
        &mut self,
        from: LedgerSeq,
        until: Option<LedgerSeq>,
    ) -> Option<Result<RawLedger, SourceError>> {
        if until.is_some_and(|until| self.last >= Some(until) && self.pending.is_none()) {
            return None;
        }
        loop {
            match self.next() {
                Ok(None) => {
                    let until = until?;
                    return Some(Err(SourceError::Missing {
                        seq: self.last.and_then(LedgerSeq::next).unwrap_or(from).max(from),
                        origin: self.origin.to_string(),
                        detail: format!("the stream ends before ledger {until}"),
                    }));
                }
                // Captive core may begin at the checkpoint before the first wanted ledger.
                Ok(Some(ledger)) if ledger.seq < from => {}
                Ok(Some(ledger)) if until.is_some_and(|until| ledger.seq > until) => {
                    self.pending = Some(ledger);
                    return None;
                }
                Ok(Some(ledger)) => return Some(Ok(ledger)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn failed(&self, error: std::io::Error, after: &str) -> SourceError {
        // zstd reports damage as one of these, the operating system never does for a plain file.
        if matches!(error.kind(), ErrorKind::Other | ErrorKind::UnexpectedEof | ErrorKind::InvalidData) {
            return SourceError::Corrupt {
                origin: self.origin.clone(),
                seq: self.last.and_then(LedgerSeq::next).unwrap_or(LedgerSeq::new(0)),
                reason: format!("{after}: not whole zstd data: {error}"),
                evidence: Bytes::new(),
            };
        }
        SourceError::Io { path: self.path.clone(), doing: "read", error }
    }
}

fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|r| !r.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

impl Source for RecordStream {
    fn ledgers(
        &self,
        from: LedgerSeq,
        until: Option<LedgerSeq>,
    ) -> BoxStream<'static, Result<RawLedger, SourceError>> {
        let taken = self.state.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut records) = taken else {
            let error = SourceError::Mismatch {
                origin: self.origin.to_string(),
                message: "a record stream can be read only once, forward".to_owned(),
            };
            return futures::stream::once(async { Err(error) }).boxed();
        };
        let (sender, receiver) = mpsc::channel(AHEAD);
        let state = self.state.clone();
        tokio::task::spawn_blocking(move || {
            while let Some(item) = records.within(from, until) {
                let last = item.is_err();
                if sender.blocking_send(item).is_err() || last {
                    return;
                }
            }
            // A later range goes on where this one ended.
            *state.lock().unwrap_or_else(PoisonError::into_inner) = Some(records);
        });
        ReceiverStream::new(receiver).boxed()
    }

    fn oldest(&self) -> BoxFuture<'_, Result<LedgerSeq, SourceError>> {
        let (state, origin) = (self.state.clone(), self.origin.clone());
        let first = tokio::task::spawn_blocking(move || {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let empty =
                || SourceError::Empty { origin: origin.to_string(), detail: "no record in it".to_owned() };
            let records = state.as_mut().ok_or_else(empty)?;
            let first = records.next()?.ok_or_else(empty)?;
            let seq = first.seq;
            records.pending = Some(first);
            Ok(seq)
        });
        async move {
            first.await.unwrap_or_else(|error| {
                Err(SourceError::Io {
                    path: self.path.clone(),
                    doing: "a reading task ended early",
                    error: std::io::Error::other(error),
                })
            })
        }
        .boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Option<LedgerSeq>, SourceError>> {
        futures::future::ready(Ok(None)).boxed()
    }

    fn describe(&self) -> String {
        format!("records of {}", self.origin)
    }
}
