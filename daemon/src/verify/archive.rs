//! An outside anchor: the headers of a history archive (stellar-core, docs/history.md), in a folder or on the web.
//!
//! A checkpoint is a ledger whose number ends in 0x3f; `ledger/ww/xx/yy/ledger-<8 hex digits>.xdr.gz` holds the 64
//! headers up to it as `LedgerHeaderHistoryEntry`, each after four bytes of length with the highest bit set (RFC 5531,
//! record marking).

use std::{
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use flate2::read::MultiGzDecoder;
use lake_core::{Hash32, LedgerRange, LedgerSeq, Network};
use serde::Deserialize;
use stellar_xdr::{LedgerHeaderHistoryEntry, Limits, ReadXdr};

use super::{Finding, Kind, VerifyError, unit::Unit};
use crate::lake::LEDGERS_TABLE;

/// What an archive says of itself.
const ROOT: &str = ".well-known/stellar-history.json";

/// Ledgers of a checkpoint.
const CHECKPOINT: u32 = 64;

/// Longest record that is read: a header has less than a thousand bytes.
const MAX_RECORD: u32 = 1 << 16;

/// Longest file of headers that is read, in bytes, packed or not.
const MAX_FILE: u64 = CHECKPOINT as u64 * MAX_RECORD as u64;

/// Longest time for one file of an archive on the web.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Tries of a file of an archive on the web, within about half a minute.
const TRIES: usize = 7;

/// Wait after the first of them; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Files that are read at once.
const AT_ONCE: usize = 8;

/// Where an archive is.
#[derive(Clone, Debug)]
pub(super) enum Archive {
    /// In this folder.
    Folder(PathBuf),
    /// Below this address, which ends without a slash.
    Web { base: String, agent: ureq::Agent },
}

/// The part of `.well-known/stellar-history.json` that says whose archive it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Root {
    /// Not written by old versions of stellar-core.
    network_passphrase: Option<String>,
}

/// A file whose content cannot be had.
#[derive(Debug, thiserror::Error)]
enum Missing {
    /// The archive does not have it.
    #[error("is not in the archive")]
    Absent,
    /// Something went wrong, perhaps for now.
    #[error("{0}")]
    Failed(String),
    /// It is not what it should be.
    #[error("{0}")]
    Damaged(String),
}

impl Archive {
    /// The archive of `network` at a folder or an http(s) address.
    ///
    /// # Errors
    /// [`VerifyError::Archive`] when there is none, or it is another network's.
    pub(super) fn open(place: &str, network: &Network) -> Result<Self, VerifyError> {
        let refused = |reason: String| VerifyError::Archive { place: place.to_owned(), reason };
        let archive = match place.split_once("://") {
            None => Self::Folder(PathBuf::from(place)),
            Some(("http" | "https", _)) => {
                let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT));
                Self::Web { base: place.trim_end_matches('/').to_owned(), agent: config.build().into() }
            }
            Some((scheme, _)) => {
                return Err(refused(format!("`{scheme}` is not known: use http, https or a folder")));
            }
        };
        let root = match (&archive, archive.read(ROOT)) {
            (_, Ok(root)) => root,
            // A copy of the headers alone is enough.
            (Self::Folder(folder), Err(Missing::Absent)) if folder.join("ledger").is_dir() => {
                return Ok(archive);
            }
            (_, Err(problem)) => return Err(refused(format!("{ROOT} {problem}"))),
        };
        let root: Root =
            serde_json::from_slice(&root).map_err(|e| refused(format!("{ROOT} cannot be read ({e})")))?;
        match root.network_passphrase {
            Some(other) if other != network.passphrase() => Err(refused(format!(
                "it belongs to the network `{other}`, not to `{}`",
                network.passphrase()
            ))),
            Some(_) | None => Ok(archive),
        }
    }

    /// Where a file is, for messages.
    fn locate(&self, file: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(file),
            Self::Web { base, .. } => PathBuf::from(format!("{base}/{file}")),
        }
    }

    /// The bytes of a file; from the web with some patience.
    fn read(&self, file: &str) -> Result<Vec<u8>, Missing> {
        let (base, agent) = match self {
            Self::Folder(folder) => {
                return fs::read(folder.join(file)).map_err(|error| {
                    match error.kind() == ErrorKind::NotFound {
                        true => Missing::Absent,
                        false => Missing::Damaged(format!("cannot be read ({error})")),
                    }
                });
            }
            Self::Web { base, agent } => (base, agent),
        };
        let address = format!("{base}/{file}");
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_jitter()
            .with_max_times(TRIES - 1)
            .build();
        loop {
            let error = match agent.get(&address).call() {
                Ok(mut answer) => match answer.body_mut().with_config().limit(MAX_FILE).read_to_vec() {
                    Ok(bytes) => return Ok(bytes),
                    Err(error) => error,
                },
                Err(ureq::Error::StatusCode(404 | 410)) => return Err(Missing::Absent),
                // The caller's mistake stays one.
                Err(error @ (ureq::Error::StatusCode(400..=407) | ureq::Error::BadUri(_))) => {
                    return Err(Missing::Damaged(format!("cannot be fetched ({error})")));
                }
                Err(error) => error,
            };
            match waits.next() {
                Some(wait) => thread::sleep(wait),
                None => {
                    return Err(Missing::Failed(format!("cannot be fetched after {TRIES} tries ({error})")));
                }
            }
        }
    }

    /// Sequence and hash of every header of a checkpoint's file.
    fn headers(&self, checkpoint: u32) -> Result<Vec<(u32, Hash32)>, Missing> {
        headers(&self.read(&file_of(checkpoint))?).map_err(Missing::Damaged)
    }
}

