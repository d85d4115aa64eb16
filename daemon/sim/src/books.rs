//! The books of the network: what each ledger did to the entries, kept beside the metadata and not read back from it.

use std::{fmt, sync::Arc};

use stellar_xdr::{LedgerEntry, LedgerKey};

use crate::state::Entry;

/// What a ledger did to an entry, on balance. The numbers are those of the tables' `ledger_entry_change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It was not there before the ledger.
    Created,
    /// It was there and is: removed and made again counts, and so does a change that left it equal.
    Updated,
    /// It was there (or restored in the ledger) and is gone.
    Removed,
    /// It was archived and is back, whatever changed it after that.
    Restored,
}

impl Change {
    /// 0 created, 1 updated, 2 removed, 4 restored: `LedgerEntryChangeType` of Stellar-ledger.x.
    pub fn number(self) -> i32 {
        match self {
            Self::Created => 0,
            Self::Updated => 1,
            Self::Removed => 2,
            Self::Restored => 4,
        }
    }
}

/// The net change of one entry in one ledger. An entry that came and went within the ledger has none.
#[derive(Clone)]
pub struct EntryChange {
    pub(crate) key: LedgerKey,
    pub(crate) change: Change,
    pub(crate) evicted: bool,
    pub(crate) before: Option<Arc<Entry>>,
    pub(crate) last: Arc<Entry>,
}

impl EntryChange {
    /// Key of the entry; which arm it is tells the entry's kind.
    pub fn key(&self) -> &LedgerKey {
        &self.key
    }

    /// What happened to it.
    pub fn change(&self) -> Change {
        self.change
    }

    /// Whether it went by eviction: the metadata has its key only, and a persistent entry can be restored.
    pub fn evicted(&self) -> bool {
        self.evicted
    }

    /// The entry before the ledger: `None` when it was created or restored from the archive.
    pub fn before(&self) -> Option<&LedgerEntry> {
        self.before.as_ref().map(|entry| &entry.value)
    }

    /// The entry after the ledger's last change to it: `None` when it is gone.
    pub fn after(&self) -> Option<&LedgerEntry> {
        (self.change != Change::Removed).then_some(&self.last.value)
    }

    /// The entry's last image: after the ledger, or just before it went, with all that the ledger did to it until then.
    pub fn last(&self) -> &LedgerEntry {
        &self.last.value
    }
}

impl PartialEq for EntryChange {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, self.change, self.evicted) == (&other.key, other.change, other.evicted)
            && self.before() == other.before()
            && self.last() == other.last()
    }
}

impl fmt::Debug for EntryChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryChange")
            .field("key", &self.key)
            .field("change", &self.change)
            .field("evicted", &self.evicted)
            .field("before", &self.before())
            .field("last", &self.last())
            .finish()
    }
}
