//! The tables: each is one file with one declaration and one pure `extract`.

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::{decode::Ledger, schema::TableSpec};

/// Every table, in the order of the lake's documentation.
pub const SPECS: &[&TableSpec] = &[];

/// What a run stamps on every row.
#[derive(Clone, Debug)]
pub struct Stamps {
    /// Run stamp `era_id`; `None` is NULL.
    pub era_id: Option<Arc<str>>,
    /// Run stamp `version_label`.
    pub version_label: Arc<str>,
    /// `ledgers_row_v2.ingestion_timestamp`, microseconds since the Unix epoch: the only wall clock in the lake.
    pub ingested_at_micros: i64,
}

/// The rows of all tables, being built.
#[derive(Debug)]
pub struct TableSet {
    stamps: Stamps,
}

/// A value that a row cannot be made from. Fails the whole ledger: no row is ever skipped.
#[derive(Debug, thiserror::Error)]
#[error("ledger {seq}: table {table}: {reason}")]
pub struct ExtractError {
    /// Ledger that failed.
    pub seq: crate::LedgerSeq,
    /// Table whose row could not be made.
    pub table: &'static str,
    /// What was wrong, with the transaction and operation where there is one.
    pub reason: String,
}

impl TableSet {
    /// An empty set.
    pub fn new(stamps: Stamps) -> Self {
        Self { stamps }
    }

    /// Appends the rows of one ledger to every table.
    ///
    /// # Errors
    /// [`ExtractError`]; the set must then be dropped, it may hold part of the ledger.
    pub fn extract(&mut self, ledger: &Ledger) -> Result<(), ExtractError> {
        let _ = (&self.stamps, ledger);
        Ok(())
    }

    /// Approximate bytes held by the columns.
    pub fn bytes(&self) -> usize {
        0
    }

    /// The finished record batch of every table, in the order of [`SPECS`], empty ones included.
    pub fn finish(self) -> Vec<(&'static TableSpec, RecordBatch)> {
        Vec::new()
    }
}
