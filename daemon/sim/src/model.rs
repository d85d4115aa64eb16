//! Counts and sums over a range of ledgers: what a lake that holds the range must show.

use lake_core::{Hash32, LedgerRange};

use crate::{
    config::SimConfig,
    network::SimNetwork,
    truth::{LedgerTruth, Totals},
};

/// A running model of the ledgers seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Number of ledgers.
    pub ledgers: u64,
    /// Number of transactions, failed ones included.
    pub transactions: u64,
    /// Number of operations in envelopes, those of failed transactions included.
    pub operations: u64,
    /// Hash of the first ledger's predecessor; `None` without a ledger.
    pub previous_hash: Option<Hash32>,
    /// Hash of the last ledger; `None` without a ledger.
    pub last_hash: Option<Hash32>,
    /// Sums of the counts; fee pool and total coins are those after the last ledger.
    pub totals: Totals,
}

impl Model {
    /// The model of a range of a network's ledgers, made from its beginning. Ledger 1 is in no stream and not counted.
    pub fn of(config: SimConfig, range: LedgerRange) -> Self {
        let mut network = SimNetwork::new(config);
        network.skip_to(range.start());
        let mut model = Self::default();
        while network.next_seq() <= range.end() {
            model.add(&network.close_ledger().truth);
        }
        model
    }

    /// Adds the next ledger.
    pub fn add(&mut self, truth: &LedgerTruth) {
        let (sum, one) = (&mut self.totals, &truth.totals);
        self.ledgers += 1;
        self.transactions += one.successful + one.failed;
        self.operations += one.envelope_operations;
        self.previous_hash.get_or_insert(truth.previous_hash);
        self.last_hash = Some(truth.hash);
        sum.successful += one.successful;
        sum.failed += one.failed;
        sum.fee_bumps += one.fee_bumps;
        sum.soroban_transactions += one.soroban_transactions;
        sum.operations += one.operations;
        sum.envelope_operations += one.envelope_operations;
        sum.soroban_operations += one.soroban_operations;
        sum.operation_events += one.operation_events;
        sum.transaction_events += one.transaction_events;
        sum.diagnostic_events += one.diagnostic_events;
        sum.fee_charged += one.fee_charged;
        sum.fee_pool = one.fee_pool;
        sum.total_coins = one.total_coins;
        sum.xdr_bytes += one.xdr_bytes;
    }
}
