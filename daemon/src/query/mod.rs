//! SQL beside a writing daemon: read-only statements on an instance of DuckDB of their own.
//!
//! `gate` decides what may run, by DuckDB's own parser and never by matching words; `instance` is the
//! second DuckDB instance with the lake attached read-only; `executor` runs one statement per connection on
//! one snapshot, bounded in number, time, memory and rows. Nothing here can reach the committer's instance.

mod error;
mod executor;
mod gate;
mod instance;
mod tree;

pub use error::QueryError;
pub use executor::{Prepared, QueryEnd, QueryExecutor, QueryLimits, QueryRequest, QueryStream};
pub use gate::{Gate, GateError, Permit, TableName};
pub use instance::QuerySettings;
