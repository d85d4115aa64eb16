//! Reads XDR piece by piece and remembers where each piece stands in the original bytes.

use std::sync::Arc;

use bytes::Bytes;
use stellar_xdr::{Limited, Limits, ReadXdr};

use super::DecodeError;
use crate::ledger::{LedgerSeq, RawLedger};

/// Deepest nesting that is read; stellar-core itself stops at 200 for values of contracts.
const DEPTH: u32 = 500;

/// A position in bytes that are being read. No allocation is larger than a small multiple of the bytes themselves.
pub(super) struct Walk<'a> {
    bytes: &'a Bytes,
    rest: Limited<&'a [u8]>,
}

/// The decoder's words and the offset that it stopped at.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) reason: String,
    pub(super) offset: u64,
}

impl Stop {
    pub(super) fn in_ledger(self, raw: &RawLedger) -> DecodeError {
        self.in_ledger_of(raw.seq, &raw.origin)
    }

    fn in_ledger_of(self, seq: LedgerSeq, origin: &Arc<str>) -> DecodeError {
        DecodeError::Xdr { seq, origin: origin.clone(), reason: self.reason, offset: self.offset }
    }

    pub(super) fn in_batch(self, origin: &Arc<str>) -> DecodeError {
        DecodeError::Batch { origin: origin.clone(), reason: self.reason, offset: self.offset }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a Bytes) -> Self {
        let limits = Limits { depth: DEPTH, len: bytes.len() };
        Self { bytes, rest: Limited::new(bytes, limits) }
    }

    /// Bytes that were read.
    pub(super) fn position(&self) -> usize {
        self.bytes.len().saturating_sub(self.rest.inner.len())
    }

    /// Bytes that were not read yet.
    pub(super) fn remaining(&self) -> usize {
        self.rest.inner.len()
    }

    /// The next value.
    pub(super) fn read<T: ReadXdr>(&mut self) -> Result<T, Stop> {
        T::read_xdr(&mut self.rest).map_err(|error| self.stop(error.to_string()))
    }

    /// The next value and its bytes.
    pub(super) fn read_with_bytes<T: ReadXdr>(&mut self) -> Result<(T, Bytes), Stop> {
        let start = self.position();
        let value = self.read()?;
        Ok((value, self.since(start)))
    }

    /// The bytes from `start` to here.
    pub(super) fn since(&self, start: usize) -> Bytes {
        let end = self.position();
        self.bytes.slice(start.min(end)..end)
    }

    /// A failure at this position.
    pub(super) fn stop(&self, reason: impl Into<String>) -> Stop {
        Stop { reason: reason.into(), offset: self.position().try_into().unwrap_or(u64::MAX) }
    }

    /// Reads a list: its length, then `each` so many times. Room is taken as elements come, not as promised.
    pub(super) fn list<T>(
        &mut self,
        mut each: impl FnMut(&mut Self, u32) -> Result<T, Stop>,
    ) -> Result<Vec<T>, Stop> {
        const FIRST_ROOM: u32 = 512;
        let count: u32 = self.read()?;
        let mut all = Vec::with_capacity(usize::try_from(count.min(FIRST_ROOM)).unwrap_or_default());
        for index in 0..count {
            all.push(each(self, index)?);
        }
        Ok(all)
    }
}
