//! The pure part of stellar-lake: what a ledger is, how it is verified and which rows it gives.
//!
//! Nothing here reads a file, a socket or a clock: the same bytes give the same rows on every run.

mod balance_change;
pub mod changes;
pub mod decode;
pub mod ledger;
pub mod schema;
pub mod tables;
pub mod text;
pub mod words;

pub use decode::{DecodeError, Ledger, Transaction};
pub use ledger::{Hash32, LedgerRange, LedgerSeq, Network, RawLedger};
