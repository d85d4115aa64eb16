//! The network itself: its state between two ledgers.

use std::sync::Arc;

use bytes::Bytes;
use lake_core::{Hash32, LedgerSeq, Network, RawLedger};
use stellar_xdr::{LedgerEntry, LedgerEntryData, LedgerHeader, LedgerKey};

use crate::{
    books::EntryChange,
    close::{self, ClosedLedger},
    config::SimConfig,
    entries,
    events::AssetContracts,
    header::{self, TOTAL_COINS},
    settings,
    state::{self, State},
    truth::{self, LedgerTruth},
    workload::Workload,
};

/// One closed ledger.
#[derive(Clone, Debug)]
pub struct SimLedger {
    /// The ledger as a source hands it on.
    pub raw: RawLedger,
    /// What is in it.
    pub truth: LedgerTruth,
    /// What it did to the entries: one net change per entry, in the order of the first changes.
    pub changes: Vec<EntryChange>,
}

/// A simulated network, about to close its next ledger. A clone is a checkpoint: both go on alike.
#[derive(Clone, Debug)]
pub struct SimNetwork {
    origin: Arc<str>,
    pub(crate) network_id: [u8; 32],
    /// Header of the last closed ledger; fee pool and id pool already count the ledger that is being closed.
    pub(crate) header: LedgerHeader,
    /// Hash of that header.
    pub(crate) hash: Hash32,
    pub(crate) state: State,
    pub(crate) assets: AssetContracts,
    /// Room for a ledger, going by the last one.
    pub(crate) usual_bytes: usize,
    workload: Workload,
}

impl SimNetwork {
    /// The network right after genesis, which is ledger 1: one account holds all the money.
    pub fn new(config: SimConfig) -> Self {
        Self::with_first(config, LedgerSeq::new(2))
    }

    /// A network whose first ledger after genesis is `first`, from 2 on: as new, but with the numbers of a later one.
    pub fn with_first(config: SimConfig, first: LedgerSeq) -> Self {
        let network_id = Network::new(&config.passphrase).id().0;
        let genesis = first.get().saturating_sub(1).max(1);
        let header = LedgerHeader { ledger_seq: genesis, ..header::genesis() };
        let workload = Workload::new(network_id, config.seed, config.density);
        let mut state = State::default();
        state.begin_ledger(genesis);
        let root = workload.root().clone();
        let mut account = entries::new_account(root.clone(), TOTAL_COINS, genesis);
        account.seq_num = stellar_xdr::SequenceNumber(0);
        state.put(state::account_key(&root), LedgerEntryData::Account(account));
        state.set_base_reserve(entries::BASE_RESERVE);
        let lifetimes = workload.lifetimes();
        state.set_lifetimes(lifetimes);
        for setting in settings::genesis(lifetimes) {
            state.put(settings::key(&setting), LedgerEntryData::ConfigSetting(setting));
        }
        state.seal(&mut Default::default(), false);
        Self {
            origin: format!("simulated {} network, seed {}", config.density, config.seed).into(),
            network_id,
            hash: header::hash(&header),
            header,
            state,
            assets: AssetContracts::new(network_id),
            usual_bytes: 0,
            workload,
        }
    }

    /// The ledger that [`SimNetwork::close_ledger`] makes next; 2 at first.
    pub fn next_seq(&self) -> LedgerSeq {
        LedgerSeq::new(self.header.ledger_seq + 1)
    }

    /// Closes the next ledger.
    pub fn close_ledger(&mut self) -> SimLedger {
        let ledger = self.close();
        let changes = self.state.take_changes();
        let truth = truth::tell(self, &ledger, &changes);
        let xdr = Bytes::from(ledger.xdr);
        SimLedger { raw: RawLedger { seq: truth.seq, xdr, origin: self.origin.clone() }, truth, changes }
    }

    /// All entries of the ledger state after the last closed ledger, in no particular order.
    ///
    /// Contract entries whose time is over stand here until they are evicted: see [`SimNetwork::live_until`].
    pub fn entries(&self) -> impl Iterator<Item = (&LedgerKey, &LedgerEntry)> {
        self.state.entries()
    }

    /// The entry under `key` after the last closed ledger.
    pub fn entry(&self, key: &LedgerKey) -> Option<&LedgerEntry> {
        self.state.entry(key)
    }

    /// Persistent contract entries that were evicted and can be restored, in no particular order.
    pub fn archived(&self) -> impl Iterator<Item = (&LedgerKey, &LedgerEntry)> {
        self.state.archived_entries()
    }

    /// The last ledger in which the contract entry under `key` lives; `None` without a TTL entry.
    pub fn live_until(&self, key: &LedgerKey) -> Option<LedgerSeq> {
        self.state.live_until(key).map(LedgerSeq::new)
    }

    fn close(&mut self) -> ClosedLedger {
        let (plans, upgrades) = self.workload.plan(&self.state, &self.header);
        close::close(self, plans, upgrades)
    }

    /// Goes on until `seq` is next. Ledgers in between are made and dropped: hashes depend on all of them.
    ///
    /// A `seq` in the past changes nothing: start from a new network or from an older clone.
    pub fn skip_to(&mut self, seq: LedgerSeq) {
        while self.next_seq() < seq {
            self.close();
        }
    }
}
