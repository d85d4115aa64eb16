//! The network built into the program, as a source: a pure function of passphrase, seed, density and sequence.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use lake_core::{LedgerSeq, Network, RawLedger};
use lake_sim::{Density, SimConfig, SimNetwork};

use super::{Source, SourceError, pace::paced};

/// Ledgers between two states of the network that are kept.
const KEEP_EVERY: u32 = 1_000;

/// States that are kept: streams that begin later go on from the nearest one.
const KEPT: usize = 8;

/// A simulated network.
#[derive(Debug)]
pub struct Simulated {
    config: SimConfig,
    first: LedgerSeq,
    ledgers_per_second: Option<f64>,
    tip: Arc<AtomicU32>,
    /// Where streams stood: neither a restart nor another chunk of a backfill need begin at genesis.
    reached: Arc<Mutex<Vec<SimNetwork>>>,
}

impl Simulated {
    /// The simulated network of this passphrase and seed; without a rate it closes ledgers flat out.
    pub fn new(network: &Network, density: Density, seed: u64, ledgers_per_second: Option<f64>) -> Self {
        let first = LedgerSeq::new(2);
        Self {
            config: SimConfig { passphrase: network.passphrase().to_owned(), seed, density },
            first,
            ledgers_per_second,
            tip: Arc::new(AtomicU32::new(first.get())),
            reached: Arc::default(),
        }
    }

    /// The same with another first ledger, from 2 on.
    pub fn with_first(self, first: LedgerSeq) -> Self {
        let first = first.max(self.first);
        Self { first, tip: Arc::new(AtomicU32::new(first.get())), ..self }
    }
}

/// The state nearest before `from`.
fn nearest(reached: &Mutex<Vec<SimNetwork>>, from: LedgerSeq) -> Option<SimNetwork> {
    let reached = reached.lock().unwrap_or_else(PoisonError::into_inner);
    reached
        .iter()
        .filter(|network| network.next_seq() <= from)
        .max_by_key(|network| network.next_seq())
        .cloned()
}

fn keep(reached: &Mutex<Vec<SimNetwork>>, network: &SimNetwork) {
    let mut reached = reached.lock().unwrap_or_else(PoisonError::into_inner);
    if reached.iter().all(|kept| kept.next_seq() != network.next_seq()) {
        reached.push(network.clone());
        if reached.len() > KEPT {
            // The oldest one: streams go on, they seldom go back.
            reached.remove(0);
        }
    }
}

impl Source for Simulated {
    fn ledgers(
        &self,
        from: LedgerSeq,
        until: Option<LedgerSeq>,
    ) -> BoxStream<'static, Result<RawLedger, SourceError>> {
        let (config, first, tip, reached) =
            (self.config.clone(), self.first, self.tip.clone(), self.reached.clone());
        if from < first {
            return stream::iter([Err(SourceError::before(from, first, self.describe()))]).boxed();
        }
        let mut network: Option<SimNetwork> = None;
        paced("simulated", self.ledgers_per_second, move || {
            let network = network.get_or_insert_with(|| {
                let mut network =
                    nearest(&reached, from).unwrap_or_else(|| SimNetwork::with_first(config.clone(), first));
                network.skip_to(from);
                network
            });
            let seq = network.next_seq();
            let is_over = until.is_some_and(|until| seq > until);
            if is_over || seq.get().is_multiple_of(KEEP_EVERY) {
                keep(&reached, network);
            }
            if is_over {
                return None;
            }
            let ledger = network.close_ledger();
            tip.fetch_max(seq.get(), Ordering::Relaxed);
            Some(Ok(ledger.raw))
        })
    }

    fn oldest(&self) -> BoxFuture<'_, Result<LedgerSeq, SourceError>> {
        futures::future::ready(Ok(self.first)).boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Option<LedgerSeq>, SourceError>> {
        futures::future::ready(Ok(Some(LedgerSeq::new(self.tip.load(Ordering::Relaxed))))).boxed()
    }

    fn describe(&self) -> String {
        let rate = match self.ledgers_per_second {
            Some(rate) => format!("{rate} ledgers/s"),
            None => "flat out".to_owned(),
        };
        format!("simulated {} seed {}, {rate}", self.config.density, self.config.seed)
    }
}
