//! The end of contract entries: what expires is evicted some ledgers later, and persistent entries can come back.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use stellar_xdr::{
    ContractDataDurability, Hash, LedgerEntry, LedgerEntryData, LedgerEntryExt, LedgerKey, LedgerKeyTtl,
    TtlEntry,
};

use super::{Entry, State, Touched};
use crate::{encode, entries, hasher::Map};

/// Ledgers that the eviction scan comes after an entry's end.
const SCAN_LAG: u32 = 6;

/// What is no longer live, and what will not be.
#[derive(Clone, Debug, Default)]
pub(super) struct Archive {
    /// Evicted persistent entries.
    entries: Map<LedgerKey, Arc<Entry>>,
    /// Entries by the hash that their TTL entry names.
    owners: Map<Hash, LedgerKey>,
    /// TTL entries by the ledger of their end; an entry extended since stands under several.
    ends: BTreeMap<u32, HashSet<Hash>>,
    /// TTL entries extended in this ledger by those who only read: by which cluster last, and as they were before.
    extended: Map<LedgerKey, (usize, Arc<Entry>)>,
}

impl Archive {
    /// Forgets what clusters of the ledger before did.
    pub(super) fn begin_ledger(&mut self) {
        self.extended.clear();
    }

    /// Undoes a restore.
    pub(super) fn put_back(&mut self, key: LedgerKey, entry: Arc<Entry>) {
        if !matches!(key, LedgerKey::Ttl(_)) {
            self.entries.insert(key, entry);
        }
    }
}

/// Whether a contract entry is archived, and not gone, when its time is over.
pub(crate) fn is_persistent(key: &LedgerKey) -> bool {
    match key {
        LedgerKey::ContractData(data) => data.durability == ContractDataDurability::Persistent,
        LedgerKey::ContractCode(_) => true,
        LedgerKey::Account(_)
        | LedgerKey::Trustline(_)
        | LedgerKey::Offer(_)
        | LedgerKey::Data(_)
        | LedgerKey::ClaimableBalance(_)
        | LedgerKey::LiquidityPool(_)
        | LedgerKey::ConfigSetting(_)
        | LedgerKey::Ttl(_) => false,
    }
}

impl State {
    /// Notes when the entry of a TTL entry ends.
    pub(super) fn expect_end(&mut self, key: &LedgerKey) {
        if let Some(LedgerEntryData::Ttl(ttl)) = self.get(key) {
            let (end, hash) = (ttl.live_until_ledger_seq, ttl.key_hash.clone());
            self.archive.ends.entry(end).or_default().insert(hash);
        }
    }

    /// Creates a contract entry that lives up to and including ledger `live_until`.
    ///
    /// A temporary entry that is there still although its time is over is replaced, as if it were gone.
    pub(crate) fn put_with_ttl(&mut self, key: LedgerKey, data: LedgerEntryData, live_until: u32) {
        let hash = entries::key_hash(&key);
        let ttl = TtlEntry { key_hash: hash.clone(), live_until_ledger_seq: live_until };
        self.put(LedgerKey::Ttl(LedgerKeyTtl { key_hash: hash.clone() }), LedgerEntryData::Ttl(ttl));
        self.archive.owners.insert(hash, key.clone());
        self.put(key, data);
    }

    /// Removes a contract entry with its TTL.
    pub(crate) fn remove_with_ttl(&mut self, key: LedgerKey) {
        self.remove(entries::ttl_key(&key));
        self.remove(key);
    }

    /// The last ledger in which the entry under `key` lives; `None` where there is none in the live state.
    pub(crate) fn live_until(&self, key: &LedgerKey) -> Option<u32> {
        let LedgerEntryData::Ttl(ttl) = self.get(&entries::ttl_key(key))? else { return None };
        Some(ttl.live_until_ledger_seq)
    }

    /// Extends the life of the entry under `key` on behalf of a cluster that only reads it; gives the ledgers gained.
    ///
    /// Clusters run in parallel (CAP-63): none sees what another one did, and the highest end stands.
    pub(crate) fn extend_apart(&mut self, key: &LedgerKey, until: u32, cluster: usize) -> u32 {
        let ttl_key = entries::ttl_key(key);
        let Some(current) = self.entries.get(&ttl_key).cloned() else { return 0 };
        let first = (cluster, current.clone());
        let (last, start) = self.archive.extended.get(&ttl_key).cloned().unwrap_or(first);
        let seen = if last == cluster { current } else { start.clone() };
        let LedgerEntryData::Ttl(ttl) = &seen.value.data else { return 0 };
        let (hash, end) = (ttl.key_hash.clone(), ttl.live_until_ledger_seq);
        if end >= until || end < self.ledger {
            return 0;
        }
        self.archive.extended.insert(ttl_key.clone(), (cluster, start));
        if let Some(LedgerEntryData::Ttl(ttl)) = self.get_mut(&ttl_key) {
            ttl.live_until_ledger_seq = ttl.live_until_ledger_seq.max(until);
        }
        if last != cluster
            && let Some(touched) = self.scope.iter_mut().find(|touched| touched.key == ttl_key)
        {
            let data = LedgerEntryData::Ttl(TtlEntry { key_hash: hash, live_until_ledger_seq: until });
            let value = LedgerEntry { last_modified_ledger_seq: self.ledger, data, ext: LedgerEntryExt::V0 };
            touched.apart = Some((seen, encode::xdr(&value)));
        }
        until - end
    }

