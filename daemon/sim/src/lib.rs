//! A small deterministic Stellar network that closes ledgers and knows what really happened in them.
//!
//! The network applies its transactions to a state of its own and writes protocol-current `LedgerCloseMeta`. A ledger
//! is a pure function of passphrase, seed, density and sequence: no clock, no file, no thread. Nothing here uses the
//! extraction of `lake-core`: the truth that comes with a ledger is an oracle for it.
//!
//! ```
//! use lake_sim::{Density, SimConfig, SimNetwork};
//!
//! let config = SimConfig { passphrase: "a network of ours".into(), seed: 7, density: Density::Sparse };
//! let mut network = SimNetwork::new(config);
//! let ledger = network.close_ledger();
//! assert_eq!(ledger.raw.seq.get(), 2);
//! assert_eq!(ledger.truth.seq, ledger.raw.seq);
//! ```

mod apply;
mod assemble;
mod books;
mod close;
mod config;
mod encode;
mod entries;
mod events;
mod hasher;
mod header;
mod model;
mod network;
mod one_time;
mod refusal;
mod rng;
mod rows;
mod settings;
mod soroban;
mod state;
mod truth;
mod tx;
mod upgrade;
mod workload;

pub use books::{Change, EntryChange};
pub use config::{Density, ParseDensityError, SimConfig};
pub use model::Model;
pub use network::{SimLedger, SimNetwork};
pub use rows::{SignerChange, TableRows, signer_changes};
pub use truth::{LedgerTruth, OpTruth, Totals, TxTruth};
