//! Which gRPC status code each error gets: decided here and nowhere else.

use tonic::{Code, Status};

use crate::{backfill::BackfillError, query::QueryError, verify::VerifyError};

/// The status of a failed query. The message is the error's own; causes follow it, one per line.
pub(super) fn of_query(error: &QueryError) -> Status {
    let code = match error {
        QueryError::Refused(_) | QueryError::Wrong { .. } => Code::InvalidArgument,
        QueryError::Busy { .. } | QueryError::OutOfMemory { .. } => Code::ResourceExhausted,
        QueryError::TimedOut { .. } => Code::DeadlineExceeded,
        QueryError::Cancelled => Code::Cancelled,
        QueryError::Stopping => Code::Unavailable,
        QueryError::Open { .. } | QueryError::BadPath { .. } | QueryError::Internal { .. } => Code::Internal,
    };
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(&format!("\n{error}"));
        cause = error.source();
    }
    Status::new(code, message)
}

/// The status of a refused call about backfill.
pub(super) fn of_backfill(error: &BackfillError) -> Status {
    let code = match error {
        BackfillError::UnknownNetwork { .. } | BackfillError::UnknownJob { .. } => Code::NotFound,
        BackfillError::Taken { .. } => Code::AlreadyExists,
        BackfillError::State { .. }
        | BackfillError::NothingMissing { .. }
        | BackfillError::DiskTooSmall { .. } => Code::FailedPrecondition,
        BackfillError::Workers(_) | BackfillError::Target(_) => Code::InvalidArgument,
        BackfillError::Source(_) => Code::Unavailable,
        BackfillError::Lake(_) | BackfillError::Store(_) => Code::Internal,
    };
    Status::new(code, error.to_string())
}

/// The status of a check that cannot be made.
pub(super) fn of_verify(error: &VerifyError) -> Status {
    let code = match error {
        VerifyError::UnknownNetwork { .. } => Code::NotFound,
        VerifyError::Nothing { .. } => Code::FailedPrecondition,
        VerifyError::Archive { .. } => Code::InvalidArgument,
        VerifyError::Lake(_) => Code::Internal,
        VerifyError::Ended(_) => Code::Unavailable,
    };
    Status::new(code, error.to_string())
}

/// The daemon was told not to do backfills.
pub(super) fn no_backfill() -> Status {
    Status::unavailable("this daemon does no backfills")
}

/// The daemon was told not to verify.
pub(super) fn no_verify() -> Status {
    Status::unavailable("this daemon does not verify")
}

/// The daemon was told not to serve queries.
pub(super) fn no_queries() -> Status {
    Status::unavailable("this daemon serves no queries: read the lake with DuckDB directly")
}

/// The daemon stops while a stream is open.
pub(super) fn stopping() -> Status {
    Status::unavailable("the daemon is stopping")
}

/// A network that is not configured.
pub(super) fn no_such_network(name: &str) -> Status {
    Status::not_found(format!("there is no network {name}: `lakectl status` lists them"))
}

/// A duration that is negative, too large or too small.
pub(super) fn bad_duration(field: &str) -> Status {
    Status::invalid_argument(format!("{field} is not a usable duration: give a positive one"))
}