    /// Whether there is an entry under `key` whose time is not over.
    pub(crate) fn lives(&self, key: &LedgerKey) -> bool {
        self.live_until(key).is_some_and(|end| end >= self.ledger)
    }

    /// Whether the entry under `key` must be restored before ledger `at` can use it: evicted, or persistent and expired.
    pub(crate) fn archived(&self, key: &LedgerKey, at: u32) -> bool {
        // Mostly nothing has ended that is not evicted yet: then no hash is needed.
        let ended = self.archive.ends.first_key_value().is_some_and(|(end, _)| *end < at);
        self.archive.entries.contains_key(key)
            || ended && is_persistent(key) && self.live_until(key).is_some_and(|end| end < at)
    }

    /// Evicted persistent entries, in no particular order.
    pub(crate) fn archived_entries(&self) -> impl Iterator<Item = (&LedgerKey, &LedgerEntry)> {
        self.archive.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// Brings an archived entry back, to live up to and including ledger `live_until`.
    pub(crate) fn restore(&mut self, key: &LedgerKey, live_until: u32) {
        let ttl_key = entries::ttl_key(key);
        let hash = entries::key_hash(key);
        let (before, entry) = match self.archive.entries.remove(key) {
            Some(evicted) => {
                let mut value = evicted.value.clone();
                value.last_modified_ledger_seq = self.ledger;
                (None, self.fresh(value))
            }
            None => {
                let Some(old) = self.entries.get(key).cloned() else { return };
                let same = self.fresh(old.value.clone());
                (Some(old), same)
            }
        };
        self.set(key, Some(entry.clone()));
        self.scope.push(Touched { restored: Some(entry), ..Touched::new(key.clone(), before) });
        let data = LedgerEntryData::Ttl(TtlEntry { key_hash: hash, live_until_ledger_seq: live_until });
        let value = LedgerEntry { last_modified_ledger_seq: self.ledger, data, ext: LedgerEntryExt::V0 };
        let ttl = self.fresh(value);
        let before = self.set(&ttl_key, Some(ttl.clone()));
        self.scope.push(Touched { restored: Some(ttl), ..Touched::new(ttl_key, before) });
    }

    /// An entry of the open scope with its image.
    fn fresh(&self, value: LedgerEntry) -> Arc<Entry> {
        let image = encode::xdr(&value);
        Arc::new(Entry { value, image, scope: self.scope_number })
    }

    /// Evicts what ended [`SCAN_LAG`] ledgers ago or more: keys of the entries and of their TTL entries, in turn.
    pub(crate) fn evict(&mut self) -> Vec<LedgerKey> {
        let limit = self.ledger.saturating_sub(SCAN_LAG);
        let mut keys = Vec::new();
        while let Some(first) = self.archive.ends.first_entry() {
            if *first.key() >= limit {
                break;
            }
            let end = *first.key();
            let mut hashes: Vec<Hash> = first.remove().into_iter().collect();
            hashes.sort();
            for hash in hashes {
                let ttl_key = LedgerKey::Ttl(LedgerKeyTtl { key_hash: hash.clone() });
                let due = matches!(self.get(&ttl_key), Some(LedgerEntryData::Ttl(ttl))
                    if ttl.live_until_ledger_seq == end);
                if due && let Some(key) = self.archive.owners.get(&hash).cloned() {
                    self.evict_one(&key, &ttl_key);
                    keys.extend([key, ttl_key]);
                }
            }
        }
        keys
    }

    fn evict_one(&mut self, key: &LedgerKey, ttl_key: &LedgerKey) {
        for key in [key, ttl_key] {
            let Some(old) = self.set(key, None) else { continue };
            let size = u64::from(encode::count(old.image.len()));
            self.soroban_bytes = self.soroban_bytes.saturating_sub(size);
            self.books.evicted.insert(key.clone());
            if is_persistent(key) {
                self.archive.entries.insert(key.clone(), old.clone());
            }
            self.note(Touched { removed: true, ..Touched::new(key.clone(), Some(old)) });
        }
        self.committed_soroban_bytes = self.soroban_bytes;
    }
}
