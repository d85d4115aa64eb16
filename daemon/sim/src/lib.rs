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
//!
//! # What happens
//! Besides the traffic of its [`Density`], every network tells stories: sequences of steps that use all types of
//! operations, sponsorship, claimable balances, pools, asset contracts, archival and upgrades, with good and bad results.
//! [`Density::Everything`] tells all of them at once, so that each feature occurs within 200 ledgers.
//!
//! # The books
//! What tables can be compared with, known by construction:
//!
//! | what | where |
//! |---|---|
//! | transactions, operations, sums of a ledger | [`LedgerTruth`]: `transactions`, `operations`, `totals` |
//! | rows of each table for a ledger | [`LedgerTruth::rows`](LedgerTruth): [`TableRows`] |
//! | net change of every entry in a ledger, with images before and after | [`SimLedger::changes`](SimLedger): [`EntryChange`] |
//! | signers that came, went or changed | [`signer_changes`] of an account's [`EntryChange`] |
//! | all entries after the last ledger | [`SimNetwork::entries`], [`SimNetwork::entry`] |
//! | evicted entries that can come back | [`SimNetwork::archived`] |
//!
//! ```
//! use lake_sim::{Change, Density, SimConfig, SimNetwork};
//! use stellar_xdr::{LedgerEntryData, LedgerKey};
//!
//! let config = SimConfig { passphrase: "a network of ours".into(), seed: 7, density: Density::Everything };
//! let mut network = SimNetwork::new(config);
//! let ledger = network.close_ledger();
//! let accounts = ledger.changes.iter().filter(|change| matches!(change.key(), LedgerKey::Account(_)));
//! assert_eq!(u64::try_from(accounts.count()), Ok(ledger.truth.rows.accounts));
//! for change in &ledger.changes {
//!     assert_eq!(change.after(), network.entry(change.key()));
//!     if let LedgerEntryData::Account(account) = &change.last().data {
//!         assert!(account.balance >= 0 && change.change() != Change::Restored);
//!     }
//! }
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
