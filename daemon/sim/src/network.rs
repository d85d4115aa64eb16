//! The network itself: its state between two ledgers.

use std::sync::Arc;

use bytes::Bytes;
use lake_core::{Hash32, LedgerSeq, Network, RawLedger};
use stellar_xdr::{LedgerEntryData, LedgerHeader};

use crate::{
    close,
    config::SimConfig,
    entries,
    events::AssetContracts,
    header::{self, TOTAL_COINS},
    state::{self, State},
    truth::LedgerTruth,
    workload::Workload,
};

/// One closed ledger.
#[derive(Clone, Debug)]
pub struct SimLedger {
    /// The ledger as a source hands it on.
    pub raw: RawLedger,
    /// What is in it.
    pub truth: LedgerTruth,
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
    workload: Workload,
}

impl SimNetwork {
    /// The network right after genesis: one account holds all the money.
    pub fn new(config: SimConfig) -> Self {
        let network_id = Network::new(&config.passphrase).id().0;
        let header = header::genesis();
        let workload = Workload::new(network_id, config.seed, config.density);
        let mut state = State::default();
        state.begin_ledger(1);
        let root = workload.root().clone();
        let mut account = entries::new_account(root.clone(), TOTAL_COINS, 1);
        account.seq_num = stellar_xdr::SequenceNumber(0);
        state.put(state::account_key(&root), LedgerEntryData::Account(account));
        state.seal(&mut Default::default(), false);
        Self {
            origin: format!("simulated {} network, seed {}", config.density, config.seed).into(),
            network_id,
            hash: header::hash(&header),
            header,
            state,
            assets: AssetContracts::new(network_id),
            workload,
        }
    }

    /// The ledger that [`SimNetwork::close_ledger`] makes next; 2 at first.
    pub fn next_seq(&self) -> LedgerSeq {
        LedgerSeq::new(self.header.ledger_seq + 1)
    }

    /// Closes the next ledger.
    pub fn close_ledger(&mut self) -> SimLedger {
        let plans = self.workload.plan(&self.state, self.header.ledger_seq + 1);
        let (xdr, truth) = close::close(self, plans);
        SimLedger {
            raw: RawLedger { seq: truth.seq, xdr: Bytes::from(xdr), origin: self.origin.clone() },
            truth,
        }
    }

    /// Goes on until `seq` is next. Ledgers in between are made and dropped: hashes depend on all of them.
    ///
    /// A `seq` in the past changes nothing: start from a new network or from an older clone.
    pub fn skip_to(&mut self, seq: LedgerSeq) {
        while self.next_seq() < seq {
            self.close_ledger();
        }
    }
}
