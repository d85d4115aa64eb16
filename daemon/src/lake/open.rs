//! Opening and closing a lake, in the order that its safety needs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use lake_core::{LedgerSeq, schema::TableSpec};
use tokio::sync::{oneshot, watch};

use super::{
    batch::NetworkName,
    catalog::{Catalog, CatalogSettings},
    committer::{Committer, Networks, Watermark},
    coverage::RangeSet,
    ddl::fingerprint,
    dirs::{LakeDirs, create_durable},
    encode::Encoder,
    error::LakeError,
    extensions::extension_files,
    inventory::StoredLink,
    keeper::Keeper,
    lock::WriterLock,
    queue::WriteQueue,
    settings::LakeSettings,
};

/// An open lake: the only writer of it. Shared by reference; closed by [`Lake::close`] or on drop.
#[derive(Debug)]
pub struct Lake {
    pub(crate) settings: LakeSettings,
    pub(crate) encoder: Encoder,
    pub(crate) networks: Networks,
    extensions: Vec<PathBuf>,
    queue: WriteQueue,
    keeper: Keeper,
    thread: Mutex<Option<CommitterThread>>,
    // Last: the lock is given back after everything else is gone.
    _lock: WriterLock,
}

#[derive(Debug)]
struct CommitterThread {
    handle: JoinHandle<()>,
    /// Disconnects when the thread ends.
    ended: Receiver<()>,
}

impl Lake {
    /// Opens the lake, creating it when it is new. Blocks on disk; `specs` are the tables of every network.
    ///
    /// # Errors
    /// [`LakeError::Locked`] when another process writes it; otherwise what is missing or not allowed, by name.
    pub fn open(settings: LakeSettings, specs: &'static [&'static TableSpec]) -> Result<Self, LakeError> {
        let dirs = LakeDirs::open(&settings.path)?;
        // Before anything else: two committers would register ledgers twice.
        let lock = WriterLock::take(&dirs)?;
        create_durable(dirs.root(), &dirs.data())?;
        let extensions = extension_files(settings.extension_dir.as_deref())?;
        let keeper = Keeper::start(settings.keeper_program.as_deref(), &dirs.catalog())?;
        let catalog_settings =
            CatalogSettings { extensions: extensions.clone(), memory_bytes: settings.committer_memory_bytes };
        let catalog = Catalog::open(dirs.clone(), catalog_settings)?;
        let queue = WriteQueue::new(&settings.queue);
        let networks: Networks = Arc::new(RwLock::new(BTreeMap::new()));
        let committer = Committer::new(
            catalog,
            Arc::clone(&networks),
            queue.clone(),
            settings.lock_retry,
            settings.recycle_commits,
        );
        let (signal, ended) = sync_channel(0);
        let handle = thread::Builder::new()
            .name("lake-committer".to_owned())
            .spawn(move || {
                let _signal = signal;
                committer.run();
            })
            .map_err(|e| LakeError::io("start the committer of", dirs.root(), e))?;
        let encoder =
            Encoder { dirs, settings: settings.encoding.clone(), specs, fingerprint: fingerprint(specs) };
        let thread = Mutex::new(Some(CommitterThread { handle, ended }));
        Ok(Self { settings, encoder, networks, extensions, queue, keeper, thread, _lock: lock })
    }

    /// The lake's directories.
    pub fn dirs(&self) -> &LakeDirs {
        &self.encoder.dirs
    }

    /// The extension files that every DuckDB instance of this process must load, in this order.
    pub fn extensions(&self) -> &[PathBuf] {
        &self.extensions
    }

    /// The encoder for this lake, for workers.
    pub fn encoder(&self) -> Encoder {
        self.encoder.clone()
    }

    /// The write queue.
    pub fn queue(&self) -> WriteQueue {
        self.queue.clone()
    }

    /// The keeper of the catalog.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Which ledgers of a network are stored.
    ///
    /// # Errors
    /// [`LakeError::UnknownNetwork`].
    pub fn coverage(&self, network: &NetworkName) -> Result<Arc<RangeSet>, LakeError> {
        Ok(Arc::clone(&self.watermark(network)?.borrow().coverage))
    }

    /// How far a network is stored, now and after every commit.
    ///
    /// # Errors
    /// [`LakeError::UnknownNetwork`].
    pub fn watermark(&self, network: &NetworkName) -> Result<watch::Receiver<Watermark>, LakeError> {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks
            .get(network)
            .map(watch::Sender::subscribe)
            .ok_or_else(|| LakeError::UnknownNetwork { network: network.to_string() })
    }

    /// Hashes of a stored ledger, `None` when it is not stored: what the next ledger must link to.
    ///
    /// # Errors
    /// What reading the lake gives.
    pub async fn stored_link(
        &self,
        network: &NetworkName,
        seq: LedgerSeq,
    ) -> Result<Option<StoredLink>, LakeError> {
        let network = network.clone();
        self.ask_async(move |c| c.catalog.stored_link(network.as_str(), seq)).await
    }

    /// Runs `task` on the committer thread and blocks for its result.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Committer) -> Result<T, LakeError> + Send + 'static,
    ) -> Result<T, LakeError> {
        let (reply, answer) = sync_channel(1);
        self.queue.task(Box::new(move |committer| drop(reply.send(task(committer)))))?;
        answer.recv().unwrap_or(Err(LakeError::Closed))
    }

    /// The same without blocking a runtime thread.
    pub(crate) async fn ask_async<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Committer) -> Result<T, LakeError> + Send + 'static,
    ) -> Result<T, LakeError> {
        let (reply, answer) = oneshot::channel();
        self.queue.task(Box::new(move |committer| drop(reply.send(task(committer)))))?;
        answer.await.unwrap_or(Err(LakeError::Closed))
    }

    /// Takes no more batches, commits what is queued, ends the committer and, last, the keeper. Batches that are
    /// still queued after `deadline` are failed with [`LakeError::Closed`]. Returns whether all were committed.
    /// Blocks; closing twice does nothing.
    pub fn close(&self, deadline: Duration) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(CommitterThread { handle, ended }) = thread else { return true };
        self.queue.close(false);
        let drained = ended.recv_timeout(deadline) == Err(RecvTimeoutError::Disconnected);
        if !drained {
            // The batch in hand is finished: a transaction is never cut off.
            self.queue.close(true);
        }
        if handle.join().is_err() {
            tracing::error!("the committer ended by a panic");
        }
        self.keeper.stop(Duration::from_secs(10));
        drained
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        self.close(Duration::from_secs(10));
    }
}
