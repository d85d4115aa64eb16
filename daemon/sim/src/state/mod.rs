//! The ledger's entries, with an undo log for failed operations and a recorder of the changes that metadata shows.

mod access;
mod archive;
mod index;

use std::sync::Arc;

use stellar_xdr::{
    AccountId, LedgerEntry, LedgerEntryData, LedgerEntryExt, LedgerEntryExtensionV1,
    LedgerEntryExtensionV1Ext, LedgerKey, SponsorshipDescriptor,
};

pub(crate) use access::{account_key, claimable_key, data_name_key, offer_key, pool_key, trustline_key};
pub(crate) use archive::is_persistent;

use crate::{
    books::{Change, EntryChange},
    encode::{self, Seq},
    entries,
    hasher::{Map, Set},
};
use archive::Archive;
use index::Index;

const CREATED: u32 = 0;
const UPDATED: u32 = 1;
const REMOVED: u32 = 2;
const STATE: u32 = 3;
const RESTORED: u32 = 4;

/// An entry and its XDR. The XDR is right whenever no scope is open on the entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: LedgerEntry,
    image: Vec<u8>,
    /// The scope that changed it last.
    scope: u64,
}

impl Clone for Entry {
    /// A copy is made in order to be changed: sealing writes its XDR anew, so only room for it is kept.
    fn clone(&self) -> Self {
        let image = Vec::with_capacity(self.image.len() + 64);
        Self { value: self.value.clone(), image, scope: self.scope }
    }
}

/// The first touch of a key in a scope.
#[derive(Clone, Debug)]
struct Touched {
    key: LedgerKey,
    before: Option<Arc<Entry>>,
    /// The entry as it came back, if the scope restored it.
    restored: Option<Arc<Entry>>,
    /// Whether the scope ended without the entry.
    removed: bool,
    /// Images before and after as a cluster saw them that did not see what another one did.
    apart: Option<(Arc<Entry>, Vec<u8>)>,
}

impl Touched {
    fn new(key: LedgerKey, before: Option<Arc<Entry>>) -> Self {
        Self { key, before, restored: None, removed: false, apart: None }
    }
}

type Log = Vec<Touched>;

/// All entries of the ledger.
///
/// Work happens in scopes: the first touch of a key in a scope keeps its old image. [`State::seal`] ends a scope and
/// emits one change (or pair) per touched key; [`State::rollback_op`] ends it and forgets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    ledger: u32,
    base_reserve: i64,
    lifetimes: Lifetimes,
    entries: Map<LedgerKey, Arc<Entry>>,
    index: Index,
    archive: Archive,
    scope: Log,
    scope_number: u64,
    transaction: Log,
    books: Books,
    soroban_bytes: u64,
    committed_soroban_bytes: u64,
}

/// Ledgers that new contract entries live, as the state archival settings have it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lifetimes {
    /// Of temporary entries.
    pub(crate) temporary: u32,
    /// Of persistent entries.
    pub(crate) persistent: u32,
}

/// What changed for good in the ledger that is being closed.
#[derive(Clone, Debug, Default)]
struct Books {
    /// The first change of every key.
    first: Vec<(LedgerKey, Option<Arc<Entry>>)>,
    /// Keys of `first` whose age does not tell that they are in it.
    special: Set<LedgerKey>,
    /// Last images of what was removed.
    removed: Map<LedgerKey, Arc<Entry>>,
    restored: Set<LedgerKey>,
    evicted: Set<LedgerKey>,
}

impl State {
    /// Entries changed from here on were last modified in `ledger`.
    pub(crate) fn begin_ledger(&mut self, ledger: u32) {
        self.ledger = ledger;
        self.books = Books::default();
        self.archive.begin_ledger();
    }

    /// The ledger that is being closed.
    pub(crate) fn ledger(&self) -> u32 {
        self.ledger
    }

    /// Reserve per entry, in stroops.
    pub(crate) fn base_reserve(&self) -> i64 {
        self.base_reserve
    }

    /// Sets the reserve per entry, in stroops.
    pub(crate) fn set_base_reserve(&mut self, stroops: i64) {
        self.base_reserve = stroops;
    }

    /// How long entries live that nobody extends.
    pub(crate) fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Sets how long entries live that nobody extends.
    pub(crate) fn set_lifetimes(&mut self, lifetimes: Lifetimes) {
        self.lifetimes = lifetimes;
    }

    /// Bytes of contract data, code and TTL entries.
    pub(crate) fn soroban_bytes(&self) -> u64 {
        self.soroban_bytes
    }

    /// The entry under `key`.
    pub(crate) fn get(&self, key: &LedgerKey) -> Option<&LedgerEntryData> {
        self.entries.get(key).map(|entry| &entry.value.data)
    }

