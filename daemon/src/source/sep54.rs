//! SEP-54: names of objects in a ledger lake, and its `.config.json`.

use lake_core::LedgerSeq;
use serde::Deserialize;

/// How many ledgers an object and a partition hold (SEP-54 "key format"). Both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Ledgers in one object.
    pub ledgers_per_batch: u32,
    /// Objects in one partition folder; 1 means no folders.
    pub batches_per_partition: u32,
}

/// `.config.json` of a ledger lake. Its `version` is not compared: writers disagree about it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) network_passphrase: String,
    pub(super) compression: String,
    pub(super) ledgers_per_batch: u32,
    pub(super) batches_per_partition: u32,
}

impl Layout {
    /// First and last sequence of the object that holds `seq`, by its name (the very first object of a lake says 0).
    pub fn object_range(self, seq: LedgerSeq) -> (u32, u32) {
        let start = seq.get() - seq.get() % self.ledgers_per_batch;
        (start, start.saturating_add(self.ledgers_per_batch - 1))
    }

    /// Key of the object that holds `seq`, without the suffix (`.xdr.zst`; `.xdr.zstd` in older lakes).
    pub fn key(self, seq: LedgerSeq) -> String {
        let (start, end) = self.object_range(seq);
        let mut key = String::new();
        if self.batches_per_partition > 1 {
            let size = u64::from(self.ledgers_per_batch) * u64::from(self.batches_per_partition);
            let first = u64::from(start) - u64::from(start) % size;
            key = format!("{:08X}--{first}-{}/", u64::from(u32::MAX) - first, first + size - 1);
        }
        key.push_str(&format!("{:08X}--{start}", u32::MAX - start));
        if end != start {
            key.push_str(&format!("-{end}"));
        }
        key
    }
}

/// First ledger of an object or partition by its name: `FC6C78FF--60000000-60000063.xdr.zst` gives 60000000.
pub(super) fn first_of_name(name: &str) -> Option<u32> {
    let (hex, rest) = name.split_once("--")?;
    let reversed = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 8)?;
    let digits = rest.split(['-', '.']).next()?;
    let first: u32 = digits.parse().ok()?;
    (u32::MAX - first == reversed).then_some(first)
}

/// Whether a file name is that of an object, in either spelling of the suffix.
pub(super) fn is_object(name: &str) -> bool {
    (name.ends_with(".xdr.zst") || name.ends_with(".xdr.zstd")) && first_of_name(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(l: u32, p: u32, seq: u32) -> String {
        Layout { ledgers_per_batch: l, batches_per_partition: p }.key(LedgerSeq::new(seq))
    }

    // The worked examples of SEP-54 and of its reference code.
    #[test]
    fn keys_are_those_of_the_specification() {
        assert_eq!(key(1, 64_000, 2), "FFFFFFFF--0-63999/FFFFFFFD--2");
        assert_eq!(key(1, 64_000, 63_999), "FFFFFFFF--0-63999/FFFF0600--63999");
        assert_eq!(key(1, 64_000, 64_000), "FFFF05FF--64000-127999/FFFF05FF--64000");
        assert_eq!(key(1, 64_000, 60_000_000), "FC6CF5FF--59968000-60031999/FC6C78FF--60000000");
        assert_eq!(key(64, 1000, 2), "FFFFFFFF--0-63999/FFFFFFFF--0-63");
        assert_eq!(key(64, 1000, 60_000_000), "FC6CF5FF--59968000-60031999/FC6C78FF--60000000-60000063");
        assert_eq!(key(10, 1, 60_000_000), "FC6C78FF--60000000-60000009");
        assert_eq!(key(2, 8, 18), "FFFFFFEF--16-31/FFFFFFED--18-19");
    }

    #[test]
    fn names_give_back_their_first_ledger() {
        assert_eq!(first_of_name("FC6C78FF--60000000-60000063.xdr.zst"), Some(60_000_000));
        assert_eq!(first_of_name("FFFFFFFF--0-63999"), Some(0));
        assert_eq!(first_of_name("FC6C78FE--60000000.xdr.zst"), None);
        assert!(is_object("FFFFFFED--18-19.xdr.zstd"));
        assert!(!is_object("FFFFFFED--18-19.xdr.zst.tmp"));
        assert!(!is_object("readme.md"));
    }
}