/// Something that is not as it should be.
struct Problem {
    range: LedgerRange,
    file: PathBuf,
    what: String,
}

/// Compares the hashes of all headers that the archive has of these ledgers.
pub(super) fn compare(unit: &mut Unit, archive: &Archive, stop: &(dyn Fn() -> bool + Sync)) {
    let first = unit.range.start().get() | (CHECKPOINT - 1);
    let last = unit.range.end().get() | (CHECKPOINT - 1);
    let checkpoints: Vec<u32> = (first..=last).step_by(CHECKPOINT as usize).collect();
    let mut problems = Vec::new();
    for some in checkpoints.chunks(AT_ONCE) {
        if stop() {
            return;
        }
        let files = read_all(archive, some);
        let is_down = files.iter().all(|(_, headers)| matches!(headers, Err(Missing::Failed(_))));
        for (at, headers) in files {
            let file = archive.locate(&file_of(at));
            match headers {
                Ok(headers) => differences(unit, &file, headers, &mut problems),
                Err(missing) => {
                    // Nothing more is asked of an archive that is down.
                    let end = if is_down { unit.range.end() } else { LedgerSeq::new(at) };
                    let first = LedgerSeq::new(at.saturating_sub(CHECKPOINT - 1));
                    let range = LedgerRange::new(first, end).and_then(|range| range.intersection(unit.range));
                    let Some(range) = range else { continue };
                    problems.push(Problem { range, file, what: missing.to_string() });
                    if is_down {
                        break;
                    }
                }
            }
        }
        if is_down {
            break;
        }
    }
    unit.findings.extend(joined(problems).into_iter().map(|Problem { range, file, what }| Finding {
        kind: Kind::Archive,
        range,
        table: LEDGERS_TABLE.to_owned(),
        file: Some(file),
        problem: what,
        // The same source would give the same ledgers.
        heals: false,
    }));
}

/// The headers' ledgers and hashes of one file, named by its checkpoint.
type OfCheckpoint = (u32, Result<Vec<(u32, Hash32)>, Missing>);

/// The headers of some checkpoints, read at once.
fn read_all(archive: &Archive, some: &[u32]) -> Vec<OfCheckpoint> {
    thread::scope(|scope| {
        let read = |at: u32| (at, scope.spawn(move || archive.headers(at)));
        let threads: Vec<_> = some.iter().map(|at| read(*at)).collect();
        let ended_early = || Err(Missing::Failed("cannot be read (its thread ended early)".to_owned()));
        threads
            .into_iter()
            .map(|(at, thread)| (at, thread.join().unwrap_or_else(|_| ended_early())))
            .collect()
    })
}

/// The ledgers whose hash is another one in the archive.
fn differences(unit: &mut Unit, file: &Path, headers: Vec<(u32, Hash32)>, problems: &mut Vec<Problem>) {
    for (seq, hash) in headers {
        let Some(index) = unit.index(seq.into()) else { continue };
        let Some(Some(facts)) = unit.facts.get(index) else { continue };
        unit.tally.anchored += 1;
        let seq = LedgerSeq::new(seq);
        if let Some(range) = LedgerRange::new(seq, seq).filter(|_| facts.hash != hash) {
            let what = format!("ledger {seq} is {} here, {hash} there", facts.hash);
            problems.push(Problem { range, file: file.to_path_buf(), what });
        }
    }
}

/// Problems of the same kind side by side are one.
fn joined(problems: Vec<Problem>) -> Vec<Problem> {
    let mut all: Vec<Problem> = Vec::new();
    for problem in problems {
        match all.last_mut().filter(|last| last.what == problem.what) {
            Some(last) if last.range.end().next() == Some(problem.range.start()) => {
                last.range = LedgerRange::new(last.range.start(), problem.range.end()).unwrap_or(last.range);
            }
            Some(_) | None => all.push(problem),
        }
    }
    all
}

/// The file of the headers up to a checkpoint.
fn file_of(checkpoint: u32) -> String {
    let [ww, xx, yy, _] = checkpoint.to_be_bytes();
    format!("ledger/{ww:02x}/{xx:02x}/{yy:02x}/ledger-{checkpoint:08x}.xdr.gz")
}

/// Sequence and hash of every header of a packed file.
fn headers(packed: &[u8]) -> Result<Vec<(u32, Hash32)>, String> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed)
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
