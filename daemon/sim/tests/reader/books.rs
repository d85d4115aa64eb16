//! The state and the net changes as the metadata tells them, compared with the network's own books.

use std::collections::{BTreeSet, HashMap, HashSet};

use lake_sim::{Change, SimLedger, SimNetwork};
use stellar_xdr::{
    Asset, ConfigSettingEntry, ContractDataDurability, LedgerEntry, LedgerEntryChange, LedgerEntryData,
    LedgerKey, LiquidityPoolEntryBody, TrustLineAsset,
};

/// Entries by what changes and evictions said of them.
#[derive(Default)]
pub(crate) struct Books {
    seq: u32,
    pub(crate) entries: HashMap<LedgerKey, LedgerEntry>,
    archived: HashMap<LedgerKey, LedgerEntry>,
    /// Keys in the order of their first change in the ledger, with what was there before.
    first: Vec<(LedgerKey, Option<LedgerEntry>)>,
    restored: HashSet<LedgerKey>,
    last: HashMap<LedgerKey, LedgerEntry>,
    /// Things that occurred.
    pub(crate) seen: BTreeSet<&'static str>,
}

impl Books {
    pub(crate) fn begin(&mut self, seq: u32) {
        self.seq = seq;
        self.first.clear();
        self.restored.clear();
        self.last.clear();
    }

    fn note(&mut self, key: &LedgerKey) {
        if self.first.iter().all(|(known, _)| known != key) {
            self.first.push((key.clone(), self.entries.get(key).cloned()));
        }
    }

    pub(crate) fn apply(&mut self, changes: &[LedgerEntryChange]) {
        let mut open: Option<LedgerKey> = None;
        let mut restored: Option<LedgerKey> = None;
        for change in changes {
            match change {
                LedgerEntryChange::State(entry) => {
                    assert_eq!(open, None, "a state is followed by what became of it");
                    let key = entry.to_key();
                    match self.entries.get(&key) {
                        // Clusters run in parallel and do not see each other's extensions.
                        Some(_) if matches!(key, LedgerKey::Ttl(_)) => {
                            open = Some(key);
                            continue;
                        }
                        Some(known) => assert_eq!(known, entry, "a state is the last image"),
                        None => assert_eq!(entry.last_modified_ledger_seq, 1, "only genesis is not told of"),
                    }
                    self.entries.insert(key.clone(), entry.clone());
                    open = Some(key);
                }
                LedgerEntryChange::Created(entry) => {
                    assert_eq!(entry.last_modified_ledger_seq, self.seq);
                    assert_eq!(open, None);
                    self.note(&entry.to_key());
                    self.what_became(None, Some(entry));
                    assert!(self.entries.insert(entry.to_key(), entry.clone()).is_none(), "created twice");
                    self.seen.insert("created");
                }
                LedgerEntryChange::Updated(entry) => {
                    assert_eq!(entry.last_modified_ledger_seq, self.seq);
                    let key = entry.to_key();
                    assert_eq!(
                        open.take().or(restored.take()),
                        Some(key.clone()),
                        "an update follows its state"
                    );
                    self.note(&key);
                    let end = |entry: &LedgerEntry| match &entry.data {
                        LedgerEntryData::Ttl(ttl) => ttl.live_until_ledger_seq,
                        _ => 0,
                    };
                    if self.entries.get(&key).is_some_and(|known| end(known) > end(entry)) {
                        self.seen.insert("shorter extension in parallel");
                        continue;
                    }
                    let was_over = |known: &LedgerEntry| end(known) < self.seq && end(known) > 0;
                    if self.entries.get(&key).is_some_and(was_over) && !self.restored.contains(&key) {
                        self.seen.insert("temporary entry written anew");
                    }
                    let before = self.entries.insert(key, entry.clone());
                    self.what_became(before.as_ref(), Some(entry));
                    self.seen.insert("updated");
                }
                LedgerEntryChange::Removed(key) => {
                    assert_eq!(
                        open.take().or(restored.take()).as_ref(),
                        Some(key),
                        "a removal follows its state"
                    );
                    self.note(key);
                    let last = self.entries.remove(key).expect("only what is there is removed");
                    self.what_became(Some(&last), None);
                    self.last.insert(key.clone(), last);
                    self.seen.insert("removed");
                }
                LedgerEntryChange::Restored(entry) => {
                    assert_eq!(open, None);
                    let key = entry.to_key();
                    self.note(&key);
                    if !matches!(key, LedgerKey::Ttl(_)) {
                        let evicted = self.archived.remove(&key);
                        self.seen.insert(if evicted.is_some() {
                            "restored"
                        } else {
                            "restored before eviction"
                        });
                        let was = evicted.or_else(|| self.entries.get(&key).cloned());
                        assert_eq!(was.map(|was| was.data), Some(entry.data.clone()));
                    }
                    self.restored.insert(key.clone());
                    self.entries.insert(key.clone(), entry.clone());
                    restored = Some(key);
                }
            }
        }
        assert_eq!(open, None);
    }

