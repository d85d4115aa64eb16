//! An outside anchor: the headers of a history archive (stellar-core, docs/history.md), in a folder.
//!
//! A checkpoint is a ledger whose number ends in 0x3f; `ledger/ww/xx/yy/ledger-<8 hex digits>.xdr.gz` holds the 64
//! headers up to it as `LedgerHeaderHistoryEntry`, each after four bytes of length with the highest bit set (RFC 5531,
//! record marking).

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use lake_core::{Hash32, LedgerRange, LedgerSeq};
use stellar_xdr::{LedgerHeaderHistoryEntry, Limits, ReadXdr};

use super::{Finding, Kind, VerifyError, unit::Unit};
use crate::lake::LEDGERS_TABLE;

/// Ledgers of a checkpoint.
const CHECKPOINT: u32 = 64;

/// Longest record that is read: a header has less than a thousand bytes.
const MAX_RECORD: u32 = 1 << 16;

/// Longest file of headers that is read, in bytes.
const MAX_FILE: u64 = CHECKPOINT as u64 * MAX_RECORD as u64;

/// Whether this is the folder of an archive.
pub(super) fn check(archive: &Path) -> Result<(), VerifyError> {
    let is_folder = archive.join("ledger").is_dir();
    let refused =
        |reason: &str| VerifyError::Archive { path: archive.to_path_buf(), reason: reason.to_owned() };
    if archive.to_str().is_some_and(|text| text.contains("://")) {
        return Err(refused("archives are read from folders only, not over the network"));
    }
    is_folder.then_some(()).ok_or_else(|| refused("it has no folder `ledger`"))
}

/// Compares the hashes of all headers that the archive has of these ledgers.
pub(super) fn compare(unit: &mut Unit, archive: &Path) {
    let mut at = unit.range.start().get() | (CHECKPOINT - 1);
    let mut problems = Vec::new();
    while at <= unit.range.end().get() {
        let path = file_of(archive, at);
        match headers(&path) {
            Ok(headers) => {
                for (seq, hash) in headers {
                    let Some(index) = unit.index(seq.into()) else { continue };
                    let Some(Some(facts)) = unit.facts.get(index) else { continue };
                    unit.tally.anchored += 1;
                    if facts.hash != hash {
                        problems.push((
                            seq,
                            path.clone(),
                            format!("ledger {seq} is {} here, {hash} there", facts.hash),
                        ));
                    }
                }
            }
            Err(problem) => problems.push((at, path, problem)),
        }
        let Some(next) = at.checked_add(CHECKPOINT) else { break };
        at = next;
    }
    for (seq, path, problem) in problems {
        let seq = LedgerSeq::new(seq);
        let Some(range) = LedgerRange::new(seq, seq) else { continue };
        unit.findings.push(Finding {
            kind: Kind::Archive,
            range,
            table: LEDGERS_TABLE.to_owned(),
            file: Some(path),
            problem,
            // The same source would give the same ledgers.
            heals: false,
        });
    }
}

/// The file of the headers up to a checkpoint.
fn file_of(archive: &Path, checkpoint: u32) -> PathBuf {
    let name = format!("{checkpoint:08x}");
    let mut path = archive.join("ledger");
    for part in 0..3 {
        path.push(name.get(part * 2..part * 2 + 2).unwrap_or_default());
    }
    path.join(format!("ledger-{name}.xdr.gz"))
}

/// Sequence and hash of every header of a file.
fn headers(path: &Path) -> Result<Vec<(u32, Hash32)>, String> {
    let file = File::open(path).map_err(|e| format!("cannot be opened ({e})"))?;
    let mut bytes = Vec::new();
    MultiGzDecoder::new(file)
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("cannot be unpacked ({e})"))?;
    let mut headers = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((mark, after)) = rest.split_first_chunk::<4>() {
        let mark = u32::from_be_bytes(*mark);
        let length = mark & 0x7fff_ffff;
        let record = (mark != length && length <= MAX_RECORD)
            .then(|| after.split_at_checked(usize::try_from(length).ok()?))
            .flatten();
        let Some((record, after)) = record else { return Err("is no stream of records".to_owned()) };
        let entry = LedgerHeaderHistoryEntry::from_xdr(record, Limits { depth: 100, len: record.len() })
            .map_err(|e| format!("holds a record that is no LedgerHeaderHistoryEntry ({e})"))?;
        headers.push((entry.header.ledger_seq, Hash32(entry.hash.0)));
        rest = after;
    }
    match rest.is_empty() {
        true => Ok(headers),
        false => Err("ends within a record".to_owned()),
    }
}
