//! Why the control socket cannot be served.

use std::{io, path::PathBuf};

/// Why the control socket cannot be bound or served.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The kernel's limit of a socket's path.
    #[error("the socket path {} has {bytes} bytes, at most {limit} fit: choose a shorter path", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
        /// The longest that fits.
        limit: usize,
    },
    /// The path names a directory or nothing at all.
    #[error("{} cannot name a socket: give the path of a file in an existing directory", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
    },
    /// Somebody answers on the socket.
    #[error("another daemon answers on {}: stop it, or choose another socket path", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// There is a file that is not a socket. It is never deleted.
    #[error("{} exists and is not a socket: remove it yourself, or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("cannot {step} the socket {}: check that the directory exists and may be written", path.display())]
    Bind {
        /// What was tried.
        step: &'static str,
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// What the service manager handed over cannot be used.
    #[error(
        "the socket of the service manager cannot be used: {reason}: check stellar-lake.socket, or disable it"
    )]
    Inherited {
        /// The reason.
        reason: String,
    },
    /// Serving ended by itself.
    #[error("serving on {} ended", path.display())]
    Serve {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: tonic::transport::Error,
    },
    /// The calls cannot be described to tools.
    #[error("cannot describe the calls at {path}: the program was built wrongly")]
    Describe {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        source: tonic_reflection::server::Error,
    },
}