    fn what_became(&mut self, before: Option<&LedgerEntry>, after: Option<&LedgerEntry>) {
        let seen = &mut self.seen;
        match (before.map(|entry| &entry.data), after.map(|entry| &entry.data)) {
            (Some(LedgerEntryData::ConfigSetting(ConfigSettingEntry::FrozenLedgerKeys(_))), Some(_)) => {
                seen.insert("frozen keys changed")
            }
            (Some(LedgerEntryData::LiquidityPool(_)), None) => seen.insert("pool removed"),
            (None, Some(LedgerEntryData::LiquidityPool(pool))) => {
                let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
                seen.insert(if body.params.asset_a == Asset::Native {
                    "pool with the native asset"
                } else {
                    "pool of credit assets"
                })
            }
            (_, Some(LedgerEntryData::Account(account))) if account.flags & 4 != 0 => {
                seen.insert("immutable account")
            }
            (Some(LedgerEntryData::ClaimableBalance(_)), None) => seen.insert("claimable balance removed"),
            (Some(LedgerEntryData::Account(_)), None) => seen.insert("account removed"),
            (Some(LedgerEntryData::Data(_)), None) => seen.insert("data removed"),
            (Some(LedgerEntryData::Data(_)), Some(_)) => seen.insert("data updated"),
            (Some(LedgerEntryData::Trustline(a)), Some(LedgerEntryData::Trustline(b)))
                if a.limit != b.limit =>
            {
                seen.insert("trustline limit changed")
            }
            (Some(LedgerEntryData::Trustline(line)), None) => {
                seen.insert(if matches!(line.asset, TrustLineAsset::PoolShare(_)) {
                    "pool shares removed"
                } else {
                    "trustline removed"
                })
            }
            (Some(LedgerEntryData::Offer(_)), None) => seen.insert("offer removed"),
            (Some(LedgerEntryData::Offer(a)), Some(LedgerEntryData::Offer(b))) if b.amount < a.amount => {
                seen.insert("offer taken in part")
            }
            (Some(LedgerEntryData::ContractData(_)), None) => seen.insert("contract data removed"),
            _ => false,
        };
    }

    pub(crate) fn evict(&mut self, keys: &[LedgerKey]) {
        for key in keys {
            self.note(key);
            let last = self.entries.remove(key).expect("only what is there is evicted");
            match key {
                LedgerKey::ContractData(data) => {
                    let kept = data.durability == ContractDataDurability::Persistent;
                    self.seen.insert(if kept { "data archived" } else { "temporary data evicted" });
                    if kept {
                        self.archived.insert(key.clone(), last.clone());
                    }
                }
                LedgerKey::ContractCode(_) => {
                    self.seen.insert("code archived");
                    self.archived.insert(key.clone(), last.clone());
                }
                LedgerKey::Ttl(_) => {
                    let LedgerEntryData::Ttl(ttl) = &last.data else { panic!("a TTL key has a TTL entry") };
                    assert!(ttl.live_until_ledger_seq < self.seq, "only what ended is evicted");
                }
                other => panic!("{other:?} cannot be evicted"),
            }
            self.last.insert(key.clone(), last);
        }
    }

    /// The network's net changes of the ledger are those that the metadata tells of.
    pub(crate) fn compare(&self, ledger: &SimLedger) {
        let expected: Vec<_> = self
            .first
            .iter()
            .filter_map(|(key, before)| {
                let after = self.entries.get(key);
                let change = match (before, after) {
                    (_, Some(_)) if self.restored.contains(key) => Change::Restored,
                    (Some(_), Some(_)) => Change::Updated,
                    (None, Some(_)) => Change::Created,
                    (Some(_), None) => Change::Removed,
                    (None, None) => return None,
                };
                Some((key, change, before.as_ref(), after, after.or(self.last.get(key))))
            })
            .collect();
        assert_eq!(ledger.changes.len(), expected.len(), "net changes of ledger {}", self.seq);
        for (told, (key, change, before, after, last)) in ledger.changes.iter().zip(expected) {
            assert_eq!((told.key(), told.change()), (key, change));
            assert_eq!(told.after(), after);
            assert_eq!(Some(told.last()), last);
            if told.before() != before {
                let genesis = told.before().is_some_and(|entry| entry.last_modified_ledger_seq == 1);
                assert!(genesis, "{:?} is not {before:?}", told.before());
            }
        }
    }

    /// The network's entries are those that all changes so far lead to.
    pub(crate) fn compare_state(&self, network: &SimNetwork) {
        for (key, entry) in network.entries() {
            match self.entries.get(key) {
                Some(known) => assert_eq!(known, entry),
                None => assert_eq!(entry.last_modified_ledger_seq, 1, "{key:?} was told of"),
            }
        }
        assert!(self.entries.keys().all(|key| network.entry(key).is_some()));
        assert_eq!(network.archived().count(), self.archived.len());
        assert!(network.archived().all(|(key, entry)| self.archived.get(key) == Some(entry)));
    }
}
