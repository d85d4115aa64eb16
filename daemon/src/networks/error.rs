//! Why a change of the networks is refused.

use crate::{backfill::BackfillError, config::ConfigError, lake::LakeError};

/// Why a change of the networks is refused.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No such network.
    #[error("there is no network {name}: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Which there are.
        known: String,
    },
    /// The name is taken.
    #[error("there is a network {name} already")]
    Exists {
        /// The name.
        name: String,
    },
    /// The configuration says that it is there, and no call changes that.
    #[error(
        "network {name} is configured: take it out of the configuration and call `lakectl reload`, or pause it"
    )]
    Configured {
        /// The name.
        name: String,
    },
    /// It is neither paused nor stopped.
    #[error("network {name} is not paused")]
    NotPaused {
        /// The name.
        name: String,
    },
    /// A definition that cannot be used.
    #[error(transparent)]
    Definition(#[from] ConfigError),
    /// The jobs do not allow it.
    #[error(transparent)]
    Backfill(#[from] BackfillError),
    /// The lake cannot do it.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// It cannot be kept.
    #[error("{path} cannot be written: {error}")]
    Store {
        /// The file.
        path: String,
        /// The reason.
        error: std::io::Error,
    },
    /// The change ended early.
    #[error("the change ended early: {0}")]
    Ended(String),
}
