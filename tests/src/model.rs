//! The truth about a simulated network, ledger by ledger, and its running sums.

use lake_sim::{Density, LedgerTruth, SimConfig, SimLedger, SimNetwork};

use crate::config::{Network, Source};

/// First ledger of every network.
pub(crate) const FIRST: u32 = 2;

/// What a lake that holds the ledgers from the first on must show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ledgers.
    pub ledgers: u64,
    /// Transactions, failed ones included.
    pub transactions: u64,
    /// Successful transactions.
    pub successful: u64,
    /// Operations in all envelopes.
    pub operations: u64,
    /// Sum of the fees charged, stroops.
    pub fees: i64,
}

/// The truth about one network. Its ledgers are made once, in order.
#[derive(Debug)]
pub struct Model {
    network: SimNetwork,
    /// Sums up to and including ledger `FIRST + index`.
    sums: Vec<Counts>,
    /// Ledgers that were made and not compared yet.
    pending: Vec<LedgerTruth>,
}

impl Model {
    /// The network of this passphrase, density and seed.
    pub fn new(passphrase: &str, density: Density, seed: u64) -> Self {
        let config = SimConfig { passphrase: passphrase.to_owned(), seed, density };
        Self { network: SimNetwork::new(config), sums: Vec::new(), pending: Vec::new() }
    }

    /// The model of a simulated network of a configuration.
    ///
    /// # Panics
    /// When its source is not the simulated one.
    pub fn of(network: &Network) -> Self {
        match &network.source {
            Source::Simulated { density, seed, first: FIRST, .. } => {
                Self::new(&network.passphrase, *density, *seed)
            }
            Source::Simulated { first, .. } => {
                panic!("no model of a network that begins with ledger {first}")
            }
            Source::Filesystem(path) | Source::Replay(path) => {
                panic!("no model of the ledgers in {}", path.display())
            }
        }
    }

    /// Closes the next ledger and notes its sums.
    pub fn close(&mut self) -> SimLedger {
        let ledger = self.network.close_ledger();
        let mut sum = self.sums.last().copied().unwrap_or_default();
        let totals = &ledger.truth.totals;
        sum.ledgers += 1;
        sum.transactions += totals.successful + totals.failed;
        sum.successful += totals.successful;
        sum.operations += totals.envelope_operations;
        sum.fees += totals.fee_charged;
        self.sums.push(sum);
        ledger
    }

    /// Sums over the ledgers from the first to `last`.
    pub fn counts(&mut self, last: u32) -> Counts {
        let Some(index) = last.checked_sub(FIRST) else { return Counts::default() };
        let index = usize::try_from(index).expect("a ledger number fits");
        while self.sums.len() <= index {
            let ledger = self.close();
            self.pending.push(ledger.truth);
        }
        self.sums.get(index).copied().unwrap_or_default()
    }

    /// Sums over the ledgers of stretches that do not overlap.
    pub fn sum(&mut self, stretches: &[(u32, u32)]) -> Counts {
        let mut sum = Counts::default();
        for (first, last) in stretches {
            let (all, before) = (self.counts(*last), self.counts(first - 1));
            sum.ledgers += all.ledgers - before.ledgers;
            sum.transactions += all.transactions - before.transactions;
            sum.successful += all.successful - before.successful;
            sum.operations += all.operations - before.operations;
            sum.fees += all.fees - before.fees;
        }
        sum
    }

    /// The next ledgers of ascending stretches that were not taken before, but no more than make this many operations.
    pub(crate) fn take(&mut self, stretches: &[(u32, u32)], operations: usize) -> Vec<LedgerTruth> {
        let end = stretches.last().map_or(0, |(_, last)| *last);
        let (mut taken, mut left): (Vec<LedgerTruth>, Vec<LedgerTruth>) = (Vec::new(), Vec::new());
        let mut count = 0;
        let mut pending = std::mem::take(&mut self.pending).into_iter();
        while count < operations && taken.len() < 5_000 {
            let next = match pending.next() {
                Some(truth) => truth,
                None if self.network.next_seq().get() <= end => self.close().truth,
                None => break,
            };
            let seq = next.seq.get();
            if stretches.iter().any(|(first, last)| (*first..=*last).contains(&seq)) {
                count += next.operations.len();
                taken.push(next);
            } else {
                left.push(next);
            }
        }
        left.extend(pending);
        self.pending = left;
        taken
    }
}