    /// The entry under `key` with all that is around its data.
    pub(crate) fn entry(&self, key: &LedgerKey) -> Option<&LedgerEntry> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// All entries, in no particular order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&LedgerKey, &LedgerEntry)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// Whether there is an entry under `key`.
    pub(crate) fn has(&self, key: &LedgerKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Changes the entry under `key` in place; `None` where there is none.
    pub(crate) fn get_mut(&mut self, key: &LedgerKey) -> Option<&mut LedgerEntryData> {
        self.entry_mut(key).map(|entry| &mut entry.data)
    }

    fn entry_mut(&mut self, key: &LedgerKey) -> Option<&mut LedgerEntry> {
        let entry = self.entries.get_mut(key)?;
        if entry.scope != self.scope_number {
            self.scope.push(Touched::new(key.clone(), Some(entry.clone())));
        }
        let entry = Arc::make_mut(entry);
        entry.scope = self.scope_number;
        Some(&mut entry.value)
    }

    /// Creates the entry under `key`, or replaces what it holds: who sponsors it stays.
    pub(crate) fn put(&mut self, key: LedgerKey, data: LedgerEntryData) {
        let ext = self.entries.get(&key).map_or(LedgerEntryExt::V0, |entry| entry.value.ext.clone());
        self.put_with(key, data, ext);
    }

    /// Creates the entry under `key`, sponsored by `sponsor`.
    pub(crate) fn put_sponsored(&mut self, key: LedgerKey, data: LedgerEntryData, sponsor: &AccountId) {
        self.put_with(key, data, extension(Some(sponsor)));
    }

    fn put_with(&mut self, key: LedgerKey, data: LedgerEntryData, ext: LedgerEntryExt) {
        let value = LedgerEntry { last_modified_ledger_seq: self.ledger, data, ext };
        let old =
            self.set(&key, Some(Arc::new(Entry { value, image: Vec::new(), scope: self.scope_number })));
        self.log(key, old);
    }

    /// Who sponsors the entry under `key`.
    pub(crate) fn sponsor(&self, key: &LedgerKey) -> Option<AccountId> {
        self.entries.get(key).and_then(|entry| entries::sponsor(&entry.value)).cloned()
    }

    /// Hands the entry under `key` to another sponsor, or to none.
    pub(crate) fn set_sponsor(&mut self, key: &LedgerKey, sponsor: Option<&AccountId>) {
        if let Some(entry) = self.entry_mut(key) {
            entry.ext = extension(sponsor);
        }
    }

    /// Removes the entry under `key`.
    pub(crate) fn remove(&mut self, key: LedgerKey) {
        let old = self.set(&key, None);
        self.log(key, old);
    }

    fn log(&mut self, key: LedgerKey, before: Option<Arc<Entry>>) {
        if !self.scope.iter().any(|touched| touched.key == key) {
            self.scope.push(Touched::new(key, before));
        }
    }

    /// The one place that writes the map: the indexes follow it.
    fn set(&mut self, key: &LedgerKey, new: Option<Arc<Entry>>) -> Option<Arc<Entry>> {
        let old = match new.clone() {
            Some(entry) => self.entries.insert(key.clone(), entry),
            None => self.entries.remove(key),
        };
        let (was, is) = (old.as_ref(), new.as_ref());
        self.index.follow(key, was.map(|entry| &entry.value.data), is.map(|entry| &entry.value.data));
        old
    }

    /// Ends the scope: its changes go to `out`. With `undoable` a later [`State::rollback_transaction`] takes them back.
    pub(crate) fn seal(&mut self, out: &mut Seq, undoable: bool) {
        let mut scope = std::mem::take(&mut self.scope);
        self.scope_number += 1;
        for touched in &mut scope {
            self.seal_one(out, touched);
        }
        if undoable {
            self.transaction.append(&mut scope);
        } else {
            scope.drain(..).for_each(|touched| self.note(touched));
        }
        self.scope = scope;
    }

    fn seal_one(&mut self, out: &mut Seq, touched: &mut Touched) {
        let Touched { key, before, restored, removed, apart } = touched;
        let soroban = is_soroban(key);
        let mut new_size = 0;
        let apart = apart.take();
        let (was, mut arm) = match (restored.as_ref(), before.as_ref()) {
            (None, Some(before)) => (Some((STATE, apart.as_ref().map_or(before, |(seen, _)| seen))), UPDATED),
            (Some(restored), _) => (Some((RESTORED, restored)), UPDATED),
            (None, None) => (None, CREATED),
        };
        let untouched =
            matches!((restored.as_ref(), self.entries.get(key)), (Some(a), Some(b)) if Arc::ptr_eq(a, b));
        if let Some((arm, entry)) = was {
            out.push_arm(arm, &entry.image);
        }
        match self.entries.get_mut(key) {
            Some(after) if untouched => new_size = after.image.len(),
            Some(after) => {
                let after = Arc::make_mut(after);
                after.value.last_modified_ledger_seq = self.ledger;
                after.image.clear();
                encode::put(&mut after.image, &after.value);
                out.push_arm(arm, apart.as_ref().map_or(&after.image, |(_, image)| image));
                new_size = after.image.len();
            }
            None if was.is_some() => {
                arm = REMOVED;
                *removed = true;
                out.push_arm(arm, &encode::xdr(key));
            }
            None => {}
        }
        if soroban {
            let old_size = before.as_ref().map_or(0, |entry| entry.image.len());
            let (old, new) = (u64::from(encode::count(old_size)), u64::from(encode::count(new_size)));
            self.soroban_bytes = (self.soroban_bytes + new).saturating_sub(old);
            self.expect_end(key);
        }
    }

    /// Keeps the first change of a key in a ledger, and the last image of what goes.
    fn note(&mut self, touched: Touched) {
        let books = &mut self.books;
        let Touched { key, before, restored, removed, .. } = touched;
        if removed && let Some(last) = before.as_ref().or(restored.as_ref()) {
            books.removed.insert(key.clone(), last.clone());
        }
        if restored.is_some() {
            books.restored.insert(key.clone());
        }
        let aged = before.as_ref().is_some_and(|entry| entry.value.last_modified_ledger_seq != self.ledger);
        // What was changed in this ledger before is young. Only what came and went, or came back, may not be.
        let young = !aged && before.is_some();
        let doubtful = before.is_none() || !books.restored.is_empty();
        if young || doubtful && books.special.contains(&key) {
            return;
        }
        if !aged || restored.is_some() {
            books.special.insert(key.clone());
        }
        books.first.push((key, before));
    }

    /// The net changes of the ledger so far, in the order of each key's first change. They can be had once.
    pub(crate) fn take_changes(&mut self) -> Vec<EntryChange> {
        let first = std::mem::take(&mut self.books.first);
        let books = &self.books;
        let nothing_restored = books.restored.is_empty();
        let change = |(key, before): (LedgerKey, Option<Arc<Entry>>)| {
            let after = self.entries.get(&key).cloned();
            let restored = !nothing_restored && books.restored.contains(&key);
            let change = match (&before, &after) {
                (_, Some(_)) if restored => Change::Restored,
                (Some(_), Some(_)) => Change::Updated,
                (None, Some(_)) => Change::Created,
                (Some(_), None) => Change::Removed,
                (None, None) if restored => Change::Removed,
                (None, None) => return None,
            };
            let evicted = after.is_none() && books.evicted.contains(&key);
            let last = after.or_else(|| books.removed.get(&key).cloned())?;
            Some(EntryChange { key, change, evicted, before, last })
        };
        first.into_iter().filter_map(change).collect()
    }

    /// Keys of what was restored in the ledger, TTL entries left out: how many changes of that kind there are.
    pub(crate) fn restored(&self) -> usize {
        self.books.restored.iter().filter(|key| !matches!(key, LedgerKey::Ttl(_))).count()
    }

    /// Ends the scope as if nothing had happened in it.
    pub(crate) fn rollback_op(&mut self) {
        self.scope_number += 1;
        let scope = std::mem::take(&mut self.scope);
        self.take_back(scope);
    }

    /// Takes back all that was sealed as undoable since the last commit or rollback.
    pub(crate) fn rollback_transaction(&mut self) {
        let transaction = std::mem::take(&mut self.transaction);
        self.take_back(transaction);
        self.soroban_bytes = self.committed_soroban_bytes;
    }

    fn take_back(&mut self, log: Log) {
        for touched in log.into_iter().rev() {
            if let (None, Some(restored)) = (&touched.before, touched.restored) {
                self.archive.put_back(touched.key.clone(), restored);
            }
            self.set(&touched.key, touched.before);
        }
    }

    /// Makes what was sealed final.
    pub(crate) fn commit_transaction(&mut self) {
        for touched in std::mem::take(&mut self.transaction) {
            self.note(touched);
        }
        self.committed_soroban_bytes = self.soroban_bytes;
    }
}

fn is_soroban(key: &LedgerKey) -> bool {
    matches!(key, LedgerKey::ContractData(_) | LedgerKey::ContractCode(_) | LedgerKey::Ttl(_))
}

fn extension(sponsor: Option<&AccountId>) -> LedgerEntryExt {
    LedgerEntryExt::V1(LedgerEntryExtensionV1 {
        sponsoring_id: SponsorshipDescriptor(sponsor.cloned()),
        ext: LedgerEntryExtensionV1Ext::V0,
    })
}
