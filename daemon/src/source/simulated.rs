//! The network built into the program, as a source: a pure function of passphrase, seed, density and sequence.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use futures::{FutureExt, future::BoxFuture, stream::BoxStream};
use lake_core::{LedgerSeq, Network, RawLedger};
use lake_sim::{Density, SimConfig, SimNetwork};

use super::{Source, SourceError, pace::paced};

const FIRST: LedgerSeq = LedgerSeq::new(2);

/// A simulated network.
#[derive(Debug)]
pub struct Simulated {
    config: SimConfig,
    ledgers_per_second: Option<f64>,
    tip: Arc<AtomicU32>,
    /// Where the last stream stood: a restart of the pipeline need not begin at genesis.
    reached: Arc<Mutex<Option<SimNetwork>>>,
}

impl Simulated {
    /// The simulated network of this passphrase and seed; without a rate it closes ledgers flat out.
    pub fn new(network: &Network, density: Density, seed: u64, ledgers_per_second: Option<f64>) -> Self {
        Self {
            config: SimConfig { passphrase: network.passphrase().to_owned(), seed, density },
            ledgers_per_second,
            tip: Arc::new(AtomicU32::new(FIRST.get())),
            reached: Arc::new(Mutex::new(None)),
        }
    }
}

impl Source for Simulated {
    fn ledgers(
        &self,
        from: LedgerSeq,
        until: Option<LedgerSeq>,
    ) -> BoxStream<'static, Result<RawLedger, SourceError>> {
        let (config, tip, reached) = (self.config.clone(), self.tip.clone(), self.reached.clone());
        let mut network: Option<SimNetwork> = None;
        paced("simulated", self.ledgers_per_second, move || {
            let network = network.get_or_insert_with(|| {
                let kept = reached.lock().unwrap_or_else(PoisonError::into_inner).take();
                let mut network = kept
                    .filter(|network| network.next_seq() <= from)
                    .unwrap_or_else(|| SimNetwork::new(config.clone()));
                network.skip_to(from);
                network
            });
            let seq = network.next_seq();
            if until.is_some_and(|until| seq > until) {
                return None;
            }
            if seq.get().is_multiple_of(1000) {
                *reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(network.clone());
            }
            let ledger = network.close_ledger();
            tip.fetch_max(seq.get(), Ordering::Relaxed);
            Some(Ok(ledger.raw))
        })
    }

    fn oldest(&self) -> BoxFuture<'_, Result<LedgerSeq, SourceError>> {
        futures::future::ready(Ok(FIRST)).boxed()
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
