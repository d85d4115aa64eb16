//! Vocabulary: sequences, ranges, networks and undecoded ledgers. Validates, never fetches.

use std::{fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Sequence number of a closed ledger. The first one of a network is 1 (genesis, never in a close meta).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerSeq(u32);

impl LedgerSeq {
    /// Wraps a sequence number.
    pub const fn new(seq: u32) -> Self {
        Self(seq)
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The ledger after this one; `None` at the end of the number range.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }

    /// The ledger before this one; `None` for 0.
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }

    /// First ledger of the 10,000-ledger range that holds this one: the `ledger_range` column.
    pub const fn range_start(self) -> u32 {
        self.0 - self.0 % RANGE_LEDGERS
    }
}

/// Ledgers per `ledger_range`. No file of the lake holds ledgers of two ranges.
pub const RANGE_LEDGERS: u32 = 10_000;

impl fmt::Display for LedgerSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LedgerSeq {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// Inclusive, never empty range of ledgers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerRange {
    start: LedgerSeq,
    end: LedgerSeq,
}

impl LedgerRange {
    /// The range `start..=end`; `None` when `end` is before `start`.
    pub fn new(start: LedgerSeq, end: LedgerSeq) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// First ledger, inclusive.
    pub const fn start(self) -> LedgerSeq {
        self.start
    }

    /// Last ledger, inclusive.
    pub const fn end(self) -> LedgerSeq {
        self.end
    }

    /// Number of ledgers, at least 1.
    pub const fn count(self) -> u64 {
        self.end.0 as u64 - self.start.0 as u64 + 1
    }

    /// Whether `seq` lies inside.
    pub fn contains(self, seq: LedgerSeq) -> bool {
        self.start <= seq && seq <= self.end
    }

    /// Whether the two share a ledger.
    pub fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// The ledgers in both; `None` when there is none.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// This range, cut where the 10,000-ledger ranges end.
    pub fn within_ranges(self) -> impl Iterator<Item = Self> {
        let mut next = Some(self.start);
        std::iter::from_fn(move || {
            let start = next.filter(|start| *start <= self.end)?;
            let last = start.range_start().saturating_add(RANGE_LEDGERS - 1).min(self.end.get());
            next = LedgerSeq::new(last).next();
            Self::new(start, LedgerSeq::new(last))
        })
    }
}

impl fmt::Display for LedgerRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// A 32-byte hash; shown as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash32(pub [u8; 32]);

impl Hash32 {
    /// SHA-256 over the concatenation of `parts`.
    pub fn sha256(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash32 {
    type Err = hex::FromHexError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut out = [0; 32];
        hex::decode_to_slice(s, &mut out)?;
        Ok(Self(out))
    }
}

/// A Stellar network, told apart by its passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    passphrase: Arc<str>,
    id: Hash32,
}

impl Network {
    /// The network with this passphrase; its id is the passphrase's SHA-256.
    pub fn new(passphrase: &str) -> Self {
        Self { passphrase: passphrase.into(), id: Hash32::sha256(&[passphrase.as_bytes()]) }
    }

    /// The passphrase as given.
    pub fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// SHA-256 of the passphrase: the first 32 bytes of every signature payload.
    pub const fn id(&self) -> Hash32 {
        self.id
    }
}

/// One undecoded `LedgerCloseMeta` and where it came from.
#[derive(Clone, Debug)]
pub struct RawLedger {
    /// The sequence the source says it is; decoding checks it.
    pub seq: LedgerSeq,
    /// XDR of exactly one `LedgerCloseMeta`, nothing after it.
    pub xdr: Bytes,
    /// File, URL or stream it was read from, for messages.
    pub origin: Arc<str>,
}
