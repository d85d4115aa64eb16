//! The head of a ledger: what can be said of it without reading its transactions.

use std::sync::Arc;

use bytes::Bytes;
use stellar_xdr as xdr;

use super::{
    DecodeError,
    walk::{Stop, Walk},
};
use crate::ledger::{Hash32, LedgerSeq};

/// What the front of a `LedgerCloseMeta` says. Nothing of it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// `header.ledgerSeq`.
    pub seq: LedgerSeq,
    /// Hash beside the header.
    pub hash: Hash32,
    /// `header.previousLedgerHash`.
    pub previous_hash: Hash32,
    /// Close time, seconds since the Unix epoch.
    pub close_time: u64,
}

/// Front part of a `LedgerCloseMeta`.
pub(super) struct Front {
    pub(super) version: i32,
    pub(super) soroban_fee_write_1kb: Option<i64>,
    pub(super) hash: Hash32,
    pub(super) header: xdr::LedgerHeader,
    pub(super) header_bytes: Bytes,
}

impl Front {
    pub(super) fn read(walk: &mut Walk<'_>) -> Result<Self, Stop> {
        let version: i32 = walk.read()?;
        let soroban_fee_write_1kb = match version {
            0 => None,
            1 | 2 => match walk.read()? {
                xdr::LedgerCloseMetaExt::V0 => None,
                xdr::LedgerCloseMetaExt::V1(ext) => Some(ext.soroban_fee_write1_kb),
            },
            _ => return Err(walk.stop(format!("unknown LedgerCloseMeta version {version}"))),
        };
        let xdr::Hash(hash) = walk.read()?;
        let (header, header_bytes) = walk.read_with_bytes()?;
        match walk.read()? {
            xdr::LedgerHeaderHistoryEntryExt::V0 => {}
        }
        Ok(Self { version, soroban_fee_write_1kb, hash: Hash32(hash), header, header_bytes })
    }

    pub(super) fn head(&self) -> Head {
        Head {
            seq: LedgerSeq::new(self.header.ledger_seq),
            hash: self.hash,
            previous_hash: Hash32(self.header.previous_ledger_hash.0),
            close_time: self.header.scp_value.close_time.0,
        }
    }
}

/// Reads the header of a `LedgerCloseMeta` and nothing after it: for streams, which do not say what comes next.
///
/// # Errors
/// [`DecodeError::Head`] when the bytes do not begin with one.
pub fn peek(xdr: &Bytes, origin: &Arc<str>) -> Result<Head, DecodeError> {
    let mut walk = Walk::new(xdr);
    Front::read(&mut walk).map(|front| front.head()).map_err(|stop| DecodeError::Head {
        origin: origin.clone(),
        reason: stop.reason,
        offset: stop.offset,
    })
}
