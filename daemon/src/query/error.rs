//! What can go wrong with a query, told apart by who must do something about it.

use std::{path::PathBuf, time::Duration};

use super::gate::GateError;

/// Why a query, or the query instance, failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query instance could not be set up.
    #[error("cannot {step} for queries on {}", catalog.display())]
    Open {
        /// What was tried.
        step: &'static str,
        /// The catalog file.
        catalog: PathBuf,
        /// DuckDB's words.
        source: duckdb::Error,
    },
    /// A path of the settings has a character that cannot be given to DuckDB.
    #[error("the {what} {} is not plain UTF-8 without quotes: choose another path", path.display())]
    BadPath {
        /// Which setting.
        what: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// The statement is not one that may run.
    #[error(transparent)]
    Refused(#[from] GateError),
    /// DuckDB says that the statement is wrong: an unknown column, a failing cast.
    #[error("{message}")]
    Wrong {
        /// DuckDB's words.
        message: String,
    },
    /// As many queries as may run and wait are there already.
    #[error("{running} queries run and {waiting} wait: try again later")]
    Busy {
        /// Queries that may run at once.
        running: usize,
        /// Queries that may wait.
        waiting: usize,
    },
    /// The query took longer than it may.
    #[error("the query was stopped after {} s: make it smaller or ask for more time", limit.as_secs_f64())]
    TimedOut {
        /// The limit that applied.
        limit: Duration,
    },
    /// The caller went away.
    #[error("the query was cancelled")]
    Cancelled,
    /// The daemon stops.
    #[error("the daemon is stopping")]
    Stopping,
    /// The memory for queries is used up.
    #[error("the query needs more memory than queries may use: {message}")]
    OutOfMemory {
        /// DuckDB's words.
        message: String,
    },
    /// Anything else: a missing data file, a bug.
    #[error("the query failed inside: {message}")]
    Internal {
        /// DuckDB's words.
        message: String,
    },
}

impl QueryError {
    /// Sorts an error of DuckDB by the name that DuckDB puts in front of its message.
    pub(super) fn from_duckdb(error: &duckdb::Error) -> Self {
        let message = message_of(error);
        let kind = message.split_once(" Error:").map_or("", |(kind, _)| kind);
        match kind {
            "Binder"
            | "Catalog"
            | "Parser"
            | "Syntax"
            | "Conversion"
            | "Invalid Input"
            | "Out of Range"
            | "Mismatch Type"
            | "Invalid type"
            | "Not implemented"
            | "Divide by Zero"
            | "Expression"
            | "Permission"
            | "Constraint"
            | "Parameter Not Resolved"
            | "Parameter Not Allowed" => QueryError::Wrong { message },
            "Out of Memory" => QueryError::OutOfMemory { message },
            "INTERRUPT" => QueryError::Cancelled,
            _ => QueryError::Internal { message },
        }
    }
}

/// DuckDB's own words, without the wrapper's.
pub(super) fn message_of(error: &duckdb::Error) -> String {
    if let duckdb::Error::DuckDBFailure(_, Some(message)) = error {
        return message.clone();
    }
    error.to_string()
}
