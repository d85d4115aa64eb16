//! Opening and closing a lake, in the order that its safety needs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use lake_core::{Hash32, LedgerSeq, schema::TableSpec};
use tokio::sync::{oneshot, watch};

use super::{
    batch::NetworkName,
    catalog::{Catalog, CatalogSettings},
    committer::{Committer, Networks, Watermark},
    coverage::RangeSet,
    damage::DamageLog,
    dirs::{LakeDirs, create_durable},
    encode::Encoder,
    error::LakeError,
    extensions::extension_files,
    inventory::StoredLink,
    keeper::Keeper,
    lacking::Lacking,
    lock::WriterLock,
    maintenance::MaintenanceStats,
    queue::WriteQueue,
    settings::LakeSettings,
    shadow::remove_shadow,
    sweep::remove_unfinished,
};

/// An open lake: the only writer of it. Shared by reference; closed by [`Lake::close`] or on drop.
#[derive(Debug)]
pub struct Lake {
    pub(crate) settings: LakeSettings,
    pub(crate) encoder: Encoder,
    pub(crate) networks: Networks,
    pub(crate) damage: Arc<DamageLog>,
    extensions: Vec<PathBuf>,
    queue: WriteQueue,
    keeper: Keeper,
    pub(crate) maintenance: Mutex<MaintenanceStats>,
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
        remove_shadow(&dirs.shadow())?;
        remove_unfinished(&dirs.jobs())?;
        let extensions = extension_files(settings.extension_dir.as_deref())?;
        let keeper = Keeper::start(settings.keeper_program.as_deref(), &dirs.catalog())?;
        let catalog_settings =
            CatalogSettings { extensions: extensions.clone(), memory_bytes: settings.committer_memory_bytes };
        let catalog = Catalog::open(dirs.clone(), catalog_settings)?;
        let queue = WriteQueue::new(&settings.queue);
        let networks: Networks = Arc::new(RwLock::new(BTreeMap::new()));
        let encoder = Encoder::new(dirs, settings.encoding.clone(), specs);
        let damage = Arc::new(DamageLog::new(encoder.dirs.jobs()));
        let committer = Committer::new(
            catalog,
            encoder.clone(),
            (Arc::clone(&networks), Arc::clone(&damage)),
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
            .map_err(|e| LakeError::io("start the committer of", encoder.dirs.root(), e))?;
        let thread = Mutex::new(Some(CommitterThread { handle, ended }));
        let maintenance = Mutex::default();
        Ok(Self {
            settings,
            encoder,
            networks,
            damage,
            extensions,
            queue,
            keeper,
            maintenance,
            thread,
            _lock: lock,
        })
    }

    /// Size of the catalog's write-ahead log, in bytes; `None` when there is none.
    pub fn wal_bytes(&self) -> Option<u64> {
        let mut wal = self.catalog_path().into_os_string();
        wal.push("-wal");
        std::fs::metadata(wal).ok().map(|data| data.len())
    }

    /// The lake's directories.
    pub fn dirs(&self) -> &LakeDirs {
        &self.encoder.dirs
    }

    /// The extension files that every DuckDB instance of this process must load, in this order.
    pub fn extensions(&self) -> &[PathBuf] {
        &self.extensions
    }

    /// The lake directory, canonical.
    pub fn path(&self) -> &Path {
        self.dirs().root()
    }

    /// The catalog's file. Only DuckDB may open it.
    pub fn catalog_path(&self) -> PathBuf {
        self.dirs().catalog()
    }

    /// Root of the Parquet files.
    pub fn data_path(&self) -> PathBuf {
        self.dirs().data()
    }

    /// Folder of the extension files in use.
    pub fn extension_dir(&self) -> PathBuf {
        self.extensions.first().and_then(|f| f.parent()).map(Path::to_path_buf).unwrap_or_default()
    }

    /// Time since the committer last showed life; under a second or two, but for a long commit.
    pub fn heartbeat_age(&self) -> Duration {
        self.queue.heartbeat_age()
    }

    /// What keeps the committer waiting when another process keeps the catalog locked.
    pub fn locked(&self) -> Option<LakeError> {
        let since = self.queue.stats().locked_since?;
        Some(LakeError::CatalogLocked { path: self.catalog_path(), waited: since.elapsed() })
    }

    /// The networks that were added, in the order of their names.
    pub fn network_names(&self) -> Vec<NetworkName> {
        self.networks.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
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

    /// Stored ledgers without rows in tables that were added after they were stored.
    ///
    /// # Errors
    /// [`LakeError::UnknownNetwork`].
    pub fn lacking(&self, network: &NetworkName) -> Result<Arc<Vec<Lacking>>, LakeError> {
        Ok(Arc::clone(&self.watermark(network)?.borrow().lacking))
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

    /// Hash of a stored ledger, `None` when it is not stored.
    ///
    /// # Errors
    /// What reading the lake gives.
    pub async fn stored_hash(
        &self,
        network: &NetworkName,
        seq: LedgerSeq,
    ) -> Result<Option<Hash32>, LakeError> {
        Ok(self.stored_link(network, seq).await?.map(|link| link.hash))
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
    /// still queued after `deadline` are failed with [`LakeError::Closed`]. Blocks; closing twice does nothing.
    ///
    /// # Errors
    /// [`LakeError::NotDrained`] when the deadline passed; the lake is closed all the same.
    pub fn close(&self, deadline: Duration) -> Result<(), LakeError> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(CommitterThread { handle, ended }) = thread else { return Ok(()) };
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
        if drained { Ok(()) } else { Err(LakeError::NotDrained { waited: deadline }) }
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        if let Err(error) = self.close(Duration::from_secs(10)) {
            tracing::warn!(error = %error, "lake was dropped");
        }
    }
}
