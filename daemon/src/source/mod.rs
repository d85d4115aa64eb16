//! Where ledgers come from: one trait, one file per kind. A source never names another source, never retries and
//! never decodes more than it must; it classifies its own errors and the pipeline acts on them.

mod error;
mod filesystem;
mod line;
mod pace;
mod reads;
mod records;
mod renumber;
mod replay;
mod sep54;
mod simulated;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::{future::BoxFuture, stream::BoxStream};
use lake_core::{LedgerSeq, Network, RawLedger};

use crate::{budget::MemoryBudget, config::SourceSettings};

pub use error::SourceError;
pub use filesystem::{Filesystem, ReadOptions};
pub use records::RecordStream;
pub use replay::Replay;
pub use sep54::Layout;
pub use simulated::Simulated;

/// Where ledgers come from.
pub trait Source: Send + Sync + 'static {
    /// Ledgers from `from` to `until`, both inclusive, ascending, without gaps. Without `until` the stream follows
    /// the tip for ever (a record stream ends with its input). A ledger that should exist and does not is an error,
    /// never a skip. After an error the stream is over.
    fn ledgers(
        &self,
        from: LedgerSeq,
        until: Option<LedgerSeq>,
    ) -> BoxStream<'static, Result<RawLedger, SourceError>>;

    /// Oldest ledger that this source can serve.
    fn oldest(&self) -> BoxFuture<'_, Result<LedgerSeq, SourceError>>;

    /// Newest ledger that this source can serve now; `None` when only reading on can tell.
    fn tip(&self) -> BoxFuture<'_, Result<Option<LedgerSeq>, SourceError>>;

    /// Ledgers per object; `None` where ledgers do not come in objects, or it is not known yet.
    fn ledgers_per_object(&self) -> Option<u32> {
        None
    }

    /// Objects that a stream reads at once while memory has room for them.
    fn reads_at_once(&self) -> u32 {
        1
    }

    /// Bytes of objects per second that all streams get together, where settings limit them.
    fn bandwidth(&self) -> Option<u64> {
        None
    }

    /// Whether a stream may begin anywhere at about the cost of beginning at the first ledger.
    fn seeks(&self) -> bool {
        false
    }

    /// What was asked of it and what came; nothing where it makes its ledgers itself.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// Kind and place, for status and messages.
    fn describe(&self) -> String;
}

/// What a source was asked for since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Reads of objects and of directories.
    pub requests: u64,
    /// Those that brought an error.
    pub failures: u64,
    /// Bytes of objects as they are stored.
    pub bytes: u64,
}

/// Opens a source. Touches nothing outside: the first use finds out whether it works. `read_ahead` bounds the objects
/// that it holds, together with all other sources that have the same bound.
pub fn open(settings: &SourceSettings, network: &Network, read_ahead: &MemoryBudget) -> Arc<dyn Source> {
    match settings {
        SourceSettings::Filesystem { path, timeout, latency, bandwidth } => {
            let options = ReadOptions {
                timeout: *timeout,
                latency: *latency,
                bandwidth: *bandwidth,
                read_ahead: read_ahead.clone(),
            };
            Arc::new(Filesystem::with_options(path, network.clone(), options))
        }
        SourceSettings::Simulated { density, seed, first_ledger, ledgers_per_second } => Arc::new(
            Simulated::new(network, *density, *seed, *ledgers_per_second)
                .with_first(LedgerSeq::new(*first_ledger)),
        ),
        SourceSettings::Replay { path, ledgers_per_second } => {
            Arc::new(Replay::new(path, network.clone(), *ledgers_per_second))
        }
    }
}
