//! Wires fetch -> decode -> extract -> encode -> queue for one range of one network; owns channels, order and
//! cancellation. One pipeline per network, all feeding the one write queue.

mod at_work;
mod batcher;
mod bulk;
mod chunk;
mod error;
mod progress;
mod quarantine;
mod range;
mod supervise;
mod work;

use std::{sync::Arc, time::Duration};

use lake_core::{
    Network,
    tables::{Stamps, TableSet},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    budget::MemoryBudget,
    config::BatchSettings,
    lake::{Lake, Lane, NetworkName, OnlyTables, WriteQueue},
    source::Source,
};

pub use at_work::{AtWork, Working};
pub use bulk::run_chunks;
pub use chunk::{Chunk, ChunkLimits, run_chunk};
pub use error::PipelineError;
pub use progress::{NetworkProgress, NetworkState, Progress, StageTimes};
pub use quarantine::keep as keep_evidence;
pub use range::{RangeEnd, run_range};
pub(crate) use supervise::delays;
pub use supervise::{Start, first_ledger, supervise};
pub use work::CHUNK_BYTES;

/// What every pipeline of the process shares.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Coverage and stored hashes.
    pub lake: Arc<Lake>,
    /// The one write queue.
    pub queue: WriteQueue,
    /// Bytes of XDR in flight.
    pub budget: MemoryBudget,
    /// Worker slots: decoding, extracting and encoding.
    pub workers: Arc<Semaphore>,
    /// Number of worker slots.
    pub worker_count: usize,
    /// What all workers are at, for the watchdog.
    pub at_work: AtWork,
    /// When a batch is sealed.
    pub batch: BatchSettings,
    /// What rows are made with.
    pub rows: RowSettings,
    /// Stop taking ledgers in; finish what is in flight.
    pub cancel: CancellationToken,
}

/// What rows are made with.
#[derive(Clone, Debug)]
pub struct RowSettings {
    /// Run stamp `era_id`.
    pub era_id: Option<Arc<str>>,
    /// Run stamp `version_label`.
    pub version_label: Arc<str>,
    /// Whether the columns of raw XDR are filled.
    pub raw_xdr: bool,
}

impl RowSettings {
    /// An empty set of tables, stamped with this moment.
    pub(crate) fn tables(&self) -> TableSet {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let stamps = Stamps {
            era_id: self.era_id.clone(),
            version_label: self.version_label.clone(),
            ingested_at_micros: i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX),
        };
        TableSet::new(stamps).with_raw_xdr(self.raw_xdr)
    }
}

/// One network to ingest.
#[derive(Clone)]
pub struct NetworkTask {
    /// Schema name.
    pub name: NetworkName,
    /// Passphrase and id.
    pub network: Network,
    /// Where its ledgers come from.
    pub source: Arc<dyn Source>,
    /// Lane of its batches.
    pub lane: Lane,
    /// Set to add only these tables' rows, to ledgers that are stored without them.
    pub only: Option<OnlyTables>,
    /// What is told about it.
    pub progress: Progress,
}

impl std::fmt::Debug for NetworkTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkTask")
            .field("name", &self.name)
            .field("source", &self.source.describe())
            .finish()
    }
}
