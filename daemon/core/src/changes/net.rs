//! Folds the changes of a ledger to one net change per entry.

use indexmap::IndexMap;
use stellar_xdr as xdr;

use super::{EntryKey, in_order};
use crate::decode::Ledger;

/// Net change of an entry over a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was not there before.
    Created,
    /// It was there before and still is, changed or not; or it was restored, removed and created again.
    Updated,
    /// It is gone.
    Removed,
    /// It came back from the archive (CAP-66).
    Restored,
}

impl ChangeKind {
    /// Number of the kind in `LedgerEntryChangeType`.
    pub const fn number(self) -> i32 {
        match self {
            Self::Created => 0,
            Self::Updated => 1,
            Self::Removed => 2,
            Self::Restored => 4,
        }
    }
}

/// Net change of one entry over a ledger.
#[derive(Clone, Copy, Debug)]
pub struct EntryChange<'l> {
    /// Key of the entry.
    pub key: EntryKey<'l>,
    /// What became of it.
    pub kind: ChangeKind,
    /// Image that the ledger began with; of a restored entry the one that it came back with. `None` for an entry that
    /// was created, and where the meta does not show it.
    pub before: Option<&'l xdr::LedgerEntry>,
    /// Last image in the ledger; of a removed entry the one that the ledger began with, which its last row repeats. Only
    /// `None` for an eviction, of which the meta holds no more than the key.
    pub image: Option<&'l xdr::LedgerEntry>,
    /// Whether it was evicted: a temporary entry is gone for good, a persistent one lies in the archive.
    pub evicted: bool,
}

impl<'l> EntryChange<'l> {
    /// Whether the entry is gone.
    pub fn deleted(&self) -> bool {
        self.kind == ChangeKind::Removed
    }

    /// Image after the ledger; `None` for an entry that is gone.
    pub fn after(&self) -> Option<&'l xdr::LedgerEntry> {
        self.image.filter(|_| !self.deleted())
    }
}

/// A change that cannot follow what came before it in its ledger.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ChangeError {
    /// Transaction and operation, or upgrade.
    pub place: String,
    /// What was wrong with which entry.
    pub reason: String,
}

/// The net changes of a ledger, in the order of each entry's first change.
#[derive(Debug, Default)]
pub struct Changes<'l> {
    net: Vec<EntryChange<'l>>,
    restored: Vec<(EntryKey<'l>, &'l xdr::LedgerEntry)>,
}

impl<'l> Changes<'l> {
    /// Folds the changes of `ledger`, evictions included.
    ///
    /// # Errors
    /// [`ChangeError`] for an entry that is removed without an image of it.
    pub fn of(ledger: &'l Ledger) -> Result<Self, ChangeError> {
        let mut fold = Fold::default();
        for (place, changes) in in_order(ledger) {
            for change in changes {
                fold.apply(change).map_err(|reason| ChangeError { place: place.to_string(), reason })?;
            }
        }
        for key in ledger.evicted_keys.iter().flatten() {
            fold.evict(key.into());
        }
        let net = fold.slots.iter().filter_map(|(key, slot)| net_change(*key, slot)).collect();
        Ok(Self { net, restored: fold.restored })
    }

    /// The net changes, in the order of each entry's first change.
    pub fn iter(&self) -> impl Iterator<Item = &EntryChange<'l>> {
        self.net.iter()
    }

    /// Every entry that came back from the archive, once, with the image that it came back with; TTLs included.
    pub fn restored(&self) -> &[(EntryKey<'l>, &'l xdr::LedgerEntry)] {
        &self.restored
    }
}

/// How an entry stood before the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Absent,
    Present,
    Archived,
}

#[derive(Debug)]
struct Slot<'l> {
    start: Start,
    before: Option<&'l xdr::LedgerEntry>,
    image: Option<&'l xdr::LedgerEntry>,
    is_there: bool,
    /// Whether it was removed at least once.
    was_removed: bool,
    /// Whether anything but a STATE image was seen.
    is_changed: bool,
    evicted: bool,
}

#[derive(Default)]
struct Fold<'l> {
    slots: IndexMap<EntryKey<'l>, Slot<'l>, ahash::RandomState>,
    restored: Vec<(EntryKey<'l>, &'l xdr::LedgerEntry)>,
}

