//! SEP-54 batches: where each ledger of a `LedgerCloseMetaBatch` begins and ends.

use std::sync::Arc;

use bytes::Bytes;
use stellar_xdr as xdr;

use super::{
    DecodeError,
    head::{Front, Head},
    walk::{Stop, Walk},
};
use crate::ledger::{Hash32, LedgerSeq, RawLedger};

/// Cuts a `LedgerCloseMetaBatch` into its ledgers and gives them with the first and last sequence that the batch
/// names. The ledgers are numbered back from the last one, because the first batch of a network is named from 0 and
/// holds the first ledger that exists. They are not decoded: decoding checks their numbers.
///
/// # Errors
/// [`DecodeError::Batch`] when the bytes are not one whole batch.
pub fn split_batch(
    bytes: &Bytes,
    origin: &Arc<str>,
) -> Result<(LedgerSeq, LedgerSeq, Vec<RawLedger>), DecodeError> {
    split(bytes, origin).map_err(|stop| stop.in_batch(origin))
}

fn split(bytes: &Bytes, origin: &Arc<str>) -> Result<(LedgerSeq, LedgerSeq, Vec<RawLedger>), Stop> {
    let mut walk = Walk::new(bytes);
    let (start, end, count): (u32, u32, u32) = (walk.read()?, walk.read()?, walk.read()?);
    let named = u64::from(end) + 1;
    if start > end || u64::from(count) + u64::from(start) > named {
        return Err(walk.stop(format!("{count} ledgers in a batch that is named {start} to {end}")));
    }
    let first = end.saturating_sub(count.saturating_sub(1));
    let mut rest = bytes.slice(walk.position()..);
    let mut ledgers = Vec::new();
    for seq in (first..=end).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        let cut = if seq == end {
            rest.len()
        } else {
            boundary(&rest).map_err(|stop| shifted(stop, bytes, &rest))?
        };
        ledgers.push(RawLedger { seq: LedgerSeq::new(seq), xdr: rest.split_to(cut), origin: origin.clone() });
    }
    if !rest.is_empty() {
        return Err(shifted(
            Stop { reason: format!("{} bytes follow the batch", rest.len()), offset: 0 },
            bytes,
            &rest,
        ));
    }
    Ok((LedgerSeq::new(start), LedgerSeq::new(end), ledgers))
}

fn shifted(stop: Stop, all: &Bytes, rest: &Bytes) -> Stop {
    let before = u64::try_from(all.len().saturating_sub(rest.len())).unwrap_or(u64::MAX);
    Stop { offset: stop.offset.saturating_add(before), ..stop }
}

/// Length of the ledger at the front of `bytes`, which another one follows.
///
/// XDR says nowhere how long a value is. But the next ledger names this one's hash, which cannot stand anywhere in
/// this ledger after its head (it depends on all of it), so a search finds the next one without decoding this one.
/// Where ledgers do not link the slow way is taken; decoding then says what is wrong.
fn boundary(bytes: &Bytes) -> Result<usize, Stop> {
    let mut walk = Walk::new(bytes);
    let front = Front::read(&mut walk)?;
    let head = front.head();
    let mut from = walk.position();
    while let Some(found) = find(bytes, &head.hash, from) {
        if let Some(start) = next_start(bytes, &head, found) {
            return Ok(start);
        }
        from = found.saturating_add(4);
    }
    let mut walk = Walk::new(bytes);
    let _skipped: xdr::LedgerCloseMeta = walk.read()?;
    Ok(walk.position())
}

/// Offset of `hash` in `bytes`, at or after `from`. XDR keeps everything on multiples of 4.
fn find(bytes: &[u8], hash: &Hash32, from: usize) -> Option<usize> {
    let (front, _) = hash.0.split_first_chunk::<4>()?;
    let words = bytes.get(from..)?.chunks_exact(4);
    words
        .enumerate()
        .filter(|(_, word)| word == front)
        .map(|(n, _)| from.saturating_add(n.saturating_mul(4)))
        .find(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(&hash.0)))
}

/// Where a ledger that follows `head` starts, when its `previousLedgerHash` stands at `found`; `None` too where the
/// bytes can be read in two ways.
fn next_start(bytes: &Bytes, head: &Head, found: usize) -> Option<usize> {
    /// Bytes before it: version; the extension in its three lengths; hash and protocol version.
    const BEFORE: [usize; 3] = [4 + 36, 4 + 4 + 36, 4 + 16 + 36];
    let mut starts = BEFORE.iter().filter_map(|before| found.checked_sub(*before)).filter(|start| {
        let rest = bytes.slice(*start..);
        let mut walk = Walk::new(&rest);
        let Ok(front) = Front::read(&mut walk) else { return false };
        let next = front.head();
        Some(next.seq) == head.seq.next()
            && next.previous_hash == head.hash
            && next.hash == Hash32::sha256(&[&front.header_bytes])
            // The set that follows names the hash again, and shows whether there was an extension.
            && (front.version == 0 || walk.read::<i32>().is_ok_and(|set_version| set_version == 1))
            && walk.read::<xdr::Hash>().is_ok_and(|hash| Hash32(hash.0) == head.hash)
    });
    let start = starts.next()?;
    starts.next().is_none().then_some(start)
}
