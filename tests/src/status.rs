//! What `lakectl status --output json` says, as far as tests look at it. A field that is missing there is an error.

use serde::Deserialize;

/// The whole status.
#[derive(Clone, Debug, Deserialize)]
pub struct StatusFigures {
    /// One entry per network.
    pub networks: Vec<NetworkFigures>,
    /// The write queue.
    pub write_queue: QueueFigures,
}

/// One network.
#[derive(Clone, Debug, Deserialize)]
pub struct NetworkFigures {
    /// Its name.
    pub name: String,
    /// `following`, `finished`, `stopped` and so on.
    pub state: String,
    /// Why, for waiting, retrying and stopped.
    #[serde(default)]
    pub state_reason: Option<String>,
    /// First ledger in the lake.
    #[serde(default)]
    pub first_ledger: Option<u32>,
    /// Last ledger in the lake.
    #[serde(default)]
    pub last_ledger: Option<u32>,
    /// Written since the start.
    pub written: WrittenFigures,
    /// Ledgers that passed every check since the start.
    pub verified_ledgers: u64,
    /// Ledgers that failed one.
    pub failed_ledgers: u64,
    /// Missing ranges.
    pub gaps: u64,
    /// Ledgers refused as duplicates.
    pub duplicates: u64,
    /// Batches committed since the start.
    pub batches: u64,
    /// Average time of a commit, microseconds.
    #[serde(default)]
    pub average_write_micros: u64,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct WrittenFigures {
    /// Ledgers.
    pub ledgers: u64,
    /// Transactions.
    pub transactions: u64,
    /// Operations.
    pub operations: u64,
    /// Rows of all tables.
    pub rows: u64,
}

/// The write queue.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct QueueFigures {
    /// Batches waiting.
    pub depth: u64,
    /// Most that may wait.
    pub capacity: u64,
    /// Batches put in.
    pub submitted: u64,
    /// Batches committed.
    pub written: u64,
    /// Batches that could not be committed.
    pub failed: u64,
    /// Batches refused as duplicates.
    pub duplicates: u64,
}

impl StatusFigures {
    /// The network of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn network(&self, name: &str) -> &NetworkFigures {
        self.networks
            .iter()
            .find(|n| n.name == name)
            .unwrap_or_else(|| panic!("no network {name} in the status"))
    }
}