impl<'l> Fold<'l> {
    fn apply(&mut self, change: &'l xdr::LedgerEntryChange) -> Result<(), String> {
        match change {
            xdr::LedgerEntryChange::State(entry) => {
                // Says what the next change starts from; of an entry that was seen before that is already known.
                self.slot(EntryKey::of(entry), Start::Present, Some(entry));
            }
            xdr::LedgerEntryChange::Created(entry) => {
                self.change(EntryKey::of(entry), Start::Absent, None).set(entry);
            }
            xdr::LedgerEntryChange::Updated(entry) => {
                let slot = self.change(EntryKey::of(entry), Start::Present, None);
                if !slot.outlives(entry) {
                    slot.set(entry);
                }
            }
            xdr::LedgerEntryChange::Restored(entry) => {
                let key = EntryKey::of(entry);
                self.change(key, Start::Archived, Some(entry)).set(entry);
                self.restored.push((key, entry));
            }
            xdr::LedgerEntryChange::Removed(key) => {
                let key = EntryKey::from(key);
                let slot = self.change(key, Start::Present, None);
                slot.remove();
                if slot.image.is_none() {
                    return Err(format!("{key:?} is removed, but no image of it stands before"));
                }
            }
        }
        Ok(())
    }

    fn evict(&mut self, key: EntryKey<'l>) {
        let slot = self.change(key, Start::Present, None);
        slot.remove();
        slot.evicted = true;
    }

    /// The slot of an entry that a change other than STATE speaks of; a new one starts as the arguments say.
    fn change(
        &mut self,
        key: EntryKey<'l>,
        start: Start,
        before: Option<&'l xdr::LedgerEntry>,
    ) -> &mut Slot<'l> {
        let slot = self.slot(key, start, before);
        slot.is_changed = true;
        slot
    }

    fn slot(
        &mut self,
        key: EntryKey<'l>,
        start: Start,
        before: Option<&'l xdr::LedgerEntry>,
    ) -> &mut Slot<'l> {
        self.slots.entry(key).or_insert(Slot {
            start,
            before,
            image: before,
            is_there: true,
            was_removed: false,
            is_changed: false,
            evicted: false,
        })
    }
}

impl<'l> Slot<'l> {
    fn set(&mut self, entry: &'l xdr::LedgerEntry) {
        self.image = Some(entry);
        self.is_there = true;
    }

    fn remove(&mut self) {
        self.is_there = false;
        self.was_removed = true;
    }

    /// Whether an update of a TTL is shorter than one of this ledger that is known: clusters of a stage run in parallel
    /// and each writes its own extension, of which the longest counts (CAP-63).
    fn outlives(&self, update: &xdr::LedgerEntry) -> bool {
        let live_until = |entry: &xdr::LedgerEntry| match &entry.data {
            xdr::LedgerEntryData::Ttl(ttl) => Some(ttl.live_until_ledger_seq),
            xdr::LedgerEntryData::Account(_)
            | xdr::LedgerEntryData::Trustline(_)
            | xdr::LedgerEntryData::Offer(_)
            | xdr::LedgerEntryData::Data(_)
            | xdr::LedgerEntryData::ClaimableBalance(_)
            | xdr::LedgerEntryData::LiquidityPool(_)
            | xdr::LedgerEntryData::ContractData(_)
            | xdr::LedgerEntryData::ContractCode(_)
            | xdr::LedgerEntryData::ConfigSetting(_) => None,
        };
        match (self.image.and_then(live_until), live_until(update)) {
            (Some(known), Some(new)) => self.is_there && known > new,
            _ => false,
        }
    }
}

fn net_change<'l>(key: EntryKey<'l>, slot: &Slot<'l>) -> Option<EntryChange<'l>> {
    let kind = match (slot.start, slot.is_there) {
        _ if !slot.is_changed => return None,
        (Start::Absent, true) => ChangeKind::Created,
        (Start::Absent, false) => return None,
        (Start::Archived, true) if !slot.was_removed => ChangeKind::Restored,
        (Start::Present | Start::Archived, true) => ChangeKind::Updated,
        (Start::Present | Start::Archived, false) => ChangeKind::Removed,
    };
    let image = match kind {
        ChangeKind::Removed => slot.before.or(slot.image),
        ChangeKind::Created | ChangeKind::Updated | ChangeKind::Restored => slot.image,
    };
    Some(EntryChange { key, kind, before: slot.before, image, evicted: slot.evicted })
}
