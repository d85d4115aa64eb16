//! One stream of ledgers from a directory: objects are read ahead in parallel while there is room for them.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use lake_core::{LedgerSeq, RawLedger};
use tokio::{task::JoinError, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::{Inner, Meter, Side};
use crate::{budget::Share, source::SourceError};

/// How often the next object of a followed directory is looked for, by its names: it costs what four names cost.
const POLL: Duration = Duration::from_millis(25);
/// How often the directory is listed for objects after one that is missing: partitions hold up to 64,000 names.
const LIST: Duration = Duration::from_secs(2);
/// Objects of a stream that are read at once: a round trip of 40 ms to each then still gives 800 ledgers per second.
pub(super) const READ_AHEAD: u32 = 32;

/// An object in reading, and the room that it takes.
struct Read {
    ledgers: AbortOnDropHandle<Result<Result<Vec<RawLedger>, SourceError>, JoinError>>,
    share: Share,
}

pub(super) struct Reader {
    inner: Arc<Inner>,
    /// First ledger of the next object to read; `None` when all wanted ones are in reading.
    next_read: Option<LedgerSeq>,
    next_out: LedgerSeq,
    until: Option<LedgerSeq>,
    reads: VecDeque<Read>,
    ready: VecDeque<RawLedger>,
    /// Room of the object whose ledgers are ready.
    held: Share,
    is_over: bool,
    /// When the directory was last listed, and the missing object that it was listed for.
    listed: Option<(Instant, LedgerSeq)>,
}

impl Reader {
    pub(super) fn new(inner: Arc<Inner>, from: LedgerSeq, until: Option<LedgerSeq>) -> Self {
        Self {
            inner,
            next_read: Some(from),
            next_out: from,
            until,
            reads: VecDeque::new(),
            ready: VecDeque::new(),
            held: Share::default(),
            is_over: false,
            listed: None,
        }
    }

    /// The next ledger; nothing after the last one or after an error.
    pub(super) async fn next(&mut self) -> Option<Result<RawLedger, SourceError>> {
        if self.is_over {
            return None;
        }
        let ledger = self.advance().await.transpose()?;
        self.is_over |= ledger.is_err();
        Some(ledger)
    }

    async fn advance(&mut self) -> Result<Option<RawLedger>, SourceError> {
        loop {
            if let Some(ledger) = self.ready.pop_front() {
                if self.ready.is_empty() {
                    self.held = Share::default();
                }
                match ledger.seq.next() {
                    Some(next) => self.next_out = next,
                    None => self.is_over = true,
                }
                return Ok(Some(ledger));
            }
            if self.until.is_some_and(|until| self.next_out > until) {
                return Ok(None);
            }
            self.read_ahead().await?;
            let Some(Read { ledgers, share }) = self.reads.pop_front() else {
                // Following, and the next object is not there yet.
                tokio::time::sleep(POLL).await;
                continue;
            };
            let ledgers = ledgers.await.and_then(|read| read).map_err(|error| self.ended_early(error));
            self.ready = ledgers??.into();
            self.held = share;
        }
    }

    /// Starts reads until there is no room or the next object does not exist. For the object that is wanted next the
    /// stream waits: it holds no room then, so streams never wait for each other.
    async fn read_ahead(&mut self) -> Result<(), SourceError> {
        while self.reads.len() < READ_AHEAD as usize
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
                let is_known = self.listed.is_some_and(|(at, of)| of == seq && at.elapsed() < LIST);
                if is_known && self.until.is_none() {
                    return Ok(());
                }
                self.listed = Some((Instant::now(), seq));
                return self.missing(seq).await;
            };
            let bytes = self.inner.unpacked(size);
            let share = match self.reads.is_empty() {
                true => self.inner.read_ahead.take(bytes).await,
                false => match self.inner.read_ahead.try_take(bytes) {
                    Some(share) => share,
                    None => return Ok(()),
                },
            };
            let (from, until, inner) = (seq, self.until, self.inner.clone());
            let ledgers = tokio::spawn(async move {
                inner.line.pass(size).await;
                // Not ended with the stream: a read that hangs must be known to hang.
                let read = tokio::spawn(async move {
                    let (of, object) = (inner.clone(), path.clone());
                    let read = move |meter: &Meter| of.ledgers_of(&object, (from, until), layout, meter);
                    inner.reads.run(&path, read).await
                });
                read.await
            });
            self.reads.push_back(Read { ledgers: AbortOnDropHandle::new(ledgers), share });
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

    fn ended_early(&self, error: JoinError) -> SourceError {
        let (path, error) = (self.inner.path.clone(), io::Error::other(error));
        SourceError::Io { path, doing: "a reading task ended early", error }
    }
}
