//! Which reason, and with it which gRPC status code, each error gets: decided here and nowhere else.

use tonic::Status;

use super::reason::{Reason, refuse};
use crate::{
    backfill::BackfillError, feed::Gone, lake::LakeError, networks::NetworkError, query::QueryError,
    reload::ReloadError, verify::VerifyError,
};

/// The status of a failed query. The message is the error's own; causes follow it, one per line.
pub(super) fn of_query(error: &QueryError) -> Status {
    let reason = match error {
        QueryError::Refused(_) => Reason::StatementRefused,
        QueryError::Wrong { .. } => Reason::StatementWrong,
        QueryError::Busy { .. } => Reason::TooManyQueries,
        QueryError::OutOfMemory { .. } => Reason::QueryMemory,
        QueryError::TimedOut { .. } => Reason::QueryTimeout,
        QueryError::Cancelled => Reason::Cancelled,
        QueryError::Stopping => Reason::Stopping,
        QueryError::Open { .. } | QueryError::BadPath { .. } => Reason::Storage,
        QueryError::Internal { .. } => Reason::Internal,
    };
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(&format!("\n{error}"));
        cause = error.source();
    }
    refuse(reason, message)
}

/// The status of a refused call about backfill.
pub(super) fn of_backfill(error: &BackfillError) -> Status {
    let reason = match error {
        BackfillError::UnknownNetwork { .. } => Reason::UnknownNetwork,
        BackfillError::UnknownJob { .. } => Reason::UnknownJob,
        BackfillError::Taken { .. } => Reason::LedgersTaken,
        BackfillError::Open { .. } | BackfillError::State { .. } => Reason::JobState,
        BackfillError::NothingMissing { .. } => Reason::NothingMissing,
        BackfillError::DiskTooSmall { .. } => Reason::DiskTooSmall,
        BackfillError::Workers(_) | BackfillError::Target(_) => Reason::BadArgument,
        BackfillError::Source(_) => Reason::Source,
        BackfillError::Lake(_) | BackfillError::Store(_) => Reason::Storage,
    };
    refuse(reason, error.to_string())
}

/// The status of a check that cannot be made.
pub(super) fn of_verify(error: &VerifyError) -> Status {
    let reason = match error {
        VerifyError::UnknownNetwork { .. } => Reason::UnknownNetwork,
        VerifyError::Nothing { .. } => Reason::NothingStored,
        VerifyError::Archive { .. } => Reason::BadArgument,
        VerifyError::Lake(_) => Reason::Storage,
        VerifyError::Ended(_) => Reason::Stopping,
    };
    refuse(reason, error.to_string())
}

/// The status of a refused change of the networks.
pub(super) fn of_networks(error: &NetworkError) -> Status {
    let reason = match error {
        NetworkError::Unknown { .. } => Reason::UnknownNetwork,
        NetworkError::Exists { .. } => Reason::NetworkExists,
        NetworkError::Configured { .. } => Reason::NetworkConfigured,
        NetworkError::NotPaused { .. } => Reason::NetworkState,
        NetworkError::Definition(_) | NetworkError::Lake(LakeError::BadName { .. }) => Reason::BadArgument,
        NetworkError::Lake(LakeError::OtherPassphrase { .. }) => Reason::OtherNetwork,
        NetworkError::Backfill(error) => return of_backfill(error),
        NetworkError::Lake(_) | NetworkError::Store { .. } => Reason::Storage,
        NetworkError::Ended(_) => Reason::Stopping,
    };
    refuse(reason, error.to_string())
}

/// The status of a configuration that was not read again.
pub(super) fn of_reload(error: &ReloadError) -> Status {
    let reason = match error {
        ReloadError::Invalid(_)
        | ReloadError::Network(NetworkError::Lake(
            LakeError::OtherPassphrase { .. } | LakeError::UnknownFingerprint { .. },
        )) => Reason::ConfigInvalid,
        ReloadError::Network(_) => Reason::Storage,
        ReloadError::Ended(_) => Reason::Stopping,
    };
    refuse(reason, error.to_string())
}

/// The daemon's configuration does not change.
pub(super) fn no_config() -> Status {
    refuse(Reason::NotServed, "this daemon's configuration does not change")
}

/// The daemon has no networks that change.
pub(super) fn no_networks() -> Status {
    refuse(Reason::NotServed, "this daemon's networks do not change")
}

/// The daemon tells no events.
pub(super) fn no_events() -> Status {
    refuse(Reason::NotServed, "this daemon tells no events")
}

/// Events that a caller wants to go on after are not kept any more.
pub(super) fn events_gone(gone: &Gone) -> Status {
    refuse(Reason::EventsGone, gone.to_string())
}

/// Events are gone before a caller read them.
pub(super) fn too_slow(gone: &Gone) -> Status {
    refuse(Reason::TooSlow, format!("the stream was read too slowly: {gone}"))
}

/// The daemon does no maintenance.
pub(super) fn no_maintenance() -> Status {
    refuse(Reason::NotServed, "this daemon does no maintenance")
}

/// Maintenance that was asked for failed.
pub(super) fn maintenance_failed(error: &str) -> Status {
    refuse(Reason::Storage, format!("maintenance failed: {error}"))
}

/// The daemon was told not to do backfills.
pub(super) fn no_backfill() -> Status {
    refuse(Reason::NotServed, "this daemon does no backfills")
}

/// The daemon was told not to verify.
pub(super) fn no_verify() -> Status {
    refuse(Reason::NotServed, "this daemon does not verify")
}

/// The daemon was told not to serve queries.
pub(super) fn no_queries() -> Status {
    refuse(Reason::NotServed, "this daemon serves no queries: read the lake with DuckDB directly")
}

/// The daemon stops while a stream is open.
pub(super) fn stopping() -> Status {
    refuse(Reason::Stopping, "the daemon is stopping")
}

/// A network that is not there.
pub(super) fn no_such_network(name: &str, names: &[String]) -> Status {
    let known = crate::networks::known(name, names);
    refuse(Reason::UnknownNetwork, format!("there is no network {name}: {known}"))
}

/// A duration that is negative, too large or too small.
pub(super) fn bad_duration(field: &str) -> Status {
    bad_argument(format!("{field} is not a usable duration: give a positive one"))
}

/// An argument that cannot be meant.
pub(super) fn bad_argument(message: impl Into<String>) -> Status {
    refuse(Reason::BadArgument, message)
}
